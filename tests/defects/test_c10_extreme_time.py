"""E = 1e-300 I: NumPy warned of overflow, and the message was that a pole is at s = 0."""

import warnings

import numpy as np
import pytest

import mor
from mor.errors import NotFiniteError

FUNCTIONS = [
    lambda s: s.poles,
    mor.h2_norm,
    mor.hinf_norm,
    mor.hankel_singular_values,
    mor.minimal_realization,
    lambda s: mor.balanced_truncation(s, 1),
    lambda s: mor.balanced_truncation(s, 1, match="dc"),
    lambda s: mor.h2_norm(s, band=(0.0, 1.0)),
]


def with_mass(e):
    A = -np.eye(2) - 0.1 * np.ones((2, 2))
    return mor.LTI(A, np.ones((2, 1)), np.ones((1, 2)), E=e * np.eye(2))


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("e", [1e-300, 1e-160])
def test_what_overflows_is_said(function, e):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(NotFiniteError, match="smaller unit of time"):
            function(with_mass(e))


@pytest.mark.parametrize("e", [1e-300, 1e-100, 1e100, 1e300])
def test_what_does_not_overflow_is_right(e):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(with_mass(e).evaluate(0.0), [[2 / 1.2]], rtol=1e-14)
        # All of it in a band far above (or below) the poles at 1/e, where G = 2 / (1.2 + i omega e).
        if e >= 1:
            norm = float(mor.h2_norm(with_mass(e), band=(0.0, 1.0)))
            assert norm == pytest.approx((2 / 1.2) * (1.2 / e / 2) ** 0.5, rel=1e-10)


@pytest.mark.parametrize("e", [1e-100, 1e100])
def test_times_in_range(e):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert float(mor.hinf_norm(with_mass(e))) == pytest.approx(2 / 1.2, rel=1e-12)
        assert float(mor.h2_norm(with_mass(e))) == pytest.approx((2 / 1.2) * (1.2 / e / 2) ** 0.5, rel=1e-12)
