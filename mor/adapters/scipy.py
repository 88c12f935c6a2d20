"""Systems for scipy.signal."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.signal

from mor.checks import guarded, shown
from mor.errors import ArgumentTypeError, DimensionError
from mor.systems.convert import as_system
from mor.systems.lti import LTI


@guarded
def to_scipy(sys: Any, *, dtype: Any = None) -> Any:
    """`sys` as a ``scipy.signal.StateSpace``, continuous or discrete.

    E is divided out: scipy.signal has none. Names are lost, because it keeps none.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes, a :class:`~mor.Reduction` too; not a batch.
    dtype : floating type of the matrices. None is the one that the data came in, single or
        double precision, complex for a complex system; all that is computed on the way is in double.

    Returns
    -------
    scipy.signal.StateSpace : with ``dt=None`` if continuous, which is what scipy.signal calls it.

    Raises
    ------
    ReductionError
        If E is singular.
    QuadraticOutputError
        If outputs are quadratic: give ``.linear``.
    DimensionError
        If it is a batch: take one system of it at a time; or complex and `dtype` real.
    NotFiniteError
        If E is divided out and the result leaves the range of double precision.

    Examples
    --------
    >>> import mor
    >>> mor.to_scipy(([[-1.0]], [[1.0]], [[2.0]])).poles
    array([-1.])
    """
    dense = as_system(sys).to_lti().explicit
    dtype = precision(dense) if dtype is None else _floating(dtype)
    if not dense.is_real and not np.issubdtype(dtype, np.complexfloating):
        raise DimensionError(f"the system is complex; {np.dtype(dtype)} would lose its imaginary parts.")
    matrices = (x.astype(dtype) for x in (dense.A, dense.B, dense.C, dense.D))
    return scipy.signal.StateSpace(*matrices, **({"dt": dense.dt} if dense.dt else {}))


def _floating(dtype: Any) -> Any:
    """`dtype` as a floating type of NumPy."""
    try:
        kind = np.dtype(dtype)
    except (TypeError, ValueError) as error:
        message = f"dtype={shown(dtype)} is no type of numbers: {error}."
        raise ArgumentTypeError(message, argument="dtype") from None
    if not np.issubdtype(kind, np.inexact):
        raise ArgumentTypeError(f"dtype={kind} is not a floating type.", argument="dtype")
    return kind


def precision(system: LTI) -> Any:
    """The floating type that the data of `system` came in."""
    real = np.dtype((system.labels and system.labels.precision) or np.float64)
    return real if system.is_real else np.result_type(real, np.complex64)
