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

METHODS: dict[str, Callable[..., Reduction]] = {
    "bt": balanced_truncation,
    "tsia": tsia,
    "irka": irka,
    "h2": h2_optimal,
    "modal": modal_truncation,
}

#: Those that know tolerances, and those that know finite horizons.
_WITH_TOL, _WITH_HORIZON = ("bt",), ("bt", "h2")


def reduce_by(
    method: str,
    sys: Any,
    order: int | None = None,
    *,
    tol: float | None = None,
    horizon: float | None = None,
) -> Reduction:
    """Reduce `sys` by the method of that name.

    Raises
    ------
    ReductionError
        If there is no such method, or it knows no `tol` (a limit on the error bound) or no
        `horizon`; and what the method itself raises.

    Examples
    --------
    >>> reduce_by("bt", ([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]), tol=0.1).order
    1
    """
    if method not in METHODS:
        raise ReductionError(f"method={method!r} is not one of {', '.join(METHODS)}.")
    options: dict[str, Any] = {}
    if tol is not None:
        if method not in _WITH_TOL:
            raise ReductionError(f"tol={tol:g} is a limit on the bound of bt; give method {method} an order.")
        options["tol"] = tol
    if horizon is not None:
        if method not in _WITH_HORIZON:
            raise ReductionError(f"horizon={horizon:g} is for bt and h2, not for {method}.")
        options["horizon"] = horizon
    return METHODS[method](sys, order, **options)
