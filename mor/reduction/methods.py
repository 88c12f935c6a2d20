"""The methods of reduction by short names, for the command line."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mor.errors import ReductionError
from mor.reduction.balanced import balanced_truncation
from mor.reduction.h2.fixed_point import irka, tsia
from mor.reduction.h2.optimal import h2_optimal
from mor.reduction.modal import modal_truncation
from mor.reduction.result import Reduction

METHODS: dict[str, Callable[..., Any]] = {
    "bt": balanced_truncation,
    "tsia": tsia,
    "irka": irka,
    "h2": h2_optimal,
    "modal": modal_truncation,
}

#: Options that are not for every method, the methods that know them, and what to say of them.
_OPTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "tol": (("bt", "modal"), "is a limit on the bound of bt or modal; give method {method} an order"),
    "rel_tol": (("bt", "modal"), "is a limit on the bound of bt or modal; give method {method} an order"),
    "horizon": (("bt", "tsia", "h2"), "is for bt, tsia and h2, not for {method}"),
    "band": (("bt",), "is for bt, not for {method}"),
    "match": (("bt",), "is for bt, not for {method}"),
    "unstable": (tuple(METHODS), ""),
}


def reduce_by(method: str, sys: Any, order: int | None = None, **options: Any) -> Reduction:
    """Reduce `sys` by the method of that name.

    Parameters
    ----------
    method : "bt", "tsia", "irka", "h2" or "modal".
    sys, order : as for the method; one order.
    **options : `tol`, `rel_tol`, `horizon`, `band`, `match`, `unstable` of the method; None is its default.

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
        raise ReductionError(f"method={method!r} is not one of {', '.join(METHODS)}.")
    given = {name: value for name, value in options.items() if value is not None}
    for name, value in given.items():
        methods, advice = _OPTIONS[name]
        if method not in methods:
            raise ReductionError(f"{name}={value} {advice.format(method=method)}.")
    return METHODS[method](sys, order, **given)
