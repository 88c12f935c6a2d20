"""Balancing: Gramian factors and their one SVD, of which every order is a truncation."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Any, cast

import numpy as np

from mor.arrays import adjoint, to_numpy
from mor.equations.band import Band
from mor.equations.graded import graded_svd
from mor.errors import DimensionError, ReductionError
from mor.reduction.batch import flatten_batch, stack
from mor.reduction.result import Reduction
from mor.reduction.roundoff import full_roundoff, reduced_roundoff
from mor.reduction.splitting import split_stable
from mor.reduction.variant import Variant
from mor.systems.base import System, check_overflow
from mor.systems.convert import as_system
from mor.systems.modal import Modal

#: What may become of poles that are not strictly stable.
UNSTABLE = ("error", "split")

#: Members of a batch whose round-off is estimated at once.
_STACKED = 256


@dataclass(frozen=True, eq=False)
class Balancing:
    """A system and its balancing transformation: each order is one truncation of it.

    Attributes
    ----------
    system : the full system, or its stable part.
    left, right : arrays (n, r), ``Zo U`` and ``Zc V``.
    values : array (r,), singular values of ``Zo^T Zc``.
    variant : what the factors are those of.
    rest : what is kept as it is beside the stable part; None if nothing is.
    """

    system: System
    left: np.ndarray
    right: np.ndarray
    values: np.ndarray
    variant: Variant = field(default_factory=Variant)
    rest: System | None = None

    @property
    def kept(self) -> int:
        """Number of states that are kept whatever the order."""
        return self.rest.order if self.rest else 0

    @property
    def full_order(self) -> int:
        """Number of real states before any truncation."""
        return self.kept + self.system.order

    @cached_property
    def hsv(self) -> np.ndarray:
        """Hankel singular values (order,), largest first; infinite where a state is always kept."""
        return np.concatenate([np.full(self.kept, np.inf), _fit(self.values, self.system.order)])

    @property
    def merits(self) -> np.ndarray:
        """Hankel singular values, of which each adds one state."""
        return self.hsv

    @property
    def steps(self) -> np.ndarray:
        return np.ones(self.full_order, dtype=int)

    @property
    def minimal(self) -> int:
        """Number of states above round-off, those always kept among them."""
        return self.kept + self.variant.rank(self.values, len(self.left))

    @property
    def bounded(self) -> bool:
        """Whether the error has a bound: not with quadratic outputs."""
        return self.variant.bounded and self.system.is_linear

    def truncate(self, order: int | None = None, *, tol: float | None = None) -> Reduction:
        """The reduction to `order`, or to the smallest order whose bound is at most `tol`."""
        check_request(self.full_order, order, tol)
        return self.cut(self.choose(order, tol), order, tol)

    def choose(self, order: int | None, tol: float | None) -> int:
        """The order that a request comes to."""
        if order is not None and order < self.kept:
            raise ReductionError(
                f"order={order} is too small: {self.kept} states belong to poles that are not strictly "
                "stable, and all of them are kept."
            )
        if tol is not None and not self.bounded:
            what = self.variant.name + ("" if self.system.is_linear else " of quadratic outputs")
            raise ReductionError(f"tol={tol:g} limits the error bound, and {what} has none; give order=.")
        if order is not None:
            return min(int(order), self.minimal)
        if tol is None:
            return self.minimal
        bounds = 2 * np.append(np.cumsum(self.hsv[::-1])[::-1], 0.0)
        return min(int(np.argmax(bounds <= tol)), self.minimal)

    @cached_property
    def _projectable(self) -> System:
        return self.variant.projectable(self.system)

    def cut(self, total: int, order: int | None, tol: float | None) -> Reduction:
        """The reduction to `total` states, which `order` and `tol` have come to."""
        r = total - self.kept
        reduced = self.project(r)
        return self.report(reduced, self.roundoff(reduced, r), total, order, tol)

    def bases(self, r: int) -> tuple[np.ndarray, np.ndarray]:
        """W and V of the r largest values, ``W^H V = I``."""
        scale = 1 / np.sqrt(self.values[:r])
        return self.left[:, :r] * scale, self.right[:, :r] * scale

    def project(self, r: int) -> System:
        """The system reduced to r states."""
        return self.variant.projectable(self._projectable.project(*self.bases(r))[0])

    def roundoff(self, reduced: System, r: int) -> float:
        """What double precision adds to the error of the system reduced to r states."""
        return self._of_data + float(
            reduced_roundoff(self.variant, self._projectable, *self.bases(r), reduced)
        )

    @cached_property
    def _of_data(self) -> float:
        return float(full_roundoff(self.variant, self.system))

    def report(
        self, reduced: System, roundoff: float, total: int, order: int | None, tol: float | None
    ) -> Reduction:
        """What is known of the reduction to `total` states, which `order` and `tol` have come to."""
        hsv, n = self.hsv, self.full_order
        bound = 2 * float(np.sum(hsv[total:]))
        diagnostics: dict[str, Any] = {"unstable_states_kept": self.kept} if self.rest else {}
        if note := self._note(total, order, tol, reduced.is_stable, roundoff):
            diagnostics["note"] = note
        return Reduction(
            system=reduced + self.rest if self.rest else reduced,
            order=total,
            full_order=n,
            hsv=hsv,
            error_bound=bound if self.bounded else None,
            bound_kind="hinf" if self.bounded else "none",
            method=self.variant.name + (" of the stable part" if self.rest else ""),
            roundoff=roundoff,
            diagnostics=diagnostics,
            stable_parts=(self.system, reduced) if self.rest else None,
        )

    def _note(
        self, total: int, order: int | None, tol: float | None, stable: bool, roundoff: float
    ) -> str | None:
        """What is to be said of a result of `total` states, if anything."""
        hsv, n = self.hsv, self.full_order
        if not stable and self.variant.bounded:
            raise ReductionError(
                f"the result of order {total} is not stable, or cannot be told from one that is not: Hankel "
                f"singular values {total} and {total + 1} ({hsv[total - 1]:.3e}, "
                f"{hsv[min(total, n - 1)]:.3e}) lie too close together, or poles to the stability boundary; "
                "take another order."
            )
        if not stable:
            return f"not stable: {self.variant.name} does not promise it"
        if order is not None and total < order:
            return f"only {self.minimal} of {n} states stand above round-off; asked for {order}"
        if tol is not None and 2 * np.sum(hsv[total:]) > tol:
            return f"tol={tol:g} is below round-off; all {self.minimal} states above it are kept"
        if tol is not None and roundoff > tol:
            return f"tol={tol:g} is below round-off, which may add {roundoff:.0e} to the error bound"
        return None


@dataclass(frozen=True, eq=False)
class BatchBalancing:
    """The balancings of a batch of Modals: one order for all, so that the result is one batch."""

    parts: tuple[Balancing, ...]
    batch_shape: tuple[int, ...]
    #: The members as one batch with one axis; None where they have become unlike.
    flat: Modal | None = None

    @property
    def full_order(self) -> int:
        """Number of real states of the largest member."""
        return max((part.full_order for part in self.parts), default=0)

    @cached_property
    def hsv(self) -> np.ndarray:
        """Hankel singular values (..., order), largest first."""
        full = self.full_order
        return np.reshape([_fit(part.hsv, full) for part in self.parts], (*self.batch_shape, full))

    @property
    def merits(self) -> np.ndarray:
        """Hankel singular values, of which each adds one state to every member."""
        return self.hsv

    @property
    def steps(self) -> np.ndarray:
        return np.ones(self.full_order, dtype=int)

    def truncate(self, order: int | None = None, *, tol: float | None = None) -> Reduction:
        """The reduction to `order`, or to the smallest order at which all bounds are at most `tol`."""
        check_request(self.full_order, order, tol)
        if order is None:
            asked: list[int | None] = [None] * len(self.parts)
            common = max(part.choose(None, tol) for part in self.parts)
        else:
            asked = [min(order, part.full_order) for part in self.parts]
            common = order
        orders = [part.choose(min(common, part.full_order), None) for part in self.parts]
        cuts = self._cuts(orders, asked, tol)
        bounds = [cut.error_bound for cut in cuts if cut.error_bound is not None]
        diagnostics: dict[str, Any] = {}
        if notes := [cut.diagnostics["note"] for cut in cuts if "note" in cut.diagnostics]:
            diagnostics["note"] = f"{len(notes)} of {len(cuts)} systems: {notes[0]}"
        return Reduction(
            system=stack(cast(list[Modal], [cut.system for cut in cuts]), self.batch_shape),
            order=max(orders),
            full_order=self.full_order,
            hsv=self.hsv,
            error_bound=max(bounds) if bounds else None,
            bound_kind=cuts[0].bound_kind,
            method=cuts[0].method,
            roundoff=max(cut.roundoff for cut in cuts),
            diagnostics=diagnostics,
        )

    def _cuts(self, orders: list[int], asked: list[int | None], tol: float | None) -> list[Reduction]:
        """The reduction of each member, with the round-off of all in one go."""
        if self.flat is None:
            return [p.cut(r, a, tol) for p, r, a in zip(self.parts, orders, asked, strict=True)]
        reduced = [part.project(r) for part, r in zip(self.parts, orders, strict=True)]
        roundoff = self._of_data + self._of_projection(cast(list[Modal], reduced), np.array(orders))
        rows = zip(self.parts, reduced, roundoff.tolist(), orders, asked, strict=True)
        return [part.report(rom, noise, r, a, tol) for part, rom, noise, r, a in rows]

    @cached_property
    def _of_data(self) -> np.ndarray:
        return full_roundoff(self.parts[0].variant, cast(Modal, self.flat))

    def _of_projection(self, reduced: list[Modal], orders: np.ndarray) -> np.ndarray:
        """A few members of one order at a time, so that what is stacked stays small."""
        full, result = cast(Modal, self.flat), np.zeros(len(reduced))
        stacked, variant = stack(reduced, (len(reduced),)), self.parts[0].variant
        for r in np.unique(orders):
            alike = np.flatnonzero(orders == r)
            for some in np.array_split(alike, -(-len(alike) // _STACKED)):
                left, right = (np.stack(x) for x in zip(*(self.parts[i].bases(r) for i in some), strict=True))
                projectable = variant.projectable(full[some])
                result[some] = reduced_roundoff(variant, projectable, left, right, stacked[some])
        return result


def balance(
    sys: Any,
    *,
    horizon: float | None = None,
    band: Band | None = None,
    match: str = "infinity",
    unstable: str = "error",
) -> Balancing | BatchBalancing:
    """Gramian factors and their one SVD; memory ``2 n^2`` numbers a system.

    For a whole family of orders: ``balance(sys)`` once, then ``.truncate(order)`` each. The
    options are those of :func:`mor.balanced_truncation`.

    Raises
    ------
    UnstableSystemError
        If the system is not strictly stable, `horizon` is None and `unstable` is "error".
    ReductionError, TimeStepError
        If the options make no sense.

    Examples
    --------
    >>> balancing = balance(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]))
    >>> [balancing.truncate(r).order for r in (1, 2)]
    [1, 2]
    """
    system = as_system(sys)
    variant = Variant.of(horizon, band, match, system.dt)
    if unstable not in UNSTABLE:
        raise ReductionError(f"unstable={unstable!r} is not one of {', '.join(UNSTABLE)}.")
    constant = system.detached()
    if unstable == "split":
        if horizon is not None:
            raise ReductionError(
                "unstable='split' is not needed with horizon=, which takes unstable systems."
            )
        return _balance_split(constant, variant)
    if horizon is None:
        split = "unstable='split' reduces the stable part and keeps the rest; " if system.is_linear else ""
        system.require_stable(
            "balanced truncation",
            otherwise=f"{split}horizon= gives the time-limited reduction, which any system has.",
        )
    if not system.batch_shape:
        return _balance_one(constant, variant)
    return _balance_batch(_as_modals(constant), system.batch_shape, variant)


def _as_modals(batch: System) -> Modal:
    if not isinstance(batch, Modal):
        raise DimensionError("a batch can be reduced for Modal systems only; take one at a time.")
    return flatten_batch(batch)


def _balance_one(system: System, variant: Variant, rest: System | None = None) -> Balancing:
    Zc, Zo = (to_numpy(z) for z in variant.factors(system))
    check_overflow(variant.horizon, Zc, Zo)
    U, values, Vt = graded_svd(adjoint(Zo) @ Zc)
    return Balancing(system, Zo @ U, Zc @ adjoint(Vt), values, variant, rest)


def _balance_batch(flat: Modal, batch_shape: tuple[int, ...], variant: Variant) -> BatchBalancing:
    """All factors and SVDs in one go."""
    Zc, Zo = (to_numpy(z) for z in variant.factors(flat))
    check_overflow(variant.horizon, Zc, Zo)
    U, values, Vt = np.linalg.svd(adjoint(Zo) @ Zc, full_matrices=False)
    left, right = Zo @ U, Zc @ adjoint(Vt)
    parts = [Balancing(flat[i], left[i], right[i], values[i], variant) for i in range(len(values))]
    return BatchBalancing(tuple(parts), batch_shape, flat)


def _balance_split(system: System, variant: Variant) -> Balancing | BatchBalancing:
    """Members of a batch one by one: they have unequal numbers of stable modes."""
    if system.batch_shape:
        flat = _as_modals(system)
        parts = [_balance_split(flat[i], variant) for i in range(len(flat.poles))]
        return BatchBalancing(tuple(cast(list[Balancing], parts)), system.batch_shape)
    stable, rest = split_stable(system)
    return _balance_one(stable, variant, rest if rest.order else None)


def check_request(full_order: int, order: int | None, tol: float | None) -> None:
    """Raise unless `order` or `tol`, at most one of them, can be asked of so many states."""
    if order is not None and tol is not None:
        raise ReductionError("give order= or tol=, not both.")
    if order is not None and not (isinstance(order, Real) and order == int(order)):
        raise ReductionError(f"order={order!r} is not a whole number.")
    if order is not None and not 0 <= order <= full_order:
        raise ReductionError(f"order={order} is not between 0 and {full_order}, the order of the system.")
    if tol is not None and not (isinstance(tol, Real) and np.isfinite(tol) and tol >= 0):
        raise ReductionError(f"tol={tol!r} is not a finite number >= 0.")


def _fit(values: np.ndarray, n: int) -> np.ndarray:
    """Singular values as n Hankel singular values: cut, or filled up with zeros."""
    return np.pad(values[:n], (0, max(0, n - len(values))))
