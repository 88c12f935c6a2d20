r"""Input-normal coordinates: reduced systems that are stable whatever the variables are.

In continuous time :math:`F = \sqrt d\,(\kappa - \tfrac12 g g^T) \sqrt d` and
:math:`G = \sqrt d\,g` with :math:`\kappa^T = -\kappa` have the controllability Gramian I for
all :math:`\kappa` and g. In discrete time that is so if :math:`[F\;G]` has orthonormal rows:
those of the polar factor of any matrix of that shape. Either way no eigenvalue of F is
outside the region of stability, and none is on its boundary as long as (F, G) is
controllable. Every stable, controllable system has such coordinates.

Source: Mullis and Roberts (1976) for the coordinates; Hanzon and Ober (1998).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class ContinuousCoordinates:
    """Variables kappa (below the diagonal) and g, scaled by the rates d of the start."""

    rates: np.ndarray
    inputs: int

    @classmethod
    def around(cls, F: np.ndarray, G: np.ndarray) -> tuple[ContinuousCoordinates, np.ndarray]:
        """Coordinates for systems like (F, G), whose Gramian is I, and its variables."""
        # Rows of F are as large as the poles that they have most to do with.
        rates = np.maximum(np.linalg.norm(F, axis=1), np.finfo(float).tiny)
        root = np.sqrt(rates)
        skew = (F - F.T) / 2 / root[:, None] / root
        below = np.tril_indices(len(F), -1)
        return cls(rates, G.shape[1]), np.concatenate([skew[below], (G / root[:, None]).ravel()])

    def system(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(F, G) of the variables x."""
        r, root = len(self.rates), np.sqrt(self.rates)
        skew = np.zeros((r, r))
        count = r * (r - 1) // 2
        skew[np.tril_indices(r, -1)] = x[:count]
        g = x[count:].reshape(r, self.inputs)
        F = root[:, None] * (skew - skew.T - g @ g.T / 2) * root
        return F, root[:, None] * g

    def pull(self, x: np.ndarray, to_F: np.ndarray, to_G: np.ndarray) -> np.ndarray:
        """The gradient in x from that in F and G."""
        r, root = len(self.rates), np.sqrt(self.rates)
        g = x[r * (r - 1) // 2 :].reshape(r, self.inputs)
        inner = root[:, None] * to_F * root
        to_g = root[:, None] * to_G - (inner + inner.T) @ g / 2
        return np.concatenate([(inner - inner.T)[np.tril_indices(r, -1)], to_g.ravel()])


@dataclass(frozen=True, eq=False)
class DiscreteCoordinates:
    """Variables Y (r, r + m), whose polar factor is [F G]."""

    order: int
    inputs: int

    @classmethod
    def around(cls, F: np.ndarray, G: np.ndarray) -> tuple[DiscreteCoordinates, np.ndarray]:
        """Coordinates for systems of this size, and the variables of (F, G), whose Gramian is I."""
        return cls(*G.shape), np.hstack([F, G]).ravel()

    def system(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(F, G) of the variables x."""
        U, _, Vt = self._svd(x)
        rows = U @ Vt
        return rows[:, : self.order], rows[:, self.order :]

    def pull(self, x: np.ndarray, to_F: np.ndarray, to_G: np.ndarray) -> np.ndarray:
        r"""The gradient in x from that in F and G.

        With :math:`Y = U \Sigma V^T` and :math:`Q = U V^T`, a gradient N in Q is one of
        :math:`U [(K - K^T)_{ij} / (\sigma_i + \sigma_j)] V^T + U \Sigma^{-1} (L - L V V^T)`
        in Y, where :math:`L = U^T N` and :math:`K = L V`.
        """
        U, sigma, Vt = self._svd(x)
        inner = U.T @ np.hstack([to_F, to_G])
        square = inner @ Vt.T
        tangent = (square - square.T) / (sigma[:, None] + sigma)
        outside = (inner - square @ Vt) / sigma[:, None]
        return (U @ (tangent @ Vt + outside)).ravel()

    def _svd(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return np.linalg.svd(x.reshape(self.order, self.order + self.inputs), full_matrices=False)
