"""Random systems and arguments, absurd ones among them, for the fuzzer of calls."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np

import mor
from mor.errors import MorError
from mor.reduction.balance import balance

Rng = np.random.Generator


def pick(rng: Rng, *choices: Any) -> Any:
    """One of the choices."""
    return choices[int(rng.integers(len(choices)))]


def absurd(rng: Rng) -> Any:
    """Something that hardly any argument can be."""
    n = int(rng.integers(1, 4))
    number = pick(rng, np.nan, np.inf, -np.inf, -1, 0, 1, -3.5, 1e300, 1e-300, 10**400, 1j, True)
    thing = pick(rng, None, "text", "", b"x", object(), [], {}, (), set(), len, {"a": 1.0}, [None], ["a"])
    odd = pick(rng, [[1, 2], [3]], range(3), Decimal("0.5"), Fraction(1, 3), np.ma.array([1.0], mask=[True]))
    array = pick(rng, np.array(0.5), np.array([np.nan]), np.zeros((0, 0)), np.zeros((2, 0, 3)), np.ones(n))
    matrix = pick(rng, np.ones((n, n)), 1j * np.ones((n, 2)), np.ones((n, n), dtype=bool))
    words = pick(rng, np.array(["a"]), np.array([None], dtype=object), np.full((n, n), 10**30, dtype=object))
    rare = pick(rng, np.array(["2020-01-01"], dtype="datetime64[D]"), np.float32(0.5), np.ma.array(np.eye(2)))
    return pick(rng, number, number, thing, thing, odd, array, matrix, words, rare)


def normal(rng: Rng, shape: tuple[int, ...], is_complex: bool) -> np.ndarray:
    """Gaussian entries."""
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if is_complex else x


def magnitude(rng: Rng) -> float:
    """1, mostly, or any order of magnitude that double precision has."""
    return 1.0 if rng.random() < 0.75 else 10.0 ** rng.uniform(-300, 300)


def spectrum(rng: Rng, shape: tuple[int, ...], dt: float) -> np.ndarray:
    """Poles of one character: stable, marginal, unstable, stiff, repeated, at zero."""
    kind = pick(rng, *["stable"] * 8, "marginal", "unstable", "stiff", "repeated", "zero")
    margin = {"stable": 10.0 ** rng.uniform(-3, 0, shape), "stiff": 10.0 ** rng.uniform(-16, 0, shape)}.get(
        kind, np.full(shape, 0.3)
    )
    angle = rng.uniform(0, np.pi, shape) * (rng.random() < 0.8)
    if kind == "stiff" and not dt:
        margin = 10.0 ** rng.uniform(-8, 8, shape)
    if kind in ("marginal", "unstable"):
        odd = rng.random(shape) < 0.5
        margin = np.where(odd, 0.0 if kind == "marginal" else -0.2, margin)
    poles = (1 - margin) * np.exp(1j * angle) if dt else -margin + 2j * angle
    if kind == "repeated" and shape[-1]:
        poles = np.broadcast_to(poles[..., :1], shape).copy()
    return 0 * poles if kind == "zero" else poles


def sizes(rng: Rng) -> tuple[int, int, int]:
    """States, inputs and outputs, some of them none."""
    n = int(pick(rng, 0, 1, 2, 3, 4, 6, 6, 9, 24))
    m, p = (int(pick(rng, 0, 1, 1, 1, 2, 3)) for _ in range(2))
    return n, m, p


def state_matrix(rng: Rng, n: int, dt: float, is_complex: bool) -> np.ndarray:
    """Dense, with the poles of :func:`spectrum` in coordinates of some kind."""
    poles = spectrum(rng, (n,), dt)
    A = np.diag(poles) if is_complex else np.diag(poles.real)
    if not is_complex:
        for i in range(0, n - 1, 2):
            A[i + 1, i + 1] = A[i, i]
            A[i, i + 1], A[i + 1, i] = poles[i].imag, -poles[i].imag
    kind = pick(rng, "orthogonal", "general", "triangular", "as it is", "units")
    if not n or kind == "as it is":
        return A
    if kind == "triangular":
        return A + np.triu(normal(rng, (n, n), is_complex), 1)
    T = normal(rng, (n, n), is_complex)
    if kind == "orthogonal":
        T = np.linalg.qr(T)[0]
    if kind == "units":
        T = np.diag(10.0 ** rng.uniform(-8, 8, n))
    return T @ A @ np.linalg.inv(T)


def signals(
    rng: Rng, k: int, m: int, p: int, batch: tuple[int, ...], is_complex: bool
) -> tuple[Any, Any, Any]:
    """B, C and D (or None), of any size, with zero rows at times."""
    B, C = normal(rng, (*batch, k, m), is_complex), normal(rng, (*batch, p, k), is_complex)
    if rng.random() < 0.2:
        B, C = B * (rng.random((k, 1)) < 0.6), C * (rng.random(k) < 0.6)
    D = normal(rng, (*batch, p, m), False) * magnitude(rng) * (rng.random() < 0.7)
    return B * magnitude(rng), C * magnitude(rng), pick(rng, None, D)


def numpy_system(rng: Rng, kind: str | None = None) -> Any:
    """A system of any kind on NumPy; a MorError where the draw is none."""
    kind = kind or pick(rng, "LTI", "LTI", "Modal", "Modal", "BlockDiagonal", "LQO", "tuple", "Reduction")
    n, m, p = sizes(rng)
    dt = float(pick(rng, 0.0, 0.0, 1.0, 0.1))
    batch = pick(rng, (), (), (), (2,), (3, 1), (0,), (2, 0)) if kind in ("Modal", "BlockDiagonal") else ()
    is_complex = bool(rng.random() < 0.3)
    if kind == "Modal":
        k = min(n, 8)
        poles = spectrum(rng, (*batch, k), dt) * magnitude_of_rates(rng)
        real = rng.random() < 0.2
        return mor.Modal(poles.real if real else poles, *signals(rng, k, m, p, batch, not real), dt=dt)
    if kind == "BlockDiagonal":
        s, q = int(pick(rng, 0, 1, 2, 3)), min(n, 4)
        blocks = np.zeros((*batch, q, s, s))
        for i in np.ndindex(blocks.shape[:-2]):
            blocks[i] = state_matrix(rng, s, dt, False)
        return mor.BlockDiagonal(blocks, *signals(rng, q * s, m, p, batch, False), dt=dt)
    if kind == "LQO":
        base = numpy_system(rng, pick(rng, "LTI", "Modal"))
        states = base.order if isinstance(base, mor.LTI) else 2 * base.n_modes
        M = normal(rng, (base.n_outputs, states, states), False) * magnitude(rng)
        return mor.LQO(base, M)
    if kind == "Reduction":
        return mor.balanced_truncation(numpy_system(rng, pick(rng, "LTI", "Modal", "LQO")))
    A = state_matrix(rng, n, dt, is_complex) * magnitude_of_rates(rng)
    B, C, D = signals(rng, n, m, p, (), is_complex)
    if kind == "tuple":
        return A, B, C
    E = pick(rng, None, None, np.eye(n), np.eye(n) * magnitude(rng), normal(rng, (n, n), is_complex))
    return mor.LTI(A, B, C, D, E, dt=dt)


def magnitude_of_rates(rng: Rng) -> float:
    """Of A: as of B, more rarely."""
    return magnitude(rng) if rng.random() < 0.2 else 1.0


def in_framework(rng: Rng, system: Any, frameworks: dict[str, Any]) -> Any:
    """The system with its arrays in another framework, or in single precision, at times."""
    if not isinstance(system, mor.Modal | mor.BlockDiagonal) or rng.random() < 0.5:
        return system
    name = pick(rng, "float32", *frameworks)
    # JAX compiles for each new shape: enough of it costs most of the time.
    if name == "jax" and rng.random() < 0.85:
        return system
    single = name == "float32" or rng.random() < 0.3
    fields = ["poles" if isinstance(system, mor.Modal) else "blocks", "B", "C", "D"]

    def converted(x: np.ndarray) -> Any:
        if single:
            with np.errstate(all="ignore"):
                x = x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)
        return x if name == "float32" else frameworks[name](x)

    return type(system)(*(converted(getattr(system, field)) for field in fields), dt=system.dt)


def system(rng: Rng, frameworks: dict[str, Any]) -> Any:
    """A system of any kind and framework."""
    for _ in range(20):
        try:
            return in_framework(rng, numpy_system(rng), frameworks)
        except MorError:
            continue
    return mor.LTI([[-1.0]], [[1.0]], [[1.0]])


def family(rng: Rng, frameworks: dict[str, Any]) -> Any:
    """The balancing of a system, or a system where it has none."""
    found = system(rng, frameworks)
    try:
        return balance(found)
    except MorError:
        return found
