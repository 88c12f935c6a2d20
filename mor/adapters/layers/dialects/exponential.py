"""Poles ``exp(-exp(nu_log) + i exp(theta_log))``, of which every LRU is made."""

from __future__ import annotations

import numpy as np

from mor.adapters.layers.dialects.base import Stored, modes
from mor.adapters.layers.dtypes import ComplexArray
from mor.arrays import Array, complex_from, namespace

#: exp of this is exactly zero in every precision: the angle of a positive real pole.
_ZERO_ANGLE = -800.0
#: exp(-exp(this)) is exactly zero in every precision: the modulus of a pole at zero.
_ZERO_MODULUS = 8.0


def poles_and_gains(stored: Stored) -> tuple[Array, Array]:
    """Poles, and ``exp(gamma_log)`` by which the rows of B are multiplied."""
    nu, theta, gamma = (stored.wide(name) for name in ("nu_log", "theta_log", "gamma_log"))
    exp = namespace(nu).exp
    return exp(complex_from(-exp(nu), exp(theta))), exp(gamma)


def upper_half_plane(
    poles: ComplexArray, B: ComplexArray, C: ComplexArray
) -> tuple[ComplexArray, ComplexArray, ComplexArray]:
    """The same map with no pole below the real axis: its mode is conjugated."""
    flip = poles.imag < 0
    return (
        np.where(flip, poles.conj(), poles),
        np.where(flip[:, None], B.conj(), B),
        np.where(flip[None, :], C.conj(), C),
    )


def pole_parameters(poles: ComplexArray) -> dict[str, np.ndarray]:
    """``nu_log`` and ``theta_log`` of poles on or above the real axis; gains of one."""
    with np.errstate(divide="ignore"):
        nu_log = np.log(-np.log(np.abs(poles)))
        theta_log = np.log(np.abs(np.angle(poles)))
    return {
        "nu_log": np.where(poles == 0, _ZERO_MODULUS, nu_log),
        "theta_log": np.where((poles.imag == 0) & (poles.real >= 0), _ZERO_ANGLE, theta_log),
        "gamma_log": np.zeros(poles.shape),
    }


def positive_pole_caveat(poles: ComplexArray) -> list[str]:
    """What to know of real positive poles when training goes on."""
    count = int(np.sum((poles.imag == 0) & (poles.real >= 0)))
    if not count:
        return []
    return [f"{modes(count)} with a real positive pole: exact, but its angle has no gradient in training"]
