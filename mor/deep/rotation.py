r"""The rotation parametrisation of a discrete layer, and its modal form.

A block ``rho [[cos a, sin a], [-sin a, cos a]]`` on (x1, x2) is one complex mode
:math:`z = x_1 + i x_2` with pole :math:`\rho e^{-ia}`, input row :math:`b_1 + i b_2` and
output column :math:`c_1 - i c_2`. The parameters are unconstrained:
``rho = (tanh(retentions) + 1)/2`` in (0, 1) and ``a = pi (tanh(angles) + 1)/2`` in (0, pi),
so every layer is stable by construction. Array API; leading axes are a batch of layers.

Source: [Schwerdtner25] for the parametrisation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from mor.arrays import Array, complex_from, diagonal_matrix, eps, namespace, to_complex, to_numpy
from mor.systems.modal import Modal, conjugated

#: tanh of this is 1 in double precision: the parameter of an angle of 0 or pi.
_SATURATED = 20.0

#: Parameter names and their trailing shapes, for q blocks, m inputs and p outputs.
PARAMETERS = {
    "rotation.angles": ("q",),
    "rotation.retentions": ("q",),
    "sys_in": ("q", 2, "m"),
    "sys_out": ("p", "q", 2),
    "sys_feed": ("m",),
}


def rotation_poles(angles: Array, retentions: Array) -> Array:
    """``rho e^{-ia}`` of the blocks with these parameters.

    Where tanh saturates, round-off has no say: a modulus stays below 1, and an angle of pi
    makes a real pole.
    """
    xp = namespace(angles)
    radius, turn = (xp.tanh(retentions) + 1) / 2, (xp.tanh(angles) + 1) / 2
    limit = 1 - 4 * eps(radius)
    radius = xp.where(radius < limit, radius, limit * xp.ones_like(radius))
    sine = xp.where(turn < 1, xp.sin(math.pi * turn), xp.zeros_like(turn))
    return complex_from(radius * xp.cos(math.pi * turn), -radius * sine)


def modal_from_rotation(parameters: Mapping[str, Array]) -> Modal:
    """The layer with these parameters (see `PARAMETERS`) as a discrete :class:`Modal`.

    ``sys_feed`` is the diagonal of D.
    """
    poles = rotation_poles(parameters["rotation.angles"], parameters["rotation.retentions"])
    sys_in, sys_out = parameters["sys_in"], parameters["sys_out"]
    B = complex_from(sys_in[..., 0, :], sys_in[..., 1, :])
    C = complex_from(sys_out[..., 0], -sys_out[..., 1])
    return Modal(poles, B, C, diagonal_matrix(parameters["sys_feed"]), dt=1.0)


def rotation_from_modal(system: Modal) -> dict[str, np.ndarray]:
    """Parameters whose layer is `system`, in NumPy double precision; inverse of the above.

    Poles above the real axis are conjugated with their rows and columns, which changes
    nothing in the real part. A positive real pole becomes an angle of 0 and a negative one
    an angle of pi: exact forward, but with a gradient of zero.
    """
    poles, B, C = (to_numpy(to_complex(x)) for x in (system.poles, system.B, system.C))
    poles, B, C = conjugated(poles.imag > 0, poles, B, C)
    turn = 2 * np.abs(np.angle(poles)) / np.pi - 1
    with np.errstate(divide="ignore"):
        angles = np.clip(np.arctanh(turn), -_SATURATED, _SATURATED)
        retentions = np.clip(np.arctanh(2 * np.abs(poles) - 1), -_SATURATED, _SATURATED)
    return {
        "rotation.angles": angles,
        "rotation.retentions": retentions,
        "sys_in": np.stack([B.real, B.imag], axis=-2),
        "sys_out": np.stack([C.real, -C.imag], axis=-1),
        "sys_feed": np.diagonal(to_numpy(system.D), axis1=-2, axis2=-1).copy(),
    }
