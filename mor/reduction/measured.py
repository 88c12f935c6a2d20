"""A reduction and the errors that it was to make small, measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mor.analysis.error import ErrorMeasure, aimed_error, measure
from mor.analysis.gramians import INFINITE, Gramians
from mor.reduction.balanced import balanced_truncation
from mor.reduction.result import Reduction
from mor.systems.base import System
from mor.systems.convert import as_system


@dataclass(frozen=True)
class MeasuredReduction:
    """What is known of a reduction when all has been measured.

    Attributes
    ----------
    error : of the stable parts, where an unstable one was kept; within the limits of the Gramians.
    aim : the error that the Gramians are to make small; nan where there is none.
    plain : the same error of balanced truncation with infinite Gramians to as many states, which no
        theorem says is larger; nan where there is no such reduction.
    holds : whether the H-infinity error is within the bound and its round-off; None where one of them is
        missing.
    note : what the reduction says of itself, and whether its choice of Gramians was of no use.
    """

    error: ErrorMeasure
    aim: float
    plain: float
    holds: bool | None
    note: str | None


def measure_reduction(sys: Any, reduction: Reduction, gramians: Gramians = INFINITE) -> MeasuredReduction:
    """Measure what `reduction` of `sys`, by these Gramians, has made of it.

    Examples
    --------
    >>> import mor
    >>> sys = mor.as_system(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]))
    >>> found = measure_reduction(sys, mor.balanced_truncation(sys, order=1))
    >>> found.holds, found.error.proven
    (True, True)
    """
    full, rom = reduction.stable_parts or (as_system(sys), reduction.system)
    kind = gramians.checked(full)
    error = measure(full, rom, **kind.limits)
    aim = error.h2 if kind.compared(full, rom)[0] is full else aimed_error(kind, full, rom)
    plain = _plain(full, rom.order, kind)
    notes = [note] if (note := reduction.diagnostics.get("note")) else []
    if plain < aim:
        notes.append(f"the same order without the limits or weights has a smaller {kind.aim}, {plain:.3g}")
    return MeasuredReduction(error, aim, plain, _holds(reduction, error), "; ".join(notes) or None)


def _plain(full: System, order: int, kind: Gramians) -> float:
    if kind == INFINITE or not full.is_stable:
        return np.nan
    other = balanced_truncation(full, order)
    return aimed_error(kind, full, other.system) if other.order == order else np.nan


def _holds(reduction: Reduction, error: ErrorMeasure) -> bool | None:
    if reduction.error_bound is None or not np.isfinite(error.peak):
        return None
    return error.within(reduction.error_bound + reduction.roundoff)
