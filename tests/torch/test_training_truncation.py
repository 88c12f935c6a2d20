"""Balanced truncation in the middle of training: the model does what it should, the optimizer goes on."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import mor
from mor.adapters.checkpoints import load_resized
from mor.adapters.layers.dialects.detect import get_dialect
from mor.deep import allocate_ranks
from mor.errors import (
    MorError,
    NotASystemError,
    NotFiniteError,
    NotLinearTimeInvariantError,
    ReductionError,
    UnstableSystemError,
)
from tests.oracles.checkpoint_layers import deviation

torch = pytest.importorskip("torch")

from mor.adapters.torch import (  # noqa: E402
    HankelRegularizer,
    InTrainingTruncation,
    StateSpaceLayer,
    StateSpaceNetwork,
    truncate,
)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


class Stack(torch.nn.Module):
    """Layers of unequal sizes in a row, behind a gain that is no layer's."""

    def __init__(self, states=(12, 8), channels=3, seed=0):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.ones(channels))
        self.layers = torch.nn.ModuleList(
            StateSpaceLayer(channels, n, generator=seeded(seed + i)) for i, n in enumerate(states)
        )

    def forward(self, u):
        for layer in self.layers:
            u = torch.tanh(layer(self.gain * u))
        return u


def systems(model, dialect="rotation"):
    """The layers as they are, read from the values of their tensors."""
    tensors = {name: x.detach().numpy().copy() for name, x in model.state_dict().items()}
    speaker = get_dialect(dialect)
    return {prefix.rstrip("."): speaker.read(tensors, prefix) for prefix in speaker.find(tensors)}


def inputs(*shape, seed=3):
    return torch.randn(*shape, generator=seeded(seed))


def snapshot(model, optimizer=None):
    """Everything that a failure must leave alone, with the identity of the parameters."""
    return (
        {name: (id(x), x.detach().clone()) for name, x in model.named_parameters()},
        copy.deepcopy(optimizer.state_dict()) if optimizer else None,
        [[id(p) for p in group["params"]] for group in optimizer.param_groups] if optimizer else None,
    )


def assert_same(before, after):
    tensors, others = before[0], after[0]
    assert list(tensors) == list(others)
    for name, (identity, x) in tensors.items():
        assert identity == others[name][0], name
        assert torch.equal(x, others[name][1]) or (x.isnan() == others[name][1].isnan()).all(), name
    assert str(before[1]) == str(after[1])
    assert before[2] == after[2]


def train(model, optimizer, steps, schedule=None, seed=7):
    """Losses of a regression on a fixed batch."""
    u = inputs(4, 30, 3, seed=seed)
    wanted = torch.tanh(u.cumsum(1) / 4)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = (model(u) - wanted).square().mean()
        loss.backward()
        optimizer.step()
        if schedule is not None:
            schedule.step()
        losses.append(float(loss.detach()))
    return losses


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


# The optimizer.


def grouped_adam(model):
    named = dict(model.named_parameters())
    groups = [
        {
            "params": [x for n, x in named.items() if n.startswith("layers.1")],
            "lr": 1e-3,
            "weight_decay": 0.0,
        },
        {"params": [named["gain"]], "lr": 3e-3, "name": "gain"},
        {"params": [x for n, x in named.items() if n.startswith("layers.0")], "betas": (0.8, 0.9)},
    ]
    return torch.optim.AdamW(groups, lr=1e-2, weight_decay=0.1)


def test_groups_keep_their_order_and_settings():
    model = Stack()
    adam = grouped_adam(model)
    train(model, adam, 3)
    names = {id(x): name for name, x in model.named_parameters()}
    before = [
        ([names[id(p)] for p in g["params"]], {k: x for k, x in g.items() if k != "params"})
        for g in adam.param_groups
    ]
    truncate(model, adam, order=4)
    names = {id(x): name for name, x in model.named_parameters()}
    after = [
        ([names[id(p)] for p in g["params"]], {k: x for k, x in g.items() if k != "params"})
        for g in adam.param_groups
    ]
    assert after == before


def test_only_what_was_replaced_is_forgotten():
    model = Stack()
    adam = grouped_adam(model)
    train(model, adam, 3)
    old = dict(model.named_parameters())
    moments = {name: copy.deepcopy(adam.state[x]) for name, x in old.items()}
    reductions = truncate(model, adam, order=8)
    assert list(reductions) == ["layers.0"]
    new = dict(model.named_parameters())
    assert list(new) == list(old)
    replaced = {
        f"layers.0.{name}" for name in ("rotation.angles", "rotation.retentions", "sys_in", "sys_out")
    }
    for name, x in new.items():
        if name in replaced:
            assert x not in adam.state
            assert x.grad is None
            assert x.requires_grad
            assert x.is_leaf
        else:
            assert x is old[name]
            assert str(adam.state[x]) == str(moments[name])
    assert not any(old[name] in adam.state for name in replaced if old[name] is not new[name])


def test_equal_shapes_are_replaced_too():
    """Two real poles and two pairs need four modes as four pairs do: only the coordinates change."""
    layers = (StateSpaceLayer(3, 8, generator=seeded(seed)) for seed in range(50))
    model = next(m for m in layers if mor.balanced_truncation(systems(m)[""], 6).system.n_modes == 4)
    adam = torch.optim.SGD(model.parameters(), lr=1e-9, momentum=0.9)
    model(inputs(2, 10, 3)).square().sum().backward()
    adam.step()
    before = {name: x.detach().clone() for name, x in model.named_parameters()}
    truncate(model, adam, order=6)
    for name, x in model.named_parameters():
        assert x.shape == before[name].shape
        replaced = name != "sys_feed"
        assert torch.equal(x, before[name]) != replaced
        assert (x in adam.state) != replaced
        assert (x.grad is None) == replaced


@pytest.mark.parametrize("optimizer", [torch.optim.AdamW, torch.optim.SGD, torch.optim.RMSprop])
def test_training_goes_on_and_lowers_the_loss(optimizer):
    model = Stack()
    options = {"momentum": 0.9} if optimizer is torch.optim.SGD else {}
    adam = optimizer(model.parameters(), lr=1e-2 if optimizer is torch.optim.SGD else 3e-3, **options)
    train(model, adam, 10)
    truncate(model, adam, order=4)
    sizes = [layer.sys_in.shape[0] for layer in model.layers]
    before = [x.detach().clone() for x in model.parameters()]
    losses = train(model, adam, 40)
    assert losses[-1] < 0.9 * losses[0]
    assert [layer.sys_in.shape[0] for layer in model.layers] == sizes
    changed = [not torch.equal(x, y) for x, y in zip(model.parameters(), before, strict=True)]
    # All but the angles of real poles, should there be nothing else in a layer.
    assert all(changed)


def test_schedules_go_on():
    model = Stack()
    adam = grouped_adam(model)
    schedule = torch.optim.lr_scheduler.LambdaLR(adam, lambda step: 1 / (1 + step))
    train(model, adam, 4, schedule)
    truncate(model, adam, keep=0.5)
    train(model, adam, 4, schedule)
    np.testing.assert_allclose(
        [g["lr"] for g in adam.param_groups], np.array([1e-3, 3e-3, 1e-2]) / 9, rtol=1e-12
    )


def test_a_regularizer_goes_on():
    model = Stack()
    regularizer = HankelRegularizer(model, 1.0)
    truncate(model, order=4)
    expected = sum(np.sum(mor.hankel_singular_values(s)) for s in systems(model).values())
    term = regularizer()
    assert float(term.detach()) == pytest.approx(expected, rel=1e-5)
    term.backward()
    assert all(layer.sys_in.grad is not None for layer in model.layers)


def test_frozen_parameters_stay_frozen():
    layer = StateSpaceLayer(3, 8, generator=seeded())
    layer.sys_in.requires_grad_(False)
    truncate(layer, order=4)
    assert not layer.sys_in.requires_grad
    assert layer.sys_out.requires_grad


def test_state_of_a_truncated_run_can_be_saved_and_resumed():
    model = Stack()
    adam = grouped_adam(model)
    train(model, adam, 3)
    truncate(model, adam, order=4)
    train(model, adam, 2)
    other = Stack()
    load_resized(other, model.state_dict())
    resumed = grouped_adam(other)
    resumed.load_state_dict(copy.deepcopy(adam.state_dict()))
    assert train(other, resumed, 3) == train(model, adam, 3)


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


# What goes wrong.


def poison(model):
    with torch.no_grad():
        model.layers[1].sys_out[0, 0, 0] = float("nan")


class LRU(torch.nn.Module):
    """The tensors of a linear recurrent unit, its second pole on the unit circle."""

    def __init__(self):
        super().__init__()
        # A modulus of exp(-exp(-60)) and an angle of exp(-200): 1 in double precision.
        self.nu_log = torch.nn.Parameter(torch.tensor([-1.0, -60.0, -1.0]))
        self.theta_log = torch.nn.Parameter(torch.tensor([-1.0, -200.0, 0.5]))
        self.gamma_log = torch.nn.Parameter(torch.zeros(3))
        for name, shape in (
            ("B_re", (3, 2)),
            ("B_im", (3, 2)),
            ("C_re", (2, 3)),
            ("C_im", (2, 3)),
            ("D", (2,)),
        ):
            setattr(self, name, torch.nn.Parameter(torch.ones(shape)))


def test_an_unstable_layer_changes_nothing():
    model = torch.nn.ModuleDict({"ssm": LRU()})
    before = snapshot(model)
    with pytest.raises(UnstableSystemError, match="layer ssm: pole 1 "):
        truncate(model, order=2)
    assert_same(before, snapshot(model))


@pytest.mark.parametrize(
    ("spoil", "choice", "error", "message"),
    [
        (poison, {"order": 4}, NotFiniteError, r"layer layers\.1: layers\.1\.sys_out has 1 of \d+"),
        (None, {"keep": 0.01}, ReductionError, "less than the 2 that"),
        (None, {"keep": 0.0}, ReductionError, "keep=0"),
        (None, {"keep": np.nan}, ReductionError, "keep=nan"),
        (None, {"energy": 0.0}, ReductionError, "energy=0"),
        (None, {"energy": 1.1}, ReductionError, r"energy=1\.1"),
        (None, {"energy": np.nan}, ReductionError, "energy=nan"),
        (None, {"order": 0}, ReductionError, "order=0"),
        (None, {"order": 2.5}, ReductionError, r"order=2\.5"),
        (None, {}, ReductionError, "give one of them"),
        (None, {"order": 4, "energy": 0.5}, ReductionError, "give one of them"),
        (None, {"order": 4, "dialect": "lru"}, NotASystemError, "no layer of dialect lru"),
        (None, {"order": 4, "dialect": "s6"}, NotASystemError, "no dialect 's6'"),
    ],
)
def test_failure_changes_nothing(spoil, choice, error, message):
    model = Stack()
    adam = torch.optim.Adam(model.parameters())
    train(model, adam, 2)
    if spoil:
        spoil(model)
    before = snapshot(model, adam)
    with pytest.raises(error, match=message):
        truncate(model, adam, **choice)
    assert_same(before, snapshot(model, adam))


def test_failure_at_the_second_layer_leaves_the_first(monkeypatch):
    model = Stack()
    before = snapshot(model)

    def fail(name, old, new):
        if name == "layers.1":
            raise ReductionError("no room")

    monkeypatch.setattr("mor.adapters.torch.truncation.check_replacement", fail)
    with pytest.raises(MorError, match="no room"):
        truncate(model, order=4)
    assert_same(before, snapshot(model))


def test_models_without_layers():
    with pytest.raises(NotASystemError, match="no state-space layer"):
        truncate(torch.nn.Linear(2, 2), order=1)
    selective = torch.nn.Module()
    selective.A_log = torch.nn.Parameter(torch.ones(8, 4))
    selective.dt_proj = torch.nn.Linear(6, 8)
    with pytest.raises(NotLinearTimeInvariantError):
        truncate(selective, order=1)


# At chosen steps.


def changes(truncation, steps):
    return [step for step in range(1, steps + 1) if truncation.step()]


def test_truncation_at_chosen_steps():
    model = Stack()
    adam = torch.optim.Adam(model.parameters())
    truncation = InTrainingTruncation(model, adam, at=(2, 5), order=6)
    assert changes(truncation, 1) == []
    assert changes(truncation, 1) == [1]
    assert truncation.history == [(2, {"layers.0": 6, "layers.1": 6})]
    # At step 5 there is nothing left to remove.
    assert changes(truncation, 5) == []
    assert truncation.steps == 7
    assert len(truncation.history) == 1


def test_truncation_every_so_many_steps():
    model = Stack()
    adam = torch.optim.Adam(model.parameters())
    truncation = InTrainingTruncation(model, adam, every=3, energy=0.9)
    assert changes(truncation, 9) == [3, 6, 9]
    assert [step for step, _ in truncation.history] == [3, 6, 9]
    orders = [sum(orders.values()) for _, orders in truncation.history]
    assert orders == sorted(orders, reverse=True)


def test_a_share_to_keep_is_one_of_the_states_at_the_start():
    model = Stack()
    truncation = InTrainingTruncation(model, torch.optim.Adam(model.parameters()), every=3, keep=0.8)
    assert changes(truncation, 9) == [3]


def test_parameters_of_another_optimizer_are_not_lost():
    model = Stack()
    before = snapshot(model)
    rest = torch.optim.Adam([x for name, x in model.named_parameters() if "sys_in" not in name])
    with pytest.raises(ReductionError, match=r"layers\.0\.sys_in.* are in none of the optimizers"):
        truncate(model, rest, order=4)
    assert_same(before, snapshot(model))
    other = torch.optim.SGD([x for name, x in model.named_parameters() if "sys_in" in name])
    assert truncate(model, (rest, other), order=4)
    held = {id(p) for adam in (rest, other) for group in adam.param_groups for p in group["params"]}
    assert held == {id(x) for x in model.parameters()}


def test_lbfgs_is_refused():
    model = Stack()
    with pytest.raises(ReductionError, match="LBFGS"):
        truncate(model, torch.optim.LBFGS(model.parameters()), order=4)


def test_wrappers_for_data_parallelism_are_refused():
    class DistributedDataParallel(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

    with pytest.raises(ReductionError, match="DistributedDataParallel keeps hold"):
        truncate(DistributedDataParallel(Stack()), order=4)


def test_a_layer_never_gets_more_modes():
    layers = [StateSpaceLayer(3, 8, generator=seeded(seed)) for seed in range(10)]
    for layer in layers:
        truncate(layer, order=7)
        assert layer.sys_in.shape[0] <= 4


def test_truncation_within_training_is_truncation_between_steps():
    models = [Stack(), Stack()]
    adams = [torch.optim.Adam(m.parameters(), lr=1e-3) for m in models]
    truncation = InTrainingTruncation(models[0], adams[0], at=[3], energy=0.9)
    losses = []
    for _ in range(6):
        losses += train(models[0], adams[0], 1)
        truncation.step()
    again = train(models[1], adams[1], 3)
    reductions = truncate(models[1], adams[1], energy=0.9)
    again += train(models[1], adams[1], 3)
    assert losses == again
    assert truncation.history == [(3, {name: r.order for name, r in reductions.items()})]


def test_energy_that_allows_nothing_leaves_every_bit():
    models = [Stack(), Stack()]
    adams = [torch.optim.Adam(m.parameters(), lr=1e-3) for m in models]
    truncation = InTrainingTruncation(models[0], adams[0], every=1, energy=1.0)
    losses = []
    for _ in range(4):
        losses += train(models[0], adams[0], 1)
        assert truncation.step() == {}
    assert losses == train(models[1], adams[1], 4)
    assert truncation.history == []
    assert all(torch.equal(a, b) for a, b in zip(*(m.parameters() for m in models), strict=True))


def test_state_of_the_truncation():
    model = StateSpaceLayer(3, 12, generator=seeded())
    sgd = torch.optim.SGD(model.parameters(), lr=1e-3)
    truncation = InTrainingTruncation(model, sgd, at=(1, 4), energy=0.8)
    for _ in range(3):
        truncation.step()
    resumed = InTrainingTruncation(model, sgd, at=(1, 4), energy=0.8)
    resumed.load_state_dict(copy.deepcopy(truncation.state_dict()))
    assert (resumed.steps, resumed.history) == (3, truncation.history)
    assert list(resumed.step()) == [""]
    assert [step for step, _ in resumed.history] == [1, 4]


def test_state_of_the_truncation_is_its_own():
    model = StateSpaceLayer(3, 12, generator=seeded())
    sgd = torch.optim.SGD(model.parameters(), lr=1e-3)
    truncation = InTrainingTruncation(model, sgd, at=(1, 2), keep=0.5)
    truncation.step()
    resumed = InTrainingTruncation(model, sgd, at=(1, 2), keep=0.5)
    resumed.load_state_dict(truncation.state_dict())
    resumed.step()
    assert len(truncation.history) == 1


def test_errors_name_the_step():
    model = Stack()
    truncation = InTrainingTruncation(model, torch.optim.SGD(model.parameters(), lr=1.0), every=2, order=4)
    truncation.step()
    poison(model)
    with pytest.raises(NotFiniteError, match=r"step 2: layer layers\.1: .*sys_out"):
        truncation.step()


@pytest.mark.parametrize(
    "options",
    [
        {"order": 4},
        {"order": 4, "at": (), "every": None},
        {"order": 4, "at": (1,), "every": 2},
        {"order": 4, "every": 0},
        {"order": 4, "every": -1},
        {"at": (1,)},
        {"at": (1,), "order": 4, "keep": 0.5},
        {"at": (1,), "order": 0},
        {"at": (1,), "energy": 2.0},
        pytest.param({"at": (1,), "keep": 2.0}),
    ],
)
def test_choices_that_make_no_sense_are_refused_before_training(options):
    model = Stack()
    with pytest.raises(ReductionError):
        InTrainingTruncation(model, torch.optim.SGD(model.parameters(), lr=1.0), **options)


def test_models_without_layers_are_refused_before_training():
    model = torch.nn.Linear(2, 2)
    with pytest.raises(NotASystemError):
        InTrainingTruncation(model, torch.optim.SGD(model.parameters(), lr=1.0), every=1, order=4)


def test_a_network_in_training():
    """All at once: dropout, norms, the regulariser, two truncations, and the network that comes out."""
    torch.manual_seed(0)
    model = StateSpaceNetwork(1, 3, layers=2, channels=4, states=12, dropout=0.1, generator=seeded())
    adam = torch.optim.AdamW(model.parameters(), lr=1e-2)
    regularizer = HankelRegularizer(model, 1e-2, warm_up=5)
    truncation = InTrainingTruncation(model, adam, at=(5, 10), energy=0.95)
    u = inputs(12, 20, 1)
    labels = torch.arange(12) % 3
    losses = []
    for _ in range(20):
        adam.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(u), labels)
        (loss + regularizer()).backward()
        adam.step()
        truncation.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < np.mean(losses[:5])
    assert len(truncation.history) >= 1
    network = model.eval().network()
    orders = {name: system.n_modes for name, system in network.layers.items()}
    assert orders == {f"layers.{i}.ssm": block.ssm.sys_in.shape[0] for i, block in enumerate(model.layers)}
    with torch.no_grad():
        np.testing.assert_allclose(network(u.numpy()), model(u).numpy(), rtol=1e-3, atol=1e-4)
