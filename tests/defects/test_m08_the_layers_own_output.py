"""checkpoint.layers[name] is G and the layer computes z G(z) + D: there was no way to its own output."""

import numpy as np
import pytest

import mor
from mor.errors import CheckpointError
from tests.defects.layers import checkpoint, write
from tests.oracles.checkpoint_layers import DIALECTS, forward, under


@pytest.mark.parametrize("dialect", [d for d in DIALECTS if d != "s4d"])
def test_simulating_it_is_running_the_layer(tmp_path, dialect):
    tensors = checkpoint(dialect, ("a.",))
    file = mor.read_checkpoint(write(tmp_path / "m.safetensors", tensors), dialect)
    u = np.random.default_rng(0).standard_normal((50, 3))
    y = forward(dialect, under(tensors, "a."), u)
    found = mor.simulate(file.layer_system("a"), u)
    assert np.max(np.abs(found - y)) < 1e-12 * np.max(np.abs(y))  # both in double precision, 50 steps
    assert np.max(np.abs(mor.simulate(file.layers["a"], u) - y)) > 0.1 * np.max(np.abs(y))


def test_one_system_a_channel(tmp_path):
    tensors = checkpoint("s4d", ("a.",))
    system = mor.read_checkpoint(write(tmp_path / "m.safetensors", tensors)).layer_system("a")
    u = np.random.default_rng(0).standard_normal((30, 3))
    y = forward("s4d", under(tensors, "a."), u)
    for channel in range(3):
        found = mor.simulate(system[channel], u[:, [channel]])[:, 0]
        assert np.max(np.abs(found - y[:, channel])) < 1e-12 * np.max(np.abs(y))


def test_layers_that_read_before_the_update(tmp_path):
    file = mor.read_checkpoint(write(tmp_path / "m.safetensors", checkpoint("lru", ("a.",))))
    assert file.layer_system("a", readout="current") is file.layers["a"]
    with pytest.raises(CheckpointError, match="updated, current"):
        file.layer_system("a", readout="before")
    with pytest.raises(CheckpointError, match="no layer 'b'"):
        file.layer_system("b")
