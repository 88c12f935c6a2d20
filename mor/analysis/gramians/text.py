"""Gramians as the command line writes them: ``kind`` or ``kind:field=value,field=value``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any

from mor.analysis.gramians import KINDS, Gramians
from mor.checks import shown
from mor.errors import ReductionError, at, keyword


def usage(name: str) -> str:
    """How the Gramians of that name are written."""
    values = (f"{key}={field.metadata['form'][0]}" for key, field in _written(name).items())
    return f"{name}:{','.join(values)}".rstrip(":")


def usages() -> str:
    """How all of them are written that can be."""
    return " or ".join(usage(name) for name in KINDS if _can_be_written(name))


def read_gramians(text: str, load: Callable[[str], Any]) -> Gramians:
    """The Gramians that `text` means.

    Parameters
    ----------
    text : numbers as such, pairs as ``low..high``, systems as files, whose names have no comma.
    load : makes a system of the name of a file.

    Raises
    ------
    ReductionError
        If there are no such Gramians or fields, or a value cannot be read; and what the Gramians raise.

    Examples
    --------
    >>> read_gramians("frequency-limited:band=0.1..2", load=print)
    FrequencyLimited(band=(0.1, 2.0))
    """
    name, _, rest = text.partition(":")
    with at(keyword("gramians", repr(text))):
        if name not in KINDS or not _can_be_written(name):
            raise ReductionError(f"{shown(name)} is none of {', '.join(filter(_can_be_written, KINDS))}.")
        known = _written(name)
        parts = [part.partition("=") for part in rest.split(",") if part]
        given = {key: value for key, sign, value in parts if sign}
        if len(given) < len(parts) or not _needed(name) <= set(given) <= set(known):
            raise ReductionError(f"write {usage(name)}.")
        return KINDS[name](**{key: _read(known[key], value, load) for key, value in given.items()})


def _read(field: Field[Any], text: str, load: Callable[[str], Any]) -> Any:
    written, read = field.metadata["form"]
    if read is None:
        return load(text)
    try:
        return read(text)
    except ValueError:
        raise ReductionError(f"{field.name}={shown(text)} must be {written}.") from None


def _written(name: str) -> dict[str, Field[Any]]:
    """The fields of those Gramians that can be written."""
    return {field.name: field for field in fields(KINDS[name]) if "form" in field.metadata}


def _needed(name: str) -> set[str]:
    return {x.name for x in fields(KINDS[name]) if x.default is x.default_factory is MISSING}


def _can_be_written(name: str) -> bool:
    return _needed(name) <= set(_written(name))
