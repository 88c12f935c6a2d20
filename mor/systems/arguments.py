"""What kinds of systems ask of their arguments: D, points, counts of samples, indices of a batch."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mor.arrays import (
    Array,
    device_kwargs,
    is_array,
    is_complex,
    is_concrete,
    is_numpy,
    namespace,
    real,
    real_dtype,
)
from mor.checks import check_finite, check_shape, check_whole, common_arrays, numbers, shown
from mor.errors import (
    ArgumentTypeError,
    BatchIndexError,
    DimensionError,
    ReductionError,
    TimeStepError,
    keyword,
)

if TYPE_CHECKING:
    from mor.systems.base import System
    from mor.systems.held import Held


def check_feedthrough(D: Any, B: Array, batch: tuple[int, ...], p: int) -> Array:
    """D as a real array (*batch, p, m) like B; None and a number 0 are a D of zeros."""
    m = B.shape[-1]
    if D is None or is_zero(D):
        return namespace(B).zeros((*batch, p, m), dtype=real_dtype(B), **device_kwargs(B))
    D = common_arrays(D=D, B=B)[0]
    check_shape("D", D.shape, (p, m))
    if is_complex(D) and is_concrete(D) and bool(namespace(D).any(namespace(D).imag(D) != 0)):
        raise DimensionError("D is complex: signals are real, and so is what leads from u to y at once.")
    try:
        D = namespace(D).broadcast_to(real(D), (*batch, p, m))
    except (ValueError, RuntimeError, TypeError):
        raise DimensionError(
            f"D has shape {tuple(D.shape)}; it must be ({p}, {m}) or {(*batch, p, m)}.", argument="D"
        ) from None
    return namespace(D).astype(D, real_dtype(B), copy=False)


def is_zero(D: Any) -> bool:
    """Whether `D` is the number 0, which stands for a matrix of zeros."""
    return isinstance(D, int | float | complex | np.number | np.ndarray) and np.ndim(D) == 0 and bool(D == 0)


def check_points(s: Any) -> Array:
    """Points of the complex plane, a number or (N,), finite."""
    points = s if is_array(s) and not is_numpy(s) else numbers("s", s)
    if points.ndim > 1:
        raise DimensionError(
            f"s has shape {tuple(points.shape)}; it must be a point or points (N,).", argument="s"
        )
    check_finite(s=points)
    return points


def of_batch(system: System, index: Any, names: Sequence[str]) -> dict[str, Array]:
    """Fields of the systems of a batch that ``batch[index]`` names."""
    axes = system.batch_shape
    if not axes:
        raise DimensionError("a single system has no batch to index.", argument="index")
    parts = index if isinstance(index, tuple) else (index,)
    try:
        np.empty(axes, dtype=bool)[index]
    except (IndexError, TypeError, ValueError) as error:
        raise BatchIndexError(
            f"index {shown(index)} of a batch of {axes}: {error}.", argument="index"
        ) from None
    # The batch's axes only, said as the array API standard has it: all others follow.
    rest = (slice(None),) * (len(axes) - sum(part is not None for part in parts) + 1)
    parts = sum(((*rest,) if part is Ellipsis else (part,) for part in parts), ())
    try:
        return {name: getattr(system, name)[(*parts, ...)] for name in names}
    except (IndexError, TypeError, ValueError) as error:
        # A framework that is stricter than NumPy.
        raise BatchIndexError(f"index {shown(index)}: {error}.", argument="index") from None


def slices(system: Any, parts: int) -> list[Any]:
    """About so many slices of a batch of Modals, in order; of any other system itself alone."""
    length = system.batch_shape[0] if system.modal and system.batch_shape else 0
    parts = min(parts, length)
    if parts < 2:
        return [system]
    ends = [round(i * length / parts) for i in range(parts + 1)]
    return [system[a:b] for a, b in itertools.pairwise(ends)]


#: Most numbers of a response: 32 GB.
_LARGEST_RESPONSE = 2**32


def check_count(name: str, count: Any, system: Held) -> int:
    """`count` as a number of samples, at least 1 and no more than memory holds."""
    count = check_whole(name, count, 1, error=TimeStepError)
    size = max(system.n_inputs * system.n_outputs * math.prod(system.batch_shape), 1)
    if count * size > _LARGEST_RESPONSE:
        raise TimeStepError(
            f"{name}={shown(count)}: a response of so many samples takes {8e-9 * count * size:.0g} GB.",
            argument=name,
        )
    return count


def operand(other: Any) -> System:
    """`other` as a system, to be added to one."""
    from mor.systems.convert import as_system

    return as_system(other)


def in_one_framework(a: Any, b: Any) -> tuple[Any, Any]:
    """Two systems with their arrays in the framework of the one that is not NumPy's, if one is."""
    if namespace(a.D) is namespace(b.D):
        return a, b
    if is_numpy(b.D):
        return a, b.moved(a.D)
    if is_numpy(a.D):
        return a.moved(b.D), b
    raise ArgumentTypeError("the systems hold arrays of two frameworks: bring one of them to NumPy.")


def check_same_signals(a: System, b: System) -> None:
    """Raise unless the two systems can be added: same signals, same time."""
    if (a.n_inputs, a.n_outputs) != (b.n_inputs, b.n_outputs):
        raise DimensionError(
            f"the systems have {a.n_inputs} and {b.n_inputs} inputs, "
            f"{a.n_outputs} and {b.n_outputs} outputs; they must agree."
        )
    if a.batch_shape != b.batch_shape:
        shapes = f"{a.batch_shape} and {b.batch_shape}"
        raise DimensionError(f"the systems are batches of {shapes}; they must agree.")
    if a.dt != b.dt:
        raise TimeStepError(f"the systems have dt={a.dt:g} and dt={b.dt:g}; they must agree.")


def no_dc_gain(dt: float) -> ReductionError:
    """What is wrong with a system that has a pole at :func:`dc_point`."""
    point = "z = 1" if dt else "s = 0"
    infinity, split = keyword("match", "'infinity'"), keyword("unstable", "'split'")
    return ReductionError(
        f"a pole is at {point}: the gain at dc is infinite and cannot be matched. Take {infinity}, or "
        f"{split}, which keeps such a pole."
    )


def set_fields(owner: System, **fields: Any) -> None:
    """Assign validated fields of a frozen dataclass during its construction."""
    for name, value in fields.items():
        object.__setattr__(owner, name, value)
