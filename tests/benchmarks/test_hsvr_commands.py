"""The scripts as commands, and what they refuse."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import mor
from tests.benchmarks.hsvr import SCRIPTS, run_main


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no configuration 'nothing'; there are digits, smnist"),
        (["digits", "--set", "depth=3"], "depth"),
        (["digits", "--set", "rate=fast"], "."),
        (["digits", "--set", 'data="letters"'], "'letters' is not 'digits' or 'mnist'"),
        (["smnist"], "give --data FILE, or its folder as MOR_DATA"),
    ],
)
def test_wrong_calls_of_train(train, monkeypatch, capsys, tmp_path, arguments, message):
    monkeypatch.delenv("MOR_DATA", raising=False)
    code, _ = run_main(train, monkeypatch, capsys, *arguments, "--out", tmp_path)
    assert re.search(message, code)
    assert code.startswith("error: ")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_main_trains_what_the_configuration_says(train, monkeypatch, capsys, tmp_path, images):
    monkeypatch.setattr(train, "load", lambda name, path: (images, images))
    sizes = ["layers=1", "channels=4", "states=4", "epochs=1", "ramp=2"]
    arguments = ("digits", "--plain", "--seed", 3, "--out", tmp_path, "--device", "cpu")
    code, printed = run_main(train, monkeypatch, capsys, *arguments, "--set", *sizes)
    assert code is None
    path = Path(printed.splitlines()[-1])
    assert path == tmp_path / "digits-plain-seed3.safetensors"
    config = json.loads(mor.read_checkpoint(path).metadata["made"])["config"]
    assert (config["weight"], config["seed"], config["layers"]) == (0.0, 3, 1)


def test_train_with_a_data_file_that_is_not_there(train, monkeypatch, capsys, tmp_path):
    code, _ = run_main(train, monkeypatch, capsys, "smnist", "--data", tmp_path / "no.npz", "--out", tmp_path)
    assert code.startswith("error: ")


@pytest.mark.slow
def test_evaluate_as_a_command(trained):
    environment = {name: x for name, x in os.environ.items() if name != "MOR_DATA"}
    environment["PYTHONPATH"] = str(SCRIPTS.parents[1])
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "evaluate.py"), str(trained.tensors), "--ratio", "0.5"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"accuracy=0\.\d{4}", done.stdout.strip())


def test_help_of_evaluate_shows_the_defaults(evaluate, monkeypatch, capsys):
    code, text = run_main(evaluate, monkeypatch, capsys, "--help")
    assert code == 0
    for default in ("0.8", "energy", "bt"):
        assert f"(default: {default}" in " ".join(text.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{model}", "--ratio", "1.0"], "keep=0"),
        (["{model}", "--ratio", "-0.5"], r"keep=1\.5"),
        (["{model}", "--ranks", "magic"], "magic"),
        (["{model}", "--method", "magic"], "magic"),
        (["{folder}/nothing.safetensors"], r"nothing\.safetensors"),
    ],
)
def test_wrong_calls_of_evaluate(evaluate, trained, tmp_path, monkeypatch, capsys, arguments, message):
    filled = [x.format(model=trained.tensors, folder=tmp_path) for x in arguments]
    code, _ = run_main(evaluate, monkeypatch, capsys, *filled)
    assert code.startswith("error: ")
    assert re.search(message, code)


def test_evaluate_on_a_file_that_is_no_checkpoint(evaluate, tmp_path, monkeypatch, capsys):
    (tmp_path / "bad.safetensors").write_bytes(b"no checkpoint at all")
    code, _ = run_main(evaluate, monkeypatch, capsys, tmp_path / "bad.safetensors")
    assert code.startswith("error: ")
