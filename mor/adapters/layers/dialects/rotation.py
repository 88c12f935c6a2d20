"""Layers of scaled rotations, as Hankel singular value regularisation trains them."""

from __future__ import annotations

import numpy as np

from mor.adapters.layers.dialects.base import Dialect, Field, Stored, caveat
from mor.adapters.layers.dtypes import ComplexArray
from mor.arrays import Array
from mor.deep.rotation import PARAMETERS, modal_from_rotation, rotation_from_modal
from mor.systems.modal import Modal


class Rotation(Dialect):
    """The parameters of :mod:`mor.deep.rotation`, with as many outputs as inputs."""

    name = "rotation"
    description = (
        "scaled rotations (Hankel singular value regularisation): rotation.angles, sys_in, sys_out, ..."
    )
    fields = tuple(
        Field(name, tuple("m" if size == "p" else size for size in shape))
        for name, shape in PARAMETERS.items()
    )
    decay = ("rotation.retentions",)

    def to_arrays(self, stored: Stored) -> tuple[Array, Array, Array, Array]:
        modal = modal_from_rotation({name: stored.double(name) for name in PARAMETERS})
        return modal.poles, modal.B, modal.C, modal.D

    def from_arrays(
        self, poles: ComplexArray, B: ComplexArray, C: ComplexArray, stored: Stored
    ) -> dict[str, np.ndarray]:
        values = rotation_from_modal(Modal(poles, B, C, dt=1.0))
        return {name: x for name, x in values.items() if name != "sys_feed"}

    def caveats(self, modal: Modal) -> list[str]:
        what = "with a real pole: exact, but their angle has no gradient in further training"
        return caveat(modal.poles.imag == 0, what)
