"""The files that say what the project is agree with it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import mor

ROOT = Path(__file__).parents[2]


def test_the_citation_is_of_this_version():
    found = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert found is not None
    assert found[1] == mor.__version__


def test_citation_and_package_have_one_licence():
    licences = {
        re.search(r"^license: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.M),
        re.search(r'^license = "(\S+)"$', (ROOT / "pyproject.toml").read_text(), re.M),
    }
    assert len({found and found[1] for found in licences}) == 1


@pytest.mark.parametrize("tool", ["ruff check", "ruff format", "lint-imports", "pyright"])
def test_a_commit_is_checked_by_what_make_lint_runs(tool):
    assert f"$(BIN)/{tool}" in (ROOT / "Makefile").read_text()
    assert f".venv/bin/{tool}" in (ROOT / ".pre-commit-config.yaml").read_text()


def test_every_page_is_in_the_navigation():
    pages = {page.name for page in (ROOT / "docs").glob("*.md")}
    assert pages == set(re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M))
