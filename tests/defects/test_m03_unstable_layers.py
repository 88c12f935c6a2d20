"""Unstable layers of s5-pytorch, as plain training makes them, had no way at all.

The message advised options that the command lacked or that led into a refusal, though the library can
keep unstable modes, and the dialect's tensors can hold them.
"""

import json

import numpy as np
import pytest
from safetensors import safe_open

import mor
from mor.deep import compress
from mor.errors import UnstableSystemError
from tests.defects.layers import checkpoint, write
from tests.oracles.checkpoint_layers import forward, under

NAMES = ("seq.0.", "seq.1.")


@pytest.fixture
def file(tmp_path):
    """Two layers, of which one has two unstable modes of different rates."""
    tensors = checkpoint("s5-pytorch", NAMES, n=12, h=4)
    tensors["seq.0.Lambda"][[2, 7]] = [0.05 + 3j, 0.3 - 1j]
    return write(tmp_path / "model.safetensors", tensors)


def test_the_message_has_no_dead_ends(file, tmp_path, mor_command):
    code, _, err = mor_command("compress", file, tmp_path / "o.safetensors", "--keep", "0.5")
    assert code == 4
    assert "seq.0" in err
    assert "--unstable split" in err
    assert "horizon" not in err
    assert "dt=" not in err


@pytest.mark.slow
@pytest.mark.parametrize("method", ["bt", "modal"])
def test_unstable_modes_are_kept_and_the_rest_is_reduced(file, tmp_path, mor_command, mor_json, method):
    out = tmp_path / "out.safetensors"
    options = ("--keep", "0.5", "--unstable", "split", "--method", method)
    assert mor_command("compress", file, out, *options)[0] == 0
    before, after = mor.read_checkpoint(file), mor.read_checkpoint(out)
    old, new = before.layers["seq.0"].poles, after.layers["seq.0"].poles
    # In single precision: the poles, exp(Lambda step), are those of before to its round-off.
    assert np.allclose(
        np.sort(np.abs(old[np.abs(old) >= 1])), np.sort(np.abs(new[np.abs(new) >= 1])), rtol=1e-5
    )
    assert sum(int(x.working_states) for x in after.layers.values()) <= 0.5 * sum(
        x.order for x in before.layers.values()
    )
    code, printed, _ = mor_command("verify", file, out)
    assert code == 0, printed
    layer = mor_json("verify", file, out)["layers"][0]
    assert 0 < layer["peak_error"] <= layer["bound"]


def test_the_layer_that_is_written_computes_what_the_bound_says(file, tmp_path):
    """Its own recurrence, and the error of a signal in the l2 norm, over a time that the modes bear."""
    checkpoint = mor.read_checkpoint(file)
    small = compress(checkpoint, keep=0.6, unstable="split").model
    small.write(tmp_path / "out.safetensors")
    record = mor.read_checkpoint(tmp_path / "out.safetensors").manifest["layers"]["seq.0"]
    u = np.random.default_rng(0).standard_normal((40, 4))
    u[20:] = 0
    y, z = (forward("s5-pytorch", under(x.tensors, "seq.0."), u) for x in (checkpoint, small))
    bound = record["error_bound"] + record["rounding_bound"]
    assert np.linalg.norm(y - z) <= bound * np.linalg.norm(u)
    assert np.linalg.norm(y - z) < 0.3 * np.linalg.norm(y)


def test_the_manifest_is_json(file, tmp_path):
    out = tmp_path / "out.safetensors"
    compress(mor.read_checkpoint(file), keep=0.5, unstable="split").model.write(out)
    with safe_open(out, "np") as opened:
        json.loads(opened.metadata()["mor"], parse_constant=lambda x: pytest.fail(x))


def test_the_budget_has_room_for_them_or_says_so(file):
    with pytest.raises(mor.MorError, match="unstable"):
        compress(mor.read_checkpoint(file), keep=0.09, unstable="split")


def test_a_stable_layer_is_not_made_unstable(file):
    checkpoint = mor.read_checkpoint(file)
    layer = checkpoint.layers["seq.1"]
    wild = mor.Modal(np.append(layer.poles[:3], 1.01), layer.B[:4], layer.C[:, :4], layer.D, dt=1.0)
    with pytest.raises(UnstableSystemError, match="had not"):
        checkpoint.replace({"seq.1": wild})


def test_a_layer_that_cannot_hold_them_says_so(tmp_path, mor_command):
    tensors = checkpoint("lru")
    tensors["blocks.0.lru.nu_log"][:] = -50  # exp(-exp(-50)) rounds to 1
    file = write(tmp_path / "model.safetensors", tensors)
    for options in ([], ["--unstable", "split"]):
        code, _, err = mor_command("compress", file, tmp_path / "o.safetensors", "--keep", "0.5", *options)
        assert code in (3, 4)
        assert "blocks.0.lru" in err or "unstable" in err
        assert "horizon" not in err


def rows(tensors, i):
    """The parameters of one mode."""
    t = under(tensors, "seq.0.")
    return [t["Lambda"][i], t["log_step"][i], t["B"][i], t["C"][:, i]]


@pytest.mark.parametrize("method", ["bt", "modal"])
def test_kept_modes_are_copied_bit_for_bit(file, tmp_path, mor_command, method):
    """Only so the bound holds for signals: nearly equal unstable modes differ without limit."""
    out = tmp_path / "out.safetensors"
    options = ("--keep", "0.5", "--unstable", "split", "--method", method)
    _, printed, _ = mor_command("compress", file, out, *options)
    assert "Guarantee: for any input, each layer" in printed
    before, after = mor.read_checkpoint(file), mor.read_checkpoint(out)
    kept = np.flatnonzero(np.abs(after.layers["seq.0"].poles) >= 1)
    lambdas = under(after.tensors, "seq.0.")["Lambda"]
    assert len(kept) == 2
    for i in kept:
        j = 2 if lambdas[i] == before.tensors["seq.0.Lambda"][2] else 7
        for x, y in zip(rows(after.tensors, i), rows(before.tensors, j), strict=True):
            assert x.tobytes() == y.tobytes()
    # After 1200 steps the modes have grown 1e10-fold and more: an error of rounding would be seen.
    u = np.zeros((1200, 4))
    u[:20] = np.random.default_rng(0).standard_normal((20, 4))
    record = after.manifest["layers"]["seq.0"]
    y, z = (forward("s5-pytorch", under(x.tensors, "seq.0."), u) for x in (before, after))
    assert np.max(np.abs(y)) > 1e10
    error = np.linalg.norm(y - z)
    # Their own round-off in double precision grows with them.
    assert error <= (record["error_bound"] + record["rounding_bound"]) * np.linalg.norm(u) + 1e-12 * np.max(
        np.abs(y)
    )


def test_of_modes_that_are_not_the_same_no_signal_is_promised(file, tmp_path, mor_command):
    checkpoint = mor.read_checkpoint(file)
    layer = checkpoint.layers["seq.0"]
    B = layer.B * np.where(np.abs(layer.poles) >= 1, 1 + 1e-5, 1)[:, None]
    out = tmp_path / "out.safetensors"
    checkpoint.replace({"seq.0": mor.Modal(layer.poles, B, layer.C, layer.D, dt=1.0)}).write(out)
    _, printed, _ = mor_command("verify", file, out)
    assert "seq.0: unstable modes differ" in printed
    assert "grows without limit" in printed


@pytest.mark.parametrize("options", [[], ["--unstable", "split"]])
@pytest.mark.parametrize(("dialect", "key", "value"), [("lru", "nu_log", -40), ("s5-pytorch", "Lambda", 1j)])
def test_a_pole_on_the_circle_is_unstable(tmp_path, mor_command, dialect, key, value, options):
    """``exp(i w)`` counted as stable where its last bit fell inside, and the reduction ended in advice about
    orders, which the command has not."""
    tensors = checkpoint(dialect, NAMES, n=12, h=4)
    if dialect == "lru":
        tensors[f"seq.0.{key}"][3] = value
    else:
        # One after another, as which of them fall inside depends on the library of exponentials.
        tensors[f"seq.0.{key}"][2:8] = value * np.linspace(1, 40, 6)
    file, out = write(tmp_path / "model.safetensors", tensors), tmp_path / "out.safetensors"
    code, _, err = mor_command("compress", file, out, "--keep", "0.7", *options)
    assert "order" not in err
    if dialect == "s5-pytorch" and options:
        assert code == 0
        assert mor_command("verify", file, out)[0] == 0
        return
    assert code == 4
    assert "layer" in err
    assert "seq.0" in err
    assert ("--unstable split" if dialect == "s5-pytorch" else "bring it inside the unit circle") in err
    assert "pole" in err


def test_a_horizon_says_what_can_be_done(file, tmp_path, mor_command):
    out = tmp_path / "o.safetensors"
    code, _, err = mor_command("compress", file, out, "--keep", "0.5", "--horizon", "50")
    assert code == 4
    assert "Bring the layer's poles inside" in err
    assert "without --horizon" in err
    options = ("--keep", "0.5", "--horizon", "50", "--unstable", "split")
    code, _, err = mor_command("compress", file, out, *options)
    assert code == 3
    assert "not needed" not in err
    assert "do not go together" in err
