"""Every error that a public function raises is in the section 'Raises' of its docstring, with the reason.

Two ways to find what is raised. Here, from the text of the code: the errors that a function raises itself,
or that functions of its module which it calls raise. What comes from deeper down cannot be told from text
without guessing, so ``fuzz/calls.py`` has it as a rule: of each random call that ends in an error it asks
whether the docstring speaks of it (``test_fuzz_calls`` makes some, ``make fuzz`` many). What every function
raises alike stands on the page on errors only.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any

import pytest

import mor
import mor.deep
import mor.errors
import mor.examples
from mor.errors import ArgumentTypeError, MorError, ReductionError
from tests.fuzz.documented import documented, entries, is_documented, sections


def _public() -> dict[str, Any]:
    found = {f"mor.{name}": getattr(mor, name) for name in mor.__all__}
    found |= {f"mor.deep.{name}": getattr(mor.deep, name) for name in mor.deep.__all__}
    found |= {
        f"mor.examples.{name}": x
        for name, x in vars(mor.examples).items()
        if inspect.isfunction(x) and x.__module__ == "mor.examples" and name[0] != "_"
    }
    found |= {f"mor.LQO.{name}": getattr(mor.LQO, name) for name in ("from_gate", "from_glu")}
    found["mor.Modal.from_lti"] = mor.Modal.from_lti
    if importlib.util.find_spec("torch"):
        import mor.adapters.torch as adapter

        found |= {f"mor.adapters.torch.{name}": getattr(adapter, name) for name in adapter.__all__}
    return {name: x for name, x in found.items() if callable(x) and x is not MorError}


PUBLIC = _public()


def raised(function: Any) -> set[type[MorError]]:
    """What the code of a function or constructor raises, itself or by functions of its module."""
    module = sys.modules[function.__module__]
    tree = ast.parse(inspect.getsource(module))
    defined = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    name, *method = function.__qualname__.split(".")
    open_, seen, found = bodies(defined[name], *method), {name}, set()
    while open_:
        for x in ast.walk(open_.pop()):
            if isinstance(x, ast.Raise) and isinstance(x.exc, ast.Call) and isinstance(x.exc.func, ast.Name):
                kind = getattr(module, x.exc.func.id, None)
                if isinstance(kind, type) and issubclass(kind, MorError):
                    found.add(kind)
            if isinstance(x, ast.Call) and isinstance(x.func, ast.Name) and x.func.id not in seen:
                seen.add(x.func.id)
                open_ += bodies(defined[x.func.id]) if x.func.id in defined else []
    return found


def bodies(node: ast.FunctionDef | ast.ClassDef, *methods: str) -> list[ast.FunctionDef]:
    """What runs when a function, a method or, without one, a constructor is called."""
    if isinstance(node, ast.FunctionDef):
        return [node]
    wanted = methods or ("__init__", "__post_init__")
    return [x for x in node.body if isinstance(x, ast.FunctionDef) and x.name in wanted]


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_what_the_code_raises_is_documented(name):
    known = (ArgumentTypeError, *documented(PUBLIC[name]))
    assert {kind for kind in raised(PUBLIC[name]) if not issubclass(kind, known)} == set()


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_each_error_is_one_of_ours_and_has_its_reason(name):
    found = entries(sections(inspect.getdoc(PUBLIC[name]) or "").get("Raises", ""))
    assert documented(PUBLIC[name]) or not found
    assert [error for error, reason in found.items() if not reason] == []


def test_the_page_on_errors_has_every_kind():
    page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text()
    kinds = [x for x in vars(mor.errors).values() if isinstance(x, type) and issubclass(x, MorError)]
    assert [
        kind.__name__ for kind in kinds if f"`{kind.__name__}`" not in page and kind is not MorError
    ] == []


def test_the_tests_see_what_is_missing():
    def silent():
        """Raises
        ------
        UnstableSystemError
            Of unstable systems.
        """

    def caught(error):
        try:
            raise error
        except MorError as raised_here:
            return raised_here

    assert not is_documented(caught(ReductionError("no")), silent)
    assert is_documented(caught(mor.errors.UnstableSystemError("no")), silent)
    assert is_documented(caught(mor.errors.TimeTypeError("no")), silent)
    assert raised(mor.as_system) == {mor.errors.NotASystemError}
    assert mor.errors.NotASystemError in raised(mor.deep.compress)
