"""Balanced truncation: choose a pair of Gramian factors, take one SVD, project."""

from __future__ import annotations

from typing import Any

import numpy as np

from mor.arrays import to_numpy
from mor.errors import DimensionError, ReductionError
from mor.reduction.result import Reduction
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.modal import Modal


def balanced_truncation(
    sys: Any,
    order: int | None = None,
    *,
    tol: float | None = None,
    horizon: float | None = None,
) -> Reduction:
    r"""Balanced truncation by the square-root method.

    With Gramian factors ``P = Zc Zc^T``, ``Q = Zo Zo^T`` and the SVD
    :math:`Z_o^T Z_c = U \Sigma V^T`, the r largest singular values give

    .. math:: W = Z_o U_r \Sigma_r^{-1/2}, \qquad V = Z_c V_r \Sigma_r^{-1/2}, \qquad
              W^T V = I, \qquad (W^T A V, W^T B, C V, D).

    On an infinite horizon the result is stable and
    :math:`\|G - G_r\|_\infty \le 2 \sum_{i>r} \sigma_i`.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes. A :class:`~mor.Modal` or
        :class:`~mor.BlockDiagonal` is reduced in its real map and comes back as a Modal,
        with each conjugate pair one mode and each real pole one mode of its own. Each
        system of a batch of Modals is reduced to the same order.
    order : number of real states to keep, or None to have it chosen.
    tol : upper limit on the error bound; the smallest order that meets it is taken. With
        neither `order` nor `tol`, nothing but round-off is removed (a minimal realisation).
    horizon : end time or number of steps: time-limited balanced truncation. It has no
        error bound and may lose stability; ``diagnostics`` then says so.

    Returns
    -------
    Reduction
        ``order`` is smaller than asked for if the system has fewer states above round-off;
        ``diagnostics`` then says so.

    Raises
    ------
    UnstableSystemError
        If the system is not strictly stable and `horizon` is None.
    ReductionError
        If `order` or `tol` make no sense, the result cannot be diagonalised, or `order`
        splits equal Hankel singular values so that stability is lost.

    Notes
    -----
    Everything is computed in double precision. The bound is the mathematical one; round-off
    adds about ``1e-15`` of the largest Hankel singular value.

    Source: Tombs and Postlethwaite (1987); bound by Enns (1984), Glover (1984). Equals
    MATLAB's ``reducespec(sys, "balanced")``, SLICOT's ``AB09AD`` and pyMOR's
    ``BTReductor`` up to a change of state coordinates.

    Examples
    --------
    >>> import mor
    >>> rom = mor.balanced_truncation(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]), order=1)
    >>> rom.order, round(rom.error_bound, 4)
    (1, 0.0184)
    """
    system = as_system(sys)
    if horizon is None:
        system.require_stable("balanced truncation")
    _check_request(system, order, tol)
    if not system.batch_shape:
        return _reduce(system, order, tol, horizon)
    if not isinstance(system, Modal):
        raise DimensionError("a batch can be reduced for Modal systems only; take one system at a time.")
    return _reduce_batch(system, order, tol, horizon)


def _check_request(system: System, order: int | None, tol: float | None) -> None:
    if order is not None and tol is not None:
        raise ReductionError("give order= or tol=, not both.")
    if order is not None and not 0 <= order <= system.order:
        raise ReductionError(f"order={order} is not between 0 and {system.order}, the order of the system.")
    if order is not None and order != int(order):
        raise ReductionError(f"order={order} is not a whole number.")
    if tol is not None and not (np.isfinite(tol) and tol >= 0):
        raise ReductionError(f"tol={tol} is not a finite number >= 0.")


def _reduce(system: System, order: int | None, tol: float | None, horizon: float | None) -> Reduction:
    constant = system.detached()
    Zc, Zo = (to_numpy(z) for z in constant.factors(horizon=horizon))
    U, values, Vt = np.linalg.svd(Zo.T @ Zc, full_matrices=False)
    n = system.order
    hsv = np.zeros(n)
    hsv[: min(n, len(values))] = values[:n]
    minimal = _numerical_rank(hsv, len(Zc))
    r = _choose_order(hsv, minimal, order, tol)
    scale = 1 / np.sqrt(values[:r])
    reduced = constant.project((Zo @ U[:, :r]) * scale, (Zc @ Vt[:r].T) * scale)
    diagnostics: dict[str, Any] = {}
    if order is not None and r < order:
        diagnostics["note"] = f"only {minimal} of {n} states stand above round-off; asked for {order}"
    if tol is not None and 2 * float(np.sum(hsv[r:])) > tol:
        diagnostics["note"] = f"tol={tol:g} is below round-off; all {minimal} states above it are kept"
    bounded = horizon is None
    if not reduced.is_stable:
        if bounded:
            raise ReductionError(
                f"the result of order {r} is not stable: Hankel singular values {r} and {r + 1} "
                f"({hsv[r - 1]:.3e}, {hsv[min(r, n - 1)]:.3e}) cannot be told apart; take another order."
            )
        diagnostics["note"] = "not stable: time-limited balanced truncation does not promise it"
    return Reduction(
        system=reduced,
        order=r,
        full_order=n,
        hsv=hsv,
        error_bound=2 * float(np.sum(hsv[r:])) if bounded else None,
        bound_kind="hinf" if bounded else "none",
        method="balanced truncation" if bounded else f"time-limited balanced truncation ({horizon:g})",
        diagnostics=diagnostics,
    )


def _numerical_rank(hsv: np.ndarray, n: int) -> int:
    """Number of Hankel singular values above the round-off of the largest."""
    return int(np.sum(hsv > n * np.finfo(float).eps * np.max(hsv, initial=0.0)))


def _choose_order(hsv: np.ndarray, minimal: int, order: int | None, tol: float | None) -> int:
    if order is not None:
        return min(int(order), minimal)
    if tol is None:
        return minimal
    bounds = 2 * np.append(np.cumsum(hsv[::-1])[::-1], 0.0)
    return min(int(np.argmax(bounds <= tol)), minimal)


def _reduce_batch(system: Modal, order: int | None, tol: float | None, horizon: float | None) -> Reduction:
    """One order for the whole batch, so that the result is one batch again."""
    flat = _flatten_batch(system)
    parts = [_reduce(flat[i], order, tol, horizon) for i in range(flat.batch_shape[0])]
    if order is None:
        order = max(part.order for part in parts)
        parts = [
            part if part.order == order else _reduce(flat[i], min(order, part.full_order), None, horizon)
            for i, part in enumerate(parts)
        ]
    n = max(part.full_order for part in parts)
    hsv = np.stack([np.pad(part.hsv, (0, n - part.full_order)) for part in parts])
    bounds = [part.error_bound for part in parts if part.error_bound is not None]
    first = parts[0]
    return Reduction(
        system=stack_modals([part.system for part in parts], system.batch_shape),
        order=order,
        full_order=n,
        hsv=hsv.reshape(*system.batch_shape, n),
        error_bound=max(bounds) if bounds else None,
        bound_kind=first.bound_kind,
        method=first.method,
        diagnostics={"notes": sum("note" in part.diagnostics for part in parts)},
    )


def _flatten_batch(system: Modal) -> Modal:
    k, m, p = system.n_modes, system.n_inputs, system.n_outputs
    poles, B, C, D = (to_numpy(x) for x in (system.poles, system.B, system.C, system.D))
    return Modal(
        poles.reshape(-1, k), B.reshape(-1, k, m), C.reshape(-1, p, k), D.reshape(-1, p, m), dt=system.dt
    )


def stack_modals(systems: list[Any], batch_shape: tuple[int, ...]) -> Modal:
    """One batch of Modals of unequal numbers of modes, filled up with modes of no effect.

    A filling mode has B = C = 0 and a pole well inside the stability region.
    """
    k = max(system.n_modes for system in systems)
    dt = systems[0].dt
    rest = 0.5 if dt else -1.0
    poles = np.full((len(systems), k), rest, dtype=complex)
    B = np.zeros((len(systems), k, systems[0].n_inputs), dtype=complex)
    C = np.zeros((len(systems), systems[0].n_outputs, k), dtype=complex)
    for i, system in enumerate(systems):
        j = system.n_modes
        poles[i, :j], B[i, :j], C[i, :, :j] = system.poles, system.B, system.C
    D = np.stack([system.D for system in systems])
    p, m = D.shape[1:]
    shape = batch_shape
    return Modal(
        poles.reshape(*shape, k),
        B.reshape(*shape, k, m),
        C.reshape(*shape, p, k),
        D.reshape(*shape, p, m),
        dt=dt,
    )
