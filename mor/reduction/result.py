"""What a reduction returns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, ClassVar, TypeGuard

import numpy as np

from mor.systems.base import System

#: So many entries of a diagnostic are printed.
_SHORT = 4


def zero() -> float:
    """The round-off of methods without an estimate."""
    return 0.0


@dataclass(frozen=True, eq=False)
class Reduction:
    r"""A reduced system and what is known of it.

    It stands wherever a system may, also in sums and differences, which are systems.

    Attributes
    ----------
    system : the reduced system; of the kind of the full one where that kind allows it.
    order : number of states kept, real ones unless the system is complex (of each system of a batch).
    full_order : number of states before.
    hsv : array (..., n), Hankel singular values of the full system, largest first; infinite for
        unstable states that are kept whatever the order. Empty where the method needs none.
    error_bound : float or None
        Upper limit on the H-infinity norm of the error, which is also the worst
        amplification of any input signal into the error, in the l2 norm; in exact
        arithmetic. None where the method has no such guarantee. In a batch, the largest.
        Where unstable states are kept it limits the largest gain of the error over all
        frequencies (L-infinity norm).
    bounds : array (full_order + 1,) or None
        The error bound of every order: ``bounds[r]`` is that of the reduction to r states by the same
        method, infinite below the number of states that are always kept. Of a batch the largest. None
        where the method has none.
    left, right : arrays (n, r) or None
        Projection matrices W and V in the coordinates of the full system's states, with

        .. math:: W^H E V = I, \qquad A_r = W^H A V, \quad B_r = W^H B, \quad C_r = C V

        up to a change of coordinates of the reduced states, so that :math:`x \approx V x_r`. For a
        :class:`~mor.Modal` of k complex modes the states are ``[Re z; Im z]``, n = 2k. With
        ``match="dc"`` the same W and V project the reciprocal system:
        :math:`A_r - c I = (W^H E (A - cE)^{-1} E V)^{-1}`, c = 0, or 1 in discrete time. Where
        unstable states are kept they are those of the stable part, of ``stable_parts``. None for a
        batch, and for methods whose result is no single projection (the H2 methods, which iterate) or
        that choose modes (where the result has them as they were).
    estimate : makes :attr:`roundoff`.
    method : name of the method.
    diagnostics : what was measured on the way.
    stable_parts : where unstable states are kept the stable part of the full system and its
        reduction, whose difference is the error; else, and for a batch, None.
    bounded_norm : which norm of the error the method's bounds limit, where it has any.

    Examples
    --------
    >>> import mor
    >>> rom = mor.balanced_truncation(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]), order=1)
    >>> rom.order, rom.method
    (1, 'balanced truncation')
    >>> rom.bounds.round(4), rom.left.shape
    (array([1.02  , 0.0184, 0.    ]), (2, 1))
    """

    system: System
    order: int
    full_order: int
    hsv: np.ndarray
    error_bound: float | None
    method: str
    estimate: Callable[[], float] = zero
    diagnostics: dict[str, Any] = field(default_factory=dict)
    stable_parts: tuple[System, System] | None = None
    bounds: np.ndarray | None = None
    left: np.ndarray | None = None
    right: np.ndarray | None = None
    bounded_norm: str = "hinf"

    @property
    def bound_kind(self) -> str:
        """Which norm `error_bound` limits, ``"hinf"``; ``"none"`` where there is no bound."""
        return "none" if self.error_bound is None else self.bounded_norm

    @cached_property
    def roundoff(self) -> float:
        """Estimate of what double precision adds to the error, made when first asked for; infinite where even
        that leaves the range of numbers."""
        with np.errstate(all="ignore"):
            added = self.estimate()
        return added if added == added else np.inf

    def settled(self) -> Reduction:
        """The same with its round-off found: what that takes, more memory than all else, is let go."""
        return replace(self, estimate=partial(float, self.roundoff))

    #: Operators with a NumPy array on the left are this class's, not elementwise.
    __array_ufunc__: ClassVar[None] = None

    def __neg__(self) -> System:
        return -self.system

    def __add__(self, other: Any) -> System:
        return self.system + other

    def __radd__(self, other: Any) -> System:
        return other + self.system

    def __sub__(self, other: Any) -> System:
        return self.system - other

    def __rsub__(self, other: Any) -> System:
        return other - self.system

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled: the round-off by its value, as what makes it holds the full system."""
        return vars(self) | {"estimate": partial(float, self.roundoff)}

    @property
    def kept(self) -> np.ndarray:
        """Hankel singular values of the states kept, (..., order)."""
        return self.hsv[..., : self.order]

    @property
    def truncated(self) -> np.ndarray:
        """Hankel singular values of the states removed, (..., full_order - order)."""
        return self.hsv[..., self.order :]

    @property
    def energy(self) -> float:
        """Share of the sum of (finite) Hankel singular values that is kept."""
        kept, total = (float(np.sum(hsv[np.isfinite(hsv)])) for hsv in (self.kept, self.hsv))
        return kept / total if total > 0 else 1.0

    def __str__(self) -> str:
        bound = "none" if self.error_bound is None else f"{self.error_bound:.3e} ({self.bound_kind})"
        lines = [f"{self.method}: order {self.full_order} -> {self.order}"]
        if self.hsv.size:
            # A method without an estimate says 0, which would read as a promise.
            roundoff = f", round-off about {self.roundoff:.0e}" if self.roundoff else ""
            lines += [
                f"  energy kept  {100 * self.energy:.4g} % of the sum of Hankel singular values",
                f"  error bound  {bound}{roundoff}",
            ]
        lines += [f"  {name.replace('_', ' ')}: {_short(value)}" for name, value in self.diagnostics.items()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"<Reduction {self.method}, order {self.full_order} -> {self.order}, bound {self.error_bound}>"


def is_several(order: Any) -> TypeGuard[Sequence[int] | np.ndarray]:
    """Whether `order` is a list of orders, of any kind."""
    return isinstance(order, list | tuple | range) or (isinstance(order, np.ndarray) and order.ndim > 0)


def _short(value: Any) -> str:
    """A line for people: long sequences by their number and last entry, numbers to six digits."""
    if isinstance(value, float | complex):
        return f"{value:.6g}"
    if isinstance(value, list | tuple | np.ndarray) and np.size(value) > _SHORT:
        return f"{len(value)} values, the last {_short(value[-1])}"
    return str(value)
