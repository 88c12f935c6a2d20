r"""Sylvester and Stein equations with triangular coefficients, recursively in tiles.

With upper quasi-triangular ``(T, S)`` and ``(R, P)``, S and P without 2 x 2 blocks,

.. math:: T X P^H + S X R^H + Q = 0 \quad (dt = 0), \qquad
          T X R^H - S X P^H + Q = 0 \quad (dt > 0).

Halving the longer side leaves two equations of half the size and one product between
them, so that nearly all work is matrix products; what is left are tiles of a few dozen
rows.

Source: [Jonsson02], recursive blocked algorithms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.linalg import get_blas_funcs, get_lapack_funcs

from mor.arrays import adjoint, positive_or_one

#: Rows of a tile: below this a product costs more in calls than in flops.
TILE = 32

#: A block of S off the diagonal where S is the identity.
_ZERO = np.zeros((0, 0))


@dataclass(frozen=True, eq=False)
class Tile:
    """A diagonal block ``(T, S)`` of a pencil; S is None for the identity."""

    T: np.ndarray
    S: np.ndarray | None

    @cached_property
    def triangular(self) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None, np.ndarray | None]:
        """``(T, S, G, H)`` with truly triangular ``G^H (T, S) H``; G and H are None if it is already.

        G and H are unitary and block diagonal, one block for each 2 x 2 block of T, so that
        leading parts of the tile have the leading parts of all four.
        """
        (starts, pairs), S = _pairs(self.T), self.S
        if not len(starts):
            return np.asfortranarray(self.T), S if S is None else np.asfortranarray(S), None, None
        G, H = np.eye(len(self.T), dtype=complex), np.eye(len(self.T), dtype=complex)
        g, h = _triangularise(self.T[pairs], None if S is None else S[pairs])
        G[pairs], H[pairs] = g, h
        T = _between_pairs(self.T, starts, g, h)
        return T, None if S is None else _between_pairs(S, starts, g, h), G, H


@dataclass(frozen=True, eq=False)
class Pencil:
    """An upper quasi-triangular T and an upper triangular S (None: the identity), in tiles.

    Attributes
    ----------
    edges : first rows of the tiles, and n at the end; no 2 x 2 block is cut.
    """

    T: np.ndarray
    S: np.ndarray | None
    edges: tuple[int, ...]

    @classmethod
    def of(cls, T: np.ndarray, S: np.ndarray | None = None, tile: int = TILE) -> Pencil:
        """T and S in tiles of `tile` rows, or one more where a 2 x 2 block would be cut."""
        n, edges = len(T), [0]
        while edges[-1] < n:
            stop = min(edges[-1] + tile, n)
            edges.append(stop + 1 if stop < n and T[stop, stop - 1] != 0 else stop)
        return cls(T, S, tuple(edges))

    @property
    def count(self) -> int:
        """Number of tiles."""
        return len(self.edges) - 1

    @cached_property
    def tiles(self) -> list[Tile]:
        """Those on the diagonal."""
        return [Tile(*self.block((i, i + 1), (i, i + 1))) for i in range(self.count)]

    @cached_property
    def whole(self) -> Tile:
        """All of it in one."""
        return Tile(self.T, self.S)

    @cached_property
    def norms(self) -> tuple[float, float]:
        """Frobenius norms of T and S; 0 for the identity."""
        return float(np.linalg.norm(self.T)), 0.0 if self.S is None else float(np.linalg.norm(self.S))

    def rows(self, tiles: tuple[int, int]) -> slice:
        """The rows of a range of tiles."""
        return slice(self.edges[tiles[0]], self.edges[tiles[1]])

    def block(self, tiles: tuple[int, int], others: tuple[int, int]) -> tuple[Any, Any]:
        """``(T, S)`` between two ranges of tiles."""
        rows, columns = self.rows(tiles), self.rows(others)
        if self.S is None:
            return self.T[rows, columns], None if tiles == others else _ZERO
        return self.T[rows, columns], self.S[rows, columns]

    def reversed(self) -> Pencil:
        """The pencil of ``(J T^H J, J S^H J)``, upper triangular again, J the reversal of order."""
        return Pencil.of(_flip(self.T), None if self.S is None else _flip(self.S))


def solve_pair(left: Pencil, right: Pencil, Q: np.ndarray, dt: float) -> np.ndarray:
    """X of the equation above, with ``left = (T, S)`` and ``right = (R, P)``.

    Cost ``k l (k + l)`` flops for X of shape (k, l), twice that with S or P or dt.
    """
    X = Q.astype(np.result_type(Q, left.T, right.T))
    if X.size:
        solve_tiles(left, (0, left.count), right, (0, right.count), X, dt)
    return X


def solve_tiles(
    left: Pencil, rows: tuple[int, int], right: Pencil, columns: tuple[int, int], X: np.ndarray, dt: float
) -> None:
    """Overwrite Q, given as X, by the solution for these ranges of tiles."""
    (i, k), (j, l) = rows, columns  # noqa: E741
    if k - i == 1 and l - j == 1:
        X[...] = solve_tile(left.tiles[i], right.tiles[j], X, dt)
    elif k - i >= l - j:
        middle = (i + k) // 2
        cut = left.edges[middle] - left.edges[i]
        solve_tiles(left, (middle, k), right, columns, X[cut:], dt)
        X[:cut] += sandwich(left.block((i, middle), (middle, k)), X[cut:], right.block(columns, columns), dt)
        solve_tiles(left, (i, middle), right, columns, X[:cut], dt)
    else:
        middle = (j + l) // 2
        cut = right.edges[middle] - right.edges[j]
        solve_tiles(left, rows, right, (middle, l), X[:, cut:], dt)
        X[:, :cut] += sandwich(left.block(rows, rows), X[:, cut:], right.block((j, middle), (middle, l)), dt)
        solve_tiles(left, rows, right, (j, middle), X[:, :cut], dt)


def solve_hermitian(pencil: Pencil, Q: np.ndarray, dt: float) -> np.ndarray:
    """X, Hermitian, with ``T X S^H + S X T^H + Q = 0`` or ``T X T^H - S X S^H + Q = 0``.

    Half the work of :func:`solve_pair`: blocks below the diagonal are never solved for.
    """
    X = Q.astype(np.result_type(Q, pencil.T))
    if X.size:
        _solve_hermitian(pencil, (0, pencil.count), X, dt)
    return X


def _solve_hermitian(pencil: Pencil, tiles: tuple[int, int], X: np.ndarray, dt: float) -> None:
    i, k = tiles
    if k - i == 1:
        X[...] = solve_tile(pencil.tiles[i], pencil.tiles[i], X, dt)
        X[...] = (X + adjoint(X)) / 2
        return
    middle = (i + k) // 2
    first, last = (i, middle), (middle, k)
    cut = pencil.edges[middle] - pencil.edges[i]
    X11, X12, X22 = X[:cut, :cut], X[:cut, cut:], X[cut:, cut:]
    _solve_hermitian(pencil, last, X22, dt)
    corner = pencil.block(first, last)
    X12 += sandwich(corner, X22, pencil.block(last, last), dt)
    solve_tiles(pencil, first, pencil, last, X12, dt)
    X[cut:, :cut] = adjoint(X12)
    # The terms with X12, and half of those with X22, are one half of a Hermitian sum.
    half = sandwich(pencil.block(first, first), X12, corner, dt) + sandwich(corner, X22 / 2, corner, dt)
    X11 += half + adjoint(half)
    _solve_hermitian(pencil, first, X11, dt)


def sandwich(left: tuple[Any, Any], X: np.ndarray, right: tuple[Any, Any], dt: float) -> Any:
    """``T X P^H + S X R^H``, or ``T X R^H - S X P^H``; None is the identity."""
    (T, S), (R, P) = left, right
    if dt:
        return _product(T, X, R) - _product(S, X, P)
    return _product(T, X, P) + _product(S, X, R)


def _product(left: np.ndarray | None, X: np.ndarray, right: np.ndarray | None) -> Any:
    if left is _ZERO or right is _ZERO:
        return 0.0
    if right is not None:
        X = X @ adjoint(right)
    return X if left is None else left @ X


def solve_tile(left: Tile, right: Tile, Q: np.ndarray, dt: float) -> np.ndarray:
    """The solution for one tile each; Q may have the leading rows of the left tile only."""
    k = len(Q)
    if not dt and left.S is None and right.S is None:
        trsyl: Any = get_lapack_funcs("trsyl", (left.T, right.T, Q))
        X, scale, _ = trsyl(left.T[:k, :k], right.T, Q, tranb="C")
        return X * (-1 / scale)
    if len(right.T) <= 2:
        return _at_once(left.T[:k, :k], None if left.S is None else left.S[:k, :k], right, Q, dt)
    T, S, G, H = left.triangular
    R, P, right_G, right_H = right.triangular
    C = Q if G is None else adjoint(G[:k, :k]) @ Q
    C = C if right_G is None else C @ right_G
    X = _by_columns(T[:k, :k], None if S is None else S[:k, :k], R, P, C, dt)
    X = X if H is None else H[:k, :k] @ X
    X = X if right_H is None else X @ adjoint(right_H)
    return X if np.iscomplexobj(Q) else np.real(X)


def _at_once(T: np.ndarray, S: np.ndarray | None, right: Tile, Q: np.ndarray, dt: float) -> np.ndarray:
    """One or two columns as one system of linear equations for both."""
    S = np.eye(len(T)) if S is None else S
    P = np.eye(len(right.T)) if right.S is None else right.S
    of_T, of_S = (right.T, -P) if dt else (P, right.T)
    blocks = of_T.conj()[:, None, :, None] * T[:, None] + of_S.conj()[:, None, :, None] * S[:, None]
    return np.linalg.solve(blocks.reshape(Q.size, Q.size), -Q.T.reshape(-1)).reshape(Q.shape[::-1]).T


def _by_columns(
    T: np.ndarray, S: np.ndarray | None, R: np.ndarray, P: np.ndarray | None, Q: np.ndarray, dt: float
) -> np.ndarray:
    """One triangular system ``(r T - p S) x = -q`` for each column, the last column first."""
    dtype = np.result_type(T, R, Q)
    trsv: Any = get_blas_funcs("trsv", dtype=dtype)
    of_T, of_S = (R, P) if dt else (P, R)
    sign = -1 if dt else 1
    X = np.array(-Q, dtype=dtype, order="F")
    k, columns = X.shape
    TX, SX = np.empty((k, columns), dtype, "F"), X if S is None else np.empty((k, columns), dtype, "F")
    eye = np.eye(k, dtype=dtype, order="F") if S is None else S
    of_T = None if of_T is None else of_T.conj()
    of_S = None if of_S is None else sign * of_S.conj()
    for j in range(columns - 1, -1, -1):
        x, later = X[:, j], slice(j + 1, columns)
        if j + 1 < columns and of_T is not None:
            x = x - TX[:, later] @ of_T[j, later]
        if j + 1 < columns and of_S is not None:
            x = x - SX[:, later] @ of_S[j, later]
        left = T if of_T is None else of_T[j, j] * T
        X[:, j] = x = trsv(left + (sign if of_S is None else of_S[j, j]) * eye, x)
        TX[:, j] = T @ x
        if S is not None:
            SX[:, j] = S @ x
    return X


def _triangularise(T: np.ndarray, S: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
    """Unitary G, H (q, 2, 2) with upper triangular ``G^H T H`` and ``G^H S H``; S triangular."""
    ratio = T if S is None else np.linalg.solve(S, T)
    mean = (ratio[:, 0, 0] - ratio[:, 1, 1]) / 2
    root = np.sqrt(mean**2 + ratio[:, 0, 1] * ratio[:, 1, 0] + 0j)
    root = np.where(np.real(root * mean) < 0, root, -root)
    # An eigenvector is orthogonal to the larger row of ratio - eigenvalue.
    above = np.stack([ratio[:, 0, 1] + 0j, root - mean], axis=-1)
    below = np.stack([root + mean, ratio[:, 1, 0] + 0j], axis=-1)
    larger = np.linalg.norm(above, axis=-1) >= np.linalg.norm(below, axis=-1)
    H = _unitary(np.where(larger[:, None], above, below))
    if S is None:
        return H, H
    return _unitary((T @ H[:, :, :1])[..., 0]), H


def _between_pairs(T: np.ndarray, starts: np.ndarray, g: np.ndarray, h: np.ndarray) -> np.ndarray:
    """``G^H T H`` without what is below its diagonal, for G and H of 2 x 2 blocks beginning at `starts`."""
    pairs: Any = starts[:, None] + [0, 1]
    turned: Any = np.array(T, dtype=complex, order="F")
    turned[pairs] = adjoint(g) @ turned[pairs]
    turned[:, pairs] = np.moveaxis(np.moveaxis(turned[:, pairs], 1, 0) @ h, 0, 1)
    return np.asfortranarray(np.triu(turned))


def _unitary(first: np.ndarray) -> np.ndarray:
    """2 x 2 unitary matrices with these first columns, up to their lengths."""
    length = np.linalg.norm(first, axis=-1, keepdims=True)
    x = np.where(length > 0, first, [1.0, 0.0]) / positive_or_one(length)
    return np.stack([x, np.stack([-x[:, 1].conj(), x[:, 0].conj()], axis=-1)], axis=-1)


def _flip(T: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(adjoint(T)[::-1, ::-1])


def eigenvalue_pairs(pencil: Pencil) -> tuple[np.ndarray, np.ndarray]:
    """``(alpha, beta)``: the diagonals, and the eigenvalues of the 2 x 2 blocks."""
    T, S = pencil.T, pencil.S
    alpha = np.diag(T).astype(complex)
    beta = np.ones(len(T), dtype=complex) if S is None else np.diag(S).astype(complex)
    starts, pairs = _pairs(T)
    if not len(starts):
        return alpha, beta
    block = T[pairs] if S is None else np.linalg.solve(S[pairs], T[pairs])
    size = np.max(np.abs(block), axis=(1, 2))
    (first, upper), (lower, last) = block.transpose(1, 2, 0) / size
    mean, half = (first + last) / 2, (first - last) / 2
    root = np.sqrt(half**2 + upper * lower + 0j)
    scale = np.sqrt(np.abs(beta[starts])) * np.sqrt(np.abs(beta[starts + 1]))
    size = size * scale
    alpha[starts], alpha[starts + 1] = (mean + root) * size, (mean - root) * size
    beta[starts] = beta[starts + 1] = scale
    return alpha, beta


def _pairs(T: np.ndarray) -> tuple[np.ndarray, tuple[Any, Any]]:
    """Where the 2 x 2 blocks of T begin, and the indices of their entries."""
    starts = np.flatnonzero(np.diag(T, -1))
    return starts, (starts[:, None, None] + [[[0], [1]]], starts[:, None, None] + [[[0, 1]]])


def diagonal_blocks(T: np.ndarray) -> list[tuple[int, int]]:
    """First and last-plus-one rows of the 1 x 1 and 2 x 2 diagonal blocks."""
    starts = (1 + np.flatnonzero(np.diag(T, -1) == 0)).tolist()
    return list(pairwise([0, *starts, len(T)])) if len(T) else []
