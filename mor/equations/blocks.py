r"""Block-diagonal A: one small equation for each pair of blocks, all in one batch.

For ``A = diag(A_1, ..., A_q)`` the blocks of the Gramian decouple,

.. math:: A_i X_{ij} A_j^T - X_{ij} + Q_{ij} = 0, \qquad
          A_i X_{ij} + X_{ij} A_j^T + Q_{ij} = 0 \quad (dt = 0),

and each is a linear system of s^2 unknowns. Array API; leading axes are a batch.
"""

from __future__ import annotations

import math

import numpy as np

from mor.arrays import Array, device_kwargs, namespace
from mor.equations.boundary import NEAR, ROUNDOFF, exact_product, margins, nearest_points, one_minus_sum

#: Upper limit on the bytes of one batch of small linear systems.
_CHUNK_BYTES = 2**26


def to_blocks(X: Array, s: int) -> Array:
    """``(..., q s, r s)`` to blocks ``(..., q, r, s, s)``."""
    xp = namespace(X)
    q, r = X.shape[-2] // s, X.shape[-1] // s
    return xp.moveaxis(xp.reshape(X, (*X.shape[:-2], q, s, r, s)), -3, -2)


def from_blocks(X: Array) -> Array:
    """``(..., q, r, s, s)`` to one matrix ``(..., q s, r s)``."""
    xp = namespace(X)
    q, r, s, t = X.shape[-4:]
    return xp.reshape(xp.moveaxis(X, -3, -2), (*X.shape[:-4], q * s, r * t))


def pairwise_solve(blocks: Array, Q: Array, *, dt: float) -> Array:
    """X with ``A X A^T - X + Q = 0`` (``A X + X A^T + Q = 0`` at dt = 0), A block diagonal.

    Parameters
    ----------
    blocks : array (..., q, s, s), real.
    Q : array (..., q s, q s), any matrix.

    Notes
    -----
    Cost ``q^2 s^6`` flops: for s = 2 and 4 this is far below the ``25 (q s)^3`` of a dense
    solver. Memory is bounded by working in chunks of block rows.
    """
    xp = namespace(blocks, Q)
    q, s = blocks.shape[-3:-1]
    rhs = to_blocks(Q, s)
    rows = max(1, _CHUNK_BYTES // max(1, 8 * math.prod(blocks.shape[:-2]) * s**4))
    solved = []
    for start in range(0, q, rows):
        stop = min(start + rows, q)
        left, Q_rows = blocks[..., start:stop, :, :], rhs[..., start:stop, :, :, :]
        solved.append(_solve_rows(left, blocks, Q_rows, dt))
    return from_blocks(xp.concat(solved, axis=-4)) if solved else Q


def _solve_rows(left: Array, right: Array, rhs: Array, dt: float) -> Array:
    xp = namespace(left)
    s = left.shape[-1]
    eye = xp.eye(s, dtype=left.dtype, **device_kwargs(left))
    left, right = left[..., :, None, :, :], right[..., None, :, :, :]
    eyes, steps = _kron(eye, eye), _kron(left, right)
    operator = eyes - steps if dt else -(_kron(left, eye) + _kron(eye, right))
    flat = xp.reshape(rhs, (*rhs.shape[:-2], s * s, 1))
    return xp.reshape(xp.linalg.solve(operator, flat), rhs.shape)


def _kron(a: Array, b: Array) -> Array:
    """Kronecker product of the last two axes: ``vec_rows(a X b^T) = kron(a, b) vec_rows(X)``."""
    xp = namespace(a)
    product = a[..., :, None, :, None] * b[..., None, :, None, :]
    s, t = a.shape[-1], b.shape[-1]
    return xp.reshape(product, (*product.shape[:-4], s * t, s * t))


def block_margins(blocks: np.ndarray, dt: float) -> tuple[np.ndarray, np.ndarray]:
    """Distances of the eigenvalues to the stability boundary, and the errors these have.

    Parameters
    ----------
    blocks : array (..., q, s, s)

    Returns
    -------
    margins, errors : arrays (..., q, s). Of a conjugate pair in a block of two the distance is exact, from
        trace and determinant; else the errors are those of a dense matrix, block by block.
    """
    poles = np.linalg.eigvals(blocks)
    margin: np.ndarray = np.asarray(margins(poles, dt))
    size = np.linalg.norm(blocks, axis=(-2, -1))
    near = np.abs(margin) <= NEAR * size[..., None]
    if blocks.shape[-1] == 1:
        return margin, np.zeros_like(margin)
    if blocks.shape[-1] == 2:
        pair = np.imag(poles[..., 0]) != 0
        exact = _pair_margin(blocks, dt)
        margin = np.where(pair[..., None], exact[..., None], margin)
        near &= ~pair[..., None]
    errors = np.zeros_like(margin)
    for index in zip(*np.nonzero(near), strict=True):
        block, point = blocks[index[:-1]], nearest_points(poles[index], dt)
        least = np.linalg.svd(block - point * np.eye(len(block)), compute_uv=False)[-1]
        noise = ROUNDOFF * size[index[:-1]]
        errors[index] = np.abs(margin[index]) * noise / least if least > 0 else np.inf
    return margin, errors


def _pair_margin(blocks: np.ndarray, dt: float) -> np.ndarray:
    """That of the conjugate pair of each block of two: ``-trace/2``, or ``1 - sqrt(det)``."""
    a, b, c, d = (blocks[..., i, j] for i in (0, 1) for j in (0, 1))
    if not dt:
        return -(a + d) / 2
    p, q = exact_product(a, d), exact_product(-b, c)
    return one_minus_sum(p, q) / (1 + np.sqrt(np.maximum(p[0] + q[0], 0.0)))
