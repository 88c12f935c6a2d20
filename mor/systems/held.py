"""What a kind of system holds: arrays of one framework, and names."""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable
from typing import Any, ClassVar, Self, cast

from mor.arrays import Array, beside, detach, to_numpy, widest
from mor.systems.labels import Labels, signals_in_words, widened


class Held(ABC):
    """Arrays, a time step and labels: the fields of a frozen dataclass."""

    #: Eigenvalues of A, with conjugates left out where the kind implies them.
    poles: Any
    #: Input map and outputs, as the kind holds them.
    B: Any
    C: Any
    #: Feedthrough, (..., p, m).
    D: Any
    #: 0.0 continuous, positive discrete.
    dt: float
    #: Names of the signals and the system; None where there are none.
    labels: Labels | None
    #: Operators with a NumPy array on the left are this class's, not elementwise.
    __array_ufunc__: ClassVar[None] = None
    #: Fields with arrays of any framework and precision, each with the axes of a batch.
    _arrays: ClassVar[tuple[str, ...]] = ()

    @property
    def order(self) -> int:
        """Number of states: real ones, or complex ones of a complex system."""
        return self.B.shape[-2]

    @property
    def n_inputs(self) -> int:
        """Number of inputs, m."""
        return self.B.shape[-1]

    @property
    def n_outputs(self) -> int:
        """Number of outputs, p."""
        return self.C.shape[-2]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch of independent systems; empty for a single one."""
        return tuple(self.B.shape[:-2])

    def _trusted(self, **changes: Any) -> Self:
        """The system with some fields changed, unchecked."""
        system = object.__new__(type(self))
        kept = {name: getattr(self, name) for name in cast(Any, self).__dataclass_fields__}
        vars(system).update(kept | changes)
        return system

    def _mapped(self, change: Callable[[Array], Array], labels: Labels | None) -> Self:
        """The system with each of its arrays changed; itself where none is."""
        arrays = {name: change(getattr(self, name)) for name in self._arrays}
        if all(x is getattr(self, name) for name, x in arrays.items()):
            return self
        return self._trusted(**arrays, labels=labels)

    def detached(self) -> Self:
        """The same system as a constant, in double precision where there is one."""
        labels = widened(self.labels, self.B) if self._arrays else self.labels
        return self._mapped(lambda x: widest(detach(x)), labels)

    def on_numpy(self) -> Self:
        """The same system as a constant on NumPy, in double precision."""
        constant = self.detached()
        return constant._mapped(to_numpy, constant.labels)

    def moved(self, like: Array) -> Self:
        """The same system with its arrays beside `like`; itself where it is NumPy's in any case."""
        return self._mapped(lambda x: beside(x, like), self.labels)

    @property
    def _size(self) -> str:
        """Of the state, in words."""
        return f"order {self.order}"

    def __repr__(self) -> str:
        name = f" {self.labels.name!r}" if self.labels and self.labels.name else ""
        return f"<{type(self).__name__}{name} {self._size}, {signals_in_words(self)}>"
