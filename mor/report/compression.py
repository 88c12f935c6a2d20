"""What a compression keeps of each layer, what it costs and what is guaranteed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mor.adapters.checkpoints import Checkpoint, read_checkpoint
from mor.adapters.checkpoints.formats.tensors import check_checkpoint_output
from mor.adapters.checkpoints.manifest import total_bound
from mor.adapters.checkpoints.verification import key_in
from mor.arrays import to_numpy
from mor.deep.compare import LayerComparison
from mor.deep.compress import Compression, compress
from mor.deep.inspect import largest_order, relative_bound
from mor.deep.progress import Progress
from mor.deep.ranks import check_keep
from mor.equations.boundary import margins
from mor.report.document import Cell, Document, Note, Table, Text, note, notes, number, size
from mor.report.inspection import file_notes, size_on_disk


@dataclass(frozen=True)
class CompressedLayer:
    """One layer before and after.

    Attributes
    ----------
    systems : how many the layer is a batch of.
    states_before, states_after : real ones that do something, of a batch the most of any system.
    truncation_bound, roundoff, rounding_bound : parts of the error bound: of what was left out, of the
        computation in double precision, of the type that the file stores.
    error_bound : their sum; None where there is no guarantee.
    relative_bound : that over a limit below the layer's own gain; above 1 it says nothing.
    """

    name: str
    systems: int
    states_before: int
    states_after: int
    modes_before: int
    modes_after: int
    energy_kept: float
    truncation_bound: float | None
    roundoff: float
    rounding_bound: float
    unstable_modes: int
    same_unstable_modes: bool
    error_bound: float | None
    relative_bound: float | None
    method: str
    note: str | None


@dataclass(frozen=True)
class Plan:
    """`mor plan`: pairs are before and after."""

    input: str
    dialect: str
    notes: list[str]
    tied: list[list[str]]
    keep: float
    ranks: str
    states: tuple[int, int]
    bytes: tuple[int, int]
    parameters: tuple[int, int]
    seconds: float
    layers: list[CompressedLayer]

    def document(self) -> Document:
        """One row a layer, sizes, and what is guaranteed."""
        head = ("layer", "states", "kept", "energy", "bound", "relative")
        return [
            *file_notes(self.notes, self.tied),
            Table(head, tuple(map(_row, self.layers))),
            *notes(*(f"{layer.name}: {layer.note}" for layer in self.layers if layer.note)),
            *self._sizes(),
            *unequal(self.layers),
            *self._guarantee(),
        ]

    def _sizes(self) -> list[Note]:
        return notes(
            _shrunk("states", self.states),
            _shrunk("parameters", self.parameters),
            _shrunk("bytes", self.bytes, size),
        )

    def _guarantee(self) -> list[Note]:
        if any(layer.error_bound is None for layer in self.layers):
            return notes("No guarantee: a time-limited reduction has no error bound.")
        others = "" if all(layer.same_unstable_modes for layer in self.layers) else "other "
        vacuous = sum((layer.relative_bound or 0) > 1 for layer in self.layers)
        warning = (
            f"A relative bound above 1 says nothing: so it is with {vacuous} of {len(self.layers)} "
            "layers, whose error may be as large as their output. Measure it with `mor verify`, and the "
            "network on your own data."
        )
        return notes(
            f"Guarantee: for any input, each {others}layer's output error in the l2 norm "
            "is at most its error bound times the input's. It counts truncation and rounding; `relative` is "
            "the bound over the largest Hankel singular value, below which the layer's own gain cannot lie.",
            warning if vacuous else None,
        )


@dataclass(frozen=True)
class WrittenCompression(Plan):
    """`mor compress`: the plan carried out."""

    output: str
    padded: bool
    equal: bool
    bytes_on_disk: int
    disk: tuple[int, int]

    def document(self) -> Document:
        """The plan, and what was written."""
        return [
            *super().document(),
            note("Wrote ", Text(self.output, "strong"), f" in {self.seconds:.1f} s."),
        ]

    def _sizes(self) -> list[Note]:
        return super()._sizes() + notes(_shrunk("disk", self.disk, size))


def _row(layer: CompressedLayer) -> tuple[Cell, ...]:
    copies = f" x {layer.systems}" if layer.systems > 1 else ""
    return (
        layer.name,
        layer.states_before,
        f"{layer.states_after}{copies}",
        f"{100 * layer.energy_kept:.2f} %",
        number(layer.error_bound),
        number(layer.relative_bound),
    )


def _shrunk(what: str, pair: tuple[int, int], shown: Callable[[int], str] = "{:,}".format) -> str:
    before, after = pair
    return f"{what:>10}  {shown(before)} -> {shown(after)}  ({100 * after / max(before, 1):.1f} %)"


def unequal(layers: Sequence[CompressedLayer | LayerComparison]) -> list[Note]:
    """Of layers whose bound limits gains, but no signals."""
    names = [layer.name for layer in layers if not layer.same_unstable_modes]
    why = (
        f"{', '.join(names)}: unstable modes differ from those of before, by rounding at least, so that "
        "the error of a signal grows without limit. Errors and bounds are the largest gain over "
        "frequency."
    )
    return notes(why if names else None, tone="warning")


def plan(
    path: Path, reading: Mapping[str, Any], options: Mapping[str, Any], progress: Progress | None = None
) -> Plan:
    """What :func:`write_compressed` would do with these options.

    Parameters
    ----------
    reading : keywords of :func:`mor.read_checkpoint`.
    options : keywords of :func:`mor.deep.compress`.
    """
    return Plan(**_run(path, reading, options, progress)[1])


def write_compressed(
    path: Path,
    output: Path,
    reading: Mapping[str, Any],
    options: Mapping[str, Any],
    *,
    pad: bool = False,
    equal: bool = False,
    force: bool = False,
    progress: Progress | None = None,
) -> WrittenCompression:
    """Compress the checkpoint at `path` and write it to `output`; options as in :func:`plan`."""
    check_checkpoint_output(output, path, force=force)
    model, found = _run(path, reading, options, progress)
    model.write(output, force=force, pad=pad, equal=equal)
    if pad or equal:
        written = read_checkpoint(output, model.dialect, key=key_in(output, reading.get("key")))
        found["bytes"] = found["bytes"][0], written.nbytes
        found["parameters"] = found["parameters"][0], written.n_parameters
    on_disk = output.stat().st_size
    return WrittenCompression(
        **found,
        output=str(output),
        padded=pad,
        equal=equal,
        bytes_on_disk=on_disk,
        disk=(size_on_disk(model), on_disk),
    )


def _run(
    path: Path, reading: Mapping[str, Any], options: Mapping[str, Any], progress: Progress | None
) -> tuple[Checkpoint, dict[str, Any]]:
    """The compressed checkpoint, and the fields of its plan."""
    check_keep(options["keep"])
    start = time.perf_counter()
    before = read_checkpoint(path, **reading)
    before.check_beside()
    result = compress(before, **options, progress=progress)
    after = result.model
    return after, {
        "input": str(before.path),
        "dialect": before.dialect,
        "notes": before.notes,
        "tied": before.tied,
        "keep": result.keep,
        "ranks": result.ranks,
        "states": result.states,
        "bytes": (before.nbytes, after.nbytes),
        "parameters": (before.n_parameters, after.n_parameters),
        "layers": [_layer(before, result, name) for name in result.reductions],
        "seconds": time.perf_counter() - start,
    }


def _layer(before: Checkpoint, result: Compression[Checkpoint], name: str) -> CompressedLayer:
    old, new = before.layers[name], result.model.layers[name]
    reduction, rounding = result.reductions[name], result.model.rounding[name]
    remarks = [reduction.diagnostics.get("note"), *result.model.caveats.get(name, [])]
    bound = total_bound(reduction.error_bound, reduction.roundoff, rounding)
    return CompressedLayer(
        name=name,
        systems=math.prod(old.batch_shape),
        states_before=largest_order(old),
        states_after=largest_order(new),
        modes_before=old.n_modes,
        modes_after=new.n_modes,
        energy_kept=reduction.energy,
        truncation_bound=reduction.error_bound,
        roundoff=reduction.roundoff,
        rounding_bound=rounding,
        unstable_modes=int(np.sum(margins(to_numpy(new.poles), 1.0) <= 0)),
        same_unstable_modes=result.model.same_unstable[name],
        error_bound=bound,
        relative_bound=relative_bound(bound, reduction.hsv),
        method=reduction.method,
        note="; ".join(filter(None, remarks)) or None,
    )
