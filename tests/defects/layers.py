"""Small checkpoints on disk, and the command line, for the tests of this folder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from tests.oracles.checkpoint_layers import prefixed, random_layer


def checkpoint(dialect="lru", prefixes=("blocks.0.lru.",), *, n=8, h=3, dtype=np.float32, others=None):
    """Tensors of a few layers, and others beside them."""
    tensors = {}
    for seed, prefix in enumerate(prefixes):
        tensors |= prefixed(random_layer(dialect, seed, n=n, h=h, dtype=dtype), prefix)
    return tensors | (others or {})


def write(path: Path, tensors, metadata=None) -> Path:
    save_file({key: np.ascontiguousarray(x) for key, x in tensors.items()}, path, metadata=metadata)
    return path
