"""Sparse state-space systems of any size, on SciPy's matrices."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse
from scipy.sparse import csc_array

from mor.arrays import adjoint, to_numpy
from mor.checks import check_dt, check_finite, check_overflow, check_shape, check_whole, guarded, numbers
from mor.equations.sparse import MAX_DENSE_ORDER, checked
from mor.errors import DimensionError, NotFiniteError
from mor.operators.sparse import SparseOperator, solved
from mor.systems.arguments import check_points, is_zero, set_fields
from mor.systems.base import System
from mor.systems.labels import Labels, checked_labels, without_states
from mor.systems.lti import LTI


@dataclass(frozen=True, eq=False, repr=False)
class SparseLTI(System):
    r"""``E x' = A x + B u, y = C x + D u`` (continuous, dt = 0), or the discrete analogue, A and E sparse.

    Its transfer function costs one sparse factorisation a point, whatever the order: :meth:`evaluate`,
    :func:`mor.freqresp`, :meth:`moments`, projections onto given bases (:meth:`projected`), sums, and in
    discrete time simulation. Gramians, poles, norms and the reductions that are made of them need low-rank
    solvers, which are not there yet: they raise :class:`~mor.errors.SparseSystemError`. Up to an order of
    5000 :meth:`to_lti` gives the dense system, which has all of them.

    Parameters
    ----------
    A : array (n, n), sparse (of SciPy, in any format) or dense, real or complex
    B : array (n, m)
    C : array (p, n)
    D : array (p, m), optional; zero if left out.
    E : array (n, n), sparse or dense, optional. It may be singular: such a system has a transfer function,
        moments and projections.
    dt : float
        0.0 continuous (A in 1/time), positive discrete with that step.
    labels : Labels, optional; names of signals, states and system.

    Raises
    ------
    DimensionError
        If shapes do not fit together, or a sparse matrix is damaged.
    NotFiniteError
        If an entry is NaN or infinite.
    TimeStepError
        If `dt` is negative or not finite.

    Notes
    -----
    A and E are held in compressed columns, B, C and D as dense arrays, all in double precision.
    Factorisations are SuperLU's (SciPy's ``splu``).

    Examples
    --------
    >>> import numpy as np, mor, scipy.sparse
    >>> n = 10_000
    >>> A = scipy.sparse.diags_array([1.0, -2.0, 1.0], offsets=[-1, 0, 1], shape=(n, n))
    >>> B, C = np.eye(n, 1), np.eye(1, n)
    >>> sys = mor.SparseLTI(A, B, C)
    >>> sys
    <SparseLTI order 10000, 29998 entries, 1 inputs, 1 outputs, dt=0>
    >>> sys.evaluate(1.0).round(6)
    array([[0.381966+0.j]])
    """

    A: Any
    B: Any
    C: Any
    D: Any = None
    E: Any = None
    dt: float = field(default=0.0, kw_only=True)
    labels: Labels | None = field(default=None, kw_only=True)

    @guarded
    def __post_init__(self) -> None:
        given: dict[str, Any] = {"A": _sparse("A", self.A), "B": _full("B", self.B), "C": _full("C", self.C)}
        n, shape = given["A"].shape[0], (given["C"].shape[0], given["B"].shape[1])
        given["D"] = np.zeros(shape) if self.D is None or is_zero(self.D) else _full("D", self.D)
        if self.E is not None:
            given["E"] = _sparse("E", self.E)
        shapes = {"A": (n, n), "B": (n, None), "C": (None, n), "D": shape, "E": (n, n)}
        for name, x in given.items():
            check_shape(name, x.shape, shapes[name])
            check_finite(**{name: _entries(x)})
        if any(np.any(np.imag(_entries(x))) for x in given.values()):
            given = {name: x.astype(complex) for name, x in given.items()}
        else:
            given = {name: x.real for name, x in given.items()}
        labels = checked_labels(self.labels, shape[1], shape[0], n)
        set_fields(self, **{"E": None} | given, dt=check_dt(self.dt), labels=labels)

    @cached_property
    def operator(self) -> SparseOperator:  # pyright: ignore[reportIncompatibleMethodOverride]
        return SparseOperator(self.A, self.E, self.dt)

    @property
    def poles(self) -> Any:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Not known of a sparse system."""
        return self.operator.spectrum

    def _rebuilt(self, operator: Any, B: Any, C: Any, D: Any, labels: Labels | None) -> SparseLTI:
        return SparseLTI(operator.A, B, C, D, operator.E, dt=operator.dt, labels=labels)

    def of_states(self, A: np.ndarray, B: np.ndarray, C: np.ndarray) -> tuple[LTI, float]:
        return LTI(A, B, C, self.D, dt=self.dt, labels=without_states(self.labels)), 1.0

    @guarded
    def projected(self, W: Any, V: Any = None) -> LTI:
        r"""The dense system of a Petrov-Galerkin projection onto V along W,
        :math:`(W^H A V,\ W^H B,\ C V,\ D,\ W^H E V)`.

        Parameters
        ----------
        W, V : arrays (n, r), of full rank; V is W if left out.

        Returns
        -------
        LTI of order r, with an E

        Raises
        ------
        DimensionError
            If W and V are no matrices (n, r).
        NotFiniteError
            If an entry is NaN or infinite.

        Examples
        --------
        >>> import numpy as np, mor
        >>> sys = mor.SparseLTI(np.diag([-1.0, -2.0]), [[1.0], [1.0]], [[1.0, 1.0]])
        >>> V = sys.operator.solve(-1, 3.0, sys.B)  # (3 - A)^-1 B: the projection agrees at 3
        >>> sys.evaluate(3.0).real, sys.projected(V).evaluate(3.0).real
        (array([[0.45]]), array([[0.45]]))
        """
        V, W = _full("V", W if V is None else V), _full("W", W)
        check_shape("V", V.shape, (self.order, None))
        check_shape("W", W.shape, V.shape)
        check_finite(W=W, V=V)
        left = adjoint(W)
        E = left @ (self.operator.mass @ V)
        labels = without_states(self.labels)
        return LTI(left @ (self.A @ V), left @ self.B, self.C @ V, self.D, E, dt=self.dt, labels=labels)

    @guarded
    def moments(self, s: complex, count: int) -> np.ndarray:
        r"""The first coefficients :math:`m_j` of :math:`G(s + h) = \sum_j m_j h^j`, (count, p, m).

        :math:`m_j = (-1)^j C\,[(sE - A)^{-1}E]^j (sE - A)^{-1} B`, and D in :math:`m_0`; by one
        factorisation.

        Parameters
        ----------
        s : point of the complex plane.
        count : how many.

        Returns
        -------
        array (count, p, m)

        Raises
        ------
        NotFiniteError
            If s is a pole, or a moment overflows.
        DimensionError, ArgumentError
            If s is more than one point, or `count` no whole number of at least 1.

        Examples
        --------
        >>> import mor
        >>> mor.SparseLTI([[-1.0]], [[1.0]], [[1.0]]).moments(1.0, 3).ravel()  # 1 / (2 + h)
        array([ 0.5  , -0.25 ,  0.125])
        """
        point, count = to_numpy(check_points(s)), check_whole("count", count, 1)
        if point.ndim:
            raise DimensionError(f"s has shape {point.shape}; it must be one point.", argument="s")
        try:
            factors = self.operator.factorised(-1, point[()])
        except np.linalg.LinAlgError:
            raise NotFiniteError("the transfer function is infinite: a point is a pole.") from None
        state, found = solved(factors, self.B), []
        for _ in range(count):
            found.append(self.C @ state)
            state = -solved(factors, self.operator.mass @ state)
        found[0] = found[0] + self.D
        check_overflow(None, *found)
        return np.array(found)

    @guarded
    def to_lti(self) -> LTI:
        """The same system as a dense :class:`LTI`, up to an order of 5000.

        Raises
        ------
        SparseSystemError
            Above that order.
        """
        if self.order > MAX_DENSE_ORDER:
            self.operator.refuse("a dense form of the system")
        E = None if self.E is None else self.E.toarray()
        return LTI(self.A.toarray(), self.B, self.C, self.D, E, dt=self.dt, labels=self.labels)

    @property
    def _size(self) -> str:
        return f"{'' if self.is_real else 'complex '}order {self.order}, {self.A.nnz} entries"


def _sparse(name: str, value: Any) -> csc_array:
    """`value` as a sparse matrix of numbers whose indices are known to be right."""
    matrix = checked(name, value) if scipy.sparse.issparse(value) else numbers(name, value)
    if matrix.ndim != 2:
        raise DimensionError(f"{name} has shape {matrix.shape}; it must be a matrix.", argument=name)
    kind = numbers(name, _entries(matrix)).dtype.kind
    return csc_array(matrix, dtype=complex if kind == "c" else float)


def _entries(x: Any) -> np.ndarray:
    """Those of a matrix, of a sparse one those that are stored."""
    return x.data if scipy.sparse.issparse(x) else x


def _full(name: str, value: Any) -> np.ndarray:
    """`value`, a matrix with few rows or columns, as a dense array of numbers."""
    x = numbers(name, checked(name, value).toarray() if scipy.sparse.issparse(value) else value)
    if x.ndim != 2:
        raise DimensionError(f"{name} has shape {x.shape}; it must be a matrix.", argument=name)
    return x.astype(complex if np.iscomplexobj(x) else float)
