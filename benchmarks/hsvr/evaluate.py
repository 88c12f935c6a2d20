"""Test accuracy of a trained network after some of its states are removed, on NumPy alone.

    python benchmarks/hsvr/evaluate.py benchmarks/hsvr/models/smnist-small-regularised.safetensors \\
        --ratio 0.8 --data mnist.npz

removes 80 % of all states without retraining, classifies every test image and prints
``accuracy=0.9876``.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
from data import Images, load
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file

from mor.deep import Network, compress
from mor.errors import MorError


def read(path: Path) -> tuple[Network, str]:
    """A trained network, and the name of the data that it was trained on."""
    try:
        with safe_open(path, framework="numpy") as file:
            made = json.loads((file.metadata() or {}).get("made", "{}"))
    except SafetensorError as error:
        raise MorError(f"{path} is not a safetensors file: {error}") from error
    return Network(load_file(path)), made.get("config", {}).get("data", "mnist")


def without(network: Network, ratio: float, *, ranks: str = "energy", method: str = "bt") -> Network:
    """The network with a share `ratio` of its states removed."""
    return compress(network, keep=1 - ratio, ranks=ranks, method=method).model if ratio else network


def accuracy(network: Network, images: Images) -> float:
    """Share of the images that are classified right."""
    return float(np.mean(np.argmax(network(images.sequences), axis=-1) == images.labels))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path, help="a .safetensors file that train.py wrote")
    parser.add_argument(
        "--ratio", type=float, default=0.8, help="share of states to remove, from 0 (default: %(default)s)"
    )
    parser.add_argument("--data", type=Path, help="mnist.npz; by default looked for in MOR_DATA")
    parser.add_argument(
        "--ranks", default="energy", help="how layers share what is left (default: %(default)s)"
    )
    parser.add_argument("--method", default="bt", help="how a layer is reduced (default: %(default)s)")
    options = parser.parse_args()
    try:
        network, name = read(options.model)
        _, test = load(name, options.data)
        reduced = without(network, options.ratio, ranks=options.ranks, method=options.method)
        print(f"accuracy={accuracy(reduced, test):.4f}")
    except (MorError, OSError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
