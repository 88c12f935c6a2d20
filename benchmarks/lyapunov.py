"""Dense matrix equations of order 1000: solutions, factors, and what they leave of the equation."""

import common
import numpy as np
import scipy.linalg

import mor

N, INPUTS, REPEATS = 1000, 4, 3

rng = np.random.default_rng(0)
A = rng.standard_normal((N, N)) / N**0.5 - 1.1 * np.eye(N)
B = rng.standard_normal((N, INPUTS))
Q = B @ B.T


def residual(X: np.ndarray) -> float:
    R = A @ X + X @ A.T + Q
    return float(np.linalg.norm(R) / (2 * np.linalg.norm(A, 2) * np.linalg.norm(X)))


contestants = {
    "mor.solve_lyapunov": lambda: mor.solve_lyapunov(A, Q),
    "scipy.linalg.solve_continuous_lyapunov": lambda: scipy.linalg.solve_continuous_lyapunov(A, -Q),
    "mor.lyapunov_factor": lambda: mor.lyapunov_factor(A, B),
    "scipy.linalg.schur, the floor of all": lambda: scipy.linalg.schur(A),
}
times = common.race(contestants, REPEATS)
Z = mor.lyapunov_factor(A, B)
facts = {
    "relative residual, mor.solve_lyapunov": residual(mor.solve_lyapunov(A, Q)),
    "relative residual, mor.lyapunov_factor": residual(Z @ Z.T),
    "relative residual, SciPy": residual(scipy.linalg.solve_continuous_lyapunov(A, -Q)),
}
goals = {"scipy.linalg.solve_continuous_lyapunov": "at least 2; residual no larger"}
common.report("Lyapunov equation, order 1000", times, facts, goals)
