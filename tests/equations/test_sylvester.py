"""Sylvester equations: residuals, known solutions, peers, singular and bad input."""

import itertools

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

import mor
from mor.equations.triangular import Pencil, solve_pair
from mor.errors import DimensionError, NotFiniteError, SingularEquationError, TimeStepError
from tests.oracles.dense import random_matrix

# Backward stable: Schur forms and products leave a few eps times a slow function of n.
RESIDUAL = 2e-14

FIELDS = list(itertools.product([False, True], repeat=3))


def residual(A, B, Q, X, dt):
    a, b = np.linalg.norm(A, 2), np.linalg.norm(B, 2)
    R = A @ X @ B - X + Q if dt else A @ X + X @ B + Q
    return np.linalg.norm(R) / (np.linalg.norm(X) * (a * b + 1 if dt else a + b) + 1e-300)


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("fields", FIELDS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 4), (5, 1), (2, 2), (33, 32), (70, 9), (40, 101)])
def test_residuals(shape, fields, dt):
    rng = np.random.default_rng(sum(shape))
    n, m = shape
    A, B, Q = (random_matrix(rng, c, *s) for c, s in zip(fields, [(n, n), (m, m), (n, m)], strict=True))
    X = mor.solve_sylvester(A, B, Q, dt=dt)
    assert X.shape == shape
    assert np.iscomplexobj(X) == any(fields)
    assert residual(A, B, Q, X, dt) < RESIDUAL


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 12), st.sampled_from([0.0, 0.5]))
def test_known_solutions(seed, n, m, dt):
    """Spectra kept apart, so that the equation is well conditioned and X itself is right."""
    rng = np.random.default_rng(seed)
    A = 0.2 * rng.standard_normal((n, n)) / np.sqrt(n) + (0 if dt else 1) * np.eye(n)
    B = 0.2 * rng.standard_normal((m, m)) / np.sqrt(m) + (0 if dt else 1) * np.eye(m)
    X = rng.standard_normal((n, m))
    Q = X - A @ X @ B if dt else -(A @ X + X @ B)
    np.testing.assert_allclose(mor.solve_sylvester(A, B, Q, dt=dt), X, atol=1e-12)


def test_agreement_with_scipy():
    rng = np.random.default_rng(0)
    A, B, Q = rng.standard_normal((50, 50)), rng.standard_normal((30, 30)), rng.standard_normal((50, 30))
    expected = scipy.linalg.solve_sylvester(A, B, -Q)
    # Both are backward stable; the equation's condition here is about 1e3.
    np.testing.assert_allclose(mor.solve_sylvester(A, B, Q), expected, atol=1e-10 * np.max(np.abs(expected)))


@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0]))
def test_the_adjoint_equation_has_the_adjoint_solution(seed, dt):
    rng = np.random.default_rng(seed)
    A, B, Q = (0.2 * random_matrix(rng, True, 4, 4) for _ in range(3))
    A, B = (A, B) if dt else (A + 2 * np.eye(4), B + 2 * np.eye(4))
    X = mor.solve_sylvester(A, B, Q, dt=dt)
    Y = mor.solve_sylvester(B.conj().T, A.conj().T, Q.conj().T, dt=dt)
    np.testing.assert_allclose(Y, X.conj().T, atol=1e-12)
    np.testing.assert_allclose(mor.solve_sylvester(A, B, 1e-150 * Q, dt=dt), 1e-150 * X, atol=1e-162)


@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_triangular_equations_of_two_pencils(dt, is_complex):
    """Both sides generalised, tiles of both sizes, and blocks at every edge."""
    rng = np.random.default_rng(3)
    kind = "complex" if is_complex else "real"
    for k, l in [(3, 70), (65, 40), (31, 33)]:  # noqa: E741
        T, S, *_ = scipy.linalg.qz(*(random_matrix(rng, is_complex, k, k) for _ in range(2)), output=kind)
        R, P, *_ = scipy.linalg.qz(*(random_matrix(rng, is_complex, l, l) for _ in range(2)), output=kind)
        Q = random_matrix(rng, is_complex, k, l)
        X = solve_pair(Pencil.of(T, S), Pencil.of(R, P), Q, dt)
        first, second = (R, P) if dt else (P, R)
        value = T @ X @ first.conj().T + (-1 if dt else 1) * S @ X @ second.conj().T + Q
        sizes = np.linalg.norm(T) * np.linalg.norm(first) + np.linalg.norm(S) * np.linalg.norm(second)
        assert np.linalg.norm(value) < 1e-14 * sizes * np.linalg.norm(X)


@pytest.mark.parametrize(("n", "m"), [(0, 0), (0, 3), (3, 0)])
def test_empty(n, m):
    for dt in (0.0, 1.0):
        X = mor.solve_sylvester(-np.eye(n), -2 * np.eye(m), np.zeros((n, m)), dt=dt)
        assert X.shape == (n, m)


def test_precision_and_inputs_are_kept():
    rng = np.random.default_rng(0)
    A, B, Q = (rng.standard_normal((4, 4)).astype(np.float32) for _ in range(3))
    copies = [x.copy() for x in (A, B, Q)]
    X = mor.solve_sylvester(A, B, Q)
    assert X.dtype == np.float32
    np.testing.assert_array_equal(X, mor.solve_sylvester(*(x.astype(float) for x in (A, B, Q))).astype("f4"))
    assert mor.solve_sylvester(A, B, Q.astype(float)).dtype == np.float64
    assert mor.solve_sylvester(A, B, Q.astype(np.complex64)).dtype == np.complex64
    assert mor.solve_sylvester([[1]], [[2]], [[6]]).tolist() == [[-2.0]]
    for x, copy in zip((A, B, Q), copies, strict=True):
        np.testing.assert_array_equal(x, copy)


def test_singular_equations_name_the_pair():
    with pytest.raises(SingularEquationError, match=r"eigenvalue 0, 2\+0j, and 1, -2"):
        mor.solve_sylvester([[2.0]], np.diag([5.0, -2.0]), [[1.0, 1.0]])
    with pytest.raises(SingularEquationError, match=r"conj\(mu_j\) = 1"):
        mor.solve_sylvester(np.diag([4.0, 0.1]), [[0.25]], [[1.0], [1.0]], dt=1.0)
    # Round-off apart is as good as singular; a thousand times that is not.
    with pytest.raises(SingularEquationError):
        mor.solve_sylvester([[1.0]], [[-1.0 + 2e-16]], [[1.0]])
    X = mor.solve_sylvester([[1.0]], [[-1.0 + 2.0**-40]], [[1.0]])
    np.testing.assert_allclose(X, [[-(2.0**40)]])


def test_bad_input():
    eye = np.eye(2)
    for A, B, Q in [
        (np.ones((2, 3)), eye, eye),
        (eye, np.ones((3, 2)), eye),
        (eye, eye, np.ones((2, 3))),
        (np.ones(2), eye, eye),
        (eye, eye, np.array([["a", "b"], ["c", "d"]])),
    ]:
        with pytest.raises(DimensionError):
            mor.solve_sylvester(A, B, Q)
    with pytest.raises(NotFiniteError, match="B has 1"):
        mor.solve_sylvester(eye, np.array([[1.0, np.nan], [0.0, 1.0]]), eye)
    with pytest.raises(TimeStepError):
        mor.solve_sylvester(eye, eye, eye, dt=-1.0)
