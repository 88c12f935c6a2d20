"""A system as named matrices, which is what files hold, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeGuard, cast

import numpy as np

from mor.adapters.limits import Budget
from mor.arrays import to_numpy
from mor.checks import check_dt
from mor.equations.sparse import check_dense_order, dense
from mor.errors import QuadraticOutputError, SystemFileError, TimeStepError, keyword
from mor.systems.base import System
from mor.systems.block_diagonal import BlockDiagonal
from mor.systems.labels import Labels
from mor.systems.lti import LTI
from mor.systems.modal import Modal

#: Matrices, numbers and names by variable.
Contents = dict[str, Any]

#: By kind of system the variable with its dynamics, which makes a file one of that kind.
KINDS: Mapping[str, Callable[..., System]] = {"A": LTI, "poles": Modal, "blocks": BlockDiagonal}

MATRICES = (*KINDS, "B", "C", "D", "E")

#: Names of the time step, the first that is there counts.
TIME_STEPS = ("dt", "Ts")

#: Fields of the labels, by the name of MATLAB's state-space property.
NAMES = {"InputName": "inputs", "OutputName": "outputs", "StateName": "states", "Name": "name"}

#: All that is read of a file.
VARIABLES = (*MATRICES, *TIME_STEPS, *NAMES)


def match_variables(stored: Iterable[str]) -> dict[str, str]:
    """By variable, the name it is stored under: as it is, or in another case of letters."""
    stored = list(stored)
    by_case = {name.lower(): name for name in reversed(stored)}
    found = {v: v if v in stored else by_case.get(v.lower()) for v in VARIABLES}
    return {variable: name for variable, name in found.items() if name is not None}


def contents_of(system: System) -> Contents:
    """The fields of `system` as NumPy arrays; names as strings and tuples of them."""
    if not system.is_linear:
        raise QuadraticOutputError(
            "files hold linear systems: save sys.linear, and its quadratic forms apart (numpy.savez)."
        )
    written = {cls: name for name, cls in KINDS.items()}
    system = system if type(system) in written else system.to_lti()
    kind = written[type(system)]
    labels = system.labels or Labels()
    arrays = {name: to_numpy(getattr(system, name)) for name in (kind, "B", "C", "D")}
    if kind == "A" and (E := cast(LTI, system).E) is not None:
        arrays["E"] = E
    # A dense system holds doubles; where its data came in single precision they go so too,
    # unless digits would be lost.
    singles = {name: as_single(x) for name, x in arrays.items()} if labels.precision else {}
    if singles and all(np.array_equal(singles[name], x) for name, x in arrays.items()):
        arrays = singles
    names = {variable: getattr(labels, field) for variable, field in NAMES.items()}
    return {**arrays, "dt": system.dt, **{name: x for name, x in names.items() if x is not None}}


def system_of(contents: Contents, dt: float | None, budget: Budget) -> System:
    """The system that `contents` describe.

    Raises
    ------
    SystemFileError
        If a matrix is missing or not numeric, or they take more than the `budget`.
    DimensionError, NotFiniteError
    TimeStepError
        If the time step is none, or `dt` is another than theirs.
    """
    kind = next((name for name in KINDS if name in contents), None)
    if kind is None:
        raise SystemFileError("there is no matrix A (nor poles, nor blocks)")
    if missing := [name for name in "BC" if name not in contents]:
        raise SystemFileError(f"there is {kind} but no {' and no '.join(missing)}")
    given = {name: _numbers(name, contents[name], budget) for name in (kind, *"BCDE") if name in contents}
    D, E = (given.pop(name, None) for name in "DE")
    fields = {"dt": _time_step(contents, dt), "labels": _labels(contents)}
    if D is not None and not _says_zero(D):
        fields["D"] = D
    else:
        budget.spend(8 * math.prod(given["B"].shape[-1:] + given["C"].shape[:-1]), "D, which is zero,")
    if E is not None and E.size:
        if kind != "A":
            raise SystemFileError(f"there is E beside {kind}; only a system with A has one")
        fields["E"] = E
    if kind == "poles":
        # MATLAB has no vectors, only matrices with one row or column.
        poles, shape = given["poles"], given["B"].shape[:-1]
        given["poles"] = poles.reshape(shape) if poles.size == np.prod(shape, dtype=int) else poles.ravel()
    return KINDS[kind](*given.values(), **fields)


def _numbers(name: str, value: Any, budget: Budget) -> np.ndarray:
    """A stored matrix as a dense array of numbers, real if it can be."""
    if hasattr(value, "toarray"):
        check_dense_order(max(value.shape), name)
        budget.spend(
            max(8, value.dtype.itemsize) * math.prod(value.shape), f"{name}, sparse, as a dense matrix"
        )
    x: Any = np.asarray(dense(name, value))
    if x.dtype.kind not in "biufc":
        raise SystemFileError(f"{name} is not a matrix of numbers (its type is {x.dtype})")
    if name in "ADE" and x.dtype.kind == "c" and not np.any(x.imag):
        x = x.real
    if x.dtype in (np.float32, np.complex64):
        return as_single(x)
    return x.astype(complex if x.dtype.kind == "c" else float, copy=False)


def _says_zero(D: np.ndarray) -> bool:
    """Whether D is left empty, or the scalar 0 that MATLAB takes for a zero matrix."""
    return D.size == 0 or (D.size == 1 and D.flat[0] == 0)


def _time_step(contents: Contents, given: float | None) -> float:
    """The time step of the file, or where it has none the one that was given."""
    given = None if given is None else check_dt(given)
    name = next((name for name in TIME_STEPS if name in contents), None)
    if name is None:
        return 0.0 if given is None else given
    own = _number(contents[name])
    if own is None and given is None:
        raise TimeStepError(f"{name} is not one number; give the time step as {keyword('dt')}")
    # MATLAB's way to say that it is not known, as True is python-control's.
    if own is None or own == -1:
        return 1.0 if given is None else given
    if given is not None and given != own:
        raise TimeStepError(
            f"the file says {name} = {own:g}; {keyword('dt', repr(given))} is for files that say none"
        )
    return own


def _number(value: Any) -> float | None:
    if not isinstance(value, int | float | np.ndarray) or np.size(value) != 1:
        return None
    x = np.ravel(value)
    return float(x[0]) if x.dtype.kind in "biuf" else None


def _labels(contents: Contents) -> Labels | None:
    """Names that are there and not all empty; a variable that only is called like one is none."""
    stored = {field: contents.get(variable) for variable, field in NAMES.items()}
    given: Any = {field: x for field, x in stored.items() if _is_text(x) and any(x)}
    return Labels(**given) if given else None


def _is_text(value: Any) -> TypeGuard[str | tuple[str, ...]]:
    return isinstance(value, str) or (isinstance(value, tuple) and all(isinstance(x, str) for x in value))


def as_single(x: np.ndarray) -> np.ndarray:
    """In single precision, where what is too large is infinite."""
    with np.errstate(over="ignore"):
        return x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)
