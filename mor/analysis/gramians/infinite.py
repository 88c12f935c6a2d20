"""The Gramians of all time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mor.analysis.gramians.base import Gramians
from mor.arrays import Array
from mor.equations.graded import tail_sums
from mor.systems.base import System


@dataclass(frozen=True)
class Infinite(Gramians):
    r"""Gramians of all time and all frequencies: those of plain balanced truncation, the default.

    .. math:: P = \int_0^\infty e^{At}BB^He^{A^Ht}dt, \qquad Q = \int_0^\infty e^{A^Ht}C^HCe^{At}dt

    or the sums in discrete time. A reduced system is stable and
    :math:`\|G - G_r\|_\infty \le 2\sum_{i>r}\sigma_i`. With quadratic outputs it is stable and has no bound.

    Notes
    -----
    Source: [Moore81]; bound [Enns84], [Glover84].

    Examples
    --------
    >>> import mor
    >>> mor.balanced_truncation(([[-1.0]], [[2.0]], [[3.0]]), order=1, gramians=mor.Infinite()).method
    'balanced truncation'
    """

    name = "infinite"
    adjective = ""
    needs = "a stable system"
    promises = "stability"
    bound = "2 (sigma_{r+1} + ... + sigma_n), of linear outputs"
    sources = ("Moore81", "Enns84", "Glover84")
    accurate_when_formed = True

    @property
    def stable(self) -> bool:
        return True

    def factors(self, system: System) -> tuple[Array, Array]:
        return system.factors()

    def gramians(self, system: System) -> tuple[Array, Array]:
        return system.gramians()

    def bounds(self, values: np.ndarray, system: System) -> np.ndarray | None:
        return tail_sums(values) if system.is_linear else None
