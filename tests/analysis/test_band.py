"""Frequency-limited Gramians, norms and Hankel singular values, against quadrature and identities."""

import numpy as np
import pytest
import scipy.integrate
from hypothesis import given, settings
from hypothesis import strategies as st

import mor
from mor.equations.band import band_gramian
from mor.errors import TimeStepError, UnstableSystemError
from mor.testing import lti_systems, modal_systems
from tests.oracles.dense import hsv_by_factors, real_form

# Shares of [0, pi/dt], or of [0, inf) as tan(share pi/2).
BANDS = st.sampled_from([(0.0, 1.0), (0.0, 0.3), (0.2, 0.6), (0.5, 1.0)])


def frequencies_of(band, dt):
    if dt:
        return tuple(x * np.pi / dt for x in band)
    return tuple(np.inf if x == 1 else np.tan(x * np.pi / 2) for x in band)


def by_quadrature(sys, band, integrand):
    """``1/pi`` times the integral over theta (discrete) or omega, of a matrix's real part."""

    def at(w):
        s = np.exp(1j * w * sys.dt) if sys.dt else 1j * w
        return integrand(s) * (sys.dt or 1.0) / np.pi

    return scipy.integrate.quad_vec(at, *band, epsrel=1e-9, epsabs=1e-12)[0]


@pytest.mark.slow
@given(lti_systems(max_order=4), BANDS)
@settings(max_examples=25)
def test_gramians_agree_with_quadrature(sys, shares):
    band = frequencies_of(shares, sys.dt)

    def energy(A, B):
        def at(s):
            X = np.linalg.solve(s * np.eye(len(A)) - A, B + 0j)
            return (X @ X.conj().T).real

        return by_quadrature(sys, band, at)

    P, Q = mor.gramians(sys, band=band)
    for found, expected in ((P, energy(sys.A, sys.B)), (Q, energy(sys.A.T, sys.C.T))):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-7 * np.max(np.abs(expected)))


@given(lti_systems(max_order=4), BANDS)
@settings(max_examples=25)
def test_norms_agree_with_quadrature(sys, shares):
    """With D, which is finite on a bounded band."""
    band = frequencies_of(shares, sys.dt)
    if np.isinf(band[1]):
        assert mor.h2_norm(sys, band=band) == np.inf
        return
    square = by_quadrature(sys, band, lambda s: np.sum(np.abs(sys.evaluate(s)) ** 2))
    np.testing.assert_allclose(float(mor.h2_norm(sys, band=band)) ** 2, square, rtol=1e-7)


@pytest.mark.slow
@given(st.one_of(modal_systems(margin=1e-2), lti_systems()), st.floats(0.05, 0.95))
@settings(max_examples=40)
def test_bands_add_up_to_everything(sys, share):
    middle = frequencies_of((share, 1), sys.dt)[0]
    end = np.pi / sys.dt if sys.dt else np.inf
    for part, rest, whole in zip(
        mor.gramians(sys, band=(0, middle)),
        mor.gramians(sys, band=(middle, end)),
        mor.gramians(sys),
        strict=True,
    ):
        scale = np.max(np.abs(whole), initial=0.0)
        np.testing.assert_allclose(part + rest, whole, rtol=0, atol=1e-9 * scale)
        assert np.min(np.linalg.eigvalsh(part)) >= -1e-9 * scale


@pytest.mark.slow
@given(modal_systems(margin=1e-2, max_modes=5), BANDS)
@settings(max_examples=40)
def test_the_closed_form_is_that_of_the_dense_system(sys, shares):
    band = frequencies_of(shares, sys.dt)
    A, B, C = real_form(sys)
    for found, expected in zip(
        mor.gramians(sys, band=band),
        (band_gramian(A, B, band, sys.dt), band_gramian(A.T, C.T, band, sys.dt)),
        strict=True,
    ):
        scale = np.max(np.abs(band_gramian(A, B, (0, np.inf), sys.dt))) + np.max(np.abs(expected))
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-9 * scale)


@pytest.mark.slow
@given(lti_systems(), BANDS)
@settings(max_examples=25)
def test_values_and_norms_are_those_of_the_gramians(sys, shares):
    band = frequencies_of(shares, sys.dt)
    P, Q = mor.gramians(sys, band=band)
    hsv = mor.hankel_singular_values(sys, band=band)
    # Formed Gramians: right to the square root of round-off.
    np.testing.assert_allclose(hsv, hsv_by_factors(P, Q), rtol=0, atol=1e-6 * hsv[0])
    assert hsv[0] <= mor.hankel_norm(sys) * (1 + 1e-9)
    proper = mor.LTI(sys.A, sys.B, sys.C, dt=sys.dt)
    np.testing.assert_allclose(
        float(mor.h2_norm(proper, band=band)) ** 2, np.trace(sys.C @ P @ sys.C.T), rtol=1e-9, atol=1e-12
    )


def test_all_frequencies_are_the_ordinary_quantities():
    sys = mor.testing.two_area_power_system()
    np.testing.assert_allclose(
        mor.hankel_singular_values(sys, band=(0, np.inf)), mor.hankel_singular_values(sys), rtol=1e-8
    )
    np.testing.assert_allclose(mor.h2_norm(sys, band=(0, np.inf)), 3.8473545274, rtol=1e-10)


def test_the_error_in_a_band():
    sys = mor.testing.two_area_power_system()
    rom = mor.balanced_truncation(sys, 3).system
    parts = [float(mor.h2_error(sys, rom, band=b)) ** 2 for b in ((0, 1), (1, 10), (10, np.inf))]
    np.testing.assert_allclose(sum(parts), float(mor.h2_error(sys, rom)) ** 2, rtol=1e-9)


def test_a_batch_and_a_factor():
    rng = np.random.default_rng(0)
    poles = 0.9 * np.exp(1j * rng.uniform(0, 3, (3, 4)))
    batch = mor.Modal(poles, rng.standard_normal((3, 4, 2)) + 0j, rng.standard_normal((3, 1, 4)) + 0j, dt=1.0)
    hsv, norms = mor.hankel_singular_values(batch, band=(0, 1)), mor.h2_norm(batch, band=(0, 1))
    assert hsv.shape == (3, 8)
    np.testing.assert_allclose(norms[1], mor.h2_norm(batch[1], band=(0, 1)), rtol=1e-12)
    for Z, P in zip(batch.band_factors((0, 1)), mor.gramians(batch, band=(0, 1)), strict=True):
        np.testing.assert_allclose(Z @ Z.mT, P, rtol=0, atol=1e-13 * np.max(P))


def test_degenerate_systems():
    empty = mor.LTI(np.zeros((0, 0)), np.zeros((0, 2)), np.zeros((1, 0)))
    assert mor.gramians(empty, band=(0, 1))[0].shape == (0, 0)
    assert float(mor.h2_norm(empty, band=(0, 1))) == 0
    shift = mor.LTI(np.diag(np.ones(2), 1), np.eye(3)[:, -1:], np.eye(3)[:1], dt=1.0)  # z^-3: A singular
    np.testing.assert_allclose(mor.h2_norm(shift, band=(0.5, 1.5)) ** 2, 1 / np.pi, rtol=1e-13)


def test_bad_input():
    sys = ([[-1.0]], [[1.0]], [[1.0]])
    for band in ((1, 1), (2, 1), (-1, 1), (np.nan, 1), 3, (1, 2, 3), "ab"):
        with pytest.raises(mor.MorError, match="band") as caught:
            mor.gramians(sys, band=band)
        assert caught.value.argument == "band"
    discrete = mor.LTI([[0.5]], [[1.0]], [[1.0]], dt=0.1)
    with pytest.raises(TimeStepError, match=r"pi/dt = 31\.4159"):
        mor.h2_norm(discrete, band=(0, 32.0))
    assert mor.h2_norm(discrete, band=(0, np.pi / 0.1)) == pytest.approx(float(mor.h2_norm(discrete)))
    for function in (mor.gramians, mor.hankel_singular_values, mor.h2_norm):
        with pytest.raises(TimeStepError, match="not both"):
            function(sys, band=(0, 1), horizon=2)
        with pytest.raises(UnstableSystemError):
            function(([[1.0]], [[1.0]], [[1.0]]), band=(0, 1))
    batch = mor.Modal(np.full((2, 1), 0.5), np.ones((2, 1, 1)), np.ones((2, 1, 1)), np.ones((1, 1)), dt=1.0)
    np.testing.assert_allclose(mor.h2_norm(batch, band=(0, 1))[1], mor.h2_norm(batch[1], band=(0, 1)))
