"""Ranks by "adaptive" and "global": known answers, and what they keep."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mor.deep import allocate_ranks
from mor.deep.ranks import RANKS
from mor.errors import ReductionError

#: Squares over sums of squares that are as large: 1, 4/13, 1/14; 1, 1/102, 1/102; 1/2, 1/2, 1/202, 1/202.
VALUES = {"a": [3.0, 2.0, 1.0], "b": [10.0, 1.0, 1.0], "c": [5.0, 5.0, 0.5, 0.5]}


@pytest.mark.parametrize(
    ("budget", "adaptive"),
    [
        (3, {"a": 1, "b": 1, "c": 1}),
        (4, {"a": 1, "b": 1, "c": 2}),
        (5, {"a": 2, "b": 1, "c": 2}),
        (6, {"a": 3, "b": 1, "c": 2}),
        (7, {"a": 3, "b": 2, "c": 2}),
        (8, {"a": 3, "b": 3, "c": 2}),
        (9, {"a": 3, "b": 3, "c": 3}),
        (10, {"a": 3, "b": 3, "c": 4}),
    ],
)
def test_adaptive_ranks_by_hand(budget, adaptive):
    assert allocate_ranks(VALUES, budget / 10, method="adaptive") == adaptive


@pytest.mark.parametrize(
    ("budget", "by_size"),
    [
        (3, {"a": 1, "b": 1, "c": 1}),
        (4, {"a": 1, "b": 1, "c": 2}),
        (5, {"a": 2, "b": 1, "c": 2}),
        (8, {"a": 3, "b": 3, "c": 2}),
        (10, {"a": 3, "b": 3, "c": 4}),
    ],
)
def test_global_ranks_by_hand(budget, by_size):
    assert allocate_ranks(VALUES, budget / 10, method="global") == by_size


def test_scale_of_a_layer_matters_to_global_ranks_only():
    values = {"a": np.array([4.0, 2.0, 1.0, 0.5]), "b": np.array([4.0, 3.0, 2.0, 1.0])}
    scaled = values | {"a": 1e6 * values["a"]}
    for method in ("adaptive", "energy", "uniform"):
        assert allocate_ranks(scaled, 0.5, method=method) == allocate_ranks(values, 0.5, method=method)
    assert allocate_ranks(values, 0.5, method="global") == {"a": 2, "b": 2}
    assert allocate_ranks(scaled, 0.5, method="global") == {"a": 3, "b": 1}


@st.composite
def scores_in_pairs(draw):
    """Scores by state as modes have them: equal in pairs, some single, in batches or not."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    layers = {}
    for i in range(draw(st.integers(1, 4))):
        copies = draw(st.sampled_from([0, 1, 3]))
        modes = rng.integers(1, 12)
        scores = np.sort(10 ** rng.uniform(-3, 3, (copies or 1, modes)), axis=1)[:, ::-1]
        states = np.repeat(scores, 2, axis=1)[:, rng.integers(0, 2) :]
        layers[f"l{i}"] = states if copies else states[0]
    return layers


@given(scores_in_pairs(), st.floats(0.01, 1.0), st.sampled_from(list(RANKS)))
def test_budget_of_pairs_and_batches(scores, keep, method):
    copies = {name: np.atleast_2d(x).shape[0] for name, x in scores.items()}
    total = sum(np.size(x) for x in scores.values())
    budget = int(keep * total + 1e-9 * total)
    if budget < sum(copies.values()):
        with pytest.raises(ReductionError, match="least is keep="):
            allocate_ranks(scores, keep, method=method)
        return
    ranks = allocate_ranks(scores, keep, method=method)
    assert list(ranks) == list(scores)
    assert all(1 <= r <= np.shape(scores[name])[-1] for name, r in ranks.items())
    left = budget - sum(copies[name] * r for name, r in ranks.items())
    assert left >= 0
    # No state for each system of any layer that has one more would fit.
    assert all(copies[name] > left for name, r in ranks.items() if r < np.shape(scores[name])[-1])


def last_scores(values):
    """As LAST writes it: squares over the running sum of squares, from the largest down."""
    squares = np.sort(np.asarray(values))[::-1] ** 2
    return squares / np.cumsum(squares)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 1.0))
def test_adaptive_ranks_are_a_threshold_on_the_scores_of_last(seed, keep):
    """For distinct values: what is kept beside each layer's largest is what scores highest."""
    rng = np.random.default_rng(seed)
    values = {f"l{i}": 10 ** rng.uniform(-2, 2, n) for i, n in enumerate(rng.integers(1, 20, 4))}
    ordered = {name: np.sort(x)[::-1] for name, x in values.items()}
    total = sum(len(x) for x in values.values())
    if int(keep * total) < 4:
        return
    ranks = allocate_ranks(ordered, keep, method="adaptive")
    kept = [s for name, r in ranks.items() for s in last_scores(values[name])[1:r]]
    dropped = [s for name, r in ranks.items() for s in last_scores(values[name])[r:]]
    assert min(kept, default=1.0) >= max(dropped, default=0.0)


@given(st.integers(0, 2**32 - 1), st.floats(0.1, 1.0))
def test_global_ranks_keep_the_largest_values(seed, keep):
    rng = np.random.default_rng(seed)
    values = {
        f"l{i}": np.sort(10 ** rng.uniform(-2, 2, n))[::-1] for i, n in enumerate(rng.integers(1, 20, 4))
    }
    if int(keep * sum(len(x) for x in values.values())) < 4:
        return
    ranks = allocate_ranks(values, keep, method="global")
    kept = [s for name, r in ranks.items() for s in values[name][1:r]]
    dropped = [s for name, r in ranks.items() for s in values[name][r:]]
    assert min(kept, default=np.inf) >= max(dropped, default=0.0)
