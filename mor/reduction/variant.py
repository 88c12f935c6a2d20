"""Which balanced truncation: the one place where its variants differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mor.analysis.hankel import check_one_limit
from mor.arrays import Array
from mor.checks import check_choice, check_horizon
from mor.equations.band import Band, check_band
from mor.errors import ReductionError
from mor.systems.base import System

#: Frequencies at which the reduced system may be exact.
MATCHES = ("infinity", "dc")


@dataclass(frozen=True)
class Variant:
    """Which balanced truncation it is: the choice of the factors, and of the point kept exact.

    Attributes
    ----------
    horizon : end time or number of steps of the Gramians; None is infinite.
    band : frequencies that the Gramians are limited to; None is all.
    match : where the reduced system is exact, one of `MATCHES`.

    Examples
    --------
    >>> import numpy as np
    >>> Variant().bounds(np.array([3.0, 1.0])), Variant(horizon=2.0).bounds(np.array([3.0, 1.0]))
    (array([8., 2., 0.]), None)
    """

    horizon: float | None = None
    band: Band | None = None
    match: str = "infinity"

    @classmethod
    def of(cls, horizon: Any, band: Any, match: Any, dt: float) -> Variant:
        """The variant that options of a reduction ask for, of a system of time step `dt`.

        Raises
        ------
        TimeStepError
            If `horizon` or `band` make no sense, or both are given.
        ReductionError
            If `match` is none.
        """
        check_one_limit(horizon, band)
        check_choice("match", match, MATCHES, error=ReductionError)
        return cls(check_horizon(horizon, dt), None if band is None else check_band(band, dt), match)

    @property
    def bounded(self) -> bool:
        """Whether theory promises stability and, of linear outputs, an error bound."""
        return self.horizon is None and self.band is None

    def bounds(self, hsv: np.ndarray) -> np.ndarray | None:
        r""":math:`2\sum_{i>r}\sigma_i` for r = 0..n, (..., n + 1); None where theory has no bound."""
        if not self.bounded:
            return None
        tails = np.cumsum(hsv[..., ::-1], axis=-1)[..., ::-1]
        return 2 * np.concatenate([tails, np.zeros((*hsv.shape[:-1], 1))], axis=-1)

    @property
    def name(self) -> str:
        """The name of the method, with its limits."""
        method = "truncation" if self.match == "infinity" else "singular perturbation approximation"
        if self.horizon is not None:
            return f"time-limited balanced {method} ({self.horizon:g})"
        if self.band is not None:
            return f"frequency-limited balanced {method} ({self.band[0]:g}, {self.band[1]:g})"
        return f"balanced {method}"

    def projectable(self, system: System) -> System:
        """What is projected: the system, or its reciprocal, whose gain at infinity is that at dc."""
        return system if self.match == "infinity" else system.reciprocal()

    def factors(self, system: System) -> tuple[Array, Array]:
        """``(Zc, Zo)``."""
        if self.band is None:
            return system.factors(horizon=self.horizon)
        return system.band_factors(self.band)

    def rank(self, hsv: np.ndarray, n: int) -> int:
        """Number of Hankel singular values that stand above round-off of the largest."""
        return int(np.sum(hsv > n * np.finfo(float).eps * np.max(hsv, initial=0.0)))
