"""Sylvester equations with dense coefficients."""

from __future__ import annotations

from typing import Any

import numpy as np

from mor.arrays import adjoint
from mor.checks import check_dt, check_finite, check_shape, guarded, numbers
from mor.equations.schur import SchurForm, cross_solution, require_regular
from mor.equations.sparse import dense
from mor.errors import DimensionError, SingularEquationError


@guarded
def solve_sylvester(A: Any, B: Any, Q: Any, *, dt: float = 0.0) -> np.ndarray:
    r"""X with ``A X + X B + Q = 0``, or ``A X B - X + Q = 0`` for dt > 0.

    Parameters
    ----------
    A : array (n, n), real or complex.
    B : array (m, m), real or complex.
    Q : array (n, m), real or complex.
    dt : 0.0 for the first equation, positive for the second.

    Returns
    -------
    X : array (n, m), real if all data are. Computed in double precision; single if all
        data are single.

    Raises
    ------
    SingularEquationError
        If ``lambda_i(A) + lambda_j(B)``, or ``lambda_i(A) lambda_j(B) - 1``, vanishes to round-off times the
        norms of A and B: no solution, or no single one.
    DimensionError
        If the shapes do not fit together.
    NotFiniteError
        If an entry, or the solution, is NaN or infinite.
    TimeStepError
        If `dt` is negative or not finite.

    Notes
    -----
    Real (complex) Schur forms of A and ``B^H``, then the triangular equation in recursive
    blocks. Cost ``25 (n^3 + m^3) + 5 n m (n + m)`` flops. Backward stable as Bartels and
    Stewart's method is: the residual is round-off times ``(|A| + |B|) |X|``.
    Source: [Bartels72], [Jonsson02]. Equals MATLAB's
    ``sylvester(A, B, -Q)``; SciPy's ``solve_sylvester(A, B, -Q)``.

    Examples
    --------
    >>> import mor
    >>> mor.solve_sylvester([[1.0]], [[2.0]], [[6.0]])
    array([[-2.]])
    >>> mor.solve_sylvester([[0.5]], [[0.5]], [[3.0]], dt=1.0)
    array([[4.]])
    """
    dt = check_dt(dt)
    A, B, Q = matrices(A=A, B=B, Q=Q)
    n, m = len(A), len(B)
    check_shape("A", A.shape, (n, n))
    check_shape("B", B.shape, (m, m))
    check_shape("Q", Q.shape, (n, m))
    left, right = SchurForm.of(A, dt=dt), SchurForm.of(adjoint(B), dt=dt)
    require_regular(left, right, dt)
    return finish(cross_solution(left, right, Q), A, B, Q)


def matrices(**values: Any) -> list[np.ndarray]:
    """`values` as finite matrices of floating-point numbers."""
    arrays = {name: numbers(name, dense(name, x)) for name, x in values.items()}
    for name, x in arrays.items():
        if x.ndim != 2:
            raise DimensionError(
                f"{name} has shape {x.shape}; it must be a matrix of numbers.", argument=name
            )
        if not np.issubdtype(x.dtype, np.inexact):
            arrays[name] = x.astype(float)
        elif x.dtype.char in "gG":
            # Extended precision would come back as a type that promises digits LAPACK does not have.
            arrays[name] = x.astype(np.complex128 if x.dtype.char == "G" else float)
    check_finite(**arrays)
    return list(arrays.values())


def finish(X: np.ndarray, *data: np.ndarray | None) -> np.ndarray:
    """X in the precision of the data, once it is known to be finite."""
    if not np.all(np.isfinite(X)):
        raise SingularEquationError("the solution overflows: the equation is singular to working precision.")
    precisions = {x.dtype in (np.float32, np.complex64, np.float16) for x in data if x is not None}
    if precisions != {True}:
        return X
    return X.astype(np.complex64 if np.iscomplexobj(X) else np.float32)
