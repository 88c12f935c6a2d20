"""Diagonal state matrices: closed forms, and no equation to be solved; array API."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np

from mor.arrays import (
    Array,
    adjoint,
    beside,
    complex_dtype,
    conj,
    eps,
    is_complex,
    is_concrete,
    namespace,
    real,
    to_complex,
    to_numpy,
)
from mor.equations import cauchy
from mor.equations.band import Band, band_kernels, factor_in_band
from mor.equations.boundary import boundary_distance, dc_point, margins
from mor.equations.cauchy_factor import factor as pivoted_factor
from mor.equations.columns import solve_by_columns
from mor.equations.definite import definite_factor
from mor.equations.doubling import Evolution, lyapunov_horizon_factor, stein_factor
from mor.equations.holds import Hold, scalar_holds
from mor.equations.schur import SchurForm
from mor.errors import TimeStepError
from mor.operators.base import GramianPair, Operator

#: Inputs from which P may be well conditioned, so that forming it is worth a try.
_MANY_INPUTS = 16

#: Modes an input above which pivot by pivot is faster than doubling (measured).
_SPARSE_INPUTS = 4


@dataclass(frozen=True, eq=False)
class ExactPoles:
    """Poles that are data, so known exactly."""

    poles: Array
    dt: float

    @property
    def margins(self) -> Array:
        return margins(self.poles, self.dt)

    @property
    def pole_errors(self) -> float:
        return 0.0


@dataclass(frozen=True, eq=False)
class DiagonalOperator(Operator, Evolution):
    """``[Re z; Im z] -> [Re(pole z); Im(pole z)]``, poles (..., k); ``z -> pole z`` of real poles."""

    poles: Array
    dt: float = 0.0

    @property
    def spectrum(self) -> ExactPoles:
        return ExactPoles(self.poles, self.dt)

    @cached_property
    def is_complex(self) -> bool:
        """Whether a mode has two real states."""
        return is_complex(self.poles)

    def modes_of_rows(self, B: Array) -> Array:
        """B (..., k, m), complex of complex modes, from its rows (..., n, m) in real coordinates."""
        return cauchy.complex_rows(B) if self.is_complex else B

    def modes_of_columns(self, C: Array) -> Array:
        """C (..., p, k) with the output ``Re(C z)`` from its columns (..., p, n) in real coordinates."""
        k = self.poles.shape[-1]
        return C[..., :k] - 1j * C[..., k:] if self.is_complex else C

    def apply(self, Z: Array) -> Array:
        if not self.is_complex:
            return self.poles[..., :, None] * Z
        xp = namespace(Z)
        return _product(xp.real(self.poles), xp.imag(self.poles), Z, -1)

    def apply_absolute(self, Z: Array) -> Array:
        xp = namespace(Z)
        if not self.is_complex:
            return xp.abs(self.poles)[..., :, None] * Z
        return _product(xp.abs(xp.real(self.poles)), xp.abs(xp.imag(self.poles)), Z, 1)

    def square(self) -> Self:
        """``A^2``."""
        return type(self)(self.poles * self.poles, self.dt)

    def adjoint(self) -> DiagonalOperator:
        return DiagonalOperator(conj(self.poles), self.dt)

    def solve(self, a: complex, c: complex | Array, X: Array, *, adjoint: bool = False) -> Array:
        if a == 0:
            return X if np.all(c == 1) else X / (np.conj(c) if adjoint else c)
        if adjoint:
            return self.adjoint().solve(np.conj(a), np.conj(c), X)
        if not self.is_complex:
            return X / (a * self.poles + c)[..., :, None]
        xp, k = namespace(X), self.poles.shape[-1]
        # Both modes of a pair, as the shift is no real number.
        re, im = X[..., :k, :], X[..., k:, :]
        upper = (re + 1j * im) / (a * self.poles + c)[..., :, None]
        lower = (re - 1j * im) / (a * conj(self.poles) + c)[..., :, None]
        return xp.concat([(upper + lower) / 2, (upper - lower) / 2j], axis=-2)

    def transfer(self, points: Array, B: Array, C: Array) -> Array:
        """At points (N,), or (..., N) of each matrix of a batch its own."""
        points = namespace(B).astype(beside(points, B), complex_dtype(B))
        poles, B, C = (to_complex(x) for x in (self.poles, self.modes_of_rows(B), self.modes_of_columns(C)))
        value = _half_of_transfer(points, poles, B, C)
        if self.is_complex:
            value = (value + _half_of_transfer(points, conj(poles), conj(B), conj(C))) / 2
        return value

    def factors(
        self, B: Array | None, C: Array | None, *, horizon: float | None = None, band: Band | None = None
    ) -> tuple[Any, Any]:
        """By whichever way is right for the system (:func:`modal_factor`); with one input and one output both
        from one factorisation."""
        if band is not None:
            return self._in_band(B, C, band)
        if B is not None and C is not None and B.shape[-1] == C.shape[-2] == 1:
            both = self._reciprocal(B, C, horizon)
            if both is not None:
                return both
        Zc = Zo = None
        if B is not None:
            Zc = modal_factor(self.poles, self.modes_of_rows(B), dt=self.dt, horizon=horizon)
        if C is not None:
            turned = self.adjoint()
            rows = turned.modes_of_rows(namespace(C).matrix_transpose(C))
            Zo = modal_factor(turned.poles, rows, dt=self.dt, horizon=horizon)
        return Zc, Zo

    def _reciprocal(self, B: Array, C: Array, horizon: float | None) -> tuple[Array, Array] | None:
        r"""Both factors of one input and output; None if there are no such units.

        With :math:`c_i = e_i b_i` and :math:`|e_i| = 1`, to which the units t of the modes can be brought,
        the dual has the conjugates of the same data, so :math:`Z_o` is :math:`\overline{e Z_c}` row by row.
        """
        if not is_concrete(self.poles, B, C):
            return None
        xp, B = namespace(B), self.modes_of_rows(B)
        b, c = B[..., :, 0], self.modes_of_columns(C)[..., 0, :]
        if not bool(xp.all((b != 0) & (c != 0))):
            return None
        # Roots first: neither a product nor a quotient of both may overflow.
        size = (xp.sqrt(xp.abs(c)) / xp.sqrt(xp.abs(b)))[..., None]
        phase = ((c / xp.abs(c)) / (b / xp.abs(b)))[..., None]
        Z = modal_factor(self.poles, B * size, dt=self.dt, horizon=horizon)
        if not self.is_complex:
            return Z / size, Z * (size * phase)
        Z = cauchy.complex_rows(Z)
        return cauchy.real_rows(Z / size), cauchy.real_rows(conj(Z * (size * phase)))

    def _in_band(self, B: Array, C: Array, band: Band) -> tuple[np.ndarray, np.ndarray]:
        """By quadrature, each of a batch, since a factor of the closed form would lose half the digits."""
        poles, rows, columns = (_double(x) for x in (self.poles, B, C))
        Zc, Zo = (np.zeros((*rows.shape[:-1], rows.shape[-2])) for _ in range(2))
        for i in np.ndindex(poles.shape[:-1]):
            one = DiagonalOperator(poles[i], self.dt)
            Zc[i], Zo[i] = one._band_factor(rows[i], band), one.adjoint()._band_factor(columns[i].T, band)
        return Zc, Zo

    def _band_factor(self, B: np.ndarray, band: Band) -> np.ndarray:
        """Zc of one system on NumPy, as many columns as rows."""
        n = len(B)

        def states(points: np.ndarray) -> np.ndarray:
            return np.moveaxis(self.solve(-1, points[:, None], B), 0, 1)

        poles_of_both = np.concatenate([self.poles, np.conj(self.poles)])
        Z = factor_in_band(states, B.shape, poles_of_both, band, self.dt, is_real=True)
        return np.pad(Z, [(0, 0), (0, n - Z.shape[1])])

    def gramians(
        self, B: Array, C: Array, *, horizon: float | None = None, band: Band | None = None
    ) -> GramianPair:
        """In closed form, in a band of frequencies too (:mod:`mor.equations.cauchy`)."""
        if band is None:
            kernels = cauchy.kernels(self.poles, dt=self.dt, horizon=horizon)
        else:
            kernels = band_kernels(self.poles, band, self.dt)
        P = cauchy.gramian(self.poles, B, dt=self.dt, kernels=kernels)
        rows = namespace(C).matrix_transpose(C)
        Q = cauchy.gramian(conj(self.poles), rows, dt=self.dt, kernels=kernels.conj())

        def pull(weight_P: Array, weight_Q: Array) -> dict[str, Array]:
            to_poles, to_B = P.adjoint(weight_P)
            to_dual_poles, to_dual_B = Q.adjoint(weight_Q)
            return {"poles": to_poles + conj(to_dual_poles), "B": to_B, "C": adjoint(to_dual_B)}

        return GramianPair(P.matrix, Q.matrix, pull)

    def inverted(self, B: Array, C: Array) -> tuple[DiagonalOperator, Array, Array]:
        """Mode by mode: ``c + 1/(pole - c)``."""
        c = dc_point(self.dt)
        distance = self.poles - c
        if is_concrete(distance) and bool(namespace(B).any(distance == 0)):
            raise np.linalg.LinAlgError
        inverse = 1 / distance
        B = self.modes_of_rows(B) * inverse[..., :, None]
        C = self.modes_of_columns(C) * inverse[..., None, :]
        return DiagonalOperator(c + inverse, self.dt), cauchy.real_rows(B), -real_columns(C)

    def sampled(self, step: float, B: Array, hold: Hold) -> tuple[DiagonalOperator, Array, Array]:
        """``exp(pole step)`` and elementwise functions of it (:mod:`mor.equations.holds`)."""
        power, first, late = scalar_holds(self.poles, step, hold)
        B = self.modes_of_rows(B)
        first, late = (cauchy.real_rows(B * x[..., :, None]) for x in (first, late))
        return DiagonalOperator(power, step), first, late

    def joined(self, other: Operator) -> DiagonalOperator | None:
        if not isinstance(other, DiagonalOperator):
            return None
        return DiagonalOperator(namespace(self.poles).concat([self.poles, other.poles], axis=-1), self.dt)

    def cross_solution(self, form: SchurForm, Q: np.ndarray) -> np.ndarray:
        """By columns, ``8 k r^2`` flops: no equation is solved."""
        poles = to_numpy(self.poles)

        def shifted(a: complex, c: complex, b: np.ndarray) -> np.ndarray:
            return b / (a * poles + c)

        def by_columns(Q: np.ndarray) -> np.ndarray:
            return solve_by_columns(shifted, lambda Y: poles[:, None] * Y, form, Q)

        if not self.is_complex:
            return np.real(by_columns(Q))
        return to_numpy(cauchy.real_rows(by_columns(to_numpy(cauchy.complex_rows(Q)))))

    def inner(
        self, B: Array, C: Array, other: tuple[DiagonalOperator, Array, Array], horizon: float | None
    ) -> Array:
        r"""The H2 inner product with another system, ``k_a k_b (m + p)`` flops: with the kernel g of
        :mod:`mor.equations.cauchy`

        .. math:: \tfrac12 \Re \sum_{ij} (B_aB_b^H)_{ij} (C_a^T\bar C_b)_{ij}\, g(\lambda_i, \bar\mu_j)
                  + (B_aB_b^T)_{ij} (C_a^TC_b)_{ij}\, g(\lambda_i, \mu_j).
        """
        xp, (poles, B, C) = namespace(B), self._complex(B, C)
        theirs, total = other[0]._complex(*other[1:]), 0.0
        for pole, b, c in (theirs, tuple(conj(x) for x in theirs)):
            weights = (B @ adjoint(b)) * (xp.matrix_transpose(C) @ conj(c))
            terms = weights * cauchy.kernel(poles, pole, dt=self.dt, horizon=horizon)
            total = total + real(xp.sum(terms, axis=(-2, -1))) / 2
        return total

    def _complex(self, B: Array, C: Array) -> tuple[Array, Array, Array]:
        """Poles, B and C by modes, all complex."""
        arrays = self.poles, self.modes_of_rows(B), self.modes_of_columns(C)
        return tuple(to_complex(x) for x in arrays)  # pyright: ignore[reportReturnType]


def real_columns(C: Array) -> Array:
    """C (..., p, k) of the output ``Re(C z)`` in the coordinates ``[Re z; Im z]``, (..., p, 2k)."""
    if not is_complex(C):
        return C
    xp = namespace(C)
    return xp.concat([xp.real(C), -xp.imag(C)], axis=-1)


def _product(a: Array, b: Array, Z: Array, sign: int) -> Array:
    """``[[a, sign b], [b, a]] Z`` for diagonals a and b (..., k)."""
    k, a, b = a.shape[-1], a[..., :, None], b[..., :, None]
    re, im = Z[..., :k, :], Z[..., k:, :]
    return namespace(Z).concat([a * re + sign * (b * im), b * re + a * im], axis=-2)


def _half_of_transfer(points: Array, poles: Array, B: Array, C: Array) -> Array:
    """``C diag(1/(s - poles)) B`` (..., N, p, m)."""
    inverse = 1 / (points[..., :, None] - poles[..., None, :])
    return (C[..., None, :, :] * inverse[..., :, None, :]) @ B[..., None, :, :]


def _double(x: Array) -> np.ndarray:
    x = to_numpy(x)
    return x.astype(np.result_type(x, np.float64), copy=False)


def modal_factor(poles: Array, B: Array, *, dt: float, horizon: float | None = None) -> Array:
    """Z, real, with ``P = Z Z^T`` the Gramian of ``z' = diag(poles) z + B u`` in the real map.

    P is formed and factored where it is safely definite, else never formed: pivot by pivot
    with few inputs, by doubling with many. With few inputs P is as good as never safely
    definite, because its eigenvalues decay with the number of states an input.

    Parameters
    ----------
    poles : array (..., k), strictly stable unless `horizon` is given.
    B : array (..., k, m).

    Returns
    -------
    Z : array (..., n, r), n = 2k in the coordinates ``[Re z; Im z]`` (k for real data).
    """
    if not is_concrete(poles, B):
        if horizon is None:
            return pivoted_factor(poles, B, dt=dt)
        return _doubled(poles, B, dt, horizon)
    units = _row_units(B)
    Z = _factor(poles, B / units, dt, horizon)
    return Z * (namespace(Z).concat([units, units], axis=-2) if is_complex(B) else units)


def _row_units(B: Array) -> Array:
    """Powers of two, in which every row of B is about one: decisions on size then mind no units."""
    xp = namespace(B)
    length = xp.linalg.vector_norm(B, axis=-1, keepdims=True)
    exponent = xp.floor(xp.log2(xp.where(length > 0, length, xp.ones_like(length))))
    return xp.pow(xp.full_like(exponent, 2.0), exponent)


def _factor(poles: Array, B: Array, dt: float, horizon: float | None) -> Array:
    many = B.shape[-1] >= _MANY_INPUTS
    if many or horizon is not None:
        kernels = cauchy.kernels(poles, dt=dt, horizon=horizon)
        quick = definite_factor(cauchy.gramian(poles, B, dt=dt, kernels=kernels).matrix)
        if quick is not None:
            return quick
    if horizon is not None:
        return _doubled(poles, B, dt, horizon)
    B = _independent_inputs(poles, B, dt) if many else B
    if not many or _SPARSE_INPUTS * B.shape[-1] <= B.shape[-2]:
        return pivoted_factor(poles, B, dt=dt)
    return _doubled(poles, B, dt, None)


def _independent_inputs(poles: Array, B: Array, dt: float) -> Array:
    """B with ``B B^T`` the same to round-off, in as few columns as its rank.

    Rows are weighted by how much their modes store, so that what is dropped is round-off
    of the Gramian's factor and not only of B.
    """
    xp = namespace(B)
    rows = cauchy.real_rows(B)
    stored = boundary_distance(poles, dt) ** 0.5
    weights = (xp.concat([stored, stored], axis=-1) if is_complex(B) else stored)[..., :, None]
    U, values, _ = xp.linalg.svd(rows / weights, full_matrices=False)
    noise = eps(B) * rows.shape[-2] * xp.max(values, axis=-1, keepdims=True)
    rank = int(xp.max(xp.sum(xp.astype(values > noise, xp.int64), axis=-1)))
    rows = U[..., :, :rank] * values[..., None, :rank] * weights
    return cauchy.complex_rows(rows) if is_complex(B) else rows


def _doubled(poles: Array, B: Array, dt: float, horizon: float | None) -> Array:
    xp = namespace(B)
    if dt:
        steps = None if horizon is None else int(horizon)
        return stein_factor(DiagonalOperator(poles), cauchy.real_rows(B), horizon=steps)
    if poles.shape[-1] == 0:
        return cauchy.real_rows(B)
    if not is_concrete(poles, B):
        raise TimeStepError(
            "a continuous finite horizon cannot be traced (jit, vmap): the number of doublings depends "
            "on the poles. gramians() can; for factors call this outside the transform."
        )
    moduli = xp.abs(poles)
    if horizon is None:
        # The Cayley transform with the geometric mean of the extreme moduli as its shift.
        shift = float((xp.min(moduli) * xp.max(moduli)) ** 0.5)
        scale = (2.0 * shift) ** 0.5 / (shift - poles)
        evolution = DiagonalOperator((shift + poles) / (shift - poles))
        return stein_factor(evolution, cauchy.real_rows(B * scale[..., :, None]))
    return lyapunov_horizon_factor(
        lambda t: DiagonalOperator(xp.exp(poles * t)), float(xp.max(moduli)), cauchy.real_rows(B), horizon
    )
