"""A dense system in diagonal form; of a real one a mode is a conjugate pair or a real eigenvalue."""

from __future__ import annotations

import numpy as np

from mor.arrays import positive_or_one
from mor.equations.scaling import grading, scaled, well_scaled
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
    poles, B, C, count, condition = diagonalise_batch(A[None], B[None], C[None])
    k = int(count[0])
    return poles[0, :k], B[0, :k], C[0, :, :k], float(condition[0])


def diagonalise_batch(
    A: np.ndarray, B: np.ndarray, C: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """``(poles, B, C, count, condition)`` as :func:`diagonalise` of each of a batch with one leading axis.

    System i has its modes in the first ``count[i]`` places; what stands behind them is of no meaning.
    """
    values, B, C, condition = eigenmodes(A, B, C)
    upper, single = np.imag(values) > 0, np.imag(values) == 0
    place = np.argsort(np.where(upper, 0, np.where(single, 1, 2)), axis=-1, kind="stable")
    B = np.where(single[..., :, None], np.real(B), B)
    C = np.where(single[..., None, :], np.real(C), 2 * C)
    return (
        np.take_along_axis(values, place, axis=-1),
        np.take_along_axis(B, place[..., :, None], axis=-2),
        np.take_along_axis(C, place[..., None, :], axis=-1),
        np.sum(upper | single, axis=-1),
        condition,
    )


def eigenmodes(
    A: np.ndarray, B: np.ndarray, C: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    r"""``(values, V^{-1} B, C V, condition)``, complex, of :math:`A = V \Lambda V^{-1}`, real or complex.

    Rows and columns of a mode are scaled to equal norms. The condition is that of V in the
    coordinates of :func:`mor.equations.scaling.grading`, which the units of the states do not change.
    Leading axes are a batch.

    Raises
    ------
    ReductionError
        As :func:`diagonalise`.
    """
    if not A.shape[-1]:
        return np.zeros(A.shape[:-1], complex), B.astype(complex), C.astype(complex), np.ones(A.shape[:-2])
    A, B, C = _graded(A, B, C)
    values, vectors = np.linalg.eig(A)
    values, vectors = values.astype(complex), vectors.astype(complex)
    condition = _condition(vectors)
    if (worst := float(np.max(condition, initial=1.0))) > _CONDITION_LIMIT:
        raise ReductionError(
            f"A has no usable eigenvector basis (condition {worst:.1e}): it is nearly "
            "defective. Keep the system dense, or take another order."
        )
    return values, *_balanced(np.linalg.solve(vectors, B.astype(complex)), C @ vectors), condition


def _condition(vectors: np.ndarray) -> np.ndarray:
    """The condition of each matrix; of many, while low, that in the Frobenius norm: more, and cheaper."""
    if vectors.size <= vectors.shape[-1] ** 2:
        return np.linalg.cond(vectors)
    try:
        inverse = np.linalg.inv(vectors)
    except np.linalg.LinAlgError:
        return np.linalg.cond(vectors)
    found = np.linalg.norm(vectors, axis=(-2, -1)) * np.linalg.norm(inverse, axis=(-2, -1))
    return found if np.all(found <= _CONDITION_LIMIT) else np.linalg.cond(vectors)


def _graded(A: np.ndarray, B: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each system in coordinates in which its A is well scaled."""
    if A.ndim == 2:
        index, scale = grading(A)
        return scaled(A, index, scale), B[index] / scale[:, None], C[:, index] * scale
    todo = ~well_scaled(A)
    if not np.any(todo):
        return A, B, C
    A, B, C = A.copy(), B.copy(), C.copy()
    for i in np.argwhere(todo):
        where = tuple(i)
        A[where], B[where], C[where] = _graded(A[where], B[where], C[where])
    return A, B, C


def _balanced(B: np.ndarray, C: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each mode's row of B and column of C with equal norms."""
    # Squares of both may be out of range where neither they nor the result are.
    of_B, of_C = (
        positive_or_one(np.max(np.abs(X), axis=(-2, -1), keepdims=True, initial=0.0)) for X in (B, C)
    )
    b, c = np.linalg.norm(B / of_B, axis=-1), np.linalg.norm(C / of_C, axis=-2)
    usable = (b > 0) & (c > 0)
    scale = np.sqrt(np.where(usable, c, 1.0) / np.where(usable, b, 1.0))
    scale = np.where(usable, (of_C**0.5 / of_B**0.5)[..., 0], 1.0) * scale
    return B * scale[..., :, None], C / scale[..., None, :]
