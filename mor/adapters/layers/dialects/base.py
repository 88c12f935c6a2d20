"""What a dialect is: names and shapes of a layer's tensors, and the map between them and a Modal."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from mor.adapters.layers.dtypes import (
    ComplexArray,
    as_double,
    as_type,
    dtype_name,
    is_floating,
    precision,
)
from mor.arrays import Array, is_numpy, widest
from mor.errors import CheckpointError, NotFiniteError
from mor.systems.modal import Modal

#: Types whose spacing is above this are too coarse to tell a real pole from a close pair.
_FINE = 1e-6

#: Distance from the unit circle that the functions which make poles of parameters cannot tell from zero.
_ON_CIRCLE = 8 * np.finfo(float).eps

#: When a layer reads its state.
READOUTS = ("updated", "current")

Tensors = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Field:
    """One tensor of a layer: its name after the layer's prefix, and its shape in symbols."""

    name: str
    shape: tuple[str | int, ...]
    is_complex: bool = False

    def __str__(self) -> str:
        kind = " complex" if self.is_complex else ""
        return f"{self.name} ({', '.join(map(str, self.shape))}){kind}"


@dataclass(frozen=True)
class Stored:
    """The tensors of one layer, by field name, as a file or a model in memory holds them.

    `prefix` is what their names begin with there.
    """

    arrays: Mapping[str, Array]
    prefix: str = ""

    def double(self, name: str) -> Array:
        """The numbers in double precision, differentiable where the tensors are."""
        x = self.arrays[name]
        return as_double(x) if is_numpy(x) else widest(x)

    def rounded(self, name: str, values: np.ndarray) -> np.ndarray:
        """What `values` become when the file holds them, in double precision."""
        return as_double(as_type(values, self.arrays[name].dtype))

    @property
    def eps(self) -> float:
        """Spacing at 1 of the coarsest type among the layer's tensors."""
        return max(precision(x.dtype) for x in self.arrays.values())


class Dialect(ABC):
    """How one kind of layer stands in a checkpoint.

    Every one describes ``x_k = diag(poles) x_{k-1} + B u_k, y_k = Re(C x_k) + D u_k`` or, where
    `readout` is ``"current"``, the same with the state before its update. The `Modal` has
    ``dt = 1`` and is computed in double precision whatever the file holds.
    """

    name: ClassVar[str]
    description: ClassVar[str]
    fields: ClassVar[tuple[Field, ...]]
    #: Fields that set the moduli of the poles; the first has the modes along its last axis.
    decay: ClassVar[tuple[str, ...]]
    readout: ClassVar[str] = "updated"
    #: Whether poles on and outside the unit circle have parameters.
    holds_unstable: ClassVar[bool] = False

    def locate(self, names: Collection[str]) -> list[str]:
        """Prefixes under which every field of the dialect has a tensor, of whatever shape."""
        marker = self.fields[0].name
        prefixes = [key.removesuffix(marker) for key in names if ends_with_part(key, marker)]
        return [p for p in prefixes if all(p + field.name in names for field in self.fields)]

    def find(self, tensors: Tensors) -> list[str]:
        """Prefixes of the layers: fields, shapes and kinds of numbers all as described."""
        return [p for p in self.locate(tensors) if self.mismatch(self.stored(tensors, p)) is None]

    def mismatch(self, stored: Stored) -> str | None:
        """What keeps the tensors from being a layer; None if nothing does."""
        sizes: dict[str, int] = {}
        for field in self.fields:
            x, key = stored.arrays[field.name], stored.prefix + field.name
            if not (x.dtype.kind == "c" if field.is_complex else is_floating(x.dtype)):
                kind = "complex" if field.is_complex else "real and floating"
                return f"{key} is {dtype_name(x.dtype)}; it must be {kind}"
            if not _unify(field.shape, x.shape, sizes):
                wanted = ", ".join(str(sizes.get(str(n), n)) for n in field.shape)
                return f"{key} has shape {x.shape}; it must be ({wanted})"
        return None

    @property
    def mode_symbol(self) -> str | int:
        """The symbol of the number of modes in the shapes of the fields."""
        return next(field.shape[-1] for field in self.fields if field.name == self.decay[0])

    def stored(self, tensors: Mapping[str, Array], prefix: str) -> Stored:
        """The tensors of the layer under `prefix`."""
        return Stored({field.name: tensors[prefix + field.name] for field in self.fields}, prefix)

    def read(self, stored: Stored) -> Modal:
        """The layer in double precision, its tensors checked.

        Raises
        ------
        CheckpointError
            If shapes or kinds of numbers are not the dialect's.
        NotFiniteError
            Naming the tensor with NaN or infinity in it.
        """
        if (reason := self.mismatch(stored)) is not None:
            raise CheckpointError(f"not a layer of dialect {self.name}: {reason}.")
        for field in self.fields:
            check_finite_tensor(stored.prefix + field.name, np.isfinite(stored.double(field.name)))
        try:
            with np.errstate(over="ignore", invalid="ignore"):
                system = self.system(stored)
                if 0 in system.batch_shape:
                    raise CheckpointError(
                        f"the layer {stored.prefix!r} has no channels: there is nothing in it."
                    )
                return _with_poles_on_the_circle(_with_real_poles(system, stored.eps))
        except NotFiniteError as error:
            raise NotFiniteError(
                f"the tensors under {stored.prefix!r} are finite, their system is not: {error}"
            ) from error

    def system(self, stored: Stored) -> Modal:
        """The layer as its tensors say, in their framework and differentiable by them."""
        poles, B, C, D = self.to_arrays(stored)
        return Modal(poles, B, C, D, dt=1.0)

    def write(self, stored: Stored, modal: Modal, kept: Mapping[int, int]) -> dict[str, np.ndarray]:
        """New tensors by field name, in the dtypes of the old ones, whose layer is `modal`.

        Fields that do not change (D among them) are left out. Mode i of `modal` that is mode ``kept[i]`` of
        the old layer has the parameters of that one, bit for bit.
        """
        poles, B, C = (np.asarray(x, dtype=complex) for x in (modal.poles, modal.B, modal.C))
        values = self.from_arrays(poles, B, C, stored)
        # Copies, into which modes can be written.
        new = {name: np.array(as_type(x, stored.arrays[name].dtype)) for name, x in values.items()}
        for field in self.fields:
            if field.name in new and self.mode_symbol in field.shape:
                axis = field.shape.index(self.mode_symbol)
                before, after = (np.moveaxis(x[field.name], axis, 0) for x in (stored.arrays, new))
                after[list(kept)] = before[list(kept.values())]
        return new

    @abstractmethod
    def to_arrays(self, stored: Stored) -> tuple[Array, Array, Array, Array]:
        """``(poles, B, C, D)`` of the discrete layer, D as a matrix.

        Array API, for a batch of layers with leading axes as well.
        """

    @abstractmethod
    def from_arrays(
        self, poles: ComplexArray, B: ComplexArray, C: ComplexArray, stored: Stored
    ) -> dict[str, np.ndarray]:
        """Field values of the layer with these poles, B and C; inverse of the above."""

    def caveats(self, modal: Modal) -> list[str]:
        """What the user of the written layer should know of it."""
        return []


def read_out(modal: Modal, readout: str) -> Modal:
    """The map of a layer whose system is `modal`: ``z G(z) + D`` if it reads its ``"updated"`` state.

    ``z C (z - A)^{-1} B = C A (z - A)^{-1} B + C B``.
    """
    if readout not in READOUTS:
        raise CheckpointError(f"readout={readout!r} is not one of {', '.join(READOUTS)}.")
    if readout == "current":
        return modal
    C = modal.C * modal.poles[..., None, :]
    return replace(modal, C=C, D=modal.D + np.real(modal.C @ modal.B))


def caveat(concerned: np.ndarray, what: str) -> list[str]:
    """How many modes are `concerned` by what a user should know; nothing if none are."""
    count = int(np.sum(concerned))
    return [f"{count} mode{'' if count == 1 else 's'} {what}"] if count else []


def ends_with_part(key: str, marker: str) -> bool:
    """Whether the last parts of a key, between its dots, are `marker`."""
    return key == marker or key.endswith("." + marker)


def _unify(pattern: tuple[str | int, ...], shape: tuple[int, ...], sizes: dict[str, int]) -> bool:
    """Whether `shape` fits; sizes of symbols met for the first time are remembered."""
    if len(pattern) != len(shape):
        return False
    return all(
        n == (p if isinstance(p, int) else sizes.setdefault(p, n))
        for p, n in zip(pattern, shape, strict=True)
    )


def check_finite_tensor(key: str, finite: np.ndarray) -> None:
    """Raise, naming the tensor, unless all its entries are `finite`."""
    if bad := int(np.sum(~finite)):
        raise NotFiniteError(f"{key} has {bad} of {finite.size} entries that are NaN or infinite.")


def _with_real_poles(modal: Modal, eps: float) -> Modal:
    """A real mode with a negative pole, which an angle of pi only nearly is, made exactly real.

    Only where B and C of the mode are real as well, to the precision of the file: that is how
    such a mode is exported, and no pair of modes looks like it.
    """
    if eps > _FINE:
        return modal
    poles, B, C = modal.poles, modal.B, modal.C
    slack = 4 * eps
    real = (poles.real < 0) & (np.abs(poles.imag) <= slack * math.pi * np.abs(poles))
    real &= np.all(np.abs(B.imag) <= slack * np.abs(B), axis=-1)
    real &= np.all(np.abs(C.imag) <= slack * np.abs(C), axis=-2)
    if not real.any():
        return modal
    return replace(
        modal,
        poles=np.where(real, poles.real, poles),
        B=np.where(real[..., :, None], B.real, B),
        C=np.where(real[..., None, :], C.real, C),
    )


def _with_poles_on_the_circle(modal: Modal) -> Modal:
    """Poles next to the unit circle, to within their own round-off, put where they count as not stable.

    ``exp(i w)`` lies inside or outside as its last bit falls, and a reduction takes its word for it.
    """
    modulus = np.abs(modal.poles)
    on_circle = (modulus < 1 + _ON_CIRCLE) & (modulus > 1 - _ON_CIRCLE)
    if not on_circle.any():
        return modal
    outward = (1 + np.finfo(float).eps * 2) / np.where(on_circle, modulus, 1.0)
    return replace(modal, poles=np.where(on_circle, modal.poles * outward, modal.poles))
