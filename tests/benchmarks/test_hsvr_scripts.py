"""The scripts that train the published networks: reproducible, interruptible, and honest about failure."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import mor
from mor.errors import MorError, NotFiniteError, ReductionError
from tests.benchmarks.hsvr import CPU, Interrupted, digest, interrupt, poison_from

torch = pytest.importorskip("torch")


# The same seed, the same file.


def test_the_same_seed_gives_the_same_bytes(train, config, images, trained, tmp_path):
    torch.manual_seed(12345)  # what happened before in the process does not matter
    again = train.fit("tiny", config, images, tmp_path, CPU)
    assert digest(again.tensors) == digest(trained.tensors)
    other = train.fit("tiny", replace(config, seed=1), images, tmp_path, CPU)
    assert other.tensors.name == "tiny-regularised-seed1.safetensors"
    assert digest(other.tensors) != digest(trained.tensors)


# Four batches an epoch: between two epochs, and in the middle of one.
@pytest.mark.parametrize("after", [4, 6, 11])
def test_an_interrupted_run_ends_with_the_same_bytes(
    train, config, images, trained, tmp_path, monkeypatch, after
):
    with monkeypatch.context() as patch:
        interrupt(patch, train, after)
        with pytest.raises(Interrupted):
            train.fit("tiny", config, images, tmp_path, CPU)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny-regularised.state.pt"]
    torch.manual_seed(999)
    resumed = train.fit("tiny", config, images, tmp_path, CPU)
    assert digest(resumed.tensors) == digest(trained.tensors)
    ours, theirs = (json.loads(files.history.read_text())["epochs"] for files in (resumed, trained))
    for mine, other in zip(ours, theirs, strict=True):
        assert {k: x for k, x in mine.items() if k != "seconds"} == {
            k: x for k, x in other.items() if k != "seconds"
        }


def test_a_finished_run_is_not_trained_again(train, config, images, trained, monkeypatch):
    before = digest(trained.tensors), digest(trained.state)
    interrupt(monkeypatch, train, 0)
    again = train.fit("tiny", config, images, trained.tensors.parent, CPU)
    assert again == trained
    assert (digest(trained.tensors), digest(trained.state)) == before


def test_a_failure_while_saving_leaves_the_old_state(train, config, images, tmp_path, monkeypatch):
    files = train.fit("tiny", replace(config, epochs=1), images, tmp_path, CPU)
    before = digest(files.state)
    run = train.Run.start(replace(config, epochs=1), images, CPU)
    run.resume(files.state)

    def fail(states, path):
        Path(path).write_bytes(b"half")
        raise Interrupted

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(Interrupted):
        run.save(files.state)
    assert digest(files.state) == before


@pytest.mark.parametrize(
    "change", [{"rate": 1e-3}, {"epochs": 5}, {"states": 10}, {"warm_up": 0}, {"weight": 2e-2}]
)
def test_a_state_of_another_configuration_is_refused_and_kept(train, config, images, tmp_path, change):
    files = train.fit("tiny", replace(config, epochs=1), images, tmp_path, CPU)
    before = {path.name: digest(path) for path in tmp_path.iterdir()}
    ((name, value),) = change.items()
    with pytest.raises(MorError, match=rf"{files.state.name} .*another configuration.*{name}=.*now {value}"):
        train.fit("tiny", replace(config, **{"epochs": 1} | change), images, tmp_path, CPU)
    assert {path.name: digest(path) for path in tmp_path.iterdir()} == before


# What training leaves.


def test_files_of_a_run(train, config, trained, images):
    assert trained.tensors.name == "tiny-regularised.safetensors"
    told = json.loads(trained.history.read_text())
    assert told["config"] == asdict(config)
    assert len(told["epochs"]) == config.epochs
    assert all(np.isfinite(epoch[key]) for epoch in told["epochs"] for key in ("loss", "regulariser"))
    assert all(0 <= epoch["training_accuracy"] <= 1 for epoch in told["epochs"])
    assert told["machine"]["mor"] == mor.__version__
    checkpoint = mor.read_checkpoint(trained.tensors)
    assert list(checkpoint.layers) == ["layers.0.ssm"]
    assert json.loads(checkpoint.metadata["made"])["config"] == asdict(config)


def sum_of_values(files):
    layers = mor.read_checkpoint(files.tensors).layers.values()
    return sum(float(np.sum(mor.hankel_singular_values(layer))) for layer in layers)


def test_regularisation_lowers_the_sum(train, config, images, tmp_path):
    sums = {}
    for weight in (0.0, 0.1):
        files = train.fit("tiny", replace(config, weight=weight, warm_up=0), images, tmp_path, CPU)
        sums[files.tensors.stem] = sum_of_values(files)
    assert sums["tiny-regularised"] < 0.8 * sums["tiny-plain"]


def test_training_learns(train, config, images, tmp_path):
    """Loss at the end of a few more epochs, below that of a guess among ten."""
    files = train.fit(
        "tiny", replace(config, epochs=12, rate=3e-2, dropout=0.0, shift=0), images, tmp_path, CPU
    )
    losses = [epoch["loss"] for epoch in json.loads(files.history.read_text())["epochs"]]
    assert losses[-1] < min(losses[0], np.log(10))


def test_schedule_is_a_ramp_and_a_cosine(train, config):
    model = train.StateSpaceNetwork(1, 10, layers=1, channels=4, states=4)
    adam, schedule = train.optimizer(model, replace(config, ramp=4), 20)
    rates = []
    for _ in range(20):
        rates.append(adam.param_groups[0]["lr"])
        adam.step()
        schedule.step()
    assert rates[0] == pytest.approx(config.rate / 4)
    assert rates[4] == pytest.approx(config.rate) == max(rates)
    assert rates[4:] == sorted(rates[4:], reverse=True)
    assert adam.param_groups[0]["lr"] == pytest.approx(config.last_rate)


def test_systems_are_not_decayed(train, config):
    model = train.StateSpaceNetwork(1, 10, layers=2, channels=4, states=4)
    adam, _ = train.optimizer(model, config, 20)
    names = {id(x): name for name, x in model.named_parameters()}
    decay = {names[id(x)]: group["weight_decay"] for group in adam.param_groups for x in group["params"]}
    assert set(decay) == set(names.values())
    assert all((value == 0) == (".ssm." in name) for name, value in decay.items())


def test_an_epoch_takes_every_image_once(train, config, images):
    torch.manual_seed(0)
    seen = [(len(u), labels) for u, labels in train.batches(images, config, CPU)]
    assert [n for n, _ in seen] == [30, 30, 30, 10]
    assert sorted(torch.cat([labels for _, labels in seen]).tolist()) == sorted(images.labels.tolist())


def test_shifted_images_are_shifted_images(train):
    torch.manual_seed(0)
    image = torch.arange(1.0, 17.0).view(1, 4, 4)
    padded = torch.nn.functional.pad(image, (1, 1, 1, 1))[0]
    windows = [padded[i : i + 4, j : j + 4] for i in range(3) for j in range(3)]
    seen = set()
    for moved in train.shifted(image.expand(200, 4, 4), 1):
        seen |= {k for k, window in enumerate(windows) if torch.equal(moved, window)}
        assert any(torch.equal(moved, window) for window in windows)
    assert len(seen) == 9


# Failure.


@pytest.mark.slow
@pytest.mark.parametrize("weight", [0.0, 1e-2])
@pytest.mark.parametrize("name", ["encoder.weight", "layers.0.ssm.sys_in", "layers.0.ssm.rotation.angles"])
def test_nan_is_named_and_the_last_good_state_kept(
    train, config, images, tmp_path, monkeypatch, name, weight
):
    config = replace(config, weight=weight)
    with monkeypatch.context() as patch:
        poison_from(patch, train, 1, name)
        with pytest.raises(NotFiniteError, match=re.escape(name)):
            train.fit("tiny", config, images, tmp_path, CPU)
    (state,) = tmp_path.glob("*.state.pt")
    saved = torch.load(state, weights_only=True)
    assert len(saved["history"]) == 1
    assert all(bool(x.isfinite().all()) for x in saved["model"].values())
    assert not list(tmp_path.glob("*.safetensors"))
    # And it goes on from there.
    files = train.fit("tiny", config, images, tmp_path, CPU)
    assert all(np.all(np.isfinite(x)) for x in load_file(files.tensors).values())


@pytest.mark.parametrize("weight", [0.0, 1e-2])
def test_a_rate_that_is_too_large(train, config, images, tmp_path, weight):
    config = replace(config, weight=weight, rate=1e30, ramp=1)
    with pytest.raises(NotFiniteError, match=r"step \d+: .*layers\.0\.ssm\.rotation\.angles"):
        train.fit("tiny", config, images, tmp_path, CPU)
    assert not list(tmp_path.iterdir())


def test_only_the_parameter_that_is_not_finite_is_named(train, config, images, tmp_path, monkeypatch):
    poison_from(monkeypatch, train, 0, "encoder.bias")
    with pytest.raises(NotFiniteError) as info:
        train.fit("tiny", replace(config, weight=0.0), images, tmp_path, CPU)
    assert "encoder.bias" in str(info.value)
    assert "decoder.bias" not in str(info.value)


def test_what_the_last_step_spoils_is_not_saved(train, config, images, tmp_path):
    # One step an epoch, of a finite loss; weights times rate times decay overflow in single precision.
    config = replace(config, weight=0.0, batch=100, rate=3.3e37, decay=10.0, ramp=1)
    with pytest.raises(NotFiniteError):
        train.fit("tiny", config, images, tmp_path, CPU)
    for state in tmp_path.glob("*.state.pt"):
        saved = torch.load(state, weights_only=True)
        assert all(bool(x.isfinite().all()) for x in saved["model"].values())


# Evaluation.


def test_evaluation_of_a_trained_network(evaluate, scripts, trained, images):
    network, data = evaluate.read(trained.tensors)
    assert data == "digits"
    assert evaluate.without(network, 0.0) is network
    for ranks in ("energy", "uniform", "adaptive", "global"):
        for method in ("bt", "modal"):
            half = evaluate.without(network, 0.5, ranks=ranks, method=method)
            assert sum(layer.order for layer in half.layers.values()) <= 4
            assert 0 <= evaluate.accuracy(half, images) <= 1
    right = np.argmax(network(images.sequences), axis=1) == images.labels
    assert evaluate.accuracy(network, images) == np.mean(right)
    perfect = scripts["data"].Images(images.images, np.argmax(network(images.sequences), axis=1))
    assert evaluate.accuracy(network, perfect) == 1
    with pytest.raises(ReductionError):
        evaluate.without(network, 1.0)


def test_network_of_the_file_is_the_trained_model(train, evaluate, config, images, trained):
    run = train.Run.start(config, images, CPU)
    run.resume(trained.state)
    network, _ = evaluate.read(trained.tensors)
    with torch.no_grad():
        logits = run.model.eval()(torch.from_numpy(images.sequences)).numpy()
    # Single precision, summed in another order.
    np.testing.assert_allclose(network(images.sequences), logits, rtol=1e-4, atol=1e-4)
