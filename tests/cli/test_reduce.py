"""`mor reduce`: the report, the files it writes, and what it refuses."""

import json
import re
import subprocess
import sys

import numpy as np
import pytest

import mor
from mor.analysis.gramians import KINDS
from mor.errors import NotFiniteError
from mor.reduction.methods import FAMILIES, METHODS
from tests.oracles.dense import random_stable


def random_system(rng, n):
    """Stable, continuous, 2 inputs and 2 outputs."""
    A = random_stable(rng, n, 0.0)
    return mor.LTI(A, rng.standard_normal((n, 2)), rng.standard_normal((2, n)))


@pytest.fixture
def model(tmp_path):
    """A file with a random system of order 12, 2 inputs and 2 outputs."""
    path = tmp_path / "full.mat"
    mor.save(path, random_system(np.random.default_rng(1), 12))
    return path


@pytest.mark.slow
def test_report_files_and_plot(mor_command, model, tmp_path):
    rom = tmp_path / "rom.npz"
    code, out, _ = mor_command("reduce", model, rom, "--order", "4", "--json")
    found = json.loads(out)
    assert code == 0
    expected = mor.balanced_truncation(mor.load(model), order=4)
    np.testing.assert_allclose(found["error_bound"], expected.error_bound, rtol=1e-12)
    np.testing.assert_allclose(found["hsv"], expected.hsv, rtol=1e-12)
    written = mor.load(rom)
    assert (written.order, found["order"]) == (4, [12, 4])
    assert found["stable"]
    assert found["holds"]
    error = mor.hinf_norm(mor.load(model) - written)
    np.testing.assert_allclose(found["hinf_error"], error, rtol=1e-7)
    assert found["hinf_limit"] >= found["hinf_error"]
    np.testing.assert_allclose(found["h2_error"], mor.h2_error(mor.load(model), written), rtol=1e-9)
    assert found["plot"] is None
    np.testing.assert_allclose(sum(found["seconds_of"].values()), found["seconds"])
    code, out, _ = mor_command("reduce", model, rom, "--order", "4", "--force")
    assert code == 0
    assert (tmp_path / "rom.png").read_bytes().startswith(b"\x89PNG")
    assert re.search(r" s: reading \d.*, reduction \d.*, errors \d.*, plot \d", " ".join(out.split()))
    code, out, _ = mor_command("reduce", model, rom, "--order", "4", "--force", "--plot", tmp_path / "p.pdf")
    assert code == 0
    assert "12 -> 4" in out
    assert "proven" in out
    assert (tmp_path / "p.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.slow
def test_a_plot_only_where_one_is_wanted(mor_command, model, tmp_path):
    def files(*options):
        rom = tmp_path / "rom.mat"
        code, *_ = mor_command("reduce", model, rom, "--order", "2", "--force", *options)
        assert code == 0
        return {path.name for path in tmp_path.iterdir()} - {"full.mat", "rom.mat"}

    assert files("--json") == set()
    assert files("--no-plot") == set()
    assert files("--json", "--plot", tmp_path / "p.svg") == {"p.svg"}
    assert files() == {"p.svg", "rom.png"}


@pytest.mark.parametrize("as_json", [False, True])
def test_the_report_is_printed_without_a_plot(mor_command, model, tmp_path, monkeypatch, as_json):
    def fail(*_):
        raise NotFiniteError("the response overflows.")

    monkeypatch.setattr("mor.report.reduction.save_reduction_plot", fail)
    rom, plot = tmp_path / "rom.npz", tmp_path / "rom.png"
    options = ["--json", "--plot", plot] if as_json else []
    code, out, err = mor_command("reduce", model, rom, "--order", "4", *options)
    assert (code, plot.exists(), mor.load(rom).order) == (3, False, 4)
    assert "the response overflows." in err
    assert f"There is no plot {plot}" in err
    if as_json:
        found = json.loads(out)
        assert (found["plot"], found["order"]) == (None, [12, 4])
    else:
        assert "12 -> 4" in out
        assert f"Wrote {rom} in" in out


def test_a_gain_that_was_only_searched_for_says_how_to_prove_it(mor_command, model, tmp_path, monkeypatch):
    arguments = ("reduce", model, tmp_path / "rom.mat", "--order", "2", "--no-plot", "--force")
    _, out, _ = mor_command(*arguments)
    assert "peak_gain" not in out
    proven = json.loads(mor_command(*arguments[:-2], "--force", "--json")[1])["hinf_error"]
    monkeypatch.setattr("mor.analysis.error.PROVABLE", 0)
    _, out, _ = mor_command(*arguments)
    assert "searched for" in out
    assert "mor.peak_gain(full - reduced)" in " ".join(out.split())
    found = json.loads(mor_command(*arguments, "--json")[1])
    assert found["hinf_limit"] is None
    np.testing.assert_allclose(found["hinf_error"], proven, rtol=1e-6)


def test_errors_name_the_options(mor_command, tmp_path):
    mor.save(tmp_path / "u.npz", ([[1.0, 0], [0, -1]], [[1.0], [1]], [[1.0, 1]]))
    code, _, err = mor_command("reduce", tmp_path / "u.npz", tmp_path / "r.npz", "--order", "1")
    assert code == 4
    assert "--unstable split reduces the stable part" in err
    assert "--horizon gives the time-limited reduction" in err
    with pytest.raises(mor.MorError, match=r"unstable='split' reduces .* horizon= gives"):
        mor.balanced_truncation(mor.load(tmp_path / "u.npz"), order=1)


def test_help_lists_what_the_library_has(mor_command):
    code, out, _ = mor_command("reduce", "--help")
    assert code == 0
    assert all(word in " ".join(out.split()) for word in (*METHODS, *KINDS, "(bt, tsia, h2)"))
    code, out, _ = mor_command("plan", "--help")
    assert code == 0
    assert all(name in out for name in FAMILIES)


def test_python_dash_m(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "mor", "--help"], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert "Reduce linear systems" in done.stdout


@pytest.mark.parametrize("method", ["bt", "tsia", "irka", "h2", "modal"])
def test_every_method_writes_matrices(mor_command, model, tmp_path, method):
    rom = tmp_path / "rom.mtx"
    code, out, _ = mor_command("reduce", model, rom, "--order", "4", "--method", method, "--json")
    assert code == 0
    written = mor.load(rom)
    assert isinstance(written, mor.LTI)
    assert written.order == json.loads(out)["order"][1] <= 4
    assert written.is_stable


def test_tolerance_and_horizon(mor_command, model, tmp_path):
    hsv = mor.hankel_singular_values(mor.load(model))
    tol = 2 * float(np.sum(hsv[5:])) * 1.001
    code, out, _ = mor_command("reduce", model, tmp_path / "a.mat", "--tol", tol, "--json")
    assert code == 0
    assert json.loads(out)["order"] == [12, 5]
    for method in ("bt", "tsia", "h2"):
        rom = tmp_path / f"{method}.mat"
        code, out, _ = mor_command(
            "reduce", model, rom, "--order", "3", "--method", method, "--horizon", "0.5", "--json"
        )
        found = json.loads(out)
        assert code == 0
        assert found["horizon"] == 0.5
        assert found["error_bound"] is None


@pytest.mark.slow
def test_variants_of_balanced_truncation(mor_command, model, tmp_path):
    full, rom = mor.load(model), tmp_path / "a.mat"

    def report(*options):
        code, out, _ = mor_command("reduce", model, rom, "--order", "4", "--force", "--json", *options)
        assert code == 0
        return json.loads(out)

    found = report("--match", "dc")
    np.testing.assert_allclose(mor.load(rom).evaluate(0), full.evaluate(0), rtol=1e-9)
    assert found["holds"]
    assert (found["h2_error"], found["h2_relative"]) == (None, None)  # D has changed
    found = report("--band", "0.5", "inf")
    assert found["band"] == [0.5, None]
    assert found["error_bound"] is None
    expected = mor.h2_error(full, mor.load(rom), band=(0.5, np.inf))
    np.testing.assert_allclose(found["h2_error"], expected, rtol=1e-6)
    code, out, _ = mor_command("reduce", model, rom, "--order", "4", "--force", "--band", "0.5", "2")
    assert code == 0
    assert "From 0.5 to 2 rad" in out


@pytest.mark.slow
def test_unstable_poles_are_kept_when_asked(mor_command, tmp_path):
    A = np.diag([0.0, 1.5, -1.0, -2.0, -3.0, -4.0])
    A[2, 0] = 1.0
    mor.save(tmp_path / "u.npz", (A, np.ones((6, 1)), np.arange(1.0, 7)[None, :]))
    arguments = ("reduce", tmp_path / "u.npz", tmp_path / "r.npz", "--order", "3", "--unstable", "split")
    code, out, _ = mor_command(*arguments, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["hsv"][:2] == [None, None]
    assert not found["stable"]
    assert found["holds"]
    assert 0 < found["hinf_error"] <= found["error_bound"] * (1 + 1e-9)
    np.testing.assert_allclose(np.sort(mor.load(tmp_path / "r.npz").poles.real)[1:], [0, 1.5], atol=1e-12)
    code, out, _ = mor_command(*arguments, "--force")
    assert code == 0
    assert "of the stable part" in out
    code, _, err = mor_command(*arguments[:3], "--order", "1", "--unstable", "split", "--force")
    assert code == 3
    assert "2 states belong to poles" in " ".join(err.split())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["full.mat", "rom.mat", "--order", "2", "--match", "x"], 3, "infinity, dc"),
        (["full.mat", "rom.mat", "--order", "2", "--method", "irka", "--match", "dc"], 3, "not for irka"),
        (["full.mat", "rom.mat", "--order", "2", "--method", "h2", "--band", "0", "1"], 3, "not for h2"),
        (["full.mat", "rom.mat", "--order", "2", "--band", "2", "1"], 3, "--band: frequencies"),
        (["full.mat", "rom.mat", "--tol", "2", "--horizon", "1"], 3, "has none"),
        (["unstable.npz", "rom.mat", "--order", "1", "--unstable", "y"], 3, "error, split"),
        (["full.mat", "rom.mat"], 2, "--order or --tol"),
        (["full.mat", "rom.mat", "--order", "2", "--plot", "a.png", "--no-plot"], 2, "--no-plot"),
        (["full.mat", "rom.mat", "--order", "2", "--tol", "1"], 2, "--order or --tol"),
        (["full.mat", "rom.mat", "--order", "99"], 3, "between 0 and 12"),
        (["full.mat", "rom.mat", "--order", "2", "--method", "magic"], 3, "magic"),
        (["full.mat", "rom.mat", "--tol", "1", "--method", "irka"], 3, "order"),
        (["full.mat", "rom.mat", "--order", "2", "--method", "modal", "--horizon", "1"], 3, "horizon"),
        (["full.mat", "rom.mat", "--order", "2", "--method", "irka", "--horizon", "1"], 3, "bt, tsia, h2"),
        (["none.mat", "rom.mat", "--order", "2"], 5, "no such file"),
        (["full.mat", "rom.txt", "--order", "2"], 5, ".npz"),
        (["full.mat", "full.mat", "--order", "2"], 5, "exists"),
        (["full.mat", "rom.mat", "--order", "2", "--plot", "rom.xyz"], 5, "plot"),
        (["unstable.npz", "rom.mat", "--order", "1"], 4, "pole"),
        (["batch.npz", "rom.npz", "--order", "1"], 3, "batch"),
    ],
)
def test_what_is_refused(mor_command, model, tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    mor.save("unstable.npz", ([[1.0, 0], [0, -1]], [[1.0], [1]], [[1.0, 1]]))
    mor.save("batch.npz", mor.Modal(-np.ones((2, 3)), np.ones((2, 3, 1)), np.ones((2, 1, 3))))
    before = sorted(tmp_path.iterdir())
    found, out, err = mor_command("reduce", *arguments)
    assert found == code
    assert out == ""
    assert message in " ".join(err.split())
    assert "Traceback" not in err
    # The library's spelling of an argument is no help here.
    assert not re.search(r"\b(order|tol|gramians|horizon|band|match|unstable|method|overwrite)=", err)
    assert sorted(tmp_path.iterdir()) == before
