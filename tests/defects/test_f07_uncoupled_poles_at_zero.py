"""Factors for a complex discrete A = 0 failed, and those for a discrete A of tiny norm were wrong."""

import numpy as np
import pytest

import mor


@pytest.mark.parametrize("m", [1, 2])
@pytest.mark.parametrize("n", [20, 64])
def test_complex_a_equal_to_zero(n, m):
    rng = np.random.default_rng(n + m)
    for _ in range(5):
        B = rng.standard_normal((n, m)) + 1j * rng.standard_normal((n, m))
        Z = mor.lyapunov_factor(np.zeros((n, n)), B, dt=1.0)
        np.testing.assert_allclose(Z @ Z.conj().T, B @ B.conj().T, rtol=0, atol=1e-13 * n)


def test_hankel_singular_values_of_poles_at_zero():
    rng = np.random.default_rng(0)
    B, C = rng.standard_normal((24, 1)) + 1j * rng.standard_normal((24, 1)), rng.standard_normal((1, 24))
    hsv = mor.hankel_singular_values(mor.LTI(np.zeros((24, 24)), B, C, dt=1.0))
    # The impulse response is the one number C B.
    np.testing.assert_allclose(hsv[0], abs(C @ B)[0, 0], rtol=1e-12)
    assert hsv[1] < 1e-12 * hsv[0]


@pytest.mark.slow
@pytest.mark.parametrize("norm", [1e-30, 1e-45, 1e-60, 1e-100, 1e-160, 1e-200, 1e-290, 1e-310])
def test_a_of_tiny_norm(norm):
    rng = np.random.default_rng(3)
    for draw in range(20):
        n = 2 + draw % 7
        A, B = norm * rng.standard_normal((n, n)), rng.standard_normal((n, 1 + draw % 2))
        Z = mor.lyapunov_factor(A, B, dt=1.0)
        # The sum is its first term to round-off.
        np.testing.assert_allclose(Z @ Z.T, B @ B.T, rtol=0, atol=1e-13 * np.max(B @ B.T))
