"""MATLAB's ``.mat`` of versions 5 to 7: a chain of elements, each with its type and length.

Only numbers, text, cells of text and structs of them are read, each through bounds that are checked.
Source: [MathWorks], chapter 1.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import scipy.sparse

from mor.adapters.limits import Budget
from mor.adapters.system_files.variables import Variable, damaged, sparse_matrix, spend_numbers

#: Types of stored numbers.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
#: Encodings of text; 16-bit integers are UTF-16.
_TEXT = {1: "latin-1", 2: "utf-8", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_MATRIX, _COMPRESSED = 14, 15

#: Classes of numbers from 6 on, called as NumPy's types are; all classes by their number.
_NUMBERS = (
    "double", "single", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64",
)  # fmt: skip
_CLASSES = ("unknown", "cell", "struct", "object", "char", "sparse", *_NUMBERS, "function", "opaque")

#: Bytes of the file's head, and so many of a variable that hold its name and class.
_HEAD, _START = 128, 4096


def variables(file: BinaryIO, budget: Budget) -> dict[str, Variable]:
    """By name, the variables of a file of version 5."""
    order = "<" if file.read(_HEAD)[126:128] == b"IM" else ">"
    found: dict[str, Variable] = {}
    end, place = file.seek(0, 2), file.seek(_HEAD)
    while place + 8 <= end:
        kind, size = struct.unpack(order + "II", file.read(8))
        if kind not in (_MATRIX, _COMPRESSED):
            raise damaged(f"an element of type {kind} where a variable should be")
        if place + 8 + size > end:
            raise damaged("the file is cut off")
        packed = kind == _COMPRESSED
        start = file.read(min(size, _START))
        body = _inflated(start, _START)[8:] if packed else start
        matrix = _Matrix.of(memoryview(body), order, budget)
        if matrix.name:
            read = partial(_read_at, file, place + 8, size, packed, order, budget)
            found[matrix.name] = Variable(matrix.kind, read)
        place = file.seek(place + 8 + size)
    return found


def _read_at(file: BinaryIO, place: int, size: int, packed: bool, order: str, budget: Budget) -> Any:
    file.seek(place)
    data = file.read(size)
    if packed:
        kind, size = struct.unpack(order + "II", _inflated(data[:_START], 8))
        if kind != _MATRIX:
            raise damaged("a compressed element that is no variable")
        budget.spend(size, "a compressed variable")
        data = _inflated(data, 8 + size, whole=True)[8:]
    return _Matrix.of(memoryview(data), order, budget).value()


def _inflated(data: bytes, limit: int, *, whole: bool = False) -> bytes:
    """The first `limit` bytes of what was compressed; or the whole, which then is so long.

    Only at its end the checksum is compared, so that what is taken for numbers is read to the end.
    """
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(data, limit + whole)
    except zlib.error as error:
        raise damaged(error) from error
    if len(found) < 8 or (whole and not (unpacker.eof and len(found) == limit)):
        raise damaged("a compressed variable is cut off, or not as long as it says")
    return found


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """Types and bytes of the elements in `data`."""
    place = 0
    while place + 8 <= len(data):
        first, size = struct.unpack_from(order + "II", data, place)
        if first >> 16:  # The small form: type, length and up to four bytes in one tag.
            kind, size, start, step = first & 0xFFFF, first >> 16, place + 4, 8
            if size > 4:
                raise damaged("a small element of more than four bytes")
        else:
            kind, start, step = first, place + 8, 8 + size + -size % 8
        if start + size > len(data):
            raise damaged("a variable is cut off")
        yield kind, data[start : start + size]
        place += step


@dataclass(frozen=True)
class _Matrix:
    """The head of a variable, and the elements that follow it."""

    kind: str
    is_complex: bool
    shape: tuple[int, ...]
    name: str
    parts: Iterator[tuple[int, memoryview]]
    order: str
    budget: Budget

    @classmethod
    def of(cls, data: memoryview, order: str, budget: Budget) -> _Matrix:
        parts = _elements(data, order)
        flags = _integers(parts, order)
        if len(flags) < 2:
            return cls("unknown", False, (0, 0), "", parts, order, budget)
        number = flags[0] & 0xFF
        kind = _CLASSES[number] if number < len(_CLASSES) else "unknown"
        shape = () if kind == "opaque" else tuple(_integers(parts, order))
        if any(size < 0 for size in shape) or len(shape) > 32:
            raise damaged(f"a variable of shape {shape}")
        name = bytes(_next(parts)[1]).decode("latin-1")
        return cls(kind, bool(flags[0] & 0x800), shape, name, parts, order, budget)

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def value(self) -> Any:
        if self.kind in _NUMBERS:
            self._spend(self.size)
            return self._numbers(self.size, self.kind).reshape(self.shape, order="F")
        readers = {"sparse": self._sparse, "char": self._text, "cell": self._cell, "struct": self._struct}
        return readers[self.kind]() if self.kind in readers else None

    def _numbers(self, count: int | None, kind: str) -> np.ndarray:
        """`count` entries, all there are for None."""
        parts = [self._stored(count) for _ in range(1 + self.is_complex)]
        if not self.is_complex:
            return parts[0].astype(kind, copy=False)
        if parts[0].size != parts[1].size:
            raise damaged(f"{self._place} has real and imaginary parts of unlike length")
        x = np.empty(parts[0].size, "c8" if kind == "single" else "c16")
        x.real, x.imag = parts
        return x

    def _stored(self, count: int | None) -> np.ndarray:
        kind, data = _next(self.parts)
        if kind not in _STORED:
            raise damaged(f"numbers of the unknown type {kind}")
        found = _whole(data, self.order + _STORED[kind])
        if count is not None and found.size != count:
            raise damaged(f"{self._place} has {found.size} entries for the shape {self.shape}")
        return found.astype(found.dtype.newbyteorder("="), copy=False)

    def _sparse(self) -> Any:
        if len(self.shape) != 2:
            raise damaged(f"a sparse matrix of shape {self.shape}")
        indices, pointers = (_whole(_next(self.parts)[1], self.order + "i4") for _ in range(2))
        self._spend(indices.size)
        stored = (self._numbers(None, "double"), indices, pointers)
        return sparse_matrix(scipy.sparse.csc_array, stored, self.shape, self.name)

    def _text(self) -> list[str | None]:
        """One string a row."""
        kind, data = _next(self.parts)
        if kind not in _TEXT:
            raise damaged(f"text of the unknown type {kind}")
        self.budget.spend(4 * len(data), "text")
        encoding = _TEXT[kind]
        if encoding not in ("latin-1", "utf-8"):
            encoding += "-le" if self.order == "<" else "-be"
        text = bytes(data).decode(encoding, "replace")
        if len(self.shape) != 2 or len(text) != self.size or self.shape[0] < 2:
            return [text.rstrip()] if text else []
        return [text[row :: self.shape[0]].rstrip() for row in range(self.shape[0])]

    def _cell(self) -> list[str | None]:
        """The text in each cell, None for what is none."""
        return [_first(self._inner(data)) for kind, data in self.parts if kind == _MATRIX]

    def _struct(self) -> dict[str, Variable]:
        """The fields of a struct; none of an array of structs."""
        if self.size != 1:
            return {}
        (length, *_), (_, names) = _integers(self.parts, self.order) or [0], _next(self.parts)
        if length < 1:
            raise damaged("a struct whose field names have no length")
        text = bytes(names)
        fields = [text[i : i + length].split(b"\0")[0].decode("latin-1") for i in range(0, len(text), length)]
        inner = {field: self._inner(_next(self.parts)[1]) for field in fields}
        return {field: Variable(matrix.kind, matrix.value) for field, matrix in inner.items()}

    def _inner(self, data: memoryview) -> _Matrix:
        return _Matrix.of(data, self.order, self.budget)

    @property
    def _place(self) -> str:
        return self.name or "a field"

    def _spend(self, count: int) -> None:
        spend_numbers(self.budget, count, is_complex=self.is_complex, name=self._place)


def _first(cell: _Matrix) -> str | None:
    if cell.size == 0:
        return ""
    text = cell.value() if cell.kind == "char" else [None]
    return text[0] if text else ""


def _next(parts: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
    part = next(parts, None)
    if part is None:
        raise damaged("a variable is cut off")
    return part


def _integers(parts: Iterator[tuple[int, memoryview]], order: str) -> list[int]:
    """The next element as signed integers of 32 bits; none where there is no next."""
    return _whole(next(parts, (0, b""))[1], order + "i4").tolist()


def _whole(data: bytes | memoryview, kind: str) -> np.ndarray:
    """As many whole numbers of a kind as there are."""
    dtype = np.dtype(kind)
    return np.frombuffer(data[: len(data) // dtype.itemsize * dtype.itemsize], dtype)
