"""Which errors a docstring speaks of, and whether one that was raised is among them.

An error is documented by its own name or by that of a kind that it belongs to. Three things are said once,
on the page on errors, and not by every function: what is wrong with an argument of a type that cannot be
meant, with masked entries, and with what should be a system (:func:`mor.as_system` documents that).
"""

from __future__ import annotations

import inspect
import re
import traceback
from typing import Any

import mor.errors
from mor.errors import ArgumentTypeError, MorError

#: Functions that read arguments for all others, and the one that documents what they raise.
READERS = {"as_system": "as_system", "check_unmasked": None}


def sections(text: str) -> dict[str, str]:
    """Bodies of numpydoc sections by title."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(body: str) -> dict[str, str]:
    """By each line of names in a section, the text below it."""
    found: dict[str, str] = {}
    for line in body.strip("\n").splitlines():
        if line and not line.startswith(" "):
            name = line
            found[name] = ""
        elif found:
            found[name] += line.strip()
    return found


def documented(function: Any) -> tuple[type[MorError], ...]:
    """The kinds of errors in the section 'Raises' of a function or class."""
    lines = entries(sections(inspect.getdoc(function) or "").get("Raises", ""))
    return tuple(getattr(mor.errors, name) for line in lines for name in re.findall(r"\w+", line))


def is_documented(error: MorError, function: Any) -> bool:
    """Whether `function`, which raised `error`, or what reads its arguments, says that it may."""
    if isinstance(error, (ArgumentTypeError, *documented(function))):
        return True
    frames = {frame.name for frame in traceback.extract_tb(error.__traceback__)}
    readers = [READERS[name] for name in READERS if name in frames]
    return any(name is None or isinstance(error, documented(getattr(mor, name))) for name in readers)
