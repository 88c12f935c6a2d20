"""Compression of networks and checkpoints from Python."""

from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import mor
from mor.data import digits_path
from mor.deep import Network, allocate_ranks, compress
from mor.errors import NotASystemError, ReductionError, UnstableSystemError


@pytest.fixture(scope="module")
def checkpoint():
    return mor.read_checkpoint(digits_path("regularised.safetensors"))


def test_orders_and_bounds_are_those_of_the_parts(checkpoint):
    result = compress(checkpoint, keep=0.25)
    hsv = {name: mor.hankel_singular_values(system) for name, system in checkpoint.layers.items()}
    assert {name: r.order for name, r in result.reductions.items()} == allocate_ranks(hsv, 0.25)
    for name, reduction in result.reductions.items():
        np.testing.assert_allclose(reduction.error_bound, 2 * np.sum(hsv[name][reduction.order :]), rtol=1e-6)
    before, after = result.states
    assert after <= 0.25 * before


def processes(workers):
    # Not forked: other tests may have started threads in this process.
    return ProcessPoolExecutor(workers, mp_context=get_context("spawn"))


@pytest.mark.slow
@pytest.mark.parametrize("pool", [ThreadPoolExecutor, processes])
def test_an_executor_changes_nothing(checkpoint, pool):
    alone = compress(checkpoint, keep=0.25)
    with pool(2) as executor:
        together = compress(checkpoint, keep=0.25, executor=executor)
    for name, reduction in alone.reductions.items():
        assert together.reductions[name].order == reduction.order
        np.testing.assert_allclose(together.reductions[name].hsv, reduction.hsv, rtol=1e-9)


def test_progress_is_told_every_layer(checkpoint):
    seen = []
    compress(checkpoint, keep=0.5, progress=lambda *step: seen.append(step))
    for task in ("Balancing", "Truncating"):
        assert [step for step in seen if step[0] == task] == [(task, i, 4) for i in range(5)]


def test_a_network_is_compressed_like_its_checkpoint(checkpoint):
    network = Network(checkpoint.tensors)
    small = compress(network, keep=0.25).model
    by_file = Network(compress(checkpoint, keep=0.25).model.tensors)
    u = np.random.default_rng(0).uniform(0, 1, (4, 64, 1)).astype(np.float32)
    # Both round the same parameters to float32, from sums in another order.
    np.testing.assert_allclose(small(u), by_file(u), rtol=0, atol=1e-3)


def test_what_goes_wrong_names_its_layer(checkpoint):
    class Model:
        layers = dict(checkpoint.layers) | {
            "bad": mor.Modal(np.array([1.5 + 0j]), np.ones((1, 1)), np.ones((1, 1)), dt=1.0)
        }

        def replace(self, changes):
            raise AssertionError("nothing may be replaced")

    with pytest.raises(UnstableSystemError, match="layer bad: pole 0"):
        compress(Model(), keep=0.5)
    with pytest.raises(ReductionError, match="'magic' is not one of"):
        compress(checkpoint, keep=0.5, method="magic")
    with pytest.raises(ReductionError, match="no state-space layers"):
        compress(type("Empty", (), {"layers": {}, "replace": dict})(), keep=0.5)


@pytest.mark.parametrize("path", ["small.safetensors", Path("small.safetensors")])
def test_a_path_is_told_to_be_read(path):
    with pytest.raises(NotASystemError, match=r"compress\(mor\.read_checkpoint\('small\.safetensors'\)"):
        compress(path, keep=0.5)


@pytest.mark.parametrize("thing", [None, 3, {"layers": {}}, [1.0], mor.LTI([[-1.0]], [[1.0]], [[1.0]])])
def test_what_is_no_network_is_told_what_is(thing):
    with pytest.raises(NotASystemError, match=r"mor\.deep\.Network.*mor\.read_checkpoint"):
        compress(thing, keep=0.5)


@pytest.mark.slow
def test_a_module_is_told_its_way():
    torch = pytest.importorskip("torch")
    from mor.adapters.torch import StateSpaceNetwork

    model = StateSpaceNetwork(1, 2, layers=2, channels=3, states=8)
    with pytest.raises(NotASystemError, match=r"compress\(model\.network\(\), \.\.\.\)"):
        compress(model, keep=0.5)
    with pytest.raises(NotASystemError, match=r"Linear has no named state-space layers.*truncate"):
        compress(torch.nn.Linear(2, 2), keep=0.5)


def test_a_compressed_network_is_saved_and_read_again(checkpoint, tmp_path):
    """As the documentation has it."""
    small = compress(Network(checkpoint.tensors), keep=0.25).model
    save_file(dict(small.tensors), tmp_path / "small.safetensors")
    back = mor.read_checkpoint(tmp_path / "small.safetensors")
    assert {name: x.order for name, x in back.layers.items()} == {n: x.order for n, x in small.layers.items()}
