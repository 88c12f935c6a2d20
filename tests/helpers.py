"""Oracles for the tests, written without the library."""

import numpy as np
import scipy.linalg as sl


def real_form(sys):
    """Dense real (A, B, C) of a complex Modal, in the coordinates [Re z; Im z]."""
    a, b = np.diag(sys.poles.real), np.diag(sys.poles.imag)
    A = np.block([[a, -b], [b, a]])
    return A, np.vstack([sys.B.real, sys.B.imag]), np.hstack([sys.C.real, -sys.C.imag])


def dense_gramian(A, B, dt, horizon=None):
    """Controllability Gramian by a Kronecker-product solve (infinite) or plain sums."""
    n = len(A)
    if horizon is None:
        eye = np.eye(n)
        operator = np.eye(n * n) - np.kron(A, A) if dt else -(np.kron(A, eye) + np.kron(eye, A))
        P = np.linalg.solve(operator, (B @ B.T).ravel()).reshape(n, n)
        return (P + P.T) / 2
    if dt:
        blocks, power = [], B
        for _ in range(horizon):
            blocks.append(power)
            power = A @ power
        Z = np.hstack(blocks)
        return Z @ Z.T
    # Van Loan: exp of [[-A, BB'], [0, A']] t holds the integral.
    block = np.block([[-A, B @ B.T], [np.zeros((n, n)), A.T]])
    steps = max(1, int(np.ceil(horizon * np.linalg.norm(A, 1))))
    E = sl.expm(block * horizon / steps)
    S = E[n:, n:].T
    piece = S @ E[:n, n:]
    P, power = np.zeros((n, n)), np.eye(n)
    for _ in range(steps):
        P = P + power @ piece @ power.T
        power = S @ power
    return (P + P.T) / 2


def hsv_by_factors(P, Q):
    """Hankel singular values from formed Gramians: right to sqrt(eps) of the largest."""

    def root(X):
        w, U = np.linalg.eigh(X)
        return U * np.sqrt(np.maximum(w, 0))

    return np.linalg.svd(root(Q).T @ root(P), compute_uv=False)


def largest_gain(sys, frequencies):
    """Largest singular value of the frequency response over a grid."""
    response = np.asarray(sys.frequency_response(frequencies))
    return float(np.max(np.linalg.svd(response, compute_uv=False)[..., 0]))


def frequencies(sys, count=400):
    """A grid with the poles' own frequencies, radians per unit of time."""
    poles = np.atleast_1d(np.asarray(sys.poles, dtype=complex)).ravel()
    if sys.dt:
        return np.concatenate([np.linspace(0, np.pi, count), np.abs(np.angle(poles))]) / sys.dt
    return np.concatenate([[0.0], np.geomspace(1e-4, 1e3, count), np.abs(poles.imag)])
