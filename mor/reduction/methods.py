"""The methods of reduction by short names: one list for the command line and for the layers of networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from mor.errors import ReductionError, keyword
from mor.reduction.balance import balance
from mor.reduction.balanced import balanced_truncation
from mor.reduction.h2.fixed_point import irka, tsia
from mor.reduction.h2.optimal import h2_optimal
from mor.reduction.modal import modal_truncation, rank_modes
from mor.reduction.result import Reduction


@dataclass(frozen=True)
class Method:
    """A method of reduction.

    Attributes
    ----------
    name : on the command line.
    help : what it is, in a few words.
    function : called with a system, an order or None, and options.
    options : keywords that it knows, beside ``unstable``.
    family : what sees through a system for all orders; None where each order is found by itself, so that
        layers of a network cannot share a budget by it.
    """

    name: str
    help: str
    function: Callable[..., Any]
    options: tuple[str, ...] = ()
    family: Callable[..., Any] | None = None


_LIMITS = ("tol", "rel_tol")

METHODS: dict[str, Method] = {
    method.name: method
    for method in (
        Method(
            "bt",
            "balanced truncation",
            balanced_truncation,
            (*_LIMITS, "gramians", "horizon", "band", "match"),
            balance,
        ),
        Method("tsia", "H2 error by two-sided iteration", tsia, ("horizon",)),
        Method("irka", "H2 error by interpolation", irka),
        Method("h2", "least H2 error", h2_optimal, ("horizon",)),
        Method("modal", "whole modes by gain", modal_truncation, _LIMITS, partial(rank_modes, score="hinf")),
        Method(
            "modal-h2",
            "whole modes by energy",
            partial(modal_truncation, score="h2"),
            _LIMITS,
            partial(rank_modes, score="h2"),
        ),
    )
}

#: Those that reduce the layers of a network.
FAMILIES: dict[str, Method] = {name: method for name, method in METHODS.items() if method.family}


def explained(methods: dict[str, Method]) -> str:
    """Their names and what they are."""
    return "; ".join(f"{name}: {method.help}" for name, method in methods.items())


def knowing(option: str) -> str:
    """The names of the methods that know an option."""
    return ", ".join(name for name, method in METHODS.items() if option in method.options)


def reduce_by(method: str, sys: Any, order: int | None = None, **options: Any) -> Reduction:
    """Reduce `sys` by the method of that name.

    Parameters
    ----------
    method : one of `METHODS`.
    sys, order : as for the method; one order.
    **options : of the method; None is its default.

    Raises
    ------
    ReductionError
        If there is no such method, or it does not know an option; and what the method
        itself raises.

    Examples
    --------
    >>> reduce_by("bt", ([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]), tol=0.1).order
    1
    """
    if method not in METHODS:
        raise ReductionError(f"{keyword('method', repr(method))} is not one of {', '.join(METHODS)}.")
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        if name not in (*METHODS[method].options, "unstable"):
            instead = f"; give method {method} an order" if name in _LIMITS else ""
            what = keyword(name, str(getattr(value, "name", value)))
            raise ReductionError(f"{what} is for {knowing(name)}, not for {method}{instead}.")
    return METHODS[method].function(sys, order, **given)
