"""Unitary changes of coordinates by a block of Householder reflectors, ``Q = I - Y T Y^H``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.linalg

from mor.arrays import adjoint


@dataclass(frozen=True, eq=False)
class Reflectors:
    """Q, n x n, by Y (n, r) and T (r, r): products with it cost ``4 n r`` flops a row or column."""

    Y: np.ndarray
    T: np.ndarray

    @classmethod
    def onto(cls, basis: np.ndarray) -> Reflectors:
        """Q whose first r columns span those of `basis` (n, r), which are independent.

        Examples
        --------
        >>> import numpy as np
        >>> Q = Reflectors.onto(np.array([[3.0], [4.0]])).right(np.eye(2))
        >>> Q.round(2)
        array([[-0.6, -0.8],
               [-0.8,  0.6]])
        """
        qr: Any = scipy.linalg.qr
        return cls.of(*qr(basis, mode="raw")[0])

    @classmethod
    def of(cls, packed: np.ndarray, tau: np.ndarray) -> Reflectors:
        """The Q of a QR factorisation as LAPACK has it."""
        r = len(tau)
        Y = np.tril(packed[:, :r], -1) + np.eye(len(packed), r)
        T = np.zeros((r, r), dtype=Y.dtype)
        for j in range(r):
            T[j, j] = tau[j]
            T[:j, j] = -tau[j] * (T[:j, :j] @ (adjoint(Y[:, :j]) @ Y[:, j]))
        return cls(Y, T)

    def left(self, X: np.ndarray) -> np.ndarray:
        """``Q^H X``."""
        return X - self.Y @ (adjoint(self.T) @ (adjoint(self.Y) @ X))

    def right(self, X: np.ndarray) -> np.ndarray:
        """``X Q``."""
        return X - ((X @ self.Y) @ self.T) @ adjoint(self.Y)
