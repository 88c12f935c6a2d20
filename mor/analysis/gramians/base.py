"""What every pair of Gramians says of itself: all that is asked of one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

import numpy as np

from mor.arrays import Array, adjoint, astype_like, beside, to_numpy
from mor.errors import DimensionError, QuadraticOutputError
from mor.systems.base import System
from mor.systems.lti import LTI
from mor.systems.units import OWN, Units

#: Anything :func:`mor.as_system` takes.
SystemLike = Any


def on_command_line(written: str, read: Callable[[str], Any] | None) -> dict[str, Any]:
    """Metadata of a field of a kind: how its values are written there, and what reads them; None: a file,
    which holds a system. A field without is set in Python only."""
    return {"form": (written, read)}


NUMBER = on_command_line("NUMBER", float)
FILE = on_command_line("FILE", None)


@dataclass(frozen=True)
class Gramians(ABC):
    """Which Gramians a system is balanced by.

    A new kind is a subclass of this and an entry in :data:`mor.analysis.gramians.KINDS`.
    """

    #: The kind on the command line.
    name: ClassVar[str]
    #: What it makes of the word balanced.
    adjective: ClassVar[str]
    #: What it asks of a system, what it promises of a reduced one, its bound and its sources: for the docs.
    needs: ClassVar[str]
    promises: ClassVar[str]
    bound: ClassVar[str] = "none"
    sources: ClassVar[tuple[str, ...]]
    #: The error that it is to make small.
    aim: ClassVar[str] = "H2 error"
    #: Which norm of the error :meth:`bounds` limit, as :attr:`mor.Reduction.bound_kind` has it.
    bounded_norm: ClassVar[str] = "hinf"
    #: Whether there are none of an unstable system, of quadratic outputs, of a batch.
    needs_stable: ClassVar[bool] = True
    needs_linear: ClassVar[bool] = False
    needs_single: ClassVar[bool] = False
    #: Whether :meth:`gramians` are as accurate as :meth:`factors`, relative to their own size.
    accurate_when_formed: ClassVar[bool] = False

    @property
    def stable(self) -> bool:
        """Whether a reduced system is stable in theory."""
        return False

    @property
    def end(self) -> float | None:
        """Time or number of steps up to which responses may grow; None where the system is stable."""
        return None

    def checked(self, system: System) -> Self:
        """The same for this system, whose stability is looked at elsewhere.

        Raises
        ------
        MorError
            If they make no sense for it.
        """
        if self.needs_linear and not system.is_linear:
            raise QuadraticOutputError(
                f"{self.adjective} Gramians are those of linear outputs; this system has quadratic ones. Its "
                "linear part, .linear, has them."
            )
        if self.needs_single and system.batch_shape:
            raise DimensionError(
                f"{self.adjective} Gramians are those of one system, not of a batch of shape "
                f"{system.batch_shape}: take its systems one at a time."
            )
        return self

    def in_units(self) -> tuple[Self, Units]:
        """The same with what it holds in moderate numbers, and the powers of two Zc and Zo are then over."""
        return self, OWN

    @abstractmethod
    def factors(self, system: System) -> tuple[Array, Array]:
        """``(Zc, Zo)`` with ``P = Zc Zc^H``, ``Q = Zo Zo^H``, in the coordinates of ``system.factors()``."""

    def gramians(self, system: System) -> tuple[Array, Array]:
        """``(P, Q)``, in the framework and precision of the system."""
        P, Q = (astype_like(beside(Z @ adjoint(Z), system.D), system.D) for Z in self.factors(system))
        return P, Q

    def bounds(self, values: np.ndarray, system: System) -> np.ndarray | None:
        """The error bound (..., n + 1) of every order 0..n, from Hankel singular values (..., n) of `system`;
        None where theory has none."""
        return None

    @property
    def limits(self) -> dict[str, Any]:
        """Keywords of :func:`mor.h2_norm` for the norm within what these Gramians are limited to."""
        return {}

    @property
    def about(self) -> str | None:
        """What is to be said, below a table, of numbers that belong to them."""
        return f"Hankel singular values are {self.adjective}." if self.adjective else None

    def compared(self, full: System, rom: System) -> tuple[System, System]:
        """Systems whose difference in the H-infinity norm is the error that these Gramians are about; the two
        themselves where it is that of the H2 norm within :attr:`limits`."""
        return full, rom

    def of(self, method: str) -> str:
        """The name of `method` with these Gramians and what they hold, for people."""
        held = {field.name: getattr(self, field.name) for field in fields(self)}
        said = ", ".join(_shown(name, value) for name, value in held.items() if value is not None)
        return f"{self.adjective} {method} ({said})" if said else f"{self.adjective} {method}".strip()


def state_space(system: System) -> LTI:
    """A single linear system as a dense one in the coordinates of ``system.factors()``, which of a
    :class:`~mor.Modal` are more than those of ``to_lti()``."""
    B, C, D = (to_numpy(x) for x in (system.input_factor_matrix, system.output_factor_matrix, system.D))
    A = to_numpy(system.on_numpy().operator.apply(np.eye(len(B))))
    return LTI(A, B, C, D, dt=system.dt)


def _shown(name: str, value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{x:g}" for x in value)
    return f"{value:g}" if isinstance(value, float | int) else name
