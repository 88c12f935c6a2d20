r"""Gramian factors by doubling: any stable A, and any A at all on a finite horizon.

If :math:`Z_t Z_t^H` is the Gramian over t steps, then
:math:`Z_{s+t} = [Z_s, \; A^s Z_t]` is a factor over s + t steps. Doubling t squares the
power of A each time (the squared Smith iteration), so an infinite horizon takes about
``log2(1/(1 - radius))`` rounds. Nothing but the factor is ever formed: small Hankel
singular values keep an accuracy of round-off times the largest.

A is given by what it can do: an :class:`Evolution` knows how to apply itself to a matrix
and how to square itself (:mod:`mor.operators`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol, Self

import numpy as np

from mor.arrays import Array, eps, is_concrete, is_numpy, namespace

#: Rounds after which even a radius of ``1 - 1e-16`` has decayed below round-off.
_MAX_ROUNDS = 64


class Evolution(Protocol):
    """A discrete-time state evolution ``x -> A x``: a state matrix, but for sparse ones."""

    def apply(self, Z: Array) -> Array:
        """``A Z`` for Z of shape (..., n, r)."""
        ...

    def square(self) -> Self:
        """The evolution over twice as many steps."""
        ...


def stein_factor(A: Evolution, B: Array, *, horizon: int | None = None) -> Array:
    """Z with ``Z Z^T = sum_{t < horizon} A^t B B^T (A^T)^t``, at most n columns.

    Parameters
    ----------
    A : the evolution; strictly stable when `horizon` is None.
    B : array (..., n, m), real.
    horizon : number of steps, or None for the solution of ``A X A^T - X + B B^T = 0``.

    Notes
    -----
    Cost ``log2(horizon)`` products and QR factorisations of an n x 2n matrix.
    """
    if horizon is None:
        return _infinite_horizon(A, B)
    total, block, terms = B[..., :0], qr_compress(B), int(horizon)
    while terms:
        if terms & 1:
            total = _joined(block, A.apply(total))
        terms >>= 1
        if terms:
            block, A = _joined(block, A.apply(block)), A.square()
    return total


def lyapunov_horizon_factor(
    evolve: Callable[[float], Evolution], rate: float, B: Array, horizon: float
) -> Array:
    """Z with ``Z Z^T`` the integral of ``exp(A t) B B^T exp(A^T t)`` over ``[0, horizon]``.

    Gauss-Legendre quadrature on a first slice short enough (``rate * slice <= 1``, where 16
    nodes are exact to round-off) and doubling from there; the weights are positive, so the
    quadrature is itself a factor.

    Parameters
    ----------
    evolve : ``t -> exp(A t)`` as an evolution.
    rate : an upper limit on the norm of A.
    B : array (..., n, m), real.
    horizon : end time, in the unit of 1/A.
    """
    xp = namespace(B)
    halvings = max(0, math.ceil(math.log2(max(rate * horizon, 1.0))))
    end = horizon / 2**halvings
    nodes, weights = np.polynomial.legendre.leggauss(16)
    columns = [
        float(weight * end / 2) ** 0.5 * evolve(float((node + 1) * end / 2)).apply(B)
        for node, weight in zip(nodes, weights, strict=True)
    ]
    return stein_factor(evolve(end), xp.concat(columns, axis=-1), horizon=2**halvings)


def _infinite_horizon(A: Evolution, B: Array) -> Array:
    xp = namespace(B)
    Z = qr_compress(B)
    for _ in range(_MAX_ROUNDS):
        later = A.apply(Z)
        if is_concrete(later) and bool(xp.all(_size(later) <= eps(B) * _size(Z))):
            break
        Z, A = _joined(Z, later), A.square()
    return Z


def _size(Z: Array) -> Array:
    xp = namespace(Z)
    return xp.linalg.vector_norm(Z, axis=(-2, -1))


def _joined(first: Array, second: Array) -> Array:
    return qr_compress(namespace(first).concat([first, second], axis=-1))


def qr_compress(Z: Array) -> Array:
    """The same ``Z Z^T`` in at most n columns."""
    n, columns = Z.shape[-2:]
    if columns <= n:
        return Z
    xp = namespace(Z)
    if is_numpy(Z):
        R: Any = np.linalg.qr(Z.mT, mode="r")
        return R.mT
    return xp.matrix_transpose(xp.linalg.qr(xp.matrix_transpose(Z)).R)
