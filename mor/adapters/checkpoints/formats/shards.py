"""Checkpoints spread over several files by an index ``*.index.json``."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from mor.adapters.checkpoints.formats.tensor_file import TensorFile
from mor.adapters.limits import Budget
from mor.errors import CheckpointError

#: What no name of a file has in it: a null byte, or half of a character.
_NO_NAME = re.compile("[\\0\ud800-\udfff]")


@dataclass(frozen=True)
class Shards:
    """An index, and where what it names is.

    Attributes
    ----------
    path : of the index.
    sha256 : of the index.
    places : names of files by tensor.
    paths : files by name.
    """

    path: Path
    sha256: str
    places: dict[str, str]
    paths: dict[str, Path]


def find_shards(path: Path, suffixes: frozenset[str]) -> Shards:
    """The files that an index names.

    Raises
    ------
    CheckpointError
        If the index is damaged, or names a file outside its folder or of another kind.
    """
    data = path.read_bytes()
    places = _weight_map(data, path)
    paths = {
        name: path.parent / _checked_name(name, path, suffixes) for name in dict.fromkeys(places.values())
    }
    return Shards(path, hashlib.sha256(data).hexdigest(), places, paths)


def read_shards(index: Shards, read: Callable[[Path, Budget], TensorFile], budget: Budget) -> TensorFile:
    """All tensors that the index names, as one file.

    Raises
    ------
    CheckpointError
        If the index disagrees with what the files hold.
    """
    path, places = index.path, index.places
    shards = {name: read(file, budget) for name, file in index.paths.items()}
    tensors: dict[str, np.ndarray] = {}
    metadata: dict[str, str] = {}
    for name, shard in shards.items():
        listed = {key for key, place in places.items() if place == name}
        if listed != set(shard.tensors):
            odd = ", ".join(sorted(listed ^ set(shard.tensors))[:5])
            raise CheckpointError(f"{path} and {name} disagree about which tensors are in it: {odd}.")
        tensors.update(shard.tensors)
        metadata.update(shard.metadata)
    return TensorFile(
        path=path,
        format=next(iter(shards.values())).format,
        tensors={key: tensors[key] for key in places},
        metadata=metadata,
        sha256=index.sha256,
        ties=tuple(tie for shard in shards.values() for tie in shard.ties),
        shards=len(shards),
    )


def _weight_map(data: bytes, path: Path) -> dict[str, str]:
    try:
        index: Any = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON ({error}).") from error
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict) or not places or not all(isinstance(x, str) for x in places.values()):
        raise CheckpointError(f"{path} has no weight_map from tensors to files.")
    return places


def _checked_name(name: str, path: Path, suffixes: frozenset[str]) -> str:
    if _NO_NAME.search(name):
        raise CheckpointError(f"{path} names {name!r}, which is no name of a file.")
    for flavour in (PurePosixPath, PureWindowsPath):
        plain = flavour(name)
        if plain.is_absolute() or plain.anchor or ".." in plain.parts:
            raise CheckpointError(f"{path} names {name!r}, which is outside its folder; it was not opened.")
    if PurePosixPath(name).suffix not in suffixes:
        raise CheckpointError(f"{path} names {name!r}; a shard must be one of {', '.join(sorted(suffixes))}.")
    return name
