"""Layers to regularise, the sum of their Hankel singular values and its slopes, in double precision."""

from __future__ import annotations

import numpy as np
import pytest

import mor
from mor.adapters.layers.dialects.base import Stored
from mor.adapters.layers.dialects.detect import get_dialect
from tests.oracles.checkpoint_layers import prefixed, random_layer

torch = pytest.importorskip("torch")

from mor.adapters.torch import HankelRegularizer  # noqa: E402

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


def hsv_of(layer):
    return mor.hankel_singular_values(layer.system()).detach().numpy()


class Custom(torch.nn.Module):
    """A module of its own kind that knows its system."""

    def __init__(self, radius=0.9, trainable=True):
        super().__init__()
        self.pole = torch.nn.Parameter(torch.tensor([radius, 0.3j]), requires_grad=trainable)
        self.gain = torch.nn.Parameter(torch.tensor([[1.0], [2.0j]]), requires_grad=trainable)

    def system(self):
        return mor.Modal(self.pole, self.gain, torch.ones(1, 2, dtype=torch.complex64), dt=1.0)
