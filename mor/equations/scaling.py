r"""Coordinates of a square matrix in which its eigenvalue problem is accurate.

States in units far apart, or rates far apart, make A graded. Backward errors of a Schur form are
relative to its largest entry, so what belongs to the small ones is lost. A diagonal scaling by
powers of two and a permutation, which cost no rounding, bring rows and columns to equal norms and
the largest ones first, the direction in which the QR algorithm keeps small eigenvalues accurate.

Source: Osborne (1960); James, Langou and Lowery (2014) for the norm; Stewart, Matrix Algorithms II
(2001), section 2.3.3, for the direction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg

#: Spread of norms above which rows are sorted: less costs less than two digits.
_GRADED = 100.0

#: Limit on the exponents: squares of scaled data stay far from overflow and underflow.
_EXPONENT = 100


def grading(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""``(index, scale)``: :math:`S^{-1} A_{ij} S` with i = j = index, S = diag(scale), is well scaled.

    Parameters
    ----------
    A : array (n, n), finite.

    Notes
    -----
    A few passes over A: less than a hundredth of its Schur form. LAPACK's ``gebal``, SLICOT's ``TB01ID``
    without B and C.

    Examples
    --------
    >>> import numpy as np
    >>> A = np.array([[-1.0, 1e-6], [1e6, -2.0]])
    >>> index, scale = grading(A)
    >>> scaled(A, index, scale).round(2)
    array([[-1.  ,  0.52],
           [ 1.91, -2.  ]])
    """
    n = len(A)
    index = np.arange(n)
    if n < 2:
        return index, np.ones(n)
    balance: Any = scipy.linalg.get_lapack_funcs("gebal", (A,))
    balanced, _, _, scale, _ = balance(A, scale=1, permute=0)
    exponent = np.frexp(scale)[1]
    exponent = np.clip(exponent - int(np.median(exponent)), -_EXPONENT, _EXPONENT)
    scale = np.ldexp(1.0, exponent)
    size = np.linalg.norm(balanced, axis=0) + np.linalg.norm(balanced, axis=1)
    if np.max(size) > _GRADED * np.min(size):
        index = np.argsort(-size, kind="stable")
    return index, scale[index]


def well_scaled(A: np.ndarray) -> np.ndarray:
    """Which matrices (..., n, n) :func:`grading` surely leaves as they are.

    It changes a row only where its norm is twice its column's or half of it, without the diagonal,
    and the order only where norms spread.
    """
    off = np.where(np.eye(A.shape[-1], dtype=bool), 0.0, A)
    row, column = np.linalg.norm(off, axis=-1), np.linalg.norm(off, axis=-2)
    equal = np.all((row <= 1.9 * column) & (column <= 1.9 * row), axis=-1)
    size = np.linalg.norm(A, axis=-2) + np.linalg.norm(A, axis=-1)
    return equal & (np.max(size, axis=-1) <= _GRADED * np.min(size, axis=-1))


def scaled(A: np.ndarray, index: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """A in the coordinates of :func:`grading`; A itself if they are its own."""
    if np.all(scale == 1) and np.all(index[1:] > index[:-1]):
        return A
    return A[np.ix_(index, index)] * (scale / scale[:, None])
