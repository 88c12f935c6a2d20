"""Systems over the complex numbers, and their oracle.

That is the real system of twice the size for the real and imaginary parts of all signals,
``[[Re, -Im], [Im, Re]]`` of every matrix: it has the same gains and Hankel singular values, each
twice, over frequencies of either sign.
"""

from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

import mor
from mor.testing import lti_systems
from tests.oracles.dense import random_matrix, random_stable

#: Points off the real axis, whose responses no symmetry ties together.
POINTS = np.array([0.3 + 1.7j, 2.0, -1.1 - 0.2j])

#: Without and with E.
systems = st.booleans().flatmap(lambda E: lti_systems(max_order=6, is_complex=True, descriptor=E))


def doubled(sys):
    """The real system for ``[Re; Im]`` of all signals."""

    def real(M):
        return None if M is None else np.block([[np.real(M), -np.imag(M)], [np.imag(M), np.real(M)]])

    return mor.LTI(*(real(M) for M in (sys.A, sys.B, sys.C, sys.D, sys.E)), dt=sys.dt)


def proper(sys):
    """Without D in continuous time, where the H2 norm would be infinite."""
    return sys if sys.dt else replace(sys, D=None)


def some(seed, n=6, dt=0.0, m=2, p=2):
    rng = np.random.default_rng(seed)
    shapes = ((n, m), (p, n), (p, m))
    return mor.LTI(random_stable(rng, n, dt, True), *(random_matrix(rng, True, *s) for s in shapes), dt=dt)
