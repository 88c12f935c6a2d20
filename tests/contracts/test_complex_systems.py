"""Systems over the complex numbers: what is learnt of them, and where they come from and go to."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.linalg as sl
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

import mor
from mor.analysis.nuclear_norm import nuclear_norm_gradient
from mor.equations.hamiltonian import level_pencil
from mor.errors import DimensionError, NotFiniteError, ReductionError, UnstableSystemError
from mor.testing import lti_systems
from tests.oracles.complex import POINTS, doubled, proper, some, systems
from tests.oracles.dense import lyapunov_residual, random_matrix, random_stable

BAND = (0.4, 1.3)


def turned(sys, rng):
    """In complex coordinates of the state, of condition below 10."""
    n = sys.order
    U, V = (sl.qr(random_matrix(rng, True, n, n))[0] for _ in range(2))
    T = U * rng.uniform(0.3, 3, n) @ V
    E = np.eye(n) if sys.E is None else sys.E
    return mor.LTI(T @ sys.A, T @ sys.B, sys.C, sys.D, T @ E, dt=sys.dt), mor.LTI(
        T @ sl.solve(E, sys.A) @ np.linalg.inv(T),
        T @ sl.solve(E, sys.B),
        sys.C @ np.linalg.inv(T),
        sys.D,
        dt=sys.dt,
    )


@pytest.mark.slow
@given(systems)
@settings(max_examples=25)
def test_values_and_norms_are_those_of_the_doubled_system(sys):
    real = doubled(sys)
    for options in ({}, {"horizon": 3}, {"band": BAND}):
        ours = mor.hankel_singular_values(sys, **options)
        theirs = mor.hankel_singular_values(real, **options)
        assert ours.dtype == float
        # Values of formed band Gramians are right to the root of round-off.
        digits = 1e-7 if "band" in options else 1e-11
        np.testing.assert_allclose(np.repeat(ours, 2), theirs, rtol=0, atol=digits * theirs[0])
        ours, theirs = (float(mor.h2_norm(proper(x), **options)) for x in (sys, real))
        np.testing.assert_allclose(ours * 2**0.5, theirs, rtol=1e-9)
    np.testing.assert_allclose(mor.h2_norm(sys, band=BAND) * 2**0.5, mor.h2_norm(real, band=BAND), rtol=1e-9)
    np.testing.assert_allclose(2 * mor.hankel_nuclear_norm(sys), mor.hankel_nuclear_norm(real), rtol=1e-10)
    np.testing.assert_allclose(mor.hankel_norm(sys), mor.hankel_norm(real), rtol=1e-11)
    np.testing.assert_allclose(mor.hinf_norm(sys), mor.hinf_norm(real), rtol=3e-8)


@given(systems)
def test_transfer_functions(sys):
    """``(s E - A)^-1`` by inverse, and half of the doubled system's."""
    E = np.eye(sys.order) if sys.E is None else sys.E
    real = doubled(sys)
    p, m = sys.D.shape
    for s in POINTS:
        G = sys.C @ np.linalg.inv(s * E - sys.A) @ sys.B + sys.D
        np.testing.assert_allclose(sys.evaluate(s), G, rtol=1e-8, atol=1e-10)
        half = real.evaluate(s)[:, :m]
        np.testing.assert_allclose(half[:p] + 1j * half[p:], G, rtol=1e-8, atol=1e-10)
    omega = np.array([-2.0, -0.3, 0.0, 0.7])
    points = np.exp(1j * omega * sys.dt) if sys.dt else 1j * omega
    np.testing.assert_array_equal(mor.freqresp(sys, omega), sys.evaluate(points))
    poles = np.concatenate([sys.poles, sys.poles.conj()])
    distance = np.abs(poles[:, None] - real.poles)
    assert np.max(np.min(distance, axis=1)) < 1e-5


@given(systems)
def test_gramians_are_hermitian_and_solve_their_equations(sys):
    P, Q = mor.gramians(sys)
    np.testing.assert_array_equal(P, P.conj().T)
    np.testing.assert_array_equal(Q, Q.conj().T)
    A, B, C = sys.explicit.A, sys.explicit.B, sys.C
    assert lyapunov_residual(A, P, B @ B.conj().T, None, sys.dt) < 1e-13 * np.linalg.cond(A) + 1e-12
    assert lyapunov_residual(A.conj().T, Q, C.conj().T @ C, None, sys.dt) < 1e-13 * np.linalg.cond(A) + 1e-12
    Zc, Zo = sys.factors()
    np.testing.assert_allclose(Zc @ Zc.conj().T, P, atol=1e-13 * np.linalg.norm(P))
    np.testing.assert_allclose(Zo @ Zo.conj().T, Q, atol=1e-13 * np.linalg.norm(Q))


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 0.5])
@pytest.mark.parametrize("band", [BAND, (0.0, 1.0), (0.7, None)])
def test_band_gramians_are_integrals_over_both_signs(dt, band):
    sys = some(0, dt=dt)
    low, high = band[0], band[1] or (np.pi / dt if dt else 400.0)
    nodes, weights = np.polynomial.legendre.leggauss(1000)
    omega = (low + high + (high - low) * nodes) / 2
    points = np.exp(1j * omega * dt) if dt else 1j * omega
    points = np.concatenate([points, points.conj()])
    weights = np.tile(weights, 2)[:, None, None] * (high - low) / 2 * (dt or 1) / (2 * np.pi)
    R = np.linalg.inv(points[:, None, None] * np.eye(sys.order) - sys.A)
    late, early, G = R @ sys.B, sys.C @ R, sys.C @ R @ sys.B + sys.D
    P = np.sum(weights * (late @ late.conj().mT), axis=0)
    Q = np.sum(weights * (early.conj().mT @ early), axis=0)
    square = np.sum(weights * np.abs(G) ** 2)
    found = mor.gramians(sys, band=(low, high))
    np.testing.assert_allclose(found[0], P, atol=1e-9 * np.linalg.norm(P))
    np.testing.assert_allclose(found[1], Q, atol=1e-9 * np.linalg.norm(Q))
    np.testing.assert_allclose(mor.h2_norm(sys, band=(low, high)) ** 2, square, rtol=1e-9)


@pytest.mark.slow
@given(systems, st.integers(0, 99))
@settings(max_examples=25)
def test_nothing_changes_with_the_coordinates(sys, seed):
    """Of the state; and unitary ones of the signals."""
    rng = np.random.default_rng(seed)
    m, p = sys.n_inputs, sys.n_outputs
    U, V = (sl.qr(random_matrix(rng, True, k, k))[0] for k in (p, m))
    for other in (*turned(sys, rng), mor.LTI(sys.A, sys.B @ V, U @ sys.C, U @ sys.D @ V, sys.E, dt=sys.dt)):
        hsv = mor.hankel_singular_values(sys)
        np.testing.assert_allclose(mor.hankel_singular_values(other), hsv, rtol=0, atol=1e-9 * hsv[0])
        np.testing.assert_allclose(mor.h2_norm(proper(other)), mor.h2_norm(proper(sys)), rtol=1e-8)
        np.testing.assert_allclose(mor.hinf_norm(other), mor.hinf_norm(sys), rtol=5e-8)


@pytest.mark.slow
@given(lti_systems(max_order=6), st.integers(0, 99))
@settings(max_examples=25)
def test_a_real_system_in_complex_coordinates(sys, seed):
    other = turned(sys, np.random.default_rng(seed))[seed % 2]
    assert not other.is_real or sys.order == 0
    np.testing.assert_allclose(other.evaluate(POINTS), sys.evaluate(POINTS), rtol=1e-7, atol=1e-8)
    hsv = mor.hankel_singular_values(sys)
    np.testing.assert_allclose(mor.hankel_singular_values(other), hsv, rtol=0, atol=1e-9 * hsv[0])
    np.testing.assert_allclose(mor.hinf_norm(other), mor.hinf_norm(sys), rtol=5e-8)
    for options in ({}, {"horizon": 4}, {"band": BAND}):
        ours, theirs = (float(mor.h2_norm(proper(x), **options)) for x in (other, sys))
        np.testing.assert_allclose(ours, theirs, rtol=1e-7)
    y = mor.simulate(other, np.ones((5, sys.n_inputs)), step=sys.dt or 0.2)
    np.testing.assert_allclose(
        y, mor.simulate(sys, np.ones((5, sys.n_inputs)), step=sys.dt or 0.2), atol=1e-8 * np.max(np.abs(y))
    )


@pytest.mark.slow
@given(lti_systems(max_order=5, is_complex=True, discrete=False), st.floats(0.1, 3))
@settings(max_examples=25)
def test_the_bilinear_map_keeps_values_and_gains(sys, step):
    """Tustin: the axis becomes the circle."""
    inverse = np.linalg.inv(np.eye(sys.order) - sys.A * step / 2)
    A, B, C = (np.eye(sys.order) + sys.A * step / 2) @ inverse, inverse @ sys.B, sys.C @ inverse
    root, D = step**0.5, sys.D + sys.C @ inverse @ sys.B * step / 2
    discrete = mor.LTI(A, root * B, root * C, D, dt=step)
    hsv = mor.hankel_singular_values(sys)
    np.testing.assert_allclose(mor.hankel_singular_values(discrete), hsv, rtol=0, atol=1e-9 * hsv[0])
    np.testing.assert_allclose(mor.hinf_norm(discrete), mor.hinf_norm(sys), rtol=1e-7)


@pytest.mark.slow
@given(systems, st.floats(-np.pi, np.pi))
@settings(max_examples=25)
def test_a_turning_frame_moves_the_peak(sys, speed):
    """All frequencies shift by `speed`: across zero, and on the circle across pi."""
    plain = sys.explicit
    if sys.dt:
        turn = np.exp(1j * speed * sys.dt)
        moved = mor.LTI(turn * plain.A, turn * plain.B, plain.C, plain.D, dt=sys.dt)
    else:
        moved = mor.LTI(plain.A + 1j * speed * np.eye(sys.order), plain.B, plain.C, plain.D)
    before, after = mor.peak_gain(plain), mor.peak_gain(moved)
    np.testing.assert_allclose(after.gain, before.gain, rtol=3e-8)
    assert before.upper <= before.gain * (1 + 1e-7)
    assert after.upper <= after.gain * (1 + 1e-7)
    if np.isfinite(after.omega):
        response = mor.freqresp(moved, float(after.omega))
        np.testing.assert_allclose(np.linalg.norm(response, 2), after.gain, rtol=1e-9)
    if sys.dt:
        assert -np.pi / sys.dt <= after.omega <= np.pi / sys.dt
    np.testing.assert_allclose(mor.hankel_norm(moved), mor.hankel_norm(plain), rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(8))
def test_no_gain_is_above_the_limit(dt, seed):
    """On a dense grid over all frequencies, for lightly damped poles on one side."""
    rng = np.random.default_rng(seed)
    n = 8
    omega = -rng.uniform(0.1, 3, n)
    poles = 0.995 * np.exp(1j * omega) if dt else -0.01 + 1j * omega
    B, C = random_matrix(rng, True, n, 1), random_matrix(rng, True, 1, n)
    sys = mor.LTI(np.diag(poles), B, C, random_matrix(rng, True, 1, 1), dt=dt)
    peak = mor.peak_gain(sys)
    grid = np.concatenate([np.linspace(-np.pi, np.pi, 20001), peak.omega + np.linspace(-1e-3, 1e-3, 201)])
    gains = np.abs(mor.freqresp(sys, grid)[:, 0, 0])
    assert np.max(gains) <= peak.upper
    assert np.max(gains) >= peak.gain * (1 - 1e-6)
    assert peak.omega < 0


def test_an_eigenvalue_on_the_negative_axis_is_seen():
    """At the level 1 of 1/(s + 1 + 5i) the pencil has a double eigenvalue at -5i."""
    one = np.eye(1)
    at, above = (level_pencil((-1 - 5j) * one, one, one, 0 * one, g) for g in (1.0, 1.001))
    assert at.clearance() <= 1 < above.clearance()


@given(systems, st.integers(0, 99))
@settings(max_examples=30)
def test_responses(sys, seed):
    rng = np.random.default_rng(seed)
    m, p, n, h = sys.n_inputs, sys.n_outputs, sys.order, sys.dt or 0.3
    u, x0 = random_matrix(rng, True, 6, m), random_matrix(rng, True, n)
    real = doubled(sys)

    def both(x):
        return np.concatenate([np.real(x), np.imag(x)], axis=-1)

    for hold in ("zero", "first"):
        y = mor.simulate(sys, u, step=h, x0=x0, hold=hold)
        expected = mor.simulate(real, both(u), step=h, x0=both(x0), hold=hold)
        np.testing.assert_allclose(both(y), expected, atol=1e-9 * max(1, np.max(np.abs(expected))))
    for response in (mor.impulse, mor.step):
        t = h * np.arange(5)
        y, expected = response(sys, t), response(real, t)[..., :m]
        scale = max(1, np.max(np.abs(expected)))
        np.testing.assert_allclose(np.real(y), expected[:, :p], atol=1e-9 * scale)
        np.testing.assert_allclose(np.imag(y), expected[:, p:], atol=1e-9 * scale)


def test_simulation_against_the_exponential():
    sys = replace(some(7), D=None)
    A, B, C = sys.A, sys.B, sys.C
    y = mor.simulate(sys, np.ones((4, 2)) * 1j, step=0.5)
    for k in range(4):
        state = np.linalg.solve(A, (sl.expm(A * 0.5 * k) - np.eye(6)) @ B) @ np.full(2, 1j)
        np.testing.assert_allclose(y[k], C @ state, atol=1e-12)
    sampled = sys.discretize(0.5)
    np.testing.assert_allclose(sampled.A, sl.expm(A * 0.5), atol=1e-13)
    np.testing.assert_allclose(sampled.impulse_response(3)[1], C @ sampled.A @ sampled.B, atol=1e-13)


@pytest.mark.slow
@given(systems)
@settings(max_examples=30)
def test_inner_products(sys):
    a = proper(sys)
    b = replace(a, A=a.A * 0.9, C=1j * a.C)
    ab, ba, aa = mor.h2_inner(a, b), mor.h2_inner(b, a), mor.h2_inner(a, a)
    size = float(mor.h2_norm(a))
    scale = size * float(mor.h2_norm(b))
    assert abs(ab - np.conj(ba)) <= 1e-10 * scale
    assert abs(aa - size**2) <= 1e-9 * size**2
    assert abs(mor.h2_inner(replace(a, C=2j * a.C, D=2j * a.D), b) - 2j * ab) <= 1e-9 * scale
    assert abs(mor.h2_inner(b, replace(a, C=2j * a.C, D=2j * a.D)) + 2j * ba) <= 1e-9 * scale
    pole = 0.5 if a.dt else -1.0
    real = mor.LTI([[pole]], np.ones((1, a.n_inputs)), np.ones((a.n_outputs, 1)), dt=a.dt)
    assert np.iscomplexobj(mor.h2_inner(real, a)) or a.is_real
    assert abs(mor.h2_inner(real, a) - np.conj(mor.h2_inner(a, real))) <= 1e-9 * scale + 1e-9 * size


def test_inner_product_is_the_sum_over_impulse_responses():
    a, b = some(1, dt=1.0), some(2, dt=1.0)
    g, h = (mor.impulse(x, 2000) for x in (a, b))
    np.testing.assert_allclose(mor.h2_inner(a, b), np.sum(g * h.conj()), rtol=1e-10)


def test_arithmetic_with_real_systems_and_modes():
    sys, rng = some(4), np.random.default_rng(0)
    real = mor.LTI(-np.eye(2), rng.standard_normal((2, 2)), rng.standard_normal((2, 2)))
    modal = mor.Modal(np.array([-1 + 2j]), np.ones((1, 2)) + 0j, np.ones((2, 1)) + 1j)
    for other in (real, modal, sys):
        for total in (sys + other, other + sys):
            np.testing.assert_allclose(total.evaluate(POINTS), sys.evaluate(POINTS) + other.evaluate(POINTS))
            assert not total.is_real
    np.testing.assert_array_equal((-sys).evaluate(POINTS), -sys.evaluate(POINTS))
    assert float(mor.h2_error(replace(sys, D=None), replace(sys, D=None))) < 1e-9


@pytest.mark.parametrize("name", list("ABCDE"))
def test_one_complex_matrix_makes_all_complex(name):
    data = {x: np.diag([1.0, 2.0]) for x in "BCDE"} | {"A": -np.eye(2)}
    assert mor.LTI(**data).is_real
    for x in "ABCDE":
        assert mor.LTI(**{k: v + 0j for k, v in data.items()}).__dict__[x].dtype == float
    data[name] = data[name] + 0.1j
    sys = mor.LTI(**data)
    assert not sys.is_real
    assert all(getattr(sys, x).dtype == complex for x in "ABCDE")
    assert "complex order 2" in repr(sys)
    assert not replace(sys, labels=mor.Labels(name="x")).is_real


def test_real_systems_stay_real():
    """No result of a real system is complex, but frequency responses and poles."""
    rng = np.random.default_rng(0)
    sys = mor.LTI(random_stable(rng, 6, 1.0), np.ones((6, 2)), rng.standard_normal((2, 6)), np.eye(2), dt=1.0)
    roms = [mor.balanced_truncation(sys, 2), mor.tsia(sys, 2), mor.irka(sys, 2), mor.h2_optimal(sys, 2)]
    arrays = [*sys.factors(), *sys.factors(horizon=3), *sys.gramians(), *mor.gramians(sys, band=BAND)]
    arrays += [mor.hankel_singular_values(sys), mor.h2_inner(sys, sys), mor.step(sys, 3), mor.impulse(sys, 3)]
    arrays += [getattr(rom.system, name) for rom in roms for name in "ABCD"]
    assert not any(np.iscomplexobj(x) for x in arrays)


def test_single_precision_is_noted():
    single = [np.eye(1, dtype=np.complex64) * x for x in (-1 + 1j, 1, 1j)]
    assert mor.to_scipy(tuple(single)).A.dtype == np.complex64
    assert mor.to_scipy(some(0)).A.dtype == np.complex128


@pytest.mark.parametrize("ending", [".npz", ".mat", ".mtx"])
@pytest.mark.parametrize("E", [None, np.eye(6) * (1 + 1j)])
def test_files_keep_every_bit(tmp_path, ending, E):
    sys = replace(some(0, dt=0.1), E=E)
    mor.save(tmp_path / f"sys{ending}", sys)
    again = mor.load(tmp_path / f"sys{ending}")
    for name in "ABCD" if E is None else "ABCDE":
        np.testing.assert_array_equal(getattr(again, name), getattr(sys, name))
    assert again.dt == sys.dt


def test_other_libraries():
    sys = some(0)
    matrices = sys.A, sys.B, sys.C, sys.D
    for there in (mor.to_scipy(sys), scipy.signal.StateSpace(*matrices), matrices):
        back = mor.as_system(there)
        assert all(np.array_equal(getattr(back, name), getattr(sys, name)) for name in "ABCD")
    with pytest.raises(DimensionError, match="imaginary"):
        mor.to_scipy(sys, dtype=float)

    class Model:
        sampling_time = 0.0

        def to_matrices(self):
            return sys.A, sys.B, sys.C, None, None

    np.testing.assert_array_equal(mor.as_system(Model()).A, sys.A)


def test_python_control_would_drop_imaginary_parts():
    pytest.importorskip("control")
    with pytest.raises(DimensionError, match="imaginary"):
        mor.to_control(some(0))
    assert mor.to_control(mor.LTI([[-1 + 0j]], [[1.0]], [[1.0]])).A.dtype == float


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_gradient_of_the_nuclear_norm(dt):
    sys = some(3, n=4, dt=dt)
    value, slopes = nuclear_norm_gradient(sys)
    np.testing.assert_allclose(value, np.sum(mor.hankel_singular_values(sys)), rtol=1e-12)
    rng = np.random.default_rng(1)
    for name, slope in slopes.items():
        step = 1e-6 * random_matrix(rng, True, *slope.shape)
        sides = [replace(sys, **{name: getattr(sys, name) + sign * step}) for sign in (1, -1)]
        difference = (mor.hankel_nuclear_norm(sides[0]) - mor.hankel_nuclear_norm(sides[1])) / 2
        np.testing.assert_allclose(np.real(np.vdot(slope, step)), difference, rtol=1e-5)


@pytest.mark.slow
def test_equations_take_any_mixture():
    rng = np.random.default_rng(0)
    for kinds in np.ndindex(2, 2, 2, 2):
        a, b, q, e = map(bool, kinds)
        A, B, Q = random_stable(rng, 5, 0.0, a), random_stable(rng, 4, 0.0, b), random_matrix(rng, q, 5, 4)
        E = np.eye(5) + 0.1 * random_matrix(rng, e, 5, 5)
        X = mor.solve_sylvester(A, B, Q)
        assert np.linalg.norm(A @ X + X @ B + Q) < 1e-11 * np.linalg.norm(X)
        X = mor.solve_sylvester(A / 9, B / 9, Q, dt=1.0)
        assert np.linalg.norm(A @ X @ B / 81 - X + Q) < 1e-11 * np.linalg.norm(X)
        for dt in (0.0, 1.0):
            F, W = (A / 9 if dt else A), random_matrix(rng, q, 5, 5)
            assert lyapunov_residual(E @ F, mor.solve_lyapunov(E @ F, W, E, dt=dt), W, E, dt) < 1e-13
            for horizon in (None, 3):
                Z, E_F = mor.lyapunov_factor(E @ F, Q, E, dt=dt, horizon=horizon), np.linalg.solve(E, Q)
                expected = mor.gramians(mor.LTI(F, E_F, E_F.conj().T, dt=dt), horizon=horizon)[0]
                np.testing.assert_allclose(Z @ Z.conj().T, expected, atol=1e-11 * np.linalg.norm(expected))


def test_bad_input():
    one = np.eye(1)
    with pytest.raises(NotFiniteError, match="B has 1"):
        mor.LTI(-one, one * complex(0, np.nan), one)
    with pytest.raises(DimensionError, match="A has shape"):
        mor.LTI(1j * np.ones((2, 3)), np.ones((2, 1)), np.ones((1, 2)))
    with pytest.raises(UnstableSystemError, match=r"pole 0 is 0\.5\+3j"):
        mor.hankel_singular_values(((0.5 + 3j) * one, one, one))
    with pytest.raises(UnstableSystemError, match="boundary"):
        mor.peak_gain((2j * one, one, one))
    for convert in (mor.Modal.from_lti, lambda sys: mor.BlockDiagonal(sys.A[None], sys.B, sys.C)):
        with pytest.raises((ReductionError, DimensionError), match=r"complex|real"):
            convert(some(0))
    with pytest.raises(ReductionError, match="defective"):
        mor.modal_truncation((np.array([[-1j - 1, 1], [0, -1j - 1]]), np.ones((2, 1)), np.ones((1, 2))), 1)


def test_corners():
    empty = mor.LTI(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), [[3j]], dt=1.0)
    assert mor.hankel_singular_values(empty).shape == (0,)
    assert float(mor.h2_norm(empty)) == float(mor.hinf_norm(empty)) == 3.0
    still = mor.LTI([[-1j - 1]], [[0.0]], [[1.0]])
    assert float(mor.hinf_norm(still)) == float(mor.h2_norm(still)) == 0.0
    assert mor.balanced_truncation(still).order == 0
    # The pencil is complex, the system is not: its explicit form is real.
    same = mor.LTI([[-1j]], [[1j]], [[1.0]], None, [[1j]])
    np.testing.assert_allclose(mor.hankel_singular_values(same), [0.5])
    assert float(mor.hinf_norm(same)) == 1.0


def test_plots_show_both_signs():
    pytest.importorskip("matplotlib")
    from mor.report import plot_sigma

    sys = some(0, m=1, p=1)
    lines = plot_sigma(sys).lines
    assert [line.get_linestyle() for line in lines] == ["-", "--"]
    omega = lines[1].get_xdata()
    np.testing.assert_allclose(lines[1].get_ydata(), np.abs(mor.freqresp(sys, -omega)[:, 0, 0]), rtol=1e-9)


def test_error_between_a_real_and_a_complex_system_with_known_schur_forms():
    rng = np.random.default_rng(5)
    full = mor.LTI(random_stable(rng, 8, 0.0), rng.standard_normal((8, 2)), rng.standard_normal((1, 8)))
    A = random_stable(rng, 3, 0.0, is_complex=True)
    rom = mor.LTI(A, random_matrix(rng, True, 3, 2), random_matrix(rng, True, 1, 3))
    difference = full - rom
    expected = mor.h2_norm(mor.LTI(difference.A, difference.B, difference.C))
    assert full.schur.pencil.T.dtype == float
    assert np.any(np.diag(full.schur.pencil.T, -1))  # 2 x 2 blocks, which a complex form has not
    for first, second in ((full, rom), (rom, full)):
        np.testing.assert_allclose(mor.h2_error(first, second), expected, rtol=1e-12)
