"""Checkpoints of trained networks: a dict of arrays, some of which a dialect turns into systems."""

from mor.adapters.checkpoints.checkpoint import Checkpoint
from mor.adapters.checkpoints.loading import load_resized
from mor.adapters.checkpoints.reading import read_checkpoint
from mor.adapters.checkpoints.verification import Verification, verify, verify_files
from mor.adapters.layers.dialects.detect import dialect_names

__all__ = [
    "Checkpoint",
    "Verification",
    "dialect_names",
    "load_resized",
    "read_checkpoint",
    "verify",
    "verify_files",
]
