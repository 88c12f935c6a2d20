"""The sum of the Hankel singular values, differentiable in any framework."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mor.arrays import (
    Array,
    adjoint,
    astype_like,
    conj,
    detach,
    eps,
    is_concrete,
    is_jax,
    namespace,
    real,
)
from mor.checks import check_overflow, check_whole, guarded
from mor.equations.definite import definite_factor
from mor.errors import ReductionError
from mor.systems.arguments import slices
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.units import OWN, from_units, in_units

#: Parts of a batch that are looked at apart where not all of it can go the quick way.
_PARTS = 8

#: Smallest pivot, as a power of round-off, for a gradient: its errors stay near 1e-5.
_GRADIENT_PIVOT = 2 / 3

#: What an unstable system has in place of the sum of its Hankel singular values.
_NO_SUM = "mor.hankel_singular_values(sys, horizon=...) gives those of a finite horizon."


@guarded
def hankel_nuclear_norm(sys: Any, *, beyond: int = 0) -> Array:
    r"""Sum of the Hankel singular values, differentiable under torch and JAX.

    :math:`S = \sum_i \sigma_i = \mathrm{tr}\,(PQ)^{1/2}`, the nuclear norm of the Hankel
    operator: adding it to a training loss makes a layer compress. With `beyond` = r it is
    :math:`S_r = \sum_{i > r} \sigma_i`, half of the error bound of balanced truncation to
    the order r.

    Its derivative needs no factorisation differentiated. With :math:`P = Z_c Z_c^H`,
    :math:`Q = Z_o Z_o^H`, :math:`Z_o^H Z_c = U \Sigma V^H`,
    :math:`T = Z_c V \Sigma^{-1/2}` and :math:`W = Z_o U \Sigma^{-1/2}`,

    .. math:: dS = \tfrac12 \langle W W^H, dP \rangle + \tfrac12 \langle T T^H, dQ \rangle,

    which is pulled back to the parameters in closed form. The result is
    ``S + l(x) - stop_gradient(l(x))`` with ``l(x) = <dS/dx, x>``: right in value and first derivative, in
    any framework. Higher derivatives are not defined by it.

    Parameters
    ----------
    sys : a system whose arrays are NumPy's, torch's (``requires_grad``) or JAX's; a batch
        gives a batch of sums.
    beyond : number of the largest values that are left out.

    Returns
    -------
    array (...), in the caller's framework and precision. Inside, double precision is used
    where the framework and device have it.

    Raises
    ------
    UnstableSystemError
        If a pole is not strictly stable.
    ReductionError
        If `beyond` is not a whole number >= 0.
    QuadraticOutputError
        Of a system with quadratic outputs.
    NotFiniteError
        If the data or the result leave the range of double precision.
    SingularEquationError
        If the rates of A are below what the solver can tell from zero.

    Notes
    -----
    Where the sum has a kink (a Hankel singular value at zero: the system is not minimal; or
    the r-th and the next equal) the gradient is a subgradient; it is finite, and moves
    along no vanishing direction.
    For a sequence of systems of equal sizes stack them as a batch.

    Source: [Watson92] for the derivative of the nuclear norm. Compare [Schwerdtner25].

    Examples
    --------
    >>> import mor
    >>> mor.hankel_nuclear_norm(([[-1.0]], [[2.0]], [[3.0]])).round(6)
    np.float64(3.0)
    """
    beyond = check_whole("beyond", beyond, 0, error=ReductionError)
    system = as_system(sys)
    value, gradient = _in_units(system, beyond)
    total = astype_like(value, system.D)
    if not _differentiates(system):
        return total
    for name, slope in gradient().items():
        x = getattr(system, name)
        linear = _pairing(astype_like(slope, x), x, total.ndim)
        total = total + (linear - detach(linear))
    return total


@guarded
def nuclear_norm_gradient(sys: Any) -> tuple[Array, dict[str, Array]]:
    """``(S, {field: dS/dfield})`` of :func:`hankel_nuclear_norm`, for use without autodiff.

    The gradient of a complex field x is ``dS/dRe x + i dS/dIm x``.

    Parameters
    ----------
    sys : as of :func:`hankel_nuclear_norm`.

    Returns
    -------
    S : array (...)
    gradient : by the names of the fields, arrays of their shapes.

    Raises
    ------
    UnstableSystemError
        If a pole is not strictly stable.
    QuadraticOutputError
        Of a system with quadratic outputs.
    NotFiniteError
        If the data or the result leave the range of double precision.
    SingularEquationError
        If the rates of A are below what the solver can tell from zero.

    Examples
    --------
    >>> from mor.analysis.nuclear_norm import nuclear_norm_gradient
    >>> value, gradient = nuclear_norm_gradient(([[-1.0]], [[2.0]], [[3.0]]))
    >>> float(value.round(6)), gradient["B"].round(6)
    (3.0, array([[1.5]]))
    """
    value, gradient = _in_units(as_system(sys), 0)
    return value, gradient()


def _in_units(system: System, beyond: int) -> tuple[Array, Callable[[], dict[str, Array]]]:
    """The sum and its gradient, by way of units in which neither overflows or underflows."""
    system.require_stable("the sum of Hankel singular values", otherwise=_NO_SUM)
    inner, units = in_units(system.detached())
    value, gradient = _value_and_gradient(inner, beyond)

    def checked() -> dict[str, Array]:
        slopes = gradient()
        check_overflow(None, *slopes.values())
        return slopes

    if units is OWN:
        return value, checked

    def scaled() -> dict[str, Array]:
        """Of S = 2^(i + o) S'(A, 2^-i B, 2^-o C)."""
        slopes, axes = checked(), value.ndim
        powers = dict.fromkeys(slopes, units.gain) | {"B": units.outputs, "C": units.inputs}
        return {
            name: from_units(x, powers[name], x.ndim - axes, f"the gradient in {name}")
            for name, x in slopes.items()
        }

    return from_units(value, units.gain, 0, "the sum of Hankel singular values"), scaled


def _differentiates(system: System) -> bool:
    """NumPy arrays and torch tensors that ask for no gradient spare the derivative."""
    fields = [getattr(system, name, None) for name in ("poles", "blocks", "B", "C")]
    flags = [getattr(x, "requires_grad", None) for x in fields if x is not None]
    if any(flag is not None for flag in flags):
        return any(flags) or not is_concrete(system.D)
    return is_jax(system.D)


def _pairing(gradient: Array, x: Array, batch_axes: int) -> Array:
    """``Re <gradient, x>`` over all but the batch axes."""
    return real(namespace(x).sum(conj(gradient) * x, axis=tuple(range(batch_axes, x.ndim))))


def _value_and_gradient(system: System, beyond: int) -> tuple[Array, Callable[[], dict[str, Array]]]:
    """The sum, and what computes its gradient by field name."""
    P, Q, pull = system.gramians_with_pullback()
    weights = _quick_weights(P, Q, beyond) if is_concrete(P, Q) else None
    if weights is None and is_concrete(P, Q):
        parts = slices(system, _PARTS)
        if len(parts) > 1:
            return _joined([_value_and_gradient(part, beyond) for part in parts])
    value, weight_P, weight_Q = weights or _weights_of_factors(*system.factors(), beyond)
    return value, lambda: pull(weight_P(), weight_Q())


def _joined(
    parts: list[tuple[Array, Callable[[], dict[str, Array]]]],
) -> tuple[Array, Callable[[], dict[str, Array]]]:
    """Values and gradients of the parts of a batch as those of the batch."""
    xp = namespace(parts[0][0])

    def gradient() -> dict[str, Array]:
        slopes = [slope() for _, slope in parts]
        return {name: xp.concat([slope[name] for slope in slopes], axis=0) for name in slopes[0]}

    return xp.concat([value for value, _ in parts], axis=0), gradient


#: The sum S and, when asked for, ``W W^H / 2`` and ``T T^H / 2``.
_Weights = tuple[Array, Callable[[], Array], Callable[[], Array]]


def _quick_weights(P: Array, Q: Array, beyond: int) -> _Weights | None:
    r"""From formed Gramians, where these are definite enough for a gradient; else None.

    With one Cholesky factor, ``P = L L^H`` and ``L^H Q L = V S^2 V^H`` give
    ``T = L V S^{-1/2}`` and ``W = Q L V S^{-3/2}``. That squares the values, so where they
    spread too far both factors are taken.
    """
    Lc = definite_factor(P, smallest_pivot=_GRADIENT_PIVOT)
    if Lc is None:
        return None
    xp = namespace(Lc)
    squares, V = xp.linalg.eigh(adjoint(Lc) @ Q @ Lc)
    if bool(xp.all(squares[..., 0] > eps(Lc) ** 0.5 * squares[..., -1])):
        counted = max(0, squares.shape[-1] - beyond)
        values = xp.sqrt(squares[..., :counted])
        T = Lc @ V[..., :counted]
        return (
            xp.sum(values, axis=-1),
            lambda: _weighted_square(Q @ T, 0.5 / values**3),
            lambda: _weighted_square(T, 0.5 / values),
        )
    Lo = definite_factor(Q, smallest_pivot=_GRADIENT_PIVOT)
    return None if Lo is None else _weights_of_factors(Lc, Lo, beyond)


def _weights_of_factors(Zc: Array, Zo: Array, beyond: int) -> _Weights:
    """From Gramian factors; Hankel singular values in the noise get no weight."""
    xp = namespace(Zc)
    product = adjoint(Zo) @ Zc
    if 0 in product.shape[-2:]:
        nothing = Zc[..., :0] @ adjoint(Zc[..., :0])
        return real(xp.sum(nothing, axis=(-2, -1))), lambda: nothing, lambda: nothing
    U, values, Vh = xp.linalg.svd(product, full_matrices=False)
    noise = Zc.shape[-2] * eps(Zc) * xp.max(values, axis=-1, keepdims=True)
    values = values[..., beyond:]
    kept = values > noise
    scale = xp.where(kept, 0.5 / xp.where(kept, values, xp.ones_like(values)), xp.zeros_like(values))
    W, T = Zo @ U[..., beyond:], Zc @ adjoint(Vh[..., beyond:, :])
    total = xp.sum(values, axis=-1)
    return total, lambda: _weighted_square(W, scale), lambda: _weighted_square(T, scale)


def _weighted_square(X: Array, weights: Array) -> Array:
    return (X * weights[..., None, :]) @ adjoint(X)
