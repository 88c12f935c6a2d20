r"""Resolvents ``(s S - T)^{-1} B`` of a triangular pencil at many points at once.

It is the recursion of :mod:`mor.equations.triangular`, with a diagonal second coefficient, for the
Sylvester equation ``T X - S X diag(s) + B = 0``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.linalg import get_lapack_funcs

from mor.arrays import adjoint
from mor.equations.triangular import Pencil, Tile

#: How far, in units of the root of the order, a random vector may be from the one that is sought: by more
#: once in 1e8.
_RANDOM = 1e4

#: Steps of inverse iteration: singular values above twice the smallest are gone to 1e-3.
_STEPS = 2

#: Points up to which a triangular system each is less work than the calls of a sweep.
_FEW = 4


def resolvent(pencil: Pencil, points: np.ndarray, B: np.ndarray) -> np.ndarray:
    r""":math:`X_k = (s_k S - T)^{-1} B` for all points :math:`s_k`.

    Parameters
    ----------
    pencil : T (n, n), upper quasi-triangular, and S; None is the identity.
    points : array (N,)
    B : array (n, m), or (n, N, m) with one for each point.

    Returns
    -------
    array (n, N, m), complex; not finite where a point is an eigenvalue.

    Notes
    -----
    Cost ``2 n^2 N m`` flops for a real T, twice that for a complex one or with S, nearly all in
    products of matrices: one point at a time costs as many, at the speed of memory.

    Examples
    --------
    >>> import numpy as np
    >>> pencil = Pencil.of(np.array([[-1.0, 1.0], [0.0, -2.0]]))
    >>> resolvent(pencil, np.array([0.0, 2.0]), np.array([[0.0], [4.0]]))[..., 0].real
    array([[2.        , 0.33333333],
           [2.        , 1.        ]])
    """
    n, m = len(B), B.shape[-1]
    if 0 < len(points) <= _FEW and B.size:
        return _one_by_one(pencil, points, B)
    X = np.empty((n, len(points), m), dtype=complex)
    X[...] = B[:, None] if B.ndim == 2 else B
    _solve_columns(pencil, np.repeat(np.asarray(points, dtype=complex), m), X.reshape(n, len(points) * m))
    return X


def resolvent_of_columns(pencil: Pencil, points: np.ndarray, B: np.ndarray) -> np.ndarray:
    """``(s_k S - T)^{-1} b_k`` (n, N) for each column of B (n, N) and its point."""
    X, points = np.array(B, dtype=complex, order="C"), np.asarray(points, dtype=complex)
    distinct = np.unique(points)
    if len(distinct) > _FEW or not X.size:
        _solve_columns(pencil, points, X)
        return X
    for point in distinct:
        here = points == point
        X[:, here] = _one_by_one(pencil, np.array([point]), X[:, here])[:, 0]
    return X


def distance_to_singularity(
    pencil: Pencil, reversal: Callable[[], Pencil], points: np.ndarray, limit: np.ndarray | float
) -> np.ndarray:
    r""":math:`\sigma_{\min}(T - s_k S)` where it may be below `limit`, and anything above that elsewhere.

    Parameters
    ----------
    pencil : T (n, n), upper quasi-triangular, and S; None is the identity.
    reversal : gives :meth:`Pencil.reversed` of it; called only where a point needs a closer look.
    points : array (N,)
    limit : number, or array (N,)

    Notes
    -----
    One solution with a random right-hand side, ``2 n^2`` flops a point, whose length tells most of them
    apart; inverse iteration for the others, four more solutions each.
    """
    n, limit = len(pencil.T), np.broadcast_to(limit, points.shape)
    start = np.random.default_rng(0).standard_normal((n, 2)) @ [1, 1j]
    x = np.repeat((start / np.linalg.norm(start))[:, None], len(points), axis=1)
    _solve_columns(pencil, points, x)
    x, growth = _unit_columns(x)
    smallest = 1 / growth
    close = smallest <= limit * n**0.5 * _RANDOM
    if np.any(close):
        at, x = points[close], x[:, close]
        for side, shifts in ((reversal(), at.conj()), (pencil, at)) * _STEPS:
            # The pencil of the adjoint has rows and columns in the opposite order.
            x = np.ascontiguousarray(x[::-1])
            _solve_columns(side, shifts, x)
            x, growth = _unit_columns(x)
            smallest[close] = np.minimum(smallest[close], 1 / growth)
    return smallest


def _unit_columns(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns over their lengths, and these; infinite, and some column, where one is not finite."""
    scale = np.max(np.abs(x), axis=0)
    finite = np.isfinite(scale) & (scale > 0)
    x = np.where(finite, x, len(x) ** -0.5) / np.where(finite, scale, 1.0)
    length = np.linalg.norm(x, axis=0)
    return x / length, np.where(finite, length * np.where(finite, scale, 1.0), np.inf)


def _solve_columns(pencil: Pencil, shifts: np.ndarray, X: np.ndarray) -> None:
    """Overwrite B, given as X (n, N), by the columns ``(s_k S - T)^{-1} b_k``."""
    if X.size:
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            _solve(pencil, (0, pencil.count), shifts, X)


def _one_by_one(pencil: Pencil, points: np.ndarray, B: np.ndarray) -> np.ndarray:
    """The same for a few points: a triangular system of equations each."""
    T, S, G, H = pencil.whole.triangular
    trtrs: Any = get_lapack_funcs("trtrs", dtype=complex)
    B = np.moveaxis(B, 1, 0) if B.ndim == 3 else B[None]
    B = np.asarray(B if G is None else adjoint(G) @ B, dtype=complex)
    X = np.empty((len(points), *B.shape[1:]), dtype=complex)
    diagonal = np.arange(len(T))
    for k, point in enumerate(points):
        if S is None:
            shifted = np.negative(T, out=np.empty(T.shape, complex, "F"))
            shifted[diagonal, diagonal] += point
        else:
            shifted = np.asfortranarray(point * S - T, dtype=complex)
        found, info = trtrs(shifted, B[min(k, len(B) - 1)])
        X[k] = np.nan if info else found
    return np.moveaxis(X if H is None else H @ X, 0, 1)


def _solve(pencil: Pencil, tiles: tuple[int, int], shifts: np.ndarray, X: np.ndarray) -> None:
    """Overwrite B, given as X, for these tiles."""
    first, last = tiles
    if last - first == 1:
        _solve_tile(pencil.tiles[first], shifts, X)
        return
    middle = (first + last) // 2
    cut = pencil.edges[middle] - pencil.edges[first]
    above, below = (first, middle), (middle, last)
    _solve(pencil, below, shifts, X[cut:])
    T, S = pencil.block(above, below)
    X[:cut] += product(T, X[cut:])
    if pencil.S is not None:
        X[:cut] -= product(S, X[cut:] * shifts)
    _solve(pencil, above, shifts, X[:cut])


def _solve_tile(tile: Tile, shifts: np.ndarray, X: np.ndarray) -> None:
    T, S, G, H = tile.triangular
    if G is not None:
        X[...] = adjoint(G) @ X
    weights = np.ones(len(T)) if S is None else np.diag(S)
    for j in range(len(T) - 1, -1, -1):
        if j + 1 < len(T):
            X[j] += T[j, j + 1 :] @ X[j + 1 :]
            if S is not None:
                X[j] -= (S[j, j + 1 :] @ X[j + 1 :]) * shifts
        X[j] /= shifts * weights[j] - T[j, j]
    if H is not None:
        X[...] = H @ X


def product(A: Any, X: np.ndarray) -> np.ndarray:
    """``A X`` for X (n, ...); a real A, dense or sparse, is never made complex."""
    return of_columns(lambda columns: A @ columns, X, A)


def of_columns(function: Callable[[np.ndarray], np.ndarray], X: np.ndarray, A: Any) -> np.ndarray:
    """A linear function of the columns of X (n, ...), in real arithmetic if A is real."""
    columns = np.ascontiguousarray(X).reshape(len(X), math.prod(X.shape[1:]))
    if np.iscomplexobj(A) or not np.iscomplexobj(X) or not columns.size:
        found = function(columns)
    else:
        found = np.ascontiguousarray(function(columns.view(np.real(X).dtype))).view(X.dtype)
    return found.reshape(len(found), *X.shape[1:])


def in_parts(points: np.ndarray, most: int) -> list[np.ndarray]:
    """The points, about so many at a time."""
    return [points] if len(points) <= most else np.array_split(points, -(-len(points) // most))
