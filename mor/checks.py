"""Checks of arguments that more than one package makes: numbers, arrays, shapes, finite values, time."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import wraps
from numbers import Real
from os import PathLike, fspath
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from mor.arrays import (
    Array,
    astype_like,
    failures_of_arithmetic,
    from_numpy,
    is_array,
    is_concrete,
    is_numpy,
    namespace,
    to_numpy,
)
from mor.errors import (
    ArgumentError,
    ArgumentTypeError,
    DimensionError,
    MorError,
    NotFiniteError,
    NotNumbersError,
    ReductionError,
    ReductionTypeError,
    TimeStepError,
    TimeTypeError,
    keyword,
)

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def guarded(function: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """`function` as a user may call it with any data whose arithmetic can fail.

    Results are tested for what is not finite, so that warnings of floating-point arithmetic on the way
    to them say nothing more; where LAPACK or Python's own arithmetic gives up there is no result.

    Raises
    ------
    NotFiniteError
    """

    @wraps(function)
    def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        try:
            with np.errstate(all="ignore"):
                return function(*args, **kwargs)
        except failures_of_arithmetic() as error:
            raise NotFiniteError(
                f"{function.__name__} leaves the range of floating-point numbers ({error}): entries are too "
                "large, too small or too far apart; choose other units of time, states or signals."
            ) from error

    return call


def check_real(
    name: str,
    value: Any,
    *,
    above: float = -np.inf,
    least: float = -np.inf,
    error: type[MorError] = ArgumentError,
) -> float:
    """`value` as a finite float, larger than `above` and not less than `least`."""
    if not isinstance(value, Real | np.bool_) and not _is_scalar_array(value):
        raise _of_type(error)(f"{keyword(name, shown(value))} is not a number.", argument=name)
    number = float(value) if _is_finite(value) else np.nan
    if not (np.isfinite(number) and number > above and number >= least):
        limit = "" if least == -np.inf else f" >= {least:g}"
        wanted = "a positive finite number" if above == 0 else f"a finite number{limit}"
        raise error(f"{keyword(name, shown(value))} is not {wanted}.", argument=name)
    return number


def check_whole(
    name: str,
    value: Any,
    low: int,
    high: int | None = None,
    *,
    what: str = "",
    error: type[MorError] = ArgumentError,
) -> int:
    """`value` as an int from `low` to `high`; `what` says what `high` is."""
    limits = f"of at least {low}" if high is None else f"between {low} and {high}"
    message = f"{keyword(name, shown(value))} is not a whole number {limits}{what and ', '}{what}."
    if not isinstance(value, Real) and not _is_scalar_array(value):
        raise _of_type(error)(message, argument=name)
    number = cast(Any, value)
    if (
        not _is_finite(number)
        or number != int(number)
        or number < low
        or (high is not None and number > high)
    ):
        raise error(message, argument=name)
    return int(number)


def _of_type(error: type[MorError]) -> type[ArgumentTypeError]:
    """The kind of `error` for a value of a wrong type."""
    kinds = {
        ReductionError: ReductionTypeError,
        TimeStepError: TimeTypeError,
        DimensionError: NotNumbersError,
    }
    return kinds.get(error, ArgumentTypeError)


def check_path(name: str, value: Any, error: type[MorError]) -> Path:
    """`value` as a path; `error` if it can be no name of a file."""
    if not isinstance(value, str | PathLike):
        raise ArgumentTypeError(f"{name}={shown(value)} is no path of a file.", argument=name)
    text = str(fspath(value))
    if not text or "\0" in text:
        raise error(f"{text!r} is no name of a file.", argument=name)
    return Path(text)


def check_order(order: Any, low: int, high: int) -> int:
    """`order` as a number of states from `low` to `high`, all that a system has.

    Raises
    ------
    ReductionError, ReductionTypeError
    """
    if high < low:
        raise ReductionError(
            "the system has no states: there is nothing to reduce.",
            argument="order",
        )
    return check_whole("order", order, low, high, what="the order of the system", error=ReductionError)


def check_flag(name: str, value: Any) -> bool:
    """`value` as True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ArgumentTypeError(f"{keyword(name, shown(value))} is neither True nor False.", argument=name)
    return bool(value)


def check_choice(
    name: str, value: Any, choices: Any, *, error: type[MorError] = ArgumentError, also: str = ""
) -> None:
    """Raise unless `value` is one of the words in `choices`."""
    if not (isinstance(value, str) and value in choices):
        kind = error if isinstance(value, str) else _of_type(error)
        raise kind(f"{keyword(name, shown(value))} is not one of {', '.join(choices)}{also}.", argument=name)


def shown(value: Any) -> str:
    """`value` in a message: short, whatever it is."""
    if isinstance(value, np.generic):
        value = value.item()
    if is_array(value) or isinstance(value, np.ndarray):
        return f"<{type(value).__name__} of shape {tuple(value.shape)}>"
    text = (
        repr(value)
        if isinstance(value, str | bytes | int | float | complex | None)
        else f"<{type(value).__name__}>"
    )
    return text if len(text) <= 40 else f"{text[:36]} ..."


def _is_finite(value: Any) -> bool:
    """Whether `value` is finite as a float."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _is_scalar_array(value: Any) -> bool:
    """Whether `value` is an array without axes that holds a real number."""
    if np.ma.is_masked(value) or not is_array(value) or value.ndim or not is_concrete(value):
        return False
    return namespace(value).isdtype(value.dtype, ("real floating", "integral"))


def numbers(name: str, value: Any, *, kinds: str = "biufc") -> np.ndarray:
    """`value`, of any framework, as a NumPy array of numbers, as it is or copied.

    Raises
    ------
    NotNumbersError
        If it holds something else: words, objects, lists of unequal lengths.
    ArgumentError
        If entries are masked: what they stand for is unknown.
    """
    try:
        x = np.asarray(to_numpy(value))
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise NotNumbersError(f"{name} is no array of numbers: {error}", argument=name) from None
    if x.dtype.kind not in kinds:
        wanted = "numbers" if "c" in kinds else "real numbers"
        raise NotNumbersError(f"{name} is not an array of {wanted}: its type is {x.dtype}.", argument=name)
    check_unmasked(name, value)
    return x


def check_unmasked(name: str, value: Any) -> None:
    """Raise if entries are masked: what they stand for is unknown."""
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ArgumentError(
            f"{name} has masked entries, which have no values to compute with: fill them in.", argument=name
        )


def common_arrays(**values: Any) -> list[Array]:
    """`values` as arrays of numbers in the one framework that any of them is of, else NumPy's.

    What is no array yet takes the precision of those that are.
    """
    framework = [x for x in values.values() if is_array(x) and not is_numpy(x)]
    if not framework:
        return [numbers(name, x) for name, x in values.items()]
    xp = namespace(framework[0])
    if any(namespace(x) is not xp for x in framework[1:]):
        raise ArgumentTypeError(
            f"{', '.join(values)} are arrays of different frameworks; they must be of one."
        )
    arrays = []
    for name, x in values.items():
        if is_array(x) and not is_numpy(x):
            arrays.append(x)
            continue
        there = from_numpy(numbers(name, x), framework[0])
        arrays.append(there if is_array(x) else astype_like(there, framework[0]))
    return arrays


def check_dt(dt: Any) -> float:
    """`dt` as a float: 0 continuous, positive discrete."""
    if not isinstance(dt, Real | np.bool_) and not _is_scalar_array(dt):
        raise TimeTypeError(
            f"dt must be a number, 0 (continuous) or positive (discrete), not {shown(dt)}.", argument="dt"
        )
    if not _is_finite(dt) or dt < 0:
        raise TimeStepError(
            f"dt must be 0 (continuous) or a positive finite step (discrete), not {shown(dt)}.", argument="dt"
        )
    return float(dt)


def check_continuous_step(dt: float, step: float) -> float:
    """`step` as a float, with which a system of time step `dt`, continuous, can be discretised."""
    if dt:
        raise TimeStepError(f"The system is discrete already (dt={dt:g}).")
    return check_real("step", step, above=0, error=TimeStepError)


def check_horizon(horizon: float | None, dt: float) -> float | None:
    """`horizon` as None, a positive end time, or a positive whole number of steps."""
    if horizon is None:
        return None
    if not isinstance(horizon, Real) and not _is_scalar_array(horizon):
        raise TimeTypeError(
            f"horizon must be a number, or None for infinite, not {shown(horizon)}.", argument="horizon"
        )
    if not _is_finite(horizon) or horizon <= 0:
        raise TimeStepError(
            f"horizon must be positive and finite, or None for infinite, not {shown(horizon)}.",
            argument="horizon",
        )
    if dt and horizon != int(horizon):
        raise TimeStepError(
            f"{keyword('horizon', shown(horizon))}: in discrete time (dt={dt:g}) it is a number of steps, "
            "not a time.",
            argument="horizon",
        )
    return int(horizon) if dt else float(horizon)


def check_finite(**arrays: Array) -> None:
    """Raise :class:`NotFiniteError` naming the array and entry; traced values pass."""
    for name, x in arrays.items():
        # NumPy's arrays are not asked through the namespace: a small system would spend a tenth there.
        if type(x) is np.ndarray and x.dtype.kind in "fc" and np.isfinite(x.sum()):
            continue
        if x is None or not is_concrete(x):
            continue
        if not namespace(x).isdtype(x.dtype, ("real floating", "complex floating")):
            continue
        xp = namespace(x)
        # A finite sum, one cheap pass, proves finite entries; else look at each.
        with np.errstate(over="ignore", invalid="ignore"):
            if bool(xp.isfinite(xp.sum(x))):
                continue
        values = to_numpy(x)
        where = np.argwhere(~np.isfinite(values))
        if len(where):
            raise NotFiniteError(
                f"{name} has {len(where)} entries that are not finite, the first at "
                f"{where[0].tolist()}: {values[tuple(where[0])]}.",
                argument=name,
            )


def check_overflow(horizon: float | None, *results: Array) -> None:
    """Raise if what a growing response left within `horizon` is not finite."""
    for x in results:
        # NumPy's arrays are not asked through the namespace: a small system would feel it.
        if type(x) is np.ndarray and np.isfinite(x).all():
            continue
        if is_concrete(x) and not bool(namespace(x).all(namespace(x).isfinite(x))):
            if horizon is None:
                raise NotFiniteError(
                    "the result overflows double precision: choose other units of the signals."
                )
            raise NotFiniteError(
                f"the response overflows within horizon={horizon!r}: the system is unstable and that is "
                "too long for double precision."
            )


def check_shape(name: str, actual: tuple[int, ...], expected: tuple[Any, ...]) -> None:
    """Raise :class:`DimensionError` unless the last axes of `actual` are `expected`."""
    actual = tuple(actual)
    tail = actual[len(actual) - len(expected) :] if len(actual) >= len(expected) else None
    if tail is None or any(e is not None and e != t for t, e in zip(tail, expected, strict=True)):
        wanted = ", ".join("*" if e is None else str(e) for e in expected)
        raise DimensionError(f"{name} has shape {actual}; its last axes must be ({wanted}).", argument=name)
