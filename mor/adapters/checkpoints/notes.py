"""What the user of a written file should know of it as a whole."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mor.adapters.checkpoints.formats.tensor_file import TensorFile
from mor.adapters.checkpoints.formats.tensors import is_torch_output
from mor.adapters.checkpoints.formats.torch_file import dropped_entries, same_bits, stale_entries


def file_notes(file: TensorFile, out: Path, tensors: Mapping[str, np.ndarray]) -> list[str]:
    """What was lost, left behind or changed between `file` and `out`."""
    notes = []
    if file.shards > 1:
        notes.append(f"{file.shards} shards were written as one file")
    if file.wrapper is not None:
        notes += _wrapper_notes(file, out, {key for key, x in tensors.items() if x is not file.tensors[key]})
    for first, *others in file.ties:
        if any(not same_bits(tensors[first], tensors[key]) for key in others):
            notes.append(f"no longer tied: {', '.join((first, *others))}")
    if not is_torch_output(out) and any(x.dtype == np.complex64 for x in tensors.values()):
        notes.append("has complex64 tensors: other programs need safetensors >= 0.7 to read it")
    return notes


def shard_note(path: Path) -> list[str]:
    """That a file is one of several, by its name."""
    match = re.search(r"-\d{5}-of-(\d{5})\.", path.name)
    if match is None or int(match[1]) < 2:
        return []
    return [f"this is one of {int(match[1])} shards: open all of them by their *.index.json"]


def _wrapper_notes(file: TensorFile, out: Path, changed: set[str]) -> list[str]:
    """Of the entries beside the state dict in a torch file."""
    if not is_torch_output(out):
        return [f"not carried over to safetensors: {', '.join(map(str, file.beside))}"] if file.beside else []
    found = {
        "dropped, invalid for the new shapes": dropped_entries(file) if changed else [],
        "copies that were left at the old sizes": stale_entries(file, changed),
    }
    return [f"{what}: {', '.join(keys)}" for what, keys in found.items() if keys]
