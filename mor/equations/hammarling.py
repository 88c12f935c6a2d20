r"""Hammarling's method in blocks: the factor of a Gramian, which is never formed.

For an upper quasi-triangular pencil ``(T, S)``, stable, the solution of

.. math:: T X S^H + S X T^H + B B^H = 0 \quad (dt = 0), \qquad
          T X T^H - S X S^H + B B^H = 0 \quad (dt > 0)

is :math:`X = U U^H` with U upper triangular in blocks. Let :math:`U_2` belong to the last
rows. What couples them to those above is not :math:`U_2^{-1}`, which may not exist, but

.. math:: M = U_2^{-1} S_2^{-1} T_2 U_2, \qquad W = U_2^{-1} S_2^{-1} B_2,

the state in coordinates whose Gramian is the identity, so that
:math:`M + M^H + W W^H = 0`, or :math:`M M^H + W W^H = I`: always bounded, and known
without a division. In those coordinates the rows above, index 1, satisfy

.. math:: G = T_1 U_{12} + T_{12} U_2, \quad H = S_1 U_{12} + S_{12} U_2, \qquad
          G + H M^H + B_1 W^H = 0, \quad\text{or}\quad G M^H - H + B_1 W^H = 0,

a triangular equation for :math:`U_{12}`; the leading part of U then belongs to the same
problem with :math:`B_1 - H W`, or with :math:`G Y^H + B_1 V^H` where Y and V complete
``[M, W]`` to a unitary matrix. B keeps its number of columns, and no QR is needed. The same
step serves a single eigenvalue and a panel of them.

Source: [Hammarling82]; in blocks [Kressner08], [Sorensen03].
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from scipy.linalg import get_lapack_funcs

from mor.arrays import EPS, TINY, adjoint, largest_entry
from mor.equations.triangular import Pencil, Tile, diagonal_blocks, solve_tile, solve_tiles

#: ``(T, S)`` of some rows and columns; S is None where it is the identity, or a part of it.
Blocks = tuple[np.ndarray, np.ndarray | None]

#: Below this a sum of squares may have lost parts to underflow.
_SQUARES_UNDERFLOW = 1e-200

#: Ratio of the two entries beside the diagonal of a pair, above which its direct formulas hold.
_COMPARABLE = 1e-100

#: ``w / |a|`` of a pair below which its determinant cancels, unless its rows are made orthogonal first.
_SLOW = 0.3

_NOTHING = np.zeros((0, 0))


class FactorBlock(NamedTuple):
    """Diagonal block U of the factor and its state ``(M, W)``; in discrete time completed by
    ``(Y, V)``, so that ``[M, W; Y, V]`` is unitary."""

    U: np.ndarray
    M: np.ndarray
    W: np.ndarray
    Y: np.ndarray = _NOTHING
    V: np.ndarray = _NOTHING


def triangular_factor(pencil: Pencil, B: np.ndarray, dt: float) -> np.ndarray:
    """U (n, n), block upper triangular, with ``X = U U^H``; the pencil strictly stable.

    Cost ``n^3 / 3 + 2 n^2 m`` flops, nearly all of it matrix products; twice that in
    discrete time or with S.
    """
    B = B.astype(np.result_type(B, pencil.T))
    n, m = B.shape
    U = np.zeros((n, n), dtype=B.dtype)
    scale = largest_entry(B)
    if scale == 0:
        return U[:, :0]
    B /= scale
    for j in range(pencil.count - 1, -1, -1):
        here, above = pencil.rows((j, j + 1)), pencil.rows((0, j))
        own, inputs, basis = B[here], B[above], None
        if m > len(own):
            # Only the inputs that these rows see take part: as many as rows, at most.
            basis, seen = np.linalg.qr(adjoint(own))
            own, inputs = adjoint(seen), inputs @ basis
        block = _tile_factor(pencil.tiles[j], own, dt)
        U[here, here] = block.U
        solve = partial(_solve_panel, pencil, j, Pencil(block.M, None, (0, len(block.M))), dt)
        leading, corner = _blocks(pencil, above, here)
        U[above, here], rest = _solve_above(leading, corner, block, inputs, dt, solve)
        B[above] = rest if basis is None else B[above] + (rest - inputs) @ adjoint(basis)
    return U * scale


def _tile_factor(tile: Tile, B: np.ndarray, dt: float) -> FactorBlock:
    """The same within a tile, one eigenvalue or conjugate pair at a time."""
    if not dt and tile.S is None:
        return _continuous_tile(tile.T, B)
    n, m = B.shape
    B = B.copy()
    U, M = np.zeros((n, n), B.dtype), np.zeros((n, n), B.dtype)
    W, Y, V = np.zeros_like(B), np.zeros((m, n), B.dtype), np.eye(m, dtype=B.dtype)
    for start, stop in reversed(diagonal_blocks(tile.T)):
        here, above, below = slice(start, stop), slice(0, start), slice(stop, n)
        own, _ = _blocks(tile, here, here)
        block = _diagonal_block(*own, B[here], dt)
        U[here, here], M[here, here] = block.U, block.M
        # The states of both are a cascade: what leaves the rows below drives those here.
        if dt:
            W[here], M[here, below] = block.W @ V, block.W @ Y[:, below]
            Y[:, below], Y[:, here], V = block.V @ Y[:, below], block.Y, block.V @ V
        else:
            W[here], M[here, below] = block.W, -block.W @ adjoint(W[below])
        if start:
            solve = partial(solve_tile, tile, Tile(block.M, None), dt=dt)
            leading, corner = _blocks(tile, above, here)
            U[above, here], B[above] = _solve_above(leading, corner, block, B[above], dt, solve)
    return FactorBlock(U, M, W, Y, V)


def _continuous_tile(T: np.ndarray, B: np.ndarray) -> FactorBlock:
    """:func:`_tile_factor` of ``dt = 0`` and ``S = I``, in as few calls as possible: there is one
    turn for each state, and at everyday orders it is most of the time."""
    n = len(B)
    B, negative = B.copy(), np.array(-T, order="F")
    U, M, W = np.zeros((n, n), B.dtype), np.zeros((n, n), B.dtype), np.empty_like(B)
    trsyl: Any = get_lapack_funcs("trsyl", (negative,))
    blocks = diagonal_blocks(T)
    for start, stop in reversed(blocks):
        here = slice(start, stop)
        b, t = B[here], T[here, here]
        u, state, w = _continuous_eigenvalue(t, b) if stop - start == 1 else _continuous_pair(t, b)
        U[here, here], M[here, here], W[here] = u, state, w
        if start:
            above = B[:start]
            known = above.dot(adjoint(w))
            known += T[:start, here].dot(u)
            X, scale, _ = trsyl(negative[:start, :start], state, known, "N", "C", -1)
            if scale != 1:
                X /= scale
            U[:start, here] = X
            above -= X.dot(w)
    # The states of the blocks are a cascade: what leaves the rows below drives those above.
    cascade = np.triu(W.dot(adjoint(W)), 1)
    pairs = [start for start, stop in blocks if stop - start == 2]
    cascade[pairs, [start + 1 for start in pairs]] = 0
    return FactorBlock(U, M - cascade, W)


def _continuous_eigenvalue(T: np.ndarray, b: np.ndarray) -> tuple[Any, Any, np.ndarray]:
    """:func:`_eigenvalue` in continuous time, for rows whose squares do not underflow."""
    square = float(np.vdot(b, b).real)
    distance = -2 * float(T[0, 0].real)
    if square < _SQUARES_UNDERFLOW or distance <= EPS * abs(T[0, 0]):
        return _eigenvalue(T, b, 0.0)
    return np.array([[math.sqrt(square / distance)]]), T, b * math.sqrt(distance / square)


def _continuous_pair(T: np.ndarray, b: np.ndarray) -> tuple[Any, Any, np.ndarray]:
    r""":func:`_pair` in continuous time, for a block ``a +- i w`` of equal diagonals.

    With the squares p, q and the product r of the rows of b in coordinates where the block is ``a I + w J``,
    the solution is x times ``I + z``, and the determinant of that
    :math:`(4w^2 + 4a^2 (pq - r^2)/(\tfrac{p+q}2)^2)/|e|^2`. What cancels in the second term is small beside
    the first, unless w is small beside a: then the rows are turned to be orthogonal, which leaves J as it is.
    """
    (a, upper), (lower, other) = T.tolist()
    (p, r), (_, q) = b.dot(b.T).tolist()
    even = -lower / upper
    if a != other or not _COMPARABLE < even < 1 / _COMPARABLE or p + q < _SQUARES_UNDERFLOW:
        return _pair(T, b, 0.0)
    stretch = math.sqrt(even)
    r, q, w = r / stretch, q / even, upper * stretch
    c, s, unit = 1.0, 0.0, stretch
    if abs(w) < _SLOW * abs(a):
        angle = 0.5 * math.atan2(2 * r, p - q)
        c, s = math.cos(angle), math.sin(angle)
        b = np.array(((c, s / stretch), (-s, c / stretch))).dot(b)
        (p, r), (_, q) = b.dot(b.T).tolist()
        unit = 1.0
    distance = max(-2 * a, EPS * abs(w))
    mean, e = (p + q) / 2, complex(-2 * a, 2 * w)
    z = complex((p - q) / 2 / mean, r / mean) * (distance / e)
    # A triangular root of 1 + z, from the larger entry of its diagonal.
    first = math.sqrt(1 + abs(z.real))
    apart = max((p / mean) * (q / mean) - (r / mean) ** 2, 0.0)
    second = math.hypot(2 * w, distance * math.sqrt(apart)) / abs(e) / first
    tilt = z.imag / first**2
    turn, skew, back = w * tilt, w * second / first, w * (1 + tilt**2) * first / second
    size = math.sqrt(mean) / math.sqrt(distance)
    unit *= size
    left, right = size * first, size * second
    off = left * tilt
    if z.real >= 0:
        U = (c * left - s * off, -s * right), (stretch * (s * left + c * off), stretch * c * right)
        M = (a + turn, skew), (-back, a - turn)
        F = (1 / left, 0.0), (-tilt / right, 1 / second / unit)
    else:
        U = (c * right, c * off - s * left), (stretch * s * right, stretch * (s * off + c * left))
        M = (a + turn, back), (-skew, a - turn)
        F = (1 / right, -tilt / second / unit), (0.0, 1 / first / unit)
    three = np.array((*U, *M, *F))
    return three[:2], three[2:4], three[4:].dot(b)


def _solve_above(
    leading: Blocks,
    corner: Blocks,
    block: FactorBlock,
    B: np.ndarray,
    dt: float,
    solve: Callable[[np.ndarray], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """``U12``, and the inputs that are left for the rows above."""
    (T1, S1), (T12, S12) = leading, corner
    to_M, to_W = adjoint(block.M), adjoint(block.W)
    G, H = T12 @ block.U, None if S12 is None else S12 @ block.U
    known = B @ to_W + (G @ to_M if dt else G)
    if H is not None:
        known += -H if dt else H @ to_M
    U12 = solve(known)
    if dt:
        return U12, (T1 @ U12 + G) @ adjoint(block.Y) + B @ adjoint(block.V)
    return U12, B - (U12 if S1 is None else S1 @ U12 + H) @ block.W


def _solve_panel(pencil: Pencil, tiles: int, state: Pencil, dt: float, Q: np.ndarray) -> np.ndarray:
    """The triangular equation for the rows above a panel, in the place of Q."""
    if tiles:
        solve_tiles(pencil, (0, tiles), state, (0, 1), Q, dt)
    return Q


def _blocks(pencil: Pencil | Tile, rows: slice, columns: slice) -> tuple[Blocks, Blocks]:
    """``(T, S)`` of the leading rows, and of the corner to the right of them."""
    T, S = pencil.T, pencil.S
    if S is None:
        return (T[rows, rows], None), (T[rows, columns], None)
    return (T[rows, rows], S[rows, rows]), (T[rows, columns], S[rows, columns])


def _diagonal_block(T: np.ndarray, S: np.ndarray | None, b: np.ndarray, dt: float) -> FactorBlock:
    """One eigenvalue, or a pair of conjugate ones in real arithmetic."""
    if S is not None:
        T, b = np.linalg.solve(S, T), np.linalg.solve(S, b)
    U, M, W = _eigenvalue(T, b, dt) if len(T) == 1 else _pair(T, b, dt)
    if not dt:
        return FactorBlock(U, M, W)
    known = adjoint(np.hstack([M, W]))
    rest = adjoint(np.linalg.qr(known, mode="complete")[0][:, len(M) :])
    return FactorBlock(U, M, W, rest[:, : len(M)], rest[:, len(M) :])


def _eigenvalue(T: np.ndarray, b: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    pole, (size, b) = T[0, 0], _in_unit_size(b)
    length = float(np.linalg.norm(b))
    root = math.sqrt(_boundary_distance(pole.real, abs(pole), dt))
    return np.array([[size * length / root]]), T, b * (root / length)


def _in_unit_size(b: np.ndarray) -> tuple[float, np.ndarray]:
    """``(size, b / size)``: squares of tiny rows would underflow, and directions be wrong.

    Rows of zeros may take any direction, since their part of U is zero.
    """
    size = largest_entry(b)
    # Below the normal numbers there are no directions left; beside B, which is of size 1, that is zero.
    return (size, b / size) if size > TINY else (0.0, np.eye(*b.shape, dtype=b.dtype))


def _boundary_distance(a: float, modulus: float, dt: float) -> float:
    """``1 - modulus^2`` or ``-2 a``; round-off does not carry a stable pole to the boundary."""
    distance = (1 - modulus) * (1 + modulus) if dt else -2 * a
    return max(distance, EPS * modulus, TINY)


def _pair(T: np.ndarray, b: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""A conjugate pair ``a +- i w`` in closed form, without a subtraction that cancels.

    In coordinates where the block is ``a I + w J`` and the rows of b are orthogonal, the
    longer first (J commutes with rotations), the solution is ``x I`` plus a traceless part
    ``z``, both quotients, and its determinant is a sum of positive terms.
    """
    K, a, w = _normal_coordinates(T)
    size, b = _in_unit_size(np.linalg.solve(K, b))
    b, turn = _orthogonal_rows(b)
    length = float(np.linalg.norm(b[0]))
    first, second = b / length
    ratio = float(np.linalg.norm(second))
    e = 1 - complex(a, -w) ** 2 if dt else complex(-2 * a, 2 * w)
    x, z = (1 + ratio**2) / 2 / _boundary_distance(a, math.hypot(a, w), dt), (1 - ratio**2) / 2 / e
    l11 = math.sqrt(x + z.real)
    l21 = z.imag / l11
    l22 = math.hypot(2 * x * w, ratio) / abs(e) / l11
    U = K @ turn.T @ (size * length * np.array([[l11, 0.0], [l21, l22]]))
    M = np.array(
        [
            [a + w * l21 / l11, w * l22 / l11],
            [-w * (l11**2 + l21**2) / (l11 * l22), a - w * l21 / l11],
        ]
    )
    return U, M, np.stack([first / l11, (second - first * (l21 / l11)) / l22])


def _normal_coordinates(T: np.ndarray) -> tuple[np.ndarray, float, float]:
    """K, a, w with ``K^{-1} T K = [[a, w], [-w, a]]`` for a block with complex eigenvalues."""
    # Squares of a block that a fast discrete mode leaves would underflow.
    scale = largest_entry(T)
    (t11, t12), (t21, t22) = (T / scale).tolist()
    a, p, q, skew = (t11 + t22) / 2, (t11 - t22) / 2, (t12 + t21) / 2, (t12 - t21) / 2
    sign = math.copysign(1.0, q)
    angle = 0.5 * math.atan2(-sign * p, abs(q))
    c, s = math.cos(angle), math.sin(angle)
    # The turn makes the diagonals equal; of the other two entries, spread +- skew, one may
    # cancel, but their product does not where the block came with equal diagonals.
    spread = sign * math.hypot(p, q)
    larger = spread + skew if spread * skew > 0 else spread - skew
    floor = EPS**2 * abs(larger)
    smaller = -math.copysign(max(abs((p * p + t12 * t21) / larger), floor), larger)
    upper, lower = (larger, smaller) if spread * skew > 0 else (smaller, larger)
    stretch = math.sqrt(abs(lower / upper))
    return np.array([[c, -s * stretch], [s, c * stretch]]), scale * a, scale * upper * stretch


def _orthogonal_rows(b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``(R b, R)`` with a rotation R that makes the two rows orthogonal, the longer first."""
    R = np.eye(2)
    for _ in range(3):
        (p, r), (_, q) = (b @ b.T).tolist()
        if abs(r) <= EPS * math.sqrt(p * q) and p >= q:
            break
        angle = 0.5 * math.atan2(2 * r, p - q)
        c, s = math.cos(angle), math.sin(angle)
        turn = np.array([[c, s], [-s, c]])
        b, R = turn @ b, turn @ R
    # What is left of the first row in the second is round-off, and must not count where the second is all
    # that a fast mode leaves.
    first, second = b
    if len(first) > 1:
        for _ in range(2):
            second = second - first * ((first @ second) / (first @ first))
    return np.stack([first, second if len(first) > 1 else np.zeros_like(second)]), R
