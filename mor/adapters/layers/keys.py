"""Names of tensors: what training wrappers add to them, and how people order them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import numpy as np

from mor.errors import CheckpointError

#: What DataParallel and torch.compile put into every key.
_WRAPPERS = frozenset({"module", "_orig_mod"})
_PARAMETRIZED = re.compile(r"(?P<owner>(?:.*\.)?)parametrizations\.(?P<name>[^.]+)\.original\d*")


def plain_key(key: str) -> str:
    """`key` without the parts that training wrappers add, wherever they stand in it."""
    return ".".join(part for part in key.split(".") if part not in _WRAPPERS) or key


def plain_keys(keys: Iterable[str]) -> dict[str, str]:
    """Plain key -> key in the file."""
    found: dict[str, str] = {}
    for key in keys:
        plain = plain_key(key)
        if plain in found:
            raise CheckpointError(f"{found[plain]!r} and {key!r} are both {plain!r} without their wrappers.")
        found[plain] = key
    return found


def plain_tensors(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The tensors by their keys without training wrappers."""
    return {plain: tensors[key] for plain, key in plain_keys(tensors).items()}


def folded_key(key: str) -> str | None:
    """The key that a parametrized tensor had before it was parametrized; None for others."""
    match = _PARAMETRIZED.fullmatch(key)
    return match["owner"] + match["name"] if match else None


def natural_order(text: str) -> list[tuple[int, int, str]]:
    """Sort key that puts layer 10 after layer 9."""
    parts = re.split(r"(\d+)", text)
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]
