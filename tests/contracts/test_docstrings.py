"""Every public function says what it takes, gives, and how it is used."""

from __future__ import annotations

import inspect
import re
from functools import cached_property
from importlib.util import find_spec
from types import FunctionType
from typing import Any

import pytest

import mor
import mor.deep
import mor.examples
from mor.adapters.checkpoints import Checkpoint, load_resized
from mor.analysis.nuclear_norm import nuclear_norm_gradient
from mor.equations.band import band_gramian
from mor.reduction.balancing import Balancing
from mor.reduction.batch_balancing import BatchBalancing
from mor.reduction.modal import ModeRanking
from mor.report import plot_bode, plot_hsv, plot_poles, plot_sigma, plot_step
from mor.systems.base import System
from tests.fuzz.documented import sections

PUBLIC: dict[str, Any] = {
    name: value
    for name in mor.__all__
    if callable(value := getattr(mor, name))
    and not (isinstance(value, type) and issubclass(value, Exception))
}
PUBLIC |= {name: getattr(mor.deep, name) for name in mor.deep.__all__}
PUBLIC |= {f.__name__: f for f in (plot_bode, plot_hsv, plot_poles, plot_sigma, plot_step)}
PUBLIC |= {f.__name__: f for f in (nuclear_norm_gradient, load_resized, band_gramian)}
PUBLIC |= {f.__name__: f for f in (mor.examples.advection_diffusion, mor.examples.gated_layer)}
if find_spec("torch"):
    import mor.adapters.torch as _torch

    PUBLIC |= {name: getattr(_torch, name) for name in _torch.__all__}
PUBLIC |= {f.__qualname__: f for f in (Balancing.truncate, BatchBalancing.truncate, ModeRanking.truncate)}
FUNCTIONS = [name for name, value in PUBLIC.items() if not isinstance(value, type) and "." not in name]
CLASSES = {name for name, value in PUBLIC.items() if isinstance(value, type)}
#: Whose members all say what they are.
KINDS = [PUBLIC[name] for name in sorted(CLASSES)]
KINDS += [System, Balancing, BatchBalancing, ModeRanking, Checkpoint]

#: A line 'name', 'name : what', 'a, b : what' or '*name'.
_ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: :.*)?$")


def documented(text, titles=("Parameters", "Attributes")):
    """Names in the sections of parameters and attributes."""
    found = sections(text)
    lines = "".join(found.get(title, "") for title in titles).splitlines()
    names = (match.group(1).split(",") for line in lines if (match := _ENTRY.match(line)))
    return {name.strip(" *") for entry in names for name in entry}


def text_of(name):
    return inspect.getdoc(PUBLIC[name]) or ""


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_parameter_is_documented(name):
    parameters = set(inspect.signature(PUBLIC[name]).parameters) - {"self"}
    assert parameters <= documented(text_of(name))


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_no_parameter_is_documented_that_there_is_not(name):
    assert documented(text_of(name), ["Parameters"]) <= set(inspect.signature(PUBLIC[name]).parameters)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_what_it_returns_raises_and_looks_like(name):
    found = sections(text_of(name))
    returns = inspect.signature(PUBLIC[name]).return_annotation
    assert "Returns" in found or returns in ("None", None)
    assert "Raises" in found
    assert "Examples" in found


@pytest.mark.parametrize("name", sorted(CLASSES - {"Compression"}))
def test_classes_show_an_example(name):
    assert "Examples" in sections(text_of(name))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_members_of_classes_say_what_they_are(kind):
    members = {name: value for name, value in vars(kind).items() if name[0] != "_"}
    described = (property, cached_property, classmethod, staticmethod, FunctionType)
    silent = [
        name for name, x in members.items() if isinstance(x, described) and not text_of_member(kind, name)
    ]
    assert silent == []


def text_of_member(kind, name):
    """Its docstring, or that of what it overrides."""
    found = (inspect.getdoc(vars(base).get(name)) for base in kind.__mro__ if name in vars(base))
    return next(filter(None, found), "")


def test_the_test_sees_what_is_missing():
    """What the checks above rest on: a parameter in the text, not in a section, is not documented."""
    text = "Do something with a and b.\n\nParameters\n----------\na, *c : numbers\n    b : no entry"
    assert documented(text) == {"a", "c"}
