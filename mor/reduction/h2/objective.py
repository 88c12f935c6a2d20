r"""The squared H2 error as a function of a reduced system, with its gradient.

For the full system (A, B, C) and a reduced one (F, G, H), with the horizon left out,

.. math:: F P F^H - P + G G^H = 0, \qquad A X F^H - X + B G^H = 0 \qquad (dt > 0)
.. math:: F P + P F^H + G G^H = 0, \qquad A X + X F^H + B G^H = 0 \qquad (dt = 0)
.. math:: J = \mathrm{tr}\,C P_A C^H + \mathrm{tr}\,H P H^H - 2\,\Re\,\mathrm{tr}\,C X H^H.

On a finite horizon T the terms ``G G^H`` and ``B G^H`` lose ``S_F G (S_F G)^H`` and
``S_A B (S_F G)^H``, where S is the power or the exponential of its matrix over T.

J is quadratic in H, and least at :math:`H = C X P^{-1}`. Its gradient in F and G follows from two
adjoint equations, whose right-hand sides are half the derivatives of J in P and X:

.. math:: F^H Q F - Q + H^H H = 0, \qquad A^H Z F - Z - C^H H = 0 \qquad (dt > 0)
.. math:: F^H Q + Q F + H^H H = 0, \qquad A^H Z + Z F - C^H H = 0 \qquad (dt = 0)
.. math:: J_F = 2 (Q F P + Z^H A X) \;\text{or}\; 2 (Q P + Z^H X), \qquad
          J_G = 2 (Q G + Z^H B), \qquad J_H = 2 (H P - C X).

Of the full system nothing is asked but products with A and the equations for X and Z
(:meth:`mor.systems.base.System.cross_solution`): ``O(n^2 r)`` flops for a dense system, whose
Schur form is computed once, and ``O(n r^2)`` for a modal one.

Source: [Wilson70], [VanDooren08]; on a finite horizon [Goyal19].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import scipy.linalg

from mor.arrays import adjoint, to_numpy
from mor.checks import check_overflow
from mor.equations.doubling import Evolution
from mor.equations.schur import SchurForm
from mor.errors import ReductionError
from mor.reduction.balance import balance
from mor.reduction.balancing import Balancing
from mor.systems.base import System
from mor.systems.lti import LTI
from mor.systems.outputs import Outputs


@dataclass(frozen=True, eq=False)
class Reduced:
    """A reduced system (F, G, H) and what the error and its derivative need of it.

    Attributes
    ----------
    P, X : its Gramian and the cross Gramian; without P where it is not stable.
    form : the Schur form of F.
    flow : S_F, the evolution over the horizon; None if that is infinite.
    """

    F: np.ndarray
    G: np.ndarray
    H: np.ndarray
    P: np.ndarray
    X: np.ndarray
    form: SchurForm
    flow: np.ndarray | None


@dataclass(frozen=True, eq=False)
class H2Objective:
    """The error of approximating `system`, a single one on NumPy, up to `horizon`.

    D takes no part: every reduced system has the D of the full one.
    """

    system: System
    horizon: float | None

    @cached_property
    def square(self) -> float:
        """The squared H2 norm of the full system without D, by which errors are scaled."""
        Z = to_numpy(self.system.controllability_factor(horizon=self.horizon))
        check_overflow(self.horizon, Z)
        return self.outputs.square(Z)

    @cached_property
    def balancing(self) -> Balancing:
        """Gramian factors and Hankel singular values on the horizon."""
        return cast(Balancing, balance(self.system, horizon=self.horizon))

    @property
    def B(self) -> np.ndarray:
        return to_numpy(self.system.input_factor_matrix)

    @cached_property
    def outputs(self) -> Outputs:
        """What is made of the state, and how it enters the error."""
        return self.system.outputs.weighed(self.system.dt)

    @property
    def C(self) -> np.ndarray:
        """All rows S that outputs are made of, D aside."""
        return self.outputs.rows

    @cached_property
    def _late_input(self) -> np.ndarray:
        """``S_A B``."""
        return self._late(self.B, adjoint=False)

    @cached_property
    def _late_output(self) -> np.ndarray:
        """``S_A^H C^H``."""
        return self._late(adjoint(self.C), adjoint=True)

    def _late(self, state: np.ndarray, *, adjoint: bool) -> np.ndarray:
        carrier, left = self.system.carrier, int(self.horizon or 0)
        if not carrier.dt:
            carrier, left = carrier.discretize(self.horizon or 0.0), 1
        power = cast(Evolution, carrier.operator.adjoint() if adjoint else carrier.operator)
        while left:
            state = power.apply(state) if left & 1 else state
            left >>= 1
            power = power.square() if left else power
        return to_numpy(state)

    def evolved(self, X: np.ndarray) -> np.ndarray:
        """``A X``."""
        return to_numpy(self.system.operator.apply(X))

    def dual_cross(self, rom: LTI, X: np.ndarray) -> np.ndarray:
        """Z of the fixed-point iteration, whose equation has the end terms of the horizon.

        Raises
        ------
        ReductionError
        """
        K = self.outputs.slope(self.C @ X, rom.C)
        weight = -adjoint(self.C) @ K
        if self.horizon is not None:
            weight = weight + self._late_output @ K @ evolution(rom.A, rom.dt, self.horizon)
        return self.adjoint(rom.schur, weight)

    def adjoint(self, form: SchurForm, weight: np.ndarray) -> np.ndarray:
        """Z with ``A^H Z F - Z + weight = 0``, or ``A^H Z + Z F + weight = 0``.

        Raises
        ------
        ReductionError
        """
        return self._cross_solution(form, weight, adjoint=True)

    def at(self, F: np.ndarray, G: np.ndarray, H: np.ndarray | None = None) -> Reduced:
        """The reduced system (F, G, H), stable, by default with the best H.

        Raises
        ------
        SingularEquationError, ReductionError
        """
        form = SchurForm.of(F, None, self.system.dt)
        driven, flow = G @ adjoint(G), self.flow(F)
        if flow is not None:
            driven = driven - (flow @ G) @ adjoint(flow @ G)
        P, X = form.solve(driven), self.cross(form, G, flow)
        H = _best_output(self.C @ X, P) if H is None else H
        return Reduced(F, G, H, P, X, form, flow)

    def flow(self, F: np.ndarray) -> np.ndarray | None:
        """S_F, None if the horizon is infinite."""
        return None if self.horizon is None else evolution(F, self.system.dt, self.horizon)

    def cross(self, form: SchurForm, G: np.ndarray, flow: np.ndarray | None = None) -> np.ndarray:
        """X for a reduced system with the Schur form `form`; it need not be stable.

        Raises
        ------
        ReductionError
        """
        right = self.B @ adjoint(G)
        if flow is not None:
            right = right - self._late_input @ adjoint(flow @ G)
        return self._cross_solution(form, right)

    def _cross_solution(self, form: SchurForm, Q: np.ndarray, *, adjoint: bool = False) -> np.ndarray:
        try:
            with np.errstate(all="ignore"):
                X = self.system.cross_solution(form, Q, adjoint=adjoint)
        except np.linalg.LinAlgError:
            X = np.full(Q.shape, np.nan)
        if not np.all(np.isfinite(X)):
            raise ReductionError("a reduced pole is the mirror image of a full one.")
        return X

    def value(self, reduced: Reduced) -> float:
        """J over the squared norm of the full system; right to round-off of 1, and may be negative."""
        H = reduced.H
        gained, lost = (self.outputs.inner(U, H) for U in (H @ reduced.P, self.C @ reduced.X))
        return 1 + (gained - 2 * lost) / self.square

    def gradient(self, reduced: Reduced) -> tuple[np.ndarray, np.ndarray]:
        """``(dJ/dF, dJ/dG)``, scaled as `value`; of a complex x ``d/dRe x + i d/dIm x``."""
        dt, F, G, H, P, X = self.system.dt, reduced.F, reduced.G, reduced.H, reduced.P, reduced.X
        Q = reduced.form.adjoint.solve(adjoint(H) @ self.outputs.slope(H @ P, H))
        Zh = adjoint(self.adjoint(reduced.form, -adjoint(self.C) @ self.outputs.slope(self.C @ X, H)))
        to_F = Q @ F @ P + Zh @ self.evolved(X) if dt else Q @ P + Zh @ X
        to_G = Q @ G + Zh @ self.B
        if self.horizon is not None and reduced.flow is not None:
            late = Q @ reduced.flow @ G + Zh @ self._late_input
            to_G = to_G - adjoint(reduced.flow) @ late
            to_F = to_F - evolution_derivative(adjoint(F), late @ adjoint(G), dt, self.horizon)
        return 2 * to_F / self.square, 2 * to_G / self.square


def _best_output(CX: np.ndarray, P: np.ndarray) -> np.ndarray:
    """``C X P^{-1}``, on the range of P as far as it stands above round-off.

    In the coordinates of :mod:`mor.reduction.h2.coordinates` P is the identity, or what is left
    of it on a finite horizon: round-off is that of 1, not of the largest eigenvalue of P.
    """
    values, U = scipy.linalg.eigh(P)
    kept = values > 10 * len(P) * np.finfo(float).eps * max(1.0, values[-1])
    U = U[:, kept]
    return (CX @ U / values[kept]) @ adjoint(U)


def evolution(A: np.ndarray, dt: float, horizon: float) -> np.ndarray:
    """``A^horizon``, or ``exp(A horizon)``.

    Raises
    ------
    ReductionError
        If it overflows, as that of an unstable iterate may.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        S = np.linalg.matrix_power(A, int(horizon)) if dt else scipy.linalg.expm(A * horizon)
    if not np.all(np.isfinite(S)):
        raise ReductionError("the reduced system is unstable and overflows within the horizon.")
    return S


def evolution_derivative(A: np.ndarray, E: np.ndarray, dt: float, horizon: float) -> np.ndarray:
    """Derivative of :func:`evolution` at A in the direction E."""
    n = len(A)
    both = np.block([[A, E], [np.zeros((n, n)), A]])
    return evolution(both, dt, horizon)[:n, n:]
