"""Step responses of several systems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mor.analysis.response import step
from mor.arrays import to_numpy
from mor.checks import check_real
from mor.equations.boundary import ROUNDOFF
from mor.errors import TimeStepError
from mor.report.plots.style import (
    check_signals,
    drawable,
    finish_grid,
    grid_of_axes,
    line_style,
    name_channels,
    names_of,
)
from mor.systems.arguments import check_count
from mor.systems.base import System

#: Samples of a continuous response, and most samples of a discrete one that are drawn by themselves.
_SAMPLES, _MOST = 500, 5000

#: A pole has decayed after so many of its time constants; a response has settled within this share.
_CONSTANTS, _SETTLED = 7.0, 0.01

#: Slow growth is drawn for no longer than so many times what decays takes to settle.
_PATIENCE = 1e3

#: So often the time drawn is shortened to what settles later.
_ROUNDS = 3


def plot_step(
    *systems: Any, t: float | None = None, labels: Sequence[str] | None = None, axes: Any = None
) -> Any:
    r"""Step responses of every channel, of several systems in one figure.

    Parameters
    ----------
    *systems : anything :func:`mor.as_system` takes, with the same inputs and outputs, continuous or
        discrete, stable or not. A discrete response is a staircase; of a complex system real parts
        have full lines and imaginary ones thin ones.
    t : where the time axis ends, positive; None is where the slowest of what decays has settled, or,
        where something grows, some e-foldings of the fastest growing pole. Poles that cannot be told
        from the boundary of stability, such as integrators, have no say.
    labels : one a system; None takes their names, where they have some.
    axes : matplotlib axes (p, m) to draw on; None makes a new figure.

    Returns
    -------
    array (p, m) of matplotlib.axes.Axes

    Raises
    ------
    ArgumentTypeError, TimeStepError
        If `labels` is no list, `axes` are no axes, or `t` is not positive and finite.
    DimensionError
        If there is nothing to draw (no system, a batch, no inputs or outputs), or the systems differ
        in their inputs or outputs.

    Notes
    -----
    Responses are exact at their samples (:func:`mor.step`). MATLAB's ``step``.

    Examples
    --------
    >>> import mor
    >>> from mor.report import plot_step
    >>> sys = mor.as_system(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]))
    >>> axes = plot_step(sys, mor.balanced_truncation(sys, order=1), labels=["full", "reduced"])
    >>> axes.shape, len(axes[0, 0].lines)
    ((1, 1), 2)
    """
    models = drawable(systems, "plot of step responses")
    names, (p, m) = names_of(models, labels), check_signals(models)
    end = check_real("t", t, above=0, error=TimeStepError) if t is not None else _end(models)
    axes = grid_of_axes(axes, p, m, (4.2, 2.8))
    for k, (model, name) in enumerate(zip(models, names, strict=True)):
        times, response = _response(model, end)
        how = {"drawstyle": "steps-post"} if model.dt else {}
        for i, j in np.ndindex(p, m):
            axes[i, j].plot(times, np.real(response[:, i, j]), label=name or None, **line_style(k), **how)
            if np.iscomplexobj(response):
                axes[i, j].plot(times, np.imag(response[:, i, j]), **line_style(k) | {"lw": 0.6}, **how)
    name_channels(axes, models[0])
    return finish_grid(axes, "time")


def _response(model: System, end: float) -> tuple[np.ndarray, np.ndarray]:
    """Times from 0 to `end` and the response (T, p, m)."""
    if not model.dt:
        times = np.linspace(0.0, end, _SAMPLES)
        return times, to_numpy(step(model, times))
    count = check_count("t", np.floor(end / model.dt) + 1, model)
    return model.dt * np.arange(count), to_numpy(step(model, count))


def _end(models: Sequence[System]) -> float:
    """Where all responses have settled, or the one that grows fastest has grown enough."""
    settled, grown = (
        [end for model in models if (end := when(model)) is not None] for when in (_settles, _grows)
    )
    longest = [_MOST * model.dt for model in models if model.dt]
    if grown:
        return min(*grown, *(_PATIENCE * end for end in settled), *longest, np.finfo(float).max)
    usual = 10 * max((model.dt for model in models if model.dt), default=1.0)
    return min(max(settled, default=usual), *longest, np.finfo(float).max)


def _rates(model: System) -> tuple[np.ndarray, np.ndarray]:
    """Rates of decay and of growth, positive, of the poles that can be told from the boundary."""
    margin = np.ravel(to_numpy(model.margins)).astype(float)
    finite = np.abs(margin[np.isfinite(margin)])
    # Also where poles are data: what is slower by as much as round-off would hide all others.
    scale = 1.0 if model.dt else np.max(finite, initial=0.0)
    told = margin[np.abs(margin) > np.maximum(np.ravel(to_numpy(model.pole_errors)), ROUNDOFF * scale)]
    with np.errstate(divide="ignore"):
        rates = -np.log1p(-told) / model.dt if model.dt else told
    # So slow that its time constant overflows is at rest; a pole of a discrete system at 0 has none.
    rates = rates[np.isfinite(rates) & (np.abs(rates) > _CONSTANTS / np.finfo(float).max)]
    return rates[rates > 0], -rates[rates < 0]


def _grows(model: System) -> float | None:
    """When the fastest growing pole has grown by some e-foldings, of a discrete system a step at least."""
    growth = _rates(model)[1]
    return max(_CONSTANTS / float(growth.max()), model.dt) if growth.size else None


def _settles(model: System) -> float | None:
    """When what decays has settled, as far as poles and, of a stable system, the response tell."""
    decay = _rates(model)[0]
    if not decay.size:
        return None
    end = _CONSTANTS / float(decay.min())
    if model.dt:
        end = min(max(end, 10 * model.dt), _MOST * model.dt)
    if not model.is_stable:
        return end
    for _ in range(_ROUNDS):
        times, response = _response(model, end)
        late = np.abs(response - response[-1]) > _SETTLED * np.max(np.abs(response), axis=0)
        # The first sample at which all has settled; the last one has by definition.
        last = float(times[np.flatnonzero(late.any(axis=(1, 2)))[-1] + 1]) if late.any() else 0.0
        if not 0 < 3 * last < end:
            break
        end = 1.5 * last
    return end
