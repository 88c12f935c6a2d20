"""The reference shows docstrings as they are meant: mathematics, names of code, links to sources."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

pytest.importorskip("griffe")
_FILE = Path(__file__).parents[2] / "docs" / "docstrings.py"
markdown = runpy.run_path(str(_FILE))["markdown"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r"with :math:`\sigma_1`.", r"with \(\sigma_1\)."),
        ("see :func:`mor.zeros`, :class:`~mor.LTI`", "see `mor.zeros`, `mor.LTI`"),
        ("Source: [Enns84], chapter 2.", "Source: [Enns84][enns84], chapter 2."),
        ("the states ``[Re z; Im z]``", "the states ``[Re z; Im z]``"),
        ("is\n\n.. math:: a = b,\n          c = d\n\nand", "is\n\n$$\na = b,\nc = d\n$$\n\nand"),
        ("x : y\n\n    .. math:: a = b\n\n    and", "x : y\n\n    $$\n    a = b\n    $$\n\n    and"),
    ],
)
def test_what_a_docstring_becomes(text, expected):
    assert re.sub(r"\n{2,}", "\n\n", markdown(text)) == expected
