"""A layer to start from, and what is asked of the library."""

import pytest

import mor


@pytest.fixture
def layer():
    torch = pytest.importorskip("torch")
    from mor.adapters.torch import StateSpaceLayer

    return StateSpaceLayer(3, 12, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def calls(monkeypatch):
    """Batch shapes with which the sum is computed."""
    seen = []

    def counted(system, **options):
        seen.append(system.batch_shape)
        return mor.hankel_nuclear_norm(system, **options)

    monkeypatch.setattr("mor.adapters.layers.live.hankel_nuclear_norm", counted)
    return seen
