r"""Fixed points of the first-order conditions for the least H2 error.

With X and Z from :mod:`mor.reduction.h2.objective`, the reduced system is projected onto
``V = orth X`` along ``W = orth Z``,

.. math:: F = (W^H V)^{-1} W^H A V, \quad G = (W^H V)^{-1} W^H B, \quad H = C V,

which gives new X and Z. Where this stands still, the gradient of the error vanishes: the
transfer functions agree, in tangential directions, at the mirror images of the reduced poles.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from mor.arrays import adjoint
from mor.checks import check_finite, check_order, guarded, numbers
from mor.errors import DimensionError, MorError, ReductionError, SingularEquationError
from mor.reduction.h2.kept import beside_unstable
from mor.reduction.h2.objective import H2Objective
from mor.reduction.h2.rescaled import in_moderate_units
from mor.reduction.h2.start import check_effort, h2_distance, objective, result, starting_system
from mor.reduction.result import Reduction
from mor.reduction.splitting import keeps_unstable
from mor.systems.convert import as_system
from mor.systems.lti import LTI
from mor.threads import threads_by_order

#: Relative change of the poles that counts as none, and the most iterations, by default.
TOLERANCE, ITERATIONS = 1e-8, 100

#: Relative difference of errors that is round-off: of two iterates the later one is taken.
_TIE = 1e-12


@guarded
@threads_by_order
def tsia(
    sys: Any,
    order: int,
    *,
    horizon: float | None = None,
    start: Any = "bt",
    tol: float = TOLERANCE,
    max_iterations: int = ITERATIONS,
    unstable: str = "error",
) -> Reduction:
    r"""Two-sided iteration: H2 reduction by a fixed point of the optimality conditions.

    Solves two Sylvester equations for the current reduced system (F, G, H),

    .. math:: A X F^H - X + B G^H = 0, \quad A^H Z F - Z - C^H H = 0 \quad (dt > 0)
    .. math:: A X + X F^H + B G^H = 0, \quad A^H Z + Z F - C^H H = 0 \quad (dt = 0)

    and projects onto the range of X along that of Z, until the poles stand still.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes, stable.
    order : number of states of the result.
    horizon : end time or number of steps, for X and Z with the end terms of that horizon (P and X of
        :mod:`mor.reduction.h2.objective`, and the same for Z). **What this iteration converges to
        then solves no optimality condition**; :func:`mor.h2_optimal` does on any horizon.
    start : ``"bt"``, ``"modal"``, ``"spread"`` (real poles, evenly spread over the logarithm of
        their rates), poles (one of each conjugate pair; all, if the
        system is complex), or a stable system of that order.
    tol : the largest change of a pole, relative to ``|pole|`` (``|1 - pole|`` in discrete time), at
        which the iteration has converged.
    max_iterations : it ends here at the latest.
    unstable : ``"error"``, or ``"split"`` to reduce the stable part of :func:`mor.split_stable` and to keep
        the rest as it is: `order` then counts all states, `start` is that of the stable part, and the error
        measured is that of the stable part (``stable_parts``).

    Returns
    -------
    Reduction
        The stable iterate with the least error, the start included. ``diagnostics``:
        ``h2_error``, ``start_error``, ``iterations``, ``stopped``, ``history`` (relative errors, right
        to about 1e-8; infinite where an iterate is not stable). Of lower order if the full system has
        no more states above round-off (``diagnostics["note"]``).

    Raises
    ------
    UnstableSystemError
        If the system is not strictly stable, `horizon` is None and `unstable` is "error".
    QuadraticOutputError
        If outputs are quadratic and `unstable` is "split", or the system is complex.
    ReductionError
        If `order`, `start` or an option make no sense, or nothing is there to be reduced.
    ArgumentError
        If `tol` is negative or `max_iterations` no whole number.
    DimensionError
        Of a batch of systems.
    TimeStepError
        If `horizon` makes no sense.
    NotFiniteError
        If the data or the result leave the range of double precision.
    SingularEquationError
        As :func:`mor.split_stable` and :func:`mor.hankel_singular_values`.

    Notes
    -----
    It converges fast where it does; nothing makes it. :func:`mor.h2_optimal` always
    descends. Cost ``25 n^3`` flops once and ``16 n^2 r`` an iteration; ``16 n r^2`` for a modal system.

    Source: [Xu11]; [BunseGerstner10] in discrete time. Equals pyMOR's
    ``TSIAReductor`` (continuous time only).

    Examples
    --------
    >>> import mor
    >>> rom = mor.tsia(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]), order=1)
    >>> rom.diagnostics["stopped"]
    'converged'
    """
    system = as_system(sys)
    tol, max_iterations = check_effort(tol, max_iterations)
    if keeps_unstable(unstable, horizon):
        how = partial(tsia, start=start, tol=tol, max_iterations=max_iterations)
        return beside_unstable(system, order, how, "TSIA")
    order = check_order(order, 1, system.order)
    options = {"horizon": horizon, "tol": tol, "max_iterations": max_iterations}
    rescaled = in_moderate_units(system, start, lambda s, x: tsia(s, order, start=x, **options))
    if rescaled is not None:
        return rescaled
    problem = objective(system, order, horizon)
    first = starting_system(problem, order, start)
    rom, diagnostics = iterate(problem, first, tol, max_iterations)
    method = "TSIA" if problem.horizon is None else f"time-limited TSIA ({problem.horizon:g})"
    return result(problem, system, order, rom, method, diagnostics)


@guarded
@threads_by_order
def irka(
    sys: Any,
    order: int,
    *,
    shifts: Any = None,
    tol: float = TOLERANCE,
    max_iterations: int = ITERATIONS,
    unstable: str = "error",
) -> Reduction:
    r"""Iterative rational Krylov algorithm: H2 reduction by tangential interpolation.

    The reduced transfer function interpolates the full one in directions :math:`b_i, c_i` at
    shifts :math:`\sigma_i`; these are moved to the mirror images of the reduced poles,
    :math:`-\bar\lambda_i` or :math:`1/\bar\lambda_i`, and the directions to those of its residues,
    until

    .. math:: G(\sigma_i) b_i = G_r(\sigma_i) b_i, \quad c_i^H G(\sigma_i) = c_i^H G_r(\sigma_i),
              \quad c_i^H G'(\sigma_i) b_i = c_i^H G_r'(\sigma_i) b_i.

    Parameters
    ----------
    sys, order, tol, max_iterations, unstable : as for :func:`mor.tsia`.
    shifts : initial shifts, one of each conjugate pair (all, if the system is complex), in the
        right half-plane or outside the unit circle; None starts from the mirror images of the
        dominant poles, or where A is nearly defective from real poles spread over its rates.

    Returns
    -------
    Reduction
        As of :func:`mor.tsia`, and in ``diagnostics`` the final ``shifts``.

    Raises
    ------
    UnstableSystemError, QuadraticOutputError, ReductionError, ArgumentError
        As :func:`mor.tsia`.
    DimensionError, NotFiniteError, SingularEquationError
        As :func:`mor.tsia`, too.

    Notes
    -----
    With quadratic outputs (:class:`~mor.LQO`) it is one-sided, W = V: it interpolates in the inputs
    alone, and solves no optimality condition. It is cheap, and there to compare; take
    :func:`mor.tsia` or :func:`mor.h2_optimal`.

    The spaces spanned by :math:`(\sigma_i I - A)^{-1} B b_i` and
    :math:`(\sigma_i I - A)^{-H} C^H c_i` are those of the solutions X and Z of :func:`mor.tsia`,
    from which they are taken: for a real system in real arithmetic, and also where reduced poles coincide.

    Source: [Gugercin08]; [BunseGerstner10] in discrete time. Equals pyMOR's ``IRKAReductor``
    (continuous time only).

    Examples
    --------
    >>> import mor
    >>> rom = mor.irka(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]), order=1)
    >>> rom.diagnostics["stopped"]
    'converged'
    """
    system = as_system(sys)
    tol, max_iterations = check_effort(tol, max_iterations)
    if keeps_unstable(unstable):
        how = partial(irka, shifts=shifts, tol=tol, max_iterations=max_iterations)
        return beside_unstable(system, order, how, "IRKA")
    order = check_order(order, 1, system.order)
    options = {"shifts": shifts, "tol": tol, "max_iterations": max_iterations}
    rescaled = in_moderate_units(system, None, lambda s, _: irka(s, order, **options))
    if rescaled is not None:
        return rescaled
    problem = objective(system, order, None)
    first = _start_of_irka(problem, order, shifts)
    rom, diagnostics = iterate(problem, first, tol, max_iterations, one_sided=not system.is_linear)
    diagnostics["shifts"] = mirrored(rom.poles, system.dt)
    return result(problem, system, order, rom, "IRKA" if system.is_linear else "one-sided IRKA", diagnostics)


def _start_of_irka(problem: H2Objective, order: int, shifts: Any) -> LTI:
    if shifts is not None:
        points = np.atleast_1d(numbers("shifts", shifts).astype(complex))
        check_finite(shifts=points)
        if points.ndim != 1:
            raise DimensionError(f"shifts have shape {points.shape}; they must be (k,).", argument="shifts")
        return starting_system(problem, order, mirrored(points, problem.system.dt))
    try:
        return starting_system(problem, order, "modal")
    except ReductionError:
        # A nearly defective A has no modes to start from; the iteration needs no good start.
        return starting_system(problem, order, "spread")


def mirrored(points: np.ndarray, dt: float) -> np.ndarray:
    """Mirror images at the imaginary axis or the unit circle."""
    if not dt:
        return -points.conj()
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(points == 0, np.inf, 1 / points.conj())


def iterate(
    problem: H2Objective, first: LTI, tol: float, max_iterations: int, *, one_sided: bool = False
) -> tuple[LTI, dict[str, Any]]:
    """The best stable iterate from `first` on, and how the iteration went."""
    rom, best, before, stopped = first, first, None, f"{max_iterations} iterations"
    history: list[float] = []
    try:
        while True:
            X, error = _cross(problem, rom)
            best = rom if error <= (1 + _TIE) * min(history, default=0.0) else best
            history.append(error)
            if before is not None and _change(before, rom.poles, rom.dt) <= tol:
                stopped = "converged" if rom.is_stable else "converged to an unstable system"
                break
            if len(history) > max_iterations:
                break
            before, rom = rom.poles, _project(problem, rom, X, one_sided)
    except MorError as failure:
        stopped = f"broke down: {failure}"
    errors = [h2_distance(problem, candidate) for candidate in (first, best)]
    return (best if errors[1] <= errors[0] else first), {
        "h2_error": min(errors),
        "start_error": errors[0],
        "iterations": len(history) - 1,
        "stopped": stopped,
        "history": history,
    }


def _project(problem: H2Objective, rom: LTI, X: np.ndarray, one_sided: bool) -> LTI:
    V = np.linalg.qr(X)[0]
    W = V if one_sided else np.linalg.qr(problem.dual_cross(rom, X))[0]
    overlap = adjoint(W) @ V
    if np.linalg.cond(overlap) > 1 / np.finfo(float).eps:
        raise ReductionError("the two subspaces are orthogonal to each other in a direction.")
    W = np.linalg.solve(overlap, adjoint(W))
    return LTI(W @ problem.evolved(V), W @ problem.B, problem.C @ V, dt=rom.dt)


def _cross(problem: H2Objective, rom: LTI) -> tuple[np.ndarray, float]:
    """X, and the H2 error over the norm of the full system, infinite if `rom` is not stable."""
    if rom.is_stable:
        try:
            reduced = problem.at(rom.A, rom.B, rom.C)
            return reduced.X, max(problem.value(reduced), 0.0) ** 0.5
        except SingularEquationError:
            pass
    return problem.cross(rom.schur, rom.B, problem.flow(rom.A)), float("inf")


def _change(old: np.ndarray, new: np.ndarray, dt: float) -> float:
    """Largest relative change of a pole, each new one beside the nearest old one.

    In discrete time relative to ``|1 - pole|``, its rate per step: a pole at zero is no special case.
    """
    distance = np.min(np.abs(new[:, None] - old), axis=1)
    rates = np.abs(1 - new) if dt else np.abs(new)
    return float(np.max(distance / np.maximum(rates, np.finfo(float).tiny)))
