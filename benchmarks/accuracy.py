"""How right small Hankel singular values and solutions of hard Lyapunov equations are.

Prescribed Hankel singular values from 1 to 1e-11, random signs and coordinates: the worst relative
error of all values of a draw. Each contestant gets the same rounded matrices, whose own values differ
from the prescribed ones, the least where B grows as the root of the values.
"""

import itertools

import common
import numpy as np
import scipy.linalg
import slycot

import mor
from mor.testing import generalised_lyapunov_example, lyapunov_example, system_with_hsv

ORDERS, DRAWS, SMALLEST = (12, 20, 30), 50, 1e-11

#: Rows of B grow as this power of the values.
POWERS = {0.5: "as their root", 0.0: "not with them", 1.0: "in proportion"}


def draw(n: int, seed: int, power: float) -> tuple[np.ndarray, mor.LTI]:
    rng = np.random.default_rng(seed)
    hsv = np.geomspace(1, SMALLEST, n)
    sys = system_with_hsv(hsv, rng.uniform(0.5, 2, n) * hsv**power, rng.choice([-1.0, 1.0], n))
    K = scipy.linalg.qr(rng.standard_normal((n, n)))[0]
    return hsv, mor.LTI(K.T @ sys.A @ K, K.T @ sys.B, sys.C @ K)


def by_slycot(sys: mor.LTI) -> np.ndarray:
    return slycot.ab09ad("C", "B", "N", sys.order, 1, 1, sys.A.copy(), sys.B.copy(), sys.C.copy(), nr=1)[4]


def gramians(sys: mor.LTI) -> tuple[np.ndarray, np.ndarray]:
    solve = scipy.linalg.solve_continuous_lyapunov
    return solve(sys.A, -sys.B @ sys.B.T), solve(sys.A.T, -sys.C.T @ sys.C)


def by_factors_of_gramians(sys: mor.LTI) -> np.ndarray:
    """``X = U S U^T`` by an SVD, ``Z = U S^{1/2}``: what pyMOR does for dense systems."""
    Zc, Zo = (U * np.sqrt(s) for U, s, _ in map(np.linalg.svd, gramians(sys)))
    return np.linalg.svd(Zo.T @ Zc, compute_uv=False)


def by_product(sys: mor.LTI) -> np.ndarray:
    P, Q = gramians(sys)
    return np.sqrt(np.abs(np.linalg.eigvals(P @ Q)))


CONTESTANTS = {
    "mor.hankel_singular_values": mor.hankel_singular_values,
    "slycot.ab09ad": by_slycot,
    "SVD factors of formed P and Q": by_factors_of_gramians,
    "eigenvalues of P Q": by_product,
}


def worst_errors(power: float) -> dict[str, list[float]]:
    """By contestant, for each order and draw."""
    errors: dict[str, list[float]] = {name: [] for name in CONTESTANTS}
    for n, seed in itertools.product(ORDERS, range(DRAWS)):
        hsv, sys = draw(n, seed, power)
        for name, values in CONTESTANTS.items():
            found = np.sort(values(sys))[::-1]
            errors[name].append(float(np.max(np.abs(found - hsv) / hsv)))
    return errors


def medians(values: list[float]) -> np.ndarray:
    """By order."""
    return np.median(np.reshape(values, (len(ORDERS), DRAWS)), axis=1)


def distance(X: np.ndarray, exact: np.ndarray) -> float:
    """Relative, and not below what the rounding of the data alone may cause."""
    return max(float(np.linalg.norm(X - exact) / np.linalg.norm(exact)), 1e-15)


def equation_ratios() -> list[float]:
    """Our forward error over Slycot's, for the known solutions of CTLEX and DTLEX 4.1 and 4.3."""
    ratios = []
    for dt, (n, r, s) in itertools.product(
        (0.0, 1.0), ((5, 1.5, 1.5), (10, 3, 3), (20, 1.5, 2), (20, 2, 1.5))
    ):
        A, B, X = lyapunov_example(n, r, s, dt=dt, weights=np.arange(1.0, n + 1))
        theirs = slycot.sb03md57(A.T.copy(), C=-B @ B.T, dico="D" if dt else "C")[2]
        ratios.append(distance(mor.solve_lyapunov(A, B @ B.T, dt=dt), X) / distance(theirs, X))
    for dt, t in itertools.product((0.0, 1.0), (0, 5, 10)):
        n = 10
        A, E, Q, X = generalised_lyapunov_example(n, t, dt=dt)
        room = [np.zeros((n, n)) for _ in range(2)]
        arguments = "D" if dt else "C", "X", "N", "T", "L", n, A.copy(), E.copy(), *room, -Q
        theirs = slycot.sg03ad(*arguments, ldwork=2 * n * n)
        ours = mor.solve_lyapunov(A, Q, E, dt=dt)
        ratios.append(distance(ours, X) / distance(theirs[4] / theirs[5], X))
    return ratios


errors = {power: worst_errors(power) for power in POWERS}
facts = {}
for power, words in POWERS.items():
    ours, peer, *_, product = (medians(values) for values in errors[power].values())
    facts[f"B grows {words}: medians by order over Slycot's, at most"] = float(np.max(ours / peer))
    facts[f"B grows {words}: medians of the eigenvalues of P Q over ours, at least"] = float(
        np.min(product / ours)
    )
ratios = equation_ratios()
facts["CTLEX and DTLEX, 14 equations: median of our forward error over Slycot's"] = float(np.median(ratios))
facts["the same, the largest"] = max(ratios)
goals = {"slycot.ab09ad": "at least 0.5", "eigenvalues of P Q": "at least 100"}
title = f"Worst relative error, Hankel singular values 1 to {SMALLEST:.0e}, {len(ORDERS) * DRAWS} systems"
common.report(title, errors[0.5], facts, goals, unit="")
