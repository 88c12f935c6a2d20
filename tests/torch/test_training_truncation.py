"""Balanced truncation in the middle of training: the model then does what its reduced systems say."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import mor
from mor.deep import allocate_ranks
from mor.errors import ReductionError
from tests.oracles.checkpoint_layers import deviation
from tests.torch.live_layers import seeded
from tests.torch.training import Stack, assert_same, inputs, snapshot, systems, train

torch = pytest.importorskip("torch")

from mor.adapters.torch import StateSpaceLayer, truncate  # noqa: E402

# The model.


@pytest.mark.parametrize("choice", [{"order": 4}, {"keep": 0.4}, {"energy": 0.9}])
def test_model_then_does_what_its_reduced_systems_say(choice):
    model = Stack()
    before, full = systems(model), copy.deepcopy(model)
    reductions = truncate(model, **choice)
    after = systems(model)
    assert set(reductions) <= set(before)
    for name, reduction in reductions.items():
        assert after[name].order == reduction.order < before[name].order
        h, wanted = (s.impulse_response(60) for s in (after[name], reduction.system))
        # Parameters are rounded to single precision.
        assert deviation(h, wanted) <= 1e-4
        np.testing.assert_allclose(after[name].D, before[name].D, rtol=0, atol=0)
    u = inputs(5, 80, 3)
    for i, (small, large) in enumerate(zip(model.layers, full.layers, strict=True)):
        with torch.no_grad():
            error = torch.linalg.vector_norm(small(u) - large(u), dim=(1, 2))
        bound = reductions[f"layers.{i}"].error_bound if f"layers.{i}" in reductions else 0.0
        scale = torch.linalg.vector_norm(large(u).detach(), dim=(1, 2))
        # The H-infinity bound limits the l2 gain of the error; single precision adds its own.
        assert bool((error <= bound * torch.linalg.vector_norm(u, dim=(1, 2)) + 1e-4 * scale).all())
        assert (float(error.max()) > 0) == (f"layers.{i}" in reductions)


def test_orders_that_are_asked_for():
    hsv = {name: mor.hankel_singular_values(system) for name, system in systems(Stack()).items()}

    def orders(**choice):
        model = Stack()
        truncate(model, **choice)
        return {name: system.order for name, system in systems(model).items()}

    assert orders(order=5) == dict.fromkeys(hsv, 5)
    assert orders(order=9) == {"layers.0": 9, "layers.1": 8}
    for keep in (0.2, 0.55):
        assert orders(keep=keep) == allocate_ranks(hsv, keep)
    for energy in (0.5, 0.9, 0.99):
        sums = {name: np.cumsum(x) / np.sum(x) for name, x in hsv.items()}
        # The smallest r whose share of the sum reaches the level.
        assert orders(energy=energy) == {name: int(np.argmax(s >= energy)) + 1 for name, s in sums.items()}


def test_nothing_to_remove_leaves_every_bit():
    model = Stack()
    adam = torch.optim.Adam(model.parameters())
    train(model, adam, 2)
    before = snapshot(model, adam)
    for choice in ({"order": 12}, {"order": 10**6}, {"keep": 1.0}, {"energy": 1.0}):
        assert truncate(model, adam, **choice) == {}
        assert_same(before, snapshot(model, adam))


def test_states_that_no_input_reaches_go_without_loss():
    model = Stack((10, 10))
    with torch.no_grad():
        model.layers[0].sys_in[[1, 3]] = 0
        model.layers[1].sys_out[:, [0, 4]] = 0
    u = inputs(3, 50, 3)
    y = model(u).detach()
    reductions = truncate(model, order=6)
    assert all(reduction.error_bound <= 1e-12 for reduction in reductions.values())
    assert [layer.sys_in.shape[0] for layer in model.layers] == [3, 3]
    # Poles and rows are written in single precision; poles at 0.9 amplify its round-off tenfold.
    torch.testing.assert_close(model(u).detach(), y, rtol=0, atol=1e-4)


def test_energy_of_one_removes_what_is_nothing():
    model = StateSpaceLayer(3, 10, generator=seeded())
    with torch.no_grad():
        model.sys_in[[1, 3]] = 0
    u = inputs(3, 50, 3)
    y = model(u).detach()
    (reduction,) = truncate(model, energy=1.0).values()
    assert reduction.order <= 6 + 4  # round-off may leave some of the four
    torch.testing.assert_close(model(u).detach(), y, rtol=0, atol=1e-4)


def test_a_layer_without_any_effect_keeps_one_idle_mode():
    layer = StateSpaceLayer(3, 8, generator=seeded())
    with torch.no_grad():
        layer.sys_in.zero_()
    truncate(layer, order=3)
    assert layer.sys_in.shape == (1, 2, 3)
    u = inputs(2, 20, 3)
    torch.testing.assert_close(layer(u).detach(), (layer.sys_feed * u).detach())


@pytest.mark.parametrize("wrap", [torch.nn.DataParallel, lambda m: torch.nn.ModuleDict({"module": m})])
def test_training_wrappers_make_no_difference(wrap):
    plain, inner = Stack(), Stack()
    wrapped = wrap(inner)
    adam = torch.optim.Adam(wrapped.parameters())
    truncate(plain, order=4)
    truncate(wrapped, adam, order=4)
    for a, b in zip(plain.parameters(), inner.parameters(), strict=True):
        assert torch.equal(a, b)
    assert {id(p) for p in adam.param_groups[0]["params"]} == {id(p) for p in inner.parameters()}


def test_a_module_used_twice_stays_one():
    layer = StateSpaceLayer(3, 8, generator=seeded())
    model = torch.nn.Sequential(layer, layer)
    adam = torch.optim.Adam(model.parameters())
    (reduction,) = truncate(model, adam, order=4).values()
    assert model[0] is model[1] is layer
    assert layer.sys_in.shape == (reduction.system.n_modes, 2, 3)
    assert {id(p) for p in adam.param_groups[0]["params"]} == {id(p) for p in model.parameters()}


def test_parameters_that_layers_share_stay_shared_and_trained():
    one, two = (StateSpaceLayer(3, 8, generator=seeded(i)) for i in range(2))
    for name in ("sys_in", "sys_out", "sys_feed", "rotation"):
        setattr(two, name, getattr(one, name))
    model = torch.nn.Sequential(one, two)
    adam = torch.optim.Adam(model.parameters())
    truncate(model, adam, order=4)
    assert {id(p) for p in adam.param_groups[0]["params"]} == {id(p) for p in model.parameters()}
    assert one.sys_in is two.sys_in


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_other_precisions(dtype):
    model = StateSpaceLayer(3, 8, generator=seeded()).to(dtype)
    (reduction,) = truncate(model, order=4).values()
    assert {x.dtype for x in model.parameters()} == {dtype}
    wide = copy.deepcopy(model).double()
    h, wanted = wide.system().detached(), reduction.system
    poles = [np.sort_complex(np.where(p.imag > 0, p.conj(), p)) for p in (h.poles.numpy(), wanted.poles)]
    # One rounding of each parameter, amplified by the slope of tanh, which is 1 at most, times pi.
    np.testing.assert_allclose(*poles, rtol=0, atol=8 * torch.finfo(dtype).eps)


def test_system_of_a_layer_counts_negative_real_poles_as_one_state():
    layer = StateSpaceLayer(1, 8, generator=seeded())
    with torch.no_grad():
        layer.rotation.angles.fill_(20.0)
        layer.sys_in[:, 1] = 0
        layer.sys_out[:, :, 1] = 0
    assert layer.system().order == systems(layer)[""].order == 4


# Modules of other packages.


def test_s5_pytorch():
    s5 = pytest.importorskip("s5")
    torch.manual_seed(0)
    model = torch.nn.Sequential(s5.S5(4, 16), s5.S5(4, 8))
    full, adam = copy.deepcopy(model), torch.optim.Adam(model.parameters())
    u = inputs(2, 60, 4)
    model(u).square().mean().backward()
    adam.step()
    full.load_state_dict(model.state_dict())
    reductions = truncate(model, adam, order=5)
    assert list(reductions) == ["0.seq", "1.seq"]
    for i in (0, 1):
        rom, (small, large) = reductions[f"{i}.seq"], (m[i] for m in (model, full))
        assert rom.order == 5
        assert small.seq.Lambda.shape == small.seq.log_step.shape == (rom.system.n_modes,)
        with torch.no_grad():
            y, z = large(u), small(u)
        error = torch.linalg.vector_norm(y - z)
        allowed = rom.error_bound * torch.linalg.vector_norm(u) + 1e-4 * torch.linalg.vector_norm(y)
        assert 0 < float(error) <= float(allowed)
    adam.zero_grad()
    model(u).square().mean().backward()
    adam.step()
    assert {id(p) for p in adam.param_groups[0]["params"]} == {id(p) for p in model.parameters()}
    assert all(bool(x.isfinite().all()) for x in model.parameters())


def test_lru_pytorch():
    """Its state is a plain attribute of the size of its poles."""
    lru = pytest.importorskip("LRU_pytorch.LRU")
    torch.manual_seed(0)
    model = lru.LRU(3, 2, 10, rmin=0.3, rmax=0.95)
    full, adam = copy.deepcopy(model), torch.optim.SGD(model.parameters(), lr=1e-3)
    (rom,) = truncate(model, adam, order=6).values()
    assert model.state.shape == model.nu_log.shape == (rom.system.n_modes,)
    u = inputs(50, 3)
    with torch.no_grad():
        y, z = full(u), model(u)
    allowed = rom.error_bound * torch.linalg.vector_norm(u) + 1e-4 * torch.linalg.vector_norm(y)
    assert 0 < float(torch.linalg.vector_norm(y - z)) <= float(allowed)
    model(u).square().mean().backward()
    adam.step()
    assert all(bool(x.isfinite().all()) for x in model.parameters())


class S4D(torch.nn.Module):
    """Tensors of minimal S4D, its poles in buffers."""

    def __init__(self, persistent):
        super().__init__()
        torch.manual_seed(0)
        self.kernel = torch.nn.Module()
        self.kernel.C = torch.nn.Parameter(torch.randn(3, 8, 2))
        self.kernel.log_dt = torch.nn.Parameter(torch.linspace(-3, -1, 3))
        self.kernel.log_A_real = torch.nn.Parameter(torch.log(0.5 * torch.ones(3, 8)))
        self.kernel.register_buffer(
            "A_imag", torch.pi * torch.arange(8.0).repeat(3, 1), persistent=persistent
        )
        self.D = torch.nn.Parameter(torch.randn(3))


def test_buffers_that_are_not_saved_cannot_be_replaced():
    model = S4D(persistent=False)
    before = model.kernel.C.detach().clone()
    with pytest.raises(ReductionError, match=r"kernel\.A_imag: a buffer that is not persistent"):
        truncate(model, order=6)
    assert torch.equal(model.kernel.C, before)


def test_layers_with_buffers():
    model = S4D(persistent=True)
    (rom,) = truncate(model, order=6).values()
    shapes = {name: tuple(x.shape) for name, x in [*model.named_parameters(), *model.named_buffers()]}
    k = rom.system.n_modes
    assert shapes["kernel.C"] == (3, k, 2)
    assert shapes["kernel.A_imag"] == shapes["kernel.log_A_real"] == (3, k)
    assert "kernel.A_imag" in dict(model.named_buffers())


def test_a_layer_never_gets_more_modes():
    layers = [StateSpaceLayer(3, 8, generator=seeded(seed)) for seed in range(10)]
    for layer in layers:
        truncate(layer, order=7)
        assert layer.sys_in.shape[0] <= 4
