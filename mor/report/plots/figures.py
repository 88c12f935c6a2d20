"""Figures that are saved: of a reduction, of a comparison, of the demonstration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from mor.analysis.gains import SystemGains
from mor.reduction.result import Reduction
from mor.report.plots.frequency import draw_sigma, finish_sigma, frequencies, plot_sigma, responses
from mor.report.plots.hsv import plot_hsv
from mor.report.plots.poles import plot_poles
from mor.report.plots.style import COLOURS, channel_names, finish, line_style, new_figure, save_figure
from mor.report.plots.time import plot_step
from mor.systems.base import System
from mor.systems.lti import LTI


def save_reduction_plot(system: System, reduction: Reduction, path: Path) -> None:
    """Hankel singular values with the bound; sigma plots of the full and reduced system and the error."""
    figure, (decay, sigma) = new_figure(2)
    plot_hsv(reduction, decay)
    for line, omega, (full, reduced) in responses(system, reduction.system):
        curves = {"full": full, "reduced": reduced, "error": full - reduced}
        for (name, response), colour in zip(curves.items(), COLOURS, strict=False):
            draw_sigma(sigma, omega, response, name, colour, line)
    if reduction.error_bound:
        sigma.axhline(reduction.error_bound, color=COLOURS[2], ls="--", lw=1, label="error bound")
    finish_sigma(sigma)
    decay.set_title(f"{reduction.method}: {reduction.full_order} to {reduction.order} states")
    save_figure(figure, path)


def save_comparison_plot(full: tuple[str, System], roms: Mapping[str, System], path: Path) -> None:
    """Singular values of all systems and of the errors, step responses of one channel, and poles."""
    figure, axes = new_figure(2, 2)
    (sigma, error), (response, poles) = axes
    systems, names = [full[1], *roms.values()], [full[0], *roms]
    plot_sigma(*systems, labels=names, ax=sigma)
    for i, (name, rom) in enumerate(roms.items(), start=1):
        # Responses are subtracted, not systems: two small Schur forms for one large.
        for line, omega, (whole, reduced) in responses(full[1], rom):
            draw_sigma(error, omega, whole - reduced, name, line_style(i)["color"], line)
    sigma.set_title("singular values")
    finish_sigma(error).set_title("singular values of the errors")
    i, j = _strongest(full[1])
    plot_step(*(_channel(system, i, j) for system in systems), labels=names, axes=response)
    inputs, outputs = channel_names(full[1])
    response.set_title("step response" + (f" of {outputs[i]} to {inputs[j]}" if full[1].D.size > 1 else ""))
    plot_poles(*systems, labels=names, ax=poles)
    poles.set_title("poles")
    save_figure(figure, path)


def _strongest(system: System) -> tuple[int, int]:
    """The channel with the largest gain anywhere on the grid."""
    gain = SystemGains(system)
    size = np.abs(gain.responses(frequencies([gain])))
    size[~np.isfinite(size)] = 0.0
    _, i, j = np.unravel_index(np.argmax(size), size.shape)
    return int(i), int(j)


def _channel(system: System, i: int, j: int) -> LTI:
    """From one input to one output."""
    dense = system.to_lti()
    B, C, D = dense.B[:, [j]], dense.C[[i]], dense.D[[i]][:, [j]]
    return LTI(dense.A, B, C, D, dense.E, dt=dense.dt)


def save_demo_plot(
    layers: Mapping[str, Sequence[Sequence[float]]],
    accuracies: Mapping[str, Sequence[tuple[float, float]]],
    path: Path,
) -> None:
    """By network: the Hankel singular values of its layers, and accuracy over the share of states removed."""
    figure, (decay, accuracy) = new_figure(2)
    for (name, values), colour in zip(layers.items(), COLOURS, strict=False):
        for i, hsv in enumerate(values):
            shares = np.asarray(hsv) / max(hsv[0], np.finfo(float).tiny)
            label = name if i == 0 else None
            decay.semilogy(np.arange(1, len(shares) + 1), shares, color=colour, alpha=0.8, label=label)
        accuracy.plot(*(100 * np.transpose(accuracies[name])), "o-", color=colour, label=name)
    decay.set(
        xlabel="state", ylabel="Hankel singular value / largest", title="Decay in every layer", ylim=(1e-6, 2)
    )
    accuracy.set(xlabel="states removed, %", ylabel="test accuracy, %", title="Accuracy after compression")
    for axes in (decay, accuracy):
        finish(axes)
    save_figure(figure, path)
