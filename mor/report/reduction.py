"""Plain data on the reduction of one system, every error measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mor.analysis.error import ErrorMeasure, aimed_error, measure
from mor.analysis.gramians import INFINITE, Gramians
from mor.errors import DimensionError
from mor.reduction.balanced import balanced_truncation
from mor.reduction.result import Reduction
from mor.report.summary import Summary
from mor.systems.base import System
from mor.systems.lti import LTI


def reduction_summary(system: System, reduction: Reduction, gramians: Gramians = INFINITE) -> Summary:
    """Orders, Hankel singular values, the bound and the errors that it was to bound.

    ``hinf_error`` is the largest gain of the error over frequency, ``hinf_noise`` by how much that
    may be wrong, ``hinf_limit`` what the norm does not exceed, proven; None where the systems are
    so large that the gain was only searched for. ``proven`` says whether both are one number to
    1 %. They are None if a system is unstable, unless its unstable part was kept: then they are
    those of the stable parts. With a horizon or a band the H2 errors are limited to it; infinite
    ones (D has changed in continuous time) are None, as are infinite ``hsv``. ``aim_error`` is the error
    that the Gramians are to make small, named by ``aim``, and ``aim_plain`` the same error of plain
    balanced truncation to as many states, which no theorem says is larger; None where there is no such
    reduction. Where that is an H2 error it is ``h2_unlimited`` too.
    """
    full, rom = reduction.stable_parts or (system, reduction.system)
    kind = gramians.checked(full)
    limits, found = kind.limits, measure(full, rom, **kind.limits)
    aim = found.h2 if kind.compared(full, rom)[0] is full else aimed_error(kind, full, rom)
    plain = _plain(full, rom.order, kind)
    return {
        "order": [system.order, reduction.order],
        "inputs": system.n_inputs,
        "outputs": system.n_outputs,
        "dt": system.dt,
        "method": reduction.method,
        "horizon": limits.get("horizon"),
        "band": [finite_or_none(end) for end in limits["band"]] if "band" in limits else None,
        "about": kind.about,
        "aim": kind.aim,
        "stable": reduction.system.is_stable,
        "hsv": [finite_or_none(value) for value in np.asarray(reduction.hsv, dtype=float)],
        "error_bound": reduction.error_bound,
        "roundoff": reduction.roundoff,
        "hinf_error": finite_or_none(found.peak),
        "hinf_limit": finite_or_none(found.limit),
        "hinf_noise": finite_or_none(found.noise),
        "proven": found.proven,
        "peak_frequency": finite_or_none(found.omega),
        "h2_error": finite_or_none(found.h2),
        "h2_relative": finite_or_none(found.h2_relative),
        "h2_unlimited": finite_or_none(plain if limits else np.nan),
        "aim_error": finite_or_none(aim),
        "aim_plain": finite_or_none(plain),
        "holds": _holds(reduction, found),
        "iterations": reduction.diagnostics.get("iterations"),
        "stopped": reduction.diagnostics.get("stopped"),
        "note": _note(reduction, kind.aim, aim, plain),
    }


def _plain(full: System, order: int, kind: Gramians) -> float:
    """The error that `kind` is about of balanced truncation without it; nan where there is none."""
    if kind == INFINITE or not full.is_stable:
        return np.nan
    other = balanced_truncation(full, order)
    return aimed_error(kind, full, other.system) if other.order == order else np.nan


def _note(reduction: Reduction, aim: str, error: float, plain: float) -> str | None:
    """What the reduction says of itself, and whether its choice of Gramians was of no use."""
    notes = [note] if (note := reduction.diagnostics.get("note")) else []
    if plain < error:
        notes.append(f"the same order without the limits or weights has a smaller {aim}, {plain:.3g}")
    return "; ".join(notes) or None


def _holds(reduction: Reduction, error: ErrorMeasure) -> bool | None:
    """Whether the error is within the bound and its round-off; None where one of them is missing."""
    if reduction.error_bound is None or not np.isfinite(error.peak):
        return None
    return error.within(reduction.error_bound + reduction.roundoff)


def of_the_kind(system: System, reduction: Reduction) -> Reduction:
    """`reduction` with a dense system if the full one is dense: whatever reads the file of the one
    reads that of the other."""
    if system.batch_shape:
        raise DimensionError(f"the file holds a batch of {system.batch_shape} systems; give one at a time.")
    return replace(reduction, system=reduction.system.to_lti()) if isinstance(system, LTI) else reduction


def finite_or_none(value: float) -> float | None:
    """A number as JSON has it: none where it is infinite or not a number."""
    return float(value) if np.isfinite(value) else None
