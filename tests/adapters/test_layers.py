"""Layers among named tensors: one model of them, whoever holds the tensors."""

import numpy as np
import pytest

import mor
from mor.adapters.layers.layers import Layers
from mor.adapters.layers.live import nuclear_norm
from mor.errors import CheckpointError
from tests.oracles.checkpoint_layers import prefixed, random_layer


def lru(*prefixes):
    return {
        key: x for seed, p in enumerate(prefixes) for key, x in prefixed(random_layer("lru", seed), p).items()
    }


def reduced(layers, tensors, order=4):
    before = layers.read(tensors)
    systems = {layer.name: mor.balanced_truncation(before[layer.name], order) for layer in layers.distinct}
    return systems, layers.rewritten(tensors, before, systems)


def test_what_is_written_is_what_is_read_again():
    tensors = lru("a.10.", "a.9.")
    layers = Layers.find(tensors)
    assert list(layers) == ["a.9", "a.10"]
    _, changes = reduced(layers, tensors)
    new = {key: x for change in changes.values() for key, x in change.export.tensors.items()}
    again = layers.read({**tensors, **new})
    for name, change in changes.items():
        assert set(change.export.tensors) <= set(layers[name].keys)
        assert np.allclose(
            np.sort_complex(again[name].poles), np.sort_complex(change.system.poles), atol=1e-5
        )


def test_layers_that_are_one_are_written_once_and_named_each():
    tensors = lru("a.", "b.")
    tensors |= {key.replace("a.", "c."): x for key, x in tensors.items() if key.startswith("a.")}
    layers = Layers.find(tensors, identity=lambda key: id(tensors[key]))
    assert layers.groups == (("a", "c"), ("b",))
    _, changes = reduced(layers, tensors)
    assert list(changes) == ["a", "b", "c"]
    assert changes["c"].system is changes["a"].system
    for key, x in changes["a"].export.tensors.items():
        assert changes["c"].export.tensors[key.replace("a.", "c.")] is x


def test_groups_of_several_dialects_are_one_network():
    """Every layer knows its own dialect, so that groups found one by one can be put together."""
    tensors = lru("a.") | prefixed(random_layer("s4d", 1), "b.")
    with pytest.raises(CheckpointError, match="more than one dialect"):
        Layers.find(tensors)
    parts = [Layers.find(tensors, dialect) for dialect in ("lru", "s4d")]
    whole = Layers(
        {name: layer for part in parts for name, layer in part.items()},
        tuple(group for part in parts for group in part.groups),
    )
    systems = whole.read(tensors)
    expected = sum(np.sum(mor.hankel_nuclear_norm(system)) for system in systems.values())
    assert nuclear_norm(whole, tensors) == pytest.approx(expected, rel=1e-12)
    _, changes = reduced(whole, tensors, order=3)
    assert {name: change.system.n_modes < 6 for name, change in changes.items()} == {"a": True, "b": True}


def test_errors_name_the_layer():
    tensors = lru("a.", "b.")
    layers = Layers.find(tensors)
    before = layers.read(tensors)
    with pytest.raises(CheckpointError, match=r"^layer b: the layer has batch .*3 inputs"):
        layers.rewritten(tensors, before, {"b": mor.Modal([0.5], np.ones((1, 2)), np.ones((3, 1)), dt=1)})
    with pytest.raises(CheckpointError, match="no layer 'c'; there are a, b"):
        layers.rewritten(tensors, before, {"c": before["a"]})
    top = lru("", "root.")
    with pytest.raises(CheckpointError, match="'root' are in the way"):
        Layers.find(top, root="root")
