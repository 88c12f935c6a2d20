"""Minimal realisations: what is removed, what is counted, and that nothing else changes."""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

import mor
from mor.errors import ArgumentTypeError, ReductionError
from mor.testing import block_systems, lti_systems, modal_systems
from tests.oracles.dense import frequencies
from tests.oracles.kalman import kalman


def same(a, b, tolerance=1e-9):
    # On a circle that passes no pole of real random matrices of unit size.
    points = 7.3 * np.exp(1j * np.linspace(0.1, 3, 7))
    x, y = (sys.to_lti().evaluate(points) for sys in (a, b))
    return np.max(np.abs(x - y)) <= tolerance * np.max(np.abs(y))


@given(st.lists(st.integers(0, 3), min_size=4, max_size=4), st.integers(0, 10**6), st.booleans())
@settings(max_examples=60)
def test_each_part_is_found_and_counted(sizes, seed, pencil):
    rng = np.random.default_rng(seed)
    if not sum(sizes):
        return
    sys, minimal = kalman(rng, sizes, dt=float(seed % 2), E=pencil)
    rom = mor.minimal_realization(sys, tol=1e-11)
    assert rom.order == rom.system.order == sizes[0]
    assert rom.diagnostics["unreachable"] == sizes[2] + sizes[3]
    assert rom.diagnostics["unobservable"] == sizes[1]
    assert rom.diagnostics["neglected"] <= 1e-11
    assert (rom.error_bound, rom.bound_kind, rom.hsv.size) == (None, "none", 0)
    assert same(rom.system, minimal)
    assert rom.system.dt == sys.dt


@pytest.mark.slow
@given(st.one_of(lti_systems(), block_systems()))
def test_minimal_systems_are_left_alone(sys):
    rom = mor.minimal_realization(sys)
    assert rom.order == sys.order
    dense = sys.to_lti()
    np.testing.assert_array_equal(rom.system.A, dense.A)
    again = mor.minimal_realization(rom)
    assert again.order == rom.order


@pytest.mark.slow
@given(modal_systems(max_modes=6, margin=1e-2))
def test_modes_agree_with_the_dense_staircase(sys):
    rom, dense = mor.minimal_realization(sys), mor.minimal_realization(sys.to_lti(), tol=1e-11)
    assert isinstance(rom.system, mor.Modal)
    assert rom.order == rom.system.order
    # Weakly coupled modes of a dense matrix are cut by a relative rule, modes only if exact.
    assert rom.order >= dense.order
    grid = frequencies(sys, 40)
    x, y = sys.frequency_response(grid), rom.system.frequency_response(grid)
    np.testing.assert_allclose(y, x, atol=1e-11 * np.max(np.abs(x)))
    counts = rom.diagnostics
    assert rom.order == sys.order - counts["unreachable"] - counts["unobservable"]


def modal(poles, B, C, dt=0.0):
    return mor.Modal(np.array(poles), np.array(B), np.array(C), dt=dt)


@pytest.mark.parametrize(
    ("sys", "order", "unreachable", "unobservable"),
    [
        # Twins with one input are one; with two inputs and outputs two.
        (modal([-1.0, -1.0], [[1.0], [1.0]], [[1.0, 2.0]]), 1, 1, 0),
        (modal([-1.0, -1.0], [[1.0, 0], [0, 1]], [[1.0, 0], [0, 1]]), 2, 0, 0),
        (modal([-1.0, -1.0], [[1.0, 0], [0, 1]], [[1.0, 1.0]]), 1, 0, 1),
        (modal([-1.0, -1.0], [[1.0, 0], [0, 1]], [[1.0, 0.0]]), 1, 0, 1),
        # Twins that cancel are nothing.
        (modal([-1.0, -1.0], [[1.0], [1.0]], [[1.0, -1.0]]), 0, 1, 1),
        # Silent and hidden modes, an unstable one among them.
        (modal([2.0, -1.0, -3.0], [[0.0], [1], [1]], [[1.0, 1, 0]]), 1, 1, 1),
        (modal([-1 + 1j, -1 - 1j], [[1.0 + 1j], [1.0 - 1j]], [[2 + 0j, 2 + 0j]]), 2, 2, 0),
        # A real pole with a complex row and column is two states, of which one output sees one.
        (modal([-1.0 + 0j], [[1.0 + 1j]], [[2.0 + 1j]]), 1, 1, 0),
        (modal([0.0 + 0j, 0.0], [[1.0], [1.0]], [[1.0, 1.0]], 1.0), 1, 1, 0),
    ],
)
def test_modes_by_hand(sys, order, unreachable, unobservable):
    for system in (sys, sys.to_lti()):
        rom = mor.minimal_realization(system)
        found = rom.diagnostics
        assert (rom.order, found["unreachable"], found["unobservable"]) == (order, unreachable, unobservable)
        assert rom.system.order == order
        assert same(rom.system, sys) or order == 0
        assert type(rom.system) is type(system)


def test_a_batch_of_modes():
    poles = np.array([[-1.0, -1.0, -2.0], [-1.0, -2.0, -3.0]])
    batch = mor.Modal(poles, np.ones((2, 3, 1)), np.ones((2, 1, 3)))
    rom = mor.minimal_realization(batch)
    assert rom.system.batch_shape == (2,)
    assert rom.order == 3
    np.testing.assert_allclose(rom.system.evaluate(1j), batch.evaluate(1j))


def test_an_unreachable_unstable_mode_goes():
    sys = mor.LTI([[-1.0, 0.0], [1.0, 4.0]], [[0.0], [1.0]], [[0.0, 1.0]])
    assert mor.minimal_realization(sys).system.poles == [4.0]
    hidden = mor.LTI([[4.0, 1.0], [0.0, -1.0]], [[0.0], [1.0]], [[0.0, 1.0]])
    assert mor.minimal_realization(hidden).system.poles == [-1.0]


def test_units_of_signals_and_time_do_not_matter():
    rng = np.random.default_rng(2)
    sys, _ = kalman(rng, [3, 2, 1, 2])
    for time, inputs, outputs in ((1e9, (1.0, 1e-12), (1e8, 1.0)), (1e-9, (1e-9, 1e6), (1.0, 1e-14))):
        scaled = mor.LTI(time * sys.A, sys.B * inputs, sys.C * np.array(outputs)[:, None])
        rom = mor.minimal_realization(scaled, tol=1e-11)
        assert rom.diagnostics["unreachable"] == 3
        assert rom.diagnostics["unobservable"] == 2


def test_agreement_with_a_peer():
    slycot = pytest.importorskip("slycot")
    rng = np.random.default_rng(3)
    for sizes in ([3, 2, 2, 1], [4, 0, 0, 2], [2, 3, 0, 0], [2, 0, 3, 0], [1, 2, 2, 2]):
        sys, minimal = kalman(rng, sizes)
        A, B, C = (np.asfortranarray(x) for x in (sys.A, sys.B, sys.C))
        a, b, c, nr = slycot.tb01pd(len(A), 2, 2, A.copy("F"), B.copy("F"), C.copy("F"), tol=1e-10)
        rom = mor.minimal_realization(sys, tol=1e-10)
        assert rom.order == nr
        assert same(rom.system, mor.LTI(a[:nr, :nr], b[:nr, :2], c[:2, :nr], sys.D))
        assert same(rom.system, minimal)


def test_long_chains_keep_every_state():
    n = 60
    A = np.diag(np.ones(n - 1), -1) * 0.5
    delay = mor.LTI(A, np.eye(n)[:, :1], np.eye(n)[-1:], dt=1.0)
    assert mor.minimal_realization(delay).order == n
    shorter = mor.LTI(A, np.eye(n)[:, 10:11], np.eye(n)[40:41], dt=1.0)
    rom = mor.minimal_realization(shorter)
    assert (rom.order, rom.diagnostics["unreachable"], rom.diagnostics["unobservable"]) == (31, 10, 19)


def test_a_cascade_that_cancels():
    """A zero on a pole: (s - 1) / (s + 2) after 1 / ((s - 1)(s + 5))."""
    A = scipy.linalg.block_diag([[1.0, 1.0], [0.0, -5.0]], [[-2.0]])
    B, C = np.array([[0.0], [1.0], [0.0]]), np.array([[1.0, 0.0, -3.0]])
    A[2, 0] = 1.0
    rom = mor.minimal_realization((A, B, C))
    assert rom.order == 2
    np.testing.assert_allclose(np.sort(rom.system.poles.real), [-5, -2], atol=1e-12)


def test_degenerate_systems_and_requests():
    empty = mor.LTI(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), [[2.0]])
    assert mor.minimal_realization(empty).order == 0
    silent = mor.LTI(np.eye(3), np.zeros((3, 1)), np.ones((1, 3)), [[2.0]])
    rom = mor.minimal_realization(silent)
    assert (rom.order, rom.diagnostics["unreachable"]) == (0, 3)
    np.testing.assert_array_equal(rom.system.D, [[2.0]])
    assert "minimal realisation: order 3 -> 0" in str(rom)
    still = mor.LTI(np.zeros((3, 3)), np.ones((3, 1)), np.ones((1, 3)))
    assert mor.minimal_realization(still).order == 1
    labelled = mor.LTI(
        np.eye(2), [[1.0], [0]], [[1.0, 0]], labels=mor.Labels(inputs=["u"], states=["a", "b"])
    )
    assert mor.minimal_realization(labelled).system.labels == mor.Labels(inputs=["u"])
    for tol in (0, -1.0, 1.0, np.nan, "x"):
        with pytest.raises((ReductionError, ArgumentTypeError), match="tol="):
            mor.minimal_realization(silent, tol=tol)
    with pytest.raises(ReductionError, match="E is singular"):
        mor.minimal_realization(mor.LTI(np.eye(2), np.ones((2, 1)), np.ones((1, 2)), E=np.diag([1.0, 0.0])))
