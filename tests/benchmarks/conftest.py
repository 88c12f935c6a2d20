"""The scripts of benchmarks/hsvr as modules, and a network that one of them trained."""

from __future__ import annotations

import importlib
import sys

import pytest


@pytest.fixture(scope="module")
def scripts():
    """The modules `train`, `data` and `evaluate`, which are no part of a package."""
    from tests.benchmarks.hsvr import SCRIPTS

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
    from tests.benchmarks.hsvr import CPU

    return train.fit("tiny", config, images, tmp_path_factory.mktemp("whole"), CPU)
