"""System norms and errors, for any kind of system."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from mor.arrays import Array, astype_like, is_concrete, namespace, to_numpy
from mor.errors import DimensionError
from mor.systems.base import System, check_overflow
from mor.systems.convert import as_system

#: Share of the sum of absolute terms below which the trace formula has cancelled too far.
_CANCELLED = 1e-6


def h2_norm(sys: Any, *, horizon: float | None = None) -> Array:
    r"""H2 norm: the l2 (L2) norm of the impulse response.

    .. math:: \|G\|_{h_2}^2 = \mathrm{tr}(C P C^T) + \|D\|_F^2 \quad (dt > 0), \qquad
              \|G\|_{H_2}^2 = \mathrm{tr}(C P C^T) \quad (dt = 0, D = 0).

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes; a batch gives a batch of norms.
    horizon : end time or number of steps; None is infinite. In discrete time the lags
        0..horizon of the impulse response ``D, CB, CAB, ...`` are counted.

    Returns
    -------
    array (...): infinite for a continuous system with D != 0.

    Raises
    ------
    UnstableSystemError
        On an infinite horizon, if a pole is not strictly stable.

    Notes
    -----
    ``tr(C P C^T)`` is taken where it does not cancel, else ``|C Zc|_F^2`` with a factor
    ``P = Zc Zc^T``, which keeps errors that are tiny beside the systems' norms right.

    Examples
    --------
    >>> import mor
    >>> float(mor.h2_norm(([[-1.0]], [[2.0]], [[3.0]])).round(6))
    4.242641
    """
    system = as_system(sys)
    if horizon is None:
        system.require_stable("an H2 norm")
    square = _squared_h2(system.detached(), horizon)
    return astype_like(namespace(square).sqrt(square), system.D)


def h2_error(sys: Any, rom: Any, *, horizon: float | None = None) -> Array:
    """H2 norm of the difference of two systems; right also when it is tiny.

    The norm of the error system ``diag(A, A_r), [B; B_r], [C, -C_r], D - D_r``; see
    :func:`h2_norm`.

    Examples
    --------
    >>> import mor
    >>> a, b = ([[-1.0]], [[2.0]], [[3.0]]), ([[-1.0]], [[2.0]], [[2.0]])
    >>> float(mor.h2_error(a, b).round(6))
    1.414214
    """
    return h2_norm(as_system(sys) - as_system(rom), horizon=horizon)


def _squared_h2(system: System, horizon: float | None) -> Array:
    C, D = system.output_factor_matrix, system.D
    xp = namespace(C)
    feedthrough = xp.sum(D**2, axis=(-2, -1))
    if not system.dt:
        feedthrough = xp.where(feedthrough > 0, xp.full_like(feedthrough, np.inf), feedthrough)
    P, _ = system.gramians(horizon=horizon)
    check_overflow(horizon, P)
    square = xp.sum((C @ P) * C, axis=(-2, -1))
    if is_concrete(square, C):
        scale = xp.sum((xp.abs(C) @ xp.abs(P)) * xp.abs(C), axis=(-2, -1))
        if bool(xp.any(square <= _CANCELLED * scale)):
            Z = system.controllability_factor(horizon=horizon)
            square = xp.sum((C @ Z) ** 2, axis=(-2, -1))
    return square + feedthrough


def peak_gain(sys: Any, *, samples: int = 64) -> tuple[float, float]:
    r"""Largest gain found over frequency, a lower limit of the H-infinity norm.

    :math:`\max_\omega \sigma_1(G(i\omega))` (or :math:`G(e^{i\omega\,dt})`), sampled at the
    poles' frequencies and on a grid, then refined around the three largest samples. In
    practice the peak; without a guarantee, which only an eigenvalue method gives.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes. Of a batch the largest over all systems.
    samples : size of the first grid, and the most pole frequencies that join it.

    Returns
    -------
    (gain, omega) : omega in radians per unit of time.

    Examples
    --------
    >>> from mor.analysis.norms import peak_gain
    >>> gain, omega = peak_gain(([[-1.0]], [[2.0]], [[3.0]]))
    >>> round(gain, 6), omega
    (6.0, 0.0)
    """
    system = as_system(sys)
    if system.n_inputs == 0 or system.n_outputs == 0:
        raise DimensionError("a system without inputs or outputs has no gain.")
    system.require_stable("a peak gain")
    constant = system.detached()
    omega = _first_frequencies(constant, samples)
    gains = np.concatenate([_gains(constant, part) for part in np.array_split(omega, -(-len(omega) // 16))])
    best, where = float(np.max(gains)), float(omega[np.argmax(gains)])
    for i in np.argsort(gains)[::-1][:3]:
        low, high = omega[max(i - 1, 0)], omega[min(i + 1, len(omega) - 1)]
        if high > low:
            found: Any = minimize_scalar(
                lambda w: -_gains(constant, np.array([w]))[0],
                bounds=(low, high),
                method="bounded",
                options={"maxiter": 16},
            )
            if -found.fun > best:
                best, where = float(-found.fun), float(found.x)
    return best, where


def _first_frequencies(system: System, samples: int) -> np.ndarray:
    poles = to_numpy(system.poles).astype(complex).ravel()
    if system.dt:
        end = np.pi / system.dt
        grid, margin = np.linspace(0, end, samples), 1 - np.abs(poles)
        own = np.abs(np.angle(poles)) / system.dt
    else:
        moduli = np.abs(poles)[np.abs(poles) > 0]
        low, high = (moduli.min() / 100, moduli.max() * 100) if len(moduli) else (1.0, 1.0)
        grid, margin, own = np.append(0.0, np.geomspace(low, high, samples)), -poles.real, np.abs(poles.imag)
    nearest = np.argsort(margin)[:samples]
    return np.unique(np.concatenate([grid, own[nearest]]))


def _gains(system: System, omega: np.ndarray) -> np.ndarray:
    """Largest singular value at each frequency, over a batch the largest."""
    response = to_numpy(system.frequency_response(omega))
    if response.shape[-1] > response.shape[-2]:
        response = response.mT
    inner = np.conj(response.mT) @ response
    largest = np.sqrt(np.maximum(np.linalg.eigvalsh(inner)[..., -1], 0.0))
    return largest.reshape(-1, len(omega)).max(axis=0)
