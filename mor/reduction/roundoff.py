"""What double precision adds to the error of balanced truncation."""

from __future__ import annotations

from typing import Any

import numpy as np

from mor.analysis.roundoff import POINTS, POINTS_OF_MEMBER, PRODUCT, Projected, critical_points, data_roundoff
from mor.arrays import adjoint, to_numpy
from mor.equations.boundary import dc_point
from mor.systems.base import System

#: States from which resolvents take the Schur form, or fewer points.
_LARGE = 64

#: Signals beyond which fewer points are looked at.
_MANY_SIGNALS = 32


def full_roundoff(system: System, end: float | None) -> np.ndarray:
    """The part that no order changes: that of the Gramians up to `end`, (...) of a batch."""
    many = system.carrier.n_inputs + system.carrier.n_outputs > _MANY_SIGNALS
    count = POINTS_OF_MEMBER if many or system.batch_shape else POINTS
    poles, margin = to_numpy(system.poles), to_numpy(system.margins)
    return data_roundoff(system.carrier, critical_points(poles, margin, system.dt, end, count))


def reduced_roundoff(
    system: System,
    left: np.ndarray,
    right: np.ndarray,
    reduced: System,
    *,
    end: float | None,
    match: str,
) -> np.ndarray:
    """The part of the projection and of what came after it, (...) of a batch.

    Parameters
    ----------
    system : what was projected, by left and right (..., n, r).
    reduced : what was returned: it went through modal coordinates, or back from the reciprocal, and what that
        has changed is measured.
    end : of the Gramians; None is infinite.
    match : where the reduced system is exact.
    """
    poles, margin = to_numpy(reduced.poles), to_numpy(reduced.margins)
    if not poles.size:
        return np.zeros(system.batch_shape)
    large = right.shape[-1] > _LARGE
    count = POINTS_OF_MEMBER if large or system.batch_shape else POINTS
    points = critical_points(poles, margin, system.dt, end, count)
    carrier: System = system.carrier.on_numpy()
    result: Any = reduced.carrier
    projected, s = Projected.of(carrier, left, right), points.s
    if match == "dc":
        projected, s = (
            _with_inversion(projected, carrier, left, right),
            _reciprocal_points(s, margin, system.dt),
        )
    form = result.schur if large and match == "infinity" and result.modal is None else None
    try:
        gains, values = projected.roundoff(s, form)
    except np.linalg.LinAlgError:
        return np.full(system.batch_shape, np.inf)
    moved = match == "dc" or result.modal is not None
    if moved and result.D.shape == carrier.D.shape:
        back = _reciprocal_of(s, system.dt) if match == "dc" else s
        returned = _values(result, back)
        change = values + to_numpy(carrier.D)[..., None, :, :] - returned
        # Twice, as it may be larger between the points.
        gains = gains + 2 * np.linalg.norm(change, axis=(-2, -1))
    return points.factor * np.max(gains, axis=-1)


def _values(system: System, points: np.ndarray) -> np.ndarray:
    """Transfer functions (..., K, p, m) at points (..., K) of each member's own."""
    if system.modal is None:
        return to_numpy(system.evaluate(points))
    value = system.operator.transfer(points, system.input_factor_matrix, system.output_factor_matrix)
    return to_numpy(value) + to_numpy(system.D)[..., None, :, :]


def _reciprocal_of(s: np.ndarray, dt: float) -> np.ndarray:
    c = dc_point(dt)
    return c + 1 / (s - c)


def _reciprocal_points(s: np.ndarray, margin: np.ndarray, dt: float) -> np.ndarray:
    """The points of the reciprocal system; dc, which would be infinity, moved by the least margin."""
    step = 1j * np.min(np.abs(margin), axis=-1, keepdims=True, initial=1.0)
    return _reciprocal_of(np.where(s == dc_point(dt), s + step, s), dt)


def _with_inversion(projected: Projected, system: System, left: np.ndarray, right: np.ndarray) -> Projected:
    r"""With the error of the inverse of :math:`S = A - c` that was projected: :math:`|S^{-1}||S||S^{-1}|`."""
    c, original = dc_point(system.dt), system.reciprocal()
    rows = np.abs(system.operator.adjoint().apply(left) - c * left)
    columns = np.abs(system.operator.apply(right) - c * right)
    size = original.operator.apply_absolute
    dA = adjoint(rows) @ (size(columns) + c * columns)
    B = np.abs(system.input_factor_matrix)
    dB = adjoint(rows) @ (size(B) + c * B)
    return projected._replace(dA=projected.dA + PRODUCT * dA, dB=projected.dB + PRODUCT * dB)
