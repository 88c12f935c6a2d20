"""What a state matrix can do: all that systems, norms and reductions ask of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from mor.arrays import Array, adjoint, is_complex
from mor.equations.band import Band
from mor.equations.columns import solve_by_columns
from mor.equations.holds import Hold
from mor.equations.schur import SchurForm

#: From weights on P and Q to the gradient with respect to the arrays of the operator, "B" and "C".
Pullback = Callable[[Array, Array], dict[str, Array]]


class Spectrum(Protocol):
    """Eigenvalues of A, and how well they are known."""

    @property
    def poles(self) -> Array:
        """The eigenvalues (..., k), with conjugates left out where the structure implies them."""
        ...

    @property
    def margins(self) -> Array:
        """Their distances to the stability boundary, positive inside."""
        ...

    @property
    def pole_errors(self) -> Array | float:
        """Errors of those next to that boundary, zero where poles are data."""
        ...


class GramianPair(NamedTuple):
    """``P``, ``Q`` and, on an infinite horizon, what pulls weights on them back to the data."""

    P: Array
    Q: Array
    pull: Pullback | None = None


class Operator(ABC):
    r"""The state matrix of ``x' = A x + B u`` or ``x[k+1] = A x[k] + B u[k]``, in any structure.

    All is said in the coordinates of the state in which Gramians and their factors are: those of a diagonal
    matrix of k complex modes are ``[Re z; Im z]``, 2k. There B is (..., n, m) and C is (..., p, n), real for
    a real system. Of a pencil, ``E x' = A x + B u``, B is as it stands beside A, and A in what follows is
    :math:`E^{-1} A`. Leading axes are a batch of independent matrices.

    What a structure does not know how to do raises a :class:`~mor.errors.MorError` that says so.
    """

    #: 0.0 continuous, positive discrete.
    dt: float

    @property
    @abstractmethod
    def spectrum(self) -> Spectrum:
        """Eigenvalues, where the structure can tell them."""

    @abstractmethod
    def apply(self, Z: Array) -> Array:
        """``A Z`` for Z (..., n, r)."""

    @abstractmethod
    def apply_absolute(self, Z: Array) -> Array:
        """``|A| Z``, with the absolute values of the entries of A."""

    @abstractmethod
    def adjoint(self) -> Self:
        """``x -> A^H x``."""

    @abstractmethod
    def solve(self, a: complex, c: complex, X: Array, *, adjoint: bool = False) -> Array:
        """``(a A + c I)^{-1} X``, of a pencil ``(a A + c E)^{-1} X``; or the adjoint of that times X."""

    @abstractmethod
    def transfer(self, points: Array, B: Array, C: Array) -> Array:
        """``C (s - A)^{-1} B`` at points (N,): (..., N, p, m); not finite where a point is a pole."""

    @abstractmethod
    def factors(
        self, B: Array | None, C: Array | None, *, horizon: float | None = None, band: Band | None = None
    ) -> tuple[Any, Any]:
        """``(Zc, Zo)`` with the Gramians ``Zc Zc^H`` of B and ``Zo Zo^H`` of C, on all time, up to a horizon
        or in a band of frequencies; None for None."""

    def gramians(
        self, B: Array, C: Array, *, horizon: float | None = None, band: Band | None = None
    ) -> GramianPair:
        """``(P, Q)``, formed."""
        Zc, Zo = self.factors(B, C, horizon=horizon, band=band)
        return GramianPair(_square(Zc), _square(Zo))

    def project(self, left: Array, right: Array, B: Array) -> tuple[Array, Array]:
        """``W^H A V`` and ``W^H B`` for W = left, V = right."""
        W = adjoint(left)
        return W @ self.apply(right), W @ B

    @abstractmethod
    def inverted(self, B: Array, C: Array) -> tuple[Self, Array, Array]:
        r"""``(c + S^{-1}, S^{-1} B, -C S^{-1})`` for ``S = A - c``, c = 0 or, in discrete time, 1.

        Raises
        ------
        numpy.linalg.LinAlgError
            If c is an eigenvalue.
        """

    @abstractmethod
    def sampled(self, step: float, B: Array, hold: Hold) -> tuple[Self, Array, Array]:
        """``(exp(A h), Gamma_0, Gamma_1)`` of :mod:`mor.equations.holds` for a continuous A."""

    def joined(self, other: Operator) -> Operator | None:
        """``diag(A, A_other)`` in the same structure; None if the other's is not."""
        return None

    def cross_solution(self, form: SchurForm, Q: np.ndarray) -> np.ndarray:
        """X with ``A X + X F^H + Q = 0``, or ``A X F^H - X + Q = 0``, from the Schur form of a small F.

        NumPy, unchecked; column by column (:mod:`mor.equations.columns`).
        """
        X = solve_by_columns(self.solve, self.apply, form, Q)
        return X if is_complex(Q) or is_complex(form.pencil.T) else np.real(X)


def over_E(operator: Operator, X: Array, *, adjoint: bool = False) -> Array:
    """``E^{-1} X`` of a pencil (A, E), or ``E^{-H} X``; of any other operator X itself."""
    return operator.solve(0, 1, X, adjoint=adjoint)


def _square(Z: Array) -> Array:
    """``Z Z^H``, Hermitian to the last bit."""
    X = Z @ adjoint(Z)
    return (X + adjoint(X)) / 2 if is_complex(X) else X
