"""Which Gramians `mor reduce` balances by."""

import json

import numpy as np
import pytest

import mor
from mor.analysis.gramians import KINDS
from mor.analysis.gramians.text import usage
from mor.reduction.methods import METHODS
from tests.cli.test_cli import run
from tests.oracles.dense import random_stable


@pytest.fixture
def mor_command(capsys, monkeypatch):
    return lambda *arguments: run(capsys, monkeypatch, *arguments)


def stable_system(rng, n=6, m=2, p=3, dt=0.0):
    return mor.LTI(random_stable(rng, n, dt), rng.standard_normal((n, m)), rng.standard_normal((p, n)), dt=dt)


def test_command_line(mor_command, tmp_path):
    full = tmp_path / "full.npz"
    mor.save(full, stable_system(np.random.default_rng(5)))
    found = {}
    for kind, options in {
        "long": ("--gramians", "time-limited:horizon=2"),
        "short": ("--horizon", "2"),
        "plain": ("--gramians", "infinite"),
    }.items():
        command = ("reduce", full, tmp_path / f"{kind}.npz", "--order", "3", *options, "--json")
        code, out, _ = mor_command(*command)
        assert code == 0
        found[kind] = json.loads(out)
    for key in ("method", "hsv", "h2_error", "h2_unlimited", "horizon", "aim", "aim_error", "aim_plain"):
        assert found["long"][key] == found["short"][key]
    assert found["long"]["aim_error"] == found["long"]["h2_error"]
    assert (found["plain"]["aim_plain"], found["plain"]["method"]) == (None, "balanced truncation")
    code, _, err = mor_command("reduce", full, tmp_path / "x.npz", "--order", "3", "--gramians", "all")
    assert code == 3
    assert "infinite, time-limited, frequency-limited" in err


def test_help_names_what_the_lists_hold(mor_command, monkeypatch):
    code, out, _ = mor_command("reduce", "--help")
    text = "".join(out.replace("│", " ").split())
    assert code == 0
    assert all(usage(kind) in text for kind in KINDS)
    assert all(f"{name}:{method.help}".replace(" ", "") in text for name, method in METHODS.items())
