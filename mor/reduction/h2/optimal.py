"""Minimisation of the H2 error by its gradient."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from mor.checks import check_order, guarded, shown
from mor.errors import MorError, ReductionError
from mor.reduction.h2.coordinates import ContinuousCoordinates, DiscreteCoordinates, InputNormal
from mor.reduction.h2.fixed_point import ITERATIONS, TOLERANCE, iterate
from mor.reduction.h2.kept import beside_unstable
from mor.reduction.h2.objective import H2Objective
from mor.reduction.h2.rescaled import in_moderate_units
from mor.reduction.h2.start import check_effort, h2_distance, objective, result, starting_system
from mor.reduction.result import Reduction
from mor.reduction.splitting import keeps_unstable
from mor.systems.convert import as_system
from mor.systems.lti import LTI
from mor.threads import threads_by_order

Coordinates = ContinuousCoordinates | DiscreteCoordinates

#: The name of the method in its results.
METHOD = "H2-optimal reduction"

#: Where a fixed-point iteration by name starts.
_FIXED_POINTS = {"tsia": "bt", "irka": "modal"}


@guarded
@threads_by_order
def h2_optimal(
    sys: Any,
    order: int,
    *,
    horizon: float | None = None,
    start: Any = None,
    tol: float = 1e-8,
    max_iterations: int = 500,
    unstable: str = "error",
) -> Reduction:
    r"""Reduction by descent on the H2 error, stable at every step.

    .. math:: \min_{F, G, H} \|C (\cdot - A)^{-1} B - H (\cdot - F)^{-1} G\|_{h_2}

    over reduced systems with the controllability Gramian I, which are stable whatever the
    free variables are; H is the best there is for F and G. L-BFGS on the exact gradient.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes; stable unless there is a horizon.
    order : number of states of the result.
    horizon : end time or number of steps of the norm; None is infinite.
    start : ``"bt"`` (balanced truncation, time-limited if there is a horizon), ``"modal"``,
        ``"spread"`` (real poles, evenly spread over the logarithm of their rates), ``"tsia"``, ``"irka"``
        (fixed points from the first two), poles (one of each conjugate pair), or a stable system of that
        order. None is the best of the fixed points from the first three, for an infinite horizon, and,
        if there is a horizon, of ``"bt"``.
    tol : the iteration ends when no entry of the gradient of the squared error, in units of the
        squared error at the start and the distances of its poles to the stability boundary, is larger.
    max_iterations : it ends here at the latest.
    unstable : ``"error"``, or ``"split"`` to reduce the stable part of :func:`mor.split_stable` and to keep
        the rest as it is: `order` then counts all states, `start` is that of the stable part, and the error
        measured is that of the stable part (``stable_parts``).

    Returns
    -------
    Reduction
        Never worse than the start; of lower order if the full system, or the start, has no more
        states above round-off (``diagnostics["note"]``). ``diagnostics``: ``h2_error``,
        ``start_error``, ``iterations``, ``stopped`` (why), ``gradient`` (its largest entry at the end, in
        the units of `tol`), ``history`` (relative errors by iteration, right to about 1e-8).

    Raises
    ------
    UnstableSystemError, QuadraticOutputError, ReductionError, ArgumentError, DimensionError
        As :func:`mor.tsia`.
    TimeStepError, NotFiniteError, SingularEquationError
        As :func:`mor.tsia`, too.

    Notes
    -----
    A local minimum: starts differ in which one. An iteration costs two equations of the full
    system, ``8 n^2 r`` flops each on the Schur form of A, which is computed once (``25 n^3``), and
    ``8 n r^2`` for a modal one. With a finite horizon the true optimum may be unstable; this finds
    the best stable system near the start. Unstable poles of a start are mirrored.

    Source: [Wilson70], [VanDooren08] for the gradient; see
    :mod:`mor.reduction.h2.coordinates` for the coordinates.

    Examples
    --------
    >>> import mor
    >>> sys = ([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]])
    >>> best, bt = mor.h2_optimal(sys, 1), mor.balanced_truncation(sys, 1)
    >>> best.diagnostics["h2_error"] <= mor.h2_error(sys, bt.system)
    np.True_
    """
    system = as_system(sys)
    tol, max_iterations = check_effort(tol, max_iterations)
    if keeps_unstable(unstable, horizon):
        how = partial(h2_optimal, start=start, tol=tol, max_iterations=max_iterations)
        return beside_unstable(system, order, how, METHOD)
    order = check_order(order, 1, system.order)
    options = {"horizon": horizon, "tol": tol, "max_iterations": max_iterations}
    rescaled = in_moderate_units(system, start, lambda s, x: h2_optimal(s, order, start=x, **options))
    if rescaled is not None:
        return rescaled
    problem = objective(system, order, horizon)
    best, diagnostics = descend(problem, _first(problem, order, start), tol, max_iterations)
    return result(problem, system, order, best, METHOD, diagnostics)


def _first(problem: H2Objective, order: int, start: Any) -> LTI:
    finite = problem.horizon is not None
    if start is None:
        found = [starting_system(problem, order, "bt")] if finite else []
        if problem.system.is_stable:
            found.append(_best_fixed_point(replace(problem, horizon=None), order))
        return min(found, key=lambda rom: h2_distance(problem, rom))
    if not (isinstance(start, str) and start in _FIXED_POINTS):
        return starting_system(problem, order, start)
    if finite:
        raise ReductionError(
            f"start={shown(start)} solves no optimality condition on a finite horizon; take 'bt'."
        )
    return _fixed_point(problem, order, _FIXED_POINTS[start])[0]


def _fixed_point(problem: H2Objective, order: int, start: str) -> tuple[LTI, float]:
    rom, diagnostics = iterate(problem, starting_system(problem, order, start), TOLERANCE, ITERATIONS)
    return rom, diagnostics["h2_error"]


def _best_fixed_point(problem: H2Objective, order: int) -> LTI:
    """Of the fixed points from different starts, of which some may fail or be short of states."""
    found: list[tuple[LTI, float]] = []
    failure: MorError = ReductionError("no start was found.")
    for start in ("bt", "modal", "spread"):
        try:
            found.append(_fixed_point(problem, order, start))
        except MorError as error:
            failure = error
        if found and found[0][0].order < order:
            break
    if not found:
        raise failure
    return min(found, key=lambda pair: pair[1])[0]


def descend(problem: H2Objective, first: LTI, tol: float, max_iterations: int) -> tuple[LTI, dict[str, Any]]:
    """The best system found from `first` on, and how it was found."""
    last, search = first, {"iterations": 0, "gradient": float("inf"), "history": []}
    try:
        start = InputNormal.of(first, is_real=problem.system.is_real)
        kind = DiscreteCoordinates if first.dt else ContinuousCoordinates
        coordinates, x = kind.around(start)
        x, search = _minimize(problem, coordinates, x, tol, max_iterations)
        reduced = problem.at(*coordinates.system(x))
        last = LTI(reduced.F, reduced.G, reduced.H, dt=first.dt)
    except MorError as failure:
        search["stopped"] = f"broke down: {failure}"
    errors = [h2_distance(problem, rom) for rom in (first, last)]
    better = errors[1] < errors[0] and last.is_stable
    return (last if better else first), {
        "h2_error": errors[1] if better else errors[0],
        "start_error": errors[0],
        **search,
    }


def _minimize(
    problem: H2Objective,
    coordinates: Coordinates,
    x: np.ndarray,
    tol: float,
    max_iterations: int,
) -> tuple[np.ndarray, dict[str, Any]]:
    """The best variables found, and how the search went."""
    # In units of the error at the start steps have the right length; round-off sets a floor.
    floor = problem.system.order * np.finfo(float).eps
    unit = max(problem.value(problem.at(*coordinates.system(x))), floor)
    best: tuple[float, np.ndarray, float] = (float("inf"), x, float("inf"))
    history: list[float] = []

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal best
        reduced = problem.at(*coordinates.system(x))
        value, slope = problem.value(reduced), coordinates.pull(x, *problem.gradient(reduced)) / unit
        if value < best[0]:
            best = value, x.copy(), float(np.max(np.abs(slope)))
        if not history:
            note()
        if not max_iterations:
            raise StopIteration
        return value / unit, slope

    def note(_: Any = None) -> None:
        history.append(max(best[0], 0.0) ** 0.5)

    from scipy.optimize import minimize  # a tenth of a second that other reductions need not wait for

    options = {"maxiter": max_iterations, "gtol": tol, "ftol": np.finfo(float).eps / unit, "maxcor": 30}
    try:
        found = minimize(
            evaluate,
            x,
            jac=True,
            method="L-BFGS-B",
            callback=note,
            options=options,
        )
        stopped = f"{max_iterations} iterations" if found.status == 1 else "no decrease above round-off"
    except StopIteration:
        stopped = "0 iterations"
    except MorError as failure:
        stopped = f"broke down: {failure}"
    if best[2] <= tol:
        stopped = "converged"
    return best[1], {
        "iterations": len(history) - 1,
        "stopped": stopped,
        "gradient": best[2],
        "history": history,
    }
