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


#: Files that take most of the time of the whole suite; the fast subset leaves them out.
SLOW = {
    "test_jax.py",
    "test_lqo_promises.py",
    "test_fuzz_files.py",
    "test_fuzz_calls.py",
    "test_h2_reduction.py",
    "test_regularizer.py",
    "test_f01_sparse_indices_out_of_bounds.py",
    "test_f06_a_framework_system_and_its_reduction.py",
    "test_f08_small_files_large_memory.py",
    "test_m05_nnx.py",
    "test_docs.py",
    "test_checkpoints_writing.py",
    "test_f10_verify_of_own_output.py",
    "test_invariances.py",
    "test_hsvr_scripts.py",
    "test_training_truncation.py",
    "test_cli.py",
    "test_cli_reduce.py",
    "test_cli_compare.py",
    "test_peer_failures.py",
    "test_norms_more.py",
    "test_lqo.py",
    "test_lqo_reduction.py",
    "test_lqo_transfer.py",
    "test_checkpoints_torch.py",
    "test_compress.py",
    "test_known_answers.py",
    "test_atomic_writing.py",
    "test_balanced_truncation.py",
    "test_torch_layers.py",
    "test_c10_hinf_attained.py",
    "test_m11_idle_modes.py",
    "test_zeros.py",
    "test_complex_reduction.py",
    "test_agreement.py",
    "test_state_units.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.name in SLOW:
            item.add_marker(pytest.mark.slow)
