"""Volterra kernels of systems with quadratic outputs, and what they say of an output."""

from __future__ import annotations

from typing import Any

import numpy as np

from mor.analysis.norms import h2_norm
from mor.analysis.response import check_times, impulse, step_of
from mor.arrays import TINY, to_numpy
from mor.checks import check_overflow, guarded
from mor.equations.scaling import lengths
from mor.errors import DimensionError, NotFiniteError, TimeStepError
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.lqo import LQO
from mor.systems.quadratic import number_array, real_array


@guarded
def impulse_kernels(sys: Any, t: Any) -> tuple[np.ndarray, np.ndarray]:
    r"""Linear and quadratic impulse kernels of a system with quadratic outputs.

    .. math:: y_k = \sum_s h_1(s)\, u_{k-s} + \sum_{s,t} u_{k-s}^T h_2(s, t)\, u_{k-t}, \qquad
              h_2(s, t)_i = g_z(s)^T N_i\, g_z(t),

    where :math:`g_z` is the impulse response of z (of the state x if M is a form of it):
    :math:`D_y, Y B, Y A B, \dots` in discrete time, :math:`Y e^{At} B` in continuous time, with
    integrals for sums.

    Parameters
    ----------
    sys : a :class:`~mor.LQO`, or anything :func:`mor.as_system` takes (whose second kernel is 0).
    t : number of samples, or the samples' times, as for :func:`mor.impulse`.

    Returns
    -------
    h1 : array (T, p, m)
    h2 : array (T, T, p, m, m)

    Raises
    ------
    TimeStepError
        If times are not equally spaced from 0, or do not fit a discrete system's step.
    DimensionError
        Of a batch of systems.
    NotFiniteError
        If a time is NaN or infinite, or the response overflows.

    Notes
    -----
    Memory ``T^2 p m^2``. The squared H2 norm is the sum (integral) of the squares of both kernels.
    A Dirac impulse at t = 0 of a continuous system with D is not part of it.

    Examples
    --------
    >>> import mor
    >>> h1, h2 = mor.impulse_kernels(mor.LQO(([[0.5]], [[1.0]], [[3.0]], None, None), [[2.0]]), [0.0, 1.0])
    >>> h2[:, :, 0, 0, 0].round(4)  # 2 exp(s/2) exp(t/2)
    array([[2.    , 3.2974],
           [3.2974, 5.4366]])
    """
    system = LQO.of_linear(as_system(sys))
    g = impulse(system.carrier, t)
    p = system.n_outputs
    # Columns of g are values of z for impulses at one input each.
    z = g[:, p:].mT
    pairs = system.M.values(z[:, None, :, None], z[None, :, None, :])
    check_overflow(None, pairs)
    return g[:, :p], np.moveaxis(pairs, -1, 2)


@guarded
def transfer_kernels(sys: Any, s1: Any, s2: Any = None) -> tuple[np.ndarray, np.ndarray]:
    r"""Transfer functions of first and second order: the transforms of :func:`mor.impulse_kernels`.

    .. math:: G_1(s) = C (s - A)^{-1} B + D, \qquad H_2(s_1, s_2)_i = X(s_1)^T N_i\, X(s_2), \qquad
              X(s) = Y (s - A)^{-1} B + D_y

    with Y = I, :math:`D_y = 0` and :math:`N_i = M_i` where M is a form of the state. They are the Laplace
    transforms :math:`\iint h_2(t_1, t_2) e^{-s_1t_1 - s_2t_2}` of the kernels, in discrete time
    the sums with :math:`z_1^{-t_1} z_2^{-t_2}`. An input :math:`a e^{s_1t} + b e^{s_2t}` has, besides what
    belongs to the initial state, the outputs :math:`G_1(s_1) a e^{s_1t} + G_1(s_2) b e^{s_2t}` and, from the
    product of the two, :math:`2 a^T H_2(s_1, s_2) b\, e^{(s_1+s_2)t}`, and
    :math:`a^T H_2(s_1, s_1) a\, e^{2s_1t}`.

    Parameters
    ----------
    sys : a :class:`~mor.LQO`, or anything :func:`mor.as_system` takes (whose second kernel is 0), no batch;
        stable or not, real or complex: values exist where a norm does not.
    s1 : point or points (N1,), complex: i omega, or in discrete time exp(i omega dt), for a frequency
        response.
    s2 : the second argument of :math:`H_2`; None takes `s1`.

    Returns
    -------
    G1 : array (N1, p, m), at `s1`.
    H2 : array (N1, N2, p, m, m); :math:`H_2(s_2, s_1)_i = H_2(s_1, s_2)_i^T`. For one point that axis is
        left out.

    Raises
    ------
    NotFiniteError
        If a point is a pole, or NaN or infinite.
    DimensionError
        If points are not numbers or a vector of numbers, or of a batch of systems.

    Notes
    -----
    No conjugate is taken anywhere: for one input, :math:`u = \cos\omega t`, the mean of the quadratic part of
    the output is :math:`\tfrac12 H_2(i\omega, -i\omega)`. With a feedthrough :math:`D_y` the second kernel
    has an impulse, whose transform is part of :math:`H_2`. Memory ``N1 N2 p m^2``.

    Examples
    --------
    >>> import mor
    >>> energy = mor.LQO(([[-1.0]], [[1.0]], [[0.0]]), [[1.0]])  # y = x^2, x' = -x + u
    >>> G1, H2 = mor.transfer_kernels(energy, 0.0)
    >>> H2[..., 0, 0].real  # at rest x = u: y = u^2
    array([1.])
    >>> G1, H2 = mor.transfer_kernels(energy, [1j, 2j], [-1j])
    >>> H2[:, 0, 0, 0, 0].round(2)
    array([0.5+0.j , 0.3-0.1j])
    """
    system = LQO.of_linear(as_system(sys))
    first, second = _points("s1", s1), None if s2 is None else _points("s2", s2)
    p = system.n_outputs
    g = _evaluated(system.carrier, first)
    other = g if second is None else _evaluated(system.carrier, second)
    # Columns are the values of z for an input at one of the inputs each.
    z, w = g[:, p:].mT, other[:, p:].mT
    pairs = np.moveaxis(system.M.values(z[:, None, :, None], w[None, :, None, :]), -1, 2)
    shape = first.shape + (first if second is None else second).shape
    return g[:, :p].reshape(*first.shape, *g[:, :p].shape[1:]), pairs.reshape(*shape, *pairs.shape[2:])


def _evaluated(carrier: System, points: np.ndarray) -> np.ndarray:
    values = to_numpy(carrier.evaluate(points.reshape(-1)))
    if not np.all(np.isfinite(values)):
        raise NotFiniteError("the transfer function is infinite: a point is a pole.")
    return values


def _points(name: str, s: Any) -> np.ndarray:
    points = number_array(name, s).astype(complex)
    if points.ndim > 1:
        raise DimensionError(f"{name} has shape {points.shape}; it must be a point, or points (N,).")
    return points


@guarded
def output_bound(
    sys: Any, u: Any, t: Any = None, *, rom: Any = None, other: Any = None, step: float | None = None
) -> float:
    r"""Upper limit on the output for a given input: ``max_t |y(t)|`` from the H2 norm.

    .. math:: \max_t |y_t| &\le \|S\|_{h_2,T} \sqrt{|u|^2 + |u|^4} \\
              \max_t |y_t(u) - y_t(v)| &\le \|S\|_{h_2,T}\, |u - v| \sqrt{1 + |u + v|^2}

    with :math:`|u|` the l2 (L2) norm of the whole input and the H2 norm up to its end. With `rom`,
    S is the difference to a reduced system, and the limit one on the error of its output for
    this input, known without simulating either. For a linear S it is :math:`\|S\| |u|`.

    Parameters
    ----------
    sys : a :class:`~mor.LQO`, or anything :func:`mor.as_system` takes (no batch), stable or not; initially
        at rest.
    u : array (T, m) or (T,), time first. In continuous time each sample is held until the next, the last
        one for as long.
    t, step : times of the samples (equally spaced), or the time between them; needed in continuous time.
    rom : a reduced system, or a :class:`~mor.Reduction`.
    other : a second input v of the same shape.

    Returns
    -------
    float : on the Euclidean norm of the outputs at any time within the input's; infinite in
        continuous time for D != 0, where the output has no limit in terms of the L2 norm of the input.

    Raises
    ------
    DimensionError
        If `u` does not fit the inputs; of a batch of systems.
    TimeStepError
        If times are missing, not equally spaced, or do not fit a discrete system's step.
    NotFiniteError
        If the data or the result leave the range of double precision.

    Notes
    -----
    By Cauchy and Schwarz on the kernels. It is attained by a linear system with one input, for the
    matched input (its impulse response backward in time); for long inputs it is far from the output.

    Examples
    --------
    >>> import numpy as np, mor
    >>> sys = mor.LQO(mor.LTI([[0.5]], [[1.0]], [[1.0]], dt=1.0), [[1.0]])
    >>> u = np.array([0.1, 0.2, 0.0])
    >>> float(mor.simulate(sys, u).max().round(4)), round(mor.output_bound(sys, u), 4)
    (0.3125, 0.3843)
    """
    system = as_system(sys) if rom is None else as_system(sys) - as_system(rom)
    if system.batch_shape:
        raise DimensionError(f"output_bound takes one system, not a batch of shape {system.batch_shape}.")
    u = _signal("u", u, system)
    v = np.zeros_like(u) if other is None else _signal("other", other, system)
    if v.shape != u.shape:
        raise DimensionError(f"the inputs have shapes {u.shape} and {v.shape}; they must agree.")
    if system.dt:
        check_times(t, step, len(u), system.dt)
        # Lags 0..T-1 reach the last output.
        h, horizon = 1.0, max(1, len(u) - 1)
    else:
        if step is None and t is not None and len(u) < 2:
            raise TimeStepError("one sample does not say how long it is held: give step=.")
        h = step_of(t, step, len(u))
        horizon = h * len(u)
    size, spread = (float(np.sqrt(h) * lengths(x)) for x in (u - v, u + v))
    if not np.any(u - v):
        return 0.0
    norm = float(h2_norm(system, horizon=horizon))
    if norm == 0 or norm == np.inf:
        return norm
    bound = norm * size * float(np.hypot(1.0, 0.0 if system.is_linear else spread))
    # What is too small to be represented is not zero.
    return max(bound, TINY)


def _signal(name: str, u: Any, system: System) -> np.ndarray:
    u = real_array(name, u)
    u = u[:, None] if u.ndim == 1 else u
    if u.ndim != 2 or u.shape[1] != system.n_inputs or not len(u):
        raise DimensionError(
            f"{name} has shape {u.shape}; it must be (T, {system.n_inputs}), T >= 1, time first."
        )
    return u
