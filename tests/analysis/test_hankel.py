"""Hankel singular values: known answers, peers, invariances, degenerate shapes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mor
from mor.testing import (
    block_systems,
    lti_systems,
    modal_systems,
)
from tests.oracles.dense import dense_gramian, hsv_by_factors, real_form


def assert_hsv(actual, expected, atol):
    """Compare after filling up with zeros, relative to the largest."""
    n = max(len(actual), len(expected))
    actual, expected = (np.pad(np.asarray(x, float), (0, n - len(x))) for x in (actual, expected))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol * expected[0] + 1e-300)


def slycot_hsv(sys):
    slycot = pytest.importorskip("slycot")
    A, B, C = (sys.A, sys.B, sys.C) if isinstance(sys, mor.LTI) else real_form(sys)
    n, m, p = len(A), B.shape[1], C.shape[0]
    kind = "D" if sys.dt else "C"
    return slycot.ab09ad(kind, "B", "N", n, m, p, A.copy(), B.copy(), C.copy(), nr=n)[4]


@pytest.mark.slow
@given(modal_systems(max_signals=4, margin=1e-2, real_modes=False, degenerate=False))
def test_modal_values_agree_with_slycot(sys):
    # SLICOT's Schur form perturbs A by round-off, which moves values by about its condition.
    assert_hsv(mor.hankel_singular_values(sys), slycot_hsv(sys), 1e-10)


@pytest.mark.slow
@given(modal_systems(max_signals=4, margin=1e-2))
def test_values_of_systems_that_are_not_minimal(sys):
    """Against formed Gramians, right to the square root of round-off.

    Not against SLICOT: AB09AD is off by 2e-5 on discrete systems with an unobservable mode.
    """
    A, B, C = real_form(sys)
    P, Q = dense_gramian(A, B, sys.dt), dense_gramian(A.T, C.T, sys.dt)
    assert_hsv(mor.hankel_singular_values(sys), hsv_by_factors(P, Q), 1e-6)


def test_an_unobservable_mode_changes_nothing():
    poles = np.array([0.9455 + 0.0491j, -0.5924 + 0.3938j, -0.1655 + 0.0465j])
    B = np.array([[1.3 - 1.3j], [0.9 - 0.6j], [-0.7 + 0.04j]])
    C = np.array([[-2.3 + 1.4j, -0.2 - 0.7j, 0], [0.4 - 0.9j, 1.0 - 0.5j, 0]])
    full = mor.hankel_singular_values(mor.Modal(poles, B, C, dt=1.0))
    minimal = mor.hankel_singular_values(mor.Modal(poles[:2], B[:2], C[:, :2], dt=1.0))
    np.testing.assert_allclose(full[:4], minimal, rtol=1e-14)
    assert np.all(full[4:] <= 1e-15 * full[0])


@pytest.mark.slow
@given(lti_systems())
def test_dense_values_agree_with_slycot(sys):
    assert_hsv(mor.hankel_singular_values(sys), slycot_hsv(sys), 1e-9)


@given(block_systems())
def test_block_values_agree_with_dense_ones(sys):
    assert_hsv(mor.hankel_singular_values(sys), mor.hankel_singular_values(sys.to_lti()), 1e-9)


@given(modal_systems(max_modes=5), st.sampled_from([2, 9]))
def test_time_limited_values(sys, horizon):
    P, Q = mor.gramians(sys, horizon=horizon)
    assert_hsv(mor.hankel_singular_values(sys, horizon=horizon), hsv_by_factors(P, Q), 1e-6)


@given(modal_systems())
def test_duality_scaling_and_phase(sys):
    hsv = mor.hankel_singular_values(sys)
    assert_hsv(mor.hankel_singular_values(sys.dual()), hsv, 1e-12)
    doubled = mor.Modal(sys.poles, 4 * sys.B, sys.C / 2, dt=sys.dt)
    assert_hsv(mor.hankel_singular_values(doubled), 2 * hsv, 1e-12)
    mirrored = mor.Modal(sys.poles.conj(), sys.B.conj(), sys.C.conj(), dt=sys.dt)
    assert_hsv(mor.hankel_singular_values(mirrored), hsv, 1e-12)
    turn = np.exp(1j * np.arange(len(sys.poles)))
    turned = mor.Modal(sys.poles, turn[:, None] * sys.B, sys.C / turn, dt=sys.dt)
    assert_hsv(mor.hankel_singular_values(turned), hsv, 1e-11)


@given(modal_systems(discrete=False), st.floats(0.1, 10))
def test_time_scaling(sys, speed):
    faster = mor.Modal(sys.poles * speed, sys.B * speed, sys.C, dt=0.0)
    assert_hsv(mor.hankel_singular_values(faster), mor.hankel_singular_values(sys), 1e-11)


@given(modal_systems(discrete=False))
def test_tustin_carries_the_values_to_discrete_time(sys):
    a = sys.poles
    scale = np.sqrt(2) / (1 - a)
    discrete = mor.Modal((1 + a) / (1 - a), scale[:, None] * sys.B, sys.C * scale, dt=1.0)
    assert_hsv(mor.hankel_singular_values(discrete), mor.hankel_singular_values(sys), 1e-11)


def test_a_batch_is_many_systems():
    rng = np.random.default_rng(3)
    poles = 0.95 * np.exp(1j * rng.uniform(0, 3, (7, 2, 5)))
    B = rng.standard_normal((7, 2, 5, 1)) + 1j * rng.standard_normal((7, 2, 5, 1))
    C = rng.standard_normal((7, 2, 1, 5)) + 1j * rng.standard_normal((7, 2, 1, 5))
    batch = mor.Modal(poles, B, C, dt=1.0)
    values = mor.hankel_singular_values(batch)
    assert values.shape == (7, 2, 10)
    for i in np.ndindex(7, 2):
        one = mor.hankel_singular_values(mor.Modal(poles[i], B[i], C[i], dt=1.0))
        np.testing.assert_allclose(values[i], one, rtol=0, atol=1e-13 * one[0])


def test_tiny_values_of_a_single_input_system_are_noise_free():
    """Values far below sqrt(eps) survive: no Gramian is formed where it would be singular."""
    poles = np.linspace(0.1, 0.9, 12)
    sys = mor.Modal(poles, np.ones((12, 1)), np.ones((1, 12)), dt=1.0)
    import mpmath

    mpmath.mp.dps = 60
    P = mpmath.matrix(12, 12)
    for i in range(12):
        for j in range(12):
            P[i, j] = 1 / (1 - mpmath.mpf(float(poles[i])) * mpmath.mpf(float(poles[j])))
    # B = C^T: P = Q, so the values are the eigenvalues of P.
    exact = sorted((float(x) for x in mpmath.eigsy(P, eigvals_only=True)), reverse=True)
    got = mor.hankel_singular_values(sys)
    assert exact[-1] / exact[0] < 1e-14
    np.testing.assert_allclose(got, exact, rtol=0, atol=4e-16 * exact[0] * 12)


def test_order_zero_and_one():
    empty = mor.Modal(np.zeros(0, complex), np.zeros((0, 2), complex), np.zeros((3, 0), complex), dt=1.0)
    assert mor.hankel_singular_values(empty).shape == (0,)
    assert float(mor.hankel_nuclear_norm(empty)) == 0.0
    assert float(mor.h2_norm(empty)) == 0.0
    one = mor.Modal(np.array([0.5]), np.array([[2.0]]), np.array([[3.0]]), dt=1.0)
    np.testing.assert_allclose(mor.hankel_singular_values(one), [6 / 0.75], rtol=1e-15)


def test_zero_inputs_and_outputs_give_zero_values():
    sys = mor.Modal(np.array([0.5, 0.3j]), np.zeros((2, 1), complex), np.ones((1, 2), complex), dt=1.0)
    np.testing.assert_array_equal(mor.hankel_singular_values(sys), np.zeros(4))
    assert float(mor.hankel_nuclear_norm(sys)) == 0.0


def test_float32_comes_back_as_float32_and_right():
    rng = np.random.default_rng(5)
    poles = (0.99 * np.exp(1j * rng.uniform(0, 3, 20))).astype(np.complex64)
    B = (rng.standard_normal((20, 2)) + 0j).astype(np.complex64)
    C = (rng.standard_normal((2, 20)) + 0j).astype(np.complex64)
    single = mor.hankel_singular_values(mor.Modal(poles, B, C, dt=1.0))
    double = mor.hankel_singular_values(mor.Modal(*(x.astype(complex) for x in (poles, B, C)), dt=1.0))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, double, rtol=2e-7, atol=0)
