"""System norms and errors, for any kind of system."""

from __future__ import annotations

from typing import Any

import numpy as np

from mor.analysis.band_norm import squared_norm_in_band
from mor.analysis.gramians import check_one_limit
from mor.analysis.hankel import hankel_singular_values
from mor.arrays import (
    Array,
    as_scalar,
    astype_like,
    beside,
    conj,
    device_kwargs,
    exponents,
    from_numpy,
    is_concrete,
    namespace,
    real,
    times,
    to_numpy,
)
from mor.checks import check_horizon, check_overflow, guarded
from mor.equations.band import Band, check_band
from mor.errors import NotFiniteError, QuadraticOutputError
from mor.systems.arguments import check_same_signals, in_one_framework
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.modal import Modal
from mor.systems.units import OWN, from_units, in_units
from mor.threads import threads_by_order

#: Gains of 2 to minus and plus this power have squares within the range of numbers.
_MODERATE = 200

#: Share of the sum of absolute terms below which the trace formula has cancelled too far.
_CANCELLED = 1e-6


@guarded
@threads_by_order
def h2_norm(sys: Any, *, horizon: float | None = None, band: Band | None = None) -> Array:
    r"""H2 norm: the l2 (L2) norm of the impulse response.

    .. math:: \|G\|_{h_2}^2 = \mathrm{tr}(C P C^H) + \|D\|_F^2 \quad (dt > 0), \qquad
              \|G\|_{H_2}^2 = \mathrm{tr}(C P C^H) \quad (dt = 0, D = 0).

    With quadratic outputs (:class:`~mor.LQO`) it is that of both kernels (:func:`mor.impulse_kernels`), with
    :math:`C_e` for C; without D :math:`\mathrm{tr}(C P C^T) + \sum_i \mathrm{tr}(M_i P M_i P)`.

    Limited to a band it is the root of
    :math:`\frac{1}{2\pi}\int_{\omega_1\le|\omega|\le\omega_2} \|G(i\omega)\|_F^2\, d\omega`
    (over :math:`\theta = \omega\,dt` on the unit circle).

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes; a batch gives a batch of norms.
    horizon : end time or number of steps; None is infinite. In discrete time the lags
        0..horizon of the impulse response ``D, CB, CAB, ...`` are counted.

    band : ``(omega_1, omega_2)`` in radians per unit of time, in place of all frequencies.

    Returns
    -------
    array (...): infinite for a continuous system with D != 0, except on a bounded band.

    Raises
    ------
    UnstableSystemError
        On an infinite horizon, if a pole is not strictly stable.
    TimeStepError
        If `horizon` or `band` make no sense, or both are given.
    QuadraticOutputError
        If outputs are quadratic and `band` is given or the system is complex.
    NotFiniteError
        If the data or the result leave the range of double precision.
    SingularEquationError
        If the rates of A are below what the solver can tell from zero.

    Notes
    -----
    ``tr(C P C^H)`` is taken where it does not cancel, else ``|C Zc|_F^2`` with a factor
    ``P = Zc Zc^H``, which keeps errors that are tiny beside the systems' norms right.

    Examples
    --------
    >>> import mor
    >>> float(mor.h2_norm(([[-1.0]], [[2.0]], [[3.0]])).round(6))
    4.242641
    """
    system = as_system(sys)
    check_one_limit(horizon=horizon, band=band)
    if horizon is None:
        system.require_stable("an H2 norm")
    check_horizon(horizon, system.dt)
    constant = system.detached()
    if band is not None:
        return astype_like(_norm_in_band(constant, band), system.D)
    inner, units = in_units(constant)
    square = _squared_h2(inner.equivalent(horizon=horizon), horizon)
    norm = namespace(square).sqrt(square)
    if units is not OWN:
        norm = _with_feedthrough(from_units(norm, units.gain, 0, "the H2 norm"), constant)
    return astype_like(norm, system.D)


@guarded
@threads_by_order
def h2_error(sys: Any, rom: Any, *, horizon: float | None = None, band: Band | None = None) -> Array:
    r"""H2 norm of the difference of two systems; right also when it is tiny.

    .. math:: \|G - G_r\|_{H_2}, \qquad G - G_r:\;
              \begin{bmatrix} A & \\ & A_r \end{bmatrix},\; \begin{bmatrix} B \\ B_r \end{bmatrix},\;
              [C\; -C_r],\; D - D_r.

    Parameters
    ----------
    sys, rom : anything :func:`mor.as_system` takes, with the same signals and time step; batches of the
        same shape give a batch. A :class:`~mor.Reduction` is its reduced system.
    horizon, band : as for :func:`h2_norm`.

    Returns
    -------
    array (...): infinite for continuous systems with unlike D, except on a bounded band.

    Raises
    ------
    UnstableSystemError
        On an infinite horizon, if a pole of either is not strictly stable.
    DimensionError
        If the systems' signals or batches differ.
    TimeStepError
        If their time steps differ; if `horizon` or `band` make no sense, or both are given.
    QuadraticOutputError
        If outputs are quadratic and `band` is given or a system is complex.
    NotFiniteError
        If the data or the result leave the range of double precision.
    SingularEquationError
        If the rates of A are below what the solver can tell from zero.

    Notes
    -----
    That of the error system, not the root of a difference of squares. Cost and ways as those of
    :func:`h2_norm`; the Schur forms of both systems are shared.

    Examples
    --------
    >>> import mor
    >>> a, b = ([[-1.0]], [[2.0]], [[3.0]]), ([[-1.0]], [[2.0]], [[2.0]])
    >>> float(mor.h2_error(a, b).round(6))
    1.414214
    """
    if band is None:
        return h2_norm(as_system(sys) - as_system(rom), horizon=horizon)
    check_one_limit(horizon=horizon, band=band)
    parts = [as_system(sys), as_system(rom)]
    check_same_signals(*parts)
    for part in parts:
        part.require_stable("an H2 norm")
    norm = _by_quadrature([parts[0].detached(), -parts[1].detached()], band)
    return astype_like(norm, parts[0].D)


@guarded
@threads_by_order
def h2_inner(a: Any, b: Any, *, horizon: float | None = None) -> Array:
    r"""H2 inner product of two systems with the same signals.

    .. math:: \langle G, H\rangle = \mathrm{tr}(C_a X C_b^H) \;[\,+\, \mathrm{tr}(D_a D_b^H),\ dt > 0], \qquad
              A_a X + X A_b^H + B_a B_b^H = 0 \quad\text{or}\quad A_a X A_b^H - X + B_a B_b^H = 0,

    the sum (integral) of :math:`\mathrm{tr}(g(t)h(t)^H)` over the impulse responses, with quadratic outputs
    over both kernels: :math:`+ \sum_i \mathrm{tr}(M_i X \hat M_i X^T)`. So
    ``h2_inner(a, a) = h2_norm(a)^2``. It is linear in `a` and conjugate-linear in `b`, and
    ``h2_inner(b, a)`` is its conjugate.

    Parameters
    ----------
    a, b : anything :func:`mor.as_system` takes; batches of the same shape give a batch.
    horizon : as for :func:`h2_norm`.

    Returns
    -------
    array (...), complex if one of the systems is a complex :class:`~mor.LTI`.

    Raises
    ------
    UnstableSystemError
        On an infinite horizon, if a pole is not strictly stable.
    NotFiniteError
        If a continuous system has D != 0: its impulse response is not square integrable. If the data or the
        result leave the range of double precision.
    DimensionError
        If the systems' signals or batches differ.
    TimeStepError
        If their time steps differ, or `horizon` makes no sense.
    QuadraticOutputError
        If outputs are quadratic and a system is complex.
    SingularEquationError
        If the rates of A are below what the solver can tell from zero.

    Notes
    -----
    Modal systems in closed form, ``k_a k_b (m + p)`` flops; others by a factor of the joint Gramian.
    For the norm of a small difference take :func:`h2_error`: from inner products it would be
    the difference of large numbers.

    Examples
    --------
    >>> import mor
    >>> a, b = ([[-1.0]], [[1.0]], [[1.0]]), ([[-3.0]], [[1.0]], [[2.0]])
    >>> float(mor.h2_inner(a, b).round(6))
    0.5
    """
    first, second = as_system(a), as_system(b)
    check_horizon(horizon, first.dt)
    check_same_signals(first, second)
    for system in (first, second):
        if horizon is None:
            system.require_stable("an H2 inner product")
        D = system.carrier.D
        if not system.dt and is_concrete(D) and np.any(to_numpy(D) != 0):
            raise NotFiniteError(
                "a continuous system with D != 0 has no H2 inner product: its impulse response is not square "
                "integrable. Take it without D."
            )
    first, second = first.detached(), second.detached()
    first, second = (first, second) if second.is_linear else (second, first)
    first, second = in_one_framework(first, second)
    (one, of_one), (two, of_two) = in_units(first), in_units(second)
    product = one.inner(two, horizon=horizon)
    check_overflow(horizon, product)
    product = beside(from_units(product, of_one.gain + of_two.gain, 0, "the H2 inner product"), first.D)
    if first.dt:
        product = product + namespace(first.D).sum(first.D * conj(second.D), axis=(-2, -1))
        check_overflow(horizon, product)
    return as_scalar(astype_like(product, first.D))


@guarded
@threads_by_order
def hankel_norm(sys: Any) -> Array:
    r"""Hankel norm, the largest Hankel singular value.

    .. math:: \|G\|_H = \sigma_1 = \max_{u} \frac{\|y\|_{L_2[0,\infty)}}{\|u\|_{L_2(-\infty,0]}},

    the largest energy of the future that energy of the past can cause.
    :math:`\sigma_1 \le \|G - D\|_\infty \le 2\sum_i \sigma_i`.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes; a batch gives a batch of norms.

    Returns
    -------
    array (...)

    Raises
    ------
    UnstableSystemError
        If a pole is not strictly stable.
    QuadraticOutputError
        Of a system with quadratic outputs.
    NotFiniteError
        If the data or the result leave the range of double precision.
    SingularEquationError
        If the rates of A are below what the solver can tell from zero.

    Notes
    -----
    See :func:`mor.hankel_singular_values`. Equals pyMOR's ``hankel_norm``.

    Examples
    --------
    >>> import mor
    >>> float(mor.hankel_norm(([[-1.0]], [[2.0]], [[3.0]])).round(6))
    3.0
    """
    if not as_system(sys).is_linear:
        raise QuadraticOutputError(
            "a Hankel norm is the largest ratio of energies, which quadratic outputs do not have. "
            "hankel_singular_values are those that balanced truncation goes by."
        )
    values = hankel_singular_values(sys)
    if values.shape[-1]:
        return values[..., 0]
    return namespace(values).zeros(values.shape[:-1], dtype=values.dtype, **device_kwargs(values))


def _with_feedthrough(norm: Array, system: System) -> Array:
    """The norm of a system from that of the same without D."""
    xp, D = namespace(system.D), system.D
    if not system.dt:
        return _infinite_with(D, norm)
    exponent = exponents(D, len(system.batch_shape))
    size = xp.linalg.vector_norm(times(D, -exponent, 2), axis=(-2, -1))
    return xp.hypot(norm, from_units(size, exponent, 0, "the norm of D"))


def _infinite_with(D: Array, norm: Array) -> Array:
    """The norm (...) of continuous systems, infinite where D (..., p, m) is not zero."""
    xp = namespace(D)
    return xp.where(xp.any(D != 0, axis=(-2, -1)), xp.full_like(norm, np.inf), norm)


def _squared_h2(system: System, horizon: float | None) -> Array:
    xp, D = namespace(system.D), system.D
    feedthrough = xp.sum(xp.abs(D) ** 2, axis=(-2, -1))
    if not system.dt:
        # Not from the squares, which may underflow.
        feedthrough = _infinite_with(D, feedthrough)
    square = _by_factor(system, horizon) if system.gramians_from_factors else _by_gramian(system, horizon)
    check_overflow(horizon, square)
    return square + feedthrough


def _by_gramian(system: System, horizon: float | None) -> Array:
    """``tr(C P C^H)`` where that does not cancel."""
    P, _ = system.gramians(horizon=horizon)
    check_overflow(horizon, P)
    square = _trace(system.output_factor_matrix, P)
    return _by_factor(system, horizon) if square is None else square


def _by_factor(system: System, horizon: float | None) -> Array:
    """``|C Zc|_F^2``."""
    xp, C = namespace(system.D), system.output_factor_matrix
    Z = system.controllability_factor(horizon=horizon)
    check_overflow(horizon, Z)
    return xp.sum(xp.abs(C @ Z) ** 2, axis=(-2, -1))


def _trace(C: Array, P: Array) -> Array | None:
    """``tr(C P C^H)`` for a Hermitian P, real; None where it cancels."""
    xp = namespace(C)
    square = real(xp.sum((C @ P) * conj(C), axis=(-2, -1)))
    if is_concrete(square, C):
        scale = xp.sum((xp.abs(C) @ xp.abs(P)) * xp.abs(C), axis=(-2, -1))
        if bool(xp.any(square <= _CANCELLED * scale)):
            return None
    return square


def _norm_in_band(system: System, band: Band) -> Array:
    """In closed form where there is one and it does not cancel, else by quadrature."""
    found = None if system.modal is None else _closed_form_in_band(system.modal, band)
    return _by_quadrature([system], band) if found is None else found


def _closed_form_in_band(system: Modal, band: Band) -> Array | None:
    if np.any(to_numpy(system.D)) or in_units(system)[1] is not OWN:
        return None
    square = _trace(system.output_factor_matrix, system.band_gramians(band)[0])
    return None if square is None else namespace(square).sqrt(square)


def _by_quadrature(parts: list[System], band: Band) -> Array:
    """Of the sum of the parts, of a batch each."""
    for part in parts:
        if not part.is_linear:
            part.band_factors(band)
    members: Any = [part.on_numpy() for part in parts]
    shape = parts[0].batch_shape
    each = [[part[i] for part in members] for i in np.ndindex(shape)] if shape else [members]
    return from_numpy(np.reshape([_of_members(one, band) for one in each], shape), parts[0].D)


def _of_members(parts: list[System], band: Band) -> float:
    """Of the sum of single systems on NumPy, whose gains are brought near 1 where they are far from it."""
    gain = max(_gain_exponent(part) for part in parts)
    gain = gain if abs(gain) > _MODERATE else 0
    if gain:
        parts = [
            part.with_outputs(times(part.output_factor_matrix, -gain, 2), times(part.D, -gain, 2))
            for part in parts
        ]
    norm = np.sqrt(squared_norm_in_band(parts, band))
    # On all frequencies of continuous time a D makes it infinite.
    if norm == np.inf and not parts[0].dt and check_band(band, 0.0)[1] == np.inf:
        return np.inf
    check_overflow(None, np.asarray(norm))
    return float(from_units(np.asarray(norm), gain, 0, "the H2 norm in the band"))


def _gain_exponent(system: System) -> int:
    """Binary exponent of the size of products C B and of D, of what is not zero."""
    inputs, outputs = (int(x) for x in system.signal_exponents())
    D = to_numpy(system.D)
    return max(inputs + outputs, exponents(D, 0)) if np.any(D) else inputs + outputs
