"""Transfer functions of first and second order of quadratic outputs: where norms exist and where not."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

import mor
from mor.errors import DimensionError, MorError, NotFiniteError, QuadraticOutputError
from mor.testing import lqo_systems
from tests.oracles.dense import random_matrix, random_stable
from tests.oracles.lqo import written

POINTS = np.array([0.3 + 0.7j, -1.5 + 0.2j, 2.0 - 1j])


def by_hand(system, s1, s2):
    """C (s - A)^-1 B + D, and X(s1)^T N_i X(s2) with no conjugates."""
    eye = np.eye(len(system.A))
    x1, x2 = (np.linalg.solve(s * eye - system.A, system.B) for s in (s1, s2))
    first, second = (system.Y @ x + system.Dy for x in (x1, x2))
    return system.C @ x1 + system.D, np.array([first.T @ N @ second for N in system.N])


@given(lqo_systems())
@settings(max_examples=40)
def test_values_written_out(sys):
    system = written(sys)
    G1, H2 = mor.transfer_kernels(sys, POINTS, POINTS[:2])
    p, m = sys.n_outputs, sys.n_inputs
    assert G1.shape == (3, p, m)
    assert H2.shape == (3, 2, p, m, m)
    scale = 1 + np.max(np.abs(H2))
    for i, s1 in enumerate(POINTS):
        for j, s2 in enumerate(POINTS[:2]):
            g, h = by_hand(system, s1, s2)
            np.testing.assert_allclose(G1[i], g, rtol=1e-9, atol=1e-9 * (1 + np.max(np.abs(g))))
            np.testing.assert_allclose(H2[i, j], h, atol=1e-9 * scale)


def test_shapes_of_points():
    sys = mor.LQO(([[-1.0]], [[1.0, 2.0]], [[1.0]]), [[1.0]])
    G1, H2 = mor.transfer_kernels(sys, 1j)
    assert (G1.shape, H2.shape) == ((1, 2), (1, 2, 2))
    G1, H2 = mor.transfer_kernels(sys, 1j, [1j, 2j, 3j])
    assert (G1.shape, H2.shape) == ((1, 2), (3, 1, 2, 2))
    G1, H2 = mor.transfer_kernels(sys, [1j, 2j], 0)
    assert (G1.shape, H2.shape) == ((2, 1, 2), (2, 1, 2, 2))
    G1, H2 = mor.transfer_kernels(sys, [1j, 2j])
    assert (G1.shape, H2.shape) == ((2, 1, 2), (2, 2, 1, 2, 2))
    np.testing.assert_allclose(H2[0, 1, 0], H2[1, 0, 0].T)


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_they_are_the_transforms_of_the_impulse_kernels(dt):
    rng = np.random.default_rng(0)
    A = random_stable(rng, 3, dt)
    A = 0.5 * A if dt else A - np.eye(3)
    linear = mor.LTI(A, rng.standard_normal((3, 2)), rng.standard_normal((1, 3)), dt=dt)
    sys = mor.LQO(linear, rng.standard_normal((3, 3)))
    if dt:
        t = np.arange(80.0)
        h1, h2 = mor.impulse_kernels(sys, 80)
        weights, s1, s2 = np.ones(80), 1.1 * np.exp(0.4j), 1.2 * np.exp(-1j)
        e1, e2 = (s ** (-t) for s in (s1, s2))
    else:
        t = np.linspace(0, 20, 2001)
        h1, h2 = mor.impulse_kernels(sys, t)
        # Simpson's rule.
        weights = np.where(np.arange(2001) % 2, 4.0, 2.0)
        weights[[0, -1]] = 1.0
        weights *= (t[1] - t[0]) / 3
        s1, s2 = 0.2 + 0.5j, -0.1 + 0.3j
        e1, e2 = (np.exp(-s * t) for s in (s1, s2))
    G1, H2 = mor.transfer_kernels(sys, s1, s2)
    np.testing.assert_allclose(np.einsum("t,tij->ij", weights * e1, h1), G1, atol=1e-6)
    np.testing.assert_allclose(np.einsum("s,t,stijk->ijk", weights * e1, weights * e2, h2), H2, atol=1e-6)


def test_a_harmonic_input_has_the_output_they_say():
    """Of an unstable system too, from the state that belongs to that input."""
    A, B = np.array([[0.3, 1.0], [-1.0, 0.2]]), np.array([[1.0], [0.5]])
    sys = mor.LQO((A, B, np.array([[1.0, 2.0]])), np.array([[1.0, 0.3], [0.3, -2.0]]))
    assert not sys.is_stable
    a, b, s1, s2 = 0.7, -1.3, 0.4, -0.2
    t = np.linspace(0, 1, 2001)
    u = a * np.exp(s1 * t) + b * np.exp(s2 * t)
    x = [np.linalg.solve(s * np.eye(2) - A, B)[:, 0] for s in (s1, s2)]
    y = mor.simulate(sys, u, t, x0=a * x[0] + b * x[1], hold="first")[:, 0]
    G1, H2 = mor.transfer_kernels(sys, [s1, s2])
    G1, H2 = G1[:, 0, 0].real, H2[:, :, 0, 0, 0].real
    expected = G1[0] * a * np.exp(s1 * t) + G1[1] * b * np.exp(s2 * t)
    expected += a * a * H2[0, 0] * np.exp(2 * s1 * t) + b * b * H2[1, 1] * np.exp(2 * s2 * t)
    expected += 2 * a * b * H2[0, 1] * np.exp((s1 + s2) * t)
    # Lines between samples are the exponentials up to the square of the step.
    np.testing.assert_allclose(y, expected, rtol=1e-5)


def test_unstable_systems_have_values_and_no_norm():
    sys = mor.LQO(([[1.0]], [[1.0]], [[1.0]]), [[2.0]])
    G1, H2 = mor.transfer_kernels(sys, 2.0, 3.0)
    np.testing.assert_allclose(G1, [[1.0]])
    np.testing.assert_allclose(H2, [[[1.0]]])
    with pytest.raises(MorError, match="stable"):
        mor.h2_norm(sys)


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_complex_systems(dt):
    rng = np.random.default_rng(1)
    n, m, p = 4, 2, 2
    A = random_stable(rng, n, dt, is_complex=True)
    B, C = random_matrix(rng, True, n, m), random_matrix(rng, True, p, n)
    N = random_matrix(rng, True, p, n, n)
    N = (N + N.mT) / 2
    sys = mor.LQO(mor.LTI(A, B, C, dt=dt), N)
    assert not sys.is_real
    G1, H2 = mor.transfer_kernels(sys, POINTS)
    for i, s1 in enumerate(POINTS):
        for j, s2 in enumerate(POINTS):
            x, w = (np.linalg.solve(s * np.eye(n) - A, B) for s in (s1, s2))
            np.testing.assert_allclose(G1[i], C @ x, rtol=1e-10)
            np.testing.assert_allclose(H2[i, j], x.T @ N @ w, rtol=1e-9)
    if dt:
        u = random_matrix(rng, True, 6, m)
        x, outputs = np.zeros(n, complex), []
        for uk in u:
            outputs.append(C @ x + np.array([x @ M @ x for M in N]))
            x = A @ x + B @ uk
        np.testing.assert_allclose(mor.simulate(sys, u), outputs, rtol=1e-9, atol=1e-12)
        h2 = mor.impulse_kernels(sys, 3)[1]
        np.testing.assert_allclose(h2[1, 2], B.T @ N @ A @ B, rtol=1e-9)
    # A difference of two is one.
    G0, H0 = mor.transfer_kernels(sys - sys, POINTS)
    assert np.max(np.abs(G0)) <= 1e-12 * np.max(np.abs(G1))
    assert np.max(np.abs(H0)) <= 1e-12 * np.max(np.abs(H2))


def test_complex_products_are_their_matrices():
    rng = np.random.default_rng(2)
    A, B = random_stable(rng, 3, 0.0), rng.standard_normal((3, 1))
    left, right = (random_matrix(rng, True, 2, 2, 3) for _ in range(2))
    linear = mor.LTI(A, B, np.zeros((2, 3)))
    products = mor.LQO(linear, (left, right))
    forms = mor.LQO(linear, left.mT @ right)
    for a, b in zip(*(mor.transfer_kernels(s, POINTS) for s in (products, forms)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def test_linear_systems_have_no_second_kernel():
    sys = mor.LTI([[-1.0 + 2j]], [[1.0]], [[2.0]])
    G1, H2 = mor.transfer_kernels(sys, [1j, 3j])
    np.testing.assert_allclose(G1, sys.evaluate(np.array([1j, 3j])))
    assert H2.shape == (2, 2, 1, 1, 1)
    assert not np.any(H2)


def complex_quadratic():
    linear = mor.LTI([[-1.0 + 2j, 0], [0, -3.0]], [[1.0], [1.0]], [[1.0, 1.0]])
    return mor.LQO(linear, np.eye(2))


@pytest.mark.parametrize(
    "function",
    [
        mor.h2_norm,
        mor.gramians,
        mor.hankel_singular_values,
        lambda sys: mor.h2_inner(sys, sys),
        lambda sys: mor.h2_error(sys, sys),
        lambda sys: mor.balanced_truncation(sys, 1),
        lambda sys: mor.balanced_truncation(sys, 1, horizon=1.0),
        lambda sys: mor.modal_truncation(sys, 1),
        lambda sys: mor.tsia(sys, 1),
        lambda sys: mor.irka(sys, 1),
        lambda sys: mor.h2_optimal(sys, 1),
        lambda sys: mor.h2_optimal(sys, 1, horizon=1.0),
        lambda sys: mor.output_bound(sys, np.ones(3), step=0.1),
        lambda sys: mor.h2_norm(mor.LQO(([[-1.0]], [[1.0]], [[1.0]]), [[1j]])),
    ],
)
def test_what_complex_systems_do_not_have(function):
    with pytest.raises(QuadraticOutputError, match="those of real systems"):
        function(complex_quadratic())


def test_bad_points():
    sys = mor.LQO(([[-1.0]], [[1.0]], [[1.0]]), [[1.0]])
    with pytest.raises(NotFiniteError, match="pole"):
        mor.transfer_kernels(sys, -1.0)
    modal = mor.LQO(mor.Modal(np.array([-1.0]), np.ones((1, 1)), np.ones((1, 1))), [[1.0]])
    with pytest.raises(NotFiniteError, match="pole"):
        mor.transfer_kernels(modal, 0.0, -1.0)
    with pytest.raises(NotFiniteError, match="s1"):
        mor.transfer_kernels(sys, np.nan)
    with pytest.raises(DimensionError, match="s1 has shape"):
        mor.transfer_kernels(sys, np.ones((2, 2)))
    with pytest.raises(DimensionError, match="s2 is not an array of numbers"):
        mor.transfer_kernels(sys, 1.0, "a")
    batch = mor.Modal(np.full((2, 1), 0.5 + 0j), np.ones((2, 1, 1)) + 0j, np.ones((2, 1, 1)) + 0j, dt=1.0)
    with pytest.raises(DimensionError, match="batch"):
        mor.transfer_kernels(batch, 1j)
