"""Reductions of systems whose squared H2 norm may be out of range, by way of moderate units."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from mor.errors import NotFiniteError
from mor.reduction.result import Reduction
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.units import OWN, from_units, in_units, out_of_units

#: What diagnostics hold in the units of the norm.
_ERRORS = ("h2_error", "start_error")


def in_moderate_units(
    system: System, start: Any, reduce: Callable[[System, Any], Reduction]
) -> Reduction | None:
    """What `reduce` makes of the system in other units and of a start in them, back in its own; None where
    its own will do.

    Raises
    ------
    NotFiniteError
        If outputs are quadratic, or a number of the result cannot be represented.
    """
    inner, units = in_units(system) if not system.batch_shape else (system, OWN)
    if units is OWN:
        return None
    if not system.is_linear:
        raise NotFiniteError(
            "entries of B, C or M are so large or small that the squared H2 norm would leave the range of "
            "double precision: choose other units of the signals."
        )
    if not (start is None or isinstance(start, str | list | np.ndarray)):
        start = as_system(start).in_units(*units)
    rom = reduce(inner, start)
    errors = {name: rom.diagnostics[name] for name in _ERRORS if name in rom.diagnostics}
    scaled = {name: float(from_units(np.asarray(x), units.gain, 0, name)) for name, x in errors.items()}
    return replace(
        rom,
        system=out_of_units(rom.system, units, system.D),
        hsv=from_units(rom.hsv, units.gain, 1, "the largest Hankel singular value"),
        diagnostics=rom.diagnostics | scaled,
    )
