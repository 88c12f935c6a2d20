"""The layers of a network: found among its named tensors, read as systems, and written back.

The tensors may be those of a file or of a model in memory: a mapping of names to arrays is all that
is known of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mor.adapters.layers.beside import check_beside, resized_zeros
from mor.adapters.layers.dialects.base import Tensors
from mor.adapters.layers.dialects.detect import detect
from mor.adapters.layers.export import Export, check_replacement, modal_of, write
from mor.adapters.layers.kept import with_kept_modes
from mor.adapters.layers.layer import Layer
from mor.arrays import Array, is_complex, is_numpy, namespace
from mor.checks import shown
from mor.errors import ArgumentTypeError, CheckpointError, at
from mor.systems.modal import Modal


@dataclass(frozen=True, eq=False)
class Change:
    """One layer replaced: the system, what it came from, and its new tensors."""

    system: Modal
    replacement: Any
    export: Export


@dataclass(frozen=True, eq=False)
class Layers(Mapping[str, Layer]):
    """The layers of a network by name, in the order in which a person counts (10 after 9).

    Attributes
    ----------
    by_name : the layers, whose names are unique.
    groups : their names, those together that are one and the same: that share all their tensors.
    """

    by_name: Mapping[str, Layer]
    groups: tuple[tuple[str, ...], ...]

    @classmethod
    def find(
        cls,
        tensors: Mapping[str, Array],
        dialect: str | None = None,
        *,
        root: str = "",
        identity: Callable[[str], Hashable] = str,
        leave: Iterable[str] = (),
    ) -> Layers:
        """The layers among the tensors of a network, by names, shapes and kinds; values are not looked at.

        Parameters
        ----------
        dialect : of the layers, where more than one fits.
        root : name of a layer whose tensors have no prefix.
        identity : by the name of a tensor, what tells it from others; equal for tensors that are one.
        leave : tensors beside layers that have nothing to do with their states.

        Raises
        ------
        NotLinearTimeInvariantError
            If what is there is selective.
        CheckpointError
            If there are none, or they are spoilt, or more than one dialect fits.
        """
        kept = _names_to_leave(leave)
        speaks, prefixes = detect({key: _stand_in(x) for key, x in tensors.items()}, dialect)
        layers = [Layer(key.rstrip(".") or root, speaks, key, kept) for key in prefixes]
        by_name = {layer.name: layer for layer in layers}
        if len(by_name) < len(layers):
            raise CheckpointError(f"a layer at the top and one called {root!r} are in the way of each other.")
        groups: dict[object, list[str]] = defaultdict(list)
        for layer in layers:
            groups[tuple(identity(key) for key in layer.keys)].append(layer.name)
        return cls(by_name, tuple(map(tuple, groups.values())))

    def __getitem__(self, name: str) -> Layer:
        return self.by_name[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_name)

    def __len__(self) -> int:
        return len(self.by_name)

    @property
    def distinct(self) -> list[Layer]:
        """The layers, of those that are one and the same the first."""
        return [self[group[0]] for group in self.groups]

    def read(self, tensors: Tensors) -> dict[str, Modal]:
        """Every layer as a system, by name; what is one layer is one system."""
        systems = {}
        for group in self.groups:
            with at(self[group[0]]):
                systems |= dict.fromkeys(group, self[group[0]].read(tensors))
        return {name: systems[name] for name in self}

    def rewritten(
        self, tensors: Tensors, before: Mapping[str, Modal], systems: Mapping[str, Any]
    ) -> dict[str, Change]:
        """New tensors for layers that become other systems, in the types of the old ones.

        Parameters
        ----------
        before : the layers as they are (:meth:`read`).
        systems : by name, what replaces a layer, and with it those that are one with it: a Reduction, a
            Modal, or a system that can be made one.

        Raises
        ------
        CheckpointError
            If there is no such layer, the system does not fit in its place, the dialect or the type of
            the tensors cannot hold it, or a tensor beside the layer may belong to its states.
        UnstableSystemError
            If the system is not stable, but for poles that the layer had if its dialect can hold them.
        """
        self.check_names(systems)
        changes: dict[str, Change] = {}
        for group in self.groups:
            named = [name for name in group if name in systems]
            if not named:
                continue
            first, old, replacement = self[group[0]], before[group[0]], systems[named[0]]
            if any(systems[name] is not replacement for name in named):
                raise CheckpointError(f"layers {', '.join(named)} share their tensors; give them one system.")
            for name in group:
                with at(self[name]):
                    check_beside(self[name], tensors)
            with at(self[named[0]]):
                system = with_kept_modes(modal_of(replacement), old)
                check_replacement(old, system, first.dialect.holds_unstable)
                export = write(first, tensors, old, system)
            for name in group:
                new = {self[name].prefix + field: x for field, x in export.tensors.items()}
                new |= resized_zeros(self[name], tensors, system.n_modes)
                changes[name] = Change(system, replacement, replace(export, tensors=new))
        return {name: changes[name] for name in self if name in changes}

    def check_names(self, names: Iterable[str]) -> None:
        """Raise if there is no such layer."""
        for name in names:
            if name not in self:
                raise CheckpointError(f"there is no layer {name!r}; there are {', '.join(self)}.")


def _stand_in(x: Array) -> np.ndarray:
    """An array of the shape and the kind of `x`: without its numbers, unless it is NumPy's."""
    if is_numpy(x):
        return x
    floating = namespace(x).isdtype(x.dtype, ("real floating", "complex floating"))
    kind = (np.complex64 if is_complex(x) else np.float32) if floating else np.int8
    return np.broadcast_to(np.zeros((), kind), tuple(x.shape))


def _names_to_leave(leave: Any) -> frozenset[str]:
    if isinstance(leave, Iterable) and not isinstance(leave, str):
        names = list(leave)
        if all(isinstance(name, str) for name in names):
            return frozenset(names)
    raise ArgumentTypeError(f"leave={shown(leave)} must be names of tensors.", argument="leave")
