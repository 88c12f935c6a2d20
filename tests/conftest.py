"""Shared set-up: a deterministic Hypothesis profile and the optional data folder."""

import os
from pathlib import Path

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
