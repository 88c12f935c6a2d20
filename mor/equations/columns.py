r"""Sylvester and Stein equations with a cheap A and a small F, column by column.

With the complex Schur form :math:`F = U R U^H`, the columns of :math:`Y = X U` solve one shifted
equation each, the last column first,

.. math:: (A + \bar r_{jj}) y_j = -\Big(q_j + \sum_{i>j} \bar r_{ji} y_i\Big) \quad (dt = 0), \qquad
          (\bar r_{jj} A - I) y_j = -\Big(q_j + A \sum_{i>j} \bar r_{ji} y_i\Big) \quad (dt > 0),

where q are the columns of Q U. So A needs no Schur form: of a diagonal or block-diagonal A
(of a sparse one, too) nothing is asked but products and shifted solutions.

Source: [Benner11].
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mor.arrays import adjoint
from mor.equations.schur import SchurForm

#: From (a, c, b) to x with ``(a A + c I) x = b``.
Shifted = Callable[[complex, complex, np.ndarray], np.ndarray]


def solve_by_columns(
    shifted: Shifted, apply: Callable[[np.ndarray], np.ndarray], form: SchurForm, Q: np.ndarray
) -> np.ndarray:
    """X, complex, with ``A X + X F^H + Q = 0``, or ``A X F^H - X + Q = 0``.

    Parameters
    ----------
    shifted, apply : ``(a A + c I)^{-1} b`` and ``A Y``; b is a vector, Y a matrix.
    form : the Schur form of F, which has the time as well.
    Q : array (n, r).

    Notes
    -----
    r shifted solutions and ``8 n r^2`` flops, in complex arithmetic.
    """
    Q = Q.astype(complex)
    triangular = form.in_field_of(Q)
    R = triangular.pencil.T.conj()
    Y = Q @ triangular.left
    for j in range(len(R) - 1, -1, -1):
        later = Y[:, j + 1 :] @ R[j, j + 1 :]
        if form.dt:
            Y[:, j] = -shifted(R[j, j], -1.0, Y[:, j] + apply(later[:, None])[:, 0])
        else:
            Y[:, j] = -shifted(1.0, R[j, j], Y[:, j] + later)
    return Y @ adjoint(triangular.right)
