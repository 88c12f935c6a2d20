"""MATLAB's ``.mat`` of version 4: matrices one after the other, each behind a head of five integers.

Source: [MathWorks], chapter 2.
"""

from __future__ import annotations

from functools import partial
from typing import Any, BinaryIO

import numpy as np
import scipy.sparse

from mor.adapters.limits import Budget
from mor.adapters.system_files.variables import Variable, damaged, spend_numbers

#: Types of stored numbers by the third digit of a matrix' type.
_STORED = ("f8", "f4", "i4", "i2", "u2", "u1")
_KINDS = ("double", "char", "sparse")
_HEAD = 20


def variables(file: BinaryIO, budget: Budget) -> dict[str, Variable]:
    """By name, the matrices of a file of version 4."""
    found: dict[str, Variable] = {}
    end, place = file.seek(0, 2), 0
    while place < end:
        file.seek(place)
        head = file.read(_HEAD)
        if len(head) < _HEAD:
            raise damaged("the file is cut off")
        order = "<" if 0 <= int(np.frombuffer(head, "<i4")[0]) <= 5000 else ">"
        code, rows, columns, imaginary, length = (int(x) for x in np.frombuffer(head, order + "i4"))
        precision, kind = code // 10 % 10, code % 10
        if not (0 <= code < 5000 and precision < len(_STORED) and kind < len(_KINDS)):
            raise damaged(f"a matrix of the unknown type {code}")
        if min(rows, columns, length) < 0 or imaginary not in (0, 1):
            raise damaged(f"a matrix of shape ({rows}, {columns})")
        dtype = np.dtype(order + _STORED[precision])
        size = rows * columns * (1 + imaginary) * dtype.itemsize
        start = place + _HEAD + length
        if start + size > end:
            raise damaged("the file is cut off")
        name = file.read(length).split(b"\0")[0].decode("latin-1")
        read = partial(_read, file, start, dtype, (rows, columns), bool(imaginary), kind, budget, name)
        found[name] = Variable(_KINDS[kind], read)
        place = start + size
    return found


def _read(
    file: BinaryIO,
    start: int,
    dtype: np.dtype,
    shape: tuple[int, int],
    is_complex: bool,
    kind: int,
    budget: Budget,
    name: str,
) -> Any:
    count = shape[0] * shape[1]
    spend_numbers(budget, count, is_complex=is_complex, name=name)
    file.seek(start)
    stored = np.frombuffer(file.read(count * (1 + is_complex) * dtype.itemsize), dtype)
    if stored.size < count * (1 + is_complex):
        raise damaged("the file is cut off")
    x = stored[:count].astype(dtype.newbyteorder("="), copy=False)
    if is_complex:
        x = x + 1j * stored[count:]
    x = x.reshape(shape, order="F")
    if _KINDS[kind] == "sparse":
        return _sparse(x)
    return [_string(row) for row in x] if _KINDS[kind] == "char" else x


def _string(codes: np.ndarray) -> str:
    return bytes(np.real(codes).astype("u1")).decode("latin-1").rstrip()


def _sparse(x: np.ndarray) -> Any:
    """From rows ``i, j, real[, imaginary]``, the last with the shape."""
    if x.shape[0] < 1 or x.shape[1] not in (3, 4) or not np.all(np.abs(x[:, :2]) < 2**31):
        raise damaged("a sparse matrix without its shape")
    *entries, last = np.real(x)
    table = np.array(entries).reshape(-1, x.shape[1])
    places = tuple(table[:, i].astype(int) - 1 for i in range(2))
    values = table[:, 2] if x.shape[1] == 3 else table[:, 2] + 1j * table[:, 3]
    try:
        return scipy.sparse.coo_array((values, places), shape=tuple(int(n) for n in last[:2]))
    except ValueError as error:
        raise damaged(f"a sparse matrix: {error}") from error
