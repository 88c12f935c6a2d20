"""Linear recurrent unit with complex tensors and a dense feedthrough."""

from __future__ import annotations

import numpy as np

from mor.adapters.layers.dialects.base import Dialect, Field, Stored
from mor.adapters.layers.dialects.exponential import (
    pole_parameters,
    poles_and_gains,
    positive_pole_caveat,
    upper_half_plane,
)
from mor.adapters.layers.dtypes import ComplexArray
from mor.arrays import Array
from mor.systems.modal import Modal


class LRUComplex(Dialect):
    """Linear recurrent unit with complex B and C and a dense D."""

    name = "lru-complex"
    description = "LRU of lru-pytorch (Gothos) and lru-reduction: complex B and C, dense D"
    fields = (
        Field("nu_log", ("N",)),
        Field("theta_log", ("N",)),
        Field("gamma_log", ("N",)),
        Field("B", ("N", "m"), is_complex=True),
        Field("C", ("p", "N"), is_complex=True),
        Field("D", ("p", "m")),
    )
    decay = ("nu_log",)

    def to_arrays(self, stored: Stored) -> tuple[Array, Array, Array, Array]:
        poles, gains = poles_and_gains(stored)
        return poles, gains[..., :, None] * stored.wide("B"), stored.wide("C"), stored.wide("D")

    def from_arrays(
        self, poles: ComplexArray, B: ComplexArray, C: ComplexArray, stored: Stored
    ) -> dict[str, np.ndarray]:
        poles, B, C = upper_half_plane(poles, B, C)
        return {**pole_parameters(poles), "B": B, "C": C}

    def caveats(self, modal: Modal) -> list[str]:
        return positive_pole_caveat(modal.poles)
