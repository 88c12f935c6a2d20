"""Limits in frequency and time lost all digits with the units of the states, and SciPy warned."""

import warnings

import numpy as np
import pytest

import mor
from tests.defects.models import in_units, masses
from tests.fuzz import units


def in_other_units(decades, seed=0):
    sys = masses()
    return sys, in_units(sys, 10.0 ** np.random.default_rng(seed).uniform(-decades, decades, sys.order))


@pytest.mark.slow
@pytest.mark.parametrize("decades", [3, 6, 9])
@pytest.mark.parametrize("limit", [{"band": (0.0, 0.3)}, {"band": (0.1, np.inf)}, {"horizon": 12.0}])
def test_hankel_singular_values_and_norms(decades, limit):
    sys, other = in_other_units(decades)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expected, found = (mor.hankel_singular_values(x, **limit) for x in (sys, other))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * expected[0])
        assert float(mor.h2_norm(other, **limit)) == pytest.approx(float(mor.h2_norm(sys, **limit)), rel=1e-9)
        rom = mor.balanced_truncation(other, 6, **limit)
    one = mor.balanced_truncation(sys, 6, **limit).system.evaluate(0.3j)
    np.testing.assert_allclose(rom.system.evaluate(0.3j), one, rtol=1e-8)


def test_gramians_carry_the_units():
    sys, other = in_other_units(6)
    T = 10.0 ** np.random.default_rng(0).uniform(-6, 6, sys.order)
    for limit in ({}, {"band": (0.1, 0.4)}, {"horizon": 5.0}):
        for expected, found, units_of in zip(
            mor.gramians(sys, **limit), mor.gramians(other, **limit), (T, 1 / T), strict=True
        ):
            P = found * units_of[:, None] * units_of
            np.testing.assert_allclose(P, expected, rtol=0, atol=1e-9 * np.max(expected))


@pytest.mark.parametrize("modes", [3, 8])
def test_modes_in_other_units(modes):
    rng = np.random.default_rng(1)
    poles = -rng.uniform(0.1, 1, modes) + 1j * rng.uniform(0, 3, modes)
    B, C = (
        rng.standard_normal(shape) + 1j * rng.standard_normal(shape) for shape in ((modes, 2), (1, modes))
    )
    scale = 10 ** rng.uniform(-9, 9, modes)
    one, two = mor.Modal(poles, B, C), mor.Modal(poles, B * scale[:, None], C / scale)
    for limit in ({"band": (0.2, 1.0)}, {"horizon": 4.0}, {}):
        expected = mor.hankel_singular_values(one, **limit)
        found = mor.hankel_singular_values(two, **limit)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * expected[0])


def test_every_public_function_is_compared_or_excused():
    assert set(units.CHECKS) | set(units.EXCUSED) == set(mor.__all__)
    assert not set(units.CHECKS) & set(units.EXCUSED)


@pytest.fixture(scope="module")
def pairs():
    return [units.drawn(np.random.default_rng([1, i]), 6) for i in range(3)]


@pytest.mark.slow
@pytest.mark.parametrize("name", units.CHECKS)
def test_no_result_depends_on_the_units(pairs, name):
    for check in units.CHECKS[name]:
        for pair in pairs:
            assert units.difference(check, *pair) <= units.LIMITS.get(name, units.LIMIT)
