"""The tests lie as tests/README.md says: a folder a room, short files, and no test that leans on another."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
LIBRARY = TESTS.parent / "mor"
FILES = sorted(TESTS.rglob("*.py"))
FOLDERS = sorted({file.parent for file in FILES})

#: Lines beyond which a file promises more than one thing.
LONGEST = 500


def packages() -> Iterator[Path]:
    """Folders of the library that hold code beside their ``__init__.py``."""
    for init in LIBRARY.rglob("__init__.py"):
        if len(list(init.parent.glob("*.py"))) > 1:
            yield init.parent.relative_to(LIBRARY)


def imported(file: Path) -> Iterator[str]:
    """Full names of what a file imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("room", sorted(set(packages()) - {Path()}), ids=str)
def test_every_room_has_its_tests(room):
    """In a folder of its name or, for a part of a room, of the room's."""
    names = {room.name, room.parent.name} - {""}
    assert any(list(folder.glob("test_*.py")) for folder in FOLDERS if folder.name in names)


def test_no_file_is_long():
    assert [str(file) for file in FILES if len(file.read_text().splitlines()) > LONGEST] == []


def test_no_test_imports_a_test():
    """What two of them share lies beside them, or in tests/oracles."""
    for file in FILES:
        parts = {part for name in imported(file) if name.startswith("tests.") for part in name.split(".")}
        assert not any(part.startswith("test_") for part in parts), file


def test_folders_are_packages():
    """Else two files of one name in two folders are one module."""
    assert [str(folder) for folder in FOLDERS if not (folder / "__init__.py").exists()] == []


def test_the_fast_subset_has_tests_of_every_folder():
    for folder in FOLDERS:
        files = list(folder.glob("test_*.py"))
        quick = [file for file in files if "pytestmark = pytest.mark.slow" not in file.read_text()]
        assert quick or not files, folder
