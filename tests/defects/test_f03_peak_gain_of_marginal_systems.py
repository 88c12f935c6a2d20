"""``peak_gain`` and ``hinf_norm`` ended in a raw LinAlgError, or a ZeroDivisionError, where a pole lies on
the boundary, and where gains are beyond 1e22; ``hinf_norm`` advised ``peak_gain`` for an integrator, which
refuses it."""

import warnings

import numpy as np
import pytest

import mor
from mor.errors import NotFiniteError, UnstableSystemError
from tests.fuzz.marginal import MOTOR, moved, rotation


@pytest.fixture(autouse=True)
def _no_warnings_of_numpy():
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        yield


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 0.1])
@pytest.mark.parametrize("function", [mor.peak_gain, mor.hinf_norm])
def test_the_motor_in_general_coordinates(function, dt) -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        T = np.array([[1.0, 2, 0], [0, 1, 3], [1, 0, 1]]) if seed % 2 else rng.standard_normal((3, 3))
        with pytest.raises(UnstableSystemError):
            function(moved(MOTOR, T, dt, rng))


def test_a_mode_on_the_axis_that_no_input_reaches() -> None:
    B, C = np.array([[0], [1.0 + 0j]]), np.ones((1, 2)) + 0j
    with pytest.raises(UnstableSystemError, match="boundary"):
        mor.peak_gain(mor.Modal(np.array([1j, -0.1 + 0.5j]), B, C))
    with pytest.raises(UnstableSystemError, match="boundary"):
        mor.peak_gain(mor.Modal(np.array([1.0 + 0j, 0.5]), B, C, dt=1.0))


@pytest.mark.parametrize("angle", [0.3, 1.0, 2.1, 3.0])
def test_a_mode_next_to_the_circle_that_no_input_reaches(angle: float) -> None:
    """Not on it, by the last digit of its modulus, or beyond it: a number, and an honest limit."""
    poles, B = np.array([np.exp(1j * angle), 0.4 + 0.5j]), np.array([[0], [1.0 + 0j]])
    system, alone = (
        mor.Modal(poles, B, np.ones((1, 2)) + 0j, dt=1.0),
        mor.Modal(poles[1:], B[1:], B[1:], dt=1.0),
    )
    if np.any(system.margins == 0):
        pytest.skip("this one is on the circle")
    peak = mor.peak_gain(system)
    assert peak.gain == pytest.approx(mor.peak_gain(alone).gain, rel=1e-6)
    assert peak.upper >= peak.gain


def test_gains_beyond_the_squares_of_double_precision() -> None:
    """A non-normal system whose gain is 1e26, and its reduction."""
    rng = np.random.default_rng(6)
    n = 34
    A = np.diag(-(10 ** rng.uniform(-1, 1, n))) + 10 * np.triu(rng.standard_normal((n, n)), 1)
    system = mor.LTI(A, rng.standard_normal((n, 1)), rng.standard_normal((1, n)))
    peak = mor.peak_gain(system - mor.balanced_truncation(system, 7).system)
    assert 0 < peak.gain <= peak.upper


@pytest.mark.parametrize("scale", [1e-300, 1e-160, 1e150, 1e300])
def test_extreme_units(scale: float) -> None:
    """A number with its limit, or a typed error."""
    for system in (
        mor.LTI([[-1.0, 0.3], [0, -2.0]], [[scale], [1]], [[scale, 2]]),
        mor.LTI([[0.5, 0.3], [0, -0.2]], [[scale], [1]], [[scale, 2]], [[1.0]], dt=1.0),
        mor.LTI(np.array([[-1.0, 0.3], [0, -2.0]]) * min(scale, 1e150), [[1.0], [1]], [[1.0, 2]]),
    ):
        try:
            peak = mor.peak_gain(system)
        except (NotFiniteError, UnstableSystemError):
            continue
        assert 0 <= peak.gain <= peak.upper


def test_the_advice_can_be_followed() -> None:
    integrator = mor.LTI([[0.0]], [[1.0]], [[1.0]])
    with pytest.raises(UnstableSystemError) as refused:
        mor.hinf_norm(integrator)
    assert "peak_gain" not in str(refused.value)
    assert "split_stable" in str(refused.value)
    rotated = moved(MOTOR, rotation(np.random.default_rng(0), 3), 0.0, np.random.default_rng(0))
    with pytest.raises(UnstableSystemError) as refused:
        mor.hinf_norm(rotated)
    assert "peak_gain" not in str(refused.value)
    with pytest.raises(UnstableSystemError, match="peak_gain"):
        mor.hinf_norm(([[1.0]], [[1.0]], [[1.0]]))
