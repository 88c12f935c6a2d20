"""NumPy's ``.npz``: one array a variable."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from mor.adapters.files.contents import NAMES, Contents, known
from mor.errors import SystemFileError


def read_npz(path: Path) -> Contents:
    """What a ``.npz`` file holds of a system; objects, which could run code, are refused."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            found = {variable: stored[name] for variable, name in known(stored.files).items()}
    except (ValueError, EOFError, KeyError, AttributeError, zipfile.BadZipFile) as error:
        raise SystemFileError(f"not a readable .npz file: {error}") from error
    return found | {variable: _text(found[variable]) for variable in NAMES if variable in found}


def npz_bytes(contents: Contents) -> bytes:
    """The bytes of a ``.npz`` file."""
    arrays: dict[str, Any] = {name: np.asarray(value) for name, value in contents.items()}
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()


def _text(x: np.ndarray) -> Any:
    """A name, or a tuple of them; None if it is not text."""
    if x.dtype.kind != "U":
        return None
    return str(x) if x.ndim == 0 else tuple(map(str, x.ravel()))
