"""Reading and writing a system, whatever the format of the file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from mor.adapters.atomic import Chunks, check_place, write_atomically
from mor.adapters.limits import Allowance, Budget, budget, reading
from mor.adapters.system_files.contents import MATRICES, Contents, contents_of, system_of
from mor.adapters.system_files.mat import mat_bytes, read_mat
from mor.adapters.system_files.matrix_market import (
    ENDING,
    find_set,
    matrix_market_files,
    read_matrix_market,
    set_member,
)
from mor.adapters.system_files.npz import npz_bytes, read_npz
from mor.checks import check_flag
from mor.errors import SystemFileError, at, keyword
from mor.systems.base import System
from mor.systems.convert import as_system

_READERS: dict[str, Callable[[Path, Budget], Contents]] = {".mat": read_mat, ".npz": read_npz}
_WRITERS: dict[str, Callable[[Contents], bytes]] = {".mat": mat_bytes, ".npz": npz_bytes}

_FORMATS = ".mat, .npz or .mtx"

#: A file of any size may hold A and E of the largest order of which sparse matrices are made dense; a
#: larger one what text of two bytes a number, or integers of one, become.
_ALLOWANCE = Allowance(floor=1 << 29, ratio=8, error=SystemFileError)


def load(path: str | Path, *, dt: float | None = None, max_bytes: int | None = None) -> System:
    """The system in a file.

    Parameters
    ----------
    path : one of

        * a MATLAB file ``.mat`` with variables A, B, C, and D, E where there are any, dense or
          sparse, at the top or in a struct, of which one only may hold a system. Version 7.3
          needs the package h5py;
        * a NumPy file ``.npz`` with such arrays;
        * a set of Matrix Market files ``name.A.mtx``, ``name.B.mtx``, ... (``.mtx.gz`` and
          ``name.A`` too), given as its folder, as ``name``, ``name.mtx`` or one of the files.

        Letters may be of either case and other variables are not looked at. ``poles`` in place
        of A makes a :class:`~mor.Modal`, ``blocks`` a :class:`~mor.BlockDiagonal`.
    dt : time step, where the file does not say it (variable ``dt`` or ``Ts``; -1 is MATLAB's
        "unspecified" and read as 1). Without either, the system is continuous.
    max_bytes : memory that the file's matrices may take, and what they are read from. None is the
        environment variable ``MOR_MAX_BYTES``, or else 512 MiB, or eight times the size of the file
        where that is more: a small compressed file can hold what no memory does.

    Returns
    -------
    LTI, Modal or BlockDiagonal, on NumPy arrays.

    Raises
    ------
    SystemFileError
        If there is no such file, its ending is unknown, it is damaged, would take more than `max_bytes`, a
        matrix is missing or not numeric, or more than one struct holds a system.
    DimensionError
        If the matrices do not fit together, or are sparse and of an order above 5000 or with indices outside
        of their shape.
    NotFiniteError
        If an entry is NaN or infinite.
    TimeStepError
        If the time step is none, or `dt` is another than the file's.
    MissingDependencyError
        For a ``.mat`` of version 7.3 without h5py.

    Notes
    -----
    Takes the place of MATLAB's ``load`` and ``ss``, pyMOR's ``LTIModel.from_mat_file`` and
    ``from_abcde_files``.

    Examples
    --------
    >>> import mor, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "model.mat"
    >>> mor.save(path, ([[-1.0]], [[1.0]], [[2.0]]))
    >>> mor.load(path)
    <LTI order 1, 1 inputs, 1 outputs, dt=0>
    """
    path = _checked(path)
    # Numbers out of range are named by the checks of the system, not by warnings before.
    with reading(path, SystemFileError), at(path), np.errstate(over="ignore", invalid="ignore"):
        return _read(path, dt, max_bytes)


def save(path: str | Path, system: Any, *, overwrite: bool = False) -> None:
    """Write a system in the format of the ending of `path`, so that :func:`load` gives the same.

    Parameters
    ----------
    path : a name in ``.mat``, ``.npz`` or ``.mtx``; the last makes a set of files
        ``name.A.mtx``, ``name.B.mtx``, ... and has no batches.
    system : anything :func:`mor.as_system` takes, a :class:`~mor.Reduction` too. A Modal is
        stored as ``poles, B, C, D``, a BlockDiagonal as ``blocks, B, C, D``; for other
        programs write ``system.to_lti()``.
    overwrite : whether a file that is there already may be replaced.

    Raises
    ------
    SystemFileError
        If the ending is unknown, the file exists, or it cannot be written. Files are written whole or not at
        all.
    QuadraticOutputError
        If outputs are quadratic: save ``.linear``, and the forms apart.

    Notes
    -----
    Numbers come back to the last bit in all three formats, names of signals too. PyTorch and JAX
    arrays are written as NumPy's.

    Examples
    --------
    See :func:`load`.
    """
    path, system = _checked(path), as_system(system)
    check_system_output(path, overwrite=overwrite)
    files = _files(path, contents_of(system))
    write_atomically(files, SystemFileError)
    try:
        for file in _own_set(path) - files.keys():
            file.unlink()
    except OSError as error:
        raise SystemFileError(f"cannot remove {error.filename}: {error.strerror}.") from error


def check_system_output(path: str | Path, *, overwrite: bool) -> None:
    """Raise unless `path` may be written by :func:`save`.

    Raises
    ------
    SystemFileError
    """
    path, overwrite = _checked(path), check_flag("overwrite", overwrite)
    if path.suffix not in (*_WRITERS, ENDING):
        raise SystemFileError(f"{path}: write to a {_FORMATS} file.")
    check_place(path, SystemFileError)
    there = _own_set(path) if path.suffix == ENDING else {path} if path.exists() else set()
    if there and not overwrite:
        names = ", ".join(sorted(map(str, there)))
        raise SystemFileError(f"{names} exists; {keyword('overwrite', 'True')} replaces it.")


def _own_set(path: Path) -> set[Path]:
    """What is there of the set that :func:`save` would write at `path`.

    Raises
    ------
    SystemFileError
        If files of that set are there by other names: they would be read in place of its own.
    """
    if path.suffix != ENDING:
        return set()
    own = {file for name in MATRICES if (file := set_member(path, name)).exists()}
    if foreign := sorted(str(file) for file in set((find_set(path) or {}).values()) - own):
        raise SystemFileError(f"{', '.join(foreign)} would belong to the same set; take another name.")
    return own


def _files(path: Path, contents: Contents) -> dict[Path, Chunks]:
    if path.suffix == ENDING:
        return {file: [data] for file, data in matrix_market_files(path, contents).items()}
    return {path: [_WRITERS[path.suffix](contents)]}


def _read(path: Path, dt: float | None, max_bytes: int | None) -> System:
    ending = path.suffix.lower()
    if ending in _READERS and path.is_file():
        limits = budget([path], max_bytes, _ALLOWANCE)
        return system_of(_READERS[ending](path, limits), dt, limits)
    if (members := find_set(path)) is not None:
        limits = budget(members.values(), max_bytes, _ALLOWANCE)
        return system_of(read_matrix_market(members, limits), dt, limits)
    if path.is_dir():
        raise SystemFileError("no set of Matrix Market files in this folder, such as name.A.mtx, name.B.mtx")
    if path.exists():
        raise SystemFileError(f"unknown ending; a system is read from a {_FORMATS} file")
    raise SystemFileError("there is no such file, nor a set of files name.A.mtx, name.B.mtx with this prefix")


def _checked(path: Any) -> Path:
    if not isinstance(path, str | Path) or "\0" in str(path) or not str(path):
        raise SystemFileError(f"{path!r} is no name of a file.")
    return Path(path)
