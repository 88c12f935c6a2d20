"""Poles of several systems, with the boundary of stability."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mor.arrays import to_numpy
from mor.errors import TimeStepError
from mor.report.plots.style import axes_of, drawable, finish, marker_style, names_of

#: Beyond this ratio of largest to smallest modulus a linear axis shows nothing of the small ones.
_SPREAD = 1e3


def plot_poles(*systems: Any, labels: Sequence[str] | None = None, ax: Any = None) -> Any:
    r"""Poles in the complex plane, and the boundary of stability: the imaginary axis or the unit circle.

    Parameters
    ----------
    *systems : anything :func:`mor.as_system` takes, all continuous or all discrete (of any steps).
    labels : one a system; None takes their names, where they have some.
    ax : matplotlib axes to draw on; None makes a new figure.

    Returns
    -------
    matplotlib.axes.Axes

    Raises
    ------
    ArgumentTypeError
        If `labels` is no list, or `ax` are no axes.
    DimensionError
        If there is nothing to draw: no system, a batch, no inputs or outputs.
    TimeStepError
        If some systems are continuous and others discrete: their poles are not in one plane.

    Notes
    -----
    Continuous poles whose moduli spread over more than three decades are drawn on axes that are
    logarithmic but for a strip around zero. MATLAB's ``pzplot``, without zeros.

    Examples
    --------
    >>> import mor
    >>> from mor.report import plot_poles
    >>> sys = mor.as_system(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]))
    >>> axes = plot_poles(sys, mor.balanced_truncation(sys, order=1), labels=["full", "reduced"])
    >>> axes.get_xlabel()
    'real part'
    """
    models = drawable(systems, "plot of poles")
    names = names_of(models, labels)
    if len({model.dt > 0 for model in models}) > 1:
        raise TimeStepError(
            "poles of continuous and of discrete systems are not in one plane; draw them apart."
        )
    axes, all_poles = axes_of(ax), [np.ravel(to_numpy(model.poles)) for model in models]
    for i, (poles, name) in enumerate(zip(all_poles, names, strict=True)):
        axes.plot(np.real(poles), np.imag(poles), label=name or None, zorder=3, **marker_style(i))
    if models[0].dt:
        angle = np.linspace(0, 2 * np.pi, 400)
        axes.plot(np.cos(angle), np.sin(angle), color="0.5", lw=1)
        axes.set_aspect("equal")
    else:
        axes.axvline(0, color="0.5", lw=1)
        _spread(axes, np.concatenate(all_poles))
    axes.margins(0.08)
    axes.set(xlabel="real part", ylabel="imaginary part")
    return finish(axes)


def _spread(axes: Any, poles: np.ndarray) -> None:
    """Logarithmic axes where a linear one would show the large poles only."""
    moduli = np.abs(poles[poles != 0])
    if not moduli.size or moduli.max() <= _SPREAD * moduli.min():
        return
    axes.set_xscale("symlog", linthresh=float(moduli.min()))
    axes.set_yscale("symlog", linthresh=float(moduli.min()))
