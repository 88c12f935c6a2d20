"""MATLAB's ``.mat`` of version 7.3: HDF5 inside, every array transposed, text as codes.

The HDF5 library follows links into other files and loads plug-ins for filters it does not know; what
needs either is refused before it is read.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import scipy.sparse

from mor.adapters.limits import Budget
from mor.adapters.system_files.variables import (
    NOT_MAT,
    Variable,
    damaged,
    reading,
    sparse_matrix,
    spend_numbers,
)
from mor.errors import MissingDependencyError, SystemFileError

#: What the library raises for damaged files.
_DAMAGE = (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError, AttributeError)

#: Filters that are part of every HDF5 library: deflate, shuffle, a checksum.
_FILTERS = {1, 2, 3}

_T = TypeVar("_T")


def read_with(path: Path, budget: Budget, use: Callable[[dict[str, Variable]], _T]) -> _T:
    """What `use` makes of the variables of a file, which is open meanwhile.

    Raises
    ------
    MissingDependencyError
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingDependencyError(
            "a MATLAB file of version 7.3 is HDF5 and needs the package h5py: pip install h5py. Or save the "
            "file in MATLAB with save(..., '-v7')"
        ) from error
    with reading(NOT_MAT, _DAMAGE), h5py.File(path, "r") as file:
        return use(_members(file, budget))


def _members(group: Any, budget: Budget) -> dict[str, Variable]:
    """The variables of a file, or the fields of a struct."""
    found = {}
    for name in group:
        if name.startswith("#"):  # What cells refer to, and the file's own notes.
            continue
        item = _member(group, name)
        kind = _kind(item)
        found[name] = Variable(kind, partial(_value, name, kind, item, budget))
    return found


def _member(group: Any, name: str) -> Any:
    """What stands in the file itself under a name."""
    import h5py

    if not isinstance(group.get(name, getlink=True), h5py.HardLink):
        raise SystemFileError(f"{name} is a link to another place, which is not followed")
    return group[name]


def _kind(item: Any) -> str:
    import h5py

    if "MATLAB_sparse" in item.attrs:
        return "sparse"
    kind = item.attrs.get("MATLAB_class", b"")
    if isinstance(item, h5py.Group):
        return "struct" if kind in (b"struct", b"") else _word(kind)
    return _word(kind) or "without MATLAB_class"


def _word(kind: Any) -> str:
    return kind.decode("ascii", "replace") if isinstance(kind, bytes) else str(kind)


def _value(name: str, kind: str, item: Any, budget: Budget) -> Any:
    import h5py

    if kind == "sparse":
        return _sparse(name, item, budget)
    if kind == "struct":
        return _members(item, budget) if isinstance(item, h5py.Group) else {}
    if not isinstance(item, h5py.Dataset):
        return None
    if kind == "without MATLAB_class":
        raise SystemFileError(
            f"{name} has no MATLAB_class, as what MATLAB stores has: whether it is transposed is not known"
        )
    if item.attrs.get("MATLAB_empty", 0):
        return _empty(name, kind, item, budget)
    if kind == "cell":
        return [_first(item.file[ref], budget) for ref in _stored(name, item, budget).ravel()]
    if kind == "char":
        return _rows(_stored(name, item, budget))
    return _numbers(name, item, budget).T


def _empty(name: str, kind: str, item: Any, budget: Budget) -> Any:
    """Of an empty array its shape is stored in its place."""
    shape = tuple(int(n) for n in _stored(name, item, budget).ravel())
    if math.prod(shape):
        raise damaged(f"{name} is said to be empty and to have the shape {shape}")
    return [] if kind in ("char", "cell") else np.zeros(shape)


def _stored(name: str, item: Any, budget: Budget) -> np.ndarray:
    """What is stored in the file itself, through filters that are built in."""
    import h5py

    if not isinstance(item, h5py.Dataset) or item.shape is None:
        raise damaged(f"{name} is no array")
    recipe = item.id.get_create_plist()
    if item.is_virtual or item.external or (item.dtype.hasobject and item.dtype != h5py.ref_dtype):
        raise SystemFileError(f"{name} is stored outside of the file, or as objects; it was not read")
    if unknown := {recipe.get_filter(i)[0] for i in range(recipe.get_nfilters())} - _FILTERS:
        raise SystemFileError(
            f"{name} is stored through the filters {sorted(unknown)}, which MATLAB does not use"
        )
    budget.spend(max(item.dtype.itemsize, 8) * math.prod(item.shape), name)
    if item.chunks:
        budget.spend(item.dtype.itemsize * math.prod(item.chunks), f"a piece of {name}")
    return item[()]


def _numbers(name: str, item: Any, budget: Budget) -> np.ndarray:
    """What is stored; pairs of a real and an imaginary part as complex numbers."""
    x = _stored(name, item, budget)
    if x.dtype.names != ("real", "imag"):
        return x
    spend_numbers(budget, x.size, is_complex=True, name=name)
    return x["real"] + 1j * x["imag"]


def _sparse(name: str, group: Any, budget: Budget) -> Any:
    """Compressed by columns; the attribute is the number of rows."""
    if not hasattr(group, "keys") or "jc" not in group:
        raise damaged(f"the sparse matrix {name} has no pointers to its columns")
    parts = {
        part: _numbers(name, _member(group, part), budget) for part in ("data", "ir", "jc") if part in group
    }
    pointers = parts["jc"].ravel()
    values, indices = parts.get("data", np.zeros(0)).ravel(), parts.get("ir", np.zeros(0, int)).ravel()
    shape = int(group.attrs["MATLAB_sparse"]), pointers.size - 1
    limit = np.iinfo(np.int64).max
    if any(x.dtype.kind not in "iu" or np.any(x > limit) for x in (pointers, indices)):
        raise damaged(f"the sparse matrix {name} has indices that are none")
    stored = (values, indices.astype(np.int64), pointers.astype(np.int64))
    return sparse_matrix(scipy.sparse.csc_array, stored, shape, name)


def _first(item: Any, budget: Budget) -> str | None:
    if _kind(item) != "char":
        return None
    text = _value("text", "char", item, budget)
    return text[0] if text else ""


def _rows(codes: np.ndarray) -> list[str]:
    """UTF-16 codes, a column of the stored array a row of the text."""
    codes = codes.reshape(codes.shape[0], -1).T
    return [row.astype("<u2").tobytes().decode("utf-16-le", "replace").rstrip() for row in codes]
