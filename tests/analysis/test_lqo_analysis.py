"""Gramians, norms, kernels and output bounds of systems with quadratic outputs."""

import numpy as np
import pytest
import scipy.integrate
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

import mor
from mor.errors import DimensionError, NotFiniteError, TimeStepError, UnstableSystemError
from mor.systems.quadratic import Dense
from mor.testing import lqo_systems, modal_systems
from tests.oracles.dense import hsv_by_factors, random_matrix
from tests.oracles.lqo import close, random_lqo, written


def rng_of(seed=0):
    return np.random.default_rng(seed)


#: Two states, one input: known squared norms 19 (C = 0) and 307 (C = B^T).
TWO = np.array([[-2.0, 1.0], [-1.0, -1.0]]), np.array([[6.0], [0.0]])


def two(C, order=2):
    A, B = TWO
    linear = mor.LTI(A[:order, :order], B[:order], np.asarray(C, dtype=float)[:, :order])
    return mor.LQO(linear, np.eye(order) / 2)


def test_known_values():
    B = TWO[1]
    full, rom = two(B.T), two(B.T, order=1)
    for value, known in (
        (mor.h2_norm(two([[0, 0]])) ** 2, 19),
        (mor.h2_norm(full) ** 2, 307),
        (mor.h2_norm(rom) ** 2, 344.25),
        (mor.h2_inner(full, rom), 318.2485207100592),
        (mor.h2_inner(rom, full), 318.2485207100592),
        (mor.h2_error(full, rom) ** 2, 14.75295857988162),
    ):
        assert abs(value / known - 1) < 1e-10


@pytest.mark.slow
@given(lqo_systems(), st.sampled_from([None, 1, 4]))
def test_gramians_and_norm_in_matrices(sys, horizon):
    plain = written(sys)
    P, Q = mor.gramians(sys, horizon=horizon)
    # The oracle solves Kronecker systems, ill conditioned for poles at 1e-2 of the boundary.
    close(P, plain.gramian(horizon), 1e-8)
    close(Q, plain.observability(horizon), 1e-8)
    square = plain.squared_norm(horizon)
    assert abs(mor.h2_norm(sys, horizon=horizon) ** 2 - square) <= 1e-8 * square
    assert abs(mor.h2_inner(sys, sys, horizon=horizon) - square) <= 1e-8 * square


@pytest.mark.slow
@given(lqo_systems(), st.sampled_from([None, 3]))
@settings(max_examples=40)
def test_hankel_singular_values_and_the_trace_of_the_dual(sys, horizon):
    plain = written(sys)
    hsv = mor.hankel_singular_values(sys, horizon=horizon)
    P, Q = mor.gramians(sys, horizon=horizon)
    # Formed Gramians leave the square root of round-off.
    np.testing.assert_allclose(hsv, hsv_by_factors(P, Q), atol=1e-6 * hsv[0])
    Zc, Zo = sys.factors(horizon=horizon)
    close(Zc @ Zc.T, P)
    close(Zo @ Zo.T, Q)
    if not (np.any(plain.Dy) or np.any(plain.D)):
        square = mor.h2_norm(sys, horizon=horizon) ** 2
        assert abs(np.trace(plain.B.T @ Q @ plain.B) - square) <= 1e-9 * square


def kernel_sums(sys, steps):
    """Squares of both kernels over lags 0..steps, and the kernels."""
    plain = written(sys)
    h, g = plain.responses(steps + 1)
    pairs = np.einsum("sam,iab,tbn->stimn", g, plain.N, g)
    return np.sum(h**2) + np.sum(pairs**2), h, pairs


@pytest.mark.slow
@given(lqo_systems(discrete=True))
@settings(max_examples=30)
def test_norms_and_kernels_by_sums(sys):
    square, h, pairs = kernel_sums(sys, 6)
    assert abs(mor.h2_norm(sys, horizon=6) ** 2 - square) <= 1e-10 * square
    h1, h2 = mor.impulse_kernels(sys, 7)
    close(h1, h)
    close(h2, pairs)
    close(h2, h2.transpose(1, 0, 2, 4, 3))


def test_the_infinite_norm_by_long_sums():
    for forms in ("dense", "products"):
        sys = random_lqo(rng_of(1), n=4, forms=forms)
        steps = int(np.ceil(np.log(1e-17) / np.log(np.max(np.abs(sys.poles)))))
        square = kernel_sums(sys, min(steps, 900))[0]
        assert abs(mor.h2_norm(sys) ** 2 / square - 1) < 1e-8


@pytest.mark.slow
@pytest.mark.parametrize("forms", ["dense", "products"])
def test_norms_by_quadrature(forms):
    sys = random_lqo(rng_of(2), n=4, dt=0.0, forms=forms)
    plain = written(sys)
    slow = -np.max(np.real(sys.poles))
    for horizon, end in ((1.3, 1.3), (None, 40 / slow)):
        nodes, weights = np.polynomial.legendre.leggauss(300)
        # Nodes crowd at zero, where the kernels are.
        t, w = end * ((nodes + 1) / 2) ** 2, weights * end * (nodes + 1) / 2
        responses = np.array([scipy.linalg.expm(plain.A * s) @ plain.B for s in t])
        linear = np.einsum("t,tim->", w, (plain.C @ responses) ** 2)
        pairs = np.einsum("sam,iab,tbn->stimn", responses, plain.N, responses)
        square = linear + np.einsum("s,t,stimn->", w, w, pairs**2, optimize=True)
        assert abs(mor.h2_norm(sys, horizon=horizon) ** 2 / square - 1) < 1e-8


def test_kernels_in_continuous_time():
    sys = random_lqo(rng_of(3), n=4, m=1, p=2, dt=0.0)
    plain, t = written(sys), np.linspace(0, 1.5, 401)
    h1, h2 = mor.impulse_kernels(sys, t)
    for i, j in ((0, 0), (3, 400), (250, 17)):
        x, y = (scipy.linalg.expm(plain.A * t[k]) @ plain.B[:, 0] for k in (i, j))
        close(h1[i, :, 0], plain.C @ x, 1e-11)
        close(h2[i, j, :, 0, 0], np.array([x @ N @ y for N in plain.N]), 1e-10)
    # Simpson's rule of step 1/267 leaves about its fourth power.
    inner = scipy.integrate.simpson(scipy.integrate.simpson(np.sum(h2**2, axis=(2, 3, 4)), x=t), x=t)
    square = inner + scipy.integrate.simpson(np.sum(h1**2, axis=(1, 2)), x=t)
    assert abs(mor.h2_norm(sys, horizon=1.5) ** 2 / square - 1) < 1e-7


@given(lqo_systems(discrete=True), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_kernels_give_the_output(sys, seed):
    u = rng_of(seed).standard_normal((5, sys.n_inputs))
    h1, h2 = mor.impulse_kernels(sys, 5)
    expected = []
    for k in range(5):
        late = u[k::-1]
        linear = np.einsum("sim,sm->i", h1[: k + 1], late)
        expected.append(linear + np.einsum("stimn,sm,tn->i", h2[: k + 1, : k + 1], late, late))
    close(mor.simulate(sys, u), np.array(expected), 1e-10)


def test_kernels_of_a_linear_system():
    linear = random_lqo(rng_of(4)).system
    h1, h2 = mor.impulse_kernels(linear, 4)
    assert np.array_equal(h1, mor.impulse(linear, 4))
    assert not np.any(h2)


def cross_gramian(a, b, horizon):
    """X of ``A X A'^T - X + B B'^T = 0`` or ``A X + X A'^T + B B'^T = 0``, or over a horizon."""
    n, m = len(a.A), len(b.A)
    right = a.B @ b.B.T
    if horizon is not None:
        S, T = (
            np.linalg.matrix_power(x.A, horizon) if x.dt else scipy.linalg.expm(x.A * horizon) for x in (a, b)
        )
        right = right - S @ right @ T.T
    if a.dt:
        operator = np.eye(n * m) - np.kron(a.A, b.A)
    else:
        operator = -(np.kron(a.A, np.eye(m)) + np.kron(np.eye(n), b.A))
    return np.linalg.solve(operator, right.ravel()).reshape(n, m)


@pytest.mark.slow
@pytest.mark.parametrize("horizon", [None, 3])
@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("forms", ["dense dense", "products products", "dense products"])
def test_inner_products_and_errors(forms, dt, horizon):
    rng = rng_of(5)
    kinds = forms.split()
    a, b = random_lqo(rng, 5, 2, 3, dt, kinds[0]), random_lqo(rng, 3, 2, 3, dt, kinds[1])
    first, second = written(a), written(b)
    X = cross_gramian(first, second, horizon)
    inner = np.trace(first.C @ X @ second.C.T) + np.sum(first.D * second.D)
    inner += sum(np.trace(M @ X @ K @ X.T) for M, K in zip(first.N, second.N, strict=True))
    squares = first.squared_norm(horizon) + second.squared_norm(horizon)
    assert abs(mor.h2_inner(a, b, horizon=horizon) - inner) < 1e-10 * squares
    assert abs(mor.h2_inner(b, a, horizon=horizon) - inner) < 1e-10 * squares
    # From the observability side there is no factor 2 either.
    weight = first.C.T @ second.C + sum(M @ X @ K for M, K in zip(first.N, second.N, strict=True))
    dual = type(first)(*(getattr(first, name) for name in ("A", "B", "C", "D", "N", "Y", "Dy", "dt")))
    left, right = np.linalg.qr(weight)
    dual.A, dual.B = first.A.T, left
    other = type(second)(second.A.T, right.T, second.C, second.D, second.N, second.Y, second.Dy, dt)
    Z = cross_gramian(dual, other, horizon)
    assert abs(np.trace(first.B.T @ Z @ second.B) + np.sum(first.D * second.D) - inner) < 1e-9 * squares
    assert abs(mor.h2_error(a, b, horizon=horizon) ** 2 - (squares - 2 * inner)) < 1e-10 * squares
    # Augmented, in matrices.
    A, C = scipy.linalg.block_diag(first.A, second.A), np.hstack([first.C, -second.C])
    N = [scipy.linalg.block_diag(M, -K) for M, K in zip(first.N, second.N, strict=True)]
    augmented = mor.LQO(mor.LTI(A, np.vstack([first.B, second.B]), C, first.D - second.D, dt=dt), np.array(N))
    assert abs(mor.h2_norm(augmented, horizon=horizon) / mor.h2_error(a, b, horizon=horizon) - 1) < 1e-10


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_products_with_a_linear_system(dt):
    a = random_lqo(rng_of(6), dt=dt)
    b = random_lqo(rng_of(7), n=3, dt=dt).system
    inner = mor.h2_inner(a.linear, b)
    assert abs(mor.h2_inner(a, b) - inner) < 1e-12 * mor.h2_norm(a) * mor.h2_norm(b)
    assert abs(mor.h2_inner(b, a) - inner) < 1e-12 * mor.h2_norm(a) * mor.h2_norm(b)
    square = mor.h2_norm(a) ** 2 + mor.h2_norm(b) ** 2 - 2 * inner
    assert abs(mor.h2_error(a, b) ** 2 / square - 1) < 1e-12
    assert abs(mor.h2_error(b, a) ** 2 / square - 1) < 1e-12


def kernel_of_poles(a, b, dt, horizon):
    """Gramian of the modes: the geometric sum or integral of ``a^k conj(b)^k``."""
    both = np.multiply.outer(a, b.conj()) if dt else np.add.outer(a, b.conj())
    if dt:
        return (1 - (0 if horizon is None else both**horizon)) / (1 - both)
    return (0 if horizon is None else np.exp(both * horizon)) / both - 1 / both


@pytest.mark.parametrize("horizon", [None, 5])
@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_complex_diagonal_realisations(dt, horizon):
    sys = random_lqo(rng_of(8), n=6, m=2, p=2, dt=dt)
    plain = written(sys)
    poles, V = np.linalg.eig(plain.A)
    B, C = np.linalg.solve(V, plain.B), plain.C @ V
    g = kernel_of_poles(poles, poles, dt, horizon)
    P = (B @ B.conj().T) * g
    close(mor.gramians(sys, horizon=horizon)[0], np.real(V @ P @ V.conj().T))
    linear = np.trace(C @ P @ C.conj().T) + np.sum(plain.D**2)
    hermitian = [V.conj().T @ M @ V for M in plain.N]
    bilinear = [V.T @ M @ V for M in plain.N]
    square = mor.h2_norm(sys, horizon=horizon) ** 2
    for total in (
        linear + sum(np.trace(P @ K @ P @ K) for K in hermitian),
        linear + sum(np.trace(P @ K.conj() @ P.conj() @ K) for K in bilinear),
    ):
        assert abs(total / square - 1) < 1e-9
    Q = (C.conj().T @ C + sum(K @ P @ K for K in hermitian)) * kernel_of_poles(
        poles.conj(), poles.conj(), dt, horizon
    )
    close(mor.gramians(sys, horizon=horizon)[1], np.real(np.linalg.inv(V).conj().T @ Q @ np.linalg.inv(V)))
    assert abs((np.trace(B.conj().T @ Q @ B) + np.sum(plain.D**2)) / square - 1) < 1e-9


@given(modal_systems(max_modes=4, margin=1e-2), st.sampled_from([None, 3]))
@settings(max_examples=40)
def test_modal_gates_by_their_complex_half(linear, horizon):
    """``z = Re(C x)``: E z z^T is Re(C P1 C^H + C P2 C^T) / 2, P2 of ``B B^T``."""
    linear = mor.Modal(linear.poles, linear.B, linear.C, dt=linear.dt)
    p = linear.n_outputs
    W1, W2 = rng_of(9).standard_normal((2, 3, p))
    gate = mor.LQO.from_gate(linear, W1, W2)
    poles, B, C = (np.asarray(x, dtype=complex) for x in (linear.poles, linear.B, linear.C))
    P1 = (B @ B.conj().T) * kernel_of_poles(poles, poles, linear.dt, horizon)
    P2 = (B @ B.T) * kernel_of_poles(poles, poles.conj(), linear.dt, horizon)
    Pz = np.real(C @ P1 @ C.conj().T + C @ P2 @ C.T) / 2
    a, b, c = (np.einsum("ic,cd,id->i", x, Pz, y) for x, y in ((W1, W2), (W1, W1), (W2, W2)))
    square = np.sum(a**2 + b * c) / 2
    # Differences of the two halves cancel for poles that are almost real.
    assert abs(mor.h2_norm(gate, horizon=horizon) ** 2 - square) <= 1e-9 * square


def test_hankel_singular_values_are_those_of_the_real_map():
    rng, k = rng_of(10), 3
    poles = np.array([0.9, 0.8, 0.7]) * np.exp(1j * np.array([0.3, 1.0, 2.0]))
    B, C = random_matrix(rng, True, k, 2), random_matrix(rng, True, 2, k)
    gate = mor.LQO.from_glu(mor.Modal(poles, B, C, dt=1.0), rng.standard_normal((2, 2)))
    plain = written(gate)
    P, Q = plain.gramian(), plain.observability()
    expected = np.sqrt(np.sort(np.linalg.eigvals(P @ Q).real)[::-1])
    hsv = mor.hankel_singular_values(gate)
    assert len(hsv) == 2 * k
    close(hsv, expected, 1e-7)
    # Values of the complex half are other numbers.
    half = (B @ B.conj().T) * kernel_of_poles(poles, poles, 1.0, None)
    assert not np.allclose(np.sqrt(np.abs(np.linalg.eigvals(half @ half)))[0], hsv[0], rtol=0.05)


@pytest.mark.parametrize("forms", ["dense", "products"])
@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_similarity_changes_nothing(dt, forms):
    sys = random_lqo(rng_of(11), dt=dt, forms=forms)
    a, T = sys.system, np.eye(5) + 0.3 * rng_of(12).standard_normal((5, 5))
    moved = mor.LTI(np.linalg.solve(T, a.A @ T), np.linalg.solve(T, a.B), a.C @ T, a.D, dt=dt)
    other = mor.LQO(moved, sys.M.of(T))
    for horizon in (None, 4):
        close(
            mor.hankel_singular_values(other, horizon=horizon),
            mor.hankel_singular_values(sys, horizon=horizon),
            1e-11,
        )
        assert abs(mor.h2_norm(other, horizon=horizon) / mor.h2_norm(sys, horizon=horizon) - 1) < 1e-11
        assert mor.h2_error(other, sys, horizon=horizon) < 1e-11 * mor.h2_norm(sys, horizon=horizon)


@pytest.mark.slow
@given(lqo_systems(discrete=True), st.floats(0.1, 10.0))
@settings(max_examples=30)
def test_scaling_of_outputs_and_inputs(sys, a):
    linear = sys.system
    louder = mor.LQO(
        linear.with_outputs(a * linear.output_factor_matrix, a * linear.D),
        Dense(a * sys.M.matrices),
        sys.readout,
    )
    assert abs(mor.h2_norm(louder) - a * mor.h2_norm(sys)) <= 1e-11 * a * mor.h2_norm(sys)
    close(mor.hankel_singular_values(louder), a * mor.hankel_singular_values(sys), 1e-10)


def test_time_scaling():
    sys = random_lqo(rng_of(13), dt=0.0)
    a = sys.system
    fast = mor.LQO(mor.LTI(10 * a.A, np.sqrt(10) * a.B, a.C), sys.M)
    close(np.array(mor.gramians(fast)[0]), mor.gramians(sys)[0], 1e-11)
    assert abs(mor.h2_norm(fast) / mor.h2_norm(sys) - 1) < 1e-12


def test_long_horizons_reach_the_infinite_one():
    for dt in (0.0, 1.0):
        sys = random_lqo(rng_of(14), dt=dt)
        assert abs(mor.h2_norm(sys, horizon=4000) / mor.h2_norm(sys) - 1) < 1e-11


@pytest.mark.parametrize("kind", ["dense", "modal"])
@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_tiny_errors_are_right(dt, kind):
    share = 2.0**-33
    sys = random_lqo(rng_of(15), dt=dt)
    if kind == "modal":
        linear = mor.Modal.from_lti(sys.system)
        linear = mor.Modal(linear.poles, linear.B, linear.C, linear.D * (dt > 0), dt=dt)
        sys = mor.LQO.from_glu(linear, rng_of(16).standard_normal((3, 3)))
    grown = mor.LQO(
        sys.system.with_outputs(
            (1 + share) * sys.system.output_factor_matrix, (1 + share) * np.asarray(sys.D)
        ),
        Dense((1 + share) * sys.M.matrices),
        sys.readout,
    )
    # Round-off of the norm, 1e-15 or so, over an error of 1e-10 of it.
    assert abs(mor.h2_error(grown, sys) / (share * mor.h2_norm(sys)) - 1) < 1e-4


def test_feedthrough_through_a_gate():
    rng = rng_of(17)
    a = random_lqo(rng, dt=0.0).system
    gate = mor.LQO.from_gate(mor.LTI(a.A, a.B, a.C, np.ones((3, 2))), np.eye(3), np.eye(3))
    assert np.isinf(mor.h2_norm(gate))
    assert np.isinf(mor.h2_norm(gate, horizon=1.0))
    assert np.isinf(mor.output_bound(gate, np.ones((4, 2)), step=0.1))
    assert mor.output_bound(gate, np.zeros((4, 2)), step=0.1) == 0
    with pytest.raises(NotFiniteError, match="D != 0"):
        mor.h2_inner(gate, gate)
    # A gate that does not look at the outputs with D.
    D = np.array([[0.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    blind = mor.LQO.from_gate(mor.LTI(a.A, a.B, a.C, D), np.eye(3)[:1], np.eye(3)[1:2])
    assert np.isfinite(mor.h2_norm(blind))


def test_unstable_systems_have_finite_horizons_until_they_overflow():
    sys = mor.LQO(([[1.0]], [[1.0]], [[1.0]]), [[1.0]])
    with pytest.raises(UnstableSystemError, match="horizon="):
        mor.h2_norm(sys)
    P = (np.exp(4.0) - 1) / 2
    assert abs(mor.h2_norm(sys, horizon=2.0) ** 2 / (P + P**2) - 1) < 1e-12
    for horizon in (200.0, 400.0, 1000.0):
        with pytest.raises(NotFiniteError), np.errstate(all="ignore"):
            mor.h2_norm(sys, horizon=horizon)


@st.composite
def signals(draw, m, steps=8):
    rng = rng_of(draw(st.integers(0, 2**32 - 1)))
    return rng.standard_normal((steps, m)) * 10 ** draw(st.floats(-2, 1))


@pytest.mark.slow
@given(lqo_systems(), st.data())
@settings(max_examples=60)
def test_output_bounds_hold(sys, data):
    u, v = (data.draw(signals(sys.n_inputs)) for _ in range(2))
    step = sys.dt or 0.3
    y, z = (mor.simulate(sys, x, step=step) for x in (u, v))
    tight = 1 + 1e-10
    assert np.max(np.linalg.norm(y, axis=1)) <= tight * mor.output_bound(sys, u, step=step)
    difference = np.max(np.linalg.norm(y - z, axis=1))
    assert difference <= tight * mor.output_bound(sys, u, step=step, other=v)
    rom = sys.linear
    error = np.max(np.linalg.norm(y - mor.simulate(rom, u, step=step), axis=1))
    assert error <= tight * mor.output_bound(sys, u, step=step, rom=rom) + 1e-12 * np.max(np.abs(y))


def test_the_bound_is_what_it_says():
    sys, u = random_lqo(rng_of(18)), rng_of(19).standard_normal((9, 2))
    v = 2 * u[::-1]
    norm, size = mor.h2_norm(sys, horizon=8), np.linalg.norm(u)
    assert mor.output_bound(sys, u) == pytest.approx(norm * np.sqrt(size**2 + size**4), rel=1e-12)
    expected = norm * np.linalg.norm(u - v) * np.sqrt(1 + np.linalg.norm(u + v) ** 2)
    assert mor.output_bound(sys, u, other=v) == pytest.approx(expected, rel=1e-12)
    linear = mor.h2_norm(sys.linear, horizon=8)
    assert mor.output_bound(sys.linear, u) == pytest.approx(linear * size, rel=1e-12)
    assert mor.output_bound(sys, u, other=u) == 0


def test_the_matched_input_attains_the_bound_of_a_linear_system():
    linear = random_lqo(rng_of(20), n=4, m=1, p=1).system
    u = mor.impulse(linear, 30)[::-1, :, 0]
    sys = mor.LQO(linear, np.zeros((4, 4)))
    bound = mor.output_bound(linear, u)
    assert abs(mor.simulate(sys, u)[-1, 0]) == pytest.approx(bound, rel=1e-10)
    assert mor.output_bound(sys, u) == pytest.approx(bound * np.hypot(1, np.linalg.norm(u)), rel=1e-12)


def test_the_matched_input_comes_close_in_continuous_time():
    linear, step = random_lqo(rng_of(20), n=4, m=1, p=1, dt=0.0).system, 0.002
    u = mor.impulse(linear, step * np.arange(1500))[::-1, :, 0]
    y = mor.simulate(linear, np.vstack([u, u[-1:]]), step=step)
    bound = mor.output_bound(linear, u, step=step)
    # As close as steps come to the impulse response.
    assert abs(y[-1, 0]) <= bound
    assert abs(y[-1, 0]) == pytest.approx(bound, rel=1e-2)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ({"u": np.ones((3, 2))}, TimeStepError, "step="),
        ({"u": np.ones((1, 2)), "t": [0.0]}, TimeStepError, "step="),
        ({"u": np.ones((3, 2)), "step": -1.0}, TimeStepError, "positive"),
        ({"u": np.ones((3, 2)), "t": [0.0, 1.0, 3.0]}, TimeStepError, "equal steps"),
        ({"u": np.ones((3, 3)), "step": 0.1}, DimensionError, "u has shape"),
        ({"u": np.ones((0, 2)), "step": 0.1}, DimensionError, "T >= 1"),
        ({"u": np.ones((3, 2)) * 1j, "step": 0.1}, DimensionError, "real"),
        ({"u": np.full((3, 2), np.nan), "step": 0.1}, NotFiniteError, "u has 6"),
        ({"u": np.ones((3, 2)), "step": 0.1, "other": np.ones((4, 2))}, DimensionError, "agree"),
        ({"u": np.ones((3, 2)), "step": 0.1, "other": np.full((3, 2), np.inf)}, NotFiniteError, "other"),
    ],
)
def test_bad_signals(arguments, error, says):
    sys = random_lqo(rng_of(21), dt=0.0)
    with pytest.raises(error, match=says):
        mor.output_bound(sys, **arguments)


def test_the_step_of_a_discrete_system_is_its_own():
    sys = random_lqo(rng_of(22))
    with pytest.raises(TimeStepError, match="step is 1"):
        mor.output_bound(sys, np.ones((3, 2)), step=0.5)
