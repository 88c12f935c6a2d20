"""Configurations and data of the scripts that train: complete, and named where they are missing."""

from __future__ import annotations

import tomllib
from dataclasses import asdict

import numpy as np
import pytest

from mor.errors import MorError
from tests.benchmarks.hsvr import SCRIPTS


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


def test_a_data_file_with_other_arrays(scripts, tmp_path):
    path, _ = mnist_like(tmp_path, leave_out=("y_test",))
    with pytest.raises(MorError, match="y_test"):
        scripts["data"].load("mnist", path)
