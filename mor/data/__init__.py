"""The data that come with the package: see ``digits/README.txt``."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path

_DIGITS = ("regularised.safetensors", "plain.safetensors", "test.npz")


def digits_path(name: str) -> Path:
    """Path of a packaged file: two trained networks, and images and labels to test them on.

    Parameters
    ----------
    name : ``"regularised.safetensors"`` or ``"plain.safetensors"``, tensors of a
        :class:`mor.deep.Network` trained with and without Hankel singular values in the
        loss; or ``"test.npz"`` with ``images`` (500, 8, 8), whole numbers 0..16, and
        ``labels`` (500,), 0..9. The networks take sequences (batch, 64, 1): images row by
        row, divided by 16.

    Raises
    ------
    FileNotFoundError

    Examples
    --------
    >>> import numpy as np
    >>> np.load(digits_path("test.npz"))["images"].shape
    (500, 8, 8)
    """
    if name not in _DIGITS:
        raise FileNotFoundError(f"{name!r} does not come with the package; {', '.join(_DIGITS)} do.")
    with as_file(files("mor.data") / "digits" / name) as path:
        return path
