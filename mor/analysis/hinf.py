"""H-infinity and L-infinity norms with a guarantee, by level sets."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np

from mor.analysis.extended import ExtendedResponses, refined_response
from mor.analysis.gains import (
    SystemGains,
    climb,
    first_frequencies,
    largest_singular_value,
    search,
    widths,
)
from mor.analysis.levels import Levels, truncated_levels
from mor.arrays import (
    Array,
    as_scalar,
    astype_like,
    from_numpy,
    is_concrete,
    to_numpy,
)
from mor.checks import check_real, guarded
from mor.errors import AccuracyWarning, DimensionError, NotFiniteError, UnstableSystemError
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.lti import LTI
from mor.threads import threads_by_order

#: Levels after which the search gives up; one to three are usual.
_LEVELS = 16

#: By how much at least and at most a level's gap is raised that cannot be told from the norm.
_RAISE = 10.0, 1e6

#: A gap that none is raised beyond before it has been tried: 1 % is as good as a norm to most.
_COARSE = 5e-3

#: Share of the tolerance that round-off may take of the gain.
_FAINT = 1e-4

#: Multiple of what extended precision adds to a gain that is added to a limit below it.
_SHIFTED = 4.0


class Peak(NamedTuple):
    """A largest gain: ``gain <= norm <= upper``.

    Attributes
    ----------
    gain : the largest gain that was found, of a batch an array of the batch's shape, as the others are.
    omega : where, in radians per unit of time.
    upper : what no gain exceeds: proven in exact arithmetic, with an estimate of what round-off adds.

    Examples
    --------
    >>> import mor
    >>> peak = mor.peak_gain(([[0, 1], [-1, -0.2]], [[0], [1]], [[1, 0]]))
    >>> round(float(peak.gain), 3), round(float(peak.omega), 3)
    (5.025, 0.99)
    """

    gain: Any
    omega: Any
    upper: Any


@guarded
@threads_by_order
def hinf_norm(sys: Any, *, tol: float = 1e-8) -> Array:
    r"""H-infinity norm of a stable system: its largest gain over frequency.

    .. math:: \|G\|_\infty = \max_\omega \sigma_1(G(i\omega)), \qquad
              \max_\omega \sigma_1(G(e^{i\omega\,dt})) \quad (dt > 0).

    It is also the largest ratio of the energies (L2 norms) of output and input.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes; a batch gives a batch of norms.
    tol : the norm is at most ``1 + 2 tol`` times what is returned.

    Returns
    -------
    array (...), in the caller's framework and precision: a gain that is attained, so never more
    than the norm, but for the rounding of the last digits. :func:`mor.peak_gain` also tells where,
    and the upper limit.

    Raises
    ------
    UnstableSystemError
        If a pole is not strictly stable: the norm is infinite. :func:`mor.peak_gain` gives the L-infinity
        norm.
    QuadraticOutputError
        Of a system with quadratic outputs, which has no such norm.
    DimensionError
        If there are no inputs or no outputs.
    ArgumentError
        If `tol` is not positive.
    NotFiniteError
        If the gain overflows double precision, or data are out of its range.

    Warns
    -----
    AccuracyWarning
        Where round-off keeps the limit above ``1 + 2 tol`` times the gain.

    Notes
    -----
    Cost: see :func:`mor.peak_gain`. Equals MATLAB's ``hinfnorm``, SLICOT's ``AB13DD``,
    python-control's ``linfnorm``, pyMOR's ``hinf_norm``.

    Examples
    --------
    >>> import mor
    >>> float(mor.hinf_norm(([[-1.0]], [[2.0]], [[3.0]])).round(6))
    6.0
    """
    system, tol = as_system(sys), check_real("tol", tol, above=0)
    system.require_stable("an H-infinity norm", otherwise=_instead_of_the_norm(system))
    peak = peak_gain(system, tol=tol)
    if np.any(peak.upper > peak.gain * (1 + 4 * tol)):
        warnings.warn(
            f"the norm is known to lie between {np.max(peak.gain):.9g} and {np.max(peak.upper):.9g}; "
            "round-off hides the rest (mor.peak_gain gives the limits).",
            AccuracyWarning,
            stacklevel=4,
        )
    return as_scalar(astype_like(from_numpy(peak.gain, system.D), system.D))


@guarded
@threads_by_order
def peak_gain(sys: Any, *, tol: float = 1e-8) -> Peak:
    r"""Largest gain over frequency, where it is, and a limit that it does not exceed.

    The L-infinity norm: for a stable system the H-infinity norm. A level
    :math:`\gamma = (1 + 2\,tol)\,\max\sigma_1` just above the largest gain found is crossed by a
    singular value of :math:`G(i\omega)` exactly where a Hamiltonian matrix has the eigenvalue
    :math:`i\omega`. Between crossings the gain exceeds the level: its largest value there makes the
    next level. Without crossings the level is a proven limit (in exact arithmetic; what round-off
    may hide is looked for, and the level raised until it cannot).

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes; unstable ones too, if no pole is on the boundary.
    tol : relative tolerance, ``gain <= norm <= upper``, ``upper = gain (1 + 2 tol)``.

    Returns
    -------
    Peak(gain, omega, upper) : `omega` in radians per unit of time, infinite where the gain of D is
        the largest; not negative, except for a complex :class:`~mor.LTI`. `upper` is larger than
        ``gain (1 + 2 tol)`` where round-off hides the difference, infinite where no limit could be
        found. Of a batch arrays of its shape.

    Raises
    ------
    UnstableSystemError
        If a pole lies on the stability boundary, as far as round-off can tell.
    QuadraticOutputError
        Of a system with quadratic outputs, which has no gain.
    DimensionError
        If there are no inputs or no outputs.
    ArgumentError
        If `tol` is not positive.
    NotFiniteError
        If the gain overflows double precision, or data are out of its range.

    Notes
    -----
    Cost for order n: eigenvalues of a matrix of order 2n, about ``200 n^3`` flops, one to three times,
    and some hundred frequency responses. In discrete time the unit circle is
    mapped to the imaginary axis, so no generalised eigenvalues are needed there either, except where
    the largest gain is close to that of D (at the mapped point).

    Source: [Boyd90], [Bruinsma90]. Equals MATLAB's
    ``getPeakGain``, SLICOT's ``AB13DD``, python-control's ``linfnorm``.

    Examples
    --------
    >>> import mor
    >>> resonance = ([[0.0, 1.0], [-1.0, -0.02]], [[0.0], [1.0]], [[1.0, 0.0]])
    >>> gain, omega, upper = mor.peak_gain(resonance)
    >>> print(f"{gain:.6f} {omega:.6f} {upper / gain - 1:.1e}")
    50.002500 0.999900 2.0e-08
    """
    system = as_system(sys).detached()
    if system.n_inputs == 0 or system.n_outputs == 0:
        raise DimensionError("a system without inputs or outputs has no gain.")
    tol = check_real("tol", tol, above=0)
    _require_no_pole_on_the_boundary(system)
    if not system.batch_shape:
        return _peak(system, tol)
    # Looked at one by one, on NumPy: the standard knows no index of a batch with fewer axes.
    each: Any = system.on_numpy()
    peaks = np.array([_peak(each[i], tol) for i in np.ndindex(system.batch_shape)]).reshape(-1, 3)
    return Peak(*(column.reshape(system.batch_shape) for column in peaks.T))


def _on_the_boundary(system: System) -> np.ndarray:
    """Which poles (..., k) cannot be told from the stability boundary."""
    return np.abs(to_numpy(system.margins)) <= to_numpy(system.pole_errors)


def _instead_of_the_norm(system: System) -> str:
    if is_concrete(system.poles) and np.any(_on_the_boundary(system)):
        return "The gain at a pole on the boundary is infinite; mor.split_stable(sys) sets such poles apart."
    return "Its gain over frequency, the L-infinity norm, is mor.peak_gain(sys)."


def _require_no_pole_on_the_boundary(system: System) -> None:
    on = _on_the_boundary(system)
    if np.any(on):
        pole = to_numpy(system.poles)[on].ravel()[0]
        raise UnstableSystemError(
            f"the pole {pole:.6g} lies on the stability boundary, as far as round-off can tell: the gain "
            "there is infinite. mor.split_stable(sys) sets such poles apart."
        )


def _peak(system: System, tol: float) -> Peak:
    gains = SystemGains(system)
    omega = first_frequencies(gains.poles, system.dt, _samples(system), is_real=gains.is_real)
    best, where, sampled = search(gains, omega, widths(gains.poles, system.dt, omega))
    if best == 0:
        return Peak(0.0, where, 0.0)
    if not np.isfinite(best):
        raise NotFiniteError("the gain overflows double precision: choose other units of the signals.")
    found = Peak(best, where, np.inf)
    # Data so far apart that an eigenvalue problem breaks down: what was found has no limit.
    with suppress(np.linalg.LinAlgError):
        level_of = truncated_levels(system, gains, omega, sampled, tol * best)
        if level_of is not None:
            found = _proven(gains, level_of, found, tol)
        if not found.upper <= found.gain * (1 + 4 * tol):
            found = _proven(gains, Levels(system, gains.poles, omega, sampled), found, tol)
    return found if gains.modal else _attained(gains.system, found, tol)


def _attained(system: LTI, found: Peak, tol: float) -> Peak:
    """The gain at the frequency found, which a Schur form may have made too large.

    It is corrected once, and what is left of round-off taken off; where that is not far below the tolerance
    all of it is in extended precision.
    """
    if system.E is None and system.order and np.isfinite(found.omega):
        response, noise = refined_response(system, found.omega)
        gain = float(largest_singular_value(response.astype(complex)))
        if noise <= _FAINT * tol * gain:
            return _below(found, gain, noise)
    response, noises, _ = ExtendedResponses(system)(np.array([found.omega]))
    gain = float(largest_singular_value(response.astype(complex))[0])
    return _below(found, gain, float(noises[0]) * response[0].size ** 0.5)


def _below(found: Peak, gain: float, noise: float) -> Peak:
    """What was found, with a gain known but for some noise in the place of its own."""
    attained = gain - noise
    if not np.isfinite(attained):
        return found
    return Peak(max(attained, 0.0), found.omega, max(found.upper, gain + _SHIFTED * (gain - found.gain)))


def _proven(gains: SystemGains, level_of: Levels, found: Peak, tol: float) -> Peak:
    """The largest gain, with a limit where one can be proved."""
    best, where, _ = found
    gap = max(2 * tol, 2 * gains.noise(where) / best)
    for _ in range(_LEVELS):
        gamma = best * (1 + gap)
        if not np.isfinite(gamma):
            # Round-off at the peak is out of all proportion: there is no level that could be a limit.
            break
        pencil = level_of(gamma)
        gain, place = _largest_between(gains, level_of.frequencies(pencil), best)
        if gain > best:
            best, where = gain, _principal(place, level_of.dt)
        if gain > gamma:
            continue
        clearance = pencil.clearance()
        if clearance > 1:
            return Peak(best, where, gamma)
        raised = gap * float(np.clip(3 / max(clearance, 1e-9), *_RAISE))
        gap = min(raised, _COARSE) if gap < _COARSE else raised
    return Peak(best, where, np.inf)


def _principal(omega: float, dt: float) -> float:
    """The frequency of the same point on the unit circle between ``-pi/dt`` and ``pi/dt``."""
    return omega - 2 * np.pi / dt if dt and omega > np.pi / dt else omega


def _samples(system: System) -> int:
    """As many first samples as cost no more than one level, 16 to 64."""
    n, m, p = system.order, system.n_inputs, system.n_outputs
    level, sample = 200 * n**3, n * m * p + 40 * min(m, p) ** 3 + 8 * m * p * min(m, p)
    return int(np.clip(level / max(sample, 1), 16, 64))


def _largest_between(gains: SystemGains, crossings: np.ndarray, best: float) -> tuple[float, float]:
    """Largest gain at crossings and midway between, refined about the largest if that is above the `best`
    known: between crossings of a level above that it would be."""
    if not len(crossings):
        return 0.0, 0.0
    trial = np.unique(np.concatenate([crossings, (crossings[1:] + crossings[:-1]) / 2]))
    found = gains(trial)
    top = int(np.argmax(found))
    if found[top] <= best:
        return float(found[top]), float(trial[top])
    low, high = trial[max(top - 1, 0)], trial[min(top + 1, len(trial) - 1)]
    return climb(gains, (float(low), float(trial[top]), float(high)), float(found[top]))
