"""Where the scripts are, how a run is broken off, and how a script is called."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

SCRIPTS = Path(__file__).parents[2] / "benchmarks" / "hsvr"
CPU = torch.device("cpu")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Interrupted(Exception):
    """Stands for Ctrl-C, a full disk or a machine taken away."""


def interrupt(monkeypatch, train, after):
    """Let the run fail after so many batches."""
    batches, count = train.batches, 0

    def failing(*arguments):
        nonlocal count
        for batch in batches(*arguments):
            count += 1
            if count > after:
                raise Interrupted
            yield batch

    monkeypatch.setattr(train, "batches", failing)


def poison_from(monkeypatch, train, epoch, name):
    """Put NaN into a parameter before this epoch."""
    original = train.Run.epoch

    def poisoned(self, images, device):
        if len(self.history) == epoch:
            with torch.no_grad():
                dict(self.model.named_parameters())[name].view(-1)[0] = float("nan")
        return original(self, images, device)

    monkeypatch.setattr(train.Run, "epoch", poisoned)


def run_main(module, monkeypatch, capsys, *arguments):
    """Exit code or message, and what was printed; settings of the process are put back."""
    monkeypatch.setattr(sys, "argv", ["script", *map(str, arguments)])
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    threads, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    try:
        module.main()
        code = None
    except SystemExit as stop:
        code = stop.code
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)
    return code, capsys.readouterr().out
