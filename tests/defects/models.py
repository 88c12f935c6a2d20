"""Models of textbooks whose reductions are exact to many digits."""

import mpmath
import numpy as np

import mor


def rod(n=60):
    """Heat in a rod between two cold ends, heated at one node, measured at another."""
    A = (n + 1) ** 2 * (-2 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1))
    B, C = np.zeros((n, 1)), np.zeros((1, n))
    B[n // 3], C[0, 2 * n // 3] = n, 1
    return mor.LTI(A, B, C)


def heated_rod(n=200):
    """The same with a small conductivity and a unit source."""
    slow = rod(n)
    return mor.LTI(0.01 * slow.A, slow.B / n, slow.C)


def convection(columns=12, rows=7):
    """Convection and diffusion on a grid, five points; order 84."""

    def line(n, speed):
        h = 1 / (n + 1)
        spread = (-2 * np.eye(n) + np.eye(n, k=1) + np.eye(n, k=-1)) / h**2
        return spread + speed * (np.eye(n, k=1) - np.eye(n, k=-1)) / (2 * h)

    A = np.kron(np.eye(rows), line(columns, 20.0)) + np.kron(line(rows, 0.0), np.eye(columns))
    n = len(A)
    return mor.LTI(A, (np.arange(n) < n // 2)[:, None].astype(float), np.ones((1, n)))


def masses(n=20):
    """Masses in a row between two walls, with springs and dampers; order 2n."""
    K = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    A = np.block([[np.zeros((n, n)), np.eye(n)], [-K, -0.1 * np.eye(n) - 0.3 * K]])
    B, C = np.zeros((2 * n, 1)), np.zeros((1, 2 * n))
    B[n + 2] = C[0, 5] = 1
    return mor.LTI(A, B, C)


def in_units(sys, units):
    """The same system with its states measured in other units."""
    E = None if sys.E is None else sys.E * units / units[:, None]
    return mor.LTI(sys.A * units / units[:, None], sys.B / units[:, None], sys.C * units, sys.D, E, dt=sys.dt)


def exact_response(sys, s):
    """``C (s - A)^{-1} B + D`` with 50 digits, by the matrices as they are; an mpmath matrix."""
    with mpmath.workdps(50):
        A, B, C, D = (mpmath.matrix(x.tolist()) for x in (sys.A, sys.B, sys.C, sys.D))
        return C * mpmath.lu_solve(s * mpmath.eye(sys.order) - A, B) + D
