"""Frequency responses of several systems: singular values, gain and phase."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from mor.analysis.gains import SystemGains, first_frequencies
from mor.checks import numbers, shown
from mor.errors import ArgumentError
from mor.report.plots.style import (
    COLOURS,
    axes_of,
    check_signals,
    drawable,
    finish,
    finish_grid,
    grid_of_axes,
    line_style,
    name_channels,
    names_of,
    positive,
)
from mor.systems.base import System

#: Points of a grid of frequencies; as many lightly damped poles add their own.
_POINTS = 300

_FREQUENCY = "frequency, rad per unit of time"

#: Of lines that show a limit, not a system.
_LIMIT = {"color": "0.5", "ls": ":", "lw": 1}


def plot_sigma(*systems: Any, omega: Any = None, labels: Sequence[str] | None = None, ax: Any = None) -> Any:
    r"""Singular values of the frequency responses :math:`G(i\omega)` or :math:`G(e^{i\omega\,dt})`.

    Parameters
    ----------
    *systems : anything :func:`mor.as_system` takes, reductions and differences of systems too.
        Each has its own colour, its largest singular value a full line, the others thin ones; a
        complex system has dashed lines too, for negative frequencies.
    omega : frequencies in radians per unit of time, not negative; None covers the poles of all systems.
    labels : one a system; None takes their names, where they have some.
    ax : matplotlib axes to draw on; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If `omega`, `labels` or the axes are not what they must be.
    DimensionError
        If there is nothing to draw: no system, a batch, no inputs or outputs.

    Notes
    -----
    One Schur form a dense system, shared with its poles, its Gramians and the differences in which
    it takes part, then ``2 n^2 m`` flops a frequency. MATLAB's ``sigma`` (on a
    logarithmic scale in place of decibels), python-control's ``singular_values_plot``.

    Examples
    --------
    >>> import mor
    >>> from mor.report import plot_sigma
    >>> sys = mor.as_system(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]))
    >>> rom = mor.balanced_truncation(sys, order=1)
    >>> axes = plot_sigma(sys, rom, sys - rom.system, labels=["full", "reduced", "error"])
    >>> len(axes.lines)
    3
    """
    models = drawable(systems, "sigma plot")
    names = names_of(models, labels)
    gains = [SystemGains(model) for model in models]
    omega = frequencies(gains) if omega is None else _given(omega)
    axes = axes_of(ax)
    for i, (gain, name) in enumerate(zip(gains, names, strict=True)):
        for sign, line in _signs(gain):
            draw_sigma(axes, omega, gain.responses(sign * omega), name, COLOURS[i % len(COLOURS)], line)
    return finish_sigma(axes)


def plot_bode(*systems: Any, omega: Any = None, labels: Sequence[str] | None = None, axes: Any = None) -> Any:
    r"""Gain :math:`|G_{ij}(i\omega)|` and phase of every channel, of several systems in one figure.

    Parameters
    ----------
    *systems : anything :func:`mor.as_system` takes, with the same inputs and outputs, continuous or
        discrete; of a discrete one :math:`G_{ij}(e^{i\omega\,dt})`, up to its Nyquist frequency
        :math:`\pi/dt`, where a dotted line stands. A complex system has thin lines too, for
        negative frequencies.
    omega : frequencies in radians per unit of time, not negative; None covers the poles of all systems.
    labels : one a system; None takes their names, where they have some.
    axes : matplotlib axes (2p, m) to draw on, gain above phase for each output; None makes a new
        figure.

    Returns
    -------
    array (2p, m) of matplotlib.axes.Axes

    Raises
    ------
    ArgumentError, ArgumentTypeError
        If `omega`, `labels` or the axes are not what they must be.
    DimensionError
        If there is nothing to draw (no system, a batch, no inputs or outputs), or the systems differ
        in their inputs or outputs.

    Notes
    -----
    The gain is on a logarithmic axis, not in decibels. Phases are in degrees and continued over
    :math:`\pm 180`. MATLAB's ``bode``.

    Examples
    --------
    >>> import mor
    >>> from mor.report import plot_bode
    >>> sys = mor.as_system(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]))
    >>> axes = plot_bode(sys, mor.balanced_truncation(sys, order=1), labels=["full", "reduced"])
    >>> axes.shape, len(axes[0, 0].lines)
    ((2, 1), 2)
    """
    models = drawable(systems, "Bode plot")
    names, (p, m) = names_of(models, labels), check_signals(models)
    gains = [SystemGains(model) for model in models]
    grid = frequencies(gains) if omega is None else _given(omega)
    axes = grid_of_axes(axes, 2 * p, m, (4.2, 2.2))
    for i, (gain, name) in enumerate(zip(gains, names, strict=True)):
        own = grid[grid <= np.pi / gain.system.dt] if gain.system.dt else grid
        _draw_bode(axes, own, gain.responses(own), line_style(i) | {"label": name or None})
        if not gain.is_real:
            _draw_bode(axes, own, gain.responses(-own), line_style(i) | {"lw": 0.6})
    for end in {np.pi / model.dt for model in models if model.dt}:
        for each in axes.flat:
            each.axvline(end, **_LIMIT)
    for above, below in zip(axes[::2, 0], axes[1::2, 0], strict=True):
        above.set_ylabel("gain")
        below.set_ylabel("phase, degrees")
    if p * m > 1:
        name_channels(axes[::2], models[0])
    return finish_grid(axes, _FREQUENCY)


def _draw_bode(axes: Any, omega: np.ndarray, response: np.ndarray, style: dict[str, Any]) -> None:
    for i, j in np.ndindex(response.shape[1:]):
        entry = response[:, i, j]
        finite = np.isfinite(entry) & (entry != 0)
        phase = np.full(len(omega), np.nan)
        phase[finite] = np.degrees(np.unwrap(np.angle(entry[finite])))
        axes[2 * i, j].loglog(omega, positive(np.abs(entry)), **style)
        axes[2 * i + 1, j].semilogx(omega, phase, **style)


def _given(omega: Any) -> np.ndarray:
    """`omega` as sorted frequencies (N,) for a logarithmic axis."""
    values = np.atleast_1d(numbers("omega", omega, kinds="iuf")).astype(float)
    if values.ndim > 1 or not values.size or not np.all(np.isfinite(values) & (values >= 0)):
        raise ArgumentError(
            f"omega={shown(omega)} must be one or more finite frequencies (N,), none of them negative.",
            argument="omega",
        )
    return np.sort(values)


def frequencies(gains: Sequence[SystemGains]) -> np.ndarray:
    """Frequencies that show every pole, sorted, for a logarithmic axis."""
    steps = [gain.system.dt for gain in gains]
    found = [first_frequencies(gain.poles, dt, _POINTS) for gain, dt in zip(gains, steps, strict=True)]
    omega = np.unique(np.concatenate(found))
    if end := max(steps):
        omega = np.concatenate([omega, np.geomspace(1e-4, 1, _POINTS) * np.pi / end])
        omega = np.unique(omega[omega <= np.pi / end])
    return omega[np.isfinite(omega) & (omega > 0)]


def _signs(*gains: SystemGains) -> list[tuple[int, str]]:
    """Signs of the frequencies to draw, negative ones of complex systems only, and with which lines."""
    return [(1, "-")] if all(gain.is_real for gain in gains) else [(1, "-"), (-1, "--")]


def responses(*models: System) -> Iterator[tuple[str, np.ndarray, list[np.ndarray]]]:
    """On common frequencies the responses of all, for each sign that is drawn with its line."""
    gains = [SystemGains(model) for model in models]
    omega = frequencies(gains)
    for sign, line in _signs(*gains):
        yield line, omega, [gain.responses(sign * omega) for gain in gains]


def draw_sigma(
    axes: Any, omega: np.ndarray, response: np.ndarray, name: str, colour: str, line: str = "-"
) -> None:
    """Singular values over frequency; the name stands beside full lines."""
    name = name if line == "-" else ""
    finite = np.all(np.isfinite(response), axis=(1, 2))
    values = np.linalg.svd(np.where(finite[:, None, None], response, 0.0), compute_uv=False)
    values[~finite] = np.nan
    for i, curve in enumerate(values.T):
        style = {"lw": 0.6} if i else {"lw": 1.5, "label": name or None}
        axes.plot(omega, positive(curve), color=colour, ls=line, **style)


def finish_sigma(axes: Any) -> Any:
    """Scales and words of a plot of singular values."""
    axes.set(xscale="log", yscale="log", xlabel=_FREQUENCY, ylabel="singular value")
    return finish(axes)
