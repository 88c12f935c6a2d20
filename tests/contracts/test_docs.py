"""Every Python example in the README, the documentation and the docstrings runs."""

import ast
import doctest
import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import mor

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MODULES = sorted(m.name for m in pkgutil.walk_packages(mor.__path__, "mor.") if m.name != "mor.__main__")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_examples_of_a_page(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, code in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.S)):
        for framework in ("torch", "jax"):
            if f"import {framework}" in code:
                pytest.importorskip(framework)
        exec(compile(code, f"{page.name}, example {number}", "exec"), {})


@pytest.mark.parametrize("name", MODULES)
def test_examples_of_docstrings(name):
    module = importlib.import_module(name)
    assert doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE).failed == 0


def docstrings():
    for file in sorted((ROOT / "mor").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
                yield f"{file.stem}.{getattr(node, 'name', '')}", ast.get_docstring(node) or ""


def test_sources_are_no_parameters():
    """Tools that read numpydoc take a line 'Source: ...' below 'Parameters' for a name and its type."""
    for place, text in docstrings():
        sections = re.split(r"^(\w[\w ]*)\n-+$", text, flags=re.M)
        for title, body in zip(sections[1::2], sections[2::2], strict=True):
            assert title == "Notes" or not re.search(r"^(Source|Compare):", body, re.M), (place, title)


def test_public_names_are_documented():
    reference = (ROOT / "docs" / "api.md").read_text()
    for name in mor.__all__:
        assert (
            f"mor.{name}" in reference
            or f"mor.adapters.checkpoints.{name}" in reference
            or name == "MorError"
        )
        assert getattr(mor, name).__doc__
