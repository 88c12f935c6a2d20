r"""Exact discretisation: what the state does between two samples of the input.

For :math:`x' = Ax + Bu` and an input that is held (order zero) or joined by straight lines
(order one) between samples a step h apart,

.. math:: x_{k+1} = e^{Ah} x_k + \Gamma_0 u_k + \Gamma_1 u_{k+1}, \qquad
          \Gamma_0 + \Gamma_1 = h\,\varphi_1(Ah)B, \quad
          \Gamma_1 = h\,\varphi_2(Ah)B \text{ (order one)}, \quad 0 \text{ (order zero)},

with :math:`\varphi_1(z) = (e^z-1)/z,\ \varphi_2(z) = (e^z-1-z)/z^2`. In the state
:math:`x_k - \Gamma_1u_k` that is a discrete system without the later input:

.. math:: (e^{Ah},\ \Gamma_0 + e^{Ah}\Gamma_1,\ C,\ D + C\Gamma_1).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import scipy.linalg

from mor.arrays import Array, namespace
from mor.checks import shown
from mor.equations.cauchy import exponential_integral
from mor.errors import NotFiniteError, TimeStepError

#: How the input runs between samples.
Hold = Literal["zero", "first"]

#: Terms of the series of phi_2, right to round-off for arguments of modulus up to 1.
_TERMS = 18


def check_hold(hold: Any) -> None:
    """Raise unless `hold` is "zero" or "first"."""
    if not (isinstance(hold, str) and hold in ("zero", "first")):
        raise TimeStepError(f'hold={shown(hold)}: the input is held ("zero") or joined by lines ("first").')


def scalar_holds(poles: Array, step: float, hold: Hold) -> tuple[Array, Array, Array]:
    """``(exp(pole h), g0, g1)`` with ``Gamma_i = g_i B`` for a diagonal A, elementwise; array API.

    Parameters
    ----------
    poles : array (...)
    step : time h between samples.
    hold : how the input runs between them.
    """
    check_hold(hold)
    xp = namespace(poles)
    whole = exponential_integral(poles, step)
    late = step * _phi2(poles * step) if hold == "first" else xp.zeros_like(poles)
    return xp.exp(poles * step), whole - late, late


def _phi2(z: Array) -> Array:
    xp = namespace(z)
    small = xp.abs(z) < 1
    inner, outer = xp.where(small, z, xp.zeros_like(z)), xp.where(small, xp.ones_like(z), z)
    series = xp.zeros_like(z)
    for j in reversed(range(_TERMS)):
        series = series * inner + 1 / math.factorial(j + 2)
    return xp.where(small, series, (exponential_integral(outer, 1.0) - 1) / outer)


def matrix_holds(A: np.ndarray, B: np.ndarray, step: float, hold: Hold) -> tuple[Any, Any, Any]:
    """``(exp(A h), Gamma_0, Gamma_1)`` for a dense A, by one matrix exponential of order n + m, or n + 2 m.

    Parameters
    ----------
    A, B : arrays (..., n, n) and (..., n, m)
    step : time h between samples.
    hold : how the input runs between them.

    Raises
    ------
    NotFiniteError
        If the state overflows within a step.
    """
    check_hold(hold)
    n, m = B.shape[-2:]
    ramps = m if hold == "first" else 0
    generator = np.zeros((*A.shape[:-2], n + m + ramps, n + m + ramps), np.result_type(A, B))
    generator[..., :n, :n], generator[..., :n, n : n + m] = A * step, B * step
    generator[..., n : n + ramps, n + m :] = np.eye(ramps)
    flow: Any = scipy.linalg.expm(generator) if generator.size else generator
    if not np.all(np.isfinite(flow)):
        raise NotFiniteError(
            f"the state overflows within a step of {step:g}: the rates of A are too large for it; "
            "take a smaller step."
        )
    late = flow[..., :n, n + m :] if ramps else np.zeros_like(B)
    return flow[..., :n, :n], flow[..., :n, n : n + m] - late, late
