"""What of a compressed checkpoint holds."""

from __future__ import annotations

from dataclasses import dataclass

from mor.adapters.checkpoints.verification import Verification
from mor.deep.compare import LayerComparison
from mor.report.compression import unequal
from mor.report.document import Cell, Document, Note, Table, Text, note, notes, number

_HOLDS = {True: Text("yes", "good"), False: Text("NO", "bad"), None: Text("no bound")}


@dataclass(frozen=True)
class VerificationReport(Verification):
    """`mor verify`."""

    def document(self) -> Document:
        """One row a layer, and what is wrong."""
        head = ("layer", "states", "now", "impulse error", "peak error", "bound", "holds")
        return [
            Table(head, tuple(map(_row, self.layers))),
            note("Errors of the state-space part, without D: impulse response in l2, largest gain found."),
            *unequal(self.layers),
            *_what_is_wrong(self),
            *_manifest(self),
            *notes(self.nothing_verified, tone="bad"),
        ]


def _row(layer: LayerComparison) -> tuple[Cell, ...]:
    return (
        layer.name,
        layer.states_before,
        layer.states_after,
        f"{100 * layer.impulse_error:.4g} %",
        number(layer.peak_error),
        number(layer.bound),
        _HOLDS[layer.holds],
    )


def _what_is_wrong(found: Verification) -> list[Note]:
    wrong = _listed({"Changed since it was written": found.altered, "Layers missing": found.missing_layers})
    if found.made_from_another_file:
        wrong.append("By its manifest the compressed file was made from another original.")
    wrong += [
        f"{layer.name}: the feedthrough D has changed." for layer in found.layers if layer.feedthrough_changed
    ]
    outside = {
        "changed": found.changed_tensors,
        "missing": found.missing_tensors,
        "added": found.added_tensors,
    }
    wrong += _listed({f"Tensors {what} outside the layers": names for what, names in outside.items()})
    return notes(*wrong, tone="bad")


def _listed(names: dict[str, list[str]]) -> list[str]:
    return [f"{what}: {', '.join(found)}" for what, found in names.items() if found]


def _manifest(found: Verification) -> list[Note]:
    if found.stale_manifest:
        return notes(
            f"The manifest {found.stale_manifest} belongs to another file: this one was saved again, or "
            "put in its place. Errors are measured, none is promised.",
            tone="bad",
        )
    nothing = "The file has no manifest: errors are measured, none is promised."
    return notes(None if found.manifest else nothing, tone="warning")
