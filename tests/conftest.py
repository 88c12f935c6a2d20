"""Shared set-up: a deterministic Hypothesis profile and the optional data folder."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "mor",
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("mor")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets that MOR_DATA names."""
    folder = os.environ.get("MOR_DATA")
    if not folder:
        pytest.skip("MOR_DATA is not set")
    return Path(folder)


@pytest.fixture
def mor_command(capsys, monkeypatch) -> Callable[..., tuple[int, str, str]]:
    """Run ``mor`` with these arguments: exit code, standard output, standard error."""
    from mor.cli import main

    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["mor", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            main()
        streams = capsys.readouterr()
        return int(stopped.value.code or 0), streams.out, streams.err

    return run


@pytest.fixture
def mor_json(mor_command) -> Callable[..., Any]:
    """What the command prints for machines."""

    def run(*arguments: object) -> Any:
        _, out, err = mor_command(*arguments, "--json")
        assert out, err
        return json.loads(out)

    return run


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the data sets by the fixture it asks for, so that none is forgotten."""
    for item in items:
        if "data_dir" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.data)
