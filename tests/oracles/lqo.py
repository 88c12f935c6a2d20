"""Systems with quadratic outputs, written out: what the tests compare the library with."""

from dataclasses import dataclass

import numpy as np
import scipy.linalg

import mor
from tests.oracles.dense import dense_gramian, random_stable, real_form


@dataclass
class Written:
    """``x' = A x + B u, y_i = c_i x + d_i u + z^T N_i z, z = Y x + D_y u``, dense."""

    A: np.ndarray
    B: np.ndarray
    C: np.ndarray
    D: np.ndarray
    N: np.ndarray
    Y: np.ndarray
    Dy: np.ndarray
    dt: float

    def output(self, x, u):
        z = self.Y @ x + self.Dy @ u
        return self.C @ x + self.D @ u + np.array([z @ N @ z for N in self.N])

    def steps(self, u, x0=None):
        """Outputs of the recursion, one after the other."""
        x, out = np.zeros(len(self.A)) if x0 is None else np.asarray(x0, dtype=float), []
        for uk in u:
            out.append(self.output(x, uk))
            x = self.A @ x + self.B @ uk
        return np.array(out)

    def responses(self, count):
        """Impulse responses of C x + D u and of z at lags 0..count-1 (discrete)."""
        h, g, state = [self.D], [self.Dy], self.B
        for _ in range(count - 1):
            h.append(self.C @ state)
            g.append(self.Y @ state)
            state = self.A @ state
        return np.array(h), np.array(g)

    def gramian(self, horizon=None):
        return dense_gramian(self.A, self.B, self.dt, horizon)

    def observability(self, horizon=None):
        """Q for the weight ``C^T C + sum_i M_i P M_i``."""
        inner = self.Y @ self.gramian(horizon) @ self.Y.T + self.Dy @ self.Dy.T
        R = self.C.T @ self.C + sum(self.Y.T @ N @ inner @ N @ self.Y for N in self.N)
        w, U = np.linalg.eigh(R)
        root = U * np.sqrt(np.maximum(w, 0))
        return dense_gramian(self.A.T, root, self.dt, horizon)

    def squared_norm(self, horizon=None):
        P = self.gramian(horizon)
        inner = self.Y @ P @ self.Y.T + self.Dy @ self.Dy.T
        linear = np.trace(self.C @ P @ self.C.T) + np.sum(self.D**2)
        return linear + sum(np.trace(N @ inner @ N @ inner) for N in self.N)


def written(sys):
    """`sys` from its own data, without the library's methods."""
    linear = sys.system
    if isinstance(linear, mor.Modal):
        if np.iscomplexobj(linear.B):
            A, B, C = real_form(linear)
        else:
            A, B, C = np.diag(linear.poles), linear.B, linear.C
    elif isinstance(linear, mor.BlockDiagonal):
        A, B, C = scipy.linalg.block_diag(*linear.blocks), linear.B, linear.C
    else:
        A, B, C = linear.A, linear.B, linear.C
        if linear.E is not None:
            A, B = np.linalg.solve(linear.E, A), np.linalg.solve(linear.E, B)
    Y, Dy = (np.eye(len(A)), np.zeros_like(B)) if sys.readout is None else sys.readout
    if hasattr(sys.M, "N"):
        N = sys.M.N
    else:
        pairs = zip(sys.M.left, sys.M.right, strict=True)
        N = [sum(np.outer(a, b) + np.outer(b, a) for a, b in zip(*pair, strict=True)) / 2 for pair in pairs]
        N = np.array(N).reshape(len(N), len(Y), len(Y))
    return Written(A, B, C, linear.D, N, Y, Dy, linear.dt)


def random_lqo(rng, n=5, m=2, p=3, dt=1.0, forms="dense", size=0.4):
    """A dense system with indefinite forms; D = 0 in continuous time."""
    A = random_stable(rng, n, dt)
    D = rng.standard_normal((p, m)) if dt else None
    linear = mor.LTI(A, rng.standard_normal((n, m)), rng.standard_normal((p, n)), D, dt=dt)
    if forms == "dense":
        return mor.LQO(linear, size * rng.standard_normal((p, n, n)))
    left, right = rng.standard_normal((2, p, 2, n))
    return mor.LQO(linear, (size * left, right))


def close(actual, expected, tol=1e-9):
    """Equal to `tol` of the largest entry."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    scale = np.max(np.abs(expected), initial=0.0)
    assert np.max(np.abs(actual - expected), initial=0.0) <= tol * scale + 1e-13 * (scale == 0)
