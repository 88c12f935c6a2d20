"""Dense state-space systems on NumPy arrays."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from mor.checks import check_dt, check_finite, check_shape, guarded, numbers
from mor.equations.schur import SchurForm
from mor.equations.sparse import dense
from mor.equations.transfer import Transfer
from mor.errors import DimensionError
from mor.operators.dense import DenseOperator
from mor.systems.arguments import is_zero, set_fields
from mor.systems.base import System
from mor.systems.labels import Labels, checked_labels, in_single, without_states

#: Types of data in single precision, which is noted and given back where possible.
_SINGLE = (np.float32, np.complex64)


@dataclass(frozen=True, eq=False, repr=False)
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

    @guarded
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

    @cached_property
    def operator(self) -> DenseOperator:  # pyright: ignore[reportIncompatibleMethodOverride]
        return DenseOperator(self.A, self.E, self.dt)

    @property
    @guarded
    def poles(self) -> np.ndarray:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Eigenvalues of A, or of the pencil (A, E)."""
        return self.schur.poles

    @property
    def schur(self) -> SchurForm:
        """The Schur form that poles, Gramian factors and responses share, in graded coordinates."""
        return self.operator.schur

    def _rebuilt(self, operator: Any, B: Any, C: Any, D: Any, labels: Labels | None) -> LTI:
        system = LTI(operator.A, B, C, D, operator.E, dt=operator.dt, labels=labels)
        # Complex maps beside a real A have made another of it.
        if system.A.dtype == operator.A.dtype:
            vars(system)["operator"] = operator
        return system

    def of_states(self, A: np.ndarray, B: np.ndarray, C: np.ndarray) -> tuple[LTI, float]:
        return LTI(A, B, C, self.D, dt=self.dt, labels=without_states(self.labels)), 1.0

    @cached_property
    def explicit(self) -> LTI:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The same system with ``E = I``."""
        if self.E is None:
            return self
        return self._rebuilt(self.operator.explicit, self.input_factor_matrix, self.C, self.D, self.labels)

    @cached_property
    def graded(self) -> LTI:
        """The explicit form in the coordinates of :func:`mor.equations.scaling.grading`."""
        there, D = self.operator.grading, self.D
        B, C = there.enter(self.explicit.B), self.C[:, there.places] * there.units
        return LTI(self.operator.graded, B, C, D, dt=self.dt)

    @cached_property
    def transfer(self) -> Transfer:
        """The transfer function without D in the coordinates of the Schur form, for searches."""
        return Transfer.of(self.schur, self.B, self.C)

    def to_lti(self) -> LTI:
        return self

    @property
    def _size(self) -> str:
        return f"{'' if self.is_real else 'complex '}order {self.order}"


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
