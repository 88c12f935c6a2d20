"""Systems whose state matrix is block diagonal with small blocks of one size."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import scipy.linalg

from mor.arrays import (
    Array,
    astype_like,
    beside,
    detach,
    device_kwargs,
    from_numpy,
    is_concrete,
    namespace,
    times,
    to_numpy,
    widest,
)
from mor.checks import (
    check_continuous_step,
    check_dt,
    check_finite,
    check_horizon,
    check_shape,
    common_arrays,
)
from mor.equations.blocks import BlockEvolution, block_margins, pairwise_solve, to_blocks
from mor.equations.boundary import dc_point
from mor.equations.columns import solve_by_columns
from mor.equations.definite import definite_factor
from mor.equations.doubling import Evolution, lyapunov_horizon_factor, stein_factor
from mor.equations.holds import Hold, matrix_holds
from mor.equations.schur import SchurForm
from mor.errors import DimensionError
from mor.systems.arguments import check_feedthrough, of_batch
from mor.systems.base import (
    Exponent,
    Pullback,
    System,
    check_same_signals,
    in_one_framework,
    no_dc_gain,
    operand,
    set_fields,
)
from mor.systems.labels import Labels, checked_labels, merged, widened, without_outputs, without_states
from mor.systems.lti import LTI
from mor.systems.modal import Modal, in_modes


@dataclass(frozen=True, eq=False)
class BlockDiagonal(System):
    """``x' = diag(blocks) x + B u,  y = C x + D u``, all real.

    Parameters
    ----------
    blocks : array (..., q, s, s)
        The q diagonal blocks, of any one size s. Leading axes are a batch.
    B : array (..., q s, m)
    C : array (..., p, q s)
    D : array (..., p, m), optional; zero if left out.
    dt : float, 0.0 continuous, positive discrete.
    labels : Labels, optional; names of signals and system.

    Notes
    -----
    Gramians are found block by block, ``q^2 s^6`` flops in one batch
    (:func:`mor.equations.blocks.pairwise_solve`). Blocks of unequal size are an
    :class:`LTI`.

    Raises
    ------
    DimensionError
        If shapes do not fit together.
    NotFiniteError
        If an entry is NaN or infinite.
    TimeStepError
        If `dt` is negative or not finite.

    Examples
    --------
    >>> import numpy as np, mor
    >>> blocks = np.array([[[0.0, 1.0], [-1.0, -0.2]], [[-1.0, 0.0], [0.0, -2.0]]])
    >>> mor.BlockDiagonal(blocks, np.ones((4, 1)), np.ones((1, 4)))
    <BlockDiagonal order 4 (2 blocks of 2), 1 inputs, 1 outputs, dt=0>
    """

    blocks: Array
    B: Array
    C: Array
    D: Array = None
    dt: float = field(default=0.0, kw_only=True)
    labels: Labels | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        blocks, B, C = common_arrays(blocks=self.blocks, B=self.B, C=self.C)
        xp = namespace(B)
        dtype = xp.result_type(blocks, B, C)
        if xp.isdtype(dtype, "complex floating"):
            raise DimensionError("BlockDiagonal takes real arrays; complex diagonal data are a Modal.")
        if dtype not in (xp.float32, xp.float64):
            dtype = xp.float64
        blocks, B, C = (xp.astype(x, dtype) for x in (blocks, B, C))
        if blocks.ndim < 3 or B.ndim < 2 or C.ndim < 2:
            raise DimensionError(
                f"blocks, B, C have shapes {tuple(blocks.shape)}, {tuple(B.shape)}, {tuple(C.shape)}; "
                "they must be (..., q, s, s), (..., q s, m), (..., p, q s)."
            )
        batch, (q, s) = blocks.shape[:-3], blocks.shape[-3:-1]
        check_shape("blocks", blocks.shape, (*batch, q, s, s))
        if s == 0:
            # Blocks without states are none.
            q, s, blocks = 0, 1, xp.zeros((*batch, 0, 1, 1), dtype=dtype, **device_kwargs(B))
        check_shape("B", B.shape, (*batch, q * s, B.shape[-1]))
        check_shape("C", C.shape, (*batch, C.shape[-2], q * s))
        if self.D is None:
            D = xp.zeros((*batch, C.shape[-2], B.shape[-1]), dtype=dtype, **device_kwargs(B))
        else:
            D = check_feedthrough(self.D, B, batch, C.shape[-2])
            D = xp.astype(D, dtype)
        check_finite(blocks=blocks, B=B, C=C, D=D)
        labels = without_states(checked_labels(self.labels, B.shape[-1], C.shape[-2]))
        set_fields(self, blocks=blocks, B=B, C=C, D=D, dt=check_dt(self.dt), labels=labels)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return tuple(self.blocks.shape[:-3])

    @property
    def order(self) -> int:
        return self.B.shape[-2]

    @property
    def n_inputs(self) -> int:
        return self.B.shape[-1]

    @property
    def n_outputs(self) -> int:
        return self.C.shape[-2]

    @property
    def poles(self) -> Array:
        """Eigenvalues of all blocks, (..., q s)."""
        xp = namespace(self.blocks)
        if not is_concrete(self.blocks, self.B):
            return xp.zeros((*self.batch_shape, self.order), dtype=self.blocks.dtype)
        values = np.linalg.eigvals(to_numpy(self.blocks))
        return xp.asarray(values.reshape((*self.batch_shape, self.order)), **device_kwargs(self.B))

    @property
    def margins(self) -> Array:
        """Of a conjugate pair in a block of two from its trace and determinant, exactly."""
        return self._margins[0]

    @property
    def pole_errors(self) -> Array:
        """Zero for those pairs, else as of a dense system, block by block."""
        return self._margins[1]

    @cached_property
    def _margins(self) -> tuple[Array, Array]:
        xp = namespace(self.blocks)
        parts = (
            x.reshape(*self.batch_shape, self.order) for x in block_margins(to_numpy(self.blocks), self.dt)
        )
        margin, error = (xp.asarray(x, **device_kwargs(self.B)) for x in parts)
        return margin, error

    def dual(self) -> BlockDiagonal:
        """The system whose controllability Gramian is this one's observability Gramian."""
        t = namespace(self.B).matrix_transpose
        labels = self.labels and self.labels.transposed
        return BlockDiagonal(t(self.blocks), t(self.C), t(self.B), t(self.D), dt=self.dt, labels=labels)

    def gramians(self, *, horizon: float | None = None) -> tuple[Array, Array]:
        horizon = check_horizon(horizon, self.dt)
        P, Q = (side._reachable_gramian(horizon) for side in (self, self.dual()))
        return P, Q

    def _reachable_gramian(self, horizon: float | None) -> Array:
        t = namespace(self.B).matrix_transpose
        if horizon is not None:
            Z = self._doubling_factor(horizon)
            return Z @ t(Z)
        P = pairwise_solve(self.blocks, self.B @ t(self.B), dt=self.dt)
        return (P + t(P)) / 2

    def observability_factor(self, *, horizon: float | None = None) -> Array:
        return self.dual().controllability_factor(horizon=horizon)

    def controllability_factor(self, *, horizon: float | None = None) -> Array:
        """Formed and factored where P is safely definite, else by doubling."""
        horizon = check_horizon(horizon, self.dt)
        if horizon is None and is_concrete(self.blocks, self.B):
            quick = definite_factor(self._reachable_gramian(None))
            if quick is not None:
                return quick
        return self._doubling_factor(horizon)

    def _doubling_factor(self, horizon: float | None) -> Array:
        if self.dt:
            steps = None if horizon is None else int(horizon)
            return stein_factor(BlockEvolution(self.blocks), self.B, horizon=steps)
        if horizon is not None:
            return self._continuous_horizon_factor(horizon)
        xp = namespace(self.B)
        s = self.blocks.shape[-1]
        eye = xp.eye(s, dtype=self.B.dtype, **device_kwargs(self.B))
        shift = xp.max(xp.linalg.matrix_norm(self.blocks)) if self.order else 1.0
        inverse = xp.linalg.inv(shift * eye - self.blocks)
        evolution = BlockEvolution(inverse @ (shift * eye + self.blocks))
        return stein_factor(evolution, (2 * shift) ** 0.5 * BlockEvolution(inverse).apply(self.B))

    def _continuous_horizon_factor(self, horizon: float) -> Array:
        blocks, B = to_numpy(self.blocks), to_numpy(self.B)
        rate = float(np.abs(blocks).sum(axis=-1).max(initial=0.0))
        Z = lyapunov_horizon_factor(lambda t: BlockEvolution(scipy.linalg.expm(blocks * t)), rate, B, horizon)
        return from_numpy(Z, self.B)

    def cross_solution(self, form: SchurForm, Q: np.ndarray, *, adjoint: bool = False) -> np.ndarray:
        """By columns, ``q s^3 r`` flops for q blocks of size s."""
        blocks = to_numpy(self.blocks)
        if adjoint:
            blocks, form = blocks.mT, form.adjoint
        q, s = blocks.shape[:2]
        eye = np.eye(s)

        def shifted(a: complex, c: complex, b: np.ndarray) -> np.ndarray:
            return np.linalg.solve(a * blocks + c * eye, b.reshape(q, s, 1)).reshape(-1)

        return np.real(solve_by_columns(shifted, BlockEvolution(blocks).apply, form, Q))

    @property
    def output_factor_matrix(self) -> Array:
        return self.C

    @property
    def input_factor_matrix(self) -> Array:
        return self.B

    @property
    def evolution(self) -> Evolution:
        return BlockEvolution(self.blocks)

    def discretize(self, step: float, *, hold: Hold = "zero") -> BlockDiagonal:
        """Block by block, as :meth:`LTI.discretize`; in every framework, without a derivative."""
        step = check_continuous_step(self.dt, step)
        A, first, late = (astype_like(from_numpy(x, self.B), self.B) for x in self._holds(step, hold))
        B = first + BlockEvolution(A).apply(late)
        return BlockDiagonal(A, B, self.C, self.D + self.C @ late, dt=step, labels=self.labels)

    def ramp_matrix(self, step: float) -> Array:
        return from_numpy(self._holds(step, "first")[2], self.B)

    def _holds(self, step: float, hold: Hold) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        blocks, B = to_numpy(self.blocks), to_numpy(self.B)
        A, first, late = matrix_holds(blocks, B.reshape(*blocks.shape[:-1], B.shape[-1]), step, hold)
        return A, first.reshape(B.shape), late.reshape(B.shape)

    def project(self, left: Array, right: Array) -> tuple[Modal, float]:
        """Projected and diagonalised: a :class:`Modal`."""
        small, _ = self.to_lti().project(to_numpy(left), to_numpy(right))
        return in_modes(small)

    def reciprocal(self) -> BlockDiagonal:
        """Block by block; NumPy."""
        blocks, C, D = to_numpy(self.blocks), to_numpy(self.C), to_numpy(self.D)
        shift = dc_point(self.dt) * np.eye(blocks.shape[-1])
        try:
            inverse = np.linalg.inv(blocks - shift)
        except np.linalg.LinAlgError:
            raise no_dc_gain(self.dt) from None
        B = BlockEvolution(inverse).apply(to_numpy(self.B))
        turned = BlockEvolution(inverse.mT).apply(C.mT).mT
        return BlockDiagonal(shift + inverse, B, -turned, D - C @ B, dt=self.dt, labels=self.labels)

    def __getitem__(self, index: Any) -> BlockDiagonal:
        """One system, or a slice, of a batch."""
        return replace(self, **of_batch(self, index, ("blocks", "B", "C", "D")))

    def detached(self) -> Self:
        fields = {name: widest(detach(getattr(self, name))) for name in ("blocks", "B", "C", "D")}
        return replace(self, **fields, labels=widened(self.labels, self.B))

    def moved(self, like: Array) -> BlockDiagonal:
        fields = {name: beside(getattr(self, name), like) for name in ("blocks", "B", "C", "D")}
        return replace(self, **fields)

    def in_units(self, inputs: Exponent, outputs: Exponent) -> BlockDiagonal:
        B, C = times(self.B, -inputs, 2), times(self.C, -outputs, 2)
        return replace(self, B=B, C=C, D=namespace(self.D).zeros_like(self.D))

    def with_outputs(self, C: Array, D: Array, *, labels: Labels | None = None) -> BlockDiagonal:
        return replace(self, C=C, D=D, labels=labels or without_outputs(self.labels))

    def on_numpy(self) -> BlockDiagonal:
        fields = {name: to_numpy(getattr(self.detached(), name)) for name in ("blocks", "B", "C", "D")}
        return replace(self, **fields)

    def gramians_with_pullback(self) -> tuple[Array, Array, Pullback]:
        r"""By two adjoint equations, ``A^T Y A - Y + W_P = 0`` and ``A H A^T - H + W_Q = 0``.

        ``dA = 2 (Y A P + Q A H)`` (``2 (Y P + Q H)`` at dt = 0), on the blocks;
        ``dB = 2 Y B``, ``dC = 2 C H``.
        """
        P, Q = self.gramians()

        def pull(weight_P: Array, weight_Q: Array) -> dict[str, Array]:
            Y = pairwise_solve(self.dual().blocks, weight_P, dt=self.dt)
            H = pairwise_solve(self.blocks, weight_Q, dt=self.dt)
            if self.dt:
                A = BlockEvolution(self.blocks)
                to_A = Y @ A.apply(P) + Q @ A.apply(H)
            else:
                to_A = Y @ P + Q @ H
            to_blocks = 2 * _diagonal_blocks(to_A, self.blocks.shape[-1])
            return {"blocks": to_blocks, "B": 2 * Y @ self.B, "C": 2 * self.C @ H}

        return P, Q, pull

    def evaluate(self, s: complex | Array) -> Array:
        if self.batch_shape:
            raise DimensionError("evaluate takes one system at a time, not a batch.")
        return from_numpy(self.to_lti().evaluate(s), self.B)

    def to_lti(self) -> LTI:
        """The same system as a dense NumPy :class:`LTI`."""
        if self.batch_shape:
            raise DimensionError(f"to_lti takes one system, not a batch of shape {self.batch_shape}.")
        B, C, D = (to_numpy(x) for x in (self.B, self.C, self.D))
        A: Any = scipy.linalg.block_diag(*to_numpy(self.blocks)) if self.order else np.zeros((0, 0))
        return LTI(A, B, C, D, dt=self.dt, labels=self.labels)

    def __neg__(self) -> Self:
        return replace(self, C=-self.C, D=-self.D)

    def __add__(self, other: Any) -> System:
        other = operand(other)
        if not other.is_linear:
            return NotImplemented
        if not isinstance(other, BlockDiagonal) or other.blocks.shape[-1] != self.blocks.shape[-1]:
            return self.to_lti() + other
        check_same_signals(self, other)
        a, b = in_one_framework(self, other)
        xp = namespace(a.B)
        blocks = xp.concat([a.blocks, b.blocks], axis=-3)
        B, C = xp.concat([a.B, b.B], axis=-2), xp.concat([a.C, b.C], axis=-1)
        labels = merged(self.labels, other.labels)
        return BlockDiagonal(blocks, B, C, a.D + b.D, dt=self.dt, labels=labels)

    def __repr__(self) -> str:
        q, s = self.blocks.shape[-3:-1]
        return f"<{self.title} order {self.order} ({q} blocks of {s}), {self.signals}>"


def _diagonal_blocks(X: Array, s: int) -> Array:
    xp = namespace(X)
    if not X.shape[-1]:
        return xp.zeros((*X.shape[:-2], 0, s, s), dtype=X.dtype, **device_kwargs(X))
    blocks = to_blocks(X, s)
    return xp.stack([blocks[..., i, i, :, :] for i in range(blocks.shape[-4])], axis=-3)
