"""The record that a compressed checkpoint carries of what was done to it."""

from __future__ import annotations

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from mor.adapters.checkpoints.formats.tensor_file import TensorFile
from mor.adapters.checkpoints.formats.tensors import MANIFEST_KEY, OUTPUT_KEY, sidecar
from mor.deep.inspect import largest_order
from mor.reduction.result import Reduction
from mor.systems.modal import Modal

SCHEMA = 1


def read_manifest(file: TensorFile) -> dict[str, Any] | None:
    """The manifest that this library wrote with the file; None if there is none, or not a valid one."""
    try:
        text = file.metadata.get(MANIFEST_KEY)
        beside = text is None and file.format == "torch" and sidecar(file.path).is_file()
        manifest = json.loads(sidecar(file.path).read_text(encoding="utf-8") if beside else text or "null")
    except (OSError, ValueError, RecursionError):
        return None
    if not _is_manifest(manifest):
        return None
    if beside and manifest.pop(OUTPUT_KEY, None) != file.sha256:
        return None
    return manifest


def has_stale_manifest(file: TensorFile) -> bool:
    """Whether a manifest lies beside a torch file that has been written over since."""
    return file.format == "torch" and sidecar(file.path).is_file() and read_manifest(file) is None


def recorded_key(path: Path) -> str | None:
    """The state dict that was compressed in a torch file, by the manifest beside it; None if unnamed."""
    try:
        manifest = json.loads(sidecar(path).read_text(encoding="utf-8"))
        if not _is_manifest(manifest) or _key(manifest) is None:
            return None
        with path.open("rb") as opened:
            sha256 = hashlib.file_digest(opened, "sha256").hexdigest()
    except (OSError, ValueError, RecursionError):
        return None
    return _key(manifest) if manifest.get(OUTPUT_KEY) == sha256 else None


def original_key(manifest: dict[str, Any] | None) -> str | None:
    """The state dict that was read from the first of all files; None if none is named."""
    key = None
    while manifest is not None:
        key, manifest = _key(manifest), manifest.get("previous")
    return key


def _key(manifest: dict[str, Any]) -> str | None:
    key = manifest["source"].get("key")
    return key if isinstance(key, str) else None


def _is_manifest(value: Any) -> bool:
    """Whether the parts that are read again are there and of the right kind."""
    if not isinstance(value, dict) or not isinstance(value.get("schema"), int):
        return False
    layers, source = value.get("layers"), value.get("source")
    if not isinstance(layers, dict) or not isinstance(source, dict):
        return False
    return all(isinstance(entry, dict) and _has_numbers(entry) for entry in layers.values()) and (
        "previous" not in value or _is_manifest(value["previous"])
    )


def _has_numbers(entry: dict[str, Any]) -> bool:
    """Whether the entry's errors are finite numbers or missing."""
    values = (entry.get(key) for key in ("error_bound", "roundoff", "rounding_bound"))
    return all(x is None or (isinstance(x, (int, float)) and math.isfinite(x)) for x in values)


def promised_bounds(manifest: dict[str, Any] | None, sha256: str) -> dict[str, float | None] | None:
    """By layer: upper limit of the error against the file with this hash; None if there is no way to it.

    A file that was compressed again is as far from the first one as its steps together. A
    layer that has no bound in one of them has none.
    """
    bounds: dict[str, float | None] = {}
    while manifest is not None:
        for name in manifest.get("unchanged", []):
            bounds.setdefault(name, 0.0)
        for name, entry in manifest["layers"].items():
            step = total_bound(entry.get("error_bound"), entry.get("roundoff"), entry.get("rounding_bound"))
            so_far = bounds.get(name, 0.0)
            bounds[name] = None if step is None or so_far is None else so_far + step
        if manifest["source"].get("sha256") == sha256:
            return bounds
        manifest = manifest.get("previous")
    return None


def resized_tensors(manifest: dict[str, Any] | None) -> set[str]:
    """Keys of tensors that this compression or an earlier one has replaced."""
    keys: set[str] = set()
    while manifest is not None:
        keys.update(key for layer in manifest["layers"].values() for key in layer.get("tensors", {}))
        manifest = manifest.get("previous")
    return keys


def total_bound(error_bound: float | None, *additions: float | None) -> float | None:
    """The bound with what finite precision adds to it; None if there is no bound."""
    return None if error_bound is None else json_number(error_bound + sum(x or 0.0 for x in additions))


def source_record(file: TensorFile) -> dict[str, Any]:
    """What the manifest says of the file that was read."""
    return {
        "file": file.path.name,
        "sha256": file.sha256,
        "format": file.format,
        "key": file.state_dict_path[0] if file.state_dict_path else None,
        "metadata": dict(file.metadata),
    }


def layer_record(before: Modal, after: Modal, replacement: Any) -> dict[str, Any]:
    """What the manifest says of one layer, whatever was done to it."""
    record: dict[str, Any] = {
        "states_before": largest_order(before),
        "states_after": largest_order(after),
        "modes_before": before.n_modes,
        "modes_after": after.n_modes,
        "batch": list(before.batch_shape),
        "inputs": before.n_inputs,
        "outputs": before.n_outputs,
    }
    if not isinstance(replacement, Reduction):
        return {**record, "method": "given", "hsv": None, "error_bound": None, "bound_kind": "none"}
    return {
        **record,
        "method": replacement.method,
        "hsv": hsv_record(replacement),
        "error_bound": json_number(replacement.error_bound),
        "roundoff": json_number(replacement.roundoff),
        "bound_kind": replacement.bound_kind,
    }


def hsv_record(reduction: Reduction) -> dict[str, Any]:
    """Hankel singular values kept, and sums of both parts; of a batch the sums only."""
    kept, truncated = np.asarray(reduction.kept), np.asarray(reduction.truncated)
    finite = kept[np.isfinite(kept)]
    record: dict[str, Any] = {
        "kept_sum": json_number(np.sum(finite)),
        "truncated_sum": json_number(np.sum(truncated)),
        "energy": json_number(reduction.energy),
    }
    if kept.ndim == 1:
        return {"kept": [json_number(x) for x in kept], **record}
    return {
        **record,
        "largest": json_number(np.max(finite, initial=0.0)),
        "truncated_sum_max": json_number(np.max(np.sum(truncated, axis=-1), initial=0.0)),
    }


def json_number(x: Any) -> float | None:
    """A number that JSON has; None for what it lacks."""
    return float(x) if x is not None and math.isfinite(x) else None
