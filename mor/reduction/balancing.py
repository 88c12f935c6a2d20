"""A balanced system: Gramian factors and their one SVD, of which every order is a truncation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property, partial
from typing import Any

import numpy as np

from mor.analysis.gramians import INFINITE, Gramians
from mor.arrays import adjoint, to_numpy
from mor.checks import check_order, check_overflow, check_real, guarded, shown
from mor.equations.graded import graded_svd
from mor.errors import ReductionError, keyword
from mor.operators.base import over_E
from mor.reduction.result import Reduction, is_several
from mor.reduction.roundoff import full_roundoff, reduced_roundoff
from mor.reduction.splitting import too_few_states
from mor.systems.base import System
from mor.systems.units import OWN, Units, from_units, in_units

#: Frequencies at which a reduced system may be exact, and what the method is called then.
MATCHES = {"infinity": "balanced truncation", "dc": "balanced singular perturbation approximation"}


@dataclass(frozen=True, eq=False)
class Balancing:
    """A system and its balancing transformation: each order is one truncation of it.

    Made by :func:`mor.balance`.

    Attributes
    ----------
    system : the full system, or its stable part.
    left, right : arrays (n, r), ``Zo U`` and ``Zc V``, for W and V before they are cut and scaled.
    values : array (r,), singular values of ``Zo^T Zc``, over ``2^exponent``.
    gramians : which Gramians the factors are those of.
    match : where a reduced system is exact, one of `MATCHES`.
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
    gramians: Gramians = INFINITE
    match: str = "infinity"
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
        n = self.system.order
        # Cut, or filled up with zeros.
        values = np.concatenate([self.values[:n], np.zeros(max(0, n - len(self.values)))])
        values = from_units(values, self.exponent, 1, "the largest value")
        return np.concatenate([np.full(self.kept, np.inf), values])

    @property
    def merits(self) -> np.ndarray:
        """Hankel singular values, of which each adds one state."""
        return self.hsv

    @property
    def steps(self) -> np.ndarray:
        """How many states each value stands for: one."""
        return np.ones(self.full_order, dtype=int)

    @property
    def minimal(self) -> int:
        """Number of states above round-off, those always kept among them."""
        noise = len(self.left) * np.finfo(float).eps * np.max(self.values, initial=0.0)
        return self.kept + int(np.sum(self.values > noise))

    @cached_property
    def bounds(self) -> np.ndarray | None:
        """The error bound of every order (full_order + 1,); None where theory has none."""
        return self.gramians.bounds(self.hsv, self.system)

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
        total = self.choose(order, limit)
        r = total - self.kept
        left, right = self.bases(r)
        reduced = projectable(self.projectable.project(left, right)[0], self.match)
        roundoff = cache(partial(self.roundoff, reduced, r))
        diagnostics: dict[str, Any] = {"unstable_states_kept": self.kept} if self.rest else {}
        if note := self.note(total, order, limit, reduced.is_stable, roundoff):
            diagnostics["note"] = note
        return Reduction(
            system=reduced + self.rest if self.rest else reduced,
            order=total,
            full_order=self.full_order,
            hsv=self.hsv,
            error_bound=None if self.bounds is None else float(self.bounds[total]),
            method=self.method,
            estimate=roundoff,
            diagnostics=diagnostics,
            stable_parts=(self.system, reduced) if self.rest else None,
            bounds=self.bounds,
            left=over_E(self.system.operator, left, adjoint=True),
            right=right,
            bounded_norm=self.gramians.bounded_norm,
        )

    def limit(self, tol: float | None, rel_tol: float | None) -> float | None:
        """What the bound must not exceed; None if nothing is asked of it."""
        name, value = ("tol", tol) if rel_tol is None else ("rel_tol", rel_tol)
        if value is not None and self.bounds is None:
            what = self._name + ("" if self.system.is_linear else " of quadratic outputs")
            raise ReductionError(
                f"{keyword(name, f'{value:g}')} limits the error bound, and {what} has none; "
                f"give {keyword('order')}."
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
    def projectable(self) -> System:
        """What is projected (:func:`projectable`)."""
        return projectable(self.system, self.match)

    def bases(self, r: int) -> tuple[np.ndarray, np.ndarray]:
        """W and V of the r largest values, ``W^H V = I``."""
        scale = 1 / np.sqrt(self.values[:r])
        return self.left[:, :r] * scale, self.right[:, :r] * scale

    def roundoff(self, reduced: System, r: int) -> float:
        """What double precision adds to the error of the system reduced to r states."""
        of_projection = reduced_roundoff(
            self.projectable, *self.bases(r), reduced, end=self.gramians.end, match=self.match
        )
        return self._of_data + float(of_projection)

    @cached_property
    def _of_data(self) -> float:
        return float(full_roundoff(self.system, self.gramians.end))

    @property
    def method(self) -> str:
        """The name of what is done."""
        return self._name + (" of the stable part" if self.rest else "")

    @property
    def _name(self) -> str:
        return self.gramians.of(MATCHES[self.match])

    def note(
        self, total: int, order: int | None, tol: float | None, stable: bool, roundoff: Callable[[], float]
    ) -> str | None:
        """What is to be said of a result of `total` states, if anything."""
        hsv, n = self.hsv, self.full_order
        if not stable and self.gramians.stable:
            raise ReductionError(
                f"the result of order {total} is not stable, or cannot be told from one that is not: Hankel "
                f"singular values {total} and {total + 1} ({hsv[total - 1]:.3e}, "
                f"{hsv[min(total, n - 1)]:.3e}) lie too close together, or poles of the system or "
                "the result to the stability boundary; take another order."
            )
        if not stable:
            return f"not stable: {self._name} does not promise it"
        if order is not None and total < order:
            return f"only {self.minimal} of {n} states stand above round-off; asked for {order}"
        if tol is None:
            return None
        limit = keyword("tol", f"{tol:g}")
        if self.bounds is not None and self.bounds[total] > tol:
            return f"{limit} is below round-off; all {self.minimal} states above it are kept"
        if roundoff() > tol:
            return f"{limit} is below round-off, which may add {roundoff():.0e} to the error bound"
        return None


def projectable(system: System, match: str) -> System:
    """What is projected: the system, or its reciprocal, whose gain at infinity is that at dc."""
    return system if match == "infinity" else system.reciprocal()


def balance_one(system: System, gramians: Gramians, match: str, rest: System | None = None) -> Balancing:
    """The balancing of a single system, with what is kept beside it."""
    (kind, held), (inner, units) = gramians.in_units(), in_units(system)
    Zc, Zo = (to_numpy(z) for z in kind.factors(inner))
    check_overflow(gramians.end, Zc, Zo)
    U, values, Vt = graded_svd(adjoint(Zo) @ Zc)
    left, right = in_balance(Zo @ U, Zc @ adjoint(Vt), units)
    return Balancing(system, left, right, values, gramians, match, rest, int(units.gain + held.gain))


def in_balance(left: np.ndarray, right: np.ndarray, units: Units) -> tuple[np.ndarray, np.ndarray]:
    """Both in those units of the states in which the Gramians of the result are equal."""
    if units is OWN:
        return left, right
    skew = np.asarray(units.outputs - units.inputs) / 2
    skew = np.clip(skew, -900, 900)[..., None, None]
    return left * 2.0**skew, right * 2.0**-skew


def check_request(
    full_order: int, order: int | None, tol: float | None, rel_tol: float | None = None
) -> None:
    """Raise unless `order`, `tol` or `rel_tol`, at most one of them, can be asked of so many states."""
    if (order is not None) + (tol is not None) + (rel_tol is not None) > 1:
        first, second, third = (keyword(name) for name in ("order", "tol", "rel_tol"))
        what = (
            f"{first} or {second}, not both" if rel_tol is None else f"one of {first}, {second} and {third}"
        )
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
