"""The sum of Hankel singular values in a training loss: value and gradient for every dialect."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import mor
from mor.adapters.layers.dialects.base import Stored
from mor.adapters.layers.dialects.detect import get_dialect
from tests.oracles.checkpoint_layers import DIALECTS, impulse_response, under
from tests.torch.regularized import (
    assert_gradient,
    double,
    exact_sum,
    gradient_of,
    layer_with_radius,
    model_of,
    module_of,
    non_minimal,
)

torch = pytest.importorskip("torch")

from mor.adapters.torch import HankelRegularizer  # noqa: E402

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
    read = [get_dialect(dialect).read(Stored(layer)) for layer in layers]
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
