"""Volterra kernels of systems with quadratic outputs, and what they say of an output."""

from __future__ import annotations

from typing import Any

import numpy as np

from mor.analysis.norms import h2_norm
from mor.analysis.response import impulse, step_of
from mor.arrays import to_numpy
from mor.errors import DimensionError
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.lqo import LQO


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
    system = _quadratic(sys)
    g = to_numpy(impulse(system.carrier, t))
    p = system.n_outputs
    # Columns of g are values of z for impulses at one input each.
    z = g[:, p:].swapaxes(-1, -2)
    pairs = system.M.values(z[:, None, :, None], z[None, :, None, :])
    return g[:, :p], np.moveaxis(pairs, -1, 2)


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
    sys : a :class:`~mor.LQO`, or anything :func:`mor.as_system` takes, stable or not; initially at rest.
    u : array (T, m) or (T,), time first. In continuous time it is held between samples.
    t, step : times of the samples (equally spaced), or the time between them; continuous time only.
    rom : a reduced system, or a :class:`~mor.Reduction`.
    other : a second input v of the same shape.

    Returns
    -------
    float : on the Euclidean norm of the outputs at any time within the input's; infinite in
        continuous time for D != 0.

    Raises
    ------
    DimensionError, TimeStepError, NotFiniteError

    Notes
    -----
    By Cauchy and Schwarz on the kernels. It is attained by a linear system with one input, for the
    matched input (its impulse response backward in time); for long inputs it is far from the output.

    Examples
    --------
    >>> import numpy as np, mor
    >>> sys = mor.LQO(([[0.5]], [[1.0]], [[1.0]], None, None), [[1.0]])
    >>> mor.output_bound(sys, np.array([0.1, 0.0]), step=1.0) > 0.1
    True
    """
    system = as_system(sys) if rom is None else as_system(sys) - as_system(rom)
    u = _signal(u, system)
    v = None if other is None else _signal(other, system)
    if v is not None and v.shape != u.shape:
        raise DimensionError(f"the inputs have shapes {u.shape} and {v.shape}; they must agree.")
    # In discrete time lags 0..T-1 reach the last output.
    h = 1.0 if system.dt else step_of(t, step, len(u))
    horizon = max(1, len(u) - 1) if system.dt else h * len(u)
    norm = float(h2_norm(system, horizon=horizon))
    if v is None:
        size, spread = np.sqrt(h) * np.linalg.norm(u), np.sqrt(h) * np.linalg.norm(u)
    else:
        size, spread = np.sqrt(h) * np.linalg.norm(u - v), np.sqrt(h) * np.linalg.norm(u + v)
    return norm * float(size) * float(np.hypot(1.0, 0.0 if system.is_linear else spread))


def _quadratic(sys: Any) -> LQO:
    system = as_system(sys)
    return system if isinstance(system, LQO) else LQO.of_linear(system.on_numpy())


def _signal(u: Any, system: System) -> np.ndarray:
    u = to_numpy(u).astype(float)
    u = u[:, None] if u.ndim == 1 else u
    if u.ndim != 2 or u.shape[1] != system.n_inputs or not len(u):
        raise DimensionError(f"u has shape {u.shape}; it must be (T, {system.n_inputs}), T >= 1, time first.")
    return u
