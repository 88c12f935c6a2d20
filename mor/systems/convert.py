"""Whatever describes a linear time-invariant system, read by duck typing."""

from __future__ import annotations

from typing import Any

from mor.errors import NotASystemError
from mor.systems.base import System
from mor.systems.lti import LTI


def as_system(obj: Any) -> System:
    """`obj` as a :class:`~mor.systems.base.System`.

    Parameters
    ----------
    obj : one of

        * a system of this library, returned as it is;
        * a tuple ``(A, B, C)``, ``(A, B, C, D)`` or ``(A, B, C, D, E)``, continuous;
        * anything with attributes ``A, B, C, D`` and optionally ``E`` and ``dt``: a
          python-control or scipy.signal state space. ``dt`` of None means continuous,
          True (a discrete system of unspecified step) means a step of 1;
        * anything with a method ``to_ss``: transfer functions of scipy.signal and
          python-control.

    Raises
    ------
    NotASystemError
        If it is none of these.

    Examples
    --------
    >>> import mor
    >>> mor.as_system(([[-1.0]], [[1.0]], [[1.0]]))
    <LTI order 1, 1 inputs, 1 outputs, dt=0>
    """
    if isinstance(obj, System):
        return obj
    if type(obj) is tuple:
        if not 3 <= len(obj) <= 5:
            raise NotASystemError(f"a tuple (A, B, C[, D[, E]]) has 3 to 5 matrices, not {len(obj)}.")
        return LTI(*obj)
    if all(hasattr(obj, name) for name in "ABCD"):
        return LTI(obj.A, obj.B, obj.C, obj.D, getattr(obj, "E", None), dt=_time_step(obj))
    if hasattr(obj, "to_ss"):
        return as_system(obj.to_ss())
    raise NotASystemError(
        f"{type(obj).__name__} is not a linear time-invariant system: give a mor system, a tuple "
        "(A, B, C[, D[, E]]), or an object with A, B, C, D or to_ss()."
    )


def _time_step(obj: Any) -> Any:
    dt = getattr(obj, "dt", None)
    if dt is None:
        return 0.0
    return 1.0 if dt is True else dt
