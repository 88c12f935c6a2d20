"""Plain data on the reduction of one system, every error measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mor.analysis.error import ErrorMeasure, measure
from mor.equations.band import Band
from mor.errors import DimensionError
from mor.reduction.result import Reduction
from mor.report.summary import Summary
from mor.systems.base import System
from mor.systems.lti import LTI


def reduction_summary(
    system: System, reduction: Reduction, horizon: float | None, band: Band | None = None
) -> Summary:
    """Orders, Hankel singular values, the bound and the errors that it was to bound.

    ``hinf_error`` is the largest gain of the error over frequency, ``hinf_noise`` by how much that
    may be wrong, ``hinf_limit`` what the norm does not exceed, proven; None where the systems are
    so large that the gain was only searched for. ``proven`` says whether both are one number to
    1 %. They are None if a system is unstable, unless its unstable part was kept: then they are
    those of the stable parts. With a horizon or a band the H2 errors are limited to it; infinite
    ones (D has changed in continuous time) are None, as are infinite ``hsv``.
    """
    full, rom = reduction.stable_parts or (system, reduction.system)
    found = measure(full, rom, horizon=horizon, band=band)
    return {
        "order": [system.order, reduction.order],
        "inputs": system.n_inputs,
        "outputs": system.n_outputs,
        "dt": system.dt,
        "method": reduction.method,
        "horizon": horizon,
        "band": None if band is None else [_finite(end) for end in band],
        "stable": reduction.system.is_stable,
        "hsv": [_finite(value) for value in np.asarray(reduction.hsv, dtype=float)],
        "error_bound": reduction.error_bound,
        "roundoff": reduction.roundoff,
        "hinf_error": _finite(found.peak),
        "hinf_limit": _finite(found.limit),
        "hinf_noise": _finite(found.noise),
        "proven": found.proven,
        "peak_frequency": _finite(found.omega),
        "h2_error": _finite(found.h2),
        "h2_relative": _finite(found.h2_relative),
        "holds": _holds(reduction, found),
        "iterations": reduction.diagnostics.get("iterations"),
        "stopped": reduction.diagnostics.get("stopped"),
        "note": reduction.diagnostics.get("note"),
    }


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


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
