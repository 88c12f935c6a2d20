"""Random layers, blocks and networks to run, and how close tensors must be."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from mor.adapters.torch import StateSpaceLayer, StateSpaceNetwork  # noqa: E402


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def assert_close(actual, wanted, tolerance):
    """Norm-wise: entries where sums cancel have no accuracy of their own."""
    assert actual.shape == wanted.shape
    assert torch.linalg.vector_norm(actual - wanted) <= tolerance * torch.linalg.vector_norm(wanted)


def layer_of(channels=3, states=10, seed=0, dtype=torch.float32):
    return StateSpaceLayer(channels, states, generator=seeded(seed)).to(dtype)


def numbers(layer):
    return {name: x.detach().numpy() for name, x in layer.named_parameters()}


def random_inputs(batch, length, channels, dtype=torch.float32, seed=5):
    return torch.randn(batch, length, channels, generator=seeded(seed)).to(dtype)


def make_network(seed=0, generator=True, **options):
    sizes = {"layers": 2, "channels": 6, "states": 8} | options
    return StateSpaceNetwork(2, 5, **sizes, generator=seeded(seed) if generator else None)


def warmed(model, batch=8, length=20, channels=2):
    """The model after some passes in training: its norms have statistics of their own."""
    model.train()
    for seed in range(3):
        model(2 + 3 * random_inputs(batch, length, channels, seed=seed))
    return model.eval()
