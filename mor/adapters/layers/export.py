"""From a reduced system to the tensors of a layer, checked by reading them back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mor.adapters.layers.dialects.base import Tensors
from mor.adapters.layers.dtypes import as_double
from mor.adapters.layers.kept import has_pole, kept_modes
from mor.adapters.layers.layer import Layer
from mor.arrays import to_complex, to_numpy
from mor.deep.rounding import rounding_bound
from mor.deep.unstable import same_unstable_modes
from mor.equations.boundary import margins
from mor.errors import CheckpointError, NotFiniteError, UnstableSystemError, keyword
from mor.reduction.result import Reduction
from mor.systems.lti import LTI
from mor.systems.modal import Modal

#: Allowed error of a parameter, in units of its rounding.
_ROUNDINGS = 8
#: Allowed error of a response, however much an error of the parameters is amplified in it.
_WORST_TOLERANCE = 0.05
#: Directions of inputs in which responses are compared.
_PROBES = 4


@dataclass(frozen=True, eq=False)
class Export:
    """New tensors of one layer, by field name, or by their names in full.

    `rounding` limits the H-infinity norm of what rounding to the type of the file adds; `error` is
    the largest deviation of the impulse response of what was stored, relative to the largest
    response; `tolerance` is what that was held against. `same_unstable` says whether the unstable modes are
    those of the layer as it was, to the last bit.
    """

    tensors: dict[str, np.ndarray]
    rounding: float
    error: float
    tolerance: float
    same_unstable: bool


def modal_of(replacement: Any) -> Modal:
    """The Modal in a replacement: a Reduction, a Modal, or what turns into one."""
    system: Any = replacement.system if isinstance(replacement, Reduction) else replacement
    # What a layer holds is modes; a caller may give anything.
    if isinstance(system, LTI):
        system = Modal.from_lti(system)
    if not isinstance(system, Modal):
        raise CheckpointError(f"a layer can be replaced by a Reduction or a Modal, not by {system!r}.")
    poles, B, C = (to_numpy(to_complex(x)) for x in (system.poles, system.B, system.C))
    # A layer without states has no shape that code can load: it keeps one that does nothing.
    return Modal(poles, B, C, to_numpy(system.D), dt=system.dt).padded(1)


def check_replacement(old: Modal, new: Modal, holds_unstable: bool = False) -> None:
    """Raise unless `new` can stand where `old` stood.

    Poles on or outside the unit circle are those of `old`, in a dialect that `holds_unstable` layers.

    Raises
    ------
    CheckpointError, UnstableSystemError
    """
    mine, theirs = ((x.batch_shape, x.n_inputs, x.n_outputs) for x in (new, old))
    if mine != theirs:
        raise CheckpointError(
            f"the layer has batch {theirs[0]}, {theirs[1]} inputs and {theirs[2]} outputs; "
            f"what is to replace it has batch {mine[0]}, {mine[1]} and {mine[2]}."
        )
    if new.dt != old.dt:
        raise CheckpointError(f"the layer has dt={old.dt:g}; what is to replace it has dt={new.dt:g}.")
    scale = float(np.max(np.abs(old.D), initial=0.0))
    if np.max(np.abs(np.asarray(new.D) - old.D), initial=0.0) > 1e-9 * scale:
        raise CheckpointError(
            "the feedthrough D has changed. The layer reads its updated state, so that "
            "the error bound of a method that changes D does not hold for it; use one that keeps D."
        )
    for where in np.argwhere(margins(new.poles, new.dt) <= 0):
        place = tuple(where)
        if holds_unstable and has_pole(old.poles[place[:-1]], new.poles[place]):
            continue
        raise UnstableSystemError(
            f"pole {new.poles[place]:.6g} at {where.tolist()} of what is to replace "
            f"it has modulus {abs(new.poles[place]):.9g} >= 1; {_way_to_stability(old, holds_unstable)}"
        )


def _way_to_stability(old: Modal, holds_unstable: bool) -> str:
    """Why a layer with an unstable pole does not replace `old`, and what can be done."""
    unstable = np.argwhere(margins(old.poles, old.dt) <= 0)
    if not len(unstable):
        what = "a pole that the layer had not" if holds_unstable else "an unstable layer"
        return f"{what} is not written. The layer itself is stable: keep another number of its states."
    own = f"pole {unstable[0].tolist()} of the layer, {old.poles[tuple(unstable[0])]:.6g},"
    if not holds_unstable:
        return (
            f"layers of this kind cannot hold an unstable pole, and {own} is at the limit of their "
            "precision: bring it inside the unit circle and save the model again."
        )
    split = keyword("unstable", "'split'")
    return (
        f"a pole that the layer had not is not written. It comes of {own} which is unstable: a time-limited "
        "reduction mixes unstable modes with the others. Bring the layer's poles inside the unit circle "
        f"(train it so), or keep its unstable modes with {split} and without {keyword('horizon')}."
    )


def write(layer: Layer, tensors: Tensors, old: Modal, new: Modal) -> Export:
    """The tensors that make the layer, which is `old`, the system `new`.

    Raises
    ------
    CheckpointError
        If the dialect cannot hold the system, or the type of the tensors not accurately enough.
    """
    before = layer.stored(tensors)
    written = layer.dialect.write(before, new, kept_modes(new, old))
    for name, x in written.items():
        if not np.all(np.isfinite(as_double(x))):
            raise CheckpointError(f"{layer.prefix}{name} would not be finite in the type of the file.")
    try:
        stored = layer.dialect.read(replace(before, arrays={**before.arrays, **written}))
    except NotFiniteError as error:
        raise CheckpointError(f"it would not be finite in the type of the file: {error}") from error
    if np.any((margins(stored.poles, stored.dt) <= 0) & (margins(new.poles, new.dt) > 0)):
        raise CheckpointError("a pole rounds to modulus 1 in the type of the file.")
    error, tolerance = response_error(new, stored, before.eps)
    if error > tolerance:
        raise CheckpointError(
            f"what the file would hold deviates from the system by {error:.1e} of the largest response; "
            f"{tolerance:.1e} is allowed. The type of its tensors is too coarse for these poles."
        )
    same_unstable = same_unstable_modes(old, stored)
    return Export(written, rounding_bound(new, stored), error, tolerance, same_unstable)


def response_error(wanted: Modal, stored: Modal, eps: float) -> tuple[float, float]:
    """Largest relative deviation of the impulse response, and what rounding explains.

    An error of `eps` in a pole is seen for ``1/(1 - |pole|)`` steps, and one in B or C as often
    larger as the modes are larger than their sum. Unstable modes are followed until they have grown
    by e.
    """
    inside = margins(wanted.poles, wanted.dt)
    margin = float(np.min(inside[inside > 0], initial=1.0))
    growth = float(np.log1p(np.max(-inside, initial=0.0)))
    times = _sample_times(max(margin, 20 * growth))
    if np.any(inside <= 0):
        margin = min(margin, 1 / times[-1])
    probe = _probe(wanted.n_inputs)
    reference, parts = _responses(wanted, times, probe)
    actual, _ = _responses(stored, times, probe)
    axes = (-3, -2, -1)
    scale = np.max(np.abs(reference), axis=axes, initial=0.0)
    deviation = np.max(np.abs(actual - reference), axis=axes, initial=0.0)
    safe = np.where(scale > 0, scale, 1.0)
    amplification = float(np.max(parts / safe, initial=1.0)) / margin
    tolerance = min(_ROUNDINGS * eps * amplification, _WORST_TOLERANCE)
    return float(np.max(deviation / safe, initial=0.0)), tolerance


def _sample_times(margin: float) -> np.ndarray:
    last = min(20 / margin, 1e7)
    return np.unique(np.concatenate([np.arange(16), np.geomspace(16, max(last, 17), 32)]).astype(np.int64))


def _powers(poles: np.ndarray, times: np.ndarray) -> np.ndarray:
    """``poles^times``, (..., k, times), by exponentials, which take a third of the time."""
    zero = poles == 0
    powers = np.exp(np.log(np.where(zero, 1.0, poles))[..., :, None] * times)
    return np.where(zero[..., None] & (times > 0), 0.0, powers)


def _probe(m: int) -> np.ndarray:
    """Input directions (m, few): all of them, or a few fixed random ones."""
    if m <= _PROBES:
        return np.eye(m)
    return np.random.default_rng(0).standard_normal((m, _PROBES)) / np.sqrt(m)


def _responses(system: Modal, times: np.ndarray, probe: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``Re(C poles^t B) probe``, (..., p, times, probes), and the largest sum of moduli in it."""
    powers = _powers(system.poles, times)
    driven = powers[..., :, :, None] * (system.B @ probe)[..., :, None, :]
    flat = driven.reshape(*driven.shape[:-2], len(times) * probe.shape[1])
    shape = (*system.batch_shape, system.n_outputs, len(times), probe.shape[1])
    value = (system.C @ flat).real.reshape(shape)
    first = np.abs(system.C) @ np.abs(system.B @ probe)
    return value, np.max(first, axis=(-2, -1), initial=0.0)


def padded(modal: Modal, n_modes: int) -> Modal:
    """`modal` with idle modes up to `n_modes`.

    Raises
    ------
    CheckpointError
        If it has more: a real pole takes a mode of its own where a pair shares one.
    """
    if modal.n_modes > n_modes:
        raise CheckpointError(
            f"cannot be padded: it had {n_modes} modes and now has {modal.n_modes}, because "
            "its real poles take one each. Reduce it further or write it without padding."
        )
    return modal.padded(n_modes)
