"""Systems: validation, conversion, arithmetic, evaluation."""

import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st

import mor
from mor.errors import DimensionError, NotASystemError, NotFiniteError, ReductionError, TimeStepError
from mor.testing import block_systems, lti_systems, modal_systems
from tests.oracles.dense import real_form

POINTS = np.array([0.3 + 1.7j, 2.0, -1.1 + 0.2j])


def assert_same_map(a, b, rtol=1e-9):
    expected = np.asarray(b.evaluate(POINTS))
    scale = np.max(np.abs(expected), initial=0.0)
    np.testing.assert_allclose(np.asarray(a.evaluate(POINTS)), expected, rtol=0, atol=rtol * scale + 1e-12)


@given(modal_systems())
def test_modal_evaluates_its_real_map(sys):
    A, B, C = real_form(sys)
    for s in POINTS:
        expected = C @ np.linalg.solve(s * np.eye(len(A)) - A, B + 0j) + sys.D
        np.testing.assert_allclose(sys.evaluate(s), expected, rtol=1e-9, atol=1e-10)
    lti = sys.to_lti()
    assert lti.order == sys.order
    assert_same_map(lti, sys)


@given(modal_systems(discrete=True), st.integers(1, 12))
def test_impulse_responses(sys, steps):
    A, B, C = real_form(sys)
    expected, state = [], B
    for _ in range(steps):
        expected.append(C @ state)
        state = A @ state
    np.testing.assert_allclose(sys.impulse_response(steps), expected, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(sys.to_lti().impulse_response(steps), expected, rtol=1e-9, atol=1e-10)


@given(lti_systems(max_order=6))
def test_dense_to_modal_and_back(sys):
    modal = mor.Modal.from_lti(sys)
    assert modal.order == sys.order
    vectors = np.linalg.cond(np.linalg.eig(sys.A)[1])
    assert_same_map(modal, sys, rtol=1e-13 * vectors + 1e-9)


@given(st.one_of(modal_systems(discrete=True), block_systems(discrete=True), lti_systems(discrete=True)))
def test_differences_vanish(sys):
    zero = sys - sys
    assert np.max(np.abs(np.asarray(zero.evaluate(POINTS)))) < 1e-9
    assert float(mor.h2_norm(sys)) >= 0
    relative = float(mor.h2_error(sys, sys)) / max(float(mor.h2_norm(sys)), 1e-300)
    assert relative < 1e-9


@pytest.mark.slow
@given(modal_systems(margin=1e-2))
def test_h2_norm_is_that_of_the_impulse_response(sys):
    if sys.dt:
        response = sys.impulse_response(3000)
        expected = np.sqrt(np.sum(response**2) + np.sum(sys.D**2))
        np.testing.assert_allclose(float(mor.h2_norm(sys)), expected, rtol=1e-8)
        np.testing.assert_allclose(
            float(mor.h2_norm(sys, horizon=7)),
            np.sqrt(np.sum(response[:7] ** 2) + np.sum(sys.D**2)),
            rtol=1e-9,
        )
    else:
        assert float(mor.h2_norm(sys)) == np.inf
        strictly_proper = mor.Modal(sys.poles, sys.B, sys.C)
        zc, _ = strictly_proper.to_lti().factors()
        expected = np.linalg.norm(strictly_proper.to_lti().C @ zc)
        np.testing.assert_allclose(float(mor.h2_norm(strictly_proper)), expected, rtol=1e-9)


def test_h2_error_is_right_when_it_is_tiny():
    sys = mor.Modal(np.array([0.5, 0.9]), np.array([[1.0], [1e-11]]), np.array([[1.0, 1.0]]), dt=1.0)
    rest = mor.Modal(np.array([0.5]), np.array([[1.0]]), np.array([[1.0]]), dt=1.0)
    np.testing.assert_allclose(float(mor.h2_error(sys, rest)), 1e-11 / np.sqrt(1 - 0.81), rtol=1e-3)


@given(modal_systems(discrete=False), st.floats(1e-3, 1.0))
def test_zero_order_hold(sys, step):
    if sys.batch_shape:
        return
    A, B, C = real_form(sys)
    Ad, Bd, *_ = scipy.signal.cont2discrete((A, B, C, sys.D), step)
    expected = mor.LTI(Ad, Bd, C, sys.D, dt=step)
    assert_same_map(sys.discretize(step), expected, rtol=1e-8)


def test_as_system_reads_what_people_have():
    A, B, C, D = np.diag([-1.0, -2.0]), np.ones((2, 1)), np.ones((1, 2)), np.zeros((1, 1))
    reference = mor.LTI(A, B, C, D)
    assert mor.as_system(reference) is reference
    assert_same_map(mor.as_system((A, B, C)), reference)
    assert_same_map(mor.as_system(scipy.signal.StateSpace(A, B, C, D)), reference)
    assert_same_map(
        mor.as_system(scipy.signal.TransferFunction([1.0], [1.0, 3.0])), mor.LTI([[-3.0]], [[1.0]], [[1.0]])
    )
    discrete = scipy.signal.StateSpace(A / 10, B, C, D, dt=0.1)
    assert mor.as_system(discrete).dt == 0.1
    with_E = mor.as_system((2 * A, 2 * B, C, D, 2 * np.eye(2)))
    assert_same_map(with_E, reference)
    np.testing.assert_allclose(mor.hankel_singular_values(with_E), mor.hankel_singular_values(reference))
    for wrong in (3, "A", (A, B), {"A": A}):
        with pytest.raises(NotASystemError):
            mor.as_system(wrong)


@pytest.mark.slow
def test_python_control_systems_go_in():
    control = pytest.importorskip("control")
    A, B, C = np.diag([0.5, -0.2]), np.ones((2, 1)), np.ones((1, 2))
    for dt, expected in ((0, 0.0), (0.5, 0.5), (True, 1.0), (None, 0.0)):
        assert mor.as_system(control.ss(A, B, C, 0, dt)).dt == expected
    assert_same_map(mor.as_system(control.tf([1], [1, 2])), mor.LTI([[-2.0]], [[1.0]], [[1.0]]))


BAD_SHAPES = [
    lambda: mor.Modal(np.ones(2), np.ones((3, 1)), np.ones((1, 2))),
    lambda: mor.Modal(np.ones(2), np.ones((2, 1)), np.ones((1, 3))),
    lambda: mor.Modal(np.ones(2), np.ones(2), np.ones((1, 2))),
    lambda: mor.Modal(np.ones(2), np.ones((2, 1)), np.ones((1, 2)), np.ones((2, 2))),
    lambda: mor.Modal(np.ones((2, 3)), np.ones((3, 1)), np.ones((1, 3))),
    lambda: mor.BlockDiagonal(np.ones((2, 2, 3)), np.ones((4, 1)), np.ones((1, 4))),
    lambda: mor.BlockDiagonal(np.ones((2, 2, 2)), np.ones((5, 1)), np.ones((1, 4))),
    lambda: mor.BlockDiagonal(1j * np.ones((2, 2, 2)), np.ones((4, 1)), np.ones((1, 4))),
    lambda: mor.LTI(np.ones((2, 3)), np.ones((2, 1)), np.ones((1, 2))),
    lambda: mor.LTI(np.ones((2, 2)), np.ones((3, 1)), np.ones((1, 2))),
    lambda: mor.LTI(np.eye(1), np.eye(1), np.eye(1)) + mor.LTI(np.eye(1), np.ones((1, 2)), np.eye(1)),
]


@pytest.mark.parametrize("build", BAD_SHAPES)
def test_shapes_that_do_not_fit(build):
    with pytest.raises(DimensionError):
        build()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("field", range(3))
def test_values_that_are_not_finite_are_located(bad, field):
    for build in (
        lambda a, b, c: mor.Modal(a[0], b, c),
        lambda a, b, c: mor.LTI(a, b, c),
        lambda a, b, c: mor.BlockDiagonal(a[None], b, c),
    ):
        data = [-np.eye(2), np.ones((2, 1)), np.ones((1, 2))]
        data[field][0, 0] = bad
        with pytest.raises(NotFiniteError, match=r"\[0.*\]"):
            build(*data)


@pytest.mark.parametrize("dt", [-1.0, np.nan, np.inf, "a", None])
def test_time_steps_that_make_no_sense(dt):
    with pytest.raises(TimeStepError if isinstance(dt, float) else TypeError, match="dt must be"):
        mor.Modal(np.array([0.5]), np.ones((1, 1)), np.ones((1, 1)), dt=dt)


@pytest.mark.parametrize("horizon", [0, -3, 2.5, np.inf, np.nan])
def test_horizons_that_make_no_sense(horizon):
    sys = mor.Modal(np.array([0.5]), np.ones((1, 1)), np.ones((1, 1)), dt=1.0)
    with pytest.raises(TimeStepError):
        mor.gramians(sys, horizon=horizon)


def test_adding_discrete_to_continuous():
    a = mor.Modal(np.array([0.5]), np.ones((1, 1)), np.ones((1, 1)), dt=1.0)
    b = mor.Modal(np.array([-0.5]), np.ones((1, 1)), np.ones((1, 1)))
    with pytest.raises(TimeStepError):
        a - b


def test_singular_E_and_defective_A():
    with pytest.raises(ReductionError, match="algebraic"):
        mor.hankel_singular_values((-np.eye(2), np.ones((2, 1)), np.ones((1, 2)), None, np.diag([1.0, 0.0])))
    with pytest.raises(ReductionError, match="defective"):
        mor.Modal.from_lti(mor.LTI([[0.5, 1.0], [0.0, 0.5]], np.ones((2, 1)), np.ones((1, 2)), dt=1.0))


def test_one_D_serves_a_whole_batch():
    poles, B, C = 0.5 * np.ones((3, 2)), np.ones((3, 2, 1)), np.ones((3, 1, 2))
    batch = mor.Modal(poles, B, C, np.array([[7.0]]), dt=1.0)
    assert batch.D.shape == (3, 1, 1)
    assert float(batch[1].D[0, 0]) == 7.0
    assert mor.balanced_truncation(batch, order=1).system.D.shape == (3, 1, 1)
    with pytest.raises(DimensionError, match="D has shape"):
        mor.Modal(poles, B, C, np.ones((7, 1, 1)), dt=1.0)
    blocks = mor.BlockDiagonal(0.1 * np.ones((3, 2, 1, 1)), B, C, np.array([[7.0]]), dt=1.0)
    assert blocks.D.shape == (3, 1, 1)


def test_a_complex_D_is_refused():
    with pytest.raises(DimensionError, match="D is complex"):
        mor.Modal(np.array([0.5]), np.ones((1, 1)), np.ones((1, 1)), np.array([[1j]]), dt=1.0)


def test_responses_that_overflow_are_an_error():
    growing = mor.Modal(np.array([2.0]), np.ones((1, 1)), np.ones((1, 1)), dt=1.0)
    dense = mor.LTI([[2.0]], [[1.0]], [[1.0]])
    with np.errstate(all="ignore"):
        for call in (mor.gramians, mor.hankel_singular_values, mor.h2_norm, mor.balanced_truncation):
            for sys in (growing, dense):
                with pytest.raises(NotFiniteError, match="overflows within"):
                    call(sys, horizon=2000)


def test_half_precision_is_computed_in_double():
    sys = mor.Modal(
        np.array([0.5], np.float16), np.ones((1, 1), np.float16), np.ones((1, 1), np.float16), dt=1.0
    )
    np.testing.assert_allclose(mor.hankel_singular_values(sys), [1 / 0.75], rtol=1e-14)


def test_steps_that_are_none():
    continuous = mor.Modal(np.array([-0.5]), np.ones((1, 1)), np.ones((1, 1)))
    with pytest.raises(TimeStepError, match="positive"):
        continuous.discretize(0.0)
    with pytest.raises(TimeStepError, match="at least 1"):
        continuous.discretize(0.1).impulse_response(0)
    with pytest.raises(NotFiniteError, match="pole"):
        mor.LTI([[0.5]], [[1.0]], [[1.0]], dt=1.0).evaluate(0.5)


def test_batches_of_different_shapes_cannot_be_subtracted():
    a = mor.Modal(0.5 * np.ones((3, 1)), np.ones((3, 1, 1)), np.ones((3, 1, 1)), dt=1.0)
    with pytest.raises(DimensionError, match="batches"):
        a - a[0]


def test_D_does_not_decide_the_precision():
    single = [np.full((1,), 0.5, np.complex64), np.ones((1, 1), np.complex64), np.ones((1, 1), np.complex64)]
    sys = mor.Modal(*single, np.ones((1, 1)), dt=1.0)
    assert sys.D.dtype == np.float32
    assert mor.hankel_singular_values(sys).dtype == np.float32


@given(modal_systems(), st.integers(1, 12))
def test_padding_changes_nothing(sys, n_modes):
    padded = sys.padded(n_modes)
    assert padded.n_modes == max(n_modes, sys.n_modes)
    assert padded.is_stable
    assert_same_map(padded, sys)
