"""MATLAB's ``.mat`` of versions 5 to 7: a chain of elements, each with its type and length.

Only numbers, text, cells of text and structs of them are read, each through bounds that are checked.
Source: [MathWorks], chapter 1.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, BinaryIO

import numpy as np
import scipy.sparse

from mor.adapters.limits import Budget
from mor.adapters.system_files.variables import Variable, damaged, spend_numbers

#: Types of stored numbers.
_STORED = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
#: Encodings of text; 16-bit integers are UTF-16.
_TEXT = {1: "latin-1", 2: "utf-8", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_MATRIX, _COMPRESSED = 14, 15

#: Classes by number; those of numbers are called as NumPy's types, but for the two of floating point.
_CLASSES = {
    1: "cell", 2: "struct", 3: "object", 4: "char", 5: "sparse", 6: "double", 7: "single",
    8: "int8", 9: "uint8", 10: "int16", 11: "uint16", 12: "int32", 13: "uint32", 14: "int64", 15: "uint64",
    16: "function", 17: "opaque",
}  # fmt: skip
_NUMBERS = {6: "f8", 7: "f4"} | {number: _CLASSES[number] for number in range(8, 16)}
_CELL, _STRUCT, _CHAR, _SPARSE, _OPAQUE = 1, 2, 4, 5, 17

#: Bytes of the file's head, and so many of a variable that hold its name and class.
_HEAD, _START = 128, 4096


@dataclass(frozen=True)
class _Context:
    """What elements are read with: the byte order, and the file's budget."""

    order: str
    budget: Budget


def variables(file: BinaryIO, budget: Budget) -> dict[str, Variable]:
    """By name, the variables of a file of version 5."""
    order = "<" if file.read(_HEAD)[126:128] == b"IM" else ">"
    context, found = _Context(order, budget), {}
    end = file.seek(0, 2)
    place = file.seek(_HEAD)
    while place + 8 <= end:
        kind, size = (int(x) for x in np.frombuffer(file.read(8), order + "u4"))
        if kind not in (_MATRIX, _COMPRESSED):
            raise damaged(f"an element of type {kind} where a variable should be")
        if place + 8 + size > end:
            raise damaged("the file is cut off")
        packed = kind == _COMPRESSED
        start = file.read(min(size, _START))
        body = _inflated(start, _START)[8:] if packed else start
        matrix = _Matrix.of(memoryview(body), context)
        if matrix.name:
            read = partial(_read_at, file, place + 8, size, packed, context)
            found[matrix.name] = Variable(matrix.kind, read)
        place = file.seek(place + 8 + size)
    return found


def _read_at(file: BinaryIO, place: int, size: int, packed: bool, context: _Context) -> Any:
    file.seek(place)
    data = file.read(size)
    if packed:
        kind, size = (int(x) for x in np.frombuffer(_inflated(data[:_START], 8), context.order + "u4"))
        if kind != _MATRIX:
            raise damaged("a compressed element that is no variable")
        context.budget.spend(size, "a compressed variable")
        data = _inflated(data, 8 + size, whole=True)[8:]
    return _Matrix.of(memoryview(data), context).value()


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
        first, size = (int(x) for x in np.frombuffer(data[place : place + 8], order + "u4"))
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

    number: int
    is_complex: bool
    shape: tuple[int, ...]
    name: str
    parts: Iterator[tuple[int, memoryview]]
    context: _Context

    @classmethod
    def of(cls, data: memoryview, context: _Context) -> _Matrix:
        parts = _elements(data, context.order)
        flags = _integers(parts, context.order)
        if len(flags) < 2:
            return cls(0, False, (0, 0), "", parts, context)
        number = flags[0] & 0xFF
        shape = () if number == _OPAQUE else tuple(_integers(parts, context.order))
        if any(size < 0 for size in shape) or len(shape) > 32:
            raise damaged(f"a variable of shape {shape}")
        name = bytes(_next(parts)[1]).decode("latin-1")
        return cls(number, bool(flags[0] & 0x800), shape, name, parts, context)

    @property
    def kind(self) -> str:
        return _CLASSES.get(self.number, "unknown")

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    def value(self) -> Any:
        if self.number in _NUMBERS:
            return self._dense()
        readers = {_SPARSE: self._sparse, _CHAR: self._text, _CELL: self._cell, _STRUCT: self._struct}
        return readers[self.number]() if self.number in readers else None

    def _dense(self) -> np.ndarray:
        self._spend(self.size)
        x = self._numbers(self.size, _NUMBERS[self.number])
        return x.reshape(self.shape, order="F")

    def _numbers(self, count: int | None, dtype: str) -> np.ndarray:
        """`count` entries, all there are for None."""
        parts = [self._stored(count) for _ in range(1 + self.is_complex)]
        if not self.is_complex:
            return parts[0].astype(dtype, copy=False)
        if parts[0].size != parts[1].size:
            raise damaged(f"{self.name or 'a field'} has real and imaginary parts of unlike length")
        x = np.empty(parts[0].size, "c8" if dtype == "f4" else "c16")
        x.real, x.imag = parts
        return x

    def _stored(self, count: int | None) -> np.ndarray:
        kind, data = _next(self.parts)
        if kind not in _STORED:
            raise damaged(f"numbers of the unknown type {kind}")
        dtype = np.dtype(self.context.order + _STORED[kind])
        found = np.frombuffer(data[: len(data) - len(data) % dtype.itemsize], dtype)
        if count is not None and found.size != count:
            raise damaged(f"{self.name or 'a field'} has {found.size} entries for the shape {self.shape}")
        return found.astype(dtype.newbyteorder("="), copy=False)

    def _sparse(self) -> Any:
        if len(self.shape) != 2:
            raise damaged(f"a sparse matrix of shape {self.shape}")
        rows, columns = (_next(self.parts)[1] for _ in range(2))
        index = self.context.order + "i4"
        indices, pointers = (np.frombuffer(x[: len(x) // 4 * 4], index) for x in (rows, columns))
        self._spend(indices.size)
        stored = self._numbers(None, "f8")
        try:
            return scipy.sparse.csc_array((stored, indices, pointers), shape=self.shape)
        except ValueError as error:
            raise damaged(f"the sparse matrix {self.name}: {error}") from error

    def _text(self) -> list[str | None]:
        """One string a row."""
        kind, data = _next(self.parts)
        if kind not in _TEXT:
            raise damaged(f"text of the unknown type {kind}")
        self.context.budget.spend(4 * len(data), "text")
        encoding = _TEXT[kind]
        if encoding not in ("latin-1", "utf-8"):
            encoding += "-le" if self.context.order == "<" else "-be"
        text = bytes(data).decode(encoding, "replace")
        if len(self.shape) != 2 or len(text) != self.size or self.shape[0] < 2:
            return [text.rstrip()] if text else []
        return [text[row :: self.shape[0]].rstrip() for row in range(self.shape[0])]

    def _cell(self) -> list[str | None]:
        """The text in each cell, None for what is none."""
        inner = (_Matrix.of(data, self.context) for kind, data in self.parts if kind == _MATRIX)
        return [_first(cell) for cell in inner]

    def _struct(self) -> dict[str, Variable]:
        """The fields of a struct; none of an array of structs."""
        if self.size != 1:
            return {}
        (length, *_), (_, names) = _integers(self.parts, self.context.order) or [0], _next(self.parts)
        if length < 1:
            raise damaged("a struct whose field names have no length")
        text = bytes(names)
        fields = [text[i : i + length].split(b"\0")[0].decode("latin-1") for i in range(0, len(text), length)]
        found = {}
        for field in fields:
            matrix = _Matrix.of(_next(self.parts)[1], self.context)
            found[field] = Variable(matrix.kind, matrix.value)
        return found

    def _spend(self, count: int) -> None:
        spend_numbers(self.context.budget, count, is_complex=self.is_complex, name=self.name or "a field")


def _first(cell: _Matrix) -> str | None:
    if cell.size == 0:
        return ""
    text = cell._text() if cell.number == _CHAR else [None]
    return text[0] if text else ""


def _next(parts: Iterator[tuple[int, memoryview]]) -> tuple[int, memoryview]:
    part = next(parts, None)
    if part is None:
        raise damaged("a variable is cut off")
    return part


def _integers(parts: Iterator[tuple[int, memoryview]], order: str) -> list[int]:
    """The next element as signed integers of 32 bits; none where there is no next."""
    _, data = next(parts, (0, memoryview(b"")))
    return [int(x) for x in np.frombuffer(data[: len(data) // 4 * 4], order + "i4")]
