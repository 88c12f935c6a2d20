"""`roundoff`, and so `tol=`, was up to 1e9 too small for dense systems whose poles lie decades apart."""

import mpmath
import numpy as np
import pytest

import mor
from tests.defects.models import exact_response


def stiff(seed):
    """Poles 1e-6 to 1e6 in rotated coordinates: A determines the slow ones to round-off of the fast ones."""
    rng = np.random.default_rng(seed)
    Q = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    A = Q @ np.diag([-1e-6, -1e-2, -1e2, -1e6]) @ Q.T
    return mor.LTI(A, rng.standard_normal((4, 1)), rng.standard_normal((1, 4)))


def error_at_rest(sys, rom):
    with mpmath.workdps(60):
        zero = mpmath.mpf(0)
        return float(abs(exact_response(sys, zero)[0] - exact_response(rom.system, zero)[0]))


@pytest.mark.parametrize("seed", range(6))
def test_the_error_is_within_the_bound_and_round_off(seed):
    sys = stiff(seed)
    for order in (1, 2, 3):
        rom = mor.balanced_truncation(sys, order)
        assert error_at_rest(sys, rom) <= rom.error_bound + rom.roundoff


def test_a_tolerance_that_the_data_do_not_allow_is_noted():
    """The bound says 1e-7, the error is 0.1: what round-off may add is said."""
    rom = mor.balanced_truncation(stiff(0), tol=1e-3)
    assert rom.error_bound <= 1e-3 < rom.roundoff
    assert "below round-off" in rom.diagnostics["note"]
