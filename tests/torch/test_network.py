"""Blocks and networks to train: the network they become, and the file it survives."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import mor
from mor.adapters.checkpoints import load_resized
from mor.deep import Network
from mor.errors import CheckpointError
from tests.torch.live_layers import assert_close, layer_of, make_network, random_inputs, seeded, warmed

torch = pytest.importorskip("torch")

from mor.adapters.torch import StateSpaceBlock  # noqa: E402


@pytest.mark.parametrize("make", [lambda s: layer_of(seed=s), make_network])
def test_the_seed_of_the_generator_decides_all_values(make):
    torch.manual_seed(1)
    one = make(0).state_dict()
    torch.manual_seed(2)
    two, other = make(0).state_dict(), make(1).state_dict()
    assert all(torch.equal(x, two[name]) for name, x in one.items())
    random = [
        n
        for n in one
        if n.endswith(("angles", "retentions", "sys_in", "sys_out", "sys_feed", "coder.weight"))
    ]
    assert random
    assert not any(torch.equal(one[name], other[name]) for name in random)


def test_without_a_generator_it_is_the_one_of_torch():
    states = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        states.append(make_network(generator=False).state_dict())
    assert all(torch.equal(x, states[1][name]) for name, x in states[0].items())
    assert not torch.equal(states[0]["encoder.weight"], states[2]["encoder.weight"])


def test_block_is_the_layer_of_the_paper():
    block = warmed(StateSpaceBlock(3, 8, generator=seeded()), channels=3)
    z = random_inputs(4, 30, 3)
    v = (z - block.norm.running_mean) / torch.sqrt(block.norm.running_var + 1e-5)
    y = block.ssm(v * block.norm.weight + block.norm.bias)
    v = 0.5 * y * (1 + torch.tanh((2 / torch.pi) ** 0.5 * (y + 0.044715 * y**3)))
    wanted = z + v * torch.sigmoid(v @ block.gate.weight.T + block.gate.bias)
    torch.testing.assert_close(block(z), wanted, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(block.respond(z.transpose(0, 1)).transpose(0, 1), block(z), rtol=0, atol=0)


def test_norm_of_a_block_in_training_is_over_batch_and_time():
    block = StateSpaceBlock(3, 8, generator=seeded()).train()
    z = 5 + 2 * random_inputs(6, 40, 3)
    block(z)
    # Momentum 0.1 in PyTorch's count: a tenth of what was seen, from a mean of 0 and a variance of 1.
    flat = z.flatten(0, 1)
    torch.testing.assert_close(block.norm.running_mean, 0.1 * flat.mean(0), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(block.norm.running_var, 0.9 + 0.1 * flat.var(0), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("length", [1, 33, 64])
def test_network_in_evaluation_is_the_network_on_numpy(length):
    model = warmed(make_network())
    u = random_inputs(7, length, 2)
    with torch.no_grad():
        logits = model(u).numpy()
    # Two layers in single precision, summed in another order.
    np.testing.assert_allclose(model.network()(u.numpy()), logits, rtol=1e-4, atol=1e-5)


def test_network_is_a_copy():
    model = make_network()
    network = model.network()
    before = network.tensors["encoder.weight"].copy()
    with torch.no_grad():
        model.encoder.weight.zero_()
    np.testing.assert_array_equal(network.tensors["encoder.weight"], before)


def test_dropout_is_for_training_only():
    model, u = warmed(make_network(dropout=0.5)), random_inputs(4, 16, 2)
    with torch.no_grad():
        assert torch.equal(model(u), model(u))
        without = make_network()
        without.load_state_dict(model.state_dict())
        assert torch.equal(without.eval()(u), model(u))
        model.train()
        assert not torch.equal(model(u), model(u))
        without.train()
        assert torch.equal(without(u), without(u))


def test_dropout_keeps_the_mean():
    block = StateSpaceBlock(1, 2, dropout=0.25, generator=seeded()).eval()
    with torch.no_grad():
        # y = 3, v = gelu(3), gate sigmoid(0): one number in, one number out.
        block.ssm.sys_in.zero_()
        block.ssm.sys_feed.fill_(1.0)
        block.gate.weight.zero_()
        block.norm.weight.zero_()
        block.norm.bias.fill_(3.0)
        z = torch.zeros(20, 500, 1)
        exact = float(block(z)[0, 0, 0])
        block.dropout.train()
        torch.manual_seed(0)
        dropped = block(z)
    values = sorted(set(dropped.flatten().tolist()))
    # Dropped before or behind the gate, or scaled by 4/3 at both places.
    assert values[0] == 0
    assert values[-1] == pytest.approx((4 / 3) ** 2 * exact, rel=1e-5)
    # 10 000 draws whose deviation is about the mean: 5 standard errors.
    assert float(dropped.mean()) == pytest.approx(exact, rel=0.05)


def test_network_survives_a_file(tmp_path):
    model = warmed(make_network())
    save_file(dict(model.network().tensors), tmp_path / "net.safetensors")
    u = random_inputs(3, 20, 2).numpy()
    np.testing.assert_array_equal(Network(load_file(tmp_path / "net.safetensors"))(u), model.network()(u))


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_mor_compresses_a_saved_model_and_the_module_loads_it(mor_command, tmp_path, suffix):
    model = warmed(make_network())
    source, out = tmp_path / f"net{suffix}", tmp_path / f"small{suffix}"
    if suffix == ".pt":
        torch.save(model.state_dict(), source)
    else:
        save_file(dict(model.network().tensors), source)
    assert mor_command("compress", source, out, "--keep", "0.5")[0] == 0
    assert mor_command("verify", source, out)[0] == 0
    layers = mor.read_checkpoint(out).layers
    assert sum(layer.order for layer in layers.values()) <= 8
    small = make_network(seed=1).eval()
    report = load_resized(small, out)
    assert report.unexpected == report.missing == []
    modes = [block.ssm.system().n_modes for block in small.layers]
    assert modes == [layer.n_modes for layer in layers.values()]
    u = random_inputs(3, 20, 2)
    with torch.no_grad():
        np.testing.assert_allclose(small(u).numpy(), small.network()(u.numpy()), rtol=1e-4, atol=1e-5)


def test_a_network_without_counts_of_batches_loads_strictly_as_in_pytorch():
    tensors = {name: torch.from_numpy(x) for name, x in warmed(make_network()).network().tensors.items()}
    ours, theirs = make_network(seed=1), make_network(seed=1)
    count = torch.tensor(7)
    for model in (ours, theirs):
        model.layers[0].norm.num_batches_tracked.copy_(count)
    theirs.load_state_dict(tensors, strict=True)
    assert load_resized(ours, tensors).missing == []
    for name, x in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], x)
    assert torch.equal(ours.layers[0].norm.num_batches_tracked, count)
    del tensors["layers.0.norm.running_mean"]
    with pytest.raises(CheckpointError, match=r"lacks layers\.0\.norm\.running_mean"):
        load_resized(ours, tensors)


def test_model_moved_to_another_precision_still_runs():
    model, u = warmed(make_network()), random_inputs(3, 40, 2)
    with torch.no_grad():
        single = model(u)
        double = model.double()(u.double())
    assert double.dtype == torch.float64
    torch.testing.assert_close(single, double.float(), rtol=1e-4, atol=1e-5)


def test_autocast():
    model, u = warmed(make_network()), random_inputs(3, 40, 2)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        low = model(u)
    # Products are rounded to 2^-8 in every layer.
    assert_close(low.float(), model(u), 0.05)
    model.train()
    with torch.autocast("cpu", torch.bfloat16):
        loss = model(u).float().square().mean()
    loss.backward()
    assert all(x.grad is not None and bool(x.grad.isfinite().all()) for x in model.parameters())
