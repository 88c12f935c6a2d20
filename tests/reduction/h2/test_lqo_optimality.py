"""H2 reduction of quadratic outputs: the error, its gradient, outputs eliminated, conditions at the end."""

from dataclasses import replace

import numpy as np
import pytest

import mor
from mor.reduction.h2.coordinates import ContinuousCoordinates, DiscreteCoordinates, InputNormal
from mor.reduction.h2.objective import H2Objective
from tests.oracles.dense import dense_gramian, random_stable
from tests.oracles.lqo import close, written
from tests.oracles.lqo_reduction import (
    KINDS,
    TIMES,
    cross,
    evolutions,
    free,
    gentle,
    horizons,
    projected,
    slope,
    slopes,
    squared_error,
    system,
)


def point(sys, order, rng):
    """A random reduced system: F, G and a basis for its outputs."""
    n = len(written(sys).A)
    F = random_stable(rng, order, sys.dt)
    return F, rng.standard_normal((order, sys.n_inputs)), 0.5 * rng.standard_normal((n, order))


@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("kind", KINDS)
def test_the_objective_is_the_squared_error(kind, dt):
    rng = np.random.default_rng(0)
    sys = system(kind, dt, rng)
    full = written(sys)
    F, G, V = point(sys, 3, rng)
    for horizon in horizons(dt):
        problem = H2Objective(sys, horizon)
        without = replace(full, D=np.zeros_like(full.D))
        constant = sum(np.sum((full.Dy.T @ N @ full.Dy) ** 2) for N in full.N)
        close(problem.square, np.array(without.squared_norm(horizon) - constant), 1e-10)
        value = problem.value(problem.at(F, G, problem.C @ V)) * problem.square
        expected = squared_error(full, projected(full, F, G, V), horizon)
        # The augmented oracle cancels: right to round-off of the norm.
        assert abs(value - expected) <= 1e-10 * (problem.square + expected)


@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_differences(kind, dt):
    rng = np.random.default_rng(1)
    sys = system(kind, dt, rng, n=4)
    full = written(sys)
    F, G, V = point(sys, 2, rng)
    for horizon in horizons(dt):
        problem = H2Objective(sys, horizon)

        def error(F, G, V=V, horizon=horizon, problem=problem):
            return squared_error(full, projected(full, F, G, V), horizon) / problem.square

        to_F, to_G = problem.gradient(problem.at(F, G, problem.C @ V))
        close(to_F, slope(lambda x: error(x, G), F), 1e-6)
        close(to_G, slope(lambda x: error(F, x), G), 1e-6)


@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("kind", ["dense", "gate", "unit", "modal gate"])
def test_the_slope_of_the_descent(kind, dt):
    """With outputs eliminated and in coordinates that stay stable, the gradient is that of differences."""
    rng = np.random.default_rng(2)
    sys = system(kind, dt, rng)
    first = mor.balanced_truncation(sys, 2).system.carrier.to_lti()
    kind_of = DiscreteCoordinates if dt else ContinuousCoordinates
    coordinates, x = kind_of.around(InputNormal.of(first))
    for horizon in horizons(dt):
        problem = H2Objective(sys, horizon)
        x = x + 0.1 * rng.standard_normal(x.shape)

        def value(x, problem=problem):
            return problem.value(problem.at(*coordinates.system(x)))

        found = coordinates.pull(x, *problem.gradient(problem.at(*coordinates.system(x))))
        close(found, slope(value, x), 1e-6)


@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("kind", KINDS)
def test_outputs_are_eliminated_exactly(kind, dt):
    rng = np.random.default_rng(4)
    sys = system(kind, dt, rng)
    full = written(sys)
    F, G, _ = point(sys, 2, rng)
    for horizon in horizons(dt):
        problem = H2Objective(sys, horizon)
        best = problem.at(F, G)
        P = dense_gramian(F, G, dt, horizon)
        X = cross(full.A, F, full.B @ G.T, dt, evolutions(full.A, F, dt, horizon))
        V = np.linalg.solve(P, X.T).T
        close(best.H, problem.C @ V, 1e-8)
        # The error with C and M eliminated.
        rom = projected(full, F, G, V)
        explained = np.trace(rom.C @ P @ rom.C.T)
        for N in full.N:
            seen = rom.Y @ P @ rom.Y.T
            explained += np.trace(N @ seen @ N @ (seen + 2 * full.Dy @ full.Dy.T))
        close(problem.value(best), np.array(1 - explained / problem.square), 1e-9)
        if not np.any(full.Dy):
            to_C, to_M = slopes(full, free(rom), horizon)[2:]
            assert max(np.max(np.abs(to_C)), np.max(np.abs(to_M))) <= 1e-7 * problem.square
        # Nothing near by is better: the outputs are the best of all that the gate allows.
        for _ in range(3):
            other = V + 0.1 * rng.standard_normal(V.shape)
            assert problem.value(best) <= problem.value(problem.at(F, G, problem.C @ other)) + 1e-12


@pytest.mark.slow
@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("method", [mor.tsia, mor.h2_optimal])
def test_all_gradients_vanish_at_the_end(method, dt):
    sys = gentle(dt)
    full, scale = written(sys), float(mor.h2_norm(sys)) ** 2
    rom = method(sys, 3)
    assert rom.diagnostics["stopped"] in ("converged", "no decrease above round-off")
    # Poles at 0.9 and their third derivatives need a short step.
    at_end = slopes(full, written(rom.system), step=1e-6)
    elsewhere = slopes(full, written(mor.balanced_truncation(sys, 3).system))
    assert max(np.max(np.abs(x)) for x in at_end) <= 1e-6 * scale
    assert max(np.max(np.abs(x)) for x in elsewhere) >= 1e-4 * scale


@pytest.mark.parametrize("dt", TIMES)
def test_a_fixed_point_is_the_projection_of_the_conditions(dt):
    sys = gentle(dt)
    full, rom = written(sys), written(mor.tsia(sys, 3).system)
    F, G = rom.A, rom.B
    P = dense_gramian(F, G, dt)
    X = cross(full.A, F, full.B @ G.T, dt)
    to_P = rom.C.T @ rom.C + 2 * sum(N @ P @ N for N in rom.N)
    to_X = -full.C.T @ rom.C - 2 * sum(M @ X @ N for M, N in zip(full.N, rom.N, strict=True))
    Q, Z = cross(F.T, F.T, to_P, dt), cross(full.A.T, F.T, to_X, dt)
    V, W = X @ np.linalg.inv(P), -Z @ np.linalg.inv(Q)
    # The poles have changed by 1e-8 in the last step.
    close(W.T @ V, np.eye(3), 1e-5)
    close(W.T @ full.A @ V, F, 1e-5)
    close(W.T @ full.B, G, 1e-5)
    close(full.C @ V, rom.C, 1e-5)
    close(np.array([V.T @ M @ V for M in full.N]), rom.N, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("kind", ["unit", "modal gate"])
def test_tied_outputs_are_optimal_too(kind, dt):
    sys = system(kind, dt, np.random.default_rng(5))
    full, rom = written(sys), mor.h2_optimal(sys, 2)
    end, scale = written(rom.system), float(mor.h2_norm(sys)) ** 2

    def tied(Y):
        C = end.C if sys.mix is None else sys.mix @ Y
        return squared_error(full, replace(end, Y=Y, C=C))

    found = slopes(full, end)[:2]
    if sys.mix is not None:
        assert np.max(np.abs(slope(tied, end.Y))) <= 1e-6 * scale
    assert max(np.max(np.abs(x)) for x in found) <= 1e-5 * scale


@pytest.mark.slow
@pytest.mark.parametrize("dt", TIMES)
def test_on_a_horizon_descent_is_optimal_and_the_fixed_point_is_not(dt):
    sys, horizon = gentle(dt), 3 if dt else 1.0
    full, scale = written(sys), float(mor.h2_norm(sys, horizon=horizon)) ** 2
    best, fixed = mor.h2_optimal(sys, 2, horizon=horizon), mor.tsia(sys, 2, horizon=horizon)
    assert best.diagnostics["h2_error"] < fixed.diagnostics["h2_error"]
    assert "time-limited" in fixed.method
    if best.diagnostics["stopped"] == "converged":
        end = slopes(full, written(best.system), horizon)
        assert max(np.max(np.abs(x)) for x in end) <= 1e-6 * scale
    there = slopes(full, written(fixed.system), horizon)
    assert max(np.max(np.abs(x)) for x in there) > 1e-5 * scale
    again = mor.h2_optimal(sys, 2, horizon=horizon, start=fixed)
    assert again.diagnostics["h2_error"] <= fixed.diagnostics["h2_error"] * (1 + 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("dt", TIMES)
def test_a_long_horizon_is_an_infinite_one(dt):
    sys = gentle(dt)
    for method in (mor.tsia, mor.h2_optimal, mor.balanced_truncation):
        long = method(sys, 3, horizon=2000)
        assert mor.h2_error(long.system, method(sys, 3).system) <= 1e-6 * mor.h2_norm(sys)
