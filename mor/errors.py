"""What a caller can catch.

Every error that bad input can cause derives from :class:`MorError`, says what was
wrong and where, and what to do about it. ``exit_code`` is what the command line
returns for it, ``argument`` the name of the argument that is to blame, where there is one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class MorError(Exception):
    """Base of every error that this library raises on purpose.

    Examples
    --------
    >>> import mor
    >>> try:
    ...     mor.balanced_truncation(([[-1.0]], [[1.0]], [[1.0]]), order=2)
    ... except mor.MorError as error:
    ...     print(error.argument, error.exit_code)
    order 3
    """

    exit_code = 1
    #: Name of the argument that is to blame; None where there is no single one.
    argument: str | None = None

    def __init__(self, *args: object, argument: str | None = None) -> None:
        super().__init__(*args)
        if argument is not None:
            self.argument = argument


class ArgumentError(MorError, ValueError):
    """An argument whose value makes no sense."""

    exit_code = 3


class ArgumentTypeError(ArgumentError, TypeError):
    """An argument of a type that cannot be meant: a word for a number, an object for an array."""

    exit_code = 3


class DimensionError(MorError, ValueError):
    """Arrays whose shapes do not describe one system."""

    exit_code = 3


class NotNumbersError(ArgumentTypeError, DimensionError):
    """Words, objects or lists of unequal lengths in the place of an array of numbers."""


class BatchIndexError(ArgumentError, IndexError):
    """An index that a batch of systems does not have."""


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


class SparseSystemError(MorError, TypeError):
    """Something that needs dense matrices as yet, asked of a sparse system."""

    exit_code = 3


class DeviceError(MorError, ValueError):
    """Tensors of one layer on different devices."""

    exit_code = 3


class ReductionError(MorError, ValueError):
    """A reduction that was asked for and cannot be had."""

    exit_code = 3


class ReductionTypeError(ArgumentTypeError, ReductionError):
    """An order, a tolerance or another option of a reduction of a type that cannot be meant."""


class TimeTypeError(ArgumentTypeError, TimeStepError):
    """A time step, a horizon or a hold of a type that cannot be meant."""


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


def _assignment(name: str, value: str) -> str:
    return f"{name}={value}"


_spelling: ContextVar[Callable[[str, str], str]] = ContextVar("spelling", default=_assignment)


def keyword(name: str, value: str = "") -> str:
    """An argument in a message: ``name=value``, or what it is called by whoever reads the message.

    Examples
    --------
    >>> keyword("unstable", "'split'")
    "unstable='split'"
    """
    return _spelling.get()(name, value)


@contextmanager
def spelled(spelling: Callable[[str, str], str]) -> Iterator[None]:
    """Within it :func:`keyword` is `spelling`, as the command line calls arguments options."""
    before = _spelling.set(spelling)
    try:
        yield
    finally:
        _spelling.reset(before)


@contextmanager
def at(where: object) -> Iterator[None]:
    """Say where it happened in what goes wrong inside: ``where: message``, all else of the error kept."""
    try:
        yield
    except MorError as error:
        # Made without its constructor, whose arguments a kind of error may choose; the attributes follow.
        told = type(error).__new__(type(error), f"{where}: {str(error).rstrip('.')}.", *error.args[1:])
        vars(told).update(vars(error))
        raise told from error
