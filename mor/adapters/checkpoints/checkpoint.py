"""A checkpoint: a dict of arrays, some of which are layers that can be replaced."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from mor.adapters.checkpoints.formats.tensor_file import TensorFile
from mor.adapters.checkpoints.formats.tensors import MANIFEST_KEY, check_checkpoint_output, write_tensors
from mor.adapters.checkpoints.formats.torch_file import same_bits
from mor.adapters.checkpoints.manifest import (
    SCHEMA,
    has_stale_manifest,
    json_number,
    layer_record,
    source_record,
)
from mor.adapters.checkpoints.notes import file_notes, shard_note
from mor.adapters.layers.beside import beside_states, is_zero, refusal
from mor.adapters.layers.dialects.base import Dialect, read_out
from mor.adapters.layers.dialects.detect import get_dialect, not_recognised
from mor.adapters.layers.dtypes import dtype_name
from mor.adapters.layers.export import Export, check_replacement, export, modal_of, padded
from mor.adapters.layers.kept import with_kept_modes
from mor.adapters.layers.keys import plain_keys
from mor.errors import CheckpointError
from mor.systems.modal import Modal
from mor.version import __version__


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
    leave : tensors beside layers that are known to have nothing to do with their states.

    See Also
    --------
    mor.read_checkpoint
    """

    dialect: str
    layers: dict[str, Modal]
    tensors: dict[str, np.ndarray] = field(repr=False)
    source: TensorFile = field(repr=False)
    manifest: dict[str, Any] | None = field(repr=False)
    _prefixes: dict[str, str] = field(repr=False)
    _original: dict[str, Modal] = field(repr=False)
    leave: frozenset[str] = frozenset()
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

    @property
    def tied(self) -> list[list[str]]:
        """Names of layers in groups, of more than one, that share all their tensors."""
        return [group for group in self._tied_layers() if len(group) > 1]

    @property
    def holds_unstable(self) -> bool:
        """Whether layers of this dialect can be unstable."""
        return self._speaker.holds_unstable

    @property
    def beside(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """By layer, tensors beside it that may belong to its states, and their shapes; not those to leave."""
        tensors, found = plain_tensors(self.source.tensors), {}
        for name, prefix in self._prefixes.items():
            near = beside_states(self._speaker, tensors, prefix)
            near = {key: shape for key, shape in near.items() if key not in self.leave}
            if near:
                found[name] = near
        return found

    @property
    def notes(self) -> list[str]:
        """What looks like a layer, or like a part of one, and is none of `layers`."""
        found = not_recognised(
            plain_tensors(self.source.tensors), self._speaker, list(self._prefixes.values())
        )
        return [*shard_note(self.path), *found]

    def layer_system(self, name: str, *, readout: str | None = None) -> Modal:
        """What a layer computes, :math:`z G(z) + D` where it reads its updated state.

        The systems in `layers` are G, with the same errors, norms and Hankel singular values; give this
        one to :func:`mor.simulate` to have the layer's own output.

        Parameters
        ----------
        name : of the layer.
        readout : ``"updated"`` for ``y_k = Re(C x_k) + D u_k``, ``"current"`` for layers of the same
            tensors whose code reads the state before its update; that of the dialect if left out.

        Raises
        ------
        CheckpointError
            If there is no such layer or readout.
        """
        self._check_names([name])
        return read_out(self.layers[name], self.readout if readout is None else readout)

    def check_beside(self, names: Iterable[str] | None = None) -> None:
        """Raise if one of the layers `names`, or any, cannot be reduced for what stands beside it.

        Raises
        ------
        CheckpointError
            Naming the tensors, with the way out.
        """
        tensors = plain_tensors(self.source.tensors)
        for name, near in self.beside.items():
            told = {key: shape for key, shape in near.items() if not is_zero(tensors[key])}
            if told and (names is None or name in names):
                raise CheckpointError(refusal(name, self._original[name].n_modes, told))

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
    def same_unstable(self) -> dict[str, bool]:
        """By replaced layer: whether its unstable modes are those of before to the last bit."""
        return {name: change.export.same_unstable for name, change in self._changes.items()}

    @property
    def caveats(self) -> dict[str, list[str]]:
        """By replaced layer: what the user of the written layer should know of it."""
        return {name: self._speaker.caveats(change.system) for name, change in self._changes.items()}

    @property
    def altered(self) -> list[str]:
        """Layers whose tensors are not those that the manifest was written with."""
        if self.manifest is None:
            return list(self.layers) if has_stale_manifest(self.source) else []
        tensors, records = plain_tensors(self.source.tensors), self.manifest["layers"]
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
        return {key: x for key, x in plain_tensors(self.tensors).items() if key not in own}

    def replace(self, systems: Mapping[str, Any]) -> Checkpoint:
        """The checkpoint with these layers replaced; the others and this object stay as they are.

        Parameters
        ----------
        systems : layer name -> :class:`mor.Reduction` or :class:`mor.Modal`. Layers that share
            all their tensors with a named one are replaced with it.

        Raises
        ------
        CheckpointError
            If there is no such layer, the system does not fit in its place, the dialect or the type of
            the file cannot hold it, or a tensor beside the layer may belong to its states.
        UnstableSystemError
            If the system is not stable, but for poles that the layer had if its dialect can hold them.
        """
        changes = dict(self._changes)
        layers = dict(self.layers)
        self._check_names(systems)
        self.check_beside(list(systems))
        for name, replacement in self._with_tied_layers(systems).items():
            modal = with_kept_modes(modal_of(name, replacement), self._original[name])
            check_replacement(name, self._original[name], modal, self.holds_unstable)
            changes[name] = Change(modal, replacement, self._export(name, modal))
            layers[name] = modal
        new = {key: x for change in changes.values() for key, x in change.export.tensors.items()}
        return replace(self, layers=layers, tensors=self._merge(new), _changes=changes)

    def _check_names(self, names: Iterable[str]) -> None:
        unknown = [name for name in names if name not in self.layers]
        if unknown:
            raise CheckpointError(f"there is no layer {unknown[0]!r}; there are {', '.join(self.layers)}.")

    def _with_tied_layers(self, systems: Mapping[str, Any]) -> dict[str, Any]:
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
        return export(self._speaker, plain_tensors(self.source.tensors), self._prefixes[name], name, modal)

    def _merge(self, new: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The file's tensors with `new` ones, which are named without training wrappers."""
        keys = plain_keys(self.source.tensors)
        return {**self.source.tensors, **{keys[plain]: x for plain, x in new.items()}}

    def write(
        self, path: str | Path, *, force: bool = False, pad: bool = False, equal: bool = False
    ) -> dict[str, Any]:
        """Write the checkpoint, all of it or nothing, and return its manifest.

        Parameters
        ----------
        path : its suffix says the format: ``.safetensors``, or ``.pt``, ``.pth``, ``.ckpt``, ``.bin``.
            The manifest goes into the metadata of the former, or into ``<path>.mor.json``.
        force : overwrite what is there.
        pad : fill every replaced layer with idle modes up to its old size, so that the shapes are
            those of the model as it was: it loads anywhere, and is not faster.
        equal : fill layers with idle modes up to the largest one, so that all have the same number
            of modes, as layers that are scanned or have one size in a config must.

        Raises
        ------
        CheckpointError
            If `path` exists and not `force`, cannot be written, or its format cannot hold a tensor; if
            layers that were not replaced keep all from being equal.
        """
        out = Path(path)
        check_checkpoint_output(out, self.path, force=force)
        sizes = self._final_sizes(pad, equal)
        exports = {name: self._final_export(name, size) for name, size in sizes.items()}
        tensors = self._merge({key: x for e in exports.values() for key, x in e.tensors.items()})
        manifest = self._build_manifest(out, exports, tensors, pad or equal)
        write_tensors(out, self.source, tensors, manifest)
        return manifest

    def _final_sizes(self, pad: bool, equal: bool) -> dict[str, int]:
        """Modes of every replaced layer in the file."""
        if pad and equal:
            raise CheckpointError("give pad or equal, not both: the old sizes, or the largest new one.")
        if pad:
            return {name: self._original[name].n_modes for name in self._changes}
        sizes = {name: change.system.n_modes for name, change in self._changes.items()}
        if not equal:
            return sizes
        largest = max(sizes.values(), default=0)
        odd = [name for name in self.layers if name not in sizes and self.layers[name].n_modes != largest]
        if odd:
            raise CheckpointError(
                f"layers cannot all have {largest} modes: {', '.join(odd)} was not replaced. Replace every "
                "layer, or write without equal."
            )
        return dict.fromkeys(sizes, largest)

    def _final_export(self, name: str, n_modes: int) -> Export:
        change = self._changes[name]
        if n_modes == change.system.n_modes:
            return change.export
        return self._export(name, padded(change.system, n_modes, name))

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
                "rounding_bound": json_number(made.rounding),
                "export_error": made.error,
                "export_tolerance": made.tolerance,
                "tensors": {keys[key]: list(x.shape) for key, x in made.tensors.items()},
                "notes": self._speaker.caveats(change.system),
                "sha256": self._digest(name, plain_tensors(self.source.tensors) | made.tensors),
            }
        manifest = {
            "schema": SCHEMA,
            "mor": __version__,
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


def plain_tensors(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors by their keys without training wrappers."""
    return {plain: tensors[key] for plain, key in plain_keys(tensors).items()}
