"""A time-limited reduction of an integrator, exact to 1e-16, said "round-off about 3e+00": the estimate knew
an infinite horizon only, on which an integrator's errors grow without limit."""

import numpy as np
import pytest

import mor


@pytest.mark.parametrize(("dt", "pole"), [(0.0, 0.0), (1.0, 1.0)])
def test_an_integrator(dt: float, pole: float) -> None:
    """Its largest gain over the horizon is about T, and the estimate a multiple of round-off of that."""
    horizon = 30
    rom = mor.balanced_truncation(mor.LTI([[pole]], [[1.0]], [[1.0]], dt=dt), 1, horizon=horizon)
    # In discrete time the pole itself is rounded, which T^2 multiplies.
    assert 0 < rom.roundoff <= 1e-12 * horizon ** (2 if dt else 1)


def test_it_holds_for_unstable_systems() -> None:
    """The error of the impulse responses over the horizon, which no gain is below by more than its root."""
    rng = np.random.default_rng(0)
    for n in (2, 4, 6):
        A = rng.standard_normal((n, n))
        system = mor.LTI(A, rng.standard_normal((n, 1)), rng.standard_normal((1, n)))
        for horizon in (0.5, 2, 10):
            rom = mor.balanced_truncation(system, n, horizon=horizon)
            error = float(mor.h2_error(system, rom, horizon=horizon))
            norm = float(mor.h2_norm(system, horizon=horizon))
            if rom.order == n:
                assert error <= rom.roundoff * max(1, horizon**-0.5)
            assert rom.roundoff < 1e-6 * norm * horizon**0.5 * np.exp(1)


def test_longer_horizons_have_larger_estimates() -> None:
    system = mor.LTI([[0.0, 1], [0, -1]], [[0.0], [1]], [[1.0, 0]])
    noise = [mor.balanced_truncation(system, 2, horizon=T).roundoff for T in (1, 100, 10_000)]
    assert noise[0] < noise[1] < noise[2] < 1e-4
