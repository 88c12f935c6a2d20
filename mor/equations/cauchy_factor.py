r"""Pivoted Cholesky of a Cauchy-like Gramian that is never formed.

The Schur complement of a Cauchy-like matrix is Cauchy-like: eliminating the pole
:math:`\lambda_p` multiplies row i of the generator B, along :math:`w = b_p/|b_p|`, by the
all-pass value :math:`f_i = (\lambda_i-\lambda_p)/(1-\lambda_i\bar\lambda_p)`, in continuous
time :math:`(\lambda_i-\lambda_p)/(\lambda_i+\bar\lambda_p)`. One input needs no subtraction
at all, so that tiny Hankel singular values keep high relative accuracy; there poles are
eliminated with their conjugates, which keeps the factor real.

Source: [Gohberg95], factorisation of Cauchy-like matrices by generators, here in all-pass form.
Array API; leading axes are a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mor.arrays import Array, conj, eps, is_complex, is_concrete, namespace, positive_or_one, real, scan
from mor.equations.boundary import boundary_distance
from mor.equations.cauchy import denominators, real_rows
from mor.equations.doubling import qr_compress


def factor(poles: Array, B: Array, *, dt: float) -> Array:
    r"""Z, real, with ``P = Z Z^T`` the infinite-horizon Gramian of the real map.

    Parameters
    ----------
    poles : array (..., k), strictly stable, complex or real.
    B : array (..., k, m), of the same kind.
    dt : 0.0 continuous, else discrete.

    Returns
    -------
    Z : array (..., n, r), n = 2k in the coordinates ``[Re z; Im z]`` (k for real data),
        r <= n. Concrete arrays end early where the rest is round-off.

    Notes
    -----
    Cost ``O(n m)`` a column.
    """
    xp = namespace(B)
    if not is_complex(B):
        return _eliminate_all(poles, B, dt)
    if B.shape[-1] == 1:
        # The same, real, for one input and conjugate poles: pair by pair.
        return _eliminate(_paired_step, poles, B[..., 0], _squares(B[..., 0]), real_rows(B), dt)
    closed = xp.concat([poles, conj(poles)], axis=-1)
    Z = _eliminate_all(closed, xp.concat([B, conj(B)], axis=-2), dt)
    k = poles.shape[-1]
    upper, lower = Z[..., :k, :], Z[..., k:, :]
    Z = xp.concat([(upper + lower) / 2, (upper - lower) * -0.5j], axis=-2)
    return qr_compress(xp.concat([xp.real(Z), xp.imag(Z)], axis=-1))


def _eliminate_all(poles: Array, B: Array, dt: float) -> Array:
    """Z with ``Z Z^H = (B B^H) / denominators``, largest pivot first."""
    return _eliminate(_step, poles, B, namespace(B).sum(_squares(B), axis=-1), B, dt)


def _eliminate(
    make_step: Callable[..., Any], poles: Array, B: Array, squares: Array, like: Array, dt: float
) -> Array:
    """Columns (..., n, r) of all steps from the generators B and their squares on; `like` is (..., n, *)."""
    xp, distance = namespace(B), boundary_distance(poles, dt)
    pivots = squares / distance
    step = make_step(poles, distance, dt)
    columns = scan(step, (B, pivots), poles.shape[-1], _exhausted(pivots, B))
    if columns.ndim == 1:
        return like[..., :0]
    # From (r, ..., n, c), the outputs of the steps.
    columns = xp.permute_dims(columns, (*range(1, columns.ndim - 1), 0, columns.ndim - 1))
    return xp.reshape(columns, (*columns.shape[:-2], -1))


def _squares(B: Array) -> Array:
    return real(B * conj(B))


def _exhausted(start: Array, B: Array) -> Callable[[Any], bool] | None:
    """End when every remaining column is round-off of the first.

    A pivot is a squared column norm: below ``eps^2`` of the largest at the start, what is
    left changes no Hankel singular value by more than ``eps`` times the factors' norms.
    """
    if not is_concrete(start, B) or start.shape[-1] == 0:
        return None
    xp = namespace(B)
    floor = eps(B) ** 2 * xp.max(start, axis=-1)
    return lambda carry: not bool(xp.any(xp.max(carry[-1], axis=-1) > floor))


def _row_of_each(x: Array, index: Array) -> Array:
    """``x[..., index, :]`` for a batch of indices ``(...)``, one a system."""
    xp = namespace(x)
    index = xp.broadcast_to(index[..., None, None], (*index.shape, 1, x.shape[-1]))
    return xp.take_along_axis(x, index, axis=-2)[..., 0, :]


def _entry_of_each(x: Array, index: Array) -> Array:
    """``x[..., index]`` for a batch of indices ``(...)``, the axis kept."""
    return namespace(x).take_along_axis(x, index[..., None], axis=-1)


def _inverse_or_zero(x: Array) -> Array:
    xp = namespace(x)
    return xp.where(x > 0, 1 / positive_or_one(x), xp.zeros_like(x))


def _step(poles: Array, distance: Array, dt: float) -> Callable[[Any], Any]:
    """One pivot: its column, and the generators of what is left."""
    xp = namespace(poles)
    sign = 1.0 if dt else -1.0

    def step(carry: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        B, pivots = carry
        index = xp.argmax(pivots, axis=-1)
        b, pole = _row_of_each(B, index), _entry_of_each(poles, index)
        norm = xp.sqrt(xp.sum(_squares(b), axis=-1, keepdims=True))
        w = b * _inverse_or_zero(norm)
        below = 1 / denominators(poles, pole, dt=dt, distance=distance)[..., 0]
        along = (B @ conj(w)[..., :, None])[..., 0]
        column = along * below * xp.sqrt(_entry_of_each(distance, index))
        all_pass = sign * (poles - pole) * below
        if B.shape[-1] == 1:
            B = B * xp.where(norm > 0, all_pass, xp.ones_like(all_pass))[..., None]
        else:
            B = B + ((all_pass - 1) * along)[..., :, None] * w[..., None, :]
        pivots = xp.sum(_squares(B), axis=-1) / distance
        return (B, pivots), column[..., :, None]

    return step


def _paired_step(poles: Array, distance: Array, dt: float) -> Callable[[Any], Any]:
    """One input: conjugate poles keep conjugate generators, so half the rows suffice.

    With the values f, h of the pivot's all-pass factor on the poles and on their
    conjugates, both eliminations together multiply row i by ``f_i conj(h_i)``. A real pole
    is its own conjugate: nothing is left of it for the second.
    """
    xp = namespace(poles)
    mirrored = conj(poles)
    sign = 1.0 if dt else -1.0

    def step(carry: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        b, pivots = carry
        index = xp.argmax(pivots, axis=-1)
        pole, own = _entry_of_each(poles, index), _entry_of_each(b, index)
        scale = xp.sqrt(_entry_of_each(distance, index))
        below = 1 / denominators(poles, pole, dt=dt, distance=distance)[..., 0]
        across = 1 / denominators(mirrored, pole, dt=dt, distance=distance)[..., 0]
        size = xp.abs(own)
        f, h = sign * (poles - pole) * below, sign * (mirrored - pole) * across
        w = conj(own) * (_inverse_or_zero(size) * scale)
        first = [b * below * w, conj(b) * across * w]
        upper, lower = b * f, conj(b) * h
        own = _entry_of_each(lower, index)
        rest = xp.abs(own)
        w = conj(own) * (_inverse_or_zero(rest) * scale)
        second = [upper * conj(across) * w, lower * conj(below) * w]
        b = xp.where(size > 0, upper * xp.where(rest > 0, conj(h), xp.ones_like(h)), b)
        return (b, _squares(b) / distance), _real_columns(first, second, index)

    return step


def _real_columns(first: list[Array], second: list[Array], index: Array) -> Array:
    r"""Two real columns with the outer product of a complex pair closed under conjugation.

    y1, y2 are the pair in the coordinates ``[Re; Im]``, and conj(y1) = alpha y1 + beta y2.
    With a = |alpha| and e^{2 i psi} = alpha / a they are
    ``sqrt(2/(1+a)) [Re(e^{i psi} y1), Im(e^{-i psi} y2)]``, which cancels nothing.
    """
    xp = namespace(first[0])
    alpha = conj(_entry_of_each(first[1], index)) * _inverse_or_zero(real(_entry_of_each(first[0], index)))
    a = xp.abs(alpha)
    phase = xp.sqrt(xp.where(a > 0, alpha * _inverse_or_zero(a), xp.ones_like(alpha)))
    phase = phase / xp.sqrt(2 * (1 + a))
    u, v = first[0] * phase, first[1] * phase
    one = [xp.real(u) + xp.real(v), xp.imag(u) - xp.imag(v)]
    u, v = second[0] * conj(phase), second[1] * conj(phase)
    two = [xp.imag(u) + xp.imag(v), xp.real(v) - xp.real(u)]
    return xp.stack([xp.concat(one, axis=-1), xp.concat(two, axis=-1)], axis=-1)
