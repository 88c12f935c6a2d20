r"""H2 norms limited to a band of frequencies, of systems and of differences however small.

.. math:: \frac{1}{2\pi}\int_{\omega_1\le|\omega|\le\omega_2} \|G(i\omega)\|_F^2\, d\omega

by quadrature (:mod:`mor.equations.panels`): a sum of squares, in which nothing cancels but the difference of
the responses themselves. Whether double precision is enough for that is looked at first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mor.analysis.extended import ExtendedResponses
from mor.analysis.gains import SystemGains
from mor.arrays import to_numpy
from mor.equations.band import Band, band_pieces, check_band
from mor.equations.panels import REFINEMENTS, Piece, nodes, resolved
from mor.systems.base import System

#: Relative error of responses in double precision above which they are computed in extended.
_DOUBTFUL = 1e-9

#: Frequencies at which that is looked at.
_TRIALS = 8

#: Products in extended precision that may be spent: some seconds.
_WORK = 2e9


def squared_norm_in_band(parts: Sequence[System], band: Band) -> float:
    """Of the sum of `parts`, single systems on NumPy with the same signals."""
    first, is_real = parts[0], all(part.is_real for part in parts)
    D: Any = sum(to_numpy(part.D) for part in parts)
    if not first.dt and np.isinf(check_band(band, first.dt)[1]) and np.any(D):
        return np.inf
    if not D.size:
        return 0.0
    poles = np.concatenate([to_numpy(part.poles).astype(complex) for part in parts])
    poles = np.concatenate([poles, poles.conj()]) if is_real else poles
    panels, divisor = band_pieces(poles, band, first.dt, is_real=is_real)
    function, halvings = _responses(parts, panels)
    found = resolved(function, panels, D.size, halvings)
    return sum(float(np.sum(np.abs(values) ** 2)) for _, values in found) / divisor


def _responses(
    parts: Sequence[System], panels: list[Piece]
) -> tuple[Callable[[np.ndarray], np.ndarray], int]:
    """The response of the sum in the precision that it needs, and how often panels may be halved again: not
    at all where round-off is what would be resolved."""
    unit = parts[0].dt or 1.0
    double = [SystemGains(part) for part in parts]
    extended = [None if gains.modal else ExtendedResponses(gains.system) for gains in double]

    def quick(omega: np.ndarray) -> np.ndarray:
        values: Any = sum(gains.responses(omega / unit) for gains in double)
        return values

    def careful(omega: np.ndarray) -> np.ndarray:
        values: Any = sum(
            gains.responses(omega / unit) if exact is None else exact(omega / unit)[0]
            for gains, exact in zip(double, extended, strict=True)
        )
        return values.astype(complex)

    points = nodes(panels)
    trials = points[np.linspace(0, len(points) - 1, _TRIALS).astype(int)]
    one, two = quick(trials), careful(trials)
    if np.max(np.abs(one - two)) <= _DOUBTFUL * np.max(np.abs(two)):
        return quick, REFINEMENTS
    if len(points) * sum(exact.work for exact in extended if exact) <= _WORK:
        return careful, REFINEMENTS
    return quick, 0
