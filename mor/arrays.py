"""The few things the Python array API standard leaves to each framework.

What works on arrays of any framework is otherwise written to the standard, through
``array-api-compat``; what needs to know whether an array is NumPy's, PyTorch's or
JAX's stands here and nowhere else.
"""

# The frameworks' own type stubs lack some of what is used here.
# pyright: reportAttributeAccessIssue=false

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import array_api_compat as compat
import numpy as np

#: Unit round-off and smallest normal number of double precision.
EPS, TINY = float(np.finfo(float).eps), float(np.finfo(float).tiny)

#: An array of any framework that follows the array API standard.
Array = Any


#: Namespaces by the type of the array: asking for them took small systems a tenth of their time.
_NAMESPACES: dict[type, ModuleType] = {}


def namespace(x: Array, *others: Array) -> ModuleType:
    """The array API namespace that all arrays given share."""
    if others:
        return compat.array_namespace(x, *others)
    kind = type(x)
    if kind not in _NAMESPACES:
        _NAMESPACES[kind] = compat.array_namespace(x)
    return _NAMESPACES[kind]


def is_complex(x: Array) -> bool:
    """Whether `x` has a complex dtype."""
    return namespace(x).isdtype(x.dtype, "complex floating")


def real_dtype(x: Array) -> Any:
    """The real floating dtype of the precision of `x`."""
    xp = namespace(x)
    single = x.dtype in (xp.float32, xp.complex64)
    return xp.float32 if single else xp.float64


def complex_dtype(x: Array) -> Any:
    """The complex dtype of the precision of `x`."""
    xp = namespace(x)
    return xp.complex64 if real_dtype(x) == xp.float32 else xp.complex128


def to_complex(x: Array) -> Array:
    """`x` in the complex dtype of its precision."""
    return x if is_complex(x) else namespace(x).astype(x, complex_dtype(x))


def complex_from(re: Array, im: Array) -> Array:
    """``re + i im`` in one pass where the framework has one; the standard has none."""
    if compat.is_torch_array(re):
        import torch

        return torch.complex(re, im)
    if compat.is_jax_array(re):
        import jax

        return jax.lax.complex(re, im)
    if compat.is_numpy_array(re):
        z = np.empty(np.broadcast_shapes(re.shape, im.shape), dtype=complex_dtype(re))
        z.real, z.imag = re, im
        return z
    return to_complex(re) + 1j * to_complex(im)


def diagonal_matrix(x: Array) -> Array:
    """Matrices (..., n, n) with the entries of x (..., n) on their diagonals."""
    return x[..., None, :] * namespace(x).eye(x.shape[-1], dtype=x.dtype, **device_kwargs(x))


def real(x: Array) -> Array:
    """Real part, also of an array that is real already."""
    return namespace(x).real(x) if is_complex(x) else x


def conj(x: Array) -> Array:
    """Complex conjugate, also of an array that is real already."""
    return namespace(x).conj(x) if is_complex(x) else x


def adjoint(x: Array) -> Array:
    """Conjugate transpose of the last two axes."""
    # Small systems are asked often: NumPy's arrays without going through the namespace.
    if type(x) is np.ndarray:
        return x.mT.conj()
    return conj(namespace(x).matrix_transpose(x))


def eps(x: Array) -> float:
    """Unit round-off of the precision of `x`."""
    return float(namespace(x).finfo(real_dtype(x)).eps)


def detach(x: Array) -> Array:
    """`x` as a constant for automatic differentiation."""
    if compat.is_torch_array(x):
        return x.detach()
    if compat.is_jax_array(x):
        import jax

        return jax.lax.stop_gradient(x)
    return x


def is_array(x: Any) -> bool:
    """Whether `x` is an array of one of the frameworks."""
    return compat.is_array_api_obj(x)


def is_numpy(x: Array) -> bool:
    """Whether `x` is NumPy's."""
    return compat.is_numpy_array(x)


def is_jax(x: Array) -> bool:
    """Whether `x` is JAX's."""
    return compat.is_jax_array(x)


def is_concrete(*arrays: Array) -> bool:
    """Whether values of all `arrays` may steer Python's control flow.

    False inside ``jax.jit``, ``grad`` and ``vmap`` and inside ``torch.func`` transforms,
    where only shapes and dtypes are known. Under ``jax.jit`` every operation on a constant
    gives a traced value, so there nothing is concrete.
    """
    if any(compat.is_jax_array(x) for x in arrays):
        import jax

        probes = (*arrays, jax.numpy.zeros(()))
        return not any(isinstance(x, jax.core.Tracer) for x in probes)
    if any(compat.is_torch_array(x) for x in arrays):
        import torch

        return torch._C._functorch.peek_interpreter_stack() is None
    return True


def widest(x: Array) -> Array:
    """`x` in double precision; in single where its framework or device has no more."""
    xp = namespace(x)
    single = compat.is_torch_array(x) and x.device.type == "mps"
    if compat.is_jax_array(x):
        import jax

        single = not jax.config.jax_enable_x64
    real, imaginary = (xp.float32, xp.complex64) if single else (xp.float64, xp.complex128)
    dtype = imaginary if is_complex(x) else real
    return x if x.dtype == dtype else xp.astype(x, dtype)


def astype_like(x: Array, like: Array) -> Array:
    """`x` in the precision of `like`, real staying real and complex complex."""
    dtype = complex_dtype(like) if is_complex(x) else real_dtype(like)
    return x if x.dtype == dtype else namespace(x).astype(x, dtype)


def device_kwargs(x: Array) -> dict[str, Any]:
    """``device=`` for creation functions, so that new arrays stand beside `x`."""
    return {} if compat.is_jax_array(x) else {"device": compat.device(x)}


def to_numpy(x: Array) -> Any:
    """`x` as a NumPy array, whatever framework and device hold it."""
    if compat.is_torch_array(x):
        return x.detach().resolve_conj().cpu().numpy()
    return np.asarray(x)


def from_numpy(x: Any, like: Array) -> Array:
    """A NumPy array or number in the framework and on the device of `like`, its precision kept."""
    x = np.asarray(x)
    if is_numpy(like):
        return x
    # Others know no negative strides, foreign byte orders or memory that is not theirs to write.
    native = np.array(x, dtype=x.dtype.newbyteorder("="), order="C")
    return namespace(like).asarray(native, **device_kwargs(like))


def beside(x: Array, like: Array) -> Array:
    """`x`, of any framework, in that of `like`; itself if it is there."""
    if is_array(x) and namespace(x) is namespace(like):
        return x
    return from_numpy(to_numpy(x), like)


def as_scalar(x: Array) -> Array:
    """A NumPy array without axes as a number; all else as it is."""
    return x[()] if is_numpy(x) else x


def largest_entry(x: Any) -> float:
    """The largest modulus of the entries of a NumPy array; 0 if it has none."""
    return float(np.max(np.abs(x), initial=0.0))


def positive_or_one(x: Array) -> Array:
    """`x`, and 1 in the place of what is not positive: a divisor."""
    xp = namespace(x)
    return xp.where(x > 0, x, xp.ones_like(x))


def exponents(x: Array, batch_axes: int) -> Any:
    """Binary exponents of the largest entries of x (..., and further axes): an int, or integers (...)."""
    if not batch_axes:
        # Small systems are asked often: NumPy's arrays without going through the namespace.
        xp = np if type(x) is np.ndarray else namespace(x)
        largest = float(xp.max(xp.abs(x))) if math.prod(x.shape) else 0.0
        return math.frexp(largest)[1]
    sizes = np.abs(to_numpy(x))
    return np.frexp(sizes.max(axis=tuple(range(batch_axes, x.ndim)), initial=0.0))[1]


def times(x: Array, exponent: Any, axes: int) -> Array:
    """`x` (..., and so many axes) times ``2^exponent``, in two halves, as that may itself be out of range."""
    half = np.asarray(exponent) // 2
    for power in (half, exponent - half):
        factor = np.ldexp(1.0, np.clip(power, -1000, 1000))
        x = x * (
            astype_like(from_numpy(factor[(..., *(None,) * axes)], x), x) if factor.ndim else float(factor)
        )
    return x


def block_diagonal(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """[[a, 0], [0, b]] of the last two axes; NumPy. Of small matrices ten times faster than SciPy's."""
    n, m = a.shape[-2:]
    out = np.zeros((*a.shape[:-2], n + b.shape[-2], m + b.shape[-1]), np.result_type(a, b))
    out[..., :n, :m], out[..., n:, m:] = a, b
    return out


def failures_of_arithmetic() -> tuple[type[Exception], ...]:
    """What frameworks and Python raise where numbers leave their range or a decomposition its."""
    torch = sys.modules.get("torch")
    return np.linalg.LinAlgError, ArithmeticError, *((torch.linalg.LinAlgError,) if torch else ())


def scan(
    step: Callable[[Any], tuple[Any, Array]],
    carry: Any,
    length: int,
    stop: Callable[[Any], bool] | None = None,
) -> Array:
    """Run ``carry, out = step(carry)`` `length` times and stack the outputs first.

    Under JAX's tracing this is ``lax.scan``, compiled once however long it is; else a
    loop that `stop` may end early, when the outputs so far are stacked.
    """
    probe = carry[0]
    xp = namespace(probe)
    if is_jax(probe) and not is_concrete(*carry):
        import jax

        return jax.lax.scan(lambda c, _: step(c), carry, None, length=length)[1]
    outs = []
    for _ in range(length):
        if stop is not None and stop(carry):
            break
        carry, out = step(carry)
        outs.append(out)
    return xp.stack(outs) if outs else xp.zeros((0,), dtype=real_dtype(probe))


def split_constant(x: Array) -> float:
    """Veltkamp's constant ``2^ceil(p/2) + 1`` for the precision of `x`."""
    return math.ldexp(1.0, 12 if real_dtype(x) == namespace(x).float32 else 27) + 1.0
