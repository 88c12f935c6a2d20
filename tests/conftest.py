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


#: Files that take most of the time of the whole suite; the fast subset leaves them out.
SLOW = {
    "adapters/test_atomic_writing.py",
    "analysis/test_lqo_transfer.py",
    "analysis/test_norms.py",
    "analysis/test_zeros.py",
    "benchmarks/test_hsvr_scripts.py",
    "checkpoints/test_torch_files.py",
    "checkpoints/test_writing.py",
    "cli/test_cli.py",
    "cli/test_compare.py",
    "cli/test_reduce.py",
    "contracts/test_agreement.py",
    "contracts/test_docs.py",
    "contracts/test_fuzz_calls.py",
    "contracts/test_fuzz_files.py",
    "contracts/test_invariances.py",
    "contracts/test_jax.py",
    "contracts/test_known_answers.py",
    "contracts/test_peer_failures.py",
    "contracts/test_state_units.py",
    "deep/test_compress.py",
    "defects/test_c10_hinf_attained.py",
    "defects/test_f01_sparse_indices_out_of_bounds.py",
    "defects/test_f06_a_framework_system_and_its_reduction.py",
    "defects/test_f08_small_files_large_memory.py",
    "defects/test_f10_verify_of_own_output.py",
    "defects/test_m05_nnx.py",
    "defects/test_m11_idle_modes.py",
    "reduction/h2/test_h2_reduction.py",
    "reduction/test_balanced_truncation.py",
    "reduction/test_complex_reduction.py",
    "reduction/test_lqo_promises.py",
    "reduction/test_lqo_reduction.py",
    "systems/test_lqo.py",
    "torch/test_layers.py",
    "torch/test_recurrence.py",
    "torch/test_network.py",
    "torch/test_regularizer.py",
    "torch/test_regularizer_gradient.py",
    "torch/test_regularizer_jax.py",
    "torch/test_regularizer_layers.py",
    "analysis/test_nuclear_norm_beyond.py",
    "torch/test_truncation_failures.py",
    "torch/test_truncation_optimizer.py",
    "torch/test_truncation_steps.py",
    "benchmarks/test_hsvr_commands.py",
    "benchmarks/test_hsvr_configurations.py",
    "torch/test_training_truncation.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.relative_to(here).as_posix() in SLOW:
            item.add_marker(pytest.mark.slow)
