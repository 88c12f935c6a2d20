"""The safetensors format: 8 bytes of header length, a JSON header, then the tensors.

Read and written here and not through the package of that name, because every type must
come back bit for bit (also those that NumPy lacks) and a damaged file must say what is wrong.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mor.adapters.checkpoints.dtypes import SAFETENSORS_DTYPES, dtype_name
from mor.adapters.checkpoints.tensor_file import TensorFile
from mor.errors import CheckpointError

_METADATA = "__metadata__"
#: The format's own limit on the header.
_MAX_HEADER = 100_000_000


def read_safetensors(path: Path) -> TensorFile:
    """Read and check every byte count of a safetensors file.

    Raises
    ------
    CheckpointError
        If the file is truncated, damaged, or holds a type that is not known.
    """
    data = path.read_bytes()
    header, start = _parse_header(data, path)
    metadata = _metadata(header.pop(_METADATA, {}), path)
    body = memoryview(data)[start:]
    spans = {key: _span(key, entry, path) for key, entry in header.items()}
    _check_cover(spans, len(body), path)
    tensors = {}
    for key, (dtype, shape, begin, end) in spans.items():
        try:
            tensors[key] = np.frombuffer(body[begin:end], dtype=dtype).reshape(shape)
        except (ValueError, OverflowError) as error:
            raise CheckpointError(f"{path}: {key!r} cannot have the shape {shape} ({error}).") from error
    return TensorFile(path, "safetensors", tensors, metadata, hashlib.sha256(data).hexdigest())


def _parse_header(data: bytes, path: Path) -> tuple[dict[str, Any], int]:
    if len(data) < 8:
        raise CheckpointError(
            f"{path}: {len(data)} bytes are too few for a safetensors file; it is truncated."
        )
    length = int.from_bytes(data[:8], "little")
    if length > min(_MAX_HEADER, len(data) - 8):
        raise CheckpointError(
            f"{path}: the header is said to be {length} bytes long and the file has {len(data) - 8} after "
            "that; it is truncated, damaged or not a safetensors file."
        )
    try:
        header = json.loads(data[8 : 8 + length].decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: the safetensors header is not valid JSON ({error}).") from error
    if not isinstance(header, dict):
        raise CheckpointError(f"{path}: the safetensors header is not a JSON object.")
    return header, 8 + length


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def _metadata(entry: Any, path: Path) -> dict[str, str]:
    if not isinstance(entry, dict) or not all(isinstance(text, str) for text in entry.values()):
        raise CheckpointError(f"{path}: {_METADATA} in the safetensors header must map text to text.")
    return entry


def _span(key: str, entry: Any, path: Path) -> tuple[np.dtype, tuple[int, ...], int, int]:
    """Type, shape, and first and last byte of one tensor."""
    try:
        name, shape, (begin, end) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path}: the header entry of {key!r} has no dtype, shape and data_offsets."
        ) from error
    if not isinstance(name, str) or name not in SAFETENSORS_DTYPES:
        raise CheckpointError(f"{path}: {key!r} has the unknown or unsupported dtype {name!r}.")
    if not isinstance(shape, list) or not all(_is_count(n) for n in (*shape, begin, end)):
        raise CheckpointError(f"{path}: the shape or offsets of {key!r} are not counts: {entry}.")
    dtype = SAFETENSORS_DTYPES[name]
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise CheckpointError(
            f"{path}: {key!r} of shape {tuple(shape)} and dtype {name} needs "
            f"{math.prod(shape) * dtype.itemsize} bytes; its offsets {begin}..{end} give {end - begin}."
        )
    return dtype, tuple(shape), begin, end


def _is_count(n: Any) -> bool:
    return isinstance(n, int) and not isinstance(n, bool) and n >= 0


def _check_cover(
    spans: Mapping[str, tuple[np.dtype, tuple[int, ...], int, int]], size: int, path: Path
) -> None:
    """The tensors follow each other without gaps and fill the file."""
    position = 0
    for key, (_, _, begin, end) in sorted(spans.items(), key=lambda item: item[1][2:]):
        if end > size:
            raise CheckpointError(
                f"{path}: {key!r} ends at byte {end} of {size} bytes of data; the file is truncated."
            )
        if begin != position:
            raise CheckpointError(
                f"{path}: {key!r} starts at byte {begin}, not at {position}; offsets are damaged."
            )
        position = end
    if position != size:
        raise CheckpointError(f"{path}: {size - position} bytes after the last tensor belong to none.")


def safetensors_chunks(
    tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str]
) -> Iterator[bytes | memoryview]:
    """The bytes of a safetensors file, widest types first so that every tensor is aligned.

    Raises
    ------
    CheckpointError
        If a type has no name in the format.
    """
    if _METADATA in tensors:
        raise CheckpointError(f"a tensor called {_METADATA!r} has no place in a safetensors file.")
    names = {key: _format_name(key, x.dtype) for key, x in tensors.items()}
    order = sorted(tensors, key=lambda key: (-tensors[key].dtype.itemsize, key))
    header: dict[str, Any] = {_METADATA: dict(metadata)} if metadata else {}
    position = 0
    for key in order:
        end = position + tensors[key].nbytes
        header[key] = {
            "dtype": names[key],
            "shape": list(tensors[key].shape),
            "data_offsets": [position, end],
        }
        position = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return _pieces(len(text).to_bytes(8, "little") + text, [tensors[key] for key in order])


def _pieces(head: bytes, arrays: list[np.ndarray]) -> Iterator[bytes | memoryview]:
    yield head
    for x in arrays:
        yield x.tobytes()


def _format_name(key: str, dtype: np.dtype) -> str:
    for name, known in SAFETENSORS_DTYPES.items():
        if dtype == known:
            return name
    if dtype == np.complex128:
        raise CheckpointError(
            f"{key!r} is complex128, which the safetensors format does not have; write a .pt file instead."
        )
    raise CheckpointError(
        f"{key!r} has dtype {dtype_name(dtype)}, which the safetensors format lacks; write a .pt file."
    )
