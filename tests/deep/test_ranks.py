"""Rank allocation: the budget is never exceeded and nothing that fits is left out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mor.deep.ranks import RANKS, allocate_ranks
from mor.errors import NotFiniteError, ReductionError


@st.composite
def layers(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    count = draw(st.integers(1, 5))
    return {
        f"l{i}": np.sort(np.exp(-np.arange(n) / 10 ** rng.uniform(-0.5, 1.5)) * 10 ** rng.uniform(-3, 3))[
            ::-1
        ]
        for i, n in enumerate(rng.integers(1, 40, count))
    }


@given(layers(), st.floats(0.01, 1.0), st.sampled_from(list(RANKS)))
def test_budget(hsv, keep, method):
    total = sum(len(x) for x in hsv.values())
    budget = int(keep * total + 1e-9 * total)
    if budget < len(hsv):
        with pytest.raises(ReductionError, match="least is keep="):
            allocate_ranks(hsv, keep, method=method)
        return
    ranks = allocate_ranks(hsv, keep, method=method)
    assert all(1 <= ranks[name] <= len(x) for name, x in hsv.items())
    used = sum(ranks.values())
    assert used <= budget
    # Nothing that fits is unused: with single systems, that means the budget is met exactly,
    # up to the states that stand above round-off.
    useful = sum(max(1, int(np.sum(x > len(x) * np.finfo(float).eps * x[0]))) for x in hsv.values())
    assert used == min(budget, useful)


def orders_at(hsv, level):
    """The rule as written: smallest r whose share of the sum reaches the level."""
    ranks = {}
    for name, x in hsv.items():
        share = np.cumsum(x) / np.sum(x)
        ranks[name] = int(np.argmax(share >= level)) + 1 if np.any(share >= level) else len(x)
    return ranks


@given(layers(), st.floats(0.2, 0.95))
def test_energy_ranks_lie_between_two_neighbouring_levels(hsv, keep):
    total = sum(len(x) for x in hsv.values())
    if int(keep * total) < len(hsv):
        return
    ranks = allocate_ranks(hsv, keep, method="energy")
    levels = np.unique(np.concatenate([np.cumsum(x) / np.sum(x) for x in hsv.values()]))
    below = [orders_at(hsv, g) for g in levels if sum(orders_at(hsv, g).values()) <= sum(ranks.values())]
    above = [orders_at(hsv, g) for g in levels if sum(orders_at(hsv, g).values()) >= sum(ranks.values())]
    if below:
        assert all(below[-1][name] <= ranks[name] for name in hsv)
    if above:
        assert all(above[0][name] >= ranks[name] for name in hsv)


def test_uniform_shares():
    hsv = {"a": np.ones(100), "b": np.ones(50)}
    assert allocate_ranks(hsv, 0.2, method="uniform") == {"a": 20, "b": 10}


def test_energy_gives_states_to_the_layer_that_needs_them():
    fast, slow = np.exp(-np.arange(64) / 1.0), np.exp(-np.arange(64) / 20.0)
    ranks = allocate_ranks({"fast": fast, "slow": slow}, 0.25)
    assert ranks["fast"] < 8 < 24 < ranks["slow"]


def test_batches_count_every_system():
    hsv = {"batch": np.ones((4, 10)), "single": np.ones(10)}
    ranks = allocate_ranks(hsv, 0.5)
    used = 4 * ranks["batch"] + ranks["single"]
    assert used <= 25
    # Neither another state for the single layer nor one for each of the four would fit.
    assert used == 25 or (ranks["single"] == 10 and used + 4 > 25)


@pytest.mark.parametrize("keep", [0, 1.5, -0.1, np.nan, "all"])
def test_shares_that_make_no_sense(keep):
    with pytest.raises(ReductionError, match="0, 1"):
        allocate_ranks({"a": np.ones(3)}, keep)


def test_bad_input():
    with pytest.raises(ReductionError, match="energy, uniform"):
        allocate_ranks({"a": np.ones(3)}, 0.5, method="magic")
    with pytest.raises(NotFiniteError, match="layer a"):
        allocate_ranks({"a": np.array([1.0, np.nan])}, 0.5)
