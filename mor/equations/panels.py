r"""Integrals over a band of frequencies of squares of functions with known poles.

A band is cut into panels that no pole is close to: the ellipse with foci at a panel's ends through
the nearest pole :math:`z` has the sum of half axes :math:`\rho = |u + \sqrt{u^2-1}|`,
``u = (z - middle) / half``, and Gauss-Legendre quadrature with q nodes of a square is right to
:math:`\rho^{-2q}`. Panels so shrink towards poles next to the axis, by halves, and their number grows
with the logarithm of the distance. Where poles are many or multiple the last Legendre coefficients
tell, and the panel is halved again.

Weights are positive, so the values times roots of the weights are a factor of the integral of
:math:`f f^H`, which is semidefinite whatever round-off does.

Source: [Trefethen13], chapter 19.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from mor.arrays import EPS, largest_entry

#: Nodes of a panel.
_NODES = 16

#: Least sum of the half axes of the ellipse about a panel that is free of poles: 3^-32, the error of the
#: quadrature, is round-off.
_FREE_ELLIPSE = 3.0

#: Last Legendre coefficients of a panel, relative to everything, above which it is halved.
_TAIL = 1e-6

#: Halvings towards a pole: no more tell two numbers of double precision apart.
_HALVINGS = 1100

#: Halvings of a panel whose last coefficients do not decay.
REFINEMENTS = 12

#: Most numbers in memory at once, of a function's values or of pairs of panels and poles.
_NUMBERS = 1 << 21

_X, _W = np.polynomial.legendre.leggauss(_NODES)
_LAST = np.arange(_NODES - 2, _NODES)
#: From values at the nodes to the last Legendre coefficients.
_COEFFICIENTS = (np.polynomial.legendre.legvander(_X, _NODES - 1)[:, _LAST] * _W[:, None]).T * (
    _LAST[:, None] + 0.5
)


class Piece(NamedTuple):
    """Panels of a variable t, and from t to a frequency and the root of its derivative."""

    ends: np.ndarray
    frequency: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray | float]]


def pieces(low: float, high: float, poles: np.ndarray) -> list[Piece]:
    """Panels of the frequencies from `low` to `high`, which may be infinite.

    Parameters
    ----------
    poles : complex array, where in the complex plane of frequencies the function has poles.
    """
    # From twice the largest pole on the function is analytic in 1 / omega.
    far = (max(2 * largest_entry(poles), low) or 1.0) if np.isinf(high) else high
    near = [Piece(_graded(low, far, poles), lambda t: (t, 1.0))] if far > low else []
    if far == high:
        return near
    return [*near, Piece(np.array([[0.0, 1.0]]), lambda t: (far / t, far**0.5 / t))]


def _graded(low: float, high: float, poles: np.ndarray) -> np.ndarray:
    """Ends (N, 2) of panels that no pole is too close to."""
    ends, done = np.array([[low, high]]), []
    for _ in range(_HALVINGS):
        free = np.concatenate([_is_free(part, poles) for part in _parts(ends, len(poles))])
        free |= ends[:, 1] - ends[:, 0] <= 4 * EPS * np.max(np.abs(ends), axis=1)
        done.append(ends[free])
        ends = _halves(ends[~free])
        if not len(ends):
            break
    return np.concatenate([*done, ends])


def _parts(ends: np.ndarray, width: int) -> list[np.ndarray]:
    """Slices of so few panels that `width` numbers of each fit."""
    return np.array_split(ends, max(1, -(-len(ends) * max(width, 1) // _NUMBERS)))


def _is_free(ends: np.ndarray, poles: np.ndarray) -> np.ndarray:
    middle, half = _middle_and_half(ends)
    u = (poles - middle) / half
    axes = np.abs(u + np.sqrt(u - 1) * np.sqrt(u + 1))
    return np.min(np.maximum(axes, 1 / axes), axis=1, initial=np.inf) >= _FREE_ELLIPSE


def _middle_and_half(ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each panel, (N, 1)."""
    return np.mean(ends, axis=1)[:, None], (ends[:, 1] - ends[:, 0])[:, None] / 2


def _halves(ends: np.ndarray) -> np.ndarray:
    middle, _ = _middle_and_half(ends)
    return np.concatenate([np.hstack([ends[:, :1], middle]), np.hstack([middle, ends[:, 1:]])])


def resolved(
    function: Callable[[np.ndarray], np.ndarray], pieces: list[Piece], width: int, halvings: int = REFINEMENTS
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """``(omega, values)`` of all panels, in parts: the integral of ``f f^H`` is the sum over these values.

    Parameters
    ----------
    function : from frequencies (N,) to values (N, ...), `width` numbers each.
    halvings : how often a panel may be halved again; None is 12 times.

    Returns
    -------
    omega (N,), and values (N, ...) times the roots of their weights.
    """
    total = 0.0
    for ends, frequency in pieces:
        for halved in range(halvings + 1):
            rejected = []
            for part in _parts(ends, _NODES * width):
                middle, half = _middle_and_half(part)
                omega, root = frequency((middle + half * _X).ravel())
                values = function(omega)
                shape = (-1, *[1] * (values.ndim - 1))
                values = values * np.reshape(root * np.ones(len(omega)), shape)
                energy, tail = _energies(values.reshape(len(part), _NODES, -1), half[:, 0])
                total += float(np.sum(energy))
                good = (tail <= _TAIL**2 * total) | (halved == halvings)
                total -= float(np.sum(energy[~good]))
                rejected.append(part[~good])
                kept = np.repeat(good, _NODES)
                weight = np.sqrt((half * _W).ravel()[kept])
                yield omega[kept], values[kept] * weight.reshape(shape)
            ends = _halves(np.concatenate(rejected))
            if not len(ends):
                break


def nodes(pieces: list[Piece]) -> np.ndarray:
    """The frequencies that all of them begin with."""
    found = []
    for ends, frequency in pieces:
        middle, half = _middle_and_half(ends)
        found.append(frequency((middle + half * _X).ravel())[0])
    return np.concatenate(found)


def _energies(values: np.ndarray, half: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Integrals of squares over panels (N, nodes, ...), and the share of the last Legendre coefficients."""
    squares = np.sum(np.abs(values) ** 2, axis=2)
    last = np.sum(np.abs(_COEFFICIENTS @ values) ** 2, axis=2)
    return half * (squares @ _W), half * (last @ (1 / (_LAST + 0.5)))
