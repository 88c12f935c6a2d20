r"""The largest gain of a difference of two stable systems, however small it is beside them.

The joint realisation :math:`\mathrm{diag}(A, A_r), [B; B_r], [C, -C_r]` of a difference is in coordinates of
the size of the systems: level sets in it see round-off of the systems, which may be 1e9 times the error.
In *balanced* coordinates of the difference, B and C are as small as the difference itself:

.. math:: Z_o^H Z_c = U \Sigma V^H, \qquad L = Z_o U_1\Sigma_1^{-1/2},\quad R = Z_c V_1\Sigma_1^{-1/2},\qquad
          (E_b, A_b, B_b, C_b) = (L^HR,\ L^H\!AR,\ L^HB,\ CR).

What the factors have lost to round-off only turns the two subspaces: the projection of the data is wrong by
the product of what both miss. So it is the sums of the projection that count, which are taken in extended
precision. The states left out are small by :math:`2\sum\sigma_i`; what the projection really differs by is
looked at where responses in extended precision are compared with it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mor.analysis.extended import ExtendedResponses
from mor.analysis.gains import SystemGains, distinct_poles, largest_singular_value, sampled_peak
from mor.analysis.hinf import Peak, peak_gain
from mor.arrays import adjoint
from mor.equations.extended import inverse_times, narrowed, projected
from mor.equations.graded import graded_svd
from mor.systems.lti import LTI

#: States are left out while twice the sum of their Hankel singular values is below this share of the largest.
_TAIL = 2e-4

#: A difference above this share of the systems' factors is projected in double precision.
_LARGE = 1e-6

#: Multiple of the difference seen between the projection and the data that is added to the limit.
_DOUBT = 4.0

#: Smallest number that poles are compared with.
TINY = float(np.finfo(float).tiny)

#: Frequencies at which that is looked at, beside the peak, 0 and the largest: those of the lightest poles.
_LOOKS = 3


class DifferencePeak(NamedTuple):
    """``gain - noise <= norm <= upper``, at `omega`."""

    gain: float
    omega: float
    upper: float
    noise: float


def difference_peak(full: LTI, rom: LTI, *, tol: float = 1e-6, prove: bool = True) -> DifferencePeak:
    """Largest gain of ``full - rom`` over frequency, of two stable systems with the same signals.

    Parameters
    ----------
    tol : relative tolerance of the level sets in balanced coordinates.
    prove : whether a limit is looked for; else `upper` is infinite.

    Returns
    -------
    DifferencePeak : the gain is that of the matrices given, in extended precision, and attained; `noise` is
        what is left of round-off in it, that of writing C and D in double precision included.

    Notes
    -----
    Cost for order n, of which k states count: the Schur forms (those of the systems, if they are known),
    two factors, ``2 n^2 k`` products in extended precision and level sets of order k.
    """
    small, tail, total = _balanced(full, rom)
    proven = prove and small.is_stable
    _, best, level = peak_gain(small, tol=tol) if proven else Peak(*sampled_peak(small), np.inf)
    omega = _looks(small, float(best))
    gains, noise, gap = _compared(full, rom, small, omega)
    top = int(np.argmax(gains))
    everything = float(np.linalg.norm(small.D, 2)) + total
    upper = min(float(level) + tail + _DOUBT * gap, everything) if prove else np.inf
    return DifferencePeak(float(gains[top]), float(omega[top]), upper, float(noise[top]))


def _balanced(full: LTI, rom: LTI) -> tuple[LTI, float, float]:
    """The difference in balanced coordinates, what the states left out of it may be worth, and what all
    of them: twice the sums of their Hankel singular values, with the round-off of these."""
    joint: Any = full - rom
    Zc, Zo = joint.factors()
    U, values, Vh = graded_svd(adjoint(Zo) @ Zc)
    # Whatever the units of the states: rows of the factors are in units inverse to each other.
    scale = float(np.sum(np.linalg.norm(Zo, axis=1) * np.linalg.norm(Zc, axis=1)))
    noise = np.finfo(float).eps * scale
    largest = float(np.max(values, initial=0.0))
    tails = np.append(2 * np.cumsum(values[::-1])[::-1], 0.0) + 2 * noise
    kept = int(np.argmax(tails <= _TAIL * largest + 2 * noise)) if largest > noise else 0
    root = np.sqrt(values[:kept])
    L, R = Zo @ U[:, :kept] / root, Zc @ adjoint(Vh[:kept]) / root
    wide = largest < _LARGE * scale
    n, minus = full.order, -rom
    one = projected(full.A, full.E, full.B, full.C, _without_E(full, L[:n]), R[:n], wide=wide)
    two = projected(minus.A, minus.E, minus.B, minus.C, _without_E(minus, L[n:]), R[n:], wide=wide)
    A, E, B, C = (first + second for first, second in zip(one, two, strict=True))
    A, B = inverse_times(E, A, B)
    small = LTI(narrowed(A), narrowed(B), narrowed(C), full.D - rom.D, dt=full.dt)
    return small, float(tails[kept] - 2 * noise), float(tails[0])


def _without_E(system: LTI, left: np.ndarray) -> np.ndarray:
    """``E^{-H} L``: the left subspace for the matrices as they are given."""
    return left if system.E is None else np.linalg.solve(adjoint(system.E), left)


def _looks(small: LTI, best: float) -> np.ndarray:
    """Frequencies, sorted: of the peak, the lightest poles, 0 and the largest."""
    poles = distinct_poles(small.poles, small.is_real)
    if small.dt:
        lightness, own, ends = 1 - np.abs(poles), np.angle(poles) / small.dt, [0.0, np.pi / small.dt]
    else:
        lightness, own, ends = -poles.real / np.maximum(np.abs(poles), TINY), poles.imag, [0.0, np.inf]
    light = own[np.argsort(lightness)[:_LOOKS]]
    return np.unique([best, *(np.abs(light) if small.is_real else light), *ends])


def _compared(full: LTI, rom: LTI, small: LTI, omega: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
    """Gains of the difference at these frequencies, their noise, and by how much `small` is off at most."""
    one, noise, terms = ExtendedResponses(full)(omega)
    two, more, others = ExtendedResponses(rom)(omega)
    difference = one - two
    exact = difference.astype(complex)
    noise = (noise + more + np.finfo(float).eps * (terms + others)) * exact[0].size ** 0.5
    gap = largest_singular_value(exact - SystemGains(small).responses(omega))
    return largest_singular_value(exact), noise, float(np.max(gap))
