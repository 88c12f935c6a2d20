"""Layers with unstable modes, which are kept as they are: what is measured of the two parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mor.analysis.gains import sampled_peak
from mor.deep.compare import LayerComparison, compare_layer, rounding_bound
from mor.reduction.splitting import split_stable
from mor.systems.modal import Modal

#: Distance from the circle below which a mode has no finite gain, and relative round-off of a gain.
_ON_CIRCLE, _NOISE = 1e-14, 1e-12


def rounding_of(exact: Modal, stored: Modal) -> float:
    r"""Upper limit of the largest gain over frequency of ``exact - stored``, mode by mode.

    As :func:`mor.deep.compare.rounding_bound`; unstable modes with their distance to the circle, since
    :math:`1/|z - \lambda| \le 1/|1 - |\lambda||` on it. Infinite where a mode on the circle, or one that
    rounding brought to its other side, is not exact.
    """
    outside = np.abs(exact.poles) >= 1
    if not np.any(outside):
        return rounding_bound(exact, stored)
    inside = rounding_bound(_only(exact, ~outside), _only(stored, ~outside))
    return inside + _rounding_outside(_only(exact, outside), _only(stored, outside))


def _only(system: Modal, modes: np.ndarray) -> Modal:
    """The system with these modes; in place of the others idle ones, and of unstable ones D of zero."""
    poles = np.where(modes, system.poles, 0.0)
    return replace(system, poles=poles, B=system.B * modes[..., :, None], C=system.C * modes[..., None, :])


def _rounding_outside(exact: Modal, stored: Modal) -> float:
    flip = (exact.poles.imag < 0) != (stored.poles.imag < 0)
    poles = np.where(flip, stored.poles.conj(), stored.poles)
    B = np.where(flip[..., :, None], stored.B.conj(), stored.B)
    C = np.where(flip[..., None, :], stored.C.conj(), stored.C)
    near, far = np.abs(exact.poles) - 1, np.abs(poles) - 1
    norm = np.linalg.norm
    product = norm(C, axis=-2) * norm(B, axis=-1)
    residue = norm(C - exact.C, axis=-2) * norm(exact.B, axis=-1) + norm(C, axis=-2) * norm(
        B - exact.B, axis=-1
    )
    moved = product * np.abs(poles - exact.poles)
    if np.any((moved > 0) & ((near <= 0) | (far <= 0))) or np.any((residue > 0) & (near <= 0)):
        return float("inf")
    safe, other = np.where(near > 0, near, 1.0), np.where(far > 0, far, 1.0)
    return float(np.max(np.sum(residue / safe + moved / (safe * other), axis=-1), initial=0.0))


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
    a, b = (_in_order(x) for x in (a, b))
    return all(np.array_equal(getattr(a, x), getattr(b, x)) for x in ("poles", "B", "C"))


def _in_order(system: Modal) -> Modal:
    """The modes sorted by their poles; a batch as it is."""
    if system.batch_shape:
        return system
    order = np.lexsort((system.poles.imag, system.poles.real))
    return replace(system, poles=system.poles[order], B=system.B[order], C=system.C[:, order])
