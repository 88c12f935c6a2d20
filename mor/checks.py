"""Checks of arguments that more than one room makes: shapes, finite values, time."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from mor.arrays import Array, is_concrete, namespace, to_numpy
from mor.errors import DimensionError, NotFiniteError, TimeStepError


def check_dt(dt: Any) -> float:
    """`dt` as a float: 0 continuous, positive discrete."""
    try:
        value = float(dt)
    except (TypeError, ValueError):
        raise TimeStepError(
            f"dt must be a number, 0 (continuous) or positive (discrete), not {dt!r}."
        ) from None
    if not np.isfinite(value) or value < 0:
        raise TimeStepError(f"dt must be 0 (continuous) or a positive finite step (discrete), not {dt!r}.")
    return value


def check_continuous_step(dt: float, step: float) -> None:
    """Raise unless a system of time step `dt` can be discretised with `step`."""
    if dt:
        raise TimeStepError(f"The system is discrete already (dt={dt:g}).")
    if check_dt(step) == 0:
        raise TimeStepError("the step of a discretisation must be positive.")


def check_horizon(horizon: float | None, dt: float) -> float | None:
    """`horizon` as None, a positive end time, or a positive whole number of steps."""
    if horizon is None:
        return None
    if not isinstance(horizon, Real):
        raise TimeStepError(f"horizon must be a number, or None for infinite, not {horizon!r}.")
    if not np.isfinite(horizon) or horizon <= 0:
        raise TimeStepError(f"horizon must be positive and finite, or None for infinite, not {horizon!r}.")
    if dt and horizon != int(horizon):
        raise TimeStepError(
            f"horizon={horizon!r}: in discrete time (dt={dt:g}) it is a whole number of steps, not a time."
        )
    return int(horizon) if dt else float(horizon)


def check_finite(**arrays: Array) -> None:
    """Raise :class:`NotFiniteError` naming the array and entry; traced values pass."""
    for name, x in arrays.items():
        # NumPy's arrays are not asked through the namespace: a small system would spend a tenth there.
        if type(x) is np.ndarray and x.dtype.kind in "fc" and np.isfinite(x.sum()):
            continue
        if x is None or not is_concrete(x) or namespace(x).isdtype(x.dtype, "integral"):
            continue
        xp = namespace(x)
        # A finite sum, one cheap pass, proves finite entries; else look at each.
        if bool(xp.isfinite(xp.sum(x))):
            continue
        values = to_numpy(x)
        where = np.argwhere(~np.isfinite(values))
        if len(where):
            raise NotFiniteError(
                f"{name} has {len(where)} entries that are not finite, the first at "
                f"{where[0].tolist()}: {values[tuple(where[0])]}."
            )


def check_shape(name: str, actual: tuple[int, ...], expected: tuple[Any, ...]) -> None:
    """Raise :class:`DimensionError` unless the last axes of `actual` are `expected`."""
    tail = actual[len(actual) - len(expected) :] if len(actual) >= len(expected) else None
    if tail is None or any(e is not None and e != t for t, e in zip(tail, expected, strict=True)):
        wanted = ", ".join("*" if e is None else str(e) for e in expected)
        raise DimensionError(f"{name} has shape {actual}; its last axes must be ({wanted}).")
