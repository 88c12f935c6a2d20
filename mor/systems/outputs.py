r"""What is made of the state: linear outputs, and quadratic ones.

Outputs are functions of the rows :math:`Sx + D_s u` of a few signals, in the coordinates of Gramian factors.
Of a reduced system with rows H they are those of :math:`SV`. What the squared H2 error asks of them, with U
(s, r) for S X or H P, is

.. math:: \langle U, H\rangle = \mathrm{tr}\,U_1 H_1^H + \sum_i \mathrm{tr}\,N_i U_2 (H_2^T N_i H_2) U_2^T,

the contribution of U to :math:`J = \|S\|^2 + \langle HP, H\rangle - 2\Re\langle SX, H\rangle`; its
derivative K, with :math:`dJ/dP = H^H K(HP)` and half of :math:`dJ/dX = -2 S^H K(SX)`; and the
squared norm of the full system. Here 1 are the linear rows, 2 those of the readout z.

The best rows for given F and G are :math:`H = S X P^{-1}` in both cases, tied or free: a gate of
:math:`Y V` is :math:`V^T M V`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NoReturn, Self

import numpy as np

from mor.arrays import Array
from mor.errors import QuadraticOutputError, ReductionError
from mor.systems.quadratic import Quadratic


@dataclass(frozen=True, eq=False)
class LinearOutputs:
    """``y = C x + D u``, and what is asked of any outputs."""

    #: S (..., s, n), of which outputs are made, and D_s (..., s, m).
    rows: Array
    D: Array

    def matrix(self, what: str) -> Array:
        """The one matrix C of linear outputs, for `what` asks for it.

        Raises
        ------
        QuadraticOutputError
        """
        return self.rows

    def require_real(self) -> None:
        """Raise unless Gramians, norms and reductions know what to do with complex ones."""

    def observe(self, y: Array) -> Array:
        """The outputs (..., p) from values of the rows (..., s)."""
        return y

    def extended(self, factor: Array) -> LinearOutputs:
        """Linear outputs with the same observability Gramian, for a factor Z of the controllability one."""
        return self

    def weighed(self, dt: float) -> Self:
        """The outputs with rows for what a feedthrough adds to the H2 norm."""
        return self

    def inner(self, U: np.ndarray, H: np.ndarray) -> float:
        """``<U, H>``, real part."""
        return float(np.real(np.vdot(H, U)))

    def slope(self, U: np.ndarray, H: np.ndarray) -> np.ndarray:
        """K, (s, r)."""
        return H

    def square(self, Z: np.ndarray) -> float:
        """The squared norm without D, for a factor Z of the controllability Gramian."""
        return float(np.sum(np.abs(self.rows @ Z) ** 2))


@dataclass(frozen=True, eq=False)
class QuadraticOutputs:
    """``y_i = c_i x + d_i u + z^T N_i z`` with ``z = Y x + D_y u``: first the rows of C, then those of Y.

    Attributes
    ----------
    rows, D : ``[C; Y]`` and ``[D; D_y]``, NumPy.
    forms : N.
    mix : as of :class:`~mor.LQO`.
    late : how many rows stand for a feedthrough, behind all others.
    """

    rows: np.ndarray
    D: np.ndarray
    forms: Quadratic
    mix: np.ndarray | None = None
    late: int = 0

    def matrix(self, what: str) -> NoReturn:
        raise QuadraticOutputError(
            f"a system with quadratic outputs does not have {what}. Its linear part, .linear, may. "
            "H2 norms, simulate, step, impulse_kernels, transfer_kernels (its transfer functions of first "
            "and second order), balanced truncation and H2 reduction work on it."
        )

    @property
    def is_real(self) -> bool:
        """Whether rows and forms are."""
        return not (np.iscomplexobj(self.rows) or self.forms.is_complex)

    def require_real(self) -> None:
        if not self.is_real:
            raise QuadraticOutputError(
                "norms, Gramians and reductions of quadratic outputs are those of real systems; this one is "
                "complex. It has transfer_kernels, impulse_kernels, simulate and step; .linear has all of "
                "them."
            )

    def observe(self, y: np.ndarray) -> np.ndarray:
        p = self.forms.n_outputs
        return y[..., :p] + self.forms.values(y[..., p:])

    def extended(self, factor: np.ndarray) -> LinearOutputs:
        self.require_real()
        p = self.forms.n_outputs
        (C, Y), (D, Dy) = ((x[:p], x[p:]) for x in (self.rows, self.D))
        E = self.forms.rows(_triangle(np.hstack([Y @ factor, Dy]).T))
        E = _triangle(E[np.any(E, axis=1)])
        return LinearOutputs(np.vstack([C, E @ Y]), np.vstack([D, E @ Dy]))

    def with_rows(self, rows: np.ndarray, D: np.ndarray) -> Self:
        """The same forms of other rows; C is tied to Y where `mix` says so."""
        if self.mix is not None:
            p = self.forms.n_outputs
            rows, D = (np.vstack([self.mix @ x[p:], x[p:]]) for x in (rows, D))
        return replace(self, rows=rows, D=D)

    def weighed(self, dt: float) -> Self:
        r"""With :math:`D_y`, P and X have a block I that belongs to u, and what that adds to the error is
        that of the linear outputs :math:`\sqrt2\, D_y^T N_i Y x`.

        Raises
        ------
        ReductionError
            If the H2 norm is infinite.
        """
        self.require_real()
        p = self.forms.n_outputs
        late = self.forms.rows(self.D[p:].T)
        if not np.any(late):
            return self
        if not dt:
            raise ReductionError(
                "a quadratic output of the input itself has an infinite H2 norm in continuous time; "
                "take it without D, or discretise the system."
            )
        return replace(self, rows=np.vstack([self.rows, 2**0.5 * late @ self.rows[p:]]), late=len(late))

    def _parts(self, x: np.ndarray) -> list[np.ndarray]:
        return np.split(x, [self.forms.n_outputs, len(self.rows) - self.late])

    def _weighed(self, U: np.ndarray, H: np.ndarray, weight: float) -> np.ndarray:
        linear, z, late = self._parts(H)
        return np.vstack([linear, weight * self.forms.coupled(self._parts(U)[1], z), late])

    def inner(self, U: np.ndarray, H: np.ndarray) -> float:
        return float(np.sum(U * self._weighed(U, H, 1.0)))

    def slope(self, U: np.ndarray, H: np.ndarray) -> np.ndarray:
        return self._weighed(U, H, 2.0)

    def square(self, Z: np.ndarray) -> float:
        linear, z, late = self._parts(self.rows @ Z)
        rows = self.forms.rows(_triangle(z.T))
        return float(np.sum(linear**2) + np.sum(late**2) + np.sum((rows @ z) ** 2))


#: Whatever a system makes of its state.
Outputs = LinearOutputs | QuadraticOutputs


def _triangle(T: np.ndarray) -> np.ndarray:
    """At most as many rows as columns with the same ``T^T T``."""
    return np.asarray(np.linalg.qr(T, mode="r")) if T.shape[0] > T.shape[1] else T
