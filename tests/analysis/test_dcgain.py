"""The gain at frequency zero, beside poles that are there or nearly so."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mor
from mor.errors import AccuracyWarning, DimensionError, NotFiniteError
from mor.testing import block_systems, lti_systems, modal_systems


@given(
    st.one_of(
        modal_systems(),
        modal_systems(batch=(2, 3)),
        block_systems(),
        lti_systems(),
        lti_systems(descriptor=True),
        lti_systems(is_complex=True),
    )
)
def test_it_is_the_transfer_function_at_rest(sys):
    gain = mor.dcgain(sys)
    expected = sys.evaluate(1.0 if sys.dt else 0.0)
    assert np.iscomplexobj(gain) != sys.is_real
    scale = np.max(np.abs(expected), initial=0.0)
    np.testing.assert_allclose(gain, expected, rtol=1e-9, atol=1e-9 * scale)


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_steps_settle_there(dt):
    sys = mor.LTI(
        [[0.5, 0.2], [0.0, 0.3]] if dt else [[-1.0, 2.0], [0, -3.0]], np.eye(2), np.ones((1, 2)), dt=dt
    )
    late = mor.step(sys, 200 if dt else np.linspace(0, 40, 101))[-1]
    np.testing.assert_allclose(late, mor.dcgain(sys), rtol=1e-10)


def test_a_static_system_is_its_d():
    D = np.array([[1.0, 2.0]])
    np.testing.assert_array_equal(
        mor.dcgain(mor.LTI(np.zeros((0, 0)), np.zeros((0, 2)), np.zeros((1, 0)), D)), D
    )
    empty = mor.Modal(np.zeros(0, complex), np.zeros((0, 2), complex), np.zeros((1, 0), complex), D, dt=1.0)
    np.testing.assert_array_equal(mor.dcgain(empty), D)


def with_poles_there(rng, dt, poles_there, others, chained, coordinates):
    """Poles at c that output 1 does not see and input 0 does not reach; the gain worked out by hand."""
    c, k, n = (1.0 if dt else 0.0), poles_there, others
    A = np.zeros((k + n, k + n))
    A[:k, :k] = c * np.eye(k) + (np.eye(k, k=1) if chained else 0)
    # Far enough from c for a gain of a few digits less.
    values = rng.uniform(-0.8, 0.2, n) if dt else -rng.uniform(0.3, 3.0, n)
    T = np.eye(n) + 0.3 * rng.standard_normal((n, n)) / np.sqrt(n)
    A[k:, k:] = T @ np.diag(values) @ np.linalg.inv(T)
    B, C, D = (rng.standard_normal(shape) for shape in ((k + n, 3), (3, k + n), (3, 3)))
    B[:k, 0], C[1, :k] = 0, 0
    gain = D + C[:, k:] @ np.linalg.solve(c * np.eye(n) - A[k:, k:], B[k:])
    if k:
        gain[np.ix_([0, 2], [1, 2])] = np.inf
    T = {
        "given": np.eye(k + n),
        "rotated": np.linalg.qr(rng.standard_normal((k + n, k + n)))[0],
        "units": np.diag(10.0 ** rng.uniform(-4, 4, k + n)),
    }[coordinates]
    return mor.LTI(T @ A @ np.linalg.inv(T), T @ B, C @ np.linalg.inv(T), D, dt=dt), gain


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("coordinates", ["given", "rotated", "units"])
@pytest.mark.parametrize("chained", [False, True])
def test_entries_with_a_pole_there_are_infinite_and_others_right(dt, coordinates, chained):
    rng = np.random.default_rng(0)
    for poles_there in (0, 1, 2):
        for others in range(5):
            sys, expected = with_poles_there(rng, dt, poles_there, others, chained, coordinates)
            gain = mor.dcgain(sys)
            np.testing.assert_array_equal(np.isinf(gain), np.isinf(expected))
            # Coordinates a double integrator is separated in are known to a root of round-off.
            finite = np.isfinite(expected)
            scale = np.max(np.abs(expected[finite]), initial=1.0)
            np.testing.assert_allclose(gain[finite], expected[finite], rtol=1e-6, atol=1e-6 * scale)


def test_an_integrator_in_general_coordinates_is_one():
    """The motor of the documentation, rotated: round-off must not make its gain a large number."""
    A = np.array([[0.0, 1, 0], [0, -1, 0.2], [0, 0, -4]])
    B, C = np.array([[0.0], [0], [4]]), np.array([[1.0, 0, 0]])
    for seed in range(100):
        T = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))[0]
        assert np.isinf(mor.dcgain((T @ A @ T.T, T @ B, C @ T.T))).all()


def test_slow_poles_are_no_integrators():
    np.testing.assert_allclose(
        mor.dcgain((np.diag([-1e-10, -1e10]), np.ones((2, 1)), np.ones((1, 2)))), [[1e10]], rtol=1e-12
    )
    slow = mor.LTI([[1 - 2.0**-40]], [[1.0]], [[1.0]], dt=1.0)
    np.testing.assert_array_equal(mor.dcgain(slow), [[2.0**40]])
    modal = mor.Modal(np.array([-1e-200]), np.ones((1, 1)), np.ones((1, 1)))
    np.testing.assert_allclose(mor.dcgain(modal), [[1e200]])


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_modes_at_dc(dt):
    c = 1.0 if dt else 0.0
    poles = np.array([c, 0.5 if dt else -1.0], complex)
    sys = mor.Modal(poles, np.ones((2, 1), complex), np.array([[1.0, 2.0], [0.0, 2.0], [1j, 2.0]]), dt=dt)
    # The last output is the imaginary part of an integral of a real input: zero.
    gain = mor.dcgain(sys)
    finite = 4.0 if dt else 2.0
    np.testing.assert_allclose(gain, [[np.inf], [finite], [finite]])
    np.testing.assert_allclose(mor.dcgain(sys.to_lti()), gain)
    hidden = mor.Modal(poles, np.array([[0.0], [1.0]]) + 0j, np.ones((1, 2)) + 0j, dt=dt)
    np.testing.assert_allclose(mor.dcgain(hidden), [[finite / 2]])


def test_of_quadratic_outputs_that_of_the_linear_part():
    linear = mor.LTI([[-2.0]], [[1.0]], [[3.0]], [[0.5]])
    np.testing.assert_allclose(mor.dcgain(mor.LQO(linear, [[1.0]])), [[2.0]])


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_frameworks(framework):
    pytest.importorskip(framework)
    if framework == "torch":
        import torch

        array = torch.tensor
    else:
        import jax.numpy

        array = jax.numpy.asarray
    poles, B, C = np.array([0.5 + 0.1j]), np.ones((1, 1)) + 0j, np.ones((1, 1)) + 0j
    sys = mor.Modal(array(poles), array(B), array(C), dt=1.0)
    gain = mor.dcgain(sys)
    assert type(gain) is type(sys.D)
    assert gain.dtype == sys.D.dtype
    np.testing.assert_allclose(np.asarray(gain), mor.dcgain(mor.Modal(poles, B, C, dt=1.0)), rtol=1e-6)


def test_an_entry_of_which_round_off_cannot_tell_is_warned_of():
    """Coordinates of condition 5e3 beside a pole of 1e-3: one entry sees the integrator, and not clearly."""
    rng = np.random.default_rng(108)
    T = rng.standard_normal((4, 4))
    A = T @ np.diag([0, -1e-3, -1, -50.0]) @ np.linalg.inv(T)
    B = T @ np.array([[0, 1], [1, 1], [1, 0], [1, 1.0]])
    C = np.array([[1, 1, 0, 1], [0, 1, 1, 1.0]]) @ np.linalg.inv(T)
    with pytest.warns(AccuracyWarning, match="may see the pole at dc"):
        mor.dcgain((A, B, C))


def test_bad_input():
    blocks = mor.BlockDiagonal(np.full((2, 1, 1, 1), 0.5), np.ones((2, 1, 1)), np.ones((2, 1, 1)), dt=1.0)
    with pytest.raises(DimensionError, match="Modal systems only"):
        mor.dcgain(blocks)
    with pytest.raises(NotFiniteError, match="overflows"):
        mor.dcgain(([[-1e-200]], [[1e100]], [[1e100]]))
    with pytest.raises(NotFiniteError, match="overflows"):
        mor.dcgain(mor.Modal(np.array([-1e-200]), np.full((1, 1), 1e100), np.full((1, 1), 1e100)))
