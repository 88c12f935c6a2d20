r"""How the squared H2 error depends on P and X, for linear and for quadratic outputs.

All outputs are functions of the rows S x of a few signals; of a reduced system with rows H the
rows are those of :math:`S V`. Three quantities are asked for, with U (s, r) for S X or H P:

.. math:: \langle U, H\rangle = \mathrm{tr}\,U_1 H_1^H + \sum_i \mathrm{tr}\,N_i U_2 (H_2^T N_i H_2) U_2^T,

the contribution of U to :math:`J = \|S\|^2 + \langle HP, H\rangle - 2\Re\langle SX, H\rangle`; its
derivative K, with :math:`dJ/dP = H^H K(HP)` and half of :math:`dJ/dX = -2 S^H K(SX)`; and the
squared norm of the full system. Here 1 are the linear rows, 2 those of z.

With a feedthrough :math:`D_y` from u to z, P and X have a block I that belongs to u. What
that adds to the error is that of the linear outputs :math:`\sqrt2\, D_y^T N_i Y x`.

The best rows for given F and G are :math:`H = S X P^{-1}` in both cases, tied or free: a gate of
:math:`Y V` is :math:`V^T M V`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from mor.arrays import to_numpy
from mor.errors import ReductionError
from mor.systems.base import System
from mor.systems.lqo import LQO
from mor.systems.quadratic import Quadratic


class Outputs(ABC):
    """The rows S (s, n) of a full system, and what they are used for."""

    S: np.ndarray

    @abstractmethod
    def inner(self, U: np.ndarray, H: np.ndarray) -> float:
        """``<U, H>``, real part."""

    @abstractmethod
    def slope(self, U: np.ndarray, H: np.ndarray) -> np.ndarray:
        """K, (s, r)."""

    @abstractmethod
    def square(self, Z: np.ndarray) -> float:
        """The squared norm without D, for a factor Z of the controllability Gramian."""


@dataclass(frozen=True, eq=False)
class LinearOutputs(Outputs):
    """y = S x."""

    S: np.ndarray

    def inner(self, U: np.ndarray, H: np.ndarray) -> float:
        return float(np.real(np.vdot(H, U)))

    def slope(self, U: np.ndarray, H: np.ndarray) -> np.ndarray:
        return H

    def square(self, Z: np.ndarray) -> float:
        return float(np.sum(np.abs(self.S @ Z) ** 2))


@dataclass(frozen=True, eq=False)
class QuadraticOutputs(Outputs):
    """Rows of y, of z from `first` on, and from `last` on those that stand for a feedthrough."""

    S: np.ndarray
    forms: Quadratic
    first: int
    last: int

    @classmethod
    def of(cls, system: LQO) -> QuadraticOutputs:
        system.require_real()
        p, rows, D = system.n_outputs, system.carrier.output_factor_matrix, system.carrier.D
        Y, Dy = rows[p:], D[p:]
        weighed = system.M.rows(Dy.T)
        if not np.any(weighed):
            return cls(rows, system.M, p, len(rows))
        if not system.dt:
            raise ReductionError(
                "a quadratic output of the input itself has an infinite H2 norm in continuous time; "
                "take it without D, or discretise the system."
            )
        return cls(np.vstack([rows, 2**0.5 * weighed @ Y]), system.M, p, len(rows))

    def _parts(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return x[: self.first], x[self.first : self.last], x[self.last :]

    def _weighed(self, U: np.ndarray, H: np.ndarray, weight: float) -> np.ndarray:
        linear, z, late = self._parts(H)
        return np.vstack([linear, weight * self.forms.coupled(self._parts(U)[1], z), late])

    def inner(self, U: np.ndarray, H: np.ndarray) -> float:
        return float(np.sum(U * self._weighed(U, H, 1.0)))

    def slope(self, U: np.ndarray, H: np.ndarray) -> np.ndarray:
        return self._weighed(U, H, 2.0)

    def square(self, Z: np.ndarray) -> float:
        linear, z, late = self._parts(self.S @ Z)
        T = np.asarray(np.linalg.qr(z.T, mode="r")) if z.shape[1] > z.shape[0] else z.T
        return float(np.sum(linear**2) + np.sum(late**2) + np.sum((self.forms.rows(T) @ z) ** 2))


def outputs_of(system: System) -> Outputs:
    """Those of a system on NumPy."""
    if isinstance(system, LQO):
        return QuadraticOutputs.of(system)
    return LinearOutputs(to_numpy(system.output_factor_matrix))
