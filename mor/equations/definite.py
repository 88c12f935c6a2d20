"""Factors ``P = Z Z^H`` of a Gramian that has been formed.

Forming P is the fast way and right as long as P is well conditioned: the Hankel singular
values then keep their relative accuracy. Where it is not, round-off in P would show at the
square root of round-off in them, so the caller must take a method that never forms P.
"""

from __future__ import annotations

import numpy as np

from mor.arrays import Array, detach, diagonal_matrix, eps, namespace, real


def definite_factor(P: Array, *, smallest_pivot: float = 0.5) -> Array | None:
    """The Cholesky factor of P, or None if P is not safely positive definite.

    Safe means that no pivot falls below ``eps**smallest_pivot`` of its diagonal entry.
    With q for that power, a Hankel singular value then has a relative error of about
    ``eps^(1-q)`` at worst, and one of ``eps^(1-q/2)`` of the largest, provided that the
    modes do not cancel: for q = 1/2 in double precision 1e-8 and 2e-12. States that never
    move (zero rows, such as the second one of a real mode) have zero rows in the factor.
    Concrete arrays only.
    """
    xp = namespace(P)
    diagonal = real(xp.linalg.diagonal(P))
    if P.shape[-1] == 0 or not bool(xp.all(diagonal >= 0)):
        return None
    still = xp.astype(diagonal == 0, P.dtype)
    L = _cholesky(P + diagonal_matrix(still))
    if L is None:
        return None
    pivots = real(xp.linalg.diagonal(L)) ** 2
    safe = bool(xp.all(pivots > eps(P) ** smallest_pivot * diagonal))
    return L * (1 - still)[..., None, :] if safe else None


def _cholesky(P: Array) -> Array | None:
    """Lower Cholesky factor, None where the framework says that P is not definite."""
    xp = namespace(P)
    if hasattr(xp.linalg, "cholesky_ex"):
        L, info = xp.linalg.cholesky_ex(P)
        return None if bool(xp.any(info != 0)) else L
    try:
        L = xp.linalg.cholesky(P)
    except np.linalg.LinAlgError:
        return None
    return L if bool(xp.all(xp.isfinite(detach(L)))) else None
