"""TSIA, IRKA and descent on the H2 error: optimality, promises on every draw, degenerate cases, bad input."""

import numpy as np
import pytest
import scipy.io
from hypothesis import given, settings

import mor
from mor.equations.schur import SchurForm
from mor.errors import ReductionError
from mor.reduction.h2.fixed_point import mirrored
from mor.reduction.h2.objective import H2Objective, evolution
from mor.systems.labels import Labels
from mor.testing import block_systems, lti_systems, modal_systems, two_area_power_system
from tests.oracles.dense import random_stable

METHODS = [mor.tsia, mor.irka, mor.h2_optimal]


def sampled(dt):
    """A system on which all methods converge, in either time."""
    sys = two_area_power_system()
    return sys.discretize(0.3) if dt else sys


def error(sys, rom, horizon=None):
    return float(mor.h2_error(sys, rom.system, horizon=horizon))


def norm(sys, horizon=None):
    full = sys.to_lti()
    return float(mor.h2_norm(mor.LTI(full.A, full.B, full.C, E=full.E, dt=full.dt), horizon=horizon))


def check(sys, rom, horizon=None):
    """What every result of h2_optimal has."""
    found, scale = rom.diagnostics, norm(sys, horizon)
    assert rom.system.is_stable
    assert found["h2_error"] <= found["start_error"]
    # The reported error was computed along the same way, but perhaps from another kind of system.
    assert error(sys, rom, horizon) == pytest.approx(found["h2_error"], rel=1e-6, abs=1e-11 * scale)
    assert np.all(np.diff(found["history"]) <= 0)
    assert isinstance(found["stopped"], str)
    np.testing.assert_array_equal(rom.system.D, sys.D)
    assert rom.system.dt == sys.dt


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 0.3])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("order", [2, 4])
def test_interpolation_conditions_hold(method, dt, order):
    sys = sampled(dt)
    rom = method(sys, order).system
    modes = mor.Modal.from_lti(rom)
    step = 1e-4
    for point, b, c in zip(mirrored(modes.poles, dt).conj(), modes.B, modes.C.T, strict=True):
        G, Gr = sys.evaluate(point), rom.evaluate(point)
        scale = np.linalg.norm(G)
        assert np.linalg.norm((G - Gr) @ b) <= 1e-5 * scale * np.linalg.norm(b)
        h = step * abs(point)
        slopes = [(x.evaluate(point + h) - x.evaluate(point - h)) / (2 * h) for x in (sys, rom)]
        gap = c @ (slopes[0] - slopes[1]) @ b
        # Central differences are right to h^2, the poles to 1e-8.
        assert abs(gap) <= 1e-5 * np.linalg.norm(c) * np.linalg.norm(slopes[0]) * np.linalg.norm(b)
        assert np.linalg.norm(c @ (G - Gr)) <= 1e-5 * scale * np.linalg.norm(c)


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 0.3])
@pytest.mark.parametrize("method", METHODS)
def test_the_gradient_vanishes(method, dt):
    sys = sampled(dt)
    problem = H2Objective(sys, None)
    rom, rough = method(sys, 4).system, mor.balanced_truncation(sys, 3).system
    slopes = [problem.gradient(problem.at(x.A, x.B, x.C)) for x in (rom, rough)]
    at_end, elsewhere = (max(np.max(np.abs(s)) for s in pair) for pair in slopes)
    assert at_end <= 1e-5 * elsewhere
    # H is the best there is for F and G.
    best = problem.at(rom.A, rom.B)
    np.testing.assert_allclose(best.H, rom.C, rtol=0, atol=1e-6 * np.max(np.abs(rom.C)))


@pytest.mark.parametrize("dt", [0.0, 0.3])
def test_a_fixed_point_stays(dt):
    sys = sampled(dt)
    first = mor.tsia(sys, 4)
    again = mor.tsia(sys, 4, start=first)
    assert again.diagnostics["stopped"] == "converged"
    assert again.diagnostics["iterations"] <= 2
    assert again.diagnostics["h2_error"] <= first.diagnostics["h2_error"]
    single = mor.LTI(sys.A, sys.B[:, :1], sys.C[:1], dt=dt)
    shifts = mor.irka(single, 4).diagnostics["shifts"]
    kept = shifts[shifts.imag >= 0]
    again = mor.irka(single, 4, shifts=kept)
    assert again.diagnostics["iterations"] <= 3
    np.testing.assert_allclose(
        np.sort_complex(again.diagnostics["shifts"]), np.sort_complex(shifts), rtol=1e-6
    )


def test_a_known_optimum():
    # Of 1/(s+1) + 1/(s+3) at order 1: the best pole p solves a scalar equation; found by a fine search.
    sys = mor.LTI(np.diag([-1.0, -3.0]), np.ones((2, 1)), np.ones((1, 2)))
    p = np.linspace(1.0, 3.0, 200001)
    gain = 2 * p * (1 / (1 + p) + 1 / (3 + p)) ** 2  # <G, 1/(s+p)>^2 / |1/(s+p)|^2
    expected = np.sqrt(norm(sys) ** 2 - np.max(gain))
    for method in METHODS:
        rom = method(sys, 1)
        assert error(sys, rom) == pytest.approx(expected, rel=1e-8)
        assert rom.system.poles[0].real == pytest.approx(-p[np.argmax(gain)], abs=2e-5)


def random_modal(rng, kind):
    k, (m, p) = int(rng.integers(1, 5)), rng.integers(1, 4, 2)
    rate = {
        "plain": 10 ** rng.uniform(-1, 1, k),
        "lightly damped": 10 ** rng.uniform(-8, -2, k),
        "clustered": 1 + 0.01 * rng.random(k),
        "nearly repeated": 1 + 1e-9 * rng.random(k),
        "wide": 10 ** rng.uniform(-6, 4, k),
    }[kind]
    close = {"clustered": 0.01, "nearly repeated": 1e-9}.get(kind)
    angle = 1 + close * rng.random(k) if close else rng.uniform(0, 3, k)
    poles = -rate + 1j * angle * (rate if kind == "wide" else 1)
    poles = np.where(rng.random(k) < 0.2, poles.real + 0j, poles)
    dt = float(rng.choice([0.0, 1.0]))
    B, C = (rng.standard_normal(s) + 1j * rng.standard_normal(s) for s in ((k, m), (p, k)))
    return mor.Modal(np.exp(0.3 * poles) if dt else poles, B, C, rng.standard_normal((p, m)), dt=dt)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["plain", "lightly damped", "clustered", "nearly repeated", "wide"])
def test_stable_and_no_worse_than_the_start_on_every_draw(kind):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        sys = random_modal(rng, kind)
        sys = sys.to_lti() if seed % 2 else sys
        start = ["bt", "modal", "tsia", "irka"][seed % 4]
        order = int(rng.integers(1, sys.order + 1))
        check(sys, mor.h2_optimal(sys, order, start=start, max_iterations=10))


@pytest.mark.slow
@given(modal_systems(max_modes=4))
@settings(max_examples=15)
def test_degenerate_modal_systems(sys):
    if norm(sys) == 0:
        return
    for order in (1, sys.order):
        rom = mor.h2_optimal(sys, order, max_iterations=10)
        check(sys, rom)
        assert rom.order <= order
        assert isinstance(rom.system, mor.Modal | mor.LTI)


@pytest.mark.slow
@given(block_systems(max_blocks=3, max_size=2))
@settings(max_examples=10)
def test_block_diagonal_systems_come_back_as_modes(sys):
    rom = mor.h2_optimal(sys, 1, max_iterations=10)
    check(sys, rom)
    assert isinstance(rom.system, mor.Modal)
    dense = mor.h2_optimal(sys.to_lti(), 1, max_iterations=10)
    assert rom.diagnostics["start_error"] == pytest.approx(dense.diagnostics["start_error"], rel=1e-5)


@pytest.mark.slow
@given(lti_systems(max_order=6))
@settings(max_examples=10)
def test_fixed_points_are_no_worse_than_their_starts(sys):
    for method in (mor.tsia, mor.irka):
        rom = method(sys, min(2, sys.order))
        assert rom.system.is_stable
        assert rom.diagnostics["h2_error"] <= rom.diagnostics["start_error"]
        assert error(sys, rom) == pytest.approx(rom.diagnostics["h2_error"], rel=1e-6, abs=1e-11 * norm(sys))


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 0.3])
def test_every_kind_of_start(dt):
    sys = sampled(dt)
    bt = mor.balanced_truncation(sys, 3)
    poles = [-1.0 + 1j, -0.2] if not dt else [0.5 + 0.5j, 0.9]
    results = [
        mor.h2_optimal(sys, 3, start=start)
        for start in (None, "bt", "modal", "spread", "tsia", "irka", poles, np.array(poles), bt, bt.system)
    ]
    for rom in results:
        check(sys, rom)
    assert results[1].diagnostics["start_error"] == pytest.approx(error(sys, bt), rel=1e-9)
    assert results[0].diagnostics["h2_error"] <= mor.tsia(sys, 3).diagnostics["h2_error"]
    assert results[0].diagnostics["h2_error"] <= mor.irka(sys, 3).diagnostics["h2_error"]


@pytest.mark.slow
def test_order_one_of_a_resonance_has_a_real_pole():
    sys = mor.Modal(np.array([-0.1 + 2j]), np.ones((1, 1)) + 0j, np.ones((1, 1)) + 0j)
    for method in (mor.tsia, mor.irka, mor.h2_optimal):
        rom = method(sys, 1)
        assert rom.order == 1
        assert rom.system.order == 1
        assert rom.diagnostics["h2_error"] < norm(sys)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dt", [0.0, 0.3])
def test_the_full_order_is_the_system_itself(method, dt):
    sys = sampled(dt)
    # A factor of a joint Gramian is right to round-off of the norm, times the condition of the change of
    # coordinates, the root of the ratio of the Hankel singular values.
    assert error(sys, method(sys, sys.order)) <= 1e-11 * norm(sys)


@pytest.mark.parametrize("method", METHODS)
def test_no_more_states_than_the_minimal_order(method):
    small = mor.LTI(np.diag([-1.0, -2.0]), np.ones((2, 1)), np.ones((1, 2)))
    T = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 4)))[0]
    A = T @ np.diag([-1.0, -2.0, -3.0, -4.0]) @ T.T
    sys = mor.LTI(A, T @ [[1.0], [1.0], [0.0], [1.0]], [[1.0, 1.0, 1.0, 0.0]] @ T.T)
    rom = method(sys, 3)
    assert rom.diagnostics["h2_error"] <= 1e-10
    assert error(small, rom) <= 1e-10
    if rom.order < 3:
        assert "asked for 3" in rom.diagnostics["note"]


@pytest.mark.slow
def test_a_descriptor_system_and_names():
    rng = np.random.default_rng(6)
    E = np.eye(6) + 0.1 * rng.standard_normal((6, 6))
    A, B, C = E @ random_stable(rng, 6, 0.0), rng.standard_normal((6, 2)), rng.standard_normal((1, 6))
    D, labels = rng.standard_normal((1, 2)), Labels(inputs=("u", "v"), outputs=("y",), name="arm")
    sys = mor.LTI(A, B, C, D, E=E, labels=labels)
    plain = mor.LTI(np.linalg.solve(E, A), np.linalg.solve(E, B), C)
    for method in METHODS:
        rom = method(sys, 3)
        assert rom.diagnostics["h2_error"] == pytest.approx(
            method(plain, 3).diagnostics["h2_error"], rel=1e-5
        )
        assert rom.system.labels.inputs == ("u", "v")
        np.testing.assert_array_equal(rom.system.D, D)
        modal = method(mor.Modal.from_lti(sys), 3)
        assert isinstance(modal.system, mor.Modal)
        assert modal.system.labels.outputs == ("y",)


@pytest.mark.slow
def test_invariance_under_scaling_of_time_and_signals():
    sys = two_area_power_system()
    rom = mor.h2_optimal(sys, 3)
    scaled = mor.LTI(1e6 * sys.A, 1e-4 * sys.B, 1e3 * sys.C)
    ratio = norm(scaled) / norm(sys)
    assert error(scaled, mor.h2_optimal(scaled, 3)) == pytest.approx(ratio * error(sys, rom), rel=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 0.3])
@pytest.mark.parametrize("horizon", [1, 10])
def test_a_finite_horizon(dt, horizon):
    sys = sampled(dt)
    rom = mor.h2_optimal(sys, 2, horizon=horizon, max_iterations=50)
    check(sys, rom, horizon)
    infinite = mor.h2_optimal(sys, 2)
    assert error(sys, rom, horizon) <= error(sys, infinite, horizon) * 1.05
    with pytest.raises(mor.MorError, match="no optimality condition"):
        mor.h2_optimal(sys, 2, horizon=horizon, start="tsia")


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_a_finite_horizon_of_an_unstable_system(dt):
    poles = np.array([0.2 + 1j, -0.5 + 0j, -2.0 + 0.5j])
    one = np.ones((3, 1)) + 0j
    sys = mor.Modal(np.exp(poles) if dt else poles, one, one.T, dt=dt)
    for system in (sys, sys.to_lti()):
        rom = mor.h2_optimal(system, 4, horizon=5, max_iterations=100)
        check(system, rom, 5)
        assert rom.diagnostics["h2_error"] < 0.9 * norm(system, 5)
        with pytest.raises(mor.MorError, match=r"pole .* horizon="):
            mor.h2_optimal(system, 2)
    for method in (mor.tsia, mor.irka):
        with pytest.raises(mor.MorError, match="pole"):
            method(sys, 2)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_an_iterate_that_overflows_is_an_error(dt):
    with pytest.raises(ReductionError, match="overflows within the horizon"):
        evolution(np.diag([1e4, 1.0]), dt, 1000)


@pytest.mark.parametrize("method", METHODS)
def test_bad_input(method):
    sys = two_area_power_system()
    for order in (0, 8, -1, 2.5, None, "3"):
        with pytest.raises(mor.MorError, match=r"order=.* is not (a whole number|between 1 and 7)"):
            method(sys, order)
    with pytest.raises(mor.MorError, match="nothing to reduce"):
        method((sys.A, 0 * sys.B, sys.C), 2)
    batch = mor.Modal(-np.ones((2, 3)), np.ones((2, 3, 1)), np.ones((2, 1, 3)))
    with pytest.raises(mor.MorError, match="one system at a time"):
        method(batch, 2)


def test_bad_starts():
    sys = two_area_power_system()
    for order, start, message in [
        (2, "best", "not one of"),
        (1, [1.0], "stable"),
        (2, [-1.0], "states, not 2"),
        (2, [-1.0 + 1j, -1.0], "3 states, not 2"),
    ]:
        with pytest.raises(mor.MorError, match=message):
            mor.h2_optimal(sys, order, start=start)
    with pytest.raises(mor.MorError, match="start has order 3"):
        mor.h2_optimal(sys, 2, start=mor.balanced_truncation(sys, 3))
    with pytest.raises(mor.MorError, match="it must have"):
        mor.h2_optimal(sys, 1, start=([[-1.0]], [[1.0]], [[1.0]]))
    with pytest.raises(mor.MorError, match="not stable"):
        mor.h2_optimal(sys, 1, start=([[1.0]], np.ones((1, 2)), np.ones((3, 1))))
    with pytest.raises(mor.MorError, match="states, not 3"):
        mor.irka(sys, 3, shifts=[1.0])
    unreached = mor.LTI([[-1.0]], np.zeros((1, 2)), np.ones((3, 1)))
    assert "no input reaches" in mor.h2_optimal(sys, 1, start=unreached).diagnostics["stopped"]


@pytest.mark.slow
@pytest.mark.parametrize("method", METHODS)
def test_max_iterations(method):
    sys = two_area_power_system()
    for limit in (0, 1, 2):
        rom = method(sys, 3, max_iterations=limit)
        assert rom.diagnostics["iterations"] <= limit
        assert len(rom.diagnostics["history"]) == rom.diagnostics["iterations"] + 1


def test_a_fixed_point_iteration_that_diverges_says_so():
    sys = two_area_power_system()
    rom = mor.tsia(sys, 1)
    assert rom.diagnostics["stopped"] == "100 iterations"
    assert np.inf in rom.diagnostics["history"]
    best = mor.h2_optimal(sys, 1)
    check(sys, best)
    assert best.diagnostics["h2_error"] < rom.diagnostics["h2_error"]


def test_a_modal_system_needs_no_schur_form_of_its_size(monkeypatch):
    rng, sizes, of = np.random.default_rng(0), [], SchurForm.of

    def counted(A, *rest, **options):
        sizes.append(len(A))
        return of(A, *rest, **options)

    k = 100
    poles = -(10 ** rng.uniform(-2, 1, k)) + 1j * rng.uniform(0, 100, k)
    B, C = rng.standard_normal((k, 1)) + 0j, rng.standard_normal((1, k)) + 0j
    monkeypatch.setattr(SchurForm, "of", counted)
    rom = mor.h2_optimal(mor.Modal(poles, B, C), 4)
    assert max(sizes) == 4
    assert rom.diagnostics["h2_error"] <= mor.tsia(mor.Modal(poles, B, C), 4).diagnostics["h2_error"]


def test_a_system_with_all_poles_at_zero():
    sys = mor.LTI(np.eye(4, k=-1), np.eye(4)[:, :1], [[1.0, 2.0, 3.0, 1.0]], dt=1.0)
    check(sys, mor.h2_optimal(sys, 2))


def test_a_fast_discrete_mode_does_not_underflow():
    pole = 1e-248 * np.exp(0.8j)
    sys = mor.Modal(np.array([pole, 0.5 + 0.1j]), np.ones((2, 1)) + 0j, np.ones((1, 2)) + 0j, dt=1.0)
    assert norm(sys) == pytest.approx(float(mor.h2_norm(sys)), rel=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("order", [4, 10, 16])
def test_a_building(data_dir, order):
    data = scipy.io.loadmat(data_dir / "mor" / "building.mat")
    sys = mor.as_system((data["A"], data["B"], data["C"]))
    best = mor.h2_optimal(sys, order)
    check(sys, best)
    for method in (mor.tsia, mor.irka):
        assert best.diagnostics["h2_error"] <= method(sys, order).diagnostics["h2_error"]
    assert best.diagnostics["h2_error"] < error(sys, mor.balanced_truncation(sys, order))


@pytest.mark.parametrize("method", [mor.tsia, mor.irka, mor.h2_optimal])
def test_a_printed_result_is_short_and_promises_nothing(method):
    sys = mor.LTI(-np.diag(np.arange(1.0, 31)), np.ones((30, 1)), np.ones((1, 30)))
    rom = method(sys, 6)
    text = str(rom)
    assert len(text) < 600
    assert "round-off about" not in text
    history = rom.diagnostics["history"]
    shown = f"{len(history)} values, the last {history[-1]:.6g}" if len(history) > 4 else str(history)
    assert f"history: {shown}" in text


def test_a_printed_bound_comes_with_its_round_off():
    sys = mor.LTI(-np.diag(np.arange(1.0, 31)), np.ones((30, 1)), np.ones((1, 30)))
    assert "round-off about" in str(mor.balanced_truncation(sys, 4))
