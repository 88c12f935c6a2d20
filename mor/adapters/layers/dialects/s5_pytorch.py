"""S5 of the package s5-pytorch: the full spectrum, sampled by a zero-order hold."""

from __future__ import annotations

import numpy as np

from mor.adapters.layers.dialects.base import Dialect, Field, Stored
from mor.adapters.layers.dialects.zoh import continuous_poles, discretized, negative_pole_caveat
from mor.adapters.layers.dtypes import ComplexArray
from mor.arrays import Array, complex_from, diagonal_matrix, namespace
from mor.systems.modal import Modal


class S5PyTorch(Dialect):
    """``poles = exp(Lambda dt)``, ``B <- (poles - 1)/Lambda B``, ``y = Re(C x) + D u``.

    Every conjugate pair stands there as two modes, so the readout has no factor 2. Options of
    the package that leave no trace in the tensors must be at their defaults: zero-order hold,
    not liquid, degree 1.
    """

    name = "s5-pytorch"
    description = "S5 of the package s5-pytorch: Lambda, B, C, D, log_step; zero-order hold, not liquid"
    fields = (
        Field("Lambda", ("P",), is_complex=True),
        Field("B", ("P", "H", 2)),
        Field("C", ("H", "P"), is_complex=True),
        Field("D", ("H",)),
        Field("log_step", ("P",)),
    )
    decay = ("Lambda", "log_step")
    holds_unstable = True

    def mismatch(self, stored: Stored) -> str | None:
        P, C = stored.arrays["Lambda"].shape, stored.arrays["C"].shape
        if len(P) == 1 and len(C) == 2 and C[1] == 2 * P[0] > 0:
            return (
                f"{stored.prefix}C has {C[1]} columns for {P[0]} modes: a bidirectional layer, whose second "
                "half runs backward in time, is not supported"
            )
        return super().mismatch(stored)

    def to_arrays(self, stored: Stored) -> tuple[Array, Array, Array, Array]:
        B, log_step = stored.double("B"), stored.double("log_step")
        poles, gain = discretized(stored.double("Lambda"), namespace(B).exp(log_step))
        B = complex_from(B[..., 0], B[..., 1]) * gain[..., :, None]
        return poles, B, stored.double("C"), diagonal_matrix(stored.double("D"))

    def from_arrays(
        self, poles: ComplexArray, B: ComplexArray, C: ComplexArray, stored: Stored
    ) -> dict[str, np.ndarray]:
        """One step size for all modes, the median of the old ones; B fits the rounded poles."""
        old = stored.double("log_step")
        log_step = np.full(poles.shape, np.median(old) if old.size else 0.0)
        step = np.exp(stored.rounded("log_step", log_step))
        A = continuous_poles(poles, step, self.name)
        _, gain = discretized(stored.rounded("Lambda", A), step)
        B = B / gain[:, None]
        return {"Lambda": A, "B": np.stack([B.real, B.imag], axis=-1), "C": C, "log_step": log_step}

    def caveats(self, modal: Modal) -> list[str]:
        return negative_pole_caveat(modal.poles)
