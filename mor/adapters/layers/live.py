"""Layers of a model in memory: their Hankel singular values, layers of equal sizes as one batch."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping

from mor.adapters.layers.dialects.base import Stored, check_finite_tensor
from mor.adapters.layers.layer import Layer
from mor.adapters.layers.layers import Layers
from mor.analysis.nuclear_norm import hankel_nuclear_norm
from mor.arrays import Array, device_kwargs, is_concrete, namespace, to_numpy
from mor.checks import check_finite
from mor.errors import (
    CheckpointError,
    DeviceError,
    MorError,
    NotASystemError,
    NotLinearTimeInvariantError,
    UnstableSystemError,
    at,
)


def find_in_model(
    tensors: Mapping[str, Array], dialect: str | None, *, shared: bool = False, leave: Iterable[str] = ()
) -> Layers:
    """The layers among the named tensors of a model; where tensors may be `shared`, those that do are one.

    Raises
    ------
    NotASystemError
        If there are none, or they are spoilt, or more than one dialect fits.
    NotLinearTimeInvariantError
        If what is there is selective.
    """
    try:
        identity = (lambda key: id(tensors[key])) if shared else str
        return Layers.find(tensors, dialect, identity=identity, leave=leave)
    except NotLinearTimeInvariantError:
        raise
    except CheckpointError as error:
        raise NotASystemError(f"the model has no state-space layer to work on: {error}") from error


def nuclear_norm(layers: Layers, tensors: Mapping[str, Array], *, beyond: int = 0) -> Array:
    """Sum over all layers of :func:`mor.hankel_nuclear_norm`, as a number.

    Layers of equal sizes and devices are one batch. The result is in double precision
    where the framework has it, on the device of the first layer.

    Raises
    ------
    NotFiniteError, UnstableSystemError, DeviceError
        With the name of the layer and the tensor.
    """
    total = None
    for batch in _batches(layers, tensors):
        try:
            norm = _batch_norm(batch, tensors, beyond)
        except MorError:
            for layer in batch:
                _check(layer, tensors)
            raise
        total = norm if total is None else total + _on_device_of(total, norm)
    return total


def unstable_in_training(error: UnstableSystemError, parameters: Iterable[str]) -> UnstableSystemError:
    """`error` with remedies for somebody who trains `parameters`, in place of those for an analysis."""
    pole = str(error).partition(": ")[0]
    return UnstableSystemError(
        f"{pole}: the sum of Hankel singular values needs a stable layer. How its states decay is set by "
        f"{', '.join(parameters)}: start from stable values, and train them in smaller steps (learning rate, "
        "clipped gradients) or with a smaller weight of this term."
    )


def _batches(layers: Layers, tensors: Mapping[str, Array]) -> list[list[Layer]]:
    """Layers that can be stacked."""
    batches: dict[tuple[object, ...], list[Layer]] = defaultdict(list)
    for layer in layers.distinct:
        arrays = [tensors[key] for key in layer.keys]
        devices = {str(device_kwargs(x)) for x in arrays}
        if len(devices) > 1:
            where = ", ".join(f"{key} on {tensors[key].device}" for key in layer.keys)
            raise DeviceError(f"tensors of {layer} are on different devices: {where}.")
        kinds = (layer.dialect, *(tuple(x.shape) for x in arrays), *(str(x.dtype) for x in arrays))
        batches[(*kinds, *devices)].append(layer)
    return list(batches.values())


def _batch_norm(batch: list[Layer], tensors: Mapping[str, Array], beyond: int) -> Array:
    stored = [layer.stored(tensors).arrays for layer in batch]
    stacked = {name: namespace(x).stack([arrays[name] for arrays in stored]) for name, x in stored[0].items()}
    check_finite(**stacked)
    norms = hankel_nuclear_norm(batch[0].dialect.system(Stored(stacked)), beyond=beyond)
    return namespace(norms).sum(norms)


def _check(layer: Layer, tensors: Mapping[str, Array]) -> None:
    """Raise what is wrong with a layer, if anything is, naming it."""
    for key in layer.keys:
        x = tensors[key]
        if is_concrete(x):
            check_finite_tensor(key, to_numpy(namespace(x).isfinite(x)))
    with at(layer):
        try:
            layer.dialect.system(layer.stored(tensors)).require_stable("the sum of Hankel singular values")
        except UnstableSystemError as error:
            decay = [layer.prefix + name for name in layer.dialect.decay]
            raise unstable_in_training(error, decay) from error


def _on_device_of(y: Array, x: Array) -> Array:
    """`x` on the device of `y`."""
    kwargs = device_kwargs(y)
    return x.to(**kwargs) if kwargs and kwargs != device_kwargs(x) else x
