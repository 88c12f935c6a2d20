"""Sets of Matrix Market files, one a matrix: ``rail.A.mtx, rail.B.mtx, ...``, as in the
Oberwolfach collection."""

from __future__ import annotations

import gzip
import io
import json
import math
import re
import zlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io

from mor.adapters.limits import Budget
from mor.adapters.system_files.contents import (
    KINDS,
    MATRICES,
    NAMES,
    TIME_STEPS,
    Contents,
    as_single,
    match_variables,
)
from mor.adapters.system_files.market_text import read_matrix
from mor.adapters.system_files.variables import reading
from mor.errors import SystemFileError

ENDING = ".mtx"

#: ``rail.A.mtx``, ``rail_A.mtx.gz``, ``A.mtx`` and, with a dot before the letter only, ``rail.A``.
_MEMBER = re.compile(
    rf"(?P<stem>.*?)(?:(?:^|[._-])(?P<matrix>{'|'.join(MATRICES)})\.mtx(?:\.gz)?|\.(?P<bare>[A-E]))$",
    re.IGNORECASE,
)

#: How the comment of the first file begins that says what the format has no place for: time step, names.
_MARK = "%mor "

#: What that comment may say.
_NOTES = (*TIME_STEPS, *NAMES, "precision")

#: What damaged files, and compressed ones, end in.
_DAMAGE = (ValueError, OverflowError, EOFError, zlib.error, gzip.BadGzipFile)

Members = dict[str, Path]


def find_set(path: Path) -> Members | None:
    """The files of the set that `path` names, by matrix: a folder, a common prefix, with or
    without ``.mtx``, or one of the files. None if there is none."""
    if path.is_dir():
        sets = {stem: members for stem, members in _sets(path).items() if members.keys() & KINDS.keys()}
        if len(sets) > 1:
            raise SystemFileError(
                f"more than one system: give one of {', '.join(sorted(sets))} as its prefix"
            )
        return next(iter(sets.values()), None)
    if not path.parent.is_dir():
        return None
    sets, prefix, own = _sets(path.parent), path.name.removesuffix(ENDING), _MEMBER.match(path.name)
    # A prefix may itself end like a file of a set (plant_c.mtx for plant_c.A.mtx, ...).
    if own and (path.is_file() or prefix not in sets):
        prefix = own["stem"]
    return sets.get(prefix)


def read_matrix_market(members: Members, budget: Budget) -> Contents:
    """The matrices of a set, and what the comment of one of them says."""
    contents: Contents = {}
    for name, path in members.items():
        notes, contents[name] = _read(name, path, budget)
        contents |= notes
    if "blocks" in contents:
        contents["blocks"] = _stacked(contents["blocks"])
    single = contents.pop("precision", None)
    return contents | {name: as_single(contents[name]) for name in members if single}


def matrix_market_files(path: Path, contents: Contents) -> dict[Path, bytes]:
    """The files of a set, ``rom.A.mtx`` and so on for `path` ``rom.mtx``, with what is in them."""
    matrices = {name: np.asarray(contents[name]) for name in MATRICES if name in contents}
    if matrices["B"].ndim > 2:
        raise SystemFileError("a Matrix Market file has no form for a batch of systems; write .npz")
    notes = {name: value for name, value in contents.items() if name not in matrices}
    if matrices["B"].dtype in (np.float32, np.complex64):
        notes["precision"] = "single"
    files = {}
    for name, x in matrices.items():
        comment = _MARK[1:] + json.dumps(notes) if name in KINDS else ""
        files[set_member(path, name)] = _bytes(_as_matrix(x), comment)
    return files


def _as_matrix(x: np.ndarray) -> np.ndarray:
    """Vectors as columns, blocks one below the other."""
    return x[:, None] if x.ndim == 1 else x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def set_member(path: Path, matrix: str) -> Path:
    """``rom.A.mtx`` for `path` ``rom.mtx`` and A."""
    return path.with_name(f"{path.name.removesuffix(ENDING)}.{matrix}{ENDING}")


def _stacked(blocks: np.ndarray) -> np.ndarray:
    """Blocks one below the other as (q, s, s)."""
    rows, size = blocks.shape
    if not size or rows % size:
        raise SystemFileError(f"blocks have shape {blocks.shape}; square ones stand one below the other")
    return blocks.reshape(rows // size, size, size)


def _sets(folder: Path) -> dict[str, Members]:
    """All sets in a folder by their prefix; of two files for one matrix that with an ending counts."""
    sets: dict[str, Members] = defaultdict(dict)
    for file in sorted(folder.iterdir(), key=lambda file: (ENDING in file.name, file.name)):
        if (match := _MEMBER.match(file.name)) and file.is_file():
            (variable,) = match_variables([match["matrix"] or match["bare"]])
            sets[match["stem"]][variable] = file
    return sets


def _read(name: str, path: Path, budget: Budget) -> tuple[Contents, Any]:
    """What the comments of one file say, and its matrix."""
    opened = gzip.open if path.suffix == ".gz" else open
    with reading(f"{path.name} is not a Matrix Market file", _DAMAGE), opened(path, "rb") as file:
        head, x = read_matrix(name, file, budget)
    return _notes(head, path), x


def _bytes(x: np.ndarray, comment: str) -> bytes:
    """Digits enough to read back the same numbers."""
    x = x.astype(complex if np.iscomplexobj(x) else float)
    if not x.size:
        rows, columns = x.shape
        field = "complex" if np.iscomplexobj(x) else "real"
        return f"%%MatrixMarket matrix array {field} general\n%{comment}\n{rows} {columns}\n".encode()
    out = io.BytesIO()
    scipy.io.mmwrite(out, x, comment=comment, symmetry="general")
    return out.getvalue()


def _notes(head: list[bytes], path: Path) -> Contents:
    """What a comment of this library says."""
    mark = _MARK.encode()
    text = next((line[len(mark) :] for line in head if line.startswith(mark)), None)
    if text is None:
        return {}
    try:
        notes = dict(json.loads(text.decode("utf-8", "replace")))
    except (ValueError, TypeError, RecursionError) as error:
        raise SystemFileError(f"the comment of {path.name} is damaged: {error}") from error
    names = {name: tuple(notes[name]) for name in NAMES if isinstance(notes.get(name), list)}
    return {name: value for name, value in (notes | names).items() if name in _NOTES}
