r"""Invariant zeros of a system, by reduction of its system pencil.

The system pencil

.. math:: P(\lambda) = \begin{bmatrix} A - \lambda I & B \\ C & D \end{bmatrix}

loses rank at the invariant zeros. What it has at infinity, and what no input or output sees of it, is
taken out by orthogonal transformations: where :math:`y_2 = C_2 x` does not depend on the input,
:math:`y_2 = 0` says :math:`x_2 = 0` for the states that :math:`C_2` sees, and what would drive these is
an output that must vanish in turn. So one step turns

.. math:: (A, B, C, D) \quad\text{into}\quad \left(A_{11},\; B_1,\;
          \begin{bmatrix} C_{11} \\ A_{21} \end{bmatrix},\; \begin{bmatrix} D_1 \\ B_2 \end{bmatrix}\right)

with fewer states and the same finite zeros, until D has full row rank. The same for the dual system
leaves a square regular D, whose rank is the normal rank of the transfer function, and the zeros are the
eigenvalues of a regular pencil. No zero is told from infinity by its size.

Source: [EmamiNaeini82]; SLICOT's ``AB08ND`` goes the same way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

from mor.arrays import EPS, adjoint, positive_or_one
from mor.equations.reflectors import Reflectors
from mor.equations.scaling import lengths
from mor.errors import NotFiniteError

#: Passes of the scaling, each of which changes norms by less than the one before.
_SWEEPS = 12


def invariant_zeros(
    A: np.ndarray, B: np.ndarray, C: np.ndarray, D: np.ndarray, tol: float | None = None
) -> tuple[np.ndarray, int]:
    """The finite zeros (complex), and the normal rank of the transfer function.

    A rank counts singular values above `tol`, ``(n + m) (n + p) eps`` if None, in the units of
    :func:`scaled_pencil`, in which the largest entries of rows and columns are about 1.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.diag([-1.0, -3.0])  # 1/(s + 1) - 2/(s + 3) = (1 - s) / ...
    >>> invariant_zeros(A, np.ones((2, 1)), np.array([[1.0, -2.0]]), np.zeros((1, 1)))
    (array([1.+0.j]), 1)
    """
    n, m, p = len(A), B.shape[1], len(C)
    A, B, C, D, rate = scaled_pencil(A, B, C, D)
    limit = (n + m) * (n + p) * EPS if tol is None else tol
    A, B, C, D = _with_full_rows(A, B, C, D, limit)
    A, B, C, D = _dual(*_with_full_rows(*_dual(A, B, C, D), limit))
    if not len(A):
        return np.zeros(0, dtype=complex), len(D)
    # On what [C D] does not see the pencil is one of n rows and columns.
    unseen = adjoint(np.linalg.svd(np.hstack([C, D]))[2][len(D) :])
    eigvals: Any = scipy.linalg.eigvals
    values = np.asarray(eigvals(np.hstack([A, B]) @ unseen, unseen[: len(A)]), dtype=complex)
    return rate * values[np.isfinite(values)], len(D)


def scaled_pencil(
    A: np.ndarray, B: np.ndarray, C: np.ndarray, D: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, float]:
    r"""``(T^{-1} A T / rate, T^{-1} B S / rate, R C T, R D S, rate)``: the same zeros, up to the rate.

    T, R and S are diagonal, of powers of two, which cost no rounding. Largest entries are about 1, of A, of
    columns of [B; D] and of rows of [C D], and in a row of [A B] about as large as in the column of
    [A; C] of that state. So no rank depends on the units of time, states and signals.
    """
    n = len(A)
    M, rate = np.block([[A, B], [C, D]]), 1.0
    states, rest = slice(0, n), slice(n, None)
    for _ in range(_SWEEPS):
        size = float(_power_of_two(lengths(M[states, states])))
        M[states] /= size
        rate *= size
        off = np.abs(M)
        off[np.arange(n), np.arange(n)] = 0.0
        rows, columns = lengths(off[states], 1), lengths(off[:, states], 0)
        coupled = (rows > 0) & (columns > 0)
        t = _power_of_two(np.sqrt(np.where(coupled, rows, 1.0)) / np.sqrt(np.where(coupled, columns, 1.0)))
        M[states] /= t[:, None]
        M[:, states] *= t
        M[:, rest] /= _power_of_two(lengths(M[:, rest], 0))
        M[rest] /= _power_of_two(lengths(M[rest], 1))[:, None]
    if not (np.isfinite(rate) and np.all(np.isfinite(M))):
        raise NotFiniteError("entries of A, B, C and D are too far apart to be scaled: choose other units.")
    return M[states, states], M[states, rest], M[rest, states], M[rest, rest], rate


def _power_of_two(size: Any) -> np.ndarray:
    """The nearest power of two; 1 for nothing."""
    return np.exp2(np.round(np.log2(positive_or_one(size))))


def _with_full_rows(
    A: np.ndarray, B: np.ndarray, C: np.ndarray, D: np.ndarray, limit: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The same finite zeros with a D of full row rank, step by step (see the module)."""
    while True:
        U, values, _ = np.linalg.svd(D)
        direct = int(np.sum(values > limit))
        C, D = adjoint(U) @ C, (adjoint(U) @ D)[:direct]
        _, values, Vh = np.linalg.svd(C[direct:], full_matrices=False)
        seen = int(np.sum(values > limit))
        C = C[:direct]
        if not seen:
            return A, B, C, D
        Q = Reflectors.onto(adjoint(Vh[:seen]))
        A, B, C = Q.left(Q.right(A))[:, seen:], Q.left(B), Q.right(C)[:, seen:]
        C, D = np.vstack([C, A[:seen]]), np.vstack([D, B[:seen]])
        A, B = A[seen:], B[seen:]


def _dual(
    A: np.ndarray, B: np.ndarray, C: np.ndarray, D: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    return adjoint(A), adjoint(C), adjoint(B), adjoint(D)
