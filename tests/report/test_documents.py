"""Reports for people and for machines are views of the same data."""

import json
from dataclasses import dataclass

import numpy as np

from mor.report.document import Document, Table, Text, note
from mor.report.views import as_text, print_document


@dataclass(frozen=True)
class Data:
    name: str
    values: tuple[float, ...]
    holds: bool | None

    def document(self) -> Document:
        rows = tuple((f"row {i}", str(value)) for i, value in enumerate(self.values))
        head = note("[", Text(self.name, "strong"), "] holds", tone="warning")
        return [head, Table(("what", "[value]"), rows, title="A [table]")]


def test_numbers_that_are_none_are_null():
    data = Data("a", (1.5, np.inf, -np.inf, np.nan), None)
    assert json.loads(as_text(data)) == {"name": "a", "values": [1.5, None, None, None], "holds": None}


def test_keys_stand_in_the_order_of_the_fields():
    assert list(json.loads(as_text(Data("a", (), True)))) == ["name", "values", "holds"]


def test_brackets_are_not_taken_for_markup(capsys):
    print_document(Data("[red]x[/]", (1.0,), True))
    out = capsys.readouterr().out
    assert "[[red]x[/]] holds" in out
    assert "A [table]" in out
    assert "[value]" in out


def test_tables_are_broken_where_they_may_be(capsys, monkeypatch):
    @dataclass(frozen=True)
    class Wide:
        def document(self) -> Document:
            names = tuple(f"system{i}" for i in range(6))
            return [Table(("", *names), (("order", *map(str, range(6))),), repeated=2)]

    monkeypatch.setenv("COLUMNS", "80")
    print_document(Wide())
    out = capsys.readouterr().out
    assert all(out.count(f"system{i}") == 1 for i in range(1, 6))
    assert out.count("system0") == out.count("order") > 1
