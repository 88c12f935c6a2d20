"""NumPy's ``.npz``: one array a variable."""

from __future__ import annotations

import io
import math
import struct
import sys
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from mor.adapters.limits import Budget
from mor.adapters.system_files.contents import NAMES, Contents, match_variables
from mor.adapters.system_files.variables import reading
from mor.errors import SystemFileError

_ARRAY = ".npy"

#: Compression that NumPy writes; others need dictionaries as large as they say.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)

#: What damaged archives and heads of arrays end in.
_DAMAGE = (
    ValueError, EOFError, KeyError, TypeError, AttributeError, OverflowError, RuntimeError, SyntaxError,
    struct.error, tokenize.TokenError, zlib.error, zipfile.BadZipFile,
)  # fmt: skip


def read_npz(path: Path, budget: Budget) -> Contents:
    """What a ``.npz`` file holds of a system; objects, which could run code, are refused."""
    with reading("not a readable .npz file", _DAMAGE), zipfile.ZipFile(path) as archive:
        stored = {name.removesuffix(_ARRAY): name for name in archive.namelist() if name.endswith(_ARRAY)}
        wanted = match_variables(stored).items()
        found = {v: _array(archive.getinfo(stored[name]), archive, budget) for v, name in wanted}
    return found | {variable: _text(found[variable]) for variable in NAMES if variable in found}


def _array(member: zipfile.ZipInfo, archive: zipfile.ZipFile, budget: Budget) -> np.ndarray:
    """One array, on the bytes of its member."""
    if member.compress_type not in _METHODS:
        raise SystemFileError(f"{member.filename} is compressed in a way that NumPy does not use")
    budget.spend(member.file_size, member.filename)
    data = archive.read(member)
    head = io.BytesIO(data[: 1 << 16])
    version = np.lib.format.read_magic(head)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, by_columns, dtype = read(head)
    if dtype.hasobject:
        raise SystemFileError(f"{member.filename} holds Python objects, which could run code")
    count, start = math.prod(shape), head.tell()
    if min(shape, default=0) < 0 or count * dtype.itemsize > len(data) - start:
        raise SystemFileError(f"{member.filename} is cut off: it has no room for the shape {shape}")
    # Narrow numbers become doubles.
    budget.spend(count * max(0, 8 - dtype.itemsize), member.filename)
    entries = np.frombuffer(data, dtype, count, start) if count else np.zeros(0, dtype)
    return entries.reshape(shape, order="F" if by_columns else "C")


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
    if np.any(np.ascontiguousarray(x).reshape(-1).view(x.dtype.str[0] + "u4") > sys.maxunicode):
        raise SystemFileError("names that are no text")
    return str(x) if x.ndim == 0 else tuple(map(str, x.ravel()))
