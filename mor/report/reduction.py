"""Plain data on the reduction of one system, every error measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mor.analysis.gains import SystemGains, first_frequencies, largest_singular_value, search, widths
from mor.analysis.hinf import peak_gain
from mor.analysis.norms import h2_error, h2_norm
from mor.deep.compare import PROVABLE
from mor.equations.band import Band
from mor.errors import DimensionError
from mor.reduction.result import Reduction
from mor.report.summary import Summary
from mor.systems.base import System
from mor.systems.lti import LTI

#: Relative allowance for the round-off of the measurement itself, in double precision.
_MEASUREMENT = 1e-9

#: Frequencies of the search where the peak is not proven.
_SAMPLES = 64


def reduction_summary(
    system: System, reduction: Reduction, horizon: float | None, band: Band | None = None
) -> Summary:
    """Orders, Hankel singular values, the bound and the errors that it was to bound.

    ``hinf_error`` is the largest gain of the error over frequency, ``hinf_limit`` what that
    does not exceed, proven; None where the systems are so large that the gain was only
    searched for. Both are None if a system is unstable, unless its unstable part was kept: then
    they are those of the stable parts. With a horizon or a band the H2 errors are limited to
    it; infinite ones (D has changed in continuous time) are None, as are infinite ``hsv``.
    """
    full, rom = reduction.stable_parts or (system, reduction.system)
    stable = full.is_stable and rom.is_stable
    gain, omega, limit = _error_peak(full, rom) if stable else (np.nan, np.nan, np.inf)
    measurable = stable or horizon is not None
    error = float(h2_error(full, rom, horizon=horizon, band=band)) if measurable else np.nan
    proper = full.with_outputs(full.output_factor_matrix, np.zeros_like(full.D))
    norm = float(h2_norm(proper, horizon=horizon, band=band))
    return {
        "order": [system.order, reduction.order],
        "inputs": system.n_inputs,
        "outputs": system.n_outputs,
        "dt": system.dt,
        "method": reduction.method,
        "horizon": horizon,
        "band": None if band is None else [_finite(end) for end in band],
        "stable": reduction.system.is_stable,
        "hsv": [_finite(value) for value in np.asarray(reduction.hsv, dtype=float)],
        "error_bound": reduction.error_bound,
        "roundoff": reduction.roundoff,
        "hinf_error": _finite(gain),
        "hinf_limit": _finite(limit),
        "peak_frequency": _finite(omega),
        "h2_error": _finite(error),
        "h2_relative": _finite(error / norm) if norm > 0 else None,
        "holds": _holds(reduction, gain) if stable else None,
        "iterations": reduction.diagnostics.get("iterations"),
        "stopped": reduction.diagnostics.get("stopped"),
        "note": reduction.diagnostics.get("note"),
    }


def _holds(reduction: Reduction, gain: float) -> bool | None:
    """Whether the error is within the bound and its round-off; None if there is no bound."""
    if reduction.error_bound is None:
        return None
    return bool(gain <= (reduction.error_bound + reduction.roundoff) * (1 + _MEASUREMENT))


def of_the_kind(system: System, reduction: Reduction) -> Reduction:
    """`reduction` with a dense system if the full one is dense: whatever reads the file of the one
    reads that of the other."""
    if system.batch_shape:
        raise DimensionError(f"the file holds a batch of {system.batch_shape} systems; give one at a time.")
    return replace(reduction, system=reduction.system.to_lti()) if isinstance(system, LTI) else reduction


def _error_peak(system: System, rom: System) -> tuple[float, float, float]:
    """Largest gain of the error, its frequency, and its limit (infinite where none was sought)."""
    if 0 in (system.n_inputs, system.n_outputs):
        return 0.0, 0.0, 0.0
    if (system.order + rom.order + 100) ** 3 <= PROVABLE:
        gain, omega, limit = peak_gain(system - rom)
        return float(gain), float(omega), float(limit)
    # Two small Schur forms for one large: the responses are subtracted, not the systems.
    full, reduced = SystemGains(system), SystemGains(rom)

    def gains(omega: np.ndarray) -> Any:
        return largest_singular_value(full.responses(omega) - reduced.responses(omega))

    poles, is_real = np.concatenate([full.poles, reduced.poles]), full.is_real and reduced.is_real
    omega = first_frequencies(poles, system.dt, _SAMPLES, is_real=is_real)
    omega = omega[np.isfinite(omega)]
    return *search(gains, omega, widths(poles, system.dt, omega))[:2], np.inf


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
