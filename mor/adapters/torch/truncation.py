"""Balanced truncation while a model is being trained."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from numbers import Integral
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mor.adapters.checkpoints.formats.torch_file import arrays_of, from_numpy
from mor.adapters.checkpoints.loading import load_resized
from mor.adapters.layers.beside import beside_states
from mor.adapters.layers.export import modal_of
from mor.adapters.layers.layers import Layers
from mor.adapters.layers.live import find_in_model
from mor.adapters.torch.regularizer import named_tensors
from mor.checks import check_real, check_whole, shown
from mor.deep.ranks import allocate_ranks, check_keep
from mor.errors import ArgumentTypeError, ReductionError, at
from mor.reduction.balance import balance
from mor.reduction.balancing import Balancing
from mor.reduction.batch_balancing import BatchBalancing
from mor.reduction.result import Reduction

#: The optimizers of a model.
Optimizers = torch.optim.Optimizer | Iterable[torch.optim.Optimizer] | None

#: Wrappers that would go on with the parameters they have seen.
_PARALLEL = ("DistributedDataParallel", "FullyShardedDataParallel", "FSDPModule")


def truncate(
    model: nn.Module,
    optimizer: Optimizers = None,
    *,
    keep: float | None = None,
    energy: float | None = None,
    order: int | None = None,
    dialect: str | None = None,
    leave: Collection[str] = (),
) -> dict[str, Reduction]:
    r"""Replace the state-space layers of a model by their balanced truncations, in place.

    Training goes on afterwards: parameters of a new shape take the place of the old ones in
    `optimizer`, in the same groups, so that learning rates, decay and schedules hold.

    Parameters
    ----------
    model : ``torch.nn.Module`` whose layers speak one dialect and whose forward pass takes
        its sizes from its parameters.
    optimizer : the one that trains it, or several; None if it is not trained any more.
    keep : share of all states to keep, allocated as by :func:`mor.deep.compress`; or
    energy : each layer keeps the smallest r with
        :math:`\sum_{i \le r} \sigma_i \ge energy \sum_i \sigma_i`; or
    order : number of states each layer keeps.
    dialect : of the layers, where more than one fits.
    leave : parameters beside a layer that have nothing to do with its states, though they have an axis
        of that length; others that are not zero, such as a learned initial state, are an error.

    Returns
    -------
    dict : the :class:`mor.Reduction` of every layer that became smaller, by name.

    Raises
    ------
    ReductionError
        Unless exactly one of keep, energy and order is given and in its range; if a parameter
        to be replaced is in none of the optimizers; for models wrapped for data parallelism.
    CheckpointError, NotASystemError, NotLinearTimeInvariantError, UnstableSystemError, NotFiniteError
        Naming the layer. The model and the optimizer are then as they were.

    Notes
    -----
    A layer never gets more modes than it had: where pairs became real poles, which need a mode
    each, it keeps fewer states than asked for. Layers that are one and the same stay so.

    The optimizer forgets the moments of a layer that was replaced: its states have other
    coordinates now, in which second moments have no counterpart. Adam starts them anew, with
    its bias correction. Everything else it knows stays. Averaged copies of the model
    (``AveragedModel``) and hooks on its parameters are not carried over, attributes set on them are; a
    compiled model is compiled again.

    A mode with a real pole has a second state that stands still: with the rotation and LRU
    dialects its angle, and its half of B and C, have no gradient any more.

    Source: [Chahine26], for truncation by energy during training.

    Examples
    --------
    >>> import torch
    >>> from mor.adapters.torch import StateSpaceLayer, truncate
    >>> layer = StateSpaceLayer(channels=3, states=64, generator=torch.Generator().manual_seed(0))
    >>> adam = torch.optim.Adam(layer.parameters())
    >>> reductions = truncate(layer, adam, order=8)
    >>> layer.system().order
    8
    """
    _check_choice(keep, energy, order)
    optimizers = _as_list(optimizer)
    _check_wrappers(model)
    layers, tensors = _layers(model, dialect, leave)
    systems = layers.read(tensors)
    balancings = {}
    for layer in layers.distinct:
        with at(layer):
            balancings[layer.name] = balance(systems[layer.name])
    orders = _orders({name: found.hsv for name, found in balancings.items()}, keep, energy, order)
    reductions = {
        name: _no_larger(balancings[name], r, systems[name].n_modes)
        for name, r in orders.items()
        if r < balancings[name].full_order
    }
    changes = layers.rewritten(tensors, systems, reductions)
    new = {key: x for change in changes.values() for key, x in change.export.tensors.items()}
    new = _without_immovable_zeros(model, layers, new)
    _check_replaceable(model, optimizers, new)
    _replace(model, optimizers, new)
    return reductions


class InTrainingTruncation:
    """:func:`truncate` at chosen steps of a training loop.

    Call :meth:`step` after every step of the optimizer::

        truncation = InTrainingTruncation(model, adam, at=(1000, 2000), energy=0.99)
        for u, labels in batches:
            ...
            adam.step()
            truncation.step()

    Parameters
    ----------
    model, optimizer : as for :func:`truncate`, both needed.
    at : steps after which layers are truncated; or
    every : number of steps between truncations.
    keep, energy, order, dialect, leave : as for :func:`truncate`, but `keep` is a share of the states
        that there were at the start. With `energy`, layers whose Hankel singular values do
        not decay enough stay as they are.

    Attributes
    ----------
    history : ``(step, {layer: order})`` of every truncation that changed something.

    Raises
    ------
    ReductionError
        Unless `at` or `every` are steps from 1; else as :func:`truncate`.
    NotASystemError, NotLinearTimeInvariantError, CheckpointError
        As :func:`truncate`.

    Examples
    --------
    >>> import torch
    >>> from mor.adapters.torch import InTrainingTruncation, StateSpaceLayer
    >>> layer = StateSpaceLayer(channels=2, states=16)
    >>> truncation = InTrainingTruncation(layer, torch.optim.Adam(layer.parameters()), at=(2,), order=4)
    >>> [len(truncation.step()) for _ in range(3)]
    [0, 1, 0]
    >>> truncation.history
    [(2, {'': 4})]
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: Optimizers,
        *,
        at: Collection[int] = (),
        every: int | None = None,
        keep: float | None = None,
        energy: float | None = None,
        order: int | None = None,
        dialect: str | None = None,
        leave: Collection[str] = (),
    ) -> None:
        chosen = [*at, *([] if every is None else [every])]
        both = at and every is not None
        if both or not chosen or not all(isinstance(x, Integral) and x >= 1 for x in chosen):
            raise ReductionError(f"at={at!r}, every={every!r}: give steps, or a number of steps, from 1.")
        _check_choice(keep, energy, order)
        _check_wrappers(model)
        self.states = _count_states(model, dialect)
        self.model, self.optimizer, self.at, self.every = model, optimizer, frozenset(at), every
        self.choice: dict[str, Any] = {
            "keep": keep, "energy": energy, "order": order, "dialect": dialect, "leave": leave
        }  # fmt: skip
        self.steps = 0
        self.history: list[tuple[int, dict[str, int]]] = []

    def step(self) -> dict[str, Reduction]:
        """Count a step, and truncate if it is one of those chosen; what became smaller, by name."""
        self.steps += 1
        due = self.steps % self.every == 0 if self.every else self.steps in self.at
        if not due:
            return {}
        choice = dict(self.choice)
        with at(f"step {self.steps}"):
            if choice["keep"] is not None:
                choice["keep"] *= self.states / _count_states(self.model, choice["dialect"])
                if choice["keep"] >= 1:
                    return {}
            reductions = truncate(self.model, self.optimizer, **choice)
        if reductions:
            self.history.append((self.steps, {name: r.order for name, r in reductions.items()}))
        return reductions

    def state_dict(self) -> dict[str, Any]:
        """What a resumed run needs: steps, states at the start, and the history."""
        return {"steps": self.steps, "states": self.states, "history": list(self.history)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from the `state` that :meth:`state_dict` gave."""
        self.steps, self.states = int(state["steps"]), int(state["states"])
        self.history = list(state["history"])


def _check_choice(keep: float | None, energy: float | None, order: int | None) -> None:
    if sum(x is not None for x in (keep, energy, order)) != 1:
        raise ReductionError("keep, energy and order: give one of them.")
    if keep is not None:
        check_keep(keep)
    if energy is not None and check_real("energy", energy, above=0, error=ReductionError) > 1:
        raise ReductionError(f"energy={shown(energy)} must be a share in (0, 1].", argument="energy")
    if order is not None:
        check_whole("order", order, 1, error=ReductionError)


def _as_list(optimizer: Optimizers) -> list[torch.optim.Optimizer]:
    if optimizer is None:
        return []
    found = [optimizer] if isinstance(optimizer, torch.optim.Optimizer) else optimizer
    if not (isinstance(found, list | tuple) and all(isinstance(x, torch.optim.Optimizer) for x in found)):
        raise ArgumentTypeError("optimizer is no torch optimizer, nor a list of them.", argument="optimizer")
    return list(found)


def _check_wrappers(model: nn.Module) -> None:
    if not isinstance(model, nn.Module):
        raise ArgumentTypeError(f"model={shown(model)} is no torch module.", argument="model")
    for module in model.modules():
        if type(module).__name__ in _PARALLEL:
            raise ReductionError(
                f"{type(module).__name__} keeps hold of the parameters that it was made with: truncate the "
                "module inside it on every process, and wrap it again."
            )


def _layers(
    model: nn.Module, dialect: str | None, leave: Iterable[str] = ()
) -> tuple[Layers, dict[str, np.ndarray]]:
    """The layers, and on NumPy their tensors and those beside them that may belong to their states."""
    tensors = named_tensors(model)
    layers = find_in_model(tensors, dialect, shared=True, leave=leave)
    keys = {key for layer in layers.values() for key in (*layer.keys, *beside_states(layer, tensors))}
    return layers, arrays_of({key: tensors[key].detach().cpu().to_dense() for key in keys})


def _count_states(model: nn.Module, dialect: str | None) -> int:
    layers, tensors = _layers(model, dialect)
    systems = layers.read(tensors)
    return sum(systems[x.name].order * math.prod(systems[x.name].batch_shape) for x in layers.distinct)


def _no_larger(balancing: Balancing | BatchBalancing, order: int, modes: int) -> Reduction:
    """The reduction to `order`, or to the next below it that fits into so many modes."""
    reduction = balancing.truncate(order)
    while modal_of(reduction).n_modes > modes:
        order -= 1
        reduction = balancing.truncate(order)
    return reduction


def _orders(
    hsv: Mapping[str, np.ndarray], keep: float | None, energy: float | None, order: int | None
) -> dict[str, int]:
    """States that each layer, or each system of a batch, is to keep."""
    if keep is not None:
        return allocate_ranks(hsv, keep)
    if energy is not None:
        return {name: _smallest_order(values, energy) for name, values in hsv.items()}
    return {name: min(order or 1, values.shape[-1]) for name, values in hsv.items()}


def _smallest_order(hsv: np.ndarray, energy: float) -> int:
    """The smallest order at which every system of the layer has this share of its sum."""
    sums = np.cumsum(hsv, axis=-1)
    short = np.sum(sums < energy * sums[..., -1:], axis=-1)
    return min(int(np.max(short, initial=0)) + 1, hsv.shape[-1])


def _without_immovable_zeros(
    model: nn.Module, layers: Layers, new: Mapping[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """`new` without tensors of zeros beside layers that cannot be given another size: those of the state
    dict can, if nothing else shares them."""
    saved, names = model.state_dict(keep_vars=True), Counter(map(id, named_tensors(model).values()))
    own = {key for layer in layers.values() for key in layer.keys}
    return {key: x for key, x in new.items() if key in own or (key in saved and names[id(saved[key])] == 1)}


def _check_replaceable(
    model: nn.Module, optimizers: Iterable[torch.optim.Optimizer], new: Mapping[str, np.ndarray]
) -> None:
    """Raise, before anything is changed, if a tensor cannot be given another shape."""
    saved, tensors = model.state_dict(keep_vars=True), named_tensors(model)
    if lost := [name for name in new if name not in saved]:
        raise ReductionError(f"{', '.join(lost)}: a buffer that is not persistent cannot be replaced.")
    changed = {id(tensors[name]) for name in new}
    if shared := [name for name, x in tensors.items() if id(x) in changed and name not in new]:
        raise ReductionError(
            f"{', '.join(shared)} share their tensors with a layer that would become smaller, but are not "
            "the same layer."
        )
    if any(isinstance(optimizer, torch.optim.LBFGS) for optimizer in optimizers):
        raise ReductionError("LBFGS keeps a list of its own of the parameters; make it anew instead.")
    held = {id(p) for optimizer in optimizers for group in optimizer.param_groups for p in group["params"]}
    if held and (lost := [n for n in new if tensors[n].requires_grad and id(tensors[n]) not in held]):
        raise ReductionError(
            f"{', '.join(lost)} would be replaced, but are in none of the optimizers given, so that what "
            "replaces them would not be trained. Give all optimizers of the model."
        )


def _replace(
    model: nn.Module, optimizers: Iterable[torch.optim.Optimizer], new: Mapping[str, np.ndarray]
) -> None:
    """Put tensors of new shapes into the model, and into the optimizers in place of the old."""
    old = dict(model.named_parameters(remove_duplicate=False))
    load_resized(model, {name: from_numpy(x) for name, x in new.items()}, strict=False)
    current = dict(model.named_parameters(remove_duplicate=False))
    successors: dict[Tensor, Tensor] = {old[name]: current[name] for name in new if name in old}
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["params"] = [successors.get(p, p) for p in group["params"]]
        for parameter in successors:
            optimizer.state.pop(parameter, None)
        for parameter in successors.values():
            parameter.grad = None
