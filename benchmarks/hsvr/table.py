"""Accuracy over the share of states removed, for every trained network of a configuration.

    python benchmarks/hsvr/table.py smnist-small

takes the files in ``models/`` (all seeds), reduces each by balanced truncation, the plain ones
also by LAST-style and uniform pruning, runs the full test set, and writes
``results/<config>.json`` and two plots into ``docs/figures``. Prints the table for the docs.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections import defaultdict
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from data import load
from evaluate import accuracy, read, without

import mor

HERE = Path(__file__).parent
FIGURES = HERE.parent.parent / "docs" / "figures"
RATIOS = (0.5, 0.6, 0.7, 0.8, 0.9)

#: What is done to which kind of network: label, how a layer is reduced, how states are shared.
WAYS = {
    "regularised": (("balanced truncation", "bt", "energy"),),
    "plain": (
        ("balanced truncation", "bt", "energy"),
        ("LAST-style pruning", "modal", "adaptive"),
        ("uniform pruning", "modal", "uniform"),
    ),
}

#: One measurement: file, what was done to it, share of states removed.
Job = tuple[Path, str, str, str, float]


def jobs(files: list[Path], kind: str) -> list[Job]:
    return [
        (path, *way, ratio)
        for path in files
        for i, way in enumerate(WAYS[kind])
        # In full, whatever would be done to it, a network is what it is.
        for ratio in ((0.0, *RATIOS) if i == 0 else RATIOS)
    ]


def measure(job: Job) -> float:
    path, _, method, ranks, ratio = job
    network, data = read(path)
    _, test = load(data)
    return accuracy(without(network, ratio, ranks=ranks, method=method), test)


def trained(config: str, kind: str, models: Path) -> list[Path]:
    return sorted(models.glob(f"{config}-{kind}.safetensors")) + sorted(
        models.glob(f"{config}-{kind}-seed*.safetensors")
    )


def run(config: str, models: Path, processes: int) -> dict[str, Any]:
    """Accuracies in percent by kind, way and ratio, one entry a seed."""
    todo = {kind: jobs(trained(config, kind, models), kind) for kind in WAYS}
    result: dict[str, Any] = {}
    with ProcessPoolExecutor(processes) as pool:
        for kind, work in todo.items():
            rows: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
            for job, share in zip(work, pool.map(measure, work), strict=True):
                rows[job[1]][f"{job[4]:g}"].append(round(100 * share, 2))
                print(job[0].stem, job[1], job[4], round(100 * share, 2), flush=True)
            result[kind] = rows
    return result


def print_table(result: dict[str, Any]) -> None:
    print("| network | reduced by | " + " | ".join(f"{100 * r:g} %" for r in (0.0, *RATIOS)) + " |")
    print("|---|---|" + "---|" * (len(RATIOS) + 1))
    for kind, rows in result.items():
        for label, row in rows.items():
            full = rows["balanced truncation"]["0"]
            cells = [_cell(row.get(f"{r:g}", full)) for r in (0.0, *RATIOS)]
            print(f"| {kind} | {label} | " + " | ".join(cells) + " |")


def _cell(values: list[float]) -> str:
    """The median, and the range where there are several seeds."""
    spread = f" ({min(values):.1f} to {max(values):.1f})" if len(values) > 1 else ""
    return f"{statistics.median(values):.2f}{spread}"


def plot_accuracy(result: dict[str, Any], path: Path) -> None:
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for kind, rows in result.items():
        for label, row in rows.items():
            points = {0.0: rows["balanced truncation"]["0"]} | {float(r): x for r, x in row.items()}
            ratios = sorted(points)
            medians = [statistics.median(points[r]) for r in ratios]
            line = axes.plot([100 * r for r in ratios], medians, marker="o", label=f"{kind}, {label}")
            low, high = ([f(points[r]) for r in ratios] for f in (min, max))
            axes.fill_between([100 * r for r in ratios], low, high, alpha=0.15, color=line[0].get_color())
    axes.set(xlabel="states removed (%)", ylabel="test accuracy (%)", ylim=(0, 101))
    axes.legend(loc="lower left", fontsize="small")
    axes.grid(alpha=0.3)
    _save(figure, path)


def plot_decay(config: str, models: Path, path: Path) -> None:
    """Hankel singular values of all layers, of one network of each kind."""
    figure, panels = plt.subplots(1, 2, figsize=(8, 3.5), sharey=True, layout="constrained")
    for axes, kind in zip(panels, WAYS, strict=True):
        network, _ = read(trained(config, kind, models)[0])
        for i, layer in enumerate(network.layers.values()):
            hsv = mor.hankel_singular_values(layer.detached())
            axes.semilogy(np.arange(1, len(hsv) + 1), hsv / hsv[0], label=f"layer {i + 1}")
        axes.set(title=kind, xlabel="index", ylim=(1e-10, 2))
        axes.grid(alpha=0.3)
    panels[0].set(ylabel="Hankel singular value / largest")
    panels[0].legend(fontsize="small")
    _save(figure, path)


def _save(figure: Any, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # No date in the file: the same numbers give the same bytes.
    matplotlib.rcParams["svg.hashsalt"] = "mor"
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("config", help="name of a file in configs/")
    parser.add_argument("--models", type=Path, default=HERE / "models")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    result = run(options.config, options.models, options.processes)
    (HERE / "results" / f"{options.config}.json").write_text(json.dumps(result, indent=1) + "\n")
    plot_accuracy(result, FIGURES / f"{options.config}-accuracy.svg")
    plot_decay(options.config, options.models, FIGURES / f"{options.config}-decay.svg")
    print_table(result)


if __name__ == "__main__":
    main()
