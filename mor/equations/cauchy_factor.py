r"""Pivoted Cholesky of a Cauchy-like Gramian that is never formed.

The Schur complement of a Cauchy-like matrix is Cauchy-like: eliminating the pole
:math:`\lambda_p` multiplies row i of the generator B, along :math:`w = b_p/|b_p|`, by the
all-pass value :math:`f_i = (\lambda_i-\lambda_p)/(1-\lambda_i\bar\lambda_p)`, in continuous
time :math:`(\lambda_i-\lambda_p)/(\lambda_i+\bar\lambda_p)`. Poles are eliminated with
their conjugates, which keeps the factor real. One input needs no subtraction at all, so
that tiny Hankel singular values keep high relative accuracy.

Source: factorisation of Cauchy-like matrices by generators (Gohberg, Kailath and
Olshevsky 1995), in all-pass form. Array API; leading axes are a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mor.arrays import Array, conj, eps, is_complex, is_concrete, namespace, real, scan
from mor.equations.cauchy import boundary_distance, denominators


def factor(poles: Array, B: Array, *, dt: float) -> Array:
    r"""Z, real, with ``P = Z Z^T`` the infinite-horizon Gramian of the real map.

    Parameters
    ----------
    poles : array (..., k), strictly stable, complex or real.
    B : array (..., k, m), of the same kind.
    dt : 0.0 continuous, else discrete.

    Returns
    -------
    Z : array (..., n, r), n = 2k in the coordinates ``[Re z; Im z]`` (k for real data).
        Columns come in order of their pivots. Concrete arrays end early where the rest is
        round-off; under tracing r = n, filled with zero columns.

    Notes
    -----
    Cost ``O(n m)`` a column.
    """
    distance = boundary_distance(poles, dt)
    pivots = namespace(B).sum(real(B * conj(B)), axis=-1) / distance
    if not is_complex(B):
        step, start = _single_step(poles, distance, dt), (B, pivots)
    elif B.shape[-1] == 1:
        step, start = _paired_step_one_input(poles, distance, dt), (B[..., 0], pivots)
    else:
        step, start = _paired_step(poles, distance, dt), (B, conj(B), pivots)
    columns = scan(step, start, poles.shape[-1], _exhausted(pivots, B))
    return _side_by_side(columns, B)


def _exhausted(start: Array, B: Array) -> Callable[[Any], bool] | None:
    """End when every remaining column is round-off of the first.

    A pivot is a squared column norm: below ``eps^2`` of the largest at the start, what is
    left changes no Hankel singular value by more than ``eps`` times the factors' norms.
    """
    if not is_concrete(B) or B.shape[-2] == 0:
        return None
    xp = namespace(B)
    floor = eps(B) ** 2 * xp.max(start, axis=-1)
    return lambda carry: not bool(xp.any(xp.max(carry[-1], axis=-1) > floor))


def _side_by_side(columns: Array, B: Array) -> Array:
    """Step outputs ``(r, ..., n, c)`` to one factor ``(..., n, r c)``."""
    xp = namespace(B)
    if columns.ndim == 1:
        rows = [real(B)] * (2 if is_complex(B) else 1)
        return xp.concat(rows, axis=-2)[..., :0]
    stacked = xp.permute_dims(columns, (*range(1, columns.ndim - 1), 0, columns.ndim - 1))
    return xp.reshape(stacked, (*stacked.shape[:-2], -1))


def _row(x: Array, index: Array) -> Array:
    """``x[..., index, :]`` for a batch of indices ``(...)``, one a system."""
    xp = namespace(x)
    index = xp.broadcast_to(index[..., None, None], (*index.shape, 1, x.shape[-1]))
    return xp.take_along_axis(x, index, axis=-2)[..., 0, :]


def _entry(x: Array, index: Array) -> Array:
    """``x[..., index]`` for a batch of indices ``(...)``, the axis kept."""
    return namespace(x).take_along_axis(x, index[..., None], axis=-1)


def _inverse_or_zero(x: Array) -> Array:
    xp = namespace(x)
    ok = x > 0
    return xp.where(ok, 1 / xp.where(ok, x, xp.ones_like(x)), xp.zeros_like(x))


def _eliminate(
    rows: list[Array], poles: list[Array], at: int, index: Array, distance: Array, dt: float
) -> tuple[list[Array], list[Array]]:
    """One pivot: its column on every group of rows, and the rows' generators after it.

    ``rows`` are the generators of ``poles``, group by group (the poles, their conjugates);
    the pivot is entry `index` of group `at`.
    """
    xp = namespace(rows[0])
    b, pole = _row(rows[at], index), _entry(poles[at], index)
    norm = xp.sqrt(xp.sum(real(b * conj(b)), axis=-1, keepdims=True))
    w = b * _inverse_or_zero(norm)
    scale = xp.sqrt(_entry(distance, index))
    sign = 1.0 if dt else -1.0
    columns, updated = [], []
    for group, own in zip(rows, poles, strict=True):
        below = 1 / denominators(own, pole, dt=dt, distance=distance)[..., 0]
        along = (group @ conj(w)[..., :, None])[..., 0]
        columns.append(along * below * scale)
        all_pass = sign * (own - pole) * below
        if group.shape[-1] == 1:
            all_pass = xp.where(norm > 0, all_pass, xp.ones_like(all_pass))
            updated.append(group * all_pass[..., None])
        else:
            updated.append(group + ((all_pass - 1) * along)[..., :, None] * w[..., None, :])
    return columns, updated


def _single_step(poles: Array, distance: Array, dt: float) -> Callable[[Any], Any]:
    """Real poles: one pivot, one column."""
    xp = namespace(poles)

    def step(carry: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        B, pivots = carry
        index = xp.argmax(pivots, axis=-1)
        (column,), (B,) = _eliminate([B], [poles], 0, index, distance, dt)
        return (B, xp.sum(B * B, axis=-1) / distance), column[..., :, None]

    return step


def _paired_step(poles: Array, distance: Array, dt: float) -> Callable[[Any], Any]:
    """Complex poles: a pivot and its conjugate, two columns in real coordinates."""
    xp = namespace(poles)
    groups = [poles, conj(poles)]

    def step(carry: tuple[Array, Array, Array]) -> tuple[tuple[Array, Array, Array], Array]:
        upper, lower, pivots = carry
        index = xp.argmax(pivots, axis=-1)
        first, rows = _eliminate([upper, lower], groups, 0, index, distance, dt)
        second, (upper, lower) = _eliminate(rows, groups, 1, index, distance, dt)
        pivots = xp.sum(real(upper * conj(upper)), axis=-1) / distance
        return (upper, lower, pivots), _real_columns(first, second, index)

    return step


def _paired_step_one_input(poles: Array, distance: Array, dt: float) -> Callable[[Any], Any]:
    """One input: conjugate poles keep conjugate generators, so half the rows suffice.

    With the values f, h of the pivot's all-pass factor on the poles and on their
    conjugates, both eliminations together multiply row i by ``f_i conj(h_i)``.
    """
    xp = namespace(poles)
    mirrored = conj(poles)
    sign = 1.0 if dt else -1.0

    def step(carry: tuple[Array, Array]) -> tuple[tuple[Array, Array], Array]:
        b, pivots = carry
        index = xp.argmax(pivots, axis=-1)
        pole, own = _entry(poles, index), _entry(b, index)
        scale = xp.sqrt(_entry(distance, index))
        below = 1 / denominators(poles, pole, dt=dt, distance=distance)[..., 0]
        across = 1 / denominators(mirrored, pole, dt=dt, distance=distance)[..., 0]
        size = xp.abs(own)
        f, h = sign * (poles - pole) * below, sign * (mirrored - pole) * across
        w = conj(own) * (_inverse_or_zero(size) * scale)
        first = [b * below * w, conj(b) * across * w]
        upper, lower = b * f, conj(b) * h
        own = _entry(lower, index)
        w = conj(own) * (_inverse_or_zero(xp.abs(own)) * scale)
        second = [upper * conj(across) * w, lower * conj(below) * w]
        b = xp.where(size > 0, upper * conj(h), b)
        return (b, real(b * conj(b)) / distance), _real_columns(first, second, index)

    return step


def _real_columns(first: list[Array], second: list[Array], index: Array) -> Array:
    r"""Two real columns with the outer product of a complex pair closed under conjugation.

    y1, y2 are the pair in the coordinates ``[Re; Im]``, and conj(y1) = alpha y1 + beta y2.
    With a = |alpha| and e^{2 i psi} = alpha / a they are
    ``sqrt(2/(1+a)) [Re(e^{i psi} y1), Im(e^{-i psi} y2)]``, which cancels nothing.
    """
    xp = namespace(first[0])
    alpha = conj(_entry(first[1], index)) * _inverse_or_zero(real(_entry(first[0], index)))
    a = xp.abs(alpha)
    phase = xp.sqrt(xp.where(a > 0, alpha * _inverse_or_zero(a), xp.ones_like(alpha)))
    phase = phase / xp.sqrt(2 * (1 + a))
    u, v = first[0] * phase, first[1] * phase
    one = [xp.real(u) + xp.real(v), xp.imag(u) - xp.imag(v)]
    u, v = second[0] * conj(phase), second[1] * conj(phase)
    two = [xp.imag(u) + xp.imag(v), xp.real(v) - xp.real(u)]
    return xp.stack([xp.concat(one, axis=-1), xp.concat(two, axis=-1)], axis=-1)
