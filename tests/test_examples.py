"""The example systems are what their docstrings say."""

import itertools

import numpy as np
import pytest
import scipy.linalg

import mor
from mor.errors import QuadraticOutputError
from mor.examples import advection_diffusion, gated_layer, squared_outputs
from tests.oracles.lqo import close, written


def rate(v, u1, u2, diffusion, speed):
    """Of the cells of a rod, from the flux through each of their faces."""
    h = 1 / len(v)
    left = np.append(u1, v)
    steps = np.append(np.diff(left), h * u2 / diffusion)
    spread = diffusion * np.diff(steps) / h**2
    return spread - speed * steps[:-1] / h


@pytest.mark.parametrize(("diffusion", "speed"), [(0.01, 1.0), (0.3, 0.0), (1e-4, 2.0)])
def test_the_rod_is_its_differences(diffusion, speed):
    sys, rng = advection_diffusion(12, diffusion=diffusion, speed=speed), np.random.default_rng(0)
    plain = written(sys)
    for v, u in zip(rng.standard_normal((5, 12)), rng.standard_normal((5, 2)), strict=True):
        close(plain.A @ v + plain.B @ u, rate(v, *u, diffusion, speed), 1e-12)
        cost = np.sum((v - 1) ** 2) / 12 / 2
        close(plain.output(v, u) + 0.5, [cost], 1e-12)
    assert (sys.n_inputs, sys.n_outputs, sys.order, sys.dt) == (2, 1, 12, 0.0)
    assert sys.is_stable


def profile(x, u1, u2, diffusion, speed):
    """The steady state ``a v'' = b v', v(0) = u1, a v'(1) = u2``."""
    a, b = diffusion, speed
    return u1 + u2 / b * (np.exp(b / a * (x - 1)) - np.exp(-b / a))


def test_the_steady_state_comes_close_to_the_exact_one():
    u, (a, b) = np.array([0.7, 0.4]), (0.2, 1.0)
    errors = []
    for n in (50, 100, 200):
        plain = written(advection_diffusion(n, diffusion=a, speed=b))
        v = -np.linalg.solve(plain.A, plain.B @ u)
        errors.append(np.max(np.abs(v - profile(np.arange(1, n + 1) / n, *u, a, b))))
    # Upwind differences are of first order.
    assert errors[0] < 0.05
    for coarse, fine in itertools.pairwise(errors):
        assert 1.7 < coarse / fine < 2.3


def test_the_cost_is_never_negative_and_nothing_where_the_rod_is_one():
    n, step = 20, 0.05
    sys, rng = advection_diffusion(n), np.random.default_rng(1)
    u = rng.standard_normal((40, 2)) * 3
    found = mor.simulate(sys, u, step=step)[:, 0]
    plain = written(sys)
    A, B = plain.A, plain.B
    E = scipy.linalg.expm(A * step)
    G = np.linalg.solve(A, (E - np.eye(n)) @ B)
    x, cost = np.zeros(n), []
    for uk in u:
        cost.append(np.sum((x - 1) ** 2) / n / 2)
        x = E @ x + G @ uk
    assert np.min(found) >= -0.5
    close(found + 0.5, cost)
    assert cost[0] == 0.5
    rest = mor.simulate(sys, np.tile([1.0, 0.0], (400, 1)), step=step)[-1, 0]
    assert rest == pytest.approx(-0.5, abs=1e-9)


@pytest.mark.parametrize("dt", [0.0, 0.5])
def test_squared_outputs(dt):
    rng = np.random.default_rng(2)
    A = np.diag([0.9, 0.3, -0.4]) - (0.0 if dt else 1.0) * np.eye(3)
    linear = mor.LTI(A, rng.standard_normal((3, 2)), rng.standard_normal((2, 3)), np.ones((2, 2)), dt=dt)
    u, power = rng.standard_normal((30, 2)), squared_outputs(linear)
    options = {} if dt else {"step": 0.1}
    close(mor.simulate(power, u, **options), mor.simulate(linear, u, **options) ** 2)
    assert power.exact
    modal = squared_outputs(mor.Modal.from_lti(linear))
    assert isinstance(modal.system, mor.Modal)
    close(mor.simulate(modal, u, **options), mor.simulate(power, u, **options))
    with pytest.raises(QuadraticOutputError):
        squared_outputs(power)


def test_a_gated_layer():
    sys = gated_layer(8, 4)
    assert (sys.order, sys.n_inputs, sys.n_outputs, sys.dt, sys.exact) == (16, 4, 4, 1.0, True)
    radius = np.abs(sys.poles)
    assert np.min(radius) >= 0.9
    assert np.max(radius) <= 0.999
    assert not np.any(sys.D)
    assert not np.any(sys.linear.output_factor_matrix)
    close(gated_layer(8, 4).poles, sys.poles, 0.0)
    assert np.all(gated_layer(8, 4, seed=1).poles != sys.poles)
    assert gated_layer(3, 2, gates=5).n_outputs == 5
    # (W1 z) * (W2 z) of the layer's own outputs.
    layer = sys.linear.with_outputs(*sys.readout)
    u = np.random.default_rng(0).standard_normal((20, 4))
    z = np.asarray(mor.simulate(layer, u))
    W1, W2 = sys.M.left[:, 0], sys.M.right[:, 0]
    close(mor.simulate(sys, u), (z @ W1.T) * (z @ W2.T))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: advection_diffusion(1), "n=1 is not a whole number of at least 2"),
        (lambda: advection_diffusion(2.5), "n=2.5 is not a whole number"),
        (lambda: advection_diffusion("30"), "n='30' is not a whole number"),
        (lambda: advection_diffusion(5, diffusion=0.0), "diffusion=0.0 is not a positive"),
        (lambda: advection_diffusion(5, diffusion=np.nan), "diffusion=nan is not a positive"),
        (lambda: advection_diffusion(5, speed=-1.0), "speed=-1.0 is not a finite number >= 0"),
        (lambda: gated_layer(0, 1), "modes=0"),
        (lambda: gated_layer(1, 1.5), "channels=1.5"),
        (lambda: gated_layer(1, 1, gates=0), "gates=0"),
        (lambda: squared_outputs(([[-1.0]], [[1.0]], [[1j]])), "complex"),
    ],
)
def test_bad_input(make, says):
    with pytest.raises(mor.MorError, match=says):
        make()


def test_the_smallest_rod():
    sys = advection_diffusion(2)
    assert sys.is_stable
    assert mor.balanced_truncation(sys, 1).order == 1
