"""Reports as they are printed: for people on a terminal, for machines as JSON."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table as Grid

from mor.errors import MorError
from mor.report.document import Cell, Note, Reportable, Table, Text, Tone

_STYLES = {"strong": "bold", "good": "green", "warning": "yellow", "bad": "red"}

#: Columns of characters of a table that is broken: what is measured, and one system each.
_FIRST_COLUMN, _COLUMN = 20, 18

#: Columns of characters that no table needs.
_WIDEST = 10_000


def show(data: Any, *, as_json: bool) -> None:
    """Print a report on the standard output."""
    if as_json:
        sys.stdout.write(as_text(data) + "\n")
    else:
        print_document(data)


def as_text(data: Any) -> str:
    """A dataclass as JSON: infinite numbers, and what is none, are null."""
    return json.dumps(_plain(asdict(data)), indent=2, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(x) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(x) for x in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_document(data: Reportable) -> None:
    """For people; a pipe or a log is not broken into lines, so that names can be searched for."""
    console = Console()
    console = console if console.is_terminal else Console(soft_wrap=True)
    for block in data.document():
        if isinstance(block, Note):
            console.print(_styled("".join(map(_marked, block.words)), block.tone))
        elif block.repeated is None:
            _print_whole(console, block)
        else:
            _print_in_parts(console, block, block.repeated)


def _marked(word: Cell) -> str:
    """In the markup of the terminal."""
    return _styled(escape(word.text), word.tone) if isinstance(word, Text) else escape(str(word))


def _styled(markup: str, tone: Tone) -> str:
    return f"[{_STYLES[tone]}]{markup}[/]" if tone in _STYLES else markup


def _print_whole(console: Console, table: Table) -> None:
    """As wide as it needs to be: names and numbers are not broken, since somebody looks for them."""
    grid = _grid(table, range(len(table.head)), overflow="ignore", no_wrap=True)
    own = console.width
    console.width = max(own, console.measure(grid, options=console.options.update(width=_WIDEST)).maximum)
    console.print(grid)
    console.width = own


def _print_in_parts(console: Console, table: Table, repeated: int) -> None:
    """As many columns beside each other as there is space for; names are broken."""
    beside = max(1, (console.width - _FIRST_COLUMN) // _COLUMN - (repeated - 1))
    for start in range(repeated, len(table.head), beside):
        shown = [*range(repeated), *range(start, min(start + beside, len(table.head)))]
        console.print(_grid(table, shown, overflow="fold", max_width=_COLUMN - 3))


def _grid(table: Table, shown: Iterable[int], **how: Any) -> Grid:
    """These columns, set in this way; the first as wide as it needs to be."""
    grid = Grid(title=escape(table.title) or None, title_justify="left", header_style="bold")
    for i in shown:
        own: dict[str, Any] = {"justify": "right"} if i else {"max_width": None}
        grid.add_column(escape(table.head[i]), **how | own)
    for row in table.rows:
        grid.add_row(*(_marked(row[i]) for i in shown))
    return grid


def print_error(error: MorError) -> None:
    """On the standard error stream, with what was added to it."""
    Console(stderr=True).print(f"[bold red]{type(error).__name__}[/]: ", end="")
    sys.stderr.write("\n".join([str(error), *getattr(error, "__notes__", ())]) + "\n")


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on the standard error stream, where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def update(task: str, done: int, total: int) -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(task, total=total)
            bars.update(tasks[task], completed=done, total=total)

        yield update
