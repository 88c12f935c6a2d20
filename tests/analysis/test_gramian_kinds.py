"""One list of Gramians: what a kind says of itself is what functions, command line and docs do."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

import mor
from mor.analysis.gramians import KINDS, Gramians
from mor.analysis.gramians.base import NUMBER
from mor.analysis.gramians.text import read_gramians, usage, usages
from mor.errors import ReductionError, ReductionTypeError, TimeStepError, TimeTypeError
from mor.reduction.methods import reduce_by
from tests.oracles.dense import random_stable

DOCS = Path(__file__).parents[2] / "docs" / "balanced-truncation.md"


def stable_system(rng, n=6, m=2, p=3, dt=0.0):
    B, C = rng.standard_normal((n, m)), rng.standard_normal((p, n))
    return mor.LTI(random_stable(rng, n, dt), B, C, rng.standard_normal((p, m)), dt=dt)


def test_short_forms_are_the_objects():
    for dt in (0.0, 0.5):
        sys = stable_system(np.random.default_rng(0), dt=dt)
        pairs = [
            ({}, mor.Infinite()),
            ({"horizon": 3}, mor.TimeLimited(3)),
            ({"band": (0.1, 2.0)}, mor.FrequencyLimited((0.1, 2.0))),
        ]
        for short, kind in pairs:
            for function in (mor.gramians, mor.hankel_singular_values):
                np.testing.assert_array_equal(function(sys, **short), function(sys, gramians=kind))
            one, two = (mor.balanced_truncation(sys, 3, **options) for options in (short, {"gramians": kind}))
            np.testing.assert_array_equal(one.system.A, two.system.A)
            assert (one.method, one.error_bound) == (two.method, two.error_bound)
            assert (one.bound_kind == "none") == (one.error_bound is None)


def test_factors_gramians_and_values_agree():
    for kind in (mor.Infinite(), mor.TimeLimited(4), mor.FrequencyLimited((0.1, 1.0))):
        for dt in (0.0, 0.5):
            sys = stable_system(np.random.default_rng(1), dt=dt)
            Zc, Zo = kind.checked(sys).factors(sys)
            P, Q = mor.gramians(sys, gramians=kind)
            np.testing.assert_allclose(Zc @ Zc.T, P, atol=1e-12 * np.abs(P).max())
            np.testing.assert_allclose(Zo @ Zo.T, Q, atol=1e-12 * np.abs(Q).max())
            expected = np.sqrt(np.sort(np.linalg.eigvals(P @ Q).real)[::-1])
            found = mor.hankel_singular_values(sys, gramians=kind)
            np.testing.assert_allclose(found, expected, atol=1e-7 * expected[0])


def test_a_bound_of_every_order_or_none():
    sys = stable_system(np.random.default_rng(2))
    rom = mor.balanced_truncation(sys, 2)
    np.testing.assert_allclose(rom.bounds[:-1], 2 * np.cumsum(rom.hsv[::-1])[::-1])
    assert rom.bounds[-1] == 0
    assert mor.balanced_truncation(sys, 2, gramians=mor.TimeLimited(1.0)).bounds is None


def test_only_one_choice():
    sys = stable_system(np.random.default_rng(3))
    for options in ({"gramians": mor.Infinite(), "horizon": 1.0}, {"horizon": 1.0, "band": (0, 1)}):
        for function in (mor.balance, mor.balanced_truncation, mor.gramians, mor.hankel_singular_values):
            with pytest.raises(TimeStepError, match="exclude each other"):
                function(sys, **options)


def test_what_makes_no_sense():
    sys = stable_system(np.random.default_rng(4), dt=0.5)
    for wrong in ("infinite", mor.Infinite, 3.0, (0.1, 2.0)):
        with pytest.raises(ReductionTypeError, match=r"none of mor\.Infinite"):
            mor.balance(sys, gramians=wrong)
    for make in (
        lambda: mor.TimeLimited(None),
        lambda: mor.TimeLimited("3"),
        lambda: mor.FrequencyLimited(2),
    ):
        with pytest.raises(TimeTypeError):
            make()
    for kind in (mor.TimeLimited(2.5), mor.FrequencyLimited((0.1, 100.0))):
        with pytest.raises(TimeStepError):
            mor.gramians(sys, gramians=kind)


def test_the_end_is_a_number():
    kind = mor.TimeLimited(np.array(2.0))
    assert (kind, repr(kind)) == (mor.TimeLimited(2.0), "TimeLimited(horizon=2.0)")
    assert hash(kind) == hash(mor.TimeLimited(2))


def test_what_is_not_needed_is_named_as_it_was_given():
    sys = stable_system(np.random.default_rng(4))
    for options, name in (({"gramians": mor.TimeLimited(2)}, "gramians="), ({"horizon": 2}, "horizon=")):
        with pytest.raises(ReductionError, match=f"'split' is not needed with {name},"):
            mor.balance(sys, unstable="split", **options)


def test_other_methods_name_the_gramians():
    sys = stable_system(np.random.default_rng(4))
    for kind in (mor.Weighted(sys), mor.TimeLimited(2.0)):
        with pytest.raises(ReductionError, match=f"^gramians={kind.name} is for bt, not for irka"):
            reduce_by("irka", sys, 2, gramians=kind)


@dataclass(frozen=True)
class Tilted(mor.Infinite):
    """A kind that the reader of the command line was not told of."""

    slope: float | None = field(default=None, metadata=NUMBER)
    hidden: int = 3
    name = "tilted"


@dataclass(frozen=True)
class Unspoken(mor.Infinite):
    """A kind whose field has no text."""

    data: object
    name = "unspoken"


def test_a_new_kind_needs_nothing_but_its_entry(monkeypatch):
    monkeypatch.setitem(KINDS, "tilted", Tilted)
    monkeypatch.setitem(KINDS, "unspoken", Unspoken)
    assert usages().endswith("or tilted:slope=NUMBER")
    assert read_gramians("tilted:slope=2", pytest.fail) == Tilted(2.0)
    assert read_gramians("tilted", pytest.fail) == Tilted()
    for text in ("tilted:hidden=2", "unspoken", "unspoken:data=3"):
        with pytest.raises(ReductionError, match="gramians"):
            read_gramians(text, pytest.fail)


def test_written_as_text():
    load = pytest.fail
    assert read_gramians("infinite", load) == mor.Infinite()
    assert read_gramians("time-limited:horizon=2.5", load) == mor.TimeLimited(2.5)
    assert read_gramians("frequency-limited:band=0..inf", load) == mor.FrequencyLimited((0.0, np.inf))
    for text in (
        "nothing",
        "time-limited",
        "time-limited:horizon=long",
        "time-limited:end=2",
        "time-limited:horizon",
        "time-limited:horizon=2,horizon=3",
        "frequency-limited:band=2",
        "weighted",
        "infinite:x=1",
    ):
        with pytest.raises(ReductionError, match=f"^gramians='{text}': "):
            read_gramians(text, load)
    with pytest.raises(TimeStepError, match=r"^gramians='frequency-limited:band=2\.\.1': "):
        read_gramians("frequency-limited:band=2..1", load)


def test_every_kind_is_complete_public_and_in_the_docs():
    """The table of the docs is what the list says."""
    cite = "[{0}](references.md#{1})".format
    rows = [line for line in DOCS.read_text().splitlines() if line.startswith("| [`mor.")]
    assert len(rows) == len(KINDS)
    for row, (name, kind) in zip(rows, KINDS.items(), strict=True):
        assert issubclass(kind, Gramians)
        assert kind.__name__ in mor.__all__
        cells = [cell.strip() for cell in row.strip("|").split(" | ")]
        assert cells[0].startswith(f"[`mor.{kind.__name__}(")
        assert cells[1] == f"`{usage(name)}`"
        sources = ", ".join(cite(key, key.lower()) for key in kind.sources)
        assert cells[2:] == [kind.needs, kind.promises, kind.bound, sources]
