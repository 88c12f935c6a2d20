r"""Input-normal coordinates: reduced systems that are stable whatever the variables are.

In continuous time :math:`F = \sqrt d\,(\kappa - \tfrac12 g g^H) \sqrt d` and
:math:`G = \sqrt d\,g` with :math:`\kappa^H = -\kappa` have the controllability Gramian I for
all :math:`\kappa` and g. In discrete time that is so if :math:`[F\;G]` has orthonormal rows:
those of the polar factor of any matrix of that shape. Either way no eigenvalue of F is
outside the region of stability, and none is on its boundary as long as (F, G) is
controllable. Every stable, controllable system has such coordinates.

A rotation of the state is left free; it is used to make F of the start quasi-triangular. Then
row i belongs to pole i, and :math:`d_i`, the distance of that pole to the stability boundary, is
the unit in which changes of it count: a lightly damped pole that moves by its damping is
another one, wherever it lies. Without these units the problem is as badly scaled as the damping is light.

Of a complex system the variables are the real and imaginary parts of kappa and g, or of that
matrix; a gradient in a complex x is ``d/dRe x + i d/dIm x``.

Source: [Mullis76], [Hanzon98] for the coordinates.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mor.arrays import adjoint
from mor.equations.boundary import boundary_distance
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
    def of(cls, system: LTI, *, is_real: bool = True) -> InputNormal:
        """The controllable part of `system`, as a complex one unless `is_real`.

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
        A, B = adjoint(left) @ system.A @ right, adjoint(left) @ system.B
        if not is_real:
            A, B = A + 0j, B + 0j
        form = SchurForm.of(A, None, system.dt)
        distance = np.asarray(boundary_distance(form.poles, system.dt))
        smallest = np.finfo(float).eps * np.max(np.abs(form.poles))
        return cls(form.pencil.T, form.enter(B), np.maximum(distance, smallest))


@dataclass(frozen=True, eq=False)
class ContinuousCoordinates:
    """Variables L and g; ``kappa = L - L^H``.

    L is lower triangular; of a real system zero on the diagonal, of a complex one imaginary there
    (a real part is a variable without effect).
    """

    rates: np.ndarray
    inputs: int
    dtype: np.dtype

    @classmethod
    def around(cls, start: InputNormal) -> tuple[ContinuousCoordinates, np.ndarray]:
        """Coordinates for systems like `start`, and its variables."""
        F, G, root = start.F, start.G, np.sqrt(start.rates)
        skew = (F - adjoint(F)) / 2 / root[:, None] / root
        np.fill_diagonal(skew, np.diag(skew) / 2)
        self = cls(start.rates, G.shape[1], np.result_type(F, G))
        return self, _as_reals(np.concatenate([skew[self._lower], (G / root[:, None]).ravel()]))

    @property
    def _lower(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of the variables in L."""
        return np.tril_indices(len(self.rates), 0 if self.dtype.kind == "c" else -1)

    def system(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(F, G) of the variables x."""
        r, root, x = len(self.rates), np.sqrt(self.rates), x.view(self.dtype)
        half, lower = np.zeros((r, r), self.dtype), self._lower
        count = len(lower[0])
        half[lower] = x[:count]
        g = x[count:].reshape(r, self.inputs)
        F = root[:, None] * (half - adjoint(half) - g @ adjoint(g) / 2) * root
        return F, root[:, None] * g

    def pull(self, x: np.ndarray, to_F: np.ndarray, to_G: np.ndarray) -> np.ndarray:
        """The gradient in x from that in F and G."""
        r, root, lower = len(self.rates), np.sqrt(self.rates), self._lower
        g = x.view(self.dtype)[len(lower[0]) :].reshape(r, self.inputs)
        inner = root[:, None] * to_F * root
        to_g = root[:, None] * to_G - (inner + adjoint(inner)) @ g / 2
        return _as_reals(np.concatenate([(inner - adjoint(inner))[lower], to_g.ravel()]))


@dataclass(frozen=True, eq=False)
class DiscreteCoordinates:
    """Variables Y (r, r + m), in units of d, whose polar factor is [F G]."""

    rates: np.ndarray
    inputs: int
    dtype: np.dtype

    @classmethod
    def around(cls, start: InputNormal) -> tuple[DiscreteCoordinates, np.ndarray]:
        """Coordinates for systems like `start`, and its variables."""
        rows = np.hstack([start.F, start.G])
        self = cls(start.rates, start.G.shape[1], rows.dtype)
        return self, _as_reals((rows / self._units).ravel())

    @property
    def _units(self) -> np.ndarray:
        root = np.sqrt(self.rates)
        return root[:, None] * np.append(root, np.ones(self.inputs))

    def system(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(F, G) of the variables x."""
        U, _, Vh = self._svd(x)
        rows = U @ Vh
        r = len(self.rates)
        return rows[:, :r], rows[:, r:]

    def pull(self, x: np.ndarray, to_F: np.ndarray, to_G: np.ndarray) -> np.ndarray:
        r"""The gradient in x from that in F and G.

        With :math:`Y = U \Sigma V^H` and :math:`Q = U V^H`, a gradient N in Q is one of
        :math:`U [(K - K^H)_{ij} / (\sigma_i + \sigma_j)] V^H + U \Sigma^{-1} (L - L V V^H)`
        in Y, where :math:`L = U^H N` and :math:`K = L V`.
        """
        U, sigma, Vh = self._svd(x)
        inner = adjoint(U) @ np.hstack([to_F, to_G])
        square = inner @ adjoint(Vh)
        tangent = (square - adjoint(square)) / (sigma[:, None] + sigma)
        outside = (inner - square @ Vh) / sigma[:, None]
        return _as_reals((U @ (tangent @ Vh + outside) * self._units).ravel())

    def _svd(self, x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        units = self._units
        return np.linalg.svd(x.view(self.dtype).reshape(units.shape) * units, full_matrices=False)


def _as_reals(x: np.ndarray) -> np.ndarray:
    """Real and imaginary parts in turn; `x` itself if it is real."""
    return x.view(float)
