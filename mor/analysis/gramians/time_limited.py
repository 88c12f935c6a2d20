"""The Gramians of a finite time."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Self

from mor.analysis.gramians.base import NUMBER, Gramians
from mor.arrays import Array
from mor.checks import check_horizon
from mor.errors import TimeTypeError
from mor.systems.base import System


@dataclass(frozen=True)
class TimeLimited(Gramians):
    r"""Gramians up to an end time T, or over so many steps; ``horizon=`` of the functions makes them.

    .. math:: P = \int_0^T e^{At}BB^He^{A^Ht}dt, \qquad Q = \int_0^T e^{A^Ht}C^HCe^{At}dt.

    They exist for unstable systems too. A reduced system may be unstable, and there is no error bound.

    Parameters
    ----------
    horizon : end time (continuous) or number of steps (discrete).

    Raises
    ------
    TimeStepError
        If `horizon` is no positive number or, when it meets a discrete system, not whole.

    Notes
    -----
    Source: [Gawronski90].

    Examples
    --------
    >>> import mor
    >>> P, Q = mor.gramians(([[1.0]], [[2.0]], [[3.0]]), gramians=mor.TimeLimited(0.5))
    >>> P.round(4)
    array([[3.4366]])
    """

    horizon: float = field(metadata=NUMBER)

    name = "time-limited"
    adjective = "time-limited"
    needs = "any system"
    promises = "nothing; a lost stability is said"
    sources = ("Gawronski90",)
    aim = "H2 error up to the horizon"
    needs_stable = False
    accurate_when_formed = True

    def __post_init__(self) -> None:
        if self.horizon is None:
            raise TimeTypeError("horizon must be a number; mor.Infinite() has no end.", argument="horizon")
        object.__setattr__(self, "horizon", check_horizon(self.horizon, 0.0))

    @property
    def end(self) -> float:
        return self.horizon

    @property
    def limits(self) -> dict[str, Any]:
        return {"horizon": self.horizon}

    @property
    def about(self) -> str:
        return f"Up to {self.horizon:g}: Hankel singular values and the H2 error."

    def checked(self, system: System) -> Self:
        return replace(super().checked(system), horizon=check_horizon(self.horizon, system.dt))

    def factors(self, system: System) -> tuple[Array, Array]:
        return system.factors(horizon=self.horizon)

    def gramians(self, system: System) -> tuple[Array, Array]:
        return system.gramians(horizon=self.horizon)
