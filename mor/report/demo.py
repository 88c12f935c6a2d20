"""The demonstration: two trained networks that differ in one term of their loss."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from mor.adapters.checkpoints import Checkpoint, read_checkpoint
from mor.arrays import to_numpy
from mor.data import digits_path
from mor.deep.compress import Progress, compress
from mor.deep.network import Network
from mor.errors import CheckpointError
from mor.report.plots.figures import save_demo_plot
from mor.report.summary import Summary

#: Shares of the states to remove.
RATIOS = (0.5, 0.6, 0.7, 0.8, 0.9)

TITLES = {
    "regularised": "Trained with the Hankel regulariser",
    "plain": "Trained without it",
}


def run_demo(folder: Path, progress: Progress) -> Summary:
    """Compress both packaged networks at every ratio and count their errors.

    Writes the compressed checkpoints, as any user's would be, and one plot to `folder`.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CheckpointError(f"cannot make the folder {folder}: {error.strerror}.") from error
    images, labels = load_test_digits()
    networks = []
    for name, title in TITLES.items():
        networks.append({"name": name, "title": title} | _run(name, images, labels, folder, progress))
    summary: Summary = {"test_images": len(labels), "networks": networks, "plot": str(folder / "demo.png")}
    save_demo_plot(summary, folder / "demo.png")
    return summary


def load_test_digits() -> tuple[np.ndarray, np.ndarray]:
    """Held-out images as sequences (n, 64, 1) with values in [0, 1], and their digits."""
    with np.load(digits_path("test.npz")) as stored:
        images, labels = stored["images"], stored["labels"]
    return images.reshape(len(images), -1, 1).astype(np.float32) / 16, labels


def accuracy(checkpoint: Checkpoint, images: np.ndarray, labels: np.ndarray) -> float:
    """Share of images that the network in `checkpoint` names right."""
    logits = to_numpy(Network(checkpoint.tensors)(images))
    return float(np.mean(np.argmax(logits, axis=-1) == labels))


def _run(
    name: str, images: np.ndarray, labels: np.ndarray, folder: Path, progress: Progress
) -> dict[str, Any]:
    full = read_checkpoint(digits_path(f"{name}.safetensors"))
    rows, hsv = [], {}
    for done, removed in enumerate(RATIOS):
        progress(TITLES[name], done, len(RATIOS))
        start = time.perf_counter()
        result = compress(full, keep=1 - removed)
        path = folder / f"{name}-{round(100 * removed)}.safetensors"
        result.model.write(path, force=True)
        seconds = time.perf_counter() - start
        compressed = read_checkpoint(path)
        bounds = [reduction.error_bound or 0.0 for reduction in result.reductions.values()]
        hsv = {layer: reduction.hsv.tolist() for layer, reduction in result.reductions.items()}
        rows.append(
            {
                "removed": removed,
                "states": result.states[1],
                "accuracy": accuracy(compressed, images, labels),
                "bytes": compressed.nbytes,
                "bound": max(bounds),
                "seconds": seconds,
                "file": str(path),
            }
        )
    progress(TITLES[name], len(RATIOS), len(RATIOS))
    return {
        "states": sum(system.order for system in full.layers.values()),
        "accuracy": accuracy(full, images, labels),
        "bytes": full.nbytes,
        "compressed": rows,
        "hsv": hsv,
    }
