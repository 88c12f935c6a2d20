"""Balanced truncation of dense systems.

The first system is continuous with 4 inputs and outputs, the second discrete with 64.
"""

import common
import numpy as np
import slycot

import mor

ORDER, REPEATS = 20, 3


def dense(n: int, signals: int, dt: float) -> mor.LTI:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((n, n)) / n**0.5
    A = 0.93 * A if dt else A - 1.1 * np.eye(n)
    return mor.LTI(A, rng.standard_normal((n, signals)), rng.standard_normal((signals, n)), dt=dt)


def ours(sys: mor.LTI) -> np.ndarray:
    # A new system each time: it would keep its Schur form.
    fresh = mor.LTI(sys.A, sys.B, sys.C, dt=sys.dt)
    return mor.balanced_truncation(fresh, order=ORDER).hsv


def by_slycot(sys: mor.LTI) -> np.ndarray:
    A, B, C = sys.A.copy(), sys.B.copy(), sys.C.copy()
    kind = "D" if sys.dt else "C"
    return slycot.ab09ad(kind, "B", "N", sys.order, sys.n_inputs, sys.n_outputs, A, B, C, nr=ORDER)[4]


continuous, discrete = dense(1000, 4, 0.0), dense(1024, 64, 1.0)
contestants = {
    "mor, continuous, order 1000, 4 x 4": lambda: ours(continuous),
    "slycot.ab09ad, the same": lambda: by_slycot(continuous),
    "mor, discrete, order 1024, 64 x 64": lambda: ours(discrete),
    "slycot.ab09ad, the same again": lambda: by_slycot(discrete),
}
times = common.race(contestants, REPEATS)
medians = [float(np.median(values)) for values in times.values()]
facts = {
    "Slycot's time over ours, continuous": medians[1] / medians[0],
    "Slycot's time over ours, discrete": medians[3] / medians[2],
    "largest disagreement, continuous, of the largest value": float(
        np.max(np.abs(ours(continuous) - by_slycot(continuous))) / by_slycot(continuous)[0]
    ),
    "largest disagreement, discrete, of the largest value": float(
        np.max(np.abs(ours(discrete) - by_slycot(discrete))) / by_slycot(discrete)[0]
    ),
}
goals = {
    "slycot.ab09ad, the same": "at least 1.3 times the row above",
    "slycot.ab09ad, the same again": "at least 4 times the row above",
}
common.report("Balanced truncation of dense systems", times, facts, goals)
