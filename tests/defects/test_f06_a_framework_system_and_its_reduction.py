"""A torch layer could not be compared with, or subtracted from, its reduction, which is NumPy's."""

import warnings

import numpy as np
import pytest

import mor
from mor.errors import AccuracyWarning


def layer(array, dt=1.0):
    one = array(np.ones((2, 1)) + 0j)
    return mor.Modal(array(np.array([0.5 + 0.1j, 0.3 + 0.2j])), one, array(np.ones((1, 2)) + 0j), dt=dt)


def torch_array(x):
    return pytest.importorskip("torch").tensor(x)


def jax_array(x):
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    return jax.numpy.asarray(x)


def strict_array(x):
    return pytest.importorskip("array_api_strict").asarray(x)


ARRAYS = pytest.mark.parametrize("array", [torch_array, jax_array, strict_array])


@pytest.mark.slow
@ARRAYS
def test_everything_that_compares(array):
    sys, full = layer(array), layer(np.asarray)
    rom = mor.balanced_truncation(sys, order=2)
    u = np.ones(5)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", AccuracyWarning)
        pairs = [
            (mor.h2_error(sys, rom), mor.h2_error(full, rom)),
            (mor.h2_inner(sys, rom), mor.h2_inner(full, rom)),
            (mor.h2_inner(rom, sys), mor.h2_inner(rom, full)),
            (mor.hinf_norm(sys - rom), mor.hinf_norm(full - rom)),
            (mor.output_bound(sys, u, rom=rom), mor.output_bound(full, u, rom=rom)),
        ]
    for got, expected in pairs:
        np.testing.assert_allclose(float(got), float(expected), rtol=1e-12)


@pytest.mark.slow
@ARRAYS
def test_a_sum_is_in_the_framework_of_the_system_that_has_one(array):
    sys = layer(array)
    rom = mor.balanced_truncation(sys, order=2)
    s = np.array([0.3 + 1j, 2.0])
    expected = np.asarray(layer(np.asarray).evaluate(s)) - rom.system.evaluate(s)
    for difference, sign in ((sys - rom, 1), (rom - sys, -1), (sys - rom.system, 1), (rom.system - sys, -1)):
        assert type(difference.B) is type(sys.B)
        np.testing.assert_allclose(sign * np.asarray(difference.evaluate(s)), expected, rtol=0, atol=1e-14)


def test_a_reduction_of_order_0():
    sys = layer(torch_array)
    rom = mor.balanced_truncation(sys, order=0)
    np.testing.assert_allclose(float(mor.h2_error(sys, rom)), float(mor.h2_norm(sys)), rtol=1e-12)
    assert float(mor.h2_inner(sys, rom)) == 0


def test_single_precision_beside_a_reduction_in_double():
    torch = pytest.importorskip("torch")
    sys = layer(lambda x: torch.tensor(x, dtype=torch.complex64))
    rom = mor.balanced_truncation(sys, order=2)
    assert (sys - rom).B.dtype == torch.complex128


def test_two_frameworks_are_not_mixed():
    with pytest.raises(mor.MorError, match="two frameworks"):
        layer(torch_array) - layer(jax_array)
