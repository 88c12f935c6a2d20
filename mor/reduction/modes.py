"""A system on its modes, of which a choice can be made."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from mor.equations.diagonal import eigenmodes
from mor.errors import DimensionError, ReductionError
from mor.reduction.splitting import split_stable
from mor.systems.base import System
from mor.systems.labels import without_states
from mor.systems.lqo import LQO
from mor.systems.lti import LTI
from mor.systems.modal import Modal, in_modes


def stable_on_modes(system: System) -> tuple[System, tuple[System, float], System | None]:
    """The stable part; that on modes, and the condition of the eigenvectors; and what has no modes: the rest
    of a dense system, if it cannot be diagonalised.

    Of a Modal all modes are ranked, and those that are not stable always kept.
    """
    if isinstance(system, Modal):
        return system, on_modes(system), None
    stable, rest = split_stable(system)
    if not rest.order:
        return system, on_modes(system), None
    if rest.is_real:
        with suppress(ReductionError):
            rest = Modal.from_lti(rest.to_lti())
    return stable, on_modes(stable), rest


def on_modes(system: System) -> tuple[System, float]:
    """The system on modes, and the condition of the eigenvectors."""
    if isinstance(system, LQO):
        system.outputs.require_real()
        carrier, condition = _on_numpy(system.carrier)
        return system.with_carrier(carrier), condition
    return _on_numpy(system) if system.is_real else _diagonal(system.to_lti().explicit)


def _on_numpy(system: System) -> tuple[Modal, float]:
    if isinstance(system, Modal):
        return system.on_numpy(), 1.0
    if system.batch_shape:
        raise DimensionError("a batch can be reduced for Modal systems only; take one at a time.")
    return in_modes(system.to_lti())


def _diagonal(system: LTI) -> tuple[LTI, float]:
    """A complex system in the coordinates of its eigenvectors."""
    poles, B, C, condition = eigenmodes(system.A, system.B, system.C)
    labels = without_states(system.labels)
    return LTI(np.diag(poles), B, C, system.D, dt=system.dt, labels=labels), float(condition)
