"""The gain at frequency zero."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import scipy.linalg

from mor.arrays import EPS, TINY, Array, adjoint, astype_like, device_kwargs, namespace
from mor.checks import check_overflow, guarded
from mor.equations.boundary import dc_point
from mor.equations.separation import separated
from mor.equations.sparse import MAX_DENSE_ORDER
from mor.errors import AccuracyWarning, DimensionError
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.lti import LTI
from mor.systems.modal import Modal
from mor.systems.sparse import SparseLTI

#: So many units of round-off, times the order, may every entry of A and E be wrong by.
_ROUNDINGS = 10

#: Steps of the power iteration; a factor of 2 would do.
_POWERS = 20


@guarded
def dcgain(sys: Any) -> Array:
    r"""Gain at frequency zero: the steady output for constant inputs of a stable system.

    .. math:: G(0) = D - C A^{-1} B \quad (dt = 0), \qquad G(1) = D + C (I - A)^{-1} B \quad (dt > 0)

    (with E: :math:`D + C (cE - A)^{-1} B`), entry by entry, infinite where an entry has a pole there (an
    integrator).

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes, stable or not; a batch of Modals gives a batch. Of a
        system with quadratic outputs it is the gain of the linear part, the slope of the output at rest;
        what constant inputs u make of the whole is that and the second kernel at zero frequency
        (:func:`mor.transfer_kernels`).

    Returns
    -------
    array (..., p, m), real for a real system. ``inf``, without a sign, where the entry has a pole; entries
        that do not see it are finite.

    Raises
    ------
    NotFiniteError
        If it overflows; of a sparse system of an order above 5000, if a pole is there.
    DimensionError
        Of a batch of systems other than Modals.

    Warns
    -----
    AccuracyWarning
        Where round-off cannot tell whether an entry sees a pole at zero frequency; it is then finite.

    Notes
    -----
    A pole of a :class:`~mor.Modal` is at zero frequency if it is that number. One of a dense system
    counts as there if changes of the entries of A and E, each by ``10 n`` units of round-off of its own
    size, can move it there: an integrator in general coordinates is found as one, a slow pole in its own
    coordinates is not taken for one. A pole that no input reaches or no output shows, to round-off, makes
    no entry infinite.

    Cost ``4 n^3`` flops, dense; a Schur form where a pole is there; of a sparse system of an order above
    5000 one factorisation. MATLAB's and python-control's
    ``dcgain``.

    Examples
    --------
    >>> import mor
    >>> mor.dcgain(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]))
    array([[1.02]])
    >>> mor.dcgain(([[0, 0], [0, -2]], [[1, 0], [0, 1]], [[1, 0], [0, 1]]))  # an integrator, and a lag
    array([[inf, 0. ],
           [0. , 0.5]])
    """
    system = as_system(sys)
    linear = system.linear.detached()
    gain = _of_states(linear) if linear.modal is None else _of_modes(linear.modal)
    return astype_like(namespace(system.D).asarray(gain, **device_kwargs(system.D)), system.D)


def _of_modes(system: Modal) -> np.ndarray:
    modal, c = system.on_numpy(), dc_point(system.dt)
    at = modal.poles == c
    weights = np.where(at, 0.0, 1 / np.where(at, 1.0, c - modal.poles))
    gain = modal.D + np.real((modal.C * weights[..., None, :]) @ modal.B)
    check_overflow(None, gain)
    there, size = np.real((modal.C * at[..., None, :]) @ modal.B), np.abs(modal.C * at[..., None, :])
    noise = modal.n_modes * EPS * (size @ np.abs(modal.B))
    return np.where(np.abs(there) > noise, np.inf, gain)


def _of_states(system: System) -> np.ndarray:
    if system.batch_shape:
        raise DimensionError("a batch has a gain at dc for Modal systems only; take one at a time.")
    c = dc_point(system.dt)
    # It is not made dense, and one factorisation does not tell which entries see a pole at c.
    if isinstance(system, SparseLTI) and system.order > MAX_DENSE_ORDER:
        gain = system.evaluate(c)
        return np.real(gain) if system.is_real else gain
    dense = system.to_lti()
    E = np.eye(dense.order) if dense.E is None else dense.E
    S, size = c * E - dense.A, abs(c) * np.abs(E) + np.abs(dense.A)
    if not dense.order:
        return dense.D
    if _ROUNDINGS * dense.order * EPS * _radius(S, size) >= 1:
        return _beside_poles(dense.explicit, c)
    gain = dense.D + dense.C @ np.linalg.solve(S, dense.B)
    check_overflow(None, gain)
    return gain


def _radius(S: np.ndarray, size: np.ndarray) -> float:
    """The spectral radius of :math:`|S^{-1}| |S|`, whose inverse is how far S is from singular, entry by
    entry; it does not depend on units of states and equations."""
    try:
        inverse = np.abs(np.linalg.inv(S))
    except np.linalg.LinAlgError:
        return np.inf
    x, radius = np.ones(len(size)), 0.0
    for _ in range(_POWERS):
        y = inverse @ (size @ x)
        radius = float(np.max(y))
        if not 0 < radius < np.inf:
            return np.inf if radius else 0.0
        x = y / radius + TINY
    return radius


def _beside_poles(system: LTI, c: float) -> np.ndarray:
    """The gain where poles cannot be told from c: infinite in the entries that see them."""
    form, n = system.schur, system.order
    size = max(form.pencil.norms[0], abs(c)) or 1.0
    at = _cannot_be_told_from(c, form.pencil.T, form.poles, _ROUNDINGS * n * EPS * size)
    if np.all(at):
        others, there = None, (form.pencil.T, form.left, form.right)
        gain = system.D
    else:
        others, there = separated(form, ~at)
        T = others.T - c * np.eye(len(others.T))
        gain = system.D - system.C @ others.R @ np.linalg.solve(T, adjoint(others.L) @ system.B)
    T, L, R = there
    N, B, C = T - c * np.eye(len(T)), adjoint(L) @ system.B, system.C @ R
    rows, columns = np.abs(system.C) @ np.abs(R), np.abs(adjoint(L)) @ np.abs(system.B)
    seen, doubtful, power = np.zeros(gain.shape, dtype=bool), np.zeros(gain.shape, dtype=bool), B
    # Subspaces are known to round-off over the gap between the two sets of poles.
    gap = np.min(np.abs(form.poles[at][:, None] - form.poles[~at]), initial=size)
    exact = _ROUNDINGS * n * EPS
    noise = exact * size / gap
    # (s - c)^-1, (s - c)^-2, ... have the coefficients C B, C N B, ...
    for _ in range(len(T)):
        coefficient, terms = np.abs(C @ power), rows @ columns
        seen |= coefficient > noise * terms
        doubtful |= coefficient > exact * terms
        power, columns = N @ power, np.abs(N) @ columns
    if np.any(doubtful & ~seen):
        i, j = np.argwhere(doubtful & ~seen)[0]
        warnings.warn(
            f"output {i} may see the pole at dc from input {j}, by less than round-off tells: its gain is "
            "given as if it did not.",
            AccuracyWarning,
            stacklevel=5,
        )
    return np.where(seen, np.inf, gain)


def _cannot_be_told_from(c: float, T: np.ndarray, poles: np.ndarray, noise: float) -> np.ndarray:
    """Which poles lie no further from c than changes of T by `noise` move them, to first order."""
    eig: Any = scipy.linalg.eig
    values, left, right = eig(T, left=True)
    cosines = np.abs(np.sum(left.conj() * right, axis=0))
    nearest = np.argmin(np.abs(poles[:, None] - values), axis=1)
    # Of k that coincide it is the k-th root of round-off, as their cosines say.
    error, distance = noise / np.maximum(cosines[nearest], TINY), np.abs(poles - c)
    return distance <= np.maximum(error, np.min(distance))
