"""Gramian factors of a diagonal system in its real map: which way is right for which system."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from mor.arrays import (
    Array,
    conj,
    eps,
    is_complex,
    is_concrete,
    namespace,
)
from mor.equations import cauchy
from mor.equations.boundary import boundary_distance
from mor.equations.cauchy_factor import factor as pivoted_factor
from mor.equations.definite import definite_factor
from mor.equations.doubling import lyapunov_horizon_factor, stein_factor
from mor.errors import TimeStepError

#: Inputs from which P may be well conditioned, so that forming it is worth a try.
_MANY_INPUTS = 16

#: Modes an input above which pivot by pivot is faster than doubling (measured).
_SPARSE_INPUTS = 4


@dataclass(frozen=True)
class ModalEvolution:
    """``[Re z; Im z] -> [Re(pole z); Im(pole z)]`` for the doubling iteration."""

    poles: Array

    def apply(self, Z: Array) -> Array:
        if not is_complex(self.poles):
            return self.poles[..., :, None] * Z
        xp = namespace(Z)
        k = self.poles.shape[-1]
        re, im = Z[..., :k, :], Z[..., k:, :]
        a, b = xp.real(self.poles)[..., :, None], xp.imag(self.poles)[..., :, None]
        return xp.concat([a * re - b * im, b * re + a * im], axis=-2)

    def square(self) -> Self:
        return type(self)(self.poles * self.poles)

    def adjoint(self) -> Self:
        return type(self)(conj(self.poles))

    def apply_absolute(self, Z: Array) -> Array:
        xp = namespace(Z)
        if not is_complex(self.poles):
            return xp.abs(self.poles)[..., :, None] * Z
        k = self.poles.shape[-1]
        re, im = Z[..., :k, :], Z[..., k:, :]
        a, b = xp.abs(xp.real(self.poles))[..., :, None], xp.abs(xp.imag(self.poles))[..., :, None]
        return xp.concat([a * re + b * im, b * re + a * im], axis=-2)


def modal_factor(poles: Array, B: Array, *, dt: float, horizon: float | None = None) -> Array:
    """Z, real, with ``P = Z Z^T`` the Gramian of ``z' = diag(poles) z + B u`` in the real map.

    P is formed and factored where it is safely definite, else never formed: pivot by pivot
    with few inputs, by doubling with many. With few inputs P is as good as never safely
    definite, because its eigenvalues decay with the number of states an input.

    Parameters
    ----------
    poles : array (..., k), strictly stable unless `horizon` is given.
    B : array (..., k, m).

    Returns
    -------
    Z : array (..., n, r), n = 2k in the coordinates ``[Re z; Im z]`` (k for real data).
    """
    if not is_concrete(poles, B):
        if horizon is None:
            return pivoted_factor(poles, B, dt=dt)
        return _doubled(poles, B, dt, horizon)
    units = _row_units(B)
    Z = _factor(poles, B / units, dt, horizon)
    return Z * (namespace(Z).concat([units, units], axis=-2) if is_complex(B) else units)


def _row_units(B: Array) -> Array:
    """Powers of two, in which every row of B is about one: decisions on size then mind no units."""
    xp = namespace(B)
    length = xp.linalg.vector_norm(B, axis=-1, keepdims=True)
    exponent = xp.floor(xp.log2(xp.where(length > 0, length, xp.ones_like(length))))
    return xp.pow(xp.full_like(exponent, 2.0), exponent)


def _factor(poles: Array, B: Array, dt: float, horizon: float | None) -> Array:
    many = B.shape[-1] >= _MANY_INPUTS
    if many or horizon is not None:
        quick = _formed(poles, B, dt, horizon)
        if quick is not None:
            return quick
    if horizon is not None:
        return _doubled(poles, B, dt, horizon)
    B = _independent_inputs(poles, B, dt) if many else B
    if not many or _SPARSE_INPUTS * B.shape[-1] <= B.shape[-2]:
        return pivoted_factor(poles, B, dt=dt)
    return _doubled(poles, B, dt, None)


def _formed(poles: Array, B: Array, dt: float, horizon: float | None) -> Array | None:
    kernels = cauchy.kernels(poles, dt=dt, horizon=horizon)
    return definite_factor(cauchy.gramian(poles, B, dt=dt, kernels=kernels).matrix)


def _independent_inputs(poles: Array, B: Array, dt: float) -> Array:
    """B with ``B B^T`` the same to round-off, in as few columns as its rank.

    Rows are weighted by how much their modes store, so that what is dropped is round-off
    of the Gramian's factor and not only of B.
    """
    xp = namespace(B)
    rows = cauchy.real_rows(B)
    stored = boundary_distance(poles, dt) ** 0.5
    weights = (xp.concat([stored, stored], axis=-1) if is_complex(B) else stored)[..., :, None]
    U, values, _ = xp.linalg.svd(rows / weights, full_matrices=False)
    noise = eps(B) * rows.shape[-2] * xp.max(values, axis=-1, keepdims=True)
    rank = int(xp.max(xp.sum(xp.astype(values > noise, xp.int64), axis=-1)))
    rows = U[..., :, :rank] * values[..., None, :rank] * weights
    return cauchy.complex_rows(rows) if is_complex(B) else rows


def _doubled(poles: Array, B: Array, dt: float, horizon: float | None) -> Array:
    xp = namespace(B)
    if dt:
        steps = None if horizon is None else int(horizon)
        return stein_factor(ModalEvolution(poles), cauchy.real_rows(B), horizon=steps)
    if poles.shape[-1] == 0:
        return cauchy.real_rows(B)
    if not is_concrete(poles, B):
        raise TimeStepError(
            "a continuous finite horizon cannot be traced (jit, vmap): the number of doublings depends "
            "on the poles. gramians() can; for factors call this outside the transform."
        )
    moduli = xp.abs(poles)
    if horizon is None:
        # The Cayley transform with the geometric mean of the extreme moduli as its shift.
        shift = float((xp.min(moduli) * xp.max(moduli)) ** 0.5)
        scale = (2.0 * shift) ** 0.5 / (shift - poles)
        evolution = ModalEvolution((shift + poles) / (shift - poles))
        return stein_factor(evolution, cauchy.real_rows(B * scale[..., :, None]))
    return lyapunov_horizon_factor(
        lambda t: ModalEvolution(xp.exp(poles * t)), float(xp.max(moduli)), cauchy.real_rows(B), horizon
    )
