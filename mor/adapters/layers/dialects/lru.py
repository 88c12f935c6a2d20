"""Linear recurrent unit with real and imaginary parts in tensors of their own."""

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
from mor.arrays import Array, complex_from, diagonal_matrix
from mor.systems.modal import Modal


class LRU(Dialect):
    """Linear recurrent unit whose complex tensors are stored as real and imaginary parts."""

    name = "lru"
    description = "LRU of minimal-LRU, LinOSS and discretax: B_re, B_im, C_re, C_im, diagonal D"
    fields = (
        Field("nu_log", ("N",)),
        Field("theta_log", ("N",)),
        Field("gamma_log", ("N",)),
        Field("B_re", ("N", "H")),
        Field("B_im", ("N", "H")),
        Field("C_re", ("H", "N")),
        Field("C_im", ("H", "N")),
        Field("D", ("H",)),
    )
    decay = ("nu_log",)

    def to_arrays(self, stored: Stored) -> tuple[Array, Array, Array, Array]:
        poles, gains = poles_and_gains(stored)
        B = complex_from(stored.wide("B_re"), stored.wide("B_im"))
        C = complex_from(stored.wide("C_re"), stored.wide("C_im"))
        return poles, gains[..., :, None] * B, C, diagonal_matrix(stored.wide("D"))

    def from_arrays(
        self, poles: ComplexArray, B: ComplexArray, C: ComplexArray, stored: Stored
    ) -> dict[str, np.ndarray]:
        poles, B, C = upper_half_plane(poles, B, C)
        parts = {"B_re": B.real, "B_im": B.imag, "C_re": C.real, "C_im": C.imag}
        return {**pole_parameters(poles), **parts}

    def caveats(self, modal: Modal) -> list[str]:
        return positive_pole_caveat(modal.poles)
