"""A dense system in diagonal form; of a real one a mode is a conjugate pair or a real eigenvalue."""

from __future__ import annotations

import numpy as np

from mor.equations.scaling import grading, scaled
from mor.errors import ReductionError

#: Beyond this condition of the eigenvectors less than half of the digits survive.
_CONDITION_LIMIT = 1e8


def diagonalise(
    A: np.ndarray, B: np.ndarray, C: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    r"""``(poles, B, C, condition)``, complex, with ``C_real (s - A)^{-1} B_real = Re-map of the modes``.

    With :math:`A = V \Lambda V^{-1}`, a conjugate pair becomes its upper half with 2 C V,
    and a real eigenvalue keeps its real row and column.

    Raises
    ------
    ReductionError
        If A is (nearly) defective: the condition of V exceeds 1e8.
    """
    values, B, C, condition = eigenmodes(A, B, C)
    upper, single = np.imag(values) > 0, np.imag(values) == 0
    return (
        np.concatenate([values[upper], values[single]]),
        np.concatenate([B[upper], np.real(B[single])]),
        np.concatenate([2 * C[:, upper], np.real(C[:, single])], axis=1),
        condition,
    )


def eigenmodes(
    A: np.ndarray, B: np.ndarray, C: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    r"""``(values, V^{-1} B, C V, condition)``, complex, of :math:`A = V \Lambda V^{-1}`, real or complex.

    Rows and columns of a mode are scaled to equal norms. The condition is that of V in the
    coordinates of :func:`mor.equations.scaling.grading`, which the units of the states do not change.

    Raises
    ------
    ReductionError
        As :func:`diagonalise`.
    """
    if not len(A):
        return np.zeros(0, dtype=complex), B.astype(complex), C.astype(complex), 1.0
    index, scale = grading(A)
    A, B, C = (
        scaled(A, index, scale),
        B[index] / scale[:, None],
        C[:, index] * scale,
    )
    values, vectors = np.linalg.eig(A)
    values, vectors = values.astype(complex), vectors.astype(complex)
    condition = float(np.linalg.cond(vectors))
    if condition > _CONDITION_LIMIT:
        raise ReductionError(
            f"A has no usable eigenvector basis (condition {condition:.1e}): it is nearly "
            "defective. Keep the system dense, or take another order."
        )
    return values, *_balanced(np.linalg.solve(vectors, B.astype(complex)), C @ vectors), condition


def _balanced(B: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each mode's row of B and column of C with equal norms."""
    # Squares of both may be out of range where neither they nor the result are.
    of_B, of_C = (float(np.max(np.abs(x), initial=0.0)) or 1.0 for x in (B, C))
    b, c = np.linalg.norm(B / of_B, axis=1), np.linalg.norm(C / of_C, axis=0)
    usable = (b > 0) & (c > 0)
    scale = np.sqrt(np.where(usable, c, 1.0) / np.where(usable, b, 1.0))
    scale = np.where(usable, of_C**0.5 / of_B**0.5, 1.0) * scale
    return B * scale[:, None], C / scale
