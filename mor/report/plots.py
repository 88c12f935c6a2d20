"""Plots; matplotlib is imported when the first is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mor.analysis.gains import SystemGains, first_frequencies
from mor.analysis.hankel import hankel_singular_values
from mor.arrays import to_numpy
from mor.errors import DimensionError, SystemFileError
from mor.reduction.result import Reduction
from mor.reduction.variant import Variant
from mor.report.summary import Summary
from mor.systems.base import System
from mor.systems.convert import as_system

#: Colours that stay apart in greyscale and for colour-blind readers (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")

#: Points of a grid of frequencies; as many lightly damped poles add their own.
_POINTS = 300


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
    axes, n = ax or _new_axes(), hsv.shape[-1]
    values, states = np.max(hsv, axis=0, initial=0.0), np.arange(1, n + 1)
    kept = sys.order if is_reduction else n
    style: Any = {"color": COLOURS[0], "marker": "o", "ms": 4, "ls": "none"}
    axes.plot(states[:kept], _positive(values[:kept]), label="kept" if is_reduction else None, **style)
    if kept < n:
        axes.plot(states[kept:], _positive(values[kept:]), mfc="none", label="removed", **style)
    bounds = sys.bounds if is_reduction else _bounds_of(sys, hsv)
    if bounds is not None:
        axes.plot(np.arange(n), _positive(bounds[:n]), color=COLOURS[1], label="error bound of order r")
    if (largest := np.max(finite, initial=0.0)) > 0:
        axes.axhline(n * np.finfo(float).eps * largest, color="0.5", ls=":", lw=1, label="round-off")
    axes.set(yscale="log", xlabel="state, order r", ylabel="Hankel singular value")
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    return axes


def plot_sigma(*systems: Any, omega: Any = None, labels: Sequence[str] | None = None, ax: Any = None) -> Any:
    r"""Singular values of the frequency responses :math:`G(i\omega)` or :math:`G(e^{i\omega\,dt})`.

    Parameters
    ----------
    *systems : anything :func:`mor.as_system` takes, reductions and differences of systems too.
        Each has its own colour, its largest singular value a full line, the others thin ones; a
        complex system has dashed lines too, for negative frequencies.
    omega : frequencies in radians per unit of time; None covers the poles of all systems.
    labels : one a system; None takes their names, where they have some.
    ax : matplotlib axes to draw on; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
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
    models = [as_system(sys) for sys in systems]
    if not models or any(m.batch_shape or 0 in (m.n_inputs, m.n_outputs) for m in models):
        raise DimensionError("a sigma plot takes one or more systems with inputs and outputs, and no batch.")
    if labels is not None and len(labels) != len(models):
        raise DimensionError(f"labels has {len(labels)} entries for {len(models)} systems.")
    gains = [SystemGains(model) for model in models]
    omega = _grid(gains, models) if omega is None else np.sort(np.atleast_1d(np.asarray(omega, dtype=float)))
    names = labels or [(model.labels and model.labels.name) or "" for model in models]
    axes = ax or _new_axes()
    for i, (gain, name) in enumerate(zip(gains, names, strict=True)):
        _draw_sigma(axes, omega, gain.responses(omega), name, COLOURS[i % len(COLOURS)])
        if not gain.is_real:
            _draw_sigma(axes, omega, gain.responses(-omega), "", COLOURS[i % len(COLOURS)], "--")
    return _finish_sigma(axes)


def save_reduction_plot(system: System, reduction: Reduction, path: Path) -> None:
    """Hankel singular values with the bound; sigma plots of the full and reduced system and the error."""
    figure, (decay, sigma) = _figure(2)
    plot_hsv(reduction, decay)
    models = [system, reduction.system]
    gains = [SystemGains(model) for model in models]
    omega = _grid(gains, models)
    is_real = all(gain.is_real for gain in gains)
    for sign, line in ((1, "-"),) if is_real else ((1, "-"), (-1, "--")):
        full, reduced = (gain.responses(sign * omega) for gain in gains)
        curves = {"full": full, "reduced": reduced, "error": full - reduced}
        for (name, response), colour in zip(curves.items(), COLOURS, strict=False):
            _draw_sigma(sigma, omega, response, name if sign > 0 else "", colour, line)
    if reduction.error_bound:
        sigma.axhline(reduction.error_bound, color=COLOURS[2], ls="--", lw=1, label="error bound")
    _finish_sigma(sigma)
    decay.set_title(f"{reduction.method}: {reduction.full_order} to {reduction.order} states")
    _save(figure, path)


def check_plot(path: Path, *, overwrite: bool) -> None:
    """Raise unless a plot may be saved at `path`.

    Raises
    ------
    SystemFileError
    """
    known = _figure(1)[0].canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in known:
        raise SystemFileError(f"{path}: a plot is one of .{', .'.join(sorted(known))}.")
    if not path.parent.is_dir():
        raise SystemFileError(f"{path}: there is no folder {path.parent}.")
    if path.exists() and not overwrite:
        raise SystemFileError(f"{path} exists; overwrite=True (--force) replaces it.")


def _save(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise SystemFileError(f"could not write {path}: {error.strerror or error}.") from error


def _grid(gains: Sequence[SystemGains], models: Sequence[System]) -> np.ndarray:
    """Frequencies that show every pole, sorted, for a logarithmic axis."""
    pairs = zip(gains, models, strict=True)
    omega = np.unique(np.concatenate([first_frequencies(g.poles, m.dt, _POINTS) for g, m in pairs]))
    if end := max(model.dt for model in models):
        omega = np.concatenate([omega, np.geomspace(1e-4, 1, _POINTS) * np.pi / end])
        omega = np.unique(omega[omega <= np.pi / end])
    return omega[np.isfinite(omega) & (omega > 0)]


def _bounds_of(sys: System, hsv: np.ndarray) -> np.ndarray | None:
    """The bounds of balanced truncation, of a batch the largest; None where there are none."""
    bounds = Variant().bounds(hsv) if sys.is_linear else None
    return None if bounds is None else np.max(bounds, axis=0, initial=0.0)


def _draw_sigma(
    axes: Any, omega: np.ndarray, response: np.ndarray, name: str, colour: str, line: str = "-"
) -> None:
    finite = np.all(np.isfinite(response), axis=(1, 2))
    values = np.linalg.svd(np.where(finite[:, None, None], response, 0.0), compute_uv=False)
    values[~finite] = np.nan
    for i in range(values.shape[-1]):
        style = {"lw": 1.5, "label": name} if i == 0 and name else {"lw": 1.5 if i == 0 else 0.6}
        axes.plot(omega, _positive(values[:, i]), color=colour, ls=line, **style)


def _finish_sigma(axes: Any) -> Any:
    axes.set(xscale="log", yscale="log", xlabel="frequency, rad per unit of time", ylabel="singular value")
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    return axes


def _positive(values: np.ndarray) -> np.ndarray:
    """For a logarithmic axis, which has no zero and no infinity."""
    return np.where((values > 0) & np.isfinite(values), values, np.nan)


def _new_axes() -> Any:
    import matplotlib.pyplot as plt

    return plt.subplots(layout="constrained")[1]


def save_demo_plot(summary: Summary, path: Path) -> None:
    """Decay of the Hankel singular values, and accuracy over the share of states removed."""
    figure, (decay, accuracy) = _figure(2)
    for network, colour in zip(summary["networks"], COLOURS, strict=False):
        for i, hsv in enumerate(network["hsv"].values()):
            values = np.asarray(hsv) / max(hsv[0], np.finfo(float).tiny)
            label = network["name"] if i == 0 else None
            decay.semilogy(np.arange(1, len(values) + 1), values, color=colour, alpha=0.8, label=label)
        removed = [0.0] + [row["removed"] for row in network["compressed"]]
        kept = [network["accuracy"]] + [row["accuracy"] for row in network["compressed"]]
        accuracy.plot(
            100 * np.array(removed), 100 * np.array(kept), "o-", color=colour, label=network["name"]
        )
    decay.set(
        xlabel="state", ylabel="Hankel singular value / largest", title="Decay in every layer", ylim=(1e-6, 2)
    )
    accuracy.set(xlabel="states removed, %", ylabel="test accuracy, %", title="Accuracy after compression")
    for axes in (decay, accuracy):
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(path, dpi=150)


def _figure(columns: int) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2 * columns, 4), layout="constrained")
    return figure, figure.subplots(1, columns)
