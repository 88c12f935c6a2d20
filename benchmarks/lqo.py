"""Gramians and H2 norm of 256 modes whose 128 outputs are gates, and of the same through dense forms.

The peer is what one writes without the structure: the real form of order 512, each M_i as a matrix,
two Stein equations by SciPy.
"""

import common
import numpy as np
import scipy.linalg

import mor

MODES, INPUTS, GATES, REPEATS = 256, 128, 128, 5

rng = np.random.default_rng(0)
layer = common.random_modal(rng, MODES, INPUTS, GATES)
W1, W2 = rng.standard_normal((2, GATES, GATES)) / GATES**0.5
gate = mor.LQO.from_gate(layer, W1, W2)
dense = layer.to_lti()
C = dense.C


def matrices() -> np.ndarray:
    left, right = W1 @ C, W2 @ C
    products = left[:, :, None] * right[:, None, :]
    return (products + products.mT) / 2


def structured() -> tuple[np.ndarray, np.ndarray, float]:
    P, Q = mor.gramians(gate)
    return P, Q, float(mor.h2_norm(gate))


def by_scipy() -> tuple[np.ndarray, np.ndarray, float]:
    P = scipy.linalg.solve_discrete_lyapunov(dense.A, dense.B @ dense.B.T)
    M = matrices()
    MP = M @ P
    Q = scipy.linalg.solve_discrete_lyapunov(dense.A.T, np.sum(MP @ M, axis=0))
    return P, Q, float(np.sqrt(np.sum(MP * MP.mT)))


contestants = {
    "mor, modal system with gates": structured,
    "scipy, dense system with matrices M_i": by_scipy,
}
times = common.race(contestants, REPEATS)
ours, theirs = structured(), by_scipy()
names = ("P", "Q", "norm")
facts = {
    f"relative disagreement with SciPy, {name}": float(np.linalg.norm(a - b) / np.linalg.norm(b))
    for name, a, b in zip(names, ours, theirs, strict=True)
}
goals = {"scipy, dense system with matrices M_i": "at least 10; agreement to 1e-9"}
common.report("Quadratic outputs, 256 modes, 128 gates: Gramians and H2 norm", times, facts, goals)
