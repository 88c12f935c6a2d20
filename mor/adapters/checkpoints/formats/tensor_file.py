"""What was read from a file: its tensors and everything needed to write the same kind back."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class TensorFile:
    """Tensors of a file in their own dtypes.

    Attributes
    ----------
    path : where it was read from.
    format : ``"safetensors"`` or ``"torch"``.
    tensors : by key, read-only. bfloat16 and the 8-bit floats are structured arrays that hold
        the untouched bits.
    metadata : free text of a safetensors file.
    sha256 : of the file; of a sharded one, of its index.
    ties : groups of keys that are one tensor in the file.
    wrapper : what the torch file holds, with the state dict in it; None otherwise.
    state_dict_path : keys that lead from `wrapper` to the state dict.
    left_out : keys of tensors that are kept in `wrapper` but have no array form.
    shards : number of files it was spread over; 1 if it was not.
    """

    path: Path
    format: str
    tensors: dict[str, np.ndarray]
    metadata: dict[str, str]
    sha256: str
    ties: tuple[tuple[str, ...], ...] = ()
    wrapper: Any = field(default=None, repr=False)
    state_dict_path: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    shards: int = 1

    @property
    def beside(self) -> dict[Any, Any]:
        """What stands beside the state dict in a torch file: an optimizer's state, an epoch, an average."""
        if not self.state_dict_path:
            return {}
        return {key: x for key, x in self.wrapper.items() if key not in self.state_dict_path}
