"""`mor verify` ended with 0 where tensors outside the layers were zeroed, missing or added."""

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from tests.defects.layers import checkpoint, write

pytestmark = pytest.mark.slow

HEAD = {"head.weight": np.ones((4, 3), np.float32), "head.bias": np.ones(4, np.float32)}


def changed(x):
    x = dict(x)
    x["head.weight"] = np.zeros_like(x["head.weight"])
    return x


CHANGES = {
    "changed": changed,
    "retyped": lambda x: {**x, "head.weight": x["head.weight"].astype(np.float64)},
    "missing": lambda x: {key: value for key, value in x.items() if key != "head.bias"},
    "added": lambda x: {**x, "head.scale": np.ones(1, np.float32)},
}


@pytest.fixture
def files(tmp_path):
    model = write(tmp_path / "model.safetensors", checkpoint(others=HEAD))
    return model, tmp_path


@pytest.mark.parametrize("change", CHANGES)
def test_safetensors(files, mor_command, mor_json, change):
    model, folder = files
    small, bad = folder / "small.safetensors", folder / "bad.safetensors"
    assert mor_command("compress", model, small, "--keep", "0.5")[0] == 0
    assert mor_command("verify", model, small)[0] == 0
    with safe_open(small, "np") as opened:
        metadata = opened.metadata()
    write(bad, CHANGES[change](load_file(small)), metadata)
    code, out, _ = mor_command("verify", model, bad)
    assert code == 9
    assert "head." in out
    summary = mor_json("verify", model, bad)
    kind = "changed" if change == "retyped" else change
    assert [len(summary[f"{x}_tensors"]) for x in ("changed", "missing", "added")] == [
        int(x == kind) for x in ("changed", "missing", "added")
    ]


@pytest.mark.parametrize("change", CHANGES)
def test_torch(files, mor_command, change):
    torch = pytest.importorskip("torch")
    import hashlib
    import json

    from mor.adapters.checkpoints.formats.tensors import OUTPUT_KEY, sidecar

    model, folder = files
    small = folder / "small.pt"
    assert mor_command("compress", model, small, "--keep", "0.5")[0] == 0
    assert mor_command("verify", model, small)[0] == 0
    state = {key: x.numpy() for key, x in torch.load(small, weights_only=True).items()}
    torch.save({key: torch.from_numpy(np.array(x)) for key, x in CHANGES[change](state).items()}, small)
    # As if the manifest belonged to it: a changed file alone is told by its hash.
    manifest = json.loads(sidecar(small).read_text())
    manifest[OUTPUT_KEY] = hashlib.sha256(small.read_bytes()).hexdigest()
    sidecar(small).write_text(json.dumps(manifest))
    assert mor_command("verify", model, small)[0] == 9
