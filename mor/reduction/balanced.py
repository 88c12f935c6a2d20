"""Balanced truncation: choose a pair of Gramian factors, take one SVD, project."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import Any, cast

import numpy as np

from mor.arrays import adjoint, to_numpy
from mor.equations.graded import graded_svd
from mor.errors import DimensionError, ReductionError
from mor.reduction.result import Reduction
from mor.systems.base import System, check_overflow
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
    Everything is computed, and returned, as NumPy arrays in double precision. The bound is
    the mathematical one; ``roundoff`` of the result estimates what double precision adds,
    which grows as poles come close to the stability boundary.

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
    _check_request(system, order, tol)
    return balance(system, horizon=horizon).truncate(order, tol=tol)


@dataclass(frozen=True, eq=False)
class Balancing:
    """A system and its balancing transformation: each order is one truncation of it.

    Attributes
    ----------
    system : the full system, or a flat batch of Modals.
    left, right : arrays (..., n, r), ``Zo U`` and ``Zc V``.
    values : array (..., r), singular values of ``Zo^T Zc``.
    horizon : None for infinite.
    batch_shape : of the system that was given.
    """

    system: System
    left: np.ndarray
    right: np.ndarray
    values: np.ndarray
    horizon: float | None
    batch_shape: tuple[int, ...]

    @property
    def hsv(self) -> np.ndarray:
        """Hankel singular values (..., order), largest first."""
        hsv = _fit(self.values, self.system.order)
        return hsv.reshape(*self.batch_shape, hsv.shape[-1])

    @property
    def merits(self) -> np.ndarray:
        """Hankel singular values, of which each adds one state."""
        return self.hsv

    @property
    def steps(self) -> np.ndarray:
        return np.ones(self.hsv.shape[-1], dtype=int)

    def truncate(self, order: int | None = None, *, tol: float | None = None) -> Reduction:
        """The reduction to `order`, or to the smallest order whose bound is at most `tol`."""
        _check_request(self.system, order, tol)
        if not self.batch_shape:
            return self._truncate_one(self.system, (), order, tol)
        if order is None:
            chosen = [
                _choose_order(hsv, _numerical_rank(hsv, len(left)), None, tol)
                for hsv, left in zip(self.values, self.left, strict=True)
            ]
            order = max(chosen)
        return self._truncate_batch(order)

    def _truncate_one(
        self, system: System, at: tuple[int, ...], order: int | None, tol: float | None
    ) -> Reduction:
        left, right, values = self.left[at], self.right[at], self.values[at]
        n = system.order
        hsv = _fit(values, n)
        minimal = _numerical_rank(hsv, len(left))
        r = _choose_order(hsv, minimal, order, tol)
        scale = 1 / np.sqrt(values[:r])
        reduced, condition = system.project(left[:, :r] * scale, right[:, :r] * scale)
        diagnostics: dict[str, Any] = {}
        if order is not None and r < order:
            diagnostics["note"] = f"only {minimal} of {n} states stand above round-off; asked for {order}"
        if tol is not None and 2 * float(np.sum(hsv[r:])) > tol:
            diagnostics["note"] = f"tol={tol:g} is below round-off; all {minimal} states above it are kept"
        bounded = self.horizon is None
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
            method="balanced truncation"
            if bounded
            else f"time-limited balanced truncation ({self.horizon:g})",
            roundoff=_roundoff(reduced, condition, hsv, len(left)),
            diagnostics=diagnostics,
        )

    def _truncate_batch(self, order: int) -> Reduction:
        """One order for the whole batch, so that the result is one batch again."""
        batch = self.system
        if not isinstance(batch, Modal):
            raise DimensionError("a batch can be reduced for Modal systems only; take one at a time.")
        systems = [batch[i] for i in range(len(self.values))]
        parts = [
            self._truncate_one(system, (i,), min(order, system.order), None)
            for i, system in enumerate(systems)
        ]
        hsv = self.hsv
        bounds = [part.error_bound for part in parts if part.error_bound is not None]
        diagnostics: dict[str, Any] = {}
        if notes := [part.diagnostics["note"] for part in parts if "note" in part.diagnostics]:
            diagnostics["note"] = f"{len(notes)} of {len(parts)} systems: {notes[0]}"
        return Reduction(
            system=stack(cast(list[Modal], [part.system for part in parts]), self.batch_shape),
            order=max(part.order for part in parts),
            full_order=hsv.shape[-1],
            hsv=hsv,
            error_bound=max(bounds) if bounds else None,
            bound_kind=parts[0].bound_kind,
            method=parts[0].method,
            roundoff=max(part.roundoff for part in parts),
            diagnostics=diagnostics,
        )


def balance(sys: Any, *, horizon: float | None = None) -> Balancing:
    """Gramian factors and their one SVD; memory ``2 n^2`` numbers a system.

    For a whole family of orders: ``balance(sys)`` once, then ``.truncate(order)`` each.

    Raises
    ------
    UnstableSystemError
        If the system is not strictly stable and `horizon` is None.

    Examples
    --------
    >>> balancing = balance(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]))
    >>> [balancing.truncate(r).order for r in (1, 2)]
    [1, 2]
    """
    system = as_system(sys)
    if horizon is None:
        system.require_stable("balanced truncation")
    constant, batch_shape = system.detached(), system.batch_shape
    if isinstance(constant, Modal) and batch_shape:
        constant = flatten_batch(constant)
    Zc, Zo = (to_numpy(z) for z in constant.factors(horizon=horizon))
    check_overflow(horizon, Zc, Zo)
    product = adjoint(Zo) @ Zc
    U, values, Vh = graded_svd(product) if product.ndim == 2 else np.linalg.svd(product, full_matrices=False)
    return Balancing(constant, Zo @ U, Zc @ adjoint(Vh), values, horizon, batch_shape)


def _roundoff(reduced: System, condition: float, hsv: np.ndarray, n: int) -> float:
    """Round-off of the projected poles, amplified by their closeness to the boundary.

    A pole with a relative error of ``n eps`` (times the condition of the coordinates) moves
    its peak, at most about the largest value, by that over its relative distance to the
    stability boundary.
    """
    poles = to_numpy(reduced.poles).astype(complex)
    size = np.maximum(np.abs(poles), np.finfo(float).tiny)
    margin = 1 - np.abs(poles) if reduced.dt else -np.real(poles) / size
    closest = float(np.min(margin, initial=1.0))
    largest = float(np.max(hsv, initial=0.0))
    return n * np.finfo(float).eps * condition * largest / max(closest, np.finfo(float).eps)


def _fit(values: np.ndarray, n: int) -> np.ndarray:
    """Singular values as n Hankel singular values: cut, or filled up with zeros."""
    missing = max(0, n - values.shape[-1])
    return np.pad(values[..., :n], [(0, 0)] * (values.ndim - 1) + [(0, missing)])


def _check_request(system: System, order: int | None, tol: float | None) -> None:
    if order is not None and tol is not None:
        raise ReductionError("give order= or tol=, not both.")
    if order is not None and not (isinstance(order, Real) and order == int(order)):
        raise ReductionError(f"order={order!r} is not a whole number.")
    if order is not None and not 0 <= order <= system.order:
        raise ReductionError(f"order={order} is not between 0 and {system.order}, the order of the system.")
    if tol is not None and not (isinstance(tol, Real) and np.isfinite(tol) and tol >= 0):
        raise ReductionError(f"tol={tol!r} is not a finite number >= 0.")


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


def flatten_batch(system: Modal) -> Modal:
    """A batch with one leading axis, on NumPy."""
    k, m, p = system.n_modes, system.n_inputs, system.n_outputs
    poles, B, C, D = (to_numpy(x) for x in (system.poles, system.B, system.C, system.D))
    poles, B, C, D = poles.reshape(-1, k), B.reshape(-1, k, m), C.reshape(-1, p, k), D.reshape(-1, p, m)
    return Modal(poles, B, C, D, dt=system.dt, labels=system.labels)


def stack(systems: list[Modal], batch_shape: tuple[int, ...]) -> Modal:
    """One batch of systems of unequal numbers of modes, filled up with modes of no effect."""
    k = max(system.n_modes for system in systems)
    filled = [system.padded(k) for system in systems]

    def stacked(name: str) -> np.ndarray:
        x = np.stack([getattr(system, name) for system in filled])
        return x.reshape(*batch_shape, *x.shape[1:])

    arrays = (stacked(name) for name in ("poles", "B", "C", "D"))
    return Modal(*arrays, dt=systems[0].dt, labels=systems[0].labels)
