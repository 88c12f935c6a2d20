"""Hankel singular values in a training loss: value and gradient for every dialect, in torch and JAX."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mor
from mor.adapters.layers.dialects.base import Stored
from mor.adapters.layers.dialects.detect import get_dialect
from mor.errors import (
    DeviceError,
    NotASystemError,
    NotFiniteError,
    NotLinearTimeInvariantError,
    ReductionError,
    UnstableSystemError,
)
from mor.testing import block_systems, lti_systems, modal_systems
from tests.analysis.test_nuclear_norm import random_modal
from tests.oracles.checkpoint_layers import DIALECTS, impulse_response, prefixed, random_layer, under

torch = pytest.importorskip("torch")

from mor.adapters.torch import HankelRegularizer, StateSpaceLayer, StateSpaceNetwork, truncate  # noqa: E402

#: Tensors that make the poles, and those that make rows of B (columns of C in S4D, where B is one).
POLE_FIELDS = {
    "rotation": ["rotation.angles", "rotation.retentions"],
    "lru": ["nu_log", "theta_log", "gamma_log"],
    "lru-complex": ["nu_log", "theta_log", "gamma_log"],
    "s4d": ["kernel.log_A_real", "kernel.A_imag"],
    "s5-pytorch": ["Lambda", "log_step"],
}
ROW_FIELDS = {
    "rotation": ["sys_in"],
    "lru": ["B_re", "B_im"],
    "lru-complex": ["B"],
    "s4d": ["kernel.C"],
    "s5-pytorch": ["B"],
}


# Layers and models.


def layer_with_radius(dialect, radius, seed=0, *, n=4, h=3, dtype=np.float32):
    """A random layer whose poles have moduli from a third of `radius` up to it."""
    tensors = random_layer(dialect, seed, n=n, h=h, dtype=np.float64)
    moduli = np.linspace(radius / 3, radius, n)
    if dialect == "rotation":
        tensors["rotation.retentions"] = np.arctanh(2 * moduli - 1)
    elif dialect == "s5-pytorch":
        tensors["Lambda"] = np.log(moduli) / np.exp(tensors["log_step"]) + 1j * tensors["Lambda"].imag
    elif dialect == "s4d":
        tensors["kernel.log_A_real"] = np.log(-np.log(moduli) / np.exp(tensors["kernel.log_dt"])[:, None])
    else:
        tensors["nu_log"] = np.log(-np.log(moduli))
    return {
        name: x.astype(np.result_type(dtype, np.complex64) if np.iscomplexobj(x) else dtype)
        for name, x in tensors.items()
    }


def module_of(tensors):
    """A module whose parameters have these names."""
    root = torch.nn.Module()
    for name, x in tensors.items():
        owner, (*path, last) = root, name.split(".")
        for part in path:
            if not hasattr(owner, part):
                owner.add_module(part, torch.nn.Module())
            owner = getattr(owner, part)
        owner.register_parameter(last, torch.nn.Parameter(torch.from_numpy(np.array(x))))
    return root


def model_of(*layers, prefix="layers.{}."):
    return module_of(
        {k: x for i, layer in enumerate(layers) for k, x in prefixed(layer, prefix.format(i)).items()}
    )


def double(tensors):
    return {name: x.astype(complex if np.iscomplexobj(x) else float) for name, x in tensors.items()}


def sums(dialect, tensors):
    """Sums of Hankel singular values of layers stacked on a first axis, in double precision."""
    system = get_dialect(dialect).system(Stored(tensors))
    hsv = mor.hankel_singular_values(system)
    return np.sum(hsv.reshape(len(hsv), -1), axis=1)


def exact_sum(dialect, *layers):
    stacked = ({name: x[None] for name, x in double(layer).items()} for layer in layers)
    return float(sum(sums(dialect, layer)[0] for layer in stacked))


def basis(tensors):
    """One direction for each real number among the parameters that the sum depends on."""
    directions = []
    for name, x in tensors.items():
        if name in ("D", "sys_feed"):
            continue
        for index in np.ndindex(x.shape):
            for unit in (1, 1j) if np.iscomplexobj(x) else (1,):
                direction = np.zeros_like(x)
                direction[index] = unit
                directions.append({name: direction})
    return directions


#: Truncation of a central difference is (step times the nearness of a pole)^2, round-off 1e-15 / step.
STEP = 1e-6


def slopes(dialect, tensors, directions):
    """Central differences of the sum along each direction, in double precision."""
    wide = double(tensors)
    ends = []
    for sign in (1, -1):
        moved = {
            name: np.stack([x + sign * STEP * d.get(name, 0 * x) for d in directions])
            for name, x in wide.items()
        }
        ends.append(sums(dialect, moved))
    return (ends[0] - ends[1]) / (2 * STEP)


def gradient_of(model, weight=1.0, **options):
    """Gradients by parameter name, as NumPy arrays in double precision."""
    model.zero_grad()
    HankelRegularizer(model, weight, **options)().backward()
    return {name: x.grad.numpy() for name, x in model.named_parameters() if x.grad is not None}


def along(gradient, directions):
    """``Re <gradient, direction>`` of each direction."""
    return np.array(
        [
            sum(np.sum(np.real(np.conj(gradient[name].astype(complex)) * d)) for name, d in direction.items())
            for direction in directions
        ]
    )


def assert_gradient(dialect, tensors, gradient, directions=None, tolerance=1e-4):
    """Norm-wise over all directions, by default one for each real number."""
    directions = basis(double(tensors)) if directions is None else directions
    expected = slopes(dialect, tensors, directions)
    error = np.linalg.norm(along(gradient, directions) - expected)
    assert error <= tolerance * np.linalg.norm(expected)


# The value.


@pytest.mark.parametrize("dialect", DIALECTS)
def test_value_is_the_nuclear_norm_of_the_hankel_matrix(dialect):
    """Of impulse responses that loops over time compute, with nothing of the library."""
    steps = 48  # 0.6^48 is 2e-11
    total, layers = 0.0, [layer_with_radius(dialect, 0.6, seed, h=2) for seed in (0, 1)]
    for layer in layers:
        h = impulse_response(dialect, layer, 2 * steps)
        feed = double(layer)["sys_feed" if dialect == "rotation" else "D"]
        h[0] -= feed if feed.ndim == 2 else np.diag(feed)
        hankel = np.block([[h[i + j] for j in range(steps)] for i in range(steps)])
        total += np.sum(np.linalg.svd(hankel, compute_uv=False))
    # The result has single precision.
    assert float(HankelRegularizer(model_of(*layers), 1.0).sum().detach()) == pytest.approx(total, rel=1e-6)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("radius", [0.9, 0.9999])
def test_value_is_the_sum_over_all_layers(dialect, radius):
    layers = [layer_with_radius(dialect, radius, seed, n=n) for seed, n in ((0, 4), (1, 4), (2, 6))]
    found = HankelRegularizer(model_of(*layers), 1.0).sum()
    assert found.shape == ()
    assert float(found.detach()) == pytest.approx(exact_sum(dialect, *layers), rel=1e-6)
    read = [get_dialect(dialect).read(layer, "") for layer in layers]
    hsv = [np.sum(mor.hankel_singular_values(system)) for system in read]
    assert float(found.detach()) == pytest.approx(float(np.sum(hsv)), rel=1e-6)


# The gradient.


@pytest.mark.parametrize("radius", [0.9, 0.99, 0.9999])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_float32_gradient_of_the_raw_parameters(dialect, radius):
    tensors = layer_with_radius(dialect, radius, 3)
    gradient = gradient_of(module_of(tensors))
    assert set(gradient) == set(tensors) - {"D", "sys_feed"}
    assert_gradient(dialect, tensors, gradient)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_float32_gradient_along_random_directions_of_a_larger_layer(dialect):
    tensors = layer_with_radius(dialect, 0.999, 4, n=12, h=8)
    gradient = gradient_of(module_of(tensors))
    rng, wide = np.random.default_rng(0), double(tensors)
    directions = []
    for _ in range(10):
        parts = {name: rng.standard_normal(x.shape) for name, x in wide.items() if name in gradient}
        directions.append(
            {name: d + 1j * d[::-1] if np.iscomplexobj(wide[name]) else d for name, d in parts.items()}
        )
    assert_gradient(dialect, tensors, gradient, directions)


def non_minimal(dialect, kind, radius):
    """A layer with a row of zeros or two equal rows at equal poles, and directions that keep it so."""
    tensors = layer_with_radius(dialect, radius, 5)
    axis = 1 if dialect == "s4d" else 0
    tied = list(ROW_FIELDS[dialect])
    if kind == "twins":
        # S4D has rows of ones, so that equal poles suffice.
        tied = POLE_FIELDS[dialect] + ([] if dialect == "s4d" else tied)
    first, second = ((slice(None),) * axis + (i,) for i in (0, 1))
    for name in tied:
        tensors[name][second] = tensors[name][first] if kind == "twins" else 0
    directions = []
    for direction in basis(double(tensors)):
        ((name, d),) = direction.items()
        if name in tied and np.any(d[second]):
            continue
        if name in tied and kind == "twins":
            d[second] = d[first]
        directions.append({name: d})
    return tensors, directions


@pytest.mark.parametrize("radius", [0.9, 0.9999])
@pytest.mark.parametrize("kind", ["zero row", "twins"])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_float32_gradient_along_the_manifold_of_non_minimal_layers(dialect, kind, radius):
    """Where a Hankel singular value is zero the sum has a kink, but not along what keeps it there."""
    tensors, directions = non_minimal(dialect, kind, radius)
    gradient = gradient_of(module_of(tensors))
    assert all(np.all(np.isfinite(g)) for g in gradient.values())
    assert_gradient(dialect, tensors, gradient, directions)


@pytest.mark.parametrize("kind", ["zero row", "twins"])
def test_gradient_at_a_kink_is_a_subgradient(kind):
    """For fixed poles the sum is a norm of what is linear in sys_in and in sys_out: convex in each."""
    tensors, _ = non_minimal("rotation", kind, 0.9)
    gradient = gradient_of(module_of(tensors))
    rng, here = np.random.default_rng(0), exact_sum("rotation", tensors)
    for name in ("sys_in", "sys_out"):
        g, gaps = gradient[name].astype(float), []
        for size in np.geomspace(1e-4, 1, 20):
            d = size * rng.standard_normal(g.shape)
            there = exact_sum("rotation", double(tensors) | {name: double(tensors)[name] + d})
            gaps.append(there - here - np.sum(g * d))
            # The gradient is held in single precision.
            assert gaps[-1] >= -1e-6 * np.linalg.norm(g) * np.linalg.norm(d)
        assert max(gaps) > 0


def trained_tensors(model, dialect, prefix):
    fields = [field.name for field in get_dialect(dialect).fields]
    named = dict(model.named_parameters())
    return {name: named[prefix + name].detach().numpy() for name in fields}


def test_real_s5_pytorch():
    """Conjugate pairs stand there as two modes, so no such layer is minimal."""
    s5 = pytest.importorskip("s5")
    torch.manual_seed(0)
    model = torch.nn.Sequential(*(s5.S5Block(3, 6, bidir=False) for _ in range(2)))
    gradient = gradient_of(model)
    layers = [trained_tensors(model, "s5-pytorch", f"{i}.s5.seq.") for i in range(2)]
    found = float(HankelRegularizer(model, 1.0).sum().detach())
    assert found == pytest.approx(exact_sum("s5-pytorch", *layers), rel=1e-6)
    for i, layer in enumerate(layers):
        assert_gradient("s5-pytorch", layer, under(gradient, f"{i}.s5.seq."))


def test_real_lru_pytorch():
    lru = pytest.importorskip("LRU_pytorch.LRU")
    torch.manual_seed(0)
    model = torch.nn.ModuleDict({"a": lru.LRU(3, 2, 5, rmin=0.3, rmax=0.95), "b": lru.LRU(2, 2, 4, rmin=0.3)})
    gradient = gradient_of(model)
    for name in "ab":
        assert_gradient(
            "lru-complex", trained_tensors(model, "lru-complex", f"{name}."), under(gradient, f"{name}.")
        )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("dialect", ["rotation", "lru", "s4d"])
def test_half_precision_costs_one_rounding(dialect, dtype):
    model = module_of(layer_with_radius(dialect, 0.9)).to(dtype)
    twin = copy.deepcopy(model).double()
    assert HankelRegularizer(model, 1.0).sum().item() == pytest.approx(
        HankelRegularizer(twin, 1.0).sum().item(), rel=1e-6
    )
    gradients = []
    for m in (model, twin):
        HankelRegularizer(m, 1.0)().backward()
        gradients.append({name: x.grad for name, x in m.named_parameters() if x.grad is not None})
    for name, g in gradients[0].items():
        assert g.dtype == dtype
        torch.testing.assert_close(
            g, gradients[1][name].to(dtype), rtol=2 * torch.finfo(dtype).eps, atol=1e-6
        )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_precisions_may_be_mixed_in_a_layer(dialect):
    tensors = layer_with_radius(dialect, 0.9)
    mixed = module_of(tensors)
    kinds = [torch.float16, torch.float64, torch.float32, torch.bfloat16]
    real = [x for x in mixed.parameters() if not x.is_complex()]
    for i, x in enumerate(real):
        x.data = x.data.to(kinds[i % 4])
    exact = {
        name: x.detach().to(torch.complex128 if x.is_complex() else torch.float64)
        for name, x in mixed.named_parameters()
    }
    gradient = {}
    HankelRegularizer(mixed, 1.0)().backward()
    for name, x in mixed.named_parameters():
        if x.grad is not None:
            assert x.grad.dtype == x.dtype
            gradient[name] = x.grad.to(torch.complex64 if x.is_complex() else torch.float32).numpy()
    # bfloat16 has a spacing of 2^-7.
    assert_gradient(dialect, {name: x.numpy() for name, x in exact.items()}, gradient, tolerance=2.0**-7)


# One batch.


@pytest.fixture
def calls(monkeypatch):
    """Batch shapes with which the sum is computed."""
    seen = []

    def counted(system, **options):
        seen.append(system.batch_shape)
        return mor.hankel_nuclear_norm(system, **options)

    monkeypatch.setattr("mor.adapters.layers.live.hankel_nuclear_norm", counted)
    return seen


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


@pytest.fixture
def layer():
    return StateSpaceLayer(3, 12, generator=torch.Generator().manual_seed(0))


def hsv_of(layer):
    return mor.hankel_singular_values(layer.system()).detach().numpy()


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
    hsv = [mor.hankel_singular_values(get_dialect("rotation").read(x, "")) for x in layers]
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


# What counts as a layer.


class Custom(torch.nn.Module):
    """A module of its own kind that knows its system."""

    def __init__(self, radius=0.9, trainable=True):
        super().__init__()
        self.pole = torch.nn.Parameter(torch.tensor([radius, 0.3j]), requires_grad=trainable)
        self.gain = torch.nn.Parameter(torch.tensor([[1.0], [2.0j]]), requires_grad=trainable)

    def system(self):
        return mor.Modal(self.pole, self.gain, torch.ones(1, 2, dtype=torch.complex64), dt=1.0)


@pytest.mark.parametrize("trainable", [True, False])
def test_modules_that_know_their_system_count(layer, trainable):
    custom = Custom(trainable=trainable)
    parts = [float(torch.sum(mor.hankel_singular_values(m.system()).detach())) for m in (custom, layer)]
    assert float(HankelRegularizer(custom, 1.0).sum().detach()) == pytest.approx(parts[0], rel=1e-6)
    model = torch.nn.ModuleDict({"a": custom, "b": layer})
    term = HankelRegularizer(model, 1.0)()
    assert float(term.detach()) == pytest.approx(sum(parts), rel=1e-6)
    term.backward()
    assert (custom.pole.grad is not None) == trainable
    assert layer.sys_in.grad is not None


def test_a_batch_of_systems_in_one_module_counts_whole():
    class Channels(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.pole = torch.nn.Parameter(torch.tensor([[0.5], [0.25]]))

        def system(self):
            return mor.Modal(self.pole, torch.ones(2, 1, 1), torch.ones(2, 1, 1), dt=1.0)

    # One state with gains of one: 1/(1 - pole^2).
    found = HankelRegularizer(Channels(), 1.0).sum()
    assert float(found.detach()) == pytest.approx(1 / 0.75 + 1 / 0.9375, rel=1e-6)


class Constant(torch.nn.Module):
    """A fixed system of NumPy arrays."""

    def system(self):
        return mor.LTI([[-1.0]], [[2.0]], [[3.0]])


def test_a_constant_of_numpy_counts(layer):
    model = torch.nn.ModuleList([layer, Constant()])
    found = HankelRegularizer(model, 1.0).sum()
    assert float(found.detach()) == pytest.approx(float(np.sum(hsv_of(layer))) + 3, rel=1e-6)


class Delegating(torch.nn.Module):
    """What torch.compile and hand-written wrappers do: another module's system is theirs."""

    def __init__(self, layer):
        super().__init__()
        self.inner = layer

    def system(self):
        return self.inner.system()


@pytest.mark.parametrize("make", [lambda: StateSpaceLayer(2, 8), Custom])
def test_a_wrapped_layer_counts_once(make):
    layer = make()
    alone, wrapped = (float(HankelRegularizer(m, 1.0).sum().detach()) for m in (layer, Delegating(layer)))
    assert wrapped == pytest.approx(alone, rel=1e-6)


@pytest.mark.parametrize("wrap", [torch.nn.DataParallel, lambda m: torch.nn.ModuleDict({"module": m})])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_training_wrappers_change_nothing(dialect, wrap):
    model = model_of(*(layer_with_radius(dialect, 0.9, seed) for seed in (0, 1)))
    assert torch.equal(HankelRegularizer(wrap(model), 1.0).sum(), HankelRegularizer(model, 1.0).sum())


def test_a_module_used_twice_counts_once(layer):
    model = torch.nn.Sequential(layer, layer)
    assert torch.equal(HankelRegularizer(model, 1.0).sum(), HankelRegularizer(layer, 1.0).sum())


def test_layers_that_share_a_parameter_count_both():
    model = model_of(*(layer_with_radius("lru", 0.9, seed) for seed in (0, 1)))
    one, two = model.layers.children()
    two.D = one.D
    parts = (float(HankelRegularizer(m, 1.0).sum().detach()) for m in (one, two))
    assert float(HankelRegularizer(model, 1.0).sum().detach()) == pytest.approx(sum(parts), rel=1e-6)


def test_the_dialect_can_be_named():
    layers = {"lru": layer_with_radius("lru", 0.9), "rotation": layer_with_radius("rotation", 0.9)}
    model = module_of({k: x for d, layer in layers.items() for k, x in prefixed(layer, d + ".").items()})
    with pytest.raises(NotASystemError, match="more than one dialect fits"):
        HankelRegularizer(model, 1.0)
    for dialect, tensors in layers.items():
        found = HankelRegularizer(model, 1.0, dialect=dialect).sum()
        assert float(found.detach()) == pytest.approx(exact_sum(dialect, tensors), rel=1e-6)


@pytest.mark.parametrize("dialect", ["lru", "rotatoin"])
def test_a_dialect_that_is_not_there_is_refused_beside_modules_that_know_their_system(layer, dialect):
    with pytest.raises(NotASystemError, match=dialect):
        HankelRegularizer(layer, 1.0, dialect=dialect)


@pytest.mark.parametrize("bad", ["another dialect", "a wrong shape"])
def test_layers_beside_modules_that_know_their_system_are_not_skipped(layer, bad):
    tensors = layer_with_radius("lru" if bad == "another dialect" else "rotation", 0.9)
    if bad == "a wrong shape":
        tensors["sys_feed"] = np.zeros(7, np.float32)
    with pytest.raises(NotASystemError):
        HankelRegularizer(torch.nn.ModuleDict({"a": layer, "b": module_of(tensors)}), 1.0)


# Bad models.


@pytest.mark.parametrize("model", [torch.nn.Module(), torch.nn.Linear(3, 4), torch.nn.ModuleList()])
def test_models_without_layers(model):
    with pytest.raises(NotASystemError, match="no state-space layer"):
        HankelRegularizer(model, 1.0)


@pytest.mark.parametrize(
    "shapes",
    [
        {"layers.0.A_log": (8, 4), "layers.0.x_proj.weight": (6, 8), "layers.0.D": (8,)},
        {"layers.0.mixer.A_log": (8,), "layers.0.mixer.dt_bias": (8,)},
        {"rg_lru.a_param": (8,), "rg_lru.a_gate.w": (8, 8)},
    ],
)
def test_selective_layers_are_refused(shapes):
    model = module_of({name: np.zeros(shape, np.float32) for name, shape in shapes.items()})
    with pytest.raises(NotLinearTimeInvariantError, match="selective"):
        HankelRegularizer(model, 1.0)


def test_a_layer_with_a_wrong_shape_is_not_skipped():
    tensors = layer_with_radius("lru", 0.9)
    tensors["D"] = np.zeros(7, np.float32)
    with pytest.raises(NotASystemError, match=r"D has shape \(7,\)"):
        HankelRegularizer(module_of(tensors), 1.0)


@pytest.mark.parametrize(
    "options", [{"weight": -1e-9}, {"weight": np.nan}, {"warm_up": -1}, {"order": -1}, {"order": 2.5}]
)
def test_negative_numbers(layer, options):
    ((name, _),) = options.items()
    with pytest.raises(ReductionError, match=f"{name}=.* is not a (finite|whole) number >= 0"):
        HankelRegularizer(layer, **({"weight": 1.0} | options))


def assert_helps_in_training(caught, parameters):
    """The message names what to change, and no remedy of an analysis."""
    assert f"set by {parameters}:" in str(caught.value)
    for remedy in ("learning rate", "clipped gradients", "smaller weight"):
        assert remedy in str(caught.value)
    for other in ("dt=0", "horizon="):
        assert other not in str(caught.value)


def test_an_unstable_module_is_named_with_the_step(layer):
    custom = Custom()
    regularizer = HankelRegularizer(torch.nn.ModuleDict({"good": layer, "bad": custom}), 1.0)
    regularizer()
    with torch.no_grad():
        custom.pole[0] = 1.5
    with pytest.raises(UnstableSystemError, match=r"step 2: layer bad: pole 0 is 1\.5") as caught:
        regularizer()
    assert_helps_in_training(caught, "bad.pole, bad.gain")


def test_an_unstable_layer_of_a_dialect_is_named_with_the_step():
    layers = [layer_with_radius("s5-pytorch", 0.9, seed) for seed in range(3)]
    layers[1]["Lambda"][2] = 0.5 + 1j
    with pytest.raises(UnstableSystemError, match=r"step 1: layer layers\.1: pole 2 is .* modulus") as caught:
        HankelRegularizer(model_of(*layers), 1.0)()
    assert_helps_in_training(caught, "layers.1.Lambda, layers.1.log_step")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_decay_is_all_that_moves_the_moduli_of_poles(dialect):
    known, tensors = get_dialect(dialect), layer_with_radius(dialect, 0.9)
    moduli = abs(known.read(tensors, "").poles)
    for field in known.fields:
        # In any direction: of complex numbers both parts.
        shift = 0.1 * (1 + 1j) if field.is_complex else 0.1
        moved = tensors | {field.name: (tensors[field.name] + shift).astype(tensors[field.name].dtype)}
        changed = not np.allclose(abs(known.read(moved, "").poles), moduli, rtol=1e-5)
        assert changed == (field.name in known.decay)
    assert tensors[known.decay[0]].shape[-1] == moduli.shape[-1]


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_parameter_that_is_not_finite_is_named_with_step_and_layer(dialect, bad):
    fields = [field.name for field in get_dialect(dialect).fields]
    # Some infinite parameters of poles make finite systems: of an angle pi, of a pole at zero.
    for name in fields if np.isnan(bad) else ROW_FIELDS[dialect]:
        layers = [layer_with_radius(dialect, 0.9, seed) for seed in range(3)]
        regularizer = HankelRegularizer(model := model_of(*layers), 1.0)
        regularizer()
        with torch.no_grad():
            dict(model.named_parameters())[f"layers.2.{name}"].flatten()[:1].fill_(bad)
        with pytest.raises(NotFiniteError, match=rf"step 2: layers\.2\.{name} has 1 of \d+ entries"):
            regularizer()


def test_a_layer_on_two_devices_is_refused(layer):
    layer.sys_out = torch.nn.Parameter(layer.sys_out.detach().to("meta"))
    model = torch.nn.ModuleDict({"a": layer})
    with pytest.raises(DeviceError, match=r"layer a .*sys_in on cpu.*sys_out on meta"):
        HankelRegularizer(model, 1.0)()


# Values beyond an order.


@given(modal_systems(margin=1e-2), st.integers(0, 20))
def test_beyond_is_the_tail_of_the_values(sys, beyond):
    hsv = mor.hankel_singular_values(sys)
    found = mor.hankel_nuclear_norm(sys, beyond=beyond)
    # Values below round-off of the largest are noise, in number as many as states.
    np.testing.assert_allclose(found, np.sum(hsv[beyond:]), rtol=1e-9, atol=1e-12 * hsv[0])


@given(st.one_of(block_systems(), lti_systems()), st.integers(0, 9))
def test_beyond_of_real_systems(sys, beyond):
    hsv = mor.hankel_singular_values(sys)
    found = mor.hankel_nuclear_norm(sys, beyond=beyond)
    np.testing.assert_allclose(found, np.sum(hsv[beyond:]), rtol=1e-8, atol=1e-9 * hsv[0])


def torch_copy(sys):
    fields = (torch.tensor(getattr(sys, f), requires_grad=True) for f in ("poles", "B", "C"))
    return mor.Modal(*fields, dt=sys.dt)


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("shape", [(5, 5, 5), (5, 2, 2), (5, 1, 1)])
@pytest.mark.parametrize("beyond", [1, 2, 5, 9])
def test_gradient_beyond_an_order_against_finite_differences(shape, beyond, dt):
    sys = random_modal(11, *shape, radius=0.9)
    if not dt:
        sys = mor.Modal(np.log(sys.poles), sys.B, sys.C, dt=0.0)
    hsv = mor.hankel_singular_values(sys)
    assert hsv[beyond - 1] > 1.01 * hsv[beyond]  # there the sum is smooth
    tensors = torch_copy(sys)
    mor.hankel_nuclear_norm(tensors, beyond=beyond).backward()
    rng = np.random.default_rng(0)
    for field in ("poles", "B", "C"):
        x, g = getattr(sys, field), getattr(tensors, field).grad.numpy()
        d = rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape)
        ends = [
            np.sum(mor.hankel_singular_values(dataclasses.replace(sys, **{field: x + s * 1e-6 * d}))[beyond:])
            for s in (1, -1)
        ]
        # Round-off of the values, 1e-15 of the largest, over the step; and the curvature at small ones.
        allowed = 1e-4 * np.linalg.norm(g) * np.linalg.norm(d) + 1e-8 * hsv[0]
        assert abs(np.sum(np.real(np.conj(g) * d)) - (ends[0] - ends[1]) / 2e-6) <= allowed


@pytest.mark.parametrize("beyond", [10, 11, 1000])
@pytest.mark.parametrize("shape", [(5, 5, 5), (5, 1, 1)])
def test_beyond_all_states_there_is_nothing(shape, beyond):
    tensors = torch_copy(random_modal(0, *shape))
    total = mor.hankel_nuclear_norm(tensors, beyond=beyond)
    assert float(total.detach()) == 0
    total.backward()
    assert not any(getattr(tensors, f).grad.any() for f in ("poles", "B", "C"))


@pytest.mark.parametrize("beyond", [0, 3, 8, 20])
def test_beyond_counts_in_each_system_of_a_batch(beyond):
    systems = [random_modal(i, 4, 2, 2) for i in range(6)]
    batch = mor.Modal(
        *(
            np.stack([getattr(s, f) for s in systems]).reshape(2, 3, *getattr(systems[0], f).shape)
            for f in ("poles", "B", "C")
        ),
        dt=1.0,
    )
    expected = np.reshape([mor.hankel_nuclear_norm(s, beyond=beyond) for s in systems], (2, 3))
    np.testing.assert_allclose(mor.hankel_nuclear_norm(batch, beyond=beyond), expected, rtol=1e-9, atol=1e-12)
    there = torch_copy(batch)
    totals = mor.hankel_nuclear_norm(there, beyond=beyond)
    np.testing.assert_allclose(totals.detach().numpy(), expected, rtol=1e-9, atol=1e-12)
    totals.sum().backward()
    for i, s in enumerate(systems):
        alone = torch_copy(s)
        mor.hankel_nuclear_norm(alone, beyond=beyond).backward()
        for field in ("poles", "B", "C"):
            mine, theirs = getattr(there, field).grad[divmod(i, 3)], getattr(alone, field).grad
            torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("beyond", [-1, 1.5, "2", None, np.nan])
def test_numbers_of_values_that_make_no_sense(beyond):
    with pytest.raises(mor.MorError, match=r"beyond=.* is not a whole number"):
        mor.hankel_nuclear_norm(random_modal(0, 2, 1, 1), beyond=beyond)


# JAX.

jax = pytest.importorskip("jax")
jnp = jax.numpy

from mor.adapters.jax import hankel_regularizer  # noqa: E402


def nested(tensors, array=jnp.asarray):
    """The tensors as nested dictionaries."""
    tree = {}
    for name, x in tensors.items():
        *path, last = name.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = array(x)
    return tree


def flat(tree):
    """Its leaves by name, on NumPy."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {".".join(str(entry.key) for entry in path): np.asarray(x) for path, x in leaves}


@pytest.fixture
def quick():
    """Compiling costs more than running here."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def x64(quick):
    with jax.enable_x64(True):
        yield


def assert_agrees(tensors, value, gradient, **options):
    """With torch, for a tree of one layer. JAX returns conjugates of torch's gradients."""
    model = module_of(tensors)
    expected = gradient_of(model, **options)
    # Both frameworks end in the precision of the parameters.
    assert float(value) == pytest.approx(HankelRegularizer(model, 1.0, **options).sum().item(), rel=1e-6)
    found = flat(gradient)
    for name, g in expected.items():
        assert found[name].dtype == tensors[name].dtype
        assert np.linalg.norm(np.conj(found[name]) - g) <= 1e-5 * np.linalg.norm(g), name


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("dialect", DIALECTS)
def test_jax_agrees_with_torch(dialect):
    tensors = layer_with_radius(dialect, 0.99, 3)
    run = jax.jit(jax.value_and_grad(lambda p: hankel_regularizer(p, order=1)))
    value, gradient = run({"blocks": [nested(tensors)]})
    assert_agrees(tensors, value, gradient["blocks"][0], order=1)


def rotation_tree(seed, n=4):
    return nested(layer_with_radius("rotation", 0.9, seed, n=n, dtype=np.float64))


@pytest.fixture
def cheap(monkeypatch):
    """Another number of every system in place of the sum, where it matters only which are found."""

    def size(system, beyond):
        return jnp.sum(abs(system.poles) ** 2, -1) + jnp.sum(abs(system.B) ** 2, (-2, -1))

    monkeypatch.setattr("mor.adapters.layers.live.hankel_nuclear_norm", size)


@pytest.mark.usefixtures("x64")
class TestJax:
    def test_equal_layers_are_one_batch(self, calls):
        trees = [rotation_tree(i, n) for i, n in enumerate([4, 3, 4, 4])]
        jax.make_jaxpr(hankel_regularizer)({"encoder": jnp.ones((2, 2)), "layers": trees})
        assert sorted(calls) == [(1,), (3,)]

    def test_vmap_over_sets_of_parameters(self):
        sets = [layer_with_radius("rotation", 0.9, seed) for seed in range(3)]
        stacked = {name: np.stack([x[name] for x in sets]) for name in sets[0]}
        run = jax.jit(jax.vmap(jax.value_and_grad(hankel_regularizer)))
        values, gradients = run({"layer": nested(stacked)})
        for i, tensors in enumerate(sets):
            assert_agrees(tensors, values[i], jax.tree.map(lambda x, i=i: x[i], gradients["layer"]))

    def test_any_pytree_of_layers(self, cheap):
        tree = rotation_tree(0)
        expected = float(hankel_regularizer(tree))
        assert expected > 0
        Holder = jax.tree_util.register_dataclass(dataclasses.make_dataclass("Holder", ["encoder", "layers"]))
        Ssm = jax.tree_util.register_dataclass(
            dataclasses.make_dataclass("Ssm", ["rotation", "sys_in", "sys_out", "sys_feed"])
        )
        for wrapped in (
            {"params": {"layers_0": tree}},
            [tree],
            (None, [tree]),
            {0: tree},
            Holder(jnp.ones(3), [tree]),
            Ssm(**tree),
        ):
            assert float(hankel_regularizer(wrapped)) == expected
        gradient = jax.eval_shape(jax.grad(hankel_regularizer), Holder(jnp.ones(3), [Ssm(**tree)]))
        assert type(gradient) is Holder
        assert gradient.layers[0].sys_in.shape == (4, 2, 3)

    def test_leaves_that_are_no_arrays_are_ignored(self, cheap):
        tree = rotation_tree(0)
        expected = float(hankel_regularizer(tree))
        beside = {"steps": 3, "rate": 1e-3, "name": "x", "flag": True, "function": len, "none": None}
        assert float(hankel_regularizer({"layer": tree, **beside})) == expected
        arrays = {"count": jnp.asarray(2), "mask": jnp.ones(3, bool), "scalar": np.float32(2.0)}
        assert float(hankel_regularizer({"layer": tree, **arrays})) == expected

    def test_typed_random_keys_are_ignored(self, cheap):
        tree = rotation_tree(0)
        assert hankel_regularizer({"layer": tree, "rng": jax.random.key(0)}) == hankel_regularizer(tree)

    def test_a_layer_may_hold_arrays_of_numpy(self, cheap):
        tree = rotation_tree(0)
        expected = float(hankel_regularizer(tree))
        tree["sys_in"] = np.asarray(tree["sys_in"])
        assert float(hankel_regularizer(tree)) == pytest.approx(expected, rel=1e-12)

    def test_arrays_of_numpy_alone(self):
        tensors = layer_with_radius("rotation", 0.9)
        found = hankel_regularizer(nested(tensors, np.asarray))
        assert float(found) == pytest.approx(exact_sum("rotation", tensors), rel=1e-12)

    def test_half_precision(self):
        low = nested(layer_with_radius("rotation", 0.9), lambda x: jnp.asarray(x, dtype="bfloat16"))
        value, gradient = jax.jit(jax.value_and_grad(hankel_regularizer))(low)
        exact = {name: x.astype(float) for name, x in flat(low).items()}
        assert float(value) == pytest.approx(exact_sum("rotation", exact), rel=1e-12)
        assert {x.dtype for x in jax.tree.leaves(gradient)} == {jnp.dtype("bfloat16")}
        wide = {name: x.astype(float) for name, x in flat(gradient).items()}
        # Every number of the gradient is rounded to 8 bits.
        assert_gradient("rotation", exact, wide, tolerance=2.0**-8)

    @pytest.mark.parametrize("tree", [{}, [], None, {"w": 1.0}, {"w": jnp.ones((2, 3))}])
    def test_no_layer(self, tree):
        with pytest.raises(NotASystemError, match="no state-space layer"):
            hankel_regularizer(tree)

    def test_selective_layers(self):
        tree = {"layers": [{"A_log": jnp.ones((8, 4)), "x_proj": {"weight": jnp.ones((6, 8))}}]}
        with pytest.raises(NotLinearTimeInvariantError, match=r"layers\.0"):
            hankel_regularizer(tree)

    def test_two_dialects_need_a_word(self):
        tree = {"a": rotation_tree(0), "b": nested(layer_with_radius("lru", 0.9))}
        with pytest.raises(NotASystemError, match="more than one dialect"):
            hankel_regularizer(tree)
        found = jax.make_jaxpr(lambda p: hankel_regularizer(p, dialect="lru"))(tree)
        assert found.out_avals[0].shape == ()

    def test_one_array_in_two_places_counts_twice(self, cheap):
        layer = rotation_tree(0)
        tree, once = {"layers": [layer, layer]}, hankel_regularizer(layer)
        values = (
            hankel_regularizer(tree),
            jax.jit(hankel_regularizer)(tree),
            jax.value_and_grad(hankel_regularizer)(tree)[0],
        )
        np.testing.assert_allclose(values, 2 * once, rtol=1e-12)

    def test_what_is_wrong_is_named(self):
        bad = rotation_tree(1)
        bad["sys_out"] = bad["sys_out"].at[0, 0, 0].set(jnp.nan)
        with pytest.raises(NotFiniteError, match=r"layers\.1\.sys_out has 1 of 24 entries"):
            hankel_regularizer({"layers": [rotation_tree(0), bad]})
        unstable = nested(layer_with_radius("lru", 0.9))
        # A modulus of exp(-exp(-60)) and an angle of exp(-200): 1 in double precision.
        for name, value in (("nu_log", -60.0), ("theta_log", -200.0)):
            unstable[name] = unstable[name].at[1].set(value)
        with pytest.raises(UnstableSystemError, match=r"layer ssm: pole 1 is .* modulus"):
            hankel_regularizer({"ssm": unstable})
        with pytest.raises(ReductionError, match="order=-1"):
            hankel_regularizer(rotation_tree(0), order=-1)


@pytest.mark.usefixtures("quick")
def test_jax_in_single_precision():
    """Without jax_enable_x64 some four digits are left; no warning says otherwise."""
    tensors = layer_with_radius("rotation", 0.9)
    value, gradient = jax.jit(jax.value_and_grad(hankel_regularizer))(nested(tensors))
    assert value.dtype == jnp.float32
    assert float(value) == pytest.approx(exact_sum("rotation", tensors), rel=1e-4)
    assert_gradient("rotation", tensors, flat(gradient), tolerance=1e-2)


@pytest.mark.filterwarnings("error")
def test_jax_names_what_is_not_finite_without_a_warning():
    tree = nested(layer_with_radius("rotation", 0.9))
    tree["sys_in"] = tree["sys_in"].at[0].set(jnp.nan)
    with pytest.raises(NotFiniteError, match="sys_in has 6 of 24"):
        hankel_regularizer(tree)


@pytest.mark.usefixtures("x64")
def test_jax_beyond_an_order():
    sys = random_modal(11, 5, 5, 5, radius=0.9)
    tensors = torch_copy(sys)
    expected = mor.hankel_nuclear_norm(tensors, beyond=3)
    expected.backward()
    run = jax.jit(jax.value_and_grad(lambda p: mor.hankel_nuclear_norm(mor.Modal(*p, dt=1.0), beyond=3)))
    value, gradient = run([jnp.asarray(x) for x in (sys.poles, sys.B, sys.C)])
    assert float(value) == pytest.approx(expected.item(), rel=1e-10)
    for g, field in zip(gradient, ("poles", "B", "C"), strict=True):
        wanted = getattr(tensors, field).grad.numpy()
        np.testing.assert_allclose(np.conj(g), wanted, rtol=0, atol=1e-7 * np.max(np.abs(wanted)))
