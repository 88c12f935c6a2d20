"""Gramians as the command line writes them: ``kind`` or ``kind:field=value,field=value``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, Field, fields
from typing import Any

from mor.analysis.gramians import KINDS, Gramians
from mor.checks import shown
from mor.errors import ReductionError, keyword


def _pair(text: str) -> tuple[float, float]:
    low, _, high = text.partition("..")
    return float(low), float(high)


#: How the values of a field of that type are written and read; None: a file, which holds a system.
_FORMS: dict[str, tuple[str, Callable[[str], Any] | None]] = {
    "float": ("NUMBER", float),
    "Band": ("LOW..HIGH", _pair),
    "SystemLike | None": ("FILE", None),
}


def usage(name: str) -> str:
    """How the Gramians of that name are written."""
    values = (f"{field.name}={_FORMS[str(field.type)][0]}" for field in fields(KINDS[name]))
    return f"{name}:{','.join(values)}".rstrip(":")


def usages() -> str:
    """How all of them are written."""
    return " or ".join(usage(name) for name in KINDS)


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
    if name not in KINDS:
        raise ReductionError(
            f"{keyword('gramians', repr(text))}: {shown(name)} is none of {', '.join(KINDS)}."
        )
    known = {field.name: field for field in fields(KINDS[name])}
    parts = [part.partition("=") for part in rest.split(",") if part]
    given = {key: value for key, _, value in parts}
    missing = {key for key, field in known.items() if field.default is MISSING} - set(given)
    if missing or not set(given) <= set(known):
        raise ReductionError(f"{keyword('gramians', repr(text))}: write {usage(name)}.")
    return KINDS[name](**{key: _read(known[key], value, load) for key, value in given.items()})


def _read(field: Field[Any], text: str, load: Callable[[str], Any]) -> Any:
    written, read = _FORMS[str(field.type)]
    if read is None:
        return load(text)
    try:
        return read(text)
    except ValueError:
        raise ReductionError(f"gramians: {field.name}={shown(text)} must be {written}.") from None
