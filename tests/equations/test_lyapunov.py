"""Lyapunov and Stein equations: residuals, problems with known solutions, peers, bad input."""

import itertools

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

import mor
from mor.equations.schur import SchurForm
from mor.errors import DimensionError, NotFiniteError, SingularEquationError, TimeStepError
from tests.oracles.dense import lyapunov_residual, random_matrix, random_pencil

# Backward stable: Schur forms and products leave a few eps times a slow function of n.
RESIDUAL = 2e-14

CASES = list(itertools.product([0.0, 1.0], [False, True], ["none", "well", "complex", "ill"], [False, True]))


@pytest.mark.slow
@pytest.mark.parametrize(("dt", "complex_A", "E", "complex_Q"), CASES)
def test_residuals_and_symmetry(dt, complex_A, E, complex_Q):
    for n in (1, 2, 3, 33, 80):
        rng = np.random.default_rng(n)
        A, Q, E_ = (
            random_matrix(rng, complex_A, n, n),
            random_matrix(rng, complex_Q, n, n),
            random_pencil(rng, n, E),
        )
        X = mor.solve_lyapunov(A, Q, E_, dt=dt)
        assert np.iscomplexobj(X) == (complex_A or complex_Q or E == "complex")
        assert lyapunov_residual(A, X, Q, E_, dt) < RESIDUAL
        Q = Q + Q.conj().T
        X = mor.solve_lyapunov(A, Q, E_, dt=dt)
        assert lyapunov_residual(A, X, Q, E_, dt) < RESIDUAL
        np.testing.assert_array_equal(X, X.conj().T)


@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0]), st.booleans())
def test_linear_and_covariant(seed, dt, is_complex):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 7))
    A = 0.5 * random_matrix(rng, is_complex, n, n) / n - (0 if dt else 1) * np.eye(n)
    Q, K = random_matrix(rng, is_complex, n, n), np.eye(n) + 0.3 * random_matrix(rng, is_complex, n, n) / n
    X = mor.solve_lyapunov(A, Q, dt=dt)
    np.testing.assert_allclose(mor.solve_lyapunov(A, 3 * Q, dt=dt), 3 * X, atol=1e-12)
    # x -> K x
    inverse = np.linalg.inv(K)
    moved = mor.solve_lyapunov(K @ A @ inverse, K @ Q @ K.conj().T, dt=dt)
    np.testing.assert_allclose(moved, K @ X @ K.conj().T, atol=1e-11)
    # E = K^{-1} divides out
    by_E = mor.solve_lyapunov(inverse @ A, inverse @ Q @ inverse.conj().T, inverse, dt=dt)
    np.testing.assert_allclose(by_E, X, atol=1e-11)


def test_an_unstable_A_is_no_problem():
    X = mor.solve_lyapunov([[3.0]], [[6.0]])
    np.testing.assert_allclose(X, [[-1.0]])


def test_E_is_divided_out_only_where_that_is_accurate():
    rng = np.random.default_rng(0)
    A = rng.standard_normal((20, 20))
    assert SchurForm.of(A, random_pencil(rng, 20, "well")).divisor is not None
    assert SchurForm.of(A, random_pencil(rng, 20, "ill")).divisor is None
    # E is as badly conditioned, but A = E: nothing is lost by the division.
    E = random_pencil(rng, 20, "ill")
    assert SchurForm.of(E, E).divisor is not None


def test_a_singular_E_is_no_obstacle_in_discrete_time():
    A, E, Q = np.diag([2.0, 3.0]), np.diag([1.0, 0.0]), np.array([[1.0, 2.0], [2.0, 5.0]])
    X = mor.solve_lyapunov(A, Q, E, dt=1.0)
    assert lyapunov_residual(A, X, Q, E, 1.0) < RESIDUAL
    with pytest.raises(SingularEquationError):
        mor.solve_lyapunov(A, Q, E)


@pytest.mark.parametrize("n", [2, 40])
def test_singular_equations_name_the_pair(n):
    rng = np.random.default_rng(n)
    U = scipy.linalg.qr(rng.standard_normal((n, n)))[0]
    poles = -rng.uniform(1, 2, n)
    poles[0] = -poles[1]
    with pytest.raises(SingularEquationError, match="no unique solution"):
        mor.solve_lyapunov(U @ np.diag(poles) @ U.T, np.eye(n))
    poles = rng.uniform(0.1, 0.5, n)
    poles[0] = 1 / poles[1]
    with pytest.raises(SingularEquationError, match="= 1 to round-off"):
        mor.solve_lyapunov(U @ np.diag(poles) @ U.T, np.eye(n), dt=1.0)
    # An undamped oscillator: i and -i.
    with pytest.raises(SingularEquationError, match="1j"):
        mor.solve_lyapunov([[0.0, 1.0], [-1.0, 0.0]], np.eye(2))


def test_nearly_singular_is_solved_and_right():
    gap = 1e-9
    X = mor.solve_lyapunov(np.diag([-1.0, 1.0 - gap]), np.ones((2, 2)))
    np.testing.assert_allclose(X[0, 1], 1 / gap, rtol=1e-6)


def test_empty_and_precision():
    for dt in (0.0, 1.0):
        assert mor.solve_lyapunov(np.zeros((0, 0)), np.zeros((0, 0)), dt=dt).shape == (0, 0)
    A, Q = -np.eye(3, dtype=np.float32), np.ones((3, 3), np.float32)
    assert mor.solve_lyapunov(A, Q).dtype == np.float32
    assert mor.solve_lyapunov(A, Q.astype(np.complex64)).dtype == np.complex64
    assert mor.solve_lyapunov(A, Q.astype(float)).dtype == np.float64
    assert mor.solve_lyapunov([[-1]], [[2]]).tolist() == [[1.0]]
    # Extended precision has no solver: what comes back does not claim its digits.
    assert mor.solve_lyapunov(A.astype(np.longdouble), Q).dtype == np.float64
    assert mor.solve_lyapunov(A, Q.astype(np.clongdouble)).dtype == np.complex128


def test_numbers_below_the_range_of_the_solver():
    """LAPACK's trsyl would solve another equation there, and say nothing."""
    with pytest.raises(SingularEquationError):
        mor.solve_lyapunov([[-1e-300, 0.0], [1e-301, -2e-300]], np.eye(2))
    with pytest.raises(SingularEquationError, match="unit of time"):
        mor.lyapunov_factor([[-1e-300, 0.0], [1e-301, -2e-300]], np.eye(2))


def test_inputs_are_not_mutated():
    rng = np.random.default_rng(0)
    data = [rng.standard_normal((40, 40)) for _ in range(3)]
    copies = [x.copy() for x in data]
    mor.solve_lyapunov(*data)
    mor.lyapunov_factor(data[0] - 20 * np.eye(40), data[1], np.eye(40))
    for x, copy in zip(data, copies, strict=True):
        np.testing.assert_array_equal(x, copy)


def test_bad_input():
    eye = np.eye(2)
    for args in [
        (np.ones((2, 3)), eye),
        (eye, np.ones((3, 3))),
        (eye, eye, np.ones((3, 3))),
        (np.ones(2), eye),
        (None, eye),
        (eye, None),
        ([[1, 2], [3]], eye),
    ]:
        with pytest.raises(DimensionError):
            mor.solve_lyapunov(*args)
    for bad in (np.nan, np.inf):
        with pytest.raises(NotFiniteError, match="Q has 1 entries"):
            mor.solve_lyapunov(eye, np.array([[bad, 0.0], [0.0, 1.0]]))
    with pytest.raises(TimeStepError):
        mor.solve_lyapunov(eye, eye, dt=np.nan)


def test_a_singular_E_is_named():
    with pytest.raises(SingularEquationError, match="E is singular"):
        mor.solve_lyapunov(-np.eye(3), np.eye(3), np.diag([1.0, 1.0, 0.0]))
