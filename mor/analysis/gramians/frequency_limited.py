"""The Gramians of a band of frequencies."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

from mor.analysis.gramians.base import Gramians, on_command_line
from mor.arrays import Array
from mor.equations.band import Band, check_band
from mor.systems.base import System


def _ends(text: str) -> Band:
    low, _, high = text.partition("..")
    return float(low), float(high)


@dataclass(frozen=True)
class FrequencyLimited(Gramians):
    r"""Gramians limited to a band of frequencies; ``band=`` of the functions makes them.

    .. math:: P = \frac{1}{2\pi}\int_{\omega_1\le|\omega|\le\omega_2}
              (i\omega - A)^{-1}BB^H(i\omega - A)^{-H} d\omega

    (:mod:`mor.equations.band`). A reduced system may be unstable, and there is no error bound.

    Parameters
    ----------
    band : ``(omega_1, omega_2)`` in radians per unit of time, ``0 <= omega_1 < omega_2``; omega_2 may be
        infinite, in discrete time ``pi/dt``.

    Raises
    ------
    TimeStepError
        If `band` is no such pair or, when it meets a discrete system, ends above ``pi/dt``.

    Notes
    -----
    Source: [Gawronski90].

    Examples
    --------
    >>> import mor
    >>> sys = ([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]])
    >>> mor.hankel_singular_values(sys, gramians=mor.FrequencyLimited((0.0, 2.0)))[:1].round(4)
    array([0.3526])
    """

    band: Band = field(metadata=on_command_line("LOW..HIGH", _ends))

    name = "frequency-limited"
    adjective = "frequency-limited"
    needs = "a stable system with linear outputs"
    promises = "nothing; a lost stability is said"
    sources = ("Gawronski90",)
    aim = "H2 error in the band"
    needs_linear = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "band", check_band(self.band, 0.0))

    @property
    def limits(self) -> dict[str, Any]:
        return {"band": self.band}

    @property
    def about(self) -> str:
        low, high = self.band
        said = "infinity" if high == float("inf") else f"{high:g}"
        return f"From {low:g} to {said} rad per unit of time: Hankel singular values and the H2 error."

    def checked(self, system: System) -> Self:
        return replace(super().checked(system), band=check_band(self.band, system.dt))

    def factors(self, system: System) -> tuple[Array, Array]:
        return system.band_factors(self.band)

    def gramians(self, system: System) -> tuple[Array, Array]:
        return system.band_gramians(self.band)
