"""Uniform ranks gave 17, 16 and 17 modes, which a model with one size for all layers cannot load."""

import numpy as np
import pytest

import mor
from mor.errors import CheckpointError
from tests.defects.layers import checkpoint, write

NAMES = ("a.", "b.", "c.")


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["lru", "s5-pytorch", "rotation"])
def test_all_layers_have_the_modes_of_the_largest(tmp_path, mor_command, dialect):
    file = write(tmp_path / "m.safetensors", checkpoint(dialect, NAMES, n=16))
    plain, equal = tmp_path / "plain.safetensors", tmp_path / "equal.safetensors"
    for out, options in ((plain, ()), (equal, ("--equal",))):
        assert mor_command("compress", file, out, "--keep", "0.5", *options)[0] == 0
    one, other = (mor.read_checkpoint(x).layers for x in (plain, equal))
    largest = max(x.n_modes for x in one.values())
    assert {x.n_modes for x in other.values()} == {largest}
    assert len({x.n_modes for x in one.values()}) > 1, "nothing was to be done"
    points = np.exp(1j * np.linspace(0.1, 3, 7))
    for name, layer in one.items():
        a, b = layer.evaluate(points), other[name].evaluate(points)
        assert np.max(np.abs(a - b)) < 1e-12 * np.max(np.abs(a))  # the same numbers, and zeros
    assert mor_command("verify", file, equal)[0] == 0


def test_layers_that_were_not_replaced_are_named(tmp_path):
    checkpoint_ = mor.read_checkpoint(write(tmp_path / "m.safetensors", checkpoint("lru", NAMES)))
    small = checkpoint_.replace({"a": mor.balanced_truncation(checkpoint_.layers["a"], 4)})
    with pytest.raises(CheckpointError, match="b, c was not replaced"):
        small.write(tmp_path / "o.safetensors", equal=True)


def test_one_size_is_asked_for(tmp_path, mor_command):
    file = write(tmp_path / "m.safetensors", checkpoint("lru", NAMES))
    out = tmp_path / "o.safetensors"
    assert mor_command("compress", file, out, "--keep", "0.5", "--equal", "--pad")[0] == 2
