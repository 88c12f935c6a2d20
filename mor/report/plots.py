"""Plots, saved to files; matplotlib is imported when the first is drawn."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mor.report.summary import Summary

#: Colours that stay apart in greyscale and for colour-blind readers (Okabe and Ito).
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")


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
