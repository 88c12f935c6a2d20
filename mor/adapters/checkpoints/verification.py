"""A compressed checkpoint against its original, and against what its manifest promises."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mor.adapters.checkpoints.checkpoint import Checkpoint
from mor.adapters.checkpoints.formats.tensors import sidecar
from mor.adapters.checkpoints.manifest import has_stale_manifest, original_key, promised_bounds, recorded_key
from mor.adapters.checkpoints.reading import read_checkpoint
from mor.deep.compare import LayerComparison
from mor.deep.progress import Progress, counted
from mor.deep.unstable import compare_any_layer


@dataclass(frozen=True)
class Verification:
    """What holds of a compressed file.

    Attributes
    ----------
    manifest : whether there is one.
    stale_manifest : name of a manifest beside the file that belongs to another one.
    made_from_another_file : whether the manifest names another original.
    altered : layers whose tensors are not those that the manifest was written with.
    missing_layers : layers of the original that are no more.
    changed_tensors, missing_tensors, added_tensors : outside the layers.
    ok : whether everything that was promised holds, and something was.
    nothing_verified : why nothing could be held against a promise; None if something could.
    """

    before: str
    after: str
    manifest: bool
    stale_manifest: str | None
    made_from_another_file: bool
    altered: list[str]
    missing_layers: list[str]
    changed_tensors: list[str]
    missing_tensors: list[str]
    added_tensors: list[str]
    layers: list[LayerComparison]
    ok: bool
    nothing_verified: str | None


def verify_files(
    original: Path,
    compressed: Path,
    dialect: str | None = None,
    *,
    key: str | None = None,
    progress: Progress | None = None,
) -> Verification:
    """:func:`verify` of two files; of torch files the state dicts that the manifest names, or `key`."""
    after = read_checkpoint(compressed, dialect, key=key_in(compressed, key or recorded_key(compressed)))
    before = read_checkpoint(original, dialect, key=key or key_in(original, original_key(after.manifest)))
    return verify(before, after, progress)


def key_in(path: Path, key: str | None) -> str | None:
    """`key`, where the file can have several dicts of tensors."""
    return None if path.suffix.lower() == ".safetensors" else key


def verify(before: Checkpoint, after: Checkpoint, progress: Progress | None = None) -> Verification:
    """Measure the error of every layer of `after`, and compare all the rest with `before` bit by bit.

    Parameters
    ----------
    before, after : a checkpoint and what was made of it, from :func:`mor.read_checkpoint`.
    progress : called as ``progress(task, done, total)``.

    Notes
    -----
    Errors of layers are those of :func:`mor.deep.compare.compare_layer`, bounds those of the manifest; of
    a file that was compressed again the sum of all steps back to `before`.

    Examples
    --------
    >>> import mor
    >>> from mor.data import digits_path
    >>> plain = mor.read_checkpoint(digits_path("plain.safetensors"))
    >>> found = verify(plain, plain)
    >>> found.ok, found.nothing_verified.partition(":")[0]
    (False, 'Nothing was verified')
    """
    promised = promised_bounds(after.manifest, before.source.sha256)
    shared = [(name, system) for name, system in before.layers.items() if name in after.layers]
    layers = [
        compare_any_layer(name, system, after.layers[name], (promised or {}).get(name))
        for name, system in counted("Verifying layers", shared, progress)
    ]
    missing = sorted(set(before.layers) - set(after.layers))
    other = after.manifest is not None and promised is None
    old, new = before.outside, after.outside
    changed = [key for key in old if key in new and not before.same_outside(key, new[key])]
    lost, added = [key for key in old if key not in new], [key for key in new if key not in old]
    stale = sidecar(after.path).name if has_stale_manifest(after.source) else None
    reason = None if after.manifest is not None else _nothing_verified(before, after, stale, layers)
    wrong = missing or other or after.altered or changed or lost or added or reason
    return Verification(
        before=str(before.path),
        after=str(after.path),
        manifest=after.manifest is not None,
        stale_manifest=stale,
        made_from_another_file=other,
        altered=after.altered,
        missing_layers=missing,
        changed_tensors=changed,
        missing_tensors=lost,
        added_tensors=added,
        layers=layers,
        ok=not wrong and all(layer.holds is not False for layer in layers),
        nothing_verified=reason,
    )


def _nothing_verified(
    before: Checkpoint, after: Checkpoint, stale: str | None, layers: list[LayerComparison]
) -> str:
    """Why nothing of a file without a manifest could be held against a promise."""
    if stale:
        return f"Nothing was verified: {stale} belongs to another file than this one."
    reason = f"Nothing was verified: {after.path} has no manifest, so that no bound was promised."
    if any(layer.states_after > layer.states_before for layer in layers):
        return f"{reason} It has more states than {before.path}: the original comes first."
    return reason
