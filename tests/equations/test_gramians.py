"""Gramians: closed forms and factors against dense equations, for every kind of system."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mor
from mor.equations import cauchy
from mor.equations.blocks import pairwise_solve
from mor.equations.cauchy_factor import factor
from mor.equations.definite import definite_factor
from mor.operators.diagonal import _doubled
from mor.testing import block_systems, lti_systems, modal_systems
from tests.oracles.dense import dense_gramian, real_form

# The Kronecker oracle itself loses about the condition of the equation, 1 / margin.
EQUATION = 1e-9


def close(actual, expected, rtol):
    scale = np.max(np.abs(expected), initial=0.0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * scale + 1e-300)


@given(modal_systems(margin=1e-2), st.sampled_from([None, 1, 5, 24]))
def test_modal_gramians_are_those_of_the_real_map(sys, horizon):
    A, B, C = real_form(sys)
    P, Q = mor.gramians(sys, horizon=horizon)
    close(P, dense_gramian(A, B, sys.dt, horizon), EQUATION)
    close(Q, dense_gramian(A.T, C.T, sys.dt, horizon), EQUATION)


@given(modal_systems(), st.sampled_from([None, 3, 40]))
def test_modal_factors_reproduce_the_gramians(sys, horizon):
    P, Q = mor.gramians(sys, horizon=horizon)
    Zc, Zo = sys.factors(horizon=horizon)
    # Both are backward stable: what differs is round-off of the entries, about n eps.
    close(Zc @ Zc.T, P, 1e-12)
    close(Zo @ Zo.T, Q, 1e-12)


@given(modal_systems(max_signals=4))
def test_pivot_by_pivot_factor_equals_the_closed_form(sys):
    Z = factor(sys.poles, sys.B, dt=sys.dt)
    close(Z @ Z.T, mor.gramians(sys)[0], 1e-12)


@given(modal_systems(max_signals=2, real_modes=False))
def test_doubling_factor_equals_the_closed_form(sys):
    Z = _doubled(sys.poles, sys.B, sys.dt, None)
    close(Z @ Z.T, mor.gramians(sys)[0], 1e-10)


@pytest.mark.parametrize("rank", [3, 12, 18, 20])
@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_many_inputs_of_any_rank(rank, dt):
    """Twenty inputs: definite, by doubling, or fewer independent ones pivot by pivot."""
    rng = np.random.default_rng(rank)
    k = 24
    gap = 10.0 ** -rng.uniform(0.2, 4, k)
    poles = (1 - gap) * np.exp(1j * rng.uniform(0, 3, k)) if dt else -gap + 1j * rng.uniform(0, 5, k)
    mix = rng.standard_normal((rank, 20)) + 1j * rng.standard_normal((rank, 20))
    B = 10.0 ** -rng.uniform(0, 6, (k, 1)) * (rng.standard_normal((k, rank)) @ np.real(mix))
    B = B + 1j * 10.0 ** -rng.uniform(0, 6, (k, 1)) * (rng.standard_normal((k, rank)) @ np.real(mix))
    sys = mor.Modal(poles, B, np.ones((1, k)) + 0j, dt=dt)
    expected, _ = mor.gramians(sys)
    Z = sys.controllability_factor()
    weak = np.sqrt(np.diag(expected))
    # Entry by entry: round-off relative to the energies of the two states.
    assert np.max(np.abs(Z @ Z.T - expected) / np.outer(weak, weak)) < 1e-8
    close(Z @ Z.T, expected, 1e-12)


@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0]))
def test_real_poles_as_real_arrays(seed, dt):
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, 7))
    poles = rng.uniform(-0.95, 0.95, k) if dt else -rng.uniform(0.05, 3, k)
    B, C = rng.standard_normal((k, 2)), rng.standard_normal((3, k))
    real, complex_ = mor.Modal(poles, B, C, dt=dt), mor.Modal(poles + 0j, B + 0j, C + 0j, dt=dt)
    assert real.order == complex_.order == k
    P, Q = mor.gramians(real)
    close(P, dense_gramian(np.diag(poles), B, dt), EQUATION)
    close(Q, dense_gramian(np.diag(poles), C.T, dt), EQUATION)
    expected = mor.hankel_singular_values(real)
    np.testing.assert_allclose(
        mor.hankel_singular_values(complex_)[:k], expected, atol=1e-13 * expected[0], rtol=0
    )


@given(block_systems(), st.sampled_from([None, 1, 6]))
def test_block_gramians_equal_dense_ones(sys, horizon):
    dense = sys.to_lti()
    P, Q = mor.gramians(sys, horizon=horizon)
    close(P, dense_gramian(dense.A, dense.B, sys.dt, horizon), EQUATION)
    close(Q, dense_gramian(dense.A.T, dense.C.T, sys.dt, horizon), EQUATION)
    Zc, Zo = sys.factors(horizon=horizon)
    close(Zc @ Zc.T, P, EQUATION)
    close(Zo @ Zo.T, Q, EQUATION)


@given(lti_systems(), st.sampled_from([None, 1, 6]))
def test_dense_gramians(sys, horizon):
    P, Q = mor.gramians(sys, horizon=horizon)
    close(P, dense_gramian(sys.A, sys.B, sys.dt, horizon), EQUATION)
    close(Q, dense_gramian(sys.A.T, sys.C.T, sys.dt, horizon), EQUATION)


@given(modal_systems(), st.integers(1, 3))
def test_finite_horizons_need_no_stability(sys, steps):
    growing = mor.Modal(sys.poles * 1.5 if sys.dt else -sys.poles, sys.B, sys.C, dt=sys.dt)
    A, B, _ = real_form(growing)
    P, _ = mor.gramians(growing, horizon=steps)
    close(P, dense_gramian(A, B, growing.dt, steps), EQUATION)
    Z = growing.controllability_factor(horizon=steps)
    close(Z @ Z.T, P, 1e-11)


def test_a_pole_on_the_boundary_has_a_finite_horizon_gramian():
    for dt, pole in ((1.0, 1.0), (0.0, 0.0)):
        sys = mor.Modal(np.array([pole]), np.array([[2.0]]), np.array([[1.0]]), dt=dt)
        P, _ = mor.gramians(sys, horizon=7)
        np.testing.assert_allclose(P, [[28.0]], rtol=1e-14)


@given(block_systems())
def test_pairwise_solutions_satisfy_their_equation_for_any_right_hand_side(sys):
    dense = sys.to_lti()
    rng = np.random.default_rng(len(dense.A))
    Q = rng.standard_normal(dense.A.shape)
    X = pairwise_solve(sys.blocks, Q, dt=sys.dt)
    A = dense.A
    residual = A @ X @ A.T - X + Q if sys.dt else A @ X + X @ A.T + Q
    scale = np.linalg.norm(X) * (1 + np.linalg.norm(A)) ** 2
    assert np.linalg.norm(residual) <= 1e-13 * scale


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_distance_to_the_unit_circle_is_right_to_the_last_digits(dtype):
    import mpmath

    mpmath.mp.dps = 50
    rng = np.random.default_rng(0)
    gap = 10.0 ** -rng.uniform(1, 6 if dtype is np.float32 else 14, 200)
    poles = ((1 - gap) * np.exp(1j * rng.uniform(0, np.pi, 200))).astype(np.result_type(dtype, np.complex64))
    got = cauchy.one_minus_abs2(poles)
    exact = [1 - mpmath.mpf(float(z.real)) ** 2 - mpmath.mpf(float(z.imag)) ** 2 for z in poles]
    worst = max(abs((mpmath.mpf(float(g)) - e) / e) for g, e in zip(got, exact, strict=True))
    assert got.dtype == dtype
    assert worst < 4 * np.finfo(dtype).eps


def test_factor_of_states_that_never_move():
    """Zero rows cost nothing: the factor of the others, with zero rows."""
    P = np.diag([4.0, 0.0, 9.0])
    P[0, 2] = P[2, 0] = 1.0
    L = definite_factor(P)
    assert L is not None
    np.testing.assert_allclose(L @ L.T, P, rtol=0, atol=1e-15)
    assert not L[1].any()
    assert not L[:, 1].any()
