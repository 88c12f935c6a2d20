"""Checkpoints of trained networks: a dict of arrays, some of which a dialect turns into systems."""

from mor.adapters.checkpoints.checkpoint import Checkpoint, read_checkpoint
from mor.adapters.checkpoints.dialects.detect import dialect_names
from mor.adapters.checkpoints.loading import load_resized

__all__ = ["Checkpoint", "dialect_names", "load_resized", "read_checkpoint"]
