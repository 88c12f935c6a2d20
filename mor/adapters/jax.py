"""Hankel singular values in a training loss under JAX: a function of the parameters."""

from __future__ import annotations

from typing import Any

import numpy as np

from mor.adapters.layers.live import find_in_model, nuclear_norm
from mor.arrays import Array, is_numpy
from mor.checks import check_unmasked, check_whole
from mor.errors import MissingDependencyError, ReductionError

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise MissingDependencyError("mor.adapters.jax needs JAX: pip install jax.") from error

#: Attributes in which variables of flax's nnx keep their array.
_VALUES = frozenset({"value", "raw_value"})


def hankel_regularizer(parameters: Any, *, order: int = 0, dialect: str | None = None) -> Array:
    r"""Sum of the Hankel singular values of all state-space layers in a pytree.

    .. math:: R = \sum_{layers} \sum_{i > r} \sigma_i

    A pure function, to be multiplied by a weight and added to a loss, under ``jit``, ``grad``
    and ``vmap``. Layers are found by the names and shapes of their arrays, as in a
    checkpoint: keys of dictionaries, attributes and positions, joined by dots. Variables of
    flax's nnx are their values, so a module of nnx, its ``nnx.state`` and its pure dict are all right.

    Parameters
    ----------
    parameters : pytree of arrays, such as a model's variables, or the model where it is a pytree (nnx,
        Equinox).
    order : number r of values a layer that cost nothing.
    dialect : of the layers, where more than one fits.

    Raises
    ------
    NotASystemError
        If there is no such layer.
    NotLinearTimeInvariantError
        If the layers are selective.
    ReductionError
        If `order` is not a whole number >= 0.
    CheckpointError
        If there is no such dialect, or more than one fits.
    NotFiniteError, UnstableSystemError
        With the name of the layer and the array; not while JAX is tracing, when an unstable layer gives a sum
        without meaning.

    Notes
    -----
    Layers of equal sizes are one batch. Computed in double precision only where
    ``jax_enable_x64`` is set: without it small Hankel singular values are noise, as is
    their gradient.

    Examples
    --------
    >>> import jax, jax.numpy as jnp
    >>> from mor.adapters.jax import hankel_regularizer
    >>> layer = {"rotation": {"angles": jnp.zeros(2), "retentions": jnp.array([0.5, 1.0])},
    ...          "sys_in": jnp.ones((2, 2, 3)), "sys_out": jnp.ones((3, 2, 2)),
    ...          "sys_feed": jnp.zeros(3)}
    >>> gradient = jax.jit(jax.grad(hankel_regularizer))({"layers": [layer, layer]})
    >>> gradient["layers"][1]["sys_in"].shape
    (2, 2, 3)
    """
    leaves = jax.tree_util.tree_flatten_with_path(parameters)[0]
    order = check_whole("order", order, 0, error=ReductionError)
    arrays = {_name(path): x for path, x in leaves if _is_numeric(x)}
    for name, x in arrays.items():
        check_unmasked(name or "parameters", x)
    arrays = {name: jnp.asarray(np.asarray(x) if is_numpy(x) else x) for name, x in arrays.items()}
    return nuclear_norm(find_in_model(arrays, dialect), arrays, beyond=order)


def _is_numeric(x: Any) -> bool:
    return isinstance(x, jax.Array | np.ndarray) and jnp.issubdtype(x.dtype, np.number)


def _name(path: tuple[Any, ...]) -> str:
    """The place of a leaf, as a checkpoint would name it: a variable of nnx is its value."""
    parts = [str(_part(entry)) for entry in path]
    return ".".join(parts[:-1] if len(parts) > 1 and parts[-1] in _VALUES else parts)


def _part(entry: Any) -> Any:
    return next(getattr(entry, name) for name in ("key", "idx", "name") if hasattr(entry, name))
