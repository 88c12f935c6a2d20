"""Systems that are not minimal, with the part that is."""

import itertools

import numpy as np

import mor
from tests.oracles.dense import random_pencil


def kalman(rng, sizes, dt=0.0, E=False):
    """A system with parts of these sizes, in random coordinates, and its minimal part.

    Parts: reachable and observable, only reachable, only observable, neither. Poles on both
    sides of the boundary.
    """
    n, m, p = sum(sizes), 2, 2
    ends = np.cumsum([0, *sizes])
    A = rng.standard_normal((n, n))
    ro, r, o, none = (slice(a, b) for a, b in itertools.pairwise(ends))
    # Nothing leads into what is not reachable, nor out of what is not observable.
    for to, sources in ((o, (ro, r)), (none, (ro, r)), (ro, (r, none)), (o, (r, none))):
        for source in sources:
            A[to, source] = 0
    B, C = rng.standard_normal((n, m)), rng.standard_normal((p, n))
    B[o], B[none], C[:, r], C[:, none] = 0, 0, 0, 0
    D = rng.standard_normal((p, m))
    minimal = mor.LTI(A[ro, ro], B[ro], C[:, ro], D, dt=dt)
    T = np.linalg.qr(rng.standard_normal((n, n)))[0]
    A, B, C = T @ A @ T.T, T @ B, C @ T.T
    if not E:
        return mor.LTI(A, B, C, D, dt=dt), minimal
    E = random_pencil(rng, n, "well")
    return mor.LTI(E @ A, E @ B, C, D, E, dt=dt), minimal
