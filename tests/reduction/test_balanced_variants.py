"""Balanced truncation that matches dc, is limited to a band, or keeps unstable poles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mor
from mor.errors import DimensionError, ReductionError, TimeStepError, UnstableSystemError
from mor.reduction.balance import balance
from mor.testing import block_systems, lti_systems, modal_systems, system_with_hsv
from tests.oracles.dense import frequencies, largest_gain, random_pencil, random_stable

# At full order the error is round-off, and its norm says that it is known to few digits.
pytestmark = pytest.mark.filterwarnings("ignore::mor.errors.AccuracyWarning")

MATCHES = st.sampled_from(["infinity", "dc"])


def dc(sys):
    return 1.0 if sys.dt else 0.0


def with_pencil(sys, rng):
    """The same system with an E that is not the identity."""
    E = random_pencil(rng, sys.order, "well")
    return mor.LTI(E @ sys.A, E @ sys.B, sys.C, sys.D, E, dt=sys.dt)


def dc_condition(sys):
    """``|C| |S^-1| |B|`` and ``cond(S)``: what round-off of the gain at dc is relative to."""
    full = sys.to_lti().explicit
    S = full.A - dc(sys) * np.eye(sys.order)
    inverse = np.linalg.norm(np.linalg.inv(S), 2)
    size = np.linalg.norm(full.C, 2) * inverse * np.linalg.norm(full.B, 2) + np.linalg.norm(full.D, 2)
    return size * inverse * np.linalg.norm(S, 2)


def gap(a, b):
    """Largest difference of two responses over a grid, relative to the first."""
    grid = frequencies(a, 60)
    x, y = a.frequency_response(grid), b.frequency_response(grid)
    return np.max(np.abs(x - y)) / (np.max(np.abs(x)) + 1e-300)


def with_poles(rng, poles, dt=0.0, m=2, p=2):
    """A dense system with these real poles in random orthogonal coordinates, not normal."""
    n = len(poles)
    Q = np.linalg.qr(rng.standard_normal((n, n)))[0]
    A = Q @ (np.diag(poles) + np.triu(rng.standard_normal((n, n)), 1) * 0.3) @ Q.T
    D = rng.standard_normal((p, m))
    return mor.LTI(A, rng.standard_normal((n, m)), rng.standard_normal((p, n)), D, dt=dt)


# -- matching dc


@pytest.mark.slow
@given(st.one_of(lti_systems(), modal_systems(max_modes=5, margin=1e-2), block_systems()))
def test_a_reciprocal_is_the_system_at_the_mirrored_point(sys):
    c, s = dc(sys), 0.7 + 1.9j
    other = sys.reciprocal()
    # Resolvents at a point away from the poles: round-off times the condition of S.
    tolerance = 1e-14 * (dc_condition(sys) + 1)
    expected = sys.to_lti().evaluate(s)
    np.testing.assert_allclose(other.to_lti().evaluate(c + 1 / (s - c)), expected, atol=tolerance)
    assert type(other) is type(sys)
    np.testing.assert_allclose(other.reciprocal().to_lti().evaluate(s), expected, atol=tolerance)


@pytest.mark.slow
@given(st.one_of(lti_systems(), modal_systems(max_modes=5, margin=1e-2), block_systems()), st.data())
def test_the_gain_at_dc_is_kept_and_the_bound_holds(sys, data):
    if isinstance(sys, mor.LTI) and data.draw(st.booleans()):
        sys = with_pencil(sys, np.random.default_rng(data.draw(st.integers(0, 99))))
    rom = mor.balanced_truncation(sys, data.draw(st.integers(0, sys.order)), match="dc")
    assert isinstance(rom.system, mor.LTI if isinstance(sys, mor.LTI) else mor.Modal)
    assert rom.system.is_stable
    full = sys.to_lti()
    difference = np.max(np.abs(full.evaluate(dc(sys)) - rom.system.evaluate(dc(sys))))
    assert difference <= 1e-13 * dc_condition(sys)
    if isinstance(sys, mor.LTI):
        error = mor.hinf_norm(sys - rom.system)
    else:
        error = largest_gain(full - rom.system.to_lti(), frequencies(sys))
    assert error <= rom.error_bound + 1e-9 * (rom.hsv[0] + rom.roundoff) + 1e-13 * dc_condition(sys)


@pytest.mark.slow
@given(lti_systems(max_order=6), MATCHES, st.data())
@settings(max_examples=40)
def test_the_bound_holds_for_the_norm_with_either_match(sys, match, data):
    sys = with_pencil(sys, np.random.default_rng(data.draw(st.integers(0, 99))))
    rom = mor.balanced_truncation(sys, data.draw(st.integers(0, sys.order)), match=match)
    assert mor.hinf_norm(sys - rom.system) <= rom.error_bound * (1 + 1e-9) + 1e-9 * rom.hsv[0]


def test_agreement_with_residualisation_of_a_peers_balanced_realisation():
    slycot = pytest.importorskip("slycot")
    rng = np.random.default_rng(5)
    for _ in range(12):
        dt = float(rng.integers(2))
        n, m, p = (int(x) for x in rng.integers(2, (9, 4, 4)))
        A = random_stable(rng, n, dt)
        B, C, D = (rng.standard_normal(shape) for shape in ((n, m), (p, n), (p, m)))
        kind = "D" if dt else "C"
        _, a, b, c, hsv = slycot.ab09ad(kind, "B", "N", n, m, p, A.copy(), B.copy(), C.copy(), nr=n)
        assert hsv[-1] > 1e-6 * hsv[0]
        r = int(rng.integers(1, n))
        g = np.linalg.inv(dt * np.eye(n - r) - a[r:, r:])
        expected = mor.LTI(
            a[:r, :r] + a[:r, r:] @ g @ a[r:, :r],
            b[:r] + a[:r, r:] @ g @ b[r:],
            c[:, :r] + c[:, r:] @ g @ a[r:, :r],
            D + c[:, r:] @ g @ b[r:],
            dt=dt,
        )
        rom = mor.balanced_truncation(mor.LTI(A, B, C, D, dt=dt), r, match="dc")
        # Both are balanced to round-off over the smallest value kept.
        assert gap(expected, rom.system) <= 1e-9


def test_a_batch_keeps_the_gain_of_every_member():
    rng = np.random.default_rng(3)
    poles = 0.9 * np.exp(1j * rng.uniform(0, 3, (4, 6)))
    B = rng.standard_normal((4, 6, 2)) + 1j * rng.standard_normal((4, 6, 2))
    batch = mor.Modal(poles, B, rng.standard_normal((4, 1, 6)) + 0j, dt=1.0)
    rom = mor.balanced_truncation(batch, 4, match="dc")
    assert rom.system.batch_shape == (4,)
    np.testing.assert_allclose(rom.system.evaluate(1.0), batch.evaluate(1.0), rtol=1e-11)
    one = mor.balanced_truncation(batch[2], 4, match="dc")
    assert gap(one.system, rom.system[2]) <= 1e-10


def test_real_modes_stay_real():
    poles = np.linspace(0.1, 0.95, 8)
    rom = mor.balanced_truncation(mor.Modal(poles, np.ones((8, 1)), np.ones((1, 8)), dt=1.0), 3, match="dc")
    assert rom.system.order == rom.system.n_modes == 3
    assert np.all(rom.system.poles.imag == 0)


def test_symmetric_systems_where_the_bound_is_attained():
    """At dc by truncation; by matching dc, at infinite frequency."""
    sys = system_with_hsv([1.0, 0.3, 0.05, 0.01], [1.0, 0.7, 1.3, 0.9])
    rom = mor.balanced_truncation(sys, 2)
    np.testing.assert_allclose(abs(sys.evaluate(0) - rom.system.evaluate(0)), rom.error_bound, rtol=1e-10)
    rom = mor.balanced_truncation(sys, 2, match="dc")
    np.testing.assert_allclose(abs(rom.system.D), rom.error_bound, rtol=1e-10)
    assert mor.h2_error(sys, rom.system) == np.inf


def test_order_zero_is_the_gain_at_dc():
    sys = mor.testing.two_area_power_system()
    rom = mor.balanced_truncation(sys, 0, match="dc")
    np.testing.assert_allclose(rom.system.D, np.real(sys.evaluate(0)), rtol=1e-12)


def test_a_pole_at_dc_has_no_gain_to_match():
    integrator = mor.LTI(np.diag([0.0, -1.0]), np.ones((2, 1)), np.ones((1, 2)))
    for sys in (
        integrator,
        mor.Modal(np.array([0.0, -1.0]), np.ones((2, 1)), np.ones((1, 2))),
        mor.BlockDiagonal(np.array([[[1.0]], [[0.5]]]), np.ones((2, 1)), np.ones((1, 2)), dt=1.0),
    ):
        with pytest.raises(ReductionError, match="at dc is infinite"):
            mor.balanced_truncation(sys, 1, horizon=5, match="dc")
    rom = mor.balanced_truncation(integrator, 2, unstable="split", match="dc")
    np.testing.assert_allclose(rom.system.evaluate(2j), integrator.evaluate(2j), rtol=1e-12)


def test_dc_is_matched_with_a_horizon_and_a_band_too():
    sys = mor.testing.two_area_power_system()
    for limit in ({"horizon": 2.0}, {"band": (0.0, 3.0)}):
        rom = mor.balanced_truncation(sys, 4, match="dc", **limit)
        np.testing.assert_allclose(rom.system.evaluate(0), sys.evaluate(0), atol=1e-10)
        assert rom.error_bound is None


# -- limited to a band


@pytest.mark.slow
@given(st.one_of(lti_systems(max_order=6), modal_systems(max_modes=3, margin=1e-1)))
@settings(max_examples=25)
def test_the_whole_axis_is_no_limit(sys):
    hsv = mor.hankel_singular_values(sys)
    order = int(np.argmax(hsv[:-1] - hsv[1:])) + 1 if len(hsv) > 1 else 1
    if order < len(hsv) and hsv[order] > 0.9 * hsv[order - 1]:
        return
    # Formed Gramians are right to round-off, their small values to its root.
    if hsv[order - 1] < 1e-3 * hsv[0]:
        return
    end = np.pi / sys.dt if sys.dt else np.inf
    unlimited = mor.balanced_truncation(sys, order)
    limited = mor.balanced_truncation(sys, order, band=(0, end))
    np.testing.assert_allclose(limited.hsv[:order], hsv[:order], rtol=1e-6)
    assert gap(unlimited.system, limited.system) <= 1e-4


def test_inside_the_band_the_error_is_smaller():
    damped = np.array([-0.1 + 1j, -0.2 + 3j, -0.01 + 40j, -0.02 + 60j])
    B = np.ones((4, 1)) + 0j
    sys = mor.Modal(damped, B, B.T)
    for system in (sys, sys.to_lti()):
        plain, limited = (mor.balanced_truncation(system, 4, band=b) for b in (None, (0.0, 5.0)))
        assert "frequency-limited" in limited.method
        assert (limited.error_bound, limited.bound_kind) == (None, "none")
        errors = [float(mor.h2_error(system, rom.system, band=(0, 5))) for rom in (plain, limited)]
        assert errors[1] < 0.1 * errors[0]


def test_stability_that_is_lost_is_said():
    rng = np.random.default_rng(0)
    found = []
    for _ in range(60):
        sys = mor.LTI(random_stable(rng, 6, 0.0), rng.standard_normal((6, 1)), rng.standard_normal((1, 6)))
        rom = mor.balanced_truncation(sys, 2, band=(1.0, 1.5))
        if not rom.system.is_stable:
            found.append(rom.diagnostics["note"])
    assert found
    assert all("not stable: frequency-limited" in note for note in found)


def test_a_batch_in_a_band():
    rng = np.random.default_rng(1)
    poles = 0.9 * np.exp(1j * rng.uniform(0.1, 3, (3, 5)))
    batch = mor.Modal(poles, np.ones((3, 5, 1)) + 0j, np.ones((3, 1, 5)) + 0j, dt=1.0)
    rom = mor.balanced_truncation(batch, 4, band=(0, 1))
    one = mor.balanced_truncation(batch[1], 4, band=(0, 1))
    assert gap(one.system, rom.system[1]) <= 1e-6


# -- unstable poles


@pytest.mark.slow
@given(st.integers(0, 10**6), st.booleans())
@settings(max_examples=40)
def test_the_parts_add_up(seed, discrete):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 9))
    A = rng.standard_normal((n, n)) / (np.sqrt(n) if discrete else 1)
    sys = mor.LTI(A, rng.standard_normal((n, 2)), rng.standard_normal((2, n)), rng.standard_normal((2, 2)))
    sys = mor.LTI(sys.A, sys.B, sys.C, sys.D, dt=float(discrete))
    if rng.random() < 0.5:
        sys = with_pencil(sys, rng)
    poles = sys.poles
    stable, rest = mor.split_stable(sys)
    assert stable.is_stable
    assert rest.order == np.sum(np.abs(poles) >= 1 if discrete else poles.real >= 0)
    assert stable.order + rest.order == n
    np.testing.assert_array_equal(rest.D, 0)
    s = 1.3 + 0.9j
    # Poles that nearly meet across the boundary cost digits, those of the Sylvester equation.
    distance = min([abs(a - b) for a in stable.poles for b in rest.poles], default=1.0)
    np.testing.assert_allclose(
        stable.evaluate(s) + rest.evaluate(s),
        sys.evaluate(s),
        atol=1e-10 * np.max(np.abs(sys.evaluate(s))) / min(1, distance) ** 2,
    )
    rom = mor.balanced_truncation(sys, n, unstable="split")
    if rom.order == n:
        np.testing.assert_allclose(
            rom.system.evaluate(s),
            sys.evaluate(s),
            atol=1e-8 * np.max(np.abs(sys.evaluate(s))) / min(1, distance) ** 2,
        )


@pytest.mark.slow
@given(modal_systems(max_modes=6, margin=1e-2), st.data())
@settings(max_examples=30)
def test_modes_are_split_by_a_mask_and_the_bound_holds(sys, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 999)))
    grown = rng.random(sys.n_modes) < 0.4
    poles = np.where(grown, 1 / np.conj(sys.poles) if sys.dt else -np.conj(sys.poles), sys.poles)
    sys = mor.Modal(poles, sys.B, sys.C, sys.D, dt=sys.dt)
    stable, rest = mor.split_stable(sys)
    assert isinstance(stable, mor.Modal)
    np.testing.assert_array_equal(np.sort_complex(rest.poles), np.sort_complex(poles[grown]))
    order = data.draw(st.integers(rest.order, sys.order))
    match = data.draw(MATCHES)
    rom = mor.balanced_truncation(sys, order, unstable="split", match=match)
    assert isinstance(rom.system, mor.Modal)
    assert rom.order <= order
    assert len(rom.hsv) == rom.full_order == sys.order
    np.testing.assert_array_equal(np.isinf(rom.hsv), np.arange(sys.order) < rest.order)
    np.testing.assert_allclose(rom.hsv[rest.order :], mor.hankel_singular_values(stable)[: stable.order])
    assert np.isfinite(rom.error_bound)
    assert 0 <= rom.energy <= 1
    grid = frequencies(sys)
    error = largest_gain(sys - rom.system, grid)
    scale = rom.hsv[rest.order] if stable.order else 0.0
    assert error <= rom.error_bound + 1e-8 * (scale + largest_gain(sys, grid))


def test_agreement_with_a_peer():
    slycot = pytest.importorskip("slycot")
    rng = np.random.default_rng(8)
    for _ in range(10):
        dt = float(rng.integers(2))
        A = rng.standard_normal((8, 8)) / (2.2 if dt else 1)
        B, C = rng.standard_normal((8, 2)), rng.standard_normal((2, 8))
        sys = mor.LTI(A, B, C, dt=dt)
        kept = mor.split_stable(sys)[1].order
        rom = mor.balanced_truncation(sys, min(8, kept + 2), unstable="split")
        kind, boundary = ("D", 1.0) if dt else ("C", 0.0)
        nr, a, b, c, ns, hsv = slycot.ab09md(
            kind, "B", "N", 8, 2, 2, A.copy(), B.copy(), C.copy(), alpha=boundary, nr=rom.order
        )
        assert (nr, ns) == (rom.order, 8 - kept)
        np.testing.assert_allclose(rom.hsv[kept:], hsv[:ns], rtol=1e-9)
        assert gap(mor.LTI(a, b, c, dt=dt), rom.system) <= 1e-9


def test_integrators_belong_to_what_is_kept():
    rng = np.random.default_rng(4)
    T = rng.standard_normal((6, 6))
    A = np.diag([0.0, 0.0, -1.0, -2.0, -3.0, -40.0])
    A[0, 1] = 1  # a double integrator, of which round-off makes a pole on either side
    sys = mor.LTI(T @ A @ np.linalg.inv(T), rng.standard_normal((6, 1)), rng.standard_normal((1, 6)))
    stable, rest = mor.split_stable(sys)
    np.testing.assert_allclose(np.sort(stable.poles.real), [-40, -3, -2, -1], rtol=1e-6)
    np.testing.assert_allclose(rest.poles, 0, atol=1e-5)
    rom = mor.balanced_truncation(sys, 4, unstable="split")
    assert np.isinf(rom.hsv[:2]).all()
    full, reduced = rom.stable_parts
    assert (full.order, reduced.order) == (4, 2)
    assert mor.hinf_norm(full - reduced) <= rom.error_bound * (1 + 1e-9)
    lossless = mor.Modal(np.array([1j, -0.1 + 2j]), np.ones((2, 1)), np.ones((1, 2)))
    assert mor.split_stable(lossless)[1].poles == [1j]
    # A slow but clearly stable pole beside fast ones is no integrator.
    slow = with_poles(rng, np.array([-1e-6, -1.0, -1e3]))
    assert mor.split_stable(slow)[1].order == 0


def test_a_batch_whose_members_differ():
    poles = np.array([[0.5, 0.9, 1.1], [0.4, 0.3, 0.2], [1.2, 1.3, 0.1]])
    batch = mor.Modal(poles, np.ones((3, 3, 1)), np.arange(1.0, 10).reshape(3, 1, 3), dt=1.0)
    stable, rest = mor.split_stable(batch)
    point = 0.3 + 0.8j
    np.testing.assert_allclose(stable.evaluate(point) + rest.evaluate(point), batch.evaluate(point))
    rom = mor.balanced_truncation(batch, 2, unstable="split")
    np.testing.assert_array_equal(np.isinf(rom.hsv).sum(axis=-1), [1, 0, 2])
    for i in range(3):
        one = mor.balanced_truncation(batch[i], 2, unstable="split")
        assert gap(one.system, rom.system[i]) <= 1e-12
    with pytest.raises(ReductionError, match="2 states belong to poles"):
        mor.balanced_truncation(batch, 1, unstable="split")


def test_tolerances_count_the_stable_part():
    rng = np.random.default_rng(6)
    sys = with_poles(rng, np.array([2.0, 0.5, -1.0, -1.5, -2.0, -8.0]))
    full = mor.balanced_truncation(sys, unstable="split")
    tol = 2 * float(np.sum(full.hsv[4:])) * 1.0001
    rom = mor.balanced_truncation(sys, tol=tol, unstable="split")
    assert rom.order == 4
    assert rom.error_bound <= tol
    assert mor.balanced_truncation(sys, tol=1e9, unstable="split").order == 2
    exact = mor.balanced_truncation(sys, 2, unstable="split")
    assert exact.order == 2
    np.testing.assert_allclose(np.sort(exact.system.poles.real), [0.5, 2.0], rtol=1e-9)
    with pytest.raises(ReductionError, match="order=1 is too small: 2 states"):
        mor.balanced_truncation(sys, 1, unstable="split")


def test_blocks_are_split_as_a_dense_system():
    blocks = np.array([[[0.5, 0.2], [0.0, 1.5]], [[0.3, 0.0], [1.0, 0.2]]])
    sys = mor.BlockDiagonal(blocks, np.ones((4, 1)), np.ones((1, 4)), dt=1.0)
    rom = mor.balanced_truncation(sys, 3, unstable="split")
    assert isinstance(rom.system, mor.LTI)
    assert rom.diagnostics["unstable_states_kept"] == 1
    assert "of the stable part" in str(rom)


def test_stable_systems_are_not_changed_by_splitting():
    sys = mor.testing.two_area_power_system()
    a, b = (mor.balanced_truncation(sys, 3, unstable=u) for u in ("error", "split"))
    np.testing.assert_array_equal(a.system.A, b.system.A)
    assert a.method == b.method


def test_the_error_names_the_way_out():
    with pytest.raises(UnstableSystemError, match="unstable='split'"):
        mor.balanced_truncation(([[1.0]], [[1.0]], [[1.0]]), 1)


# -- degenerate systems and requests


@pytest.mark.parametrize("options", [{}, {"match": "dc"}, {"band": (0.0, 2.0)}, {"unstable": "split"}])
def test_degenerate_systems(options):
    single = mor.LTI([[-1.0]], [[1.0]], [[2.0]])
    rom = mor.balanced_truncation(single, 1, **options)
    assert gap(single, rom.system) <= 1e-12
    silent = mor.LTI(-np.eye(2), np.zeros((2, 1)), np.ones((1, 2)), [[3.0]])
    rom = mor.balanced_truncation(silent, **options)
    assert rom.order == 0
    np.testing.assert_array_equal(rom.system.D, [[3.0]])
    twins = mor.LTI(-np.eye(3), np.ones((3, 1)), np.ones((1, 3)))
    rom = mor.balanced_truncation(twins, 2, **options)
    assert rom.order == 1
    assert "only 1 of 3" in rom.diagnostics["note"]
    assert gap(twins, rom.system) <= 1e-10
    empty = mor.LTI(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), [[2.0]])
    assert mor.balanced_truncation(empty, 0, **options).order == 0
    with pytest.raises(ReductionError, match="between 0 and 1"):
        mor.balanced_truncation(single, 2, **options)


def test_a_tol_below_every_bound_keeps_all_that_stands_above_round_off():
    weak = np.geomspace(1, 1e-20, 8)
    for sys in (
        mor.LTI(-np.diag(np.arange(1.0, 9)), weak[:, None], weak[None, :]),
        mor.Modal(-np.arange(1.0, 9), weak[:, None], weak[None, :]),
    ):
        for tol in (0.0, 1e-300, 1e-35):
            rom = mor.balanced_truncation(sys, tol=tol)
            assert rom.order == mor.balanced_truncation(sys).order > 1
            assert "below round-off" in rom.diagnostics["note"]
            assert rom.error_bound > tol
    relaxing = np.linspace(0.1, 0.9, 20) * np.array([[1.0], [0.9]])
    batch = mor.Modal(relaxing, np.ones((2, 20, 1)), np.ones((2, 1, 20)), dt=1.0)
    rom = mor.balanced_truncation(batch, tol=0.0)
    assert "2 of 2 systems: tol=0 is below round-off" in rom.diagnostics["note"]


def test_requests_that_make_no_sense():
    sys = mor.testing.two_area_power_system()
    for options, message in (
        ({"match": "nonsense"}, "infinity, dc"),
        ({"unstable": "nonsense"}, "error, split"),
        ({"unstable": "split", "horizon": 1.0}, "not needed"),
        ({"tol": 1.0, "horizon": 1.0}, "has none"),
        ({"tol": 1.0, "band": (0, 1)}, "has none"),
    ):
        with pytest.raises(ReductionError, match=message):
            mor.balanced_truncation(sys, **options)
    with pytest.raises(TimeStepError, match="not both"):
        mor.balanced_truncation(sys, 2, horizon=1.0, band=(0, 1))
    with pytest.raises(TimeStepError, match="band="):
        mor.balanced_truncation(sys, 2, band=(2, 1))
    blocks = mor.BlockDiagonal(np.zeros((2, 1, 1, 1)), np.ones((2, 1, 1)), np.ones((2, 1, 1)), dt=1.0)
    with pytest.raises(DimensionError):
        mor.balanced_truncation(blocks, 1, unstable="split")


def test_one_balancing_serves_all_orders():
    sys = mor.testing.two_area_power_system()
    balancing = balance(sys, match="dc")
    for r in (1, 4, 7):
        rom = balancing.truncate(r)
        np.testing.assert_allclose(rom.system.evaluate(0), sys.evaluate(0), atol=1e-10)
        assert rom.method == "balanced singular perturbation approximation"
