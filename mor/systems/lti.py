"""Dense state-space systems on NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property, reduce
from typing import Any, ClassVar, Self

import numpy as np
import scipy.linalg

from mor.arrays import adjoint, times, to_numpy
from mor.checks import check_continuous_step, check_dt, check_finite, check_horizon, check_shape, numbers
from mor.equations.boundary import dc_point
from mor.equations.doubling import Evolution
from mor.equations.holds import Hold, matrix_holds
from mor.equations.lyapunov import DenseEvolution, horizon_factor
from mor.equations.scaling import check_range, grading, scaled
from mor.equations.schur import SchurForm
from mor.equations.sparse import dense
from mor.equations.transfer import FEW_POINTS, Transfer, evaluate_by_form, evaluate_by_lu
from mor.errors import DimensionError, NotFiniteError, ReductionError, TimeStepError
from mor.systems.arguments import check_count, check_points, is_zero
from mor.systems.base import (
    Exponent,
    Pullback,
    System,
    check_overflow,
    check_same_signals,
    no_dc_gain,
    operand,
    set_fields,
)
from mor.systems.labels import Labels, checked_labels, in_single, merged, without_outputs, without_states
from mor.threads import threads_by_order, threads_for

#: Beyond this condition of E less than four digits survive.
_CONDITION_LIMIT = 1e12

#: Types of data in single precision, which is noted and given back where possible.
_SINGLE = (np.float32, np.complex64)


@dataclass(frozen=True, eq=False)
class LTI(System):
    r"""``E x' = A x + B u, y = C x + D u`` (continuous, dt = 0), or the discrete analogue.

    Parameters
    ----------
    A : array (n, n), real or complex
    B : array (n, m)
    C : array (p, n)
    D : array (p, m), optional; zero if left out.
    E : array (n, n), optional; nonsingular.
    dt : float
        0.0 continuous (A in 1/time), positive discrete with that step.
    labels : Labels, optional; names of signals, states and system.

    Raises
    ------
    DimensionError
        If shapes do not fit together; of sparse matrices of an order above 5000.
    NotFiniteError
        If an entry is NaN or infinite.
    TimeStepError
        If `dt` is negative or not finite.

    Notes
    -----
    Matrices are held in double precision: all real if no imaginary part differs from zero
    (whatever the type they come in), else all complex. A complex system maps complex signals,
    :math:`G(s) = C (sE - A)^{-1} B + D` without conjugate symmetry, so frequencies of either
    sign count; :attr:`is_real` tells which it is.

    Examples
    --------
    >>> import mor
    >>> mor.LTI([[-1.0]], [[1.0]], [[2.0]]).poles
    array([-1.+0.j])
    >>> turning = mor.LTI([[-1.0 + 5.0j]], [[1.0]], [[2.0]])
    >>> turning, mor.peak_gain(turning).omega
    (<LTI complex order 1, 1 inputs, 1 outputs, dt=0>, 5.0)
    """

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: Any = None
    E: np.ndarray | None = None
    dt: float = field(default=0.0, kw_only=True)
    labels: Labels | None = field(default=None, kw_only=True)
    gramians_from_factors: ClassVar[bool] = True
    #: The system with the E that this one is the explicit form of.
    _implicit: ClassVar[LTI | None] = None
    #: The system with the same A and E, or the terms of a sum, whose Schur forms this one's is made of.
    _parts: ClassVar[tuple[LTI, ...]] = ()

    def __post_init__(self) -> None:
        single = all(getattr(getattr(self, name), "dtype", None) in _SINGLE for name in "ABC")
        values = {name: getattr(self, name) for name in "ABCDE"}
        if is_zero(self.D):
            values["D"] = None
        given = {name: _matrix(name, x) for name, x in values.items() if x is not None or name in "ABC"}
        given = _in_one_field(given)
        A, B, C = (given[name] for name in "ABC")
        n = A.shape[0]
        check_shape("A", A.shape, (n, n))
        check_shape("B", B.shape, (n, None))
        check_shape("C", C.shape, (None, n))
        shape = (C.shape[0], B.shape[1])
        D, E = given.get("D", np.zeros(shape, A.dtype)), given.get("E")
        check_shape("D", D.shape, shape)
        if E is not None:
            check_shape("E", E.shape, (n, n))
        check_finite(A=A, B=B, C=C, D=D, E=E)
        labels = in_single(self.labels) if single and isinstance(self.labels, Labels | None) else self.labels
        labels = checked_labels(labels, shape[1], shape[0], n)
        set_fields(self, A=A, B=B, C=C, D=D, E=E, dt=check_dt(self.dt), labels=labels)

    @property
    def order(self) -> int:
        return self.A.shape[0]

    @property
    def is_real(self) -> bool:
        return not np.iscomplexobj(self.A)

    @property
    def n_inputs(self) -> int:
        return self.B.shape[1]

    @property
    def n_outputs(self) -> int:
        return self.C.shape[0]

    @cached_property
    def explicit(self) -> LTI:
        """The same system with ``E = I``."""
        if self.E is None:
            return self
        self._require_regular()
        solved = np.linalg.solve(self.E, np.hstack([self.A, self.B]))
        A, B = solved[:, : self.order], solved[:, self.order :]
        check_range(A)
        explicit = LTI(A, B, self.C, self.D, dt=self.dt, labels=self.labels)
        set_fields(explicit, _implicit=self)
        return explicit

    def _require_regular(self) -> None:
        if self.E is not None and _condition(self.E) > _CONDITION_LIMIT:
            raise ReductionError(
                "E is singular or nearly so: a descriptor system with algebraic equations "
                "has no explicit state space; eliminate the algebraic states first."
            )

    @cached_property
    def schur(self) -> SchurForm:
        """The Schur form that poles, Gramian factors and responses share, in graded coordinates."""
        if self._parts:
            return reduce(SchurForm.joined, (part.schur for part in self._parts))
        self._require_regular()
        if self._implicit is None:
            with threads_for(self.order):
                return SchurForm.of(self.A, self.E, self.dt, graded=True)
        if "schur" in vars(self._implicit) and self._implicit.schur.divisor is not None:
            return self._implicit.schur.undivided
        return replace(SchurForm.of(self.A, None, self.dt, graded=True), divided=self._implicit.E)

    @cached_property
    def _grading(self) -> tuple[np.ndarray, np.ndarray]:
        return grading(self.explicit.A)

    @cached_property
    def graded(self) -> LTI:
        """The explicit form in the coordinates of :func:`mor.equations.scaling.grading`."""
        sys = self.explicit
        index, t = self._grading
        return LTI(scaled(sys.A, index, t), sys.B[index] / t[:, None], sys.C[:, index] * t, sys.D, dt=self.dt)

    @property
    def _terms(self) -> tuple[LTI, ...]:
        """What a system made of this one takes its Schur form from; of sums of sums a flat list."""
        return (self,) if "schur" in vars(self) else self._parts or (self,)

    @property
    def poles(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self.schur.poles

    @property
    def margins(self) -> np.ndarray:
        return self.schur.margins

    @property
    def pole_errors(self) -> np.ndarray:
        """First-order errors of the poles next to the stability boundary
        (:func:`mor.equations.boundary.pole_errors`)."""
        return self.schur.pole_errors

    def controllability_factor(self, *, horizon: float | None = None) -> np.ndarray:
        """By Hammarling's method; of the explicit form by doubling if there is a horizon."""
        horizon = check_horizon(horizon, self.dt)
        if horizon is None:
            return self.schur.controllability_factor(self.B)
        index, t = self._grading
        Z = horizon_factor(self.graded.A, self.graded.B, self.dt, horizon)
        return _back(Z * t[:, None], index)

    def observability_factor(self, *, horizon: float | None = None) -> np.ndarray:
        """That of the explicit form, by the same means."""
        horizon = check_horizon(horizon, self.dt)
        if horizon is None:
            return self.schur.observability_factor(self.C)
        index, t = self._grading
        Z = horizon_factor(adjoint(self.graded.A), adjoint(self.graded.C), self.dt, horizon)
        return _back(Z / t[:, None], index)

    def gramians(self, *, horizon: float | None = None) -> tuple[np.ndarray, np.ndarray]:
        Zc, Zo = self.factors(horizon=horizon)
        return _square(Zc), _square(Zo)

    @property
    def output_factor_matrix(self) -> np.ndarray:
        return self.C

    @property
    def input_factor_matrix(self) -> np.ndarray:
        return self.explicit.B

    @property
    def evolution(self) -> Evolution:
        return DenseEvolution(self.explicit.A)

    def discretize(self, step: float, *, hold: Hold = "zero") -> LTI:
        """Exact for an input held between samples (``hold="zero"``) or joined by lines ("first").

        By one exponential of a matrix of order n + m (n + 2m); MATLAB's ``c2d``.
        """
        step = check_continuous_step(self.dt, step)
        A, first, late = self._holds(step, hold)
        B, D = first + A @ late, self.D + self.C @ late
        return LTI(A, B, self.C, D, dt=step, labels=self.labels)

    def ramp_matrix(self, step: float) -> np.ndarray:
        return self._holds(step, "first")[2]

    def _holds(self, step: float, hold: Hold) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The matrices of a hold, computed in graded coordinates: an exponential is right to its norm."""
        index, t = self._grading
        A, first, late = matrix_holds(self.graded.A, self.graded.B, step, hold)
        moved = np.empty_like(A)
        moved[np.ix_(index, index)] = A * t[:, None] / t
        return moved, _back(first * t[:, None], index), _back(late * t[:, None], index)

    def project(self, left: np.ndarray, right: np.ndarray) -> tuple[LTI, float]:
        left = adjoint(self.test_space(left))
        A, B, C = left @ self.A @ right, left @ self.B, self.C @ right
        return LTI(A, B, C, self.D, dt=self.dt, labels=without_states(self.labels)), 1.0

    def test_space(self, left: np.ndarray) -> np.ndarray:
        return left if self.E is None else np.linalg.solve(adjoint(self.E), left)

    def reciprocal(self) -> LTI:
        """In explicit form, by one LU factorisation in graded coordinates; E is not divided by."""
        n, c = self.order, dc_point(self.dt)
        index, t = self._grading if self.E is None else (np.arange(n), np.ones(n))
        A, E = (self.graded.A, np.eye(n)) if self.E is None else (self.A, self.E)
        back = np.ix_(index, index)
        try:
            solved = np.linalg.solve(A - c * E, np.hstack([E, self.B[index] / t[:, None]]))
        except np.linalg.LinAlgError:
            raise no_dc_gain(self.dt) from None
        R, B = np.empty_like(A), _back(solved[:, n:] * t[:, None], index)
        R[back] = solved[:, :n] * t[:, None] / t
        labels = without_states(self.labels)
        return LTI(c * np.eye(n) + R, B, -self.C @ R, self.D - self.C @ B, dt=self.dt, labels=labels)

    def with_outputs(self, C: np.ndarray, D: np.ndarray, *, labels: Labels | None = None) -> LTI:
        other = replace(self, C=C, D=D, labels=labels or without_outputs(self.labels))
        set_fields(other, _parts=self._terms)
        return other

    def in_units(self, inputs: Exponent, outputs: Exponent) -> LTI:
        B, C = times(self.B, -inputs, 2), times(self.C, -outputs, 2)
        other = replace(self, B=B, C=C, D=np.zeros_like(self.D))
        set_fields(other, _parts=self._terms)
        return other

    def on_numpy(self) -> Self:
        return self

    def detached(self) -> Self:
        return self

    def gramians_with_pullback(self) -> tuple[np.ndarray, np.ndarray, Pullback]:
        r"""By two adjoint equations ``A^H Y A - Y + W_P = 0``, ``A H A^H - H + W_Q = 0``.

        The gradient is that of the explicit form (E = I), of a complex x ``d/dRe x + i d/dIm x``.
        """
        sys = self.explicit
        P, Q = sys.gramians()

        def pull(weight_P: np.ndarray, weight_Q: np.ndarray) -> dict[str, np.ndarray]:
            Y, H = sys.schur.adjoint.solve(weight_P), sys.schur.solve(weight_Q)
            to_A = 2 * (Y @ sys.A @ P + Q @ sys.A @ H) if sys.dt else 2 * (Y @ P + Q @ H)
            return {"A": to_A, "B": 2 * Y @ sys.B, "C": 2 * sys.C @ H}

        return P, Q, pull

    @threads_by_order
    def evaluate(self, s: complex | np.ndarray) -> np.ndarray:
        points = to_numpy(check_points(s)).astype(complex)
        flat = points.reshape(-1)
        by_form = len(flat) > FEW_POINTS and (self.E is None or _condition(self.E) <= _CONDITION_LIMIT)
        try:
            if by_form:
                value = evaluate_by_form(self.A, self.E, self.B, self.C, self.schur, flat)
            else:
                # Pivots of an elimination depend on the units of the rows.
                sys = self.graded if self.E is None else self
                value = evaluate_by_lu(sys.A, sys.E, sys.B, sys.C, flat)
        except np.linalg.LinAlgError:
            value = np.full(1, np.nan)
        if not np.all(np.isfinite(value)):
            raise NotFiniteError("the transfer function is infinite: a point is a pole.")
        value += self.D
        return value[0] if points.ndim == 0 else value

    @cached_property
    def transfer(self) -> Transfer:
        """The transfer function without D in the coordinates of the Schur form, for searches."""
        return Transfer.of(self.schur, self.B, self.C)

    def impulse_response(self, steps: int) -> np.ndarray:
        """``C A^t B`` for t = 0..steps-1: (steps, p, m); discrete time, without D."""
        if not self.dt:
            raise TimeStepError("impulse_response samples a discrete system.")
        steps = check_count("steps", steps, self)
        sys = self.explicit
        state, responses = sys.B, []
        for _ in range(steps):
            responses.append(sys.C @ state)
            state = sys.A @ state
        result = np.array(responses).reshape(steps, self.n_outputs, self.n_inputs)
        check_overflow(None, result)
        return result

    def to_lti(self) -> LTI:
        return self

    def __neg__(self) -> Self:
        other = replace(self, C=-self.C, D=-self.D)
        set_fields(other, _parts=self._terms)
        return other

    def __add__(self, other: Any) -> System:
        other = operand(other)
        if not other.is_linear:
            return NotImplemented
        check_same_signals(self, other)
        a, b = self.explicit, other.to_lti().explicit
        A: Any = scipy.linalg.block_diag(a.A, b.A)
        B, C, labels = np.vstack([a.B, b.B]), np.hstack([a.C, b.C]), merged(self.labels, other.labels)
        total = LTI(A, B, C, a.D + b.D, dt=self.dt, labels=labels)
        set_fields(total, _parts=(*a._terms, *b._terms))
        return total

    def __repr__(self) -> str:
        field = "" if self.is_real else "complex "
        return f"<{self.title} {field}order {self.order}, {self.signals}>"


def _back(Z: np.ndarray, index: np.ndarray) -> np.ndarray:
    """Rows in the order that `index` has been taken of."""
    sorted_back = np.empty_like(Z)
    sorted_back[index] = Z
    return sorted_back


def _condition(E: np.ndarray) -> float:
    """Estimate of the condition of E, in the 1-norm, from its LU factors."""
    getrf, gecon = scipy.linalg.get_lapack_funcs(("getrf", "gecon"), (E,))
    if not E.size:
        return 1.0
    lu, _, info = getrf(E)
    reciprocal = 0.0 if info else gecon(lu, np.linalg.norm(E, 1))[0]
    return 1 / reciprocal if reciprocal > 0 else np.inf


def _square(Z: np.ndarray) -> np.ndarray:
    """``Z Z^H``, Hermitian to the last bit."""
    X = Z @ adjoint(Z)
    return (X + adjoint(X)) / 2 if np.iscomplexobj(X) else X


def _matrix(name: str, value: Any) -> np.ndarray:
    x = numbers(name, dense(name, value))
    if x.ndim != 2:
        raise DimensionError(f"{name} has shape {x.shape}; it must be a matrix.", argument=name)
    return x.astype(complex if np.iscomplexobj(x) else float)


def _in_one_field(given: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """All matrices real where nothing imaginary would be lost, else all complex."""
    if not any(np.iscomplexobj(x) for x in given.values()):
        return given
    if any(np.any(np.imag(x)) for x in given.values()):
        return {name: x.astype(complex) for name, x in given.items()}
    return {name: np.ascontiguousarray(np.real(x)) for name, x in given.items()}
