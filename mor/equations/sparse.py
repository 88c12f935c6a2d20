"""Sparse matrices as dense ones: how large, and only once their indices are known to be right."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse

from mor.errors import DimensionError

#: Sparse matrices of a larger order are not made dense: 5000 takes 200 MB and minutes for a Gramian.
MAX_DENSE_ORDER = 5000


def check_dense_order(order: int, what: str) -> None:
    """Raise if a sparse matrix is too large to be made dense."""
    if order > MAX_DENSE_ORDER:
        raise DimensionError(
            f"{what} is sparse and of size {order}; sparse matrices are made dense, up to an order of "
            f"{MAX_DENSE_ORDER}. mor.SparseLTI keeps them as they are; else give dense arrays if there is "
            "time and memory for it, or a projected model."
        )


def dense(name: str, value: Any) -> Any:
    """`value` as a dense array if it is sparse, else as it is.

    Notes
    -----
    SciPy's conversion writes wherever the indices point: outside of the array, if they were read from a
    damaged file or changed by hand. So every index is compared with the shape before it is used.

    Raises
    ------
    DimensionError
        If it is of an order above 5000, or an index is outside of its shape.

    Examples
    --------
    >>> import scipy.sparse
    >>> dense("A", scipy.sparse.csc_array([[0.0, 2.0]]))
    array([[0., 2.]])
    """
    if not hasattr(value, "toarray"):
        return value
    check_dense_order(max(value.shape, default=0), name)
    return checked(name, value).toarray() if scipy.sparse.issparse(value) else value.toarray()


def checked(name: str, value: Any) -> scipy.sparse.coo_array:
    """A sparse matrix whose indices are known to be right.

    Raises
    ------
    DimensionError
    """
    try:
        entries, places = _coordinates(value)
        # Its constructor compares every index with the shape.
        return scipy.sparse.coo_array((entries, places), shape=value.shape)
    except (ValueError, IndexError, TypeError) as error:
        raise DimensionError(f"{name} is a damaged sparse matrix: {error}") from None


def _coordinates(matrix: Any) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Entries, rows and columns; what conversions to compressed formats trust is never used."""
    if matrix.format in ("csc", "csr", "bsr"):
        _check_pointers(matrix)
    if matrix.format not in ("csc", "csr"):
        coo = matrix.tocoo(copy=False)
        return coo.data, coo.coords
    outer = np.repeat(np.arange(len(matrix.indptr) - 1), np.diff(matrix.indptr))
    places = outer, matrix.indices[: len(outer)]
    return matrix.data[: len(outer)], places[::-1] if matrix.format == "csc" else places


def _check_pointers(matrix: Any) -> None:
    """Raise unless the pointers to rows (columns, blocks) cut what is stored into pieces."""
    first, stored = np.asarray(matrix.indptr), min(len(matrix.indices), len(matrix.data))
    if first.ndim != 1 or not first.size or first[0] != 0 or np.any(first[1:] < first[:-1]):
        raise ValueError("the pointers to its rows or columns are no rising sequence from 0")
    if first[-1] > stored:
        raise ValueError(f"it counts {first[-1]} entries where {stored} are stored")
