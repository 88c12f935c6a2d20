"""Balancing: Gramian factors and their one SVD, of which every order is a truncation."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, partial
from typing import Any, cast

import numpy as np

from mor.arrays import adjoint, to_numpy
from mor.checks import check_order, check_real, guarded, shown
from mor.equations.band import Band
from mor.equations.graded import batch_svd, graded_svd
from mor.errors import DimensionError, ReductionError
from mor.reduction.batch import flatten_batch, stack
from mor.reduction.result import Reduction, is_several
from mor.reduction.roundoff import full_roundoff, reduced_roundoff
from mor.reduction.splitting import keeps_unstable, split_stable, too_few_states
from mor.reduction.variant import Variant
from mor.systems.base import System, check_overflow
from mor.systems.convert import as_system
from mor.systems.modal import Modal, project_batch
from mor.systems.units import OWN, Units, from_units, in_units
from mor.threads import side_by_side, threads, threads_by_order, threads_for

#: Members of a batch whose round-off is estimated at once.
_STACKED = 256

#: Members of a batch that are worked on together: so many of order 64 stay in a processor's cache.
_AT_ONCE = 64


@dataclass(frozen=True, eq=False)
class Balancing:
    """A system and its balancing transformation: each order is one truncation of it.

    Made by :func:`mor.balance`.

    Attributes
    ----------
    system : the full system, or its stable part.
    left, right : arrays (n, r), ``Zo U`` and ``Zc V``, for W and V before they are cut and scaled.
    values : array (r,), singular values of ``Zo^T Zc``, over ``2^exponent``.
    variant : what the factors are those of.
    rest : what is kept as it is beside the stable part; None if nothing is.
    exponent : power of two that brings `values` into range (:mod:`mor.systems.units`).

    Examples
    --------
    >>> import mor
    >>> balancing = mor.balance(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]))
    >>> balancing.full_order, balancing.hsv.round(4), balancing.truncate(tol=0.1).order
    (2, array([0.5008, 0.0092]), 1)
    """

    system: System
    left: np.ndarray
    right: np.ndarray
    values: np.ndarray
    variant: Variant = field(default_factory=Variant)
    rest: System | None = None
    exponent: int = 0

    @property
    def kept(self) -> int:
        """Number of states that are kept whatever the order."""
        return self.rest.order if self.rest else 0

    @cached_property
    def full_order(self) -> int:
        """Number of real states before any truncation."""
        return self.kept + self.system.order

    @property
    def nbytes(self) -> int:
        """Memory of what is kept for all orders."""
        return self.left.nbytes + self.right.nbytes

    @cached_property
    def hsv(self) -> np.ndarray:
        """Hankel singular values (order,), largest first; infinite where a state is always kept."""
        values = _fit(self.values, self.full_order - self.kept)
        values = from_units(values, self.exponent, 1, "the largest value")
        return np.concatenate([np.full(self.kept, np.inf), values])

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

    @cached_property
    def bounds(self) -> np.ndarray | None:
        """The error bound of every order (full_order + 1,); None where theory has none."""
        return self.variant.bounds(self.hsv) if self.system.is_linear else None

    @property
    def norm(self) -> float:
        """The Hankel norm of what is reduced: the largest finite Hankel singular value."""
        return float(np.max(self.hsv[self.kept :], initial=0.0))

    @guarded
    def truncate(
        self, order: int | None = None, *, tol: float | None = None, rel_tol: float | None = None
    ) -> Reduction:
        """The reduction to `order`, or to the smallest order whose bound is small enough.

        Parameters
        ----------
        order : number of real states, those that are always kept among them.
        tol : upper limit on the error bound.
        rel_tol : the same, relative to the Hankel norm. With none of the three, only round-off is
            removed.

        Raises
        ------
        ReductionError
            As :func:`mor.balanced_truncation`.
        """
        check_request(self.full_order, order, tol, rel_tol)
        limit = self.limit(tol, rel_tol)
        return self.cut(self.choose(order, limit), order, limit)

    def limit(self, tol: float | None, rel_tol: float | None) -> float | None:
        """What the bound must not exceed; None if nothing is asked of it."""
        name, value = ("tol", tol) if rel_tol is None else ("rel_tol", rel_tol)
        if value is not None and self.bounds is None:
            what = self.variant.name + ("" if self.system.is_linear else " of quadratic outputs")
            raise ReductionError(
                f"{name}={value:g} limits the error bound, and {what} has none; give order=."
            )
        return tol if rel_tol is None else rel_tol * self.norm

    def choose(self, order: int | None, tol: float | None) -> int:
        """The order that a request comes to."""
        if order is not None and order < self.kept:
            raise too_few_states(order, self.kept)
        if order is not None:
            return min(int(order), self.minimal)
        if tol is None or self.bounds is None:
            return self.minimal
        return min(int(np.argmax(self.bounds <= tol)), self.minimal)

    @cached_property
    def _projectable(self) -> System:
        return self.variant.projectable(self.system)

    def cut(self, total: int, order: int | None, tol: float | None) -> Reduction:
        """The reduction to `total` states, which `order` and `tol` have come to."""
        r = total - self.kept
        reduced = self.project(r)
        roundoff = cache(partial(self.roundoff, reduced, r))
        return self.report(reduced, roundoff, total, order, tol)

    def bases(self, r: int) -> tuple[np.ndarray, np.ndarray]:
        """W and V of the r largest values, ``W^H V = I``."""
        scale = 1 / np.sqrt(self.values[:r])
        return self.left[:, :r] * scale, self.right[:, :r] * scale

    def project(self, r: int) -> System:
        """The system reduced to r states."""
        return self.variant.projectable(self._projectable.project(*self.bases(r))[0])

    def roundoff(self, reduced: System, r: int) -> float:
        """What double precision adds to the error of the system reduced to r states."""
        of_projection = reduced_roundoff(self.variant, self._projectable, *self.bases(r), reduced)
        return self._of_data + float(of_projection)

    @cached_property
    def _of_data(self) -> float:
        return float(full_roundoff(self.variant, self.system))

    def report(
        self,
        reduced: System,
        roundoff: Callable[[], float],
        total: int,
        order: int | None,
        tol: float | None,
    ) -> Reduction:
        """What is known of the reduction to `total` states, which `order` and `tol` have come to."""
        left, right = self.bases(total - self.kept)
        diagnostics: dict[str, Any] = {"unstable_states_kept": self.kept} if self.rest else {}
        if note := self.note(total, order, tol, reduced.is_stable, roundoff):
            diagnostics["note"] = note
        return Reduction(
            system=reduced + self.rest if self.rest else reduced,
            order=total,
            full_order=self.full_order,
            hsv=self.hsv,
            error_bound=None if self.bounds is None else float(self.bounds[total]),
            bound_kind="none" if self.bounds is None else "hinf",
            method=self.method,
            estimate=roundoff,
            diagnostics=diagnostics,
            stable_parts=(self.system, reduced) if self.rest else None,
            bounds=self.bounds,
            left=self.system.test_space(left),
            right=right,
        )

    @property
    def method(self) -> str:
        """The name of what is done."""
        return self.variant.name + (" of the stable part" if self.rest else "")

    def note(
        self, total: int, order: int | None, tol: float | None, stable: bool, roundoff: Callable[[], float]
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
        if tol is not None and self.bounds is not None and self.bounds[total] > tol:
            return f"tol={tol:g} is below round-off; all {self.minimal} states above it are kept"
        if tol is not None and roundoff() > tol:
            return f"tol={tol:g} is below round-off, which may add {roundoff():.0e} to the error bound"
        return None


@dataclass(frozen=True, eq=False)
class BatchBalancing:
    """The balancings of a batch of Modals: one order for all, so that the result is one batch.

    Made by :func:`mor.balance`.

    Attributes
    ----------
    parts : the balancing of each system.
    batch_shape : the shape of the batch.
    """

    parts: tuple[Balancing, ...]
    batch_shape: tuple[int, ...]
    #: The members as one batch with one axis; None where they have become unlike.
    flat: Modal | None = None

    @cached_property
    def full_orders(self) -> np.ndarray:
        """Number of real states of each member, in the shape of the batch."""
        return np.reshape([part.full_order for part in self.parts], self.batch_shape).astype(int)

    @property
    def full_order(self) -> int:
        """Number of real states of the largest member."""
        return int(np.max(self.full_orders, initial=0))

    @property
    def nbytes(self) -> int:
        """Memory of what is kept for all orders."""
        return sum(part.nbytes for part in self.parts)

    @cached_property
    def hsv(self) -> np.ndarray:
        """Hankel singular values (..., order), largest first."""
        rows = np.zeros((len(self.parts), self.full_order))
        for row, part in zip(rows, self.parts, strict=True):
            row[: part.full_order] = part.hsv
        return np.reshape(rows, (*self.batch_shape, self.full_order))

    @property
    def merits(self) -> np.ndarray:
        """Hankel singular values, of which each adds one state to every member."""
        return self.hsv

    @property
    def steps(self) -> np.ndarray:
        return np.ones(self.full_order, dtype=int)

    @cached_property
    def bounds(self) -> np.ndarray | None:
        """The largest error bound of every order (full_order + 1,); None where theory has none."""
        rows = self._every_bound
        return None if rows is None else np.max(rows, axis=0)

    @cached_property
    def _every_bound(self) -> np.ndarray | None:
        """That of each member, (members, full_order + 1)."""
        return self.parts[0].variant.bounds(self.hsv.reshape(len(self.parts), self.full_order))

    @guarded
    def truncate(
        self, order: int | None = None, *, tol: float | None = None, rel_tol: float | None = None
    ) -> Reduction:
        """The reduction to `order`, or to the smallest order at which all bounds are small enough.

        Parameters
        ----------
        order, tol, rel_tol : as for :meth:`Balancing.truncate`; `rel_tol` is relative to the Hankel
            norm of each system.
        """
        check_request(self.full_order, order, tol, rel_tol)
        limits = [part.limit(tol, rel_tol) for part in self.parts]
        if order is None:
            asked: list[int | None] = [None] * len(self.parts)
            common = max(part.choose(None, limit) for part, limit in zip(self.parts, limits, strict=True))
        else:
            asked = [min(order, part.full_order) for part in self.parts]
            common = order
        orders = [part.choose(min(common, part.full_order), None) for part in self.parts]
        with threads_for(self.full_order):
            reduced = _project_together(self.parts, orders)
        roundoff = cache(partial(self._roundoff, reduced, orders))
        each = [cache(partial(lambda i: float(roundoff()[i]), i)) for i in range(len(reduced))]
        margins = stack(cast(list[Modal], reduced), (len(reduced),)).margins
        stable = np.all(to_numpy(margins) > 0, axis=-1)
        rows = zip(self.parts, orders, asked, limits, stable, each, strict=True)
        said = [part.note(r, own, limit, ok, noise) for part, r, own, limit, ok, noise in rows]
        diagnostics: dict[str, Any] = {}
        if notes := [note for note in said if note is not None]:
            diagnostics["note"] = f"{len(notes)} of {len(said)} systems: {notes[0]}"
        pairs = zip(self.parts, reduced, strict=True)
        whole = [rom + part.rest if part.rest else rom for part, rom in pairs]
        bounds = self._every_bound
        at_order = None if bounds is None else float(np.max(bounds[np.arange(len(orders)), orders]))
        return Reduction(
            system=stack(cast(list[Modal], whole), self.batch_shape),
            order=max(orders),
            full_order=self.full_order,
            hsv=self.hsv,
            error_bound=at_order,
            bound_kind="none" if bounds is None else "hinf",
            method=self.parts[0].method,
            estimate=lambda: float(np.max(roundoff(), initial=0.0)),
            diagnostics=diagnostics,
            bounds=self.bounds,
        )

    def _roundoff(self, reduced: list[System], orders: list[int]) -> np.ndarray:
        """That of each member, in one go where they are one batch."""
        if self.flat is None:
            rows = zip(self.parts, reduced, orders, strict=True)
            return np.array([part.roundoff(rom, total - part.kept) for part, rom, total in rows])
        return self._of_data + self._of_projection(cast(list[Modal], reduced), np.array(orders))

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


@guarded
@threads_by_order
def balance(
    sys: Any,
    *,
    horizon: float | None = None,
    band: Band | None = None,
    match: str = "infinity",
    unstable: str = "error",
) -> Balancing | BatchBalancing:
    r"""Gramian factors and their one SVD, of which every order is a truncation.

    .. math:: P = Z_c Z_c^T, \quad Q = Z_o Z_o^T, \quad Z_o^T Z_c = U \Sigma V^T.

    Look at ``hsv`` and ``bounds``, then take as many orders as you like: each costs a projection.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes.
    horizon, band, match, unstable : the options of :func:`mor.balanced_truncation`, which is this and one
        truncation.

    Returns
    -------
    Balancing
        Or, for a batch, a BatchBalancing with the same members: ``hsv``, ``bounds``, ``full_order`` and
        ``truncate(order)``, ``truncate(tol=)``, ``truncate(rel_tol=)``, which give a :class:`~mor.Reduction`.

    Raises
    ------
    UnstableSystemError
        If the system is not strictly stable, `horizon` is None and `unstable` is "error".
    QuadraticOutputError
        If outputs are quadratic and `band` or ``unstable="split"`` is given.
    ReductionError, TimeStepError
        If the options make no sense.

    Notes
    -----
    Memory ``2 n^2`` numbers a system beside its own; a truncation of a dense system costs ``4 n^2 r``
    flops. Source: see :func:`mor.balanced_truncation`. MATLAB's ``reducespec(sys, "balanced")`` with
    ``process`` and ``getrom``.

    Examples
    --------
    >>> import mor
    >>> balancing = mor.balance(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]))
    >>> balancing.bounds.round(4)
    array([1.02  , 0.0184, 0.    ])
    >>> [balancing.truncate(r).order for r in (1, 2)], balancing.truncate(rel_tol=0.1).order
    ([1, 2], 1)
    """
    system = as_system(sys)
    variant = Variant.of(horizon, band, match, system.dt)
    constant = system.detached()
    if keeps_unstable(unstable, horizon):
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
    inner, units = in_units(system)
    Zc, Zo = (to_numpy(z) for z in variant.factors(inner))
    check_overflow(variant.horizon, Zc, Zo)
    U, values, Vt = graded_svd(adjoint(Zo) @ Zc)
    left, right = _in_balance(Zo @ U, Zc @ adjoint(Vt), units)
    return Balancing(system, left, right, values, variant, rest, int(units.gain))


def _in_balance(left: np.ndarray, right: np.ndarray, units: Units) -> tuple[np.ndarray, np.ndarray]:
    """Both in those units of the states in which the Gramians of the result are equal."""
    if units is OWN:
        return left, right
    skew = np.asarray(units.outputs - units.inputs) / 2
    skew = np.clip(skew, -900, 900)[..., None, None]
    return left * 2.0**skew, right * 2.0**-skew


def _balance_batch(flat: Modal, batch_shape: tuple[int, ...], variant: Variant) -> BatchBalancing:
    """All factors and SVDs in one go, a share of them in each thread."""
    shares = side_by_side(*(partial(_balance_all, share, variant) for share in flat.split(threads())))
    return BatchBalancing(tuple(part for share in shares for part in share), batch_shape, flat)


def _balance_all(flat: Modal, variant: Variant) -> list[Balancing]:
    # Found for all at once: members of the batch are told.
    _ = flat.real_modes
    inner, units = in_units(flat)
    Zc, Zo = (to_numpy(z) for z in variant.factors(inner))
    check_overflow(variant.horizon, Zc, Zo)
    gains, parts = np.broadcast_to(units.gain, len(Zc)), []
    for start in range(0, len(Zc), _AT_ONCE):
        few = slice(start, start + _AT_ONCE)
        U, values, Vt = batch_svd(adjoint(Zo[few]) @ Zc[few])
        own = units if units is OWN else Units(*(np.broadcast_to(x, len(Zc))[few] for x in units))
        left, right = _in_balance(Zo[few] @ U, Zc[few] @ adjoint(Vt), own)
        parts += [
            Balancing(flat[i], *found, variant, exponent=int(gains[i]))
            for i, found in enumerate(zip(left, right, values, strict=True), start)
        ]
    return parts


def _project_together(parts: Sequence[Balancing], orders: Sequence[int]) -> list[System]:
    """Each part projected to its order: those of equal sizes as one stack of matrices."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, (part, total) in enumerate(zip(parts, orders, strict=True)):
        groups[len(part.left), total - part.kept].append(i)
    found: dict[int, System] = {}
    for (_, r), members in groups.items():
        systems = [cast(Modal, parts[i]._projectable) for i in members]
        bases = [parts[i].bases(r) for i in members]
        W, V = (np.stack(side) for side in zip(*bases, strict=True))
        for i, reduced in zip(members, project_batch(systems, W, V), strict=True):
            found[i] = parts[i].variant.projectable(reduced)
    return [found[i] for i in range(len(parts))]


def _balance_split(system: System, variant: Variant) -> Balancing | BatchBalancing:
    """Members of a batch one by one: they have unequal numbers of stable modes."""
    if system.batch_shape:
        flat = _as_modals(system)
        parts = [_balance_split(flat[i], variant) for i in range(len(flat.poles))]
        return BatchBalancing(tuple(cast(list[Balancing], parts)), system.batch_shape)
    stable, rest = split_stable(system)
    return _balance_one(stable, variant, rest if rest.order else None)


def check_request(
    full_order: int, order: int | None, tol: float | None, rel_tol: float | None = None
) -> None:
    """Raise unless `order`, `tol` or `rel_tol`, at most one of them, can be asked of so many states."""
    if (order is not None) + (tol is not None) + (rel_tol is not None) > 1:
        what = "order= or tol=, not both" if rel_tol is None else "one of order=, tol= and rel_tol="
        raise ReductionError(f"give {what}.")
    if order is not None:
        check_order(order, 0, full_order)
    for name, value in (("tol", tol), ("rel_tol", rel_tol)):
        if is_several(value):
            raise ReductionError(
                f"{name}={shown(value)} are several: balance once, mor.balance(sys), and take "
                f".truncate({name}=...) for each."
            )
        if value is not None:
            check_real(name, value, least=0, error=ReductionError)


def _fit(values: np.ndarray, n: int) -> np.ndarray:
    """Singular values as n Hankel singular values: cut, or filled up with zeros."""
    return np.concatenate([values[:n], np.zeros(max(0, n - len(values)))])
