"""The Gramians of a system between two frequency weights."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from typing import Self

import numpy as np

from mor.analysis.gramians.base import FILE, Gramians, SystemLike, state_space
from mor.arrays import Array, to_numpy
from mor.equations.doubling import qr_compress
from mor.errors import (
    DimensionError,
    QuadraticOutputError,
    ReductionError,
    TimeStepError,
    UnstableSystemError,
    at,
)
from mor.systems.base import System
from mor.systems.connect import series
from mor.systems.convert import as_system
from mor.systems.units import Units, gain_in_units, times_power


@dataclass(frozen=True)
class Weighted(Gramians):
    r"""Gramians of a system between two weights: for a small weighted error :math:`W_o (G - G_r) W_i`.

    P is the block of the states of G in the controllability Gramian of :math:`G W_i`, Q that in the
    observability Gramian of :math:`W_o G`:

    .. math:: P = \frac1{2\pi}\int (i\omega - A)^{-1}BW_i(i\omega)\,(\cdot)^H d\omega, \qquad
              Q = \frac1{2\pi}\int (\cdot)^H\, W_o(i\omega)C(i\omega - A)^{-1} d\omega.

    With one weight a reduced system is stable, with two it may not be; there is no error bound. With one,
    poles could at worst end on the boundary, where states are not reached or not seen; that is an error.

    Parameters
    ----------
    input : :math:`W_i`, anything :func:`mor.as_system` takes, stable, with as many outputs as the system
        has inputs; None is the identity; one of the two must be given.
    output : :math:`W_o`, the same with as many inputs as the system has outputs.

    Raises
    ------
    NotASystemError
        If a weight is no system.
    ReductionError
        If there is no weight; or, as the following when they meet a system, if a weight is complex and the
        system real.
    DimensionError
        If a weight has not as many signals as the system, or one of them is a batch.
    TimeStepError
        If time steps differ.
    UnstableSystemError
        If a weight is not strictly stable.
    QuadraticOutputError
        If outputs of the system or a weight are quadratic.

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

    input: SystemLike | None = field(default=None, metadata=FILE)
    output: SystemLike | None = field(default=None, metadata=FILE)

    name = "weighted"
    adjective = "frequency-weighted"
    needs = "a stable system with linear outputs, and stable weights"
    promises = "stability with one weight; with two a lost one is said"
    sources = ("Enns84",)
    aim = "weighted H-infinity error"
    needs_linear = needs_single = True

    def __post_init__(self) -> None:
        if self.input is None and self.output is None:
            raise ReductionError("give input=, output= or both; mor.Infinite() are those without weights.")
        for side in fields(self):
            object.__setattr__(self, side.name, _weight(side.name, getattr(self, side.name)))

    @property
    def stable(self) -> bool:
        return self.input is None or self.output is None

    def checked(self, system: System) -> Self:
        super().checked(system)
        for side in fields(self):
            _check_weight(side.name, getattr(self, side.name), system)
        return self

    def in_units(self) -> tuple[Self, Units]:
        (first, inputs), (last, outputs) = _in_units(self.input), _in_units(self.output)
        return replace(self, input=first, output=last), Units(inputs, outputs)

    def factors(self, system: System) -> tuple[Array, Array]:
        own = state_space(system)
        reached, seen = _in_series(self.input, own), _in_series(own, self.output)
        Zc = reached.controllability_factor()[reached.order - own.order :]
        return qr_compress(Zc), qr_compress(seen.observability_factor()[: own.order])

    def compared(self, full: System, rom: System) -> tuple[System, System]:
        kind, units = self.in_units()
        one, two = (_in_series(kind.input, system, kind.output) for system in (full, rom))
        return times_power(one, units.gain), times_power(two, units.gain)


def _in_series(*systems: System | None) -> System:
    return series(*(system for system in systems if system is not None))


def _in_units(weight: System | None) -> tuple[System | None, int]:
    return (None, 0) if weight is None else gain_in_units(weight.to_lti())


def _weight(side: str, given: SystemLike | None) -> System | None:
    with at(f"the {side} weight"):
        return None if given is None else as_system(given)


def _check_weight(side: str, weight: System | None, system: System) -> None:
    """Raise unless `weight` is none, or stable and fit for that side of `system`."""
    if weight is not None:
        with at(f"the {side} weight"):
            _check_fit(weight, system, before=side == "input")
            _check_stable(weight)


def _check_fit(weight: System, system: System, *, before: bool) -> None:
    """Raise unless `weight` can be connected to `system`, before or behind it."""
    if not weight.is_linear:
        raise QuadraticOutputError("its outputs are quadratic. The linear part, .linear, can be a weight.")
    if weight.batch_shape:
        raise DimensionError(f"it is a batch of shape {weight.batch_shape}: take its systems one at a time.")
    if weight.dt != system.dt:
        raise TimeStepError(f"it has dt={weight.dt:g} and the system dt={system.dt:g}; they must agree.")
    if before and weight.n_outputs != system.n_inputs:
        raise DimensionError(f"it has {weight.n_outputs} outputs; the system has {system.n_inputs} inputs.")
    if not before and weight.n_inputs != system.n_outputs:
        raise DimensionError(f"it has {weight.n_inputs} inputs; the system has {system.n_outputs} outputs.")
    if system.is_real and not weight.is_real:
        raise ReductionError("it is complex, which makes a complex system of a real one.")


def _check_stable(weight: System) -> None:
    if not weight.is_stable:
        pole = to_numpy(weight.poles)[np.argmin(to_numpy(weight.margins - weight.pole_errors))]
        raise UnstableSystemError(
            f"its pole {pole:.6g} is not strictly stable, or cannot be told from one that is not; a weight "
            "must be. mor.split_stable sets such poles apart."
        )
