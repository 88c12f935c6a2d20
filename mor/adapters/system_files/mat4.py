"""MATLAB's ``.mat`` of version 4: matrices one after the other, each behind a head of five integers.

Source: [MathWorks], chapter 2.
"""

from __future__ import annotations

import struct
from typing import Any, BinaryIO

import numpy as np
import scipy.sparse

from mor.adapters.limits import Budget
from mor.adapters.system_files.variables import Variable, damaged, sparse_matrix, spend_numbers

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
        name, found[name], place = _matrix(file, end, budget)
    return found


def _matrix(file: BinaryIO, end: int, budget: Budget) -> tuple[str, Variable, int]:
    """The name of the matrix that begins here, the matrix, and where it ends."""
    head = file.read(_HEAD)
    if len(head) < _HEAD:
        raise damaged("the file is cut off")
    order = "<" if 0 <= struct.unpack_from("<i", head)[0] <= 5000 else ">"
    code, rows, columns, imaginary, length = struct.unpack(order + "5i", head)
    precision, kind = code // 10 % 10, code % 10
    if not (0 <= code < 5000 and precision < len(_STORED) and kind < len(_KINDS)):
        raise damaged(f"a matrix of the unknown type {code}")
    if min(rows, columns, length) < 0 or imaginary not in (0, 1):
        raise damaged(f"a matrix of shape ({rows}, {columns})")
    dtype, count = np.dtype(order + _STORED[precision]), rows * columns
    start = file.tell() + length
    stop = start + count * (1 + imaginary) * dtype.itemsize
    if stop > end:
        raise damaged("the file is cut off")
    name = file.read(length).split(b"\0")[0].decode("latin-1")

    def read() -> Any:
        spend_numbers(budget, count, is_complex=bool(imaginary), name=name)
        file.seek(start)
        stored = np.frombuffer(file.read(stop - start), dtype)
        if stored.size < count * (1 + imaginary):
            raise damaged("the file is cut off")
        x = stored[:count].astype(dtype.newbyteorder("="), copy=False)
        if imaginary:
            x = x + 1j * stored[count:]
        x = x.reshape((rows, columns), order="F")
        if _KINDS[kind] == "sparse":
            return _sparse(x, name)
        return [_string(row) for row in x] if _KINDS[kind] == "char" else x

    return name, Variable(_KINDS[kind], read), stop


def _string(codes: np.ndarray) -> str:
    return bytes(np.real(codes).astype("u1")).decode("latin-1").rstrip()


def _sparse(x: np.ndarray, name: str) -> Any:
    """From rows ``i, j, real[, imaginary]``, the last with the shape."""
    if x.shape[0] < 1 or x.shape[1] not in (3, 4) or not np.all(np.abs(x[:, :2]) < 2**31):
        raise damaged("a sparse matrix without its shape")
    *entries, last = np.real(x)
    table = np.array(entries).reshape(-1, x.shape[1])
    values = table[:, 2] if x.shape[1] == 3 else table[:, 2] + 1j * table[:, 3]
    places, shape = tuple(table[:, :2].astype(int).T - 1), tuple(last[:2].astype(int))
    return sparse_matrix(scipy.sparse.coo_array, (values, places), shape, name)
