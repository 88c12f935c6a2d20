"""``Reduction.roundoff`` took a pole to be known to round-off of itself, where a dense A leaves it known to
round-off of |A|: too small by up to 5e8 for slow poles, and by up to 1e9 for stiff systems, so that ``tol=``
was said to be met where it was missed by a factor of 141. Modal truncation said 0."""

import pickle

import mpmath
import numpy as np
import pytest

import mor
from mor.errors import MorError
from tests.fuzz.roundoff import FAMILIES, examine, reduce

#: Draws of each family; ``python tests/fuzz/roundoff.py`` takes thousands.
DRAWS = 12


@pytest.fixture(autouse=True)
def _sixty_digits():
    with mpmath.workdps(60):
        yield


def stiff() -> mor.LTI:
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    A = Q @ np.diag([-1e-6, -1e-2, -1e2, -1e6]) @ Q.T
    return mor.LTI(A, rng.standard_normal((4, 1)), rng.standard_normal((1, 4)))


def test_tol_of_a_stiff_system() -> None:
    """``|G(0) - G_r(0)|`` is 141 times tol, and the bound 1e-7: the data allow no better."""
    rom = mor.balanced_truncation(stiff(), tol=1e-3)
    outcome = examine(stiff(), rom, digits=True)
    assert outcome.error > 1e-2
    assert outcome.error <= rom.error_bound + rom.roundoff
    assert "tol=0.001 is below round-off" in rom.diagnostics["note"]
    assert "note" not in mor.balanced_truncation(stiff(), tol=1e6).diagnostics


@pytest.mark.parametrize("slow", [1e-2, 1e-4, 1e-6, 1e-8, 1e-10])
def test_slow_poles(slow: float) -> None:
    """Of 47 draws each, 13 to 47 were above bound and estimate."""
    rng, drawn = np.random.default_rng(40), 0
    while drawn < 6:
        T = rng.standard_normal((4, 4))
        if np.linalg.cond(T) > 30:
            continue
        drawn += 1
        A = T @ np.diag([-slow, -1.0, -2.0, -3.0]) @ np.linalg.inv(T)
        system = mor.LTI(A, rng.standard_normal((4, 1)), rng.standard_normal((1, 4)))
        rom = mor.balanced_truncation(system, order=3)
        outcome = examine(system, rom, digits=True)
        assert outcome.excess <= 1
        # Of the gain it is what a pole's error is of the pole, with the square of the condition to spare.
        assert rom.roundoff <= 1e6 * np.finfo(float).eps / slow * outcome.gain


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_the_estimate_holds(family: str) -> None:
    rng = np.random.default_rng(1)
    ratios = []
    for _ in range(DRAWS):
        system = FAMILIES[family](rng)
        try:
            rom = reduce(system, rng)
        except MorError:
            continue
        outcome = examine(system, rom, digits=False)
        assert outcome.excess <= 1, (rom.method, outcome)
        ratios += [] if outcome.pessimism is None else [outcome.pessimism]
    # A triangular A is graded by its coupling, which a norm does not see; few draws make a rough median.
    if family != "stiff, triangular":
        assert np.median(ratios) < 1e5


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_modal_truncation_at_full_order(dt: float) -> None:
    """Nothing is dropped, and 6e-5 of the norm is the error, for poles 1e-12 from the boundary."""
    poles = np.array([0.3, 1.2, 2.5])
    z = (1 - 1e-12) * np.exp(1j * poles) if dt else -1e-12 + 1j * poles
    rng = np.random.default_rng(2)
    A = np.zeros((6, 6))
    for i, pole in enumerate(z):
        A[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = [[pole.real, -pole.imag], [pole.imag, pole.real]]
    Q = np.linalg.qr(rng.standard_normal((6, 6)))[0]
    system = mor.LTI(Q @ A @ Q.T, rng.standard_normal((6, 1)), rng.standard_normal((1, 6)), dt=dt)
    rom = mor.modal_truncation(system)
    outcome = examine(system, rom, digits=True)
    assert rom.error_bound == 0
    assert outcome.error > 1e-8 * outcome.gain
    assert outcome.error <= rom.roundoff <= 0.1 * outcome.gain


def test_modes_that_are_given_are_kept_as_they_are() -> None:
    rng = np.random.default_rng(3)
    system = FAMILIES["light damping, modal"](rng)
    rom = mor.modal_truncation(system)
    assert rom.roundoff <= 1e-14 * mor.peak_gain(system).upper * system.order


def test_a_batch_says_what_its_members_say() -> None:
    """In one go; a member alone is looked at more closely, at more points."""
    rng = np.random.default_rng(4)
    k = 6
    poles = 0.99 * rng.uniform(0.3, 1, (5, k)) * np.exp(1j * rng.uniform(0, np.pi, (5, k)))
    B = rng.standard_normal((5, k, 2)) + 1j * rng.standard_normal((5, k, 2))
    batch = mor.Modal(poles, B, np.swapaxes(B, 1, 2), dt=1.0)
    for options in ({}, {"match": "dc"}, {"horizon": 20}):
        together = mor.balanced_truncation(batch, 5, **options).roundoff
        alone = max(mor.balanced_truncation(batch[i], 5, **options).roundoff for i in range(5))
        assert 0.1 * alone <= together <= 10 * alone


def test_a_reduction_can_be_sent_to_another_process() -> None:
    """With its estimate, which is made when asked for, and without the matrices it is made of."""
    modal = FAMILIES["light damping, modal"](np.random.default_rng(5))
    for rom in (mor.balanced_truncation(stiff(), 2), mor.modal_truncation(modal, 2)):
        sent = pickle.loads(pickle.dumps(rom))
        assert sent.roundoff == rom.roundoff
        np.testing.assert_array_equal(sent.system.poles, rom.system.poles)


def test_all_of_a_family_share_what_does_not_depend_on_the_order() -> None:
    balancing = mor.balance(stiff())
    noise = [balancing.truncate(r).roundoff for r in range(5)]
    assert all(0 < x < np.inf for x in noise)
    assert noise[0] <= min(noise[1:])
