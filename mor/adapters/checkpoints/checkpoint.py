"""A checkpoint: a file of tensors, some of which are layers that can be replaced."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mor.adapters.checkpoints.formats.tensor_file import TensorFile
from mor.adapters.checkpoints.formats.torch_file import same_bits
from mor.adapters.checkpoints.manifest import has_stale_manifest
from mor.adapters.checkpoints.notes import shard_note
from mor.adapters.checkpoints.writing import write_checkpoint
from mor.adapters.layers.beside import beside_states, check_beside, is_resized, zero_notes, zeros_beside
from mor.adapters.layers.dialects.base import Dialect, read_out
from mor.adapters.layers.dialects.detect import not_recognised
from mor.adapters.layers.export import Export
from mor.adapters.layers.keys import plain_keys, plain_tensors
from mor.adapters.layers.layers import Change, Layers
from mor.errors import at
from mor.systems.modal import Modal


@dataclass(frozen=True, eq=False, repr=False)
class Checkpoint:
    """Layers of a checkpoint as systems, and everything else of the file untouched.

    Attributes
    ----------
    dialect : name of the dialect of its layers.
    layers : name -> :class:`mor.Modal`, discrete with ``dt = 1``, in double precision; in the
        order in which a person counts (layer 10 after layer 9).
    tensors : key in the file -> array in the type of the file.
    source : the file that was read.
    found : where the layers are among its tensors.
    original : the layers as they are in the file.
    manifest : what this library recorded when it wrote that file; None if it did not.
    changes : by name, what was replaced.

    See Also
    --------
    mor.read_checkpoint
    """

    source: TensorFile
    found: Layers
    original: Mapping[str, Modal]
    manifest: dict[str, Any] | None = None
    changes: Mapping[str, Change] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"Checkpoint(dialect={self.dialect!r}, layers={self.layers!r})"

    @property
    def dialect(self) -> str:
        """Name of the dialect of its layers."""
        return self._dialect.name

    @property
    def _dialect(self) -> Dialect:
        return self.found.distinct[0].dialect

    @property
    def layers(self) -> dict[str, Modal]:
        """The layers as systems, by name."""
        return {**self.original, **{name: change.system for name, change in self.changes.items()}}

    @cached_property
    def tensors(self) -> dict[str, np.ndarray]:
        """All tensors, by key in the file."""
        return self.merged(change.export for change in self.changes.values())

    @cached_property
    def plain(self) -> dict[str, np.ndarray]:
        """The tensors of the file, by their keys without training wrappers."""
        return plain_tensors(self.source.tensors)

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
        return self._dialect.readout

    @property
    def n_parameters(self) -> int:
        """Number of entries of all tensors; tied ones count once."""
        return sum(x.size for x in self._untied())

    @property
    def nbytes(self) -> int:
        """Bytes of all tensors; tied ones count once."""
        return sum(x.nbytes for x in self._untied())

    def _untied(self) -> list[np.ndarray]:
        tensors, ties = self.tensors, self.source.ties
        copies = {key for first, *others in ties for key in others if same_bits(tensors[first], tensors[key])}
        return [x for key, x in tensors.items() if key not in copies]

    @property
    def tied(self) -> list[list[str]]:
        """Names of layers in groups, of more than one, that share all their tensors."""
        return [list(group) for group in self.found.groups if len(group) > 1]

    @property
    def leave(self) -> frozenset[str]:
        """Tensors beside layers that are known to have nothing to do with their states."""
        return self.found.distinct[0].leave

    @property
    def holds_unstable(self) -> bool:
        """Whether layers of this dialect can be unstable."""
        return self._dialect.holds_unstable

    @property
    def beside(self) -> dict[str, dict[str, tuple[int, ...]]]:
        """By layer, tensors beside it that may belong to its states, and their shapes; not those to leave."""
        near = {name: beside_states(x, self.plain) for name, x in self.found.items()}
        return {name: shapes for name, shapes in near.items() if shapes}

    @property
    def notes(self) -> list[str]:
        """What looks like a layer, or like a part of one, and is none of `layers`; zeros beside layers."""
        layers = self.found.values()
        strange = not_recognised(self.plain, self._dialect, [layer.prefix for layer in layers])
        zeros = [note for layer in layers for note in zero_notes(layer, self.plain)]
        return [*shard_note(self.path), *strange, *zeros]

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
        self.found.check_names([name])
        own = self.found[name].dialect.readout
        return read_out(self.layers[name], own if readout is None else readout)

    def check_beside(self, names: Iterable[str] | None = None) -> None:
        """Raise if one of the layers `names`, or any, cannot be reduced for what stands beside it.

        Raises
        ------
        CheckpointError
            Naming the tensors, with the way out.
        """
        for name in self.found if names is None else names:
            with at(self.found[name]):
                check_beside(self.found[name], self.plain)

    @property
    def rounding(self) -> dict[str, float]:
        """By replaced layer: upper limit of the H-infinity error that the type of the file adds."""
        return {name: change.export.rounding for name, change in self.changes.items()}

    @property
    def same_unstable(self) -> dict[str, bool]:
        """By replaced layer: whether its unstable modes are those of before to the last bit."""
        return {name: change.export.same_unstable for name, change in self.changes.items()}

    @property
    def caveats(self) -> dict[str, list[str]]:
        """By replaced layer: what the user of the written layer should know of it."""
        return {name: self.found[name].dialect.caveats(x.system) for name, x in self.changes.items()}

    @property
    def altered(self) -> list[str]:
        """Layers whose tensors are not those that the manifest was written with."""
        if self.manifest is None:
            return list(self.layers) if has_stale_manifest(self.source) else []
        records = self.manifest["layers"]
        recorded = {name: records[name].get("sha256") for name in self.found if name in records}
        return [n for n, sha in recorded.items() if sha and sha != self.found[n].digest(self.plain)]

    @property
    def outside(self) -> dict[str, np.ndarray]:
        """Tensors that belong to no layer, by their keys without training wrappers."""
        own = {key for layer in self.found.values() for key in layer.keys}
        return {key: x for key, x in plain_tensors(self.tensors).items() if key not in own}

    def same_outside(self, key: str, new: np.ndarray) -> bool:
        """Whether `new` is the tensor `key` outside the layers to the bit, or zeros cut with one."""
        zeros: dict[str, int | None] = {}
        for layer in self.found.values():
            zeros |= zeros_beside(layer, self.plain)
        old, axis = self.outside[key], zeros.get(key)
        return same_bits(old, new) or (axis is not None and is_resized(old, new, axis))

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
        changes = self.found.rewritten(self.plain, self.original, systems)
        return replace(self, changes={**self.changes, **changes})

    def merged(self, exports: Iterable[Export]) -> dict[str, np.ndarray]:
        """The file's tensors with new ones of layers, which are named without training wrappers."""
        keys = plain_keys(self.source.tensors)
        new = {keys[plain]: x for made in exports for plain, x in made.tensors.items()}
        return {**self.source.tensors, **new}

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
        return write_checkpoint(self, Path(path), force=force, pad=pad, equal=equal)
