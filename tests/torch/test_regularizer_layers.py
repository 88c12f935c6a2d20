"""Which modules of a model the regulariser counts, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest

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
from tests.oracles.checkpoint_layers import DIALECTS, prefixed
from tests.torch.regularized import (
    ROW_FIELDS,
    Custom,
    exact_sum,
    hsv_of,
    layer_with_radius,
    model_of,
    module_of,
)

torch = pytest.importorskip("torch")

from mor.adapters.torch import HankelRegularizer, StateSpaceLayer  # noqa: E402

# What counts as a layer.


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
    message = f"{name}=.* is not a (finite number >= 0|whole number of at least 0)"
    with pytest.raises(ReductionError, match=message):
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
    moduli = abs(known.read(Stored(tensors)).poles)
    for field in known.fields:
        # In any direction: of complex numbers both parts.
        shift = 0.1 * (1 + 1j) if field.is_complex else 0.1
        moved = tensors | {field.name: (tensors[field.name] + shift).astype(tensors[field.name].dtype)}
        changed = not np.allclose(abs(known.read(Stored(moved)).poles), moduli, rtol=1e-5)
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
