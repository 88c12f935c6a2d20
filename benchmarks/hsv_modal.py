"""Hankel singular values of a modal system of real order 1024 with 512 inputs and outputs."""

import common
import numpy as np
import scipy.linalg
import slycot

import mor

sys_ = common.random_modal(np.random.default_rng(0), 512, 512, 512)
dense = sys_.to_lti()
n, m, p = dense.order, dense.n_inputs, dense.n_outputs
square = np.random.default_rng(1).standard_normal((n, n))


def by_slycot() -> np.ndarray:
    return slycot.ab09ad("D", "B", "N", n, m, p, dense.A.copy(), dense.B.copy(), dense.C.copy(), nr=1)[4]


ours, peer = mor.hankel_singular_values(sys_), by_slycot()
contestants = {
    "mor.hankel_singular_values": lambda: mor.hankel_singular_values(sys_),
    "scipy.linalg.svdvals of order 1024": lambda: scipy.linalg.svdvals(square),
    "slycot.ab09ad on the dense real form": by_slycot,
}
times = common.race(contestants, 5)
facts = {
    "largest disagreement with Slycot, of the largest value": float(np.max(np.abs(ours - peer)) / peer[0])
}
goals = {
    "scipy.linalg.svdvals of order 1024": "at least 0.5",
    "slycot.ab09ad on the dense real form": "at least 25; agreement to 1e-10",
}
common.report("Hankel singular values, order 1024, 512 x 512", times, facts, goals)
