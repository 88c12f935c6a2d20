"""Reduction of quadratic outputs by every method: agreement, structure, degenerate sizes."""

import numpy as np
import pytest

import mor
from mor.examples import advection_diffusion, gated_layer
from tests.oracles.dense import random_stable
from tests.oracles.lqo import close, random_lqo, written
from tests.oracles.lqo_reduction import (
    KINDS,
    METHODS,
    TIMES,
    balanced,
    gentle,
    horizons,
    squared_error,
    system,
)


@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("kind", KINDS)
def test_balanced_truncation_is_that_of_the_written_gramians(kind, dt):
    sys = system(kind, dt, np.random.default_rng(6))
    full = written(sys)
    for horizon in horizons(dt):
        rom = mor.balanced_truncation(sys, 2, horizon=horizon)
        expected, values = balanced(full, 2, horizon)
        close(rom.hsv[:3], values[:3], 1e-7)
        scale = full.squared_norm(horizon)
        assert squared_error(expected, written(rom.system), 10) <= 1e-9 * scale
        assert rom.error_bound is None
        assert rom.bound_kind == "none"
        # The same as of the linear system with more outputs.
        linear = mor.balanced_truncation(sys.equivalent(horizon=horizon), 2, horizon=horizon)
        close(np.sort_complex(poles(linear.system)), np.sort_complex(poles(rom.system)), 1e-8)


def poles(sys):
    return np.linalg.eigvals(sys.carrier.to_lti().A)


@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("kind", ["dense", "products"])
def test_balanced_coordinates(kind, dt):
    sys = random_lqo(np.random.default_rng(7), n=4, dt=dt, forms=kind)
    rom = mor.balanced_truncation(sys, 4)
    P, Q = mor.gramians(rom.system)
    close(P, np.diag(rom.hsv), 1e-8)
    close(Q, np.diag(rom.hsv), 1e-8)


@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("kind", KINDS)
def test_matching_dc_keeps_the_output_at_rest(kind, dt):
    sys = system(kind, dt, np.random.default_rng(8))
    rom = mor.balanced_truncation(sys, 2, match="dc").system
    assert rom.is_stable
    full, small = written(sys), written(rom)
    for u in np.random.default_rng(9).standard_normal((4, 2)):
        outputs = []
        for x in (full, small):
            S = np.eye(len(x.A)) - x.A if dt else -x.A
            outputs.append(x.output(np.linalg.solve(S, x.B @ u), u))
        close(*outputs, 1e-9)
    assert np.isinf(mor.h2_error(sys, rom)) == (not dt)


@pytest.mark.slow
@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("method", [*METHODS, mor.balanced_truncation, mor.modal_truncation])
def test_structure_survives(method, kind, dt):
    sys = system(kind, dt, np.random.default_rng(10))
    rom = method(sys, 2)
    small = rom.system
    assert isinstance(small, mor.LQO)
    assert small.order == rom.order <= 2
    assert small.exact is sys.exact
    close(small.D, sys.D, 0.0)
    assert small.dt == sys.dt
    if "gate" in kind or kind == "unit":
        assert small.M is sys.M
        close(small.readout[1], np.zeros((2, 2)) if sys.readout is None else sys.readout[1], 0.0)
    if kind == "unit":
        close(small.mix, sys.mix, 0.0)
        close(small.linear.output_factor_matrix, sys.mix @ small.readout[0], 1e-14)
    if "modal" in kind or method is mor.modal_truncation:
        assert isinstance(small.linear, mor.Modal)
    if method in METHODS:
        expected = squared_error(written(sys), written(small))
        close(np.array(rom.diagnostics["h2_error"] ** 2), np.array(expected), 1e-8)


@pytest.mark.slow
@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("method", [*METHODS, mor.balanced_truncation, mor.modal_truncation])
def test_without_forms_it_is_linear_reduction(method, dt):
    linear = gentle(dt).linear
    expected = method(linear, 2)
    nothing = np.zeros((2, 0, 0)), np.zeros((2, 0, 0))
    empty = mor.LQO(linear, nothing, (np.zeros((0, 8)), np.zeros((0, 2))))
    for sys in (mor.LQO(linear, np.zeros((2, 8, 8))), empty):
        rom = method(sys, 2)
        difference = mor.h2_error(expected.system, rom.system.linear)
        # The iteration stops at steps of 1e-8, perhaps many of them short of its end. One-sided IRKA is
        # another method.
        if method is not mor.irka:
            assert difference <= 1e-5 * mor.h2_norm(linear)
        close(rom.hsv, expected.hsv, 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("method", METHODS)
def test_the_full_order_is_the_system_itself(method, dt):
    sys = random_lqo(np.random.default_rng(12), n=4, dt=dt)
    rom = method(sys, 4)
    assert mor.h2_error(sys, rom.system) <= 1e-10 * mor.h2_norm(sys)
    assert method(sys, 1).order == 1


@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("method", [mor.balanced_truncation, mor.modal_truncation])
def test_order_zero_and_the_full_order(method, dt):
    sys = random_lqo(np.random.default_rng(13), n=4, dt=dt)
    nothing = method(sys, 0).system
    assert nothing.order == 0
    close(mor.simulate(nothing, np.ones((3, 2)), step=dt or 0.1), np.ones((3, 2)) @ sys.D.T)
    assert mor.h2_error(sys, method(sys, 4).system) <= 1e-10 * mor.h2_norm(sys)
    assert mor.h2_error(sys, method(sys).system) <= 1e-10 * mor.h2_norm(sys)


@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("score", ["hinf", "h2"])
def test_modal_truncation_keeps_the_best_modes_of_the_equivalent_system(kind, dt, score):
    sys = system(kind, dt, np.random.default_rng(14))
    rom = mor.modal_truncation(sys, 3, score=score)
    equivalent = mor.modal_truncation(sys.equivalent(), 3, score=score).system
    close(np.sort_complex(rom.system.poles), np.sort_complex(equivalent.poles), 1e-10)
    assert rom.error_bound is None
    assert rom.bound_kind == "none"
    close(rom.hsv, mor.hankel_singular_values(sys)[: sys.order], 1e-8)
    # Modes kept are those of the full system: in its eigenvectors the others are zero.
    full, small = written(sys), written(rom.system)
    values, vectors = np.linalg.eig(full.A)
    kept = np.min(np.abs(values[:, None] - np.linalg.eigvals(small.A)), axis=1) < 1e-9
    basis, inverse = vectors[:, kept], np.linalg.inv(vectors)[kept]
    F, G = np.diag(values[kept]), inverse @ full.B
    u, x = np.random.default_rng(0).standard_normal((12, 2)), np.zeros(len(F), dtype=complex)
    expected, step = [], 0.3
    if not dt:
        grown = np.exp(step * values[kept])
        F, G = np.diag(grown), ((grown - 1) / values[kept])[:, None] * G
    for uk in u:
        expected.append(full.output(np.real(basis @ x), uk))
        x = F @ x + G @ uk
    close(mor.simulate(rom.system, u, step=dt or step), np.array(expected), 1e-8)


def test_a_descriptor_system_and_names():
    rng = np.random.default_rng(15)
    E = np.eye(6) + 0.1 * rng.standard_normal((6, 6))
    A, B, C = E @ random_stable(rng, 6, 0.0), rng.standard_normal((6, 2)), rng.standard_normal((1, 6))
    labels = mor.Labels(inputs=("u", "v"), outputs=("y",), name="arm")
    M = rng.standard_normal((6, 6))
    sys = mor.LQO(mor.LTI(A, B, C, E=E, labels=labels), M)
    plain = mor.LQO(mor.LTI(np.linalg.solve(E, A), np.linalg.solve(E, B), C), M)
    for method in (*METHODS, mor.balanced_truncation, mor.modal_truncation):
        rom = method(sys, 3).system
        assert rom.labels.inputs == ("u", "v")
        assert rom.labels.outputs == ("y",)
        errors = mor.h2_error(sys, rom), mor.h2_error(plain, method(plain, 3).system)
        assert errors[0] == pytest.approx(errors[1], rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dt", TIMES)
def test_invariance_under_scaling_of_signals(dt):
    sys = gentle(dt)
    linear, M = sys.linear, sys.M.matrices
    # Ten times the input and the outputs of a tenth of it: nothing has changed but the states.
    same = mor.LQO(mor.LTI(linear.A, 10 * linear.B, linear.C / 10, dt=dt), M / 100)
    louder = mor.LQO(mor.LTI(linear.A, linear.B, 7 * linear.C, dt=dt), 7 * M)
    for method in (*METHODS, mor.balanced_truncation, mor.modal_truncation):
        error = mor.h2_error(sys, method(sys, 3).system)
        assert mor.h2_error(same, method(same, 3).system) == pytest.approx(error, rel=1e-6)
        assert mor.h2_error(louder, method(louder, 3).system) == pytest.approx(7 * error, rel=1e-6)


def test_states_that_only_round_off_sees_are_left_out():
    small = random_lqo(np.random.default_rng(16), n=3, dt=1.0)
    linear, rng = small.linear, np.random.default_rng(17)
    T = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    A = np.zeros((5, 5))
    A[:3, :3], A[3:, 3:], A[:3, 3:] = linear.A, 0.5 * np.eye(2), 1.0
    B, C = np.vstack([linear.B, np.zeros((2, 2))]), np.hstack([linear.C, rng.standard_normal((3, 2))])
    M = rng.standard_normal((3, 5, 5))
    M = M + M.swapaxes(1, 2)
    M[:, :3, :3] = small.M.matrices
    sys = mor.LQO(mor.LTI(T @ A @ T.T, T @ B, C @ T.T, linear.D, dt=1.0), T @ M @ T.T)
    for rom in (mor.balanced_truncation(sys), mor.h2_optimal(sys, 5)):
        assert rom.order == 3
        assert mor.h2_error(small, rom.system) <= 1e-10 * mor.h2_norm(small)


@pytest.mark.slow
def test_examples_are_reduced():
    rod = advection_diffusion(40)
    norm = mor.h2_norm(rod)
    before = mor.h2_error(rod, mor.balanced_truncation(rod, 6).system)
    best = mor.h2_optimal(rod, 6)
    assert best.diagnostics["h2_error"] <= before < 0.5 * norm
    layer = gated_layer(12, 4)
    rom = mor.h2_optimal(layer, 8, max_iterations=20)
    assert isinstance(rom.system.linear, mor.Modal)
    assert rom.system.M is layer.M
    assert rom.diagnostics["h2_error"] <= mor.h2_error(layer, mor.balanced_truncation(layer, 8).system)
