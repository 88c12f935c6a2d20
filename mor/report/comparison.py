"""Plain data on several reduced systems beside the full one."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from mor.analysis.dcgain import dcgain
from mor.analysis.error import ErrorMeasure, measure
from mor.errors import DimensionError, at
from mor.report.reduction import finite_or_none
from mor.report.summary import Summary
from mor.systems.base import System
from mor.systems.lti import LTI


def comparison_summary(full: tuple[str, System], roms: Mapping[str, System]) -> Summary:
    """What `full`, by its name, and each of `roms` are, and how far each is from it.

    Errors are those of :func:`mor.analysis.error.measure`; relative ones are shares of the norms of the
    full system, ``h2_error`` of it without D. ``hinf_limit`` is None where the gain was only searched
    for; errors are None where a system is unstable, or where they are infinite (D has changed in
    continuous time). ``dc_error`` is the largest singular value of the difference of the gains at
    frequency zero, None where a pole is there. ``seconds`` is what measuring took.

    Raises
    ------
    DimensionError, TimeStepError
        Naming the reduced system whose signals or time step are others than those of the full one,
        or the one that is a batch.
    """
    name, system = full
    for each, sys in {name: system, **roms}.items():
        if sys.batch_shape:
            raise DimensionError(f"{each} holds a batch of {sys.batch_shape} systems; give one at a time.")
    start = time.perf_counter()
    size = measure(system, _nothing(system))
    return {
        "full": _facts(name, system)
        | {
            "h2_norm": finite_or_none(size.h2),
            **_gain("hinf_norm", size),
            "seconds": time.perf_counter() - start,
        },
        "inputs": system.n_inputs,
        "outputs": system.n_outputs,
        "dt": system.dt,
        "roms": [_compared(system, size, each, sys) for each, sys in roms.items()],
    }


def _compared(full: System, size: ErrorMeasure, name: str, rom: System) -> Summary:
    start = time.perf_counter()
    with at(name):
        found = measure(full, rom)
    dc, dc_relative = _dc_error(full, rom)
    return {
        **_facts(name, rom),
        **_gain("hinf_error", found),
        "hinf_relative": finite_or_none(found.peak / size.peak) if size.peak > 0 else None,
        "h2_error": finite_or_none(found.h2),
        "h2_relative": finite_or_none(found.h2_relative),
        "dc_error": dc,
        "dc_relative": dc_relative,
        "seconds": time.perf_counter() - start,
    }


def _facts(name: str, system: System) -> Summary:
    return {"name": name, "order": system.order, "stable": bool(system.is_stable)}


def _gain(what: str, found: ErrorMeasure) -> Summary:
    prefix = what.partition("_")[0]
    return {
        what: finite_or_none(found.peak),
        f"{prefix}_limit": finite_or_none(found.limit),
        f"{prefix}_noise": finite_or_none(found.noise),
        "proven": found.proven,
        "peak_frequency": finite_or_none(found.omega),
    }


def _dc_error(full: System, rom: System) -> tuple[float | None, float | None]:
    """Of the gains at frequency zero, absolute and relative to that of the full system."""
    at_rest = [dcgain(sys) for sys in (full, rom)]
    if not all(np.all(np.isfinite(gain)) for gain in at_rest):
        return None, None
    error, size = (_norm(gain) for gain in (at_rest[0] - at_rest[1], at_rest[0]))
    return error, error / size if size > 0 else None


def _norm(gain: Any) -> float:
    return float(np.max(np.linalg.svd(gain, compute_uv=False), initial=0.0))


def _nothing(system: System) -> LTI:
    """The system of order 0 with the same signals, whose distance is a norm."""
    m, p = system.n_inputs, system.n_outputs
    return LTI(np.zeros((0, 0)), np.zeros((0, m)), np.zeros((p, 0)), dt=system.dt)
