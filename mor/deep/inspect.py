"""What a layer is, before anything is done to it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mor.analysis.hankel import hankel_singular_values
from mor.arrays import to_numpy
from mor.systems.modal import Modal

#: Shares of the sum of Hankel singular values for which states are counted.
ENERGY_LEVELS = (0.9, 0.99, 0.999)


@dataclass(frozen=True)
class LayerInspection:
    """One layer: a system, or a batch of them.

    Attributes
    ----------
    systems : how many.
    states : real states that do something, of a batch the most of any system.
    idle_modes : modes without effect, whose B or C is zero.
    hsv_largest : the largest Hankel singular value; None where a mode is unstable.
    states_for_energy : by share, how many states hold that share of the sum of Hankel singular values (of
        a batch: summed over it); None where a mode is unstable.
    """

    name: str
    systems: int
    states: int
    modes: int
    idle_modes: int
    unstable_modes: int
    inputs: int
    outputs: int
    spectral_radius: float
    stable: bool
    hsv_largest: float | None
    states_for_energy: dict[str, int] | None


def inspect_layer(name: str, system: Modal) -> LayerInspection:
    """Orders, poles and the decay of the Hankel singular values of one layer."""
    moduli = np.abs(to_numpy(system.poles))
    hsv = np.atleast_2d(to_numpy(hankel_singular_values(system))) if system.is_stable else None
    return LayerInspection(
        name=name,
        systems=math.prod(system.batch_shape),
        states=largest_order(system),
        modes=system.n_modes,
        idle_modes=int(np.sum(~system.working_modes)),
        unstable_modes=int(np.sum(moduli >= 1)),
        inputs=system.n_inputs,
        outputs=system.n_outputs,
        spectral_radius=float(np.max(moduli, initial=0.0)),
        stable=system.is_stable,
        hsv_largest=None if hsv is None else float(np.max(hsv, initial=0.0)),
        states_for_energy=None if hsv is None else _states_for_energy(np.sum(hsv, axis=0)),
    )


def _states_for_energy(hsv: np.ndarray) -> dict[str, int]:
    total = float(np.sum(hsv))
    share = np.cumsum(hsv) / total if total > 0 else np.ones_like(hsv)
    return {f"{level:g}": int(np.sum(share < level - 1e-12) + (total > 0)) for level in ENERGY_LEVELS}


def largest_order(system: Modal) -> int:
    """Real states that do something, of a batch the most of any system."""
    return int(np.max(system.working_states, initial=0))


def relative_bound(bound: float | None, hsv: np.ndarray) -> float | None:
    """Upper limit of the relative H-infinity error: no gain is below the largest Hankel singular value."""
    finite = np.where(np.isfinite(hsv), hsv, 0.0)
    largest = float(np.min(np.max(np.atleast_2d(finite), axis=-1, initial=0.0)))
    return None if bound is None or largest == 0 else bound / largest
