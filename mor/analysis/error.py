"""The error of a reduced system, measured: one place for all who report it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from mor.analysis.dcgain import dcgain
from mor.analysis.difference import DifferencePeak, difference_peak
from mor.analysis.gains import sampled_peak
from mor.analysis.gramians import Gramians
from mor.analysis.norms import h2_error, h2_norm
from mor.arrays import EPS, positive_or_one, to_numpy
from mor.equations.band import Band
from mor.systems.arguments import check_same_signals
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.lti import LTI
from mor.systems.modal import Modal

#: ``(order + 500)^3``, summed over a batch, up to which H-infinity norms are proven: a small system takes
#: a tenth of a second or so.
PROVABLE = 3000**3

#: A limit within this share of what was measured makes that a proven number.
_PROVEN = 1e-2

#: What is known of nothing, and of the difference of systems without signals.
_UNKNOWN, _NOTHING = DifferencePeak(np.nan, np.nan, np.inf, np.nan), DifferencePeak(0.0, 0.0, 0.0, 0.0)


@dataclass(frozen=True)
class ErrorMeasure:
    """The difference of two systems, of a batch the largest.

    Attributes
    ----------
    h2 : H2 norm of the difference, within the horizon or the band; nan where there is none.
    h2_relative : that over the norm of the full system without D; where that is zero `h2` itself.
    peak : largest gain over frequency that was found, nan where a system is unstable.
    omega : where, in radians per unit of time; infinite where D has it.
    limit : what the H-infinity norm does not exceed; infinite where no limit was sought or found.
    noise : by how much `peak` may be wrong by round-off, of the measurement and of the systems'
        own numbers.
    """

    h2: float
    h2_relative: float
    peak: float
    omega: float
    limit: float
    noise: float

    @property
    def proven(self) -> bool:
        """Whether the limit is within 1 % of the peak."""
        return bool(self.limit <= self.peak * (1 + _PROVEN))

    def within(self, bound: float) -> bool:
        """Whether the error does not exceed `bound`, as far as the noise lets it be told."""
        return bool(self.peak <= bound + self.noise)


def measure(
    full: Any,
    rom: Any,
    *,
    horizon: float | None = None,
    band: Band | None = None,
    prove: bool | None = None,
) -> ErrorMeasure:
    """Errors of `rom` as a model of `full`.

    Parameters
    ----------
    full, rom : anything :func:`mor.as_system` takes, with the same signals; batches of one shape.
    horizon, band : limits of the H2 error, as in :func:`mor.h2_error`.
    prove : whether a limit of the H-infinity norm is looked for. None: while ``(n + 500)^3``, n the
        order of both together, summed over a batch, is below ``3000^3``.

    Raises
    ------
    DimensionError, TimeStepError
        If the systems' signals, batches or time steps differ.

    Examples
    --------
    >>> found = measure(([[-1.0]], [[2.0]], [[3.0]]), ([[-1.0]], [[2.0]], [[2.0]]))
    >>> round(found.peak, 6), round(found.h2, 6), found.proven
    (2.0, 1.414214, True)
    """
    full, rom = as_system(full).detached(), as_system(rom).detached()
    stable = full.is_stable and rom.is_stable
    h2, relative = _h2(full, rom, horizon, band) if stable or horizon is not None else (np.nan, np.nan)
    return ErrorMeasure(h2, relative, *(_peak(full, rom, prove) if stable else _UNKNOWN))


def aimed_error(gramians: Gramians, full: System, rom: System) -> float:
    """The error that a reduction by these Gramians is to make small; nan of unstable systems."""
    seen, image = gramians.compared(full, rom)
    if seen is not full:
        return measure(seen, image, prove=False).peak
    stable = full.is_stable and rom.is_stable
    return float(h2_error(full, rom, **gramians.limits)) if stable or gramians.end is not None else np.nan


def norms(sys: Any) -> ErrorMeasure:
    """H2 and H-infinity norm, as the error of a system that does nothing.

    Examples
    --------
    >>> found = norms(([[-1.0]], [[2.0]], [[3.0]]))
    >>> round(found.peak, 6), round(found.h2, 6)
    (6.0, 4.242641)
    """
    system = as_system(sys)
    m, p = system.n_inputs, system.n_outputs
    return measure(system, LTI(np.zeros((0, 0)), np.zeros((0, m)), np.zeros((p, 0)), dt=system.dt))


def dc_error(full: Any, rom: Any) -> tuple[float, float]:
    """Largest singular value of the difference of the gains at rest, and its share of that of `full`.

    Both are nan where a pole is at frequency zero, the share also where the gain of `full` is zero.

    Examples
    --------
    >>> dc_error(([[-1.0]], [[2.0]], [[3.0]]), ([[-1.0]], [[2.0]], [[1.5]]))
    (3.0, 0.5)
    """
    gain, other = (to_numpy(dcgain(sys)) for sys in (full, rom))
    if not (np.all(np.isfinite(gain)) and np.all(np.isfinite(other))):
        return np.nan, np.nan
    error, size = (
        float(np.max(np.linalg.svd(x, compute_uv=False), initial=0.0)) for x in (gain - other, gain)
    )
    return error, error / size if size > 0 else np.nan


def _h2(full: System, rom: System, horizon: float | None, band: Band | None) -> tuple[float, float]:
    proper = full.with_outputs(full.output_factor_matrix, np.zeros_like(to_numpy(full.D)))
    error = np.atleast_1d(to_numpy(h2_error(full, rom, horizon=horizon, band=band)))
    norm = np.atleast_1d(to_numpy(h2_norm(proper, horizon=horizon, band=band)))
    return float(np.max(error)), float(np.max(error / positive_or_one(norm)))


def _peak(full: System, rom: System, prove: bool | None) -> DifferencePeak:
    """Largest gain of the difference, of a batch the largest."""
    if not (full.is_linear and rom.is_linear):
        return _UNKNOWN
    if 0 in (full.n_inputs, full.n_outputs):
        return _NOTHING
    check_same_signals(full, rom)
    if prove is None:
        prove = math.prod(full.batch_shape) * (full.order + rom.order + 500) ** 3 <= PROVABLE
    if not full.batch_shape:
        return difference_peak(full.to_lti(), rom.to_lti(), prove=prove)
    one: Any = full
    two: Any = rom
    if not prove:
        gain, omega = sampled_peak(one - two)
        return DifferencePeak(gain, omega, np.inf, _modal_noise(one, omega) + _modal_noise(two, omega))
    peaks = [difference_peak(one[i].to_lti(), two[i].to_lti()) for i in np.ndindex(full.batch_shape)]
    worst = max(peaks, key=lambda peak: peak.gain, default=_NOTHING)
    return worst._replace(upper=max((peak.upper for peak in peaks), default=0.0))


def _modal_noise(batch: Modal, omega: float) -> float:
    """Round-off of the sum over modes at one frequency, the largest of a batch."""
    s = np.exp(1j * omega * batch.dt) if batch.dt else 1j * omega
    poles, B, C = (to_numpy(x) for x in (batch.poles, batch.B, batch.C))
    near = np.minimum(np.abs(s - poles), np.abs(s - np.conj(poles)))
    terms = np.abs(C) @ (np.abs(B) / near[..., :, None]) + np.abs(to_numpy(batch.D))
    return float(EPS * np.max(terms, initial=0.0)) * math.prod(terms.shape[-2:]) ** 0.5
