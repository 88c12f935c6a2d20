"""The data of the experiments: images read row by row, from scikit-learn or from a file."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mor.errors import MorError


@dataclass(frozen=True)
class Images:
    """Images (n, size, size) in 0..1, float32, and their labels."""

    images: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, chosen: slice) -> Images:
        return Images(self.images[chosen], self.labels[chosen])

    @property
    def digest(self) -> str:
        """What tells these images and labels from others."""
        return hashlib.sha256(self.images.tobytes() + self.labels.tobytes()).hexdigest()[:16]

    @property
    def sequences(self) -> np.ndarray:
        """Row by row: (n, size^2, 1)."""
        return self.images.reshape(len(self), -1, 1)


def load(name: str, path: Path | None = None) -> tuple[Images, Images]:
    """Training and test images of ``"digits"`` or ``"mnist"``; nothing is downloaded."""
    if name == "digits":
        return _digits()
    if name == "mnist":
        return _mnist(path or _find_mnist())
    raise MorError(f"data={name!r} is not 'digits' or 'mnist'.")


def _digits() -> tuple[Images, Images]:
    """A fixed split of scikit-learn's 1797 digits: 500 for the test, each class as frequent as in all."""
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    images, labels = load_digits(return_X_y=True)
    images = (images.reshape(-1, 8, 8) / 16).astype(np.float32)
    a, b, c, d = train_test_split(images, labels, test_size=500, stratify=labels, random_state=0)
    return Images(a, c), Images(b, d)


def _mnist(path: Path) -> tuple[Images, Images]:
    """From an .npz with x_train, y_train, x_test, y_test, as Keras publishes it."""
    with np.load(path) as file:
        missing = {"x_train", "y_train", "x_test", "y_test"} - set(file)
        if missing:
            raise MorError(f"{path} has no {', '.join(sorted(missing))}; is it MNIST?")
        parts = dict(file)
    scaled = {name: (parts[name] / 255).astype(np.float32) for name in ("x_train", "x_test")}
    return Images(scaled["x_train"], parts["y_train"]), Images(scaled["x_test"], parts["y_test"])


def _find_mnist() -> Path:
    root = os.environ.get("MOR_DATA")
    if not root:
        raise MorError("sequential MNIST needs mnist.npz: give --data FILE, or its folder as MOR_DATA.")
    for path in (Path(root) / "mnist.npz", Path(root) / "mnist" / "mnist.npz"):
        if path.exists():
            return path
    raise MorError(f"there is no mnist.npz in MOR_DATA={root}.")
