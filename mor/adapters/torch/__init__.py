"""Layers to train under PyTorch, and what makes them compress."""

from mor.errors import MissingDependencyError

try:
    import torch as _torch  # noqa: F401
except ImportError as error:
    raise MissingDependencyError("mor.adapters.torch needs PyTorch: pip install torch.") from error

from mor.adapters.torch.layers import StateSpaceBlock, StateSpaceLayer, StateSpaceNetwork
from mor.adapters.torch.regularizer import HankelRegularizer
from mor.adapters.torch.truncation import InTrainingTruncation, truncate

__all__ = [
    "HankelRegularizer",
    "InTrainingTruncation",
    "StateSpaceBlock",
    "StateSpaceLayer",
    "StateSpaceNetwork",
    "truncate",
]
