"""Files of PyTorch: wrappers, ties, foreign code, and which versions may open them."""

from __future__ import annotations

import builtins
import collections
import os
import pickle
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest

import mor
from mor.adapters.checkpoints import read_checkpoint
from mor.adapters.checkpoints.formats.safetensors_file import safetensors_chunks
from mor.adapters.checkpoints.formats.tensors import read_tensors
from mor.errors import CheckpointError, MissingDependencyError, UnsafeCheckpointError
from tests.oracles.checkpoint_layers import (
    deviation,
    impulse_response,
    modal_response,
    prefixed,
    random_layer,
    under,
)

torch = pytest.importorskip("torch")


def state_dict(prefix="lru.", dialect="lru-complex", seed=0):
    tensors = prefixed(random_layer(dialect, seed), prefix)
    state = collections.OrderedDict((key, torch.from_numpy(x)) for key, x in tensors.items())
    values = torch.from_numpy(np.random.default_rng(seed).standard_normal((3, 3)))
    state["head.weight"] = values.to(torch.bfloat16)
    state["steps"] = torch.tensor(7)
    return state


def save(folder, content, name="model.pt", **options):
    torch.save(content, folder / name, **options)
    return folder / name


def load(path):
    return torch.load(path, weights_only=True)


def reduced(checkpoint, order=4):
    return checkpoint.replace({n: mor.balanced_truncation(m, order) for n, m in checkpoint.layers.items()})


WRAPPERS = {
    "bare": lambda s: s,
    "state_dict": lambda s: {"state_dict": s, "epoch": 3},
    "model_state_dict": lambda s: {"model_state_dict": s, "loss": 0.5, "optimizer_state_dict": {"m": 1}},
    "model": lambda s: {"model": s, "optimizer": {"state": {0: torch.ones(2)}}, "config": {"n": 4}},
    "state": lambda s: {"state": s, "cfg": {"n": 4}},
    "net_state_dict": lambda s: {"net_state_dict": s, "optim_state_dict": {"m": torch.ones(2)}},
    "lightning": lambda s: {
        "state_dict": s,
        "hyper_parameters": {"lr": 1e-3, "name": "x"},
        "optimizer_states": [{"state": {}}],
        "lr_schedulers": [],
        "pytorch-lightning_version": "2.4.0",
        "epoch": 7,
    },
}
STATE_KEY = {"bare": None, "lightning": "state_dict"}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("kind", WRAPPERS)
def test_wrappers_are_opened_and_kept_but_for_the_optimizer(tmp_path, kind, legacy):
    state = state_dict()
    content = WRAPPERS[kind](state)
    path = save(tmp_path, content, "in.ckpt", _use_new_zipfile_serialization=not legacy)
    checkpoint = read_checkpoint(path)
    assert list(checkpoint.layers) == ["lru"]
    manifest = reduced(checkpoint).write(tmp_path / "out.ckpt")
    again = load(tmp_path / "out.ckpt")
    key = STATE_KEY.get(kind, kind)
    new = again if key is None else again[key]
    assert list(new) == list(state)
    assert type(new) is type(state)
    for name in ["head.weight", "steps", "lru.D"]:
        assert new[name].dtype == state[name].dtype
        assert torch.equal(new[name], state[name])
    if key is not None:
        dropped = [k for k in content if "optim" in k]
        assert set(again) == set(content) - set(dropped)
        assert all(again[k] == content[k] for k in again if k != key)
        assert manifest["notes"] == [f"dropped, invalid for the new shapes: {key}" for key in dropped]


def test_the_version_attribute_of_a_state_dict_is_kept(tmp_path):
    state = torch.nn.Sequential(collections.OrderedDict(bn=torch.nn.BatchNorm1d(3))).state_dict()
    state.update(state_dict())
    assert state._metadata["bn"]["version"] == 2
    reduced(read_checkpoint(save(tmp_path, state))).write(tmp_path / "out.pt")
    assert load(tmp_path / "out.pt")._metadata == state._metadata


def test_parameters_stay_parameters(tmp_path):
    state = {key: torch.nn.Parameter(x, x.is_floating_point()) for key, x in state_dict().items()}
    reduced(read_checkpoint(save(tmp_path, state))).write(tmp_path / "out.pt")
    again = load(tmp_path / "out.pt")
    assert all(isinstance(x, torch.nn.Parameter) for x in again.values())
    assert again["lru.nu_log"].requires_grad


def test_an_unchanged_checkpoint_keeps_its_optimizer(tmp_path):
    content = {"model": state_dict(), "optimizer": {"lr": 0.1}}
    read_checkpoint(save(tmp_path, content)).write(tmp_path / "out.pt")
    assert load(tmp_path / "out.pt")["optimizer"] == {"lr": 0.1}


def test_the_manifest_stands_beside_a_torch_file(tmp_path):
    checkpoint = read_checkpoint(save(tmp_path, state_dict()))
    assert checkpoint.manifest is None
    manifest = reduced(checkpoint).write(tmp_path / "out.pt")
    assert (tmp_path / "out.pt.mor.json").is_file()
    assert read_checkpoint(tmp_path / "out.pt").manifest == manifest


def test_a_manifest_of_another_file_is_not_believed(tmp_path):
    reduced(read_checkpoint(save(tmp_path, state_dict()))).write(tmp_path / "out.pt")
    save(tmp_path, state_dict(), "out.pt")  # written anew by someone else
    assert read_checkpoint(tmp_path / "out.pt").manifest is None


def test_copies_at_the_old_sizes_are_named(tmp_path):
    state = state_dict()
    content = {"model": state, "ema": dict(state), "config": {"n": 4}}
    manifest = reduced(read_checkpoint(save(tmp_path, content), key="model")).write(tmp_path / "out.pt")
    assert manifest["notes"] == ["copies that were left at the old sizes: ema"]


def test_torch_to_safetensors_and_back(tmp_path):
    state = state_dict()
    checkpoint = read_checkpoint(save(tmp_path, {"model": state, "epoch": 3}))
    small = reduced(checkpoint)
    manifest = small.write(tmp_path / "a.safetensors")
    assert "not carried over to safetensors: epoch" in manifest["notes"]
    assert any("safetensors >= 0.7" in note for note in manifest["notes"])
    middle = read_checkpoint(tmp_path / "a.safetensors")
    assert middle.metadata["format"] == "pt"
    middle.write(tmp_path / "b.pt")
    again = load(tmp_path / "b.pt")
    assert torch.equal(again["head.weight"], state["head.weight"])
    assert again["steps"] == 7
    assert torch.equal(again["lru.B"], torch.from_numpy(small.tensors["lru.B"]))
    by_torch = pytest.importorskip("safetensors.torch").load_file(tmp_path / "a.safetensors")
    assert all(torch.equal(by_torch[key], again[key]) for key in again)


def test_complex128_has_no_place_in_safetensors(tmp_path):
    tensors = random_layer("lru-complex", dtype=np.float64)
    path = save(tmp_path, {key: torch.from_numpy(x) for key, x in tensors.items()})
    with pytest.raises(CheckpointError, match=r"'B' is complex128.*\.pt"):
        read_checkpoint(path).write(tmp_path / "out.safetensors")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.pt"]


def test_double_precision_of_a_split_layer_fits_into_safetensors(tmp_path):
    tensors = random_layer("lru", dtype=np.float64)
    path = save(tmp_path, {key: torch.from_numpy(x) for key, x in tensors.items()})
    read_checkpoint(path).write(tmp_path / "out.safetensors")
    again = read_checkpoint(tmp_path / "out.safetensors")
    assert all(again.tensors[key].tobytes() == x.tobytes() for key, x in tensors.items())


def test_sparse_tensors_are_kept_in_torch_files_and_refused_elsewhere(tmp_path):
    state = {**state_dict(), "mask": torch.eye(3).to_sparse()}
    checkpoint = read_checkpoint(save(tmp_path, state))
    reduced(checkpoint).write(tmp_path / "out.pt")
    assert torch.equal(load(tmp_path / "out.pt")["mask"].to_dense(), torch.eye(3))
    with pytest.raises(CheckpointError, match="no form for mask"):
        checkpoint.write(tmp_path / "out.safetensors")


def test_eight_bit_floats_pass_through(tmp_path):
    state = {**state_dict(), "w": torch.randn(4).to(torch.float8_e4m3fn)}
    read_checkpoint(save(tmp_path, state)).write(tmp_path / "a.safetensors")
    read_checkpoint(tmp_path / "a.safetensors").write(tmp_path / "b.pt")
    again = load(tmp_path / "b.pt")["w"]
    assert again.dtype == torch.float8_e4m3fn
    assert torch.equal(again.view(torch.uint8), state["w"].view(torch.uint8))


# ---------------------------------------------------------------- ties


def test_tied_layers_are_replaced_together_and_stay_tied(tmp_path):
    state = state_dict("a.")
    state.update({key.replace("a.", "b."): x for key, x in state.items() if key.startswith("a.")})
    checkpoint = read_checkpoint(save(tmp_path, state))
    alone = read_checkpoint(save(tmp_path, state_dict("a."), "alone.pt"))
    assert checkpoint.n_parameters == alone.n_parameters
    assert checkpoint.nbytes == alone.nbytes
    rom = mor.balanced_truncation(checkpoint.layers["a"], 4)
    small = checkpoint.replace({"a": rom})
    assert small.layers["b"].n_modes == rom.system.poles.shape[-1]
    assert small.n_parameters < checkpoint.n_parameters
    manifest = small.write(tmp_path / "out.pt")
    assert sorted(manifest["layers"]) == ["a", "b"]
    assert manifest["notes"] == []
    again = load(tmp_path / "out.pt")
    assert again["a.B"].data_ptr() == again["b.B"].data_ptr()
    with pytest.raises(CheckpointError, match="share their tensors"):
        checkpoint.replace({"a": rom, "b": mor.balanced_truncation(checkpoint.layers["b"], 2)})


def test_a_tie_that_reduction_breaks_is_recorded(tmp_path):
    state = state_dict("a.")
    state.update(state_dict("b.", seed=1))
    state["b.nu_log"] = state["a.nu_log"]
    checkpoint = read_checkpoint(save(tmp_path, state))
    rom = mor.balanced_truncation(checkpoint.layers["a"], 4)
    manifest = checkpoint.replace({"a": rom}).write(tmp_path / "out.pt")
    assert manifest["notes"] == ["no longer tied: a.nu_log, b.nu_log"]
    again = read_checkpoint(tmp_path / "out.pt")
    wanted = modal_response(checkpoint.layers["b"], 20)
    assert deviation(impulse_response("lru-complex", under(again.tensors, "b."), 20), wanted) < 1e-12


# ---------------------------------------------------------------- foreign code


class Payload:
    """Touches a file when unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("protocol", [2, 4])
@pytest.mark.parametrize("name", ["a.pt", "a.pth", "a.ckpt", "a.bin"])
def test_a_pickle_that_runs_code_is_refused_before_it_does(tmp_path, name, protocol, legacy):
    touched = tmp_path / "touched"
    content = {"state_dict": state_dict(), "extra": Payload(touched)}
    options = {"pickle_protocol": protocol, "_use_new_zipfile_serialization": not legacy}
    path = save(tmp_path, content, name, **options)
    with pytest.raises(UnsafeCheckpointError, match=r"(posix|nt)\.system"):
        read_checkpoint(path)
    assert not touched.exists()
    pickle.loads(pickle.dumps(content["extra"]))  # the payload does work
    assert touched.exists()


def test_a_plain_pickle_under_a_torch_suffix_is_refused(tmp_path):
    touched = tmp_path / "touched"
    (tmp_path / "a.pt").write_bytes(pickle.dumps(Payload(touched)))
    with pytest.raises(UnsafeCheckpointError, match=r"\.system"):
        read_checkpoint(tmp_path / "a.pt")
    assert not touched.exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_a_whole_module_is_refused_and_its_class_named(tmp_path, legacy):
    path = save(tmp_path, torch.nn.Linear(2, 2), _use_new_zipfile_serialization=not legacy)
    with pytest.raises(UnsafeCheckpointError, match=r"torch\.nn\.modules\.linear\.Linear"):
        read_checkpoint(path)


def test_a_shard_that_runs_code_is_refused(tmp_path):
    touched = tmp_path / "touched"
    save(tmp_path, {"a": Payload(touched)}, "shard.bin")
    (tmp_path / "model.bin.index.json").write_text('{"weight_map": {"a": "shard.bin"}}')
    with pytest.raises(UnsafeCheckpointError):
        read_checkpoint(tmp_path / "model.bin.index.json")
    assert not touched.exists()


def test_torch_shards(tmp_path):
    state = state_dict()
    save(tmp_path, state, "shard.bin")
    index = tmp_path / "model.bin.index.json"
    index.write_text(str({"weight_map": dict.fromkeys(state, "shard.bin")}).replace("'", '"'))
    reduced(read_checkpoint(index)).write(tmp_path / "out.pt")
    assert torch.equal(load(tmp_path / "out.pt")["head.weight"], state["head.weight"])


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_torchscript_program_is_refused(tmp_path):
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "a.pt"))
    with pytest.raises(CheckpointError, match="TorchScript"):
        read_checkpoint(tmp_path / "a.pt")


@pytest.mark.parametrize("version", ["2.9.1+cpu", "2.5.0", "1.13.1"])
def test_versions_with_known_bypasses_are_refused(tmp_path, monkeypatch, version):
    path = save(tmp_path, state_dict())
    monkeypatch.setattr(torch, "__version__", version)
    with pytest.raises(MissingDependencyError, match=r"CVE-2025-32434.*CVE-2026-24747.*torch >= 2\.10"):
        read_checkpoint(path)


def test_without_torch_its_files_say_so(tmp_path, monkeypatch):
    path = save(tmp_path, state_dict())
    real_import = builtins.__import__

    def no_torch(name, *args, **kwargs):
        if name.split(".")[0] == "torch":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", no_torch)
    with pytest.raises(MissingDependencyError, match="pip install torch"):
        read_checkpoint(path)


@pytest.mark.slow
def test_safetensors_never_imports_torch(tmp_path):
    path = tmp_path / "a.safetensors"
    path.write_bytes(b"".join(safetensors_chunks(random_layer("s5-pytorch"), {})))
    code = (
        "import sys, mor\n"
        "from mor.adapters.checkpoints import read_checkpoint\n"
        f"c = read_checkpoint({str(path)!r})\n"
        "c = c.replace({'root': mor.balanced_truncation(c.layers['root'], 4)})\n"
        f"c.write({str(tmp_path / 'b.safetensors')!r})\n"
        "assert 'torch' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# ---------------------------------------------------------------- damage


@pytest.mark.parametrize("legacy", [False, True])
def test_cuts_of_a_torch_file_are_noticed(tmp_path, legacy):
    whole = save(tmp_path, state_dict(), _use_new_zipfile_serialization=not legacy).read_bytes()
    path = tmp_path / "cut.pt"
    for length in [*range(40), *range(40, len(whole) - 1, len(whole) // 60)]:
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"truncated|damaged"):
            read_checkpoint(path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("legacy", [False, True])
def test_flipped_bytes_of_a_torch_file_give_typed_errors_or_a_layer(tmp_path, legacy):
    whole = save(tmp_path, state_dict(), _use_new_zipfile_serialization=not legacy).read_bytes()
    rng = np.random.default_rng(0)
    path = tmp_path / "bad.pt"
    for _ in range(300):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 3):
            damaged[place] = rng.integers(0, 256)
        path.write_bytes(damaged)
        with suppress(mor.MorError):  # any other exception fails the test
            read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (torch.ones(2), "holds a Tensor, not a state dict"),
        ([1, 2], "holds a list"),
        ({"epoch": 3}, "no state dict"),
        ({}, "no state dict"),
        (
            {"g_state_dict": {"a": torch.ones(1)}, "d_state_dict": {"a": torch.ones(1)}},
            r"key=.*g_state_dict, d_state_dict",
        ),
    ],
)
def test_files_without_a_state_dict(tmp_path, content, message):
    with pytest.raises(CheckpointError, match=message):
        read_tensors(save(tmp_path, content))


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_a_newer_pickle_protocol_is_named_as_the_reason(tmp_path):
    path = save(tmp_path, state_dict(), pickle_protocol=4)
    with pytest.raises(CheckpointError, match=r"newer protocol than torch\.save's default"):
        read_checkpoint(path)
