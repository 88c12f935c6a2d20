"""A system on its modes, of which a choice can be made."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from mor.equations.diagonal import eigenmodes
from mor.errors import ReductionError
from mor.reduction.batch import only_of_modes
from mor.reduction.splitting import split_stable
from mor.systems.base import System
from mor.systems.labels import without_states
from mor.systems.lti import LTI
from mor.systems.modal import Modal, in_modes


def stable_on_modes(system: System) -> tuple[System, tuple[System, float], System | None]:
    """The stable part; that on modes, and the condition of the eigenvectors; and what has no modes: the rest
    of a dense system, if it cannot be diagonalised.

    Of a Modal all modes are ranked, and those that are not stable always kept.
    """
    if system.modal:
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
    system.outputs.require_real()
    modal = system.carrier.modal
    carrier, condition = _diagonalised(system.carrier) if modal is None else (modal.on_numpy(), 1.0)
    return system.with_carrier(carrier), condition


def _diagonalised(system: System) -> tuple[System, float]:
    """A complex one in the coordinates of its eigenvectors."""
    if system.batch_shape:
        raise only_of_modes()
    dense = system.to_lti().explicit
    if dense.is_real:
        return in_modes(dense)
    poles, B, C, condition = eigenmodes(dense.A, dense.B, dense.C)
    labels = without_states(dense.labels)
    return LTI(np.diag(poles), B, C, dense.D, dt=dense.dt, labels=labels), float(condition)
