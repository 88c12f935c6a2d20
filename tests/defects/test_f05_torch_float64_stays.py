"""Norms of a double-precision torch system were rounded to single precision on their way out."""

import numpy as np
import pytest

import mor

torch = pytest.importorskip("torch")


def system(precision, D=1 / 3):
    poles = torch.tensor([0.5 + 0.1j], dtype=torch.complex128)
    one = torch.ones(1, 1, dtype=precision)
    return mor.Modal(poles.to(precision), one, one, torch.tensor([[D]], dtype=torch.float64), dt=1.0)


def on_numpy(sys):
    return mor.Modal(*(np.asarray(x) for x in (sys.poles, sys.B, sys.C, sys.D)), dt=sys.dt)


def test_hinf_norm():
    sys = system(torch.complex128)
    norm = mor.hinf_norm(sys)
    assert norm.dtype == torch.float64
    assert float(norm) == mor.hinf_norm(on_numpy(sys))
    assert float(norm) <= mor.peak_gain(sys).upper


def test_h2_norm_in_a_band_with_feedthrough():
    sys = system(torch.complex128)
    norm = mor.h2_norm(sys, band=(0.1, 1.0))
    assert norm.dtype == torch.float64
    assert float(norm) == mor.h2_norm(on_numpy(sys), band=(0.1, 1.0))


def test_a_point_given_as_a_number_keeps_its_digits():
    sys = system(torch.complex128)
    np.testing.assert_array_equal(sys.evaluate(0.1).numpy(), on_numpy(sys).evaluate(0.1))
    np.testing.assert_array_equal(sys.evaluate([0.1, 0.3j]).numpy(), on_numpy(sys).evaluate([0.1, 0.3j]))


def test_single_precision_stays_single():
    sys = system(torch.complex64)
    assert mor.hinf_norm(sys).dtype == mor.h2_norm(sys).dtype == torch.float32
