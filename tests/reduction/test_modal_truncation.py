"""Modal truncation: whole modes, chosen by scores with known values, under a bound that holds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mor
from mor.errors import DimensionError, NotASystemError, ReductionError, UnstableSystemError
from mor.reduction.modal import rank_modes
from mor.testing import block_systems, lti_systems, modal_systems, two_area_power_system
from tests.oracles.dense import frequencies, largest_gain
from tests.oracles.modal import is_pole_of

SCORES = ["hinf", "h2"]


def complex_modal(poles, b, c, dt=1.0):
    """One input and one output, row b and column c."""
    return mor.Modal(
        np.array(poles, dtype=complex),
        np.array(b, dtype=complex)[:, None],
        np.array(c, dtype=complex)[None, :],
        dt=dt,
    )


def check_reduction(sys, reduction, order):
    """Order, poles, and the bound held against the error on a dense grid."""
    reduced = reduction.system
    assert reduction.order == reduced.order <= order <= reduction.full_order == sys.order
    assert is_pole_of(reduced.poles, np.asarray(sys.poles))
    error = largest_gain(sys - reduced, frequencies(sys))
    # Round-off of the responses that are subtracted.
    assert error <= reduction.error_bound * (1 + 1e-9) + 1e-12 * largest_gain(sys, frequencies(sys))
    np.testing.assert_array_equal(reduced.D, sys.D)
    assert reduced.dt == sys.dt


# The bound and the choice, for random systems.


@pytest.mark.slow
@given(modal_systems(), st.sampled_from(SCORES), st.floats(0, 1))
def test_bound_holds(sys, score, share):
    order = round(share * sys.order)
    check_reduction(sys, mor.modal_truncation(sys, order, score=score), order)


@pytest.mark.slow
@given(st.one_of(lti_systems(), block_systems()), st.sampled_from(SCORES), st.floats(0, 1))
def test_bound_holds_for_what_becomes_modal(sys, score, share):
    """Dense systems are diagonalised; nearly defective ones may be refused."""
    order = round(share * sys.order)
    try:
        modal = mor.Modal.from_lti(sys.to_lti())
    except ReductionError:
        return
    reduction = mor.modal_truncation(sys, order, score=score)
    assert reduction.order <= order
    error = largest_gain(modal - reduction.system, frequencies(modal))
    # Coordinates of eigenvectors with a condition up to 1e8 lose half the digits.
    assert error <= reduction.error_bound * (1 + 1e-6) + 1e-7 * largest_gain(modal, frequencies(modal))


@pytest.mark.slow
@given(modal_systems(), st.sampled_from(SCORES))
def test_every_order_keeps_the_best_modes_that_fit(sys, score):
    ranking = rank_modes(sys, score=score)
    sizes = np.where(sys.real_modes, 1, 2)
    best = np.argsort(-ranking.scores, kind="stable")
    for order in range(sys.order + 1):
        reduction = ranking.truncate(order)
        count = int(np.sum(np.cumsum(sizes[best]) <= order))
        kept = np.sort(best[:count])
        np.testing.assert_array_equal(reduction.system.poles, sys.poles[kept])
        np.testing.assert_array_equal(reduction.system.B, sys.B[kept])
        np.testing.assert_array_equal(reduction.system.C, sys.C[:, kept])
        # A pair that is next may be too large for one last state.
        assert order - 1 <= reduction.order <= order
        dropped = np.delete(ranking.gains, kept)
        np.testing.assert_allclose(reduction.error_bound, np.sum(dropped), rtol=1e-12)


def test_no_state_is_lost_and_all_are_kept_without_an_order():
    sys = complex_modal([0.5, 0.9j, -0.3], [1, 1, 0], [1, 1, 1])
    reduction = mor.modal_truncation(sys)
    # The last mode is reached by no input: its score is zero.
    np.testing.assert_array_equal(reduction.system.poles, [0.5, 0.9j])
    assert (reduction.order, reduction.full_order, reduction.error_bound) == (3, 4, 0.0)


@given(modal_systems(degenerate=False))
def test_without_an_order_nothing_changes(sys):
    reduction = mor.modal_truncation(sys)
    np.testing.assert_array_equal(reduction.system.poles, sys.poles)
    assert reduction.error_bound == 0
    assert reduction.order == reduction.full_order


@pytest.mark.slow
@given(modal_systems())
def test_order_zero_is_the_feedthrough(sys):
    reduction = mor.modal_truncation(sys, 0)
    assert reduction.order == 0
    assert reduction.system.n_modes == 0
    np.testing.assert_allclose(reduction.error_bound, np.sum(rank_modes(sys).gains), rtol=1e-12)
    grid = frequencies(sys)
    response = reduction.system.frequency_response(grid)
    np.testing.assert_allclose(response, np.broadcast_to(sys.D, response.shape), rtol=0, atol=0)


# Known values.


def test_scores_of_known_modes():
    """|b| |c| over the margin, and over the root of twice it (continuous) or of 1 - |pole|^2."""
    continuous = mor.Modal(
        np.array([-1.0, -50.0, -2.0]),
        np.array([[3.0, 4.0], [1.0, 0.0], [0.0, 2.0]]),
        np.array([[1.0, 1.0, 0.5]]),
    )
    np.testing.assert_allclose(rank_modes(continuous).scores, [5, 0.02, 0.5], rtol=1e-14)
    np.testing.assert_allclose(
        rank_modes(continuous, score="h2").scores, [5 / np.sqrt(2), 0.1, 1 / 2], rtol=1e-14
    )
    discrete = complex_modal([0.6, 0.8j, -0.5], [1, 2, 1], [1, 1, 4])
    np.testing.assert_allclose(rank_modes(discrete).scores, [2.5, 10, 8], rtol=1e-14)
    np.testing.assert_allclose(
        rank_modes(discrete, score="h2").scores, [1 / 0.8, 2 / 0.6, 4 / np.sqrt(0.75)], rtol=1e-14
    )


def test_scores_decide_differently():
    """A slow weak mode has the larger gain, a fast strong one the larger energy."""
    sys = complex_modal([0.99, 0.1], [1, 1], [0.1, 1.2])
    slow, fast = (mor.modal_truncation(sys, 1, score=score) for score in SCORES)
    np.testing.assert_array_equal(slow.system.poles, [0.99])
    np.testing.assert_array_equal(fast.system.poles, [0.1])
    # The bound is that of the gains whatever the score.
    assert slow.error_bound == pytest.approx(1.2 / 0.9)
    assert fast.error_bound == pytest.approx(0.1 / 0.01)


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_scores_are_norms_of_a_single_real_mode(dt):
    sys = mor.Modal(np.array([0.9 if dt else -0.1]), np.array([[2.0]]), np.array([[3.0]]), dt=dt)
    assert rank_modes(sys).scores[0] == pytest.approx(largest_gain(sys, [0.0]))
    assert rank_modes(sys, score="h2").scores[0] == pytest.approx(float(mor.h2_norm(sys)))


def test_bound_is_attained_where_all_dropped_modes_peak_together():
    sys = complex_modal([0.9, 0.8, 0.5, 0.2], [4, 1, 1, 1], [1, 1, 2, 1])
    reduction = mor.modal_truncation(sys, 1)
    assert reduction.error_bound == pytest.approx(1 / 0.2 + 2 / 0.5 + 1 / 0.8)
    assert largest_gain(sys - reduction.system, [0.0]) == pytest.approx(reduction.error_bound)


def test_reduction_tells_what_it_is():
    sys = complex_modal([0.9, 0.5], [1, 1], [1, 1])
    reduction = mor.modal_truncation(sys, 1, score="h2")
    assert reduction.method == "modal truncation (h2)"
    assert reduction.bound_kind == "hinf"
    np.testing.assert_allclose(reduction.hsv, mor.hankel_singular_values(sys)[:2], rtol=1e-12)
    assert reduction.hsv.shape == (2,)
    assert "modal truncation" in str(reduction)


# Pairs, real modes, kinds of systems.


def test_pairs_are_never_split_and_real_modes_count_one():
    sys = complex_modal([0.9j, 0.5, 0.8j, -0.4], [1, 1, 1, 1], [1, 1, 1, 1])
    assert sys.order == 6
    orders = [mor.modal_truncation(sys, order).order for order in range(7)]
    # Scores 10, 2, 5, 1.67: a pair, a pair, two real modes.
    assert orders == [0, 0, 2, 2, 4, 5, 6]


def test_a_real_pole_between_complex_rows_counts_two():
    """Real pole, complex row and column: real and imaginary part of the state both matter."""
    sys = complex_modal([0.9], [1 + 1j], [1 - 2j])
    assert sys.order == 2
    assert [mor.modal_truncation(sys, order).order for order in (0, 1, 2)] == [0, 0, 2]


def test_merits_are_scores_and_steps_the_states_of_each():
    sys = complex_modal([0.9j, 0.5, 0.8j], [1, 1, 1], [1, 1, 1])
    np.testing.assert_allclose(rank_modes(sys).merits, [10, 5, 2], rtol=1e-14)
    np.testing.assert_array_equal(rank_modes(sys).steps, [2, 2, 1])
    real = mor.Modal(np.array([0.5, 0.9]), np.ones((2, 1)), np.ones((1, 2)), dt=1.0)
    np.testing.assert_allclose(rank_modes(real).merits, [10, 2], rtol=1e-14)


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("score", SCORES)
def test_dense_systems(dt, score):
    sys = two_area_power_system()
    if dt:
        sys = mor.Modal.from_lti(sys).discretize(0.1).to_lti()
    modal = mor.Modal.from_lti(sys)
    for order in range(8):
        reduction, same = (mor.modal_truncation(s, order, score=score) for s in (sys, modal))
        assert reduction.order == same.order
        # The same coordinates up to round-off in the eigenvectors.
        np.testing.assert_allclose(reduction.error_bound, same.error_bound, rtol=1e-9, atol=1e-9)
        error = largest_gain(modal - reduction.system, frequencies(modal))
        assert error <= reduction.error_bound * (1 + 1e-9) + 1e-9


def test_tuples_and_lists():
    reduction = mor.modal_truncation(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]), order=1)
    np.testing.assert_allclose(reduction.system.poles, [-1])
    assert reduction.error_bound == pytest.approx(0.02)


def test_a_tensor_of_torch_comes_back_on_numpy():
    torch = pytest.importorskip("torch")
    sys = complex_modal([0.9j, 0.5], [1, 1], [1, 1])
    there = mor.Modal(
        *(torch.tensor(getattr(sys, f), requires_grad=True) for f in ("poles", "B", "C")), dt=1.0
    )
    reduction = mor.modal_truncation(there, 2)
    assert isinstance(reduction.system.poles, np.ndarray)
    np.testing.assert_array_equal(reduction.system.poles, [0.9j])


@pytest.mark.slow
@given(modal_systems(batch=(3,), max_modes=4, real_modes=False), st.sampled_from(SCORES), st.floats(0, 1))
def test_batches_are_their_systems(batch, score, share):
    order = round(share * batch.order)
    together = mor.modal_truncation(batch, order, score=score)
    assert together.order <= order
    bounds = []
    for i in range(3):
        alone = mor.modal_truncation(batch[i], min(order, batch[i].order), score=score)
        grid = frequencies(batch[i])
        error = largest_gain(together.system[i] - alone.system, grid)
        assert error <= 1e-12 * (1 + largest_gain(batch[i], grid))
        bounds.append(alone.error_bound)
    assert together.error_bound == pytest.approx(max(bounds))
    assert together.hsv.shape == (3, batch.order)


def unequal_batch():
    """Four real modes beside four pairs."""
    poles = np.array([[0.9, 0.8, 0.7, 0.6], [0.9j, 0.8j, 0.7j, 0.6j]])
    return mor.Modal(poles, np.ones((2, 4, 1), complex), np.ones((2, 1, 4), complex), dt=1.0)


def test_systems_of_a_batch_keep_what_fits_in_each():
    batch = unequal_batch()
    reduction = mor.modal_truncation(batch, 4)
    np.testing.assert_array_equal(reduction.system[0].poles, [0.9, 0.8, 0.7, 0.6])
    there = np.abs(reduction.system[1].B[:, 0]) > 0
    np.testing.assert_array_equal(reduction.system[1].poles[there], [0.9j, 0.8j])
    assert reduction.error_bound == pytest.approx(1 / 0.3 + 1 / 0.4)


def test_order_of_an_unequal_batch_is_not_above_what_was_asked_for():
    assert mor.modal_truncation(unequal_batch(), 4).order <= 4


# Bad input.


@pytest.mark.parametrize("order", [-1, 5, 1.5, "2", np.nan])
def test_orders_that_make_no_sense(order):
    with pytest.raises(mor.MorError, match=r"order=.* is not (a whole number|between 0 and 4)"):
        mor.modal_truncation(complex_modal([0.9j, 0.8j], [1, 1], [1, 1]), order)


def test_an_unknown_score():
    with pytest.raises(ReductionError, match="'gain' is not one of hinf, h2"):
        mor.modal_truncation(complex_modal([0.5], [1], [1]), 1, score="gain")


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_unstable_systems(dt):
    with pytest.raises(UnstableSystemError, match="modal truncation"):
        mor.modal_truncation(complex_modal([0.5, 1.0], [1, 1], [1, 1], dt=dt), 1)


def test_a_defective_system_is_refused():
    with pytest.raises(ReductionError):
        mor.modal_truncation(([[-1.0, 1.0], [0.0, -1.0]], [[0.0], [1.0]], [[1.0, 0.0]]), 1)


def test_what_is_no_system():
    with pytest.raises(NotASystemError):
        mor.modal_truncation("system", 1)


def test_a_batch_of_blocks_is_refused():
    rng = np.random.default_rng(0)
    blocks, B, C = 0.3 * rng.standard_normal((3, 2, 2, 2)), np.ones((3, 4, 1)), np.ones((3, 1, 4))
    with pytest.raises(DimensionError, match="batch"):
        mor.modal_truncation(mor.BlockDiagonal(blocks, B, C, dt=1.0), 2)


def test_a_system_without_states_stays_as_it_is():
    empty = mor.Modal(np.zeros(0, complex), np.zeros((0, 1), complex), np.zeros((1, 0), complex), dt=1.0)
    assert mor.modal_truncation(empty).order == 0
