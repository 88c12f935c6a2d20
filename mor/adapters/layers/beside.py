"""Tensors beside a layer that may be quantities of its states, which a reduction leaves behind.

An initial state, say, is given in the coordinates of the states. The reduced layer has others, so a
network with the old one would compute something else; but if it is zero, and only its size is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mor.adapters.layers.dialects.base import Tensors
from mor.adapters.layers.dtypes import BFLOAT16, as_double
from mor.adapters.layers.layer import Layer
from mor.arrays import Array
from mor.errors import CheckpointError, keyword


def beside_states(layer: Layer, tensors: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    """Tensors of the module that holds the layer, by key, with an axis as long as its states.

    As long as it has modes, or twice that; not the layer's own, nor those to leave. Of one mode nothing
    can be told.
    """
    modules = {key.rpartition(".")[0] for key in layer.keys}
    modes = layer.modes(tensors)
    if modes < 2:
        return {}
    return {
        key: tuple(x.shape)
        for key, x in tensors.items()
        if key not in layer.keys
        and key not in layer.leave
        and key.rpartition(".")[0] in modules
        and {modes, 2 * modes} & set(x.shape)
    }


def check_beside(layer: Layer, tensors: Tensors) -> None:
    """Raise if a tensor beside the layer may belong to its states, and is not zero.

    Raises
    ------
    CheckpointError
        Naming the tensors, with the way out.
    """
    near = beside_states(layer, tensors)
    if told := {key: shape for key, shape in near.items() if not _is_zero(tensors[key])}:
        listed = ", ".join(f"{key} {shape}" for key, shape in told.items())
        raise CheckpointError(
            f"{listed} has an axis as long as the layer has states ({layer.modes(tensors)} modes). If it "
            "belongs to the states (an initial state, say), the reduced layer needs another one and the "
            "compressed network would be wrong: train or export the network without it. If it has nothing "
            f"to do with the states, say so with {keyword('leave', next(iter(told)))}."
        )


def zeros_beside(layer: Layer, tensors: Tensors) -> dict[str, int | None]:
    """Tensors of zeros beside the layer, by key: which axis is that of its states.

    None where that cannot be told: two axes may be it, or it is as long as the layer has channels, too.
    """
    modes, found = layer.modes(tensors), {}
    for key, shape in beside_states(layer, tensors).items():
        if _is_zero(tensors[key]):
            axes = [axis for axis, length in enumerate(shape) if length in (modes, 2 * modes)]
            told = len(axes) == 1 and shape[axes[0]] not in layer.other_sizes(tensors)
            found[key] = axes[0] if told else None
    return found


def zero_notes(layer: Layer, tensors: Tensors) -> list[str]:
    """What becomes of tensors of zeros beside a layer whose size changes."""
    cut, kept = "is cut with the states", "keeps its size: which of its axes is the states' cannot be told"
    return [
        f"beside {layer}: {key} {tensors[key].shape} is zero and {kept if axis is None else cut}"
        for key, axis in zeros_beside(layer, tensors).items()
    ]


def resized_zeros(layer: Layer, tensors: Tensors, n_modes: int) -> dict[str, np.ndarray]:
    """Tensors of zeros beside the layer in the size that goes with so many modes; zero is zero in all
    coordinates."""
    modes, resized = layer.modes(tensors), {}
    for key, axis in zeros_beside(layer, tensors).items():
        if axis is not None and n_modes != modes:
            shape = list(tensors[key].shape)
            shape[axis] = shape[axis] // modes * n_modes
            resized[key] = np.zeros(shape, tensors[key].dtype)
    return resized


def is_resized(old: np.ndarray, new: np.ndarray, axis: int) -> bool:
    """Whether `new` is a tensor of zeros as `old` is, but for the length of one axis."""
    shape = (*old.shape[:axis], *new.shape[axis : axis + 1], *old.shape[axis + 1 :])
    return old.dtype == new.dtype and shape == new.shape and _is_zero(new)


def _is_zero(x: np.ndarray) -> bool:
    return not np.any(as_double(x) if x.dtype == BFLOAT16 else x)
