"""Systems whose state matrix is block diagonal with small blocks of one size."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from mor.arrays import Array, device_kwargs, is_complex, namespace, to_numpy
from mor.checks import check_dt, check_finite, check_shape, common_arrays, guarded
from mor.errors import DimensionError
from mor.operators.blocks import BlockOperator
from mor.systems.arguments import check_feedthrough, of_batch, set_fields
from mor.systems.base import System
from mor.systems.labels import Labels, checked_labels, without_states
from mor.systems.lti import LTI
from mor.systems.modal import Modal, common_kind, in_modes


@dataclass(frozen=True, eq=False, repr=False)
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
    _arrays: ClassVar = ("blocks", "B", "C", "D")

    @guarded
    def __post_init__(self) -> None:
        blocks, B, C = common_arrays(blocks=self.blocks, B=self.B, C=self.C)
        blocks, B, C = common_kind(blocks, B, C)
        if is_complex(B):
            raise DimensionError("BlockDiagonal takes real arrays; complex diagonal data are a Modal.")
        if blocks.ndim < 3 or B.ndim < 2 or C.ndim < 2:
            raise DimensionError(
                f"blocks, B, C have shapes {tuple(blocks.shape)}, {tuple(B.shape)}, {tuple(C.shape)}; "
                "they must be (..., q, s, s), (..., q s, m), (..., p, q s)."
            )
        batch, (q, s) = blocks.shape[:-3], blocks.shape[-3:-1]
        check_shape("blocks", blocks.shape, (*batch, q, s, s))
        if s == 0:
            # Blocks without states are none.
            q, s, blocks = 0, 1, namespace(B).zeros((*batch, 0, 1, 1), dtype=B.dtype, **device_kwargs(B))
        check_shape("B", B.shape, (*batch, q * s, B.shape[-1]))
        check_shape("C", C.shape, (*batch, C.shape[-2], q * s))
        D = check_feedthrough(self.D, B, batch, C.shape[-2])
        check_finite(blocks=blocks, B=B, C=C, D=D)
        labels = without_states(checked_labels(self.labels, B.shape[-1], C.shape[-2]))
        set_fields(self, blocks=blocks, B=B, C=C, D=D, dt=check_dt(self.dt), labels=labels)

    @cached_property
    def operator(self) -> BlockOperator:  # pyright: ignore[reportIncompatibleMethodOverride]
        return BlockOperator(self.blocks, self.dt)

    @property
    @guarded
    def poles(self) -> Array:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Eigenvalues of all blocks, (..., q s)."""
        return self.operator.spectrum.poles

    def _rebuilt(self, operator: Any, B: Any, C: Any, D: Any, labels: Labels | None) -> BlockDiagonal:
        return BlockDiagonal(operator.blocks, B, C, D, dt=operator.dt, labels=labels)

    def of_states(self, A: np.ndarray, B: np.ndarray, C: np.ndarray) -> tuple[Modal, float]:
        """Diagonalised: a :class:`Modal`."""
        return in_modes(LTI(A, B, C, to_numpy(self.D), dt=self.dt, labels=self.labels))

    def dual(self) -> BlockDiagonal:
        """The system whose controllability Gramian is this one's observability Gramian."""
        t = namespace(self.B).matrix_transpose
        labels = self.labels and self.labels.transposed
        return BlockDiagonal(t(self.blocks), t(self.C), t(self.B), t(self.D), dt=self.dt, labels=labels)

    def __getitem__(self, index: Any) -> BlockDiagonal:
        """One system, or a slice, of a batch."""
        return self._trusted(**of_batch(self, index, self._arrays))

    @property
    def _size(self) -> str:
        q, s = self.blocks.shape[-3:-1]
        return f"order {self.order} ({q} blocks of {s})"
