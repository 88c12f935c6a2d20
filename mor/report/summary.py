"""Plain data, ready for JSON, on checkpoints and what was done to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from mor.adapters.checkpoints import Checkpoint
from mor.adapters.checkpoints.formats.tensors import files_of, sidecar
from mor.adapters.checkpoints.formats.torch_file import same_bits
from mor.adapters.checkpoints.manifest import has_stale_manifest, largest_order, promised_bounds, total_bound
from mor.analysis.hankel import hankel_singular_values
from mor.arrays import to_numpy
from mor.deep.compress import Compression, Progress
from mor.deep.unstable import compare_any_layer, same_unstable_modes
from mor.equations.boundary import margins
from mor.reduction.result import Reduction
from mor.systems.modal import Modal

#: Shares of the sum of Hankel singular values that `inspect` counts states for.
ENERGY_LEVELS = (0.9, 0.99, 0.999)

Summary = dict[str, Any]


def _quiet(task: str, done: int, total: int) -> None:
    """Progress that nobody watches."""


def inspect_summary(checkpoint: Checkpoint, progress: Progress = _quiet) -> Summary:
    """What a checkpoint holds: layers, orders, spectral radii, decay."""
    layers = _each("Inspecting layers", checkpoint.layers, _inspect_layer, progress)
    return {
        "file": str(checkpoint.path),
        "dialect": checkpoint.dialect,
        "readout": checkpoint.readout,
        "parameters": checkpoint.n_parameters,
        "bytes": checkpoint.nbytes,
        "bytes_on_disk": size_on_disk(checkpoint),
        "states": sum(int(np.sum(x.working_states)) for x in _one_of_each(checkpoint).values()),
        "compressed_before": checkpoint.manifest is not None,
        "tied": checkpoint.tied,
        "beside": {name: {k: list(x) for k, x in near.items()} for name, near in checkpoint.beside.items()},
        "notes": checkpoint.notes,
        "layers": layers,
    }


def size_on_disk(checkpoint: Checkpoint) -> int:
    """Bytes of the file that was read, or of the index and all its shards."""
    return sum(path.stat().st_size for path in files_of(checkpoint.path))


def _one_of_each(checkpoint: Checkpoint) -> dict[str, Modal]:
    """Layers, those that share their tensors once."""
    twins = {name for group in checkpoint.tied for name in group[1:]}
    return {name: system for name, system in checkpoint.layers.items() if name not in twins}


def _inspect_layer(name: str, system: Modal) -> Summary:
    radius = float(np.max(np.abs(to_numpy(system.poles)), initial=0.0))
    summary = {
        "name": name,
        "systems": int(np.prod(system.batch_shape, dtype=int)),
        "states": largest_order(system),
        "modes": system.n_modes,
        "idle_modes": int(np.sum(~system.working_modes)),
        "unstable_modes": int(np.sum(np.abs(to_numpy(system.poles)) >= 1)),
        "inputs": system.n_inputs,
        "outputs": system.n_outputs,
        "spectral_radius": radius,
        "stable": system.is_stable,
        "hsv_largest": None,
        "states_for_energy": None,
    }
    if not system.is_stable:
        return summary
    hsv = np.atleast_2d(to_numpy(hankel_singular_values(system)))
    profile = np.sum(hsv, axis=0)
    total = float(np.sum(profile))
    share = np.cumsum(profile) / total if total > 0 else np.ones_like(profile)
    counts = {f"{level:g}": int(np.sum(share < level - 1e-12) + (total > 0)) for level in ENERGY_LEVELS}
    return summary | {"hsv_largest": float(np.max(hsv, initial=0.0)), "states_for_energy": counts}


def compression_summary(before: Checkpoint, result: Compression[Checkpoint], seconds: float) -> Summary:
    """What each layer keeps, what it costs and what is guaranteed."""
    after = result.model
    layers = [
        {
            "name": name,
            "systems": int(np.prod(before.layers[name].batch_shape, dtype=int)),
            "states_before": largest_order(before.layers[name]),
            "states_after": largest_order(after.layers[name]),
            "modes_before": before.layers[name].n_modes,
            "modes_after": after.layers[name].n_modes,
            "energy_kept": reduction.energy,
            "truncation_bound": reduction.error_bound,
            "roundoff": reduction.roundoff,
            "rounding_bound": after.rounding[name],
            "unstable_modes": int(np.sum(margins(to_numpy(after.layers[name].poles), 1.0) <= 0)),
            "same_unstable_modes": after.same_unstable[name],
            "error_bound": _bound(reduction, after.rounding[name]),
            "relative_bound": _relative_bound(_bound(reduction, after.rounding[name]), reduction.hsv),
            "method": reduction.method,
            "note": "; ".join([*_notes(reduction), *after.caveats.get(name, [])]) or None,
        }
        for name, reduction in result.reductions.items()
    ]
    return {
        "input": str(before.path),
        "dialect": before.dialect,
        "notes": before.notes,
        "tied": before.tied,
        "keep": result.keep,
        "ranks": result.ranks,
        "states": list(result.states),
        "bytes": [before.nbytes, after.nbytes],
        "parameters": [before.n_parameters, after.n_parameters],
        "seconds": seconds,
        "layers": layers,
    }


def _notes(reduction: Reduction) -> list[str]:
    note = reduction.diagnostics.get("note")
    return [note] if note else []


def _bound(reduction: Reduction, rounding: float) -> float | None:
    return total_bound(reduction.error_bound, reduction.roundoff, rounding)


def _relative_bound(bound: float | None, hsv: np.ndarray) -> float | None:
    """Upper limit of the relative H-infinity error: no gain is below the largest value."""
    finite = np.where(np.isfinite(hsv), hsv, 0.0)
    largest = float(np.min(np.max(np.atleast_2d(finite), axis=-1, initial=0.0)))
    return None if bound is None or largest == 0 else bound / largest


def verify_summary(before: Checkpoint, after: Checkpoint, progress: Progress = _quiet) -> Summary:
    """Errors of every layer, measured on the two files, against the manifest's bounds."""
    promised = promised_bounds(after.manifest, before.source.sha256)

    def measure(name: str, system: Modal) -> Summary:
        bound = (promised or {}).get(name)
        found = compare_any_layer(name, system, after.layers[name], bound)
        same = same_unstable_modes(system, after.layers[name])
        return asdict(found) | {"holds": found.holds, "same_unstable_modes": same}

    shared = {name: system for name, system in before.layers.items() if name in after.layers}
    layers = _each("Verifying layers", shared, measure, progress)
    missing = sorted(set(before.layers) - set(after.layers))
    other = after.manifest is not None and promised is None
    changed = _changed_outside(before, after)
    return {
        "before": str(before.path),
        "after": str(after.path),
        "manifest": after.manifest is not None,
        "stale_manifest": sidecar(after.path).name if has_stale_manifest(after.source) else None,
        "made_from_another_file": other,
        "altered": after.altered,
        "missing_layers": missing,
        "changed_tensors": changed["changed"],
        "missing_tensors": changed["missing"],
        "added_tensors": changed["added"],
        "layers": layers,
        "ok": not (missing or other or after.altered or any(changed.values()))
        and all(layer["holds"] is not False for layer in layers),
    }


def _changed_outside(before: Checkpoint, after: Checkpoint) -> dict[str, list[str]]:
    """Tensors outside the layers that are not bit for bit the same, and those on one side only."""
    old, new = before.outside, after.outside
    return {
        "changed": [key for key, x in old.items() if key in new and not same_bits(x, new[key])],
        "missing": [key for key in old if key not in new],
        "added": [key for key in new if key not in old],
    }


def _each(
    task: str, layers: Mapping[str, Modal], work: Callable[[str, Modal], Summary], progress: Progress
) -> list[Summary]:
    results = []
    for done, (name, system) in enumerate(layers.items()):
        progress(task, done, len(layers))
        results.append(work(name, system))
    progress(task, len(layers), len(layers))
    return results
