"""Sizes that errors are compared with."""

from __future__ import annotations

from typing import Any

import numpy as np

from mor.analysis.dcgain import dcgain
from mor.analysis.error import ErrorMeasure, measure
from mor.arrays import to_numpy
from mor.systems.convert import as_system
from mor.systems.lti import LTI


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
