"""MATLAB's ``.mat``: one variable a matrix, sparse ones too, at the top or in a struct."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from mor.adapters.limits import Budget
from mor.adapters.system_files import mat4, mat5, mat73
from mor.adapters.system_files.contents import KINDS, NAMES, Contents, match_variables
from mor.adapters.system_files.variables import Variable, damaged
from mor.errors import SystemFileError

#: Beginnings of files that are HDF5 inside: version 7.3.
_HDF5 = (b"MATLAB 7.3", b"\x89HDF")

#: So many variables are named where none is right.
_LISTED = 8

#: The way to matrices that :func:`mor.load` would not find by itself.
_BY_NAME = 'm = scipy.io.loadmat(path), then mor.LTI(m["name of A"], m["name of B"], ...)'
_BY_HAND = 's = scipy.io.loadmat(path)["{}"][0, 0], then mor.LTI(s["A"], s["B"], s["C"])'


def read_mat(path: Path, budget: Budget) -> Contents:
    """What a ``.mat`` file holds of a system, at the top or in the one struct that has it.

    Variables that belong to no system are not even read.

    Raises
    ------
    SystemFileError
        If nothing there is a system, or more than one struct is: which is meant, only the user knows.
    MissingDependencyError
        If it is of version 7.3 and there is no h5py.
    """
    with path.open("rb") as file:
        head = file.read(128)
        file.seek(0)
        if head.startswith(_HDF5):
            return mat73.read_with(path, budget, _system)
        # Version 4 has no head but the integers of the first matrix, small ones.
        if 0 in head[:4]:
            return _system(mat4.variables(file, budget))
        if len(head) < 128 or head[126:128] not in (b"IM", b"MI"):
            raise damaged("it does not begin like one")
        return _system(mat5.variables(file, budget))


def mat_bytes(contents: Contents) -> bytes:
    """Names become cell arrays of strings."""
    stored = {
        name: np.array(value, dtype=object) if isinstance(value, tuple) else value
        for name, value in contents.items()
    }
    out = io.BytesIO()
    scipy.io.savemat(out, stored, do_compression=True, oned_as="column")
    return out.getvalue()


def _system(variables: dict[str, Variable]) -> Contents:
    """The matrices and names of a system among the variables of a file."""
    wanted = match_variables(variables)
    if not wanted.keys() & KINDS.keys():
        variables = _struct(variables)
        wanted = match_variables(variables)
    found = {variable: variables[name].read() for variable, name in wanted.items()}
    return found | {variable: _names(found[variable], variable) for variable in NAMES if variable in found}


def _struct(variables: dict[str, Variable]) -> dict[str, Variable]:
    """The fields of the one struct that holds a system."""
    fields = {name: variable.read() for name, variable in variables.items() if variable.kind == "struct"}
    structs = {name: x for name, x in fields.items() if match_variables(x or ()).keys() & KINDS.keys()}
    if len(structs) > 1:
        way = _BY_HAND.format(next(iter(structs)))
        raise SystemFileError(f"{len(structs)} structs hold a system: {_listed(structs)}. Choose one: {way}")
    if structs:
        return next(iter(structs.values()))
    there = _listed(f"{name} ({variable.kind})" for name, variable in variables.items()) or "nothing"
    raise SystemFileError(
        f"there is no matrix A (nor poles, nor blocks); there is {there}. Matrices of other names: "
        f"{_BY_NAME}. An ss object goes through [A,B,C,D,E,Ts] = dssdata(sys)"
    )


def _listed(names: Iterable[str]) -> str:
    return ", ".join(list(names)[:_LISTED])


def _names(value: Any, variable: str) -> Any:
    """Text as a string or, where there is one a signal, as a tuple; None if it is not text."""
    if not isinstance(value, list) or None in value:
        return None
    return (value[0] if value else None) if variable == "Name" else tuple(value)
