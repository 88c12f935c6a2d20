"""A tensor in state coordinates beside a layer was left as it was, in silence.

A learned initial state belongs to the old coordinates: the network with the reduced layer and the old
initial state computes something else, while the bound and ``mor verify`` said that nothing had changed.
"""

import numpy as np
import pytest

import mor
from mor.deep import compress
from mor.errors import CheckpointError
from tests.defects.layers import checkpoint, write

X0 = "blocks.0.lru.x0"


@pytest.fixture
def file(tmp_path):
    x0 = np.random.default_rng(0).standard_normal((1, 8)).astype(np.float32)
    return write(tmp_path / "model.safetensors", checkpoint(others={X0: x0}))


def test_it_is_refused_with_a_way_out(file, tmp_path, mor_command):
    out = tmp_path / "out.safetensors"
    for pad in ([], ["--pad"]):
        code, printed, err = mor_command("compress", file, out, "--keep", "0.5", *pad)
        assert (code, printed) == (5, "")
        assert X0 in err
        assert "--leave" in err
    assert mor_command("plan", file, "--keep", "0.5")[0] == 5
    with pytest.raises(CheckpointError, match=r"x0.*leave"):
        compress(mor.read_checkpoint(file), keep=0.5)
    assert not out.exists()


def test_what_is_said_to_be_no_state_is_left_alone(file, tmp_path, mor_command):
    out = tmp_path / "out.safetensors"
    assert mor_command("compress", file, out, "--keep", "0.5", "--leave", X0)[0] == 0
    before, after = mor.read_checkpoint(file), mor.read_checkpoint(out)
    assert np.array_equal(before.tensors[X0], after.tensors[X0])
    assert mor_command("compress", file, out, "--keep", "0.5", "--leave", "none", "--force")[0] == 5


def test_inspect_shows_it(file, mor_command, mor_json):
    assert X0 in mor_command("inspect", file)[1]
    assert mor_json("inspect", file)["beside"] == {"blocks.0.lru": {X0: [1, 8]}}


def test_zero_is_zero_in_all_coordinates(tmp_path):
    file = write(tmp_path / "model.safetensors", checkpoint(others={X0: np.zeros((1, 8), np.float32)}))
    compress(mor.read_checkpoint(file), keep=0.5)


@pytest.mark.parametrize("key", ["blocks.0.norm.weight", "blocks.0.lru.norm.weight", "head.weight"])
def test_other_modules_are_not_in_question(tmp_path, key):
    file = write(tmp_path / "model.safetensors", checkpoint(others={key: np.ones((8, 8), np.float32)}))
    compress(mor.read_checkpoint(file), keep=0.5)


def test_states_as_real_numbers_are_seen_too(tmp_path):
    others = {"ssm.x0": np.ones(16, np.float32)}
    tensors = checkpoint("rotation", ("ssm.",), others=others)
    assert mor.read_checkpoint(write(tmp_path / "m.safetensors", tensors)).beside == {
        "ssm": {"ssm.x0": (16,)}
    }
