"""Linear recurrent units: poles ``exp(-exp(nu_log) + i exp(theta_log))``, B times ``exp(gamma_log)``."""

from __future__ import annotations

import numpy as np

from mor.adapters.layers.dialects.base import Dialect, Field, Stored, caveat
from mor.adapters.layers.dtypes import ComplexArray
from mor.arrays import Array, complex_from, diagonal_matrix, namespace
from mor.systems.modal import Modal, conjugated

#: exp of this is exactly zero in every precision: the angle of a positive real pole.
_ZERO_ANGLE = -800.0
#: exp(-exp(this)) is exactly zero in every precision: the modulus of a pole at zero.
_ZERO_MODULUS = 8.0

#: Fields that make the poles, and the gains of the rows of B.
_POLES = (Field("nu_log", ("N",)), Field("theta_log", ("N",)), Field("gamma_log", ("N",)))


class LRUComplex(Dialect):
    """Linear recurrent unit with complex B and C and a dense D."""

    name = "lru-complex"
    description = "LRU of lru-pytorch (Gothos) and lru-reduction: complex B and C, dense D"
    fields = (
        *_POLES,
        Field("B", ("N", "m"), is_complex=True),
        Field("C", ("p", "N"), is_complex=True),
        Field("D", ("p", "m")),
    )
    decay = ("nu_log",)

    def to_arrays(self, stored: Stored) -> tuple[Array, Array, Array, Array]:
        poles, gains = _poles_and_gains(stored)
        return poles, gains[..., :, None] * stored.double("B"), stored.double("C"), stored.double("D")

    def from_arrays(
        self, poles: ComplexArray, B: ComplexArray, C: ComplexArray, stored: Stored
    ) -> dict[str, np.ndarray]:
        poles, B, C = conjugated(poles.imag < 0, poles, B, C)
        return {**_pole_parameters(poles), "B": B, "C": C}

    def caveats(self, modal: Modal) -> list[str]:
        positive = (modal.poles.imag == 0) & (modal.poles.real >= 0)
        return caveat(positive, "with a real positive pole: exact, but its angle has no gradient in training")


class LRU(LRUComplex):
    """The same with real and imaginary parts as tensors of their own, and a diagonal D."""

    name = "lru"
    description = "LRU of minimal-LRU, LinOSS and discretax: B_re, B_im, C_re, C_im, diagonal D"
    fields = (
        *_POLES,
        Field("B_re", ("N", "H")),
        Field("B_im", ("N", "H")),
        Field("C_re", ("H", "N")),
        Field("C_im", ("H", "N")),
        Field("D", ("H",)),
    )

    def to_arrays(self, stored: Stored) -> tuple[Array, Array, Array, Array]:
        poles, gains = _poles_and_gains(stored)
        B, C = (complex_from(stored.double(f"{x}_re"), stored.double(f"{x}_im")) for x in "BC")
        return poles, gains[..., :, None] * B, C, diagonal_matrix(stored.double("D"))

    def from_arrays(
        self, poles: ComplexArray, B: ComplexArray, C: ComplexArray, stored: Stored
    ) -> dict[str, np.ndarray]:
        values = super().from_arrays(poles, B, C, stored)
        B, C = values.pop("B"), values.pop("C")
        return {**values, "B_re": B.real, "B_im": B.imag, "C_re": C.real, "C_im": C.imag}


def _poles_and_gains(stored: Stored) -> tuple[Array, Array]:
    """Poles, and ``exp(gamma_log)`` by which the rows of B are multiplied."""
    nu, theta, gamma = (stored.double(name) for name in ("nu_log", "theta_log", "gamma_log"))
    exp = namespace(nu).exp
    return exp(complex_from(-exp(nu), exp(theta))), exp(gamma)


def _pole_parameters(poles: ComplexArray) -> dict[str, np.ndarray]:
    """``nu_log`` and ``theta_log`` of poles on or above the real axis; gains of one."""
    with np.errstate(divide="ignore"):
        nu_log = np.log(-np.log(np.abs(poles)))
        theta_log = np.log(np.abs(np.angle(poles)))
    return {
        "nu_log": np.where(poles == 0, _ZERO_MODULUS, nu_log),
        "theta_log": np.where((poles.imag == 0) & (poles.real >= 0), _ZERO_ANGLE, theta_log),
        "gamma_log": np.zeros(poles.shape),
    }
