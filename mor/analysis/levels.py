r"""Levels that the gain of a system is compared with: of the system itself, or of a truncation of it.

A level costs the eigenvalues of a matrix of twice the order. Balanced truncation to k states changes no gain
by more than twice the sum of the Hankel singular values left out, so where that sum is far below the
tolerance a level of order 2k, lower by as much, proves the same. How many states that takes is foreseen from
the poles: after steps of the ADI iteration with the shifts :math:`\mu_j` what is missing of a Gramian is

.. math:: \Pi P \Pi^H, \qquad
          \Pi = \prod_j \frac{A - \mu_j}{A + \bar\mu_j}, \qquad
          \Big(\frac{A - \mu_j}{I - \bar\mu_j A}\Big)\quad (dt > 0),

and each step adds a rank of the number of inputs. Poles of little damping make that slow, and the factors
are then not computed in vain.

Source: [Enns84], [Glover84] for the bound; [Penzl00] for the decay.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mor.analysis.gains import SystemGains, largest_singular_value
from mor.arrays import EPS, to_numpy
from mor.equations.graded import BalancingSVD, tail_sums
from mor.equations.hamiltonian import LevelPencil, from_the_axis, level_pencil, to_the_axis
from mor.systems.base import System

#: Order from which a truncation may cost less than the levels it saves, and the share of the states that it
#: may have for that.
_WORTH, _SHARE = 64, 0.5

#: Share of the tolerance that may be left out, and that the levels may be lower by for all reasons.
_TAIL, _SLACK = 0.05, 0.5

#: Multiple of the difference seen between the truncation and the system that is taken for the largest.
_DOUBT = 4.0

#: Samples at which that is looked at, beside the largest.
_LOOKS = 8


def truncated_levels(
    system: System, gains: SystemGains, omega: np.ndarray, sampled: np.ndarray, accuracy: float
) -> Levels | None:
    """Levels of a balanced truncation that differ from those of the system by less than `accuracy`;
    None where there are none, or they would cost more.

    Parameters
    ----------
    omega, sampled : arrays (N,), frequencies and the gains there.
    """
    poles, n = to_numpy(system.poles), system.order
    share = accuracy / float(np.max(sampled))
    if n < _WORTH or not system.is_stable or not 0 < share < 1:
        return None
    most = int(_SHARE * n)
    steps = most // max(min(system.n_inputs, system.n_outputs), 1)
    if slowest(poles, system.dt, steps, _TAIL * share) > _TAIL * share:
        return None
    found = BalancingSVD.of(*(to_numpy(Z) for Z in system.factors()))
    tails = tail_sums(found.values) + 2 * n * EPS * found.size
    kept = int(np.argmax(tails <= _TAIL * accuracy)) if tails[-1] <= _TAIL * accuracy else n
    if kept > most:
        return None
    model = system.to_lti().explicit.project(*found.bases(kept))[0]
    looks = omega[np.unique([int(np.argmax(sampled)), *np.linspace(0, len(omega) - 1, _LOOKS).astype(int)])]
    gap = largest_singular_value(gains.responses(looks) - SystemGains(model).responses(looks))
    slack = float(tails[kept] + _DOUBT * np.max(gap) + np.max(gains.roundoff(looks)))
    if not slack <= _SLACK * accuracy:
        return None
    return Levels(model, SystemGains(model).poles, omega, sampled, slack)


def slowest(poles: np.ndarray, dt: float, steps: int, enough: float) -> float:
    r"""The largest of :math:`|\Pi(\lambda_i)|^2` after so many greedy steps, or when it is `enough`."""
    left, done = np.ones(len(poles)), 0
    while done < steps and np.max(left, initial=0.0) > enough:
        shift = poles[np.argmax(left)]
        for mu in (shift, np.conj(shift)) if shift.imag else (shift,):
            image = 1 - np.conj(mu) * poles if dt else poles + np.conj(mu)
            left = left * np.abs((poles - mu) / image) ** 2
            done += 1
    return float(np.max(left, initial=0.0))


class Levels:
    """Levels of the gain of one system, on the imaginary axis whatever its time.

    Of a model of the system the `slack` is what its gains may differ by: a level is then looked for that
    much lower.
    """

    def __init__(
        self,
        system: System,
        poles: np.ndarray,
        omega: np.ndarray,
        sampled: np.ndarray,
        slack: float = 0.0,
    ) -> None:
        dense = system.to_lti().graded
        self.dt, self.point, self.is_real = system.dt, 1 + 0j, dense.is_real
        matrices: tuple[Any, Any, Any, Any] = dense.A, dense.B, dense.C, dense.D
        if self.dt and len(dense.A):
            self.point = _mapped_point(poles, omega * self.dt, sampled, self.is_real)
            matrices = to_the_axis(*matrices, self.point)
        self.matrices, self.slack = matrices, slack

    def __call__(self, gamma: float) -> LevelPencil:
        """The pencil of a level: where it has no crossing no gain of the system exceeds `gamma`."""
        return level_pencil(*self.matrices, gamma - self.slack)

    def frequencies(self, pencil: LevelPencil) -> np.ndarray:
        """Where the level may be crossed, sorted; of a real system >= 0.

        The largest gain above the level is between two of them. On the circle of a complex system
        that may be the last and the first one, which so comes again, a turn later.
        """
        crossings = pencil.crossings()
        if self.dt:
            crossings = from_the_axis(crossings, self.point) / self.dt
        if self.is_real:
            return np.unique(np.abs(crossings))
        crossings = np.unique(crossings)
        return np.append(crossings, crossings[:1] + 2 * np.pi / self.dt) if self.dt else crossings


def _mapped_point(poles: np.ndarray, angles: np.ndarray, sampled: np.ndarray, is_real: bool) -> complex:
    """The point of the unit circle to map to infinity: far from poles, and of small gain.

    +-1 are preferred for a real system, as they keep real data real.
    """
    points: Any = np.where(angles == 0, 1, np.exp(1j * angles))
    points = np.where(np.abs(angles) == np.max(angles), -1, points)
    away = np.min(np.abs(points[:, None] - poles), axis=1)
    quiet = 1 - (sampled / np.max(sampled)) ** 2 + 1e-3
    preferred = np.where((points.imag == 0) & is_real, 10.0, 1.0)
    return complex(points[np.argmax(away * quiet * preferred)])
