"""What a compression did to each layer, measured on the systems themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mor.analysis.error import measure
from mor.arrays import to_numpy
from mor.equations.boundary import margins
from mor.errors import DimensionError
from mor.systems.modal import Modal


@dataclass(frozen=True)
class LayerComparison:
    """One layer before and after.

    Attributes
    ----------
    impulse_error : l2 norm of the error of the impulse response over that of the response, D
        left out of both; of a batch the largest.
    peak_error : largest gain of the error system over frequency.
    peak_frequency : where, in radians a unit of time; None at infinity.
    peak_limit : what that gain does not exceed, proven by level sets; None where the order is so large
        that `peak_error` was only searched for, or round-off hides the limit.
    peak_noise : by how much `peak_error` may be wrong by round-off.
    bound : what `peak_error` must not exceed, or None where nothing was promised.
    holds : whether the bound holds and D is the same; None where nothing was promised.
    same_unstable_modes : whether unstable modes are those of before to the last bit, without which the
        bound limits gains, but no signals.
    """

    name: str
    states_before: int
    states_after: int
    impulse_error: float
    peak_error: float
    peak_frequency: float | None
    peak_limit: float | None
    peak_noise: float
    bound: float | None
    feedthrough_changed: bool
    holds: bool | None = field(init=False)
    same_unstable_modes: bool = True

    def __post_init__(self) -> None:
        within = self.bound is None or self.peak_error <= self.bound + self.peak_noise
        holds = None if self.bound is None else within and not self.feedthrough_changed
        object.__setattr__(self, "holds", holds)


def compare_layer(
    name: str, before: Modal, after: Modal, bound: float | None = None, *, prove: bool | None = None
) -> LayerComparison:
    """Impulse-response and H-infinity errors of one layer.

    Parameters
    ----------
    before, after : the layer's systems; a batch is compared system by system, the worst
        counts.
    bound : the promised limit of the H-infinity error.
    prove : whether the H-infinity error is found with a guarantee or by a frequency search, whose
        result is a lower limit and in practice the peak; as :func:`mor.analysis.error.measure` has it.
    """
    if before.batch_shape != after.batch_shape:
        raise DimensionError(
            f"layer {name}: batches of shape {before.batch_shape} and {after.batch_shape} cannot be compared."
        )
    counts = int(np.sum(before.working_states)), int(np.sum(after.working_states))
    if _same_arrays(before, after):
        return LayerComparison(name, *counts, 0.0, 0.0, 0.0, 0.0, 0.0, bound, False)
    found = measure(before, after, prove=prove)
    return LayerComparison(
        name=name,
        states_before=counts[0],
        states_after=counts[1],
        impulse_error=found.h2_relative,
        peak_error=found.peak,
        peak_frequency=_finite(found.omega),
        peak_limit=_finite(found.limit),
        peak_noise=found.noise,
        bound=bound,
        feedthrough_changed=not np.array_equal(to_numpy(before.D), to_numpy(after.D)),
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _same_arrays(a: Modal, b: Modal) -> bool:
    fields = ("poles", "B", "C", "D")
    return all(np.array_equal(to_numpy(getattr(a, f)), to_numpy(getattr(b, f))) for f in fields)


def rounding_bound(exact: Modal, stored: Modal) -> float:
    r"""Upper limit of the H-infinity norm of ``exact - stored``, mode by mode.

    For the same modes in the same order, conjugation and the scale of each mode aside, with
    :math:`d = 1 - |\lambda|` (discrete) or :math:`-\Re\lambda`,

    .. math:: \sum_i \frac{|\delta c_i| |b_i| + |\tilde c_i| |\delta b_i|}{d_i}
              + \frac{|\tilde c_i| |\tilde b_i| |\delta\lambda_i|}{d_i \tilde d_i}.

    Cheap, and tight enough to tell what the rounding of a file may add to an error bound.
    """
    a, b = _upper_half(exact), _upper_half(stored)
    pole, other = a["poles"], b["poles"]
    near, far = margins(pole, exact.dt), margins(other, exact.dt)
    scale = _alignment(a["B"], b["B"])
    B, C = a["B"] * scale[..., :, None], a["C"] / scale[..., None, :]
    row, row_error = _rows(b["B"]), _rows(b["B"] - B)
    column, column_error = _columns(b["C"]), _columns(b["C"] - C)
    terms = (column_error * _rows(B) + column * row_error) / near
    terms = terms + column * row * np.abs(pole - other) / (near * far)
    feedthrough = np.linalg.norm(to_numpy(exact.D) - to_numpy(stored.D), axis=(-2, -1))
    return float(np.max(np.sum(terms, axis=-1) + feedthrough))


def _upper_half(system: Modal) -> Mapping[str, Any]:
    poles, B, C = (to_numpy(x).astype(complex) for x in (system.poles, system.B, system.C))
    flip = poles.imag < 0
    return {
        "poles": np.where(flip, poles.conj(), poles),
        "B": np.where(flip[..., :, None], B.conj(), B),
        "C": np.where(flip[..., None, :], C.conj(), C),
    }


def _alignment(B: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Factor of each row of B that brings it closest to `target`; 1 where it is zero."""
    overlap = np.sum(np.conj(B) * target, axis=-1)
    usable = np.abs(overlap) > 0
    energy = np.where(usable, np.sum(np.abs(B) ** 2, axis=-1), 1.0)
    return np.where(usable, overlap / energy, 1.0)


def _rows(B: np.ndarray) -> np.ndarray:
    return np.linalg.norm(B, axis=-1)


def _columns(C: np.ndarray) -> np.ndarray:
    return np.linalg.norm(C, axis=-2)
