"""Networks without their weak modes, from Python and from the command line."""

from __future__ import annotations

import json

import numpy as np
import pytest

import mor
from mor.data import digits_path
from mor.deep import compress
from mor.deep.ranks import RANKS
from mor.errors import ReductionError
from mor.reduction.methods import FAMILIES
from tests.oracles.dense import frequencies, largest_gain
from tests.oracles.modal import is_pole_of


@pytest.fixture(scope="module")
def checkpoint():
    return mor.read_checkpoint(digits_path("plain.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize("ranks", RANKS)
@pytest.mark.parametrize(("method", "score"), [("modal", "hinf"), ("modal-h2", "h2")])
def test_compress_keeps_whole_modes_under_the_budget(checkpoint, method, score, ranks):
    result = compress(checkpoint, keep=0.3, method=method, ranks=ranks)
    before, after = result.states
    # An odd share costs a layer of pairs one state at most.
    assert int(0.3 * before) - len(checkpoint.layers) <= after <= 0.3 * before
    for name, reduction in result.reductions.items():
        full = checkpoint.layers[name]
        assert reduction.method == f"modal truncation ({score})"
        assert reduction.order >= 1
        assert is_pole_of(reduction.system.poles, full.poles)
        assert largest_gain(full - reduction.system, frequencies(full, 200)) <= reduction.error_bound
        np.testing.assert_array_equal(result.model.layers[name].D, full.D)


def test_compress_keeping_all_changes_nothing(checkpoint):
    result = compress(checkpoint, keep=1.0, method="modal")
    before, after = result.states
    assert after == before
    for name, layer in result.model.layers.items():
        np.testing.assert_array_equal(layer.poles, checkpoint.layers[name].poles)


def test_each_layer_keeps_a_state(checkpoint):
    result = compress(checkpoint, keep=8 / 256, method="modal")
    assert [reduction.order for reduction in result.reductions.values()] == [2, 2, 2, 2]
    with pytest.raises(ReductionError, match="less than the 8 that every layer needs"):
        compress(checkpoint, keep=7 / 256, method="modal")


def test_progress_of_modal_truncation(checkpoint):
    seen = []
    compress(checkpoint, keep=0.5, method="modal", progress=lambda *step: seen.append(step))
    assert {task for task, _, _ in seen} == {"Ranking", "Truncating"}


def test_methods_of_compress(checkpoint):
    assert tuple(FAMILIES) == ("bt", "modal", "modal-h2")
    with pytest.raises(ReductionError, match="'magic' is not"):
        compress(checkpoint, keep=0.5, method="magic")
    with pytest.raises(ReductionError, match="horizon=10"):
        compress(checkpoint, keep=0.5, method="modal", horizon=10)
    with pytest.raises(ReductionError, match="adaptive, global"):
        compress(checkpoint, keep=0.5, method="modal", ranks="magic")


@pytest.mark.slow
@pytest.mark.parametrize(("method", "ranks"), [("modal", "adaptive"), ("modal-h2", "global")])
def test_command(mor_command, tmp_path, method, ranks):
    source, out = digits_path("plain.safetensors"), tmp_path / "small.safetensors"
    options = ("--keep", "0.4", "--method", method, "--ranks", ranks, "--json")
    code, planned, _ = mor_command("plan", source, *options)
    assert code == 0
    code, text, _ = mor_command("compress", source, out, *options)
    assert code == 0
    planned, done = json.loads(planned), json.loads(text)
    assert done["layers"] == planned["layers"]
    assert done["states"][1] <= 0.4 * done["states"][0]
    score = {"modal": "hinf", "modal-h2": "h2"}[method]
    assert {layer["method"] for layer in done["layers"]} == {f"modal truncation ({score})"}
    code, text, _ = mor_command("verify", source, out, "--json")
    assert code == 0
    assert json.loads(text)["ok"]


def test_command_refuses_what_does_not_go_together(mor_command, tmp_path):
    source, out = digits_path("plain.safetensors"), tmp_path / "small.safetensors"
    for options, message in (
        (("--method", "magic"), "magic"),
        (("--method", "modal", "--horizon", "9"), "--horizon 9"),
        (("--ranks", "magic"), "adaptive"),
    ):
        code, _, error = mor_command("compress", source, out, "--keep", "0.4", *options)
        assert code == 3
        assert message in error
        assert not out.exists()
