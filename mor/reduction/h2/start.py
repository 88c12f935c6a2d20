"""Where an iteration starts, and what it returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from numbers import Integral
from typing import Any

import numpy as np

from mor.analysis.hankel import hankel_singular_values
from mor.analysis.norms import h2_error, h2_norm
from mor.checks import check_horizon
from mor.errors import ReductionError, UnstableSystemError
from mor.reduction.balanced import balanced_truncation
from mor.reduction.h2.objective import H2Objective
from mor.reduction.modal import modal_truncation
from mor.reduction.result import Reduction
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.labels import without_states
from mor.systems.lti import LTI
from mor.systems.modal import Modal


def objective(system: System, order: int, horizon: float | None) -> H2Objective:
    """The H2 error for reductions of `system`, a single one, to `order`."""
    n = system.order
    if not (isinstance(order, Integral) and 1 <= order <= n):
        raise ReductionError(
            f"order={order!r} is not a whole number between 1 and {n}, the order of the system."
        )
    if horizon is None:
        system.require_stable("a reduction in the H2 norm")
    horizon = check_horizon(horizon, system.dt)
    full = system.to_lti().explicit
    square = float(h2_norm(replace(full, D=None), horizon=horizon)) ** 2
    if square == 0:
        raise ReductionError(
            "the system does nothing but feed its input through: there is nothing to reduce."
        )
    return H2Objective(full, horizon, square)


def _balanced(full: LTI, order: int, horizon: float | None) -> LTI:
    """Time-limited where there is a horizon and that is stable."""
    if horizon is not None or not full.is_stable:
        limited = balanced_truncation(full, order, horizon=horizon).system
        if limited.is_stable:
            return limited.to_lti()
    return balanced_truncation(full, order).system.to_lti()


def _modal(full: LTI, order: int, horizon: float | None) -> LTI:
    return modal_truncation(full, order, score="h2").system.to_lti()


#: Reductions to start from, by name.
_STARTS: dict[str, Callable[[LTI, int, float | None], LTI]] = {"bt": _balanced, "modal": _modal}


def starting_system(full: LTI, order: int, horizon: float | None, start: Any) -> LTI:
    """The reduced system, explicit and strictly stable, that `start` stands for.

    A name, poles, or any system.
    """
    if isinstance(start, str):
        if start not in _STARTS:
            raise ReductionError(f"start={start!r} is not one of {', '.join(_STARTS)}, poles, or a system.")
        return _STARTS[start](full, order, horizon)
    if isinstance(start, np.ndarray | list) and np.ndim(start) == 1:
        return _with_poles(full, np.asarray(start, dtype=complex))
    system = as_system(start).to_lti().explicit
    if (system.n_inputs, system.n_outputs, system.dt) != (full.n_inputs, full.n_outputs, full.dt):
        raise ReductionError(f"start is {system!r}; it must have {full.signals}.")
    if full.is_real and not system.is_real:
        raise ReductionError("start is complex and the system is real; so must be what approximates it.")
    if not system.is_stable:
        raise UnstableSystemError("start is not stable; give a stable system or other poles.")
    return system


def _with_poles(full: LTI, poles: np.ndarray) -> LTI:
    """A system with these poles, one of each conjugate pair, and inputs that reach all of them.

    Of a complex system they are all poles.
    """
    rng = np.random.default_rng(0)
    k, m, p = len(poles), full.n_inputs, full.n_outputs
    B = rng.standard_normal((k, m)) + 0j
    C = rng.standard_normal((p, k)) + 0j
    system = Modal(poles, B, C, dt=full.dt) if full.is_real else LTI(np.diag(poles), B, C, dt=full.dt)
    system.require_stable("a start from poles")
    return system.to_lti()


def result(
    system: System, rom: LTI, horizon: float | None, method: str, diagnostics: dict[str, Any]
) -> Reduction:
    """The reduction of `system` to `rom`, in the kind of `system` and with its D."""
    full = system.to_lti()
    reduced: System = LTI(rom.A, rom.B, rom.C, full.D, dt=full.dt, labels=without_states(full.labels))
    if not isinstance(system, LTI):
        reduced = Modal.from_lti(reduced)
    hsv = np.asarray(hankel_singular_values(system, horizon=horizon))
    diagnostics = {"h2_error": float(h2_error(full, reduced.to_lti(), horizon=horizon)), **diagnostics}
    return Reduction(
        system=reduced,
        order=rom.order,
        full_order=system.order,
        hsv=hsv,
        error_bound=None,
        bound_kind="none",
        method=method,
        diagnostics=diagnostics,
    )
