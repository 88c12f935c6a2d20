"""Sparse state matrices and pencils of any size: products, and solutions by SuperLU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, NoReturn

import numpy as np
import scipy.sparse
from scipy.sparse import csc_array
from scipy.sparse.linalg import SuperLU, splu

from mor.arrays import adjoint as adjoint_of
from mor.equations.band import Band
from mor.equations.columns import solve_by_columns
from mor.equations.holds import Hold
from mor.equations.schur import SchurForm
from mor.equations.sparse import MAX_DENSE_ORDER
from mor.errors import SparseSystemError
from mor.operators.base import Operator, over_E


@dataclass(frozen=True, eq=False)
class SparseOperator(Operator):
    """A, or the pencil (A, E), in SciPy's compressed columns; E, which may be singular, is None for the
    identity.

    What would fill the matrices, Gramians, poles and exponentials, it does not know.
    """

    A: csc_array
    E: csc_array | None = None
    dt: float = 0.0

    @property
    def _size(self) -> int:
        shape: Any = self.A.shape
        return shape[0]

    @cached_property
    def mass(self) -> csc_array:
        """E, or the identity."""
        return csc_array(scipy.sparse.eye_array(self._size, format="csc")) if self.E is None else self.E

    def __getstate__(self) -> dict[str, Any]:
        """Without the LU factors, which cannot be copied or pickled."""
        return {name: x for name, x in vars(self).items() if name != "_mass_factors"}

    def factorised(self, a: complex, c: complex) -> SuperLU:
        """LU factors of ``a A + c E``.

        Raises
        ------
        numpy.linalg.LinAlgError
            If that is singular.
        """
        try:
            return splu(csc_array(a * self.A + c * self.mass))
        except RuntimeError as error:
            raise np.linalg.LinAlgError(str(error)) from None

    @cached_property
    def _mass_factors(self) -> SuperLU:
        try:
            return self.factorised(0, 1)
        except np.linalg.LinAlgError:
            raise SparseSystemError(
                "E is singular: without an inverse of it a sparse system has a transfer function, moments "
                "and projections, but no state that could be simulated or connected."
            ) from None

    def solve(self, a: complex, c: complex, X: np.ndarray, *, adjoint: bool = False) -> np.ndarray:
        if a == 0 and self.E is None:
            return X / (np.conj(c) if adjoint else c)
        factors = self._mass_factors if (a, c) == (0, 1) else self.factorised(a, c)
        return solved(factors, X, adjoint=adjoint)

    def transfer(self, points: np.ndarray, B: np.ndarray, C: np.ndarray) -> np.ndarray:
        """By one factorisation a point."""
        value = np.full((len(points), len(C), B.shape[1]), np.nan, dtype=complex)
        for i, s in enumerate(points):
            try:
                value[i] = C @ self.solve(-1, s, B) if len(B) else 0.0
            except np.linalg.LinAlgError:
                break
        return value

    def apply(self, Z: np.ndarray) -> np.ndarray:
        product = self.A @ Z
        return product if self.E is None else over_E(self, product)

    def apply_absolute(self, Z: np.ndarray) -> np.ndarray:
        if self.E is not None:
            self.refuse("the product E^-1 A")
        return abs(self.A) @ Z

    def adjoint(self) -> SparseOperator:
        if self.E is not None:
            self.refuse("the product E^-1 A")
        return SparseOperator(csc_array(self.A.conj().T), None, self.dt)

    def project(self, left: np.ndarray, right: np.ndarray, B: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        W = adjoint_of(over_E(self, left, adjoint=True))
        return W @ (self.A @ right), W @ B

    def joined(self, other: Operator) -> SparseOperator | None:
        if not isinstance(other, SparseOperator):
            return None
        both = [None if self.E is other.E is None else (self.mass, other.mass), (self.A, other.A)]
        E, A = (None if pair is None else csc_array(scipy.sparse.block_diag(pair)) for pair in both)
        return SparseOperator(A, E, self.dt)  # pyright: ignore[reportArgumentType]

    def cross_solution(self, form: SchurForm, Q: np.ndarray) -> np.ndarray:
        X = solve_by_columns(lambda a, c, b: self.solve(a, c, self.mass @ b), self.apply, form, Q)
        is_complex = any(np.iscomplexobj(x) for x in (self.A.data, form.pencil.T, Q))
        return X if is_complex else np.real(X)

    @property
    def spectrum(self) -> NoReturn:
        self.refuse("all poles (if only to see that the system is stable)")

    def factors(self, B: Any, C: Any, *, horizon: float | None = None, band: Band | None = None) -> NoReturn:
        self.refuse("Gramians of the system")

    def inverted(self, B: np.ndarray, C: np.ndarray) -> NoReturn:
        self.refuse("the inverse of the state matrix")

    def sampled(self, step: float, B: np.ndarray, hold: Hold) -> NoReturn:
        self.refuse("the exponential of the state matrix")

    def refuse(self, what: str) -> NoReturn:
        """Raise, as `what` is needed."""
        way = "Take the dense system, sys.to_lti()."
        if self._size > MAX_DENSE_ORDER:
            way = f"Above an order of {MAX_DENSE_ORDER} no dense one is made: project it (sys.projected)."
        raise SparseSystemError(
            f"this needs {what}, which a sparse system does not have: low-rank solvers are not there yet. "
            + way
        )


def solved(factors: SuperLU, X: np.ndarray, *, adjoint: bool = False) -> np.ndarray:
    """``M^{-1} X`` or ``M^{-H} X`` from the LU factors of M."""
    trans = "H" if adjoint else "N"
    if np.iscomplexobj(X) and not np.iscomplexobj(factors.U.data):
        re, im = (solved(factors, part, adjoint=adjoint) for part in (np.real(X), np.imag(X)))
        return re + 1j * im
    return factors.solve(np.ascontiguousarray(X, dtype=factors.U.dtype), trans)
