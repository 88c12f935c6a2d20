"""A checkpoint: a dict of arrays, some of which are layers that can be replaced."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mor.adapters.checkpoints.dialects.base import Dialect
from mor.adapters.checkpoints.dialects.detect import detect, get_dialect
from mor.adapters.checkpoints.export import Export, check_replacement, export, modal_of, padded
from mor.adapters.checkpoints.files.dtypes import dtype_name
from mor.adapters.checkpoints.files.formats import MANIFEST_KEY, check_output, read_tensors, write_tensors
from mor.adapters.checkpoints.files.keys import plain_keys
from mor.adapters.checkpoints.files.tensor_file import TensorFile
from mor.adapters.checkpoints.files.torch_file import same_bits
from mor.adapters.checkpoints.manifest import (
    SCHEMA,
    has_stale_manifest,
    layer_record,
    library_version,
    read_manifest,
    source_record,
)
from mor.adapters.checkpoints.notes import file_notes
from mor.errors import CheckpointError
from mor.systems.modal import Modal

#: Name of a layer whose tensors stand at the top of the file.
_ROOT = "root"


@dataclass(frozen=True, eq=False)
class Change:
    """One layer replaced: the system, what it came from, and its new tensors."""

    system: Modal
    replacement: Any
    export: Export


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Layers of a checkpoint as systems, and everything else of the file untouched.

    Attributes
    ----------
    dialect : name of the dialect of its layers.
    layers : name -> :class:`mor.Modal`, discrete with ``dt = 1``, in double precision; in the
        order in which a person counts (layer 10 after layer 9).
    tensors : key in the file -> array in the type of the file.
    source : the file that was read.
    manifest : what this library recorded when it wrote that file; None if it did not.

    See Also
    --------
    read_checkpoint
    """

    dialect: str
    layers: dict[str, Modal]
    tensors: dict[str, np.ndarray] = field(repr=False)
    source: TensorFile = field(repr=False)
    manifest: dict[str, Any] | None = field(repr=False)
    _prefixes: dict[str, str] = field(repr=False)
    _original: dict[str, Modal] = field(repr=False)
    _changes: dict[str, Change] = field(default_factory=dict, repr=False)

    @property
    def path(self) -> Path:
        """Where it was read from."""
        return self.source.path

    @property
    def metadata(self) -> dict[str, str]:
        """Free text in the file that was read."""
        return dict(self.source.metadata)

    @property
    def readout(self) -> str:
        """``"updated"`` where the layers read the state after its update: the map z G(z) + D."""
        return get_dialect(self.dialect).readout

    @property
    def n_parameters(self) -> int:
        """Number of entries of all tensors; tied ones count once."""
        return sum(x.size for x in self._untied())

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors; tied ones count once."""
        return sum(x.nbytes for x in self._untied())

    def _untied(self) -> list[np.ndarray]:
        copies = {
            key
            for tie in self.source.ties
            for key in tie[1:]
            if same_bits(self.tensors[tie[0]], self.tensors[key])
        }
        return [x for key, x in self.tensors.items() if key not in copies]

    @property
    def rounding(self) -> dict[str, float]:
        """By replaced layer: upper limit of the H-infinity error that the type of the file adds."""
        return {name: change.export.rounding for name, change in self._changes.items()}

    @property
    def caveats(self) -> dict[str, list[str]]:
        """By replaced layer: what the user of the written layer should know of it."""
        return {name: self._speaker.caveats(change.system) for name, change in self._changes.items()}

    @property
    def altered(self) -> list[str]:
        """Layers whose tensors are not those that the manifest was written with."""
        if self.manifest is None:
            return list(self.layers) if has_stale_manifest(self.source) else []
        tensors, records = _plain(self.source.tensors), self.manifest["layers"]
        recorded = {name: records[name].get("sha256") for name in self.layers if name in records}
        return [name for name, sha in recorded.items() if sha and sha != self._digest(name, tensors)]

    def _digest(self, name: str, tensors: Mapping[str, np.ndarray]) -> str:
        """Hash of one layer's tensors, of their types and of their shapes."""
        digest = hashlib.sha256()
        for f in self._speaker.fields:
            x = tensors[self._prefixes[name] + f.name]
            digest.update(f"{f.name} {dtype_name(x.dtype)} {x.shape} ".encode())
            digest.update(x.tobytes())
        return digest.hexdigest()

    @property
    def outside(self) -> dict[str, np.ndarray]:
        """Tensors that belong to no layer, by their keys without training wrappers."""
        own = {prefix + f.name for prefix in self._prefixes.values() for f in self._speaker.fields}
        return {key: x for key, x in _plain(self.tensors).items() if key not in own}

    def replace(self, systems: Mapping[str, Any]) -> Checkpoint:
        """The checkpoint with these layers replaced; the others and this object stay as they are.

        Parameters
        ----------
        systems : layer name -> :class:`mor.Reduction` or :class:`mor.Modal`. Layers that share
            all their tensors with a named one are replaced with it.

        Raises
        ------
        CheckpointError
            If there is no such layer, the system does not fit in its place, is not stable, or
            the dialect or the type of the file cannot hold it.
        """
        changes = dict(self._changes)
        layers = dict(self.layers)
        for name, replacement in self._with_tied_layers(systems).items():
            modal = modal_of(name, replacement)
            check_replacement(name, self._original[name], modal)
            changes[name] = Change(modal, replacement, self._export(name, modal))
            layers[name] = modal
        new = {key: x for change in changes.values() for key, x in change.export.tensors.items()}
        return replace(self, layers=layers, tensors=self._merge(new), _changes=changes)

    def _with_tied_layers(self, systems: Mapping[str, Any]) -> dict[str, Any]:
        unknown = [name for name in systems if name not in self.layers]
        if unknown:
            raise CheckpointError(f"there is no layer {unknown[0]!r}; there are {', '.join(self.layers)}.")
        all_systems: dict[str, Any] = {}
        for group in self._tied_layers():
            named = [name for name in group if name in systems]
            if any(systems[name] is not systems[named[0]] for name in named[1:]):
                raise CheckpointError(f"layers {', '.join(named)} share their tensors; give them one system.")
            all_systems.update({name: systems[named[0]] for name in group if named})
        return all_systems

    def _tied_layers(self) -> list[list[str]]:
        """Layers in groups that share all their tensors."""
        leader = {key: tie[0] for tie in self.source.ties for key in tie}
        keys = plain_keys(self.source.tensors)
        groups: dict[tuple[str, ...], list[str]] = {}
        for name, prefix in self._prefixes.items():
            own = (keys[prefix + f.name] for f in self._speaker.fields)
            groups.setdefault(tuple(leader.get(key, key) for key in own), []).append(name)
        return list(groups.values())

    @property
    def _speaker(self) -> Dialect:
        return get_dialect(self.dialect)

    def _export(self, name: str, modal: Modal) -> Export:
        return export(self._speaker, _plain(self.source.tensors), self._prefixes[name], name, modal)

    def _merge(self, new: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The file's tensors with `new` ones, which are named without training wrappers."""
        keys = plain_keys(self.source.tensors)
        return {**self.source.tensors, **{keys[plain]: x for plain, x in new.items()}}

    def write(self, path: str | Path, *, force: bool = False, pad: bool = False) -> dict[str, Any]:
        """Write the checkpoint, all of it or nothing, and return its manifest.

        Parameters
        ----------
        path : its suffix says the format: ``.safetensors``, or ``.pt``, ``.pth``, ``.ckpt``, ``.bin``.
            The manifest goes into the metadata of the former, or into ``<path>.mor.json``.
        force : overwrite what is there.
        pad : fill every replaced layer with idle modes up to its old size, so that the shapes are
            those of the model as it was: it loads anywhere, and is not faster.

        Raises
        ------
        CheckpointError
            If `path` exists and not `force`, cannot be written, or its format cannot hold a tensor.
        """
        out = Path(path)
        check_output(out, self.path, force=force)
        exports = {name: self._final_export(name, pad) for name in self._changes}
        tensors = self._merge({key: x for e in exports.values() for key, x in e.tensors.items()})
        manifest = self._build_manifest(out, exports, tensors, pad)
        write_tensors(out, self.source, tensors, manifest)
        return manifest

    def _final_export(self, name: str, pad: bool) -> Export:
        change = self._changes[name]
        if not pad:
            return change.export
        return self._export(name, padded(change.system, self._original[name].n_modes, name))

    def _build_manifest(
        self, out: Path, exports: Mapping[str, Export], tensors: Mapping[str, np.ndarray], pad: bool
    ) -> dict[str, Any]:
        keys = plain_keys(self.source.tensors)
        layers = {}
        for name, made in exports.items():
            change = self._changes[name]
            layers[name] = {
                **layer_record(self._original[name], change.system, change.replacement),
                "padded": pad,
                "dtype": sorted({dtype_name(x.dtype) for x in made.tensors.values()}),
                "rounding_bound": made.rounding,
                "export_error": made.error,
                "export_tolerance": made.tolerance,
                "tensors": {keys[key]: list(x.shape) for key, x in made.tensors.items()},
                "notes": self._speaker.caveats(change.system),
                "sha256": self._digest(name, _plain(self.source.tensors) | made.tensors),
            }
        manifest = {
            "schema": SCHEMA,
            "mor": library_version(),
            "dialect": self.dialect,
            "readout": self.readout,
            "source": source_record(self.source),
            "layers": layers,
            "unchanged": [name for name in self.layers if name not in layers],
            "notes": file_notes(self.source, out, tensors),
        }
        if self.manifest is not None:
            manifest["previous"] = self.manifest
            manifest["source"]["metadata"].pop(MANIFEST_KEY, None)
        return manifest


def _plain(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors by their keys without training wrappers."""
    return {plain: tensors[key] for plain, key in plain_keys(tensors).items()}


def read_checkpoint(
    path: str | Path, dialect: str | None = None, *, max_bytes: int | None = None
) -> Checkpoint:
    """The state-space layers of a checkpoint as systems.

    Parameters
    ----------
    path : ``.safetensors`` (needs no PyTorch), ``.pt``, ``.pth``, ``.ckpt``, ``.bin`` (opened without
        running anything in them) or the ``*.index.json`` of a sharded one.
    dialect : what its layers are (see :func:`dialect_names`); recognised by names and shapes of the
        tensors where that is unambiguous. Equal names do not prove equal meaning.
    max_bytes : memory that the file may take. None is the environment variable ``MOR_MAX_BYTES``, or
        else 32 MiB, or four times the size of the file where that is more: a small file can say that
        one number is a million of them.

    Returns
    -------
    Checkpoint
        Its ``layers`` are the systems by name.

    Raises
    ------
    CheckpointError
        If the file is damaged, takes more than `max_bytes`, or no layer in it is recognised.
    UnsafeCheckpointError
        If the file is a pickle that would run foreign code.
    NotLinearTimeInvariantError
        If its layers are selective (Mamba, RG-LRU).
    NotFiniteError
        If a layer has NaN or infinity in it.

    Notes
    -----
    An unstable layer is read as it is; reducing it is an error then.

    Examples
    --------
    A layer of the LRU kind with four modes and two channels, reduced to three states:

    >>> import pathlib, tempfile
    >>> import numpy as np, mor
    >>> from mor.adapters.checkpoints.files.safetensors_file import safetensors_chunks
    >>> N, rng = 4, np.random.default_rng(0)
    >>> shapes = {"B_re": (N, 2), "B_im": (N, 2), "C_re": (2, N), "C_im": (2, N), "D": (2,)}
    >>> layer = {f"blocks.0.lru.{key}": rng.standard_normal(shape) for key, shape in shapes.items()}
    >>> for key, low, high in [("nu_log", -3, -1), ("theta_log", -2, 1), ("gamma_log", -1, 0)]:
    ...     layer[f"blocks.0.lru.{key}"] = rng.uniform(low, high, N)
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "model.safetensors").write_bytes(b"".join(safetensors_chunks(layer, {})))

    >>> checkpoint = read_checkpoint(folder / "model.safetensors")
    >>> checkpoint.layers
    {'blocks.0.lru': <Modal order 8 (4 modes), 2 inputs, 2 outputs, dt=1>}
    >>> reduced = {name: mor.balanced_truncation(system, 3) for name, system in checkpoint.layers.items()}
    >>> manifest = checkpoint.replace(reduced).write(folder / "small.safetensors")
    >>> manifest["layers"]["blocks.0.lru"]["states_after"]
    3
    """
    file = read_tensors(path, max_bytes)
    tensors = _plain(file.tensors)
    speaker, prefixes = detect(tensors, dialect)
    names = {prefix.rstrip(".") or _ROOT: prefix for prefix in prefixes}
    if len(names) < len(prefixes):
        raise CheckpointError(
            f"{path}: a layer at the top of the file and one called {_ROOT!r} are in the way of each other."
        )
    layers = {name: speaker.read(tensors, prefix) for name, prefix in names.items()}
    return Checkpoint(
        dialect=speaker.name,
        layers=layers,
        tensors=dict(file.tensors),
        source=file,
        manifest=read_manifest(file),
        _prefixes=names,
        _original=layers,
    )
