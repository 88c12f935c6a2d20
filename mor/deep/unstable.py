"""Layers with unstable modes, which are kept as they are: what is measured of the two parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mor.analysis.gains import sampled_peak
from mor.deep.compare import LayerComparison, compare_layer, same_modes
from mor.reduction.splitting import split_stable
from mor.systems.modal import Modal

#: Distance from the circle below which a mode has no finite gain, and relative round-off of a gain.
_ON_CIRCLE, _NOISE = 1e-14, 1e-12


def compare_any_layer(name: str, before: Modal, after: Modal, bound: float | None = None) -> LayerComparison:
    """:func:`mor.deep.compare.compare_layer`, of a layer with unstable modes too.

    Then the impulse error is that of the stable parts, whose error has a norm, and the peak error is the
    largest gain of the whole error that a search over frequency found.
    """
    if before.is_stable and after.is_stable:
        return compare_layer(name, before, after, bound)
    parts: list[Any] = [split_stable(x) for x in (before, after)]
    (stable, rest), (reduced, kept) = parts
    found = compare_layer(name, stable, reduced, bound)
    peak, omega, noise = _outside_error(before, after, rest, kept)
    larger = peak > found.peak_error
    return replace(
        found,
        states_before=int(np.sum(before.working_states)),
        states_after=int(np.sum(after.working_states)),
        peak_error=peak if larger else found.peak_error,
        peak_frequency=omega if larger else found.peak_frequency,
        peak_limit=None,
        peak_noise=found.peak_noise + noise,
        same_unstable_modes=_equal(rest, kept),
    )


def _outside_error(
    before: Modal, after: Modal, rest: Modal, kept: Modal
) -> tuple[float, float | None, float]:
    """Largest gain of the whole error, where, and its round-off; zeros if no such mode has changed."""
    if _equal(rest, kept):
        return 0.0, None, 0.0
    on_circle = any(np.any(np.abs(np.abs(x.poles) - 1) < _ON_CIRCLE) for x in (rest, kept))
    if on_circle:
        return float("inf"), None, 0.0
    peak, omega = sampled_peak(before - after)
    return peak, omega, _NOISE * sampled_peak(rest)[0]


def same_unstable_modes(before: Modal, after: Modal) -> bool:
    """Whether both have the same unstable modes to the last bit, so that these cancel in their difference.

    Only then does a bound of the gain hold for signals: the difference of two unstable modes grows without
    limit, however little they differ.
    """
    parts: list[Any] = [split_stable(x)[1] for x in (before, after)]
    return _equal(*parts)


def _equal(a: Modal, b: Modal) -> bool:
    return same_modes(_in_order(a), _in_order(b))


def _in_order(system: Modal) -> Modal:
    """The modes sorted by their poles; a batch as it is."""
    if system.batch_shape:
        return system
    order = np.lexsort((system.poles.imag, system.poles.real))
    return replace(system, poles=system.poles[order], B=system.B[order], C=system.C[:, order])
