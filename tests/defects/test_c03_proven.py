"""Errors far below the systems were called "proven" though their limit was up to 1e9 times the number."""

import mpmath
import numpy as np
import pytest

import mor
from mor.analysis.difference import difference_peak
from mor.analysis.error import ErrorMeasure, measure
from mor.report.reduction import measured
from tests.defects.models import convection, exact_response, heated_rod, masses, rod

MODELS = {
    "rod": (rod, 10),
    "heated rod": (lambda: heated_rod(100), 10),
    "convection": (convection, 10),
    "masses": (masses, 20),
}


@pytest.mark.parametrize("name", MODELS)
def test_the_limit_is_within_one_percent(name):
    build, order = MODELS[name]
    full = build()
    rom = mor.balanced_truncation(full, order)
    found = measure(full, rom)
    assert found.proven
    assert found.peak <= found.limit <= 1.01 * found.peak
    assert found.within(rom.error_bound + rom.roundoff)
    # The joint realisation has a limit 1e4 times too large, and thus no proof.
    assert found.limit <= 1.05 * rom.error_bound


@pytest.mark.slow
@pytest.mark.parametrize(("build", "order"), [(lambda: rod(30), 12), (lambda: masses(10), 14)])
def test_the_gain_is_that_of_the_matrices(build, order):
    full, rom = build(), mor.balanced_truncation(build(), order).system
    peak = difference_peak(full, rom)
    for omega in (peak.omega, 0.7 * peak.omega, 1.3 * peak.omega + 0.1):
        s = mpmath.mpc(0, omega)
        exact = float(abs((exact_response(full, s) - exact_response(rom, s))[0]))
        assert exact <= peak.upper
        if omega == peak.omega:
            # 1e-12 of the systems and below: a double precision response has no digit of it.
            assert peak.gain == pytest.approx(exact, rel=1e-6)


def test_both_numbers_are_printed_where_they_differ():
    assert measured(5.5e-9, 1.9e-4, False) == "5.5e-09, at most 0.00019"
    assert measured(5.5e-9, 5.51e-9, True) == "5.5e-09 (proven)"
    assert not ErrorMeasure(1.0, 1.0, 1.0, 0.0, 1.02, 1.0).proven


@pytest.mark.parametrize("dt", [0.0, 0.3])
def test_every_kind_of_difference(dt):
    """Complex, with E, with D, of no states, of equal systems."""
    rng = np.random.default_rng(0)
    n = 9
    A = rng.standard_normal((n, n)) + 1j * rng.standard_normal((n, n))
    A = A / 8 if dt else A - 6 * np.eye(n)
    E = np.eye(n) + 0.1 * rng.standard_normal((n, n))
    full = mor.LTI(A, rng.standard_normal((n, 2)), rng.standard_normal((3, n)), np.ones((3, 2)), E, dt=dt)
    static = mor.LTI(np.zeros((0, 0)), np.zeros((0, 2)), np.zeros((3, 0)), np.ones((3, 2)), dt=dt)
    for rom in (mor.balanced_truncation(full, 4).system, full, static):
        peak, joint = difference_peak(full, rom), mor.peak_gain(full - rom)
        assert peak.gain <= joint.upper * (1 + 1e-6)
        assert joint.gain <= peak.upper + 1e-13
        assert peak.upper <= 1.001 * peak.gain + 1e-12
    nothing = difference_peak(static, static)
    assert (nothing.gain, nothing.upper) == (0, pytest.approx(0, abs=1e-14))
