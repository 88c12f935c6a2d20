r"""Input-normal coordinates: reduced systems that are stable whatever the variables are.

In continuous time :math:`F = \sqrt d\,(\kappa - \tfrac12 g g^T) \sqrt d` and
:math:`G = \sqrt d\,g` with :math:`\kappa^T = -\kappa` have the controllability Gramian I for
all :math:`\kappa` and g. In discrete time that is so if :math:`[F\;G]` has orthonormal rows:
those of the polar factor of any matrix of that shape. Either way no eigenvalue of F is
outside the region of stability, and none is on its boundary as long as (F, G) is
controllable. Every stable, controllable system has such coordinates.

A rotation of the state is left free; it is used to make F of the start quasi-triangular. Then
row i belongs to pole i, and :math:`d_i`, the distance of that pole to the stability boundary, is
the unit in which changes of it count: a lightly damped pole that moves by its damping is
another one, wherever it lies. Without these units the problem is as badly scaled as the damping is light.

Source: Mullis and Roberts (1976) for the coordinates; Hanzon and Ober (1998).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mor.equations.cauchy import boundary_distance
from mor.equations.schur import SchurForm
from mor.errors import ReductionError
from mor.systems.lti import LTI


@dataclass(frozen=True, eq=False)
class InputNormal:
    """A start in these coordinates: F quasi-triangular, G, and the distances d of its poles."""

    F: np.ndarray
    G: np.ndarray
    rates: np.ndarray

    @classmethod
    def of(cls, system: LTI) -> InputNormal:
        """The controllable part of `system`.

        Raises
        ------
        ReductionError
            If no input reaches any state.
        """
        U, s, _ = np.linalg.svd(system.controllability_factor(), full_matrices=False)
        kept = s > len(U) * np.finfo(float).eps * np.max(s, initial=0.0)
        if not np.any(kept):
            raise ReductionError("no input reaches any state of the start; give another one.")
        left, right = U[:, kept] / s[kept], U[:, kept] * s[kept]
        form = SchurForm.of(left.T @ system.A @ right, None, system.dt)
        distance = np.asarray(boundary_distance(form.poles, system.dt))
        smallest = np.finfo(float).eps * np.max(np.abs(form.poles))
        return cls(form.pencil.T, form.enter(left.T @ system.B), np.maximum(distance, smallest))


@dataclass(frozen=True, eq=False)
class ContinuousCoordinates:
    """Variables kappa (below the diagonal) and g."""

    rates: np.ndarray
    inputs: int

    @classmethod
    def around(cls, start: InputNormal) -> tuple[ContinuousCoordinates, np.ndarray]:
        """Coordinates for systems like `start`, and its variables."""
        F, G, root = start.F, start.G, np.sqrt(start.rates)
        skew = (F - F.T) / 2 / root[:, None] / root
        below = np.tril_indices(len(F), -1)
        return cls(start.rates, G.shape[1]), np.concatenate([skew[below], (G / root[:, None]).ravel()])

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
    """Variables Y (r, r + m), in units of d, whose polar factor is [F G]."""

    rates: np.ndarray
    inputs: int

    @classmethod
    def around(cls, start: InputNormal) -> tuple[DiscreteCoordinates, np.ndarray]:
        """Coordinates for systems like `start`, and its variables."""
        coordinates = cls(start.rates, start.G.shape[1])
        return coordinates, (np.hstack([start.F, start.G]) / coordinates._units).ravel()

    @property
    def _units(self) -> np.ndarray:
        root = np.sqrt(self.rates)
        return root[:, None] * np.append(root, np.ones(self.inputs))

    def system(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(F, G) of the variables x."""
        U, _, Vt = self._svd(x)
        rows = U @ Vt
        r = len(self.rates)
        return rows[:, :r], rows[:, r:]

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
        return (U @ (tangent @ Vt + outside) * self._units).ravel()

    def _svd(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        units = self._units
        return np.linalg.svd(x.reshape(units.shape) * units, full_matrices=False)
