"""A layer to train under PyTorch is the system it says it is, stable whatever its parameters are."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

import mor
from mor.adapters.layers.dialects.detect import get_dialect
from mor.deep.network import respond
from mor.errors import DimensionError
from tests.torch.live_layers import assert_close, layer_of, numbers, random_inputs, seeded

torch = pytest.importorskip("torch")

from mor.adapters.torch import StateSpaceLayer  # noqa: E402


def simulated(system, u):
    """The response of ``x_t = poles x_{t-1} + B u_t, y_t = Re(C x_t) + D u_t`` to u (batch, T, m)."""
    poles, B, C, D = (x.detach().numpy() for x in (system.poles, system.B, system.C, system.D))
    x, y = np.zeros((len(u), len(poles)), dtype=complex), np.empty((*u.shape[:2], len(C)))
    for t in range(u.shape[1]):
        x = poles * x + u[:, t] @ B.T
        y[:, t] = (x @ C.T).real + u[:, t] @ D.T
    return y


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


@pytest.mark.slow
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


@pytest.mark.parametrize(("channels", "states"), [(0, 8), (-1, 8), (3, 0), (3, 7), (3, 1), (3, -2)])
def test_sizes_that_make_no_layer(channels, states):
    with pytest.raises(DimensionError, match=f"channels={channels}, states={states}"):
        StateSpaceLayer(channels, states)


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


@pytest.mark.slow
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
