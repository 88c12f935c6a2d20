"""A report as notes and tables, of which what a terminal prints is one view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

#: How something is said; how that looks is for the view to decide.
Tone = Literal["plain", "strong", "good", "warning", "bad"]


@dataclass(frozen=True)
class Text:
    """Words with a tone of their own."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Note:
    """A line or a paragraph."""

    words: tuple[str | Text, ...]
    tone: Tone = "plain"


@dataclass(frozen=True)
class Table:
    """Rows below a head, numbers to the right.

    Attributes
    ----------
    repeated : where the table may be broken into several beside each other, so many of its first
        columns stand in each; None keeps it whole.
    """

    head: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    title: str = ""
    repeated: int | None = None


#: What stands at one place of a table.
Cell = str | int | Text

Document = Sequence[Note | Table]


class Reportable(Protocol):
    """Data, a frozen dataclass, that says how people read it."""

    def document(self) -> Document: ...


def note(*words: str | Text, tone: Tone = "plain") -> Note:
    """A note of these words."""
    return Note(words, tone)


def notes(*texts: str | None, tone: Tone = "plain") -> list[Note]:
    """A note of each text that there is."""
    return [note(text, tone=tone) for text in texts if text]


def number(value: float | None) -> str:
    """Three digits, a dash for nothing."""
    return "-" if value is None or not math.isfinite(value) else f"{value:.3g}"


def percent(share: float | None) -> str:
    """Three digits, a dash for nothing."""
    return number(None if share is None else 100 * share)


def size(count: float) -> str:
    """Bytes in a unit that reads well."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""


def moment(dt: float) -> str:
    """Which time a system lives in."""
    return f"discrete, dt={dt:g}" if dt else "continuous"


def yes(value: bool) -> Text:
    """A condition that should hold."""
    return Text("yes") if value else Text("NO", "bad")
