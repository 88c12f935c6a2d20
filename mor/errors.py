"""What a caller can catch.

Every error that bad input can cause derives from :class:`MorError`, says what was
wrong and where, and what to do about it. ``exit_code`` is what the command line
returns for it.
"""

from __future__ import annotations


class MorError(Exception):
    """Base of every error that this library raises on purpose."""

    exit_code = 1


class DimensionError(MorError, ValueError):
    """Arrays whose shapes do not describe one system."""

    exit_code = 3


class NotFiniteError(MorError, ValueError):
    """NaN or infinity in the data of a system or a layer."""

    exit_code = 3


class TimeStepError(MorError, ValueError):
    """A time step or horizon that makes no sense for the system."""

    exit_code = 3


class UnstableSystemError(MorError, ValueError):
    """A pole on or beyond the stability boundary where a stable system is needed."""

    exit_code = 4


class SingularEquationError(MorError, ValueError):
    """A matrix equation without a unique solution, to working precision."""

    exit_code = 4


class NotASystemError(MorError, TypeError):
    """An object that cannot be read as a linear time-invariant system."""

    exit_code = 3


class QuadraticOutputError(MorError, TypeError):
    """Something that only linear outputs have, asked of a system with quadratic ones."""

    exit_code = 3


class DeviceError(MorError, ValueError):
    """Tensors of one layer on different devices."""

    exit_code = 3


class ReductionError(MorError, ValueError):
    """A reduction that was asked for and cannot be had."""

    exit_code = 3


class SystemFileError(MorError, ValueError):
    """A file that holds no system, or cannot be read or written."""

    exit_code = 5


class CheckpointError(MorError, ValueError):
    """A checkpoint that cannot be read, recognised or written."""

    exit_code = 5


class NotLinearTimeInvariantError(CheckpointError):
    """A layer whose dynamics depend on its input (selective, gated, liquid)."""

    exit_code = 6


class UnsafeCheckpointError(CheckpointError):
    """A pickle that would run foreign code."""

    exit_code = 7


class MissingDependencyError(MorError, ImportError):
    """An optional package that this operation needs is not installed."""

    exit_code = 8


class AccuracyWarning(UserWarning):
    """A result that is right, but known less exactly than was asked for."""
