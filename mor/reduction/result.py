"""What a reduction returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mor.systems.base import System

#: So many entries of a diagnostic are printed.
_SHORT = 4


@dataclass(frozen=True, eq=False)
class Reduction:
    """A reduced system and what is known of it.

    Attributes
    ----------
    system : the reduced system; of the kind of the full one where that kind allows it.
    order : number of states kept, real ones unless the system is complex (of each system of a batch).
    full_order : number of states before.
    hsv : array (..., n), Hankel singular values of the full system, largest first; infinite for
        unstable states that are kept whatever the order. Empty where the method needs none.
    error_bound : float or None
        Upper limit on the H-infinity norm of the error, which is also the worst
        amplification of any input signal into the error, in the l2 norm; in exact
        arithmetic. None where the method has no such guarantee. In a batch, the largest.
        Where unstable states are kept it limits the largest gain of the error over all
        frequencies (L-infinity norm).
    roundoff : estimate of what double precision adds to the error.
    bound_kind : what `error_bound` limits: ``"hinf"`` or ``"none"``.
    method : name of the method.
    diagnostics : what was measured on the way.
    stable_parts : where unstable states are kept the stable part of the full system and its
        reduction, whose difference is the error; else, and for a batch, None.
    """

    system: System
    order: int
    full_order: int
    hsv: np.ndarray
    error_bound: float | None
    bound_kind: str
    method: str
    roundoff: float = 0.0
    diagnostics: dict[str, Any] = field(default_factory=dict)
    stable_parts: tuple[System, System] | None = None

    @property
    def kept(self) -> np.ndarray:
        """Hankel singular values of the states kept, (..., order)."""
        return self.hsv[..., : self.order]

    @property
    def truncated(self) -> np.ndarray:
        """Hankel singular values of the states removed, (..., full_order - order)."""
        return self.hsv[..., self.order :]

    @property
    def energy(self) -> float:
        """Share of the sum of (finite) Hankel singular values that is kept."""
        kept, total = (float(np.sum(hsv[np.isfinite(hsv)])) for hsv in (self.kept, self.hsv))
        return kept / total if total > 0 else 1.0

    def __str__(self) -> str:
        bound = "none" if self.error_bound is None else f"{self.error_bound:.3e} ({self.bound_kind})"
        lines = [f"{self.method}: order {self.full_order} -> {self.order}"]
        if self.hsv.size:
            # A method without an estimate says 0, which would read as a promise.
            roundoff = f", round-off about {self.roundoff:.0e}" if self.roundoff else ""
            lines += [
                f"  energy kept  {100 * self.energy:.4g} % of the sum of Hankel singular values",
                f"  error bound  {bound}{roundoff}",
            ]
        lines += [f"  {name.replace('_', ' ')}: {_short(value)}" for name, value in self.diagnostics.items()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Reduction {self.method}, order {self.full_order} -> {self.order}, bound {self.error_bound}>"


def _short(value: Any) -> str:
    """A line for people: long sequences by their number and last entry, numbers to six digits."""
    if isinstance(value, float | complex):
        return f"{value:.6g}"
    if isinstance(value, list | tuple | np.ndarray) and np.size(value) > _SHORT:
        return f"{len(value)} values, the last {_short(value[-1])}"
    return str(value)
