"""Reduction of systems over the complex numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mor
from mor.errors import ReductionError
from tests.oracles.complex import POINTS, doubled, proper, some, systems

pytestmark = pytest.mark.slow


@given(systems, st.integers(0, 5))
@settings(max_examples=25)
def test_the_bound_of_balanced_truncation_holds(sys, order):
    rom = mor.balanced_truncation(sys, min(order, sys.order))
    error = mor.peak_gain(sys - rom.system).gain
    # The last term is the round-off of measuring, D included.
    assert error <= rom.error_bound * (1 + 1e-7) + rom.roundoff + 1e-13 * mor.peak_gain(sys).gain
    assert rom.system.is_stable
    if 0 < rom.order < sys.order:
        assert not rom.system.is_real
        hsv = mor.hankel_singular_values(rom.system)
        assert np.all(hsv <= mor.hankel_singular_values(sys)[: rom.order] * (1 + 1e-9) + rom.roundoff)
    whole = mor.balanced_truncation(sys, tol=1e-12 * float(mor.hankel_norm(sys)))
    assert mor.peak_gain(sys - whole.system).gain <= 1e-8 * mor.peak_gain(sys).gain


@pytest.mark.parametrize("inputs", [1, 60])
def test_large_ones_take_the_same_ways(inputs):
    """Pivots by blocks for few signals, eigenvalues of the square for many."""
    sys = some(3, n=160, m=inputs, p=inputs)
    rom = mor.balanced_truncation(sys, 20)
    np.testing.assert_allclose(
        np.repeat(mor.hankel_singular_values(sys), 2),
        mor.hankel_singular_values(doubled(sys)),
        rtol=0,
        atol=1e-12 * rom.hsv[0],
    )
    np.testing.assert_allclose(rom.hsv, mor.hankel_singular_values(sys), rtol=0, atol=1e-12 * rom.hsv[0])
    omega = np.array([-3.0, 0.0, 5.0])
    error = np.linalg.norm(mor.freqresp(sys, omega) - mor.freqresp(rom, omega), 2, axis=(1, 2))
    assert np.all(error <= rom.error_bound)


@given(systems, st.integers(0, 4))
@settings(max_examples=30)
def test_modal_truncation_keeps_single_poles(sys, order):
    rom = mor.modal_truncation(sys, min(order, sys.order))
    assert isinstance(rom.system, mor.LTI)
    assert rom.order == rom.system.order == min(order, sys.order)
    np.testing.assert_array_equal(rom.system.A, np.diag(np.diag(rom.system.A)))
    distance = np.abs(np.diag(rom.system.A)[:, None] - sys.poles)
    assert np.all(np.min(distance, axis=1) < 1e-6)
    assert mor.peak_gain(sys - rom.system).gain <= rom.error_bound * (1 + 1e-6) + 1e-9
    whole = mor.modal_truncation(sys)
    scale = np.max(np.abs(sys.evaluate(POINTS)))
    np.testing.assert_allclose(whole.system.evaluate(POINTS), sys.evaluate(POINTS), atol=1e-6 * scale)


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("method", [mor.tsia, mor.irka, mor.h2_optimal])
def test_h2_reduction_interpolates_at_the_mirror_images(dt, method):
    sys = some(5, dt=dt)
    reduction = method(sys, 2)
    assert "converged" in reduction.diagnostics["stopped"] or method is mor.h2_optimal
    rom = reduction.system
    assert rom.is_stable
    poles, right = np.linalg.eig(rom.A)
    left = np.linalg.inv(right)
    scale = np.max(np.abs(sys.evaluate(POINTS)))
    for i, pole in enumerate(poles):
        point = 1 / pole.conj() if dt else -pole.conj()
        b, c = (left @ rom.B)[i].conj(), (rom.C @ right)[:, i].conj()
        error = sys.evaluate(point) - rom.evaluate(point)
        slope = [(sys.evaluate(point + h) - rom.evaluate(point + h)) for h in (1e-4, -1e-4)]
        for residual in (error @ b, c @ error, c @ (slope[0] - slope[1]) @ b / 2e-4):
            assert np.max(np.abs(residual)) < 1e-4 * scale * max(np.linalg.norm(b), np.linalg.norm(c)) ** 2
    np.testing.assert_allclose(
        reduction.diagnostics["h2_error"], mor.h2_error(proper(sys), proper(rom)), rtol=1e-8
    )
    assert reduction.diagnostics["h2_error"] <= reduction.diagnostics["start_error"] * (1 + 1e-12)


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("horizon", [None, 6])
@pytest.mark.parametrize("is_complex", [False, True])
def test_h2_gradient_against_differences(dt, horizon, is_complex):
    from mor.reduction.h2.coordinates import ContinuousCoordinates, DiscreteCoordinates, InputNormal
    from mor.reduction.h2.start import objective

    sys = some(1, n=5, dt=dt) if is_complex else mor.LTI(*(np.real(x) for x in _parts(some(1, 5, dt))), dt=dt)
    problem = objective(sys, 3, horizon)
    kind = DiscreteCoordinates if dt else ContinuousCoordinates
    coordinates, x = kind.around(
        InputNormal.of(mor.balanced_truncation(sys, 3).system, is_real=not is_complex)
    )
    assert x.dtype == float
    F, G = coordinates.system(x)
    P = mor.gramians((F, G, G.conj().T) if not dt else mor.LTI(F, G, G.conj().T, dt=dt))[0]
    np.testing.assert_allclose(P, np.eye(3), atol=1e-10)
    x = x + 0.1 * np.random.default_rng(0).standard_normal(x.shape)
    slope = coordinates.pull(x, *problem.gradient(problem.at(*coordinates.system(x))))

    def value(x):
        return problem.value(problem.at(*coordinates.system(x)))

    steps = 1e-6 * np.eye(len(x))
    differences = [(value(x + h) - value(x - h)) / 2e-6 for h in steps]
    np.testing.assert_allclose(slope, differences, atol=1e-7 * max(1, np.max(np.abs(slope))))


def _parts(sys):
    """Of a stable complex system those of one whose real parts are stable too."""
    A = np.real(sys.A) / (2 * np.linalg.norm(sys.A, 2)) if sys.dt else np.real(sys.A) - 9 * np.eye(sys.order)
    return A, sys.B, sys.C, sys.D


def test_starts_of_h2_reduction():
    sys, real = some(2), mor.LTI(-np.diag([1.0, 2.0, 3.0]), np.ones((3, 2)), np.ones((2, 3)))
    poles = [-1 + 2j, -0.5 - 1j]
    one = np.eye(2)
    for start in ("bt", "modal", poles, mor.balanced_truncation(sys, 2), (-one, one, one)):
        found = mor.h2_optimal(sys, 2, start=start)
        assert found.diagnostics["h2_error"] <= found.diagnostics["start_error"] * (1 + 1e-12)
    shifts = mor.irka(sys, 2, shifts=[1 + 2j, 0.5 - 1j]).diagnostics["shifts"]
    again = mor.irka(sys, 2, shifts=shifts)
    assert again.diagnostics["stopped"] == "converged"
    with pytest.raises(ReductionError, match="start is complex"):
        mor.tsia(real, 2, start=mor.balanced_truncation(sys, 2))
