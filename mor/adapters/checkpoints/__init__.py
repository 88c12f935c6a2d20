"""Checkpoints of trained networks: a dict of arrays, some of which a dialect turns into systems."""

from mor.adapters.checkpoints.checkpoint import Checkpoint
from mor.adapters.checkpoints.dialects.detect import dialect_names
from mor.adapters.checkpoints.loading import load_resized
from mor.adapters.checkpoints.reading import read_checkpoint

__all__ = ["Checkpoint", "dialect_names", "load_resized", "read_checkpoint"]
