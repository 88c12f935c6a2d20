"""Writing a checkpoint, with the record of what was done to it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mor.adapters.checkpoints.formats.tensors import MANIFEST_KEY, check_checkpoint_output, write_tensors
from mor.adapters.checkpoints.manifest import (
    SCHEMA,
    json_number,
    layer_record,
    source_record,
)
from mor.adapters.checkpoints.notes import file_notes
from mor.adapters.layers.beside import zero_notes
from mor.adapters.layers.dtypes import dtype_name
from mor.adapters.layers.export import Export, padded
from mor.adapters.layers.keys import plain_keys, plain_tensors
from mor.errors import CheckpointError, at
from mor.version import __version__

if TYPE_CHECKING:
    from mor.adapters.checkpoints.checkpoint import Checkpoint


def write_checkpoint(
    checkpoint: Checkpoint, path: Path, *, force: bool, pad: bool, equal: bool
) -> dict[str, Any]:
    """Write it, all of it or nothing; its manifest. See :meth:`Checkpoint.write`."""
    check_checkpoint_output(path, checkpoint.path, force=force)
    exports = _final_exports(checkpoint, _final_sizes(checkpoint, pad, equal))
    tensors = checkpoint.merged(exports.values())
    manifest = _manifest_of(checkpoint, path, exports, tensors, padded=pad or equal)
    write_tensors(path, checkpoint.source, tensors, manifest)
    return manifest


def _final_sizes(checkpoint: Checkpoint, pad: bool, equal: bool) -> dict[str, int]:
    """Modes of every replaced layer in the file."""
    if pad and equal:
        raise CheckpointError("give pad or equal, not both: the old sizes, or the largest new one.")
    layers = checkpoint.original if pad else checkpoint.layers
    sizes = {name: layers[name].n_modes for name in checkpoint.changes}
    if not equal:
        return sizes
    largest = max(sizes.values(), default=0)
    odd = [name for name, x in layers.items() if name not in sizes and x.n_modes != largest]
    if odd:
        raise CheckpointError(
            f"layers cannot all have {largest} modes: {', '.join(odd)} was not replaced. Replace every "
            "layer, or write without equal."
        )
    return dict.fromkeys(sizes, largest)


def _final_exports(checkpoint: Checkpoint, sizes: Mapping[str, int]) -> dict[str, Export]:
    """The new tensors of every replaced layer, with idle modes up to so many."""
    changes, larger = checkpoint.changes, {}
    for layer in checkpoint.found.distinct:
        if layer.name in sizes and sizes[layer.name] != changes[layer.name].system.n_modes:
            with at(layer):
                larger[layer.name] = padded(changes[layer.name].system, sizes[layer.name])
    made = {**changes, **checkpoint.found.rewritten(checkpoint.plain, checkpoint.original, larger)}
    return {name: change.export for name, change in made.items()}


def _manifest_of(
    checkpoint: Checkpoint,
    out: Path,
    exports: Mapping[str, Export],
    tensors: Mapping[str, np.ndarray],
    *,
    padded: bool,
) -> dict[str, Any]:
    """What is recorded with the `tensors` that are written to `out`: what was done to each layer."""
    source, keys = checkpoint.source, plain_keys(checkpoint.source.tensors)
    written, caveats = plain_tensors(tensors), checkpoint.caveats
    layers, zeros = {}, []
    for name, made in exports.items():
        change = checkpoint.changes[name]
        layers[name] = {
            **layer_record(checkpoint.original[name], change.system, change.replacement),
            "padded": padded,
            "dtype": sorted({dtype_name(x.dtype) for x in made.tensors.values()}),
            "rounding_bound": json_number(made.rounding),
            "export_error": made.error,
            "export_tolerance": made.tolerance,
            "tensors": {keys[key]: list(x.shape) for key, x in made.tensors.items()},
            "notes": caveats[name],
            "sha256": checkpoint.found[name].digest(written),
        }
        if checkpoint.found[name].modes(written) != checkpoint.original[name].n_modes:
            zeros += zero_notes(checkpoint.found[name], checkpoint.plain)
    manifest = {
        "schema": SCHEMA,
        "mor": __version__,
        "dialect": checkpoint.dialect,
        "readout": checkpoint.readout,
        "source": source_record(source),
        "layers": layers,
        "unchanged": [name for name in checkpoint.found if name not in layers],
        "notes": file_notes(source, out, tensors) + zeros,
    }
    if checkpoint.manifest is not None:
        manifest["previous"] = checkpoint.manifest
        manifest["source"]["metadata"].pop(MANIFEST_KEY, None)
    return manifest
