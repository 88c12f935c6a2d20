"""minimal_realization gave another system, silently, once the units of states were far apart."""

import numpy as np
import pytest

import mor
from tests.defects.models import in_units, masses
from tests.oracles.kalman import kalman

OMEGA = [0.05, 0.2, 0.5, 1.0]


def assert_the_same(rom, sys, limit=1e-9):
    expected = mor.freqresp(sys, OMEGA)
    assert np.max(np.abs(mor.freqresp(rom.system, OMEGA) - expected)) <= limit * np.max(np.abs(expected))


def test_three_states():
    A = np.array([[-1.0, 0.5, 0], [0, -2, 1], [0, 0, -5.0]])
    sys = mor.LTI(A, np.ones((3, 1)), np.array([[1.0, 2, 3]]))
    rom = mor.minimal_realization(in_units(sys, np.array([1e-7, 1, 1e7])))
    assert rom.order == 3
    assert_the_same(rom, sys)


@pytest.mark.parametrize(("decades", "seed"), [(3, 0), (4, 1), (5, 2), (5, 0), (6, 3)])
def test_a_chain(decades, seed):
    sys, rng = masses(), np.random.default_rng(seed)
    other = in_units(sys, 10.0 ** rng.uniform(-decades, decades, sys.order))
    rom, expected = mor.minimal_realization(other), mor.minimal_realization(sys)
    assert (rom.order, rom.diagnostics["unreachable"]) == (
        expected.order,
        expected.diagnostics["unreachable"],
    )
    assert_the_same(rom, sys)


@pytest.mark.parametrize("decades", [12, 30])
def test_where_no_units_can_be_found_nothing_is_left_out(decades):
    sys, rng = masses(), np.random.default_rng(4)
    rom = mor.minimal_realization(in_units(sys, 10.0 ** rng.uniform(-decades, decades, sys.order)))
    assert_the_same(rom, sys)
    assert rom.order == 36 or "nothing is left out" in rom.diagnostics["note"]


@pytest.mark.parametrize("seed", range(6))
def test_parts_are_found_in_any_units(seed):
    rng = np.random.default_rng(seed)
    sys, minimal = kalman(rng, [3, 2, 1, 2])
    rom = mor.minimal_realization(in_units(sys, 10.0 ** rng.uniform(-6, 6, sys.order)), tol=1e-11)
    assert (rom.diagnostics["unreachable"], rom.diagnostics["unobservable"]) == (3, 2)
    assert_the_same(rom, minimal, 1e-8)


def test_states_that_nothing_couples():
    """A alone gives them no scale; one of them nothing reaches, one nothing shows."""
    units = np.array([1e9, 1e-9, 1e12, 1e-12])
    sys = mor.LTI(np.diag([-1.0, -2, -3, -4]), [[1.0], [1], [0], [1]], [[1.0, 1, 1, 0]])
    rom = mor.minimal_realization(in_units(sys, units))
    assert (rom.order, rom.diagnostics["unreachable"], rom.diagnostics["unobservable"]) == (2, 1, 1)
    assert_the_same(rom, sys)


def test_round_off_in_place_of_zeros_couples_nothing():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((6, 6))
    A[3:, :3] = 1e-16 * rng.standard_normal((3, 3))
    B = np.vstack([rng.standard_normal((3, 1)), 1e-16 * rng.standard_normal((3, 1))])
    rom = mor.minimal_realization((A, B, rng.standard_normal((1, 6))), tol=1e-13)
    assert rom.order == 3


def test_no_loud_signal_hides_what_is_lost():
    """Twenty decades of units: what would be lost is seen beside a large D, and beside another channel."""
    sys = masses()
    n, units = sys.order, 10.0 ** np.random.default_rng(5).uniform(-10, 10, sys.order)
    loud = mor.LTI(sys.A, sys.B, sys.C, [[1e9]])
    beside = mor.LTI(
        np.block([[sys.A, np.zeros((n, 1))], [np.zeros((1, n)), -np.ones((1, 1))]]),
        np.block([[sys.B, np.zeros((n, 1))], [np.zeros((1, 1)), np.full((1, 1), 1e9)]]),
        np.block([[sys.C, np.zeros((1, 1))], [np.zeros((1, n)), np.ones((1, 1))]]),
    )
    for plain, t in ((loud, units), (beside, np.append(units, 1.0))):
        rom = mor.minimal_realization(in_units(plain, t))
        expected = mor.freqresp(plain, OMEGA) - plain.D
        lost = np.abs(mor.freqresp(rom.system, OMEGA) - rom.system.D - expected)[:, 0, 0]
        # A D of 1e9 leaves seven digits of the rest, 1e-7 beside values of 1.
        assert np.max(lost) <= 1e-6 * np.max(np.abs(expected[:, 0, 0])) + 1e-6
