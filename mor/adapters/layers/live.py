"""Layers of a model in memory: found by the dialect of their tensors, taken as one batch.

What checkpoints know of names and formulas holds for the parameters of a model that is
being trained as well, in any framework.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from mor.adapters.layers.dialects.base import Dialect, Stored
from mor.adapters.layers.dialects.detect import detect
from mor.analysis.hankel import hankel_nuclear_norm
from mor.arrays import Array, device_kwargs, is_complex, is_concrete, namespace, to_numpy
from mor.checks import check_finite
from mor.errors import (
    CheckpointError,
    DeviceError,
    MorError,
    NotASystemError,
    NotFiniteError,
    NotLinearTimeInvariantError,
    UnstableSystemError,
)
from mor.systems.modal import Modal


@dataclass(frozen=True)
class LiveLayers:
    """Where the layers of a model are: their dialect, and the prefixes of their tensors.

    Layers that are one and the same stand there once; `twins` are all others by the first.
    """

    dialect: Dialect
    prefixes: tuple[str, ...]
    twins: Mapping[str, tuple[str, ...]]

    @classmethod
    def find(
        cls, tensors: Mapping[str, Array], dialect: str | None = None, *, shared: bool = False
    ) -> LiveLayers:
        """The layers among the named tensors of a model; values are not looked at.

        If tensors may be `shared`, layers of the same ones are twins.

        Raises
        ------
        NotASystemError
            If there are none, or they are spoilt, or more than one dialect fits.
        NotLinearTimeInvariantError
            If what is there is selective.
        """
        try:
            found, prefixes = detect(stand_ins(tensors), dialect)
        except NotLinearTimeInvariantError:
            raise
        except CheckpointError as error:
            raise NotASystemError(f"the model has no state-space layer to work on: {error}") from error
        same: dict[object, list[str]] = defaultdict(list)
        for prefix in prefixes:
            identity = tuple(id(tensors[prefix + field.name]) for field in found.fields)
            same[identity if shared else prefix].append(prefix)
        return cls(
            found, tuple(group[0] for group in same.values()), {g[0]: tuple(g[1:]) for g in same.values()}
        )

    def names(self, prefix: str) -> list[str]:
        """The tensors of one layer."""
        return [prefix + field.name for field in self.dialect.fields]

    def system(self, tensors: Mapping[str, Array], prefix: str) -> Modal:
        """One layer as a system, differentiable by its tensors."""
        return self.dialect.system(Stored({f.name: tensors[prefix + f.name] for f in self.dialect.fields}))

    def sizes(self, tensors: Mapping[str, Array]) -> dict[str, int]:
        """By layer, the number of real states that its tensors have room for."""
        marker = self.dialect.decay[0]
        return {_layer(prefix): 2 * tensors[prefix + marker].shape[-1] for prefix in self.prefixes}

    def systems(self, tensors: Mapping[str, np.ndarray]) -> dict[str, Modal]:
        """Each layer as a checkpoint would be read, by prefix."""
        found = {}
        for prefix in self.prefixes:
            try:
                found[prefix] = self.dialect.read(tensors, prefix)
            except MorError as error:
                raise type(error)(f"layer {_layer(prefix)}: {error}") from error
        return found

    def nuclear_norm(self, tensors: Mapping[str, Array], *, beyond: int = 0) -> Array:
        """Sum over all layers of :func:`mor.hankel_nuclear_norm`, as a number.

        Layers of equal sizes and devices are one batch. The result is in double precision
        where the framework has it, on the device of the first layer.

        Raises
        ------
        NotFiniteError, UnstableSystemError, DeviceError
            With the name of the layer and the tensor.
        """
        total = None
        for batch in self._batches(tensors):
            try:
                norm = self._batch_norm(tensors, batch, beyond)
            except MorError as error:
                self._blame(tensors, batch)
                raise error
            total = norm if total is None else total + _beside(norm, total)
        return total

    def _batches(self, tensors: Mapping[str, Array]) -> list[list[str]]:
        """Prefixes of layers that can be stacked."""
        batches: dict[tuple[object, ...], list[str]] = defaultdict(list)
        for prefix in self.prefixes:
            arrays = [tensors[name] for name in self.names(prefix)]
            devices = {str(device_kwargs(x)) for x in arrays}
            if len(devices) > 1:
                where = ", ".join(
                    f"{n} on {x.device}" for n, x in zip(self.names(prefix), arrays, strict=True)
                )
                raise DeviceError(f"tensors of layer {_layer(prefix)} are on different devices: {where}.")
            batches[(*(tuple(x.shape) for x in arrays), *(str(x.dtype) for x in arrays), *devices)].append(
                prefix
            )
        return list(batches.values())

    def _batch_norm(self, tensors: Mapping[str, Array], batch: list[str], beyond: int) -> Array:
        fields = (field.name for field in self.dialect.fields)
        stacked = {name: _stack([tensors[prefix + name] for prefix in batch]) for name in fields}
        check_finite(**stacked)
        norms = hankel_nuclear_norm(self.dialect.system(Stored(stacked)), beyond=beyond)
        return namespace(norms).sum(norms)

    def _blame(self, tensors: Mapping[str, Array], batch: list[str]) -> None:
        """Raise what is wrong with the first bad layer of a batch, naming it."""
        for prefix in batch:
            for name in self.names(prefix):
                _check_finite(name, tensors[name])
            try:
                self.system(tensors, prefix).require_stable("the sum of Hankel singular values")
            except UnstableSystemError as error:
                decay = [prefix + name for name in self.dialect.decay]
                raise unstable_in_training(_layer(prefix), error, decay) from error
            except MorError as error:
                raise type(error)(f"layer {_layer(prefix)}: {error}") from error


def unstable_in_training(
    layer: str, error: UnstableSystemError, parameters: Iterable[str]
) -> UnstableSystemError:
    """`error` with remedies for somebody who trains `parameters`, in place of those for an analysis."""
    pole = str(error).partition(": ")[0]
    return UnstableSystemError(
        f"layer {layer}: {pole}: the sum of Hankel singular values needs a stable layer. How its states "
        f"decay is set by {', '.join(parameters)}: start from stable values, and train them in smaller steps "
        "(learning rate, clipped gradients) or with a smaller weight of this term."
    )


def stand_ins(tensors: Mapping[str, Array]) -> dict[str, np.ndarray]:
    """Arrays of the shapes and kinds of `tensors`, without their numbers."""
    return {name: _stand_in(x) for name, x in tensors.items()}


def _stand_in(x: Array) -> np.ndarray:
    """An array of the shape and the kind of `x`, without its numbers."""
    floating = namespace(x).isdtype(x.dtype, ("real floating", "complex floating"))
    kind = (np.complex64 if is_complex(x) else np.float32) if floating else np.int8
    return np.broadcast_to(np.zeros((), kind), tuple(x.shape))


def _stack(arrays: list[Array]) -> Array:
    return namespace(arrays[0]).stack(arrays)


def _beside(x: Array, y: Array) -> Array:
    """`x` on the device of `y`."""
    kwargs = device_kwargs(y)
    return x.to(**kwargs) if kwargs and kwargs != device_kwargs(x) else x


def _layer(prefix: str) -> str:
    return prefix.rstrip(".") or "of the model"


def _check_finite(name: str, x: Array) -> None:
    if is_concrete(x):
        bad = to_numpy(~namespace(x).isfinite(x))
        if bad.any():
            raise NotFiniteError(f"{name} has {bad.sum()} of {bad.size} entries that are NaN or infinite.")
