"""Gramian factors: residuals, semidefinite cases, tiny singular values, one shared Schur form."""

import itertools

import mpmath
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given
from hypothesis import strategies as st

import mor
from mor.equations import hammarling
from mor.equations.graded import graded_svd
from mor.equations.schur import SchurForm
from mor.errors import (
    DimensionError,
    NotFiniteError,
    SingularEquationError,
    TimeStepError,
    UnstableSystemError,
)
from mor.testing import system_with_hsv
from tests.oracles.dense import (
    dense_gramian,
    lyapunov_residual,
    random_matrix,
    random_pencil,
    random_stable,
)

# Backward stable: Schur forms and products leave a few eps times a slow function of n.
RESIDUAL = 2e-14

CASES = list(
    itertools.product(
        [0.0, 1.0], [False, True], ["none", "well", "complex", "ill"], [False, True], [False, True]
    )
)


def residual(A, Z, B, E, dt, trans):
    if trans:
        A, B, E = A.conj().T, B.conj().T, None if E is None else E.conj().T
    return lyapunov_residual(A, Z @ Z.conj().T, B @ B.conj().T, E, dt)


@pytest.mark.slow
@pytest.mark.parametrize(("dt", "complex_A", "E", "complex_B", "trans"), CASES)
def test_residuals(dt, complex_A, E, complex_B, trans):
    for n, m in [(1, 1), (2, 1), (3, 5), (33, 2), (70, 40), (40, 90)]:
        rng = np.random.default_rng(n)
        E_ = random_pencil(rng, n, E)
        A = random_stable(rng, n, dt, complex_A)
        A = A if E_ is None else E_ @ A
        B = random_matrix(rng, complex_B, *((m, n) if trans else (n, m)))
        Z = mor.lyapunov_factor(A, B, E_, dt=dt, trans=trans)
        assert Z.shape == (n, n)
        assert np.iscomplexobj(Z) == (complex_A or complex_B or E == "complex")
        assert residual(A, Z, B, E_, dt, trans) < RESIDUAL


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("is_complex", [False, True])
def test_semidefinite_gramians(dt, is_complex):
    """Unreachable states at the end, in the middle and hidden by a rotation; B of rank one; zero B."""
    for n in (2, 5, 40, 70):
        rng = np.random.default_rng(n)
        r = n // 2
        A = random_stable(rng, n, dt, is_complex)
        A[r:, :r] = 0
        B = np.vstack([random_matrix(rng, is_complex, r, 1), np.zeros((n - r, 1))]) @ np.ones((1, 3))
        A = (
            A
            if dt == 0 or np.max(np.abs(np.linalg.eigvals(A))) < 0.98
            else A / (1.1 * np.max(np.abs(np.linalg.eigvals(A))))
        )
        A = A if dt else A - max(0.0, np.max(np.linalg.eigvals(A).real) + 0.1) * np.eye(n)
        U = scipy.linalg.qr(random_matrix(rng, is_complex, n, n))[0]
        for K in (np.eye(n), np.eye(n)[::-1], U):
            Ak, Bk = K @ A @ K.conj().T, K @ B
            Z = mor.lyapunov_factor(Ak, Bk, dt=dt)
            assert residual(Ak, Z, Bk, None, dt, False) < RESIDUAL
            # What cannot be reached holds round-off only, in the factor and not its square root.
            hidden = (K.conj().T @ Z)[r:]
            assert np.linalg.norm(hidden) < 1e-12 * np.linalg.norm(Z)
        assert not np.any(mor.lyapunov_factor(A, 0 * B, dt=dt))
        assert mor.lyapunov_factor(A, B[:, :0], dt=dt).shape == (n, 0)


@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0]), st.integers(0, 5))
def test_hard_matrices(seed, dt, kind):
    """Jordan blocks, graded and stretched matrices, repeated poles, next to the boundary; graded B."""
    rng = np.random.default_rng(seed)
    n = 2 * int(rng.integers(1, 7))
    A = rng.standard_normal((n, n))
    grade = 10 ** rng.uniform(-4, 4, n)
    A = [
        np.diag(grade[1:], 1),
        A * grade,
        A * grade[:, None] / grade,
        np.triu(10 * A, 1) + np.diag(rng.choice([-1.0, -2.0, 0.3], n)),
        A - A.T,
        np.kron(np.eye(n // 2), np.array([[0, 1e6], [-1e-6, 0]])),
    ][kind]
    values, margin = np.linalg.eigvals(A), 10 ** rng.uniform(-6, 0)
    if dt:
        A = A * (1 - margin) / max(np.max(np.abs(values)), 1e-3)
    else:
        A = A - (np.max(values.real) + margin) * np.eye(n)
    B = rng.standard_normal((n, 2)) * 10 ** rng.uniform(-6, 6, (n, 1)) * (rng.random((n, 1)) < 0.7)
    try:
        Z = mor.lyapunov_factor(A, B, dt=dt)
    except UnstableSystemError:
        # Poles in stretched coordinates are known to less than the margin.
        assert kind == 2
        return
    assert residual(A, Z, B, None, dt, False) < RESIDUAL


@pytest.mark.parametrize("quick", [False, True])
def test_a_pair_of_poles_in_closed_form_to_the_last_digits(quick):
    """Against 60 digits: stretched blocks, poles next to the boundary and to each other, parallel rows."""
    mpmath.mp.dps = 60
    rng = np.random.default_rng(0)
    for draw in range(300):
        dt = 0.0 if quick else float(draw % 2)
        w, stretch = 10 ** rng.uniform(-7, 0), 10 ** rng.uniform(-8, 8)
        a = -(10 ** rng.uniform(-8, 0))
        if dt:
            a, w = (1 - 10 ** rng.uniform(-8, -0.1)) * np.array([np.cos(w), np.sin(w)])
        T = np.array([[a, w * stretch], [-w / stretch, a]])[:: (-1) ** (draw // 2), :: (-1) ** (draw // 2)]
        b = rng.standard_normal((2, int(rng.integers(1, 4)))) * 10 ** rng.uniform(-8, 8, (2, 1))
        if draw % 5 == 0:
            b[1] = b[0]
        U, M, W = hammarling._continuous_pair(T, b) if quick else hammarling._pair(T, b, dt)
        identity = M @ M.T + W @ W.T - np.eye(2) if dt else M + M.T + W @ W.T
        assert np.linalg.norm(identity) < 1e-14 * max(np.linalg.norm(M), dt)
        t, g, eye = mpmath.matrix(T.tolist()), mpmath.matrix(b.tolist()), mpmath.eye(2)
        g = g * g.T
        operator = mpmath.matrix(4)
        for i, j, k, l in itertools.product(range(2), repeat=4):  # noqa: E741
            operator[2 * i + j, 2 * k + l] = (
                eye[i, k] * eye[j, l] - t[i, k] * t[j, l]
                if dt
                else -t[i, k] * eye[j, l] - eye[i, k] * t[j, l]
            )
        x = mpmath.lu_solve(operator, mpmath.matrix([g[0, 0], g[0, 1], g[1, 0], g[1, 1]]))
        exact = np.array([[x[0], x[1]], [x[2], x[3]]])
        u = mpmath.matrix(U.tolist())
        ours = u * u.T
        # The Gramian's own condition in T: round-off over the relative distance to the boundary,
        # and to the other pole.
        doubt = 1e-15 / min((1 - np.hypot(a, w)) if dt else -a / np.hypot(a, w), 1) + 1e-15 / min(
            w / abs(a), 1
        )
        for i, j in itertools.product(range(2), repeat=2):
            size = mpmath.sqrt(exact[i, i] * exact[j, j])
            assert abs(ours[i, j] - exact[i, j]) < 20 * doubt * size


@pytest.mark.parametrize("size", [1e-150, 1e-100, 1e-12, 1e12, 1e20, 1e100, 1e150])
@pytest.mark.parametrize("n", [2, 5, 40])
def test_the_size_of_A_is_a_unit_of_time(n, size):
    """Scaled by 1e20 a factor once lost every digit: 2 x 2 blocks had an absolute floor."""
    rng = np.random.default_rng(n)
    A, B = random_stable(rng, n, 0.0), rng.standard_normal((n, 2))
    A[:2, :2] = [[-1.0, 3.0], [-2.0, -1.0]]
    A[2:, :2] = 0
    A[2:, 2:] -= max(0.0, np.max(np.real(np.linalg.eigvals(A[2:, 2:])), initial=-1.0) + 0.1) * np.eye(n - 2)
    Z, scaled = mor.lyapunov_factor(A, B), size**0.5 * mor.lyapunov_factor(size * A, B)
    np.testing.assert_allclose(scaled @ scaled.T, Z @ Z.T, rtol=0, atol=1e-11 * np.sum(Z**2))
    X = mor.solve_lyapunov(size * A, B @ B.T) * size
    np.testing.assert_allclose(X, Z @ Z.T, rtol=0, atol=1e-11 * np.sum(Z**2))


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("kind", ["well", "ill"])
@pytest.mark.parametrize("size", [1e-100, 1e-30, 1e-16, 1e16, 1e100])
def test_the_size_of_a_pencil_cancels(kind, dt, size):
    rng = np.random.default_rng(3)
    E, F, B = random_pencil(rng, 9, kind), random_stable(rng, 9, dt), rng.standard_normal((9, 2))
    Z, scaled = (
        mor.lyapunov_factor(E @ F, B, E, dt=dt),
        mor.lyapunov_factor(size * E @ F, size * B, size * E, dt=dt),
    )
    # E of condition 1e7 enters squared.
    atol = (1e-12 if kind == "well" else 1e-7) * np.sum(Z**2)
    np.testing.assert_allclose(scaled @ scaled.T, Z @ Z.T, rtol=0, atol=atol)
    X = mor.solve_lyapunov(size * E @ F, B @ B.T, size * E, dt=dt) * size * size
    np.testing.assert_allclose(X, Z @ Z.T, rtol=0, atol=atol)


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("gap", [1e-8, 1e-12, 1e-15])
@pytest.mark.parametrize("n", [1, 2, 5, 40])
def test_poles_next_to_the_boundary(n, gap, dt):
    """Residuals stay at round-off; a pole that round-off carries across is a typed error."""
    rng = np.random.default_rng(n)
    U = scipy.linalg.qr(rng.standard_normal((n, n)))[0]
    poles = rng.uniform(0.1, 0.9, n)
    poles[-1] = 1 - gap
    poles = poles if dt else poles - 1
    A, B = U @ np.diag(poles) @ U.T, rng.standard_normal((n, 1))
    try:
        Z = mor.lyapunov_factor(A, B, dt=dt)
    except UnstableSystemError:
        assert gap < 1e-13
        return
    assert residual(A, Z, B, None, dt, False) < RESIDUAL


def draws(n, power, rotated):
    for seed in range(30):
        rng = np.random.default_rng(seed)
        hsv = np.geomspace(1, 1e-11, n)
        b = rng.uniform(0.5, 2, n) * rng.choice([-1, 1], n) * hsv**power
        sys = system_with_hsv(hsv, b, rng.choice([-1.0, 1.0], n))
        K = scipy.linalg.qr(rng.standard_normal((n, n)))[0] if rotated else np.eye(n)
        yield hsv, mor.LTI(K.T @ sys.A @ K, K.T @ sys.B, sys.C @ K)


@pytest.mark.slow
@pytest.mark.parametrize(("power", "rotated"), [(0, True), (0.5, True), (0.5, False)])
@pytest.mark.parametrize("n", [8, 30])
def test_hankel_singular_values_over_eleven_decades(n, power, rotated):
    """Median of the worst relative error: at most twice Slycot's, a hundredth of formed Gramians'."""
    slycot = pytest.importorskip("slycot")
    ours, peer, formed = [], [], []
    for hsv, sys in draws(n, power, rotated):
        A, B, C = sys.A, sys.B, sys.C

        def worst(values, hsv=hsv):
            return np.max(np.abs(np.sort(values)[::-1] - hsv) / hsv)

        ours.append(worst(mor.hankel_singular_values(sys)))
        peer.append(worst(slycot.ab09ad("C", "N", "N", n, 1, 1, A.copy(), B.copy(), C.copy(), nr=1)[4]))
        P, Q = mor.solve_lyapunov(A, B @ B.T), mor.solve_lyapunov(A.T, C.T @ C)
        formed.append(worst(np.sqrt(np.abs(np.linalg.eigvals(P @ Q)))))
    assert np.median(ours) <= 2 * np.median(peer)
    assert np.median(ours) <= np.median(formed) / 100


@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0]), st.sampled_from(["none", "well", "ill"]))
def test_both_factors_share_one_form(seed, dt, E):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    E_ = random_pencil(rng, n, E)
    F = random_stable(rng, n, dt)
    A, G = (F, np.eye(n)) if E_ is None else (E_ @ F, E_)
    B, C = rng.standard_normal((n, 2)), rng.standard_normal((3, n))
    form = SchurForm.of(A, E_, dt)
    Zc, Zo = form.controllability_factor(B), form.observability_factor(C)
    np.testing.assert_allclose(
        Zc @ Zc.T, mor.solve_lyapunov(A, B @ B.T, E_, dt=dt), rtol=0, atol=1e-9 * np.sum(Zc**2)
    )
    # Zo is that of E^{-1} A: E^T X E in the generalised equation.
    X = mor.lyapunov_factor(A, C, E_, dt=dt, trans=True)
    np.testing.assert_allclose(Zo @ Zo.T, G.T @ X @ X.T @ G, rtol=0, atol=1e-7 * np.sum(Zo**2))
    # Trace duality: <C^T C, P> = <B B^T, Q>.
    P, Q = Zc @ Zc.T, X @ X.T
    np.testing.assert_allclose(np.sum((C @ P) * C), np.sum((B.T @ Q) * B.T), rtol=1e-6)
    np.testing.assert_allclose(np.sort_complex(form.poles), np.sort_complex(np.linalg.eigvals(F)), atol=1e-6)


@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0]))
def test_scaling_and_time(seed, dt):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    A, B = random_stable(rng, n, dt), rng.standard_normal((n, 2))
    Z = mor.lyapunov_factor(A, B, dt=dt)
    for scale in (1e-170, 1e150):
        # Unitary column changes apart, a factor scales as B does.
        scaled = mor.lyapunov_factor(A, scale * B, dt=dt) / scale
        np.testing.assert_allclose(scaled @ scaled.T, Z @ Z.T, atol=1e-10 * np.sum(Z**2))
    if not dt:
        slow = mor.lyapunov_factor(1e-9 * A, B)
        np.testing.assert_allclose(1e-9 * slow @ slow.T, Z @ Z.T, atol=1e-9 * np.sum(Z**2))
    rotated = scipy.linalg.qr(rng.standard_normal((2, 2)))[0]
    again = mor.lyapunov_factor(A, B @ rotated, dt=dt)
    np.testing.assert_allclose(again @ again.T, Z @ Z.T, atol=1e-10 * np.sum(Z**2))


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_finite_horizons(dt):
    rng = np.random.default_rng(0)
    A, B, C = 1.2 * random_stable(rng, 6, dt), rng.standard_normal((6, 2)), rng.standard_normal((3, 6))
    A = A + (0.3 if dt else 1.0) * np.eye(6)
    Z = mor.lyapunov_factor(A, B, dt=dt, horizon=5)
    np.testing.assert_allclose(Z @ Z.T, dense_gramian(A, B, dt, 5), rtol=1e-9)
    Z = mor.lyapunov_factor(A, C, dt=dt, trans=True, horizon=5)
    np.testing.assert_allclose(Z @ Z.T, dense_gramian(A.T, C.T, dt, 5), rtol=1e-9)
    E = random_pencil(rng, 6, "well")
    Z = mor.lyapunov_factor(E @ A, E @ B, E, dt=dt, horizon=5)
    np.testing.assert_allclose(Z @ Z.T, dense_gramian(A, B, dt, 5), rtol=1e-8)
    Z = E.T @ mor.lyapunov_factor(E @ A, C, E, dt=dt, trans=True, horizon=5)
    np.testing.assert_allclose(Z @ Z.T, dense_gramian(A.T, C.T, dt, 5), rtol=1e-8)


def test_a_generalised_system_is_reduced_as_its_explicit_form():
    rng = np.random.default_rng(1)
    for kind in ("well", "ill"):
        E, F = random_pencil(rng, 12, kind), random_stable(rng, 12, 0.0)
        B, C = rng.standard_normal((12, 1)), rng.standard_normal((2, 12))
        with_E, plain = mor.LTI(E @ F, E @ B, C, E=E), mor.LTI(F, B, C)
        hsv = mor.hankel_singular_values(plain)
        # Data with E of condition 1e7 carry the plain ones to nine digits.
        atol = (1e-12 if kind == "well" else 1e-7) * hsv[0]
        np.testing.assert_allclose(mor.hankel_singular_values(with_E), hsv, atol=atol)
        a, b = (mor.balanced_truncation(sys, order=5) for sys in (with_E, plain))
        points = np.array([0.0, 1j, 3j])
        np.testing.assert_allclose(a.system.evaluate(points), b.system.evaluate(points), atol=100 * atol)


@pytest.mark.parametrize("n", [0, 1, 5, 100, 150, 300])
@pytest.mark.parametrize("decay", [1.0, 1e-60])
def test_singular_values_of_graded_matrices(n, decay):
    rng = np.random.default_rng(n)
    grade = np.geomspace(1, decay, max(n, 1))[:n] ** 0.5
    M = rng.permutation(grade)[:, None] * rng.standard_normal((n, n)) * rng.permutation(grade)
    U, s, Vt = graded_svd(M)
    assert np.all(np.diff(s) <= 0)
    for basis in (U, Vt.T):
        np.testing.assert_allclose(basis.T @ basis, np.eye(len(s)), atol=1e-12)
    np.testing.assert_allclose((U * s) @ Vt, M, atol=1e-13 * np.linalg.norm(M))


def test_unstable_singular_and_bad_input():
    eye, column = np.eye(2), np.ones((2, 1))
    with pytest.raises(UnstableSystemError, match="pole 1 is 3"):
        mor.lyapunov_factor(np.diag([-1.0, 3.0]), column)
    with pytest.raises(UnstableSystemError, match="modulus 1 >= 1"):
        mor.lyapunov_factor(np.diag([0.5, 1.0]), column, dt=1.0)
    with pytest.raises(UnstableSystemError):
        mor.lyapunov_factor([[0.0, 1.0], [-1.0, 0.0]], column)
    for horizon in (None, 3.0):
        with pytest.raises(SingularEquationError, match="E is singular"):
            mor.lyapunov_factor(-eye, column, np.diag([1.0, 0.0]), horizon=horizon)
    for args in [
        (np.ones((2, 3)), column),
        (-eye, np.ones((3, 1))),
        (-eye, column, np.ones((3, 3))),
        (-eye, [1, 2]),
    ]:
        with pytest.raises(DimensionError):
            mor.lyapunov_factor(*args)
    with pytest.raises(DimensionError, match="C has shape"):
        mor.lyapunov_factor(-eye, column, trans=True)
    with pytest.raises(NotFiniteError, match="C has 1 entries"):
        mor.lyapunov_factor(-eye, [[np.nan, 1.0]], trans=True)
    with pytest.raises(TimeStepError):
        mor.lyapunov_factor(-eye, column, dt=1.0, horizon=2.5)


def test_empty_and_precision():
    for dt in (0.0, 1.0):
        assert mor.lyapunov_factor(np.zeros((0, 0)), np.zeros((0, 2)), dt=dt).shape == (0, 0)
    A, B = -np.eye(3, dtype=np.float32), np.ones((3, 1), np.float32)
    assert mor.lyapunov_factor(A, B).dtype == np.float32
    assert mor.lyapunov_factor(A, B.astype(np.complex64)).dtype == np.complex64
    assert mor.lyapunov_factor(A, B.astype(float)).dtype == np.float64
    np.testing.assert_allclose(mor.lyapunov_factor([[-2]], [[2]]), [[1.0]])


@pytest.mark.parametrize("size", [1e-95, 1e-160])
@pytest.mark.parametrize("unit", [1e-170, 1e130])
@pytest.mark.parametrize("ratio", [1e-3, 1.0, 1e6])
def test_a_pair_in_closed_form_does_not_see_the_scales(ratio, size, unit):
    """Deflated rows of B are as small as that; the formulas are homogeneous, so the rest is round-off."""
    T, b = np.array([[-1.0, 2 * ratio], [-ratio / 2, -1.0]]), np.random.default_rng(0).standard_normal((2, 3))
    expected = hammarling._continuous_pair(T, b)[0]
    U, M, W = hammarling._continuous_pair(unit * T, size * b)
    U, M, W = U / size * unit**0.5, M / unit, W / unit**0.5
    # The factor is free up to a rotation; the state is that of the factor.
    np.testing.assert_allclose(U @ U.T, expected @ expected.T, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(U @ W, b, rtol=1e-13, atol=1e-13)
    np.testing.assert_allclose(U @ M, T @ U, rtol=1e-13, atol=1e-13 * max(ratio, 1))
