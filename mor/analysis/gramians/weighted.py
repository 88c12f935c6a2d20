"""The Gramians of a system between two frequency weights."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Self

from mor.analysis.gramians.base import Gramians, SystemLike, state_space
from mor.arrays import Array
from mor.equations.doubling import qr_compress
from mor.errors import ReductionError
from mor.systems.base import System
from mor.systems.connect import series
from mor.systems.convert import as_system


@dataclass(frozen=True)
class Weighted(Gramians):
    r"""Gramians of a system between two weights: for a small weighted error :math:`W_o (G - G_r) W_i`.

    P is the block of the states of G in the controllability Gramian of :math:`G W_i`, Q that in the
    observability Gramian of :math:`W_o G`:

    .. math:: P = \frac1{2\pi}\int (i\omega - A)^{-1}BW_i(i\omega)\,(\cdot)^H d\omega, \qquad
              Q = \frac1{2\pi}\int (\cdot)^H\, W_o(i\omega)C(i\omega - A)^{-1} d\omega.

    With one weight a reduced system is stable, with two it may not be; there is no error bound.

    Parameters
    ----------
    input : :math:`W_i`, anything :func:`mor.as_system` takes, stable, with as many outputs as the system
        has inputs; None is the identity.
    output : :math:`W_o`, the same with as many inputs as the system has outputs.

    Raises
    ------
    NotASystemError
        If a weight is no system.

    Notes
    -----
    Weights have the time step of the system; those of a real system are real. Only the stable part of a
    system with ``unstable="split"`` is weighted. The factors are rows of factors of the two series
    connections, whose Gramians are never formed: two Schur forms of the order of system and weight together.
    ``mor reduce`` measures the weighted error. Methods that keep stability with two weights, such as Lin and
    Chiu's, are others.

    Source: [Enns84]. SLICOT's ``AB09ID`` with ALPHAC = ALPHAO = 0.

    Examples
    --------
    >>> import mor
    >>> sys = ([[-1, 0], [0, -50]], [[1], [1]], [[1, 10]])
    >>> fast = ([[-100]], [[100]], [[-1]], [[1]])  # s / (s + 100)
    >>> plain, weighted = (mor.balanced_truncation(sys, 1, gramians=kind) for kind in
    ...                    (mor.Infinite(), mor.Weighted(output=fast)))
    >>> plain.system.poles.real.round(), weighted.system.poles.real.round()
    (array([-2.]), array([-29.]))
    """

    input: SystemLike | None = None
    output: SystemLike | None = None

    name = "weighted"
    adjective = "frequency-weighted"
    needs = "a stable system with linear outputs, and stable weights"
    promises = "stability with one weight; with two a lost one is said"
    sources = ("Enns84",)
    aim = "weighted H-infinity error"
    needs_linear = needs_single = True

    def __post_init__(self) -> None:
        for side in fields(self):
            weight = getattr(self, side.name)
            object.__setattr__(self, side.name, None if weight is None else as_system(weight))

    @property
    def stable(self) -> bool:
        return self.input is None or self.output is None

    def checked(self, system: System) -> Self:
        super().checked(system)
        for weight in (self.input, self.output):
            if weight is not None:
                weight.require_stable("a weight", otherwise="Weights must be stable.")
        if system.is_real and not self.compared(system, system)[0].is_real:
            raise ReductionError("a complex weight makes a complex system of a real one.")
        return self

    def factors(self, system: System) -> tuple[Array, Array]:
        own = state_space(system)
        reached = own if self.input is None else series(self.input, own)
        seen = own if self.output is None else series(own, self.output)
        Zc = reached.controllability_factor()[reached.order - own.order :]
        return qr_compress(Zc), qr_compress(seen.observability_factor()[: own.order])

    def compared(self, full: System, rom: System) -> tuple[System, System]:
        return self._weighed(full), self._weighed(rom)

    def _weighed(self, system: System) -> System:
        return series(*(x for x in (self.input, system, self.output) if x is not None))
