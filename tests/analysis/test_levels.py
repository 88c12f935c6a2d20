"""Levels of a truncation prove what levels of the system would, and are taken only where they are cheaper."""

import numpy as np
import pytest
from scipy.linalg import block_diag

import mor
from mor.analysis.extended import ExtendedResponses, refined_response
from mor.analysis.gains import SystemGains, first_frequencies
from mor.analysis.hinf import Peak, _proven
from mor.analysis.levels import Levels, slowest, truncated_levels


def damped(n, dt=0.0, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n)) / n**0.5
    A = A * 0.4 if dt else A - 1.2 * np.eye(n)
    return mor.LTI(A, rng.standard_normal((n, 2)), rng.standard_normal((2, n)), dt=dt)


def light(n):
    """Modes of 0.1 % damping, each of which counts."""
    rng = np.random.default_rng(0)
    A = block_diag(*([[-1e-3 * w, w], [-w, -1e-3 * w]] for w in np.geomspace(1, 100, n // 2)))
    return mor.LTI(A, rng.standard_normal((n, 2)), rng.standard_normal((2, n)))


def looked_at(sys):
    gains = SystemGains(sys)
    omega = first_frequencies(gains.poles, sys.dt, 32, is_real=sys.is_real)
    return gains, omega, gains(omega)


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 0.5])
def test_a_truncation_proves_the_limit_that_the_system_has(dt):
    sys = damped(100, dt)
    gains, omega, sampled = looked_at(sys)
    start = Peak(float(np.max(sampled)), float(omega[np.argmax(sampled)]), np.inf)
    few = truncated_levels(sys, gains, omega, sampled, 1e-8 * start.gain)
    assert few is not None
    assert len(few.matrices[0]) <= 50
    assert 0 < few.slack < 1e-8 * start.gain
    one = _proven(gains, few, start, 1e-8)
    two = _proven(gains, Levels(sys, gains.poles, omega, sampled), start, 1e-8)
    # Both within their own limits, which are 2e-8 apart from the gain.
    assert one.gain <= two.upper
    assert two.gain <= one.upper <= one.gain * (1 + 3e-8)


def test_a_level_below_the_norm_is_crossed_by_the_truncation_too():
    sys = damped(100)
    gains, omega, sampled = looked_at(sys)
    best = float(np.max(sampled))
    few = truncated_levels(sys, gains, omega, sampled, 1e-8 * best)
    assert few is not None
    assert len(few.frequencies(few(0.9 * best))) > 0


def test_no_factors_are_computed_for_modes_of_little_damping(monkeypatch):
    sys = light(100)
    monkeypatch.setattr(mor.LTI, "factors", lambda *_, **__: pytest.fail("factors in vain"))
    gains, omega, sampled = looked_at(sys)
    assert truncated_levels(sys, gains, omega, sampled, 1e-8 * float(np.max(sampled))) is None


def test_the_decay_that_is_foreseen_is_that_of_the_values():
    sys = damped(120)
    values = mor.hankel_singular_values(sys)
    decay = slowest(sys.poles, 0.0, 20, 0.0)
    # After 20 steps of two inputs each; what A is not normal by is a factor.
    assert values[40] / values[0] < 100 * decay


@pytest.mark.parametrize("sys", [damped(30), light(30), damped(30, 1.0)], ids=["damped", "light", "discrete"])
def test_a_response_corrected_once_is_within_its_noise(sys):
    omega = float(mor.peak_gain(sys).omega)
    response, noise = refined_response(sys, omega)
    exact, left, _ = ExtendedResponses(sys)(np.array([omega]))
    assert np.linalg.norm((response - exact[0]).astype(complex)) <= noise + 2 * float(left[0])
    assert noise < 1e-12 * np.linalg.norm(exact[0].astype(complex))
