"""Gramians and Hankel singular values."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from mor.analysis.gramians import INFINITE, Gramians, gramians_of
from mor.arrays import (
    Array,
    adjoint,
    astype_like,
    beside,
    device_kwargs,
    is_concrete,
    is_numpy,
    namespace,
    real,
)
from mor.checks import check_overflow, guarded
from mor.equations.band import Band
from mor.equations.definite import definite_factor
from mor.equations.graded import graded_values
from mor.systems.arguments import slices
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.units import from_units, in_units
from mor.threads import side_by_side, threads, threads_by_order

#: Spread of Hankel singular values up to which their squares serve as well.
_CLOSE = 1e-3

#: What is not representable, where it is not.
_VALUES = "the largest Hankel singular value"

#: What an unstable system has of Gramians that are not of all time or up to a horizon.
_STABLE_PART = "mor.split_stable sets its stable part apart, which has them."


@guarded
@threads_by_order
def gramians(
    sys: Any,
    *,
    gramians: Gramians | None = None,
    horizon: float | None = None,
    band: Band | None = None,
) -> tuple[Array, Array]:
    r"""Controllability and observability Gramian ``(P, Q)``, of a Modal those of its real map.

    .. math:: A P A^H - P + B B^H = 0, \quad A^H Q A - Q + C^H C = 0 \quad (dt > 0)
    .. math:: A P + P A^H + B B^H = 0, \quad A^H Q + Q A + C^H C = 0 \quad (dt = 0)

    or the finite sums and integrals up to `horizon`, or

    .. math:: P = \frac{1}{2\pi}\int_{\omega_1\le|\omega|\le\omega_2}
              (i\omega - A)^{-1}BB^H(i\omega - A)^{-H} d\omega

    limited to a band of frequencies (:mod:`mor.equations.band`). With quadratic outputs (:class:`~mor.LQO`)
    Q has :math:`C^TC + \sum_i M_i P M_i` in place of :math:`C^TC`, and there is no limit in frequency.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes.
    gramians : which Gramians, an object such as :class:`~mor.TimeLimited`; None is :class:`~mor.Infinite`.
    horizon : end time (continuous) or number of steps (discrete); ``gramians=TimeLimited(horizon)`` in short.
    band : ``(omega_1, omega_2)`` in radians per unit of time, ``0 <= omega_1 < omega_2``; omega_2 may be
        infinite, in discrete time ``pi/dt``; ``gramians=FrequencyLimited(band)`` in short.

    Returns
    -------
    P, Q : arrays (..., n, n), symmetric, or Hermitian for a complex :class:`~mor.LTI`. For a
        :class:`~mor.Modal` of k complex modes n = 2k, in the coordinates ``[Re z; Im z]``.

    Raises
    ------
    UnstableSystemError
        If a pole is not strictly stable, and there are none of an unstable system.
    TimeStepError
        If `horizon` or `band` make no sense, or more than one of the three is given.
    QuadraticOutputError
        If outputs are quadratic and the Gramians are not for such, or the system is complex.
    DimensionError
        Of a batch of BlockDiagonals, if `band` is given.
    NotFiniteError
        If the data or the result leave the range of double precision.
    SingularEquationError
        If the rates of A are below what the solver can tell from zero.

    Examples
    --------
    >>> import mor
    >>> P, Q = mor.gramians(([[-1.0]], [[2.0]], [[3.0]]))
    >>> P.round(6), Q.round(6)
    (array([[2.]]), array([[4.5]]))
    """
    system, kind = _asked(sys, "a Gramian", gramians, horizon, band)
    (kind, held), (inner, units) = kind.in_units(), in_units(system)
    P, Q = kind.gramians(inner)
    check_overflow(kind.end, P, Q)
    P = from_units(P, 2 * (units.inputs + held.inputs), 2, "the controllability Gramian")
    return P, from_units(Q, 2 * (units.outputs + held.outputs), 2, "the observability Gramian")


def _asked(sys: Any, what: str, gramians: Any, horizon: Any, band: Any) -> tuple[System, Gramians]:
    """System and Gramians that a caller asks `what` of."""
    system, kind = as_system(sys), gramians_of(gramians, horizon, band)
    if kind.needs_stable:
        system.require_stable(what, otherwise=None if kind == INFINITE else _STABLE_PART)
    return system, kind.checked(system)


@guarded
@threads_by_order
def hankel_singular_values(
    sys: Any,
    *,
    gramians: Gramians | None = None,
    horizon: float | None = None,
    band: Band | None = None,
) -> Array:
    r"""Hankel singular values, of a Modal those of its real map, largest first.

    :math:`\sigma_i = \sqrt{\lambda_i(P Q)} = \sigma_i(Z_o^H Z_c)` with
    ``P = Zc Zc^H``, ``Q = Zo Zo^H``. The product P Q is never formed: values down to
    round-off of the largest are right.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes; a batch gives a batch.
    gramians, horizon, band : as for :func:`gramians`.

    Returns
    -------
    array (..., n), in the caller's framework and precision. n is the number of states
    of the realisation: 2k for k complex modes, where a real mode leaves a zero at the end.

    Raises
    ------
    UnstableSystemError
        If a pole is not strictly stable, and there are none of an unstable system.
    TimeStepError
        If `horizon` or `band` make no sense, or more than one of the three is given.
    QuadraticOutputError
        If outputs are quadratic and the Gramians are not for such, or the system is complex.
    DimensionError
        Of a batch of BlockDiagonals, if `band` is given.
    NotFiniteError
        If the data or the result leave the range of double precision.
    SingularEquationError
        If the rates of A are below what the solver can tell from zero.

    Notes
    -----
    Cost for k modes with m inputs: about ``8 k^2 m + 40 k^3`` flops, most of it one SVD.
    Equals MATLAB's ``hsvd``, SLICOT's ``AB09AD``.

    Examples
    --------
    >>> import mor
    >>> mor.hankel_singular_values(([[-1.0]], [[2.0]], [[3.0]])).round(6)
    array([3.])
    """
    system, kind = _asked(sys, "a Hankel singular value", gramians, horizon, band)
    (kind, held), (constant, units) = kind.in_units(), in_units(system.detached())
    parts = slices(constant, threads()) if is_numpy(constant.D) else [constant]
    if len(parts) == 1:
        values = _singular_values(constant, kind)
    else:
        values = np.concatenate(side_by_side(*(partial(_singular_values, part, kind) for part in parts)))
    check_overflow(kind.end, values)
    return astype_like(beside(from_units(values, units.gain + held.gain, 1, _VALUES), system.D), system.D)


def _singular_values(system: System, kind: Gramians) -> Array:
    """Singular values of ``Zo^H Zc``, filled up with zeros to the number of states."""
    quick = _close_together(system, kind)
    if quick is not None:
        return quick
    Zc, Zo = kind.factors(system)
    check_overflow(kind.end, Zc, Zo)
    xp = namespace(Zo)
    n = Zo.shape[-2]
    product = adjoint(Zo) @ Zc
    values = graded_values(product) if is_numpy(product) and product.ndim == 2 else xp.linalg.svdvals(product)
    missing = n - values.shape[-1]
    if missing <= 0:
        return values[..., :n]
    fill = xp.zeros((*values.shape[:-1], missing), dtype=values.dtype, **device_kwargs(values))
    return xp.concat([values, fill], axis=-1)


def _close_together(system: System, kind: Gramians) -> Array | None:
    """Hankel singular values from eigenvalues, where these do not spread; else None.

    The eigenvalues of ``L^H Q L``, ``P = L L^H``, are the squares: they cost a quarter of
    singular values, and are as good while the smallest is above 1e-3 of the largest. With
    few inputs or outputs a state they never are.
    """
    signals = min(system.n_inputs, system.n_outputs)
    if not kind.accurate_when_formed or 8 * signals < system.input_factor_matrix.shape[-2]:
        return None
    P, Q = kind.gramians(system)
    L = definite_factor(P) if is_concrete(P, Q) else None
    if L is None:
        return None
    xp = namespace(L)
    inner = adjoint(L) @ Q @ L
    # The extreme diagonal entries enclose no more than the extreme eigenvalues do.
    diagonal = real(xp.linalg.diagonal(inner))
    if not _within(diagonal, _CLOSE**2):
        return None
    squares = xp.linalg.eigvalsh(inner)
    return xp.flip(xp.sqrt(squares), axis=-1) if _within(squares, _CLOSE**2) else None


def _within(x: Array, share: float) -> bool:
    """Whether the smallest entry of each system is above `share` of its largest."""
    xp = namespace(x)
    return bool(xp.all(xp.min(x, axis=-1) > share * xp.max(x, axis=-1)))
