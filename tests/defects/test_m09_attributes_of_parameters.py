"""load_resized dropped what was set on parameters, such as `_optim`: A was decayed in fine-tuning."""

import pytest

import mor
from mor.adapters.checkpoints import load_resized
from mor.deep import compress
from tests.defects.layers import checkpoint, write

torch = pytest.importorskip("torch")


def test_they_are_kept(tmp_path):
    tensors = checkpoint("s4d", ("",), n=6)
    compress(mor.read_checkpoint(write(tmp_path / "m.safetensors", tensors)), keep=0.5).model.write(
        tmp_path / "o.safetensors"
    )
    net = torch.nn.Module()
    net.kernel = torch.nn.Module()
    for key, x in tensors.items():
        owner, name = (net.kernel, key[7:]) if key.startswith("kernel.") else (net, key)
        parameter = torch.nn.Parameter(torch.from_numpy(x.copy()))
        parameter._optim = {"weight_decay": 0.0, "of": key}
        owner.register_parameter(name, parameter)
    report = load_resized(net, tmp_path / "o.safetensors")
    assert report.resized
    for key, parameter in net.named_parameters():
        assert parameter._optim == {"weight_decay": 0.0, "of": key}
