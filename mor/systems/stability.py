"""What is said of a system that is not stable where one that is is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from mor.arrays import is_concrete, to_numpy
from mor.equations.boundary import unstable_message
from mor.errors import NotFiniteError, UnstableSystemError, keyword

if TYPE_CHECKING:
    from mor.systems.base import System


def require_stable(system: System, purpose: str, otherwise: str | None) -> None:
    """:meth:`mor.systems.base.System.require_stable`."""
    if not is_concrete(system.poles):
        return
    poles = to_numpy(system.poles)
    if not np.all(np.isfinite(poles)):
        where = np.argwhere(~np.isfinite(poles))[0].tolist()
        raise NotFiniteError(f"pole {where} is {poles[tuple(where)]}: {purpose} needs finite data.")
    margin, error = to_numpy(system.margins), np.broadcast_to(to_numpy(system.pole_errors), poles.shape)
    if np.all(margin > error):
        return
    worst = np.unravel_index(np.argmin(margin - error), margin.shape)
    place = ", ".join(str(int(i)) for i in worst)
    raise UnstableSystemError(
        unstable_message(
            poles[worst],
            place,
            system.dt,
            float(error[worst]),
            purpose if otherwise is not None else f"{purpose} on an infinite horizon",
            needs="a strictly stable system",
            remedy=_remedy(system.dt, bool(margin[worst] < -error[worst]), otherwise),
        )
    )


def _remedy(dt: float, unstable: bool, otherwise: str | None) -> str:
    """What to do about an unstable pole, or one on the boundary."""
    horizon = f"{keyword('horizon')} gives the finite-horizon quantity, which any system has."
    if not unstable:
        return otherwise or f"mor.split_stable sets such poles apart; {horizon}"
    kind, step = ("continuous", keyword("dt", "0")) if dt else ("discrete", f"its step as {keyword('dt')}")
    other = f"If this is a {kind}-time system, give {step}"
    return f"{other}. {otherwise}" if otherwise else f"{other}; {horizon}"
