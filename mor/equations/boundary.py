r"""The stability boundary, the imaginary axis or the unit circle: distances, and what cannot be told from it.

A pole is stable if it lies inside by more than the error it is known with. Poles that are
data are known exactly. Those of a dense A are known up to a perturbation of A by round-off, and the
smallest one that moves an eigenvalue to the point s is

.. math:: \sigma_{\min}(A - s I) \qquad (\sigma_{\min}(A - s E) \text{ with } E).

For a simple eigenvalue it is the distance to s times the cosine between left and right eigenvector,
so that comparing it with round-off is comparing the distance with the first-order error. For a
multiple one, which round-off moves by its k-th root, it still is what it is defined to be.

Source: [Wilkinson65], chapter 2, for the first-order error; [Trefethen05], section 2, for the smallest
singular value.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mor.arrays import EPS, Array, is_complex, namespace, positive_or_one, real, split_constant
from mor.equations.resolvent import distance_to_singularity
from mor.equations.triangular import Pencil

#: Round-off of a dense A, its own and that of its Schur form, over ``eps |A|`` (Frobenius norm).
ROUNDOFF = 10 * EPS

#: Distance to the boundary, of ``|A|``, below which an eigenvalue is looked at: round-off moves one that is
#: k-fold by its k-th root, and those beyond triple ones are looked at where they move less than this.
NEAR = ROUNDOFF ** (1 / 3)


def one_minus_abs2(poles: Array) -> Array:
    r"""``1 - |poles|^2`` to full relative accuracy, also for poles next to the unit circle.

    The squares are split into a rounded value and its exact rounding error ([Dekker71],
    Veltkamp's splitting), so that the leading cancellation is exact. Without this a float32
    pole of radius 0.9999 loses four of its seven digits here.
    """
    xp = namespace(poles)
    if not is_complex(poles):
        return (1 - poles) * (1 + poles)
    return one_minus_sum(exact_product(xp.real(poles)), exact_product(xp.imag(poles)))


def one_minus_sum(first: tuple[Array, Array], second: tuple[Array, Array]) -> Array:
    """1 less two numbers between 0 and 1, sums of two floats each as :func:`exact_product` gives them."""
    (p, p_error), (q, q_error) = first, second
    xp = namespace(p)
    large, small = xp.where(p > q, p, q), xp.where(p > q, q, p)
    # Differences of nearby numbers are exact (Sterbenz): from 1, or from 1/2 each.
    leading = xp.where(large >= 0.5, (1 - large) - small, (0.5 - large) + (0.5 - small))
    return leading - (p_error + q_error)


def exact_product(x: Array, y: Array | None = None) -> tuple[Array, Array]:
    """``x*y``, or ``x*x``, as an unevaluated sum of two floats."""
    high, low = _halves(x)
    other_high, other_low = (high, low) if y is None else _halves(y)
    product = x * (x if y is None else y)
    error = (high * other_high - product) + high * other_low + low * other_high
    return product, error + low * other_low


def _halves(x: Array) -> tuple[Array, Array]:
    shifted = split_constant(x) * x
    high = shifted - (shifted - x)
    return high, x - high


def boundary_distance(poles: Array, dt: float) -> Array:
    """``1 - |pole|^2`` (discrete) or ``-2 Re pole`` (continuous): positive when stable."""
    return one_minus_abs2(poles) if dt else -2 * real(poles)


def margins(poles: Array, dt: float) -> Array:
    """``1 - |pole|`` (discrete) or ``-Re pole`` (continuous), to full relative accuracy."""
    return one_minus_abs2(poles) / (1 + namespace(poles).abs(poles)) if dt else -real(poles)


def dc_point(dt: float) -> float:
    """Where a transfer function has its dc gain: 0, or 1 in discrete time."""
    return 1.0 if dt else 0.0


def nearest_points(poles: np.ndarray, dt: float) -> np.ndarray:
    """The point of the boundary nearest to each pole."""
    if not dt:
        return 1j * np.imag(poles)
    size = np.abs(poles)
    return np.where(size > 0, poles / positive_or_one(size), 1.0 + 0j)


def pole_errors(
    pencil: Pencil,
    reversal: Callable[[], Pencil],
    poles: np.ndarray,
    dt: float,
    noise: Callable[[np.ndarray], np.ndarray],
) -> np.ndarray:
    r"""First-order errors (n,) of the eigenvalues that may be within them of the boundary; less, or zero, for
    the others.

    An eigenvalue with the distance d has the error
    :math:`d\,\epsilon (\|T\| + |s| \|S\|) / \sigma_{\min}(T - s S)`, s the nearest point of the boundary.

    Parameters
    ----------
    pencil : T and S (n, n); S is None for the identity.
    reversal : gives :meth:`Pencil.reversed` of it.
    poles : array (n,), the eigenvalues.
    noise : gives the norm of what round-off may add to ``T - s S`` at the points s.

    Notes
    -----
    Nothing where no eigenvalue is near; else ``2 n^2`` flops each, in products of matrices, and twice that
    again for those that may be within round-off.
    """
    T, S = pencil.norms
    finite = np.isfinite(poles)
    distance = np.abs(margins(np.where(finite, poles, 0.0), dt))
    # Without E no norm of the identity: |T| alone is the scale.
    size = T + np.where(finite, np.abs(poles), 0.0) * S
    near = np.flatnonzero(finite & (distance * (S or 1.0) <= NEAR * size))
    errors = np.zeros(len(poles))
    if not len(near):
        return errors
    points: Any = nearest_points(poles[near], dt)
    if not np.iscomplexobj(pencil.T):
        points = np.where(points.imag < 0, points.conj(), points)
    points, index = np.unique(points, return_inverse=True)
    limit = noise(points)
    smallest = distance_to_singularity(pencil, reversal, points, limit)
    with np.errstate(over="ignore", invalid="ignore"):
        ratio = np.where(smallest > 0, limit / positive_or_one(smallest), np.inf)[index]
        errors[near] = np.where(np.isinf(ratio), np.inf, ratio * distance[near])
    return errors


def unstable_message(
    pole: complex, place: str, dt: float, error: float, purpose: str, *, needs: str, remedy: str
) -> str:
    """What is wrong with a pole, known up to `error`, that is not strictly stable.

    `purpose` is what needs it to be (with `needs`, what it needs) and `remedy` what to do.
    """
    margin = float(margins(np.asarray(pole), dt))
    what = f"pole {place} is {pole:.6g}, of " if place else f"the pole is {pole:.6g}, of "
    what += f"modulus {abs(pole):.9g}" if dt else f"real part {pole.real:.3g}"
    if abs(margin) <= error and margin != 0:
        boundary = "the unit circle" if dt else "the imaginary axis"
        limit = f"an error of up to {error:.1e}" if np.isfinite(error) else "any error"
        what += (
            f", {abs(margin):.1e} from {boundary}, and known with {limit}: round-off cannot tell it from a "
            f"pole on {boundary}"
        )
    else:
        what += " >= 1" if dt else " >= 0"
    return f"{what}: {purpose} needs {needs}. {remedy}"
