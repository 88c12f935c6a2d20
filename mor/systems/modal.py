"""Diagonal systems with a real output: the layers of diagonal state-space networks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from mor.arrays import (
    Array,
    adjoint,
    beside,
    complex_dtype,
    conj,
    detach,
    device_kwargs,
    is_complex,
    is_concrete,
    namespace,
    real,
    real_dtype,
    times,
    to_complex,
    to_numpy,
    widest,
)
from mor.checks import (
    check_continuous_step,
    check_dt,
    check_finite,
    check_horizon,
    check_shape,
    check_whole,
    common_arrays,
)
from mor.equations import cauchy
from mor.equations.band import Band, band_kernels, factor_in_band
from mor.equations.boundary import dc_point
from mor.equations.columns import solve_by_columns
from mor.equations.diagonal import diagonalise, diagonalise_batch
from mor.equations.holds import Hold, scalar_holds
from mor.equations.modal import ModalEvolution, modal_factor
from mor.equations.schur import SchurForm
from mor.errors import DimensionError, ReductionError, TimeStepError
from mor.systems.arguments import check_count, check_feedthrough, check_no_pole, check_points, of_batch
from mor.systems.base import (
    Exponent,
    Pullback,
    System,
    check_overflow,
    check_same_signals,
    in_one_framework,
    no_dc_gain,
    operand,
    set_fields,
)
from mor.systems.labels import Labels, checked_labels, merged, widened, without_outputs, without_states
from mor.systems.lti import LTI

#: Most modes that a system is filled up to.
_MOST_MODES = 2**31


@dataclass(frozen=True, eq=False)
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

    def __post_init__(self) -> None:
        poles, B, C = common_arrays(poles=self.poles, B=self.B, C=self.C)
        xp = namespace(B)
        poles, B, C = _common_kind(xp, poles, B, C)
        if poles.ndim < 1 or B.ndim < 2 or C.ndim < 2:
            raise DimensionError(
                f"poles, B, C have shapes {tuple(poles.shape)}, {tuple(B.shape)}, {tuple(C.shape)}; "
                "they must be (..., k), (..., k, m), (..., p, k)."
            )
        batch, k, m, p = poles.shape[:-1], poles.shape[-1], B.shape[-1], C.shape[-2]
        check_shape("B", B.shape, (*batch, k, m))
        check_shape("C", C.shape, (*batch, p, k))
        if self.D is None:
            D = xp.zeros((*batch, p, m), dtype=real_dtype(B), **device_kwargs(B))
        else:
            D = check_feedthrough(self.D, B, batch, p)
            D = xp.astype(D, real_dtype(B), copy=False)
        check_finite(poles=poles, B=B, C=C, D=D)
        labels = without_states(checked_labels(self.labels, m, p))
        set_fields(self, poles=poles, B=B, C=C, D=D, dt=check_dt(self.dt), labels=labels)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return tuple(self.poles.shape[:-1])

    @property
    def n_modes(self) -> int:
        """Number of stored modes, k."""
        return self.poles.shape[-1]

    @property
    def n_inputs(self) -> int:
        return self.B.shape[-1]

    @property
    def n_outputs(self) -> int:
        return self.C.shape[-2]

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
        size = 1 if not is_complex(self.poles) else np.where(self.real_modes, 1, 2)
        return np.sum(self.working_modes * size, axis=-1)

    def dual(self) -> Self:
        """The system whose controllability Gramian is this one's observability Gramian."""
        D, labels = namespace(self.B).matrix_transpose(self.D), self.labels and self.labels.transposed
        return self._trusted(conj(self.poles), adjoint(self.C), adjoint(self.B), D, labels)

    def gramians(self, *, horizon: float | None = None) -> tuple[Array, Array]:
        horizon = check_horizon(horizon, self.dt)
        P, Q = (gramian.matrix for gramian in self._cauchy_pair(horizon))
        return P, Q

    def band_factors(self, band: Band) -> tuple[np.ndarray, np.ndarray]:
        """By quadrature, each of a batch, since a factor of the closed form would lose half the digits."""
        system = self.on_numpy()
        if not system.batch_shape:
            return system._band_factor(band), system.dual()._band_factor(band)
        if 0 in system.batch_shape:
            n = system.input_factor_matrix.shape[-2]
            return np.zeros((*system.batch_shape, n, n)), np.zeros((*system.batch_shape, n, n))
        members = [system[i].band_factors(band) for i in np.ndindex(system.batch_shape)]
        Zc, Zo = (np.array(stacked) for stacked in zip(*members, strict=True))
        return tuple(Z.reshape(*system.batch_shape, *Z.shape[1:]) for Z in (Zc, Zo))  # pyright: ignore

    def _band_factor(self, band: Band) -> np.ndarray:
        """Zc of one system on NumPy, as many columns as rows."""
        poles, B = self.poles[None, :, None], self.B

        def states(points: np.ndarray) -> np.ndarray:
            s = points[:, None, None]
            first = B / (s - poles)
            if not is_complex(B):
                return np.moveaxis(first, 0, 1)
            second = B.conj() / (s - poles.conj())
            real_part, imaginary_part = (first + second) / 2, (first - second) / 2j
            return np.moveaxis(np.concatenate([real_part, imaginary_part], axis=1), 0, 1)

        n, m = B.shape[0] * (2 if is_complex(B) else 1), B.shape[1]
        poles_of_both = np.concatenate([self.poles, np.conj(self.poles)])
        Z = factor_in_band(states, (n, m), poles_of_both, band, self.dt, is_real=True)
        return np.pad(Z, [(0, 0), (0, n - Z.shape[1])])

    def band_gramians(self, band: Band) -> tuple[Array, Array]:
        """In closed form, like the others."""
        P, Q = (gramian.matrix for gramian in self._cauchy_pair_of(band_kernels(self.poles, band, self.dt)))
        return P, Q

    def inner(self, other: System, *, horizon: float | None = None) -> Array:
        r"""In closed form: with the kernel g of :mod:`mor.equations.cauchy`, ``k_a k_b (m + p)`` flops,

        .. math:: \tfrac12 \Re \sum_{ij} (B_aB_b^H)_{ij} (C_a^T\bar C_b)_{ij}\, g(\lambda_i, \bar\mu_j)
                  + (B_aB_b^T)_{ij} (C_a^TC_b)_{ij}\, g(\lambda_i, \mu_j).
        """
        if not isinstance(other, Modal):
            return super().inner(other, horizon=horizon)
        check_same_signals(self, other)
        a, b = (_as_complex(system) for system in in_one_framework(self, other))
        horizon, xp = check_horizon(horizon, self.dt), namespace(a.B)
        total: Array = 0.0
        for poles, B, C in ((b.poles, b.B, b.C), (conj(b.poles), conj(b.B), conj(b.C))):
            weights = (a.B @ adjoint(B)) * (xp.matrix_transpose(a.C) @ conj(C))
            terms = weights * cauchy.kernel(a.poles, poles, dt=self.dt, horizon=horizon)
            total = total + real(xp.sum(terms, axis=(-2, -1))) / 2
        return total

    def cross_solution(self, form: SchurForm, Q: np.ndarray, *, adjoint: bool = False) -> np.ndarray:
        """By columns, ``8 k r^2`` flops: no equation is solved."""
        poles = to_numpy(self.poles)
        if not is_complex(poles):
            return np.real(_by_columns(poles, form.adjoint if adjoint else form, Q))
        Q = to_numpy(cauchy.complex_rows(Q))
        X = _by_columns(poles.conj(), form.adjoint, Q) if adjoint else _by_columns(poles, form, Q)
        return to_numpy(cauchy.real_rows(X))

    def _cauchy_pair(self, horizon: float | None) -> tuple[cauchy.CauchyGramian, cauchy.CauchyGramian]:
        return self._cauchy_pair_of(cauchy.kernels(self.poles, dt=self.dt, horizon=horizon))

    def _cauchy_pair_of(self, kernels: cauchy.Kernels) -> tuple[cauchy.CauchyGramian, cauchy.CauchyGramian]:
        poles, B = conj(self.poles), adjoint(self.C)
        P = cauchy.gramian(self.poles, self.B, dt=self.dt, kernels=kernels)
        return P, cauchy.gramian(poles, B, dt=self.dt, kernels=kernels.conj())

    def controllability_factor(self, *, horizon: float | None = None) -> Array:
        """By whichever way is right for the system (:func:`mor.equations.modal.modal_factor`)."""
        return modal_factor(self.poles, self.B, dt=self.dt, horizon=check_horizon(horizon, self.dt))

    def observability_factor(self, *, horizon: float | None = None) -> Array:
        return self.dual().controllability_factor(horizon=horizon)

    def factors(self, *, horizon: float | None = None) -> tuple[Array, Array]:
        r"""Both factors; with one input and one output from one factorisation.

        With :math:`c_i = e_i b_i` and :math:`|e_i| = 1`, to which the units of the modes can be brought,
        the dual has the conjugates of the same data, so :math:`Z_o` is :math:`\overline{e Z_c}` row by row.
        """
        scale = self._reciprocal_units()
        if scale is None:
            return super().factors(horizon=horizon)
        size, phase = scale
        horizon, column = check_horizon(horizon, self.dt), size[..., None]
        Z = modal_factor(self.poles, self.B * column, dt=self.dt, horizon=horizon)
        if not is_complex(self.B):
            return Z / column, Z * (column * phase[..., None])
        Z = cauchy.complex_rows(Z)
        dual = conj(Z * (column * phase[..., None]))
        return cauchy.real_rows(Z / column), cauchy.real_rows(dual)

    def _reciprocal_units(self) -> tuple[Array, Array] | None:
        """``(t, e)`` with ``c/t = e t b`` and ``|e| = 1`` of one input and output; None if there are none."""
        if (self.n_inputs, self.n_outputs) != (1, 1) or not is_concrete(self.poles, self.B, self.C):
            return None
        xp = namespace(self.B)
        b, c = self.B[..., :, 0], self.C[..., 0, :]
        if not bool(xp.all((b != 0) & (c != 0))):
            return None
        # Roots first: neither a product nor a quotient of both may overflow.
        size = xp.sqrt(xp.abs(c)) / xp.sqrt(xp.abs(b))
        return size, (c / xp.abs(c)) / (b / xp.abs(b))

    @property
    def output_factor_matrix(self) -> Array:
        if not is_complex(self.C):
            return self.C
        xp = namespace(self.C)
        return xp.concat([xp.real(self.C), -xp.imag(self.C)], axis=-1)

    @property
    def input_factor_matrix(self) -> Array:
        return cauchy.real_rows(self.B)

    @property
    def evolution(self) -> ModalEvolution:
        return ModalEvolution(self.poles)

    def project(self, left: Array, right: Array) -> tuple[Modal, float]:
        """Projected in the real coordinates and diagonalised again; NumPy."""
        if self.batch_shape:
            raise DimensionError("project takes one system at a time, not a batch.")
        W, V = to_numpy(left), to_numpy(right)
        evolved = to_numpy(ModalEvolution(self.poles).apply(namespace(self.B).asarray(right)))
        B, C = to_numpy(cauchy.real_rows(self.B)), to_numpy(self.output_factor_matrix)
        return in_modes(LTI(W.T @ evolved, W.T @ B, C @ V, to_numpy(self.D), dt=self.dt, labels=self.labels))

    def reciprocal(self) -> Modal:
        """Mode by mode: ``c + 1/(pole - c)``."""
        c, xp = dc_point(self.dt), namespace(self.B)
        distance = self.poles - c
        if is_concrete(distance) and bool(xp.any(distance == 0)):
            raise no_dc_gain(self.dt)
        inverse = 1 / distance
        B = self.B * inverse[..., :, None]
        D = self.D - real(self.C @ B)
        return replace(self, poles=c + inverse, B=B, C=-self.C * inverse[..., None, :], D=D)

    @classmethod
    def from_lti(cls, system: Any) -> Modal:
        """A dense system in diagonal form: one mode a conjugate pair, one a real pole.

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

    def padded(self, n_modes: int) -> Modal:
        """The same map in at least `n_modes` modes; NumPy.

        Those added have B = C = 0 and a pole well inside the stability region.
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

    def detached(self) -> Self:
        poles, B, C, D = (widest(detach(x)) for x in (self.poles, self.B, self.C, self.D))
        return self._trusted(poles, B, C, D, widened(self.labels, self.B))

    def with_outputs(self, C: Array, D: Array, *, labels: Labels | None = None) -> Modal:
        if is_complex(self.C):
            C = C[..., : self.n_modes] - 1j * C[..., self.n_modes :]
        return replace(self, C=C, D=D, labels=labels or without_outputs(self.labels))

    def on_numpy(self) -> Modal:
        constant = self.detached()
        poles, B, C, D = (to_numpy(x) for x in (constant.poles, constant.B, constant.C, constant.D))
        return replace(constant, poles=poles, B=B, C=C, D=D)

    def moved(self, like: Array) -> Modal:
        poles, B, C, D = (beside(x, like) for x in (self.poles, self.B, self.C, self.D))
        return self._trusted(poles, B, C, D, self.labels)

    def in_units(self, inputs: Exponent, outputs: Exponent) -> Modal:
        B, C = times(self.B, -inputs, 2), times(self.C, -outputs, 2)
        return self._trusted(self.poles, B, C, namespace(self.D).zeros_like(self.D), self.labels)

    def _trusted(self, poles: Array, B: Array, C: Array, D: Array, labels: Labels | None) -> Self:
        """A system of arrays that are known to be right, unchecked."""
        system = object.__new__(type(self))
        set_fields(system, poles=poles, B=B, C=C, D=D, dt=self.dt, labels=labels)
        return system

    def gramians_with_pullback(self) -> tuple[Array, Array, Pullback]:
        P, Q = self._cauchy_pair(None)

        def pull(weight_P: Array, weight_Q: Array) -> dict[str, Array]:
            to_poles, to_B = P.adjoint(weight_P)
            to_dual_poles, to_dual_B = Q.adjoint(weight_Q)
            return {"poles": to_poles + conj(to_dual_poles), "B": to_B, "C": adjoint(to_dual_B)}

        return P.matrix, Q.matrix, pull

    def __getitem__(self, index: Any) -> Modal:
        """One system, or a slice, of a batch."""
        fields = of_batch(self, index, ("poles", "B", "C", "D"))
        found = self._trusted(**fields, labels=self.labels)
        if "real_modes" in vars(self):
            set_fields(found, real_modes=self.real_modes[index])
        return found

    def split(self, parts: int) -> list[Modal]:
        length = self.batch_shape[0] if self.batch_shape else 0
        parts = min(parts, length)
        if parts < 2:
            return [self]
        ends = [round(i * length / parts) for i in range(parts + 1)]
        return [self[a:b] for a, b in itertools.pairwise(ends)]

    def evaluate(self, s: complex | Array) -> Array:
        xp = namespace(self.B)
        points = xp.astype(beside(check_points(s), self.B), complex_dtype(self.B))
        scalar = points.ndim == 0
        points = xp.reshape(points, (-1,))
        poles, B, C = to_complex(self.poles), to_complex(self.B), to_complex(self.C)

        def half(poles: Array, B: Array, C: Array) -> Array:
            distance = points[:, None] - poles[..., None, :]
            check_no_pole(distance)
            resolvent = 1 / distance
            return (C[..., None, :, :] * resolvent[..., :, None, :]) @ B[..., None, :, :]

        value = half(poles, B, C)
        if is_complex(self.poles):
            value = (value + half(conj(poles), conj(B), conj(C))) / 2
        value = value + self.D[..., None, :, :]
        check_overflow(None, value)
        return value[..., 0, :, :] if scalar else value

    def impulse_response(self, steps: int) -> Array:
        """``Re(C diag(poles)^t B)`` for t = 0..steps-1: (..., steps, p, m); discrete time.

        The feedthrough D is not part of it.
        """
        if not self.dt:
            raise TimeStepError("impulse_response samples a discrete system; take discretize(step) first.")
        steps = check_count("steps", steps, self)
        xp = namespace(self.B)
        power, responses = xp.ones_like(self.poles), []
        for _ in range(steps):
            responses.append(real((self.C * power[..., None, :]) @ self.B))
            power = power * self.poles
        result = xp.stack(responses, axis=-3)
        check_overflow(None, result)
        return result

    def discretize(self, step: float, *, hold: Hold = "zero") -> Modal:
        """Exact for an input held between samples (``hold="zero"``) or joined by lines ("first").

        ``exp(pole step)`` and elementwise functions of it (:mod:`mor.equations.holds`).
        """
        step = check_continuous_step(self.dt, step)
        power, first, late = scalar_holds(self.poles, step, hold)
        B = self.B * (first + power * late)[..., :, None]
        D = self.D if hold == "zero" else self.D + real(self.C @ (self.B * late[..., :, None]))
        return replace(self, poles=power, B=B, D=D, dt=step)

    def ramp_matrix(self, step: float) -> Array:
        _, _, late = scalar_holds(self.poles, step, "first")
        return cauchy.real_rows(self.B * late[..., :, None])

    def to_lti(self) -> LTI:
        """The real map as a dense NumPy :class:`LTI`, real modes as one state."""
        if self.batch_shape:
            raise DimensionError(f"to_lti takes one system, not a batch of shape {self.batch_shape}.")
        poles = to_numpy(self.poles)
        B, C = to_numpy(cauchy.real_rows(self.B)), to_numpy(self.output_factor_matrix)
        if not is_complex(self.poles):
            return LTI(np.diag(poles), B, C, to_numpy(self.D), dt=self.dt, labels=self.labels)
        a, b = np.diag(poles.real), np.diag(poles.imag)
        A = np.block([[a, -b], [b, a]])
        keep = np.concatenate([np.ones(self.n_modes, dtype=bool), ~self.real_modes])
        A, B, C, D = A[np.ix_(keep, keep)], B[keep], C[:, keep], to_numpy(self.D)
        return LTI(A, B, C, D, dt=self.dt, labels=self.labels)

    def __neg__(self) -> Self:
        return replace(self, C=-self.C, D=-self.D)

    def __add__(self, other: Any) -> System:
        other = operand(other)
        if not other.is_linear:
            return NotImplemented
        if not isinstance(other, Modal):
            return self.to_lti() + other
        check_same_signals(self, other)
        mine, theirs = in_one_framework(self, other)
        if is_complex(mine.B) != is_complex(theirs.B):
            mine, theirs = (_as_complex(x) for x in (mine, theirs))
        xp = namespace(mine.B)
        poles = xp.concat([mine.poles, theirs.poles], axis=-1)
        B = xp.concat([mine.B, theirs.B], axis=-2)
        C = xp.concat([mine.C, theirs.C], axis=-1)
        labels = merged(self.labels, other.labels)
        return Modal(poles, B, C, mine.D + theirs.D, dt=self.dt, labels=labels)

    def __repr__(self) -> str:
        batch = f"batch {self.batch_shape}, " if self.batch_shape else ""
        return f"<{self.title} {batch}order {self.order} ({self.n_modes} modes), {self.signals}>"


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


def idle_pole(dt: float) -> float:
    """The pole of modes that do nothing, well inside the stability region."""
    return 0.5 if dt else -1.0


def project_batch(systems: Sequence[Modal], W: np.ndarray, V: np.ndarray) -> list[Modal]:
    """Systems of equal sizes on NumPy, each projected by its ``W, V`` (n, r) as by :meth:`Modal.project`."""
    first = systems[0]
    stacked: Any = (np.stack([getattr(x, name) for x in systems]) for name in ("poles", "B", "C"))
    poles, B, C = stacked
    outputs = np.concatenate([C.real, -C.imag], axis=-1) if is_complex(C) else C
    left = adjoint(W)
    arrays = (left @ ModalEvolution(poles).apply(V), left @ cauchy.real_rows(B), outputs @ V)
    poles, B, C, count, _ = diagonalise_batch(*arrays)
    return [
        first._trusted(poles[i, :k], B[i, :k], C[i, :, :k], systems[i].D, first.labels)
        for i, k in enumerate(count)
    ]


def _by_columns(poles: np.ndarray, form: SchurForm, Q: np.ndarray) -> np.ndarray:
    return solve_by_columns(lambda a, c, b: b / (a * poles + c), lambda Y: poles[:, None] * Y, form, Q)


def _common_kind(xp: Any, *arrays: Array) -> tuple[Array, ...]:
    """All real, or all complex, floating, in their widest common precision."""
    dtype = xp.result_type(*arrays)
    if dtype not in (xp.float32, xp.float64, xp.complex64, xp.complex128):
        dtype = xp.complex128 if xp.isdtype(dtype, "complex floating") else xp.float64
    return tuple(x if x.dtype == dtype else xp.astype(x, dtype) for x in arrays)


def _as_complex(system: Modal) -> Modal:
    return replace(system, poles=to_complex(system.poles), B=to_complex(system.B), C=to_complex(system.C))
