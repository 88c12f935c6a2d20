"""Hankel singular values and bounds."""

from __future__ import annotations

from typing import Any

import numpy as np

from mor.analysis.gramians import INFINITE
from mor.analysis.hankel import hankel_singular_values
from mor.arrays import to_numpy
from mor.reduction.result import Reduction
from mor.report.plots.style import COLOURS, axes_of, finish, positive
from mor.systems.base import System
from mor.systems.convert import as_system


def plot_hsv(sys: Any, ax: Any = None) -> Any:
    r"""Hankel singular values, and the error bound at every order r.

    The bound is that of the reduction's method (``bounds``), and for a system
    :math:`2\sum_{i>r}\sigma_i`, that of balanced truncation.

    Parameters
    ----------
    sys : a :class:`~mor.Reduction`, whose kept values are filled and whose removed ones hollow, or
        anything :func:`mor.as_system` takes. Of a batch the largest values are drawn.
    ax : matplotlib axes to draw on; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    UnstableSystemError
        If `sys` is an unstable system.

    Notes
    -----
    Values below round-off of the largest, ``n eps`` of it, are noise: a dotted line is there. The
    bound is not drawn for a reduction that has none, nor for a system with quadratic outputs, for
    which it does not hold. MATLAB's ``hsvplot``.

    Examples
    --------
    >>> import mor
    >>> from mor.report import plot_hsv
    >>> sys = ([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]])
    >>> plot_hsv(mor.balanced_truncation(sys, order=1)).get_ylabel()
    'Hankel singular value'
    """
    is_reduction = isinstance(sys, Reduction)
    sys = sys if is_reduction else as_system(sys)
    hsv = np.atleast_2d(to_numpy(sys.hsv if is_reduction else hankel_singular_values(sys)))
    finite = np.where(np.isfinite(hsv), hsv, 0.0)
    axes, n = axes_of(ax), hsv.shape[-1]
    values, states = np.max(hsv, axis=0, initial=0.0), np.arange(1, n + 1)
    kept = sys.order if is_reduction else n
    style: Any = {"color": COLOURS[0], "marker": "o", "ms": 4, "ls": "none"}
    axes.plot(states[:kept], positive(values[:kept]), label="kept" if is_reduction else None, **style)
    if kept < n:
        axes.plot(states[kept:], positive(values[kept:]), mfc="none", label="removed", **style)
    bounds = sys.bounds if is_reduction else _bounds_of(sys, hsv)
    if bounds is not None:
        axes.plot(np.arange(n), positive(bounds[:n]), color=COLOURS[1], label="error bound of order r")
    if (largest := np.max(finite, initial=0.0)) > 0:
        axes.axhline(n * np.finfo(float).eps * largest, color="0.5", ls=":", lw=1, label="round-off")
    axes.set(yscale="log", xlabel="state, order r", ylabel="Hankel singular value")
    return finish(axes)


def _bounds_of(sys: System, hsv: np.ndarray) -> np.ndarray | None:
    """The bounds of balanced truncation, of a batch the largest; None where there are none."""
    bounds = INFINITE.bounds(hsv, sys)
    return None if bounds is None else np.max(bounds, axis=0, initial=0.0)
