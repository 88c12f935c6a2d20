"""Safetensors files, through the package of that name.

Its array front ends lack types that NumPy lacks (bfloat16, 8-bit floats), so its byte-level
functions are used: every tensor comes back bit for bit, whatever its type.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, TensorSpec, deserialize, serialize

from mor.adapters.checkpoints.files.dtypes import SAFETENSORS_DTYPES, dtype_name
from mor.adapters.checkpoints.files.tensor_file import TensorFile
from mor.adapters.limits import Budget
from mor.errors import CheckpointError

_METADATA = "__metadata__"


def read_safetensors(path: Path, budget: Budget) -> TensorFile:
    """Every tensor of a safetensors file, and its metadata.

    Raises
    ------
    CheckpointError
        If the file is truncated, damaged, or holds a type that is not known.
    """
    budget.spend(path.stat().st_size, str(path))
    data = path.read_bytes()
    try:
        entries = deserialize(data)
        metadata = _metadata(data)
    except (SafetensorError, ValueError, RecursionError) as error:
        raise _damaged(path, data, error) from error
    tensors = {}
    for key, entry in entries:
        dtype = SAFETENSORS_DTYPES.get(entry["dtype"])
        if dtype is None:
            raise CheckpointError(f"{path}: {key!r} has the unsupported dtype {entry['dtype']!r}.")
        try:
            tensors[key] = np.frombuffer(entry["data"], dtype=dtype).reshape(entry["shape"])
            tensors[key].flags.writeable = False
        except (ValueError, OverflowError) as error:
            raise _damaged(path, data, error) from error
    return TensorFile(path, "safetensors", tensors, metadata, hashlib.sha256(data).hexdigest())


def _damaged(path: Path, data: bytes, error: Exception) -> CheckpointError:
    reason = str(error).removeprefix("Error while deserializing: ").rstrip(".")
    return CheckpointError(
        f"{path} ({len(data)} bytes) is truncated, damaged or not a safetensors file: {reason}."
    )


def _metadata(data: bytes) -> dict[str, str]:
    """The free text in the header, which the package has checked by now."""
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]).get(_METADATA) or {}


def safetensors_chunks(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> Iterator[bytes]:
    """The bytes of a safetensors file.

    Raises
    ------
    CheckpointError
        If a type has no name in the format.
    """
    if _METADATA in tensors:
        raise CheckpointError(f"a tensor called {_METADATA!r} has no place in a safetensors file.")
    buffers = {key: np.ascontiguousarray(x) for key, x in tensors.items()}
    specs = {key: _spec(key, x, tensors[key].shape) for key, x in buffers.items()}
    # The specs point into `buffers`, which must live until this returns.
    try:
        return iter(_in_fixed_order(bytes(serialize(specs, dict(metadata) or None))))
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"the tensors cannot be written as safetensors: {error}.") from error


def _in_fixed_order(data: bytes) -> tuple[bytes, bytes]:
    """Head and body with the metadata sorted: the package's order differs from run to run."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    if _METADATA in header:
        header[_METADATA] = dict(sorted(header[_METADATA].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text, data[end:]


def _spec(key: str, x: np.ndarray, shape: tuple[int, ...]) -> TensorSpec:
    if x.dtype not in SAFETENSORS_DTYPES.values():
        hint = ", which the safetensors format lacks; write a .pt file instead."
        raise CheckpointError(f"{key!r} is {dtype_name(x.dtype)}{hint}")
    return TensorSpec(dtype=dtype_name(x.dtype), shape=shape, data_ptr=x.ctypes.data, data_len=x.nbytes)
