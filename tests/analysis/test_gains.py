"""Frequency responses of dense systems: resolvents at many points, and Schur forms computed once."""

import matplotlib as mpl
import numpy as np
import pytest

import mor
from mor.analysis.gains import SystemGains
from mor.equations.resolvent import resolvent
from mor.equations.schur import SchurForm
from mor.report import plot_sigma
from tests.oracles.dense import random_matrix, random_stable

mpl.use("Agg")


@pytest.fixture
def orders(monkeypatch):
    """Orders of the matrices whose Schur forms are computed, as they are."""
    found, form_of = [], SchurForm.of

    def counted(A, *args, **options):
        found.append(len(A))
        return form_of(A, *args, **options)

    monkeypatch.setattr(SchurForm, "of", counted)
    return found


def stable_system(rng, n, E=False):
    A = random_stable(rng, n, 0.0)
    mass = np.eye(n) + 0.5 * np.diag(rng.random(n)) if E else None
    A = A if mass is None else mass @ A
    return mor.LTI(A, rng.standard_normal((n, 3)), rng.standard_normal((2, n)), E=mass)


# Less than a tile of 32 rows, several tiles; E divided out (identity, scaled) and not (graded: QZ).
@pytest.mark.slow
@pytest.mark.parametrize("n", [0, 1, 9, 75])
@pytest.mark.parametrize("kind", ["identity", "divided", "graded"])
@pytest.mark.parametrize("is_complex", [False, True])
@pytest.mark.parametrize("dt", [0.0, 0.3])
def test_responses_are_those_of_linear_equations(n, kind, is_complex, dt):
    rng = np.random.default_rng(n)
    A, B, C = (random_matrix(rng, is_complex, *shape) for shape in ((n, n), (n, 2), (3, n)))
    turn = np.linalg.qr(rng.standard_normal((n, n)))[0] if n else np.eye(0)
    E = {"identity": None, "divided": 2 * turn, "graded": np.geomspace(1, 1e-6, n)[:, None] * turn}[kind]
    sys = mor.LTI(A, B, C, rng.standard_normal((3, 2)), E, dt=dt)
    if n == 75 and kind == "graded":
        assert sys.schur.pencil.S is not None
    omega = np.linspace(-4, 10, 15)
    found, expected = SystemGains(sys).responses(omega), sys.frequency_response(omega)
    # Points are about 1 / n of |A| away from the eigenvalues: 1e4 roundings of the largest response.
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11 * np.max(np.abs(expected)))
    gains = SystemGains(sys)(omega)
    np.testing.assert_allclose(gains, np.linalg.norm(found, 2, axis=(1, 2)), rtol=1e-7)


def test_parts_of_a_long_sweep_fit_together(monkeypatch):
    monkeypatch.setattr("mor.equations.transfer._COLUMNS", 60)
    sys = stable_system(np.random.default_rng(0), 40)
    omega = np.append(np.geomspace(0.01, 100, 101), np.inf)
    found = SystemGains(sys).responses(omega)
    np.testing.assert_allclose(found[:-1], sys.frequency_response(omega[:-1]), rtol=1e-9)
    np.testing.assert_array_equal(found[-1], sys.D)


def test_a_point_on_a_pole_is_not_finite_and_leaves_a_gap():
    turning = mor.LTI([[2.0j]], [[1.0]], [[1.0]])
    X = resolvent(turning.schur.pencil, np.array([1j, 2j]), np.ones((1, 1)))[0, :, 0]
    assert X[0] == 1j
    assert not np.isfinite(X[1])
    values = plot_sigma(turning, omega=[1.0, 2.0, 3.0]).lines[0].get_ydata()
    np.testing.assert_array_equal(values, [1.0, np.nan, 1.0])


@pytest.mark.parametrize("E", [False, True])
def test_a_reduction_its_errors_and_plots_take_one_schur_form(orders, E):
    sys = stable_system(np.random.default_rng(1), 60, E)
    rom = mor.balanced_truncation(sys, order=5)
    mor.h2_norm(sys)
    mor.h2_error(sys, rom)
    mor.peak_gain(sys - rom.system)
    plot_sigma(sys, rom, sys - rom.system)
    assert orders.count(60) == 1
    assert max(orders) == 60


def test_a_difference_made_first_waits_for_the_schur_form_of_its_terms(orders):
    rng = np.random.default_rng(2)
    sys, rom = stable_system(rng, 30), stable_system(rng, 4)
    difference = sys - rom
    assert orders == []
    expected = np.sort_complex(np.linalg.eigvals(difference.A))
    np.testing.assert_allclose(np.sort_complex(difference.poles), expected, rtol=1e-9)
    sys.is_stable, rom.is_stable  # noqa: B018
    assert sorted(orders) == [4, 30]


@pytest.mark.slow
def test_long_sums_and_negatives():
    one = mor.LTI([[-1.0]], [[1.0]], [[1.0]])
    total = one
    for _ in range(400):
        total = -(total + one)
    assert total.order == 401
    np.testing.assert_array_equal(total.poles, -1)
