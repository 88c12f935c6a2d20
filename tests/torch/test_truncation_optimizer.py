"""After a truncation the optimizer, its schedule and training itself go on."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import mor
from mor.adapters.checkpoints import load_resized
from mor.errors import ReductionError
from tests.torch.live_layers import seeded
from tests.torch.training import Stack, assert_same, inputs, snapshot, systems, train

torch = pytest.importorskip("torch")

from mor.adapters.torch import HankelRegularizer, StateSpaceLayer, truncate  # noqa: E402


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
