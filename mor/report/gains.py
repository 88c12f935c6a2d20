"""Largest gains of errors: in how far they are known, and what is said of it."""

from __future__ import annotations

import math
from typing import Any, Protocol

from mor.analysis.error import ErrorMeasure
from mor.report.document import Note, note, number


class _Error(Protocol):
    @property
    def hinf_error(self) -> float: ...

    @property
    def hinf_limit(self) -> float: ...


def gain_fields(found: ErrorMeasure) -> dict[str, Any]:
    """What reports have of every largest gain beside the gain itself."""
    return {
        "hinf_limit": found.limit,
        "hinf_noise": found.noise,
        "proven": found.proven,
        "peak_frequency": found.omega,
    }


def measured(error: float, limit: float, proven: bool, *, short: bool = False) -> str:
    """A largest gain, and whether it is proven, limited or only searched for."""
    shown = number(error)
    if not math.isfinite(error):
        return shown
    if not math.isfinite(limit):
        return f"~ {shown}" if short else f"{shown} (searched for)"
    if proven:
        return shown if short else f"{shown} (proven)"
    return f"{shown}, at most {number(limit)}"


def searched_for(what: str, *errors: _Error) -> list[Note]:
    """That `what` is no limit, where it is said of one of these errors."""
    if all(math.isfinite(x.hinf_limit) or not math.isfinite(x.hinf_error) for x in errors):
        return []
    return [
        note(
            f"{what} is the largest gain that a search over frequency found; "
            "mor.peak_gain(full - reduced) in Python proves a limit."
        )
    ]
