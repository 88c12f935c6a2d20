"""Plain data, ready for JSON, on checkpoints and what was done to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mor.adapters.checkpoints import Checkpoint
from mor.analysis.hankel import hankel_singular_values
from mor.arrays import to_numpy
from mor.deep.compare import compare_layer
from mor.deep.compress import Compression, Progress
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
        "states": sum(layer["states"] * layer["systems"] for layer in layers),
        "compressed_before": checkpoint.manifest is not None,
        "layers": layers,
    }


def _inspect_layer(name: str, system: Modal) -> Summary:
    radius = float(np.max(np.abs(to_numpy(system.poles)), initial=0.0))
    summary = {
        "name": name,
        "systems": int(np.prod(system.batch_shape, dtype=int)),
        "states": system.order,
        "modes": system.n_modes,
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
    counts = {f"{level:g}": int(np.searchsorted(share, level - 1e-12) + 1) for level in ENERGY_LEVELS}
    return summary | {"hsv_largest": float(np.max(hsv, initial=0.0)), "states_for_energy": counts}


def compression_summary(before: Checkpoint, result: Compression[Checkpoint], seconds: float) -> Summary:
    """What each layer keeps, what it costs and what is guaranteed."""
    after = result.model
    layers = [
        {
            "name": name,
            "systems": int(np.prod(before.layers[name].batch_shape, dtype=int)),
            "states_before": reduction.full_order,
            "states_after": reduction.order,
            "modes_before": before.layers[name].n_modes,
            "modes_after": after.layers[name].n_modes,
            "energy_kept": reduction.energy,
            "error_bound": reduction.error_bound,
            "relative_bound": _relative_bound(reduction.error_bound, reduction.hsv),
            "method": reduction.method,
            "note": reduction.diagnostics.get("note"),
        }
        for name, reduction in result.reductions.items()
    ]
    return {
        "input": str(before.path),
        "dialect": before.dialect,
        "keep": result.keep,
        "ranks": result.ranks,
        "states": list(result.states),
        "bytes": [before.nbytes, after.nbytes],
        "parameters": [before.n_parameters, after.n_parameters],
        "seconds": seconds,
        "layers": layers,
    }


def _relative_bound(bound: float | None, hsv: np.ndarray) -> float | None:
    """Upper limit of the relative H-infinity error: no gain is below the largest value."""
    largest = float(np.min(np.max(np.atleast_2d(hsv), axis=-1, initial=0.0)))
    return None if bound is None or largest == 0 else bound / largest


def verify_summary(before: Checkpoint, after: Checkpoint, progress: Progress = _quiet) -> Summary:
    """Errors of every layer, measured on the two files, against the manifest's bounds."""
    promised = _promised_bounds(after)

    def measure(name: str, system: Modal) -> Summary:
        found = compare_layer(name, system, after.layers[name], promised.get(name))
        return {
            "name": name,
            "states_before": found.states_before,
            "states_after": found.states_after,
            "impulse_error": found.impulse_error,
            "peak_error": found.peak_error,
            "peak_frequency": found.peak_frequency,
            "bound": found.bound,
            "holds": found.holds,
        }

    shared = {name: system for name, system in before.layers.items() if name in after.layers}
    layers = _each("Verifying layers", shared, measure, progress)
    missing = sorted(set(before.layers) - set(after.layers))
    return {
        "before": str(before.path),
        "after": str(after.path),
        "manifest": after.manifest is not None,
        "missing_layers": missing,
        "changed_tensors": _changed_outside(before, after),
        "layers": layers,
        "ok": not missing and all(layer["holds"] is not False for layer in layers),
    }


def _promised_bounds(after: Checkpoint) -> dict[str, float | None]:
    """By layer: the manifest's error bound, with what the file's rounding may add."""
    layers = (after.manifest or {}).get("layers", {})
    return {
        name: None
        if entry.get("error_bound") is None
        else entry["error_bound"] + entry.get("rounding_bound", 0.0)
        for name, entry in layers.items()
    }


def _changed_outside(before: Checkpoint, after: Checkpoint) -> list[str]:
    """Tensors outside the layers that are not bit for bit the same."""
    new = after.outside
    return [
        key
        for key, x in before.outside.items()
        if key not in new
        or x.shape != new[key].shape
        or x.dtype != new[key].dtype
        or x.tobytes() != new[key].tobytes()
    ]


def _each(
    task: str, layers: Mapping[str, Modal], work: Callable[[str, Modal], Summary], progress: Progress
) -> list[Summary]:
    results = []
    for done, (name, system) in enumerate(layers.items()):
        progress(task, done, len(layers))
        results.append(work(name, system))
    progress(task, len(layers), len(layers))
    return results
