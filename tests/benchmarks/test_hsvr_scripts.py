"""The scripts that train the published networks: reproducible, interruptible, and honest about failure."""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import mor
from mor.errors import MorError, NotFiniteError, ReductionError

torch = pytest.importorskip("torch")
pytest.importorskip("sklearn")

SCRIPTS = Path(__file__).parents[2] / "benchmarks" / "hsvr"
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def scripts():
    """The modules `train`, `data` and `evaluate`, which are no part of a package."""
    names = ("train", "data", "evaluate")
    before = {name: sys.modules.pop(name) for name in names if name in sys.modules}
    sys.path.insert(0, str(SCRIPTS))
    try:
        yield {name: importlib.import_module(name) for name in names}
    finally:
        sys.path.remove(str(SCRIPTS))
        for name in names:
            sys.modules.pop(name, None)
        sys.modules.update(before)


@pytest.fixture(scope="module")
def train(scripts):
    return scripts["train"]


@pytest.fixture(scope="module")
def evaluate(scripts):
    return scripts["evaluate"]


@pytest.fixture(scope="module")
def images(scripts):
    """A hundred of the digits to train with."""
    training, _ = scripts["data"].load("digits")
    return scripts["data"].Images(training.images[:100], training.labels[:100])


@pytest.fixture(scope="module")
def config(train):
    return train.Config(
        data="digits",
        layers=1,
        channels=8,
        states=8,
        dropout=0.1,
        weight=1e-2,
        warm_up=5,
        epochs=3,
        batch=30,
        rate=1e-2,
        last_rate=1e-4,
        ramp=3,
        decay=0.1,
        shift=1,
    )


@pytest.fixture(scope="module")
def trained(train, config, images, tmp_path_factory):
    """What one uninterrupted run leaves."""
    return train.fit("tiny", config, images, tmp_path_factory.mktemp("whole"), CPU)


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


def poison_from(monkeypatch, train, epoch, name):
    """Put NaN into a parameter before this epoch."""
    original = train.Run.epoch

    def poisoned(self, images, device):
        if len(self.history) == epoch:
            with torch.no_grad():
                dict(self.model.named_parameters())[name].view(-1)[0] = float("nan")
        return original(self, images, device)

    monkeypatch.setattr(train.Run, "epoch", poisoned)


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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no configuration 'nothing'; there are digits, smnist"),
        (["digits", "--set", "depth=3"], "depth"),
        (["digits", "--set", "rate=fast"], "."),
        (["digits", "--set", 'data="letters"'], "'letters' is not 'digits' or 'mnist'"),
        (["smnist"], "give --data FILE, or its folder as MOR_DATA"),
    ],
)
def test_wrong_calls_of_train(train, monkeypatch, capsys, tmp_path, arguments, message):
    monkeypatch.delenv("MOR_DATA", raising=False)
    code, _ = run_main(train, monkeypatch, capsys, *arguments, "--out", tmp_path)
    assert re.search(message, code)
    assert code.startswith("error: ")
    assert not list(tmp_path.iterdir())


def test_main_trains_what_the_configuration_says(train, monkeypatch, capsys, tmp_path, images):
    monkeypatch.setattr(train, "load", lambda name, path: (images, images))
    sizes = ["layers=1", "channels=4", "states=4", "epochs=1", "ramp=2"]
    arguments = ("digits", "--plain", "--seed", 3, "--out", tmp_path, "--device", "cpu")
    code, printed = run_main(train, monkeypatch, capsys, *arguments, "--set", *sizes)
    assert code is None
    path = Path(printed.splitlines()[-1])
    assert path == tmp_path / "digits-plain-seed3.safetensors"
    config = json.loads(mor.read_checkpoint(path).metadata["made"])["config"]
    assert (config["weight"], config["seed"], config["layers"]) == (0.0, 3, 1)


# Configurations and data.


@pytest.mark.parametrize("path", sorted((SCRIPTS / "configs").glob("*.toml")), ids=lambda path: path.stem)
def test_configurations_are_complete(train, path):
    config = train.Config(**train.read_config(path.stem))
    types = {"str": str, "int": int, "float": float}
    for field in train.Config.__dataclass_fields__.values():
        assert isinstance(getattr(config, field.name), types[field.type]), field.name
    assert config.data in ("digits", "mnist")
    assert config.weight > 0
    assert config.states % 2 == 0
    assert 0 <= config.dropout < 1
    assert config.last_rate <= config.rate
    assert tomllib.loads(path.read_text()).keys() == asdict(config).keys() - {"seed"}


def test_an_unknown_configuration_lists_those_there_are(train):
    with pytest.raises(MorError, match="no configuration 'x'; there are digits, smnist"):
        train.read_config("x")


def test_digits_are_the_packaged_ones(scripts):
    training, test = scripts["data"].load("digits")
    assert training.images.shape == (1297, 8, 8)
    assert test.sequences.shape == (500, 64, 1)
    assert test.images.dtype == np.float32
    assert 0 <= test.images.min() < test.images.max() == 1
    from mor.data import digits_path

    packaged = np.load(digits_path("test.npz"))
    np.testing.assert_array_equal(packaged["labels"], test.labels)
    np.testing.assert_array_equal(packaged["images"].reshape(-1, 64), 16 * test.sequences[..., 0])


def mnist_like(folder, leave_out=()):
    rng = np.random.default_rng(0)
    parts = {
        "x_train": rng.integers(0, 256, (6, 28, 28), dtype=np.uint8),
        "y_train": np.arange(6, dtype=np.uint8),
        "x_test": rng.integers(0, 256, (4, 28, 28), dtype=np.uint8),
        "y_test": np.arange(4, dtype=np.uint8),
    }
    folder.mkdir(exist_ok=True)
    np.savez(folder / "mnist.npz", **{name: x for name, x in parts.items() if name not in leave_out})
    return folder / "mnist.npz", parts


def test_mnist_is_found_by_path_or_folder(scripts, tmp_path, monkeypatch):
    load = scripts["data"].load
    path, parts = mnist_like(tmp_path / "mnist")
    for find in (lambda: load("mnist", path), lambda: load("mnist")):
        monkeypatch.setenv("MOR_DATA", str(tmp_path))
        training, test = find()
        assert (len(training), len(test)) == (6, 4)
        assert training.sequences.shape == (6, 784, 1)
        np.testing.assert_allclose(test.images, parts["x_test"] / 255, rtol=1e-6)
        np.testing.assert_array_equal(test.labels, parts["y_test"])
    monkeypatch.setenv("MOR_DATA", str(tmp_path / "mnist"))
    assert len(load("mnist")[0]) == 6


def test_missing_data(scripts, tmp_path, monkeypatch):
    load = scripts["data"].load
    with pytest.raises(MorError, match="'letters' is not 'digits' or 'mnist'"):
        load("letters")
    monkeypatch.setenv("MOR_DATA", str(tmp_path))
    with pytest.raises(MorError, match=r"no mnist\.npz in MOR_DATA="):
        load("mnist")
    monkeypatch.delenv("MOR_DATA")
    with pytest.raises(MorError, match=r"mnist\.npz: give --data FILE"):
        load("mnist")
    with pytest.raises(OSError, match=r"nothing\.npz"):
        load("mnist", tmp_path / "nothing.npz")


def test_train_with_a_data_file_that_is_not_there(train, monkeypatch, capsys, tmp_path):
    code, _ = run_main(train, monkeypatch, capsys, "smnist", "--data", tmp_path / "no.npz", "--out", tmp_path)
    assert code.startswith("error: ")


def test_a_data_file_with_other_arrays(scripts, tmp_path):
    path, _ = mnist_like(tmp_path, leave_out=("y_test",))
    with pytest.raises(MorError, match="y_test"):
        scripts["data"].load("mnist", path)


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


def test_evaluate_as_a_command(trained):
    environment = {name: x for name, x in os.environ.items() if name != "MOR_DATA"}
    environment["PYTHONPATH"] = str(SCRIPTS.parents[1])
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "evaluate.py"), str(trained.tensors), "--ratio", "0.5"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"accuracy=0\.\d{4}", done.stdout.strip())


def test_help_of_evaluate_shows_the_defaults(evaluate, monkeypatch, capsys):
    code, text = run_main(evaluate, monkeypatch, capsys, "--help")
    assert code == 0
    for default in ("0.8", "energy", "bt"):
        assert f"(default: {default}" in " ".join(text.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{model}", "--ratio", "1.0"], "keep=0"),
        (["{model}", "--ratio", "-0.5"], r"keep=1\.5"),
        (["{model}", "--ranks", "magic"], "magic"),
        (["{model}", "--method", "magic"], "magic"),
        (["{folder}/nothing.safetensors"], r"nothing\.safetensors"),
    ],
)
def test_wrong_calls_of_evaluate(evaluate, trained, tmp_path, monkeypatch, capsys, arguments, message):
    filled = [x.format(model=trained.tensors, folder=tmp_path) for x in arguments]
    code, _ = run_main(evaluate, monkeypatch, capsys, *filled)
    assert code.startswith("error: ")
    assert re.search(message, code)


def test_evaluate_on_a_file_that_is_no_checkpoint(evaluate, tmp_path, monkeypatch, capsys):
    (tmp_path / "bad.safetensors").write_bytes(b"no checkpoint at all")
    code, _ = run_main(evaluate, monkeypatch, capsys, tmp_path / "bad.safetensors")
    assert code.startswith("error: ")
