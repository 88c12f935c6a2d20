"""Small checkpoints on disk, and the command line, for the tests of this folder."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

import mor.cli
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


def mor_command(capsys, *arguments):
    """Exit code, standard output and standard error of ``mor`` with these arguments."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["mor", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            mor.cli.main()
    out, err = capsys.readouterr()
    return stopped.value.code or 0, out, err


def mor_json(capsys, *arguments):
    """What the command prints for machines."""
    _, out, err = mor_command(capsys, *arguments, "--json")
    assert out, err
    return json.loads(out)
