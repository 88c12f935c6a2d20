r"""What double precision adds to the error of a reduction, to first order.

A transfer function :math:`G(s) = C(s-A)^{-1}B` of data with the errors dA, dB, dC is off by

.. math:: dG(s) = C(s-A)^{-1}\,dA\,(s-A)^{-1}B + C(s-A)^{-1}\,dB + dC\,(s-A)^{-1}B,

which is large where s is close to a pole. Two such errors are made. The Gramians, and so the reduced system
and its bound, are those of a full system that round-off has changed: a dense A by some units of
:math:`\epsilon\|A\|` in the coordinates of its Schur form, poles that are data by units of themselves. And
the projection :math:`W^HAV` is rounded, entry by entry by no more than a few units of
:math:`\epsilon\,|W|^H|A||V|`. Both are evaluated at the points of the boundary next to those poles
that lie nearest to it, and at dc.

Source: [Higham02], section 3.5, for products; the Schur form's backward error as in
:mod:`mor.equations.boundary`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mor.arrays import EPS, adjoint, to_numpy
from mor.equations.boundary import ROUNDOFF, dc_point, nearest_points
from mor.equations.resolvent import resolvent
from mor.equations.schur import SchurForm
from mor.equations.transfer import states_by_form
from mor.systems.base import System
from mor.systems.block_diagonal import BlockDiagonal
from mor.systems.lti import LTI
from mor.systems.modal import Modal

#: Points next to poles, and at the rates of others, at which the errors of one system are evaluated; and
#: those of each of a batch.
POINTS, POINTS_OF_MEMBER = (8, 4), (2, 1)

#: Units of round-off by which a product of matrices may be off, of the product of absolute values.
PRODUCT = 16 * EPS


class Points(NamedTuple):
    """Points (..., K) at which errors are evaluated, and the factor (...) on what they are there."""

    s: np.ndarray
    factor: np.ndarray


def critical_points(
    poles: np.ndarray,
    margin: np.ndarray,
    dt: float,
    horizon: float | None = None,
    count: tuple[int, int] = POINTS,
) -> Points:
    r"""Dc, the points of the stability boundary next to the poles (..., k) of least margins, and some of the
    frequencies :math:`|\lambda|` of all.

    On a horizon T errors grow no longer than that: signals with the weight :math:`e^{-\alpha t}` have their
    gains on the line :math:`\Re s = \alpha`, and :math:`e^{\alpha T}` limits what the weight is worth. With
    :math:`\alpha = 1/T`, or that beyond the fastest growth, the line is as far from the poles as T asks for.
    """
    poles, (near, between) = poles.astype(complex), count
    nearest = np.argsort(margin, axis=-1)[..., :near]
    points = [nearest_points(np.take_along_axis(poles, nearest, axis=-1), dt)]
    points.append(np.full((*poles.shape[:-1], 1), dc_point(dt), dtype=complex))
    if poles.shape[-1]:
        rates = np.sort(np.abs(np.log(np.where(poles == 0, 1.0, poles))) if dt else np.abs(poles), axis=-1)
        middle = rates[..., np.linspace(0, rates.shape[-1] - 1, between + 2).astype(int)[1:-1]]
        points.append(np.exp(1j * np.minimum(middle, np.pi)) if dt else 1j * middle)
    s = np.concatenate(points, axis=-1)
    if horizon is None:
        return Points(s, np.ones(s.shape[:-1]))
    growth = np.maximum(-np.min(margin, axis=-1, initial=0.0), 0.0)
    rate = (np.log1p(growth) if dt else growth) + 1 / horizon
    with np.errstate(over="ignore"):
        return Points(s * np.exp(rate[..., None]) if dt else s + rate[..., None], np.exp(rate * horizon))


def data_roundoff(system: System, points: Points) -> np.ndarray:
    r"""What round-off of A adds to the gain of a linear system, (...): the largest at the points.

    Of a dense system :math:`\epsilon\|A\|\,\|C(s-A)^{-1}\|\,\|(s-A)^{-1}B\|`, of blocks the sum of that over
    blocks, and of modes :math:`\sum_i \epsilon|\lambda_i|\,|c_i||b_i|/|s-\lambda_i|^2`. Infinite where
    no pole's error is known to be smaller than its margin.

    Notes
    -----
    Cost of a dense system of order n with its Schur form at hand: ``2 n^2 K (m + p)`` flops.
    """
    modal, s = system.modal, points.s
    gains = _of_states(system, s) if modal is None else _of_modes(modal, s)
    return points.factor * np.max(gains, axis=-1, initial=0.0)


def _of_modes(system: Modal, points: np.ndarray) -> np.ndarray:
    poles, B, C = (to_numpy(x) for x in (system.poles, system.B, system.C))
    noise = ROUNDOFF * np.abs(poles) * np.linalg.norm(B, axis=-1) * np.linalg.norm(C, axis=-2)
    s, poles = points[..., :, None], poles[..., None, :]
    nearest = np.minimum(np.abs(s - poles), np.abs(s - poles.conj()))
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        return np.sum(noise[..., None, :] / nearest**2, axis=-1)


def _of_blocks(system: BlockDiagonal, points: np.ndarray) -> np.ndarray:
    blocks, B, C = (to_numpy(x) for x in (system.blocks, system.B, system.C))
    q, s = blocks.shape[:2]
    shifted = points[:, None, None, None] * np.eye(s) - blocks
    inputs = np.linalg.solve(shifted, B.reshape(1, q, s, -1) + 0j)
    outputs = np.linalg.solve(shifted.mT, C.T.reshape(1, q, s, -1) + 0j)
    sizes = [np.linalg.norm(x, axis=(-2, -1)) for x in (inputs, outputs, blocks)]
    return np.sum(ROUNDOFF * sizes[0] * sizes[1] * sizes[2], axis=-1)


def _of_states(system: System, points: np.ndarray) -> np.ndarray:
    # Round-off of a block stays in it, which no dense form shows.
    if isinstance(system, BlockDiagonal):
        return _of_blocks(system, points)
    return _of_dense(system.to_lti(), points)


def _of_dense(system: LTI, points: np.ndarray) -> np.ndarray:
    form, back = system.schur, system.schur.adjoint
    inputs = resolvent(form.pencil, points, form.enter(system.B))
    outputs = resolvent(back.pencil, points.conj(), back.enter(adjoint(system.C)))
    size, seen = np.linalg.norm(inputs, axis=2), np.linalg.norm(outputs[::-1], axis=2)
    if form.exact and form.divided is None:
        return ROUNDOFF * np.sum(seen * (np.abs(form.pencil.T) @ size), axis=0)
    noise = form.noise(points) * np.linalg.norm(size, axis=0) * np.linalg.norm(seen, axis=0)
    # The sum of the whole series, of which the first term is dG.
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.max(np.where(form.pole_errors > 0, form.pole_errors / form.margins, 0.0), initial=0.0)
    return noise / (1 - share) if 0 <= share < 1 else np.full(len(points), np.inf)


class Projected(NamedTuple):
    """``W^H A V``, ``W^H B`` and ``C V`` (..., r, r), and what entries may be off by."""

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    dA: np.ndarray
    dB: np.ndarray
    dC: np.ndarray

    @classmethod
    def of(cls, system: System, left: np.ndarray, right: np.ndarray) -> Projected:
        r"""The projection of a linear system or of a batch, W and V (..., n, r), with :math:`W^HV = I`.

        That is so up to round-off of :math:`|W|^H|V|`, by which all products are off as well.
        """
        operator, B, C = system.operator, system.input_factor_matrix, system.output_factor_matrix
        W, into, V = adjoint(left), np.abs(adjoint(left)), np.abs(right)
        small = W @ operator.apply(right), W @ B, C @ right
        overlap = into @ V
        errors = (
            into @ operator.apply_absolute(V) + overlap @ np.abs(small[0]),
            into @ np.abs(B) + overlap @ np.abs(small[1]),
            np.abs(C) @ V,
        )
        return cls(*small, *(PRODUCT * x for x in errors))

    def roundoff(self, points: np.ndarray, form: SchurForm | None = None) -> tuple[np.ndarray, np.ndarray]:
        r"""``(gains, values)`` at the points (..., K): limits of dG (..., K), and :math:`C(s-A)^{-1}B`,
        (..., K, p, m). The Schur form of a large A, where there is one, saves the cubes."""
        if form is None:
            shifted = points[..., None, None] * np.eye(self.A.shape[-1]) - self.A[..., None, :, :]
            inverse = np.linalg.inv(shifted)
            inputs, outputs = inverse @ self.B[..., None, :, :], self.C[..., None, :, :] @ inverse
        else:
            inputs = np.moveaxis(states_by_form(form, points, self.B), 1, 0)
            outputs = states_by_form(form.adjoint, points.conj(), adjoint(self.C))
            outputs = adjoint(np.moveaxis(outputs, 1, 0))
        size, seen = np.abs(inputs), np.abs(outputs)
        dA, dB, dC = (x[..., None, :, :] for x in (self.dA, self.dB, self.dC))
        error = seen @ (dA @ size + dB) + dC @ size
        return np.linalg.norm(error, axis=(-2, -1)), self.C[..., None, :, :] @ inputs
