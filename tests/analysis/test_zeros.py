"""Invariant zeros: known answers, what does not change them, peers, and what has none."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

import mor
from mor.errors import ArgumentTypeError, DimensionError, QuadraticOutputError, ReductionError
from mor.testing import block_systems, modal_systems, two_area_power_system
from tests.oracles.dense import random_matrix, real_form

KINDS = ("general", "no D", "D of rank one", "degenerate", "Markov parameters zero")


def distance(a, b):
    """Of two sets of zeros, each relative; infinite if they have unlike numbers."""
    a, b = np.asarray(a, complex), np.asarray(b, complex)
    if len(a) != len(b):
        return np.inf
    gaps = np.abs(a[:, None] - b)
    i, j = linear_sum_assignment(gaps)
    return np.max(gaps[i, j] / np.maximum(np.abs(a[i]), 1e-3), initial=0.0)


def random_system(seed, is_complex=False):
    rng = np.random.default_rng(seed)
    n, m, p = rng.integers(1, 9), rng.integers(1, 4), rng.integers(1, 4)
    A, B, C, D = (random_matrix(rng, is_complex, *shape) for shape in ((n, n), (n, m), (p, n), (p, m)))
    kind = KINDS[rng.integers(0, len(KINDS))]
    if kind == "no D":
        D = 0 * D
    elif kind == "D of rank one":
        D = np.outer(D[:, 0], D[0])
    elif kind == "degenerate":
        L = random_matrix(rng, is_complex, p, 1)
        C, D = L @ C[:1], L @ D[:1]
    elif kind == "Markov parameters zero":
        B, D = A @ A @ B, 0 * D
    return A, B, C, D


def pencil(system, z):
    n = system.order
    return np.block([[system.A - z * np.eye(n), system.B], [system.C, system.D]])


# Known answers.


def test_zeros_of_a_transfer_function():
    """(s - 1)(s + 2) / ((s + 1)(s + 3)(s + 5)) in controller form."""
    A = [[-9.0, -23.0, -15.0], [1, 0, 0], [0, 1, 0]]
    zeros = mor.zeros((A, [[1.0], [0], [0]], [[1.0, 1.0, -2.0]]))
    np.testing.assert_allclose(np.sort(zeros.real), [-2, 1], rtol=1e-12)
    np.testing.assert_allclose(zeros.imag, 0, atol=1e-12)


@pytest.mark.parametrize("n", [1, 5, 20])
def test_a_chain_of_integrators_has_none(n):
    """1/s^n: all zeros at infinity, in any coordinates."""
    A, B, C = np.eye(n, k=1), np.eye(n)[:, [-1]], np.eye(n)[[0]]
    Q = np.linalg.qr(np.random.default_rng(0).standard_normal((n, n)))[0]
    for sys in ((A, B, C), (Q @ A @ Q.T, Q @ B, C @ Q.T)):
        assert len(mor.zeros(sys)) == 0
        assert mor.normal_rank(sys) == 1


def test_the_inverse_has_its_poles_at_the_zeros():
    A, B, C, _ = random_system(3)
    rng = np.random.default_rng(0)
    m = B.shape[1]
    C, D = rng.standard_normal((m, len(A))), rng.standard_normal((m, m))
    expected = np.linalg.eigvals(A - B @ np.linalg.solve(D, C))
    assert distance(mor.zeros((A, B, C, D)), expected) <= 1e-8


def test_known_zeros_of_a_non_square_system():
    """Both outputs have the factor s - 2, so that the system has a zero there; no other is common."""
    A = np.diag([-1.0, -3.0, -4.0])
    residues = [[(p - 2) * (p - z) for p in np.diag(A)] for z in (5.0, -7.0)]
    gaps = [np.prod([p - q for q in np.diag(A) if q != p]) for p in np.diag(A)]
    C = np.array(residues) / gaps
    sys = (A, np.ones((3, 1)), C)
    np.testing.assert_allclose(mor.zeros(sys), [2.0], rtol=1e-10)
    np.testing.assert_allclose(mor.zeros((A.T, C.T, np.ones((1, 3)))), [2.0], rtol=1e-10)
    assert distance(mor.zeros((A, np.ones((3, 1)), C[:1])), [2.0, 5.0]) <= 1e-10


def test_what_no_input_reaches_or_no_output_shows_is_a_zero():
    A = np.diag([-1.0, -2.0, -3.0])
    B, C = np.array([[1.0], [0], [1]]), np.array([[1.0, 1, 0]])
    # Only -1 takes part in 1/(s + 1): no other zeros.
    assert distance(mor.zeros((A, B, C)), [-2.0, -3.0]) <= 1e-12
    assert len(mor.zeros(mor.minimal_realization((A, B, C)))) == 0


def test_no_inputs_or_outputs_leave_the_decoupling_zeros():
    A, B = np.diag([-1.0, -2.0]), np.array([[1.0], [0]])
    np.testing.assert_allclose(mor.zeros((A, B, np.zeros((0, 2)))), [-2.0], rtol=1e-12)
    np.testing.assert_allclose(mor.zeros((A, np.zeros((2, 0)), B.T)), [-2.0], rtol=1e-12)
    assert mor.normal_rank((A, B, np.zeros((0, 2)))) == 0
    nothing = (A, np.zeros((2, 1)), np.zeros((1, 2)))
    assert distance(mor.zeros(nothing), [-1.0, -2.0]) <= 1e-12
    assert mor.normal_rank(nothing) == 0


def test_a_static_system_has_none():
    D = np.outer([1.0, 2, 3], [1.0, 1])
    static = mor.LTI(np.zeros((0, 0)), np.zeros((0, 2)), np.zeros((3, 0)), D)
    assert len(mor.zeros(static)) == 0
    assert mor.normal_rank(static) == 1


def test_far_apart_zeros():
    """The sum of four lags with rates from 1e-6 to 1e6; zeros by mpmath with 60 digits."""
    sys = (np.diag([-1e-6, -1e-2, -1e2, -1e6]), np.ones((4, 1)), np.ones((1, 4)))
    expected = [-750008.334907474278644823676702270, -66.6675929007151033796, -0.00500037500625179681890]
    # Round-off of the largest pole is 4e-8 of the smallest zero.
    assert distance(mor.zeros(sys), expected) <= 4e-8


def test_large_zeros_are_not_taken_for_infinite():
    """1/(s + 1) + d has its zero at -1 - 1/d."""
    for d in (1e-3, 1e-6, 1e-10):
        np.testing.assert_allclose(mor.zeros(([[-1.0]], [[1.0]], [[1.0]], [[d]])), [-1 - 1 / d], rtol=1e-9)


@pytest.mark.parametrize("size", [1e-150, 1e150])
def test_extreme_units(size):
    A, B, C, D = random_system(0)
    A, B, C, D = A[:2, :2], B[:2, :1], C[:1, :2], np.array([[0.5]])
    expected = mor.zeros((A, B, C, D))
    assert len(expected) == 2
    assert distance(mor.zeros((A, size * B, size * C, size**2 * D)), expected) <= 1e-12
    assert distance(mor.zeros((size * A, size * B, C, D)) / size, expected) <= 1e-12


# What does not change them.


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=80)
def test_the_pencil_loses_rank_at_a_zero(seed, is_complex):
    A, B, C, D = random_system(seed, is_complex)
    sys = mor.LTI(A, B, C, D)
    rank = mor.normal_rank(sys)
    elsewhere = np.linalg.svd(sys.evaluate(0.3 + 0.7j), compute_uv=False)
    assert rank == np.sum(elsewhere > 1e-9 * np.linalg.norm(sys.evaluate(0.3 + 0.7j)) + 1e-12)
    for z in mor.zeros(sys):
        values = np.linalg.svd(pencil(sys, z), compute_uv=False)
        # Multiple zeros are known to a root of round-off, so values are the better test.
        assert len(values) < sys.order + rank or values[sys.order + rank - 1] <= 1e-6 * values[0]


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_units_of_states_signals_and_time(seed):
    A, B, C, D = random_system(seed)
    rng = np.random.default_rng(seed)
    T, S, R = (10.0 ** rng.uniform(-3, 3, k) for k in (len(A), B.shape[1], len(C)))
    rate = 10.0 ** rng.uniform(-6, 6)
    other = (rate * A * T / T[:, None], rate * B * S / T[:, None], R[:, None] * C * T, R[:, None] * D * S)
    assert distance(mor.zeros((A, B, C, D)), mor.zeros(other) / rate) <= 1e-6
    assert mor.normal_rank((A, B, C, D)) == mor.normal_rank(other)


@pytest.mark.slow
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60)
def test_coordinates_feedback_and_duality(seed):
    A, B, C, D = random_system(seed)
    rng = np.random.default_rng(seed)
    n, m, p = len(A), B.shape[1], len(C)
    zeros = mor.zeros((A, B, C, D))
    T = np.eye(n) + 0.4 * rng.standard_normal((n, n)) / np.sqrt(n)
    Ti = np.linalg.inv(T)
    assert distance(zeros, mor.zeros((T @ A @ Ti, T @ B, C @ Ti, D))) <= 1e-5
    # Neither state feedback nor output injection moves a zero.
    F, K = rng.standard_normal((m, n)), rng.standard_normal((n, p))
    assert distance(zeros, mor.zeros((A + B @ F, B, C + D @ F, D))) <= 1e-5
    assert distance(zeros, mor.zeros((A + K @ C, B + K @ D, C, D))) <= 1e-5
    assert distance(zeros, mor.zeros((A.T, C.T, B.T, D.T))) <= 1e-5
    E = T
    assert distance(zeros, mor.zeros((E @ A, E @ B, C, D, E))) <= 1e-5


@given(modal_systems(max_modes=3, degenerate=False))
def test_modal_systems(sys):
    A, B, C = real_form(sys)
    assert distance(mor.zeros(sys), mor.zeros(sys.to_lti())) <= 1e-6
    if sys.order == len(A):
        assert distance(mor.zeros(sys), mor.zeros((A, B, C, sys.D))) <= 1e-6


@given(block_systems(max_blocks=2))
def test_block_diagonal_systems(sys):
    assert distance(mor.zeros(sys), mor.zeros(sys.to_lti())) <= 1e-6


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=80)
def test_python_control_with_slycot_finds_the_same(seed):
    control = pytest.importorskip("control")
    pytest.importorskip("slycot")
    A, B, C, D = random_system(seed)
    try:
        expected = control.zeros(control.ss(A, B, C, D))
    except Exception:
        # Slycot's wrapper asks for too little workspace in some shapes.
        return
    assert distance(mor.zeros((A, B, C, D)), expected) <= 1e-6


def test_a_zero_blocks_its_exponential():
    """An input in the direction of a zero, from the right state, has no output."""
    sys = mor.LTI([[-1.0, 2.0], [0.0, -3.0]], [[1.0], [1.0]], [[1.0, -0.5]])
    (z,) = mor.zeros(sys).real
    null = np.linalg.svd(pencil(sys, z))[2][-1]
    t = np.linspace(0, 1, 201)
    u = null[2] * np.exp(z * t)
    y = mor.simulate(sys, u, t, x0=null[:2], hold="first")
    # The held input is the exponential up to the square of the step.
    assert np.max(np.abs(y)) <= 1e-4 * np.max(np.abs(u))


# Bad input.


def test_bad_input():
    batch = mor.Modal(np.full((2, 1), 0.5 + 0j), np.ones((2, 1, 1)) + 0j, np.ones((2, 1, 1)) + 0j, dt=1.0)
    sys = two_area_power_system()
    for function in (mor.zeros, mor.normal_rank):
        with pytest.raises(DimensionError, match="batch of shape"):
            function(batch)
        with pytest.raises(QuadraticOutputError, match=r"\.linear"):
            function(mor.LQO(sys, np.zeros((3, 7, 7))))
        for tol in (0, -1, 1, np.nan, "a"):
            with pytest.raises((ReductionError, ArgumentTypeError), match="tol="):
                function(sys, tol=tol)
    with pytest.raises(ReductionError, match="E is singular"):
        mor.zeros((np.eye(2), np.ones((2, 1)), np.ones((1, 2)), [[0.0]], np.diag([1.0, 0])))
