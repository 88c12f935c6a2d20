"""What a checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mor.adapters.checkpoints import Checkpoint
from mor.adapters.checkpoints.formats.tensors import files_of
from mor.deep.inspect import ENERGY_LEVELS, LayerInspection, inspect_layer
from mor.deep.progress import Progress, counted
from mor.report.document import Cell, Document, Note, Table, Text, note, notes, number, size

_SHARES = [f"{100 * level:g} %" for level in ENERGY_LEVELS]


@dataclass(frozen=True)
class Inspection:
    """`mor inspect`: layers, orders, spectral radii, decay.

    Attributes
    ----------
    bytes, bytes_on_disk : of the tensors, and of the file or the index and all its shards.
    states : real states that do something, of layers that share their tensors once.
    tied : names of layers that share their tensors.
    beside : by layer, tensors that may belong to its states, and their shapes.
    """

    file: str
    dialect: str
    readout: str
    parameters: int
    bytes: int
    bytes_on_disk: int
    states: int
    compressed_before: bool
    tied: list[list[str]]
    beside: dict[str, dict[str, list[int]]]
    notes: list[str]
    layers: list[LayerInspection]

    def document(self) -> Document:
        """One row a layer."""
        before = ", compressed before" if self.compressed_before else ""
        first = note(
            Text(self.file, "strong"),
            ": dialect ",
            Text(self.dialect, "strong"),
            f", {self.parameters:,} parameters, {size(self.bytes)} of tensors, "
            f"{size(self.bytes_on_disk)} on disk, {self.states:,} states{before}",
        )
        beside = (
            f"{name}: {', '.join(f'{key} {tuple(shape)}' for key, shape in tensors.items())} may belong "
            "to its states; unless it is zero, compress asks for --leave"
            for name, tensors in self.beside.items()
        )
        last = note(
            "HSV: the largest Hankel singular value; columns in %: states that hold this share of all."
        )
        head = ("layer", "systems", "states", "in x out", "radius", "HSV", *_SHARES)
        return [
            first,
            *file_notes(self.notes, self.tied),
            *notes(*beside, tone="warning"),
            Table(head, tuple(map(_row, self.layers))),
            last,
        ]


def _row(layer: LayerInspection) -> tuple[Cell, ...]:
    counts = layer.states_for_energy
    unstable = [f"{layer.unstable_modes} unstable", *[""] * (len(ENERGY_LEVELS) - 1)]
    return (
        layer.name,
        layer.systems,
        layer.states,
        f"{layer.inputs} x {layer.outputs}",
        f"{layer.spectral_radius:.4f}",
        number(layer.hsv_largest),
        *(counts.values() if counts else unstable),
    )


def file_notes(remarks: list[str], tied: list[list[str]]) -> list[Note]:
    """What of the file is none of its layers, and what is several."""
    return notes(*remarks, tone="warning") + notes(*(f"One layer: {', '.join(group)}" for group in tied))


def inspection(checkpoint: Checkpoint, progress: Progress | None = None) -> Inspection:
    """What a checkpoint holds."""
    twins = {name for group in checkpoint.tied for name in group[1:]}
    return Inspection(
        file=str(checkpoint.path),
        dialect=checkpoint.dialect,
        readout=checkpoint.readout,
        parameters=checkpoint.n_parameters,
        bytes=checkpoint.nbytes,
        bytes_on_disk=size_on_disk(checkpoint),
        states=sum(int(np.sum(x.working_states)) for n, x in checkpoint.layers.items() if n not in twins),
        compressed_before=checkpoint.manifest is not None,
        tied=checkpoint.tied,
        beside={name: {k: list(x) for k, x in near.items()} for name, near in checkpoint.beside.items()},
        notes=checkpoint.notes,
        layers=[
            inspect_layer(*layer)
            for layer in counted("Inspecting layers", checkpoint.layers.items(), progress)
        ],
    )


def size_on_disk(checkpoint: Checkpoint) -> int:
    """Bytes of the file that was read, or of the index and all its shards."""
    return sum(path.stat().st_size for path in files_of(checkpoint.path))
