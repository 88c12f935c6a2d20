"""Responses in time and frequency, for any kind of system."""

from __future__ import annotations

from numbers import Number, Real
from typing import Any

import numpy as np

from mor.arrays import Array, astype_like, beside, device_kwargs, is_array, is_complex, is_numpy, namespace
from mor.checks import check_finite, check_overflow, check_real, guarded, numbers, shown
from mor.equations.holds import Hold, check_hold
from mor.errors import ArgumentTypeError, DimensionError, TimeStepError
from mor.systems.arguments import check_count
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.threads import threads_by_order

#: Relative deviation up to which time samples count as equally spaced.
_UNEVEN = 1e-6


@guarded
@threads_by_order
def simulate(
    sys: Any, u: Any, t: Any = None, *, x0: Any = None, hold: Hold = "zero", step: float | None = None
) -> Array:
    r"""Output for a sampled input, exact between samples.

    .. math:: x_{k+1} = A x_k + B u_k,\quad y_k = C x_k + D u_k \qquad (dt > 0)

    and in continuous time the samples of the exact output for an input that is constant between samples
    (``hold="zero"``) or joined by straight lines (``hold="first"``), which is again a
    recursion of that form (:mod:`mor.equations.holds`).

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes, stable or not.
    u : array (T, m) or, for one input, (T,); time first. Of a batch (..., T, m).
    t : times (T,) of the samples, equally spaced; needed in continuous time, unless `step` is given.
    x0 : initial state (n,) or (..., n), zero if left out. Of a :class:`~mor.Modal` of k complex modes
        in the real coordinates ``[Re z; Im z]``, n = 2k.
    hold : how a continuous system's input runs between samples.
    step : time between samples, in place of `t`.

    Returns
    -------
    y : array (..., T, p), in the system's framework and precision.

    Raises
    ------
    DimensionError, NotFiniteError
        If the shapes do not fit, data are not finite, or the response overflows.
    TimeStepError
        If times are missing, not equally spaced, or do not fit a discrete system's step.

    Notes
    -----
    Cost ``T n^2`` flops for a dense system, ``T n (m + p)`` for a modal one; and one matrix
    exponential of order n + m in continuous time. Equals MATLAB's ``lsim``, scipy.signal's
    ``lsim(interp=hold == "first")`` and ``dlsim``, python-control's ``forced_response``.

    Examples
    --------
    >>> import numpy as np, mor
    >>> y = mor.simulate(([[-1.0]], [[1.0]], [[1.0]]), np.ones(3), t=[0.0, 1.0, 2.0])
    >>> y[:, 0].round(6)  # 1 - exp(-t)
    array([0.      , 0.632121, 0.864665])
    """
    system = as_system(sys)
    constant = system.detached()
    check_hold(hold)
    u = _input(u, constant)
    state = _initial_state(x0, constant.carrier)
    if constant.dt:
        check_times(t, step, u.shape[-2], constant.dt)
        sampled = constant
    else:
        h = step_of(t, step, u.shape[-2])
        sampled = constant.discretize(h, hold=hold)
        if hold == "first" and u.shape[-2]:
            late = namespace(u).matrix_transpose(constant.ramp_matrix(h))
            state = state - (u[..., :1, :] @ late)[..., 0, :]
    y = sampled.outputs.observe(_recursion(sampled.carrier, u, state))
    check_overflow(u.shape[-2], y)
    return astype_like(y, system.D)


@guarded
@threads_by_order
def impulse(sys: Any, t: Any) -> Array:
    r"""Impulse response.

    .. math:: g_0 = D,\ g_k = C A^{k-1} B \quad (dt > 0), \qquad g(t) = C e^{At} B \quad (dt = 0).

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes, stable or not.
    t : number of samples; in continuous time the samples' times (T,), equally spaced from 0.

    Returns
    -------
    array (..., T, p, m). A continuous system's D, a Dirac impulse at t = 0, is not part of it.

    Raises
    ------
    TimeStepError
        If times are not equally spaced from 0, or do not fit a discrete system's step.
    QuadraticOutputError
        Of a system with quadratic outputs: take :func:`mor.impulse_kernels`.
    NotFiniteError
        If a time is NaN or infinite, or the response overflows.

    Notes
    -----
    Equals MATLAB's ``impulse``, scipy.signal's ``dimpulse`` (whose pulse has height 1). The method
    ``impulse_response`` of discrete systems gives :math:`CA^kB` from k = 0.

    Examples
    --------
    >>> import mor
    >>> mor.impulse(([[-1.0]], [[1.0]], [[2.0]]), [0.0, 0.5])[:, 0, 0].round(6)
    array([2.      , 1.213061])
    """
    system = as_system(sys)
    constant = system.detached()
    count, h = _samples(t, constant)
    B = constant.input_factor_matrix
    if constant.dt:
        samples = [constant.D, *_powers(constant, B, count - 1)]
    else:
        samples = _powers(constant.discretize(h), B, count)
    y = namespace(B).stack(samples, axis=-3)
    check_overflow(count, y)
    return astype_like(y, system.D)


@guarded
@threads_by_order
def step(sys: Any, t: Any) -> Array:
    r"""Step response: the output for inputs that jump from 0 to 1 at time 0, one at a time.

    .. math:: y_k = D + \sum_{j<k} C A^j B \quad (dt > 0), \qquad
              y(t) = D + \int_0^t C e^{As} B\, ds \quad (dt = 0),

    and for quadratic outputs what they make of that state.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes, stable or not.
    t : as for :func:`impulse`.

    Returns
    -------
    array (..., T, p, m)

    Raises
    ------
    TimeStepError
        If times are not equally spaced from 0, or do not fit a discrete system's step.
    NotFiniteError
        If a time is NaN or infinite, or the response overflows.

    Examples
    --------
    >>> import mor
    >>> mor.step(([[0.5]], [[1.0]], [[2.0]]), [0.0, 1.0])[:, 0, 0].round(6)  # grows: unstable
    array([0.      , 2.594885])
    """
    system = as_system(sys)
    constant = system.detached()
    count, h = _samples(t, constant)
    sampled = constant if constant.dt else constant.discretize(h)
    xp, carrier = namespace(sampled.D), sampled.carrier
    A, B, C, D = carrier.operator, carrier.input_factor_matrix, carrier.output_factor_matrix, carrier.D
    state, out = xp.zeros_like(B), []
    for _ in range(count):
        out.append(C @ state + D)
        state = A.apply(state) + B
    y, t = xp.stack(out, axis=-3), xp.matrix_transpose
    y = t(sampled.outputs.observe(t(y)))
    check_overflow(count, y)
    return astype_like(y, system.D)


@guarded
@threads_by_order
def freqresp(sys: Any, omega: Any) -> Array:
    r"""Frequency response ``G(i omega)``, or ``G(exp(i omega dt))``.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes.
    omega : frequencies (N,) or one, in radians per unit of time.

    Returns
    -------
    array (..., N, p, m), or (..., p, m) for one frequency.

    Raises
    ------
    NotFiniteError
        If a frequency is that of a pole on the boundary, or NaN or infinite.
    DimensionError
        If `omega` is no number or vector; of a batch of systems other than Modals.
    QuadraticOutputError
        Of a system with quadratic outputs: take :func:`mor.transfer_kernels`.

    Notes
    -----
    Cost for a dense system: ``8/3 n^3`` flops a frequency for a few, and for many one Schur form, shared
    with the poles and Gramians, and ``14 n^2 m`` a frequency, at the same accuracy. Beside the
    result, 16 N p m bytes, memory does not grow with N. Equals MATLAB's ``freqresp``, python-control's
    ``frequency_response``.

    Examples
    --------
    >>> import mor
    >>> mor.freqresp(([[-1.0]], [[1.0]], [[2.0]]), 1.0).round(6)
    array([[1.-1.j]])
    """
    return as_system(sys).frequency_response(omega)


def _powers(system: System, start: Array, count: int) -> list[Array]:
    """``C A^k start`` for k < count, (..., p, m) each."""
    C, A, state, out = system.output_factor_matrix, system.operator, start, []
    for _ in range(count):
        out.append(C @ state)
        state = A.apply(state)
    return out


def _recursion(system: System, u: Array, state: Array) -> Array:
    """Outputs (..., T, p) from the state (..., n) on."""
    xp = namespace(system.D)
    A, C, t = system.operator, system.output_factor_matrix, xp.matrix_transpose
    driven = u @ t(system.input_factor_matrix)
    batch = driven.shape[:-2]
    x, states = xp.broadcast_to(state, (*batch, state.shape[-1]))[..., None], []
    for k in range(u.shape[-2]):
        states.append(x[..., 0])
        x = A.apply(x) + driven[..., k, :, None]
    if not states:
        return u @ t(system.D)
    return xp.stack(states, axis=-2) @ t(C) + u @ t(system.D)


def _signal(name: str, x: Any, like: Array) -> Array:
    """`x` in the framework, precision and on the device of `like`; finite."""
    if isinstance(x, Number | None):
        raise ArgumentTypeError(f"{name}={shown(x)} is no array.", argument=name)
    there = astype_like(beside(x if is_array(x) and not is_numpy(x) else numbers(name, x), like), like)
    if is_complex(there) and not is_complex(like):
        raise DimensionError(f"{name} is complex, and the system maps real signals.", argument=name)
    check_finite(**{name: there})
    return there


def _input(u: Any, system: System) -> Array:
    D = system.D
    u = _signal("u", u, D)
    u = u[:, None] if u.ndim == 1 else u
    if u.ndim < 2 or u.shape[-1] != system.n_inputs:
        batch = f" or (..., T, {system.n_inputs}) for the batch of {system.batch_shape}"
        raise DimensionError(
            f"u has shape {tuple(u.shape)}; it must be (T, {system.n_inputs}), time first"
            f"{batch if system.batch_shape else ''}.",
            argument="u",
        )
    _check_batch("u", u.shape[:-2], system)
    return u


def _initial_state(x0: Any, system: System) -> Array:
    C = system.output_factor_matrix
    n = C.shape[-1]
    if x0 is None:
        return namespace(C).zeros((n,), dtype=C.dtype, **device_kwargs(C))
    x0 = _signal("x0", x0, C)
    if x0.ndim < 1 or x0.shape[-1] != n:
        shape = tuple(x0.shape)
        raise DimensionError(
            f"x0 has shape {shape}; it must be ({n},), or (..., {n}) for a batch.", argument="x0"
        )
    _check_batch("x0", x0.shape[:-1], system)
    return x0


def _check_batch(name: str, axes: tuple[int, ...], system: System) -> None:
    """Raise unless the leading axes of a signal go with the batch of systems."""
    try:
        fits = not axes or np.broadcast_shapes(axes, system.batch_shape) == system.batch_shape
    except ValueError:
        fits = False
    if not fits:
        raise DimensionError(
            f"{name} has the leading axes {tuple(axes)}; the system is "
            f"{f'a batch of {system.batch_shape}' if system.batch_shape else 'a single one'}.",
            argument=name,
        )


def _samples(t: Any, system: System) -> tuple[int, float]:
    """Number of samples and the time between them."""
    if isinstance(t, Real):
        if not system.dt:
            raise TimeStepError(
                f"t={shown(t)}: a continuous response is sampled at times; give them as an array.",
                argument="t",
            )
        return check_count("t", t, system), system.dt
    times = _times(t)
    if not len(times) or times[0] != 0:
        raise TimeStepError("the times of an impulse or step response begin with 0.", argument="t")
    if system.dt:
        check_times(times, None, len(times), system.dt)
        return len(times), system.dt
    return len(times), step_of(times, None, len(times))


def _times(t: Any) -> np.ndarray:
    times = numbers("t", t, kinds="biuf").astype(float)
    if times.ndim != 1 or not np.all(np.isfinite(times)):
        raise TimeStepError(
            f"t has shape {times.shape}; it must be the finite times of the samples, (T,).", argument="t"
        )
    return times


def step_of(t: Any, step: float | None, count: int) -> float:
    """The time between `count` samples, given by their times or outright.

    Raises
    ------
    TimeStepError
        If neither is given, or the times are not `count` equal steps.
    """
    if step is not None:
        return check_real("step", step, above=0, error=TimeStepError)
    if t is None:
        raise TimeStepError("a continuous system is sampled at times: give t= (equally spaced) or step=.")
    times = _times(t)
    if len(times) != count:
        raise TimeStepError(f"there are {len(times)} times and {count} samples of the input.")
    if count < 2:
        return 1.0
    h = float(times[-1] - times[0]) / (count - 1)
    if not 0 < h < np.inf or np.max(np.abs(np.diff(times) - h)) > _UNEVEN * h:
        raise TimeStepError("the times must increase by equal steps: resample the input.")
    return h


def check_times(t: Any, step: float | None, count: int, dt: float) -> None:
    """Raise unless the times or step, where given, are those of a discrete system."""
    if t is None and step is None:
        return
    h = step_of(t, step, count)
    if count > 1 and abs(h - dt) > _UNEVEN * dt:
        raise TimeStepError(f"samples are {h:g} apart and the system's step is {dt:g}.")
