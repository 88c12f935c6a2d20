"""Hankel singular values of 512 independent single-input single-output systems of 32 modes."""

import common
import numpy as np
import scipy.linalg
import slycot

import mor

batch = common.random_modal(np.random.default_rng(0), 32, 1, 1, (512,))
dense = [batch[i].to_lti() for i in range(512)]


def root(X: np.ndarray) -> np.ndarray:
    w, U = np.linalg.eigh(X)
    return U * np.sqrt(np.maximum(w, 0))


def by_scipy() -> np.ndarray:
    rows = []
    for s in dense:
        P = scipy.linalg.solve_discrete_lyapunov(s.A, s.B @ s.B.T)
        Q = scipy.linalg.solve_discrete_lyapunov(s.A.T, s.C.T @ s.C)
        rows.append(scipy.linalg.svdvals(root(Q).T @ root(P)))
    return np.array(rows)


def by_slycot() -> np.ndarray:
    return np.array(
        [slycot.ab09ad("D", "B", "N", 64, 1, 1, s.A.copy(), s.B.copy(), s.C.copy(), nr=1)[4] for s in dense]
    )


ours, peer = mor.hankel_singular_values(batch), by_slycot()
times = common.race(
    {
        "mor.hankel_singular_values, one call": lambda: mor.hankel_singular_values(batch),
        "loop of scipy solve_discrete_lyapunov and svdvals": by_scipy,
        "loop of slycot.ab09ad": by_slycot,
    },
    7,
)
facts = {
    "largest disagreement with Slycot, of the largest value": float(np.max(np.abs(ours - peer) / peer[:, :1]))
}
goals = {
    "loop of scipy solve_discrete_lyapunov and svdvals": "at least 5",
    "loop of slycot.ab09ad": "at least 3",
}
common.report("Hankel singular values, 512 systems of 32 modes", times, facts, goals)
