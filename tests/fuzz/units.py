"""Public functions on systems whose states are in units far apart, against the same systems in good units.

``python tests/fuzz/units.py --draws 40`` prints the worst relative difference of every function and ends
with 1 if one is above its limit.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Callable

import numpy as np

import mor
from mor.analysis.gramians import KINDS
from mor.errors import AccuracyWarning

#: Limit of the difference, relative to the largest number of a result.
LIMIT = 1e-9

#: Of iterations, which end where their steps have become small, not where the error has; of zeros, which may
#: coincide.
LIMITS = {"tsia": 1e-6, "irka": 1e-6, "zeros": 1e-7}

#: Public names that take no system, or whose results are in the units of the states.
EXCUSED = {
    "LQO": "a constructor",
    "LTI": "a constructor",
    "BlockDiagonal": "a constructor",
    "Modal": "a constructor",
    "SparseLTI": "a constructor",
    "Labels": "names",
    "MorError": "an error",
    "Peak": "a result",
    "Reduction": "a result",
    "append": "gives the matrices as they are",
    "feedback": "gives the matrices as they are",
    "series": "gives the matrices as they are",
    "as_system": "gives the matrices as they are",
    "gramians": "entries in the units of the states; compared after rescaling",
    "load": "reads matrices as they are",
    "save": "writes matrices as they are",
    "lyapunov_factor": "takes matrices; residuals are promised in their norms",
    "solve_lyapunov": "takes matrices; residuals are promised in their norms",
    "solve_sylvester": "takes matrices; residuals are promised in their norms",
    "read_checkpoint": "reads networks",
    "to_control": "gives the matrices as they are",
    "to_scipy": "gives the matrices as they are",
}
EXCUSED |= {kind.__name__: "says which Gramians" for kind in KINDS.values()}

OMEGA = np.array([0.05, 0.2, 0.5, 1.0])
TIMES = np.linspace(0.0, 5.0, 11)


def response(sys) -> np.ndarray:
    return mor.freqresp(sys, OMEGA)


def reduced(rom) -> np.ndarray:
    return np.append(response(rom.system).ravel(), rom.order)


def times_of(sys) -> np.ndarray:
    return np.arange(11) * sys.dt if sys.dt else TIMES


def split(sys) -> np.ndarray:
    stable, rest = mor.split_stable(sys)
    return np.append(response(stable).ravel(), rest.order)


def horizon_of(sys) -> float:
    return 20 if sys.dt else 8.0


def simulated(sys) -> np.ndarray:
    return mor.simulate(sys, np.ones((11, sys.n_inputs)), times_of(sys))


def quadratic(sys) -> mor.LQO:
    """With the square of the outputs' sum beside each output."""
    row = np.sum(sys.C, axis=0)
    return mor.LQO(sys, np.array([np.outer(row, row)] * sys.n_outputs))


def zero_polynomial(sys) -> np.ndarray:
    """Its values at some points: zeros that coincide are right to a root of round-off only."""
    zeros = mor.zeros(sys)
    return np.prod((np.array([0.3j, 1.0, 2.0 + 1j])[:, None] - zeros) / (1 + np.abs(zeros)), axis=1)


def converged(rom) -> float | None:
    """The error; nothing to be compared of an iteration that went on for ever."""
    return rom.diagnostics["h2_error"] if rom.diagnostics["stopped"] == "converged" else None


def half(sys) -> mor.LTI:
    return mor.LTI(sys.A, sys.B, sys.C / 2, sys.D, dt=sys.dt)


#: What is compared, of each public function that takes a system.
CHECKS: dict[str, list[Callable]] = {
    "balanced_truncation": [
        lambda s: reduced(mor.balanced_truncation(s, 4)),
        lambda s: reduced(mor.balanced_truncation(s, 4, match="dc")),
        lambda s: reduced(mor.balanced_truncation(s, 4, band=(0.05, 0.4))),
        lambda s: reduced(mor.balanced_truncation(s, 4, horizon=horizon_of(s))),
    ],
    "balance": [lambda s: mor.balance(s).hsv],
    "dcgain": [mor.dcgain],
    "freqresp": [response],
    "h2_error": [
        lambda s: mor.h2_error(s, half(s)),
        lambda s: mor.h2_error(s, half(s), band=(0.05, 0.4)),
        lambda s: mor.h2_error(s, half(s), horizon=horizon_of(s)),
    ],
    "h2_inner": [
        lambda s: mor.h2_inner(s, half(s)),
        lambda s: mor.h2_inner(s, half(s), horizon=horizon_of(s)),
    ],
    "h2_norm": [
        lambda s: mor.h2_norm(s),
        lambda s: mor.h2_norm(s, band=(0.05, 0.4)),
        lambda s: mor.h2_norm(s, horizon=horizon_of(s)),
        lambda s: mor.h2_norm(quadratic(s)),
        lambda s: mor.h2_norm(quadratic(s), horizon=horizon_of(s)),
    ],
    "h2_optimal": [lambda s: mor.h2_optimal(s, 2).diagnostics["h2_error"]],
    "hankel_norm": [lambda s: mor.hankel_norm(s)],
    "hankel_nuclear_norm": [lambda s: mor.hankel_nuclear_norm(s)],
    "hankel_singular_values": [
        lambda s: mor.hankel_singular_values(s),
        lambda s: mor.hankel_singular_values(s, band=(0.05, 0.4)),
        lambda s: mor.hankel_singular_values(s, horizon=horizon_of(s)),
        lambda s: mor.hankel_singular_values(quadratic(s)),
        lambda s: mor.hankel_singular_values(quadratic(s), horizon=horizon_of(s)),
    ],
    "hinf_norm": [lambda s: mor.hinf_norm(s)],
    "impulse": [lambda s: mor.impulse(s, times_of(s))],
    "impulse_kernels": [lambda s: mor.impulse_kernels(quadratic(s), times_of(s))[1]],
    "irka": [lambda s: converged(mor.irka(s, 2))],
    "minimal_realization": [lambda s: reduced(mor.minimal_realization(s))],
    "modal_truncation": [lambda s: reduced(mor.modal_truncation(s, 6))],
    "normal_rank": [mor.normal_rank],
    "output_bound": [
        lambda s: (
            mor.output_bound(s, np.ones((11, s.n_inputs)), times_of(s))
            if not s.dt
            else mor.output_bound(s, np.ones((11, s.n_inputs)))
        )
    ],
    "peak_gain": [lambda s: mor.peak_gain(s).gain],
    "rank_modes": [lambda s: np.sort(mor.rank_modes(s).scores)],
    "simulate": [simulated, lambda s: mor.simulate(quadratic(s), np.ones((11, s.n_inputs)), times_of(s))],
    "split_stable": [split],
    "step": [lambda s: mor.step(s, times_of(s))],
    "transfer_kernels": [lambda s: mor.transfer_kernels(quadratic(s), 0.3j)[0]],
    "tsia": [lambda s: converged(mor.tsia(s, 2))],
    "zeros": [zero_polynomial],
}


def in_units(sys: mor.LTI, units: np.ndarray) -> mor.LTI:
    return mor.LTI(sys.A * units / units[:, None], sys.B / units[:, None], sys.C * units, sys.D, dt=sys.dt)


def drawn(rng: np.random.Generator, decades: float) -> tuple[mor.LTI, mor.LTI]:
    """A system in good units, and in units of up to so many decades to either side."""
    n = int(rng.integers(3, 9))
    if rng.random() < 0.5:
        K = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
        A = np.block([[np.zeros((n, n)), np.eye(n)], [-K, -0.1 * np.eye(n) - 0.3 * K]])
        B, C = np.zeros((2 * n, 1)), np.zeros((1, 2 * n))
        B[n + rng.integers(n)] = C[0, rng.integers(n)] = 1
    else:
        A = rng.standard_normal((2 * n, 2 * n)) * (rng.random((2 * n, 2 * n)) < 0.4)
        A = A + np.diag(rng.standard_normal(2 * n))
        A = A - (np.max(np.linalg.eigvals(A).real) + 0.2) * np.eye(2 * n)
        B, C = rng.standard_normal((2 * n, 2)), rng.standard_normal((2, 2 * n))
    sys = mor.LTI(A, B, C)
    if rng.random() < 0.4:
        sys = sys.discretize(0.5)
    return sys, in_units(sys, 10 ** rng.uniform(-decades, decades, 2 * n))


def difference(check: Callable, one: mor.LTI, other: mor.LTI) -> float:
    """Of the two results, relative; warnings are errors, but for those that say what is known of a limit."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", AccuracyWarning)
        results = check(one), check(other)
    if None in [x for x in results if not isinstance(x, np.ndarray)]:
        return 0.0
    expected, found = (np.asarray(x) for x in results)
    if expected.shape != found.shape:
        return np.inf
    size = np.max(np.abs(expected), initial=0.0)
    return float(np.max(np.abs(found - expected), initial=0.0) / (size or 1.0))


def worst(draws: int, decades: float, seed: int = 0) -> dict[str, float]:
    """The largest difference of each function; infinite where an error came up."""
    result = dict.fromkeys(CHECKS, 0.0)
    for i in range(draws):
        pair = drawn(np.random.default_rng([seed, i]), decades)
        for name, checks in CHECKS.items():
            for check in checks:
                try:
                    result[name] = max(result[name], difference(check, *pair))
                except (mor.MorError, Warning) as error:
                    sys.stdout.write(f"draw {i}, {name}: {type(error).__name__}: {error}\n")
                    result[name] = np.inf
    return result


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--decades", type=float, default=6.0, help="to either side")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    found = worst(options.draws, options.decades, options.seed)
    for name, ratio in sorted(found.items(), key=lambda item: -item[1]):
        sys.stdout.write(f"{name:24} {ratio:10.2e}, the limit is {LIMITS.get(name, LIMIT):g}\n")
    return int(any(ratio > LIMITS.get(name, LIMIT) for name, ratio in found.items()))


if __name__ == "__main__":
    sys.exit(main())
