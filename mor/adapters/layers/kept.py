"""Unstable modes that a reduction has kept: found again among those of the layer as it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mor.equations.boundary import margins
from mor.systems.modal import Modal

#: Relative distance, which a change of coordinates costs, below which poles and residues are the same.
SAME = 1e-9


def has_pole(poles: np.ndarray, pole: complex) -> bool:
    """Whether `pole` or its conjugate is among `poles`, to what a change of coordinates costs."""
    distance = np.minimum(np.abs(poles - pole), np.abs(poles - np.conj(pole)))
    return bool(np.any(distance <= SAME * np.abs(pole)))


def with_kept_modes(new: Modal, old: Modal) -> Modal:
    """`new` with the unstable modes that it has from `old` as they are there, to the last bit.

    A reduction may give them in other coordinates and conjugated: ``Re(c z b)`` is the same.
    """
    if new.batch_shape:
        return new
    outside = np.flatnonzero(margins(new.poles, new.dt) <= 0).tolist()
    found = {i: _counterpart(new, old, i) for i in outside}
    places = {i: j for i, j in found.items() if j is not None}
    if not places or len(set(places.values())) < len(places):
        return new
    to, source = list(places), list(places.values())
    poles, B, C = (np.array(x) for x in (new.poles, new.B, new.C))
    poles[to], B[to], C[:, to] = old.poles[source], old.B[source], old.C[:, source]
    return replace(new, poles=poles, B=B, C=C)


def kept_modes(new: Modal, old: Modal) -> dict[int, int]:
    """By unstable mode of `new`, the mode of `old` that it is to the last bit."""
    if new.batch_shape:
        return {}
    places = {}
    for i in np.flatnonzero(margins(new.poles, new.dt) <= 0):
        same = (old.poles == new.poles[i]) & np.all(new.B[i] == old.B, axis=-1)
        same &= np.all(new.C[:, i, None] == old.C, axis=0)
        if same.any():
            places[int(i)] = int(np.argmax(same))
    return places


def _counterpart(new: Modal, old: Modal, i: int) -> int | None:
    """The mode of `old` with the pole and the residue of mode i of `new`, or their conjugates."""
    pole, residue = new.poles[i], _residue(new, i)
    for j in np.argsort(np.minimum(np.abs(old.poles - pole), np.abs(old.poles.conj() - pole))):
        if not has_pole(old.poles[j : j + 1], pole):
            return None
        other = _residue(old, int(j))
        if old.poles[j].imag * pole.imag < 0:
            other = other.conj()
        if np.linalg.norm(other - residue) <= SAME * np.linalg.norm(residue):
            return int(j)
    return None


def _residue(system: Modal, i: int) -> np.ndarray:
    """``c_i b_i`` (p, m), of which only the real part counts if the pole is real."""
    residue: np.ndarray = system.C[:, i, None] * system.B[i]
    return np.real(residue) if system.poles[i].imag == 0 else residue
