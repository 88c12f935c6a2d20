"""Layers that share their tensors could not be compressed on the command line or by deep.compress."""

import numpy as np
import pytest

import mor
from mor.deep import compress
from tests.defects.layers import checkpoint

torch = pytest.importorskip("torch")


@pytest.fixture
def file(tmp_path):
    """Three layers, of which the second is the first."""
    tensors = checkpoint("lru", ("b.0.lru.", "b.2.lru."))
    state = {key: torch.from_numpy(x) for key, x in tensors.items()}
    state |= {key.replace("b.0.", "b.1."): x for key, x in state.items() if key.startswith("b.0.")}
    path = tmp_path / "tied.pt"
    torch.save(state, path)
    return path


@pytest.mark.parametrize("method", ["bt", "modal"])
def test_they_stay_one_layer_and_count_once(file, tmp_path, mor_command, mor_json, method):
    out = tmp_path / "out.pt"
    found = mor_json("compress", file, out, "--keep", "0.5", "--method", method)
    assert found["states"][0] == 32
    assert found["states"][1] <= 16
    assert found["tied"] == [["b.0.lru", "b.1.lru"]]
    state = torch.load(out, weights_only=True)
    for key in ("nu_log", "B_re", "C_im"):
        assert state[f"b.0.lru.{key}"].data_ptr() == state[f"b.1.lru.{key}"].data_ptr()
    assert mor_command("verify", file, out)[0] == 0


def test_they_get_one_system(file):
    result = compress(mor.read_checkpoint(file), keep=0.4)
    assert result.reductions["b.0.lru"] is result.reductions["b.1.lru"]
    a, b = (result.model.layers[name] for name in ("b.0.lru", "b.1.lru"))
    assert np.array_equal(a.poles, b.poles)
    assert list(result.reductions) == ["b.0.lru", "b.1.lru", "b.2.lru"]


def test_inspect_counts_them_once(file, mor_json):
    assert mor_json("inspect", file)["states"] == 32
