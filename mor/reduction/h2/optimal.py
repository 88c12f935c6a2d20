"""Minimisation of the H2 error by its gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
from scipy.optimize import OptimizeResult, minimize

from mor.analysis.norms import h2_error
from mor.errors import ReductionError
from mor.reduction.h2.coordinates import ContinuousCoordinates, DiscreteCoordinates
from mor.reduction.h2.fixed_point import ITERATIONS, TOLERANCE, iterate
from mor.reduction.h2.objective import H2Objective
from mor.reduction.h2.start import objective, result, starting_system
from mor.reduction.result import Reduction
from mor.systems.convert import as_system
from mor.systems.lti import LTI

#: Why L-BFGS stops: its status 2 is a line search that finds no decrease any more.
_REASONS = {1: "iterations", 2: "no decrease above round-off"}


def h2_optimal(
    sys: Any,
    order: int,
    *,
    horizon: float | None = None,
    start: Any = None,
    tol: float = 1e-8,
    max_iterations: int = 500,
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
        ``"tsia"``, poles (one of each conjugate pair; all, if the system is complex), or a stable
        system of that order.
        None is ``"tsia"``, or ``"bt"`` if there is a horizon.
    tol : the iteration ends when no entry of the gradient of the squared error, over the one of
        the start, is larger.
    max_iterations : it ends here at the latest.

    Returns
    -------
    Reduction
        Never worse than the start. ``diagnostics``: ``h2_error``, ``start_error``,
        ``iterations``, ``stopped`` (why), ``history`` (relative errors by iteration).

    Raises
    ------
    UnstableSystemError, ReductionError

    Notes
    -----
    A local minimum, and the best start is not known beforehand. An iteration costs four
    equations of the full and the reduced size, ``8 n^2 r`` flops on the Schur form of A, which is
    computed once (``25 n^3``). With a finite horizon the true optimum may be unstable;
    this finds the best stable system near the start.

    Sources: Wilson (1970), Van Dooren et al. (2008) for the gradient; see
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
    problem = objective(system, order, horizon)
    first = _first(problem, order, start)
    best, diagnostics = descend(problem, first, tol, max_iterations)
    return result(system, best, problem.horizon, "H2-optimal reduction", diagnostics)


def _first(problem: H2Objective, order: int, start: Any) -> LTI:
    if start is None:
        start = "tsia" if problem.horizon is None else "bt"
    if not (isinstance(start, str) and start == "tsia"):
        return starting_system(problem.system, order, problem.horizon, start)
    if problem.horizon is not None:
        raise ReductionError("start='tsia' solves no optimality condition on a finite horizon; take 'bt'.")
    return iterate(problem, starting_system(problem.system, order, None, "bt"), TOLERANCE, ITERATIONS)[0]


def descend(problem: H2Objective, first: LTI, tol: float, max_iterations: int) -> tuple[LTI, dict[str, Any]]:
    """The best system found from `first` on, and how it was found."""
    dtype = problem.system.A.dtype
    F, G = (x.astype(dtype) for x in input_normal(first))
    kind = DiscreteCoordinates if first.dt else ContinuousCoordinates
    coordinates, x = kind.around(F, G)
    history: list[float] = []

    # In units of the error at the start steps have the right length; round-off sets a floor.
    floor = len(problem.system.A) * np.finfo(float).eps
    unit = max(problem.value(problem.at(F, G)), floor)

    def evaluate(x: np.ndarray) -> tuple[float, np.ndarray]:
        reduced = problem.at(*coordinates.system(x))
        return problem.value(reduced) / unit, coordinates.pull(x, *problem.gradient(reduced)) / unit

    def note(intermediate_result: OptimizeResult) -> None:
        history.append(float(np.sqrt(max(0.0, intermediate_result.fun * unit))))

    found = minimize(
        evaluate,
        x,
        jac=True,
        method="L-BFGS-B",
        callback=note,
        options={"maxiter": max_iterations, "gtol": tol, "ftol": np.finfo(float).eps / unit, "maxcor": 30},
    )
    reduced = problem.at(*coordinates.system(found.x))
    last = LTI(reduced.F, reduced.G, reduced.H, dt=first.dt)
    errors = [float(h2_error(problem.proper, rom, horizon=problem.horizon)) for rom in (first, last)]
    better = errors[1] <= errors[0] and last.is_stable
    stopped = _REASONS.get(found.status, "converged")
    return (last if better else first), {
        "start_error": errors[0],
        "iterations": int(found.nit),
        "stopped": stopped if better else f"no better than the start ({stopped})",
        "history": history,
    }


def input_normal(system: LTI) -> tuple[np.ndarray, np.ndarray]:
    """(F, G) of `system` in coordinates in which its controllability Gramian is I."""
    Z = system.controllability_factor()
    U, s, _ = np.linalg.svd(Z)
    root = U * s
    return scipy.linalg.solve(root, system.A @ root), scipy.linalg.solve(root, system.B)
