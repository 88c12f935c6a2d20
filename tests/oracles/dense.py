"""Oracles for the tests: no answer in them comes from the library."""

import numpy as np
import scipy.linalg as sl

import mor


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


def random_matrix(rng, is_complex, *shape):
    """Gaussian entries, with as many imaginary parts if complex."""
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if is_complex else x


def random_stable(rng, n, dt, is_complex=False):
    """A dense strictly stable matrix."""
    A = random_matrix(rng, is_complex, n, n)
    values = np.linalg.eigvals(A)
    if dt:
        return A * rng.uniform(0.3, 0.98) / np.max(np.abs(values))
    return A - (np.max(np.real(values)) + rng.uniform(0.02, 1.0)) * np.eye(n)


def random_pencil(rng, n, kind):
    """E: None, well conditioned, complex, or of condition 1e7."""
    if kind == "none":
        return None
    if kind == "ill":
        U, _, V = np.linalg.svd(rng.standard_normal((n, n)))
        return U @ np.diag(np.geomspace(1, 1e-7, n)) @ V
    return np.eye(n) + 0.2 * random_matrix(rng, kind == "complex", n, n) / np.sqrt(n)


def lyapunov_residual(A, X, Q, E, dt):
    """Residual of the (generalised) equation, relative to ``|A| |E| |X|``."""
    E = np.eye(len(A)) if E is None else E
    a, e = (np.linalg.norm(x, 2) for x in (A, E))
    half = A @ X @ E.conj().T
    R = A @ X @ A.conj().T - E @ X @ E.conj().T + Q if dt else half + E @ X @ A.conj().T + Q
    return np.linalg.norm(R) / (np.linalg.norm(X) * (a * a + e * e if dt else 2 * a * e) + 1e-300)


def tustin(sys):
    """The discrete system of ``z = (1 + s)/(1 - s)``; its Gramians are the same."""
    eye, root = np.eye(sys.order), np.sqrt(2)
    A, B = (np.linalg.solve(eye - sys.A, X) for X in (eye + sys.A, root * sys.B))
    C = root * np.linalg.solve((eye - sys.A).T, sys.C.T).T
    return mor.LTI(A, B, C, sys.D + sys.C @ np.linalg.solve(eye - sys.A, sys.B), dt=1.0)
