"""A balanced batch of modal systems: one order for all members, and their work done together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any, cast

import numpy as np

from mor.analysis.gramians import Gramians
from mor.arrays import adjoint, to_numpy
from mor.checks import check_overflow, guarded
from mor.equations.graded import batch_svd
from mor.reduction.balancing import Balancing, check_request, in_balance, projectable
from mor.reduction.batch import stack
from mor.reduction.result import Reduction
from mor.reduction.roundoff import full_roundoff, reduced_roundoff
from mor.systems.arguments import slices
from mor.systems.base import System
from mor.systems.modal import Modal, project_batch
from mor.systems.units import OWN, Units, in_units
from mor.threads import side_by_side, threads, threads_for

#: Members of a batch whose round-off is estimated at once.
_STACKED = 256

#: Members of a batch that are worked on together: so many of order 64 stay in a processor's cache.
_AT_ONCE = 64


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
        """How many states each value stands for: one."""
        return np.ones(self.full_order, dtype=int)

    @cached_property
    def bounds(self) -> np.ndarray | None:
        """The largest error bound of every order (full_order + 1,); None where theory has none."""
        rows = self._every_bound
        return None if rows is None else np.max(rows, axis=0)

    @cached_property
    def _every_bound(self) -> np.ndarray | None:
        """That of each member, (members, full_order + 1)."""
        first = self.parts[0]
        return first.gramians.bounds(self.hsv.reshape(len(self.parts), self.full_order), first.system)

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
            method=self.parts[0].method,
            estimate=lambda: float(np.max(roundoff(), initial=0.0)),
            diagnostics=diagnostics,
            bounds=self.bounds,
            bounded_norm=self.parts[0].gramians.bounded_norm,
        )

    def _roundoff(self, reduced: list[System], orders: list[int]) -> np.ndarray:
        """That of each member, in one go where they are one batch."""
        if self.flat is None:
            rows = zip(self.parts, reduced, orders, strict=True)
            return np.array([part.roundoff(rom, total - part.kept) for part, rom, total in rows])
        return self._of_data + self._of_projection(cast(list[Modal], reduced), np.array(orders))

    @cached_property
    def _of_data(self) -> np.ndarray:
        return full_roundoff(cast(Modal, self.flat), self.parts[0].gramians.end)

    def _of_projection(self, reduced: list[Modal], orders: np.ndarray) -> np.ndarray:
        """A few members of one order at a time, so that what is stacked stays small."""
        full, result = cast(Modal, self.flat), np.zeros(len(reduced))
        stacked, match = stack(reduced, (len(reduced),)), self.parts[0].match
        end = self.parts[0].gramians.end
        for r in np.unique(orders):
            alike = np.flatnonzero(orders == r)
            for some in np.array_split(alike, -(-len(alike) // _STACKED)):
                left, right = (np.stack(x) for x in zip(*(self.parts[i].bases(r) for i in some), strict=True))
                projected = projectable(full[some], match)
                result[some] = reduced_roundoff(projected, left, right, stacked[some], end=end, match=match)
        return result


def balance_batch(
    flat: Modal, batch_shape: tuple[int, ...], gramians: Gramians, match: str
) -> BatchBalancing:
    """All factors and SVDs in one go, a share of them in each thread."""
    shares = side_by_side(
        *(partial(_balance_all, share, gramians, match) for share in slices(flat, threads()))
    )
    return BatchBalancing(tuple(part for share in shares for part in share), batch_shape, flat)


def _balance_all(flat: Modal, gramians: Gramians, match: str) -> list[Balancing]:
    # Found for all at once: members of the batch are told.
    _ = flat.real_modes
    inner, units = in_units(flat)
    Zc, Zo = (to_numpy(z) for z in gramians.factors(inner))
    check_overflow(gramians.end, Zc, Zo)
    gains, parts = np.broadcast_to(units.gain, len(Zc)), []
    for start in range(0, len(Zc), _AT_ONCE):
        few = slice(start, start + _AT_ONCE)
        U, values, Vt = batch_svd(adjoint(Zo[few]) @ Zc[few])
        own = units if units is OWN else Units(*(np.broadcast_to(x, len(Zc))[few] for x in units))
        left, right = in_balance(Zo[few] @ U, Zc[few] @ adjoint(Vt), own)
        parts += [
            Balancing(flat[i], *found, gramians, match, exponent=int(gains[i]))
            for i, found in enumerate(zip(left, right, values, strict=True), start)
        ]
    return parts


def _project_together(parts: Sequence[Balancing], orders: Sequence[int]) -> list[System]:
    """Each part projected to its order: those of equal sizes as a stack of matrices a thread."""
    groups: dict[tuple[int, int], list[int]] = defaultdict(list)
    for i, (part, total) in enumerate(zip(parts, orders, strict=True)):
        groups[len(part.left), total - part.kept].append(i)
    shares = [
        (r, list(share))
        for (_, r), members in groups.items()
        for share in np.array_split(members, min(threads(), len(members)))
    ]

    def project(r: int, members: list[int]) -> list[System]:
        bases = [parts[i].bases(r) for i in members]
        W, V = (np.stack(side) for side in zip(*bases, strict=True))
        reduced = project_batch([cast(Modal, parts[i].projectable) for i in members], W, V)
        return [projectable(rom, parts[i].match) for i, rom in zip(members, reduced, strict=True)]

    results = side_by_side(*(partial(project, *share) for share in shares))
    found: dict[int, System] = {}
    for (_, members), systems in zip(shares, results, strict=True):
        found |= zip(members, systems, strict=True)
    return [found[i] for i in range(len(parts))]
