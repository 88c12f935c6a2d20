"""A variable of a MATLAB file, of whatever version, before its value is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mor.adapters.limits import Budget
from mor.errors import SystemFileError

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


def damaged(reason: object) -> SystemFileError:
    """The error for a file that does not hold what it says."""
    return SystemFileError(f"not a readable .mat file: {reason}")
