r"""Schur forms: where every equation with dense coefficients is solved.

For ``A = P T R^{-1}`` and ``E = P S R^{-1}`` with an upper quasi-triangular T and an upper
triangular S, an equation for X in A and E is one in T and S for ``R^{-1} X R^{-H}``, with
the right-hand side multiplied by ``P^{-1}``. Without E: P = R and S = I. With E
there are two ways: QZ, with P and R unitary, or the Schur form of ``E^{-1} A``, with
``P = E R``, which costs a tenth. R is unitary, or that times the scaling of
:mod:`mor.equations.scaling`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg

from mor.arrays import EPS, TINY, adjoint, block_diagonal, largest_entry
from mor.equations.boundary import ROUNDOFF, margins, pole_errors, unstable_message
from mor.equations.hammarling import triangular_factor
from mor.equations.scaling import check_range, grading, scaled
from mor.equations.triangular import TILE, Pencil, Tile, eigenvalue_pairs, solve_hermitian, solve_pair
from mor.errors import SingularEquationError, UnstableSystemError, keyword

#: ``|E| |E^{-1} A| / |A|`` up to which E is divided out: the accuracy that may be lost.
_LARGEST_GROWTH = 30.0

#: Up to this LAPACK's trsyl replaces a sum of eigenvalues by another number, in silence.
_TAKEN_FOR_ZERO = TILE**2 * TINY / EPS

#: Columns of the workspace of a Schur form: blocks of 64 reflectors.
_GEES_WORK = 66


@dataclass(frozen=True, eq=False)
class SchurForm:
    """The Schur form of A, or of the pencil (A, E), and what is solved with it.

    Make one with :meth:`of`; both Gramian factors of a system share it.

    Attributes
    ----------
    pencil : T and S; S is None for the identity.
    left, right : arrays (n, n) with ``P^{-1} = left^H`` and ``R = right``, up to E where it has been
        divided out; unitary, and equal without QZ, unless `graded` was asked for.
    divisor : LU factors of such an E.
    mirrored : whether this is the form of ``(A^H, E^H)``, where R has the factor ``E^{-H}``
        in place of P's E.
    divided : the E that was divided out to get A, if one was: with it went digits.
    exact : whether A was a Schur form as it came, so that its eigenvalues are data.
    sources : the forms that this one was joined from, or changed from, eigenvalue by eigenvalue.

    Examples
    --------
    >>> import numpy as np
    >>> form = SchurForm.of(np.array([[-1.0]]))
    >>> form.controllability_factor(np.array([[2.0]])) * form.observability_factor(np.array([[3.0]]))
    array([[3.]])
    """

    pencil: Pencil
    left: np.ndarray
    right: np.ndarray
    dt: float
    divisor: Any = None
    mirrored: bool = False
    divided: np.ndarray | None = None
    exact: bool = False
    sources: tuple[SchurForm, ...] = ()

    @classmethod
    def of(
        cls, A: np.ndarray, E: np.ndarray | None = None, dt: float = 0.0, *, graded: bool = False
    ) -> SchurForm:
        r"""Real for real data; about ``25 n^3`` flops, ``66 n^3`` where QZ is needed.

        E is divided out where that does not hurt: the backward error of ``E^{-1} A``,
        relative to A, is round-off times :math:`\|E\| \|E^{-1}A\| / \|A\|`, which is computed
        (with the root mean square of E's singular values) and must not exceed 30. QZ has no
        such factor.

        With `graded` the form is that of A in the coordinates of :func:`mor.equations.scaling.grading`:
        eigenvalues and Gramians do not suffer from the units of the states. Residuals are then
        small in those coordinates, not in the norms of the data, so the public solvers do without.
        """
        dtype = np.result_type(A, float) if E is None else np.result_type(A, E, float)
        A = A.astype(dtype)
        if not A.size:
            return cls(Pencil.of(A), A, A, dt)
        divisor = None
        if E is not None:
            E = E.astype(dtype)
            divisor, A = _divided(A, E)
            if divisor is None:
                T, S, left, right = scipy.linalg.qz(A, E)
                return cls(Pencil.of(T, S), left, right, dt)
        check_range(A)
        index, scale = grading(A) if graded else (np.arange(len(A)), np.ones(len(A)))
        T, Z, exact = _schur(scaled(A, index, scale))
        left, right = np.empty_like(Z), np.empty_like(Z)
        left[index], right[index] = Z / scale[:, None], Z * scale[:, None]
        return cls(Pencil.of(T), left, right, dt, divisor, divided=E, exact=exact)

    def joined(self, other: SchurForm) -> SchurForm:
        """The form of ``diag(A, A_other)``, for two forms without E: nothing is computed."""
        # Beside a complex form a real one must be truly triangular.
        one, two = self.in_field_of(other.pencil.T), other.in_field_of(self.pencil.T)
        T = block_diagonal(one.pencil.T, two.pencil.T)
        left, right = block_diagonal(one.left, two.left), block_diagonal(one.right, two.right)
        return SchurForm(Pencil.of(T), left, right, self.dt, sources=(self, other))

    @property
    def undivided(self) -> SchurForm:
        """The form of ``E^{-1} A`` itself, where E has been divided out."""
        return replace(self, divisor=None, sources=(self,))

    @cached_property
    def adjoint(self) -> SchurForm:
        """The form of ``(A^H, E^H)``: the same numbers in the opposite order."""
        left, right = self.right[:, ::-1], self.left[:, ::-1]
        pencil, mirrored = self.pencil.reversed(), not self.mirrored
        form = SchurForm(pencil, left, right, self.dt, self.divisor, mirrored, self.divided, self.exact)
        if "homogeneous" in vars(self):
            alpha, beta = self.homogeneous
            vars(form)["homogeneous"] = alpha[::-1].conj(), beta[::-1].conj()
        return form

    @cached_property
    def homogeneous(self) -> tuple[np.ndarray, np.ndarray]:
        """``(alpha, beta)``, complex: the eigenvalues are their quotients."""
        return eigenvalue_pairs(self.pencil)

    @cached_property
    def poles(self) -> np.ndarray:
        """Eigenvalues of the pencil; infinite where E is singular."""
        alpha, beta = self.homogeneous
        with np.errstate(divide="ignore", invalid="ignore"):
            return alpha / beta

    @cached_property
    def margins(self) -> np.ndarray:
        """Distances of the eigenvalues to the stability boundary, positive inside; NaN of infinite ones."""
        with np.errstate(invalid="ignore"):
            return np.asarray(margins(self.poles, self.dt))

    @cached_property
    def pole_errors(self) -> np.ndarray:
        """First-order errors of the eigenvalues next to that boundary (:mod:`mor.equations.boundary`), zero
        for the others. Of forms that were joined they are what they were before."""
        if self.sources:
            return np.concatenate([form.pole_errors for form in self.sources])
        if self.exact and self.divided is None:
            # The imaginary part of a pair is the root of a product, which counts on the circle only.
            pair = np.imag(self.poles) != 0 if np.any(np.diag(self.pencil.T, -1)) else 0.0
            return 4 * EPS * np.abs(self.poles) * (pair if self.dt else 0.0)
        return pole_errors(self.pencil, lambda: self.adjoint.pencil, self.poles, self.dt, self.noise)

    @property
    def stable(self) -> np.ndarray:
        """Which eigenvalues are stable by more than their error."""
        return self.margins > self.pole_errors

    def noise(self, points: np.ndarray) -> np.ndarray:
        r"""Norms of what round-off of A and E, and of this form, may add to ``T - s S`` at points s (K,):
        :math:`\epsilon(\|T\| + |s|\|S\|)`."""
        T, S = self.pencil.norms
        return ROUNDOFF * self._growth * (T + np.abs(points) * S)

    @cached_property
    def _growth(self) -> float:
        r"""The factor on round-off of :math:`E^{-1} A`, where it was formed: the condition of E.

        :math:`\| |E^{-1}| |E| \|_\infty` in the coordinates of T, which the units of equations do not change.
        """
        if self.divided is None:
            return 1.0
        scale = np.linalg.norm(self.left if self.mirrored else self.right, axis=1)
        E = self.divided * scale
        return float(np.linalg.norm(np.abs(np.linalg.inv(E)) @ np.abs(E), np.inf))

    def enter(self, B: np.ndarray) -> np.ndarray:
        """``P^{-1} B``."""
        if self.divisor is not None and not self.mirrored:
            B = scipy.linalg.lu_solve(self.divisor, B)
        return adjoint(self.left) @ B

    def leave(self, U: np.ndarray) -> np.ndarray:
        """``R U``."""
        Z = self.right @ U
        if self.divisor is not None and self.mirrored:
            Z = scipy.linalg.lu_solve(self.divisor, Z, trans=2, check_finite=False)
        return Z

    def solve(self, Q: np.ndarray) -> np.ndarray:
        """X with ``A X E^H + E X A^H + Q = 0``, or ``A X A^H - E X E^H + Q = 0``.

        Raises
        ------
        SingularEquationError
        """
        require_regular(self, self, self.dt)
        if not np.array_equal(Q, adjoint(Q)):
            return cross_solution(self, self, Q)
        if np.iscomplexobj(Q) and not np.iscomplexobj(self.pencil.T):
            X = self._solve_hermitian(np.real(Q)) + 1j * cross_solution(self, self, np.imag(Q))
        else:
            X = self._solve_hermitian(Q)
        return (X + adjoint(X)) / 2

    def _solve_hermitian(self, Q: np.ndarray) -> np.ndarray:
        inner = _both_sides(self.enter, self.enter, Q)
        inner = solve_hermitian(self.pencil, (inner + adjoint(inner)) / 2, self.dt)
        return _both_sides(self.leave, self.leave, inner)

    def controllability_factor(self, B: np.ndarray) -> np.ndarray:
        """Z with ``A X E^H + E X A^H + B B^H = 0``, or the discrete analogue, for ``X = Z Z^H``.

        Raises
        ------
        UnstableSystemError, SingularEquationError
        """
        self.require_stable()
        form = self.in_field_of(B)
        return form.leave(form._triangular_factor(B))

    def observability_factor(self, C: np.ndarray) -> np.ndarray:
        """Zo of the system ``(E^{-1} A, C)``; ``E^{-1}`` is not applied."""
        self.require_stable()
        form = self.adjoint.in_field_of(C)
        U, S = form._triangular_factor(adjoint(C)), form.pencil.S
        return form.right @ U if S is None else form.left @ (S @ U)

    def in_field_of(self, B: np.ndarray) -> SchurForm:
        """This form, truly triangular and complex if B is complex and the form is not."""
        if not np.iscomplexobj(B) or np.iscomplexobj(self.pencil.T):
            return self
        T, S, G, H = Tile(self.pencil.T, self.pencil.S).triangular
        pencil = Pencil.of(T.astype(complex), None if S is None else S.astype(complex))
        left = self.left if G is None else self.left @ G
        right = self.right if H is None else self.right @ H
        return replace(self, pencil=pencil, left=left, right=right, sources=(self,))

    def require_stable(self) -> None:
        """Raise unless every eigenvalue is finite and stable by more than its error."""
        if np.any(self.homogeneous[1] == 0):
            raise SingularEquationError("E is singular: a pole is infinite, and no Gramian exists.")
        if np.all(self.stable):
            return
        i = int(np.argmin(self.margins - self.pole_errors))
        where = "inside the unit circle" if self.dt else "in the left half-plane"
        raise UnstableSystemError(
            unstable_message(
                self.poles[i],
                str(i),
                self.dt,
                self.pole_errors[i],
                "a Gramian on an infinite horizon",
                needs=f"all poles {where}",
                remedy=f"Check dt, set such poles apart (mor.split_stable), or give {keyword('horizon')}.",
            )
        )

    def _triangular_factor(self, B: np.ndarray) -> np.ndarray:
        norm, _ = self.pencil.norms
        if not self.dt and B.size and norm * EPS <= _TAKEN_FOR_ZERO:
            raise SingularEquationError(
                f"A has norm {norm:.1e}, below the range of the solver: take a larger unit of time."
            )
        return triangular_factor(self.pencil, self.enter(B), self.dt)


def cross_solution(left: SchurForm, right: SchurForm, Q: np.ndarray) -> np.ndarray:
    """X with ``A X E_r^H + E X A_r^H + Q = 0``, or ``A X A_r^H - E X E_r^H + Q = 0``.

    A, E and the time are those of `left`, A_r and E_r those of `right`. Unchecked.
    """
    is_complex = [np.iscomplexobj(x) for x in (left.pencil.T, right.pencil.T, Q)]
    if is_complex[2] and not is_complex[0] and not is_complex[1]:
        return cross_solution(left, right, np.real(Q)) + 1j * cross_solution(left, right, np.imag(Q))
    if any(is_complex):
        Q = Q.astype(complex)
        left, right = left.in_field_of(Q), right.in_field_of(Q)
    inner = _both_sides(left.enter, right.enter, Q)
    inner = solve_pair(left.pencil, right.pencil, inner, left.dt)
    return _both_sides(left.leave, right.leave, inner)


def _both_sides(
    left: Callable[[np.ndarray], np.ndarray], right: Callable[[np.ndarray], np.ndarray], X: np.ndarray
) -> np.ndarray:
    """``L X R^H``."""
    return adjoint(right(adjoint(left(X))))


def require_regular(left: SchurForm, right: SchurForm, dt: float) -> None:
    r"""Raise unless ``lambda_i + conj(mu_j)``, or ``lambda_i conj(mu_j) - 1``, stay away from zero.

    An eigenvalue of T is known up to a few units of round-off times ``|T|``, the backward
    error of a Schur form. A sum within ten of them cannot be told from zero: data that differ
    by round-off make the equation singular. Norms are Frobenius norms.
    """
    eps = 10 * EPS
    (a, b), (c, d) = left.homogeneous, (x.conj() for x in right.homogeneous)
    norm_a, norm_b = left.pencil.norms
    norm_c, norm_d = right.pencil.norms
    for start in range(0, len(a), 128):
        rows = slice(start, start + 128)
        x, y = a[rows, None], b[rows, None]
        if dt:
            value = x * c - y * d
            doubt = norm_a * np.abs(c) + np.abs(x) * norm_c
            doubt = doubt + (norm_b + np.abs(y)) * np.abs(d) + np.abs(y) * norm_d
        else:
            value = x * d + y * c
            doubt = norm_a * np.abs(d) + np.abs(y) * norm_c + norm_b * np.abs(c) + np.abs(x) * norm_d
        bad = np.argwhere(np.abs(value) <= eps * doubt + _TAKEN_FOR_ZERO)
        if len(bad):
            i, j = start + int(bad[0, 0]), int(bad[0, 1])
            raise SingularEquationError(_singular_message(left.poles[i], right.poles[j], (i, j), dt))


def _singular_message(first: complex, second: complex, at: tuple[int, int], dt: float) -> str:
    if not (np.isfinite(first) and np.isfinite(second)):
        return "E is singular: an eigenvalue is infinite, and the equation has no unique solution."
    value, rule = (
        (abs(first * second.conjugate() - 1), "lambda_i conj(mu_j) = 1")
        if dt
        else (abs(first + second.conjugate()), "lambda_i + conj(mu_j) = 0")
    )
    return (
        f"the equation has no unique solution: {rule} to round-off, for eigenvalue {at[0]}, {first:.6g}, and "
        f"{at[1]}, {second:.6g} of the adjoint (off by {value:.1e}). It must differ by more than "
        "ten times round-off times the norms of the coefficients."
    )


def _schur(A: np.ndarray) -> tuple[np.ndarray, np.ndarray, bool]:
    """T, Z, and whether A is a Schur form as it is, which makes them A and the identity."""
    if _is_schur_form(A):
        return np.ascontiguousarray(A), np.eye(len(A), dtype=A.dtype), True
    # As scipy.linalg.schur does, without what it costs to call that at small orders.
    gees: Any = scipy.linalg.get_lapack_funcs("gees", (A,))
    T, *_, Z, _, info = gees(_any_order, A, lwork=_GEES_WORK * len(A))
    if info:
        raise np.linalg.LinAlgError("the Schur form has not been found.")
    return np.ascontiguousarray(T), Z, False


def _any_order(*_: float) -> None:
    """Eigenvalues come as they are found."""


def _is_schur_form(A: np.ndarray) -> bool:
    """Whether A is upper triangular, or real with 2 x 2 blocks ``[[a, b], [c, a]]``, ``b c < 0``, on the
    diagonal, whose eigenvalues have the real part a exactly."""
    # What is in the corner spares a look at the rest.
    if len(A) > 2 and (A[-1, 0] != 0 or np.any(np.tril(A, -2))):
        return False
    below = np.diag(A, -1)
    first = np.flatnonzero(below)
    if not len(first):
        return True
    return (
        not np.iscomplexobj(A)
        and not np.any(np.diff(first) == 1)
        and bool(np.all(A[first, first] == A[first + 1, first + 1]))
        and bool(np.all(np.sign(A[first, first + 1]) == -np.sign(below[first])))
    )


def _divided(A: np.ndarray, E: np.ndarray) -> tuple[Any, np.ndarray]:
    """LU factors of E and ``E^{-1} A``; no factors where accuracy asks for QZ."""
    getrf: Any = scipy.linalg.get_lapack_funcs("getrf", (E,))
    lu, pivots, info = getrf(E)
    if info:
        return None, A
    divisor = (lu, pivots)
    divided = scipy.linalg.lu_solve(divisor, A)
    if not np.all(np.isfinite(divided)):
        return None, A
    # A unit of E that is far from one is a unit of time, and no matter of accuracy.
    unit = largest_entry(E) or 1.0
    if largest_entry(divided) > np.finfo(float).max * min(unit, 1.0):
        return divisor, divided
    growth = np.linalg.norm(E / unit) * np.linalg.norm(divided * unit)
    return (divisor, divided) if growth <= _LARGEST_GROWTH * np.linalg.norm(A) * len(A) ** 0.5 else (None, A)
