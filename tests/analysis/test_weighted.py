"""Frequency-weighted Gramians, against a published example and against equations solved elsewhere."""

import numpy as np
import pytest
import scipy.linalg

import mor
from mor.analysis.error import aimed_error
from mor.errors import (
    DimensionError,
    NotASystemError,
    NotFiniteError,
    QuadraticOutputError,
    ReductionError,
    TimeStepError,
    UnstableSystemError,
)
from tests.oracles.dense import random_matrix, random_pencil, random_stable

KINDS = ("LTI", "LTI with E", "complex LTI", "Modal", "real Modal", "BlockDiagonal")


def dense(rng, n, m, p, dt, kind="LTI"):
    """A random stable dense system with D."""
    is_complex = kind == "complex LTI"
    A = random_stable(rng, n, dt, is_complex)
    B, C, D = (random_matrix(rng, is_complex, *shape) for shape in ((n, m), (p, n), (p, m)))
    E = random_pencil(rng, n, "well") if kind == "LTI with E" else None
    return mor.LTI(A if E is None else E @ A, B, C, D, E, dt=dt)


def system(rng, kind, dt, n=6, m=2, p=3):
    if "Modal" in kind:
        poles = np.linalg.eigvals(random_stable(rng, n, dt)) + 0j
        # Real poles with real data: zeros among the 2k coordinates.
        poles[:3] = -0.5 * rng.random(3)
        B, C = rng.standard_normal((n, m)) + 0j, rng.standard_normal((p, n)) + 0j
        B[3:] += 1j * rng.standard_normal((n - 3, m))
        if kind == "real Modal":
            poles, B, C = poles.real[:3], B.real[:3], C.real[:, :3]
        return mor.Modal(poles, B, C, rng.standard_normal((p, m)), dt=dt)
    if kind == "BlockDiagonal":
        blocks = np.stack([random_stable(rng, 2, dt) for _ in range(n // 2)])
        return mor.BlockDiagonal(blocks, rng.standard_normal((n, m)), rng.standard_normal((p, n)), dt=dt)
    return dense(rng, n, m, p, dt, kind)


def textbook(sys, first, last, dt):
    """P and Q of explicit matrices, as blocks of solutions for the two series connections."""
    solve = scipy.linalg.solve_discrete_lyapunov if dt else scipy.linalg.solve_continuous_lyapunov
    A, B, C = sys.explicit.A, sys.explicit.B, sys.C
    n, k, j = len(A), first.order, last.order
    reached = np.block([[A, B @ first.C], [np.zeros((k, n)), first.A]])
    into = np.vstack([B @ first.D, first.B])
    seen = np.block([[A, np.zeros((n, j))], [last.B @ C, last.A]])
    out = np.hstack([last.D @ C, last.C])
    sign = 1 if dt else -1
    P = solve(reached, sign * into @ into.conj().T)
    Q = solve(seen.conj().T, sign * out.conj().T @ out)
    return P[:n, :n], Q[:n, :n]


def roots(P, Q):
    """Hankel singular values, to half the digits."""
    return np.sqrt(np.maximum(np.sort(np.linalg.eigvals(P @ Q).real)[::-1], 0))


def static(D, dt):
    p, m = D.shape
    return mor.LTI(np.zeros((0, 0)), np.zeros((0, m)), np.zeros((p, 0)), D, dt=dt)


def weights(rng, dt, is_complex=False):
    kind = "complex LTI" if is_complex else "LTI"
    return dense(rng, 3, 4, 2, dt, kind), dense(rng, 2, 3, 1, dt, kind)


@pytest.mark.parametrize("dt", [0.0, 0.5])
@pytest.mark.parametrize("kind", KINDS)
def test_gramians_are_those_of_the_textbook(kind, dt):
    rng = np.random.default_rng(1)
    sys = system(rng, kind, dt)
    first, last = weights(rng, dt, kind == "complex LTI")
    gramians = mor.Weighted(input=first, output=last)
    expected = textbook(sys.to_lti(), first, last, dt)
    values = roots(*expected)
    found = mor.hankel_singular_values(sys, gramians=gramians)
    np.testing.assert_allclose(found[: len(values)], values, rtol=1e-5, atol=1e-7 * values[0])
    assert np.all(found[len(values) :] <= 1e-15 * values[0])
    P, Q = mor.gramians(sys, gramians=gramians)
    np.testing.assert_allclose(
        np.sqrt(np.maximum(np.sort(np.linalg.eigvals(P @ Q).real)[::-1], 0)), found, atol=1e-7 * values[0]
    )
    if "Modal" not in kind:
        for one, two in zip((P, Q), expected, strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-7, atol=1e-9 * np.abs(two).max())


@pytest.mark.parametrize("match", ["infinity", "dc"])
@pytest.mark.parametrize("kind", KINDS)
def test_weights_of_one_change_nothing(kind, match):
    for dt in (0.0, 0.5):
        sys = system(np.random.default_rng(2), kind, dt)
        ones = [
            mor.LTI(np.zeros((0, 0)), np.zeros((0, k)), np.zeros((k, 0)), np.eye(k), dt=dt) for k in (2, 3)
        ]
        plain = mor.balanced_truncation(sys, 2, match=match)
        for sides in ({"input": ones[0]}, {"output": ones[1]}, {"input": ones[0], "output": ones[1]}):
            rom = mor.balanced_truncation(sys, 2, match=match, gramians=mor.Weighted(**sides))
            assert type(rom.system) is type(plain.system)
            np.testing.assert_allclose(rom.hsv, plain.hsv, atol=1e-9 * plain.hsv[0])
            s = np.exp(0.7j) if dt else 0.7j
            np.testing.assert_allclose(rom.system.evaluate(s), plain.system.evaluate(s), rtol=1e-6)
            assert (rom.error_bound, rom.bounds, rom.bound_kind) == (None, None, "none")


def test_the_example_of_slicot():
    """AB09ID's: a controller is reduced beside the weight of the loop; one of its poles is unstable."""
    A = [[-26.4, 6.4023, 4.3868], [32.0, 0, 0], [0, 8.0, 0]]
    B, C = [[16.0], [0], [0]], [[9.2994, 1.1624, 0.1090]]
    row = [-9.2994, -1.1624, -0.1090]
    loop = [[-1.0, 0, 4, *row], [0, 2.0, 0, *row], [0, 0, -3.0, *row], [16.0, 16, 16, *A[0]]]
    loop += [[0, 0, 0, *A[1]], [0, 0, 0, *A[2]]]
    weight = mor.LTI(loop, [[1.0], [1], [1], [0], [0], [0]], [[1.0, 1, 1, 0, 0, 0]])
    gramians = mor.Weighted(output=weight)
    rom = mor.balanced_truncation((A, B, C), 2, gramians=gramians, unstable="split")
    np.testing.assert_allclose(rom.hsv, [np.inf, 3.8253, 0.2005], atol=6e-5)
    published = mor.LTI(np.diag([9.19, -34.5297]), [[11.9593], [16.9329]], [[2.8955, 6.9152]])
    np.testing.assert_allclose(np.sort(rom.system.poles), np.sort(published.poles), rtol=1e-5)
    for s in (0.0, 3j, 30j):
        np.testing.assert_allclose(rom.system.evaluate(s), published.evaluate(s), rtol=2e-4)
    assert rom.method == "frequency-weighted balanced truncation (output) of the stable part"


@pytest.mark.parametrize("match", ["infinity", "dc"])
@pytest.mark.parametrize("dt", [0.0, 0.5])
def test_one_weight_keeps_stability(dt, match):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        sys = system(rng, "LTI", dt)
        first, last = weights(rng, dt)
        for sides in ({"input": first}, {"output": last}):
            for rom in mor.balanced_truncation(sys, range(6), gramians=mor.Weighted(**sides), match=match):
                assert rom.system.is_stable
                if match == "dc":
                    at_dc = 1.0 if dt else 0.0
                    np.testing.assert_allclose(rom.system.evaluate(at_dc), sys.evaluate(at_dc), rtol=1e-7)


def test_two_weights_may_lose_it_and_say_so():
    """An instance that a random search found."""
    rng = np.random.default_rng(20)
    sys, first, last = (dense(rng, n, 1, 1, 0.0) for n in (3, 2, 2))
    sys, first, last = (mor.LTI(x.A, x.B, x.C) for x in (sys, first, last))
    rom = mor.balanced_truncation(sys, 1, gramians=mor.Weighted(first, last))
    assert rom.system.is_stable == ("note" not in rom.diagnostics)
    assert not rom.system.is_stable
    assert (
        "frequency-weighted balanced truncation (input, output) does not promise" in rom.diagnostics["note"]
    )


def test_the_weighted_error_is_smaller():
    """A chain seen through a high pass: what is fast counts."""
    poles = -np.geomspace(0.1, 1000, 12)
    sys = mor.LTI(np.diag(poles), np.sqrt(-poles)[:, None], np.sqrt(-poles)[None])
    high = mor.LTI([[-100.0]], [[10.0]], [[-10.0]], [[1.0]])
    errors = {}
    for name, gramians in (("plain", mor.Infinite()), ("weighted", mor.Weighted(input=high))):
        rom = mor.balanced_truncation(sys, 3, gramians=gramians)
        errors[name] = mor.hinf_norm(mor.series(high, sys - rom.system))
    assert errors["weighted"] < 0.4 * errors["plain"]


def test_far_units_of_signals():
    rng = np.random.default_rng(3)
    sys = system(rng, "LTI", 0.0)
    first, last = weights(rng, 0.0)
    far = mor.LTI(sys.A, 1e120 * sys.B, 1e-110 * sys.C, sys.D)
    kind = mor.Weighted(input=first, output=last)
    near, other = (mor.hankel_singular_values(x, gramians=kind) for x in (sys, far))
    np.testing.assert_allclose(other, 1e10 * near, rtol=1e-10)


def times_power_of_ten(sys, b, c):
    """The system with B and C in other units, D with them."""
    return mor.LTI(sys.A, 10.0**b * sys.B, 10.0**c * sys.C, 10.0 ** (b + c) * sys.D)


@pytest.mark.parametrize("powers", [(-200, 190), (200, -190), (120, -120), (-300, 200), (160, -30)])
def test_far_units_of_weights(powers):
    """Values and the measured error are so many times those of moderate weights; the result is the same."""
    rng = np.random.default_rng(3)
    sys = system(rng, "LTI", 0.0)
    first, last = weights(rng, 0.0)
    for side, weight, other in (("input", first, {"output": last}), ("output", last, {"input": first})):
        near = mor.Weighted(**{side: weight, **other})
        far = mor.Weighted(**{side: times_power_of_ten(weight, *powers), **other})
        times = 10.0 ** sum(powers)
        one, two = (mor.balanced_truncation(sys, 3, gramians=kind) for kind in (near, far))
        np.testing.assert_allclose(two.hsv, times * one.hsv, rtol=1e-9, atol=1e-13 * times * one.hsv[0])
        assert two.system.order == 3
        np.testing.assert_allclose(two.system.evaluate(0.7j), one.system.evaluate(0.7j), rtol=1e-8)
        values = (mor.hankel_singular_values(sys, gramians=kind) for kind in (far, near))
        np.testing.assert_allclose(next(values), times * next(values), rtol=1e-9, atol=1e-13 * times)
        errors = [aimed_error(kind, sys, one.system) for kind in (far, near)]
        np.testing.assert_allclose(errors[0], times * errors[1], rtol=1e-3)


def test_weights_that_cancel_or_leave_the_range():
    rng = np.random.default_rng(3)
    sys = system(rng, "LTI", 0.0)
    first, last = weights(rng, 0.0)
    near = mor.hankel_singular_values(sys, gramians=mor.Weighted(first, last))
    far = mor.Weighted(times_power_of_ten(first, -100, -150), times_power_of_ten(last, 120, 130))
    np.testing.assert_allclose(mor.hankel_singular_values(sys, gramians=far), near, rtol=1e-9)
    for powers, what in (((-200, -180), "underflows"), ((200, 160), "overflows")):
        kind = mor.Weighted(input=mor.LTI(first.A, 10.0 ** powers[0] * first.B, 10.0 ** powers[1] * first.C))
        with pytest.raises(NotFiniteError, match=what):
            mor.balanced_truncation(sys, 2, gramians=kind).hsv  # noqa: B018
        for function in (mor.hankel_singular_values, mor.gramians):
            with pytest.raises(NotFiniteError, match=what):
                function(sys, gramians=kind)


def test_gains_alone_in_far_units():
    sys = system(np.random.default_rng(3), "LTI", 0.0)
    near = mor.hankel_singular_values(sys)
    kind = mor.Weighted(input=static(1e200 * np.eye(2), 0.0), output=static(1e-210 * np.eye(3), 0.0))
    np.testing.assert_allclose(mor.hankel_singular_values(sys, gramians=kind), 1e-10 * near, rtol=1e-9)
    silent = mor.LTI([[-1.0]], np.zeros((1, 2)), 1e200 * np.ones((2, 1)))
    assert not np.any(mor.hankel_singular_values(sys, gramians=mor.Weighted(input=silent)))


def test_what_an_unstable_system_is_told():
    """What fits the Gramians that were asked for, not what fits others."""
    sys, weight = mor.LTI([[1.0]], [[1.0]], [[1.0]]), mor.LTI([[-1.0]], [[1.0]], [[1.0]])
    for function, way in ((mor.balance, "unstable='split'"), (mor.gramians, "mor.split_stable")):
        for kind in (mor.Weighted(weight), mor.FrequencyLimited((0.0, 1.0))):
            with pytest.raises(UnstableSystemError) as caught:
                function(sys, gramians=kind)
            assert way in str(caught.value)
            assert "horizon" not in str(caught.value)
        with pytest.raises(UnstableSystemError, match="horizon="):
            function(sys)
    with pytest.raises(UnstableSystemError, match="frequency-weighted balanced truncation"):
        mor.balance(sys, gramians=mor.Weighted(weight))


def test_other_frameworks():
    torch = pytest.importorskip("torch")
    sys = system(np.random.default_rng(5), "Modal", 0.5)
    kind = mor.Weighted(*weights(np.random.default_rng(6), 0.5))
    there = mor.Modal(*(torch.tensor(x) for x in (sys.poles, sys.B, sys.C, sys.D)), dt=0.5)
    found = mor.hankel_singular_values(there, gramians=kind)
    assert isinstance(found, torch.Tensor)
    np.testing.assert_allclose(found, mor.hankel_singular_values(sys, gramians=kind), rtol=1e-12)
    for here, P in zip(mor.gramians(sys, gramians=kind), mor.gramians(there, gramians=kind), strict=True):
        assert isinstance(P, torch.Tensor)
        assert P.dtype == found.dtype
        np.testing.assert_allclose(here, P)


def test_what_does_not_fit():
    rng = np.random.default_rng(4)
    sys = system(rng, "LTI", 0.0)
    first, last = weights(rng, 0.0)
    unstable = mor.LTI([[1.0]], np.ones((1, 2)), np.ones((2, 1)))
    turning = dense(rng, 2, 2, 2, 0.0, "complex LTI")
    batch = mor.Modal(-np.ones((2, 3)), np.ones((2, 3, 2)), np.ones((2, 3, 3)))
    several = mor.Modal(-np.ones((2, 3)), np.ones((2, 3, 2)), np.ones((2, 2, 3)))
    squares = mor.LQO(dense(rng, 2, 3, 1, 0.0), np.eye(2))
    quadratic = mor.LQO(dense(rng, 4, 2, 1, 0.0), np.eye(4))
    cases = [
        (sys, {"input": last}, DimensionError, "input weight: it has 1 outputs; the system has 2"),
        (sys, {"output": first}, DimensionError, "output weight: it has 4 inputs; the system has 3"),
        (sys, {"input": dense(rng, 2, 2, 2, 0.5)}, TimeStepError, "input weight: it has dt=0.5"),
        (sys, {"input": unstable}, UnstableSystemError, "input weight: its pole 1"),
        (
            sys,
            {"output": mor.LTI([[0.0]], np.ones((1, 3)), [[1.0]])},
            UnstableSystemError,
            "output weight: its pole 0",
        ),
        (sys, {"input": turning}, ReductionError, "input weight: it is complex"),
        (sys, {"input": several}, DimensionError, "input weight: it is a batch"),
        (sys, {"output": squares}, QuadraticOutputError, "output weight: its outputs are quadratic"),
        (
            sys,
            {"input": mor.LQO(first, np.ones((2, 3, 3)))},
            QuadraticOutputError,
            "input weight: its outputs",
        ),
        (batch, {"input": first}, DimensionError, "batch"),
        (quadratic, {"input": first}, QuadraticOutputError, "frequency-weighted"),
        (quadratic, {"output": quadratic}, QuadraticOutputError, "linear outputs"),
        (mor.LTI([[1.0]], [[1.0, 1.0]], [[1.0]]), {"input": first}, UnstableSystemError, "pole"),
    ]
    for given, sides, error, message in cases:
        for function in (mor.balance, mor.gramians, mor.hankel_singular_values):
            with pytest.raises(error, match=message) as caught:
                function(given, gramians=mor.Weighted(**sides))
            assert "dt=." not in str(caught.value) or given is not sys
    with pytest.raises(NotASystemError, match="the input weight: "):
        mor.Weighted(input=5.0)
    with pytest.raises(ReductionError, match=r"mor\.Infinite\(\)"):
        mor.Weighted()
    with pytest.raises(ReductionError, match="has none"):
        mor.balanced_truncation(sys, tol=0.1, gramians=mor.Weighted(input=first))
