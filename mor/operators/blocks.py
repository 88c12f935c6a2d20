"""Block-diagonal state matrices with small blocks of one size, all real."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import scipy.linalg

from mor.arrays import Array, astype_like, device_kwargs, from_numpy, is_concrete, namespace, to_numpy
from mor.equations.band import Band, band_factors
from mor.equations.blocks import block_margins, pairwise_solve, to_blocks
from mor.equations.boundary import dc_point
from mor.equations.definite import definite_factor
from mor.equations.doubling import Evolution, lyapunov_horizon_factor, stein_factor
from mor.equations.holds import Hold, matrix_holds
from mor.errors import DimensionError
from mor.operators.base import GramianPair, Operator
from mor.operators.dense import DenseOperator


@dataclass(frozen=True, eq=False)
class BlockSpectrum:
    """Eigenvalues of all blocks, (..., q s)."""

    blocks: Array
    dt: float

    @property
    def _shape(self) -> tuple[int, ...]:
        *batch, q, s, _ = self.blocks.shape
        return (*batch, q * s)

    @property
    def poles(self) -> Array:
        xp = namespace(self.blocks)
        if not is_concrete(self.blocks):
            return xp.zeros(self._shape, dtype=self.blocks.dtype)
        values = np.linalg.eigvals(to_numpy(self.blocks))
        return xp.asarray(values.reshape(self._shape), **device_kwargs(self.blocks))

    @property
    def margins(self) -> Array:
        """Of a conjugate pair in a block of two from its trace and determinant, exactly."""
        return self._known[0]

    @property
    def pole_errors(self) -> Array:
        """Zero for those pairs, else as of a dense system, block by block."""
        return self._known[1]

    @cached_property
    def _known(self) -> list[Array]:
        xp = namespace(self.blocks)
        found = (x.reshape(self._shape) for x in block_margins(to_numpy(self.blocks), self.dt))
        return [xp.asarray(x, **device_kwargs(self.blocks)) for x in found]


@dataclass(frozen=True, eq=False)
class BlockOperator(Operator, Evolution):
    """``x -> diag(blocks) x``, blocks (..., q, s, s)."""

    blocks: Array
    dt: float = 0.0

    @cached_property
    def spectrum(self) -> BlockSpectrum:  # pyright: ignore[reportIncompatibleMethodOverride]
        return BlockSpectrum(self.blocks, self.dt)

    @property
    def dense(self) -> DenseOperator:
        """The same matrix with its zeros, on NumPy; of a single one."""
        if self.blocks.ndim > 3:
            raise DimensionError("a batch of block-diagonal matrices has no dense form: take one at a time.")
        blocks = to_numpy(self.blocks)
        A: Any = scipy.linalg.block_diag(*blocks) if len(blocks) else np.zeros((0, 0))
        return DenseOperator(A.astype(float), None, self.dt)

    def apply(self, Z: Array) -> Array:
        xp = namespace(Z)
        q, s = self.blocks.shape[-3:-1]
        split = xp.reshape(Z, (*Z.shape[:-2], q, s, Z.shape[-1]))
        return xp.reshape(self.blocks @ split, Z.shape)

    def apply_absolute(self, Z: Array) -> Array:
        return BlockOperator(namespace(self.blocks).abs(self.blocks), self.dt).apply(Z)

    def square(self) -> Self:
        """``A^2``."""
        return type(self)(self.blocks @ self.blocks, self.dt)

    def adjoint(self) -> BlockOperator:
        return BlockOperator(namespace(self.blocks).matrix_transpose(self.blocks), self.dt)

    def solve(self, a: complex, c: complex, X: np.ndarray, *, adjoint: bool = False) -> np.ndarray:
        if a == 0:
            return X if c == 1 else X / (np.conj(c) if adjoint else c)
        blocks = to_numpy(self.blocks)
        S, split = a * blocks + c * np.eye(blocks.shape[-1]), X.reshape(*blocks.shape[:-1], -1)
        return np.linalg.solve(S.conj().mT if adjoint else S, split).reshape(X.shape)

    def transfer(self, points: Array, B: Array, C: Array) -> Array:
        value = self.dense.transfer(to_numpy(points).astype(complex), to_numpy(B), to_numpy(C))
        return from_numpy(value, B)

    def factors(
        self, B: Array | None, C: Array | None, *, horizon: float | None = None, band: Band | None = None
    ) -> tuple[Any, Any]:
        """Formed and factored where P is safely definite, else by doubling."""
        if band is not None:
            return band_factors(self.dense.schur, to_numpy(B), to_numpy(C), band)
        return (
            None if B is None else self._factor(B, horizon),
            None if C is None else self.adjoint()._factor(namespace(C).matrix_transpose(C), horizon),
        )

    def _factor(self, B: Array, horizon: float | None) -> Array:
        if horizon is None and is_concrete(self.blocks, B):
            quick = definite_factor(self._gramian(B, None))
            if quick is not None:
                return quick
        return self._doubled(B, horizon)

    def _doubled(self, B: Array, horizon: float | None) -> Array:
        if self.dt:
            return stein_factor(self, B, horizon=None if horizon is None else int(horizon))
        if horizon is not None:
            return self._continuous(B, horizon)
        xp = namespace(B)
        eye = xp.eye(self.blocks.shape[-1], dtype=B.dtype, **device_kwargs(B))
        shift = xp.max(xp.linalg.matrix_norm(self.blocks)) if B.shape[-2] else 1.0
        inverse = xp.linalg.inv(shift * eye - self.blocks)
        cayley = BlockOperator(inverse @ (shift * eye + self.blocks))
        return stein_factor(cayley, (2 * shift) ** 0.5 * BlockOperator(inverse).apply(B))

    def _continuous(self, B: Array, horizon: float) -> Array:
        blocks = to_numpy(self.blocks)
        rate = float(np.abs(blocks).sum(axis=-1).max(initial=0.0))
        flow = lambda t: BlockOperator(scipy.linalg.expm(blocks * t))  # noqa: E731
        return from_numpy(lyapunov_horizon_factor(flow, rate, to_numpy(B), horizon), B)

    def _gramian(self, B: Array, horizon: float | None) -> Array:
        t = namespace(B).matrix_transpose
        if horizon is not None:
            Z = self._doubled(B, horizon)
            return Z @ t(Z)
        P = pairwise_solve(self.blocks, B @ t(B), dt=self.dt)
        return (P + t(P)) / 2

    def gramians(
        self, B: Array, C: Array, *, horizon: float | None = None, band: Band | None = None
    ) -> GramianPair:
        r"""With the pullback by two adjoint equations, ``A^T Y A - Y + W_P = 0`` and
        ``A H A^T - H + W_Q = 0``.

        ``dA = 2 (Y A P + Q A H)`` (``2 (Y P + Q H)`` at dt = 0), on the blocks; ``dB = 2 Y B``,
        ``dC = 2 C H``.
        """
        if band is not None:
            return super().gramians(B, C, band=band)
        turned = self.adjoint()
        P, Q = self._gramian(B, horizon), turned._gramian(namespace(C).matrix_transpose(C), horizon)

        def pull(weight_P: Array, weight_Q: Array) -> dict[str, Array]:
            Y = pairwise_solve(turned.blocks, weight_P, dt=self.dt)
            H = pairwise_solve(self.blocks, weight_Q, dt=self.dt)
            to_A = Y @ self.apply(P) + Q @ self.apply(H) if self.dt else Y @ P + Q @ H
            to_blocks = 2 * _diagonal_blocks(to_A, self.blocks.shape[-1])
            return {"blocks": to_blocks, "B": 2 * Y @ B, "C": 2 * C @ H}

        return GramianPair(P, Q, pull)

    def inverted(self, B: Array, C: Array) -> tuple[BlockOperator, Array, Array]:
        """Block by block, without a derivative."""
        blocks = to_numpy(self.blocks)
        shift = dc_point(self.dt) * np.eye(blocks.shape[-1])
        inverse = BlockOperator(np.linalg.inv(blocks - shift), self.dt)
        turned = inverse.adjoint().apply(to_numpy(C).mT).mT
        found = shift + inverse.blocks, inverse.apply(to_numpy(B)), -turned
        blocks, B, C = (astype_like(from_numpy(x, B), B) for x in found)
        return BlockOperator(blocks, self.dt), B, C

    def sampled(self, step: float, B: Array, hold: Hold) -> tuple[BlockOperator, Array, Array]:
        """Block by block, in every framework, without a derivative."""
        blocks, rows = to_numpy(self.blocks), to_numpy(B)
        A, first, late = matrix_holds(blocks, rows.reshape(*blocks.shape[:-1], rows.shape[-1]), step, hold)
        found = A, first.reshape(rows.shape), late.reshape(rows.shape)
        A, first, late = (astype_like(from_numpy(x, B), B) for x in found)
        return BlockOperator(A, step), first, late

    def joined(self, other: Operator) -> BlockOperator | None:
        if not isinstance(other, BlockOperator) or other.blocks.shape[-1] != self.blocks.shape[-1]:
            return None
        return BlockOperator(namespace(self.blocks).concat([self.blocks, other.blocks], axis=-3), self.dt)


def _diagonal_blocks(X: Array, s: int) -> Array:
    xp = namespace(X)
    if not X.shape[-1]:
        return xp.zeros((*X.shape[:-2], 0, s, s), dtype=X.dtype, **device_kwargs(X))
    blocks = to_blocks(X, s)
    return xp.stack([blocks[..., i, i, :, :] for i in range(blocks.shape[-4])], axis=-3)
