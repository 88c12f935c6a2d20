"""Layers to train under PyTorch: the recurrence, the system they say they are, the network they become."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import mor
from mor.adapters.checkpoints import load_resized
from mor.adapters.layers.dialects.detect import get_dialect
from mor.cli import main
from mor.deep import Network
from mor.deep.network import respond
from mor.errors import CheckpointError, DimensionError

torch = pytest.importorskip("torch")

from mor.adapters.torch import StateSpaceBlock, StateSpaceLayer, StateSpaceNetwork  # noqa: E402
from mor.adapters.torch.recurrence import choose_method, linear_recurrence  # noqa: E402

METHODS = ["steps", "chunks"]

#: One below, at and above a chunk of 32; two chunks and a rest; a chunk of chunks and a rest.
LENGTHS = [1, 2, 31, 32, 33, 65, 1000]

#: Zero, next to the circle, on the real axis on both sides, and one in between.
POLES = [0.0, 0.9999 * np.exp(0.7j), 0.9999, -0.95, 0.5 * np.exp(-2j)]


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def poles_and_inputs(length, batch=3, poles=POLES, dtype=torch.complex128, seed=0):
    p = torch.tensor(poles, dtype=dtype)
    v = torch.randn(length, batch, len(poles), dtype=torch.complex128, generator=seeded(seed)).to(dtype)
    return p.requires_grad_(), v.requires_grad_()


def plain_loop(poles, v):
    x, states = torch.zeros_like(v[0]), []
    for step in v:
        x = poles * x + step
        states.append(x)
    return torch.stack(states)


def value_and_gradients(function, poles, v, seed=1):
    """States, and the gradients of a random linear form of them."""
    x = function(poles, v)
    weights = torch.randn(x.shape, dtype=torch.complex128, generator=seeded(seed)).to(x.dtype)
    return x.detach(), *torch.autograd.grad((weights.conj() * x).real.sum(), (poles, v))


def assert_close(actual, wanted, tolerance):
    """Norm-wise: entries where sums cancel have no accuracy of their own."""
    assert actual.shape == wanted.shape
    assert torch.linalg.vector_norm(actual - wanted) <= tolerance * torch.linalg.vector_norm(wanted)


# The recurrence.


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", LENGTHS)
def test_recurrence_is_the_loop_with_its_gradients(length, method):
    poles, v = poles_and_inputs(length)
    wanted = value_and_gradients(plain_loop, poles, v)
    actual = value_and_gradients(lambda p, u: linear_recurrence(p, u, method=method), poles, v)
    for a, w in zip(actual, wanted, strict=True):
        # Sums of up to 1000 terms that a pole at 0.9999 hardly damps, in double precision.
        assert_close(a, w, 1e-12)


@pytest.mark.parametrize("length", LENGTHS)
def test_both_methods_agree_in_single_precision(length):
    poles, v = poles_and_inputs(length, dtype=torch.complex64)
    steps, chunks = (
        value_and_gradients(lambda p, u, m=m: linear_recurrence(p, u, method=m), poles, v) for m in METHODS
    )
    for a, w in zip(steps, chunks, strict=True):
        # Round-off of 6e-8 a step, over as many steps as a pole remembers.
        assert_close(a, w, 1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("length", "batch", "poles"),
    [(1, 1, [0.5j]), (2, 2, [0.0, 0.9]), (7, 2, [0.3 - 0.4j, 0.9]), (35, 1, [0.9j])],
)
def test_gradcheck(length, batch, poles, method):
    inputs = poles_and_inputs(length, batch, poles)
    assert torch.autograd.gradcheck(lambda p, v: linear_recurrence(p, v, method=method), inputs)


@pytest.mark.parametrize("method", [*METHODS, None])
@pytest.mark.parametrize("length", [1, 33, 65])
@pytest.mark.parametrize(("batch", "k"), [(1, 1), (1, 5), (4, 1)])
def test_single_sequences_and_single_poles(length, batch, k, method):
    poles, v = poles_and_inputs(length, batch, POLES[-k:])
    assert_close(linear_recurrence(poles, v, method=method), plain_loop(poles, v), 1e-12)


LAYOUTS = {
    "transposed and strided": lambda x: x.transpose(0, 1)[..., ::2],
    "lazily conjugated": lambda x: x[:, :, :5].conj().transpose(0, 1),
    "expanded": lambda x: x[0, 0, :5].expand(x.shape[1], 4, 5),
    "backward in time": lambda x: x.transpose(0, 1)[..., :5].flip(0),
}

#: Their gradients are an expanded number, a lazily conjugated and a strided tensor.
LOSSES = {
    "sum": lambda x: x.sum().real,
    "squares": lambda x: (x.conj() * x.detach()).sum().real,
    "every other step": lambda x: x[::2].abs().square().sum(),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", [5, 40])
def test_inputs_and_gradients_of_any_layout(length, method, layout, loss):
    poles, _ = poles_and_inputs(1)
    base = torch.randn(4, length, 10, dtype=torch.complex128, generator=seeded(2)).requires_grad_()
    found = []
    for run in (plain_loop, lambda p, v: linear_recurrence(p, v, method=method)):
        x = run(poles, LAYOUTS[layout](base))
        found.append((x.detach(), *torch.autograd.grad(LOSSES[loss](x), (poles, base))))
    for wanted, actual in zip(*found, strict=True):
        assert_close(actual, wanted, 1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_zero_poles_pass_their_input(method):
    v = torch.randn(40, 2, 3, dtype=torch.complex128, generator=seeded())
    assert torch.equal(linear_recurrence(torch.zeros(3, dtype=torch.complex128), v, method=method), v)


def test_the_method_chosen_is_one_that_exists():
    for length in LENGTHS:
        for width in (1, 255, 256, 10_000):
            for device in ("cpu", "cuda"):
                assert choose_method(length, width, torch.device(device)) in METHODS


@pytest.mark.parametrize("length", [1, 32])
def test_an_empty_batch_has_no_states(length):
    poles, v = poles_and_inputs(length, batch=0)
    assert linear_recurrence(poles, v).shape == v.shape


def test_an_empty_batch_of_long_sequences_has_no_states():
    poles, v = poles_and_inputs(33, batch=0)
    assert linear_recurrence(poles, v).shape == v.shape


def test_an_unknown_method():
    with pytest.raises(DimensionError, match="'magic' is not one of steps, chunks"):
        linear_recurrence(*poles_and_inputs(3), method="magic")


def test_a_second_derivative_is_refused():
    poles, v = poles_and_inputs(3)
    x = linear_recurrence(poles, v)
    (gradient,) = torch.autograd.grad(x.abs().square().sum(), poles, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.abs().sum().backward()


# The layer.


def layer_of(channels=3, states=10, seed=0, dtype=torch.float32):
    return StateSpaceLayer(channels, states, generator=seeded(seed)).to(dtype)


def simulated(system, u):
    """The response of ``x_t = poles x_{t-1} + B u_t, y_t = Re(C x_t) + D u_t`` to u (batch, T, m)."""
    poles, B, C, D = (x.detach().numpy() for x in (system.poles, system.B, system.C, system.D))
    x, y = np.zeros((len(u), len(poles)), dtype=complex), np.empty((*u.shape[:2], len(C)))
    for t in range(u.shape[1]):
        x = poles * x + u[:, t] @ B.T
        y[:, t] = (x @ C.T).real + u[:, t] @ D.T
    return y


def numbers(layer):
    return {name: x.detach().numpy() for name, x in layer.named_parameters()}


def random_inputs(batch, length, channels, dtype=torch.float32, seed=5):
    return torch.randn(batch, length, channels, generator=seeded(seed)).to(dtype)


# Double precision keeps 1e-16 a step; single 6e-8, over the memory of the slowest pole.
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)])
@pytest.mark.parametrize("length", [1, 2, 33, 200])
def test_layer_is_its_system_read_after_the_update(length, dtype, tolerance):
    layer = layer_of(dtype=dtype)
    u = random_inputs(4, length, 3, dtype)
    y = layer(u)
    assert y.dtype == dtype
    wanted = simulated(layer.system(), u.double().numpy())
    scale = np.max(np.abs(wanted))
    np.testing.assert_allclose(y.detach().numpy(), wanted, rtol=0, atol=tolerance * scale)
    again = respond({name: x.astype(float) for name, x in numbers(layer).items()}, u.double().numpy())
    np.testing.assert_allclose(y.detach().numpy(), again, rtol=0, atol=tolerance * scale)


def test_first_output_shows_the_first_input():
    """y_0 = (C B + D) u_0: a state read before its update would leave D alone."""
    layer = layer_of(dtype=torch.float64)
    system, u = layer.system(), random_inputs(1, 1, 3, torch.float64)
    wanted = ((system.C @ system.B).real + system.D) @ u[0, 0]
    torch.testing.assert_close(layer(u)[0, 0], wanted, rtol=1e-12, atol=1e-12)


def test_batch_comes_first_and_time_second():
    layer, u = layer_of(), random_inputs(4, 50, 3)
    y = layer(u)
    assert y.shape == (4, 50, 3)
    # Sequences do not see each other, and no step sees a later one. Other sizes round differently.
    torch.testing.assert_close(layer(u[2:3]), y[2:3], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(layer(u[:, :20]), y[:, :20], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(layer.respond(u.transpose(0, 1)).transpose(0, 1), y, rtol=0, atol=0)


def test_layer_gradients_by_gradcheck():
    layer = layer_of(2, 4, dtype=torch.float64)
    names, values = zip(*((n, x.detach().requires_grad_()) for n, x in layer.named_parameters()), strict=True)
    u = random_inputs(2, 5, 2, torch.float64).requires_grad_()

    def run(u, *values):
        return torch.func.functional_call(layer, dict(zip(names, values, strict=True)), (u,))

    assert torch.autograd.gradcheck(run, (u, *values))


def largest_output(layer, u):
    """What no output can exceed whose poles have modulus 1 at most; 0.1 % is left for round-off."""
    B, C = layer.sys_in.detach().abs().sum(1), layer.sys_out.detach().abs().sum(2)
    feed = layer.sys_feed.detach().abs().max()
    return 1.001 * float((C @ B).sum(1).max() * u.abs().amax(dim=(0, 2)).sum() + feed * u.abs().max())


def set_rotation(layer, retention, angle=None):
    with torch.no_grad():
        layer.rotation.retentions.fill_(retention)
        if angle is not None:
            layer.rotation.angles.fill_(angle)
    return layer


@pytest.mark.parametrize("angle", [-1e4, -20.0, 0.0, 20.0, 1e4])
@pytest.mark.parametrize("retention", [-1e4, -20.0, -1e-8, 0.0, 5.0, 18.0])
def test_stable_at_the_ends_of_the_range_of_parameters(retention, angle):
    layer, u = set_rotation(layer_of(), retention, angle), random_inputs(1, 2000, 3)
    assert layer.system().is_stable
    assert float(layer(u).detach().abs().max()) <= largest_output(layer, u)


@pytest.mark.parametrize("retention", [19.5, 1e4])
def test_stable_whatever_its_parameters_are(retention):
    # An angle of 0: the modulus is then the radius, without another rounding.
    assert set_rotation(layer_of(), retention, -1e4).system().is_stable


@pytest.mark.parametrize("retention", [19.5, 1e4])
def test_even_a_pole_of_modulus_one_does_not_grow(retention):
    layer, impulse = set_rotation(layer_of(), retention), torch.zeros(1, 5000, 3)
    impulse[0, 0] = 1
    # Single precision rounds a modulus of 1 by 6e-8 at most, 5000 times: 3e-4.
    assert float(layer(impulse).detach().abs().max()) <= largest_output(layer, impulse)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_system_is_in_double_precision_and_differentiable(dtype):
    layer = layer_of(dtype=dtype)
    system = layer.system()
    assert [x.dtype for x in (system.poles, system.B, system.C, system.D)] == [
        *(torch.complex128,) * 3,
        torch.float64,
    ]
    assert system.dt == 1.0
    assert system.order == 10
    mor.hankel_nuclear_norm(system).backward()
    for name, x in layer.named_parameters():
        assert (x.grad is None) == (name == "sys_feed")
        assert x.grad is None or (x.grad.dtype == dtype and bool(x.grad.isfinite().all()))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_state_dict_is_a_layer_of_the_dialect_rotation(tmp_path, dtype):
    layer = layer_of(dtype=dtype)
    assert set(layer.state_dict()) == {field.name for field in get_dialect("rotation").fields}
    save_file({"a." + name: x for name, x in numbers(layer).items()}, tmp_path / "layer.safetensors")
    checkpoint = mor.read_checkpoint(tmp_path / "layer.safetensors")
    assert checkpoint.dialect == "rotation"
    read, mine = checkpoint.layers["a"], layer.system()
    for field in ("poles", "B", "C", "D"):
        # NumPy's tanh and torch's differ in the last place.
        np.testing.assert_allclose(
            getattr(read, field), getattr(mine, field).detach().numpy(), rtol=0, atol=1e-14
        )


def test_initial_values_have_the_stated_distributions():
    """Means and standard deviations within 5 standard errors, which one draw in a million leaves."""
    channels, states = 256, 1024
    layer = StateSpaceLayer(channels, states, generator=seeded(0))
    stated = {
        "rotation.angles": (0, 1),
        "rotation.retentions": (1, 0.25),
        "sys_in": (0, channels**-0.5),
        "sys_out": (0, states**-0.5),
        "sys_feed": (0, 1),
    }
    for name, x in layer.named_parameters():
        mean, deviation = stated[name]
        error = 5 * deviation / x.numel() ** 0.5
        assert abs(float(x.detach().mean()) - mean) <= error, name
        assert abs(float(x.detach().std()) - deviation) <= error, name
    assert layer.sys_in.shape == (states // 2, 2, channels)
    assert layer.sys_out.shape == (channels, states // 2, 2)


def make_network(seed=0, generator=True, **options):
    sizes = {"layers": 2, "channels": 6, "states": 8} | options
    return StateSpaceNetwork(2, 5, **sizes, generator=seeded(seed) if generator else None)


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


@pytest.mark.parametrize(("channels", "states"), [(0, 8), (-1, 8), (3, 0), (3, 7), (3, 1), (3, -2)])
def test_sizes_that_make_no_layer(channels, states):
    with pytest.raises(DimensionError, match=f"channels={channels}, states={states}"):
        StateSpaceLayer(channels, states)


# Blocks and networks.


def warmed(model, batch=8, length=20, channels=2):
    """The model after some passes in training: its norms have statistics of their own."""
    model.train()
    for seed in range(3):
        model(2 + 3 * random_inputs(batch, length, channels, seed=seed))
    return model.eval()


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


def run_mor(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["mor", *map(str, arguments)])
    try:
        main()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_mor_compresses_a_saved_model_and_the_module_loads_it(tmp_path, monkeypatch, suffix):
    model = warmed(make_network())
    source, out = tmp_path / f"net{suffix}", tmp_path / f"small{suffix}"
    if suffix == ".pt":
        torch.save(model.state_dict(), source)
    else:
        save_file(dict(model.network().tensors), source)
    assert run_mor(monkeypatch, "compress", source, out, "--keep", "0.5") == 0
    assert run_mor(monkeypatch, "verify", source, out) == 0
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


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("length", [3, 70])
def test_half_precision_rounds_signals_and_not_states(dtype, length):
    layer = layer_of().to(dtype)
    twin, u = layer_of().to(dtype).double(), random_inputs(2, length, 3, dtype)
    y = layer(u)
    assert y.dtype == dtype
    wanted = twin(u.double())
    # Inputs of states and outputs are rounded once each; the states between them are not.
    assert_close(y.double(), wanted, 4 * torch.finfo(dtype).eps)
    y.sum().backward()
    for name, x in layer.named_parameters():
        assert x.grad.dtype == dtype, name
        assert bool(x.grad.isfinite().all()), name


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


def test_functional_transforms_differentiate_the_layer():
    layer = StateSpaceLayer(2, 6, generator=torch.Generator().manual_seed(0))
    u = torch.randn(2, 9, 2)
    parameters = dict(layer.named_parameters())

    def loss(parameters):
        return torch.func.functional_call(layer, parameters, (u,)).square().sum()

    gradient = torch.func.grad(loss)(parameters)
    loss(parameters).backward()
    for name, x in layer.named_parameters():
        torch.testing.assert_close(gradient[name], x.grad)
