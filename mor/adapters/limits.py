"""How much memory a file may ask for: one budget a file, spent before anything is read.

A small file can hold large things: compression, a shape without data, one number seen as a million.
Every reader says what the next piece takes before it makes room for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mor.checks import shown
from mor.errors import MorError

#: The environment variable that sets the limit for every file.
VARIABLE = "MOR_MAX_BYTES"


@dataclass
class Budget:
    """Bytes that may be taken for one file, and those that are.

    Attributes
    ----------
    limit : bytes in all.
    error : what is raised beyond it.
    spent : bytes so far.
    """

    limit: int
    error: type[MorError]
    spent: int = 0

    def spend(self, count: int, what: str) -> None:
        """Take `count` bytes for `what`.

        Raises
        ------
        MorError
            Of the kind :attr:`error`, if the limit is passed.
        """
        self.spent += count
        if self.spent > self.limit:
            raise self.error(
                f"{what} would take {count:,} bytes, {self.spent:,} with what was read before: more than "
                f"the limit of {self.limit:,} bytes for this file. If the file is to be trusted, raise "
                f"the limit: max_bytes={self.spent}, or {VARIABLE}={self.spent} in the environment"
            )


@dataclass(frozen=True)
class Allowance:
    """What files of a kind may take that nobody set a limit for.

    Attributes
    ----------
    floor : bytes for a file of any size.
    ratio : bytes for each of its own, where that is more.
    error : what is raised beyond it.
    """

    floor: int
    ratio: int
    error: type[MorError]


def budget(paths: Iterable[Path], max_bytes: Any, allowance: Allowance) -> Budget:
    """The budget for files that are read together.

    Parameters
    ----------
    max_bytes : the limit; None is that of the environment, or else what the kind of file is allowed.

    Raises
    ------
    MorError
        Of the kind of the allowance, if a limit is no number of bytes.
    """
    error = allowance.error
    if max_bytes is not None:
        return Budget(_count(max_bytes, "max_bytes", error), error)
    if given := os.environ.get(VARIABLE):
        return Budget(_count(given, VARIABLE, error), error)
    # A file counts once, by however many names it is called.
    sizes = {path.resolve(): path.stat().st_size for path in paths}
    return Budget(max(allowance.floor, allowance.ratio * sum(sizes.values())), error)


def _count(value: Any, name: str, error: type[MorError]) -> int:
    if isinstance(value, str | int | float | np.number) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            if (count := int(value)) >= 0:
                return count
    raise error(f"{name}={shown(value)} is no number of bytes.", argument=name)


@contextmanager
def reading(path: Path, kind: type[MorError]) -> Iterator[None]:
    """What keeps a file from being read, as an error of this `kind`."""
    try:
        yield
    except MemoryError as error:
        raise kind(f"{path}: there is not enough memory for it.") from error
    except OSError as error:
        raise kind(f"cannot read {error.filename or path}: {error.strerror or error}.") from error
