"""H-infinity norm of a modal system of real order 256 with 16 inputs and outputs, and of its dense form."""

import common
import numpy as np
import slycot

import mor

sys_ = common.random_modal(np.random.default_rng(0), 128, 16, 16)
dense = sys_.to_lti()
n, m, p = dense.order, dense.n_inputs, dense.n_outputs


def by_slycot() -> float:
    matrices = (x.copy() for x in (dense.A, np.eye(n), dense.B, dense.C, dense.D))
    return slycot.ab13dd("D", "I", "N", "D", n, m, p, *matrices, 1e-8)[0]


contestants = {
    "mor.hinf_norm": lambda: mor.hinf_norm(sys_),
    "mor.hinf_norm of the dense real form": lambda: mor.hinf_norm(dense),
    "slycot.ab13dd on the dense real form": by_slycot,
}
times = common.race(contestants, 5)
ours, peer = mor.peak_gain(sys_), by_slycot()
facts = {
    "relative disagreement with Slycot": abs(ours.gain - peer) / peer,
    "width of the guarantee, relative": ours.upper / ours.gain - 1,
}
goals = {"slycot.ab13dd on the dense real form": "at least 1; agreement to 1e-8"}
common.report("H-infinity norm, order 256, 16 x 16", times, facts, goals)
