"""Which Gramians `mor reduce` balances by."""

import json

import numpy as np
import pytest

import mor
from mor.analysis.gramians import KINDS
from mor.analysis.gramians.text import usage
from mor.reduction.methods import METHODS
from tests.oracles.dense import random_stable


def stable_system(rng, n=6, m=2, p=3, dt=0.0):
    return mor.LTI(random_stable(rng, n, dt), rng.standard_normal((n, m)), rng.standard_normal((p, n)), dt=dt)


@pytest.mark.slow
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
    wrong = {
        ("--gramians", "frequency-limited:band=2"): "--gramians frequency-limited:band=2: band='2' must be",
        ("--gramians", "time-limited:horizon=2", "--method", "irka"): "--gramians time-limited is for bt",
    }
    for options, message in wrong.items():
        code, _, err = mor_command("reduce", full, tmp_path / "x.npz", "--order", "3", *options)
        assert code == 3
        assert message in " ".join(err.split())


def test_help_names_what_the_lists_hold(mor_command, monkeypatch):
    code, out, _ = mor_command("reduce", "--help")
    text = "".join(out.replace("│", " ").split())
    assert code == 0
    assert all(usage(kind) in text for kind in KINDS)
    assert all(f"{name}:{method.help}".replace(" ", "") in text for name, method in METHODS.items())


@pytest.mark.slow
def test_weights_are_files(mor_command, tmp_path):
    """The error that is reported beside the plain one is that of weight times difference."""
    rng = np.random.default_rng(6)
    paths = [tmp_path / name for name in ("full.npz", "in.npz", "out.mat", "rom.npz")]
    full, first, last = stable_system(rng), stable_system(rng, 2, 2, 2), stable_system(rng, 3, 3, 1)
    for path, sys in zip(paths, (full, first, last), strict=False):
        mor.save(path, sys)
    chosen = f"weighted:input={paths[1]},output={paths[2]}"
    command = ("reduce", paths[0], paths[3], "--order", "3", "--gramians", chosen, "--no-plot")
    code, out, _ = mor_command(*command, "--json")
    found, rom = json.loads(out), mor.load(paths[3])
    assert code == 0
    assert found["method"] == "frequency-weighted balanced truncation (input, output)"
    np.testing.assert_allclose(found["hinf_error"], mor.hinf_norm(full - rom), rtol=1e-3)
    weighted = [
        mor.hinf_norm(mor.series(first, full - x, last)) for x in (rom, mor.balanced_truncation(full, 3))
    ]
    np.testing.assert_allclose([found["aim_error"], found["aim_plain"]], weighted, rtol=1e-3)
    code, out, _ = mor_command(*command, "--force")
    assert code == 0
    assert "│ weighted H-infinity error, measured " in out
    assert "Hankel singular values are frequency-weighted." in out
