"""Every public function says what it takes, gives, and how it is used."""

from __future__ import annotations

import inspect
import re
from importlib.util import find_spec
from typing import Any

import pytest

import mor
import mor.deep
import mor.examples
from mor.adapters.checkpoints import load_resized
from mor.analysis.hankel import nuclear_norm_gradient
from mor.equations.band import band_gramian
from mor.reduction.balancing import Balancing
from mor.reduction.batch_balancing import BatchBalancing
from mor.reduction.modal import ModeRanking
from mor.report import plot_bode, plot_hsv, plot_poles, plot_sigma, plot_step

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

#: A line 'name', 'name : what', 'a, b : what' or '*name'.
_ENTRY = re.compile(r"^(\*{0,2}\w+(?:, \*{0,2}\w+)*)(?: :.*)?$")


def sections(text):
    """Bodies of numpydoc sections by title."""
    parts = re.split(r"^(\w[\w ]*)\n-{3,}$", text, flags=re.M)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def documented(text):
    """Names in the sections of parameters and attributes."""
    found = sections(text)
    lines = (found.get("Parameters", "") + found.get("Attributes", "")).splitlines()
    names = (match.group(1).split(",") for line in lines if (match := _ENTRY.match(line)))
    return {name.strip(" *") for entry in names for name in entry}


def text_of(name):
    return inspect.getdoc(PUBLIC[name]) or ""


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_parameter_is_documented(name):
    parameters = set(inspect.signature(PUBLIC[name]).parameters) - {"self"}
    assert parameters <= documented(text_of(name))


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_no_parameter_is_documented_that_there_is_not(name):
    assert documented(text_of(name)) <= set(inspect.signature(PUBLIC[name]).parameters)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_what_it_returns_raises_and_looks_like(name):
    found = sections(text_of(name))
    returns = inspect.signature(PUBLIC[name]).return_annotation
    assert "Returns" in found or returns in ("None", None)
    assert "Raises" in found
    assert "Examples" in found


@pytest.mark.parametrize(
    "name", sorted(x for x in PUBLIC if isinstance(PUBLIC[x], type) and x != "Compression")
)
def test_classes_show_an_example(name):
    assert "Examples" in sections(text_of(name))


def test_the_test_sees_what_is_missing():
    """What the checks above rest on: a parameter in the text, not in a section, is not documented."""
    text = "Do something with a and b.\n\nParameters\n----------\na, *c : numbers\n    b : no entry"
    assert documented(text) == {"a", "c"}
