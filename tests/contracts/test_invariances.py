"""What a change of coordinates, time or signals may not change, for dense systems of all shapes.

The same for modal systems stands in test_hankel, of H-infinity norms in test_hinf.
"""

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

import mor
from tests.oracles.dense import random_stable, tustin

pytestmark = pytest.mark.slow

#: Round-off times the conditions of the draws: of the equations, below 1e4, and of the coordinates, below 10.
RTOL = 1e-9
SOME = settings(max_examples=20)
OMEGA = np.array([0.0, 0.4, 1.0, 2.5])


@st.composite
def systems(draw, *, discrete=None):
    """A stable LTI of order 1 to 12 and a generator for what is to change it."""
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    n, m, p = (draw(st.integers(1, most)) for most in (12, 4, 4))
    dt = float(draw(st.booleans()) if discrete is None else discrete)
    D = rng.standard_normal((p, m)) if dt else np.zeros((p, m))
    A = random_stable(rng, n, dt)
    return mor.LTI(A, rng.standard_normal((n, m)), rng.standard_normal((p, n)), D, dt=dt), rng


def coordinates(rng, n):
    """An invertible matrix of condition below 10."""
    return (
        rng.choice([0.1, 1.0, 1e3]) * orthogonal(rng, n) @ np.diag(rng.uniform(1, 5, n)) @ orthogonal(rng, n)
    )


def orthogonal(rng, n):
    return scipy.linalg.qr(rng.standard_normal((n, n)))[0]


def dual(sys):
    return mor.LTI(sys.A.T, sys.C.T, sys.B.T, sys.D.T, dt=sys.dt)


def assert_close(actual, expected, rtol=RTOL):
    """Relative to the largest entry."""
    scale = np.max(np.abs(expected), initial=0.0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * scale + 1e-300)


def assert_same_measures(a, b):
    """Hankel singular values and the norms."""
    assert_close(mor.hankel_singular_values(a), mor.hankel_singular_values(b))
    for norm in (mor.h2_norm, mor.hankel_norm, mor.hankel_nuclear_norm):
        assert_close(norm(a), norm(b))
    assert_close(mor.hinf_norm(a), mor.hinf_norm(b), 1e-7)


def assert_same_reduction(a, b, order, carried=lambda response: response, speed=1.0):
    """Transfer functions of the reduced systems, where a gap in the values determines them."""
    hsv = mor.hankel_singular_values(a)
    following = hsv[order] if order < len(hsv) else 0.0
    if hsv[order - 1] < 1e-7 * hsv[0] or following > 0.99 * hsv[order - 1]:
        return
    first, second = (mor.balanced_truncation(x, order=order) for x in (a, b))
    assert first.order == second.order == order
    assert_close(first.error_bound, second.error_bound)
    expected = carried(mor.freqresp(first.system, OMEGA))
    # Singular vectors are right to round-off times the largest value over the gap.
    rtol = 1e-11 * hsv[0] / (hsv[order - 1] - following) * (1 + hsv[0] / np.max(np.abs(expected)))
    assert_close(mor.freqresp(second.system, OMEGA * speed), expected, max(rtol, RTOL))


@given(systems(), st.data())
@SOME
def test_coordinates_of_the_state(drawn, data):
    sys, rng = drawn
    K = coordinates(rng, sys.order)
    inverse = np.linalg.inv(K)
    moved = mor.LTI(K @ sys.A @ inverse, K @ sys.B, sys.C @ inverse, sys.D, dt=sys.dt)
    assert_same_measures(moved, sys)
    P, Q = mor.gramians(sys)
    moved_P, moved_Q = mor.gramians(moved)
    assert_close(moved_P, K @ P @ K.T)
    assert_close(moved_Q, inverse.T @ Q @ inverse)
    assert_same_reduction(sys, moved, data.draw(st.integers(1, sys.order)))


@given(systems(), st.data())
@SOME
def test_equations_multiplied_from_the_left(drawn, data):
    """``K x' = K A x + K B u`` is the same system, with E = K."""
    sys, rng = drawn
    K = coordinates(rng, sys.order)
    described = mor.LTI(K @ sys.A, K @ sys.B, sys.C, sys.D, E=K, dt=sys.dt)
    assert_same_measures(described, sys)
    for X, expected in zip(mor.gramians(described), mor.gramians(sys), strict=True):
        assert_close(X, expected)
    assert_same_reduction(sys, described, data.draw(st.integers(1, sys.order)))


@given(systems(), st.data())
@SOME
def test_duality(drawn, data):
    sys, _ = drawn
    assert_same_measures(dual(sys), sys)
    for X, expected in zip(mor.gramians(dual(sys)), reversed(mor.gramians(sys)), strict=True):
        assert_close(X, expected)
    P, Q = mor.gramians(sys)
    # <C^T C, P> = <B B^T, Q>, the H2 norm from both sides.
    assert_close(np.trace(sys.C @ P @ sys.C.T), np.trace(sys.B.T @ Q @ sys.B))
    order = data.draw(st.integers(1, sys.order))
    assert_same_reduction(sys, dual(sys), order, lambda response: response.swapaxes(1, 2))


@given(systems())
@SOME
def test_orthogonal_signals_and_gains(drawn):
    sys, rng = drawn
    U, V = orthogonal(rng, sys.n_outputs), orthogonal(rng, sys.n_inputs)
    turned = mor.LTI(sys.A, sys.B @ V, U @ sys.C, U @ sys.D @ V, dt=sys.dt)
    assert_same_measures(turned, sys)
    gain = 10.0 ** rng.uniform(-8, 8)
    louder = mor.LTI(sys.A, gain**0.25 * sys.B, gain**0.75 * sys.C, gain * sys.D, dt=sys.dt)
    for measure in (mor.hankel_singular_values, mor.h2_norm, mor.hinf_norm):
        assert_close(measure(louder), gain * measure(sys), 1e-7)


@given(systems(discrete=False), st.floats(-6, 6), st.data())
@SOME
def test_the_unit_of_time_in_continuous_time(drawn, exponent, data):
    """``(c A, c^(1/2) B, c^(1/2) C)`` has the same Gramians and ``G(s/c)``."""
    sys, _ = drawn
    c = 10.0**exponent
    faster = mor.LTI(c * sys.A, c**0.5 * sys.B, c**0.5 * sys.C)
    for X, expected in zip(mor.gramians(faster), mor.gramians(sys), strict=True):
        assert_close(X, expected)
    assert_close(mor.hankel_singular_values(faster), mor.hankel_singular_values(sys))
    assert_close(mor.h2_norm(faster), c**0.5 * mor.h2_norm(sys))
    assert_close(mor.hinf_norm(faster), mor.hinf_norm(sys), 1e-7)
    assert_same_reduction(sys, faster, data.draw(st.integers(1, sys.order)), speed=c)


@given(systems(discrete=True))
@SOME
def test_the_step_of_discrete_time_is_a_name_only(drawn):
    sys, _ = drawn
    renamed = mor.LTI(sys.A, sys.B, sys.C, sys.D, dt=1e-3)
    np.testing.assert_array_equal(mor.hankel_singular_values(renamed), mor.hankel_singular_values(sys))
    assert mor.h2_norm(renamed) == mor.h2_norm(sys)
    assert_close(mor.hinf_norm(renamed), mor.hinf_norm(sys), 1e-7)


@given(systems(discrete=False))
@SOME
def test_the_bilinear_map(drawn):
    """Gramians, Hankel singular values and gains go over to discrete time; H2 norms do not."""
    sys, _ = drawn
    image = tustin(sys)
    for X, expected in zip(mor.gramians(image), mor.gramians(sys), strict=True):
        assert_close(X, expected)
    assert_close(mor.hankel_singular_values(image), mor.hankel_singular_values(sys))
    assert_close(mor.hinf_norm(image), mor.hinf_norm(sys), 1e-7)
    s = 1j * OMEGA
    assert_close(image.evaluate((1 + s) / (1 - s)), sys.evaluate(s))


@given(systems(), st.integers(1, 4))
@SOME
def test_states_that_nothing_reaches_or_that_nothing_sees(drawn, more):
    sys, rng = drawn
    n = sys.order
    hidden, mixed = random_stable(rng, more, sys.dt), rng.standard_normal((n, more))
    zero = np.zeros((more, n))
    # Unreachable states that act on the others, and the dual of that.
    A = np.block([[sys.A, mixed], [zero, hidden]])
    B, C = np.vstack([sys.B, np.zeros((more, sys.n_inputs))]), np.hstack([sys.C, np.ones((len(sys.C), more))])
    K = orthogonal(rng, n + more)
    for larger in (mor.LTI(A, B, C, sys.D, dt=sys.dt), dual(mor.LTI(A, B, C, sys.D, dt=sys.dt))):
        turned = mor.LTI(K @ larger.A @ K.T, K @ larger.B, larger.C @ K.T, larger.D, dt=sys.dt)
        hsv = mor.hankel_singular_values(turned)
        expected = mor.hankel_singular_values(sys)
        # Unreachable ones are zero to round-off times the size of what they would be if reached.
        seen = max(np.max(np.linalg.eigvalsh(X)) for X in mor.gramians(turned))
        np.testing.assert_allclose(hsv[:n], expected, rtol=0, atol=1e-11 * seen)
        assert np.all(hsv[n:] <= 1e-11 * seen)
        assert_close(mor.h2_norm(turned), mor.h2_norm(sys))


@given(systems(discrete=False), systems(discrete=False))
@SOME
def test_systems_side_by_side(first, second):
    """With signals of their own: the union of the values, the root of the sum of squares, the larger gain."""
    a, b = first[0], second[0]
    block = scipy.linalg.block_diag
    both = mor.LTI(block(a.A, b.A), block(a.B, b.B), block(a.C, b.C))
    values = np.concatenate([mor.hankel_singular_values(x) for x in (a, b)])
    assert_close(mor.hankel_singular_values(both), np.sort(values)[::-1])
    assert_close(mor.h2_norm(both), np.hypot(mor.h2_norm(a), mor.h2_norm(b)))
    assert_close(mor.hinf_norm(both), max(mor.hinf_norm(a), mor.hinf_norm(b)), 1e-7)
