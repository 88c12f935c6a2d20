"""Several orders of one balancing, the bound of every order, relative tolerances, projection matrices."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mor
from mor.errors import QuadraticOutputError, ReductionError
from mor.report import plot_hsv
from mor.testing import block_systems, lti_systems, modal_systems, two_area_power_system
from tests.oracles.dense import frequencies, largest_gain, random_stable

KINDS = st.one_of(modal_systems(), block_systems(), lti_systems(), lti_systems(descriptor=True))


def dense(rng, n=6, m=2, p=2, dt=0.0):
    A = random_stable(rng, n, dt)
    return mor.LTI(A, rng.standard_normal((n, m)), rng.standard_normal((p, n)), dt=dt)


def reduced(sys, order, **options):
    """A reduction, or None where equal singular values, or a nearly defective result, allow none."""
    try:
        return mor.balanced_truncation(sys, order, **options)
    except ReductionError:
        return None


# Several orders.


@pytest.mark.parametrize("orders", [[2, 0, 7], (1, 3), range(0, 8, 3), np.array([4, 2])])
def test_a_list_of_orders_equals_single_calls(orders):
    sys = two_area_power_system()
    together = mor.balanced_truncation(sys, orders, match="dc")
    assert isinstance(together, list)
    assert len(together) == len(orders)
    for rom, order in zip(together, orders, strict=True):
        alone = mor.balanced_truncation(sys, int(order), match="dc")
        assert (rom.order, rom.error_bound, rom.method) == (alone.order, alone.error_bound, alone.method)
        for name in "ABCD":
            np.testing.assert_array_equal(getattr(rom.system, name), getattr(alone.system, name))


def test_a_list_takes_one_balancing(monkeypatch):
    calls = []
    factors = mor.LTI.factors
    monkeypatch.setattr(mor.LTI, "factors", lambda self, **k: calls.append(1) or factors(self, **k))
    mor.balanced_truncation(two_area_power_system(), [1, 2, 3, 4])
    assert len(calls) == 1


def test_a_list_for_batches_and_unstable_systems():
    rng = np.random.default_rng(0)
    poles = 0.9 * np.exp(1j * rng.uniform(0.1, 3, (3, 4)))
    batch = mor.Modal(poles, rng.standard_normal((3, 4, 1)) + 0j, rng.standard_normal((3, 1, 4)) + 0j, dt=1.0)
    assert [rom.order for rom in mor.balanced_truncation(batch, [2, 4])] == [2, 4]
    motor = mor.LTI([[0.0, 1, 0], [0, -1, 0.2], [0, 0, -4]], [[0.0], [0], [4]], [[1.0, 0, 0]])
    assert [rom.order for rom in mor.balanced_truncation(motor, [1, 2, 3], unstable="split")] == [1, 2, 3]


def test_an_empty_list_has_no_reductions():
    assert mor.balanced_truncation(two_area_power_system(), []) == []


@pytest.mark.parametrize("orders", [[1, 99], [1, -1], [[1, 2]], [1.5], ["2"]])
def test_orders_of_a_list_that_make_no_sense(orders):
    with pytest.raises(mor.MorError, match="order="):
        mor.balanced_truncation(two_area_power_system(), orders)


def test_several_tolerances_are_refused_with_the_way_to_have_them():
    with pytest.raises(ReductionError, match=r"balance once.*truncate\(tol="):
        mor.balanced_truncation(two_area_power_system(), tol=[0.1, 0.2])


@pytest.mark.parametrize("score", ["hinf", "h2"])
def test_several_orders_of_modes(score):
    sys = two_area_power_system()
    for order, rom in zip(range(8), mor.modal_truncation(sys, range(8), score=score), strict=True):
        alone = mor.modal_truncation(sys, order, score=score)
        assert (rom.order, rom.error_bound) == (alone.order, alone.error_bound)


# The bound of every order.


@pytest.mark.slow
@given(KINDS)
def test_bounds_of_balanced_truncation_are_those_of_single_calls(sys):
    bounds = mor.balance(sys).bounds
    assert bounds.shape == (sys.order + 1,)
    assert bounds[-1] == 0
    assert np.all(np.diff(bounds) <= 0)
    for order in range(sys.order + 1):
        rom = reduced(sys, order)
        if rom is not None:
            np.testing.assert_array_equal(rom.bounds, bounds)
            assert rom.error_bound == bounds[rom.order]
            hsv = mor.hankel_singular_values(sys)[: sys.order]
            # Round-off of two ways to the same values.
            np.testing.assert_allclose(rom.error_bound, 2 * np.sum(hsv[rom.order :]), atol=1e-12 * hsv[0])


@pytest.mark.slow
@given(modal_systems(max_modes=6), st.sampled_from(["hinf", "h2"]))
def test_bounds_of_modal_truncation_are_those_of_single_calls(sys, score):
    ranking = mor.rank_modes(sys, score=score)
    assert ranking.bounds.shape == (sys.order + 1,)
    for order in range(sys.order + 1):
        rom = ranking.truncate(order)
        np.testing.assert_allclose(rom.error_bound, ranking.bounds[order], rtol=1e-12, atol=1e-300)
        error = largest_gain(sys - rom.system, frequencies(sys))
        # Round-off of the responses that are subtracted.
        assert error <= rom.bounds[rom.order] * (1 + 1e-9) + 1e-12 * largest_gain(sys, frequencies(sys))


def test_bounds_of_a_batch_are_the_largest():
    rng = np.random.default_rng(1)
    poles = 0.9 * np.exp(1j * rng.uniform(0.1, 3, (2, 3)))
    batch = mor.Modal(poles, rng.standard_normal((2, 3, 1)) + 0j, rng.standard_normal((2, 1, 3)) + 0j, dt=1.0)
    for family in (mor.balance, mor.rank_modes):
        together, alone = family(batch), [family(batch[i]) for i in range(2)]
        np.testing.assert_allclose(together.bounds, np.max([f.bounds for f in alone], axis=0), rtol=1e-12)
        np.testing.assert_array_equal(together.truncate(2).bounds, together.bounds)


def test_bounds_are_infinite_below_what_is_kept():
    motor = mor.LTI([[0.0, 1, 0], [0, -1, 0.2], [0, 0, -4]], [[0.0], [0], [4]], [[1.0, 0, 0]])
    for method in (mor.balanced_truncation, mor.modal_truncation):
        rom = method(motor, 2, unstable="split")
        assert np.isinf(rom.bounds[0])
        assert np.isfinite(rom.bounds[1:]).all()
        assert rom.error_bound == pytest.approx(rom.bounds[2])


def test_methods_without_a_bound_have_none():
    sys = two_area_power_system()
    roms = [mor.tsia(sys, 2), mor.minimal_realization(sys), mor.balanced_truncation(sys, 2, horizon=5.0)]
    roms.append(mor.balanced_truncation(sys, 2, band=(0.1, 1.0)))
    roms.append(mor.balanced_truncation(mor.LQO(sys, np.zeros((3, 7, 7))), 2))
    assert [rom.bounds for rom in roms] == [None] * 5


def drawn_bound(rom):
    lines = [line for line in plot_hsv(rom).lines if line.get_label() == "error bound of order r"]
    return lines[0].get_ydata() if lines else None


def test_the_plot_draws_the_bound_of_the_method():
    """That of modal truncation is another one, and what has none gets no curve."""
    sys = two_area_power_system()
    for method in (mor.balanced_truncation, mor.modal_truncation):
        rom = method(sys, 3)
        expected = np.where(rom.bounds[:-1] > 0, rom.bounds[:-1], np.nan)
        np.testing.assert_array_equal(drawn_bound(rom), expected)
    assert drawn_bound(mor.balanced_truncation(sys, 3, horizon=2.0)) is None
    assert drawn_bound(mor.tsia(sys, 3)) is None
    np.testing.assert_allclose(drawn_bound(sys), mor.balance(sys).bounds[:-1], rtol=1e-12)


# Tolerances.


@pytest.mark.slow
@given(st.one_of(modal_systems(max_modes=5), lti_systems()), st.floats(1e-6, 3.0))
@settings(max_examples=40)
def test_a_relative_tolerance_is_one_of_the_hankel_norm(sys, share):
    norm = float(mor.hankel_norm(sys))
    for family in (mor.balance, mor.rank_modes):
        try:
            family = family(sys)
            rom = family.truncate(rel_tol=share)
        except ReductionError:
            continue
        if "note" in rom.diagnostics:
            continue
        assert rom.error_bound <= share * norm * (1 + 1e-9)
        # No order below meets it.
        below = family.bounds[: max(rom.order - 1, 0)]
        assert np.all(below > share * norm * (1 - 1e-9))


def test_the_error_relative_to_the_gain_is_what_was_asked_for():
    sys = two_area_power_system()
    for share in (0.5, 0.1, 0.01):
        for method in (mor.balanced_truncation, mor.modal_truncation):
            rom = method(sys, rel_tol=share)
            error = largest_gain(sys - rom.system, frequencies(sys))
            assert error <= share * float(mor.hinf_norm(sys))


@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_a_relative_tolerance_does_not_depend_on_units(scale):
    sys = two_area_power_system()
    other = mor.LTI(sys.A, scale * sys.B, sys.C)
    for share in (0.3, 0.03, 1e-6):
        for method in (mor.balanced_truncation, mor.modal_truncation):
            assert method(sys, rel_tol=share).order == method(other, rel_tol=share).order


def test_tolerances_of_a_batch_hold_for_each_system():
    rng = np.random.default_rng(2)
    poles = 0.9 * np.exp(1j * rng.uniform(0.1, 3, (3, 4)))
    B, C = rng.standard_normal((3, 4, 1)) + 0j, rng.standard_normal((3, 1, 4)) + 0j
    batch = mor.Modal(poles, B * np.array([1.0, 1e3, 1e-3])[:, None, None], C, dt=1.0)
    for family in (mor.balance, mor.rank_modes):
        single = [family(batch[i]) for i in range(3)]
        for share in (0.5, 0.05):
            order = family(batch).truncate(rel_tol=share).order
            assert order == max(f.truncate(rel_tol=share).order for f in single)


def test_the_limit_of_a_split_system_is_relative_to_its_stable_part():
    motor = mor.LTI([[0.0, 1, 0], [0, -1, 0.2], [0, 0, -4]], [[0.0], [0], [4]], [[1.0, 0, 0]])
    stable = mor.split_stable(motor)[0]
    norm = float(mor.hankel_norm(stable))
    for method in (mor.balanced_truncation, mor.modal_truncation):
        rom = method(motor, rel_tol=0.5, unstable="split")
        assert rom.error_bound <= 0.5 * norm


@pytest.mark.parametrize("rel_tol", [-0.1, np.nan, np.inf, "1e-3", [0.1, 0.2], 1j])
def test_relative_tolerances_that_make_no_sense(rel_tol):
    for method in (mor.balanced_truncation, mor.modal_truncation):
        with pytest.raises(mor.MorError, match="rel_tol="):
            method(two_area_power_system(), rel_tol=rel_tol)


@pytest.mark.parametrize(
    "request_", [{"order": 1, "tol": 1}, {"order": 1, "rel_tol": 1}, {"tol": 1, "rel_tol": 1}]
)
def test_one_of_order_and_tolerances(request_):
    for method in (mor.balanced_truncation, mor.modal_truncation):
        with pytest.raises(ReductionError, match="give"):
            method(two_area_power_system(), **request_)


def test_no_tolerance_where_there_is_no_bound():
    sys = two_area_power_system()
    squares = mor.LQO(sys, np.zeros((3, 7, 7)))
    for name in ("tol", "rel_tol"):
        limit = {name: 0.1}
        with pytest.raises(ReductionError, match=f"{name}=0.1.*has none; give order="):
            mor.balanced_truncation(sys, horizon=3.0, **limit)
        with pytest.raises(ReductionError, match=f"{name}=0.1.*has none; give order="):
            mor.balanced_truncation(squares, **limit)
        with pytest.raises(ReductionError, match="has none; give order="):
            mor.modal_truncation(squares, **limit)
        with pytest.raises(QuadraticOutputError):
            mor.modal_truncation(squares, unstable="split", **limit)


# Projection matrices.


@given(st.one_of(lti_systems(), lti_systems(descriptor=True), lti_systems(is_complex=True)))
def test_the_projection_gives_the_reduced_system(sys):
    order = sys.order // 2
    rom = reduced(sys, order)
    if rom is None:
        return
    W, V = rom.left.conj().T, rom.right
    E = np.eye(sys.order) if sys.E is None else sys.E
    assert W.T.shape == V.shape == (sys.order, rom.order)
    np.testing.assert_allclose(W @ E @ V, np.eye(rom.order), atol=1e-8)
    for name, projected in (("A", W @ sys.A @ V), ("B", W @ sys.B), ("C", sys.C @ V)):
        there = getattr(rom.system, name)
        np.testing.assert_allclose(projected, there, rtol=1e-8, atol=1e-8 * np.linalg.norm(projected))


@pytest.mark.slow
@given(modal_systems(max_modes=4), st.integers(0, 4))
def test_the_projection_of_modes_is_in_real_and_imaginary_parts(sys, order):
    rom = reduced(sys, min(order, sys.order))
    if rom is None:
        return
    W, V = rom.left.T, rom.right
    A, B, C = sys.operator.apply(V), sys.input_factor_matrix, sys.output_factor_matrix
    np.testing.assert_allclose(W @ V, np.eye(rom.order), atol=1e-8)
    projected = mor.LTI(W @ A, W @ B, C @ V, sys.D, dt=sys.dt)
    grid = frequencies(sys, 50)
    error = largest_gain(projected - rom.system, grid)
    assert error <= 1e-7 * (1 + largest_gain(sys, grid))


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_the_projection_of_the_reciprocal(dt):
    rng = np.random.default_rng(3)
    E = np.eye(6) + 0.1 * rng.standard_normal((6, 6))
    sys = dense(rng, dt=dt)
    sys = mor.LTI(E @ sys.A, E @ sys.B, sys.C, sys.D, E, dt=dt)
    rom = mor.balanced_truncation(sys, 3, match="dc")
    W, V, c = rom.left.T, rom.right, 1.0 if dt else 0.0
    np.testing.assert_allclose(W @ E @ V, np.eye(3), atol=1e-10)
    inner = W @ E @ np.linalg.solve(sys.A - c * E, E @ V)
    np.testing.assert_allclose(np.linalg.inv(inner), rom.system.A - c * np.eye(3), atol=1e-9)


def test_the_projection_of_a_split_system_is_that_of_its_stable_part():
    motor = mor.LTI([[0.0, 1, 0], [0, -1, 0.2], [0, 0, -4]], [[0.0], [0], [4]], [[1.0, 0, 0]])
    rom = mor.balanced_truncation(motor, 2, unstable="split")
    full, small = rom.stable_parts
    assert rom.left.shape == rom.right.shape == (2, 1)
    np.testing.assert_allclose(rom.left.T @ full.A @ rom.right, small.A, atol=1e-12)


def test_states_are_lifted():
    """The state of the full system is V times that of the reduced one: exactly, if nothing is left out."""
    sys = two_area_power_system()
    rom = mor.balanced_truncation(sys, 7)
    u = np.sin(0.3 * np.arange(200.0))[:, None] * [1.0, 0.5]
    states = mor.LTI(sys.A, sys.B, np.eye(7))
    small = mor.LTI(rom.system.A, rom.system.B, rom.right)
    x, lifted = (mor.simulate(s, u, step=0.1) for s in (states, small))
    assert np.max(np.abs(x - lifted)) <= 1e-10 * np.max(np.abs(x))


def test_no_projection_where_there_is_none():
    sys = two_area_power_system()
    for rom in (mor.tsia(sys, 2), mor.modal_truncation(sys, 2), mor.minimal_realization(sys)):
        assert rom.left is None
        assert rom.right is None


@pytest.mark.parametrize("method", [mor.balanced_truncation, mor.modal_truncation, mor.tsia])
def test_a_reduction_can_be_pickled(method):
    rom = method(two_area_power_system(), 3)
    again = pickle.loads(pickle.dumps(rom))
    assert (again.order, again.error_bound, again.roundoff) == (rom.order, rom.error_bound, rom.roundoff)
    np.testing.assert_array_equal(again.system.D, rom.system.D)


# Families.


def test_all_families_have_the_members_of_one():
    poles = 0.9 * np.exp(1j * np.array([[0.3, 1.0], [0.7, 2.0]]))
    batch = mor.Modal(poles, np.ones((2, 2, 1)) + 0j, np.ones((2, 1, 2)) + 0j, dt=1.0)
    members = {"full_order", "hsv", "bounds", "merits", "steps", "truncate"}
    for family in (
        mor.balance(batch[0]),
        mor.balance(batch),
        mor.rank_modes(batch[0]),
        mor.rank_modes(batch),
    ):
        assert members <= set(dir(family))
        assert family.full_order == family.hsv.shape[-1] == len(family.bounds) - 1
        assert np.sum(family.steps) >= family.full_order
        assert family.merits.shape[-1] == len(family.steps)


def test_a_family_is_what_single_calls_are_made_of():
    sys = two_area_power_system()
    balancing = mor.balance(sys, match="dc")
    assert balancing.full_order == 7
    np.testing.assert_allclose(balancing.hsv, mor.hankel_singular_values(sys), rtol=1e-12)
    for request in ({"order": 3}, {"tol": 1.0}, {"rel_tol": 0.2}, {}):
        family, single = balancing.truncate(**request), mor.balanced_truncation(sys, match="dc", **request)
        np.testing.assert_array_equal(family.system.A, single.system.A)
    ranking = mor.rank_modes(sys, score="h2")
    assert ranking.full_order == 7
    for request in ({"order": 3}, {"tol": 1.0}, {"rel_tol": 0.2}, {}):
        family, single = ranking.truncate(**request), mor.modal_truncation(sys, score="h2", **request)
        np.testing.assert_array_equal(family.system.poles, single.system.poles)
