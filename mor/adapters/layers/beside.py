"""Tensors beside a layer that may be quantities of its states, which a reduction leaves behind.

An initial state, say, is given in the coordinates of the states. The reduced layer has others, so a
network with the old one would compute something else.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mor.adapters.layers.dialects.base import Dialect, Tensors
from mor.adapters.layers.dtypes import is_floating, widen


def beside_states(dialect: Dialect, tensors: Tensors, prefix: str) -> dict[str, tuple[int, ...]]:
    """Tensors of the module that holds the layer under `prefix`, by key, with an axis as long as its states.

    As long as it has modes, or twice that; not the layer's own. Of one mode nothing can be told.
    """
    own = {prefix + field.name for field in dialect.fields}
    modules = {key.rpartition(".")[0] for key in own}
    modes = tensors[prefix + dialect.decay[0]].shape[-1]
    if modes < 2:
        return {}
    return {
        key: x.shape
        for key, x in tensors.items()
        if key not in own and key.rpartition(".")[0] in modules and {modes, 2 * modes} & set(x.shape)
    }


def is_zero(x: np.ndarray) -> bool:
    """Whether a tensor is zero, and so the same in all coordinates."""
    return not np.any(widen(x) if is_floating(x.dtype) or x.dtype.kind == "c" else x)


def refusal(name: str, modes: int, beside: Mapping[str, tuple[int, ...]]) -> str:
    """Why the layer is not replaced, and what to do."""
    listed = ", ".join(f"{key} {tuple(shape)}" for key, shape in beside.items())
    return (
        f"layer {name!r}: {listed} has an axis as long as the layer has states ({modes} modes). If it "
        "belongs to the states (an initial state, say), the reduced layer needs another one and the "
        "compressed network would be wrong: train or export the network without it. If it has nothing to do "
        f"with the states, say so with leave= (--leave {next(iter(beside))})."
    )
