"""Connections of systems are what they are of transfer functions, point by point."""

import numpy as np
import pytest

import mor
from mor.errors import (
    ArgumentError,
    DimensionError,
    NotASystemError,
    QuadraticOutputError,
    SingularEquationError,
    TimeStepError,
)
from tests.oracles.dense import random_matrix, random_pencil, random_stable

TIMES = (0.0, 0.5)
POINTS = np.array([0.3 + 0.2j, 1.7j, -0.4 + 2j, 3.0])
KINDS = ("LTI", "LTI with E", "complex LTI", "Modal", "BlockDiagonal")


def system(rng, kind, n, m, p, dt):
    """A random system with D, of some kind."""
    is_complex = kind == "complex LTI"
    B, C, D = (random_matrix(rng, is_complex, *shape) for shape in ((n, m), (p, n), (p, m)))
    if kind == "Modal":
        poles = np.linalg.eigvals(random_stable(rng, n, dt)) + 0j
        return mor.Modal(poles, B + 1j * random_matrix(rng, False, n, m), C + 0j, D, dt=dt)
    if kind == "BlockDiagonal":
        blocks = np.stack([random_stable(rng, 2, dt) for _ in range(n // 2)])
        return mor.BlockDiagonal(blocks, B, C, D, dt=dt)
    A = random_stable(rng, n, dt, is_complex)
    E = random_pencil(rng, n, "well") if kind == "LTI with E" else None
    return mor.LTI(A if E is None else E @ A, B, C, D, E, dt=dt)


def pairs(signals):
    """Two systems of all pairs of kinds, with those numbers of inputs and outputs."""
    for i, first in enumerate(KINDS):
        for j, second in enumerate(KINDS):
            rng = np.random.default_rng(10 * i + j)
            for dt in TIMES:
                yield tuple(
                    system(rng, kind, n, *size, dt)
                    for kind, n, size in zip((first, second), (4, 6), signals, strict=True)
                )


def test_series_is_the_product():
    for one, two in pairs(((2, 3), (3, 1))):
        whole = mor.series(one, two)
        np.testing.assert_allclose(
            whole.evaluate(POINTS), two.evaluate(POINTS) @ one.evaluate(POINTS), rtol=1e-9
        )
        assert (whole.order, whole.dt) == (one.to_lti().order + two.to_lti().order, one.dt)


def test_series_of_three_is_in_order():
    rng = np.random.default_rng(0)
    systems = [system(rng, "LTI", 3, m, p, 0.0) for m, p in ((1, 2), (2, 4), (4, 3))]
    expected = systems[2].evaluate(POINTS) @ systems[1].evaluate(POINTS) @ systems[0].evaluate(POINTS)
    np.testing.assert_allclose(mor.series(*systems).evaluate(POINTS), expected, rtol=1e-9)


def test_append_is_block_diagonal():
    for one, two in pairs(((2, 3), (3, 1))):
        found = mor.append(one, two).evaluate(POINTS)
        np.testing.assert_allclose(found[:, :3, :2], one.evaluate(POINTS), rtol=1e-9)
        np.testing.assert_allclose(found[:, 3:, 2:], two.evaluate(POINTS), rtol=1e-9)
        assert not np.any(found[:, 3:, :2])
        assert not np.any(found[:, :3, 2:])


@pytest.mark.parametrize("sign", [-1, 1])
def test_feedback_is_the_quotient(sign):
    for one, two in pairs(((2, 3), (3, 2))):
        G, K = one.evaluate(POINTS), two.evaluate(POINTS)
        expected = np.linalg.solve(np.eye(3) - sign * G @ K, G)
        np.testing.assert_allclose(mor.feedback(one, two, sign).evaluate(POINTS), expected, rtol=1e-7)


def test_feedback_of_the_output_itself():
    sys = system(np.random.default_rng(3), "LTI", 4, 2, 2, 0.0)
    G = sys.evaluate(POINTS)
    np.testing.assert_allclose(
        mor.feedback(sys).evaluate(POINTS), np.linalg.solve(np.eye(2) + G, G), rtol=1e-9
    )


def test_a_servo_whose_poles_are_known():
    """k / (s (s + 1)) in unit feedback: s^2 + s + k."""
    motor = mor.series(([[-1.0]], [[1.0]], [[1.0]]), ([[0.0]], [[5.0]], [[1.0]]))
    np.testing.assert_allclose(
        np.sort_complex(mor.feedback(motor).poles), np.sort_complex(np.roots([1, 1, 5]))
    )


def test_agreement_with_python_control():
    control = pytest.importorskip("control")
    rng = np.random.default_rng(1)
    for dt in TIMES:
        one, two = system(rng, "LTI", 4, 2, 3, dt), system(rng, "LTI", 5, 3, 2, dt)
        a, b = mor.to_control(one), mor.to_control(two)
        cases = {
            mor.series(one, two): control.series(a, b),
            mor.append(one, two): control.append(a, b),
            mor.feedback(one, two): control.feedback(a, b),
            mor.feedback(one, two, 1): control.feedback(a, b, 1),
        }
        for found, expected in cases.items():
            for s in POINTS:
                np.testing.assert_allclose(found.evaluate(s), expected(s), rtol=1e-8, atol=1e-10)


def test_names_of_signals():
    one = mor.LTI([[-1.0]], [[1.0]], [[1.0]], labels=mor.Labels(["u"], ["y"], name="one"))
    two = mor.LTI([[-1.0]], [[1.0]], [[1.0]], labels=mor.Labels(["v"], ["z"]))
    bare = mor.LTI([[-1.0]], [[1.0]], [[1.0]])
    assert mor.series(one, two).labels == mor.Labels(["u"], ["z"])
    assert mor.append(one, two).labels == mor.Labels(["u", "v"], ["y", "z"])
    assert mor.append(one, bare).labels is None
    assert mor.append(one, one, two).labels == mor.Labels(["u 1", "u 2", "v"], ["y 1", "y 2", "z"])
    numbered = mor.LTI([[-1.0]], [[1.0]], [[1.0]], labels=mor.Labels(["u 1"], ["x"]))
    assert mor.append(one, one, numbered).labels == mor.Labels(None, ["y 1", "y 2", "x"])
    assert mor.feedback(one, two).labels == mor.Labels(["u"], ["y"])


def test_quadratic_outputs_at_the_end():
    """A filter before a squared output: the response is the square of the filtered one, and more."""
    rng = np.random.default_rng(4)
    first = system(rng, "LTI", 3, 2, 2, 0.5)
    for forms, readout in (
        (np.eye(4), None),
        (np.ones((1, 3, 3)), (rng.standard_normal((3, 4)), np.ones((3, 2)))),
    ):
        last = mor.LQO(system(rng, "LTI", 4, 2, 1, 0.5), forms, readout)
        whole = mor.series(first, last)
        u = rng.standard_normal((12, 2))
        between = mor.simulate(first, u)
        np.testing.assert_allclose(mor.simulate(whole, u), mor.simulate(last, between), rtol=1e-9, atol=1e-12)
        with pytest.raises(QuadraticOutputError, match="last system of a series"):
            mor.series(last, mor.LTI([[0.5]], [[1.0]], [[1.0]], dt=0.5))
        for call in (mor.append, mor.feedback):
            with pytest.raises(QuadraticOutputError):
                call(last)


def test_empty_systems():
    nothing = mor.LTI(np.zeros((0, 0)), np.zeros((0, 2)), np.zeros((3, 0)), np.ones((3, 2)))
    full = mor.LTI(-np.eye(2), np.ones((2, 3)), np.ones((2, 2)))
    np.testing.assert_allclose(mor.series(nothing, full).evaluate(0), full.evaluate(0) @ np.ones((3, 2)))
    silent = mor.LTI([[-1.0]], np.zeros((1, 0)), np.zeros((0, 1)))
    assert mor.append(silent, full).evaluate(0).shape == (2, 3)
    assert mor.feedback(silent).evaluate(0).shape == (0, 0)


def test_a_loop_without_a_solution():
    through = mor.LTI([[-1.0]], [[1.0]], [[1.0]], [[1.0]])
    assert mor.feedback(through).order == 1
    with pytest.raises(SingularEquationError, match="not well-posed"):
        mor.feedback(through, sign=1)
    for step in (1e-13, 1e-3):
        near = mor.LTI([[-1.0]], [[1.0]], [[1.0]], [[1.0 - step]])
        if step < 1e-12:
            with pytest.raises(SingularEquationError):
                mor.feedback(near, sign=1)
        else:
            assert mor.feedback(near, sign=1).order == 1


def test_units_of_signals_make_no_loop_ill_posed():
    rng = np.random.default_rng(6)
    one, two = system(rng, "LTI", 4, 3, 3, 0.0), system(rng, "LTI", 3, 3, 3, 0.0)
    outputs, inputs = 10.0 ** np.array([-9, 0, 8]), 10.0 ** np.array([7, -8, 0])
    far = mor.LTI(one.A, one.B * inputs, outputs[:, None] * one.C, outputs[:, None] * one.D * inputs)
    back = mor.LTI(two.A, two.B / outputs, two.C / inputs[:, None], two.D / np.outer(inputs, outputs))
    expected = outputs[:, None] * mor.feedback(one, two).evaluate(1j) * inputs
    np.testing.assert_allclose(mor.feedback(far, back).evaluate(1j), expected, rtol=1e-8)
    shear = mor.LTI(-np.eye(2), np.eye(2), np.eye(2), [[0.0, 1e14], [0.0, 0.0]])
    assert mor.feedback(shear).order == 2


def test_what_does_not_fit():
    one, two = (mor.LTI([[-1.0]], np.ones((1, m)), [[1.0]]) for m in (1, 2))
    batch = mor.Modal(np.full((3, 1), 0.5), np.ones((3, 1, 1)), np.ones((3, 1, 1)), dt=1.0)
    with pytest.raises(DimensionError, match="2 inputs cannot follow one with 1 outputs"):
        mor.series(one, two)
    with pytest.raises(DimensionError, match="K has 1 outputs; G has 2 inputs"):
        mor.feedback(two, one)
    with pytest.raises(DimensionError, match="batch"):
        mor.append(batch)
    with pytest.raises(TimeStepError):
        mor.series(one, mor.LTI([[0.5]], [[1.0]], [[1.0]], dt=1.0))
    with pytest.raises(NotASystemError):
        mor.feedback(one, 5.0)
    for call in (
        mor.series,
        mor.append,
        lambda: mor.feedback(one, sign=0),
        lambda: mor.feedback(one, sign=True),
    ):
        with pytest.raises(ArgumentError):
            call()
