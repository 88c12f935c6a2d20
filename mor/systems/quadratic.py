r"""Quadratic forms ``q_i(z) = z^T N_i z`` of a readout z, one an output, and what norms ask of them.

Of complex z and N they have values: no conjugate is taken. Norms ask for real ones.

Only five things are ever needed: values, products ``T N_i`` with a matrix, inner products
``tr(N_i X N'_i X^T)``, products ``N_i U (W^T N_i W)``, and the forms of ``z = Y x``. Gates, forms of
rank 2, do all of them without an n x n matrix.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from mor.arrays import block_diagonal, exponents, times
from mor.checks import check_finite, check_shape, numbers
from mor.errors import DimensionError


class Quadratic(ABC):
    """p quadratic forms of a vector of c numbers."""

    @property
    @abstractmethod
    def n_outputs(self) -> int:
        """p."""

    @property
    @abstractmethod
    def size(self) -> int:
        """c."""

    @property
    @abstractmethod
    def matrices(self) -> np.ndarray:
        """Symmetric N, (p, c, c)."""

    @property
    @abstractmethod
    def is_complex(self) -> bool:
        """Whether an N is."""

    @abstractmethod
    def values(self, z: np.ndarray, w: np.ndarray | None = None) -> np.ndarray:
        """``z^T N_i z``, or ``z^T N_i w``: (..., p) for (..., c)."""

    @abstractmethod
    def rows(self, T: np.ndarray) -> np.ndarray:
        """E (rows, c) with ``E^T E = sum_i N_i T^T T N_i``, for T (t, c)."""

    @abstractmethod
    def in_units(self, exponent: int) -> Self:
        """The forms over ``2^exponent``."""

    @abstractmethod
    def exponent(self) -> int | None:
        """Binary exponent of the size of their coefficients; None where all are zero."""

    @abstractmethod
    def of(self, Y: np.ndarray) -> Quadratic:
        """The forms of x for ``z = Y x``."""

    @abstractmethod
    def __neg__(self) -> Self: ...

    @abstractmethod
    def beside(self, other: Quadratic) -> Quadratic:
        """``q_i(z) + q'_i(z')`` as forms of ``[z; z']``."""

    def inner(self, other: Quadratic, X: np.ndarray) -> float:
        """``sum_i tr(N_i X N'_i X^T)`` for X (c, c')."""
        return float(np.einsum("iab,bc,icd,ad->", self.matrices, X, other.matrices, X, optimize=True))

    @abstractmethod
    def coupled(self, U: np.ndarray, W: np.ndarray) -> np.ndarray:
        """``sum_i N_i U (W^T N_i W)`` (c, r) for U, W (c, r): what gradients are made of."""


@dataclass(frozen=True, eq=False)
class Dense(Quadratic):
    """Forms by their matrices N (p, c, c), symmetrised."""

    N: np.ndarray

    def __post_init__(self) -> None:
        N = number_array("M", self.N)
        if N.ndim != 3 or N.shape[1] != N.shape[2]:
            raise DimensionError(f"M has shape {N.shape}; it must be (p, n, n), one matrix an output.")
        object.__setattr__(self, "N", N / 2 + N.mT / 2)

    @property
    def n_outputs(self) -> int:
        return self.N.shape[0]

    @property
    def size(self) -> int:
        return self.N.shape[1]

    @property
    def matrices(self) -> np.ndarray:
        return self.N

    @property
    def is_complex(self) -> bool:
        return np.iscomplexobj(self.N)

    def values(self, z: np.ndarray, w: np.ndarray | None = None) -> np.ndarray:
        w = z if w is None else w
        shape, dtype = np.broadcast_shapes(z.shape, w.shape)[:-1], np.result_type(z, w, self.N)
        out = np.empty((*shape, self.n_outputs), dtype)
        # Form by form: products of a long signal with all forms at once would fill the memory.
        for i, N in enumerate(self.N):
            out[..., i] = np.einsum("...c,...c->...", np.tensordot(z, N, axes=1), w)
        return out

    def rows(self, T: np.ndarray) -> np.ndarray:
        return _stacked(T @ self.N)

    def in_units(self, exponent: int) -> Self:
        return type(self)(times(self.N, -exponent, 3))

    def exponent(self) -> int | None:
        return exponents(self.N, 0) if np.any(self.N) else None

    def of(self, Y: np.ndarray) -> Dense:
        return Dense(Y.T @ self.N @ Y)

    def coupled(self, U: np.ndarray, W: np.ndarray) -> np.ndarray:
        return np.sum((self.N @ U) @ (W.T @ (self.N @ W)), axis=0)

    def __neg__(self) -> Self:
        return type(self)(-self.N)

    def beside(self, other: Quadratic) -> Dense:
        return Dense(block_diagonal(self.N, other.matrices))


@dataclass(frozen=True, eq=False)
class Products(Quadratic):
    """``q_i(z) = sum_j (l_ij^T z) (r_ij^T z)``: left and right (p, q, c), rank at most 2 q."""

    left: np.ndarray
    right: np.ndarray

    def __post_init__(self) -> None:
        left, right = number_array("left", self.left), number_array("right", self.right)
        if left.ndim != 3 or left.shape != right.shape:
            raise DimensionError(
                f"left and right have shapes {left.shape} and {right.shape}; both must be (p, q, n)."
            )
        object.__setattr__(self, "left", left)
        object.__setattr__(self, "right", right)

    @property
    def n_outputs(self) -> int:
        return self.left.shape[0]

    @property
    def size(self) -> int:
        return self.left.shape[2]

    @property
    def matrices(self) -> np.ndarray:
        N = self.left.mT @ self.right
        return (N + N.mT) / 2

    @property
    def is_complex(self) -> bool:
        return np.iscomplexobj(self.left) or np.iscomplexobj(self.right)

    def values(self, z: np.ndarray, w: np.ndarray | None = None) -> np.ndarray:
        w = z if w is None else w
        zl, zr, wl, wr = (np.tensordot(x, side, axes=(-1, 2)) for x in (z, w) for side in self._sides)
        return np.sum(zl * wr + zr * wl, axis=-1) / 2

    @property
    def _sides(self) -> tuple[np.ndarray, np.ndarray]:
        return self.left, self.right

    def rows(self, T: np.ndarray) -> np.ndarray:
        """T times ``(L^T R + R^T L) / 2``, as the triangle of ``T [L^T R^T]`` times ``[R; L] / 2``."""
        sides, swapped = (np.concatenate(x, axis=1) for x in (self._sides, self._sides[::-1]))
        left = T @ sides.mT
        if left.shape[1] > left.shape[2]:
            left = np.linalg.qr(left, mode="r")
        return _stacked(left @ swapped / 2)

    def in_units(self, exponent: int) -> Self:
        half = exponent // 2
        return type(self)(times(self.left, -half, 3), times(self.right, half - exponent, 3))

    def exponent(self) -> int | None:
        if not (np.any(self.left) and np.any(self.right)):
            return None
        return exponents(self.left, 0) + exponents(self.right, 0)

    def of(self, Y: np.ndarray) -> Products:
        return Products(self.left @ Y, self.right @ Y)

    def __neg__(self) -> Self:
        return type(self)(self.left, -self.right)

    def beside(self, other: Quadratic) -> Quadratic:
        if not isinstance(other, Products):
            return Dense(self.matrices).beside(other)
        left, right = (block_diagonal(a, b) for a, b in zip(self._sides, other._sides, strict=True))
        return Products(left, right)

    def inner(self, other: Quadratic, X: np.ndarray) -> float:
        """In closed form, ``p q q'`` products of vectors."""
        if not isinstance(other, Products):
            return super().inner(other, X)
        ll, lr, rl, rr = (a @ X @ b.mT for a in self._sides for b in other._sides)
        return float(np.sum(ll * rr + lr * rl)) / 2

    def coupled(self, U: np.ndarray, W: np.ndarray) -> np.ndarray:
        lU, rU, lW, rW = (side @ x for x in (U, W) for side in self._sides)
        small = lW.mT @ rW
        small = (small + small.mT) / 4
        return _stacked(self.left).T @ _stacked(rU @ small) + _stacked(self.right).T @ _stacked(lU @ small)


def as_quadratic(M: Any) -> Quadratic:
    """`M` as forms: (p, n, n), or (n, n) for one output, or a pair (left, right) of (p, q, n) or (p, n)."""
    if isinstance(M, Quadratic):
        return M
    if isinstance(M, tuple) and len(M) == 2:
        left, right = (number_array(name, x) for name, x in zip(("left", "right"), M, strict=True))
        if left.shape == right.shape == (2, 2):
            raise DimensionError(
                "a pair of 2 x 2 matrices may be two forms M, or the factors of two: give the first as an "
                "array (2, 2, 2), the second as arrays (p, q, n) = (2, 1, 2)."
            )
        # (p, n): one product an output.
        return Products(*(x[:, None] if x.ndim == 2 else x for x in (left, right)))
    N = number_array("M", M)
    return Dense(N[None] if N.ndim == 2 else N)


def _stacked(x: np.ndarray) -> np.ndarray:
    """(p, q, c) as (p q, c)."""
    return x.reshape(x.shape[0] * x.shape[1], x.shape[2])


def number_array(name: str, value: Any) -> np.ndarray:
    """`value` as an array of finite doubles, complex where an imaginary part is not zero."""
    x = numbers(name, value)
    x = x.astype(complex) if x.dtype.kind == "c" and np.any(np.imag(x)) else np.real(x).astype(float)
    check_finite(**{name: x})
    return x


def real_array(name: str, value: Any) -> np.ndarray:
    """`value` as an array of finite doubles."""
    x = number_array(name, value)
    if np.iscomplexobj(x):
        raise DimensionError(f"{name} must be an array of real numbers, not of {x.dtype}.")
    return x


def real_matrix(name: str, value: Any, rows: int | None, columns: int) -> np.ndarray:
    """`value` as a matrix of finite doubles of that shape."""
    return number_matrix(name, real_array(name, value), rows, columns)


def number_matrix(name: str, value: Any, rows: int | None, columns: int) -> np.ndarray:
    """`value` as a matrix of finite doubles, real or complex, of that shape."""
    x = number_array(name, value)
    if x.ndim != 2:
        raise DimensionError(f"{name} has shape {x.shape}; it must be a matrix.")
    check_shape(name, x.shape, (rows, columns))
    return x
