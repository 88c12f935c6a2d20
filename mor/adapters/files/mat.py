"""MATLAB's ``.mat`` up to version 7: one variable a matrix, sparse ones too."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from mor.adapters.files.contents import KINDS, NAMES, Contents, known
from mor.errors import SystemFileError

#: Beginnings of files that are HDF5 inside: version 7.3.
_HDF5 = (b"MATLAB 7.3", b"\x89HDF")

#: So many variables are named where none is right.
_LISTED = 8

#: The way to matrices that :func:`mor.load` would not find by itself.
_BY_NAME = 'm = scipy.io.loadmat(path), then mor.LTI(m["name of A"], m["name of B"], ...)'
_BY_HAND = 's = scipy.io.loadmat(path)["{}"][0, 0], then mor.LTI(s["A"], s["B"], s["C"])'


def read_mat(path: Path) -> Contents:
    """What a ``.mat`` file holds of a system, at the top or in the one struct that has it.

    Variables that belong to no system are not even read.

    Raises
    ------
    SystemFileError
        If nothing there is a system, or more than one struct is: which is meant, only the user knows.
    """
    with path.open("rb") as file:
        if file.read(16).startswith(_HDF5):
            raise SystemFileError(
                "a MATLAB file of version 7.3, which is HDF5; save it in MATLAB with save(..., '-v7')"
            )
    classes = {name: kind for name, _, kind in _guarded(scipy.io.whosmat, path)}
    wanted = known(classes)
    if not wanted.keys() & KINDS.keys():
        return _from_struct(path, classes)
    stored = _guarded(scipy.io.loadmat, path, variable_names=list(wanted.values()))
    return _plain({variable: stored[name] for variable, name in wanted.items()})


def mat_bytes(contents: Contents) -> bytes:
    """Names become cell arrays of strings."""
    stored = {
        name: np.array(value, dtype=object) if isinstance(value, tuple) else value
        for name, value in contents.items()
    }
    out = io.BytesIO()
    scipy.io.savemat(out, stored, do_compression=True, oned_as="column")
    return out.getvalue()


def _from_struct(path: Path, classes: dict[str, str]) -> Contents:
    names = [name for name, kind in classes.items() if kind == "struct"]
    stored = _guarded(scipy.io.loadmat, path, variable_names=names) if names else {}
    structs = {name: stored[name] for name in names if _holds_system(stored[name])}
    if len(structs) > 1:
        way = _BY_HAND.format(next(iter(structs)))
        raise SystemFileError(f"{len(structs)} structs hold a system: {_listed(structs)}. Choose one: {way}")
    if structs:
        (struct,) = structs.values()
        wanted = known(struct.dtype.names)
        return _plain({variable: struct[field].flat[0] for variable, field in wanted.items()})
    there = _listed(f"{name} ({kind})" for name, kind in classes.items()) or "nothing"
    raise SystemFileError(
        f"there is no matrix A (nor poles, nor blocks); there is {there}. Matrices of other names: "
        f"{_BY_NAME}. An ss object goes through [A,B,C,D,E,Ts] = dssdata(sys)"
    )


def _holds_system(struct: Any) -> bool:
    return struct.size == 1 and bool(known(struct.dtype.names or ()).keys() & KINDS.keys())


def _listed(names: Iterable[str]) -> str:
    return ", ".join(list(names)[:_LISTED])


def _guarded(read: Any, path: Path, **options: Any) -> Any:
    """What SciPy's `read` makes of the file."""
    try:
        return read(str(path), **options)
    except OSError:
        raise
    # Damaged files end in errors of all kinds inside the reader.
    except Exception as error:
        raise SystemFileError(f"not a readable .mat file: {error}") from error


def _plain(found: Contents) -> Contents:
    return found | {variable: _text(found[variable], variable) for variable in NAMES if variable in found}


def _text(value: Any, variable: str) -> Any:
    """Text as a string or, where there is one a signal, as a tuple; None if it is not text."""
    cells = np.ravel(value)
    texts = [np.ravel(cell) for cell in cells]
    if any(text.size and text.dtype.kind != "U" for text in texts):
        return None
    names = tuple(str(text[0]).rstrip() if text.size else "" for text in texts)
    return (names[0] if names else None) if variable == "Name" else names
