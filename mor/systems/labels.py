"""What a system carries along for people: names, and the precision that its data came in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mor.arrays import Array, namespace
from mor.checks import shown
from mor.errors import ArgumentError, ArgumentTypeError, DimensionError

if TYPE_CHECKING:
    from mor.systems.held import Held

#: So many names of signals are printed in full.
_SHOWN = 4


@dataclass(frozen=True)
class Labels:
    """Names of signals, states and the system itself; nothing is computed from them.

    Parameters
    ----------
    inputs, outputs : names, one a signal, or None.
    name : of the system, or None.
    states : names, one a state, or None. A change of coordinates drops them, so a reduced
        system has none.
    precision : ``"float32"`` where a system holds doubles whose data came in single precision;
        :func:`mor.to_scipy` and :func:`mor.save` give single precision back where they can.

    Raises
    ------
    ArgumentTypeError
        If names are no list of strings.
    ArgumentError
        If there is no such `precision`.
    DimensionError
        If there are not as many names as signals, when a system takes them.

    Examples
    --------
    >>> import mor
    >>> named = mor.Labels(inputs=["force"], outputs=["angle"], name="arm")
    >>> mor.LTI([[-1.0]], [[1.0]], [[2.0]], labels=named)
    <LTI 'arm' order 1, 1 inputs (force), 1 outputs (angle), dt=0>
    """

    inputs: tuple[str, ...] | None = None
    outputs: tuple[str, ...] | None = None
    name: str | None = None
    states: tuple[str, ...] | None = None
    precision: str | None = None

    def __post_init__(self) -> None:
        for field in ("inputs", "outputs", "states"):
            object.__setattr__(self, field, _names(field, getattr(self, field)))
        if not (self.name is None or isinstance(self.name, str)):
            raise ArgumentTypeError(f"name={shown(self.name)} is no string.", argument="name")
        if not (self.precision is None or (isinstance(self.precision, str) and self.precision == "float32")):
            raise ArgumentError(
                f"precision={shown(self.precision)} is neither None nor 'float32'.", argument="precision"
            )

    def check(self, m: int, p: int, n: int | None = None) -> None:
        """Raise unless there is a name for each of m inputs, p outputs and n states.

        Parameters
        ----------
        m, p, n : numbers of inputs, outputs and states; names of states are not looked at if n is None.

        Raises
        ------
        DimensionError
            If there are more or fewer names than signals or states.
        """
        for field, count in (("inputs", m), ("outputs", p), ("states", n)):
            names = getattr(self, field)
            if names is not None and len(names) != count:
                raise DimensionError(f"labels name {len(names)} {field}; the system has {count}.")

    @property
    def transposed(self) -> Labels:
        """Those of the dual system."""
        return replace(self, inputs=self.outputs, outputs=self.inputs, states=None)


def checked_labels(labels: Any, m: int, p: int, n: int | None = None) -> Labels | None:
    """`labels`, which are None or name m inputs, p outputs and n states."""
    if labels is None:
        return None
    if not isinstance(labels, Labels):
        raise ArgumentTypeError(
            f"labels={shown(labels)} are no mor.Labels, such as mor.Labels(inputs=['force']).",
            argument="labels",
        )
    labels.check(m, p, n)
    return labels


def without_states(labels: Labels | None) -> Labels | None:
    """What is left of `labels` where the states have become others."""
    return labels if labels is None or labels.states is None else replace(labels, states=None)


def without_outputs(labels: Labels | None) -> Labels | None:
    """What is left of `labels` where the outputs have become others."""
    return labels if labels is None or labels.outputs is None else replace(labels, outputs=None)


def in_single(labels: Labels | None) -> Labels | None:
    """`labels` with a note of single precision."""
    return replace(labels or Labels(), precision="float32")


def widened(labels: Labels | None, x: Array) -> Labels | None:
    """`labels` for the doubles that `x` becomes, with a note if it is in single precision."""
    return in_single(labels) if x.dtype in (namespace(x).float32, namespace(x).complex64) else labels


def merged(a: Labels | None, b: Labels | None) -> Labels | None:
    """Those of a sum of two systems: names that both have, or that only one has."""
    if a == b:
        return without_states(a)
    a, b = a or Labels(), b or Labels()
    common = {name: _agreed(getattr(a, name), getattr(b, name)) for name in ("inputs", "outputs", "name")}
    labels = Labels(**common, precision=a.precision if a.precision == b.precision else None)
    return None if labels == Labels() else labels


def _agreed(a: Any, b: Any) -> Any:
    if a is None or b is None:
        return b if a is None else a
    return a if a == b else None


def signal_names(labels: Labels | None) -> tuple[tuple[str, ...] | None, tuple[str, ...] | None]:
    """Names of inputs and outputs, None where there are none."""
    return (labels.inputs, labels.outputs) if labels else (None, None)


def signals_in_words(system: Held) -> str:
    """Inputs, outputs and time step of a system."""
    inputs, outputs = (_listed(names) for names in signal_names(system.labels))
    return f"{system.n_inputs} inputs{inputs}, {system.n_outputs} outputs{outputs}, dt={system.dt:g}"


def _listed(names: tuple[str, ...] | None) -> str:
    """Names in parentheses, the first few of many; nothing if there are none."""
    if not names:
        return ""
    return f" ({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})"


def _names(field: str, value: Iterable[str] | None) -> tuple[str, ...] | None:
    if value is None:
        return None
    names = None
    if isinstance(value, Iterable) and not isinstance(value, str) and getattr(value, "shape", None) != ():
        names = tuple(value)
    if names is None or not all(isinstance(name, str) for name in names):
        raise ArgumentTypeError(f"{field}={shown(value)} is no list of names.", argument=field)
    return tuple(str(name) for name in names)
