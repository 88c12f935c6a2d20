r"""Resolvents and projections in extended precision, where differences of them are what counts.

A Schur form in double precision solves :math:`(sE - A)X = B` up to its backward error, some round-off
times :math:`|A|`. Residuals in the platform's widest floating type, and corrections by the same Schur
form, leave the round-off of that type (64 bits on x86; where it is no wider than double, what is gained
is less, and the last correction says so).

Source: [Wilkinson63]; [Higham02], chapter 12.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array

from mor.arrays import adjoint, positive_or_one
from mor.equations.resolvent import product, resolvent_of_columns
from mor.equations.schur import SchurForm

#: The widest floating type, and its complex counterpart.
WIDE, WIDE_COMPLEX = np.longdouble, np.clongdouble

#: Round-off of that type.
WIDE_EPS = float(np.finfo(WIDE).eps)

#: Share of entries that are not zero below which a matrix is multiplied as a sparse one.
_SPARSE = 0.1

#: Corrections after which convergence is given up; two or three are usual.
_CORRECTIONS = 6

#: A correction not smaller than this share of the last one is round-off.
_STALLED = 0.25


def widened(X: Any) -> Any:
    """X in extended precision, of its own field."""
    return X.astype(WIDE_COMPLEX if np.iscomplexobj(X) else WIDE)


def narrowed(X: Any) -> Any:
    """A wide X in double precision."""
    return X.astype(complex if np.iscomplexobj(X) else float)


def wide_operator(A: np.ndarray) -> Any:
    """A wide and ready to be multiplied: sparse where most of it is zero, as in most models."""
    few = np.count_nonzero(A) < _SPARSE * A.size
    return csr_array(widened(A)) if few else widened(A)


def refined_resolvent(
    form: SchurForm, A: Any, E: Any | None, points: np.ndarray, B: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    r""":math:`X_k = (s_k E - A)^{-1} B`, and the last correction, which is its round-off.

    Parameters
    ----------
    form : the Schur form of (A, E).
    A, E : (n, n), see :func:`wide_operator`; E None is the identity.
    points : wide complex array (N,)
    B : array (n, m)

    Returns
    -------
    X, correction : wide complex arrays (n, N, m); not finite where a point is an eigenvalue.

    Notes
    -----
    Each correction is a product in the wide type, ``2 n^2 N m`` multiplications for a real A at some
    3e8 a second, and triangular solutions in double precision.
    """
    n, m = B.shape
    shape, shifts = (n, len(points), m), np.repeat(points, m)
    right_side = np.repeat(widened(B)[:, None], len(points), axis=1).reshape(n, -1)

    def solved(R: np.ndarray) -> np.ndarray:
        return form.leave(resolvent_of_columns(form.pencil, shifts, form.enter(R.astype(complex))))

    X = np.zeros(right_side.shape, dtype=WIDE_COMPLEX)
    residual, correction, size = right_side, X, np.inf
    for _ in range(_CORRECTIONS):
        correction = solved(residual)
        X = X + correction
        last, size = size, _relative_size(correction, X)
        if not size > WIDE_EPS or size > _STALLED * last:
            break
        residual = right_side + product(A, X) - shifts * (X if E is None else product(E, X))
    return X.reshape(shape), correction.astype(WIDE_COMPLEX).reshape(shape)


def _relative_size(correction: np.ndarray, X: np.ndarray) -> float:
    """The largest of the corrections, relative to its row; rows are in units of their own."""
    rows = np.max(np.abs(X), axis=1, initial=0.0)
    share = np.max(np.abs(correction), axis=1, initial=0.0) / positive_or_one(rows)
    return float(np.max(share, initial=0.0))


def inverse_times(W: np.ndarray, *right: np.ndarray) -> list[np.ndarray]:
    """``W^{-1} X`` for each X, in the precision of W: an inverse in double precision, refined."""
    start = np.linalg.inv(narrowed(W)).astype(W.dtype)
    found = []
    for X in right:
        Y = start @ X
        for _ in range(2):
            Y = Y + start @ (X - W @ Y)
        found.append(Y)
    return found


def projected(
    A: np.ndarray,
    E: np.ndarray | None,
    B: np.ndarray,
    C: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    *,
    wide: bool = True,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """``(W^H A V, W^H E V, W^H B, C V)`` for W = left, V = right; `wide`: sums in extended precision."""
    of, operator = (widened, wide_operator) if wide else (np.asarray, np.asarray)
    W, V = adjoint(of(left)), of(right)
    middle = V if E is None else product(operator(E), V)
    return W @ product(operator(A), V), W @ middle, W @ of(B), of(C) @ V
