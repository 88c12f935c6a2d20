"""A small model in training: a stack of layers, and what may not change when a truncation fails."""

from __future__ import annotations

import copy

import pytest

from mor.adapters.layers.dialects.detect import get_dialect
from tests.torch.live_layers import seeded

torch = pytest.importorskip("torch")

from mor.adapters.torch import StateSpaceLayer  # noqa: E402


class Stack(torch.nn.Module):
    """Layers of unequal sizes in a row, behind a gain that is no layer's."""

    def __init__(self, states=(12, 8), channels=3, seed=0):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(channels))
        self.layers = torch.nn.ModuleList(
            StateSpaceLayer(channels, n, generator=seeded(seed + i)) for i, n in enumerate(states)
        )

    def forward(self, u):
        for layer in self.layers:
            u = torch.tanh(layer(self.gain * u))
        return u


def systems(model, dialect="rotation"):
    """The layers as they are, read from the values of their tensors."""
    tensors = {name: x.detach().numpy().copy() for name, x in model.state_dict().items()}
    speaker = get_dialect(dialect)
    return {
        prefix.rstrip("."): speaker.read(speaker.stored(tensors, prefix)) for prefix in speaker.find(tensors)
    }


def inputs(*shape, seed=3):
    return torch.randn(*shape, generator=seeded(seed))


def snapshot(model, optimizer=None):
    """Everything that a failure must leave alone, with the identity of the parameters."""
    return (
        {name: (id(x), x.detach().clone()) for name, x in model.named_parameters()},
        copy.deepcopy(optimizer.state_dict()) if optimizer else None,
        [[id(p) for p in group["params"]] for group in optimizer.param_groups] if optimizer else None,
    )


def assert_same(before, after):
    tensors, others = before[0], after[0]
    assert list(tensors) == list(others)
    for name, (identity, x) in tensors.items():
        assert identity == others[name][0], name
        assert torch.equal(x, others[name][1]) or (x.isnan() == others[name][1].isnan()).all(), name
    assert str(before[1]) == str(after[1])
    assert before[2] == after[2]


def train(model, optimizer, steps, schedule=None, seed=7):
    """Losses of a regression on a fixed batch."""
    u = inputs(4, 30, 3, seed=seed)
    wanted = torch.tanh(u.cumsum(1) / 4)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (model(u) - wanted).square().mean()
        loss.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        losses.append(float(loss.detach()))
    return losses


def poison(model):
    with torch.no_grad():
        model.layers[1].sys_out[0, 0, 0] = float("nan")
