"""load_resized refused a file that was made layer by layer: it asked the last manifest only."""

import pytest

import mor
from mor.adapters.checkpoints import load_resized
from mor.errors import CheckpointError
from tests.defects.layers import checkpoint, write

torch = pytest.importorskip("torch")


class Net(torch.nn.Module):
    def __init__(self, tensors):
        super().__init__()
        self.names = {}
        for i in ("0", "1"):
            layer = torch.nn.Module()
            for key, x in tensors.items():
                if key.startswith(i):
                    layer.register_parameter(key[2:], torch.nn.Parameter(torch.from_numpy(x.copy())))
            self.add_module(i, layer)
        self.head = torch.nn.Linear(2, 2, bias=False)


def in_two_steps(tmp_path, suffix):
    tensors = checkpoint("lru", ("0.", "1."))
    net = Net(tensors)
    state = {key: x.detach().numpy() for key, x in net.state_dict().items()}
    first = mor.read_checkpoint(write(tmp_path / "m.safetensors", state))
    one, two = tmp_path / f"one{suffix}", tmp_path / f"two{suffix}"
    first.replace({"0": mor.balanced_truncation(first.layers["0"], 6)}).write(one)
    second = mor.read_checkpoint(one)
    second.replace({"1": mor.balanced_truncation(second.layers["1"], 4)}).write(two)
    return net, two


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_layer_by_layer(tmp_path, suffix):
    net, file = in_two_steps(tmp_path, suffix)
    report = load_resized(net, file)
    found = mor.read_checkpoint(file)
    for i in ("0", "1"):
        assert net.get_submodule(i).nu_log.shape[0] == found.layers[i].n_modes
    assert "0.nu_log" in report.resized
    assert "1.nu_log" in report.resized


def test_what_no_step_names_keeps_its_shape(tmp_path):
    net, file = in_two_steps(tmp_path, ".safetensors")
    net.head = torch.nn.Linear(3, 2, bias=False)
    with pytest.raises(CheckpointError, match=r"head\.weight has shape"):
        load_resized(net, file)
