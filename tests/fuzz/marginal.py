"""Systems with poles on the stability boundary, in coordinates that hide them: every function must refuse
them alike, and ``split_stable`` must find them. Beside them systems that are stable by a little, to be
accepted.

    python tests/fuzz/marginal.py --draws 300

prints how many of each kind were refused, by function, and ends with 1 if one was not (or if a stable one
was). Coordinates of a large condition are counted but not judged: forming A there costs more than round-off
of A.
"""

from __future__ import annotations

import argparse
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import scipy.linalg

import mor
from mor.errors import MorError, UnstableSystemError

#: What needs a stable system, by name.
FUNCTIONS: dict[str, Callable[[mor.LTI], Any]] = {
    "balanced_truncation": lambda s: mor.balanced_truncation(s, s.order - 1),
    "modal_truncation": lambda s: mor.modal_truncation(s, s.order - 1),
    "tsia": lambda s: mor.tsia(s, 1),
    "irka": lambda s: mor.irka(s, 1),
    "h2_optimal": lambda s: mor.h2_optimal(s, 1),
    "h2_norm": mor.h2_norm,
    "hinf_norm": mor.hinf_norm,
    "hankel_norm": mor.hankel_norm,
    "hankel_singular_values": mor.hankel_singular_values,
    "gramians": mor.gramians,
    "lyapunov_factor": lambda s: mor.lyapunov_factor(s.A, s.B, s.E, dt=s.dt),
    "observability": lambda s: mor.lyapunov_factor(s.A, s.C, s.E, dt=s.dt, trans=True),
    "peak_gain": mor.peak_gain,
}

#: The motor of the documentation: an integrator and two lags.
MOTOR = np.array([[0.0, 1, 0], [0, -1, 0.2], [0, 0, -4]])

#: Three integrators in a row, and two lags.
TRIPLE = np.array(
    [[0.0, 1, 0, 0, 0], [0, 0, 1, 0, 0], [0, 0, 0, 1, 0.3], [0, 0, 0, -1, 0.2], [0, 0, 0, 0, -4]]
)

#: An undamped oscillator that drives a lag.
OSCILLATOR = np.array([[0.0, 2, 0], [-2, 0, 0], [1, 0.5, -1]])

#: Poles on the boundary of each.
MARGINAL = {"motor": (MOTOR, 1), "triple integrator": (TRIPLE, 3), "oscillator": (OSCILLATOR, 2)}


def rotation(rng: np.random.Generator, n: int, is_complex: bool = False) -> np.ndarray:
    X = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if is_complex else 0)
    return np.linalg.qr(X)[0]


def moved(A: np.ndarray, T: np.ndarray, dt: float, rng: np.random.Generator) -> mor.LTI:
    """The system in the coordinates T, sampled where there is a dt; B and C reach all states."""
    if dt:
        A = scipy.linalg.expm(A * dt)
    A = T @ A @ np.linalg.inv(T)
    n = len(A)
    return mor.LTI(A, T @ rng.standard_normal((n, 1)), rng.standard_normal((1, n)) @ np.linalg.inv(T), dt=dt)


def with_E(system: mor.LTI, E: np.ndarray) -> mor.LTI:
    return mor.LTI(E @ system.A, E @ system.B, system.C, system.D, E, dt=system.dt)


def marginal(rng: np.random.Generator) -> Iterator[tuple[str, mor.LTI, int]]:
    """One draw of each kind: name, system, number of poles on the boundary."""
    for name, (A, count) in MARGINAL.items():
        n = len(A)
        for dt in (0.0, 0.1):
            label = f"{name}, {'discrete' if dt else 'continuous'}"
            rotated = moved(A, rotation(rng, n), dt, rng)
            yield f"{label}, rotated", rotated, count
            yield f"{label}, complex", moved(A, rotation(rng, n, True), dt, rng), count
            E = rotation(rng, n) * 10.0 ** rng.uniform(-1, 1, n) @ rotation(rng, n)
            yield f"{label}, E", with_E(rotated, E), count
            large = scipy.linalg.block_diag(A, -np.diag(rng.uniform(0.1, 3, 27)))
            yield f"{label}, order {len(large)}", moved(large, rotation(rng, len(large)), dt, rng), count


def hidden(rng: np.random.Generator) -> Iterator[tuple[str, mor.LTI, int]]:
    """The motor in general coordinates, where forming A may cost more than its round-off."""
    yield "motor, F3's coordinates", moved(MOTOR, np.array([[1.0, 2, 0], [0, 1, 3], [1, 0, 1]]), 0.0, rng), 1
    for dt in (0.0, 0.1):
        T = rng.standard_normal((3, 3))
        size = "below 10" if (c := np.linalg.cond(T)) < 10 else "10 to 100" if c < 100 else "above 100"
        yield f"motor, {'discrete' if dt else 'continuous'}, condition {size}", moved(MOTOR, T, dt, rng), 1


def stable(rng: np.random.Generator) -> Iterator[tuple[str, mor.LTI]]:
    """Systems that are stable by more than round-off."""
    n = 12
    K = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    damped = np.block([[np.zeros((n, n)), np.eye(n)], [-K, -1e-6 * K]])
    beam = np.array([[0, 1.0], [-1e6, -1e-5]])
    for dt in (0.0, 0.1):
        yield f"lightly damped chain, dt={dt:g}", moved(damped, rotation(rng, 2 * n), dt, rng)
        slow = np.diag([-1e-8, -1, -2, -3])
        yield f"1e-8 beside 1, dt={dt:g}", moved(slow, rotation(rng, 4), dt, rng)
    yield "resonance of damping 5e-9", mor.LTI(beam, [[0.0], [1]], [[1.0, 0]])
    stiff = -np.diag(10.0 ** np.linspace(-6, 6, 7))
    yield "stiff, normal", moved(stiff, rotation(rng, 7), 0.0, rng)
    yield "stiff, diagonal", mor.LTI(stiff, np.ones((7, 1)), np.ones((1, 7)))


def refusal(function: Callable[[mor.LTI], Any], system: mor.LTI) -> str:
    """What became of a call: refused, done, or another error by its name."""
    try:
        function(system)
    except UnstableSystemError:
        return "refused"
    except (MorError, ArithmeticError, np.linalg.LinAlgError) as error:
        return type(error).__name__
    return "done"


def split_right(system: mor.LTI, count: int) -> bool:
    """Whether ``split_stable`` sets `count` poles apart and both parts together do the same."""
    first, rest = mor.split_stable(system)
    if rest.order != count or not first.is_stable:
        return False
    # The gain beside the poles on the boundary, in units of itself.
    point = np.exp(0.05 + 0.3j) if system.dt else 0.7 + 0.5j
    whole = system.evaluate(point)
    return bool(np.all(np.abs(first.evaluate(point) + rest.evaluate(point) - whole) <= 1e-8 * np.abs(whole)))


def main(draws: int) -> int:
    warnings.simplefilter("ignore")
    warnings.simplefilter("error", RuntimeWarning)
    rng, failures = np.random.default_rng(0), 0
    counts: dict[str, Counter] = {}
    judged = set()
    for _ in range(draws):
        cases = [(True, *case) for case in marginal(rng)] + [(False, *case) for case in hidden(rng)]
        for judge, name, system, count in cases:
            tally = counts.setdefault(name, Counter())
            tally["drawn"] += 1
            tally["split"] += split_right(system, count)
            for label, function in FUNCTIONS.items():
                tally[label] += refusal(function, system) == "refused"
            judged |= {name} if judge else set()
    for name, tally in counts.items():
        wrong = {key: tally[key] for key in ("split", *FUNCTIONS) if tally[key] < tally["drawn"]}
        print(
            f"{name}: {tally['drawn']} drawn, refused by all and split" + (f" but {wrong}" if wrong else "")
        )
        failures += bool(wrong) and name in judged
    for _ in range(draws):
        for name, system in stable(rng):
            if not system.is_stable:
                print(f"{name}: stable, and refused")
                failures += 1
    print("violations:", failures)
    return int(failures > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=300)
    raise SystemExit(main(parser.parse_args().draws))
