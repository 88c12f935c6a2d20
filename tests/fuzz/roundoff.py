"""Whether ``Reduction.roundoff`` holds: the true error against ``error_bound + roundoff``, on systems whose
poles lie far apart or close to the stability boundary.

    python tests/fuzz/roundoff.py --draws 10000

Transfer functions of full and reduced system, as the numbers they are, are evaluated in extended precision
(80 bits), and on a sample of the draws once more with 60 digits; the H-infinity norm of their difference is
the largest of a search over frequencies. Prints, by family, the largest excess over the estimate and how
much larger than the truth the estimate is where nothing but round-off is in the error; ends with 1 on a
violation.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath
import numpy as np

import mor
from mor.errors import MorError

Draw = Callable[[np.random.Generator], mor.systems.base.System]

#: Draws that are evaluated with 60 digits.
SAMPLE = 300


def orthogonal(rng: np.random.Generator, n: int) -> np.ndarray:
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


def coordinates(rng: np.random.Generator, n: int, condition: float = 30.0) -> np.ndarray:
    """Random ones whose condition is below the limit."""
    while True:
        T = rng.standard_normal((n, n))
        if np.linalg.cond(T) < condition:
            return T


def in_coordinates(rng: np.random.Generator, A: np.ndarray, T: np.ndarray, dt: float = 0.0) -> mor.LTI:
    n, m, p = len(A), rng.integers(1, 3), rng.integers(1, 3)
    A = T @ A @ np.linalg.inv(T)
    return mor.LTI(A, rng.standard_normal((n, m)), rng.standard_normal((p, n)), dt=dt)


def stiff(rng: np.random.Generator) -> mor.LTI:
    n = rng.integers(2, 9)
    A = -np.diag(10.0 ** np.append([-6, 6], rng.uniform(-6, 6, n - 2)))
    return in_coordinates(rng, A, orthogonal(rng, n))


def stiff_diagonal(rng: np.random.Generator) -> mor.LTI:
    n = rng.integers(2, 9)
    return in_coordinates(rng, -np.diag(10.0 ** rng.uniform(-6, 6, n)), np.eye(n))


def stiff_triangular(rng: np.random.Generator) -> mor.LTI:
    n = rng.integers(2, 9)
    A = -np.diag(10.0 ** rng.uniform(-6, 6, n)) + np.triu(rng.standard_normal((n, n)), 1)
    return in_coordinates(rng, A, np.eye(n))


def slow(rng: np.random.Generator) -> mor.LTI:
    n = rng.integers(2, 7)
    A = -np.diag(np.append(10.0 ** rng.uniform(-10, -2), np.arange(1.0, n)))
    return in_coordinates(rng, A, coordinates(rng, n))


def slow_discrete(rng: np.random.Generator) -> mor.LTI:
    n = rng.integers(2, 7)
    A = np.diag(np.append(1 - 10.0 ** rng.uniform(-10, -2), rng.uniform(-0.9, 0.9, n - 1)))
    return in_coordinates(rng, A, coordinates(rng, n), 1.0)


def squares(rng: np.random.Generator) -> mor.LTI:
    n = rng.integers(2, 13)
    X = rng.standard_normal((n, n))
    return in_coordinates(rng, -X @ X.T, np.eye(n))


def random_dense(rng: np.random.Generator) -> mor.LTI:
    n, dt = rng.integers(2, 13), float(rng.integers(2))
    A = rng.standard_normal((n, n))
    if dt:
        A *= rng.uniform(0.5, 0.999) / np.max(np.abs(np.linalg.eigvals(A)))
    else:
        A -= (np.max(np.linalg.eigvals(A).real) + 10.0 ** rng.uniform(-3, 0)) * np.eye(n)
    return in_coordinates(rng, A, np.eye(n), dt)


def non_normal(rng: np.random.Generator) -> mor.LTI:
    n = rng.integers(2, 11)
    A = np.diag(-(10.0 ** rng.uniform(-1, 1, n))) + 3 * np.triu(rng.standard_normal((n, n)), 1)
    return in_coordinates(rng, A, np.eye(n))


def pairs(rng: np.random.Generator, dt: float) -> np.ndarray:
    """Conjugate pairs 1e-12 to 1e-2 from the boundary."""
    count = rng.integers(1, 5)
    margin, angle = 10.0 ** rng.uniform(-12, -2, count), rng.uniform(0.1, 3, count)
    return (1 - margin) * np.exp(1j * angle) if dt else -margin + 1j * angle


def light(rng: np.random.Generator) -> mor.LTI:
    dt = float(rng.integers(2))
    poles = pairs(rng, dt)
    blocks = [np.array([[p.real, -p.imag], [p.imag, p.real]]) for p in poles]
    n = 2 * len(poles)
    A = np.zeros((n, n))
    for i, block in enumerate(blocks):
        A[2 * i : 2 * i + 2, 2 * i : 2 * i + 2] = block
    T = (orthogonal(rng, n), coordinates(rng, n), np.eye(n))[rng.integers(3)]
    return in_coordinates(rng, A, T, dt)


def with_E(rng: np.random.Generator) -> mor.LTI:
    system = (slow, light, squares)[rng.integers(3)](rng)
    E = coordinates(rng, system.order) * 10.0 ** rng.uniform(-2, 2, system.order)
    return mor.LTI(E @ system.A, E @ system.B, system.C, E=E, dt=system.dt)


def random_complex(rng: np.random.Generator, *shape: int) -> np.ndarray:
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def light_modal(rng: np.random.Generator) -> mor.Modal:
    dt = float(rng.integers(2))
    poles = pairs(rng, dt)
    m, p = rng.integers(1, 9, 2)
    return mor.Modal(poles, random_complex(rng, len(poles), m), random_complex(rng, p, len(poles)), dt=dt)


def layer(rng: np.random.Generator) -> mor.Modal:
    k, m = rng.integers(2, 9), rng.integers(1, 7)
    poles = rng.uniform(0.5, 0.9999, k) * np.exp(1j * rng.uniform(0, np.pi, k))
    return mor.Modal(poles, random_complex(rng, k, m), random_complex(rng, m, k), dt=1.0)


def stiff_modal(rng: np.random.Generator) -> mor.Modal:
    k = rng.integers(2, 7)
    poles = -(10.0 ** rng.uniform(-6, 6, k)) + 0j
    return mor.Modal(poles, random_complex(rng, k, 1).real + 0j, random_complex(rng, 1, k).real + 0j)


def blocks(rng: np.random.Generator) -> mor.BlockDiagonal:
    dt = float(rng.integers(2))
    poles = pairs(rng, dt)
    A = np.array([[[p.real, -p.imag], [p.imag, p.real]] for p in poles])
    n = 2 * len(poles)
    return mor.BlockDiagonal(A, rng.standard_normal((n, 1)), rng.standard_normal((1, n)), dt=dt)


FAMILIES: dict[str, Draw] = {
    "stiff, rotated": stiff,
    "stiff, diagonal": stiff_diagonal,
    "stiff, triangular": stiff_triangular,
    "slow": slow,
    "slow, discrete": slow_discrete,
    "-XX'": squares,
    "random": random_dense,
    "non-normal": non_normal,
    "light damping": light,
    "with E": with_E,
    "light damping, modal": light_modal,
    "layer": layer,
    "stiff, modal": stiff_modal,
    "light damping, blocks": blocks,
}


#: What extended precision may be wrong by, of the gain.
EXTENDED = 2.0**-60


class Pencil(NamedTuple):
    """``C (s E - A)^{-1} B + D`` of a system, as the numbers that it is."""

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: np.ndarray
    E: np.ndarray

    @classmethod
    def of(cls, system: Any) -> Pencil:
        dense = system.to_lti()
        return cls(dense.A, dense.B, dense.C, dense.D, np.eye(dense.order) if dense.E is None else dense.E)

    def extended(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Values (N, p, m) in extended precision, by elimination with pivoting."""
        n, s = len(self.A), points.astype(np.clongdouble)[:, None, None]
        X = np.concatenate([s * self.E - self.A, np.broadcast_to(self.B, (len(s), *self.B.shape))], axis=2)
        every = np.arange(len(s))
        for k in range(n):
            top = k + np.argmax(np.abs(X[:, k:, k]), axis=1)
            X[every, top], X[:, k] = X[:, k].copy(), X[every, top].copy()
            X[:, k] /= X[:, k, k][:, None]
            rest = np.arange(n) != k
            X[:, rest] -= X[:, rest, k][:, :, None] * X[:, k][:, None, :]
        return self.C.astype(np.clongdouble) @ X[:, :, n:] + self.D

    def exact(self, s: complex) -> Any:
        """The value with the digits that mpmath is set to."""
        D = mpmath.matrix(self.D.tolist())
        if not len(self.A):
            return D
        A, C, E = (mpmath.matrix(x.tolist()) for x in (self.A, self.C, self.E))
        columns = [mpmath.lu_solve(mpmath.mpc(s) * E - A, mpmath.matrix(b.tolist())) for b in self.B.T]
        return C * mpmath.matrix([[x[i] for x in columns] for i in range(len(self.A))]) + D


def frequencies(full: Any, rom: Any) -> np.ndarray:
    """Points of the boundary: a grid, and about each pole of both."""
    poles = np.concatenate([np.atleast_1d(mor.as_system(x).poles).astype(complex) for x in (full, rom)])
    steps = np.array([-3, -1, -0.3, 0, 0.3, 1, 3])
    if full.dt:
        near = np.angle(poles)[:, None] + np.abs(1 - np.abs(poles))[:, None] * steps
        return np.exp(1j * np.unique(np.abs(np.append(near, np.linspace(0, np.pi, 24)))))
    near = poles.imag[:, None] + np.abs(poles.real)[:, None] * steps
    sizes = np.abs(poles)[np.abs(poles) > 0]
    grid = np.geomspace(sizes.min() / 10, sizes.max() * 10, 24) if len(sizes) else [1.0]
    return 1j * np.unique(np.abs(np.concatenate([near.ravel(), [0.0], grid])))


def largest(difference: np.ndarray) -> tuple[int, float]:
    """Where the largest singular value of (N, p, m) is, and it."""
    found = np.linalg.norm(difference.astype(complex), 2, axis=(1, 2))
    return int(np.argmax(found)), float(np.max(found))


def reduce(system: Any, rng: np.random.Generator) -> Any:
    """A reduction by a method and to an order that are drawn."""
    order = int(rng.integers(1, system.order + 1)) if rng.integers(3) else system.order
    method = rng.integers(5)
    if method == 0 and system.is_real:
        return mor.modal_truncation(system, order)
    return mor.balanced_truncation(system, order, match="dc" if method == 1 else "infinity")


class Outcome(NamedTuple):
    """Of one draw: the true error, bound and estimate, and the gain of the full system."""

    error: float
    bound: float
    roundoff: float
    gain: float

    @property
    def excess(self) -> float:
        """Of the error over bound and estimate, in units of the estimate; 1 is the limit."""
        rest = self.error - self.bound - EXTENDED * self.gain
        if rest <= 0:
            return 0.0
        return rest / self.roundoff if self.roundoff else np.inf

    @property
    def pessimism(self) -> float | None:
        """Estimate over truth, where nothing but round-off is in the error."""
        return self.roundoff / self.error if self.error > 2 * self.bound and self.error > 0 else None


def examine(system: Any, rom: Any, digits: bool) -> Outcome:
    full, reduced, points = Pencil.of(system), Pencil.of(rom.system), frequencies(system, rom.system)
    value = full.extended(points)
    at, error = largest(value - reduced.extended(points))
    if digits:
        exact = full.exact(points[at]) - reduced.exact(points[at])
        error = float(mpmath.svd_c(exact, compute_uv=False)[0])
    return Outcome(error, rom.error_bound, rom.roundoff, largest(value)[1])


def main(draws: int, only: str | None = None) -> int:
    warnings.simplefilter("ignore")
    mpmath.mp.dps = 60
    families = {name: draw for name, draw in FAMILIES.items() if only is None or only in name}
    violations, sampled = 0, max(1, draws // SAMPLE)
    print(
        f"{'family':24} draws refused  over   worst excess  roundoff/|G| median   estimate/true median, 95 %"
    )
    for name, draw in families.items():
        rng, found, refused = np.random.default_rng(0), [], 0
        for i in range(-(-draws // len(families))):
            system = draw(rng)
            try:
                rom = reduce(system, rng)
            except MorError:
                refused += 1
                continue
            found.append(examine(system, rom, i % sampled == 0))
        over = sum(x.excess > 1 for x in found)
        violations += over
        ratios = [x.pessimism for x in found if x.pessimism is not None] or [np.nan]
        worst = max((x.excess for x in found), default=0.0)
        median = np.median([x.roundoff / x.gain for x in found])
        print(
            f"{name:24} {len(found):5} {refused:7} {over:5}  {worst:12.3g}  {median:20.1e}   "
            f"{np.median(ratios):20.2g}, {np.quantile(ratios, 0.95):.2g}"
        )
    print("violations:", violations)
    return int(violations > 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=10_000)
    parser.add_argument("--only", help="families whose names contain this")
    options = parser.parse_args()
    raise SystemExit(main(options.draws, options.only))
