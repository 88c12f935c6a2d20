"""Diagonal systems with a real output: the layers of diagonal state-space networks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np

from mor.arrays import (
    Array,
    adjoint,
    conj,
    is_complex,
    is_concrete,
    namespace,
    real,
    to_numpy,
)
from mor.checks import (
    check_dt,
    check_finite,
    check_horizon,
    check_shape,
    check_whole,
    common_arrays,
    guarded,
)
from mor.equations import cauchy
from mor.equations.diagonal import diagonalise, diagonalise_batch
from mor.errors import DimensionError, ReductionError
from mor.operators.diagonal import DiagonalOperator, real_columns
from mor.systems.arguments import (
    check_feedthrough,
    check_same_signals,
    in_one_framework,
    of_batch,
    operand,
    set_fields,
)
from mor.systems.base import System
from mor.systems.labels import Labels, checked_labels, without_states
from mor.systems.lti import LTI
from mor.systems.outputs import LinearOutputs

#: Most modes that a system is filled up to.
_MOST_MODES = 2**31


@dataclass(frozen=True, eq=False, repr=False)
class Modal(System):
    r"""``z' = poles * z + B u,  y = Re(C z) + D u``, with real u and y.

    Parameters
    ----------
    poles : array (..., k), real or complex
        Poles without their conjugates. Leading axes are a batch of independent systems.
    B : array (..., k, m)
    C : array (..., p, k)
    D : array (..., p, m), real, optional; zero if left out.
    dt : float
        0.0 continuous (poles in 1/time), positive discrete with that step.
    labels : Labels, optional; names of signals and system.

    Notes
    -----
    As a map between real signals this is a system of real order 2k in the coordinates
    ``[Re z; Im z]``, or k if all data are real. A mode whose pole is real and whose row of
    B or column of C is real counts 1. Gramians and Hankel singular values are those of the
    real map: those of the complex half alone are other numbers.

    A readout ``y = 2 Re(C z)`` is this one with ``2 C``. Discrete layers that read the
    updated state have the same errors, norms and Hankel singular values (see
    ``docs/checkpoints.md``).

    Arrays may be NumPy's, PyTorch's or JAX's; results come back in kind.

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
    >>> one = np.ones((1, 1), dtype=complex)
    >>> sys = mor.Modal(np.array([0.9 * np.exp(0.3j)]), one, one, dt=1.0)
    >>> sys.order
    2
    >>> mor.hankel_singular_values(sys).round(4)
    array([3.0516, 2.0126])
    """

    poles: Array
    B: Array
    C: Array
    D: Array = None
    dt: float = field(default=0.0, kw_only=True)
    labels: Labels | None = field(default=None, kw_only=True)
    _arrays: ClassVar = ("poles", "B", "C", "D")

    @guarded
    def __post_init__(self) -> None:
        poles, B, C = common_arrays(poles=self.poles, B=self.B, C=self.C)
        poles, B, C = common_kind(poles, B, C)
        if poles.ndim < 1 or B.ndim < 2 or C.ndim < 2:
            raise DimensionError(
                f"poles, B, C have shapes {tuple(poles.shape)}, {tuple(B.shape)}, {tuple(C.shape)}; "
                "they must be (..., k), (..., k, m), (..., p, k)."
            )
        batch, k, m, p = poles.shape[:-1], poles.shape[-1], B.shape[-1], C.shape[-2]
        check_shape("B", B.shape, (*batch, k, m))
        check_shape("C", C.shape, (*batch, p, k))
        D = check_feedthrough(self.D, B, batch, p)
        check_finite(poles=poles, B=B, C=C, D=D)
        labels = without_states(checked_labels(self.labels, m, p))
        set_fields(self, poles=poles, B=B, C=C, D=D, dt=check_dt(self.dt), labels=labels)

    @cached_property
    def operator(self) -> DiagonalOperator:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DiagonalOperator(self.poles, self.dt)

    @cached_property
    def _input(self) -> Array:  # pyright: ignore[reportIncompatibleMethodOverride]
        return cauchy.real_rows(self.B)

    @cached_property
    def outputs(self) -> LinearOutputs:
        return LinearOutputs(real_columns(self.C), self.D)

    def _of(self, operator: Any, B: Any, C: Any, D: Any, labels: Labels | None) -> Modal:
        return Modal(operator.poles, B, C, D, dt=operator.dt, labels=labels)

    def _rebuilt(self, operator: Any, B: Any, C: Any, D: Any, labels: Labels | None) -> Modal:
        return self._of(operator, operator.modes_of_rows(B), operator.modes_of_columns(C), D, labels)

    def of_states(self, A: np.ndarray, B: np.ndarray, C: np.ndarray) -> tuple[Modal, float]:
        """Diagonalised again."""
        return in_modes(LTI(A, B, C, to_numpy(self.D), dt=self.dt, labels=self.labels))

    @property
    def modal(self) -> Modal:
        return self

    def _impulse_samples(self, C: Array, steps: int) -> Iterator[Array]:
        """In complex numbers, of half as many states."""
        C = self.C
        for _ in range(steps):
            yield real(C @ self.B)
            C = C * self.poles[..., None, :]

    def of_modes(self, index: Any) -> Modal:
        """The modes (k,) that an index or a mask takes of a single system on NumPy, and nothing else."""
        return self._trusted(poles=self.poles[index], B=self.B[index], C=self.C[:, index])

    @property
    def mode_sizes(self) -> np.ndarray:
        """Real states (..., k) of each mode."""
        if not is_complex(self.poles):
            return np.ones(self.poles.shape, dtype=int)
        return np.where(self.real_modes, 1, 2)

    @property
    def n_modes(self) -> int:
        """Number of stored modes, k."""
        return self.poles.shape[-1]

    @property
    def order(self) -> int:
        """Number of real states; in a batch the largest, under tracing the limit 2k."""
        known = "real_modes" in vars(self)
        if not is_complex(self.poles) or not (known or is_concrete(self.poles, self.B, self.C)):
            return self.n_modes * (2 if is_complex(self.poles) else 1)
        states = 2 * self.n_modes - self.real_modes.sum(axis=-1)
        return int(np.max(states, initial=0))

    @cached_property
    def real_modes(self) -> np.ndarray:
        """Which modes (..., k) are real, one state each: real pole, and B or C real."""
        poles, B, C = (to_numpy(x) for x in (self.poles, self.B, self.C))
        one_sided = np.all(B.imag == 0, axis=-1) | np.all(C.imag == 0, axis=-2)
        return (poles.imag == 0) & one_sided

    @property
    def working_modes(self) -> np.ndarray:
        """Which modes (..., k) do something: neither B nor C is zero there."""
        return np.any(to_numpy(self.B) != 0, axis=-1) & np.any(to_numpy(self.C) != 0, axis=-2)

    @property
    def working_states(self) -> np.ndarray:
        """Real states (...) of each system, of modes that do something."""
        return np.sum(self.working_modes * self.mode_sizes, axis=-1)

    def dual(self) -> Self:
        """The system whose controllability Gramian is this one's observability Gramian."""
        D, labels = namespace(self.B).matrix_transpose(self.D), self.labels and self.labels.transposed
        B, C = adjoint(self.C), adjoint(self.B)
        return self._trusted(poles=conj(self.poles), B=B, C=C, D=D, labels=labels)

    def inner(self, other: System, *, horizon: float | None = None) -> Array:
        """In closed form with another Modal."""
        if not isinstance(other, Modal):
            return super().inner(other, horizon=horizon)
        check_same_signals(self, other)
        a, b = in_one_framework(self, other)
        limit = check_horizon(horizon, self.dt)
        return a.operator.inner(a._input, a.outputs.rows, (b.operator, b._input, b.outputs.rows), limit)

    @classmethod
    @guarded
    def from_lti(cls, system: Any) -> Modal:
        """A dense system in diagonal form: one mode a conjugate pair, one a real pole.

        Parameters
        ----------
        system : anything :func:`mor.as_system` takes that :meth:`to_lti` makes dense.

        Returns
        -------
        Modal, on NumPy

        Raises
        ------
        ReductionError
            If A is (nearly) defective: its eigenvectors' condition exceeds 1e8; or E singular; or the system
            is complex, whose output is no real part.
        DimensionError
            Of a batch of systems.
        QuadraticOutputError
            Of a system with quadratic outputs; ``.linear`` has modes.
        NotFiniteError
            If the data or the result leave the range of double precision.
        """
        return in_modes(operand(system).to_lti())[0]

    @guarded
    def padded(self, n_modes: int) -> Modal:
        """The same map in at least `n_modes` modes; NumPy.

        Those added have B = C = 0 and a pole well inside the stability region.

        Parameters
        ----------
        n_modes : least number of modes.

        Raises
        ------
        ArgumentError
            If `n_modes` is no whole number from 0.
        """
        n_modes = check_whole("n_modes", n_modes, 0, _MOST_MODES)
        extra, batch = max(0, n_modes - self.n_modes), [(0, 0)] * len(self.batch_shape)
        poles, B, C, D = (to_numpy(x) for x in (self.poles, self.B, self.C, self.D))
        return Modal(
            np.pad(poles, [*batch, (0, extra)], constant_values=idle_pole(self.dt)),
            np.pad(B, [*batch, (0, extra), (0, 0)]),
            np.pad(C, [*batch, (0, 0), (0, extra)]),
            D,
            dt=self.dt,
            labels=self.labels,
        )

    def __getitem__(self, index: Any) -> Modal:
        """One system, or a slice, of a batch."""
        found = self._trusted(**of_batch(self, index, self._arrays))
        if "real_modes" in vars(self):
            set_fields(found, real_modes=self.real_modes[index])
        return found

    def to_lti(self) -> LTI:
        """The real map as a dense NumPy :class:`LTI`, real modes as one state.

        Raises
        ------
        DimensionError
            Of a batch of systems.
        """
        full: LTI = super().to_lti()
        if not is_complex(self.poles) or not np.any(self.real_modes):
            return full
        keep = np.concatenate([np.ones(self.n_modes, dtype=bool), ~self.real_modes])
        A, B, C = full.A[np.ix_(keep, keep)], full.B[keep], full.C[:, keep]
        return LTI(A, B, C, full.D, dt=self.dt, labels=self.labels)

    @property
    def _size(self) -> str:
        batch = f"batch {self.batch_shape}, " if self.batch_shape else ""
        return f"{batch}order {self.order} ({self.n_modes} modes)"


def in_modes(system: LTI) -> tuple[Modal, float]:
    """The system in diagonal form, and the condition of its eigenvectors."""
    explicit = system.explicit
    if not explicit.is_real:
        raise ReductionError(
            "a Modal has the real output Re(C z), so a complex system is none: keep it as an LTI, "
            "of which modal_truncation gives a diagonal one."
        )
    poles, B, C, condition = diagonalise(explicit.A, explicit.B, explicit.C)
    return Modal(poles, B, C, explicit.D, dt=explicit.dt, labels=without_states(system.labels)), condition


def conjugated(modes: np.ndarray, poles: np.ndarray, B: np.ndarray, C: np.ndarray) -> tuple[Any, Any, Any]:
    """The same map with the modes of this mask conjugated: on NumPy, leading axes a batch."""
    return (
        np.where(modes, poles.conj(), poles),
        np.where(modes[..., :, None], B.conj(), B),
        np.where(modes[..., None, :], C.conj(), C),
    )


def idle_pole(dt: float) -> float:
    """The pole of modes that do nothing, well inside the stability region."""
    return 0.5 if dt else -1.0


def project_batch(systems: Sequence[Modal], W: np.ndarray, V: np.ndarray) -> list[Modal]:
    """Systems of equal sizes on NumPy, each projected by its ``W, V`` (n, r) as by :meth:`Modal.project`."""
    first = systems[0]
    poles, B, C = (np.stack([getattr(x, name) for x in systems]) for name in ("poles", "B", "C"))
    left = adjoint(W)
    evolved = left @ DiagonalOperator(poles, first.dt).apply(V)
    poles, B, C, count, _ = diagonalise_batch(evolved, left @ cauchy.real_rows(B), real_columns(C) @ V)
    return [
        first._trusted(poles=poles[i, :k], B=B[i, :k], C=C[i, :, :k], D=systems[i].D)
        for i, k in enumerate(count)
    ]


def common_kind(*arrays: Array) -> tuple[Array, ...]:
    """All real, or all complex, floating, in their widest common precision."""
    xp = namespace(arrays[0])
    dtype = xp.result_type(*arrays)
    if dtype not in (xp.float32, xp.float64, xp.complex64, xp.complex128):
        dtype = xp.complex128 if xp.isdtype(dtype, "complex floating") else xp.float64
    return tuple(x if x.dtype == dtype else xp.astype(x, dtype) for x in arrays)
