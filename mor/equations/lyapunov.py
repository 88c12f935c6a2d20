"""Lyapunov and Stein equations with dense coefficients: the solution, and its factor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import scipy.linalg

from mor.arrays import adjoint
from mor.checks import check_dt, check_flag, check_horizon, check_shape, guarded
from mor.equations.doubling import lyapunov_horizon_factor, stein_factor
from mor.equations.schur import SchurForm
from mor.equations.sylvester import finish, matrices
from mor.errors import SingularEquationError


@guarded
def solve_lyapunov(A: Any, Q: Any, E: Any = None, *, dt: float = 0.0) -> np.ndarray:
    r"""X with ``A X E^H + E X A^H + Q = 0``, or ``A X A^H - E X E^H + Q = 0`` for dt > 0.

    Parameters
    ----------
    A : array (n, n), real or complex; it need not be stable.
    Q : array (n, n), real or complex; it need not be Hermitian. X is Hermitian if Q is.
    E : array (n, n), the identity if left out.
    dt : 0.0 for the first equation, positive for the second.

    Returns
    -------
    X : array (n, n), real if all data are. Computed in double precision; single if all
        data are single.

    Raises
    ------
    SingularEquationError
        If ``lambda_i + conj(lambda_j)``, or ``lambda_i conj(lambda_j) - 1``, vanishes to round-off times the
        norms of A and E for two eigenvalues of ``(A, E)``.
    DimensionError
        If the matrices are not square and of one size.
    NotFiniteError
        If an entry, or the solution, is NaN or infinite.
    TimeStepError
        If `dt` is negative or not finite.

    Notes
    -----
    A Schur form, which for E is that of ``E^{-1} A`` or QZ, whichever the accuracy asks for
    (:class:`mor.equations.schur.SchurForm`), then the triangular equation in recursive
    blocks, half of it where Q is Hermitian. Cost ``25 n^3 + 9 n^3`` flops. The residual is
    round-off times ``|A| |E| |X|``.

    Source: [Bartels72], [Penzl98], [Jonsson02]. Equals MATLAB's ``lyap`` and ``dlyap``
    (``lyap(A, Q, [], E)``), SLICOT's ``SB03MD``, ``SG03AD``.

    Examples
    --------
    >>> import mor
    >>> mor.solve_lyapunov([[-1.0]], [[4.0]])
    array([[2.]])
    >>> mor.solve_lyapunov([[0.5]], [[3.0]], dt=1.0)
    array([[4.]])
    """
    dt = check_dt(dt)
    A, Q, E = _square_matrices(A=A, Q=Q, E=E)
    return finish(SchurForm.of(A, E, dt).solve(Q), A, Q, E)


@guarded
def lyapunov_factor(
    A: Any, B: Any, E: Any = None, *, dt: float = 0.0, trans: bool = False, horizon: float | None = None
) -> np.ndarray:
    r"""Z with ``X = Z Z^H``, for ``A X E^H + E X A^H + B B^H = 0`` (dt = 0) or
    ``A X A^H - E X E^H + B B^H = 0`` (dt > 0), without forming X.

    With `trans`, and an output matrix in the place of B, the equation of observability:
    ``A^H X E + E^H X A + C^H C = 0``, or ``A^H X A - E^H X E + C^H C = 0``.

    Parameters
    ----------
    A : array (n, n), strictly stable (with E: the pencil) unless there is a horizon.
    B : array (n, m), or C (p, n) with `trans`.
    E : array (n, n), nonsingular; the identity if left out.
    dt : 0.0 continuous, positive discrete.
    trans : whether the equation is that of observability, with an output matrix for B.
    horizon : None, or an end time (continuous) or number of steps (discrete): the Gramian over
        that time. Any A will do then.

    Returns
    -------
    Z : array (n, r), r <= n; real if all data are. Computed in double precision; single if
        all data are single.

    Raises
    ------
    UnstableSystemError
        If an eigenvalue is not strictly stable and there is no horizon.
    SingularEquationError
        If E is singular, or the rates of A are below what the solver can tell from zero.
    DimensionError
        If the shapes of A, B and E do not fit together.
    NotFiniteError
        If an entry, or the factor, is NaN or infinite.
    TimeStepError
        If `dt` or `horizon` make no sense.

    Notes
    -----
    Hammarling's method in blocks (:mod:`mor.equations.hammarling`); with a horizon, doubling
    (:mod:`mor.equations.doubling`). Cost ``25 n^3 + 3 n^3 + 2 n^2 m`` flops. A semidefinite
    X is no special case. Small singular values of Z are right to round-off times the
    largest, while those of a formed X are lost below the square root of that.

    Source: [Hammarling82], [Penzl98], [Kressner08]. Equals MATLAB's ``lyapchol``
    and ``dlyapchol`` (transposed), SLICOT's ``SB03OD``, ``SG03BD``.

    Examples
    --------
    >>> import mor
    >>> mor.lyapunov_factor([[-1.0]], [[2.0]]) ** 2
    array([[2.]])
    """
    dt = check_dt(dt)
    horizon, trans = check_horizon(horizon, dt), check_flag("trans", trans)
    B = matrices(**{"C" if trans else "B": B})[0]
    A, E = _square_matrices(A=A, E=E)
    n = len(A)
    check_shape("C" if trans else "B", B.shape, (None, n) if trans else (n, None))
    if horizon is None:
        form = SchurForm.of(A, E, dt)
        form, inputs = (form.adjoint, adjoint(B)) if trans else (form, B)
        Z = form.controllability_factor(inputs)
    else:
        Z = _pencil_horizon_factor(A, B, E, dt, trans, horizon)
    return finish(Z, A, B, E)


def _pencil_horizon_factor(
    A: np.ndarray, B: np.ndarray, E: np.ndarray | None, dt: float, trans: bool, horizon: float
) -> np.ndarray:
    """By doubling, in the coordinates of ``E^{-1} A``."""
    A, B = A.astype(np.result_type(A, float)), B.astype(np.result_type(B, float))
    E = np.eye(len(A)) if E is None else E
    try:
        explicit = np.linalg.solve(E, A)
        if not trans:
            return horizon_factor(explicit, np.linalg.solve(E, B), dt, horizon)
        return np.linalg.solve(adjoint(E), horizon_factor(adjoint(explicit), adjoint(B), dt, horizon))
    except np.linalg.LinAlgError:
        raise SingularEquationError("E is singular: a pole is infinite, and no Gramian exists.") from None


def horizon_factor(A: np.ndarray, B: np.ndarray, dt: float, horizon: float) -> np.ndarray:
    """Gramian factor over a time or a number of steps, by doubling."""
    B = B.astype(np.result_type(A, B))
    if not B.size:
        return B[:, :0]
    if dt:
        return stein_factor(DenseEvolution(A), B, horizon=int(horizon))
    return lyapunov_horizon_factor(
        lambda t: DenseEvolution(scipy.linalg.expm(A * t)), float(np.linalg.norm(A, 1)), B, horizon
    )


@dataclass(frozen=True)
class DenseEvolution:
    """``x -> A x`` for a dense A."""

    A: np.ndarray

    def apply(self, Z: np.ndarray) -> np.ndarray:
        return self.A @ Z

    def square(self) -> Self:
        return type(self)(self.A @ self.A)


def _square_matrices(**values: Any) -> list[Any]:
    """`values` as square matrices of one size; E may be None."""
    given = {name: x for name, x in values.items() if name != "E" or x is not None}
    arrays = dict(zip(given, matrices(**given), strict=True))
    n = len(next(iter(arrays.values())))
    for name, x in arrays.items():
        check_shape(name, x.shape, (n, n))
    return [arrays.get(name) for name in values]
