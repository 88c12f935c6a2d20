"""The squared H2 error and its coordinates: gradients against differences, promises."""

import numpy as np
import pytest

import mor
from mor.equations.schur import SchurForm
from mor.reduction.h2.coordinates import ContinuousCoordinates, DiscreteCoordinates, InputNormal
from mor.reduction.h2.objective import H2Objective
from mor.testing import two_area_power_system
from tests.oracles.dense import dense_gramian, random_stable


def random_lti(rng, n, m, p, dt):
    return mor.LTI(random_stable(rng, n, dt), rng.standard_normal((n, m)), rng.standard_normal((p, n)), dt=dt)


def random_modal(rng, k, m, p, dt):
    poles = -rng.uniform(0.1, 2, k) + 1j * rng.uniform(0, 2, k)
    B, C = (rng.standard_normal(s) + 1j * rng.standard_normal(s) for s in ((k, m), (p, k)))
    return mor.Modal(np.exp(poles) if dt else poles, B, C, dt=dt)


def coordinates_of(rng, r, m, dt):
    kind = DiscreteCoordinates if dt else ContinuousCoordinates
    return kind.around(InputNormal.of(random_lti(rng, r, m, 1, dt)))


def differences(f, x, step=1e-6):
    return np.array([(f(x + step * e) - f(x - step * e)) / (2 * step) for e in np.eye(len(x))])


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 0.5])
@pytest.mark.parametrize("horizon", [None, 7])
@pytest.mark.parametrize("kind", [random_lti, random_modal])
@pytest.mark.parametrize(("m", "p"), [(1, 1), (3, 2)])
def test_gradient_through_the_coordinates(dt, horizon, kind, m, p):
    rng = np.random.default_rng(3)
    problem = H2Objective(kind(rng, 8, m, p, dt), horizon)
    coordinates, x = coordinates_of(rng, 3, m, dt)
    x = x + 0.1 * rng.standard_normal(x.shape)  # off the manifold that the start lies on

    def value(x):
        return problem.value(problem.at(*coordinates.system(x)))

    slope = coordinates.pull(x, *problem.gradient(problem.at(*coordinates.system(x))))
    expected = differences(value, x)
    # Central differences with step h are right to h^2 and to round-off over h: 1e-10.
    np.testing.assert_allclose(slope, expected, rtol=0, atol=1e-6 * np.max(np.abs(expected)))


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_gradient_on_a_horizon_of_an_unstable_system(dt):
    rng = np.random.default_rng(5)
    A = random_stable(rng, 5, dt)
    A = 1.2 * A / np.max(np.abs(np.linalg.eigvals(A))) if dt else A + 0.7 * np.eye(5)
    problem = H2Objective(mor.LTI(A, rng.standard_normal((5, 2)), rng.standard_normal((2, 5)), dt=dt), 5)
    coordinates, x = coordinates_of(rng, 2, 2, dt)
    slope = coordinates.pull(x, *problem.gradient(problem.at(*coordinates.system(x))))
    expected = differences(lambda x: problem.value(problem.at(*coordinates.system(x))), x)
    np.testing.assert_allclose(slope, expected, rtol=0, atol=1e-6 * np.max(np.abs(expected)))


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_the_gramian_is_the_identity_and_the_start_is_met(dt):
    rng = np.random.default_rng(1)
    for r, m in [(1, 1), (4, 1), (5, 3)]:
        start = random_lti(rng, r, m, 2, dt)
        kind = DiscreteCoordinates if dt else ContinuousCoordinates
        coordinates, x = kind.around(InputNormal.of(start))
        F, _ = coordinates.system(x)
        np.testing.assert_allclose(np.poly(F), np.poly(start.A), rtol=1e-8, atol=1e-9)
        F, G = coordinates.system(x + rng.standard_normal(x.shape))
        np.testing.assert_allclose(dense_gramian(F, G, dt), np.eye(r), atol=1e-8)


def test_states_that_no_input_reaches_are_left_out():
    start = InputNormal.of(mor.LTI(np.diag([-1.0, -2.0]), [[1.0], [0.0]], [[1.0, 1.0]]))
    assert start.F.shape == (1, 1)
    with pytest.raises(mor.MorError, match="no input reaches"):
        InputNormal.of(mor.LTI([[-1.0]], [[0.0]], [[1.0]]))


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("horizon", [None, 6])
def test_the_value_is_the_error_and_its_output_the_best(dt, horizon):
    rng = np.random.default_rng(2)
    full, rom = random_lti(rng, 7, 2, 3, dt), random_lti(rng, 3, 2, 3, dt)
    problem = H2Objective(full, horizon)
    given, best = problem.at(rom.A, rom.B, rom.C), problem.at(rom.A, rom.B)
    relative = float(mor.h2_error(full, rom, horizon=horizon) / mor.h2_norm(full, horizon=horizon))
    assert problem.value(given) == pytest.approx(relative**2, rel=1e-9)
    for _ in range(5):
        nearby = best.H + 0.1 * rng.standard_normal(best.H.shape)
        assert problem.value(best) < problem.value(problem.at(rom.A, rom.B, nearby))


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("adjoint", [False, True])
def test_cross_solutions_of_every_kind_agree_with_the_equation(dt, adjoint):
    rng = np.random.default_rng(4)
    modal = random_modal(rng, 5, 2, 2, dt)
    real = mor.Modal(
        rng.uniform(-0.9, -0.1, 4), rng.standard_normal((4, 2)), rng.standard_normal((2, 4)), dt=dt
    )
    blocks = np.stack([random_stable(rng, 3, dt) for _ in range(3)])
    block = mor.BlockDiagonal(blocks, rng.standard_normal((9, 2)), rng.standard_normal((2, 9)), dt=dt)
    F = random_stable(rng, 4, dt)
    for system in (modal, real, block, block.to_lti()):
        A = np.asarray(system.operator.apply(np.eye(system.input_factor_matrix.shape[0])))
        Q = rng.standard_normal((len(A), 4))
        X = system.cross_solution(SchurForm.of(F, None, dt), Q, adjoint=adjoint)
        left, right = (A.T, F) if adjoint else (A, F.T)
        residual = left @ X @ right - X + Q if dt else left @ X + X @ right + Q
        assert np.isrealobj(X)
        assert np.linalg.norm(residual) <= 1e-13 * np.linalg.norm(X) * (1 + np.linalg.norm(A))


def test_the_schur_form_of_a_sum_is_known():
    a = two_area_power_system()
    b = mor.balanced_truncation(a, 3).system
    fresh = float(mor.h2_norm(mor.LTI(a.A, a.B, a.C) - b))
    assert "schur" in vars(a.operator)
    np.testing.assert_array_equal((a - b).schur.pencil.T[:7, :7], a.schur.pencil.T)
    assert float(mor.h2_error(a, b)) == pytest.approx(fresh, rel=1e-12)
