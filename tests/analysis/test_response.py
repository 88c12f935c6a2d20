"""Responses in time and frequency, against scipy.signal, python-control and exact solutions."""

import numpy as np
import pytest
import scipy.linalg
import scipy.signal
from hypothesis import given, settings
from hypothesis import strategies as st

import mor
from mor.equations.holds import matrix_holds, scalar_holds
from mor.errors import DimensionError, NotFiniteError, TimeStepError
from mor.testing import block_systems, lti_systems, modal_systems

T = 25
TIMES = np.linspace(0, 3, T)


def kinds(discrete):
    return st.one_of(
        modal_systems(discrete=discrete), block_systems(discrete=discrete), lti_systems(discrete=discrete)
    )


def start(sys, rng):
    """An initial state, and the same in the coordinates of the dense system."""
    x0 = rng.standard_normal(sys.output_factor_matrix.shape[-1])
    if isinstance(sys, mor.Modal) and sys.poles.dtype == complex:
        x0 = x0 * ~np.concatenate([np.zeros(sys.n_modes, bool), sys.real_modes])
        return x0, x0[np.concatenate([np.ones(sys.n_modes, bool), ~sys.real_modes])]
    return x0, x0


def assert_same(actual, expected):
    """To round-off of a recursion of 25 steps, or of an exponential of norm below 100."""
    scale = np.max(np.abs(expected), initial=0.0)
    np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-9 * scale + 1e-13)


@pytest.mark.parametrize("hold", ["zero", "first"])
@given(kinds(False), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_continuous_outputs_agree_with_lsim(hold, sys, seed):
    rng = np.random.default_rng(seed)
    u, (x0, dense_x0) = rng.standard_normal((T, sys.n_inputs)), start(sys, rng)
    dense = sys.to_lti()
    _, y, _ = scipy.signal.lsim(
        (dense.A, dense.B, dense.C, dense.D), u, TIMES, X0=dense_x0, interp=hold == "first"
    )
    got = mor.simulate(sys, u, TIMES, x0=x0, hold=hold)
    assert got.shape == (T, sys.n_outputs)
    assert_same(got, np.reshape(y, got.shape))
    assert_same(mor.simulate(sys, u, x0=x0, hold=hold, step=TIMES[1]), got)


@given(kinds(True), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_discrete_outputs_agree_with_dlsim(sys, seed):
    rng = np.random.default_rng(seed)
    u, (x0, dense_x0) = rng.standard_normal((T, sys.n_inputs)), start(sys, rng)
    dense = sys.to_lti()
    _, y, _ = scipy.signal.dlsim((dense.A, dense.B, dense.C, dense.D, sys.dt), u, x0=dense_x0)
    assert_same(mor.simulate(sys, u, x0=x0), y)
    assert_same(mor.simulate(sys, u, np.arange(T) * sys.dt, x0=x0), y)


@given(lti_systems())
@settings(max_examples=20)
def test_agrees_with_python_control(sys):
    control = pytest.importorskip("control")
    peer = control.ss(sys.A, sys.B, sys.C, sys.D, sys.dt or 0)
    times = np.arange(T) * (sys.dt or 0.1)
    u = np.sin(np.outer(times, np.arange(1, sys.n_inputs + 1)))
    y = control.forced_response(peer, times, u.T, squeeze=False).outputs
    assert_same(mor.simulate(sys, u, times, hold="first"), y.T)
    y = control.step_response(peer, times, squeeze=False).outputs
    assert_same(mor.step(sys, times), np.moveaxis(y, -1, 0))
    omega = np.array([0.1, 1.0, 2.5])
    np.testing.assert_allclose(
        mor.freqresp(sys, omega),
        np.moveaxis(peer(np.exp(1j * omega) if sys.dt else 1j * omega, squeeze=False), -1, 0),
        rtol=1e-9,
        atol=1e-11,
    )


@given(kinds(True))
@settings(max_examples=30)
def test_discrete_impulse_and_step_agree_with_scipy(sys):
    dense = sys.to_lti()
    tuple_ = (dense.A, dense.B, dense.C, dense.D, sys.dt)
    impulse, step = mor.impulse(sys, T), mor.step(sys, T)
    assert impulse.shape == step.shape == (T, sys.n_outputs, sys.n_inputs)
    for j, (g, h) in enumerate(
        zip(scipy.signal.dimpulse(tuple_, n=T)[1], scipy.signal.dstep(tuple_, n=T)[1], strict=True)
    ):
        assert_same(impulse[:, :, j], g)
        assert_same(step[:, :, j], h)
    np.testing.assert_array_equal(impulse[0], sys.D)
    assert_same(np.cumsum(impulse, axis=0), step)


@given(kinds(False))
@settings(max_examples=30)
def test_continuous_impulse_and_step_are_exponentials(sys):
    dense = sys.to_lti()
    n, m = dense.order, dense.n_inputs
    generator = np.block([[dense.A, dense.B], [np.zeros((m, n + m))]])
    flows = [scipy.linalg.expm(generator * t) for t in TIMES]
    assert_same(mor.impulse(sys, TIMES), [dense.C @ F[:n, :n] @ dense.B for F in flows])
    assert_same(mor.step(sys, TIMES), [dense.C @ F[:n, n:] + dense.D for F in flows])


@given(st.one_of(kinds(True), kinds(False)), st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_superposition_and_delay(sys, seed):
    rng = np.random.default_rng(seed)
    u, v = rng.standard_normal((2, T, sys.n_inputs))
    times = np.arange(T) * (sys.dt or 0.1)
    y, z = mor.simulate(sys, u, times), mor.simulate(sys, v, times)
    assert_same(mor.simulate(sys, 2 * u - v, times), 2 * y - z)
    late = np.concatenate([np.zeros((5, sys.n_inputs)), u[:-5]])
    assert_same(mor.simulate(sys, late, times)[5:], y[:-5])


def test_a_straight_line_is_followed_exactly():
    """x' = -x + t from 0: x = t - 1 + exp(-t); the zero-order hold of it is not."""
    sys, t = ([[-1.0]], [[1.0]], [[1.0]]), np.linspace(0, 4, 5)
    y = mor.simulate(sys, t, t, hold="first")[:, 0]
    np.testing.assert_allclose(y, t - 1 + np.exp(-t), atol=1e-15)
    assert abs(mor.simulate(sys, t, t)[-1, 0] - y[-1]) > 0.1


@pytest.mark.parametrize("z", [0.0, 1e-12, 1e-6, 0.3, 0.999, 1.001, -3.0, -40.0, 1e-9j, 0.7 + 0.6j, -2 + 30j])
def test_the_functions_of_a_hold(z):
    """Against 40 digits, and of a matrix."""
    import mpmath

    mpmath.mp.dps = 40
    h, x = 0.5, mpmath.mpc(z)
    phi1 = (mpmath.exp(x) - 1) / x if z else mpmath.mpf(1)
    phi2 = (mpmath.exp(x) - 1 - x) / x**2 if z else mpmath.mpf(1) / 2
    _, first, late = scalar_holds(np.array([z / h], dtype=complex), h, "first")
    np.testing.assert_allclose(late[0], complex(h * phi2), rtol=4e-16 * max(1, 1 / abs(complex(phi2))))
    np.testing.assert_allclose(first[0], complex(h * (phi1 - phi2)), rtol=1e-14, atol=1e-15)
    A = np.array([[np.real(z), -np.imag(z)], [np.imag(z), np.real(z)]]) / h
    _, _, dense = matrix_holds(A, np.eye(2), h, "first")
    np.testing.assert_allclose(dense[0, 0] + 1j * dense[1, 0], late[0], rtol=1e-12)


@pytest.mark.parametrize("hold", ["zero", "first"])
@given(sys=kinds(False))
@settings(max_examples=20)
def test_discretised_systems_are_of_the_same_kind_and_map(hold, sys):
    sampled = sys.discretize(0.2, hold=hold)
    assert type(sampled) is type(sys)
    dense = sys.to_lti().discretize(0.2, hold=hold)
    points = np.exp(1j * np.array([0.1, 1.0, 3.0]))
    assert_same(np.asarray(sampled.evaluate(points)), np.asarray(dense.evaluate(points)))


def test_zero_order_hold_agrees_with_scipy():
    rng = np.random.default_rng(0)
    A, B, C, D = (
        -np.eye(3) + rng.standard_normal((3, 3)) / 3,
        rng.standard_normal((3, 2)),
        np.ones((1, 3)),
        np.ones((1, 2)),
    )
    for hold, method in (("zero", "zoh"), ("first", "foh")):
        expected = scipy.signal.cont2discrete((A, B, C, D), 0.3, method)
        got = mor.LTI(A, B, C, D).discretize(0.3, hold=hold)
        for x, y in zip((got.A, got.B, got.C, got.D), expected[:4], strict=True):
            np.testing.assert_allclose(x, y, atol=1e-13)


def test_batches():
    rng = np.random.default_rng(0)
    poles = 0.9 * np.exp(1j * rng.uniform(0, 3, (2, 3, 4)))
    B, C = rng.standard_normal((2, 3, 4, 2)) + 0j, rng.standard_normal((2, 3, 1, 4)) + 0j
    modal = mor.Modal(poles, B, C, dt=1.0)
    blocks = mor.BlockDiagonal(rng.uniform(-0.4, 0.4, (2, 3, 2, 2, 2)), B.real, C.real, dt=1.0)
    u = rng.standard_normal((T, 2))
    for batch in (modal, blocks):
        y, g, s = mor.simulate(batch, u), mor.impulse(batch, 7), mor.step(batch, 7)
        assert y.shape == (2, 3, T, 1)
        assert g.shape == s.shape == (2, 3, 7, 1, 2)
        for i in np.ndindex(2, 3):
            assert_same(y[i], mor.simulate(batch[i], u))
            assert_same(g[i], mor.impulse(batch[i].to_lti(), 7))
            assert_same(s[i], mor.step(batch[i].to_lti(), 7))
    each = rng.standard_normal((2, 3, T, 2))
    assert_same(mor.simulate(modal, each)[1, 2], mor.simulate(modal[1, 2], each[1, 2]))


def test_frameworks_and_precisions():
    torch = pytest.importorskip("torch")
    poles, B, C = np.array([0.5 + 0.3j, 0.9j]), np.ones((2, 1)) + 0j, np.ones((1, 2)) + 0j
    expected = mor.simulate(mor.Modal(poles, B, C, dt=1.0), np.ones(5))
    single = mor.Modal(*(torch.tensor(x, dtype=torch.complex64) for x in (poles, B, C)), dt=1.0)
    y = mor.simulate(single, np.ones(5))
    assert y.dtype == torch.float32
    np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6)
    assert mor.impulse(single, 3).shape == mor.step(single, 3).shape == (3, 1, 1)


def test_degenerate_sizes():
    static = mor.LTI(np.zeros((0, 0)), np.zeros((0, 2)), np.zeros((1, 0)), [[3.0, 4.0]])
    np.testing.assert_array_equal(mor.simulate(static, np.ones((3, 2)), step=1.0), np.full((3, 1), 7.0))
    np.testing.assert_array_equal(mor.step(static, [0.0, 1.0])[:, 0], [[3, 4], [3, 4]])
    discrete = mor.LTI([[0.5]], [[1.0]], [[1.0]], dt=1.0)
    assert mor.simulate(discrete, np.zeros((0, 1))).shape == (0, 1)
    assert mor.simulate(discrete, np.ones(1)).shape == mor.impulse(discrete, 1)[:, 0].shape == (1, 1)
    described = mor.LTI([[-2.0]], [[2.0]], [[1.0]], None, [[2.0]])
    assert_same(mor.impulse(described, TIMES), mor.impulse(([[-1.0]], [[1.0]], [[1.0]]), TIMES))


def test_bad_input():
    sys, discrete = mor.LTI([[-1.0]], [[1.0]], [[1.0]]), mor.LTI([[0.5]], [[1.0]], [[1.0]], dt=0.1)
    with pytest.raises(TimeStepError, match="give t="):
        mor.simulate(sys, np.ones(3))
    with pytest.raises(TimeStepError, match="equal steps"):
        mor.simulate(sys, np.ones(3), [0, 1, 3])
    with pytest.raises(TimeStepError, match="3 samples"):
        mor.simulate(sys, np.ones(3), [0, 1])
    with pytest.raises(TimeStepError, match=r"step is 0\.1"):
        mor.simulate(discrete, np.ones(3), [0, 1, 2])
    with pytest.raises(TimeStepError, match="hold='second'"):
        mor.simulate(sys, np.ones(3), [0, 1, 2], hold="second")
    with pytest.raises(TimeStepError, match="positive"):
        mor.simulate(sys, np.ones(3), step=0)
    with pytest.raises(DimensionError, match="time first"):
        mor.simulate(sys, np.ones((3, 2)), [0, 1, 2])
    with pytest.raises(DimensionError, match="x0"):
        mor.simulate(discrete, np.ones(3), x0=np.ones(2))
    with pytest.raises(NotFiniteError, match="u has"):
        mor.simulate(discrete, [1.0, np.nan])
    with pytest.raises(NotFiniteError, match="overflows"):
        mor.impulse(mor.LTI([[1e100]], [[1.0]], [[1.0]], dt=1.0), 9)
    for function in (mor.impulse, mor.step):
        with pytest.raises(TimeStepError, match="at least 1"):
            function(discrete, 0)
        with pytest.raises(TimeStepError, match="as an array"):
            function(sys, 5)
        with pytest.raises(TimeStepError, match="begin with 0"):
            function(sys, [1.0, 2.0])
    with pytest.raises(TimeStepError, match="discrete already"):
        discrete.discretize(0.1)
    with pytest.raises(NotFiniteError, match="pole"):
        mor.freqresp(([[0.0]], [[1.0]], [[1.0]]), 0.0)
