"""What every kind of system knows of itself, and all that the analysis ever asks of it."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Self, cast

import numpy as np

from mor.arrays import Array, conj, exponents, is_complex, namespace, times, to_numpy
from mor.checks import check_continuous_step, check_horizon, check_shape, guarded
from mor.equations.band import Band
from mor.equations.holds import Hold
from mor.equations.schur import SchurForm
from mor.errors import DimensionError
from mor.operators.base import Pullback
from mor.systems.arguments import check_same_signals, in_one_framework, no_dc_gain, operand
from mor.systems.labels import Labels, merged, without_outputs, without_states
from mor.systems.responses import Responses
from mor.systems.stability import require_stable

if TYPE_CHECKING:
    from mor.systems.modal import Modal

#: A power of two, one a system of a batch.
Exponent = int | np.ndarray

#: What only linear outputs have.
_IN_BAND = "Gramians of a band of frequencies"


class System(Responses):
    """A linear time-invariant system: a state matrix, an input map, and outputs.

    ``x' = A x + B u, y = C x + D u`` at ``dt = 0``, ``x[k+1] = A x[k] + B u[k]`` at
    ``dt > 0``. All is said once, of :attr:`operator`, B and :attr:`outputs`; norms, Hankel singular values
    and balanced truncation never ask which kind of system they hold. Signals, factors and
    Gramians are real where :attr:`is_real` says so, else complex; then a transpose below is a
    conjugate transpose.

    Another system is made of this one by

    ==============  ====================================================================================
    `_trusted`      some fields, as they are: nothing is checked
    `_mapped`       a function of each array, of any framework: nothing is checked
    `_of`           an operator, and B, C, D as the kind holds them; checked
    `_rebuilt`      an operator, and B, C, D in its coordinates; checked
    `of_states`     a dense A of fewer states: a kind that such states have, not always this one
    ==============  ====================================================================================
    """

    #: Whether :meth:`gramians` multiplies factors, which then are the cheaper of the two.
    gramians_from_factors: ClassVar[bool] = False

    @property
    def is_real(self) -> bool:
        """Whether real inputs have real outputs, ``G(conj(s)) = conj(G(s))``."""
        return not is_complex(self._input)

    @property
    def working_states(self) -> np.ndarray:
        """States (...) of each system that do something, as far as the kind can tell."""
        return np.asarray(self.order)

    @property
    def is_linear(self) -> bool:
        """Whether outputs are linear in the state, so that there is a transfer function."""
        return True

    @property
    def linear(self) -> System:
        """The system without quadratic terms; itself, if it is linear."""
        return self

    def equivalent(self, *, horizon: float | None = None) -> System:
        """The linear system with the same Gramians, H2 norm and balanced truncation; itself, if
        it is linear."""
        return self

    @property
    def explicit(self) -> System:
        """The same system with ``E = I``; itself where there is no E."""
        return self

    @property
    def carrier(self) -> System:
        """The linear system with all rows that outputs are made of; itself, if it is linear."""
        return self

    def with_carrier(self, carrier: System) -> System:
        """The system with the same forms of the outputs of another carrier."""
        return carrier

    @property
    def modal(self) -> Modal | None:
        """The system, if it is held as its modes; else None."""
        return None

    @guarded
    def controllability_factor(self, *, horizon: float | None = None) -> Array:
        """Zc with the controllability Gramian ``Zc Zc^T``."""
        return self.operator.factors(self._input, None, horizon=check_horizon(horizon, self.dt))[0]

    @guarded
    def observability_factor(self, *, horizon: float | None = None) -> Array:
        """Zo with the observability Gramian ``Zo Zo^T``."""
        if not self.is_linear:
            return self.factors(horizon=horizon)[1]
        C = self.outputs.rows
        return self.operator.factors(None, C, horizon=check_horizon(horizon, self.dt))[1]

    def factors(self, *, horizon: float | None = None) -> tuple[Array, Array]:
        """``(Zc, Zo)``; of quadratic outputs Zo is that of the rows which they stand for beside Zc."""
        if self.is_linear:
            limit = check_horizon(horizon, self.dt)
            return self.operator.factors(self._input, self.outputs.rows, horizon=limit)
        Zc = self.controllability_factor(horizon=horizon)
        C = self.outputs.extended(Zc).rows
        return Zc, self.operator.factors(None, C, horizon=check_horizon(horizon, self.dt))[1]

    @guarded
    def gramians(self, *, horizon: float | None = None) -> tuple[Array, Array]:
        """``(P, Q)`` in the coordinates of :meth:`factors`."""
        C = self.equivalent(horizon=horizon).outputs.rows
        return self.operator.gramians(self._input, C, horizon=check_horizon(horizon, self.dt))[:2]

    def band_factors(self, band: Band) -> tuple[np.ndarray, np.ndarray]:
        """``(Zc, Zo)`` of the Gramians limited to a band (:mod:`mor.equations.band`); NumPy."""
        return self.operator.factors(self._input, self.outputs.matrix(_IN_BAND), band=band)

    def band_gramians(self, band: Band) -> tuple[Array, Array]:
        """``(P, Q)`` limited to a band of frequencies."""
        return self.operator.gramians(self._input, self.outputs.matrix(_IN_BAND), band=band)[:2]

    def gramians_with_pullback(self) -> tuple[Array, Array, Pullback]:
        """``(P, Q, pull)``; ``pull(W_P, W_Q)`` is the gradient of ``<W_P, P> + <W_Q, Q>``
        by field name, for symmetric weights. Infinite horizon."""
        C = self.outputs.matrix("a differentiable sum of Hankel singular values")
        P, Q, pull = self.operator.gramians(self._input, C)
        return P, Q, cast(Pullback, pull)

    def project(self, left: Array, right: Array) -> tuple[System, float]:
        """``(W^T A V, W^T B, C V, D)`` for W = left, V = right in those coordinates, and the
        condition of the change of coordinates that the result went through, 1 if none.

        Raises
        ------
        DimensionError
            Of a batch; if W and V are not of one shape (n, r).
        QuadraticOutputError
            Of a complex system with quadratic outputs.
        """
        if self.batch_shape:
            raise DimensionError("project takes one system at a time, not a batch.")
        self.outputs.require_real()
        system, W, V = self.on_numpy(), to_numpy(left), to_numpy(right)
        check_shape("left", W.shape, (system._input.shape[-2], None))
        check_shape("right", V.shape, W.shape)
        A, B = system.operator.project(W, V, system._input)
        return system.of_states(A, B, system.outputs.rows @ V)

    @abstractmethod
    def of_states(self, A: np.ndarray, B: np.ndarray, C: np.ndarray) -> tuple[System, float]:
        """The system of other, fewer states with C for the rows of the outputs, and the condition of the
        coordinates that it is in; NumPy."""

    @guarded
    def reciprocal(self) -> System:
        r"""The system H with :math:`H(c + 1/(s - c)) = G(s)`, c = 0 or, in discrete time, 1.

        Zero frequency and infinity change places: with ``S = A - c E``, in the coordinates of
        :meth:`factors`,

        .. math:: (c + S^{-1}E,\; S^{-1}B,\; -CS^{-1}E,\; D - CS^{-1}B).

        Its reciprocal is the system itself.

        Raises
        ------
        ReductionError
            If c is a pole.
        NotFiniteError
            If the state matrix leaves the range of double precision.
        """
        rows = self.outputs.rows
        try:
            operator, B, C = self.operator.inverted(self._input, rows)
        except np.linalg.LinAlgError:
            raise no_dc_gain(self.dt) from None
        return self._rebuilt(operator, B, C, self.outputs.D - rows @ B, without_states(self.labels))

    @guarded
    def discretize(self, step: float, *, hold: Hold = "zero") -> System:
        """The discrete system whose output samples are those of this one, exactly.

        Parameters
        ----------
        step : time between samples.
        hold : the input is held between them (``"zero"``), or joined by straight lines (``"first"``).

        Returns
        -------
        System of the same kind, with ``dt = step`` (:mod:`mor.equations.holds`)

        Raises
        ------
        TimeStepError
            Of a discrete system; if `step` is not positive, or there is no such `hold`.
        NotFiniteError
            If the state overflows within a step.

        Notes
        -----
        MATLAB's ``c2d``.
        """
        step = check_continuous_step(self.dt, step)
        operator, B, late = self.operator.sampled(step, self._input, hold)
        rows, D = self.outputs.rows, self.outputs.D
        if hold == "first":
            B, D = B + operator.apply(late), D + rows @ late
        return self._rebuilt(operator, B, rows, D, self.labels)

    def ramp_matrix(self, step: float) -> Array:
        """``Gamma_1`` of :mod:`mor.equations.holds` in those coordinates, (..., n, m)."""
        return self.operator.sampled(step, self._input, "first")[2]

    @abstractmethod
    def _rebuilt(self, operator: Any, B: Array, C: Array, D: Array, labels: Labels | None) -> System:
        """The same kind of system, checked, of maps in the coordinates of the operator; C and D have all rows
        that outputs are made of."""

    def _of(self, operator: Any, B: Array, C: Array, D: Array, labels: Labels | None) -> System:
        """The same of maps as the kind holds them, where that is not as they are in those coordinates."""
        return self._rebuilt(operator, B, C, D, labels)

    def with_outputs(self, C: Array, D: Array, *, labels: Labels | None = None) -> System:
        """The same states with other outputs: C in the coordinates of :meth:`factors`."""
        self.outputs.matrix("outputs that are linear in its state")
        return self._rebuilt(self.operator, self._input, C, D, labels or without_outputs(self.labels))

    def signal_exponents(self) -> tuple[Exponent, Exponent]:
        """Binary exponents of the sizes of B and C, of each system of a batch."""
        axes = len(self.batch_shape)
        return exponents(self.B, axes), exponents(self.C, axes)

    def in_units(self, inputs: Exponent, outputs: Exponent) -> System:
        r"""The system without D, with B over ``2^inputs`` and C over ``2^outputs``.

        With quadratic outputs, those forms of it whose values are the outputs over the product.
        """
        B, C = times(self.B, -inputs, 2), times(self.C, -outputs, 2)
        return self._trusted(operator=self.operator, B=B, C=C, D=namespace(self.D).zeros_like(self.D))

    @property
    def output_factor_matrix(self) -> Array:
        """C in the coordinates of :meth:`factors`."""
        return self.outputs.matrix("one matrix C of its outputs")

    def cross_solution(self, form: SchurForm, Q: np.ndarray, *, adjoint: bool = False) -> np.ndarray:
        """X with ``A X + X F^T + Q = 0``, or ``A X F^T - X + Q = 0``; `form` is the Schur form of a
        real F. With `adjoint`: ``A^T X + X F + Q = 0``, or ``A^T X F - X + Q = 0``.

        In the coordinates of :meth:`factors`, NumPy, unchecked.
        """
        if adjoint:
            return self.operator.adjoint().cross_solution(form.adjoint, Q)
        return self.operator.cross_solution(form, Q)

    def inner(self, other: System, *, horizon: float | None = None) -> Array:
        """``<G, H>`` of the impulse responses without D: ``tr(C_a X C_b^H)``, X the block of the
        joint Gramian that belongs to the states of both."""
        joint = self + other
        Z, C = joint.controllability_factor(horizon=horizon), joint.output_factor_matrix
        n = self.order
        mine, theirs = C[..., :, :n] @ Z[..., :n, :], C[..., :, n:] @ Z[..., n:, :]
        return namespace(C).sum(mine * conj(theirs), axis=(-2, -1))

    @guarded
    def to_lti(self) -> Any:
        """The same map as a dense NumPy :class:`LTI`.

        Raises
        ------
        DimensionError
            Of a batch of systems.
        QuadraticOutputError
            Of a system with quadratic outputs; ``.linear`` is one without.
        """
        from mor.systems.lti import LTI

        if self.batch_shape:
            raise DimensionError(f"to_lti takes one system, not a batch of shape {self.batch_shape}.")
        self.outputs.matrix("the matrices (A, B, C, D) of a linear one")
        system = self.on_numpy()
        B, C = system.input_factor_matrix, system.outputs.rows
        return LTI(system.operator.apply(np.eye(len(B))), B, C, system.D, dt=self.dt, labels=self.labels)

    @guarded
    def __add__(self, other: Any) -> System:
        """The sum of two transfer functions; `other` is anything :func:`mor.as_system` takes."""
        other = operand(other)
        if not other.is_linear:
            return NotImplemented
        check_same_signals(self, other)
        return self._summed(other) or self.to_lti()._summed(other.to_lti())

    def _summed(self, other: System) -> System | None:
        """The sum of two linear systems whose operators can be joined; else None."""
        a, b = in_one_framework(self.explicit, other.explicit)
        operator = a.operator.joined(b.operator)
        if operator is None:
            return None
        concat = namespace(a.B).concat
        B, C = concat([a.B, b.B], axis=-2), concat([a.C, b.C], axis=-1)
        return a._of(operator, B, C, a.D + b.D, merged(self.labels, other.labels))

    def __radd__(self, other: Any) -> System:
        return operand(other) + self

    @guarded
    def __sub__(self, other: Any) -> System:
        return self + (-operand(other))

    def __rsub__(self, other: Any) -> System:
        return operand(other) - self

    def __neg__(self) -> Self:
        return self._trusted(operator=self.operator, C=-self.C, D=-self.D)

    @property
    def margins(self) -> Array:
        """Distances (..., k) of the poles to the stability boundary, positive inside."""
        return self.operator.spectrum.margins

    @property
    def pole_errors(self) -> Array | float:
        """Errors of the poles next to that boundary, zero where poles are data
        (:mod:`mor.equations.boundary`)."""
        return self.operator.spectrum.pole_errors

    @property
    @guarded
    def is_stable(self) -> bool:
        """Whether every pole lies inside the stability region, by more than the error it is known with."""
        return bool(namespace(self.poles).all(self.margins > self.pole_errors))

    def require_stable(self, purpose: str, *, otherwise: str | None = None) -> None:
        """Raise unless finite and :attr:`is_stable`; traced values pass unchecked.

        `otherwise` says what an unstable system does have, in place of a finite horizon.
        """
        require_stable(self, purpose, otherwise)
