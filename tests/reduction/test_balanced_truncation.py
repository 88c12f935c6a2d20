"""Balanced truncation: the bound holds on every draw, and what else the theory promises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mor
from mor.errors import DimensionError, ReductionError, UnstableSystemError
from mor.testing import block_systems, lti_systems, modal_systems, system_with_hsv
from tests.oracles.dense import frequencies, largest_gain

# What round-off may add to a bound: that of a realisation, relative to the largest value.
ROUNDOFF = 1e-9


@given(modal_systems(max_modes=7), st.data())
def test_the_bound_holds_on_every_draw(sys, data):
    order = data.draw(st.integers(0, sys.order))
    rom = mor.balanced_truncation(sys, order=order)
    assert rom.order <= order
    assert rom.bound_kind == "hinf"
    assert isinstance(rom.system, mor.Modal)
    assert rom.system.is_stable
    assert rom.system.order == rom.order
    np.testing.assert_allclose(rom.error_bound, 2 * np.sum(rom.truncated), rtol=1e-12)
    error = largest_gain(sys - rom.system, frequencies(sys))
    assert error <= rom.error_bound + ROUNDOFF * rom.hsv[0] / max(
        1e-3, 1 - np.max(np.abs(sys.poles)) * bool(sys.dt)
    )


@given(st.one_of(lti_systems(), block_systems()), st.data())
def test_dense_and_block_systems(sys, data):
    order = data.draw(st.integers(0, sys.order))
    rom = mor.balanced_truncation(sys, order=order)
    kind = mor.LTI if isinstance(sys, mor.LTI) else mor.Modal
    assert isinstance(rom.system, kind)
    assert rom.system.is_stable
    error = largest_gain(sys - rom.system, frequencies(sys))
    assert error <= rom.error_bound + 1e-8 * rom.hsv[0]


@pytest.mark.slow
@given(st.integers(0, 10**6), st.data())
def test_the_bound_is_attained_at_frequency_zero_by_symmetric_systems(seed, data):
    rng = np.random.default_rng(seed)
    hsv = np.sort(10.0 ** -rng.uniform(0, 3, 6))[::-1]
    sys = system_with_hsv(hsv, rng.uniform(0.5, 2, 6))
    rom = mor.balanced_truncation(sys, order=data.draw(st.integers(1, 5)))
    error = abs(sys.evaluate(0.0) - rom.system.evaluate(0.0)).item()
    np.testing.assert_allclose(error, rom.error_bound, rtol=1e-7)


@given(modal_systems(max_modes=6))
def test_reducing_a_reduced_system_changes_nothing(sys):
    once = mor.balanced_truncation(sys, order=max(1, sys.order // 2))
    twice = mor.balanced_truncation(once.system, order=once.order)
    grid = frequencies(sys, 60)
    change = largest_gain(once.system - twice.system, grid)
    assert change <= 1e-8 * (largest_gain(once.system, grid) + 1e-300)


@given(modal_systems())
def test_without_order_or_tol_only_round_off_goes(sys):
    rom = mor.balanced_truncation(sys)
    assert rom.error_bound <= 1e-13 * rom.hsv[0] * len(rom.hsv)
    grid = frequencies(sys, 60)
    assert largest_gain(sys - rom.system, grid) <= 1e-8 * (largest_gain(sys, grid) + rom.hsv[0])


@given(modal_systems(), st.floats(1e-6, 2))
def test_tol_is_the_smallest_order_that_meets_it(sys, share):
    hsv = mor.hankel_singular_values(sys)
    tol = share * float(np.sum(hsv))
    rom = mor.balanced_truncation(sys, tol=tol)
    assert rom.error_bound <= tol
    if rom.order:
        assert 2 * np.sum(rom.hsv[rom.order - 1 :]) > tol


def test_a_tol_below_round_off_keeps_all_and_says_so():
    sys = system_with_hsv([1.0, 0.1, 1e-3], [1.0, 1.0, 1.0])
    assert mor.balanced_truncation(sys, tol=0.0).order == 3
    poles = np.linspace(0.1, 0.9, 30)
    relaxing = mor.Modal(poles, np.ones((30, 1)), np.ones((1, 30)), dt=1.0)
    rom = mor.balanced_truncation(relaxing, tol=1e-30)
    assert 5 < rom.order < 30
    assert "below round-off" in str(rom)


def test_asking_for_more_states_than_there_are():
    twins = mor.Modal(np.array([0.5, 0.5]), np.ones((2, 1)), np.ones((1, 2)), dt=1.0)
    rom = mor.balanced_truncation(twins, order=2)
    assert rom.order == 1
    assert "only 1 of 2" in rom.diagnostics["note"]


@given(modal_systems(max_modes=5, margin=1e-2, degenerate=False), st.integers(2, 12))
def test_time_limited_truncation_at_full_order_is_exact(sys, horizon):
    rom = mor.balanced_truncation(sys, horizon=horizon)
    assert rom.error_bound is None
    assert rom.bound_kind == "none"
    if not rom.system.is_stable:
        assert "not stable" in rom.diagnostics["note"]
    elif rom.order == sys.order:
        grid = frequencies(sys, 40)
        # The states seen within the horizon may be far weaker than those seen in all time.
        spread = rom.hsv[0] / rom.hsv[-1]
        assert largest_gain(sys - rom.system, grid) <= 1e-10 * spread * largest_gain(sys, grid)


def test_time_limited_truncation_is_better_on_its_horizon():
    rng = np.random.default_rng(0)
    poles = 0.995 * np.exp(1j * np.linspace(0.1, 3, 20))
    B = rng.standard_normal((20, 1)) + 1j * rng.standard_normal((20, 1))
    C = rng.standard_normal((1, 20)) + 1j * rng.standard_normal((1, 20))
    sys = mor.Modal(poles, B, C, dt=1.0)
    limited = mor.balanced_truncation(sys, order=16, horizon=20)
    infinite = mor.balanced_truncation(sys, order=16)
    errors = [float(mor.h2_error(sys, rom.system, horizon=20)) for rom in (limited, infinite)]
    assert errors[0] < 0.9 * errors[1]


def test_real_poles_come_back_as_real_modes():
    rng = np.random.default_rng(2)
    poles = np.linspace(0.1, 0.95, 8)
    sys = mor.Modal(poles, np.ones((8, 1)), np.ones((1, 8)), dt=1.0)
    rom = mor.balanced_truncation(sys, order=4)
    # A relaxation system (B = C', real positive poles) stays one.
    assert rom.system.n_modes == rom.system.order == 4
    assert np.all(rom.system.poles.imag == 0)
    mixed = sys + mor.Modal(
        0.9 * np.exp(1j * rng.uniform(0.5, 2, 3)), np.ones((3, 1)) + 0j, np.ones((1, 3)) + 0j, dt=1.0
    )
    rom = mor.balanced_truncation(mixed, order=7)
    assert rom.system.order == 7
    single = rom.system.poles.imag == 0
    assert single.sum() + 2 * (~single).sum() == 7


@pytest.mark.slow
@given(modal_systems(batch=(3,), max_modes=4), st.integers(1, 4))
def test_a_batch_is_reduced_to_one_order(batch, order):
    order = min(order, batch.order)
    rom = mor.balanced_truncation(batch, order=min(order, min(batch[i].order for i in range(3))))
    assert rom.system.batch_shape == (3,)
    for i in range(3):
        one = mor.balanced_truncation(batch[i], order=min(rom.order, batch[i].order))
        grid = frequencies(batch[i], 40)
        difference = largest_gain(one.system - rom.system[i], grid)
        assert difference <= 1e-9 * (largest_gain(batch[i], grid) + 1e-300)
        assert one.error_bound <= rom.error_bound * (1 + 1e-12) + 1e-300


def test_float32_systems_are_reduced_in_double():
    rng = np.random.default_rng(3)
    poles = (0.9 * np.exp(1j * rng.uniform(0, 3, 10))).astype(np.complex64)
    B = (rng.standard_normal((10, 2)) + 0j).astype(np.complex64)
    C = (rng.standard_normal((2, 10)) + 0j).astype(np.complex64)
    rom = mor.balanced_truncation(mor.Modal(poles, B, C, dt=1.0), order=8)
    assert rom.system.poles.dtype == np.complex128
    double = mor.balanced_truncation(mor.Modal(*(x.astype(complex) for x in (poles, B, C)), dt=1.0), order=8)
    np.testing.assert_allclose(rom.hsv, double.hsv, rtol=1e-13)


@pytest.mark.slow
def test_torch_systems_go_in():
    torch = pytest.importorskip("torch")
    poles = torch.tensor([0.9 + 0.1j, 0.2 + 0.5j], requires_grad=True)
    rom = mor.balanced_truncation(mor.Modal(poles, torch.ones((2, 1)), torch.ones((1, 2)), dt=1.0), order=2)
    assert rom.order == 2
    assert isinstance(rom.system.poles, np.ndarray)


UNSTABLE = [
    (1.0, np.array([0.5, 1.0])),
    (1.0, np.array([0.5, 1.2j])),
    (0.0, np.array([-1.0, 0.0])),
    (0.0, np.array([-1.0, 2.0])),
]


@pytest.mark.parametrize(("dt", "poles"), UNSTABLE)
def test_unstable_and_marginal_systems_are_named(dt, poles):
    sys = mor.Modal(poles, np.ones((2, 1)), np.ones((1, 2)), dt=dt)
    for call in (
        mor.gramians,
        mor.hankel_singular_values,
        mor.hankel_nuclear_norm,
        mor.h2_norm,
        mor.balanced_truncation,
    ):
        with pytest.raises(UnstableSystemError, match=r"pole 1 is .*horizon="):
            call(sys)
    mor.hankel_singular_values(sys, horizon=5)


def test_requests_that_make_no_sense():
    sys = mor.Modal(np.array([0.5]), np.ones((1, 1)), np.ones((1, 1)), dt=1.0)
    for request in ({"order": -1}, {"order": 2}, {"tol": -1.0}, {"tol": np.nan}, {"order": 1, "tol": 1.0}):
        with pytest.raises(ReductionError):
            mor.balanced_truncation(sys, **request)
    with pytest.raises(DimensionError):
        mor.balanced_truncation(
            mor.BlockDiagonal(np.zeros((2, 1, 1, 1)), np.ones((2, 1, 1)), np.ones((2, 1, 1)), dt=1.0)
        )


def test_a_reduction_prints_itself():
    rom = mor.balanced_truncation(system_with_hsv([1.0, 0.5, 0.25], [1.0, 1.0, 1.0]), order=2)
    assert "order 3 -> 2" in str(rom)
    assert "5.000e-01 (hinf)" in str(rom)
    assert "85.71 %" in str(rom)


def test_a_tolerance_that_round_off_exceeds_is_said_at_full_order():
    sys = mor.as_system((np.diag([-1.0, -2.0, -9.0]), np.ones((3, 1)), np.ones((1, 3))))
    rom = mor.balanced_truncation(sys, tol=1e-30)
    assert rom.order == 3
    assert "below round-off" in rom.diagnostics["note"]
    assert "note" not in mor.balanced_truncation(sys, tol=1e-12).diagnostics


def test_long_diagnostics_are_printed_in_short():
    sys = mor.as_system((np.diag([-1.0, -2.0, -9.0]), np.ones((3, 1)), np.ones((1, 3))))
    assert all(len(line) < 100 for line in str(mor.irka(sys, 2)).splitlines())
