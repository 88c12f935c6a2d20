"""What plots share: colours, axes, and what may be drawn in one of them."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mor.checks import shown
from mor.errors import (
    ArgumentTypeError,
    DimensionError,
    MissingDependencyError,
    MorError,
    SystemFileError,
    keyword,
)
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.labels import signal_names

#: Colours that stay apart in greyscale and for colour-blind readers (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")

_LINES = ("-", "--", "-.", ":")
_MARKERS = ("x", "+", "1", "2", "3", "4")


def line_style(i: int) -> dict[str, Any]:
    """Of the i-th system: the first broad, so that others that lie on it are seen."""
    return {"color": COLOURS[i % len(COLOURS)], "ls": _LINES[i % len(_LINES)], "lw": 1.4 if i else 2.6}


def marker_style(i: int) -> dict[str, Any]:
    """Of the i-th system: the first large, so that others that lie on it are seen."""
    return {
        "color": COLOURS[i % len(COLOURS)],
        "marker": _MARKERS[i % len(_MARKERS)],
        "ms": 7 if i else 9,
        "ls": "none",
    }


def drawable(systems: Sequence[Any], what: str) -> list[System]:
    """The systems that are to be drawn.

    Raises
    ------
    DimensionError
        If there is none, or one of them is a batch or has no inputs or outputs.
    """
    models = [as_system(sys) for sys in systems]
    if not models or any(m.batch_shape or 0 in (m.n_inputs, m.n_outputs) for m in models):
        raise DimensionError(f"a {what} takes one or more systems with inputs and outputs, and no batch.")
    return models


def names_of(models: Sequence[System], labels: Sequence[str] | None) -> list[str]:
    """The labels given, or else the names of the systems, empty where they have none.

    Raises
    ------
    ArgumentTypeError, DimensionError
        If `labels` is no list, or there are not as many as systems.
    """
    if labels is None:
        return [(model.labels and model.labels.name) or "" for model in models]
    if isinstance(labels, str) or not isinstance(labels, Iterable):
        raise ArgumentTypeError(
            f"labels={shown(labels)} is no list of names, one a system.", argument="labels"
        )
    names = ["" if name is None else str(name) for name in labels]
    if len(names) != len(models):
        raise DimensionError(f"labels has {len(names)} entries for {len(models)} systems.", argument="labels")
    return names


def check_signals(models: Sequence[System]) -> tuple[int, int]:
    """Outputs and inputs that all systems have.

    Raises
    ------
    DimensionError
        If they differ.
    """
    shapes = {(model.n_outputs, model.n_inputs) for model in models}
    if len(shapes) > 1:
        listed = ", ".join(f"{p} x {m}" for p, m in sorted(shapes))
        raise DimensionError(f"systems in one plot have the same outputs and inputs, not {listed}.")
    return shapes.pop()


def positive(values: np.ndarray) -> np.ndarray:
    """For a logarithmic axis, which has no zero and no infinity."""
    return np.where((values > 0) & np.isfinite(values), values, np.nan)


def _matplotlib(module: str) -> Any:
    """One of its modules, imported when the first plot is drawn.

    Raises
    ------
    MissingDependencyError
    """
    try:
        return importlib.import_module(f"matplotlib.{module}")
    except ModuleNotFoundError as error:
        raise MissingDependencyError("plots need matplotlib: pip install matplotlib.") from error


def axes_of(ax: Any) -> Any:
    """`ax`, or axes in a new figure of pyplot, which shows it.

    Raises
    ------
    ArgumentTypeError
        If `ax` is something else.
    """
    if ax is None:
        return _matplotlib("pyplot").subplots(layout="constrained")[1]
    _check_axes("ax", ax)
    return ax


def _check_axes(name: str, ax: Any) -> None:
    if not isinstance(ax, _matplotlib("axes").Axes):
        raise ArgumentTypeError(f"{name}={shown(ax)}: these are no matplotlib axes.", argument=name)


def grid_of_axes(axes: Any, rows: int, columns: int, size: tuple[float, float]) -> np.ndarray:
    """`axes` as an array of that shape, or those of a new figure.

    Raises
    ------
    ArgumentTypeError, DimensionError
        If `axes` are something else, or there are not as many.
    """
    if axes is None:
        figsize = max(size[0] * columns, 4.8), max(size[1] * rows, 3.4)
        how = {"figsize": figsize, "layout": "constrained", "squeeze": False, "sharex": True}
        return _matplotlib("pyplot").subplots(rows, columns, **how)[1]
    given = np.asarray(axes, dtype=object)
    for each in given.flat:
        _check_axes("axes", each)
    if given.size != rows * columns:
        raise DimensionError(f"axes has {given.size} entries; {rows} x {columns} are drawn.", argument="axes")
    return given.reshape(rows, columns)


def channel_names(model: System) -> tuple[Sequence[str], Sequence[str]]:
    """Names of inputs and of outputs, numbers where they have none."""
    inputs, outputs = signal_names(model.labels)
    return (
        inputs or [f"input {j + 1}" for j in range(model.n_inputs)],
        outputs or [f"output {i + 1}" for i in range(model.n_outputs)],
    )


def name_channels(axes: np.ndarray, model: System) -> None:
    """Say above each column from which input and beside each row to which output it goes."""
    if axes.shape == (1, 1):
        return
    inputs, outputs = channel_names(model)
    for top, name in zip(axes[0], inputs, strict=True):
        top.set_title(f"from {name}", fontsize="medium")
    for left, name in zip(axes[:, 0], outputs, strict=True):
        left.set_ylabel(f"{name}\n{left.get_ylabel()}")


def finish_grid(axes: np.ndarray, below: str) -> np.ndarray:
    """A grid in each of them, what the horizontal axis is below the last row, and a legend in the first."""
    for each in axes.flat:
        each.grid(alpha=0.3)
    for each in axes[-1]:
        each.set_xlabel(below)
    finish(axes[0, 0])
    return axes


def finish(axes: Any) -> Any:
    """A grid, and a legend where there is something to say."""
    axes.grid(alpha=0.3)
    if axes.get_legend_handles_labels()[0]:
        axes.legend()
    return axes


def new_figure(columns: int, rows: int = 1) -> tuple[Any, Any]:
    """A figure that is saved and never shown."""
    figure = _matplotlib("figure").Figure(figsize=(5.2 * columns, 4 * rows), layout="constrained")
    return figure, figure.subplots(rows, columns)


def check_plot(path: Path, *, overwrite: bool) -> None:
    """Raise unless a plot may be saved at `path`.

    Raises
    ------
    SystemFileError
    """
    known = new_figure(1)[0].canvas.get_supported_filetypes()
    if path.suffix.removeprefix(".").lower() not in known:
        raise SystemFileError(f"{path}: a plot is one of .{', .'.join(sorted(known))}.")
    if not path.parent.is_dir():
        raise SystemFileError(f"{path}: there is no folder {path.parent}.")
    if path.exists() and not overwrite:
        raise SystemFileError(f"{path} exists; {keyword('overwrite', 'True')} replaces it.")


def save_figure(figure: Any, path: Path) -> None:
    """Write a figure in the format of the ending.

    Raises
    ------
    SystemFileError
    """
    try:
        figure.savefig(path, dpi=150)
    except OSError as error:
        raise SystemFileError(f"could not write {path}: {error.strerror or error}.") from error


def saved(draw: Callable[[Path], None], path: Path | None) -> tuple[str | None, MorError | None]:
    """Where `draw` has saved a plot, if one is wanted, and why not: nothing else depends on it."""
    if path is None:
        return None, None
    try:
        draw(path)
    except MorError as failure:
        return None, failure
    return str(path), None
