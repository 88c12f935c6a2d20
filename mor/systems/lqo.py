"""Linear systems with quadratic outputs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from operator import attrgetter
from typing import Any

import numpy as np
from scipy.special import expit

from mor.arrays import exponents, times
from mor.checks import check_overflow, guarded
from mor.errors import DimensionError
from mor.operators.base import Operator
from mor.systems.arguments import check_same_signals, operand, set_fields
from mor.systems.base import Exponent, System
from mor.systems.convert import as_system
from mor.systems.labels import Labels, merged, signal_names, without_outputs
from mor.systems.outputs import QuadraticOutputs
from mor.systems.quadratic import (
    Dense,
    Products,
    Quadratic,
    as_quadratic,
    number_matrix,
    real_array,
    real_matrix,
)

#: Relative to the product: far above its round-off, far below any other C.
_TIED = 1e-10


def _of_the_system(name: str) -> Any:
    """A property that is that of the linear system within."""
    return property(attrgetter(f"system.{name}"), doc=f"`{name}` of the linear system within.")


@dataclass(frozen=True, eq=False)
class LQO(System):
    r"""A linear system with quadratic outputs (LQO).

    .. math:: \dot x = A x + B u, \quad y_i = c_i x + d_i u + z^T N_i z, \qquad z = Y x + D_y u

    or the discrete analogue. With :math:`z = x` these are
    :math:`y_i = c_i x + x^T M_i x + d_i u`; a gate has the few numbers z that it multiplies.

    **An LQO system is a linear system with more outputs.** For a factor :math:`P = Z Z^T` of the
    controllability Gramian and :math:`\tilde Z = [Y Z\; D_y]` the system
    (A, B, :math:`C_e`, :math:`D_e`) with the rows

    .. math:: [C_e\; D_e] = \begin{bmatrix} C & D \\ \tilde Z^T N_1 Y & \tilde Z^T N_1 D_y \\ \vdots & \vdots
              \end{bmatrix}

    has the same Gramians, H2 norm and balanced truncation (:meth:`extended`).

    Parameters
    ----------
    system : anything :func:`mor.as_system` takes: the linear part, with its C and D. One
        system (no batch), stable or not; it is kept as it is, dense or modal, in NumPy's double precision.
    M : array (p, n, n), one matrix an output, symmetrised; (n, n) for one output; a pair
        ``(left, right)`` of arrays (p, q, n) for :math:`\sum_j (l_{ij}^T x)(r_{ij}^T x)` (or (p, n) for
        one product an output); or a :class:`~mor.systems.quadratic.Quadratic`. It may be
        indefinite. For a :class:`~mor.Modal` of k complex modes x is ``[Re z; Im z]``, n = 2k.
    readout : pair ``(Y, D_y)`` of arrays (c, n), (c, m), for forms M of z instead of x.
    mix : array (p, c), or None. Says that C = mix Y, D = mix D_y: the outputs are functions of z
        alone and remain so when the system is reduced: only Y shrinks.
    exact : whether the outputs are what they stand for, or an expansion to second order.

    Raises
    ------
    DimensionError
        If shapes do not fit together, or `system` is a batch.
    NotFiniteError
        If an entry is NaN or infinite.

    Notes
    -----
    The H2 norm is that of the Volterra kernels, first and second: see :func:`mor.impulse_kernels`.
    A system with quadratic outputs has no transfer function, no H-infinity norm and no dual;
    what needs one raises :class:`~mor.errors.QuadraticOutputError`. ``.linear`` is the system
    without the quadratic terms. The transforms of both kernels are :func:`mor.transfer_kernels`, which
    unstable and complex systems have too.

    Of a complex system (or with complex M) outputs are :math:`z^T N_i z` without a conjugate. Such a
    system can be evaluated, simulated, sampled and added to others; norms, Gramians and reductions are
    those of real systems.

    Source: [VanBeeumen12]; [Benner22] for the Gramians.

    Examples
    --------
    >>> import numpy as np, mor
    >>> sys = mor.LQO(([[-2, 1], [-1, -1]], [[6], [0]], [[0, 0]]), np.eye(2) / 2)
    >>> float((mor.h2_norm(sys) ** 2).round(10))
    19.0
    """

    system: System
    #: A Quadratic once it is constructed.
    M: Any
    readout: Any = None
    mix: Any = field(default=None, kw_only=True)
    exact: bool = field(default=True, kw_only=True)

    @guarded
    def __post_init__(self) -> None:
        system, M = as_system(self.system), as_quadratic(self.M)
        if not system.is_linear:
            raise DimensionError("the linear part of an LQO system has quadratic outputs itself.")
        system = _on_numpy(system)
        C, D = system.outputs.rows, system.D
        readout, mix = self.readout, self.mix
        if readout is not None:
            readout = _checked_readout(readout, C.shape[1], system.n_inputs, system.is_real)
        size = C.shape[1] if readout is None else len(readout[0])
        if (M.n_outputs, M.size) != (system.n_outputs, size):
            raise DimensionError(
                f"M has {M.n_outputs} forms of {M.size} numbers; the system has {system.n_outputs} outputs "
                f"and {size} {'states' if readout is None else 'rows in Y'}."
            )
        if mix is not None:
            mix = real_matrix("mix", mix, system.n_outputs, size)
            Y, Dy = readout or _whole_state(size, system.n_inputs)
            _check_tied("C = mix Y", C, mix, Y)
            _check_tied("D = mix D_y", D, mix, Dy)
        set_fields(self, system=system, M=M, readout=readout, mix=mix)

    @classmethod
    @guarded
    def from_gate(cls, system: Any, W1: Any, W2: Any) -> LQO:
        r"""The gated outputs :math:`y = (W_1 z) \odot (W_2 z)` of ``z = C x + D u``; exact.

        Parameters
        ----------
        system : the system with the outputs z, c of them.
        W1, W2 : arrays (p, c).

        Raises
        ------
        DimensionError
            If W1 and W2 do not fit the outputs of `system`, or that is a batch.
        NotFiniteError
            If an entry is NaN or infinite.
        QuadraticOutputError
            If `system` has quadratic outputs itself.

        Notes
        -----
        With the state [x; u] where D is not zero. In continuous time such an output has an
        infinite H2 norm.

        Examples
        --------
        >>> import mor
        >>> gate = mor.LQO.from_gate(([[0.5]], [[1.0]], [[2.0]]), [[1.0]], [[3.0]])
        >>> gate.M.of(gate.readout[0]).matrices  # 3 (2 x)^2
        array([[[12.]]])
        """
        W1 = real_matrix("W1", W1, None, as_system(system).n_outputs)
        W2 = real_matrix("W2", W2, *W1.shape)
        return cls._gated(system, Products(W1[:, None], W2[:, None]), np.zeros(W1.shape), exact=True)

    @classmethod
    @guarded
    def from_glu(cls, system: Any, W: Any, b: Any = None) -> LQO:
        r"""A gated linear unit :math:`z \odot \mathrm{sigmoid}(W z + b)`, z = C x + D u, to second order.

        .. math:: y_i = s(b_i)\, z_i + s'(b_i)\, z_i\, w_i^T z + O(|z|^3), \qquad s' = s(1 - s).

        The first term left out is :math:`\tfrac12 s''(b_i) z_i (w_i^T z)^2`; ``exact`` is False.

        Parameters
        ----------
        system : the system with the outputs z, c of them.
        W, b : arrays (c, c) and (c,), zero if b is left out.

        Raises
        ------
        DimensionError
            If W and b do not fit the outputs of `system`, or that is a batch.
        NotFiniteError
            If an entry is NaN or infinite.
        QuadraticOutputError
            If `system` has quadratic outputs itself.

        Examples
        --------
        >>> import mor
        >>> unit = mor.LQO.from_glu(([[0.5]], [[1.0]], [[2.0]]), [[1.0]])
        >>> unit.exact, unit.mix
        (False, array([[0.5]]))
        """
        c = as_system(system).n_outputs
        W = real_matrix("W", W, c, c)
        b = np.zeros(c) if b is None else real_array("b", b)
        if b.shape != (c,):
            raise DimensionError(f"b has shape {b.shape}; it must be ({c},), one number an output.")
        gate = expit(b)
        slope = gate * expit(-b)
        forms = Products(np.eye(c)[:, None], (slope[:, None] * W)[:, None])
        return cls._gated(system, forms, np.diag(gate), exact=False)

    @classmethod
    def _gated(cls, system: Any, forms: Quadratic, mix: np.ndarray, *, exact: bool) -> LQO:
        base = _on_numpy(as_system(system))
        Y, Dy = base.output_factor_matrix, base.D
        return cls(base.with_outputs(mix @ Y, mix @ Dy), forms, (Y, Dy), mix=mix, exact=exact)

    @property
    def linear(self) -> System:
        """The system without its quadratic terms."""
        return self.system

    @cached_property
    def outputs(self) -> QuadraticOutputs:  # pyright: ignore[reportIncompatibleVariableOverride]
        C, D = self.system.outputs.rows, self.system.D
        Y, Dy = self.readout or _whole_state(C.shape[1], self.n_inputs)
        return QuadraticOutputs(np.vstack([C, Y]), np.vstack([D, Dy]), self.M, self.mix)

    @cached_property
    def carrier(self) -> System:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The linear system with the outputs [Cx + Du; z]."""
        return self.system.with_outputs(self.outputs.rows, self.outputs.D)

    def with_carrier(self, carrier: System) -> LQO:
        """The same forms of the outputs of another carrier.

        Where z is as long as the new state or longer, and the outputs are not tied to it by
        `mix`, the state takes its place.
        """
        p, outputs = self.n_outputs, self.outputs.with_rows(carrier.outputs.rows, carrier.outputs.D)
        (C, Y), (D, Dy) = ((x[:p], x[p:]) for x in (outputs.rows, outputs.D))
        labels = replace(carrier.labels or Labels(), outputs=signal_names(self.labels)[1])
        system = carrier.with_outputs(C, D, labels=labels)
        if self.mix is None and not np.any(Dy) and len(Y) >= Y.shape[1]:
            return LQO(system, self.M.of(Y), exact=self.exact)
        return LQO(system, self.M, (Y, Dy), mix=self.mix, exact=self.exact)

    def _rebuilt(self, operator: Operator, B: Any, C: Any, D: Any, labels: Labels | None) -> LQO:
        return self.with_carrier(self.carrier._rebuilt(operator, B, C, D, without_outputs(labels)))

    def of_states(self, A: np.ndarray, B: np.ndarray, C: np.ndarray) -> tuple[LQO, float]:
        """Forms of z stay, forms of the whole state become those of the new one."""
        carrier, condition = self.carrier.of_states(A, B, C)
        return self.with_carrier(carrier), condition

    def equivalent(self, *, horizon: float | None = None) -> System:
        Z = self.controllability_factor(horizon=horizon)
        with np.errstate(over="ignore"):
            check_overflow(horizon, Z**2)
        return self.extended(Z)

    def extended(self, factor: np.ndarray) -> System:
        """The linear system (A, B, C_e, D_e) of the class's equations, for a factor Z of P."""
        outputs = self.outputs.extended(factor)
        return self.carrier.with_outputs(outputs.rows, outputs.D)

    @property
    def is_linear(self) -> bool:
        return False

    @property
    def is_real(self) -> bool:
        return self.system.is_real and self.outputs.is_real

    @property
    def order(self) -> int:
        return self.carrier.order

    n_outputs = _of_the_system("n_outputs")  # pyright: ignore[reportIncompatibleMethodOverride]
    operator = _of_the_system("operator")  # pyright: ignore[reportIncompatibleMethodOverride]
    _input = _of_the_system("_input")  # pyright: ignore[reportIncompatibleMethodOverride]
    poles, B, D = (_of_the_system(name) for name in ("poles", "B", "D"))
    dt, labels = (_of_the_system(name) for name in ("dt", "labels"))

    def inner(self, other: System, *, horizon: float | None = None) -> Any:
        r""":math:`\mathrm{tr}(C X \hat C^T) + \sum_i \mathrm{tr}(M_i X \hat M_i X^T)`, X of the joint P."""
        other = self.of_linear(other)
        check_same_signals(self, other)
        for system in (self, other):
            system.outputs.require_real()
        joint, count = _side_by_side(self.carrier, other.carrier), self.carrier.n_outputs
        seen = joint.output_factor_matrix @ joint.controllability_factor(horizon=horizon)
        mine, theirs, p = seen[:count], seen[count:], self.n_outputs
        X = mine[p:] @ theirs[p:].T + self.outputs.D[p:] @ other.outputs.D[p:].T
        return np.sum(mine[:p] * theirs[:p]) + self.M.inner(other.M, X)

    @classmethod
    def of_linear(cls, system: System) -> LQO:
        """A linear system as one whose quadratic terms are zero; an LQO itself."""
        if isinstance(system, LQO):
            return system
        system = system.on_numpy()
        p, n, m = system.n_outputs, system.outputs.rows.shape[1], system.n_inputs
        nothing = np.zeros((p, 0, 0))
        return cls(system, Products(nothing, nothing), (np.zeros((0, n)), np.zeros((0, m))))

    def signal_exponents(self) -> tuple[Exponent, Exponent]:
        inputs, outputs = (int(x) for x in self.system.signal_exponents())
        if self.readout is not None and np.any(self.readout[1]):
            inputs = max(inputs, exponents(self.readout[1], 0))
        forms = self.M.exponent()
        if forms is None:
            return inputs, outputs
        forms = forms + inputs
        return inputs, max(outputs, forms) if np.any(self.system.C) else forms

    def in_units(self, inputs: Exponent, outputs: Exponent) -> LQO:
        readout = None if self.readout is None else (self.readout[0], times(self.readout[1], -inputs, 2))
        M = self.M.in_units(int(outputs - inputs))
        return LQO(self.system.in_units(inputs, outputs), M, readout, exact=self.exact)

    @guarded
    def to_dense(self) -> LQO:
        """The same system on a dense :class:`~mor.LTI`."""
        return self.with_carrier(self.carrier.to_lti().explicit)

    def __neg__(self) -> LQO:
        mix = None if self.mix is None else -self.mix
        return LQO(-self.system, -self.M, self.readout, mix=mix, exact=self.exact)

    @guarded
    def __add__(self, other: Any) -> LQO:
        other = self.of_linear(operand(other))
        check_same_signals(self, other)
        p, count = self.n_outputs, self.carrier.n_outputs
        both = _side_by_side(self.carrier, other.carrier)
        C, D = both.outputs.rows, both.outputs.D
        system = both.with_outputs(
            C[:p] + C[count : count + p],
            D[:p] + D[count : count + p],
            labels=merged(self.labels, other.labels),
        )
        Y, Dy = (np.delete(x, [*range(p), *range(count, count + p)], axis=0) for x in (C, D))
        mix = None if self.mix is None or other.mix is None else np.hstack([self.mix, other.mix])
        return LQO(system, self.M.beside(other.M), (Y, Dy), mix=mix, exact=self.exact and other.exact)

    def __radd__(self, other: Any) -> LQO:
        return self.of_linear(operand(other)) + self

    def __repr__(self) -> str:
        kind = "forms" if isinstance(self.M, Dense) else "products"
        about = "" if self.exact else ", to second order"
        return f"<LQO of {self.system!r}, quadratic {kind} of {self.M.size}{about}>"


def _whole_state(n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Y and D_y of ``z = x``."""
    return np.eye(n), np.zeros((n, m))


def _side_by_side(a: System, b: System) -> System:
    """The states of both, all outputs of a, and then those of b."""
    above, below = [(0, b.n_outputs), (0, 0)], [(a.n_outputs, 0), (0, 0)]
    first, second = (
        x.with_outputs(np.pad(x.output_factor_matrix, rows), np.pad(x.D, rows))
        for x, rows in ((a, above), (b, below))
    )
    return first + second


def _on_numpy(system: System) -> System:
    if system.batch_shape:
        raise DimensionError(f"an LQO system is one system, not a batch of shape {system.batch_shape}.")
    return system.on_numpy()


def _checked_readout(readout: Any, n: int, m: int, is_real: bool) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(readout, tuple | list) or len(readout) != 2:
        raise DimensionError("readout must be a pair (Y, D_y) of arrays (c, n) and (c, m).")
    matrix = real_matrix if is_real else number_matrix
    Y = matrix("Y", readout[0], None, n)
    return Y, matrix("D_y", readout[1], len(Y), m)


def _check_tied(what: str, x: np.ndarray, mix: np.ndarray, z: np.ndarray) -> None:
    error = np.linalg.norm(x - mix @ z)
    if error > _TIED * np.linalg.norm(mix) * np.linalg.norm(z):
        raise DimensionError(
            f"mix says that {what}, but these differ by {error:.1e}: leave mix out, or give that system."
        )
