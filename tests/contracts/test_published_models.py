"""Real systems with published Hankel singular values; run where MOR_DATA is set."""

import numpy as np
import pytest
import scipy.io

import mor


@pytest.mark.slow
@pytest.mark.parametrize("name", ["CDplayer", "building", "iss"])
def test_stored_values_and_responses(data_dir, name):
    data = scipy.io.loadmat(data_dir / "mor" / f"{name}.mat")
    sys = mor.as_system((data["A"], data["B"], data["C"]))
    stored = np.sort(np.ravel(data["hsv"]))[::-1]
    hsv = mor.hankel_singular_values(sys)
    # The stored values were computed with formed Gramians: right to sqrt(eps) of the largest.
    np.testing.assert_allclose(hsv[: len(stored)], stored, rtol=0, atol=2e-8 * stored[0])
    modal = mor.Modal.from_lti(sys)
    np.testing.assert_allclose(mor.hankel_singular_values(modal), hsv, rtol=0, atol=1e-10 * hsv[0])
    rom = mor.balanced_truncation(modal, order=20)
    w = np.concatenate([[0.0], np.geomspace(1e-2, 1e4, 300)])
    error = np.linalg.norm(np.asarray((modal - rom.system).frequency_response(w)), 2, axis=(1, 2))
    assert np.max(error) <= rom.error_bound
