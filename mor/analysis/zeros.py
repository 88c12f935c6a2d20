"""Invariant zeros and the normal rank of a transfer function."""

from __future__ import annotations

from typing import Any

import numpy as np

from mor.checks import check_real, guarded
from mor.equations.zeros import invariant_zeros
from mor.errors import DimensionError, QuadraticOutputError, ReductionError
from mor.systems.convert import as_system


@guarded
def zeros(sys: Any, *, tol: float | None = None) -> np.ndarray:
    r"""Finite invariant zeros: where the system pencil loses rank.

    .. math:: \mathrm{rank} \begin{bmatrix} A - \lambda E & B \\ C & D \end{bmatrix}
              < \max_s\, \mathrm{rank} \begin{bmatrix} A - s E & B \\ C & D \end{bmatrix}.

    At a zero some input :math:`u_0 e^{\lambda t}` leaves the outputs at zero (or some combination of
    outputs at zero for all inputs). Of a minimal system these are the transmission zeros; else also the
    poles that no input reaches or no output shows may be among them:
    ``zeros(minimal_realization(sys))`` has none of those.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes, with any numbers of inputs and outputs, stable or not; a
        single system. D may be singular.
    tol : singular values up to it count as zero in rank decisions, where the pencil has been scaled so
        that the largest entries of its rows and columns are about 1. None is ``(n + m) (n + p) eps``.

    Returns
    -------
    array (q,), complex, in no order; in conjugate pairs for a real system. Each as often as its
        multiplicity. Zeros at infinity are left out.

    Raises
    ------
    QuadraticOutputError
        Of a system with quadratic outputs; ``.linear`` may have zeros.
    DimensionError
        Of a batch of systems.
    ReductionError
        If `tol` is not between 0 and 1, or E is singular.
    NotFiniteError
        If entries are so far apart that no units bring them together.

    Notes
    -----
    Infinite zeros, and what takes no part in the transfer function, are removed by orthogonal
    transformations and rank decisions (:mod:`mor.equations.zeros`); one generalised eigenvalue problem
    of the size of what is left remains. Square systems with a singular D, non-square ones, and
    degenerate ones (of a normal rank below the smaller number of signals) are no special cases. Zeros do not
    depend on units of states, signals and time, nor does a rank. A multiple zero is right to a root of
    round-off, as a multiple eigenvalue is. A non-square system has zeros only where its
    data are special, so that round-off can take them away.

    Cost some ``50 n^3`` flops, dense. MATLAB's ``tzero``, SLICOT's ``AB08ND``, python-control's ``zeros``
    (with Slycot; without, for square systems only).

    Source: [EmamiNaeini82].

    Examples
    --------
    >>> import mor
    >>> mor.zeros(([[-1, 0], [0, -3]], [[1], [1]], [[1, -2]]))  # 1/(s + 1) - 2/(s + 3)
    array([1.+0.j])
    """
    return _zeros(sys, tol)[0]


@guarded
def normal_rank(sys: Any, *, tol: float | None = None) -> int:
    r"""The rank of the transfer function :math:`G(s)` at all s but finitely many.

    Parameters
    ----------
    sys, tol : as for :func:`mor.zeros`.

    Returns
    -------
    int : at most the smaller number of inputs and outputs; if less, the system is degenerate: some
        combination of the outputs is always zero, and some input has no effect.

    Raises
    ------
    QuadraticOutputError, DimensionError, ReductionError, NotFiniteError
        As :func:`mor.zeros`.

    Notes
    -----
    The same reduction as for :func:`mor.zeros`, whose last D has this rank. The second value of MATLAB's
    ``tzero``.

    Examples
    --------
    >>> import mor
    >>> mor.normal_rank(([[-1.0]], [[1.0, 2.0]], [[1.0], [3.0]]))  # all outputs alike
    1
    """
    return _zeros(sys, tol)[1]


def _zeros(sys: Any, tol: float | None) -> tuple[np.ndarray, int]:
    if tol is not None and check_real("tol", tol, above=0, error=ReductionError) >= 1:
        raise ReductionError(f"tol={tol!r} is not a number between 0 and 1.")
    system = as_system(sys).detached()
    if not system.is_linear:
        raise QuadraticOutputError(
            "a system with quadratic outputs has no transfer function and no zeros; its linear part, "
            ".linear, may have some."
        )
    if system.batch_shape:
        raise DimensionError(f"zeros are those of one system, not of a batch of shape {system.batch_shape}.")
    dense = system.to_lti().explicit
    return invariant_zeros(dense.A, dense.B, dense.C, dense.D, tol)
