"""An initial state of zeros beside a layer kept its old size in silence, so that the model did not load."""

import numpy as np
import pytest

import mor
from mor.deep import compress
from tests.defects.layers import checkpoint, write

NAME, X0 = "blocks.0.lru", "blocks.0.lru.x0"


def file_with(tmp_path, others, *, dialect="lru", prefix="blocks.0.lru.", **sizes):
    tensors = checkpoint(dialect, (prefix,), others=others, **sizes)
    return write(tmp_path / "model.safetensors", tensors)


@pytest.mark.parametrize(
    ("shape", "dtype", "expected"),
    [
        ((8,), np.float32, lambda k: (k,)),
        ((1, 8), np.float32, lambda k: (1, k)),
        ((8, 1), np.complex64, lambda k: (k, 1)),
        ((2, 16), np.float16, lambda k: (2, 2 * k)),
    ],
)
def test_it_follows_the_states(tmp_path, mor_command, mor_json, shape, dtype, expected):
    file, out = file_with(tmp_path, {X0: np.zeros(shape, dtype)}), tmp_path / "out.safetensors"
    assert "is cut with the states" in " ".join(mor_json("inspect", file)["notes"])
    assert mor_command("compress", file, out, "--keep", "0.5")[0] == 0
    after = mor.read_checkpoint(out)
    k = after.layers[NAME].n_modes
    assert k < 8
    x0 = after.tensors[X0]
    assert (x0.shape, x0.dtype) == (expected(k), dtype)
    assert not x0.any()
    assert after.manifest is not None
    assert after.manifest["layers"][NAME]["tensors"][X0] == list(expected(k))
    assert mor_command("verify", file, out)[0] == 0


@pytest.mark.parametrize("option", ["--pad", "--leave"])
def test_it_stays_where_the_size_stays_and_where_it_is_told_to(tmp_path, mor_command, option):
    file, out = file_with(tmp_path, {X0: np.zeros(8, np.float32)}), tmp_path / "out.safetensors"
    options = [option] if option == "--pad" else [option, X0]
    assert mor_command("compress", file, out, "--keep", "0.5", *options)[0] == 0
    assert mor.read_checkpoint(out).tensors[X0].shape == (8,)
    assert mor_command("verify", file, out)[0] == 0


@pytest.mark.parametrize(
    ("shape", "channels"),
    [((8, 8), 3), ((8, 16), 3), ((8,), 8), ((16,), 16)],
    ids=["two axes", "modes and states", "as many channels", "as many channels as states"],
)
def test_what_cannot_be_told_is_said(tmp_path, mor_command, shape, channels):
    """A bias of zeros may be as long as the layer has states, and must not be cut."""
    file, out = file_with(tmp_path, {X0: np.zeros(shape, np.float32)}, h=channels), tmp_path / "o.safetensors"
    checkpoint = mor.read_checkpoint(file)
    (note,) = [note for note in checkpoint.notes if X0 in note]
    assert "keeps its size" in note
    manifest = compress(checkpoint, keep=0.5).model.write(out)
    assert note in manifest["notes"]
    assert X0 not in manifest["layers"][NAME]["tensors"]
    assert mor.read_checkpoint(out).tensors[X0].shape == shape
    assert mor_command("verify", file, out)[0] == 0


def test_a_chain_of_compressions_verifies(tmp_path, mor_command):
    file = file_with(tmp_path, {X0: np.zeros(8, np.float32)})
    half, quarter = tmp_path / "half.safetensors", tmp_path / "quarter.safetensors"
    assert mor_command("compress", file, half, "--keep", "0.5")[0] == 0
    assert mor_command("compress", half, quarter, "--keep", "0.3")[0] == 0
    assert mor_command("verify", file, quarter)[0] == 0


def test_other_values_in_its_place_are_seen(tmp_path, mor_json):
    file, out = file_with(tmp_path, {X0: np.zeros(8, np.float32)}), tmp_path / "out.safetensors"
    compress(mor.read_checkpoint(file), keep=0.5).model.write(out)
    after = mor.read_checkpoint(out)
    changed = {**after.tensors, X0: np.ones_like(after.tensors[X0])}
    write(out, changed, after.metadata)
    found = mor_json("verify", file, out)
    assert (found["changed_tensors"], found["ok"]) == ([X0], False)


def test_the_model_loads():
    torch = pytest.importorskip("torch")
    from mor.adapters.torch import StateSpaceLayer, truncate

    class Layer(StateSpaceLayer):
        def __init__(self, states):
            super().__init__(3, states, generator=torch.Generator().manual_seed(0))
            self.register_buffer("x0", torch.zeros(states))
            self.register_buffer("scratch", torch.zeros(states), persistent=False)
            self.bias = torch.nn.Parameter(torch.zeros(3))

    layer = Layer(16)
    truncate(layer, torch.optim.Adam(layer.parameters()), order=6)
    modes = layer.rotation.angles.shape[0]
    assert layer.x0.shape == (2 * modes,)
    assert layer.scratch.shape == (16,)
    assert layer.bias.shape == (3,)
    Layer(2 * modes).load_state_dict(layer.state_dict())


def test_a_file_loads_into_a_module_of_the_old_size(tmp_path):
    torch = pytest.importorskip("torch")

    class LRU(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for name, x in checkpoint("lru", ("",)).items():
                self.register_parameter(name, torch.nn.Parameter(torch.from_numpy(x)))
            self.register_buffer("x0", torch.zeros(8))

    module = LRU()
    path = tmp_path / "model.safetensors"
    write(path, {key: x.detach().numpy() for key, x in module.state_dict().items()})
    compress(mor.read_checkpoint(path), keep=0.5).model.write(tmp_path / "small.safetensors")
    from mor.adapters.checkpoints import load_resized

    loaded = load_resized(module, tmp_path / "small.safetensors")
    assert "x0" in loaded.resized
    assert module.x0.shape == module.nu_log.shape


def test_shared_tensors_of_the_model_stay():
    """A tensor that two layers share has no one new size."""
    torch = pytest.importorskip("torch")
    from mor.adapters.torch import StateSpaceLayer, truncate

    layers = torch.nn.ModuleList(StateSpaceLayer(3, 16) for _ in range(2))
    shared = torch.nn.Parameter(torch.zeros(16))
    for layer in layers:
        layer.x0 = shared
    truncate(layers, None, order=6)
    assert all(layer.x0 is shared for layer in layers)
