"""Unstable parts that are kept beside a reduction in the H2 norm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from mor.analysis.norms import h2_error
from mor.reduction.balance import balance
from mor.reduction.h2.start import check_single
from mor.reduction.result import Reduction
from mor.reduction.splitting import split_stable, too_few_states
from mor.systems.base import System


def beside_unstable(
    system: System, order: int, method: Callable[[System, int], Reduction], name: str
) -> Reduction:
    """The stable part reduced by `method`, so that with the rest, kept as it is, `order` states remain.

    Raises
    ------
    QuadraticOutputError
        If outputs are quadratic.
    ReductionError
        If `order` is below the number of states that are kept; and what the method raises.
    """
    check_single(system, order)
    stable, rest = split_stable(system)
    kept = rest.order
    if not kept:
        return method(system, order)
    if order < kept:
        raise too_few_states(order, kept)
    rom = method(stable, order - kept) if order > kept else _without_states(stable, name)
    diagnostics: dict[str, Any] = {"unstable_states_kept": kept, **rom.diagnostics}
    if "note" in diagnostics:
        diagnostics["note"] = f"of the stable part {diagnostics['note']}"
    return replace(
        rom,
        system=rom.system + rest,
        order=rom.order + kept,
        full_order=system.order,
        hsv=np.concatenate([np.full(kept, np.inf), rom.hsv]),
        method=f"{rom.method} of the stable part",
        diagnostics=diagnostics,
        stable_parts=(stable, rom.system),
    )


def _without_states(stable: System, name: str) -> Reduction:
    """Only D is left of the stable part."""
    balancing: Any = balance(stable)
    rom = balancing.truncate(0)
    error = float(h2_error(stable, rom.system))
    found = {"h2_error": error, "start_error": error, "iterations": 0, "stopped": "no states to choose"}
    return Reduction(rom.system, 0, stable.order, rom.hsv, None, name, diagnostics=found)
