"""Truncation at chosen steps of training."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from mor.errors import NotASystemError, NotFiniteError, ReductionError
from tests.torch.live_layers import seeded
from tests.torch.training import Stack, inputs, poison, train

torch = pytest.importorskip("torch")

from mor.adapters.torch import (  # noqa: E402
    HankelRegularizer,
    InTrainingTruncation,
    StateSpaceLayer,
    StateSpaceNetwork,
    truncate,
)


def changes(truncation, steps):
    return [step for step in range(1, steps + 1) if truncation.step()]


def test_truncation_at_chosen_steps():
    model = Stack()
    adam = torch.optim.Adam(model.parameters())
    truncation = InTrainingTruncation(model, adam, at=(2, 5), order=6)
    assert changes(truncation, 1) == []
    assert changes(truncation, 1) == [1]
    assert truncation.history == [(2, {"layers.0": 6, "layers.1": 6})]
    # At step 5 there is nothing left to remove.
    assert changes(truncation, 5) == []
    assert truncation.steps == 7
    assert len(truncation.history) == 1


def test_truncation_every_so_many_steps():
    model = Stack()
    adam = torch.optim.Adam(model.parameters())
    truncation = InTrainingTruncation(model, adam, every=3, energy=0.9)
    assert changes(truncation, 9) == [3, 6, 9]
    assert [step for step, _ in truncation.history] == [3, 6, 9]
    orders = [sum(orders.values()) for _, orders in truncation.history]
    assert orders == sorted(orders, reverse=True)


def test_a_share_to_keep_is_one_of_the_states_at_the_start():
    model = Stack()
    truncation = InTrainingTruncation(model, torch.optim.Adam(model.parameters()), every=3, keep=0.8)
    assert changes(truncation, 9) == [3]


def test_truncation_within_training_is_truncation_between_steps():
    models = [Stack(), Stack()]
    adams = [torch.optim.Adam(m.parameters(), lr=1e-3) for m in models]
    truncation = InTrainingTruncation(models[0], adams[0], at=[3], energy=0.9)
    losses = []
    for _ in range(6):
        losses += train(models[0], adams[0], 1)
        truncation.step()
    again = train(models[1], adams[1], 3)
    reductions = truncate(models[1], adams[1], energy=0.9)
    again += train(models[1], adams[1], 3)
    assert losses == again
    assert truncation.history == [(3, {name: r.order for name, r in reductions.items()})]


def test_energy_that_allows_nothing_leaves_every_bit():
    models = [Stack(), Stack()]
    adams = [torch.optim.Adam(m.parameters(), lr=1e-3) for m in models]
    truncation = InTrainingTruncation(models[0], adams[0], every=1, energy=1.0)
    losses = []
    for _ in range(4):
        losses += train(models[0], adams[0], 1)
        assert truncation.step() == {}
    assert losses == train(models[1], adams[1], 4)
    assert truncation.history == []
    assert all(torch.equal(a, b) for a, b in zip(*(m.parameters() for m in models), strict=True))


def test_state_of_the_truncation():
    model = StateSpaceLayer(3, 12, generator=seeded())
    sgd = torch.optim.SGD(model.parameters(), lr=1e-3)
    truncation = InTrainingTruncation(model, sgd, at=(1, 4), energy=0.8)
    for _ in range(3):
        truncation.step()
    resumed = InTrainingTruncation(model, sgd, at=(1, 4), energy=0.8)
    resumed.load_state_dict(copy.deepcopy(truncation.state_dict()))
    assert (resumed.steps, resumed.history) == (3, truncation.history)
    assert list(resumed.step()) == [""]
    assert [step for step, _ in resumed.history] == [1, 4]


def test_state_of_the_truncation_is_its_own():
    model = StateSpaceLayer(3, 12, generator=seeded())
    sgd = torch.optim.SGD(model.parameters(), lr=1e-3)
    truncation = InTrainingTruncation(model, sgd, at=(1, 2), keep=0.5)
    truncation.step()
    resumed = InTrainingTruncation(model, sgd, at=(1, 2), keep=0.5)
    resumed.load_state_dict(truncation.state_dict())
    resumed.step()
    assert len(truncation.history) == 1


def test_errors_name_the_step():
    model = Stack()
    truncation = InTrainingTruncation(model, torch.optim.SGD(model.parameters(), lr=1.0), every=2, order=4)
    truncation.step()
    poison(model)
    with pytest.raises(NotFiniteError, match=r"step 2: layer layers\.1: .*sys_out"):
        truncation.step()


@pytest.mark.parametrize(
    "options",
    [
        {"order": 4},
        {"order": 4, "at": (), "every": None},
        {"order": 4, "at": (1,), "every": 2},
        {"order": 4, "every": 0},
        {"order": 4, "every": -1},
        {"at": (1,)},
        {"at": (1,), "order": 4, "keep": 0.5},
        {"at": (1,), "order": 0},
        {"at": (1,), "energy": 2.0},
        pytest.param({"at": (1,), "keep": 2.0}),
    ],
)
def test_choices_that_make_no_sense_are_refused_before_training(options):
    model = Stack()
    with pytest.raises(ReductionError):
        InTrainingTruncation(model, torch.optim.SGD(model.parameters(), lr=1.0), **options)


def test_models_without_layers_are_refused_before_training():
    model = torch.nn.Linear(2, 2)
    with pytest.raises(NotASystemError):
        InTrainingTruncation(model, torch.optim.SGD(model.parameters(), lr=1.0), every=1, order=4)


def test_a_network_in_training():
    """All at once: dropout, norms, the regulariser, two truncations, and the network that comes out."""
    torch.manual_seed(0)
    model = StateSpaceNetwork(1, 3, layers=2, channels=4, states=12, dropout=0.1, generator=seeded())
    adam = torch.optim.AdamW(model.parameters(), lr=1e-2)
    regularizer = HankelRegularizer(model, 1e-2, warm_up=5)
    truncation = InTrainingTruncation(model, adam, at=(5, 10), energy=0.95)
    u = inputs(12, 20, 1)
    labels = torch.arange(12) % 3
    losses = []
    for _ in range(20):
        adam.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(u), labels)
        (loss + regularizer()).backward()
        adam.step()
        truncation.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert len(truncation.history) >= 1
    network = model.eval().network()
    orders = {name: system.n_modes for name, system in network.layers.items()}
    assert orders == {f"layers.{i}.ssm": block.ssm.sys_in.shape[0] for i, block in enumerate(model.layers)}
    with torch.no_grad():
        np.testing.assert_allclose(network(u.numpy()), model(u).numpy(), rtol=1e-3, atol=1e-4)
