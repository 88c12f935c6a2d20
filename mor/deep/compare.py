"""What a compression did to each layer, measured on the systems themselves."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from mor.analysis.error import ErrorMeasure, measure
from mor.arrays import to_numpy
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
    feedthrough_changed = not np.array_equal(to_numpy(before.D), to_numpy(after.D))
    same = same_modes(before, after) and not feedthrough_changed
    found = ErrorMeasure(*[0.0] * 6) if same else measure(before, after, prove=prove)
    return LayerComparison(
        name=name,
        states_before=int(np.sum(before.working_states)),
        states_after=int(np.sum(after.working_states)),
        impulse_error=found.h2_relative,
        peak_error=found.peak,
        peak_frequency=_finite(found.omega),
        peak_limit=_finite(found.limit),
        peak_noise=found.noise,
        bound=bound,
        feedthrough_changed=feedthrough_changed,
    )


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def same_modes(a: Modal, b: Modal) -> bool:
    """Whether the modes are the same to the last bit, and in the same order."""
    return all(
        np.array_equal(to_numpy(getattr(a, name)), to_numpy(getattr(b, name))) for name in ("poles", "B", "C")
    )
