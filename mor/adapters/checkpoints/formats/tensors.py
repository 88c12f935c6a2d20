"""Reading and writing files of tensors, whatever their format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mor.adapters.atomic import Chunks, check_place, write_atomically
from mor.adapters.checkpoints.formats.safetensors_file import read_safetensors, safetensors_chunks
from mor.adapters.checkpoints.formats.shards import find_shards, read_shards
from mor.adapters.checkpoints.formats.tensor_file import TensorFile
from mor.adapters.checkpoints.formats.torch_file import read_torch, torch_bytes
from mor.adapters.limits import Allowance, Budget, budget, reading
from mor.checks import check_path
from mor.errors import CheckpointError, keyword

_TORCH = frozenset({".pt", ".pth", ".ckpt", ".bin"})
_SHARDS = frozenset({".safetensors", ".bin", ".pt", ".pth"})
_INDEX = ".index.json"
#: Tensors are not compressed, so that a file takes itself and what it says again; a small one may hold
#: a few that are one number seen many times.
_ALLOWANCE = Allowance(floor=1 << 25, ratio=4, error=CheckpointError)
#: Where the manifest stands in the metadata of a safetensors file.
MANIFEST_KEY = "mor"
#: In a manifest beside a torch file: which file it belongs to.
OUTPUT_KEY = "output_sha256"


def read_tensors(path: str | Path, max_bytes: int | None = None, key: str | None = None) -> TensorFile:
    """The tensors of a ``.safetensors``, ``.pt``, ``.pth``, ``.ckpt``, ``.bin`` or ``*.index.json``.

    PyTorch is needed, and imported, only for the formats that are its own.

    Parameters
    ----------
    max_bytes : memory that the file may take; None is the environment variable ``MOR_MAX_BYTES``,
        or else 32 MiB, or four times the size of the file where that is more.
    key : which state dict, in a torch file that holds several.

    Raises
    ------
    CheckpointError
        If there is no such file, or it is damaged, of another kind or takes more than `max_bytes`.
    UnsafeCheckpointError
        If it is a pickle that would run foreign code.
    MissingDependencyError
        If it needs PyTorch, or a newer one.
    """
    path = check_path("path", path, CheckpointError)
    with reading(path, CheckpointError):
        if not _is_index(path):
            return _read_single(path, budget([path], max_bytes, _ALLOWANCE), key)
        _refuse_key(path, key)
        shards = find_shards(path, _SHARDS)
        return read_shards(shards, _read_single, budget(shards.paths.values(), max_bytes, _ALLOWANCE))


def files_of(path: Path) -> list[Path]:
    """The file itself, or the index and the shards that it names."""
    return [path, *(find_shards(path, _SHARDS).paths.values() if _is_index(path) else ())]


def _is_index(path: Path) -> bool:
    return path.name.lower().endswith(_INDEX)


def _read_single(path: Path, limits: Budget, key: str | None = None) -> TensorFile:
    if _ending(path) == ".safetensors":
        _refuse_key(path, key)
        return read_safetensors(path, limits)
    if _ending(path) in _TORCH:
        return read_torch(path, limits, key)
    known = ", ".join([".safetensors", *sorted(_TORCH), "*" + _INDEX])
    raise CheckpointError(f"{path}: a checkpoint is one of {known}.")


def _refuse_key(path: Path, key: str | None) -> None:
    if key is not None:
        raise CheckpointError(
            f"{path} has no state dicts to choose from, as a single torch file may: leave "
            f"{keyword('key', repr(key))} out."
        )


def _ending(path: Path) -> str:
    """The suffix, however it is written."""
    return path.suffix.lower()


def sidecar(path: Path) -> Path:
    """Where the manifest of a torch file stands."""
    return path.with_name(path.name + ".mor.json")


def check_checkpoint_output(path: Path, source: Path, *, force: bool) -> None:
    """Raise unless `path` may be written.

    Raises
    ------
    CheckpointError
    """
    if _ending(path) != ".safetensors" and not is_torch_output(path):
        raise CheckpointError(f"{path}: write to a .safetensors, .pt, .pth, .ckpt or .bin file.")
    check_place(path, CheckpointError)
    if force:
        return
    overwrites = f"{keyword('force', 'True')} overwrites it."
    if path.exists() and source.exists() and path.samefile(source):
        raise CheckpointError(f"{path} is the checkpoint that was read; {overwrites}")
    if path.exists() or (is_torch_output(path) and sidecar(path).exists()):
        raise CheckpointError(f"{path} exists; {overwrites}")


def write_tensors(
    path: Path, file: TensorFile, tensors: Mapping[str, np.ndarray], manifest: Mapping[str, Any]
) -> None:
    """Write `tensors` in the format of the suffix of `path`, all of it or nothing.

    The manifest goes into the metadata of a safetensors file, or beside a torch file.

    Raises
    ------
    CheckpointError
    """
    contents: dict[Path, Chunks] = {}
    if is_torch_output(path):
        data = torch_bytes(file, tensors)
        beside = {**manifest, OUTPUT_KEY: hashlib.sha256(data).hexdigest()}
        contents[sidecar(path)] = [json.dumps(beside, indent=1).encode()]
        contents[path] = [data]
    else:
        contents[path] = safetensors_chunks(tensors, {**_metadata(file), MANIFEST_KEY: json.dumps(manifest)})
    write_atomically(contents, CheckpointError)


def is_torch_output(path: Path) -> bool:
    """Whether `path` is written by PyTorch."""
    return _ending(path) in _TORCH


def _metadata(file: TensorFile) -> dict[str, str]:
    """The metadata to write; readers of converted files look for the framework in it."""
    if file.left_out:
        raise CheckpointError(
            f"the safetensors format has no form for {', '.join(file.left_out[:5])} (sparse or quantised); "
            "write a .pt file."
        )
    return {"format": "pt"} if file.format == "torch" and not file.metadata else dict(file.metadata)
