"""The text of one Matrix Market file: a head that says what there is, then numbers.

Source: [Boisvert96].
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedIOBase

import numpy as np

from mor.adapters.limits import Budget
from mor.equations.sparse import check_dense_order

#: Bytes of the head, comments and all: names of 5000 states take less than a hundredth of it.
_HEAD = 1 << 24

#: Bytes of text that are in memory at once, and of the longest number.
_PIECE, _NUMBER = 1 << 20, 1 << 10

_FORMS, _SYMMETRIES = ("array", "coordinate"), ("general", "symmetric", "skew-symmetric", "hermitian")

#: Numbers that an entry has.
_WIDTHS = {"real": 1, "double": 1, "integer": 1, "unsigned-integer": 1, "complex": 2, "pattern": 0}


@dataclass(frozen=True)
class _Kind:
    """What the head says.

    Attributes
    ----------
    shape : rows and columns.
    width : numbers an entry: 1, 2 if they are complex, 0 if it is one where it is stored.
    stored : entries that have a place each; None if all stand one after the other, by columns.
    symmetry : of the matrix, of which then the lower triangle is stored.
    """

    shape: tuple[int, int]
    width: int
    stored: int | None
    symmetry: str

    @classmethod
    def of(cls, banner: bytes, sizes: bytes) -> _Kind:
        words = banner.decode("ascii", "replace").lower().split()
        numbers = [int(x) for x in sizes.split()]
        known = len(words) == 5 and words[:2] == ["%%matrixmarket", "matrix"] and words[2] in _FORMS
        if not known or words[3] not in _WIDTHS or words[4] not in _SYMMETRIES:
            raise ValueError(f"its first line is {banner[:80]!r}")
        stored = words[2] == "coordinate"
        if len(numbers) != 2 + stored or min(numbers) < 0 or (words[3] == "pattern" and not stored):
            raise ValueError(f"its sizes are {sizes[:80]!r}")
        if words[4] != "general" and numbers[0] != numbers[1]:
            raise ValueError(f"it is {words[4]} and not square")
        return cls((numbers[0], numbers[1]), _WIDTHS[words[3]], numbers[2] if stored else None, words[4])

    @property
    def count(self) -> int:
        """Entries in the text."""
        rows, columns = self.shape
        if self.stored is not None:
            return self.stored
        triangles = {"general": rows * columns, "skew-symmetric": rows * (rows - 1) // 2}
        return triangles.get(self.symmetry, rows * (rows + 1) // 2)


def read_matrix(name: str, file: BufferedIOBase, budget: Budget) -> tuple[list[bytes], np.ndarray]:
    """The lines of the head and the matrix, dense.

    The text itself is never kept: a compressed one may be of any length.

    Raises
    ------
    ValueError
        If it is not in the format, or its numbers are not as many as the head says.
    DimensionError
        If it is sparse and of an order above 5000.
    MorError
        If the matrix takes more than the budget.
    """
    head = _head(file)
    kind = _Kind.of(head[0], head[-1])
    (rows, columns), entry = kind.shape, 16 if kind.width == 2 else 8
    if kind.stored is not None:
        check_dense_order(max(rows, columns), name)
        budget.spend(kind.stored * (16 + 8 * kind.width), f"what is stored of {name}")
    budget.spend(rows * columns * entry, name)
    numbers = _numbers(file, kind.count * (kind.width + 2 * (kind.stored is not None)))
    x = np.zeros(kind.shape, complex if kind.width == 2 else float)
    if kind.stored is not None:
        i, j, entries = _placed(numbers.reshape(kind.count, -1), kind)
        np.add.at(x, (i, j), entries)
    elif kind.symmetry == "general":
        return head, _entries(numbers, kind).reshape(kind.shape, order="F")
    else:
        j, i = np.triu_indices(rows, 1 if kind.symmetry == "skew-symmetric" else 0)
        x[i, j] = entries = _entries(numbers, kind)
    if kind.symmetry != "general":
        off = i != j
        np.add.at(x, (j[off], i[off]), _mirrored(entries[off], kind.symmetry))
    return head, x


def _head(file: BufferedIOBase) -> list[bytes]:
    """The lines down to the one with the sizes."""
    lines: list[bytes] = []
    room = _HEAD
    while not lines or lines[-1].startswith(b"%") or not lines[-1].strip():
        lines.append(file.readline(room + 1))
        room -= len(lines[-1])
        if room < 0:
            raise ValueError(f"it has more than {_HEAD:,} bytes of comments")
        if not lines[-1] or not lines[0].startswith(b"%%"):
            raise ValueError("it does not begin like one, or ends before its sizes")
    return lines


def _numbers(file: BufferedIOBase, count: int) -> np.ndarray:
    """All numbers below the head, which must be so many."""
    parts, found = [], 0
    for text in _pieces(file):
        # Python's own spelling of numbers allows more than the format.
        if b"_" in text:
            break
        parts.append(np.fromiter(map(float, text.split()), float))
        found += parts[-1].size
        if found > count:
            break
    if found != count:
        raise ValueError(f"it does not have the {count} numbers that its head promises")
    return np.concatenate([np.zeros(0), *parts])


def _pieces(file: BufferedIOBase) -> Iterator[bytes]:
    """The rest of the file in pieces that end between numbers."""
    rest = b""
    while read := file.read(_PIECE):
        text = rest + read
        end = max(text.rfind(b"\n"), text.rfind(b" "), text.rfind(b"\t")) + 1
        if len(text) - end > _NUMBER:
            raise ValueError(f"a number has more than {_NUMBER} digits")
        yield text[:end]
        rest = text[end:]
    yield rest


def _entries(numbers: np.ndarray, kind: _Kind) -> np.ndarray:
    return numbers.view(complex) if kind.width == 2 else numbers


def _placed(table: np.ndarray, kind: _Kind) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, columns and entries."""
    places = table[:, :2]
    if places.size and not (np.all(places >= 1) and np.all(places <= kind.shape) and np.all(places % 1 == 0)):
        raise ValueError(f"an entry stands outside of the shape {kind.shape}")
    i, j = places.astype(int).T - 1
    entries = _entries(np.ascontiguousarray(table[:, 2:]).ravel(), kind) if kind.width else np.ones(len(i))
    return i, j, entries


def _mirrored(entries: np.ndarray, symmetry: str) -> np.ndarray:
    """The entries above the diagonal, of those below it."""
    return {"symmetric": entries, "skew-symmetric": -entries, "hermitian": np.conj(entries)}[symmetry]
