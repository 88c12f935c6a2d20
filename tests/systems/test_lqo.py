"""Systems with quadratic outputs: what they are, how they are built, changed and simulated."""

import tracemalloc

import numpy as np
import pytest
import scipy.integrate
from hypothesis import given, settings
from hypothesis import strategies as st

import mor
from mor.errors import DimensionError, NotFiniteError, QuadraticOutputError, TimeStepError
from mor.systems.quadratic import Dense, Products
from mor.testing import lqo_systems
from tests.oracles.dense import random_matrix, random_stable, real_form
from tests.oracles.lqo import Written, close, random_lqo, written


def rng_of(seed=0):
    return np.random.default_rng(seed)


def expanded(M):
    """Symmetric matrices of the products, entry by entry."""
    if isinstance(M, Dense):
        return M.N
    both = np.einsum("iqa,iqb->iab", M.left, M.right)
    return (both + both.transpose(0, 2, 1)) / 2


@st.composite
def forms(draw, p, c):
    rng = rng_of(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        return Dense(rng.standard_normal((p, c, c)))
    q = draw(st.integers(0, 3))
    return Products(rng.standard_normal((p, q, c)), rng.standard_normal((p, q, c)))


@given(st.data(), st.integers(0, 3), st.integers(0, 4), st.integers(0, 4), st.integers(0, 5))
def test_forms_do_what_their_matrices_do(data, p, c, other_c, t):
    M, other = data.draw(forms(p, c)), data.draw(forms(p, other_c))
    N, K = expanded(M), expanded(other)
    rng = rng_of(1)
    z, w, T = rng.standard_normal((t, c)), rng.standard_normal((t, c)), rng.standard_normal((t, c))
    X, Y = rng.standard_normal((c, other_c)), rng.standard_normal((c, 2))
    close(M.matrices, N)
    close(M.values(z), np.array([[x @ A @ x for A in N] for x in z]).reshape(t, p))
    close(M.values(z, w), np.array([[x @ A @ y for A in N] for x, y in zip(z, w, strict=True)]).reshape(t, p))
    close(M.rows(T).T @ M.rows(T), sum((A @ T.T @ T @ A for A in N), np.zeros((c, c))))
    assert abs(M.inner(other, X) - sum(np.trace(A @ X @ B @ X.T) for A, B in zip(N, K, strict=True))) < 1e-9
    close(M.of(Y).matrices, np.array([Y.T @ A @ Y for A in N]).reshape(p, 2, 2))
    close((-M).matrices, -N)
    beside = M.beside(other).matrices
    close(beside[:, :c, :c], N)
    close(beside[:, c:, c:], K)
    assert not np.any(beside[:, :c, c:])


@given(lqo_systems(discrete=True), st.integers(0, 2**32 - 1))
def test_simulation_by_the_recursion(sys, seed):
    rng, plain = rng_of(seed), written(sys)
    u = rng.standard_normal((7, sys.n_inputs))
    close(mor.simulate(sys, u), plain.steps(u))
    x0 = rng.standard_normal(len(plain.A))
    close(mor.simulate(sys, u, x0=x0), plain.steps(u, x0))


@pytest.mark.parametrize("hold", ["zero", "first"])
@pytest.mark.parametrize("kind", ["dense", "products", "gate", "modal gate"])
def test_simulation_in_continuous_time_by_an_integrator(kind, hold):
    rng = rng_of(3)
    if kind == "modal gate":
        poles = -rng.uniform(0.2, 1, 3) + 2j * rng.uniform(0, 2, 3)
        B, C = random_matrix(rng, True, 3, 2), random_matrix(rng, True, 2, 3)
        sys = mor.LQO.from_gate(mor.Modal(poles, B, C, rng.standard_normal((2, 2))), *np.eye(2)[[[0], [1]]])
    elif kind == "gate":
        base = random_lqo(rng, dt=0.0).system
        with_D = mor.LTI(base.A, base.B, base.C, rng.standard_normal((3, 2)))
        sys = mor.LQO.from_gate(with_D, rng.standard_normal((2, 3)), rng.standard_normal((2, 3)))
    else:
        sys = random_lqo(rng, dt=0.0, forms=kind)
    plain, t, u = written(sys), 0.3 * np.arange(6), rng.standard_normal((6, 2))
    x = x0 = rng.standard_normal(len(plain.A))
    expected = [plain.output(x, u[0])]
    for k in range(5):

        def slope(s, x, k=k):
            now = u[k] + (u[k + 1] - u[k]) * (s / 0.3) * (hold == "first")
            return plain.A @ x + plain.B @ now

        x = scipy.integrate.solve_ivp(slope, (0, 0.3), x, rtol=1e-10, atol=1e-12).y[:, -1]
        expected.append(plain.output(x, u[k + 1]))
    # What the integrator is asked for, times the steps.
    close(mor.simulate(sys, u, t, hold=hold, x0=x0), np.array(expected), 1e-8)


def test_step_responses_are_those_of_single_inputs():
    for dt in (0.0, 1.0):
        sys = random_lqo(rng_of(4), dt=dt)
        t = np.arange(6) * (dt or 0.2)
        responses = mor.step(sys, t)
        for j in range(2):
            close(responses[:, :, j], mor.simulate(sys, np.tile(np.eye(2)[j], (6, 1)), t))


def test_a_gate_is_exact_with_feedthrough():
    rng = rng_of(5)
    base = random_lqo(rng, p=4).system
    W1, W2, u = rng.standard_normal((3, 4)), rng.standard_normal((3, 4)), rng.standard_normal((20, 2))
    gate = mor.LQO.from_gate(base, W1, W2)
    z = mor.simulate(base, u)
    assert gate.exact
    close(mor.simulate(gate, u), (z @ W1.T) * (z @ W2.T), 1e-12)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_a_gated_linear_unit_is_right_to_second_order():
    rng = rng_of(6)
    base = random_lqo(rng, p=3).system
    W, b, u = rng.standard_normal((3, 3)), rng.standard_normal(3), rng.standard_normal((12, 2))
    unit = mor.LQO.from_glu(base, W, b)
    assert not unit.exact
    assert "second order" in repr(unit)

    def error(size):
        z = mor.simulate(base, size * u)
        return z * sigmoid(z @ W.T + b) - mor.simulate(unit, size * u)

    coarse, fine = error(1e-2), error(1e-3)
    slope = np.log10(np.linalg.norm(coarse) / np.linalg.norm(fine))
    # The next term adds a share of the input's size.
    assert abs(slope - 3) < 0.05
    s, z = sigmoid(b), mor.simulate(base, u)
    third = z * (z @ W.T) ** 2 * s * (1 - s) * (1 - 2 * s) / 2
    close(fine / 1e-9, third, 2e-2)


def test_a_saturated_unit():
    base = random_lqo(rng_of(6), p=2).system
    unit = mor.LQO.from_glu(base, np.eye(2), [-1000.0, 1000.0])
    u = rng_of(7).standard_normal((4, 2))
    close(mor.simulate(unit, u), mor.simulate(base, u) * [0.0, 1.0])


def forms_of_one_system(dt):
    """The same map with Modal, block-diagonal and dense linear parts, with and without E."""
    rng, k = rng_of(8), 3
    poles = 0.8 * np.exp(1j * rng.uniform(0.2, 3, k)) if dt else -rng.uniform(0.2, 1, k) + 2j
    D = rng.standard_normal((3, 2)) * (dt > 0)
    modal = mor.Modal(poles, random_matrix(rng, True, k, 2), random_matrix(rng, True, 3, k), D, dt=dt)
    A, B, C = real_form(modal)
    E = np.eye(2 * k) + 0.2 * rng.standard_normal((2 * k, 2 * k))
    order = np.arange(2 * k).reshape(2, k).T.ravel()
    blocks = np.array([[[a.real, -a.imag], [a.imag, a.real]] for a in poles])
    linear = {
        "modal": modal,
        "dense": mor.LTI(A, B, C, D, dt=dt),
        "E": mor.LTI(E @ A, E @ B, C, D, E, dt=dt),
        "blocks": mor.BlockDiagonal(blocks, B[order], C[:, order], D, dt=dt),
    }
    W1, W2 = rng.standard_normal((2, 4, 3))
    return linear, (W1, W2), order


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_forms_of_one_system_agree(dt):
    linear, (W1, W2), order = forms_of_one_system(dt)
    u = rng_of(9).standard_normal((5, 2))
    systems = {name: mor.LQO.from_gate(part, W1, W2) for name, part in linear.items()}
    reference = systems["modal"]
    if dt == 0:
        # z = C x: as forms of the state too, and those as matrices.
        C = reference.readout[0]
        state = linear["dense"].with_outputs(np.zeros((4, 6)), np.zeros((4, 2)))
        systems["products"] = mor.LQO(state, (W1 @ C, W2 @ C))
        systems["matrices"] = mor.LQO(state, expanded(systems["products"].M))
    P, Q = mor.gramians(reference)
    for name, sys in systems.items():
        assert abs(mor.h2_norm(sys) / mor.h2_norm(reference) - 1) < 1e-11
        assert abs(mor.h2_norm(sys, horizon=3) / mor.h2_norm(reference, horizon=3) - 1) < 1e-11
        assert abs(mor.h2_inner(sys, reference) / mor.h2_norm(reference) ** 2 - 1) < 1e-11
        assert mor.h2_error(sys, reference) < 1e-11 * mor.h2_norm(reference)
        close(mor.hankel_singular_values(sys), mor.hankel_singular_values(reference), 1e-11)
        close(mor.simulate(sys, u, step=dt or 0.1), mor.simulate(reference, u, step=dt or 0.1), 1e-11)
        at = np.ix_(order, order) if name == "blocks" else np.ix_(range(6), range(6))
        close(mor.gramians(sys)[0], P[at])
        close(mor.gramians(sys)[1], Q[at])
        dense = sys.to_dense()
        assert isinstance(dense.system, mor.LTI)
        assert dense.system.E is None
        assert mor.h2_error(dense, sys) < 1e-11 * mor.h2_norm(reference)


@given(lqo_systems())
@settings(max_examples=30)
def test_zero_forms_give_what_the_linear_system_has(sys):
    p, n = sys.n_outputs, sys.system.output_factor_matrix.shape[1]
    none = mor.LQO(sys.system, np.zeros((p, n, n)))
    linear = sys.system
    assert mor.h2_norm(none) == mor.h2_norm(linear)
    assert np.array_equal(mor.hankel_singular_values(none), mor.hankel_singular_values(linear))
    for a, b in zip(mor.gramians(none), mor.gramians(linear), strict=True):
        assert np.array_equal(a, b)
    u, step = np.ones((4, sys.n_inputs)), linear.dt or 0.1
    close(mor.simulate(none, u, step=step), mor.simulate(linear, u, step=step), 1e-13)
    assert mor.output_bound(none, 1e-9 * u, step=step) == pytest.approx(
        mor.output_bound(linear, 1e-9 * u, step=step), rel=1e-12
    )


@pytest.mark.slow
@given(lqo_systems(), st.integers(0, 2**32 - 1), st.sampled_from(["dense", "products"]))
@settings(max_examples=40)
def test_sums_and_differences(a, seed, kind):
    rng, step = rng_of(seed), a.dt or 0.1
    b = random_lqo(rng, 3, a.n_inputs, a.n_outputs, a.dt, kind)
    u = rng.standard_normal((5, a.n_inputs))

    def y(sys):
        return mor.simulate(sys, u, step=step)

    size = np.max(np.abs(y(a))) + np.max(np.abs(y(b)))
    for sys, expected in (
        (a + b, y(a) + y(b)),
        (-a, -y(a)),
        (a - b.linear, y(a) - y(b.linear)),
        (b.linear - a, y(b.linear) - y(a)),
        (a.linear + b, y(a.linear) + y(b)),
    ):
        np.testing.assert_allclose(y(sys), expected, rtol=0, atol=1e-11 * size)
    assert (a + b).exact == a.exact
    assert (a + b).order == a.order + b.order


def test_systems_that_cannot_be_added():
    one = random_lqo(rng_of(), m=1)
    for other in (random_lqo(rng_of(), m=2), random_lqo(rng_of(), m=1, p=2)):
        for act in (lambda x, y: x - y, mor.h2_inner, mor.h2_error):
            with pytest.raises(DimensionError, match="must agree"):
                act(one, other)
    with pytest.raises(TimeStepError, match="must agree"):
        one + random_lqo(rng_of(), m=1, dt=0.0)


@pytest.mark.parametrize("kind", ["from_gate", "from_glu"])
@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_gates_keep_their_structure(kind, dt):
    rng = rng_of(10)
    base = random_lqo(rng, n=6, p=3, dt=dt).system
    sides = rng.standard_normal((2, 3, 3)) if kind == "from_gate" else (rng.standard_normal((3, 3)),)
    gate = getattr(mor.LQO, kind)(base, *sides)
    V, W = rng.standard_normal((6, 2)), rng.standard_normal((6, 2))
    W = W @ np.linalg.inv(V.T @ W)
    rom, condition = gate.project(W, V)
    assert condition == 1.0
    assert rom.M is gate.M
    close(rom.readout[0], base.C @ V, 1e-14)
    assert np.array_equal(rom.readout[1], base.D)
    assert np.array_equal(rom.mix, gate.mix)
    close(rom.system.A, W.T @ base.A @ V, 1e-13)
    for other in (rom, -rom, rom + rom, rom - gate, gate.to_dense()):
        Y, Dy = other.readout
        np.testing.assert_allclose(other.system.output_factor_matrix, other.mix @ Y, atol=1e-13)
        np.testing.assert_allclose(other.D, other.mix @ Dy, atol=1e-13)
    if not dt:
        assert gate.discretize(0.1, hold="first").mix is not None


@given(lqo_systems(discrete=True), st.integers(0, 2**32 - 1))
def test_projection_in_matrices(sys, seed):
    rng, plain = rng_of(seed), written(sys)
    n = len(plain.A)
    V = np.linalg.qr(rng.standard_normal((n, min(n, 2))))[0]
    rom, condition = sys.project(V, V)
    C, Y = plain.C @ V, plain.Y @ V
    small = Written(V.T @ plain.A @ V, V.T @ plain.B, C, plain.D, plain.N, Y, plain.Dy, 1.0)
    u = rng.standard_normal((4, sys.n_inputs))
    close(mor.simulate(rom, u), small.steps(u), 1e-12 * condition)
    assert rom.exact == sys.exact


def test_discretisation_keeps_the_samples():
    sys = random_lqo(rng_of(12), dt=0.0)
    u = rng_of(13).standard_normal((6, 2))
    sampled = sys.discretize(0.2)
    assert sampled.dt == 0.2
    close(mor.simulate(sampled, u), mor.simulate(sys, u, step=0.2), 1e-13)
    with pytest.raises(TimeStepError):
        sampled.discretize(0.1)


def test_names_survive_and_those_of_states_do_not_where_states_change():
    labels = mor.Labels(inputs=["u", "v"], outputs=["a", "b"], states=["x", "y", "z"], name="plant")
    base = random_lqo(rng_of(14), n=3, p=2).system
    linear = mor.LTI(base.A, base.B, base.C, base.D, dt=1.0, labels=labels)
    sys = mor.LQO(linear, rng_of(15).standard_normal((2, 3, 3)))
    assert sys.labels == labels
    rom, _ = sys.project(np.eye(3)[:, :2], np.eye(3)[:, :2])
    kept = mor.Labels(inputs=["u", "v"], outputs=["a", "b"], name="plant")
    assert rom.labels == kept
    assert (sys + sys).labels == kept
    assert (sys - rom).labels == kept
    assert (-sys).labels == labels


def test_order_counts_the_imaginary_part_that_only_the_forms_see():
    one = np.ones((1, 1)) + 0j
    linear = mor.Modal(np.array([0.5 + 0j]), one * (1 + 1j), one, dt=1.0)
    assert linear.order == 1
    sys = mor.LQO(linear, [[0.0, 0.0], [0.0, 1.0]])
    assert sys.order == 2
    u = np.ones(3)
    close(mor.simulate(sys.to_dense(), u), mor.simulate(sys, u))


def test_what_stands_for_a_system():
    A, B, C = np.array([[-1.0]]), np.array([[1.0]]), np.array([[2.0]])
    M = np.array([[3.0]])
    given_M = M.copy()
    sys = mor.LQO((A, B, C), M)
    assert mor.as_system(sys) is sys
    assert isinstance(mor.LQO(mor.balanced_truncation((A, B, C), order=1), M), mor.LQO)
    assert np.array_equal(M, given_M)
    assert np.array_equal(sys.M.matrices, [[[3.0]]])
    # (p, n): one product an output.
    products = mor.LQO((A, B, C), (np.array([[3.0]]), np.array([[1.0]])))
    assert np.array_equal(products.M.matrices, [[[3.0]]])
    close(mor.LQO((A, B, C), [[1]]).M.matrices, [[[1.0]]])


@pytest.mark.slow
def test_single_precision_and_tensors():
    torch = pytest.importorskip("torch")
    poles = torch.tensor([0.5 + 0.3j, 0.2 + 0.1j], dtype=torch.complex64, requires_grad=True)
    B, C = torch.ones((2, 1), dtype=torch.complex64), torch.ones((1, 2), dtype=torch.complex64)
    layer = mor.Modal(poles, B, C, dt=1.0)
    gate = mor.LQO.from_gate(layer, torch.ones((1, 1)), torch.ones((1, 1)))
    assert isinstance(gate.system.poles, np.ndarray)
    assert gate.system.poles.dtype == complex
    assert isinstance(mor.simulate(gate, np.ones(3)), np.ndarray)
    # The data are those of single precision.
    assert gate.labels == mor.Labels(precision="float32")


def test_gates_of_a_long_state_form_no_matrix_an_output():
    rng, k, p = rng_of(16), 128, 64
    poles = 0.9 * np.exp(1j * rng.uniform(0, np.pi, k))
    layer = mor.Modal(poles, random_matrix(rng, True, k, 4), random_matrix(rng, True, p, k), dt=1.0)
    gate = mor.LQO.from_gate(layer, *rng.standard_normal((2, p, p)))
    rom, _ = gate.project(*2 * (np.linalg.qr(rng.standard_normal((2 * k, 8)))[0],))
    tracemalloc.start()
    mor.gramians(gate)
    mor.h2_norm(gate)
    mor.h2_error(gate, rom, horizon=50)
    mor.h2_inner(gate, rom, horizon=50)
    mor.simulate(gate, rng.standard_normal((100, 4)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # One matrix an output would take this much.
    assert peak < 8 * p * (2 * k) ** 2 / 2


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize(("n", "m", "p"), [(0, 1, 1), (1, 1, 1), (3, 0, 2), (3, 2, 0), (2, 1, 1)])
@pytest.mark.parametrize("kind", ["dense", "products", "no readout"])
def test_degenerate_sizes(n, m, p, dt, kind):
    rng = rng_of(17)
    A = random_stable(rng, n, dt) if n else np.zeros((0, 0))
    linear = mor.LTI(A, rng.standard_normal((n, m)), rng.standard_normal((p, n)), dt=dt)
    if kind == "no readout":
        sys = mor.LQO(linear, np.zeros((p, 0, 0)), (np.zeros((0, n)), np.zeros((0, m))))
    elif kind == "products":
        sys = mor.LQO(linear, (rng.standard_normal((p, 1, n)), rng.standard_normal((p, 1, n))))
    else:
        sys = mor.LQO(linear, rng.standard_normal((p, n, n)))
    plain = written(sys)
    for horizon in (None, 1):
        close(mor.h2_norm(sys, horizon=horizon) ** 2, np.array(plain.squared_norm(horizon)))
        assert mor.hankel_singular_values(sys, horizon=horizon).shape == (n,)
        assert mor.h2_error(sys, sys, horizon=horizon) <= 1e-13 * mor.h2_norm(sys, horizon=horizon)
        assert abs(mor.h2_inner(sys, sys, horizon=horizon) - plain.squared_norm(horizon)) <= 1e-9 * (
            1 + plain.squared_norm(horizon)
        )
    u, step = np.ones((3, m)), dt or 0.1
    assert mor.simulate(sys, u, step=step).shape == (3, p)
    h1, h2 = mor.impulse_kernels(sys, step * np.arange(3))
    assert (h1.shape, h2.shape) == ((3, p, m), (3, 3, p, m, m))
    assert np.isfinite(mor.output_bound(sys, u, step=step))


A_SYSTEM = mor.LTI(np.diag([0.5, 0.2]), np.ones((2, 1)), np.ones((1, 2)), dt=1.0)
QUADRATIC = mor.LQO(A_SYSTEM, np.eye(2))


@pytest.mark.parametrize(
    "asked",
    [
        lambda: mor.freqresp(QUADRATIC, 1.0),
        lambda: mor.hinf_norm(QUADRATIC),
        lambda: mor.peak_gain(QUADRATIC),
        lambda: mor.hankel_norm(QUADRATIC),
        lambda: mor.hankel_nuclear_norm(QUADRATIC),
        lambda: mor.impulse(QUADRATIC, 3),
        lambda: mor.h2_norm(QUADRATIC, band=(0.0, 1.0)),
        lambda: mor.gramians(QUADRATIC, band=(0.0, 1.0)),
        lambda: mor.hankel_singular_values(QUADRATIC, band=(0.0, 1.0)),
        lambda: mor.to_scipy(QUADRATIC),
        lambda: QUADRATIC.to_lti(),
        lambda: QUADRATIC.evaluate(1.0),
        lambda: QUADRATIC.with_outputs(np.ones((1, 2)), np.ones((1, 1))),
    ],
)
def test_what_only_linear_outputs_have_is_refused_with_advice(asked):
    with pytest.raises(QuadraticOutputError, match=r"linear|hankel_singular_values"):
        asked()


def test_files_hold_linear_systems(tmp_path):
    with pytest.raises(QuadraticOutputError, match=r"sys\.linear"):
        mor.save(tmp_path / "a.npz", QUADRATIC)
    assert not list(tmp_path.iterdir())


ONE = np.ones((1, 1))


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: mor.LQO(A_SYSTEM, np.eye(3)), DimensionError, "1 outputs and 2 states"),
        (lambda: mor.LQO(A_SYSTEM, np.zeros((2, 2, 2))), DimensionError, "2 forms"),
        (lambda: mor.LQO(A_SYSTEM, np.full((2, 2), np.nan)), NotFiniteError, "M has 4"),
        (lambda: mor.LQO(A_SYSTEM, None), DimensionError, "array of numbers"),
        (lambda: mor.LQO(A_SYSTEM, 1.0), DimensionError, "one matrix an output"),
        (lambda: mor.LQO(A_SYSTEM, [[1.0, 2.0], [3.0]]), DimensionError, "M is no array"),
        (lambda: mor.LQO(A_SYSTEM, np.ones((2, 3))), DimensionError, "one matrix an output"),
        (lambda: mor.LQO(A_SYSTEM, (np.eye(2), np.eye(2))), DimensionError, "two forms"),
        (lambda: mor.LQO(A_SYSTEM, (np.ones((1, 1, 2)), np.ones((1, 2, 2)))), DimensionError, "left and"),
        (lambda: mor.LQO(A_SYSTEM, (np.ones((1, 2)), np.full((1, 2), np.inf))), NotFiniteError, "right"),
        (lambda: mor.LQO(QUADRATIC, np.eye(2)), DimensionError, "quadratic outputs itself"),
        (lambda: mor.LQO(A_SYSTEM, ONE, np.ones((1, 2))), DimensionError, "pair"),
        (lambda: mor.LQO(A_SYSTEM, ONE, (np.ones((1, 3)), ONE)), DimensionError, "Y has shape"),
        (lambda: mor.LQO(A_SYSTEM, ONE, (np.ones((1, 2)), np.ones((2, 1)))), DimensionError, "D_y"),
        (
            lambda: mor.LQO(A_SYSTEM, ONE, (1j * np.ones((1, 2)), ONE)),
            DimensionError,
            "Y must be an array of real numbers",
        ),
        (lambda: mor.LQO(A_SYSTEM, ONE, (np.ones((1, 2)), np.nan * ONE)), NotFiniteError, "D_y"),
        (lambda: mor.LQO(A_SYSTEM, ONE, (np.ones((3, 1, 2)), ONE)), DimensionError, "Y has shape"),
        (lambda: mor.LQO(A_SYSTEM, np.eye(2), mix=[[1.0, 2.0]]), DimensionError, "C = mix Y"),
        (lambda: mor.LQO(A_SYSTEM, np.eye(2), mix=[1.0, 1.0]), DimensionError, "mix"),
        (lambda: mor.LQO.from_gate(A_SYSTEM, [[1.0, 2.0]], ONE), DimensionError, "W1"),
        (lambda: mor.LQO.from_gate(A_SYSTEM, ONE, np.ones((2, 1))), DimensionError, "W2"),
        (lambda: mor.LQO.from_gate(A_SYSTEM, 1j * ONE, ONE), DimensionError, "W1"),
        (lambda: mor.LQO.from_gate(A_SYSTEM, [["a"]], ONE), DimensionError, "W1"),
        (lambda: mor.LQO.from_gate(A_SYSTEM, ONE, np.nan * ONE), NotFiniteError, "W2"),
        (lambda: mor.LQO.from_gate(QUADRATIC, ONE, ONE), QuadraticOutputError, "matrix C"),
        (lambda: mor.LQO.from_glu(A_SYSTEM, np.eye(2)), DimensionError, "W has shape"),
        (lambda: mor.LQO.from_glu(A_SYSTEM, ONE, [1.0, 2.0]), DimensionError, "b has shape"),
        (lambda: mor.LQO.from_glu(A_SYSTEM, ONE, [np.inf]), NotFiniteError, "b has"),
    ],
)
def test_bad_input(make, error, says):
    with pytest.raises(error, match=says):
        make()


def test_batches_are_refused():
    batch = mor.Modal(np.full((2, 1), 0.5), np.ones((2, 1, 1)), np.ones((2, 1, 1)), dt=1.0)
    for make in (
        lambda: mor.LQO(batch, ONE),
        lambda: mor.LQO.from_gate(batch, ONE, ONE),
        lambda: mor.output_bound(batch, np.ones(3)),
        lambda: mor.impulse_kernels(batch, 3),
    ):
        with pytest.raises(DimensionError, match="batch"):
            make()
