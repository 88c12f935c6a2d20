"""Whatever describes a linear time-invariant system, read by duck typing."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from mor.checks import guarded
from mor.errors import NotASystemError
from mor.systems.base import System
from mor.systems.labels import Labels
from mor.systems.lti import LTI

#: What pyMOR's models have that are no linear time-invariant system with finitely many states, by what
#: their equations have beside A, B and C.
_OTHER_MODELS = {
    "tau": "has delays: its state is a function of time, which no matrices (A, B, C, D, E) describe",
    "N": "is bilinear: states times inputs drive it, so that it is not linear",
    "As": "is stochastic: noise multiplies its states, so that it is not time-invariant",
}
_NO_MATRICES = "has no matrices (A, B, C, D, E), which a state space consists of"

#: Names that python-control gives where the user gave none: ``sys[3]`` and its derivatives.
_GENERIC_NAME = re.compile(r"sys\[\d+\]")


@guarded
def as_system(obj: Any) -> System:
    """`obj` as a :class:`~mor.systems.base.System`.

    Parameters
    ----------
    obj : one of

        * a system of this library, returned as it is;
        * a :class:`~mor.Reduction`, which stands for its reduced system;
        * a tuple ``(A, B, C)``, ``(A, B, C, D)`` or ``(A, B, C, D, E)``, continuous;
        * anything with attributes ``A, B, C, D`` and optionally ``E`` and ``dt``: a
          python-control or scipy.signal state space. ``dt`` of None (unspecified) is read as
          0, continuous; True (discrete of unspecified step) as a step of 1. Names of signals,
          states and system that the user of python-control chose become :class:`~mor.Labels`;
        * a pyMOR model, by its ``to_abcde_matrices()`` (port-Hamiltonian ones too) and ``sampling_time``;
          one with ``to_lti()`` (second order) by the matrices of that. Models with delays, bilinear,
          stochastic and parametric ones are refused;
        * anything with a method ``to_ss``: transfer functions of scipy.signal and
          python-control.

    Returns
    -------
    System

    Raises
    ------
    NotASystemError
        If it is none of these, or has no state space (more zeros than poles, frequency response data).
    DimensionError
        If its matrices do not fit together, or are sparse and of an order above 5000.
    NotFiniteError
        If an entry is NaN or infinite.
    TimeStepError
        If its time step is negative or not finite.

    Examples
    --------
    >>> import mor
    >>> mor.as_system(([[-1.0]], [[1.0]], [[1.0]]))
    <LTI order 1, 1 inputs, 1 outputs, dt=0>
    """
    if isinstance(obj, System):
        return obj
    if isinstance(getattr(obj, "system", None), System):
        return obj.system
    if type(obj) is tuple:
        if not 3 <= len(obj) <= 5:
            raise NotASystemError(f"a tuple (A, B, C[, D[, E]]) has 3 to 5 matrices, not {len(obj)}.")
        if len(obj) == 5 and obj[4] is not None and np.ndim(obj[4]) == 0:
            raise NotASystemError(
                f"the fifth entry of a tuple (A, B, C, D, E) is the matrix E, not {obj[4]!r}: give a time "
                "step to mor.LTI(A, B, C, D, dt=...)."
            )
        return LTI(*obj)
    if hasattr(obj, "sampling_time") or hasattr(obj, "to_matrices"):
        return _from_pymor(obj)
    if all(hasattr(obj, name) for name in "ABCD"):
        E = getattr(obj, "E", None)
        return LTI(obj.A, obj.B, obj.C, obj.D, E, dt=_time_step(obj), labels=_labels(obj))
    if hasattr(obj, "to_ss"):
        return as_system(_state_space(obj))
    has_system = callable(getattr(obj, "system", None))
    raise NotASystemError(
        f"{type(obj).__name__} is not a linear time-invariant system: give a mor system, a tuple "
        "(A, B, C[, D[, E]]), or an object with A, B, C, D, to_ss() or to_matrices()."
        + (" It has a method system(): give what that returns." if has_system else "")
    )


def _state_space(obj: Any) -> Any:
    try:
        return obj.to_ss()
    except (TypeError, ValueError, NotImplementedError) as error:
        raise NotASystemError(f"{type(obj).__name__} has no state space: {error}") from error


def _from_pymor(model: Any) -> LTI:
    kind = type(model).__name__
    if getattr(model, "parameters", None):
        raise NotASystemError(
            f"{kind} depends on parameters: assemble its operators at values of them, op.assemble(mu), and "
            "give the model of those."
        )
    if not (hasattr(model, "to_abcde_matrices") or hasattr(model, "to_matrices") or hasattr(model, "to_lti")):
        why = next((why for name, why in _OTHER_MODELS.items() if hasattr(model, name)), _NO_MATRICES)
        raise NotASystemError(f"{kind} {why}.")
    try:
        if hasattr(model, "to_lti"):
            model = model.to_lti()
        # to_matrices() gives the matrices of each kind's own equations.
        read = getattr(model, "to_abcde_matrices", None) or model.to_matrices
        matrices = read()
        A, B, C, D, E = matrices
    except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
        raise NotASystemError(
            f"{kind} does not give the matrices A, B, C, D, E of one system by to_matrices(), "
            f"to_abcde_matrices() or to_lti(): {error}."
        ) from error
    return LTI(A, B, C, D, E, dt=getattr(model, "sampling_time", 0.0))


def _time_step(obj: Any) -> Any:
    dt = getattr(obj, "dt", None)
    if dt is None:
        return 0.0
    return 1.0 if dt is True else dt


def _labels(obj: Any) -> Labels | None:
    """The names that python-control keeps, less those that it made up."""
    name = getattr(obj, "name", None)
    labels = Labels(
        inputs=_chosen(obj, "input_labels", "u"),
        outputs=_chosen(obj, "output_labels", "y"),
        states=_chosen(obj, "state_labels", "x"),
        name=name if isinstance(name, str) and name and not _GENERIC_NAME.match(name) else None,
    )
    return None if labels == Labels() else labels


def _chosen(obj: Any, attribute: str, letter: str) -> tuple[str, ...] | None:
    names = getattr(obj, attribute, None)
    made_up = [f"{letter}[{i}]" for i in range(len(names or ()))]
    return tuple(names) if names and list(names) != made_up else None
