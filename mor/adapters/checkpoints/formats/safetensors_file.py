"""Safetensors files, checked by the package of that name.

Its array front ends lack types that NumPy lacks (bfloat16, 8-bit floats) and its byte-level functions copy
all tensors, twice: so it checks the header, and tensors are the bytes of the file, bit for bit, which are
in memory once.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from mor.adapters.checkpoints.formats.tensor_file import TensorFile
from mor.adapters.layers.dtypes import SAFETENSORS_DTYPES, dtype_name
from mor.adapters.limits import Budget
from mor.errors import CheckpointError

_METADATA = "__metadata__"

#: The names of types in the format.
_CODES = {dtype: code for code, dtype in SAFETENSORS_DTYPES.items()}


def read_safetensors(path: Path, budget: Budget) -> TensorFile:
    """Every tensor of a safetensors file, and its metadata.

    Raises
    ------
    CheckpointError
        If the file is truncated, damaged, or holds a type that is not known.
    """
    budget.spend(path.stat().st_size, str(path))
    data = np.fromfile(path, dtype=np.uint8)
    data.flags.writeable = False
    try:
        # Checks the header against the size of the file, and reads nothing else of it.
        with safe_open(path, framework="np"):
            end = 8 + int.from_bytes(data[:8].tobytes(), "little")
            header: dict[str, Any] = json.loads(data[8:end].tobytes())
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise _damaged(path, data, error) from error
    metadata = header.pop(_METADATA, None) or {}
    tensors = {}
    for key, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
        dtype = SAFETENSORS_DTYPES.get(entry["dtype"])
        if dtype is None:
            raise CheckpointError(f"{path}: {key!r} has the unsupported dtype {entry['dtype']!r}.")
        try:
            start, stop = entry["data_offsets"]
            tensors[key] = data[end + start : end + stop].view(dtype).reshape(entry["shape"])
        except (ValueError, OverflowError) as error:
            raise _damaged(path, data, error) from error
    return TensorFile(path, "safetensors", tensors, metadata, hashlib.sha256(data.data).hexdigest())


def _damaged(path: Path, data: np.ndarray, error: Exception) -> CheckpointError:
    reason = str(error).removeprefix("Error while deserializing: ").rstrip(".")
    return CheckpointError(
        f"{path} ({len(data)} bytes) is truncated, damaged or not a safetensors file: {reason}."
    )


def safetensors_chunks(
    tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> Iterator[bytes | memoryview]:
    """The bytes of a safetensors file: its head, and then the tensors, which are not copied.

    Raises
    ------
    CheckpointError
        If a type has no name in the format.
    """
    if _METADATA in tensors:
        raise CheckpointError(f"a tensor called {_METADATA!r} has no place in a safetensors file.")
    for key, x in tensors.items():
        if x.dtype not in _CODES:
            hint = ", which the safetensors format lacks; write a .pt file instead."
            raise CheckpointError(f"{key!r} is {dtype_name(x.dtype)}{hint}")
    # Those of wide types first, so that every one begins at a multiple of its width.
    keys = sorted(tensors, key=lambda key: (-tensors[key].dtype.itemsize, key))
    header: dict[str, Any] = {_METADATA: dict(sorted(metadata.items()))} if metadata else {}
    end = 0
    for key in keys:
        x = tensors[key]
        start, end = end, end + x.nbytes
        header[key] = {"dtype": _CODES[x.dtype], "shape": list(x.shape), "data_offsets": [start, end]}
    try:
        text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    except ValueError as error:
        raise CheckpointError(f"the tensors cannot be written as safetensors: {error}.") from error
    text += b" " * (-len(text) % 8)
    head = len(text).to_bytes(8, "little") + text
    return itertools.chain([head], (_bytes_of(tensors[key]) for key in keys))


def _bytes_of(x: np.ndarray) -> memoryview:
    return np.ascontiguousarray(x).reshape(-1).view(np.uint8).data
