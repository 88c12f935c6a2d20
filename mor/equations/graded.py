r"""Singular values of a product of Gramian factors, the small ones included.

Such a matrix is graded: its rows and columns differ by many orders of magnitude, and so
do its singular values. A QR factorisation with column pivoting of the rows, largest first,
keeps that grading, and the columns of :math:`R^H` hold the singular values almost by
themselves; those far below round-off are left out, which for few inputs or outputs leaves
a small matrix.

Source: [Powell69], [Cox98] for the row order, [Drmac08] for QR before the SVD, [Duersch17] for pivots by
blocks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from mor.arrays import adjoint
from mor.errors import NotFiniteError

#: What is smaller than this, relative to the largest column, is left out.
_NEGLIGIBLE = 1e-22

#: Rows and columns within this factor of each other are not graded.
_EVEN = 10.0

#: Up to this order LAPACK pivots column by column; beyond, we do by blocks of columns.
_SMALL, _BLOCK = 128, 64

#: Columns of LAPACK's workspaces: blocks of 32 reflectors and two.
_WORK_COLUMNS = 34


def graded_svd(M: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(U, s, V^H)`` of a real or complex matrix, reduced; singular values below 1e-22 of the largest
    may be left out.

    Cost about ``4 n^2 r + 20 n r^2`` flops for what is left, r values. Where they decay
    too slowly for that it is one plain SVD.
    """
    found = _pivoted(M)
    if found is None:
        return np.linalg.svd(M, full_matrices=False)
    rows, Q, R, columns = found
    X, s, Yh = scipy.linalg.svd(adjoint(R), full_matrices=False, check_finite=False)
    U, V = np.empty((len(M), len(s)), X.dtype), np.empty((M.shape[1], len(s)), X.dtype)
    U[rows], V[columns] = Q @ adjoint(Yh), X
    return U, s, adjoint(V)


class BalancingSVD(NamedTuple):
    """``Zo^H Zc = U diag(values) V^H`` of Gramian factors: Hankel singular values, and balanced bases."""

    Zc: np.ndarray
    Zo: np.ndarray
    U: np.ndarray
    values: np.ndarray
    Vh: np.ndarray

    @classmethod
    def of(cls, Zc: np.ndarray, Zo: np.ndarray) -> BalancingSVD:
        return cls(Zc, Zo, *graded_svd(adjoint(Zo) @ Zc))

    @property
    def size(self) -> float:
        """What the round-off of the product is relative to, whatever the units of the states."""
        # Rows of the factors are in units inverse to each other.
        return float(np.sum(np.linalg.norm(self.Zo, axis=1) * np.linalg.norm(self.Zc, axis=1)))

    def bases(self, k: int) -> tuple[np.ndarray, np.ndarray]:
        """``(L, R)`` (n, k) with ``L^H R = I``, of the k largest values."""
        root = np.sqrt(self.values[:k])
        return self.Zo @ self.U[:, :k] / root, self.Zc @ adjoint(self.Vh[:k]) / root


def tail_sums(values: np.ndarray) -> np.ndarray:
    """Twice the sums (..., n + 1) of the values (..., n) from each on, and 0: the bound of every order."""
    sums = 2 * np.cumsum(values[..., ::-1], axis=-1)[..., ::-1]
    return np.concatenate([sums, np.zeros((*values.shape[:-1], 1))], axis=-1)


def graded_values(M: np.ndarray) -> np.ndarray:
    """The singular values of :func:`graded_svd`, without its vectors."""
    found = _pivoted(M, basis=False)
    if found is None:
        return np.linalg.svd(M, compute_uv=False)
    values: Any = scipy.linalg.svd(adjoint(found[2]), compute_uv=False, check_finite=False)
    return values


def _is_even(M: np.ndarray) -> bool:
    """Whether all rows, and all columns, are of about one size: there is then no grading to be kept."""
    sizes = np.abs(M)
    largest = np.max(sizes, axis=0, initial=0.0), np.max(sizes, axis=1, initial=0.0)
    return all(np.max(x, initial=0.0) <= _EVEN * np.min(x, initial=np.inf) for x in largest)


def _largest_first(M: np.ndarray) -> np.ndarray:
    """The rows, largest first.

    Raises
    ------
    NotFiniteError
        If squares of norms of M, which LAPACK takes, are not finite.
    """
    sizes = np.linalg.norm(M, axis=1)
    if not sizes.sum() < np.inf:
        raise NotFiniteError(
            "a product of Gramian factors overflows double precision: choose other units of time or signals."
        )
    return np.argsort(-sizes, kind="stable")


def batch_svd(M: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``(U, s, V^H)``, reduced, of real matrices (..., p, q).

    Symmetric ones, as systems of one input and one output make them, have them from their
    eigenvalues at half the cost and with the same error.
    """
    if M.shape[-2] != M.shape[-1] or not _is_symmetric(M):
        return np.linalg.svd(M, full_matrices=False)
    values, vectors = np.linalg.eigh((M + adjoint(M)) / 2)
    order = np.argsort(-np.abs(values), axis=-1, kind="stable")
    values = np.take_along_axis(values, order, axis=-1)
    U = np.take_along_axis(vectors, order[..., None, :], axis=-1)
    signs = np.where(values < 0, -1.0, 1.0)
    return U, np.abs(values), adjoint(U) * signs[..., :, None]


def _is_symmetric(M: np.ndarray) -> bool:
    """Whether each matrix is its transpose up to the round-off of the product that it is."""
    size = np.max(np.abs(M), axis=(-2, -1), initial=0.0)
    skew = np.max(np.abs(M - adjoint(M)), axis=(-2, -1), initial=0.0)
    return bool(np.all(skew <= M.shape[-1] * np.finfo(M.dtype).eps * size))


_qr: Any = scipy.linalg.qr


def _pivoted(
    M: np.ndarray, *, basis: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray] | None:
    """``(rows, Q, R, columns)``, ``M[rows][:, columns] = Q R`` without negligible rows of R; None if too
    many are not, or M is not graded. Without `basis` Q is left out."""
    if _is_even(M):
        return None
    rows = _largest_first(M)
    A = M[rows]
    at_once = min(A.shape) <= _SMALL
    found = _pivoted_at_once(A, basis) if at_once else _pivoted_in_blocks(np.asfortranarray(A), basis)
    return None if found is None else (rows, *found)


def _pivoted_at_once(A: np.ndarray, basis: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    names = ("geqp3", "ungqr" if np.iscomplexobj(A) else "orgqr")
    geqp3, orgqr = scipy.linalg.get_lapack_funcs(names, (A,))
    factors, columns, tau = geqp3(A, lwork=_WORK_COLUMNS * (A.shape[1] + 2))[:3]
    sizes = np.abs(np.diag(factors))
    rank = max(1, int(np.sum(sizes > _NEGLIGIBLE * sizes[0])))
    R = np.triu(factors[:rank])
    Q = orgqr(factors[:, :rank], tau[:rank], lwork=_WORK_COLUMNS * rank)[0] if basis else A[:, :0]
    return Q, R, columns - 1


def _pivoted_in_blocks(A: np.ndarray, basis: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Pivots of a random sketch serve for a block of columns; the rest is matrix products."""
    # One library for all of it: the threads of NumPy's BLAS and SciPy's slow each other.
    is_complex = np.iscomplexobj(A)
    ormqr: Any = scipy.linalg.get_lapack_funcs("unmqr" if is_complex else "ormqr", (A,))
    transposed = "C" if is_complex else "T"
    gemm: Any = scipy.linalg.get_blas_funcs("gemm", (A,))
    rng = np.random.default_rng(0)
    rows, n = A.shape
    columns, reflectors, done = np.arange(n), [], 0
    largest = float(np.max(np.linalg.norm(A, axis=0)))
    while done < min(rows, n):
        rest = A[done:, done:]
        left = float(np.max(np.linalg.norm(rest, axis=0)))
        if left <= _NEGLIGIBLE * largest:
            break
        if done and done * np.log(_NEGLIGIBLE) < 0.5 * n * np.log(left / largest):
            return None
        width = min(_BLOCK, *rest.shape)
        sketch = gemm(1.0, rng.standard_normal((width + 8, len(rest))), rest)
        pivots = _qr(sketch, mode="r", pivoting=True, check_finite=False)[1]
        A[:, done:], columns[done:] = A[:, done:][:, pivots], columns[done:][pivots]
        (panel, tau), _ = _qr(A[done:, done : done + width], mode="raw", check_finite=False)
        A[done:, done : done + width] = np.triu(panel)
        A[done:, done + width :] = _apply(ormqr, panel, tau, A[done:, done + width :], transposed)
        reflectors.append((panel, tau))
        done += width
    if not basis:
        return A[:, :0], A[:done], columns
    Q = np.zeros((rows, done), A.dtype, order="F")
    np.fill_diagonal(Q, 1.0)
    start = done
    for panel, tau in reversed(reflectors):
        start -= len(tau)
        Q[start:] = _apply(ormqr, panel, tau, Q[start:], "N")
    return Q, A[:done], columns


def _apply(ormqr: Any, panel: np.ndarray, tau: np.ndarray, C: np.ndarray, trans: str) -> np.ndarray:
    return ormqr("L", trans, panel, tau, C, max(1, 64 * C.shape[1]))[0] if C.size else C
