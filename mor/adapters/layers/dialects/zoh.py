"""Zero-order hold of diagonal systems, and its inverse."""

from __future__ import annotations

import numpy as np

from mor.adapters.layers.dialects.base import caveat
from mor.adapters.layers.dtypes import ComplexArray
from mor.arrays import Array, namespace
from mor.equations.cauchy import exponential_integral
from mor.errors import CheckpointError


def discretized(A: Array, step: Array) -> tuple[Array, Array]:
    """``exp(A step)`` and ``(exp(A step) - 1)/A``, also for A near or at zero."""
    return namespace(A).exp(A * step), exponential_integral(A, step)


def continuous_poles(poles: ComplexArray, step: np.ndarray, dialect: str) -> np.ndarray:
    """``log(poles)/step``.

    Raises
    ------
    CheckpointError
        For a pole at zero, which no continuous system has.
    """
    if np.any(poles == 0):
        where = np.argwhere(poles == 0)[0].tolist()
        raise CheckpointError(
            f"mode {where} has its pole at 0, a pure delay, which the {dialect} layer (a sampled "
            "continuous system) cannot hold. Reduce to another order."
        )
    return np.log(poles) / step


def negative_pole_caveat(poles: ComplexArray) -> list[str]:
    """What to know of real negative poles in a layer with a continuous time."""
    negative = (poles.imag == 0) & (poles.real < 0)
    return caveat(negative, "with a real negative pole: valid at the trained step size only, not at another")
