"""Round-off of the measurement was reported as a bound that does not hold, and a true alarm ended with 0."""

from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import mor
import mor.reduction.methods
from mor.analysis.error import measure
from mor.cli import BOUND_EXCEEDED, app
from tests.defects.models import convection, heated_rod

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("build", "orders"), [(lambda: heated_rod(150), (16, 24)), (convection, (16, 20))])
def test_errors_near_round_off_raise_no_alarm(build, orders):
    full = build()
    for order in orders:
        rom = mor.balanced_truncation(full, order)
        found = measure(full, rom)
        assert found.within(rom.error_bound + rom.roundoff)
        # Double precision in Schur coordinates measures 10 to 100 times as much.
        assert found.peak <= 1.5 * rom.error_bound + rom.roundoff


@pytest.mark.parametrize("seed", range(8))
def test_a_feedthrough_raises_no_alarm(seed):
    rng = np.random.default_rng(seed)
    e = 10.0 ** rng.uniform(-8, -2)
    full = mor.LTI(np.diag([-1.0, -3.0]), e * np.ones((2, 1)), e * np.ones((1, 2)), [[rng.uniform(0.5, 2)]])
    rom = mor.balanced_truncation(full, 1, match="dc")
    assert measure(full, rom).within(rom.error_bound + rom.roundoff)


def reduce(tmp_path, *options):
    return CliRunner().invoke(app, ["reduce", str(tmp_path / "s.npz"), str(tmp_path / "r.npz"), *options])


def test_a_true_alarm_has_an_exit_code(tmp_path, monkeypatch):
    full = heated_rod(20)
    mor.save(tmp_path / "s.npz", full)
    options = ("--order", "3", "--no-plot", "--force")
    assert reduce(tmp_path, *options).exit_code == 0
    real = mor.reduction.methods.reduce_by

    def promising(**request):
        reduction = real(**request)
        return replace(reduction, error_bound=1e-3 * reduction.error_bound)

    monkeypatch.setattr("mor.report.reduction.reduce_by", promising)
    done = reduce(tmp_path, *options)
    assert done.exit_code == BOUND_EXCEEDED == 10
    assert "exceeds the bound" in done.output
