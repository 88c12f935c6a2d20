"""A Reduction did not stand for its system in sums, and wrong arguments gave bare errors."""

import numpy as np
import pytest

import mor
from mor.errors import ArgumentTypeError, DimensionError, NotFiniteError, ReductionError

A, B, C = np.array([[-1.0, 1.0], [0.0, -2.0]]), np.ones((2, 1)), np.array([[1.0, 0.0]])
POINTS = [0.3 + 1j, 2.0]


def gap(difference):
    return np.max(np.abs(difference.evaluate(POINTS)))


def test_a_reduction_in_sums_and_differences():
    full = mor.LTI(A, B, C)
    rom = mor.balanced_truncation(full, order=1)
    error = full.evaluate(POINTS) - rom.system.evaluate(POINTS)
    for difference in (full - rom, (A, B, C) - rom, -(rom - full), -(rom - (A, B, C))):
        np.testing.assert_allclose(difference.evaluate(POINTS), error, rtol=1e-12)
    assert gap(rom - rom) < 1e-15
    np.testing.assert_allclose((rom + rom).evaluate(POINTS), 2 * rom.system.evaluate(POINTS), rtol=1e-14)
    np.testing.assert_allclose((-rom).evaluate(POINTS), -rom.system.evaluate(POINTS))


@pytest.mark.slow
def test_a_reduction_beside_systems_of_other_libraries():
    control = pytest.importorskip("control")
    scipy_signal = pytest.importorskip("scipy.signal")
    rom = mor.balanced_truncation((A, B, C))
    foreign = [control.StateSpace(A, B, C, 0), scipy_signal.StateSpace(A, B, C, np.zeros((1, 1)))]
    for full in (*foreign, control.tf([1.0], [1.0, 2.0])):
        assert isinstance(full - rom, mor.LTI)
        assert isinstance(rom - full, mor.LTI)
    for full in foreign:
        assert gap(full - rom) < 1e-14
        assert gap(rom - full) < 1e-14


def test_an_array_is_no_system():
    rom = mor.balanced_truncation((A, B, C))
    for x in (np.eye(2), 1.0):
        for calculate in (lambda x: x + rom, lambda x: rom - x, lambda x: x - rom.system):
            with pytest.raises(mor.MorError, match="not a linear time-invariant system"):
                calculate(x)


REDUCTIONS = (mor.balanced_truncation, mor.modal_truncation, mor.tsia, mor.irka, mor.h2_optimal)


@pytest.mark.slow
@pytest.mark.parametrize("reduce", REDUCTIONS)
def test_orders_are_checked_in_one_way(reduce):
    for order in (np.nan, np.inf, -1, 3, 1.5, 10**400):
        with pytest.raises(ReductionError, match="order=") as caught:
            reduce((A, B, C), order)
        assert caught.value.argument == "order"
    for order in ("2", 1j, {}, object()):
        with pytest.raises(ArgumentTypeError, match="order=") as caught:
            reduce((A, B, C), order)
        assert isinstance(caught.value, TypeError)
    for order in (1, 1.0, np.int8(1), np.array(1)):
        assert reduce((A, B, C), order).order == 1


def test_frequencies_and_tolerances():
    for omega in ([1j], "1", [[1.0]], np.nan, [1.0, np.inf]):
        with pytest.raises((ArgumentTypeError, DimensionError, NotFiniteError), match="omega"):
            mor.freqresp((A, B, C), omega)
    for tol in ("a", np.ones(2), None, 0, -1.0, np.nan):
        for ask in (mor.peak_gain, mor.hinf_norm):
            with pytest.raises(mor.MorError, match="tol=") as caught:
                ask((A, B, C), tol=tol)
            assert caught.value.argument == "tol"


def test_no_inputs_or_outputs_in_python_control():
    pytest.importorskip("control")
    for sys in (mor.LTI(A, np.zeros((2, 0)), C), mor.LTI(A, B, np.zeros((0, 2)))):
        with pytest.raises(DimensionError, match="without inputs or outputs"):
            mor.to_control(sys)
    static = mor.to_control(mor.LTI(np.zeros((0, 0)), np.zeros((0, 2)), np.zeros((1, 0)), [[1.0, 2.0]]))
    np.testing.assert_array_equal(static.D, [[1.0, 2.0]])


@pytest.mark.filterwarnings("error")
def test_peak_gain_of_a_strongly_non_normal_difference():
    rng = np.random.default_rng(6)
    n = 34
    A = np.diag(-(10 ** rng.uniform(-1, 1, n))) + 10 * np.triu(rng.standard_normal((n, n)), 1)
    sys = mor.LTI(A, rng.standard_normal((n, 1)), rng.standard_normal((1, n)))
    gain, _, upper = mor.peak_gain(sys - mor.balanced_truncation(sys, 7).system)
    assert 0 < gain <= upper
