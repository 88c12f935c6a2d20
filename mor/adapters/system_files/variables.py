"""A variable of a MATLAB file, of whatever version, before its value is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mor.adapters.limits import Budget
from mor.errors import MorError, SystemFileError

#: What is said of a file that does not hold what it says.
NOT_MAT = "not a readable .mat file"

#: What a number takes at most, as it is computed with.
_REAL, _COMPLEX = 8, 16


@dataclass(frozen=True)
class Variable:
    """A name in a file, with what it stands for not read yet.

    Attributes
    ----------
    kind : MATLAB's name of its class: double, struct, sparse, char, cell, ...
    read : its value: an array, a sparse matrix, for text a list of strings (None in it for what is no
        text), for a struct its fields as variables; None for what is none of these.
    """

    kind: str
    read: Callable[[], Any]


def spend_numbers(budget: Budget, count: int, *, is_complex: bool, name: str) -> None:
    """Take what `count` numbers need in double precision."""
    budget.spend(count * (_COMPLEX if is_complex else _REAL), name)


def sparse_matrix(kind: Callable[..., Any], stored: Any, shape: Any, name: str) -> Any:
    """A SciPy array of this `kind`, whose own checks find what does not fit together."""
    try:
        return kind(stored, shape=shape)
    except ValueError as error:
        raise damaged(f"the sparse matrix {name}: {error}") from error


@contextmanager
def reading(what: str, damage: tuple[type[Exception], ...]) -> Iterator[None]:
    """What damaged files end in, as an error that says `what` a file is not."""
    try:
        yield
    except MorError:
        raise
    except damage as error:
        raise SystemFileError(f"{what}: {str(error) or type(error).__name__}") from error


def damaged(reason: object) -> SystemFileError:
    """The error for a file that does not hold what it says."""
    return SystemFileError(f"{NOT_MAT}: {reason}")
