"""Gramians as objects: one file a kind, one list of them.

A kind says its names, what it needs of a system, its factors, what it promises of a reduced system and the
error bound of every order (:class:`~mor.analysis.gramians.base.Gramians`). The command line, the report,
the plots and the docs read :data:`KINDS`: a new kind is a file and its entry there.
"""

from __future__ import annotations

from typing import Any

from mor.analysis.gramians.base import Gramians
from mor.analysis.gramians.frequency_limited import FrequencyLimited
from mor.analysis.gramians.infinite import Infinite
from mor.analysis.gramians.time_limited import TimeLimited
from mor.analysis.gramians.weighted import Weighted
from mor.checks import shown
from mor.errors import ReductionTypeError, TimeStepError, keyword

#: All kinds, by the names that they have on the command line.
KINDS: dict[str, type[Gramians]] = {
    kind.name: kind
    for kind in (
        Infinite,
        TimeLimited,
        FrequencyLimited,
        Weighted,
    )
}

INFINITE = Infinite()


def gramians_of(gramians: Any, horizon: Any = None, band: Any = None) -> Gramians:
    """The Gramians that the options of a function ask for.

    Raises
    ------
    TimeStepError
        If `horizon` or `band` make no sense, or more than one of the three is given.
    ReductionTypeError
        If `gramians` are none.
    """
    check_one_limit(gramians=gramians, horizon=horizon, band=band)
    if horizon is not None:
        return TimeLimited(horizon)
    if band is not None:
        return FrequencyLimited(band)
    if gramians is None:
        return INFINITE
    if not isinstance(gramians, Gramians):
        kinds = ", ".join(f"mor.{kind.__name__}(...)" for kind in KINDS.values())
        raise ReductionTypeError(
            f"{keyword('gramians', shown(gramians))} is none of {kinds}.", argument="gramians"
        )
    return gramians


def check_one_limit(**limits: Any) -> None:
    """Raise if more than one of them is given."""
    given = [keyword(name) for name, value in limits.items() if value is not None]
    if len(given) > 1:
        both = "both" if len(given) == 2 else "all"
        raise TimeStepError(f"give {' or '.join(given)}, not {both}: they exclude each other.")
