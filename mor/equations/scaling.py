r"""Coordinates of a square matrix in which its eigenvalue problem is accurate.

States in units far apart, or rates far apart, make A graded. Backward errors of a Schur form are
relative to its largest entry, so what belongs to the small ones is lost. A diagonal scaling by
powers of two and a permutation, which cost no rounding, bring rows and columns to equal norms and
the largest ones first, the direction in which the QR algorithm keeps small eigenvalues accurate.

Source: [Osborne60]; [James14] for the norm; [Stewart01], section 2.3.3, for the direction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.linalg
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from mor.arrays import EPS, largest_entry, positive_or_one
from mor.errors import NotFiniteError

#: Ratio of the largest to the least norm above which rows are sorted; below, less than two digits are lost.
_SPREAD = 100.0

#: Largest norm whose square does not overflow.
_LARGEST = 1e154

#: Most balancings with B and C, whose units change with those of the states.
_ROUNDS = 4

#: Limit on the exponents: squares of scaled data stay far from overflow and underflow.
_LARGEST_EXPONENT = 100


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
    # Over a power of two near its largest entry, so that norms neither overflow nor underflow.
    largest = largest_entry(A)
    A = np.ldexp(1.0, min(-int(np.frexp(largest)[1]), 1023)) * A
    balanced, scale = _equal_norms(A)
    exponent = np.frexp(scale)[1]
    middle = np.sort(exponent)[n // 2]
    scale = np.ldexp(1.0, np.clip(exponent - middle, -_LARGEST_EXPONENT, _LARGEST_EXPONENT))
    size = np.linalg.norm(balanced, axis=0) + np.linalg.norm(balanced, axis=1)
    if np.max(size) > _SPREAD * np.min(size):
        index = np.argsort(-size, kind="stable")
    return index, scale[index]


def _equal_norms(A: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A with rows as long as its columns, and the scales that make it so, powers of two."""
    gebal: Any = scipy.linalg.get_lapack_funcs("gebal", (A,))
    balanced, _, _, scale, _ = gebal(A, scale=1, permute=0)
    return balanced, scale


def lengths(x: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Euclidean lengths, whose squares may be out of range."""
    largest = np.max(np.abs(x), axis=axis, initial=0.0, keepdims=True)
    found = np.linalg.norm(x / positive_or_one(largest), axis=axis, keepdims=True)
    return np.squeeze(largest * found, axis=axis)


def well_scaled(A: np.ndarray) -> np.ndarray:
    """Which matrices (..., n, n) :func:`grading` surely leaves as they are.

    It changes a row only where its norm is twice its column's or half of it, without the diagonal,
    and the order only where norms spread.
    """
    off = np.where(np.eye(A.shape[-1], dtype=bool), 0.0, A)
    row, column = np.linalg.norm(off, axis=-1), np.linalg.norm(off, axis=-2)
    equal = np.all((row <= 1.9 * column) & (column <= 1.9 * row), axis=-1)
    size = np.linalg.norm(A, axis=-2) + np.linalg.norm(A, axis=-1)
    least, most = np.min(size, axis=-1), np.max(size, axis=-1)
    # Where squares leave the range norms tell nothing.
    return equal & (most <= _SPREAD * least) & (least > 1 / _LARGEST) & (most < _LARGEST)


def check_range(A: np.ndarray) -> None:
    """Raise if squares of A overflow.

    Raises
    ------
    NotFiniteError
    """
    largest = largest_entry(A)
    if not largest * len(A) <= _LARGEST:
        raise NotFiniteError(
            f"the state matrix (E^-1 A, if there is an E) has entries of {largest:.1e}, above the range of "
            "the solver: take a smaller unit of time."
        )


def balancing(A: np.ndarray, B: np.ndarray, C: np.ndarray) -> np.ndarray:
    r"""t such that :math:`(T^{-1}AT, T^{-1}B, CT)`, T = diag(t), is well scaled as a system.

    Of the matrix :math:`\begin{bmatrix} A & b \\ c & 0 \end{bmatrix}`, with b, c the norms of the rows of B
    and the columns of C (each signal in units of its own), the entries off the diagonal are brought as
    close to one size as scales of the states can,

    .. math:: \min_{x, u} \sum_{a_{ij} \ne 0} (\log|a_{ij}| - u + x_j - x_i)^2, \qquad t = e^x,

    a linear problem, whose solution moves with the units of the states exactly. States that A couples to no
    other get a scale from B and C. What is round-off beside its row and column, after a first
    balancing by LAPACK's ``gebal``, does not count.

    Parameters
    ----------
    A, B, C : arrays (n, n), (n, m), (p, n), finite.

    Returns
    -------
    t : array (n,), powers of two.

    Raises
    ------
    NotFiniteError
        If squares of A overflow.

    Notes
    -----
    One linear system of order n. SLICOT's ``TB01ID`` and MATLAB's ``prescale`` balance norms instead, state
    by state, and stop where that gains little: along a chain of states scales drift by many decades.
    Source: [Curtis72].

    Examples
    --------
    >>> import numpy as np
    >>> t = balancing(np.diag([-1.0, -2.0]), np.array([[2.0**20], [1.0]]), np.array([[1.0, 2.0**20]]))
    >>> float(t[0] / t[1]) / 2**20
    1.0
    """
    check_range(A)
    t = np.ones(len(A))
    for _ in range(_ROUNDS):
        step = _evening_scales(_with_signals(A, B, C, t))
        t = t * step
        if np.all(step == 1):
            break
    return t


def _with_signals(A: np.ndarray, B: np.ndarray, C: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Absolute values off the diagonal, in the scales t, b and c in their last column and row."""
    A, B, C = np.abs(A * t / t[:, None]), B / t[:, None], C * t
    b, c = (np.linalg.norm(X / positive_or_one(np.linalg.norm(X, axis=0)), axis=1) for X in (B, C.T))
    np.fill_diagonal(A, 0)
    unit = float(np.linalg.norm(A)) / max(len(A), 1) ** 0.5 or 1.0
    return np.block([[A, unit * b[:, None]], [unit * c[None, :], np.zeros((1, 1))]])


def _evening_scales(M: np.ndarray) -> np.ndarray:
    """Scales of all rows but the last that even out the entries; powers of two."""
    balanced, scale = _equal_norms(M)
    noise = 10 * len(M) * EPS
    limit = noise * np.maximum(np.max(balanced, axis=1)[:, None], np.max(balanced, axis=0))
    counted = balanced > limit
    logarithm = np.log2(balanced, out=np.zeros_like(balanced), where=counted)
    typical = float(np.sum(logarithm)) / max(int(np.sum(counted)), 1)
    excess = np.where(counted, logarithm - typical, 0.0)
    pattern = counted.astype(float)
    laplacian = np.diag(np.sum(pattern, axis=0) + np.sum(pattern, axis=1)) - pattern - pattern.T
    # One state of each part that nothing connects to the others keeps its scale.
    _, part = connected_components(csr_array(pattern), directed=False)
    fixed = np.array([np.flatnonzero(part == k)[-1] for k in range(int(np.max(part)) + 1)])
    right = np.sum(excess, axis=1) - np.sum(excess, axis=0)
    laplacian[fixed], right[fixed] = np.eye(len(M))[fixed], 0.0
    x = np.linalg.solve(laplacian, right) + np.log2(scale)
    return np.exp2(np.clip(np.round(x - x[-1]), -_LARGEST_EXPONENT, _LARGEST_EXPONENT))[:-1]


def scaled(A: np.ndarray, index: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """A in the coordinates of :func:`grading`; A itself if they are its own."""
    if np.all(scale == 1) and np.all(index[1:] > index[:-1]):
        return A
    return A[np.ix_(index, index)] * (scale / scale[:, None])
