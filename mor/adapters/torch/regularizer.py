"""Hankel singular values in a training loss: one line in an existing loop."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from mor.adapters.layers.dialects.detect import is_any_layer
from mor.adapters.layers.layer import label
from mor.adapters.layers.layers import Layers
from mor.adapters.layers.live import find_in_model, nuclear_norm, unstable_in_training
from mor.analysis.nuclear_norm import hankel_nuclear_norm
from mor.checks import check_real, check_whole
from mor.errors import MorError, NotASystemError, ReductionError, UnstableSystemError, at
from mor.systems.base import System
from mor.systems.convert import as_system


class HankelRegularizer:
    r"""Weighted sum of the Hankel singular values of all state-space layers of a model.

    .. math:: R_t = w \min(1, t / t_0) \sum_{layers} \sum_{i > r} \sigma_i

    Add what a call returns to the loss, once a step (with gradient accumulation to one of the
    parts: each call counts for the warm-up)::

        regularizer = HankelRegularizer(model, weight=1e-3)
        for u, labels in batches:
            loss = cross_entropy(model(u), labels) + regularizer()

    Layers are found by the names and shapes of their tensors, as in a checkpoint of any of the
    dialects. Of other modules those count that have a method ``system()``, which returns
    a stable system of tensors: an :class:`mor.Modal`, say.

    Parameters
    ----------
    model : ``torch.nn.Module``, also one in training wrappers.
    weight : w >= 0. Published values reach from 1e-8 to 1e-3; fewer steps need a larger one.
    warm_up : number t0 of steps over which the weight grows from 0.
    order : number r of values a layer that cost nothing: the order that each is to be reduced
        to. What remains is half the error bound of balanced truncation to that order.
    dialect : of the layers, where more than one fits.

    Raises
    ------
    NotASystemError
        If the model has no such layer.
    NotLinearTimeInvariantError
        If its layers are selective.
    ReductionError
        If weight, warm_up or order is negative; if no layer has more than `order` states.

    Notes
    -----
    Computed in double precision whatever the parameters' type, layers of equal sizes as one
    batch; modules with a method ``system()`` one by one. A layer on several devices is
    refused; layers on different devices are not. Calls raise NotFiniteError or
    UnstableSystemError with the step, the layer and the parameter.

    Source: [Schwerdtner25].

    Examples
    --------
    >>> from mor.adapters.torch import HankelRegularizer, StateSpaceLayer
    >>> layer = StateSpaceLayer(channels=3, states=8)
    >>> regularizer = HankelRegularizer(layer, weight=1e-3, warm_up=100)
    >>> regularizer().backward()
    >>> layer.sys_in.grad.shape
    torch.Size([4, 2, 3])
    """

    def __init__(
        self,
        model: nn.Module,
        weight: float,
        *,
        warm_up: int = 0,
        order: int = 0,
        dialect: str | None = None,
    ) -> None:
        self.weight = check_real("weight", weight, least=0, error=ReductionError)
        self.warm_up = check_whole("warm_up", warm_up, 0, error=ReductionError)
        self.order = check_whole("order", order, 0, error=ReductionError)
        self.model, self.steps = model, 0
        self._layers, self._modules = find_layers(model, dialect)
        if order:
            self._check_order()

    def __call__(self) -> Tensor:
        """The term of the next step, a number that can be differentiated."""
        self.steps += 1
        grown = min(1.0, self.steps / self.warm_up) if self.warm_up else 1.0
        return self.weight * grown * self.sum()

    def sum(self) -> Tensor:
        """The sum alone, unweighted; counts as no step."""
        with at(f"step {self.steps}"):
            terms = list(self._terms())
        return torch.stack([term.to(terms[0]) for term in terms]).sum()

    def _terms(self) -> Iterator[Tensor]:
        if self._layers:
            tensors = named_tensors(self.model)
            total = nuclear_norm(self._layers, tensors, beyond=self.order)
            yield total.to(_precision(tensors[key] for key in self._layers.distinct[0].keys))
        for name in self._modules:
            with at(label(name)):
                try:
                    norm = hankel_nuclear_norm(self._system(name), beyond=self.order)
                except UnstableSystemError as error:
                    parameters = self.model.get_submodule(name).named_parameters()
                    raise unstable_in_training(error, [f"{name}.{key}" for key, _ in parameters]) from error
            yield torch.as_tensor(norm).sum()

    def _system(self, name: str) -> System:
        module: Any = self.model.get_submodule(name)
        return as_system(module.system())

    def _check_order(self) -> None:
        """Raise if no layer has more states than cost nothing.

        Only before training: what truncation later brings down to so few is rightly left alone.
        """
        tensors, layers = named_tensors(self.model), self._layers.distinct if self._layers else []
        sizes = {layer.name: 2 * layer.modes(tensors) for layer in layers}
        for name in self._modules:
            try:
                sizes[name] = _max_states(self._system(name))
            except MorError:  # the first step says what is wrong with it
                return
        if max(sizes.values()) <= self.order:
            listed = ", ".join(f"{name or 'the model'}: {size}" for name, size in sizes.items())
            raise ReductionError(
                f"order={self.order}, but no layer has more states ({listed}): nothing would ever be "
                "penalised. Give a smaller order, or leave the regulariser out."
            )

    def __repr__(self) -> str:
        found = [layer.name for layer in self._layers.distinct] if self._layers else []
        names = ", ".join(name or "the model" for name in found + self._modules)
        return f"<HankelRegularizer of {names}; weight {self.weight:g}, {self.steps} steps>"

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: the number of steps taken."""
        return {"steps": self.steps}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the `state` that :meth:`state_dict` gave."""
        self.steps = int(state["steps"])


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name, those with several names by each."""
    buffers = model.named_buffers(remove_duplicate=False)
    return {**dict(buffers), **dict(model.named_parameters(remove_duplicate=False))}


def _max_states(system: System) -> int:
    """The number of real states that its arrays have room for: training may turn a real pole into a pair."""
    return system.output_factor_matrix.shape[-1]


def _precision(tensors: Iterable[Tensor]) -> torch.dtype:
    """Double if one of them has it, else single: half would round the sum away."""
    doubles = (torch.float64, torch.complex128)
    return torch.float64 if any(x.dtype in doubles for x in tensors) else torch.float32


def find_layers(model: nn.Module, dialect: str | None) -> tuple[Layers | None, list[str]]:
    """The layers that a dialect knows, and the names of other modules with a system."""
    tensors = named_tensors(model)
    try:
        layers = find_in_model(tensors, dialect, shared=True)
    except NotASystemError:
        modules = _modules_with_system(model, ())
        if not modules or dialect is not None or is_any_layer(tensors):
            raise
        return None, modules
    return layers, _modules_with_system(model, layers)


def _modules_with_system(model: nn.Module, layers: Collection[str]) -> list[str]:
    """Modules that have a system of their own: not that of a layer inside or around them."""
    named = [name for name, module in model.named_modules() if callable(getattr(module, "system", None))]
    outside = [name for name in named if not any(_nested(name, layer) for layer in layers)]
    return [name for name in outside if not any(x != name and _inside(x, name) for x in outside)]


def _inside(name: str, outer: str) -> bool:
    return name == outer or not outer or name.startswith(outer + ".")


def _nested(one: str, other: str) -> bool:
    return _inside(one, other) or _inside(other, one)
