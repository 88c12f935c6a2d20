"""Docstrings as Markdown, for the reference: their mathematics, names of code and sources.

Docstrings are written to be read in a terminal, by conventions of Sphinx; mkdocstrings reads Markdown.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object


def markdown(text: str) -> str:
    r"""Mathematics as ``\(..\)`` and ``$$..$$``, ``:func:`x``` as code, ``[Enns84]`` as a link."""
    text = re.sub(r":math:`([^`]*)`", lambda found: rf"\({found[1]}\)", text)
    text = re.sub(r":(?:func|mod|class|meth|attr|data):`~?([^`]*)`", r"`\1`", text)
    text = re.sub(r"^( *)\.\. math::(.*\n(?:(?:\1 +\S.*)?\n)*)", _display, text, flags=re.M)
    return re.sub(r"\[([A-Z]\w+\d\d)\]", lambda found: f"[{found[1]}][{found[1].lower()}]", text)


def _display(found: re.Match[str]) -> str:
    indent, body = found.groups()
    lines = ["", "$$", *(line.strip() for line in body.splitlines() if line.strip()), "$$", ""]
    return "".join(f"{indent}{line}".rstrip() + "\n" for line in lines)


class Docstrings(Extension):
    """Rewrites every docstring as it is read."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring is not None:
            obj.docstring.value = markdown(obj.docstring.value + "\n")
