"""Published and prescribed answers: norms, Hankel singular values, solutions of equations."""

import itertools

import mpmath
import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st

import mor
from mor.testing import (
    generalised_lyapunov_example,
    lyapunov_example,
    penzl_fom,
    system_with_hsv,
    two_area_power_system,
)
from tests.oracles.dense import tustin

SLICOT = [2.5138793674, 2.0845625238, 1.9177953484, 0.7666414981, 0.5472854224, 0.0252661410, 0.0245823948]
PENZL = [
    50.050956, 49.995136, 49.992429, 49.970264, 49.967973, 49.947734, 2.188800, 0.956800, 0.340306, 0.111374,
]  # fmt: skip

#: ``A, B`` and X of SLICOT's example programs, to the digits printed there; B as a row.
BB03AD = (
    [
        [-3.6360, -0.6921, -1.1933, -0.8137, 0.3507],
        [0.1406, -2.9375, 0.9063, 0.1562, 0.3438],
        [-2.5735, -1.4421, -2.8183, -1.1887, 1.2257],
        [-0.3779, 0.0810, 0.5544, -1.5891, 0.0660],
        [0.8961, 1.1586, 1.6279, 0.5631, -2.2066],
    ],
    [-3.6914, -3.9753, -0.0247, -1.9012, 1.1111],
    [
        [1.7737, 1.9307, -0.0703, 1.0497, -0.4681],
        [1.9307, 2.1036, -0.0752, 1.1489, -0.5069],
        [-0.0703, -0.0752, 0.0076, -0.0428, 0.0178],
        [1.0497, 1.1489, -0.0428, 0.6509, -0.2651],
        [-0.4681, -0.5069, 0.0178, -0.2651, 0.1284],
    ],
)
BB04AD = (
    [
        [0.4562, 0.0308, 0.1990, 0.0861, 0.0217],
        [0.0637, 0.5142, -0.1828, 0.0096, -0.1148],
        [0.3139, 0.1287, 0.3484, 0.1653, -0.1975],
        [0.1500, 0.0053, -0.1838, 0.2501, -0.0687],
        [0.0568, -0.1006, -0.3735, -0.0202, 0.2285],
    ],
    [0.3086, 0.0247, -0.4691, 0.1728, -0.3704],
    [
        [0.0953, 0.0076, -0.1448, 0.0533, -0.1143],
        [0.0076, 0.0006, -0.0116, 0.0043, -0.0091],
        [-0.1448, -0.0116, 0.2201, -0.0811, 0.1738],
        [0.0533, 0.0043, -0.0811, 0.0299, -0.0640],
        [-0.1143, -0.0091, 0.1738, -0.0640, 0.1372],
    ],
)


def test_slicot_example():
    """Ten printed decimals, for the system as given, as modes, and in discrete time."""
    sys = two_area_power_system()
    for form in (sys, mor.Modal.from_lti(sys), tustin(sys)):
        hsv = mor.hankel_singular_values(form)
        np.testing.assert_allclose(hsv[:7], SLICOT, rtol=0, atol=5.1e-11)
        # A modal form has a zero for each real mode.
        assert np.all(hsv[7:] < 1e-13)
    for form in (sys, mor.Modal.from_lti(sys)):
        np.testing.assert_allclose(mor.h2_norm(form), 3.8473545274, rtol=0, atol=5.1e-11)


@pytest.mark.slow
def test_penzl_model():
    """Both ways to its order of 1006: by its modes, and by dense equations."""
    sys = penzl_fom()
    modal = mor.Modal.from_lti(sys)
    np.testing.assert_allclose(mor.hankel_singular_values(modal)[:10], PENZL, rtol=0, atol=5.1e-7)
    np.testing.assert_allclose(mor.h2_norm(modal), 182.6611748664, rtol=1e-12)
    np.testing.assert_allclose(mor.balanced_truncation(sys, order=10).hsv[:10], PENZL, rtol=0, atol=5.1e-7)
    # Solving for the Gramian costs three digits against its closed form.
    np.testing.assert_allclose(
        np.linalg.norm(sys.C @ sys.controllability_factor()), 182.6611748664, rtol=1e-11
    )


@given(st.integers(0, 10**6), st.sampled_from([0.0, 1.0]))
def test_prescribed_values(seed, dt):
    """In discrete time those of the bilinear image, whose Gramians are the same."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    # Apart by a fifth at least: entries of A grow as signs differ and values come close.
    hsv = 10.0 ** -np.cumsum(rng.uniform(0.1, 0.7, n))
    b = rng.uniform(0.5, 2, n) * rng.choice([-1, 1], n) * hsv ** rng.choice([0, 0.5])
    sys = system_with_hsv(hsv, b, rng.choice([-1, 1], n))
    sys = tustin(sys) if dt else sys
    # Rounding A to double, and the map, move the values by a condition that grows with their spread.
    np.testing.assert_allclose(mor.hankel_singular_values(sys), hsv, rtol=1e-6)
    for X in mor.gramians(sys):
        np.testing.assert_allclose(X, np.diag(hsv), rtol=0, atol=1e-6 * hsv[0])


@pytest.mark.parametrize(("dt", "printed"), [(0.0, BB03AD), (1.0, BB04AD)])
def test_equations_of_slicots_example_programs(dt, printed):
    A, B, X = lyapunov_example(5, 1.5, 1.5, dt=dt)
    # SLICOT's equation is that of the transposed A.
    for ours, theirs in zip((A.T, B[:, 0], X), printed, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=5.1e-5)
    np.testing.assert_allclose(mor.solve_lyapunov(A, B @ B.T, dt=dt), X, atol=1e-13)
    Z = mor.lyapunov_factor(A, B, dt=dt)
    np.testing.assert_allclose(Z @ Z.T, X, atol=1e-13)


def exact_lyapunov_example(n, r, s, dt, weights):
    """``(A, B, X)`` in the working precision of mpmath."""
    mp, at = mpmath, range(n)
    turn, alternate = (
        mp.matrix([[(i == j) - sign ** (i + j) * mp.mpf(2) / n for j in at] for i in at]) for sign in (1, -1)
    )
    poles = [(mp.mpf(r) ** i - 1) / (mp.mpf(r) ** i + 1) if dt else -(mp.mpf(r) ** i) for i in at]
    scale = mp.diag([mp.mpf(s) ** i for i in at])
    K, inverse = alternate * scale**-1 * turn, turn * scale * alternate
    gaps = [[1 - x * y if dt else -(x + y) for y in poles] for x in poles]
    X = mp.matrix([[weights[i] * weights[j] / gaps[i][j] for j in at] for i in at])
    return K * mp.diag(poles) * inverse, K * mp.matrix(weights), K * X * K.T


EXAMPLES = [(5, 1.5, 1.5), (10, 1.1, 1.1), (10, 3, 3), (20, 1.5, 2), (20, 2, 1.5)]


@pytest.mark.parametrize(("dt", "example"), list(itertools.product([0.0, 1.0], EXAMPLES[:3])))
def test_the_examples_themselves_in_fifty_digits(dt, example):
    n = example[0]
    weights = [int(i == 0) for i in range(n)] if dt else list(range(1, n + 1))
    with mpmath.workdps(50):
        A, B, X = exact_lyapunov_example(*example, dt, weights)
        residual = A * X * A.T - X if dt else A * X + X * A.T
        assert mpmath.norm(residual + B * B.T) < 1e-40 * mpmath.norm(A) ** 2 * mpmath.norm(X)
        for ours, exact in zip(lyapunov_example(*example, dt=dt), (A, B, X), strict=True):
            difference = mpmath.matrix(ours.tolist()) - exact
            assert mpmath.norm(difference) < 1e-13 * mpmath.norm(exact)


def error(X, expected):
    return np.linalg.norm(X - expected) / np.linalg.norm(expected)


@pytest.mark.parametrize(("dt", "example"), list(itertools.product([0.0, 1.0], EXAMPLES)))
def test_forward_errors_are_those_of_slicot(dt, example):
    """Also of the factors; the discrete example excited in every state, which is the harder one."""
    slycot = pytest.importorskip("slycot")
    n = example[0]
    A, B, X = lyapunov_example(*example, dt=dt, weights=np.arange(1.0, n + 1))
    kind = "D" if dt else "C"
    peer = slycot.sb03md57(A.T.copy(), C=-B @ B.T, dico=kind)[2]
    ours = error(mor.solve_lyapunov(A, B @ B.T, dt=dt), X)
    # B B^T alone holds round-off; at r = s = 3 the condition of the equation reaches 1e10.
    assert ours < 10 * error(peer, X) + 1e-14
    assert ours < 1e-4
    U, scale = slycot.sb03od(n, 1, A.T.copy(), np.zeros((n, n)), _padded(B.T, n), kind)[:2]
    Z = mor.lyapunov_factor(A, B, dt=dt)
    assert error(Z @ Z.T, X) < 10 * error(U.T @ U / scale**2, X) + 1e-14


def _padded(B, n):
    """The rows that SB03OD overwrites by its factor."""
    return np.vstack([B, np.zeros((n - len(B), n))])


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("t", [0, 5, 10])
def test_generalised_example(dt, t):
    slycot = pytest.importorskip("slycot")
    n = 10
    A, E, Q, X = generalised_lyapunov_example(n, t, dt=dt)
    R = A @ X @ A.T - E @ X @ E.T + Q if dt else A @ X @ E.T + E @ X @ A.T + Q
    # Whole numbers and small powers of two: the data are exact.
    np.testing.assert_array_equal(R, 0)
    zeros = np.zeros((n, n))
    arguments = A.copy(), E.copy(), zeros, zeros.copy(), -Q
    # Its default workspace is too small.
    solved = slycot.sg03ad("D" if dt else "C", "X", "N", "T", "L", n, *arguments, ldwork=2 * n * n)
    ours, theirs = error(mor.solve_lyapunov(A, Q, E, dt=dt), X), error(solved[4] / solved[5], X)
    # The smallest |lambda_i + lambda_j| is about 2^-t, and the solution's condition its inverse squared.
    assert ours < 1e-12 * 4.0**t
    assert ours < 10 * theirs + 1e-14


def test_generalised_examples_have_the_published_right_hand_sides():
    """SLICOT's formulas for Y = -Q, entry by entry, from its BB03AD and BB04AD."""
    n, t = 7, 4
    small, i, j = 2.0**-t, np.arange(1.0, n + 1)[:, None], np.arange(1.0, n + 1)
    Q = generalised_lyapunov_example(n, t, dt=1.0)[2]
    Y = small**2 * (1 - (n - i) * (n - j)) + small * (3 * (i + j) - 2 * (n + 1)) + 4 * i * j - 2 * (i + j)
    np.testing.assert_array_equal(-Q, Y)
    Q = generalised_lyapunov_example(n, t)[2]
    Y = 2 * small + 2 * (n - 1) * small**2 + (i - 1) * (2 * (n - 1) * small + 2 - small**2)
    Y = Y + (j - 1) * (2 * (n + 1) * small + 2 - small**2 - 4 * i * small)
    np.testing.assert_array_equal(-Q, Y)


@pytest.mark.parametrize("name", ["CDplayer", "building", "iss"])
def test_stored_gains(data_dir, name):
    """Each entry of the transfer function, as stored with the system: column by column."""
    data = scipy.io.loadmat(data_dir / "mor" / f"{name}.mat")
    sys = mor.as_system((data["A"], data["B"], data["C"]))
    stored = data["mag"].reshape(-1, sys.n_inputs, sys.n_outputs).swapaxes(1, 2)
    gains = np.abs(mor.freqresp(sys, np.ravel(data["w"])))
    # The stored ones are right to 5e-10 of the largest.
    np.testing.assert_allclose(gains, stored, rtol=0, atol=1e-9 * np.max(stored))
