r"""Diagonal A: the Gramian of a modal system is a Cauchy-like matrix, known in closed form.

For ``z' = diag(poles) z + B u`` with complex poles, two Gramians of the complex state

.. math:: E_1 = \sum z z^H = (B B^H) \circ g(\lambda, \bar\lambda), \qquad
          E_2 = \sum z z^T = (B B^T) \circ g(\lambda, \lambda),

with ``g(a, b) = 1/(1 - ab)`` in discrete and ``-1/(a + b)`` in continuous time, hold the
Gramian of the real state ``[Re z; Im z]``, which is what a system with a real output has:

.. math:: P = \tfrac12 \begin{bmatrix} \Re(E_1+E_2) & \Im(E_2-E_1) \\
                                       \Im(E_1+E_2) & \Re(E_1-E_2) \end{bmatrix}.

No equation is solved. `B` real and `poles` real mean a real state of half that size.
Observability is the same routine on the dual system ``(conj(poles), C^H)``.

All functions follow the array API standard; leading axes are a batch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from mor.arrays import (
    Array,
    complex_from,
    conj,
    is_complex,
    namespace,
)
from mor.equations.boundary import one_minus_abs2


def denominators(left: Array, right: Array, *, dt: float, distance: Array | None = None) -> Array:
    r"""``1 - left_i conj(right_j)`` (discrete) or ``-(left_i + conj(right_j))`` (continuous).

    Discrete: ``(1 - |l_i|^2) + l_i conj(l_i - r_j)``, which never cancels more than a bit;
    `distance` is the first term, if it is at hand. Shapes ``(..., k)`` and ``(..., j)``
    give ``(..., k, j)``.
    """
    rows, columns = left[..., :, None], conj(right)[..., None, :]
    if dt == 0:
        return -(rows + columns)
    first = one_minus_abs2(left) if distance is None else distance
    return first[..., :, None] + rows * (conj(rows) - columns)


def kernel(
    left: Array, right: Array, *, dt: float, horizon: float | None = None, distance: Array | None = None
) -> Array:
    r"""``g_ij = sum_t l_i^t conj(r_j)^t`` over ``0 <= t < horizon``, or the integral of
    ``exp((l_i + conj(r_j)) t)`` over ``[0, horizon]``; ``horizon=None`` is infinite.

    A finite horizon asks for no stability.
    """
    if horizon is None:
        return 1 / denominators(left, right, dt=dt, distance=distance)
    if dt == 0:
        return exponential_integral(-denominators(left, right, dt=dt), horizon)
    return _geometric_sum(left[..., :, None] * conj(right)[..., None, :], int(horizon))


def _geometric_sum(z: Array, terms: int) -> Array:
    """``1 + z + ... + z^(terms-1)`` by doubling: no quotient, so ``z = 1`` is no special case."""
    xp = namespace(z)
    total, power = xp.zeros_like(z), xp.ones_like(z)
    block, step = xp.ones_like(z), z
    while terms:
        if terms & 1:
            total, power = total + power * block, power * step
        block, step, terms = block + step * block, step * step, terms >> 1
    return total


def exponential_integral(s: Array, tau: float | Array) -> Array:
    """``(exp(s tau) - 1) / s`` without cancellation, ``tau`` at ``s = 0``."""
    xp = namespace(s)
    if is_complex(s):
        a, b = xp.real(s) * tau, xp.imag(s) * tau
        minus_one = xp.expm1(a) * xp.cos(b) - 2 * xp.sin(b / 2) ** 2
        numerator = complex_from(minus_one, xp.exp(a) * xp.sin(b))
    else:
        numerator = xp.expm1(s * tau)
    zero = s == 0
    quotient = numerator / xp.where(zero, xp.ones_like(s), s)
    return xp.where(zero, tau + xp.zeros_like(s), quotient)


@dataclass(frozen=True)
class Kernels:
    """``g(poles, conj(poles))`` and, for complex poles, ``g(poles, poles)``, (..., k, k)."""

    hermitian: Array
    symmetric: Array | None

    def conj(self) -> Kernels:
        """The kernels of the conjugate poles, which are those of the dual system."""
        return Kernels(conj(self.hermitian), None if self.symmetric is None else conj(self.symmetric))


def kernels(poles: Array, *, dt: float, horizon: float | None = None) -> Kernels:
    """What the Gramians of all systems with these poles have in common."""
    distance = one_minus_abs2(poles) if dt and horizon is None else None
    with_poles = partial(kernel, poles, dt=dt, horizon=horizon, distance=distance)
    return Kernels(with_poles(poles), with_poles(conj(poles)) if is_complex(poles) else None)


@dataclass(frozen=True)
class CauchyGramian:
    """A Gramian of the real map, with the parts that its derivative needs again.

    Attributes
    ----------
    rows : array (..., n, m), B in the coordinates ``[Re; Im]``; n = k for real data.
    E1, E2 : halves of the two Gramians of the complex state; of real data E1 is P, E2 None.
    """

    poles: Array
    rows: Array
    dt: float
    kernels: Kernels
    E1: Array
    E2: Array | None

    @property
    def matrix(self) -> Array:
        """P, (..., n, n): the real coordinates of ``[E1 + E2, i (E1 - E2)]``."""
        if self.E2 is None:
            return self.E1
        return _real_square(self.E1 + self.E2, self.E1 - self.E2)

    def adjoint(self, weight: Array) -> tuple[Array, Array]:
        r"""Gradient of ``<weight, P>`` with respect to ``(poles, B)``, `weight` symmetric.

        The gradient of a complex parameter x is ``dJ/dRe x + i dJ/dIm x`` (torch's
        convention). Infinite horizon.

        P is linear in ``G = rows rows^T``, so ``<weight, P> = <H, G> / 2`` with a symmetric
        H, and the gradient with respect to the rows is ``H rows``: one real product.
        """
        g1, g2 = self.kernels.hermitian, self.kernels.symmetric
        if self.E2 is None or g2 is None:
            return 2 * self._to_poles(weight * self.E1 * g1, self.poles), 2 * (weight * g1) @ self.rows
        first, second = _complex_square(weight)
        L1, L2 = conj(first + second) * g1, conj(first - second) * g2
        H = _real_square(conj(L1 + L2), conj(L1 - L2))
        to_poles = self._to_poles(L1 * self.E1, conj(self.poles)) + self._to_poles(L2 * self.E2, self.poles)
        return 2 * conj(to_poles), complex_rows(H @ self.rows)

    def _to_poles(self, slopes: Array, partners: Array) -> Array:
        """From slopes with respect to the denominators to those with respect to the poles."""
        if not self.dt:
            return namespace(slopes).sum(slopes, axis=-1)
        return (slopes @ partners[..., :, None])[..., 0]


def gramian(poles: Array, B: Array, *, dt: float, kernels: Kernels) -> CauchyGramian:
    """The Gramian of ``z' = diag(poles) z + B u`` in the real map, in closed form.

    Parameters
    ----------
    poles : array (..., k), complex or real.
    B : array (..., k, m), of the same kind.
    dt : 0.0 for continuous time, else discrete.
    kernels : of the same poles, from :func:`kernels`, which knows the horizon.

    Notes
    -----
    Cost ``4 k^2 m`` flops: for a diagonal A the Stein and Lyapunov equations are solved entry by
    entry, in the real coordinates ``[Re z; Im z]``.
    """
    rows = real_rows(B)
    if kernels.symmetric is None:
        G = rows @ namespace(rows).matrix_transpose(rows)
        return CauchyGramian(poles, rows, dt, kernels, G * kernels.hermitian, None)
    # One real symmetric product holds B B^H and B B^T, at a quarter of their cost.
    halved = rows * 0.5**0.5
    first, second = _complex_square(halved @ namespace(halved).matrix_transpose(halved))
    E1, E2 = (first + second) * kernels.hermitian, (first - second) * kernels.symmetric
    return CauchyGramian(poles, rows, dt, kernels, E1, E2)


def real_rows(B: Array) -> Array:
    """B in the real coordinates ``[Re; Im]``, (..., 2k, m); real B as it is."""
    if not is_complex(B):
        return B
    xp = namespace(B)
    return xp.concat([xp.real(B), xp.imag(B)], axis=-2)


def complex_rows(rows: Array) -> Array:
    """Complex (..., k, m) from the real coordinates ``[Re; Im]``."""
    k = rows.shape[-2] // 2
    return complex_from(rows[..., :k, :], rows[..., k:, :])


def _real_square(first: Array, second: Array) -> Array:
    """``[first, i second]``, (..., k, 2k), in real coordinates, (..., 2k, 2k)."""
    return real_rows(namespace(first).concat([first, 1j * second], axis=-1))


def _complex_square(X: Array) -> tuple[Array, Array]:
    """Left half and ``-i`` times the right half of a real square in complex coordinates."""
    Z = complex_rows(X)
    k = Z.shape[-2]
    return Z[..., :, :k], -1j * Z[..., :, k:]
