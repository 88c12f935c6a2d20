"""How those who wait are told how far work has come."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import TypeVar

Item = TypeVar("Item")

#: Called with what is being done, how many steps are done and how many there are.
Progress = Callable[[str, int, int], None]


def counted(task: str, items: Collection[Item], progress: Progress | None) -> Iterator[Item]:
    """The items, and to `progress` how many of them are done."""
    for done, item in enumerate(items):
        if progress:
            progress(task, done, len(items))
        yield item
    if progress:
        progress(task, len(items), len(items))
