"""Every source that the code or a page names stands in docs/references.md, and nothing else does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
REFERENCES = (ROOT / "docs" / "references.md").read_text()
KEYS = re.findall(r"^### (\S+)$", REFERENCES, re.M)
PAGES = sorted(page for page in (ROOT / "docs").glob("*.md") if page.name != "references.md")

#: A key: a surname and two digits of the year.
_KEY = re.compile(r"\[([A-Z][A-Za-z]+\d\d)\]")
#: A source that is named in another way: 'Enns (1984)', 'Enns 1984', 'et al.', 'arXiv 1234.56789'.
_OTHER = re.compile(r"[A-Z][a-z]+,? \(?(?:19|20)\d\d\b(?!\.\d)|\bet al\.|arXiv \d")


def docstrings() -> dict[str, str]:
    """The docstrings of each module of the package, in one text."""
    found = {}
    for file in sorted((ROOT / "mor").rglob("*.py")):
        nodes = ast.walk(ast.parse(file.read_text()))
        kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
        texts = [ast.get_docstring(node) or "" for node in nodes if isinstance(node, kinds)]
        found[str(file.relative_to(ROOT))] = "\n\n".join(texts)
    return found


DOCSTRINGS = docstrings()


def keys_in(text: str) -> set[str]:
    return set(_KEY.findall(text)) | {key for key in KEYS if f"[{key}]" in text}


@pytest.mark.parametrize("place", [place for place, text in DOCSTRINGS.items() if keys_in(text)])
def test_what_a_docstring_cites_is_on_the_page(place):
    assert keys_in(DOCSTRINGS[place]) <= set(KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_what_is_on_the_page_is_cited(key):
    assert any(f"[{key}]" in text for text in DOCSTRINGS.values())


@pytest.mark.parametrize("place", [place for place, text in DOCSTRINGS.items() if "Source" in text])
def test_sources_are_named_by_keys(place):
    text = DOCSTRINGS[place]
    assert not _OTHER.findall(text)
    for source in re.findall(r"^\s*Sources?\b.*?(?:\n\s*\n|\Z)", text, re.M | re.S):
        assert keys_in(source) or ":func:" in source, source


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_link_to_entries(page):
    links = re.findall(r"\[([^\]]+)\]\(references\.md#(\w+)\)", page.read_text())
    assert all(key in KEYS and anchor == key.lower() for key, anchor in links)


def test_entries_are_in_order_and_complete():
    assert len(KEYS) == len(set(KEYS))
    for section in re.split(r"^## ", REFERENCES, flags=re.M)[1:]:
        keys = re.findall(r"^### (\S+)$", section, re.M)
        assert keys == sorted(keys)
        for entry in re.split(r"^### ", section, flags=re.M)[1:]:
            key, text = entry.split("\n", 1)
            assert re.search(r"\*\S.+\S\*", text.replace("\n", " ")), f"{key} has no title"
            year = re.search(r"\d\d$", key)
            assert year is None or re.search(rf"(?:19|20){year[0]}\b", text), f"{key} has another year"


@pytest.mark.parametrize("text", ["Enns (1984)", "Watson 1992", "Gwak et al.", "arXiv 2510.22951"])
def test_the_test_sees_what_it_looks_for(text):
    assert _OTHER.search(text)
    assert not _OTHER.search("[Enns84], the bound of 1984 states; pyMOR 2026.1.1")
