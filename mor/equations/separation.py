r"""Coordinates in which some eigenvalues of a matrix stand apart from the others.

With the Schur form :math:`A = Z T Z^{-1}`, the chosen eigenvalues first, and the solution X of
:math:`T_{11} X - X T_{22} + T_{12} = 0`,

.. math:: \begin{bmatrix} I & -X \\ & I \end{bmatrix} Z^{-1} A Z \begin{bmatrix} I & X \\ & I \end{bmatrix}
          = \begin{bmatrix} T_{11} & \\ & T_{22} \end{bmatrix}.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.linalg

from mor.arrays import adjoint
from mor.equations.schur import SchurForm
from mor.equations.sylvester import solve_sylvester


class Part(NamedTuple):
    """``L^H A R = T`` for an invariant part of A, with ``L^H R = I``."""

    T: np.ndarray
    L: np.ndarray
    R: np.ndarray


def separated(form: SchurForm, chosen: np.ndarray) -> tuple[Part, Part]:
    """The parts of the eigenvalues in the mask `chosen` and of the others, for a form without E.

    Raises
    ------
    SingularEquationError
        If eigenvalues of both lie so close together that no change of coordinates separates them.
    """
    T = form.pencil.T
    trsen: Any = scipy.linalg.get_lapack_funcs("trsen", (T,))
    result = trsen(chosen.astype(np.int32), T, np.eye(len(T), dtype=T.dtype), job=b"N")
    T, r = result[0], int(result[-4])
    L, R = form.left @ result[1], form.right @ result[1]
    X = solve_sylvester(T[:r, :r], -T[r:, r:], T[:r, r:])
    first = Part(T[:r, :r], L[:, :r] - L[:, r:] @ adjoint(X), R[:, :r])
    return first, Part(T[r:, r:], L[:, r:], R[:, :r] @ X + R[:, r:])
