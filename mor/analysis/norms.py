"""System norms and errors, for any kind of system."""

from __future__ import annotations

from typing import Any

import numpy as np

from mor.arrays import Array, astype_like, is_concrete, namespace
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
