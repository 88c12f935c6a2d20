r"""A deep state-space network whose layers can be taken out, reduced and put back.

One forward pass, written to the array API standard: NumPy evaluates it, PyTorch and JAX run
it from this same source. (:mod:`mor.adapters.torch` has the modules to train.) For a batch
of sequences u of `channels` signals,

.. math::
    z &= W_{enc} u + b_{enc}, \\
    z &\leftarrow z + g(\mathrm{gelu}(\mathrm{ssm}_i(\mathrm{norm}_i(z)))), \quad
        g(v) = v \odot \sigma(W_i v + b_i), \qquad i = 0, \dots, L - 1, \\
    \mathrm{logits} &= \frac1T \sum_t (W_{dec} z_t + b_{dec}),

where ``norm`` is batch normalisation over batch and time and ``ssm`` a discrete linear
system that reads its updated state,

.. math:: x_k = A x_{k-1} + B u_k, \qquad y_k = C x_k + D u_k, \qquad x_{-1} = 0,

with A block diagonal of scaled rotations (:mod:`mor.deep.rotation`) and D diagonal. Gelu is
the form with tanh: the standard has no error function.

Source: [Schwerdtner25] for the architecture.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import Any

import numpy as np

from mor.arrays import Array, complex_from, device_kwargs, is_array, is_numpy, namespace, to_numpy
from mor.checks import check_finite, common_arrays, numbers
from mor.deep.rotation import PARAMETERS, modal_from_rotation, rotation_from_modal
from mor.errors import ArgumentTypeError, CheckpointError, DimensionError, NotASystemError
from mor.reduction.result import Reduction
from mor.systems.modal import Modal

#: Added to a variance before its root, as is usual in batch normalisation.
VARIANCE_FLOOR = 1e-5

#: Steps that the recurrence takes one by one before it goes up a level.
_RADIX = 8

#: Entries of the widest array of an evaluation: bounds memory, and stays near the cache.
_CHUNK_ENTRIES = 2**19

#: Shapes of a layer's tensors beside its system, for h hidden signals.
_LAYER_SHAPES = {
    "norm.weight": ("h",),
    "norm.bias": ("h",),
    "norm.running_mean": ("h",),
    "norm.running_var": ("h",),
    "gate.weight": ("h", "h"),
    "gate.bias": ("h",),
}

_END_SHAPES = {
    "encoder.weight": ("h", "channels"),
    "encoder.bias": ("h",),
    "decoder.weight": ("classes", "h"),
    "decoder.bias": ("classes",),
}


@dataclass(frozen=True, eq=False)
class Network:
    """A network of systems, given by its named tensors.

    Parameters
    ----------
    tensors : mapping from names to arrays of one framework and one real dtype:
        ``encoder.weight (h, channels)``, ``encoder.bias (h,)``; for each layer i
        ``layers.{i}.norm.weight, .bias, .running_mean, .running_var (h,)``,
        ``layers.{i}.ssm.`` and the names of :data:`mor.deep.rotation.PARAMETERS` with
        m = p = h and q of its own, ``layers.{i}.gate.weight (h, h)``, ``.bias (h,)``;
        ``decoder.weight (classes, h)``, ``decoder.bias (classes,)``.

    Raises
    ------
    CheckpointError
        If a name is missing or unknown.
    DimensionError
        If shapes do not fit together.
    NotFiniteError
        If an entry is NaN or infinite.

    Examples
    --------
    >>> import numpy as np
    >>> from mor.deep import Network
    >>> ones = dict.fromkeys(("norm.weight", "norm.running_var", "gate.bias"), np.ones(1))
    >>> zeros = dict.fromkeys(("norm.bias", "norm.running_mean", "ssm.sys_feed"), np.zeros(1))
    >>> system = {"ssm.rotation.angles": np.zeros(2), "ssm.rotation.retentions": np.ones(2),
    ...           "ssm.sys_in": np.ones((2, 2, 1)), "ssm.sys_out": np.ones((1, 2, 2))}
    >>> layer = ones | zeros | system | {"gate.weight": np.ones((1, 1))}
    >>> ends = {"encoder.weight": np.ones((1, 3)), "encoder.bias": np.zeros(1),
    ...         "decoder.weight": np.ones((5, 1)), "decoder.bias": np.zeros(5)}
    >>> net = Network(ends | {f"layers.0.{name}": x for name, x in layer.items()})
    >>> net(np.ones((10, 20, 3))).shape
    (10, 5)
    >>> net.layers
    {'layers.0.ssm': <Modal order 4 (2 modes), 1 inputs, 1 outputs, dt=1>}
    """

    tensors: Mapping[str, Array]

    def __post_init__(self) -> None:
        if not isinstance(self.tensors, Mapping) or not all(isinstance(name, str) for name in self.tensors):
            raise ArgumentTypeError("tensors are no mapping from names to arrays.", argument="tensors")
        tensors = {name: x if is_array(x) else numbers(name, x) for name, x in self.tensors.items()}
        _check_names(tensors)
        _check_shapes(tensors)
        check_finite(**tensors)
        object.__setattr__(self, "tensors", tensors)

    @property
    def n_layers(self) -> int:
        """Number of state-space layers."""
        return count_layers(self.tensors)

    @property
    def n_channels(self) -> int:
        """Number of input signals."""
        return self.tensors["encoder.weight"].shape[1]

    @property
    def n_classes(self) -> int:
        """Number of outputs."""
        return self.tensors["decoder.weight"].shape[0]

    @property
    def n_parameters(self) -> int:
        """Number of trained numbers; running means and variances are not among them."""
        return sum(math.prod(x.shape) for name, x in self.tensors.items() if ".running_" not in name)

    @property
    def layers(self) -> dict[str, Modal]:
        """The system of each layer by name, in the precision of the tensors."""
        names = (f"layers.{i}.ssm" for i in range(self.n_layers))
        return {name: modal_from_rotation(_below(self.tensors, name)) for name in names}

    def replace(self, systems: Mapping[str, Reduction | Modal]) -> Network:
        """The network with these systems, named as in `layers`, in place of its own.

        Their orders may differ from the old ones and from each other. They are written in
        the rotation parametrisation and in the dtype of the tensors they replace.

        Raises
        ------
        CheckpointError
            For a name that is no layer's.
        NotASystemError
            For a system that the parametrisation cannot hold: not a single stable
            discrete :class:`~mor.Modal` of the time step 1, or D not diagonal.
        DimensionError
            If its inputs and outputs are not the layer's.
        """
        tensors = dict(self.tensors)
        for name, system in systems.items():
            tensors |= self._parameters(name, system)
        return Network(tensors)

    def _parameters(self, layer: str, system: Reduction | Modal) -> dict[str, Array]:
        angles = self.tensors.get(f"{layer}.rotation.angles")
        if angles is None:
            raise CheckpointError(f"there is no layer {layer!r}; there are {', '.join(self.layers)}.")
        modal = _fitting_rotation(layer, system.system if isinstance(system, Reduction) else system)
        xp = namespace(angles)
        return {
            f"{layer}.{name}": xp.asarray(x, dtype=angles.dtype, **device_kwargs(angles))
            for name, x in rotation_from_modal(modal).items()
        }

    def __call__(self, u: Array) -> Array:
        """Logits (batch, classes) of the sequences `u` (batch, T, channels).

        The batch is evaluated piece by piece, so that memory does not grow with it.
        """
        u = _like(u, self.tensors["encoder.weight"])
        _check_sequences(u, self.n_channels)
        batch, length, _ = u.shape
        piece = max(1, _CHUNK_ENTRIES // (length * self._width))
        ends = [(start, min(start + piece, batch)) for start in range(0, max(1, batch), piece)]
        logits = [forward(self.tensors, u[start:end, ...]) for start, end in ends]
        return namespace(u).concat(logits, axis=0)

    @property
    def _width(self) -> int:
        """Real entries a time step of the widest array of the forward pass."""
        states = (2 * x.shape[0] for name, x in self.tensors.items() if name.endswith(".angles"))
        return max(self.tensors["encoder.weight"].shape[0], *states, 1)

    def __repr__(self) -> str:
        modes = ", ".join(str(layer.n_modes) for layer in self.layers.values())
        return f"<Network of {self.n_layers} layers with {modes} modes, {self.n_parameters} parameters>"


def forward(tensors: Mapping[str, Array], u: Array) -> Array:
    """Logits (batch, classes) of the sequences `u` (batch, T, channels).

    `tensors` are named as for :class:`Network` and taken unchecked, so that ``jax.jit``
    can call this with nothing but arrays. Normalises with the running statistics.
    """
    z = _affine(_below(tensors, "encoder"), u)
    for i in range(count_layers(tensors)):
        layer = f"layers.{i}"
        v = _gelu(respond(_below(tensors, f"{layer}.ssm"), _normalise(_below(tensors, f"{layer}.norm"), z)))
        z = z + v * _sigmoid(_affine(_below(tensors, f"{layer}.gate"), v))
    # The decoder is affine, so the mean over time may as well come first: T times cheaper.
    return _affine(_below(tensors, "decoder"), namespace(z).mean(z, axis=1))


def respond(parameters: Mapping[str, Array], u: Array) -> Array:
    """Output (batch, T, h) of the layer with these rotation parameters to u (batch, T, h)."""
    xp = namespace(u)
    system = modal_from_rotation(parameters)
    k = system.n_modes
    # Real products on both sides: half the work of complex ones.
    rows = xp.concat([xp.real(system.B), xp.imag(system.B)], axis=0)
    driven = u @ rows.T
    states = linear_recurrence(system.poles, complex_from(driven[..., :k], driven[..., k:]))
    parts = xp.concat([xp.real(states), xp.imag(states)], axis=-1)
    return parts @ system.output_factor_matrix.T + parameters["sys_feed"] * u


def linear_recurrence(poles: Array, v: Array) -> Array:
    """``x_t = poles * x_{t-1} + v_t`` from ``x_{-1} = 0``: v and x (batch, T, k), poles (k,).

    Short pieces of all sequences are run step by step at once; what their ends pass on
    to the next piece is the same recurrence with a power of the poles, eight times
    shorter. This does twice the arithmetic of the plain loop, in 8 log_8(T) steps for T.
    NumPy, which launches a step in no time, takes the plain loop in place.
    """
    if is_numpy(v):
        return _step_by_step(poles, v)
    xp = namespace(v)
    batch, length, k = v.shape

    def run(steps: Iterable[Array]) -> list[Array]:
        return list(accumulate(steps, lambda x, step: poles * x + step))

    if length <= _RADIX:
        return xp.stack(run(xp.unstack(v, axis=1)), axis=1) if length else v
    pieces = -(-length // _RADIX)
    fill = xp.zeros((batch, pieces * _RADIX - length, k), dtype=v.dtype, **device_kwargs(v))
    steps = xp.unstack(xp.reshape(xp.concat([v, fill], axis=1), (batch, pieces, _RADIX, k)), axis=2)
    states = run(steps)
    powers = list(accumulate([poles] * _RADIX, mul))
    ends = linear_recurrence(powers[-1], states[-1][:, :-1, :])
    passed = xp.concat([xp.zeros_like(ends[:, :1, :]), ends], axis=1)
    x = xp.stack([state + power * passed for state, power in zip(states, powers, strict=True)], axis=2)
    return xp.reshape(x, (batch, pieces * _RADIX, k))[:, :length, :]


def _step_by_step(poles: np.ndarray, v: np.ndarray) -> np.ndarray:
    x = np.empty_like(v)
    x[:, :1] = v[:, :1]
    for t in range(1, v.shape[1]):
        np.multiply(poles, x[:, t - 1], out=x[:, t])
        x[:, t] += v[:, t]
    return x


def count_layers(tensors: Mapping[str, Array]) -> int:
    """Number of layers among the names of `tensors`."""
    found = (re.match(r"layers\.(\d+)\.", name) for name in tensors)
    return max((int(match[1]) + 1 for match in found if match), default=0)


def _below(tensors: Mapping[str, Array], prefix: str) -> dict[str, Array]:
    """The tensors whose names start with `prefix` and a dot, by the rest of their names."""
    start = prefix + "."
    return {name.removeprefix(start): x for name, x in tensors.items() if name.startswith(start)}


def _affine(parameters: Mapping[str, Array], x: Array) -> Array:
    return x @ parameters["weight"].T + parameters["bias"]


def _normalise(norm: Mapping[str, Array], z: Array) -> Array:
    scale = norm["weight"] / namespace(z).sqrt(norm["running_var"] + VARIANCE_FLOOR)
    return z * scale + (norm["bias"] - norm["running_mean"] * scale)


def _gelu(x: Array) -> Array:
    inner = math.sqrt(2 / math.pi) * x * (1 + 0.044715 * x * x)
    return 0.5 * x * (1 + namespace(x).tanh(inner))


def _sigmoid(x: Array) -> Array:
    """``1/(1 + exp(-x))``, by tanh so that nothing overflows."""
    return 0.5 * (1 + namespace(x).tanh(0.5 * x))


def _like(u: Any, weight: Array) -> Array:
    """`u` in the dtype of `weight`; lists and NumPy's arrays also in its framework."""
    xp = namespace(weight)
    (u,) = common_arrays(u=u)
    if is_numpy(u):
        u = xp.asarray(u, **device_kwargs(weight))
    return u if u.dtype == weight.dtype else xp.astype(u, weight.dtype)


def _check_sequences(u: Array, channels: int) -> None:
    if u.ndim != 3 or u.shape[1] < 1 or u.shape[2] != channels:
        shape = tuple(u.shape)
        raise DimensionError(f"u has shape {shape}; it must be (batch, T, {channels}) with T >= 1.")


def _expected_shapes(n_layers: int) -> dict[str, tuple[Any, ...]]:
    """Every tensor's name and shape, sizes as letters; q of layer i is ``q{i}``."""
    shapes: dict[str, tuple[Any, ...]] = dict(_END_SHAPES)
    for i in range(n_layers):
        shapes |= {f"layers.{i}.{name}": shape for name, shape in _LAYER_SHAPES.items()}
        sizes = {"q": f"q{i}", "m": "h", "p": "h"}
        for name, shape in PARAMETERS.items():
            shapes[f"layers.{i}.ssm.{name}"] = tuple(sizes.get(str(size), size) for size in shape)
    return shapes


def _check_names(tensors: Mapping[str, Array]) -> None:
    expected = _expected_shapes(max(1, count_layers(tensors)))
    for wrong, names in (
        ("tensors of a network are missing", expected.keys() - tensors.keys()),
        ("tensors that are no part of a network", tensors.keys() - expected.keys()),
    ):
        if names:
            raise CheckpointError(f"{wrong}: {', '.join(sorted(names)[:5])} ({len(names)} in all).")


def _check_shapes(tensors: Mapping[str, Array]) -> None:
    """Sizes are read off the first tensor that has them; every other must agree."""
    sizes: dict[str, int] = {}
    for name, expected in _expected_shapes(count_layers(tensors)).items():
        actual = tuple(tensors[name].shape)
        if len(actual) != len(expected):
            raise DimensionError(f"{name} has shape {actual}; it must have {len(expected)} axes.")
        axes = zip(expected, actual, strict=True)
        wanted = tuple(sizes.setdefault(size, n) if isinstance(size, str) else size for size, n in axes)
        if actual != wanted:
            raise DimensionError(f"{name} has shape {actual}; beside the other tensors it must be {wanted}.")


def _fitting_rotation(layer: str, system: Any) -> Modal:
    """`system` on NumPy, once it is known that the rotation parametrisation can hold it."""
    # The rotation parametrises modes, and a caller may give anything.
    if not isinstance(system, Modal) or system.batch_shape or system.dt != 1.0:
        raise NotASystemError(f"{layer} takes one Modal with dt=1 or a Reduction to one, not {system!r}.")
    system.require_stable(f"the rotation parametrisation of {layer}")
    poles, B, C, D = (to_numpy(x) for x in (system.poles, system.B, system.C, system.D))
    if not np.array_equal(D, np.diag(np.diagonal(D))):
        raise NotASystemError(f"D of the system for {layer} is not diagonal, as that of the layer has to be.")
    return Modal(poles, B, C, D, dt=system.dt)
