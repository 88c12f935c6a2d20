"""Batches of modal systems whose members become unlike."""

from __future__ import annotations

import math

import numpy as np

from mor.arrays import to_numpy
from mor.errors import DimensionError
from mor.systems.base import System
from mor.systems.modal import Modal, idle_pole


def check_not_empty(system: System) -> None:
    """Raise if `system` is a batch of none."""
    if 0 in system.batch_shape:
        raise DimensionError(f"a batch of shape {system.batch_shape} has no systems to reduce.")


def only_of_modes() -> DimensionError:
    """What is wrong with a batch of systems that are not held as their modes."""
    return DimensionError("a batch can be reduced for Modal systems only; take one at a time.")


def flatten_batch(system: System) -> Modal:
    """A batch of Modals with one leading axis, on NumPy.

    Raises
    ------
    DimensionError
        If it is empty, or of systems that are held otherwise.
    """
    check_not_empty(system)
    if system.modal is None:
        raise only_of_modes()
    axes, count = len(system.batch_shape), math.prod(system.batch_shape)
    arrays = (to_numpy(x) for x in (system.poles, system.B, system.C, system.D))
    poles, B, C, D = (x.reshape(count, *x.shape[axes:]) for x in arrays)
    return Modal(poles, B, C, D, dt=system.dt, labels=system.labels)


def stack(systems: list[Modal], batch_shape: tuple[int, ...]) -> Modal:
    """One batch of systems of unequal numbers of modes, filled up with modes of no effect."""
    count, first = len(systems), systems[0]
    k, m, p = max(system.n_modes for system in systems), first.n_inputs, first.n_outputs
    kind = np.result_type(*{system.B.dtype for system in systems})
    poles = np.full((count, k), idle_pole(first.dt), kind)
    B, C = np.zeros((count, k, m), kind), np.zeros((count, p, k), kind)
    for i, system in enumerate(systems):
        n = system.n_modes
        poles[i, :n], B[i, :n], C[i, :, :n] = system.poles, system.B, system.C
    D = np.stack([system.D for system in systems])
    arrays = (x.reshape(*batch_shape, *x.shape[1:]) for x in (poles, B, C, D))
    return Modal(*arrays, dt=first.dt, labels=first.labels)
