"""One layer of a network: which of its named tensors are the layer's, and the system that they make."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from mor.adapters.layers.dialects.base import Dialect, Stored, Tensors
from mor.adapters.layers.dtypes import dtype_name
from mor.arrays import Array
from mor.systems.modal import Modal


def label(name: str) -> str:
    """How people are told of a layer: the one that is a whole model has no name."""
    return f"layer {name or 'of the model'}"


@dataclass(frozen=True)
class Layer:
    """A layer by its name, its dialect and the prefix that the names of its tensors begin with.

    `leave` are tensors beside it that have nothing to do with its states.
    """

    name: str
    dialect: Dialect
    prefix: str
    leave: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return label(self.name)

    @property
    def keys(self) -> list[str]:
        """Names of its tensors."""
        return [self.prefix + field.name for field in self.dialect.fields]

    def stored(self, tensors: Mapping[str, Array]) -> Stored:
        """Its tensors."""
        return self.dialect.stored(tensors, self.prefix)

    def read(self, tensors: Tensors) -> Modal:
        """The layer as a system in double precision, its tensors checked (:meth:`Dialect.read`)."""
        return self.dialect.read(self.stored(tensors))

    def modes(self, tensors: Mapping[str, Array]) -> int:
        """Number of its modes."""
        return tensors[self.prefix + self.dialect.decay[0]].shape[-1]

    def other_sizes(self, tensors: Mapping[str, Array]) -> set[int]:
        """Lengths of the axes of its tensors that do not count modes."""
        return {
            length
            for field, x in zip(self.dialect.fields, self.stored(tensors).arrays.values(), strict=True)
            for symbol, length in zip(field.shape, x.shape, strict=True)
            if symbol != self.dialect.mode_symbol
        }

    def digest(self, tensors: Tensors) -> str:
        """Hash of its tensors, of their types and of their shapes."""
        digest = hashlib.sha256()
        for name, x in self.stored(tensors).arrays.items():
            digest.update(f"{name} {dtype_name(x.dtype)} {x.shape} ".encode())
            digest.update(x.tobytes())
        return digest.hexdigest()
