"""Dense state matrices and pencils, on NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, reduce
from typing import Any, NamedTuple, Self

import numpy as np
import scipy.linalg

from mor.arrays import adjoint, block_diagonal
from mor.equations.band import Band, band_factors
from mor.equations.boundary import dc_point
from mor.equations.doubling import Evolution
from mor.equations.holds import Hold, matrix_holds
from mor.equations.lyapunov import horizon_factor
from mor.equations.scaling import check_range, grading, scaled
from mor.equations.schur import SchurForm, cross_solution
from mor.equations.transfer import FEW_POINTS, evaluate_by_form, evaluate_by_lu
from mor.errors import ReductionError
from mor.operators.base import GramianPair, Operator, over_E
from mor.threads import threads_for

#: Beyond this condition of E less than four digits survive.
_CONDITION_LIMIT = 1e12


class Coordinates(NamedTuple):
    """States in another order and other units: those of :func:`mor.equations.scaling.grading`."""

    places: np.ndarray
    units: np.ndarray

    def enter(self, X: np.ndarray) -> np.ndarray:
        """Rows X of the state (n, r) in these coordinates."""
        return X[self.places] / self.units[:, None]

    def leave(self, X: np.ndarray) -> np.ndarray:
        """Rows in these coordinates as those of the state."""
        back = np.empty_like(X)
        back[self.places] = X * self.units[:, None]
        return back

    def leave_both(self, X: np.ndarray) -> np.ndarray:
        """A square X as a map from state to state."""
        back = np.empty_like(X)
        back[np.ix_(self.places, self.places)] = X * self.units[:, None] / self.units
        return back

    @property
    def dual(self) -> Coordinates:
        """Those of the adjoint."""
        return Coordinates(self.places, 1 / self.units)


@dataclass(frozen=True, eq=False)
class DenseOperator(Operator, Evolution):
    """A, or the pencil (A, E), with the Schur form that poles, Gramian factors and responses share.

    Attributes
    ----------
    A, E : arrays (n, n); E is None for the identity.
    terms : those whose direct sum this is, whose Schur forms then are its own; and
    implicit : the pencil that this is the explicit form of, from whose Schur form this one's follows.
    """

    A: np.ndarray
    E: np.ndarray | None = None
    dt: float = 0.0
    terms: tuple[DenseOperator, ...] = ()
    implicit: DenseOperator | None = None

    @cached_property
    def schur(self) -> SchurForm:
        """The Schur form of (A, E), in graded coordinates."""
        if self.terms:
            return reduce(SchurForm.joined, (term.schur for term in self.terms))
        self.require_regular()
        if self.implicit is None:
            with threads_for(len(self.A)):
                return SchurForm.of(self.A, self.E, self.dt, graded=True)
        if "schur" in vars(self.implicit) and self.implicit.schur.divisor is not None:
            return self.implicit.schur.undivided
        return replace(SchurForm.of(self.A, None, self.dt, graded=True), divided=self.implicit.E)

    @property
    def spectrum(self) -> SchurForm:
        return self.schur

    @cached_property
    def explicit(self) -> DenseOperator:
        """``E^{-1} A``; itself without E."""
        if self.E is None:
            return self
        self.require_regular()
        A = np.linalg.solve(self.E, self.A)
        check_range(A)
        return DenseOperator(A, None, self.dt, implicit=self)

    @cached_property
    def grading(self) -> Coordinates:
        """Coordinates in which ``E^{-1} A`` is well scaled."""
        return Coordinates(*grading(self.explicit.A))

    @cached_property
    def graded(self) -> np.ndarray:
        """``E^{-1} A`` in them."""
        return scaled(self.explicit.A, *self.grading)

    @cached_property
    def _condition(self) -> float:
        """Estimate of the condition of E, in the 1-norm, from its LU factors; 1 without E."""
        if self.E is None or not self.E.size:
            return 1.0
        getrf, gecon = scipy.linalg.get_lapack_funcs(("getrf", "gecon"), (self.E,))
        lu, _, info = getrf(self.E)
        reciprocal = 0.0 if info else gecon(lu, np.linalg.norm(self.E, 1))[0]
        return 1 / reciprocal if reciprocal > 0 else np.inf

    def require_regular(self) -> None:
        """Raise if E is singular, or nearly so."""
        if self._condition > _CONDITION_LIMIT:
            raise ReductionError(
                "E is singular or nearly so: a descriptor system with algebraic equations "
                "has no explicit state space; eliminate the algebraic states first."
            )

    def apply(self, Z: np.ndarray) -> np.ndarray:
        return self.explicit.A @ Z

    def apply_absolute(self, Z: np.ndarray) -> np.ndarray:
        return np.abs(self.explicit.A) @ Z

    def square(self) -> Self:
        """``A^2``."""
        return type(self)(self.explicit.A @ self.explicit.A, None, self.dt)

    def adjoint(self) -> DenseOperator:
        turned = DenseOperator(adjoint(self.explicit.A), None, self.dt)
        if "schur" in vars(self.explicit):
            vars(turned)["schur"] = self.explicit.schur.adjoint
        return turned

    def solve(self, a: complex, c: complex, X: np.ndarray, *, adjoint: bool = False) -> np.ndarray:
        if self.E is None and a == 0:
            return X if c == 1 else X / (np.conj(c) if adjoint else c)
        S = a * self.A if a else 0.0
        S = S + (c * np.eye(len(self.A)) if self.E is None else c * self.E)
        if not a:
            self.require_regular()
        return np.linalg.solve(S.conj().T if adjoint else S, X)

    def transfer(self, points: np.ndarray, B: np.ndarray, C: np.ndarray) -> np.ndarray:
        try:
            return self._transfer(points, B, C)
        except np.linalg.LinAlgError:
            return np.full((len(points), len(C), B.shape[1]), np.nan)

    def _transfer(self, points: np.ndarray, B: np.ndarray, C: np.ndarray) -> np.ndarray:
        if len(points) > FEW_POINTS and self._condition <= _CONDITION_LIMIT:
            with threads_for(len(self.A)):
                return evaluate_by_form(self.A, self.E, B, C, self.schur, points)
        if self.E is not None:
            return evaluate_by_lu(self.A, self.E, B, C, points)
        # Pivots of an elimination depend on the units of the rows.
        index, t = self.grading
        return evaluate_by_lu(self.graded, None, self.grading.enter(B), C[:, index] * t, points)

    def factors(
        self, B: Any, C: Any, *, horizon: float | None = None, band: Band | None = None
    ) -> tuple[Any, Any]:
        """By Hammarling's method; of the explicit form by doubling if there is a horizon."""
        if band is not None:
            return band_factors(self.schur, B, C, band)
        if horizon is None:
            Zc = None if B is None else self.schur.controllability_factor(B)
            return Zc, None if C is None else self.schur.observability_factor(C)
        Zc = None if B is None else self._late(self.graded, over_E(self, B), self.grading, horizon)
        if C is None:
            return Zc, None
        return Zc, self._late(adjoint(self.graded), adjoint(C), self.grading.dual, horizon)

    def _late(self, A: np.ndarray, B: np.ndarray, there: Coordinates, horizon: float) -> np.ndarray:
        return there.leave(horizon_factor(A, there.enter(B), self.dt, horizon))

    def gramians(
        self, B: np.ndarray, C: np.ndarray, *, horizon: float | None = None, band: Band | None = None
    ) -> GramianPair:
        r"""With the pullback by two adjoint equations ``A^H Y A - Y + W_P = 0``, ``A H A^H - H + W_Q = 0``.

        The gradient is that of the explicit form (E = I), of a complex x ``d/dRe x + i d/dIm x``.
        """
        P, Q, _ = super().gramians(B, C, horizon=horizon, band=band)

        def pull(weight_P: np.ndarray, weight_Q: np.ndarray) -> dict[str, np.ndarray]:
            form, A, explicit_B = self.explicit.schur, self.explicit.A, over_E(self, B)
            Y, H = form.adjoint.solve(weight_P), form.solve(weight_Q)
            to_A = 2 * (Y @ A @ P + Q @ A @ H) if self.dt else 2 * (Y @ P + Q @ H)
            return {"A": to_A, "B": 2 * Y @ explicit_B, "C": 2 * C @ H}

        return GramianPair(P, Q, pull)

    def project(self, left: np.ndarray, right: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``W^H E^{-1}`` first, so that E is solved with r times only."""
        W = adjoint(over_E(self, left, adjoint=True))
        return W @ self.A @ right, W @ B

    def inverted(self, B: np.ndarray, C: np.ndarray) -> tuple[DenseOperator, np.ndarray, np.ndarray]:
        """By one LU factorisation in graded coordinates; E is not divided by."""
        n, c = len(self.A), dc_point(self.dt)
        there, A, E = self.grading, self.graded, np.eye(n)
        if self.E is not None:
            there, A, E = Coordinates(np.arange(n), np.ones(n)), self.A, self.E
        solved = np.linalg.solve(A - c * E, np.hstack([E, there.enter(B)]))
        R, B = there.leave_both(solved[:, :n]), there.leave(solved[:, n:])
        return DenseOperator(c * np.eye(n) + R, None, self.dt), B, -C @ R

    def sampled(self, step: float, B: np.ndarray, hold: Hold) -> tuple[DenseOperator, np.ndarray, np.ndarray]:
        """By one exponential of order n + m (n + 2m), in graded coordinates: it is right to its norm."""
        there = self.grading
        A, first, late = matrix_holds(self.graded, there.enter(over_E(self, B)), step, hold)
        return DenseOperator(there.leave_both(A), None, step), there.leave(first), there.leave(late)

    def joined(self, other: Operator) -> DenseOperator | None:
        """Of explicit forms. Schur forms are not computed again, of sums of sums a flat list of them."""
        if not isinstance(other, DenseOperator):
            return None
        a, b = self.explicit, other.explicit
        return DenseOperator(block_diagonal(a.A, b.A), None, self.dt, terms=(*a._sources, *b._sources))

    @property
    def _sources(self) -> tuple[DenseOperator, ...]:
        return (self,) if "schur" in vars(self) else self.terms or (self,)

    def cross_solution(self, form: SchurForm, Q: np.ndarray) -> np.ndarray:
        """By the Schur forms of both."""
        return cross_solution(self.explicit.schur, form, Q)
