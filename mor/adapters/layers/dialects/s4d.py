"""Minimal S4D: one diagonal single-input single-output system a channel."""

from __future__ import annotations

import numpy as np

from mor.adapters.layers.dialects.base import Dialect, Field, Stored
from mor.adapters.layers.dialects.zoh import continuous_poles, discretized, negative_pole_caveat
from mor.adapters.layers.dtypes import ComplexArray
from mor.arrays import Array, complex_from, namespace
from mor.systems.modal import Modal


class S4D(Dialect):
    """``A = -exp(log_A_real) + i A_imag``, ``B = 1``, zero-order hold, ``y = 2 Re(C x) + D u``."""

    name = "s4d"
    description = (
        "minimal S4D: kernel.C, kernel.log_dt, kernel.log_A_real, kernel.A_imag, D; one system a channel"
    )
    fields = (
        Field("kernel.C", ("H", "M", 2)),
        Field("kernel.log_dt", ("H",)),
        Field("kernel.log_A_real", ("H", "M")),
        Field("kernel.A_imag", ("H", "M")),
        Field("D", ("H",)),
    )
    decay = ("kernel.log_A_real", "kernel.log_dt")

    def to_arrays(self, stored: Stored) -> tuple[Array, Array, Array, Array]:
        C, D = stored.double("kernel.C"), stored.double("D")
        xp = namespace(C)
        A = complex_from(-xp.exp(stored.double("kernel.log_A_real")), stored.double("kernel.A_imag"))
        poles, gain = discretized(A, xp.exp(stored.double("kernel.log_dt"))[..., None])
        C = 2 * complex_from(C[..., 0], C[..., 1]) * gain
        return poles, xp.ones_like(poles)[..., None], C[..., None, :], D[..., None, None]

    def from_arrays(
        self, poles: ComplexArray, B: ComplexArray, C: ComplexArray, stored: Stored
    ) -> dict[str, np.ndarray]:
        """The step sizes stay; the product of B and C goes into C and fits the rounded poles."""
        step = np.exp(stored.double("kernel.log_dt"))[:, None]
        A = continuous_poles(poles, step, self.name)
        values = {"kernel.log_A_real": np.log(-np.real(A)), "kernel.A_imag": np.imag(A)}
        real, imag = (stored.rounded(name, x) for name, x in values.items())
        _, gain = discretized(-np.exp(real) + 1j * imag, step)
        C = B[..., 0] * C[..., 0, :] / (2 * gain)
        return {**values, "kernel.C": np.stack([C.real, C.imag], axis=-1)}

    def caveats(self, modal: Modal) -> list[str]:
        return negative_pole_caveat(modal.poles)
