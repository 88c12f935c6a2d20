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
from mor.analysis.gains import (
    SystemGains,
    distinct_poles,
    first_frequencies,
    largest_singular_value,
    sampled_peak,
)
from mor.analysis.hinf import Peak, peak_gain
from mor.arrays import EPS, TINY, adjoint
from mor.equations.boundary import margins
from mor.equations.extended import inverse_times, narrowed, projected
from mor.equations.graded import BalancingSVD, tail_sums
from mor.systems.lti import LTI

#: States are left out while twice the sum of their Hankel singular values is below this share of the largest.
_TAIL = 2e-4

#: A difference above this share of the systems' factors is projected in double precision.
_LARGE = 1e-6

#: Multiple of the difference seen between the projection and the data that is added to the limit.
_DOUBT = 4.0

#: A limit within this share of the gain is close enough.
_CLOSE = 1e-2

#: Products in extended precision that a closer look may take.
_WORK = 4e8

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
    joint: Any = full - rom
    small, tail, total = _balanced(full, rom, joint)
    proven = prove and small.is_stable
    _, best, level = peak_gain(small, tol=tol) if proven else Peak(*sampled_peak(small), np.inf)
    found = _measured(full, rom, _looks(small, float(best)))
    if not prove:
        return found.peak(np.inf)
    upper = float(level) + tail + _DOUBT * found.gap(small)
    if upper <= (1 + _CLOSE) * found.peak(upper).gain:
        return found.peak(upper)
    # Round-off has turned the balanced coordinates: what else is known, and more frequencies.
    found = found.beside(_measured(full, rom, _more(joint, full, rom)))
    everything = float(np.linalg.norm(small.D, 2)) + total + _DOUBT * found.gap(joint)
    return found.peak(min(float(level) + tail + _DOUBT * found.gap(small), everything))


class _Measured(NamedTuple):
    """The difference at some frequencies (N, p, m), and the round-off in its gains (N,)."""

    omega: np.ndarray
    difference: np.ndarray
    noise: np.ndarray

    def gap(self, model: LTI) -> float:
        """The largest gain of what a model of the difference is off by."""
        return float(
            np.max(largest_singular_value(self.difference - SystemGains(model).responses(self.omega)))
        )

    def peak(self, upper: float) -> DifferencePeak:
        gains = largest_singular_value(self.difference)
        top = int(np.argmax(gains))
        return DifferencePeak(float(gains[top]), float(self.omega[top]), upper, float(self.noise[top]))

    def beside(self, other: _Measured) -> _Measured:
        """Both together."""
        return _Measured(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))


def _measured(full: LTI, rom: LTI, omega: np.ndarray) -> _Measured:
    one, noise, terms = ExtendedResponses(full)(omega)
    two, more, others = ExtendedResponses(rom)(omega)
    difference = (one - two).astype(complex)
    noise = (noise + more + EPS * (terms + others)) * difference[0].size ** 0.5
    return _Measured(omega, difference, noise)


def _balanced(full: LTI, rom: LTI, joint: Any) -> tuple[LTI, float, float]:
    """The difference in balanced coordinates, what the states left out of it may be worth, and what all
    of them: twice the sums of their Hankel singular values, with the round-off of these."""
    found = BalancingSVD.of(*joint.factors())
    noise = EPS * found.size
    largest = float(np.max(found.values, initial=0.0))
    tails = tail_sums(found.values) + 2 * noise
    kept = int(np.argmax(tails <= _TAIL * largest + 2 * noise)) if largest > noise else 0
    (L, R), wide = found.bases(kept), largest < _LARGE * found.size
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
        lightness, own, ends = margins(poles, small.dt), np.angle(poles) / small.dt, [0.0, np.pi / small.dt]
    else:
        lightness, own, ends = -poles.real / np.maximum(np.abs(poles), TINY), poles.imag, [0.0, np.inf]
    light = own[np.argsort(lightness)[:_LOOKS]]
    return np.unique([best, *(np.abs(light) if small.is_real else light), *ends])


def _more(joint: LTI, full: LTI, rom: LTI) -> np.ndarray:
    """A grid and the frequencies of the poles, as many as take no more than a second or so."""
    work = ExtendedResponses(full).work + ExtendedResponses(rom).work
    samples = int(np.clip(_WORK / max(work, 1.0) / 2, 1, 32))
    return first_frequencies(
        distinct_poles(joint.poles, joint.is_real), joint.dt, samples, is_real=joint.is_real
    )
