"""What somebody who meets the command line for the first time stumbles over."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

import mor
import mor.cli
from mor.adapters.checkpoints import load_resized
from tests.oracles.checkpoint_layers import prefixed, random_layer

LONG = "backbone.encoder.layers.0.sequence_mixer.state_space_model"


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    tensors = prefixed(random_layer("lru", n=12, h=4), LONG + ".")
    save_file(tensors | {"head.weight": np.ones((40, 40), np.float32)}, path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("columns", ["40", "80"])
def test_names_are_whole_whatever_the_width(mor_command, model, tmp_path, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    out = tmp_path / "small.safetensors"
    for arguments in (("inspect", model), ("compress", model, out, "--keep", "0.5"), ("verify", model, out)):
        code, printed, _ = mor_command(*arguments)
        assert code == 0
        assert any(LONG in line for line in printed.splitlines())


def test_bytes_are_those_of_tensors_and_those_on_disk(mor_command, model, tmp_path):
    out = tmp_path / "small.safetensors"
    assert "on disk" in mor_command("inspect", model)[1]
    assert "disk" in mor_command("compress", model, out, "--keep", "0.5")[1]
    found = json.loads(mor_command("compress", model, out, "--keep", "0.5", "--force", "--json")[1])
    assert found["disk"] == [model.stat().st_size, out.stat().st_size]
    assert json.loads(mor_command("inspect", model, "--json")[1])["bytes_on_disk"] == model.stat().st_size


def test_a_bound_above_the_layer_itself_is_said_to_say_nothing(mor_command, model):
    assert "says nothing" in mor_command("plan", model, "--keep", "0.1")[1]
    assert "says nothing" not in mor_command("plan", model, "--keep", "1")[1]


def test_upper_case_endings(mor_command, model, tmp_path):
    upper = tmp_path / "MODEL.SAFETENSORS"
    upper.write_bytes(model.read_bytes())
    assert mor_command("inspect", upper)[0] == 0
    assert mor_command("compress", upper, tmp_path / "SMALL.SAFETENSORS", "--keep", "0.5")[0] == 0


@pytest.mark.slow
def test_several_state_dicts_are_named_and_chosen(mor_command, tmp_path):
    torch = pytest.importorskip("torch")

    def state(seed):
        layer = prefixed(random_layer("lru", seed, n=12, h=4), "lru.")
        return {key: torch.from_numpy(x) for key, x in layer.items()}

    path, out = tmp_path / "both.pt", tmp_path / "small.pt"
    torch.save({"net": state(0), "ema": state(1), "step": 3}, path)
    code, _, err = mor_command("inspect", path)
    assert code == 5
    assert "--key" in err
    assert "net, ema" in err
    assert mor_command("inspect", path, "--key", "none")[0] == 5
    assert mor_command("compress", path, out, "--keep", "0.5", "--key", "ema")[0] == 0
    assert mor_command("verify", path, out, "--key", "ema")[0] == 0
    before, after = (torch.load(x, weights_only=True) for x in (path, out))
    assert after["step"] == 3
    assert all(torch.equal(before["net"][key], after["net"][key]) for key in before["net"])
    assert after["ema"]["lru.nu_log"].shape[0] < 12
    other = tmp_path / "small.safetensors"
    assert mor_command("compress", path, other, "--keep", "0.5", "--key", "net")[0] == 0
    assert mor_command("verify", path, other, "--key", "net")[0] == 0
    assert mor.read_checkpoint(path, key="net").layers.keys() == {"lru"}


def two_state_dicts(path, names=("model", "ema")):
    torch = pytest.importorskip("torch")
    states = [prefixed(random_layer("lru", seed, n=12, h=4), "lru.") for seed in range(2)]
    torch.save(
        {n: {k: torch.from_numpy(x) for k, x in s.items()} for n, s in zip(names, states, strict=True)}, path
    )
    return path


@pytest.mark.parametrize("names", [("model", "ema"), ("state_dict", "average")])
def test_no_state_dict_is_preferred_where_several_hold_layers(mor_command, tmp_path, names):
    """The first was taken in silence."""
    path = two_state_dicts(tmp_path / "both.pt", names)
    for arguments in (("inspect", path), ("compress", path, tmp_path / "out.pt", "--keep", "0.5")):
        code, _, err = mor_command(*arguments)
        assert code == 5
        assert "--key" in err
        assert ", ".join(names) in err


@pytest.mark.parametrize("ending", ["pt", "safetensors"])
def test_verify_finds_the_state_dict_in_the_manifest(mor_command, tmp_path, ending):
    path, out = two_state_dicts(tmp_path / "both.pt"), tmp_path / f"small.{ending}"
    assert mor_command("compress", path, out, "--keep", "0.5", "--key", "ema")[0] == 0
    code, printed, err = mor_command("verify", path, out)
    assert code == 0, printed + err
    if ending == "pt":
        torch = pytest.importorskip("torch")
        module = torch.nn.Module()
        module.lru = torch.nn.Module()
        for key, x in mor.read_checkpoint(path, key="ema").tensors.items():
            module.lru.register_parameter(key.removeprefix("lru."), torch.nn.Parameter(torch.tensor(x)))
        load_resized(module, out)
        small = torch.load(out, weights_only=True)["ema"]
        assert all(torch.equal(x, small[key]) for key, x in module.state_dict().items())


def test_a_safetensors_file_has_no_keys(mor_command, model, tmp_path):
    for arguments in (("inspect", model), ("compress", model, tmp_path / "o.safetensors", "--keep", "0.5")):
        code, _, err = mor_command(*arguments, "--key", "zz")
        assert code == 5
        assert "--key zz" in err


def test_a_manifest_of_another_file_is_said_to_be_that(mor_command, tmp_path):
    torch = pytest.importorskip("torch")
    path, out = two_state_dicts(tmp_path / "both.pt"), tmp_path / "s.pt"
    assert mor_command("compress", path, out, "--keep", "0.5", "--key", "ema")[0] == 0
    torch.save({**torch.load(out, weights_only=True), "epoch": 3}, out)
    code, printed, _ = mor_command("verify", path, out, "--key", "ema")
    assert code == 9
    assert "s.pt.mor.json belongs to another file" in printed
    assert "has no manifest" not in printed


def test_pad_and_equal_are_a_wrong_use(mor_command, model, tmp_path):
    code, _, err = mor_command(
        "compress", model, tmp_path / "o.safetensors", "--keep", "0.5", "--pad", "--equal"
    )
    assert code == 2
    assert "--equal" in err
