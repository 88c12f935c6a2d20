"""`mor compare`: the numbers are the library's, and what cannot be compared is named."""

import json

import numpy as np
import pytest

import mor
from mor.errors import NotFiniteError
from tests.oracles.dense import random_stable


@pytest.fixture
def files(tmp_path):
    """A random system of order 12, 2 inputs and 2 outputs, and two reduced ones."""
    rng = np.random.default_rng(1)
    full = mor.LTI(random_stable(rng, 12, 0.0), rng.standard_normal((12, 2)), rng.standard_normal((2, 12)))
    paths = [tmp_path / name for name in ("full.mat", "four.npz", "eight.mtx")]
    for path, order in zip(paths, (None, 4, 8), strict=True):
        mor.save(path, full if order is None else mor.balanced_truncation(full, order=order))
    return paths


def test_numbers_are_those_of_the_library(mor_command, files):
    code, out, _ = mor_command("compare", *files, "--json")
    assert code == 0
    found = json.loads(out)
    full, *roms = (mor.load(path) for path in files)
    assert (found["inputs"], found["outputs"], found["dt"], found["plot"]) == (2, 2, 0.0, None)
    np.testing.assert_allclose(found["full"]["h2_norm"], mor.h2_norm(full), rtol=1e-9)
    np.testing.assert_allclose(found["full"]["hinf_norm"], mor.hinf_norm(full), rtol=1e-6)
    for row, rom in zip(found["roms"], roms, strict=True):
        assert (row["order"], row["stable"]) == (rom.order, True)
        np.testing.assert_allclose(row["h2_error"], mor.h2_error(full, rom), rtol=1e-6)
        np.testing.assert_allclose(row["h2_relative"], row["h2_error"] / mor.h2_norm(full), rtol=1e-9)
        np.testing.assert_allclose(row["hinf_error"], mor.peak_gain(full - rom).gain, rtol=1e-6)
        np.testing.assert_allclose(row["hinf_relative"], row["hinf_error"] / mor.hinf_norm(full), rtol=1e-6)
        assert row["hinf_error"] <= row["hinf_limit"]
        gap = np.linalg.norm(full.evaluate(0) - rom.evaluate(0), 2)
        np.testing.assert_allclose(row["dc_error"], gap, rtol=1e-9)
        np.testing.assert_allclose(row["dc_relative"], gap / np.linalg.norm(full.evaluate(0), 2), rtol=1e-9)


@pytest.mark.slow
def test_table_and_plot(mor_command, files, tmp_path):
    plot = tmp_path / "c.png"
    code, out, _ = mor_command("compare", *files, "--plot", plot)
    assert code == 0
    assert plot.read_bytes().startswith(b"\x89PNG")
    text = " ".join(out.split())
    for name in ("full.mat", "four.npz", "eight.mtx", "H-infinity error", "error at rest"):
        assert name in text
    code, _, err = mor_command("compare", *files, "--plot", plot)
    assert code == 5
    assert "exists" in err
    assert mor_command("compare", *files, "--plot", plot, "--force")[0] == 0


def test_a_gain_that_was_only_searched_for_is_marked(mor_command, files, monkeypatch):
    monkeypatch.setattr("mor.analysis.error.PROVABLE", 0)
    found = json.loads(mor_command("compare", *files, "--json")[1])
    assert all(row["hinf_limit"] is None and not row["proven"] for row in found["roms"])
    out = mor_command("compare", *files)[1]
    assert "~ " in out
    assert "peak_gain" in out


def test_unstable_and_infinite(mor_command, tmp_path):
    one, names = np.ones((1, 1)), [tmp_path / f"{name}.npz" for name in "abcd"]
    for path, system in zip(
        names, ((-one, one, one), (one, one, one), (0 * one, one, one), (-one, one, one, one)), strict=True
    ):
        mor.save(path, system)
    code, out, _ = mor_command("compare", *names, "--json")
    unstable, integrator, fed = json.loads(out)["roms"]
    assert code == 0
    assert (unstable["stable"], unstable["h2_error"], unstable["hinf_error"]) == (False, None, None)
    assert unstable["dc_error"] == pytest.approx(2.0)
    assert (integrator["dc_error"], integrator["hinf_error"]) == (None, None)
    # D has changed: the H2 error of a continuous system is infinite, the other one is not.
    assert (fed["h2_error"], fed["hinf_error"]) == (None, pytest.approx(1.0))
    assert "NO" in mor_command("compare", *names)[1]


@pytest.mark.parametrize(
    ("other", "code", "message"),
    [
        (([[-1.0]], [[1.0]], [[1.0]]), 3, "other.npz: "),
        (mor.LTI(-np.eye(2) / 2, np.ones((2, 2)), np.ones((2, 2)), dt=0.1), 3, "other.npz: "),
        (mor.Modal(-np.ones((3, 2)), np.ones((3, 2, 2)), np.ones((3, 2, 2))), 3, "batch"),
        (None, 5, "no such file"),
    ],
)
def test_what_cannot_be_compared(mor_command, files, tmp_path, other, code, message):
    if other is not None:
        mor.save(tmp_path / "other.npz", other)
    found, out, err = mor_command("compare", files[0], tmp_path / "other.npz")
    assert (found, out) == (code, "")
    assert message in " ".join(err.split())


@pytest.mark.slow
def test_an_integrator_at_round_off_is_drawn(mor_command, tmp_path):
    names = [tmp_path / name for name in ("full.npz", "rom.npz")]
    for path, poles in zip(names, ([0.3, 1e-15, -1.0], [0.3, 4e-17]), strict=True):
        mor.save(path, mor.LTI(np.diag(poles), np.ones((len(poles), 1)), np.ones((1, len(poles)))))
    plot = tmp_path / "c.png"
    assert mor_command("compare", *names, "--plot", plot)[0] == 0
    assert plot.exists()


@pytest.mark.parametrize("as_json", [False, True])
def test_numbers_are_printed_without_a_plot(mor_command, files, tmp_path, monkeypatch, as_json):
    def fail(*_, **__):
        raise NotFiniteError("the response overflows.")

    monkeypatch.setattr("mor.report.plots.figures.plot_step", fail)
    plot = tmp_path / "c.png"
    code, out, err = mor_command("compare", *files, "--plot", plot, *(["--json"] if as_json else []))
    assert (code, plot.exists()) == (3, False)
    assert "the response overflows." in err
    assert "no plot" in err
    assert "Wrote" not in out
    if as_json:
        found = json.loads(out)
        assert (found["plot"], len(found["roms"])) == (None, 2)
    else:
        assert "eight.mtx" in out
