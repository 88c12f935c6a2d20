"""Nothing may depend on the units or the order of the states."""

import numpy as np
import pytest

import mor
from mor.equations.scaling import grading


def in_units(sys, units):
    """The same system with its states measured in other units (powers of two: exactly the same)."""
    E = None if sys.E is None else sys.E * units[:, None] / units
    return mor.LTI(sys.A * units[:, None] / units, sys.B * units[:, None], sys.C / units, sys.D, E, dt=sys.dt)


def random_system(seed, *, dt=0.0, is_complex=False, n=12):
    rng = np.random.default_rng(seed)
    A = rng.standard_normal((n, n)) + 1j * is_complex * rng.standard_normal((n, n))
    poles = np.linalg.eigvals(A)
    A = A / (1.3 * np.max(np.abs(poles))) if dt else A - (0.3 + np.max(poles.real)) * np.eye(n)
    sys = mor.LTI(A, rng.standard_normal((n, 2)), rng.standard_normal((3, n)), dt=dt)
    return sys, 2.0 ** rng.integers(-12, 12, n)


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 0.1])
@pytest.mark.parametrize("is_complex", [False, True])
def test_units_of_states_cost_no_digits(dt, is_complex):
    sys, units = random_system(1, dt=dt, is_complex=is_complex)
    other = in_units(sys, units)
    # Without scaling seven digits are lost here.
    for of in (mor.h2_norm, mor.hinf_norm, mor.hankel_norm, mor.hankel_nuclear_norm):
        assert of(other) == pytest.approx(of(sys), rel=1e-10)
    np.testing.assert_allclose(
        mor.hankel_singular_values(other), mor.hankel_singular_values(sys), rtol=1e-8, atol=0
    )
    rom = mor.balanced_truncation(other)
    assert mor.peak_gain(sys - rom.system).gain <= 1e-10 * mor.hinf_norm(sys)
    for method in (mor.irka, mor.tsia):
        errors = [method(x, 3).diagnostics["h2_error"] for x in (sys, other)]
        assert errors[1] == pytest.approx(errors[0], rel=1e-6)


@pytest.mark.parametrize("is_complex", [False, True])
def test_splitting_of_badly_scaled_states(is_complex):
    sys, units = random_system(2, is_complex=is_complex)
    shifted = mor.LTI(sys.A + 1.5 * np.eye(12), sys.B, sys.C)
    other = in_units(shifted, units)
    stable, rest = mor.split_stable(other)
    assert stable.is_stable
    assert 0 < rest.order < 12
    assert np.all(rest.poles.real > 0)
    s = 0.3 + 1j
    value = shifted.evaluate(s)
    assert np.max(np.abs(stable.evaluate(s) + rest.evaluate(s) - value)) <= 1e-11 * np.max(np.abs(value))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("descending", [True, False])
def test_a_graded_system_keeps_its_digits(seed, descending):
    """A is determined to high relative accuracy by the rounded data: so are the values."""
    rng = np.random.default_rng(seed)
    hsv = 10.0 ** -np.arange(12)
    s = hsv if descending else hsv[::-1]
    b = rng.uniform(0.5, 2, 12)
    sys = mor.LTI(-np.outer(b, b) / (s[None, :] + s[:, None]), b[:, None], b[None, :])
    # The limit is round-off; a Schur form of the unsorted matrix gives 1e-8 to 1e-4.
    np.testing.assert_allclose(mor.hankel_singular_values(sys), hsv, rtol=1e-10)
    assert mor.peak_gain(sys).gain == pytest.approx(2 * np.sum(hsv), rel=1e-12)


def test_units_do_not_make_a_matrix_defective():
    n = 40
    A = -2 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1)
    units = 2.0 ** np.random.default_rng(0).integers(-20, 20, n)
    other = in_units(mor.LTI(A, np.ones((n, 1)), np.ones((1, n))), units)
    assert mor.modal_truncation(other, 5).order == 5


def test_irka_needs_no_eigenvectors():
    n = 12
    jordan = mor.LTI(-np.eye(n) + np.eye(n, k=1), np.ones((n, 1)), np.ones((1, n)))
    rom = mor.irka(jordan, 3)
    assert rom.diagnostics["stopped"] == "converged"
    assert rom.diagnostics["h2_error"] == pytest.approx(mor.tsia(jordan, 3).diagnostics["h2_error"], rel=1e-6)


@pytest.mark.parametrize("A", [np.zeros((3, 3)), np.zeros((0, 0)), np.ones((1, 1)), np.triu(np.ones((4, 4)))])
def test_grading_of_degenerate_matrices(A):
    index, scale = grading(A)
    assert sorted(index) == list(range(len(A)))
    assert np.all(scale > 0)
    assert np.all(np.isfinite(scale))


def test_grading_is_limited():
    A = np.array([[-1.0, 1.0], [1e-300, -2.0]])
    assert np.all(np.abs(np.log2(grading(A)[1])) <= 100)


@pytest.mark.filterwarnings("error")
def test_grading_below_the_normal_numbers(capfd):
    """A power of two above them would overflow; LAPACK then prints to the terminal that it was given NaN."""
    A = np.array([[-1.0, 2.0**20], [2.0**-20, -1.0]])
    assert np.all(grading(A * 1e-313)[1] == grading(A)[1])
    assert capfd.readouterr() == ("", "")
