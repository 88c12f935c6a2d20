"""Real modules of PyTorch, before and after: outputs differ by no more than the bound says."""

from __future__ import annotations

import collections
import math

import numpy as np
import pytest

import mor
from mor.adapters.checkpoints import load_resized, read_checkpoint
from mor.errors import CheckpointError
from tests.oracles.checkpoint_layers import deviation

torch = pytest.importorskip("torch")


def compressed(folder, module, order, suffix=".pt", **options):
    """Save the module, reduce every layer, write; the reductions and the path."""
    torch.save(module.state_dict(), folder / "in.pt")
    checkpoint = read_checkpoint(folder / "in.pt")
    reductions = {name: mor.balanced_truncation(m, order) for name, m in checkpoint.layers.items()}
    out = folder / f"out{suffix}"
    checkpoint.replace(reductions).write(out, **options)
    return reductions, out


def outputs(module, u):
    with torch.no_grad():
        return module(u).double().numpy()


def assert_within_bound(y, z, u, bound):
    """Single precision sums some hundred terms: 1e-5 of the output is its round-off."""
    error = np.linalg.norm(y - z)
    assert error <= bound * np.linalg.norm(u.numpy()) + 1e-5 * np.linalg.norm(y)


@pytest.mark.parametrize("suffix", [".pt", ".safetensors"])
@pytest.mark.parametrize("order", [None, 20, 6, 1])
def test_s5_pytorch(tmp_path, order, suffix):
    s5 = pytest.importorskip("s5")
    torch.manual_seed(0)
    module = s5.S5(6, 16)
    roms, out = compressed(tmp_path, module, order, suffix)
    rom = roms["seq"]
    small = s5.S5(6, 16)
    report = load_resized(small, out)
    assert small.seq.Lambda.shape == (rom.system.poles.shape[-1],)
    assert report.missing == report.unexpected == []
    u = torch.randn(2, 200, 6)
    y, z = outputs(module, u), outputs(small, u)
    assert_within_bound(y, z, u, rom.error_bound)
    assert np.linalg.norm(y - z) > 0


def test_s5_pytorch_block_in_a_compiled_model(tmp_path):
    s5 = pytest.importorskip("s5")
    torch.manual_seed(1)

    def model():
        return torch.nn.Sequential(*(s5.S5Block(4, 8, bidir=False) for _ in range(2))).eval()

    module = model()
    state = {"_orig_mod." + key: x for key, x in module.state_dict().items()}
    torch.save({"state_dict": state, "epoch": 1}, tmp_path / "in.ckpt")
    checkpoint = read_checkpoint(tmp_path / "in.ckpt")
    assert list(checkpoint.layers) == ["0.s5.seq", "1.s5.seq"]
    roms = {name: mor.balanced_truncation(layer) for name, layer in checkpoint.layers.items()}
    checkpoint.replace(roms).write(tmp_path / "out.ckpt")
    small = model()
    load_resized(small, tmp_path / "out.ckpt")
    u = torch.randn(1, 50, 4)
    # A minimal realisation is the same map; single precision leaves 1e-5 after two blocks.
    assert deviation(outputs(small, u), outputs(module, u)) < 1e-5


def test_a_bidirectional_s5_is_refused(tmp_path):
    s5 = pytest.importorskip("s5")
    torch.save(s5.S5(4, 8, bidir=True).state_dict(), tmp_path / "in.pt")
    with pytest.raises(CheckpointError, match="bidirectional"):
        read_checkpoint(tmp_path / "in.pt")


@pytest.mark.parametrize("order", [None, 12, 3])
def test_lru_pytorch(tmp_path, order):
    lru = pytest.importorskip("LRU_pytorch.LRU")
    torch.manual_seed(0)
    module = lru.LRU(5, 4, 10, rmin=0.3, rmax=0.95)
    roms, out = compressed(tmp_path, module, order, ".safetensors")
    rom = roms["root"]
    small = lru.LRU(5, 4, 10)
    report = load_resized(small, out)
    assert (report.adjusted == ["state"]) == (rom.system.poles.shape[-1] != 10)
    assert small.state.shape == (rom.system.poles.shape[-1],)
    u = torch.randn(120, 5)
    assert_within_bound(outputs(module, u), outputs(small, u), u, rom.error_bound)


class S4DKernel(torch.nn.Module):
    """The convolution kernel of minimal S4D, from its published definition."""

    def __init__(self, channels, n, lr=None):
        super().__init__()
        self.C = torch.nn.Parameter(torch.view_as_real(torch.randn(channels, n, dtype=torch.cfloat)))
        log_dt = torch.rand(channels) * math.log(100) + math.log(1e-3)
        log_A_real = torch.log(0.5 * torch.ones(channels, n))
        A_imag = math.pi * torch.arange(n, dtype=torch.float32).repeat(channels, 1)
        for name, x in {"log_dt": log_dt, "log_A_real": log_A_real, "A_imag": A_imag}.items():
            if lr == 0.0:
                self.register_buffer(name, x)
            else:
                self.register_parameter(name, torch.nn.Parameter(x))

    def forward(self, length):
        dt, A = torch.exp(self.log_dt), -torch.exp(self.log_A_real) + 1j * self.A_imag
        dtA = A * dt.unsqueeze(-1)
        C = torch.view_as_complex(self.C) * (torch.exp(dtA) - 1.0) / A
        powers = torch.exp(dtA.unsqueeze(-1) * torch.arange(length))
        return 2 * torch.einsum("hn, hnl -> hl", C, powers).real


class S4D(torch.nn.Module):
    def __init__(self, channels, n, lr=None):
        super().__init__()
        self.D = torch.nn.Parameter(torch.randn(channels))
        self.kernel = S4DKernel(channels, n, lr)
        self.output_linear = torch.nn.Linear(channels, channels)

    def forward(self, u):
        length = u.shape[-1]
        k_f = torch.fft.rfft(self.kernel(length), n=2 * length)
        y = torch.fft.irfft(torch.fft.rfft(u, n=2 * length) * k_f, n=2 * length)[..., :length]
        return y + u * self.D.unsqueeze(-1)


@pytest.mark.parametrize("lr", [None, 0.0])
@pytest.mark.parametrize("order", [None, 8, 3])
def test_minimal_s4d_with_parameters_or_buffers(tmp_path, order, lr):
    torch.manual_seed(0)
    module = S4D(5, 8, lr)
    roms, out = compressed(tmp_path, module, order)
    rom = roms["root"]
    small = S4D(5, 8, lr)
    load_resized(small, out)
    kinds = {key: type(x) for key, x in module.state_dict(keep_vars=True).items()}
    assert {key: type(x) for key, x in small.state_dict(keep_vars=True).items()} == kinds
    assert small.kernel.A_imag.shape == (5, rom.system.poles.shape[-1])
    u = torch.randn(5, 300)
    assert_within_bound(outputs(module, u), outputs(small, u), u, rom.error_bound)


def test_padded_checkpoints_load_without_help(tmp_path):
    torch.manual_seed(0)
    module = S4D(5, 8)
    roms, out = compressed(tmp_path, module, 4, pad=True)
    small = S4D(5, 8)
    small.load_state_dict(torch.load(out, weights_only=True))
    u = torch.randn(5, 300)
    assert_within_bound(outputs(module, u), outputs(small, u), u, roms["root"].error_bound)


# ---------------------------------------------------------------- load_resized


def test_what_finds_no_place_is_named_and_nothing_is_changed(tmp_path):
    _, out = compressed(tmp_path, S4D(5, 8), 3)
    other = torch.nn.Sequential(collections.OrderedDict(kernel=S4DKernel(5, 8)))
    before = {key: x.clone() for key, x in other.state_dict().items()}
    with pytest.raises(
        CheckpointError, match=r"the module lacks D, output_linear\.weight, output_linear\.bias"
    ):
        load_resized(other, out)
    assert all(torch.equal(x, before[key]) for key, x in other.state_dict().items())
    report = load_resized(other, out, strict=False)
    assert report.unexpected == ["D", "output_linear.weight", "output_linear.bias"]
    assert other.kernel.A_imag.shape == (5, 2)


def test_only_layers_in_the_manifest_may_change_shape(tmp_path):
    _, out = compressed(tmp_path, S4D(5, 8), 3)
    other = S4D(5, 8)
    other.output_linear = torch.nn.Linear(4, 4)
    with pytest.raises(
        CheckpointError, match=r"output_linear\.weight has shape \(4, 4\) in the module and \(5, 5\)"
    ):
        load_resized(other, out)
    assert other.kernel.A_imag.shape == (5, 8)


def test_a_state_dict_in_memory_and_missing_keys():
    module, donor = S4D(5, 8), S4D(5, 3)
    state = donor.state_dict()
    del state["D"]
    with pytest.raises(CheckpointError, match="the checkpoint lacks D"):
        load_resized(module, state)
    report = load_resized(module, state, strict=False)
    assert report.missing == ["D"]
    assert set(report.resized) == {
        "kernel.C",
        "kernel.log_A_real",
        "kernel.A_imag",
    }
    assert torch.equal(module.kernel.C, donor.kernel.C)


def test_complex_numbers_do_not_go_into_a_real_parameter():
    module = torch.nn.Linear(2, 2)
    with pytest.raises(CheckpointError, match=r"weight is torch\.float32 in the module and torch\.complex64"):
        load_resized(module, {"weight": torch.ones(2, 2, dtype=torch.complex64), "bias": torch.ones(2)})


def test_shared_parameters_stay_shared_and_trainable():
    class Twice(torch.nn.Module):
        def __init__(self, n):
            super().__init__()
            self.a = S4DKernel(5, n)
            self.b = S4DKernel(5, n)
            self.b.C = self.a.C

    module, donor = Twice(8), Twice(3)
    load_resized(module, donor.state_dict())
    assert module.a.C is module.b.C
    assert module.a.C.shape == (5, 3, 2)
    module.a(10).sum().backward()
    assert module.a.C.grad is not None
