"""unstable="split": any method on the stable part, the rest kept as it is."""

from __future__ import annotations

import numpy as np
import pytest

import mor
from mor.errors import DimensionError, QuadraticOutputError, ReductionError, UnstableSystemError
from mor.reduction.methods import METHODS
from tests.oracles.dense import frequencies, largest_gain, random_matrix, random_stable

#: Methods, and that they may stop far from convergence in a test.
ALL = {
    "bt": mor.balanced_truncation,
    "modal": mor.modal_truncation,
    "tsia": mor.tsia,
    "irka": mor.irka,
    "h2": lambda *a, **k: mor.h2_optimal(*a, max_iterations=20, **k),
}
UNSTABLE = {0.0: [0.4 + 1j, 0.4 - 1j, 0.3], 1.0: [1.1j, -1.1j, 1.3]}


def unstable_dense(dt, seed=0, is_complex=False):
    """Six stable states and three that are not, in general coordinates, with known stable part."""
    rng = np.random.default_rng(seed)
    A = np.zeros((9, 9), complex)
    A[:6, :6] = random_stable(rng, 6, dt, is_complex)
    poles = UNSTABLE[dt]
    if is_complex:
        A[6:, 6:] = np.diag(poles)
    else:
        A[6:8, 6:8] = [[poles[0].real, poles[0].imag], [-poles[0].imag, poles[0].real]]
        A[8, 8] = poles[2]
    T = np.eye(9) + 0.3 * random_matrix(rng, is_complex, 9, 9) / 3
    B, C = random_matrix(rng, is_complex, 9, 2), random_matrix(rng, is_complex, 2, 9)
    stable = mor.LTI(A[:6, :6], B[:6], C[:, :6], dt=dt)
    rest = mor.LTI(A[6:, 6:], B[6:], C[:, 6:], dt=dt)
    Ti = np.linalg.inv(T)
    return mor.LTI(T @ A @ Ti, T @ B, C @ Ti, dt=dt), stable, rest


def unstable_modal(dt, seed=0):
    rng = np.random.default_rng(seed)
    size = 0.9 if dt else 1.0
    poles = size * np.exp(1j * rng.uniform(0.2, 1.2, 5))
    poles = poles if dt else -0.3 * np.abs(poles.real) + 3j * poles.imag
    poles = np.insert(poles, [1, 3], [UNSTABLE[dt][0], UNSTABLE[dt][2]])
    B = rng.standard_normal((7, 2)) + 1j * rng.standard_normal((7, 2))
    C = rng.standard_normal((2, 7)) + 1j * rng.standard_normal((2, 7))
    # A real mode has a real row, so that it counts as one state.
    B[4], C[:, 4] = B[4].real, C[:, 4].real
    return mor.Modal(poles, B, C, dt=dt)


def responses_agree(a, b, tol):
    grid = frequencies(a, 60)
    assert largest_gain(a - b, grid) <= tol * largest_gain(a, grid)


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("name", list(ALL))
def test_split_equals_a_manual_split(name, dt):
    """Reduce the stable part, add the rest: the same system."""
    sys, stable, rest = unstable_dense(dt)
    rom = ALL[name](sys, 7, unstable="split")
    manual = ALL[name](stable, 4)
    assert rom.order == manual.order + 3 <= 7
    assert rom.full_order == 9
    assert rom.method.startswith(manual.method)
    assert rom.method.endswith("of the stable part")
    assert rom.diagnostics["unstable_states_kept"] == 3
    # Local minima may differ by what round-off does to an iteration.
    responses_agree(rom.system, manual.system + rest, 1e-4 if name in ("tsia", "irka", "h2") else 1e-8)
    np.testing.assert_array_equal(rom.hsv[:3], np.inf)
    np.testing.assert_allclose(rom.hsv[3:], mor.hankel_singular_values(stable), rtol=1e-8)
    full, small = rom.stable_parts
    assert full.is_stable
    assert small.is_stable
    responses_agree(full, stable, 1e-9)
    responses_agree(rom.system, small + rest, 1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("name", list(ALL))
def test_modes_are_split_by_a_mask(name, dt):
    sys = unstable_modal(dt)
    order = 9
    rom = ALL[name](sys, order, unstable="split")
    assert isinstance(rom.system, mor.Modal)
    assert rom.order <= order
    assert rom.full_order == 13
    kept = [pole for pole in np.asarray(sys.poles) if np.min(np.abs(rom.system.poles - pole)) == 0]
    assert {UNSTABLE[dt][0], UNSTABLE[dt][2]} <= set(kept)
    assert rom.diagnostics["unstable_states_kept"] == 3
    full, small = rom.stable_parts
    assert full.order == 10
    # What was kept is kept exactly: the error is that of the stable parts.
    grid = frequencies(sys, 40)
    error = (sys - rom.system).frequency_response(grid) - (full - small).frequency_response(grid)
    assert np.max(np.abs(error)) <= 1e-10 * largest_gain(sys, grid)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ALL))
def test_a_stable_system_is_reduced_as_without(name):
    rng = np.random.default_rng(4)
    sys = mor.LTI(random_stable(rng, 6, 0.0), rng.standard_normal((6, 1)), rng.standard_normal((1, 6)))
    with_, without = ALL[name](sys, 3, unstable="split"), ALL[name](sys, 3)
    assert with_.method == without.method
    assert with_.stable_parts is None
    responses_agree(with_.system, without.system, 1e-10)


@pytest.mark.parametrize("name", list(ALL))
def test_an_order_below_what_is_kept(name):
    sys, _, _ = unstable_dense(0.0)
    with pytest.raises(ReductionError, match="order=2 is too small: 3 states belong to poles"):
        ALL[name](sys, 2, unstable="split")


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("name", list(ALL))
def test_only_what_is_kept_is_left(name, dt):
    sys, stable, rest = unstable_dense(dt)
    rom = ALL[name](sys, 3, unstable="split")
    assert rom.order == 3
    responses_agree(rom.system, rest, 1e-9)
    if "h2_error" in rom.diagnostics:
        assert rom.diagnostics["h2_error"] == pytest.approx(float(mor.h2_norm(stable)))


@pytest.mark.parametrize("name", list(ALL))
def test_a_wholly_unstable_system_stays_as_it_is(name):
    sys = mor.LTI(np.diag([1.0, 2.0]), np.ones((2, 1)), np.ones((1, 2)))
    rom = ALL[name](sys, 2, unstable="split")
    assert rom.order == 2
    responses_agree(rom.system, sys, 1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ALL))
def test_double_integrators(name):
    """Rigid-body motion has no eigenvectors: it is kept, and the vibration reduced."""
    rng = np.random.default_rng(5)
    A = np.zeros((8, 8))
    A[0, 1] = 1.0
    A[2:, 2:] = random_stable(rng, 6, 0.0)
    B, C = rng.standard_normal((8, 1)), rng.standard_normal((1, 8))
    T = np.linalg.qr(rng.standard_normal((8, 8)))[0]
    for coordinates in (np.eye(8), T):
        sys = mor.LTI(coordinates @ A @ coordinates.T, coordinates @ B, C @ coordinates.T)
        rom = ALL[name](sys, 6, unstable="split")
        assert rom.order <= 6
        assert rom.diagnostics["unstable_states_kept"] == 2
        low = 1e-3
        assert abs(rom.system.evaluate(1j * low) / sys.evaluate(1j * low) - 1).item() < 1e-2


@pytest.mark.slow
@pytest.mark.parametrize("name", list(ALL))
def test_complex_systems(name):
    sys, stable, rest = unstable_dense(0.0, is_complex=True)
    rom = ALL[name](sys, 7, unstable="split")
    assert rom.order == 7
    full, small = rom.stable_parts
    grid = np.linspace(-5, 5, 41)
    error = (sys - rom.system).frequency_response(grid) - (full - small).frequency_response(grid)
    assert np.max(np.abs(error)) <= 1e-9 * np.max(np.abs(sys.frequency_response(grid)))
    responses_agree(full, stable, 1e-9)
    responses_agree(rom.system, small + rest, 1e-9)


@pytest.mark.slow
def test_the_bound_of_modal_truncation_holds_for_the_stable_part():
    for dt in (0.0, 1.0):
        for sys in (unstable_dense(dt)[0], unstable_modal(dt)):
            for order in range(3, sys.order + 1):
                rom = mor.modal_truncation(sys, order, unstable="split")
                full, small = rom.stable_parts
                grid = frequencies(full)
                noise = 1e-10 * largest_gain(full, grid)
                assert largest_gain(full - small, grid) <= rom.error_bound * (1 + 1e-9) + noise
                assert largest_gain(sys - rom.system, grid) <= rom.error_bound * (1 + 1e-9) + 100 * noise


def test_a_batch_of_modes():
    poles = np.array([[0.9, 1.2, 0.5, 0.3], [0.8j, 0.7j, 1.1j, 1.3]])
    rng = np.random.default_rng(6)
    B, C = rng.standard_normal((2, 4, 1)) + 0j, rng.standard_normal((2, 1, 4)) + 0j
    batch = mor.Modal(poles, B, C, dt=1.0)
    rom = mor.modal_truncation(batch, 5, unstable="split")
    assert rom.diagnostics["unstable_states_kept"] == 3
    assert rom.hsv.shape == (2, 7)
    np.testing.assert_array_equal(np.sum(np.isinf(rom.hsv), axis=1), [1, 3])
    for i in range(2):
        alone = mor.modal_truncation(batch[i], min(5, batch[i].order), unstable="split")
        responses_agree(rom.system[i], alone.system, 1e-12)
    with pytest.raises(ReductionError, match="3 states belong"):
        mor.modal_truncation(batch, 2, unstable="split")


@pytest.mark.parametrize("name", ["tsia", "irka", "h2"])
def test_a_batch_has_no_h2_reduction(name):
    poles = np.array([[0.9, 1.2], [0.8j, 0.7j]])
    batch = mor.Modal(poles, np.ones((2, 2, 1)) + 0j, np.ones((2, 1, 2)) + 0j, dt=1.0)
    with pytest.raises(DimensionError, match="one system at a time"):
        ALL[name](batch, 2, unstable="split")


@pytest.mark.parametrize("name", list(ALL))
def test_options_that_make_no_sense(name):
    sys, _, _ = unstable_dense(0.0)
    with pytest.raises(ReductionError, match="unstable='drop' is not one of error, split"):
        ALL[name](sys, 4, unstable="drop")
    with pytest.raises(UnstableSystemError, match="unstable='split'"):
        ALL[name](sys, 4)
    for order in (0, -1, 99, 3.5):
        with pytest.raises(ReductionError):
            ALL[name](sys, order, unstable="split")
    squares = mor.LQO(sys, np.ones((2, 9, 9)))
    with pytest.raises(QuadraticOutputError, match="products of the states of both"):
        ALL[name](squares, 4, unstable="split")


@pytest.mark.parametrize("name", ["bt", "tsia", "h2"])
def test_a_horizon_needs_no_split(name):
    sys, _, _ = unstable_dense(0.0)
    with pytest.raises(ReductionError, match="not needed with horizon="):
        ALL[name](sys, 4, unstable="split", horizon=1.0)


def test_a_start_is_one_of_the_stable_part():
    sys, stable, _ = unstable_dense(0.0)
    start = mor.balanced_truncation(stable, 4).system
    for name in ("tsia", "h2"):
        rom = ALL[name](sys, 7, unstable="split", start=start)
        assert rom.diagnostics["h2_error"] <= rom.diagnostics["start_error"] * (1 + 1e-9)
        assert rom.diagnostics["start_error"] == pytest.approx(float(mor.h2_error(stable, start)), rel=1e-6)


@pytest.mark.slow
def test_the_command_line(tmp_path):
    from typer.testing import CliRunner

    from mor.cli import app

    sys, _, _ = unstable_dense(0.0)
    mor.save(tmp_path / "plant.npz", sys)
    for method in METHODS:
        out = tmp_path / f"{method}.npz"
        arguments = ["reduce", str(tmp_path / "plant.npz"), str(out), "--order", "6", "--method", method]
        result = CliRunner().invoke(app, [*arguments, "--unstable", "split", "--no-plot"])
        assert result.exit_code == 0, result.output
        poles = mor.load(out).poles
        assert np.sum(poles.real > 0) == 3
    arguments = ["reduce", str(tmp_path / "plant.npz"), str(tmp_path / "r.npz"), "--rel-tol", "0.1", "--json"]
    result = CliRunner().invoke(app, [*arguments, "--unstable", "split"])
    assert result.exit_code == 0, result.output
    expected = mor.balanced_truncation(sys, rel_tol=0.1, unstable="split")
    assert mor.load(tmp_path / "r.npz").order == expected.order
