"""Reduction of quadratic outputs: what is promised from every start and on every draw, and refused."""

from dataclasses import replace

import numpy as np
import pytest

import mor
from mor.errors import QuadraticOutputError, ReductionError, UnstableSystemError
from tests.oracles.lqo import close, written
from tests.oracles.lqo_reduction import METHODS, TIMES, gentle, squared_error, system


@pytest.mark.slow
@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("kind", ["dense", "gate", "unit", "modal gate"])
def test_never_worse_than_any_start(kind, dt):
    sys = system(kind, dt, np.random.default_rng(11))
    given = mor.balanced_truncation(sys, 2)
    pole = np.array([0.3 + 0.2j]) if dt else np.array([-0.5 + 0.7j])
    starts = [None, "bt", "modal", "spread", "tsia", "irka", pole, given, given.system]
    starts += [given.system.linear, mor.tsia(sys, 2)]
    results = [mor.h2_optimal(sys, 2, start=start, max_iterations=10) for start in starts]
    for start, rom in zip(starts, results, strict=True):
        found = rom.diagnostics
        assert rom.system.is_stable
        assert found["h2_error"] <= found["start_error"]
        assert np.all(np.diff(found["history"]) <= 0)
        if isinstance(start, mor.Reduction):
            assert found["h2_error"] <= mor.h2_error(sys, start.system) * (1 + 1e-12)
        expected = squared_error(written(sys), written(rom.system))
        close(np.array(found["h2_error"] ** 2), np.array(expected), 1e-8)
    assert results[0].diagnostics["h2_error"] <= results[4].diagnostics["h2_error"] * (1 + 1e-9)


def test_starts_of_the_other_kind():
    sys = gentle(0.0)
    rom = mor.tsia(sys.linear, 2, start=mor.balanced_truncation(sys, 2))
    assert rom.diagnostics["stopped"] == "converged"
    assert rom.system.is_linear
    assert mor.tsia(sys, 2, start=rom).diagnostics["stopped"] == "converged"


def draw(rng, kind):
    """Modal or dense, with a gate or forms of the state."""
    k = int(rng.integers(1, 4))
    rate = {
        "plain": 10 ** rng.uniform(-1, 1, k),
        "lightly damped": 10 ** rng.uniform(-8, -2, k),
        "clustered": 1 + 0.01 * rng.random(k),
        "nearly repeated": 1 + 1e-9 * rng.random(k),
        "wide": 10 ** rng.uniform(-5, 3, k),
    }[kind]
    close_by = {"clustered": 0.01, "nearly repeated": 1e-9}.get(kind)
    angle = 1 + close_by * rng.random(k) if close_by else rng.uniform(0, 3, k)
    found = -rate + 1j * angle * (rate if kind == "wide" else 1)
    found = np.where(rng.random(k) < 0.2, np.real(found) + 0j, found)
    dt, (m, p) = float(rng.choice([0.0, 1.0])), rng.integers(1, 3, 2)
    B, C = (rng.standard_normal(s) + 1j * rng.standard_normal(s) for s in ((k, m), (p, k)))
    linear = mor.Modal(np.exp(0.3 * found) if dt else found, B, C, dt=dt)
    linear = linear.to_lti() if rng.random() < 0.5 else linear
    if rng.random() < 0.5:
        return mor.LQO.from_gate(linear, rng.standard_normal((p, p)), rng.standard_normal((p, p)))
    n = linear.output_factor_matrix.shape[1]
    return mor.LQO(linear, 10 ** rng.uniform(-3, 1) * rng.standard_normal((p, n, n)))


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "lightly damped", "clustered", "nearly repeated", "wide"])
def test_stable_on_every_draw(kind):
    for seed in range(30):
        rng = np.random.default_rng([seed, len(kind)])
        sys = draw(rng, kind)
        order = int(rng.integers(1, sys.order + 1))
        method, start = METHODS[seed % 3], {"start": ["bt", "modal", "tsia", "irka"][seed % 4]}
        check_optimised(sys, order, method, start if method is mor.h2_optimal else {})
        check_truncated(sys, order)


def check_optimised(sys, order, method, options):
    """What these methods promise, whatever the system."""
    rom = method(sys, order, max_iterations=10, **options)
    found = rom.diagnostics
    assert rom.system.is_stable
    assert found["h2_error"] <= found["start_error"]
    # Computed along the same way, but perhaps from another kind of system.
    again, norm = float(mor.h2_error(sys, rom.system)), float(mor.h2_norm(sys))
    assert again == pytest.approx(found["h2_error"], rel=1e-6, abs=1e-10 * norm)


def check_truncated(sys, order):
    """What the others promise."""
    for method in (mor.balanced_truncation, mor.modal_truncation):
        assert method(sys, order).system.is_stable


@pytest.mark.slow
@pytest.mark.parametrize("dt", TIMES)
def test_unstable_systems_have_a_horizon_only(dt):
    found = np.array([0.2 + 1j, -0.5 + 0j, -2.0 + 0.5j])
    one = np.ones((3, 1)) + 0j
    modal = mor.Modal(np.exp(found) if dt else found, one, one.T, dt=dt)
    for linear in (modal, modal.to_lti()):
        sys = mor.LQO.from_gate(linear, np.ones((1, 1)), np.ones((1, 1)))
        for method in (*METHODS, mor.balanced_truncation, mor.modal_truncation):
            with pytest.raises(UnstableSystemError, match="pole") as refused:
                method(sys, 2)
            assert "split" not in str(refused.value)
        full = written(sys)
        for method in (mor.tsia, mor.h2_optimal):
            rom = method(sys, 2, horizon=7)
            assert rom.system.is_stable
            assert rom.diagnostics["h2_error"] <= rom.diagnostics["start_error"]
            expected = squared_error(full, written(rom.system), 7)
            close(np.array(rom.diagnostics["h2_error"] ** 2), np.array(expected), 1e-7)
        assert mor.balanced_truncation(sys, 4, horizon=4).order == 4


@pytest.mark.parametrize("method", METHODS)
def test_a_gate_of_the_input_in_continuous_time(method):
    linear = mor.LTI(-np.eye(2), np.ones((2, 1)), np.ones((1, 2)), [[1.0]])
    gate = mor.LQO.from_gate(linear, np.eye(1), np.eye(1))
    with pytest.raises(ReductionError, match=r"infinite H2 norm.*without D, or discretise"):
        method(gate, 1)
    # Signals that no form weighs may have one.
    two = mor.LTI(-np.eye(2), np.ones((2, 1)), np.eye(2), [[0.0], [1.0]])
    assert method(mor.LQO.from_gate(two, [[1.0, 0.0]], [[2.0, 0.0]]), 1).system.is_stable
    rom = method(gate.discretize(0.1), 1).system
    close(rom.readout[1], [[1.0]], 0.0)
    assert rom.M is gate.M


@pytest.mark.parametrize("method", METHODS)
def test_bad_input(method):
    sys = gentle(0.0)
    for order in (0, 9, -1, 2.5, None):
        with pytest.raises(mor.MorError, match=r"order=.* is not (a whole number|between 1 and 8)"):
            method(sys, order)
    silent = mor.LQO(replace(sys.linear, C=np.zeros((2, 8))), np.zeros((2, 8, 8)))
    with pytest.raises(ReductionError, match="nothing to reduce"):
        method(silent, 2)


def test_bad_starts():
    sys = gentle(0.0)
    other = gentle(1.0)
    for start, says in [
        ("best", "not one of"),
        ([1.0, 2.0], "stable"),
        ([-1.0], "states, not 2"),
        (mor.balanced_truncation(sys, 3), "start has order 3"),
        (mor.balanced_truncation(other, 2), "it must have"),
    ]:
        with pytest.raises(mor.MorError, match=says):
            mor.h2_optimal(sys, 2, start=start)
    with pytest.raises(ReductionError, match="no optimality condition"):
        mor.h2_optimal(sys, 2, horizon=1.0, start="tsia")


@pytest.mark.parametrize(
    ("asked", "error", "says"),
    [
        (lambda s: mor.balanced_truncation(s, 9), ReductionError, "between 0 and 8"),
        (lambda s: mor.balanced_truncation(s, tol=0.1), ReductionError, "quadratic outputs has none; give"),
        (
            lambda s: mor.balanced_truncation(s, 2, band=(0.0, 1.0)),
            QuadraticOutputError,
            "frequency-limited Gramians are those of linear outputs",
        ),
        (lambda s: mor.balanced_truncation(s, 2, unstable="split"), QuadraticOutputError, "horizon="),
        (lambda s: mor.split_stable(s), QuadraticOutputError, r"\.linear can be split"),
        (lambda s: mor.minimal_realization(s), QuadraticOutputError, "balanced_truncation"),
        (lambda s: mor.modal_truncation(s, 9), ReductionError, "between 0 and 8"),
    ],
)
def test_what_is_refused_says_what_to_do(asked, error, says):
    with pytest.raises(error, match=says):
        asked(gentle(0.0))
