"""Batches of modal systems whose members become unlike."""

from __future__ import annotations

import numpy as np

from mor.arrays import to_numpy
from mor.systems.modal import Modal


def flatten_batch(system: Modal) -> Modal:
    """A batch with one leading axis, on NumPy."""
    k, m, p = system.n_modes, system.n_inputs, system.n_outputs
    poles, B, C, D = (to_numpy(x) for x in (system.poles, system.B, system.C, system.D))
    poles, B, C, D = poles.reshape(-1, k), B.reshape(-1, k, m), C.reshape(-1, p, k), D.reshape(-1, p, m)
    return Modal(poles, B, C, D, dt=system.dt, labels=system.labels)


def stack(systems: list[Modal], batch_shape: tuple[int, ...]) -> Modal:
    """One batch of systems of unequal numbers of modes, filled up with modes of no effect."""
    k = max(system.n_modes for system in systems)
    filled = [system.padded(k) for system in systems]

    def stacked(name: str) -> np.ndarray:
        x = np.stack([getattr(system, name) for system in filled])
        return x.reshape(*batch_shape, *x.shape[1:])

    arrays = (stacked(name) for name in ("poles", "B", "C", "D"))
    return Modal(*arrays, dt=systems[0].dt, labels=systems[0].labels)
