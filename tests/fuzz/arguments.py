"""Arguments by the names of parameters: mostly sensible ones for the system that is called."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import mor
from tests.fuzz.values import Rng, magnitude, normal, pick


class Sizes:
    """What the arguments of one call have in common."""

    def __init__(self, rng: Rng) -> None:
        self.n, self.m, self.p = (int(pick(rng, *x)) for x in ((0, 1, 2, 3, 5), (0, 1, 1, 2), (0, 1, 2)))
        self.samples = int(pick(rng, 0, 1, 2, 7, 7))
        self.is_complex = bool(rng.random() < 0.2)
        self.has_order = False
        self.has_limit = False
        self.equation = False


def _states(sys: Any) -> int:
    order = getattr(sys, "order", 0)
    return order if isinstance(order, int) else 0


def _inputs(sys: Any) -> int:
    whole = isinstance(sys, tuple) and len(sys) > 2
    found = sys[1].shape[1] if whole else getattr(getattr(sys, "system", sys), "n_inputs", 1)
    return found if isinstance(found, int) else 1


def _matrix(rows: str, columns: str) -> Callable[[Rng, Any, Sizes], Any]:
    def make(rng: Rng, sys: Any, size: Sizes) -> Any:
        shape = getattr(size, rows), getattr(size, columns)
        x = normal(rng, shape, size.is_complex) * magnitude(rng)
        return x - 3 * np.eye(*shape) if rows == columns and rng.random() < 0.7 else x

    return make


def _order(rng: Rng, sys: Any, size: Sizes) -> Any:
    n = _states(sys)
    order = pick(rng, None, 0, 1, 1, int(rng.integers(0, n + 2)), int(rng.integers(0, n + 1)), float(n))
    size.has_order = order is not None
    return order


def _tol(rng: Rng, sys: Any, size: Sizes) -> Any:
    return None if size.has_order and rng.random() < 0.9 else pick(rng, 1e-3, 1e-8, 0.0, 1e-300, 0.1, 10.0)


def _gramians(rng: Rng, sys: Any, size: Sizes) -> Any:
    if rng.random() < 0.7:
        return None
    size.has_limit = True
    makers = (mor.Infinite, lambda: mor.TimeLimited(5), lambda: mor.FrequencyLimited((0.5, 2.0)))
    weight = mor.LTI([[-1.0]], [[1.0]], [[1.0]])
    return pick(rng, *makers, lambda: mor.Weighted(weight), lambda: mor.Weighted(None, weight))()


def _horizon(rng: Rng, sys: Any, size: Sizes) -> Any:
    if size.has_limit:
        return None
    size.has_limit = True
    return pick(rng, None, 1, 5, 7.0, 1, 5, 0.3, 1000, 1e300, 1e-300, 0, 10**12)


def _band(rng: Rng, sys: Any, size: Sizes) -> Any:
    if size.has_limit:
        return None
    wrong = ((1.0, 0.5), (-1, 1), (0.1,))
    return pick(rng, (0.0, 1.0), (0.0, 1.0), (0.1, np.inf), (0, 10), [0.5, 2.0], pick(rng, *wrong))


def _frequencies(rng: Rng, sys: Any, size: Sizes) -> Any:
    points = pick(rng, 0.0, 1.0, np.geomspace(1e-3, 1e3, 7), [0.0, 1.0], np.zeros(0), 1e300, [1e-300], -2.0)
    if rng.random() < 0.2 and isinstance(sys, mor.Modal) and type(sys.poles) is np.ndarray:
        return np.abs(sys.poles.imag).ravel()[:3]
    return points


def _points(rng: Rng, sys: Any, size: Sizes) -> Any:
    return pick(rng, 0, 1.0, 1j, [0.3 + 1j, 2.0], np.exp(1j * np.arange(3)), 1e300j, np.zeros(0))


def _input(rng: Rng, sys: Any, size: Sizes) -> Any:
    m = _inputs(sys)
    u = rng.standard_normal((size.samples, m)) * magnitude(rng)
    return pick(rng, u, u, u[::-1], u[:, 0] if m else u, u.tolist(), np.broadcast_to(1.0, u.shape))


def _times(rng: Rng, sys: Any, size: Sizes) -> Any:
    dt = getattr(getattr(sys, "system", sys), "dt", 0.0) or 0.1
    regular = dt * np.arange(max(size.samples, 1))
    return pick(rng, regular, regular, regular, None, 5, [0.0, 0.1, 0.3], 10**13, np.arange(1, 4))


def _network(rng: Rng, sys: Any, size: Sizes) -> Any:
    """A network of this library, or a module to truncate."""
    try:
        import torch

        from mor.adapters.torch import StateSpaceNetwork
    except ImportError:
        return None
    generator = torch.Generator().manual_seed(int(rng.integers(1000)))
    model = StateSpaceNetwork(inputs=1, classes=2, layers=1, channels=2, states=4, generator=generator)
    return pick(rng, model, model.network())


def _tensors(rng: Rng, sys: Any, size: Sizes) -> Any:
    layer = {
        "ssm.rotation.angles": rng.standard_normal(2),
        "ssm.rotation.retentions": rng.standard_normal(2),
        "ssm.sys_in": rng.standard_normal((2, 2, 1)) * magnitude(rng),
        "ssm.sys_out": rng.standard_normal((1, 2, 2)) * magnitude(rng),
        "ssm.sys_feed": np.zeros(1),
        "gate.weight": np.ones((1, 1)),
    }
    layer |= dict.fromkeys(("norm.weight", "norm.running_var", "gate.bias"), np.ones(1))
    layer |= dict.fromkeys(("norm.bias", "norm.running_mean"), np.zeros(1))
    ends = {"encoder.weight": np.ones((1, 3)), "encoder.bias": np.zeros(1)}
    ends |= {"decoder.weight": np.ones((5, 1)), "decoder.bias": np.zeros(5)}
    return ends | {f"layers.0.{name}": x for name, x in layer.items()}


def _values(rng: Rng, sys: Any, size: Sizes) -> Any:
    return {"a": np.sort(rng.random(4))[::-1] * magnitude(rng), "b": rng.random((2, 3)) * magnitude(rng)}


#: By name: from the generator, the system (or None) and the sizes to a value that may make sense.
MAKERS: dict[str, Callable[[Rng, Any, Sizes], Any]] = {
    "order": _order,
    "tol": _tol,
    "gramians": _gramians,
    "horizon": _horizon,
    "band": _band,
    "match": lambda rng, sys, size: pick(rng, "infinity", "dc"),
    "unstable": lambda rng, sys, size: pick(rng, "error", "split"),
    "score": lambda rng, sys, size: pick(rng, "hinf", "h2"),
    "omega": _frequencies,
    "s": _points,
    "u": _input,
    "other": _input,
    "t": _times,
    "x0": lambda rng, sys, size: pick(rng, None, None, np.ones(_states(sys))),
    "hold": lambda rng, sys, size: pick(rng, "zero", "first"),
    "step": lambda rng, sys, size: pick(rng, None, 0.1, 1.0, 0.1, 1e-300, 1e300),
    "steps": lambda rng, sys, size: pick(rng, 1, 3, 0, 10**13),
    "beyond": lambda rng, sys, size: int(rng.integers(0, 4)),
    "start": lambda rng, sys, size: pick(rng, "bt", "modal", "spread", "irka", [-1.0], [0.5]),
    "shifts": lambda rng, sys, size: pick(rng, None, [1.0], [2.0, 3.0], np.array([2.0 + 1j])),
    "max_iterations": lambda rng, sys, size: pick(rng, 0, 1, 3, 10),
    "dt": lambda rng, sys, size: pick(rng, 0.0, 0.0, 1.0, 0.1),
    "trans": lambda rng, sys, size: False,
    "A": _matrix("n", "n"),
    "B": _matrix("n", "m"),
    "C": _matrix("p", "n"),
    "D": lambda rng, sys, size: pick(rng, None, 0, rng.standard_normal((size.p, size.m)) * magnitude(rng)),
    "E": lambda rng, sys, size: pick(rng, None, None, _matrix("n", "n")(rng, sys, size)),
    "Q": _matrix("n", "n"),
    "poles": lambda rng, sys, size: -np.abs(rng.standard_normal(size.n)) * magnitude(rng),
    "blocks": lambda rng, sys, size: -np.ones((size.n, 1, 1)) * magnitude(rng),
    "M": lambda rng, sys, size: normal(rng, (1, _states(sys), _states(sys)), False),
    "W": lambda rng, sys, size: np.ones((1, 1)),
    "W1": lambda rng, sys, size: np.ones((1, 1)),
    "W2": lambda rng, sys, size: np.ones((1, 1)),
    "b": lambda rng, sys, size: pick(rng, None, np.ones(1)),
    "labels": lambda rng, sys, size: pick(rng, None, mor.Labels(name="plant")),
    "inputs": lambda rng, sys, size: pick(rng, None, ["u"], ("a", "b")),
    "outputs": lambda rng, sys, size: pick(rng, None, ["y"]),
    "states": lambda rng, sys, size: pick(rng, None, ["x"]),
    "name": lambda rng, sys, size: pick(rng, None, "plant"),
    "precision": lambda rng, sys, size: pick(rng, None, "float32"),
    "dtype": lambda rng, sys, size: pick(rng, None, float, np.float32, complex),
    "keep": lambda rng, sys, size: pick(rng, 0.5, 1.0, 0.8),
    "energy": lambda rng, sys, size: None,
    "hsv": _values,
    "method": lambda rng, sys, size: pick(rng, "bt", "modal", "energy", "uniform", "adaptive"),
    "ranks": lambda rng, sys, size: pick(rng, "energy", "uniform", "global", "adaptive"),
    "n_modes": lambda rng, sys, size: int(rng.integers(0, 9)),
    "index": lambda rng, sys, size: pick(rng, 0, -1, slice(0, 1), 5),
    "readout": lambda rng, sys, size: None,
    "mix": lambda rng, sys, size: None,
    "exact": lambda rng, sys, size: True,
    "n": lambda rng, sys, size: int(rng.integers(0, 9)),
    "modes": lambda rng, sys, size: int(rng.integers(0, 9)),
    "channels": lambda rng, sys, size: int(rng.integers(0, 4)),
    "gates": lambda rng, sys, size: pick(rng, None, 1),
    "seed": lambda rng, sys, size: 0,
    "diffusion": lambda rng, sys, size: 0.1,
    "speed": lambda rng, sys, size: 1.0,
    "executor": lambda rng, sys, size: None,
    "progress": lambda rng, sys, size: None,
    "dialect": lambda rng, sys, size: None,
    "optimizer": lambda rng, sys, size: None,
    "overwrite": lambda rng, sys, size: True,
    "model": _network,
    "tensors": _tensors,
    "parameters": _tensors,
}
