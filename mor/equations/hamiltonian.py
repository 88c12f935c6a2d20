r"""Where a gain crosses a level: eigenvalues on the imaginary axis.

With :math:`G(s) = C(sI-A)^{-1}B + D`, a level :math:`\gamma` is a singular value of
:math:`G(i\omega)` exactly where :math:`Gu = \gamma v,\ G^Hv = \gamma u` has a solution, that
is where :math:`i\omega` is an eigenvalue of the pencil (after scaling B and C by
:math:`\gamma^{-1/2}`, D by :math:`\gamma^{-1}`)

.. math::
   s \begin{bmatrix} I & & & \\ & I & & \\ & & 0 & \\ & & & 0 \end{bmatrix} -
   \begin{bmatrix} A & 0 & B & 0 \\ 0 & -A^H & 0 & -C^H \\
                   C & 0 & D & -I \\ 0 & B^H & -I & D^H \end{bmatrix}.

In the singular vectors of D the last two block rows decouple into 2 x 2 blocks, each of
which can be solved for its u and v unless its singular value is close to the level. With all
of them solved the pencil is the Hamiltonian matrix of order 2n; what is close stays in the
pencil, so that :math:`(\gamma^2 I - D^HD)^{-1}` is never taken where it is large.

Source: [Boyd90], [Bruinsma90]; the pencil as in [Benner12].
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.linalg

from mor.arrays import EPS, TINY, adjoint, largest_entry

#: Squared singular values of D over the level, beyond which they stay in the pencil.
_CLOSE = 0.5

#: Distance to the axis, of the norm, below which a double eigenvalue may lie on it.
_NEAR = 1e-7

#: How far the matrix whose exact spectrum was computed may be from the given one, in round-off of the norm.
_BACKWARD = 10.0

#: Fewest and most eigenvalues whose distance to the axis is computed.
_LEAST_LOOKS, _MOST_LOOKS = 4, 16


@dataclass(frozen=True)
class LevelPencil:
    """``M - s N`` with ``N = diag(I, 0)``, of which `states` rows are not zero.

    Its eigenvalues are symmetric about the imaginary axis. They are in the unit of frequency `unit`,
    which brings all rows to one scale.
    """

    M: np.ndarray
    states: int
    unit: float

    @cached_property
    def norm(self) -> float:
        return float(np.linalg.norm(self.M))

    @cached_property
    def eigenvalues(self) -> Any:
        """All finite ones."""
        if self.states == len(self.M):
            return scipy.linalg.eigvals(self.M, check_finite=False)
        N = np.diag(np.arange(len(self.M)) < self.states).astype(float)
        if not np.all(np.isfinite(self.M)):
            raise np.linalg.LinAlgError("the pencil of a level is not finite")
        over, under = np.asarray(scipy.linalg.eigvals(self.M, N, homogeneous_eigvals=True))
        # Larger ones are at infinity to round-off.
        finite = np.abs(over) < np.abs(under) * self.norm / EPS**0.5
        return over[finite] / under[finite]

    def crossings(self) -> np.ndarray:
        """Frequencies at which the level may be crossed, sorted: rather too many than too few."""
        return np.unique(self.eigenvalues.imag[self._near()]) * self.unit

    def _near(self) -> np.ndarray:
        """Which eigenvalues may lie on the axis."""
        values = self.eigenvalues
        return np.abs(values.real) <= _NEAR * np.maximum(np.abs(values), self.norm)

    def clearance(self) -> float:
        r"""Above 1 if no eigenvalue lies on the axis, for all that round-off may have done.

        A computed spectrum is that of ``M + F``, ``|F|`` within some round-off of ``|M|``; with
        such an F the point :math:`i\omega` is an eigenvalue only if
        :math:`\sigma_{\min}(M - i\omega N) \le |F|`. The result is the least such distance over that limit,
        beside the eigenvalues closest to the axis.
        """
        values = self.eigenvalues
        distance = np.abs(values.real)
        looks = int(np.clip(np.sum(self._near()), _LEAST_LOOKS, _MOST_LOOKS))
        closest = np.argsort(distance)[:looks]
        limit = _BACKWARD * EPS * self.norm
        beside = values.imag[closest]
        if not np.iscomplexobj(self.M):
            beside = np.abs(beside)
        looked: list[tuple[float, float]] = []
        for w in beside:
            # The distance changes by no more than the frequency.
            if not any(there - abs(w - at) > limit for at, there in looked):
                looked.append((w, self._distance(w)))
        return min((there for _, there in looked), default=np.inf) / max(limit, TINY)

    def _distance(self, omega: float) -> float:
        """Smallest singular value of ``M - i omega N``, by inverse iteration."""
        shifted = self.M.astype(complex)
        index = np.arange(self.states)
        shifted[index, index] -= 1j * omega
        factor, solve = scipy.linalg.get_lapack_funcs(("getrf", "getrs"), (shifted,))
        # Its transpose has the same singular values, and is stored as LAPACK takes it.
        lu, pivots, info = factor(shifted.T, overwrite_a=True)
        if info or not len(self.M):
            return 0.0 if info else np.inf
        x: Any = np.full(len(self.M), len(self.M) ** -0.5, dtype=complex)
        growth = 1.0
        for _ in range(3):
            y = solve(lu, pivots, x, trans=2)[0]
            x = solve(lu, pivots, y / np.linalg.norm(y))[0]
            growth = float(np.linalg.norm(x))
            if not 0 < growth < np.inf:
                return 0.0
            x = x / growth
        return 1 / growth


def level_pencil(A: np.ndarray, B: np.ndarray, C: np.ndarray, D: np.ndarray, gamma: float) -> LevelPencil:
    """The pencil whose imaginary eigenvalues are where a singular value of G equals `gamma`.

    Parameters
    ----------
    A, B, C, D : arrays (n, n), (n, m), (p, n), (p, m), real or complex, E divided out.
    gamma : positive, not a singular value of D.

    Notes
    -----
    Cost of its eigenvalues about ``25 (2n)^3`` flops, ``66 (2n + 2k)^3`` where k singular
    values of D are close to the level.
    """
    unit = largest_entry(A) or 1.0
    A, (B, C) = A / unit, _scaled_to_level(B, C, gamma * unit)
    U, s, Vh = np.linalg.svd(D / gamma)
    B, C = B @ adjoint(Vh), adjoint(U) @ C
    kept = s**2 > _CLOSE
    inside = np.where(kept, 0.0, 1 / np.where(kept, 1.0, (1 - s) * (1 + s)))
    F = A + (B[:, : len(s)] * (s * inside)) @ C[: len(s)]
    hamiltonian = np.block([[F, _weighted(B, inside)], [-_weighted(adjoint(C), inside), -adjoint(F)]])
    if not kept.any():
        balanced: Any = scipy.linalg.matrix_balance(hamiltonian, permute=False)[0]
        return LevelPencil(balanced, len(balanced), unit)
    b, c, S = B[:, : len(s)][:, kept], C[: len(s)][kept], np.diag(s[kept])
    zero, one = np.zeros_like(b), np.eye(len(S))
    into = np.block([[b, zero], [zero, -adjoint(c)]])
    out = np.block([[c, zero.T], [zero.T, adjoint(b)]])
    rest = np.block([[S, -one], [-one, S]])
    return LevelPencil(np.block([[hamiltonian, into], [out, rest]]), 2 * len(A), unit)


def _scaled_to_level(B: np.ndarray, C: np.ndarray, gamma: float) -> tuple[np.ndarray, np.ndarray]:
    """B and C over the root of the level, their sizes made equal by a scale of the state."""
    b, c = (largest_entry(X) ** 0.5 for X in (B, C))
    if b == 0 or c == 0:
        return np.zeros_like(B), np.zeros_like(C)
    return B / b * (c / gamma**0.5), C / c * (b / gamma**0.5)


def _weighted(X: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """``X diag(inside, 1, ...) X^H``."""
    weights = np.ones(X.shape[1])
    weights[: len(inside)] = inside
    return (X * weights) @ adjoint(X)


def to_the_axis(
    A: np.ndarray, B: np.ndarray, C: np.ndarray, D: np.ndarray, point: complex
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    r"""A continuous system with the gains of a discrete one, :math:`G_c(s) = G(z_0\frac{s+1}{s-1})`.

    .. math:: A_c = -(z_0+A)W,\quad B_c = \sqrt2\,WB,\quad C_c = -\sqrt2\,z_0CW,\quad
              D_c = G(z_0) = D + CWB,\qquad W = (z_0-A)^{-1}.

    The unit circle becomes the imaginary axis, and `point` :math:`z_0` on the circle infinity.
    A itself is not inverted, so it may be singular, and an eigenvalue problem of order 2n takes the
    place of a generalised one. Real data stay real for ``point = +-1``.
    """
    z: Any = point.real if point.imag == 0 else point
    eye = np.eye(len(A))
    solved = np.linalg.solve(z * eye - A, np.hstack([B, z * eye + A]))
    WB, WF = solved[:, : B.shape[1]], solved[:, B.shape[1] :]
    CW = np.linalg.solve((z * eye - A).T, C.T).T
    return -WF, 2**0.5 * WB, -(2**0.5) * z * CW, D + C @ WB


def from_the_axis(omega: np.ndarray, point: complex) -> np.ndarray:
    """Angles on the unit circle, in [-pi, pi], of the points ``i omega`` of :func:`to_the_axis`."""
    return np.angle(point * (1j * omega + 1) / (1j * omega - 1))
