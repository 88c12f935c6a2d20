"""Hypothesis strategies for systems, and systems with known answers.

Needs the package ``hypothesis`` (the extra ``testing``). For the tests of this library and
of those who use it::

    from hypothesis import given
    from mor.testing import modal_systems

    @given(modal_systems())
    def test_something(sys): ...
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from hypothesis import strategies as st

from mor.systems.block_diagonal import BlockDiagonal
from mor.systems.lqo import LQO
from mor.systems.lti import LTI
from mor.systems.modal import Modal


@st.composite
def modal_systems(
    draw: Any,
    *,
    max_modes: int = 8,
    max_signals: int = 3,
    discrete: bool | None = None,
    margin: float = 1e-3,
    real_modes: bool = True,
    degenerate: bool = True,
    batch: tuple[int, ...] = (),
) -> Modal:
    """Stable :class:`~mor.Modal` systems, ill-behaved ones among them.

    Parameters
    ----------
    margin : smallest distance of a pole to the stability boundary.
    real_modes : whether some poles, with their rows and columns, may be real.
    degenerate : whether poles may repeat and rows of B and columns of C may be zero.
    batch : leading axes.
    """
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    k = draw(st.integers(1, max_modes))
    m, p = draw(st.integers(1, max_signals)), draw(st.integers(1, max_signals))
    dt = float(draw(st.sampled_from([0.0, 1.0, 0.1]))) if discrete is None else float(discrete)
    closeness = margin ** rng.uniform(0, 1, (*batch, k))
    angle = rng.uniform(0, np.pi, (*batch, k))
    poles = (1 - closeness) * np.exp(1j * angle) if dt else -closeness + 3j * angle
    B, C = _gaussian(rng, (*batch, k, m)), _gaussian(rng, (*batch, p, k))
    if real_modes and draw(st.booleans()):
        single = rng.random((*batch, k)) < 0.4
        poles = np.where(single, np.real(poles), poles)
        B = np.where(single[..., :, None], np.real(B), B)
        C = np.where(single[..., None, :], np.real(C), C)
    if degenerate and k > 1:
        kind = draw(st.sampled_from(["none", "zero B", "zero C", "repeated", "twins"]))
        if kind == "zero B":
            B[..., 0, :] = 0
        elif kind == "zero C":
            C[..., :, -1] = 0
        elif kind == "repeated":
            poles[..., 1] = poles[..., 0]
        elif kind == "twins":
            poles[..., 1], B[..., 1, :] = poles[..., 0], B[..., 0, :]
    return Modal(poles, B, C, rng.standard_normal((*batch, p, m)), dt=dt)


@st.composite
def block_systems(
    draw: Any, *, max_blocks: int = 4, max_size: int = 3, max_signals: int = 3, discrete: bool | None = None
) -> BlockDiagonal:
    """Stable :class:`~mor.BlockDiagonal` systems with non-normal blocks."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    q, s = draw(st.integers(1, max_blocks)), draw(st.integers(1, max_size))
    m, p = draw(st.integers(1, max_signals)), draw(st.integers(1, max_signals))
    dt = float(draw(st.booleans()) if discrete is None else discrete)
    blocks = np.stack([_stable_matrix(rng, s, dt) for _ in range(q)])
    B, C = rng.standard_normal((q * s, m)), rng.standard_normal((p, q * s))
    return BlockDiagonal(blocks, B, C, rng.standard_normal((p, m)), dt=dt)


@st.composite
def lti_systems(
    draw: Any,
    *,
    max_order: int = 8,
    max_signals: int = 3,
    discrete: bool | None = None,
    is_complex: bool = False,
    descriptor: bool = False,
) -> LTI:
    """Stable dense :class:`~mor.LTI` systems, real or complex; if `descriptor` with a well-conditioned E."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    n = draw(st.integers(1, max_order))
    m, p = draw(st.integers(1, max_signals)), draw(st.integers(1, max_signals))
    dt = float(draw(st.booleans()) if discrete is None else discrete)
    normal = _gaussian if is_complex else np.random.Generator.standard_normal
    B, C = normal(rng, (n, m)), normal(rng, (p, n))
    A, D, E = _stable_matrix(rng, n, dt, is_complex), normal(rng, (p, m)), None
    if descriptor:
        E = np.eye(n) + 0.2 * normal(rng, (n, n)) / np.sqrt(n)
        A, B = E @ A, E @ B
    return LTI(A, B, C, D, E, dt=dt)


@st.composite
def lqo_systems(draw: Any, *, max_signals: int = 3, discrete: bool | None = None) -> LQO:
    """Stable :class:`~mor.LQO` systems on linear parts of every kind, with forms of every kind.

    Indefinite forms of the state, dense or as products, forms that are zero, gates and gated linear
    units. Continuous ones have D = 0, so that their norms are finite.
    """
    kinds = (
        lti_systems(max_order=6, max_signals=max_signals, discrete=discrete),
        modal_systems(max_modes=4, max_signals=max_signals, discrete=discrete, margin=1e-2),
        block_systems(max_signals=max_signals, discrete=discrete),
    )
    linear: LTI | Modal | BlockDiagonal = draw(st.one_of(*kinds))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if not linear.dt:
        linear = replace(linear, D=None)
    n, p = linear.output_factor_matrix.shape[1], linear.n_outputs
    forms = draw(st.sampled_from(["dense", "products", "zero", "gate", "unit"]))
    if forms == "gate":
        return LQO.from_gate(linear, rng.standard_normal((2, p)), rng.standard_normal((2, p)))
    if forms == "unit":
        return LQO.from_glu(linear, rng.standard_normal((p, p)), rng.standard_normal(p))
    if forms == "products":
        return LQO(linear, (rng.standard_normal((p, 2, n)), rng.standard_normal((p, 2, n))))
    return LQO(linear, rng.standard_normal((p, n, n)) * (forms == "dense"))


def _gaussian(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


def _stable_matrix(rng: np.random.Generator, n: int, dt: float, is_complex: bool = False) -> np.ndarray:
    A = _gaussian(rng, (n, n)) if is_complex else rng.standard_normal((n, n))
    if dt:
        return A * rng.uniform(0.3, 0.98) / max(np.max(np.abs(np.linalg.eigvals(A))), 1e-3)
    return A - (np.max(np.real(np.linalg.eigvals(A))) + rng.uniform(0.02, 1.0)) * np.eye(n)


def system_with_hsv(hsv: Any, b: Any, signs: Any = None) -> LTI:
    r"""A continuous single-input single-output system with these Hankel singular values.

    :math:`A_{ij} = -b_i b_j / (\sigma_j + e_i e_j \sigma_i)`, :math:`c_i = e_i b_i`: both
    Gramians are ``diag(hsv)``. With all signs +1 the balanced-truncation bound is attained
    at frequency zero.

    Parameters
    ----------
    hsv : (n,) positive, distinct where the signs differ.
    b : (n,) input vector, no entry zero.
    signs : (n,) of +-1, all +1 if left out.
    """
    s, b = np.asarray(hsv, dtype=float), np.asarray(b, dtype=float)
    e = np.ones_like(s) if signs is None else np.asarray(signs, dtype=float)
    A = -np.outer(b, b) / (s[None, :] + np.outer(e, e) * s[:, None])
    return LTI(A, b[:, None], (e * b)[None, :])


def lyapunov_example(
    n: int, r: float, s: float, *, dt: float = 0.0, weights: Any = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    r"""``(A, B, X)`` with ``A X A^T - X + B B^T = 0`` (dt > 0) or ``A X + X A^T + B B^T = 0``.

    Eigenvalues :math:`-r^i`, or :math:`(r^i - 1)/(r^i + 1)`, behind two reflections and the scaling
    ``diag(s^i)``, i = 0..n-1: with r the spread of the eigenvalues grows, with s their condition.

    Parameters
    ----------
    n, r, s : order >= 2, and two numbers > 1.
    dt : 0.0 continuous, positive discrete.
    weights : (n,) B in the coordinates of the eigenvalues; left out 1..n if dt = 0, and
        (1, 0, ..., 0) if dt > 0.

    Notes
    -----
    Source: example 4.1 of the collections CTLEX and DTLEX, [Kressner99], transposed;
    SLICOT's BB03AD and BB04AD. X is right to a few units of round-off.

    Examples
    --------
    >>> A, B, X = lyapunov_example(5, 1.5, 1.5)
    >>> bool(np.allclose(A @ X + X @ A.T, -B @ B.T))
    True
    """
    i = np.arange(n)
    turn, alternate = np.eye(n) - 2 / n, np.eye(n) - 2 / n * np.outer((-1.0) ** i, (-1.0) ** i)
    poles = (float(r) ** i - 1) / (float(r) ** i + 1) if dt else -(float(r) ** i)
    default = np.eye(n)[0] if dt else np.arange(1.0, n + 1)
    w = default if weights is None else np.asarray(weights, dtype=float)
    gap = 1 - np.outer(poles, poles) if dt else -(poles[:, None] + poles)
    K, inverse = alternate / float(s) ** i @ turn, turn * float(s) ** i @ alternate
    return K * poles @ inverse, (K @ w)[:, None], K @ (np.outer(w, w) / gap) @ K.T


def generalised_lyapunov_example(
    n: int, t: float, *, dt: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    r"""``(A, E, Q, X)`` with ``A X E^T + E X A^T + Q = 0``, or ``A X A^T - E X E^T + Q = 0``.

    X is all ones. As t grows two eigenvalues come within :math:`2^{-t}` of a singular equation.

    Notes
    -----
    Source: example 4.3 of the collections CTLEX and DTLEX, [Kressner99], transposed;
    SLICOT's BB03AD and BB04AD. For whole numbers t up to 20 all four matrices are exact.

    Examples
    --------
    >>> A, E, Q, X = generalised_lyapunov_example(4, 3)
    >>> bool(np.all(A @ X @ E.T + E @ X @ A.T + Q == 0))
    True
    """
    below, eye, small = np.tril(np.ones((n, n)), -1), np.eye(n), 2.0**-t
    A = below + np.diag(np.arange(n) + (1.0 if dt else 0.0)) + small * eye
    E, X = eye + small * below.T, np.ones((n, n))
    Q = E @ X @ E.T - A @ X @ A.T if dt else -(A @ X @ E.T + E @ X @ A.T)
    return A, E, Q, X


def penzl_fom() -> LTI:
    """Penzl's FOM: order 1006, three resonances at 100, 200, 400 rad/s, continuous.

    Its H2 norm is 182.6611748664.
    """
    A = np.diag(-np.concatenate([[1.0] * 6, np.arange(1.0, 1001.0)]))
    for i, peak in enumerate((100.0, 200.0, 400.0)):
        A[2 * i, 2 * i + 1], A[2 * i + 1, 2 * i] = peak, -peak
    B = np.concatenate([np.full(6, 10.0), np.ones(1000)])[:, None]
    return LTI(A, B, B.T)


def two_area_power_system() -> LTI:
    """The 7-state example of SLICOT's AB09AD: continuous, 2 inputs, 3 outputs.

    Hankel singular values 2.5138793674, 2.0845625238, 1.9177953484, 0.7666414981,
    0.5472854224, 0.0252661410, 0.0245823948; H2 norm 3.8473545274.
    """
    A = [
        [-0.04165, 0, 4.92, -4.92, 0, 0, 0],
        [-5.21, -12.5, 0, 0, 0, 0, 0],
        [0, 3.33, -3.33, 0, 0, 0, 0],
        [0.545, 0, 0, 0, -0.545, 0, 0],
        [0, 0, 0, 4.92, -0.04165, 0, 4.92],
        [0, 0, 0, 0, -5.21, -12.5, 0],
        [0, 0, 0, 0, 0, 3.33, -3.33],
    ]
    B, C = np.zeros((7, 2)), np.zeros((3, 7))
    B[1, 0] = B[5, 1] = 12.5
    C[0, 0] = C[1, 3] = C[2, 4] = 1.0
    return LTI(np.array(A), B, C)
