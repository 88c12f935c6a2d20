r"""The squared H2 error as a function of a reduced system, with its gradient.

For the full system (A, B, C) and a reduced one (F, G, H), with the horizon left out,

.. math:: F P F^H - P + G G^H = 0, \qquad A X F^H - X + B G^H = 0 \qquad (dt > 0)
.. math:: F P + P F^H + G G^H = 0, \qquad A X + X F^H + B G^H = 0 \qquad (dt = 0)
.. math:: J = \mathrm{tr}\,C P_A C^H + \mathrm{tr}\,H P H^H - 2\,\Re\,\mathrm{tr}\,C X H^H.

On a finite horizon T the terms ``G G^H`` and ``B G^H`` lose ``S_F G (S_F G)^H`` and
``S_A B (S_F G)^H``, where S is the power or the exponential of its matrix over T.

J is quadratic in H. Its minimum :math:`H = C X P^{-1}` leaves a function of F and G,

.. math:: J = \mathrm{tr}\,C P_A C^H - \mathrm{tr}\,H P H^H.

Source: Wilson (1970); Van Dooren, Gallivan and Absil (2008). On a finite horizon Goyal and
Redmann (2019).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.linalg

from mor.arrays import adjoint
from mor.equations.schur import SchurForm
from mor.equations.sylvester import cross_solution
from mor.systems.lti import LTI


@dataclass(frozen=True, eq=False)
class Reduced:
    """A reduced system (F, G) with the best H, and what its derivative needs."""

    F: np.ndarray
    G: np.ndarray
    H: np.ndarray
    P: np.ndarray
    X: np.ndarray
    form: SchurForm


@dataclass(frozen=True, eq=False)
class H2Objective:
    """The error of approximating `system`, an explicit :class:`~mor.LTI`, up to `horizon`.

    Attributes
    ----------
    square : the squared H2 norm of the full system without D, by which errors are scaled.
    """

    system: LTI
    horizon: float | None
    square: float

    @property
    def proper(self) -> LTI:
        """The full system without its D, which every reduced one shares."""
        return replace(self.system, D=None)

    @cached_property
    def _late_input(self) -> np.ndarray:
        """``S_A B``."""
        return evolution(self.system.A, self.system.dt, self.horizon or 0.0) @ self.system.B

    def cross(self, form: SchurForm, F: np.ndarray, G: np.ndarray) -> np.ndarray:
        """X for a reduced (F, G) with the Schur form `form`."""
        right = self.system.B @ adjoint(G)
        if self.horizon is not None:
            right = right - self._late_input @ adjoint(evolution(F, self.system.dt, self.horizon) @ G)
        return cross_solution(self.system.schur, form, right)

    def adjoint(self, form: SchurForm, H: np.ndarray) -> np.ndarray:
        """Z with ``A^H Z F - Z - C^H H = 0``, or ``A^H Z + Z F - C^H H = 0``."""
        return cross_solution(self.system.schur.adjoint, form.adjoint, -adjoint(self.system.C) @ H)

    def at(self, F: np.ndarray, G: np.ndarray) -> Reduced:
        """The reduced system with these F, G and the best H."""
        form = SchurForm.of(F, None, self.system.dt)
        driven = G @ adjoint(G)
        if self.horizon is not None:
            late = evolution(F, self.system.dt, self.horizon) @ G
            driven = driven - late @ adjoint(late)
        P = form.solve(driven)
        X = self.cross(form, F, G)
        H = adjoint(scipy.linalg.solve(P, adjoint(self.system.C @ X), assume_a="her"))
        return Reduced(F, G, H, P, X, form)

    def value(self, reduced: Reduced) -> float:
        """J over the squared norm of the full system."""
        return 1 - float(np.real(np.vdot(reduced.H, reduced.H @ reduced.P))) / self.square

    def gradient(self, reduced: Reduced) -> tuple[np.ndarray, np.ndarray]:
        """``(dJ/dF, dJ/dG)``, scaled as `value`; of a complex x ``d/dRe x + i d/dIm x``."""
        A, B, dt = self.system.A, self.system.B, self.system.dt
        F, G, H, P, X = reduced.F, reduced.G, reduced.H, reduced.P, reduced.X
        Q, Z = reduced.form.adjoint.solve(adjoint(H) @ H), self.adjoint(reduced.form, H)
        Zh = adjoint(Z)
        to_F = Q @ F @ P + Zh @ (A @ X) if dt else Q @ P + Zh @ X
        to_G = Q @ G + Zh @ B
        if self.horizon is not None:
            S = evolution(F, dt, self.horizon)
            late = Q @ S @ G + Zh @ self._late_input
            to_G = to_G - adjoint(S) @ late
            to_F = to_F - evolution_derivative(adjoint(F), late @ adjoint(G), dt, self.horizon)
        return 2 * to_F / self.square, 2 * to_G / self.square


def evolution(A: np.ndarray, dt: float, horizon: float) -> np.ndarray:
    """``A^horizon``, or ``exp(A horizon)``."""
    return np.linalg.matrix_power(A, int(horizon)) if dt else scipy.linalg.expm(A * horizon)


def evolution_derivative(A: np.ndarray, E: np.ndarray, dt: float, horizon: float) -> np.ndarray:
    """Derivative of :func:`evolution` at A in the direction E."""
    n = len(A)
    both = np.block([[A, E], [np.zeros((n, n)), A]])
    return evolution(both, dt, horizon)[:n, n:]
