"""The regulariser in training: batches of layers, weight, warm-up, order, and what is frozen."""

from __future__ import annotations

import numpy as np
import pytest

import mor
from mor.adapters.layers.dialects.base import Stored
from mor.adapters.layers.dialects.detect import get_dialect
from mor.errors import ReductionError
from tests.oracles.checkpoint_layers import DIALECTS, under
from tests.torch.regularized import (
    Custom,
    assert_gradient,
    exact_sum,
    gradient_of,
    hsv_of,
    layer_with_radius,
    model_of,
    module_of,
    non_minimal,
)

torch = pytest.importorskip("torch")

from mor.adapters.torch import HankelRegularizer, StateSpaceNetwork, truncate  # noqa: E402

# One batch.


@pytest.mark.parametrize("dialect", DIALECTS)
def test_layers_of_equal_sizes_are_one_batch(dialect, calls):
    layers = [layer_with_radius(dialect, 0.9, seed) for seed in range(5)]
    model = model_of(*layers)
    found = HankelRegularizer(model, 1.0).sum()
    assert len(calls) == 1
    assert calls[0][0] == 5
    # A batch and its parts decide together or alone how to be computed, to the same numbers.
    assert float(found.detach()) == pytest.approx(exact_sum(dialect, *layers), rel=1e-6)


def test_two_sizes_are_two_batches(calls):
    layers = [layer_with_radius("rotation", 0.9, i, n=n) for i, n in enumerate([4, 6, 4, 6, 4])]
    model = model_of(*layers)
    gradient = gradient_of(model)
    assert sorted(calls) == [(2,), (3,)]
    for i, layer in enumerate(layers):
        assert_gradient("rotation", layer, under(gradient, f"layers.{i}."))


def test_a_degenerate_layer_does_not_spoil_its_batch():
    good = layer_with_radius("rotation", 0.9, 0)
    bad, directions = non_minimal("rotation", "twins", 0.9)
    gradient = gradient_of(model_of(good, bad))
    assert_gradient("rotation", good, under(gradient, "layers.0."))
    assert_gradient("rotation", bad, under(gradient, "layers.1."), directions)


def test_a_network_of_layers_is_one_batch(calls):
    model = StateSpaceNetwork(1, 3, layers=4, channels=5, states=8)
    HankelRegularizer(model, 1.0)().backward()
    assert calls == [(4,)]
    for block in model.layers:
        assert float(block.ssm.sys_in.grad.abs().max()) > 0
    assert model.encoder.weight.grad is None


# Weight, warm-up, order.


def test_weight_multiplies_the_sum(layer):
    total = float(HankelRegularizer(layer, 1.0).sum().detach())
    for weight in (0.0, 1e-8, 3.0):
        assert float(HankelRegularizer(layer, weight)().detach()) == pytest.approx(weight * total, rel=1e-6)


def test_weight_grows_over_the_warm_up(layer):
    regularizer = HankelRegularizer(layer, 2.0, warm_up=4)
    total = float(regularizer.sum().detach())
    assert regularizer.steps == 0
    shares = [float(regularizer().detach()) / (2 * total) for _ in range(6)]
    np.testing.assert_allclose(shares, [0.25, 0.5, 0.75, 1, 1, 1], rtol=1e-6)


@pytest.mark.parametrize("order", [0, 1, 5, 11])
def test_order_leaves_half_the_bound_of_balanced_truncation(layer, order):
    found = float(HankelRegularizer(layer, 1.0, order=order).sum().detach())
    modal = mor.Modal(*(getattr(layer.system(), f).detach().numpy() for f in ("poles", "B", "C")), dt=1.0)
    assert found == pytest.approx(mor.balanced_truncation(modal, order).error_bound / 2, rel=1e-6)
    assert found == pytest.approx(np.sum(hsv_of(layer)[order:]), rel=1e-6)


def test_an_order_that_no_layer_exceeds_is_refused_at_the_start_only(layer):
    model = torch.nn.ModuleDict({"ssm": layer, "own": Custom()})
    for order in (12, 100):
        with pytest.raises(ReductionError, match=rf"order={order}, but .*\(ssm: 12, own: 4\)"):
            HankelRegularizer(model, 1.0, order=order)
    assert float(HankelRegularizer(model, 1.0, order=11).sum().detach()) > 0
    regularizer = HankelRegularizer(layer, 1.0, order=8)
    truncate(layer, order=8)
    found = regularizer()
    assert float(found.detach()) == 0
    found.backward()
    assert all(x.grad is None or not x.grad.any() for x in layer.parameters())


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_order_is_held_against_the_room_of_the_tensors(dialect):
    model = model_of(*(layer_with_radius(dialect, 0.9, seed, n=4) for seed in (0, 1)))
    HankelRegularizer(model, 1.0, order=7)
    with pytest.raises(ReductionError, match=r"layers\.0: 8, layers\.1: 8"):
        HankelRegularizer(model, 1.0, order=8)


def test_order_counts_in_each_layer():
    layers = [layer_with_radius("rotation", 0.9, seed, n=n) for seed, n in ((0, 4), (1, 4), (2, 6))]
    hsv = [mor.hankel_singular_values(get_dialect("rotation").read(Stored(x))) for x in layers]
    found = float(HankelRegularizer(model_of(*layers), 1.0, order=3).sum().detach())
    assert found == pytest.approx(sum(np.sum(x[3:]) for x in hsv), rel=1e-6)


def test_state_is_the_number_of_steps(layer):
    regularizer = HankelRegularizer(layer, 1.0, warm_up=10)
    for _ in range(3):
        regularizer()
    resumed = HankelRegularizer(layer, 1.0, warm_up=10)
    resumed.load_state_dict(regularizer.state_dict())
    assert resumed.steps == 3
    assert torch.equal(resumed(), regularizer())


def test_training_on_it_lowers_the_sum(layer):
    regularizer = HankelRegularizer(layer, 1e-2)
    adam = torch.optim.Adam(layer.parameters(), lr=1e-2)
    before = float(regularizer.sum().detach())
    values = []
    for _ in range(20):
        adam.zero_grad()
        loss = regularizer()
        loss.backward()
        adam.step()
        values.append(float(loss.detach()))
    assert values == sorted(values, reverse=True)
    assert float(regularizer.sum().detach()) < 0.8 * before


def test_without_gradients(layer):
    with torch.no_grad():
        found = HankelRegularizer(layer, 1.0)()
    assert not found.requires_grad
    for x in layer.parameters():
        x.requires_grad_(False)
    again = HankelRegularizer(layer, 1.0)()
    assert not again.requires_grad
    assert float(found) == float(again) == pytest.approx(float(np.sum(hsv_of(layer))), rel=1e-6)


def test_frozen_parameters_get_no_gradient(layer):
    layer.rotation.angles.requires_grad_(False)
    HankelRegularizer(layer, 1.0)().backward()
    assert layer.rotation.angles.grad is None
    assert float(layer.sys_out.grad.abs().max()) > 0


def test_a_layer_may_have_buffers():
    """Minimal S4D registers its poles as buffers where their learning rate is zero."""
    tensors = layer_with_radius("s4d", 0.9)
    model = module_of(tensors)
    pole = model.kernel.A_imag.detach()
    del model.kernel.A_imag
    model.kernel.register_buffer("A_imag", pole)
    HankelRegularizer(model, 1.0)().backward()
    expected = gradient_of(module_of(tensors))
    np.testing.assert_allclose(model.kernel.C.grad.numpy(), expected["kernel.C"], rtol=1e-6)


def test_double_precision_is_kept(layer):
    layer.double()
    found = HankelRegularizer(layer, 1.0).sum()
    assert float(found.detach()) == pytest.approx(float(np.sum(hsv_of(layer))), rel=1e-12)
