"""Reduced systems with quadratic outputs, written out: errors, derivatives, balancing, cross Gramians."""

from dataclasses import replace

import numpy as np
import scipy.linalg as sl

import mor
from tests.oracles.dense import random_stable
from tests.oracles.lqo import Written


def squared_error(full, rom, horizon=None):
    """That of two `Written` systems, of the system with the states of both."""
    both = Written(
        sl.block_diag(full.A, rom.A),
        np.vstack([full.B, rom.B]),
        np.hstack([full.C, -rom.C]),
        full.D - rom.D,
        np.array([sl.block_diag(a, -b) for a, b in zip(full.N, rom.N, strict=True)]),
        sl.block_diag(full.Y, rom.Y),
        np.vstack([full.Dy, rom.Dy]),
        full.dt,
    )
    return both.squared_norm(horizon)


def projected(full, F, G, V):
    """F and G with the outputs of the states ``V x``."""
    return replace(full, A=F, B=G, C=full.C @ V, Y=full.Y @ V)


def free(rom):
    """The same system with one matrix an output, of the whole state."""
    N = np.array([rom.Y.T @ M @ rom.Y for M in rom.N])
    return replace(rom, N=N, Y=np.eye(len(rom.A)), Dy=np.zeros_like(rom.B))


def slope(f, x, step=1e-5):
    """The gradient of f at x by central differences, entry by entry."""
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        there = np.zeros_like(x)
        there[i] = step
        out[i] = (f(x + there) - f(x - there)) / (2 * step)
    return out


def slopes(full, rom, horizon=None, step=1e-5):
    """Derivatives of the squared error in A, B, C and the forms of `rom`, one after the other."""

    def error(**changed):
        return squared_error(full, replace(rom, **changed), horizon)

    found = [slope(lambda x, name=name: error(**{name: x}), getattr(rom, name), step) for name in "ABC"]
    return [*found, slope(lambda N: error(N=(N + N.swapaxes(1, 2)) / 2), rom.N, step)]


def cross(A, F, Q, dt, evolutions=()):
    """X with ``A X F' - X + Q = 0`` or ``A X + X F' + Q = 0`` by a Kronecker product."""
    n, r = Q.shape
    continuous = np.kron(A, np.eye(r)) + np.kron(np.eye(n), F)
    operator = np.eye(n * r) - np.kron(A, F) if dt else -continuous
    if evolutions:
        S, s = evolutions
        Q = Q - S @ Q @ s.T
    return np.linalg.solve(operator, Q.ravel()).reshape(n, r)


def evolutions(A, F, dt, horizon):
    """Both over the horizon; nothing if that is infinite."""
    if horizon is None:
        return ()
    return tuple(np.linalg.matrix_power(x, horizon) if dt else sl.expm(x * horizon) for x in (A, F))


def balanced(full, order, horizon=None):
    """Balanced truncation from formed Gramians; values right to the root of round-off."""
    roots = []
    for X in (full.observability(horizon), full.gramian(horizon)):
        w, U = np.linalg.eigh(X)
        roots.append(U * np.sqrt(np.maximum(w, 0)))
    U, s, Vt = np.linalg.svd(roots[0].T @ roots[1])
    W = roots[0] @ U[:, :order] / np.sqrt(s[:order])
    V = roots[1] @ Vt[:order].T / np.sqrt(s[:order])
    return projected(full, W.T @ full.A @ V, W.T @ full.B, V), s


def on_modes(rng, dt, k=2, m=2, p=2):
    """A Modal of k pairs and one real mode."""
    poles = np.append(-rng.uniform(0.1, 1, k) + 1j * rng.uniform(0.5, 3, k), -0.7)
    B, C = (rng.standard_normal(s) + 1j * rng.standard_normal(s) for s in ((k + 1, m), (p, k + 1)))
    B[-1], C[:, -1] = np.real(B[-1]), np.real(C[:, -1])
    return mor.Modal(np.exp(0.5 * poles) if dt else poles, B, C, dt=dt)


def system(kind, dt, rng, n=5, m=2, p=2):
    """A random system; in discrete time dense ones have a feedthrough."""
    A, D = random_stable(rng, n, dt), 0.5 * rng.standard_normal((p, m)) if dt else None
    linear = mor.LTI(A, rng.standard_normal((n, m)), rng.standard_normal((p, n)), D, dt=dt)
    if kind == "dense":
        return mor.LQO(linear, 0.3 * rng.standard_normal((p, n, n)))
    if kind == "products":
        left, right = rng.standard_normal((2, p, 2, n))
        return mor.LQO(linear, (0.3 * left, right))
    if kind == "gate":
        return mor.LQO.from_gate(linear, rng.standard_normal((p, p)), rng.standard_normal((p, p)))
    if kind == "unit":
        return mor.LQO.from_glu(linear, rng.standard_normal((p, p)), rng.standard_normal(p))
    modal = on_modes(rng, dt, m=m, p=p)
    if kind == "modal":
        size = modal.output_factor_matrix.shape[1]
        return mor.LQO(modal, 0.3 * rng.standard_normal((p, size, size)))
    return mor.LQO.from_gate(modal, rng.standard_normal((p, p)), rng.standard_normal((p, p)))


TIMES = [0.0, 1.0]
METHODS = [mor.tsia, mor.irka, mor.h2_optimal]

KINDS = ["dense", "products", "gate", "unit", "modal", "modal gate"]


def horizons(dt):
    return (None, 6 if dt else 1.5)


def gentle(dt, n=8):
    """A symmetric system with well separated minima, on which the iteration converges."""
    rng = np.random.default_rng(3)
    X = rng.standard_normal((n, n))
    A = -X @ X.T / n - 0.2 * np.eye(n)
    A = sl.expm(A / 2) if dt else A
    B, C = rng.standard_normal((n, 2)), rng.standard_normal((2, n)) / np.sqrt(n)
    return mor.LQO(mor.LTI(A, B, C, dt=dt), rng.standard_normal((2, n, n)) / n)
