"""`Compression.states` counted the largest order times the copies, and batches of two axes were a raw error.

Systems of a batch have unequal numbers of real modes, so the largest order times the number of
systems is more than there are, before as well as after: budgets looked exceeded that were not.
"""

import itertools

import numpy as np
import pytest

import mor
from mor.deep import allocate_ranks, compress
from mor.deep.ranks import RANKS


class Layers:
    """The least that compress() asks of a model."""

    def __init__(self, layers):
        self.layers = layers

    def replace(self, changes):
        return Layers({**self.layers, **{name: x.system for name, x in changes.items()}})


def real_states(system) -> int:
    """Counted one system, one mode at a time: 2 a pair, 1 a real mode, 0 where B or C is zero."""
    count = 0
    for i in np.ndindex(*system.batch_shape):
        for k in range(system.n_modes):
            b, c = system.B[(*i, k)], system.C[i][:, k]
            if np.any(b != 0) and np.any(c != 0):
                real = system.poles[(*i, k)].imag == 0 and (np.all(b.imag == 0) or np.all(c.imag == 0))
                count += 1 if real else 2
    return count


def batch(rng, shape, k=5):
    """Systems of which some modes are real and some do nothing."""
    poles = rng.uniform(0.2, 0.95, (*shape, k)) * np.exp(1j * rng.uniform(0.1, 3, (*shape, k)))
    B, C = (rng.standard_normal((2, *shape, *last)) for last in ((k, 1), (1, k)))
    B, C = B[0] + 1j * B[1], C[0] + 1j * C[1]
    real = rng.random((*shape, k)) < 0.4
    poles[real] = poles[real].real
    B[real] = B[real].real
    B[rng.random((*shape, k)) < 0.2] = 0
    return mor.Modal(poles, B, C, dt=1.0)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bt", "modal", "modal-h2"])
def test_states_are_those_that_are_there_and_within_the_budget(method):
    rng = np.random.default_rng(3)
    for ranks, keep in itertools.product(RANKS, (0.5, 0.6, 0.8, 1.0)):
        model = Layers({"a": batch(rng, (4,)), "b": batch(rng, (3,)), "c": batch(rng, ())})
        result = compress(model, keep=keep, method=method, ranks=ranks)
        before, after = (sum(real_states(x) for x in m.layers.values()) for m in (model, result.model))
        assert result.states == (before, after)
        assert after <= keep * before + 1e-9


@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize("method", ["bt", "modal"])
def test_a_batch_may_have_two_axes(method, ranks):
    rng = np.random.default_rng(0)
    flat = batch(rng, (4,))
    square = mor.Modal(*(np.reshape(x, (2, 2, *x.shape[1:])) for x in (flat.poles, flat.B, flat.C)), dt=1.0)
    one, two = (compress(Layers({"a": x}), keep=0.5, ranks=ranks, method=method) for x in (flat, square))
    assert one.states == two.states
    assert one.reductions["a"].order == two.reductions["a"].order
    assert two.reductions["a"].system.batch_shape == (2, 2)


def test_a_budget_counts_what_systems_have_and_not_the_largest():
    hsv = {"a": np.array([[4.0, 2.0, 1.0, 0.0], [4.0, 0.0, 0.0, 0.0], [3.0, 0.0, 0.0, 0.0]])}
    # Three values in all but the first system cost one state each: 5 of 6 are enough for order 3.
    assert allocate_ranks(hsv, 5 / 6, states={"a": np.array([4, 1, 1])}) == {"a": 3}
