"""What every kind of system knows of itself, and all that the analysis ever asks of it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Self, cast

import numpy as np

from mor.arrays import (
    Array,
    adjoint,
    conj,
    exponents,
    is_concrete,
    is_numpy,
    namespace,
    to_numpy,
)
from mor.checks import check_finite, guarded, numbers
from mor.equations.band import Band, band_factors
from mor.equations.boundary import margins, unstable_message
from mor.equations.doubling import Evolution
from mor.equations.holds import Hold
from mor.equations.schur import SchurForm
from mor.equations.sylvester import cross_solution
from mor.errors import (
    ArgumentTypeError,
    DimensionError,
    NotFiniteError,
    ReductionError,
    TimeStepError,
    UnstableSystemError,
    keyword,
)
from mor.systems.labels import Labels, listed, signal_names

#: A power of two, one a system of a batch.
Exponent = int | np.ndarray

#: From weights on P and Q to the gradient with respect to a system's fields.
Pullback = Callable[[Array, Array], dict[str, Array]]


#: Methods and properties that users ask for, with data whose arithmetic may fail.
_GUARDED = (
    *("evaluate", "frequency_response", "impulse_response", "discretize", "reciprocal", "to_lti", "from_lti"),
    *("gramians", "controllability_factor", "observability_factor", "__post_init__", "__add__", "__sub__"),
    *("from_gate", "from_glu", "to_dense", "padded", "poles"),
)


class System(ABC):
    """A linear time-invariant system.

    ``x' = A x + B u, y = C x + D u`` at ``dt = 0``, ``x[k+1] = A x[k] + B u[k]`` at
    ``dt > 0``. Norms, Hankel singular values and balanced truncation use only the
    members below and never ask which kind of system they hold. Signals, factors and
    Gramians are real where :attr:`is_real` says so, else complex; then a transpose below is a
    conjugate transpose.
    """

    #: Eigenvalues of A, with conjugates left out where the kind implies them.
    poles: Any
    #: Feedthrough, (..., p, m).
    D: Any
    #: 0.0 continuous, positive discrete.
    dt: float
    #: Names of the signals and the system; None where there are none.
    labels: Labels | None
    #: Operators with a NumPy array on the left are this class's, not elementwise.
    __array_ufunc__: ClassVar[None] = None
    #: Whether :meth:`gramians` multiplies factors, which then are the cheaper of the two.
    gramians_from_factors: ClassVar[bool] = False

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        for name in _GUARDED:
            method = vars(cls).get(name)
            if isinstance(method, classmethod):
                setattr(cls, name, classmethod(guarded(method.__func__)))
            elif isinstance(method, property):
                setattr(cls, name, property(guarded(cast(Any, method.fget))))
            elif method is not None:
                setattr(cls, name, guarded(method))

    @property
    @abstractmethod
    def order(self) -> int:
        """Number of states: real ones, or complex ones of a complex system."""

    @property
    def is_real(self) -> bool:
        """Whether real inputs have real outputs, ``G(conj(s)) = conj(G(s))``."""
        return True

    @property
    @abstractmethod
    def n_inputs(self) -> int: ...

    @property
    @abstractmethod
    def n_outputs(self) -> int: ...

    @property
    def signals(self) -> str:
        """Inputs, outputs and time step in words."""
        inputs, outputs = (listed(names) for names in signal_names(self.labels))
        return f"{self.n_inputs} inputs{inputs}, {self.n_outputs} outputs{outputs}, dt={self.dt:g}"

    @property
    def title(self) -> str:
        """Kind, and name if there is one."""
        name = self.labels.name if self.labels else None
        return f"{type(self).__name__} {name!r}" if name else type(self).__name__

    @property
    def is_linear(self) -> bool:
        """Whether outputs are linear in the state, so that there is a transfer function."""
        return True

    def equivalent(self, *, horizon: float | None = None) -> System:
        """The linear system with the same Gramians, H2 norm and balanced truncation; itself, if
        it is linear."""
        return self

    @property
    def carrier(self) -> System:
        """The linear system whose outputs :meth:`observe` takes; itself, if it is linear."""
        return self

    def with_carrier(self, carrier: System) -> System:
        """The system with the same forms of the outputs of another carrier."""
        return carrier

    def observe(self, y: Array) -> Array:
        """The outputs (..., p) from those of :attr:`carrier`."""
        return y

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch of independent systems; empty for a single one."""
        return ()

    def split(self, parts: int) -> Sequence[System]:
        """About `parts` slices of the batch, in order; one where there is none to slice."""
        return [self]

    @abstractmethod
    def controllability_factor(self, *, horizon: float | None = None) -> Array:
        """Zc with the controllability Gramian ``Zc Zc^T``."""

    @abstractmethod
    def observability_factor(self, *, horizon: float | None = None) -> Array:
        """Zo with the observability Gramian ``Zo Zo^T``."""

    def factors(self, *, horizon: float | None = None) -> tuple[Array, Array]:
        """``(Zc, Zo)``."""
        return self.controllability_factor(horizon=horizon), self.observability_factor(horizon=horizon)

    @abstractmethod
    def gramians(self, *, horizon: float | None = None) -> tuple[Array, Array]:
        """``(P, Q)`` in the coordinates of :meth:`factors`."""

    def band_factors(self, band: Band) -> tuple[np.ndarray, np.ndarray]:
        """``(Zc, Zo)`` of the Gramians limited to a band (:mod:`mor.equations.band`); NumPy."""
        dense = self.to_lti()
        return band_factors(dense.schur, dense.B, dense.C, band)

    def band_gramians(self, band: Band) -> tuple[Array, Array]:
        """``(P, Q)`` limited to a band of frequencies."""
        Zc, Zo = self.band_factors(band)
        return Zc @ adjoint(Zc), Zo @ adjoint(Zo)

    @abstractmethod
    def project(self, left: Array, right: Array) -> tuple[System, float]:
        """``(W^T A V, W^T B, C V, D)`` for W = left, V = right in those coordinates, and the
        condition of the change of coordinates that the result went through, 1 if none."""

    def test_space(self, left: Any) -> Any:
        """W of ``W^T E V = I`` for W = left of :meth:`project`: ``E^{-T} left``, itself without E."""
        return left

    @abstractmethod
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
        """

    @abstractmethod
    def with_outputs(self, C: Array, D: Array, *, labels: Labels | None = None) -> System:
        """The same states with other outputs: C in the coordinates of :meth:`factors`."""

    def moved(self, like: Array) -> System:
        """The same system with its arrays beside `like`; itself where it is NumPy's in any case."""
        return self

    def signal_exponents(self) -> tuple[Exponent, Exponent]:
        """Binary exponents of the sizes of B and C, of each system of a batch."""
        axes, own = len(self.batch_shape), cast(Any, self)
        return exponents(own.B, axes), exponents(own.C, axes)

    @abstractmethod
    def in_units(self, inputs: Exponent, outputs: Exponent) -> System:
        r"""The system without D, with B over ``2^inputs`` and C over ``2^outputs``.

        With quadratic outputs, those forms of it whose values are the outputs over the product.
        """

    @abstractmethod
    def on_numpy(self) -> System:
        """The same system as a constant on NumPy, in double precision."""

    @abstractmethod
    def detached(self) -> Self:
        """The same system as a constant, in double precision where there is one."""

    @abstractmethod
    def gramians_with_pullback(self) -> tuple[Array, Array, Pullback]:
        """``(P, Q, pull)``; ``pull(W_P, W_Q)`` is the gradient of ``<W_P, P> + <W_Q, Q>``
        by field name, for symmetric weights. Infinite horizon."""

    @property
    @abstractmethod
    def output_factor_matrix(self) -> Array:
        """C in the coordinates of :meth:`factors`."""

    @property
    @abstractmethod
    def input_factor_matrix(self) -> Array:
        """B in those coordinates."""

    @property
    @abstractmethod
    def evolution(self) -> Evolution:
        """``x -> A x`` in those coordinates."""

    @abstractmethod
    def discretize(self, step: float, *, hold: Hold = "zero") -> System:
        """The discrete system whose output samples are those of this one, `step` apart, for an
        input that is held between samples, or joined by straight lines (``hold="first"``)."""

    @abstractmethod
    def ramp_matrix(self, step: float) -> Array:
        """``Gamma_1`` of :mod:`mor.equations.holds` in those coordinates, (..., n, m)."""

    def cross_solution(self, form: SchurForm, Q: np.ndarray, *, adjoint: bool = False) -> np.ndarray:
        """X with ``A X + X F^T + Q = 0``, or ``A X F^T - X + Q = 0``; `form` is the Schur form of a
        real F. With `adjoint`: ``A^T X + X F + Q = 0``, or ``A^T X F - X + Q = 0``.

        In the coordinates of :meth:`factors`, NumPy, unchecked.
        """
        mine = self.to_lti().explicit.schur
        return cross_solution(mine.adjoint, form.adjoint, Q) if adjoint else cross_solution(mine, form, Q)

    def inner(self, other: System, *, horizon: float | None = None) -> Array:
        """``<G, H>`` of the impulse responses without D: ``tr(C_a X C_b^H)``, X the block of the
        joint Gramian that belongs to the states of both."""
        joint = self + other
        Z, C = joint.controllability_factor(horizon=horizon), joint.output_factor_matrix
        n = self.order
        mine, theirs = C[..., :, :n] @ Z[..., :n, :], C[..., :, n:] @ Z[..., n:, :]
        return namespace(C).sum(mine * conj(theirs), axis=(-2, -1))

    @abstractmethod
    def evaluate(self, s: complex | Array) -> Array:
        """Transfer function at the points `s`: (..., p, m), or (..., len(s), p, m)."""

    @abstractmethod
    def to_lti(self) -> Any:
        """The same map as a dense NumPy :class:`LTI`."""

    @abstractmethod
    def __add__(self, other: Any) -> System:
        """The sum of two transfer functions; `other` is anything :func:`mor.as_system` takes."""

    def __radd__(self, other: Any) -> System:
        return operand(other) + self

    def __sub__(self, other: Any) -> System:
        return self + (-operand(other))

    def __rsub__(self, other: Any) -> System:
        return operand(other) - self

    @abstractmethod
    def __neg__(self) -> Self: ...

    def frequency_response(self, omega: Array) -> Array:
        """``G(i omega)`` or ``G(exp(i omega dt))``: (..., len(omega), p, m).

        `omega` is in radians per unit of time.
        """
        omega = numbers("omega", omega, kinds="biuf").astype(float)
        if omega.ndim > 1:
            raise DimensionError(f"omega has shape {omega.shape}; it must be one or (N,).", argument="omega")
        check_finite(omega=omega)
        response = self.evaluate(np.exp(1j * omega * self.dt) if self.dt else 1j * omega)
        check_overflow(None, response)
        return response

    @property
    def margins(self) -> Array:
        """Distances (..., k) of the poles to the stability boundary, positive inside."""
        return margins(self.poles, self.dt)

    @property
    def pole_errors(self) -> Array | float:
        """Errors of the poles next to that boundary, zero where poles are data
        (:mod:`mor.equations.boundary`)."""
        return 0.0

    @property
    @guarded
    def is_stable(self) -> bool:
        """Whether every pole lies inside the stability region, by more than the error it is known with."""
        return bool(namespace(self.poles).all(self.margins > self.pole_errors))

    def require_stable(self, purpose: str, *, otherwise: str | None = None) -> None:
        """Raise unless finite and :attr:`is_stable`; traced values pass unchecked.

        `otherwise` says what an unstable system does have, in place of a finite horizon.
        """
        if not is_concrete(self.poles):
            return
        poles = to_numpy(self.poles)
        if not np.all(np.isfinite(poles)):
            where = np.argwhere(~np.isfinite(poles))[0].tolist()
            raise NotFiniteError(f"pole {where} is {poles[tuple(where)]}: {purpose} needs finite data.")
        margin, error = to_numpy(self.margins), np.broadcast_to(to_numpy(self.pole_errors), poles.shape)
        if np.all(margin > error):
            return
        worst = np.unravel_index(np.argmin(margin - error), margin.shape)
        place = ", ".join(str(int(i)) for i in worst)
        raise UnstableSystemError(
            unstable_message(
                poles[worst],
                place,
                self.dt,
                float(error[worst]),
                purpose if otherwise is not None else f"{purpose} on an infinite horizon",
                needs="a strictly stable system",
                remedy=_remedy(self.dt, bool(margin[worst] < -error[worst]), otherwise),
            )
        )


def _remedy(dt: float, unstable: bool, otherwise: str | None) -> str:
    """What to do about an unstable pole, or one on the boundary."""
    horizon = f"{keyword('horizon')} gives the finite-horizon quantity, which any system has."
    if not unstable:
        return otherwise or f"mor.split_stable sets such poles apart; {horizon}"
    kind, step = ("continuous", keyword("dt", "0")) if dt else ("discrete", f"its step as {keyword('dt')}")
    other = f"If this is a {kind}-time system, give {step}"
    return f"{other}. {otherwise}" if otherwise else f"{other}; {horizon}"


def operand(other: Any) -> System:
    """`other` as a system, to be added to one."""
    if isinstance(other, System):
        return other
    from mor.systems.convert import as_system

    return as_system(other)


def in_one_framework(a: Any, b: Any) -> tuple[Any, Any]:
    """Two systems with their arrays in the framework of the one that is not NumPy's, if one is."""
    if namespace(a.D) is namespace(b.D):
        return a, b
    if is_numpy(b.D):
        return a, b.moved(a.D)
    if is_numpy(a.D):
        return a.moved(b.D), b
    raise ArgumentTypeError("the systems hold arrays of two frameworks: bring one of them to NumPy.")


def check_overflow(horizon: float | None, *results: Array) -> None:
    """Raise if what a growing response left within `horizon` is not finite."""
    for x in results:
        if is_concrete(x) and not bool(namespace(x).all(namespace(x).isfinite(x))):
            if horizon is None:
                raise NotFiniteError(
                    "the result overflows double precision: choose other units of the signals."
                )
            raise NotFiniteError(
                f"the response overflows within horizon={horizon!r}: the system is unstable and that is "
                "too long for double precision."
            )


def check_same_signals(a: System, b: System) -> None:
    """Raise unless the two systems can be added: same signals, same time."""
    if (a.n_inputs, a.n_outputs) != (b.n_inputs, b.n_outputs):
        raise DimensionError(
            f"the systems have {a.n_inputs} and {b.n_inputs} inputs, "
            f"{a.n_outputs} and {b.n_outputs} outputs; they must agree."
        )
    if a.batch_shape != b.batch_shape:
        shapes = f"{a.batch_shape} and {b.batch_shape}"
        raise DimensionError(f"the systems are batches of {shapes}; they must agree.")
    if a.dt != b.dt:
        raise TimeStepError(f"the systems have dt={a.dt:g} and dt={b.dt:g}; they must agree.")


def no_dc_gain(dt: float) -> ReductionError:
    """What is wrong with a system that has a pole at :func:`dc_point`."""
    point = "z = 1" if dt else "s = 0"
    infinity, split = keyword("match", "'infinity'"), keyword("unstable", "'split'")
    return ReductionError(
        f"a pole is at {point}: the gain at dc is infinite and cannot be matched. Take {infinity}, or "
        f"{split}, which keeps such a pole."
    )


def set_fields(owner: System, **fields: Any) -> None:
    """Assign validated fields of a frozen dataclass during its construction."""
    for name, value in fields.items():
        object.__setattr__(owner, name, value)
