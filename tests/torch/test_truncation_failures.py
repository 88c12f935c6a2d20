"""A truncation that is refused says why and changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from mor.errors import (
    MorError,
    NotASystemError,
    NotFiniteError,
    NotLinearTimeInvariantError,
    ReductionError,
    UnstableSystemError,
)
from tests.torch.training import Stack, assert_same, poison, snapshot, train

torch = pytest.importorskip("torch")

from mor.adapters.torch import truncate  # noqa: E402


class LRU(torch.nn.Module):
    """The tensors of a linear recurrent unit, its second pole on the unit circle."""

    def __init__(self):
        super().__init__()
        # A modulus of exp(-exp(-60)) and an angle of exp(-200): 1 in double precision.
        self.nu_log = torch.nn.Parameter(torch.tensor([-1.0, -60.0, -1.0]))
        self.theta_log = torch.nn.Parameter(torch.tensor([-1.0, -200.0, 0.5]))
        self.gamma_log = torch.nn.Parameter(torch.zeros(3))
        for name, shape in (
            ("B_re", (3, 2)),
            ("B_im", (3, 2)),
            ("C_re", (2, 3)),
            ("C_im", (2, 3)),
            ("D", (2,)),
        ):
            setattr(self, name, torch.nn.Parameter(torch.ones(shape)))


def test_an_unstable_layer_changes_nothing():
    model = torch.nn.ModuleDict({"ssm": LRU()})
    before = snapshot(model)
    with pytest.raises(UnstableSystemError, match="layer ssm: pole 1 "):
        truncate(model, order=2)
    assert_same(before, snapshot(model))


@pytest.mark.parametrize(
    ("spoil", "choice", "error", "message"),
    [
        (poison, {"order": 4}, NotFiniteError, r"layer layers\.1: layers\.1\.sys_out has 1 of \d+"),
        (None, {"keep": 0.01}, ReductionError, "less than the 2 that"),
        (None, {"keep": 0.0}, ReductionError, "keep=0"),
        (None, {"keep": np.nan}, ReductionError, "keep=nan"),
        (None, {"energy": 0.0}, ReductionError, "energy=0"),
        (None, {"energy": 1.1}, ReductionError, r"energy=1\.1"),
        (None, {"energy": np.nan}, ReductionError, "energy=nan"),
        (None, {"order": 0}, ReductionError, "order=0"),
        (None, {"order": 2.5}, ReductionError, r"order=2\.5"),
        (None, {}, ReductionError, "give one of them"),
        (None, {"order": 4, "energy": 0.5}, ReductionError, "give one of them"),
        (None, {"order": 4, "dialect": "lru"}, NotASystemError, "no layer of dialect lru"),
        (None, {"order": 4, "dialect": "s6"}, NotASystemError, "no dialect 's6'"),
    ],
)
def test_failure_changes_nothing(spoil, choice, error, message):
    model = Stack()
    adam = torch.optim.Adam(model.parameters())
    train(model, adam, 2)
    if spoil:
        spoil(model)
    before = snapshot(model, adam)
    with pytest.raises(error, match=message):
        truncate(model, adam, **choice)
    assert_same(before, snapshot(model, adam))


def test_failure_at_the_second_layer_leaves_the_first(monkeypatch):
    model = Stack()
    before = snapshot(model)

    seen = []

    def fail(old, new, holds_unstable):
        seen.append(old)
        if len(seen) == 2:
            raise ReductionError("no room")

    monkeypatch.setattr("mor.adapters.layers.layers.check_replacement", fail)
    with pytest.raises(MorError, match=r"layer layers\.1: no room"):
        truncate(model, order=4)
    assert_same(before, snapshot(model))


def test_models_without_layers():
    with pytest.raises(NotASystemError, match="no state-space layer"):
        truncate(torch.nn.Linear(2, 2), order=1)
    selective = torch.nn.Module()
    selective.A_log = torch.nn.Parameter(torch.ones(8, 4))
    selective.dt_proj = torch.nn.Linear(6, 8)
    with pytest.raises(NotLinearTimeInvariantError):
        truncate(selective, order=1)


def test_wrappers_for_data_parallelism_are_refused():
    class DistributedDataParallel(torch.nn.Module):
        def __init__(self, module):
            super().__init__()
            self.module = module

    with pytest.raises(ReductionError, match="DistributedDataParallel keeps hold"):
        truncate(DistributedDataParallel(Stack()), order=4)
