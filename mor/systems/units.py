"""Units of signals in which nothing overflows or underflows on the way from a system to its numbers.

Gramians hold squares of B and C, Hankel singular values products of both, gradients their cubes: data of
1e150 or 1e-110 leave the range of double precision where the result does not. With ``B = 2^i B'`` and
``C = 2^o C'`` all of them are those of (A, B', C') times a power of two, which costs no rounding.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from mor.arrays import Array, exponents, is_concrete, is_numpy, times, to_numpy
from mor.errors import NotFiniteError
from mor.systems.base import Exponent, System

#: Sizes of B and C within 2 to minus and plus this power are left alone: products of six stay in range.
_SAFE = 100


class Units(NamedTuple):
    """Powers of two: B is so many times, and C, that of the system in these units. (...) for a batch."""

    inputs: Exponent
    outputs: Exponent

    @property
    def gain(self) -> Exponent:
        """That of Hankel singular values and norms."""
        return self.inputs + self.outputs


#: Those that a system comes in.
OWN = Units(0, 0)


def in_units(system: System) -> tuple[System, Units]:
    """A system of moderate numbers with the same states, and the units of its signals.

    The system itself where its numbers are moderate, or not known yet; else it is without D.
    """
    if not (is_numpy(system.D) or is_concrete(system.input_factor_matrix, system.output_factor_matrix)):
        return system, OWN
    units = Units(*system.signal_exponents())
    if all(abs(x) <= _SAFE if isinstance(x, int) else np.all(np.abs(x) <= _SAFE) for x in units):
        return system, OWN
    return system.in_units(*units), units


def out_of_units(system: Any, units: Units, D: Array) -> Any:
    """A linear system made of one that :func:`in_units` gave, in the units and with the D of the original."""
    if units is OWN:
        return system
    return replace(system.in_units(-units.inputs, -units.outputs), D=to_numpy(D))


def gain_in_units(system: Any) -> tuple[Any, int]:
    """``(H, e)`` of a dense G: G = 2^e H, with B, C and D of moderate numbers; G itself where its are."""
    sizes = [exponents(x, 0) for x in (system.B, system.C, system.D)]
    if max(map(abs, sizes)) <= _SAFE:
        return system, 0
    inputs, outputs, through = sizes
    moves = np.any(system.B) and np.any(system.C)
    gains = ((inputs + outputs, moves), (through, np.any(system.D)))
    gain = max((size for size, there in gains if there), default=0)
    powers = {"B": inputs, "C": gain - inputs if moves else outputs, "D": gain}
    return replace(system, **{name: times(getattr(system, name), -e, 2) for name, e in powers.items()}), gain


def times_power(system: System, exponent: Exponent) -> System:
    """A linear system times ``2^exponent``."""
    C, D = system.output_factor_matrix, system.D
    return system.with_outputs(times(C, exponent, 2), times(D, exponent, 2), labels=system.labels)


def from_units(x: Array, exponent: Exponent, axes: int, what: str) -> Array:
    """`x` (..., and so many axes) times ``2^exponent``: `what`, in the units of the system.

    Raises
    ------
    NotFiniteError
        If the largest entry of that cannot be represented.
    """
    if not np.any(exponent):
        return x
    with np.errstate(over="ignore", under="ignore"):
        result = times(x, exponent, axes)
    before, after = _largest(x, axes), _largest(result, axes)
    if not np.all(np.isfinite(after)):
        raise NotFiniteError(f"{what} overflows double precision: choose other units of the signals.")
    if np.any((before > 0) & (after < np.finfo(float).tiny)):
        raise NotFiniteError(f"{what} underflows double precision: choose other units of the signals.")
    return result


def _largest(x: Array, axes: int) -> np.ndarray:
    sizes = np.abs(to_numpy(x))
    return sizes.max(axis=tuple(range(sizes.ndim - axes, sizes.ndim)), initial=0.0)
