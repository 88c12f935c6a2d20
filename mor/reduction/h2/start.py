"""Where an iteration starts, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from mor.analysis.norms import h2_error
from mor.arrays import to_numpy
from mor.checks import (
    check_choice,
    check_finite,
    check_horizon,
    check_order,
    check_real,
    check_whole,
    numbers,
)
from mor.equations.diagonal import diagonalise, eigenmodes
from mor.errors import DimensionError, ReductionError, UnstableSystemError, keyword
from mor.reduction.h2.coordinates import InputNormal
from mor.reduction.h2.objective import H2Objective
from mor.reduction.modal import rank_modes
from mor.reduction.result import Reduction
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.labels import signals_in_words, without_states
from mor.systems.lti import LTI
from mor.systems.modal import Modal


def objective(system: System, order: int, horizon: float | None) -> H2Objective:
    """The H2 error for reductions of `system`, a single one, to `order`."""
    check_single(system, order)
    horizon = check_horizon(horizon, system.dt)
    if horizon is None:
        split = keyword("unstable", "'split'") + " reduces the stable part and keeps the rest; "
        split = split if system.is_linear else ""
        system.require_stable(
            "a reduction in the H2 norm on an infinite horizon",
            otherwise=f"{split}mor.h2_optimal with {keyword('horizon')} takes any system.",
        )
    problem = H2Objective(system.explicit.on_numpy(), horizon)
    if problem.square == 0:
        raise ReductionError(
            "the system does nothing but feed its input through: there is nothing to reduce."
        )
    return problem


def check_single(system: System, order: int) -> None:
    """Raise unless `system` is a single one with that many states."""
    if system.batch_shape:
        raise DimensionError(
            f"a batch of shape {system.batch_shape}: a reduction in the H2 norm takes one system at a time."
        )
    check_order(order, 1, system.order)


def check_effort(tol: Any, max_iterations: Any) -> tuple[float, int]:
    """Where an iteration ends: a tolerance >= 0, and a number of iterations >= 0."""
    return check_real("tol", tol, least=0), check_whole("max_iterations", max_iterations, 0)


def starting_system(problem: H2Objective, order: int, start: Any) -> LTI:
    """The reduced system, explicit and strictly stable, that `start` stands for.

    A name, poles, or any system. It has fewer states than `order` if the full system has no more
    above round-off.
    """
    full = problem.system
    if isinstance(start, str):
        check_choice("start", start, _STARTS, error=ReductionError, also=", poles, or a system")
        return _STARTS[start](problem, order)
    if isinstance(start, np.ndarray | list):
        poles = numbers("start", start).astype(complex)
        check_finite(start=poles)
        if poles.ndim != 1:
            raise DimensionError(f"start has shape {poles.shape}; poles are (k,).", argument="start")
        return _with_poles(problem, order, poles)
    given = as_system(start)
    if (given.n_inputs, given.n_outputs, given.dt) != (full.n_inputs, full.n_outputs, full.dt):
        raise ReductionError(f"start is {given!r}; it must have {signals_in_words(full)}.")
    system = given.carrier.to_lti().explicit
    if system.order != order:
        raise ReductionError(f"start has order {system.order}; it must have the order asked for, {order}.")
    if full.is_real and not system.is_real:
        raise ReductionError("start is complex and the system is real; so must be what approximates it.")
    if not system.is_stable:
        raise UnstableSystemError("start is not stable; give a stable system or other poles.")
    return system if given.is_linear and full.is_linear else _best_output(problem, system)


def _fitted(problem: H2Objective, system: LTI) -> LTI:
    """`system`; where outputs are quadratic, its states with the outputs that fit best."""
    return system if problem.system.is_linear else _best_output(problem, system)


def _balanced(problem: H2Objective, order: int) -> LTI:
    """Time-limited where there is a horizon."""
    rom = problem.balancing.truncate(order).system
    return _fitted(problem, rom.carrier.to_lti()) if rom.is_stable else _stabilised(problem, rom)


def _stabilised(problem: H2Objective, rom: System) -> LTI:
    """`rom` with each unstable pole beyond its mirror image, by the rate that the horizon resolves.

    At the mirror image itself the equation for X would be singular if the full system has that pole.
    """
    dense, rate = rom.carrier.to_lti(), 1 / (problem.horizon or 1.0)
    modes = diagonalise if rom.is_real else eigenmodes
    poles, B = modes(dense.A, dense.B, dense.C)[:2]
    if rom.dt:
        radius = np.abs(poles)
        moved = np.where(radius >= 1, poles / (radius * (radius + rate)), poles)
    else:
        moved = np.where(np.real(poles) >= 0, -np.conj(poles) - rate, poles)
    return _with_best_output(problem, moved, B)


def _modal(problem: H2Objective, order: int) -> LTI:
    """The dominant modes; where only pairs are left for one last state, a real pole in place of one."""
    ranking = rank_modes(problem.system.equivalent(), score="h2")
    modal: Any = ranking.system
    if not problem.system.is_real:
        return ranking.truncate(order).system.to_lti()
    ranked = np.argsort(-ranking.scores, kind="stable")
    ranked = ranked[ranking.scores[ranked] > 0]
    sizes = modal.mode_sizes
    chosen: list[int] = []
    left, skipped = order, None
    for i in ranked:
        if sizes[i] <= left:
            chosen.append(int(i))
            left -= int(sizes[i])
        elif skipped is None:
            skipped = i
    rom = modal.of_modes(chosen)
    if not left or skipped is None:
        return _fitted(problem, rom.to_lti())
    size = np.abs(modal.poles[skipped])
    pole, row = (size if modal.dt else -size), np.abs(modal.B[[skipped]])
    poles, B = np.append(rom.poles, pole), np.vstack([rom.B, row])
    return _with_best_output(problem, poles, B)


def _spread(problem: H2Objective, order: int) -> LTI:
    """Real poles with rates in geometric progression over those of the full system, and random B, C.

    It knows next to nothing of the system, so that a fixed-point iteration from it ends elsewhere than
    one from a good approximation, often at a smaller error.
    """
    full, rng = problem.system, np.random.default_rng(0)
    poles = to_numpy(full.poles).astype(complex)
    with np.errstate(divide="ignore"):
        rates = np.abs(np.log(poles)) if full.dt else np.abs(poles)
    finite = rates[np.isfinite(rates)] if np.any(np.isfinite(rates)) else np.ones(1)
    rates = np.geomspace(np.min(finite), np.max(finite), order)
    B, C = rng.standard_normal((order, full.n_inputs)), rng.standard_normal((len(problem.C), order))
    if not full.is_linear:
        # Rows that are tied to each other are so in S V only.
        C = problem.C @ np.linalg.lstsq(problem.C, C)[0]
    return LTI(np.diag(np.exp(-rates) if full.dt else -rates), B, C, dt=full.dt)


#: Reductions to start from, by name.
_STARTS: dict[str, Callable[[H2Objective, int], LTI]] = {"bt": _balanced, "modal": _modal, "spread": _spread}


def _with_poles(problem: H2Objective, order: int, poles: np.ndarray) -> LTI:
    """These poles, inputs that reach all of them, and the outputs that fit best."""
    full, rng = problem.system, np.random.default_rng(0)
    states = len(poles) + (int(np.sum(np.imag(poles) != 0)) if full.is_real else 0)
    if states != order:
        of_pairs = ", with one of each conjugate pair," if full.is_real else ""
        raise ReductionError(f"{len(poles)} poles{of_pairs} are those of {states} states, not {order}.")
    return _with_best_output(problem, poles, rng.standard_normal((len(poles), full.n_inputs)) + 0j)


def _with_best_output(problem: H2Objective, poles: np.ndarray, B: np.ndarray) -> LTI:
    """The modes with these poles and inputs, and the outputs that fit best."""
    full = problem.system
    C = np.zeros((full.n_outputs, len(poles)), dtype=B.dtype)
    system = Modal(poles, B, C, dt=full.dt) if full.is_real else LTI(np.diag(poles), B, C, dt=full.dt)
    system.require_stable("a start from poles", otherwise="Give poles that are.")
    return _best_output(problem, system.to_lti())


def _best_output(problem: H2Objective, system: LTI) -> LTI:
    start = InputNormal.of(system, is_real=problem.system.is_real)
    best = problem.at(start.F, start.G)
    return LTI(best.F, best.G, best.H, dt=system.dt)


def result(
    problem: H2Objective, system: System, order: int, rom: LTI, method: str, diagnostics: dict[str, Any]
) -> Reduction:
    """The reduction of `system` to `rom`, in the kind of `system` and with its D."""
    if rom.order < order:
        states = f"only {rom.order} of {system.order} states stand above round-off; asked for {order}"
        diagnostics["note"] = states
    return Reduction(
        system=in_kind(problem, rom),
        order=rom.order,
        full_order=system.order,
        hsv=problem.balancing.hsv,
        error_bound=None,
        method=method,
        diagnostics=diagnostics,
    )


def in_kind(problem: H2Objective, rom: LTI) -> System:
    """`rom` with what it has in common with the full system: D, labels, and kind where that allows it."""
    full = problem.system.carrier
    C, D = rom.C[: full.n_outputs], to_numpy(full.D)
    # Optimal poles may coincide; the reduced system is right, but has no modes.
    with suppress(ReductionError):
        return problem.system.with_carrier(full.of_states(rom.A, rom.B, C)[0])
    reduced = LTI(rom.A, rom.B, C, D, dt=full.dt, labels=without_states(full.labels))
    return problem.system.with_carrier(reduced)


def h2_distance(problem: H2Objective, rom: LTI) -> float:
    """The H2 error, right also where it is tiny."""
    return float(h2_error(problem.system, in_kind(problem, rom), horizon=problem.horizon))
