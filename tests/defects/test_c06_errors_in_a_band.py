"""Errors in a band below 1e-8 of the norm were zero, or noise 2000 times as large."""

import numpy as np
import pytest
import scipy.integrate

import mor
from tests.defects.models import heated_rod, masses, rod


def by_quadrature(difference, band, points=None):
    """Root of the integral of a squared gain that is given in closed form or by few operations."""
    square = scipy.integrate.quad(
        lambda w: abs(difference(w)) ** 2 / np.pi, *band, epsrel=1e-11, limit=500, points=points
    )[0]
    return square**0.5


@pytest.mark.parametrize("size", [1e-6, 1e-9, 1e-12])
@pytest.mark.parametrize("build", [masses, lambda: heated_rod(40)])
def test_another_output_matrix(build, size):
    """(A, B, C) and (A, B, C + size dC): the error is the norm of size (A, B, dC)."""
    sys = build()
    rng = np.random.default_rng(0)
    C = sys.C + size * rng.standard_normal(sys.C.shape)
    band = (0.05, 0.4)
    # What C + size dC has been rounded to.
    exact = mor.LTI(sys.A, sys.B, C - sys.C)
    assert float(mor.h2_error(sys, mor.LTI(sys.A, sys.B, C), band=band)) == pytest.approx(
        float(mor.h2_norm(exact, band=band)), rel=1e-6
    )


@pytest.mark.parametrize("dt", [0.0, 0.5])
@pytest.mark.parametrize("D", [0.0, 2.0])
def test_closed_forms(dt, D):
    """One pole, D and a band, in either time: against quadrature of the formula."""
    pole, gain, e = (0.6, 1.5, 1e-9) if dt else (-0.6, 1.5, 1e-9)
    one = mor.LTI([[pole]], [[1.0]], [[gain]], [[D]], dt=dt)
    two = mor.LTI([[pole]], [[1.0]], [[gain * (1 + e)]], [[D]], dt=dt)
    change = two.C[0, 0] - gain
    band = (0.3, 2.0)
    theta = tuple(w * dt for w in band) if dt else band

    def point(w):
        return np.exp(1j * w) if dt else 1j * w

    norm = by_quadrature(lambda w: gain / (point(w) - pole) + D, theta)
    assert float(mor.h2_norm(one, band=band)) == pytest.approx(norm, rel=1e-10)
    error = by_quadrature(lambda w: change / (point(w) - pole), theta)
    assert float(mor.h2_error(one, two, band=band)) == pytest.approx(error, rel=1e-6)


def test_the_error_of_a_reduction_in_its_band():
    sys, band = masses(), (0.0, 0.3)
    rom = mor.balanced_truncation(sys, 10, band=band).system
    # Few operations: two linear systems in double precision, whose round-off is 1e-15.
    expected = by_quadrature(lambda w: (sys.evaluate(1j * w) - rom.evaluate(1j * w)).item(), band)
    assert expected < 1e-6 * float(mor.h2_norm(sys))
    assert float(mor.h2_error(sys, rom, band=band)) == pytest.approx(expected, rel=1e-3)


def test_stiff_systems_take_extended_precision():
    """|A| is 4e3 times the slowest pole: a Schur form has 1e-12 of the response, the error is 1e-10 of it."""
    sys, band = rod(60), (0.0, 50.0)
    rom = mor.balanced_truncation(sys, 8).system
    expected = by_quadrature(lambda w: (sys.evaluate(1j * w) - rom.evaluate(1j * w)).item(), band)
    assert float(mor.h2_error(sys, rom, band=band)) == pytest.approx(expected, rel=1e-6)


def test_modes():
    poles = np.array([-0.1 + 1j, -0.3 + 2j, -2.0])
    B, C = np.ones((3, 1)) + 0j, np.ones((1, 3)) + 0j
    one, two = mor.Modal(poles, B, C), mor.Modal(poles, B, C * (1 + 1e-11))
    change = mor.Modal(poles, B, two.C - C)
    found = float(mor.h2_error(one, two, band=(0.5, 3.0)))
    assert found == pytest.approx(float(mor.h2_norm(change, band=(0.5, 3.0))), rel=1e-4)
    batch = mor.Modal(np.stack([poles, poles]), np.stack([B, B]), np.stack([C, two.C]))
    other = mor.Modal(np.stack([poles, poles]), np.stack([B, B]), np.stack([C, C]))
    np.testing.assert_allclose(mor.h2_error(batch, other, band=(0.5, 3.0)), [0, found], rtol=1e-12)


def test_the_building(data_dir):
    sys = mor.load(data_dir / "mor" / "building.mat")
    rom = mor.balanced_truncation(sys, 8, band=(0, 5)).system
    expected = by_quadrature(lambda w: (sys.evaluate(1j * w) - rom.evaluate(1j * w)).item(), (0, 5))
    assert float(mor.h2_error(sys, rom, band=(0, 5))) == pytest.approx(expected, rel=1e-4)
