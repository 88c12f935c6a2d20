"""The demonstration: two trained networks that differ in one term of their loss."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mor.adapters.checkpoints import Checkpoint, read_checkpoint
from mor.arrays import to_numpy
from mor.data import digits_path
from mor.deep.compress import compress
from mor.deep.network import Network
from mor.deep.progress import Progress, counted
from mor.errors import CheckpointError
from mor.report.document import Document, Table, Text, note, number, size
from mor.report.plots.figures import save_demo_plot

#: Shares of the states to remove.
RATIOS = (0.5, 0.6, 0.7, 0.8, 0.9)

TITLES = {
    "regularised": "Trained with the Hankel regulariser",
    "plain": "Trained without it",
}


@dataclass(frozen=True)
class CompressedNetwork:
    """A network with a share of its states removed; `bound` is the largest of its layers."""

    removed: float
    states: int
    accuracy: float
    bytes: int
    bound: float
    seconds: float
    file: str


@dataclass(frozen=True)
class DemoNetwork:
    """One network in full and compressed; `hsv` are the Hankel singular values of each layer."""

    name: str
    title: str
    states: int
    accuracy: float
    bytes: int
    compressed: list[CompressedNetwork]
    hsv: dict[str, list[float]]

    def accuracies(self) -> list[tuple[float, float]]:
        """Shares of the states removed, and what share of images the network then names right."""
        return [(0.0, self.accuracy), *((row.removed, row.accuracy) for row in self.compressed)]


@dataclass(frozen=True)
class Demo:
    """`mor demo`."""

    test_images: int
    networks: list[DemoNetwork]
    plot: str

    def document(self) -> Document:
        """One table a network."""
        return [*map(_table, self.networks), note("Plot: ", Text(self.plot, "strong"))]


def _table(network: DemoNetwork) -> Table:
    head = ("states removed", "states", "accuracy", "lost", "size", "largest bound", "time")
    full = network.accuracy
    first = ("0 %", network.states, f"{100 * full:.1f} %", "", size(network.bytes), "", "")
    rows = (
        (
            f"{100 * row.removed:.0f} %",
            row.states,
            f"{100 * row.accuracy:.1f} %",
            f"{100 * (full - row.accuracy):.1f}",
            size(row.bytes),
            number(row.bound),
            f"{row.seconds:.2f} s",
        )
        for row in network.compressed
    )
    return Table(head, (first, *rows), title=network.title)


def run_demo(folder: Path, progress: Progress) -> Demo:
    """Compress both packaged networks at every ratio and count their errors.

    Writes the compressed checkpoints, as any user's would be, and one plot to `folder`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot make the folder {folder}: {error.strerror}.") from error
    with np.load(digits_path("test.npz")) as stored:
        images, labels = stored["images"], stored["labels"]
    images = images.reshape(len(images), -1, 1).astype(np.float32) / 16  # sequences of shades in [0, 1]
    networks = [_run(name, images, labels, folder, progress) for name in TITLES]
    plot = folder / "demo.png"
    save_demo_plot(
        {network.name: list(network.hsv.values()) for network in networks},
        {network.name: network.accuracies() for network in networks},
        plot,
    )
    return Demo(len(labels), networks, str(plot))


def accuracy(checkpoint: Checkpoint, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of images that the network in `checkpoint` names right."""
    logits = to_numpy(Network(checkpoint.tensors)(images))
    return float(np.mean(np.argmax(logits, axis=-1) == labels))


def _run(name: str, images: np.ndarray, labels: np.ndarray, folder: Path, progress: Progress) -> DemoNetwork:
    full = read_checkpoint(digits_path(f"{name}.safetensors"))
    rows, hsv = [], {}
    for removed in counted(TITLES[name], RATIOS, progress):
        start = time.perf_counter()
        result = compress(full, keep=1 - removed)
        path = folder / f"{name}-{round(100 * removed)}.safetensors"
        result.model.write(path, force=True)
        seconds = time.perf_counter() - start
        compressed = read_checkpoint(path)
        hsv = {layer: reduction.hsv.tolist() for layer, reduction in result.reductions.items()}
        rows.append(
            CompressedNetwork(
                removed=removed,
                states=result.states[1],
                accuracy=accuracy(compressed, images, labels),
                bytes=compressed.nbytes,
                bound=max(reduction.error_bound or 0.0 for reduction in result.reductions.values()),
                seconds=seconds,
                file=str(path),
            )
        )
    return DemoNetwork(
        name=name,
        title=TITLES[name],
        states=sum(system.order for system in full.layers.values()),
        accuracy=accuracy(full, images, labels),
        bytes=full.nbytes,
        compressed=rows,
        hsv=hsv,
    )
