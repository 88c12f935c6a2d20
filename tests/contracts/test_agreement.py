"""Dense systems of all shapes against SLICOT (by Slycot), python-control and SciPy.

H-infinity norms are compared in test_hinf, responses in time in test_response; here are those of
systems with E, whose peers get ``E^{-1} A`` and ``E^{-1} B``.
"""

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

import mor
from tests.oracles.dense import random_pencil, random_stable

SHAPES = st.tuples(st.integers(1, 20), st.integers(1, 4), st.integers(1, 4))
#: Peers are called one system at a time: few draws, of all shapes.
FEW = settings(max_examples=25)

#: Both sides are backward stable; equations of these draws have conditions up to about 1e5.
RTOL = 1e-9


@st.composite
def dense_systems(draw, *, with_E=False):
    """``(system, explicit)``: a stable LTI, with E if asked for, and the same without."""
    n, m, p = draw(SHAPES)
    dt = draw(st.sampled_from([0.0, 0.5]))
    rng = np.random.default_rng(draw(st.integers(0, 10**6)))
    A, B, C = random_stable(rng, n, dt), rng.standard_normal((n, m)), rng.standard_normal((p, n))
    D = rng.standard_normal((p, m)) if dt else np.zeros((p, m))
    explicit = mor.LTI(A, B, C, D, dt=dt)
    if not with_E:
        return explicit, explicit
    E = random_pencil(rng, n, "well")
    return mor.LTI(E @ A, E @ B, C, D, E=E, dt=dt), explicit


def assert_close(actual, expected, rtol=RTOL):
    """Relative to the largest entry."""
    scale = np.max(np.abs(expected), initial=0.0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * scale + 1e-300)


def kind(sys):
    return "D" if sys.dt else "C"


@pytest.mark.slow
@given(st.one_of(dense_systems(), dense_systems(with_E=True)))
@FEW
def test_gramians_agree_with_scipy(pair):
    sys, plain = pair
    solve = scipy.linalg.solve_discrete_lyapunov if sys.dt else scipy.linalg.solve_continuous_lyapunov
    sign = 1 if sys.dt else -1
    P, Q = mor.gramians(sys)
    assert_close(P, solve(plain.A, sign * plain.B @ plain.B.T))
    assert_close(Q, solve(plain.A.T, sign * plain.C.T @ plain.C))


@given(dense_systems())
@FEW
def test_equations_and_factors_agree_with_slicot(pair):
    slycot = pytest.importorskip("slycot")
    sys, _ = pair
    A, B, C, n, dt = sys.A, sys.B, sys.C, sys.order, sys.dt
    X = slycot.sb03md57(A.T.copy(), C=-B @ B.T, dico=kind(sys))[2]
    assert_close(mor.solve_lyapunov(A, B @ B.T, dt=dt), X)
    X = slycot.sb03md57(A.copy(), C=-C.T @ C, dico=kind(sys))[2]
    Z = mor.lyapunov_factor(A, C, dt=dt, trans=True)
    assert_close(Z @ Z.T, X)
    rng = np.random.default_rng(n)
    F, G = random_stable(rng, 3, dt), rng.standard_normal((n, 3))
    # Slycot: A X + X B = C, and X + A X B = C.
    X = slycot.sb04qd(n, 3, -A, F.copy(), G.copy()) if dt else slycot.sb04md(n, 3, A.copy(), F.copy(), -G)
    assert_close(mor.solve_sylvester(A, F, G, dt=dt), X)


@given(dense_systems(with_E=True))
@FEW
def test_generalised_equations_agree_with_slicot(pair):
    slycot = pytest.importorskip("slycot")
    sys, _ = pair
    A, B, E, n = sys.A, sys.B, sys.E, sys.order
    zeros = [np.zeros((n, n)) for _ in range(2)]
    solved = slycot.sg03ad(
        kind(sys), "X", "N", "T", "L", n, A.copy(), E.copy(), *zeros, -B @ B.T, ldwork=2 * n * n + 8 * n + 16
    )
    X = solved[4] / solved[5]
    assert_close(mor.solve_lyapunov(A, B @ B.T, E, dt=sys.dt), X)
    Z = mor.lyapunov_factor(A, B, E, dt=sys.dt)
    assert_close(Z @ Z.T, X)


@given(st.one_of(dense_systems(), dense_systems(with_E=True)), st.data())
@FEW
def test_hankel_values_and_reduced_systems_agree_with_slicot(pair, data):
    """AB09AD, balancing as we do. Reduced systems are compared by their transfer functions."""
    slycot = pytest.importorskip("slycot")
    sys, plain = pair
    n, m, p = plain.order, plain.n_inputs, plain.n_outputs
    order = data.draw(st.integers(1, n))

    def peer(nr):
        matrices = plain.A.copy(), plain.B.copy(), plain.C.copy()
        return slycot.ab09ad(kind(sys), "B", "N", n, m, p, *matrices, nr=nr)

    kept, A, B, C, hsv = peer(order)
    assert_close(mor.hankel_singular_values(sys), hsv, 1e-10)
    rom = mor.balanced_truncation(sys, order=order)
    # Where neighbours come together the states kept are not determined, nor where there are none.
    if (order < n and hsv[order] > 0.999 * hsv[order - 1]) or hsv[order - 1] < 1e-8 * hsv[0]:
        return
    assert rom.order == kept == order
    omega = np.array([0.0, 0.3, 1.0, 5.0])
    theirs = mor.LTI(A[:kept, :kept], B[:kept], C[:, :kept], plain.D, dt=sys.dt)
    # Singular subspaces are right to round-off over their gap.
    gap = 1 - hsv[order] / hsv[order - 1] if order < n else 1.0
    expected = mor.freqresp(theirs, omega)
    scale = np.max(np.abs(expected)) + hsv[0]
    atol = 1e-8 * scale * hsv[0] / hsv[order - 1] / gap
    np.testing.assert_allclose(mor.freqresp(rom.system, omega), expected, rtol=0, atol=atol)


@pytest.mark.slow
@given(st.one_of(dense_systems(), dense_systems(with_E=True)))
@FEW
def test_h2_norms_agree_with_control_and_slicot(pair):
    control = pytest.importorskip("control")
    slycot = pytest.importorskip("slycot")
    sys, plain = pair
    A, B, C, D = plain.A, plain.B, plain.C, plain.D
    copies = (x.copy() for x in (A, B, C, D))
    norm = mor.h2_norm(sys)
    assert_close(norm, slycot.ab13bd(kind(sys), "H", len(A), len(B.T), len(C), *copies))
    if not sys.dt:
        assert_close(norm, control.norm(control.ss(A, B, C, D), 2))


@given(dense_systems(with_E=True))
@FEW
def test_h_infinity_norms_with_E_agree_with_slicot(pair):
    slycot = pytest.importorskip("slycot")
    sys, _ = pair
    n, m, p = sys.order, sys.n_inputs, sys.n_outputs
    matrices = (x.copy() for x in (sys.A, sys.E, sys.B, sys.C, sys.D))
    peer = slycot.ab13dd(kind(sys), "G", "N", "D", n, m, p, *matrices, 1e-10)[0]
    assert_close(mor.hinf_norm(sys), peer, 1e-7)


@given(dense_systems(with_E=True))
@FEW
def test_frequency_responses_with_E_are_those_of_the_pencil(pair):
    sys, _ = pair
    omega = np.array([0.0, 0.2, 1.0, 4.0])
    response = mor.freqresp(sys, omega)
    assert response.shape == (4, sys.n_outputs, sys.n_inputs)
    points = np.exp(1j * omega * sys.dt) if sys.dt else 1j * omega
    direct = [sys.C @ np.linalg.solve(z * sys.E - sys.A, sys.B) + sys.D for z in points]
    assert_close(response, direct)


@given(dense_systems(with_E=True))
@FEW
def test_responses_with_E_are_those_of_scipy(pair):
    sys, plain = pair
    steps = 12
    rng = np.random.default_rng(0)
    u, t = rng.standard_normal((steps, sys.n_inputs)), np.arange(steps) * (sys.dt or 0.2)
    A, B, C, D = plain.A, plain.B, plain.C, plain.D
    if sys.dt:
        y = scipy.signal.dlsim((A, B, C, D, sys.dt), u)[1]
        g, h = (
            np.stack(respond((A, B, C, D, sys.dt), n=steps)[1], axis=-1)
            for respond in (scipy.signal.dimpulse, scipy.signal.dstep)
        )
    else:
        y = scipy.signal.lsim((A, B, C, D), u, t, interp=False)[1]
        g = [C @ scipy.linalg.expm(A * x) @ B for x in t]
        held = [
            scipy.signal.lsim((A, B[:, [j]], C, D[:, [j]]), np.ones(steps), t)[1] for j in range(sys.n_inputs)
        ]
        h = np.stack([np.reshape(x, (steps, -1)) for x in held], axis=-1)
    times = steps if sys.dt else t
    assert_close(mor.simulate(sys, u, None if sys.dt else t), np.reshape(y, (steps, -1)))
    assert_close(mor.impulse(sys, times), g)
    assert_close(mor.step(sys, times), h)
