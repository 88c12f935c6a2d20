"""Balanced truncation while a model is being trained."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from mor.adapters.checkpoints.dialects.base import Dialect
from mor.adapters.checkpoints.export import check_replacement, export, modal_of
from mor.adapters.checkpoints.files.torch_file import as_numpy, from_numpy
from mor.adapters.checkpoints.loading import load_resized
from mor.adapters.live import LiveLayers
from mor.adapters.torch.regularizer import named_tensors
from mor.deep.ranks import allocate_ranks, check_keep
from mor.errors import MorError, ReductionError
from mor.reduction.balanced import Balancing, balance
from mor.reduction.result import Reduction


def truncate(
    model: nn.Module,
    optimizer: torch.optim.Optimizer | None = None,
    *,
    keep: float | None = None,
    energy: float | None = None,
    order: int | None = None,
    dialect: str | None = None,
) -> dict[str, Reduction]:
    r"""Replace the state-space layers of a model by their balanced truncations, in place.

    Training goes on afterwards: parameters of a new shape take the place of the old ones in
    `optimizer`, in the same groups, so that learning rates, decay and schedules hold.

    Parameters
    ----------
    model : ``torch.nn.Module`` whose layers speak one dialect and whose forward pass takes
        its sizes from its parameters.
    optimizer : the one that trains it.
    keep : share of all states to keep, allocated as by :func:`mor.deep.compress`; or
    energy : each layer keeps the smallest r with
        :math:`\sum_{i \le r} \sigma_i \ge energy \sum_i \sigma_i`; or
    order : number of states each layer keeps.
    dialect : of the layers, where more than one fits.

    Returns
    -------
    dict : the :class:`mor.Reduction` of every layer that became smaller, by name.

    Raises
    ------
    ReductionError
        Unless exactly one of keep, energy and order is given and in its range.
    NotASystemError, NotLinearTimeInvariantError, UnstableSystemError, NotFiniteError
        Naming the layer. The model and the optimizer are then as they were.

    Notes
    -----
    A layer whose truncation would have more modes, because pairs became real poles that need a mode
    each, stays as it is. Layers that are one and the same stay so.

    The optimizer forgets the moments of a layer that was replaced: its states have other
    coordinates now, in which second moments have no counterpart. Adam starts them anew, with
    its bias correction. Everything else it knows stays.

    A real pole becomes an angle at the end of its range, whose gradient is zero, where the
    dialect has angles.

    Source: Chahine et al., CompreSSM (ICLR 2026), for truncation by energy during training.

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
    layers, tensors = LiveLayers.find(named_tensors(model), dialect), _on_numpy(model)
    names = {prefix: prefix.rstrip(".") for prefix in layers.prefixes}
    balancings = {prefix: _balance(layers.dialect, tensors, prefix) for prefix in layers.prefixes}
    orders = _orders({prefix: b.hsv for prefix, b in balancings.items()}, keep, energy, order)
    reductions: dict[str, Reduction] = {}
    new: dict[str, np.ndarray] = {}
    for prefix, balancing in balancings.items():
        reduction = balancing.truncate(min(orders[prefix], balancing.system.order))
        modal, old = modal_of(names[prefix], reduction), layers.dialect.read(tensors, prefix)
        if orders[prefix] >= balancing.system.order or modal.n_modes > old.n_modes:
            continue
        check_replacement(names[prefix], old, modal)
        made = export(layers.dialect, tensors, prefix, names[prefix], modal).tensors
        for twin in (prefix, *layers.twins[prefix]):
            new |= {twin + name.removeprefix(prefix): x for name, x in made.items()}
        reductions[names[prefix]] = reduction
    _check_replaceable(model, new)
    _replace(model, optimizer, new)
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
    model, optimizer : as for :func:`truncate`.
    at : steps after which layers are truncated; or
    every : number of steps between truncations.
    keep, energy, order, dialect : as for :func:`truncate`. With `energy`, layers whose
        Hankel singular values do not decay enough stay as they are.

    Attributes
    ----------
    history : ``(step, {layer: order})`` of every truncation that changed something.

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
        optimizer: torch.optim.Optimizer,
        *,
        at: Collection[int] = (),
        every: int | None = None,
        keep: float | None = None,
        energy: float | None = None,
        order: int | None = None,
        dialect: str | None = None,
    ) -> None:
        chosen = list(at) if every is None else [every]
        if (
            (at and every is not None)
            or not chosen
            or not all(isinstance(x, Integral) and x >= 1 for x in chosen)
        ):
            raise ReductionError(f"at={at!r}, every={every!r}: give steps, or a number of steps, from 1.")
        _check_choice(keep, energy, order)
        LiveLayers.find(named_tensors(model), dialect)
        self.model, self.optimizer, self.at, self.every = model, optimizer, frozenset(at), every
        self.choice: dict[str, Any] = {"keep": keep, "energy": energy, "order": order, "dialect": dialect}
        self.taken = 0
        self.history: list[tuple[int, dict[str, int]]] = []

    def step(self) -> dict[str, Reduction]:
        """Count a step, and truncate if it is one of those chosen."""
        self.taken += 1
        due = self.taken % self.every == 0 if self.every else self.taken in self.at
        if not due:
            return {}
        try:
            reductions = truncate(self.model, self.optimizer, **self.choice)
        except MorError as error:
            raise type(error)(f"step {self.taken}: {error}") from error
        if reductions:
            self.history.append((self.taken, {name: r.order for name, r in reductions.items()}))
        return reductions

    def state_dict(self) -> dict[str, Any]:
        return {"taken": self.taken, "history": self.history}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.taken, self.history = int(state["taken"]), list(state["history"])


def _check_choice(keep: float | None, energy: float | None, order: int | None) -> None:
    if sum(x is not None for x in (keep, energy, order)) != 1:
        raise ReductionError(f"keep={keep!r}, energy={energy!r}, order={order!r}: give one of them.")
    if keep is not None:
        check_keep(keep)
    if energy is not None and not (isinstance(energy, Real) and 0 < energy <= 1):
        raise ReductionError(f"energy={energy!r} must be a share in (0, 1].")
    if order is not None and not (isinstance(order, Integral) and order >= 1):
        raise ReductionError(f"order={order!r} is not a whole number >= 1.")


def _on_numpy(model: nn.Module) -> dict[str, np.ndarray]:
    arrays = {name: as_numpy(torch, x.detach().cpu()) for name, x in named_tensors(model).items()}
    # What NumPy has no form for (sparse, quantised) is no part of a layer.
    return {name: x for name, x in arrays.items() if x is not None}


def _balance(dialect: Dialect, tensors: Mapping[str, np.ndarray], prefix: str) -> Balancing:
    try:
        return balance(dialect.read(tensors, prefix))
    except MorError as error:
        raise type(error)(f"layer {prefix.rstrip('.') or 'of the model'}: {error}") from error


def _orders(
    hsv: Mapping[str, np.ndarray], keep: float | None, energy: float | None, order: int | None
) -> dict[str, int]:
    """States that each layer, or each system of a batch, is to keep."""
    if keep is not None:
        return allocate_ranks(hsv, keep)
    if order is not None:
        return {prefix: min(order, values.shape[-1]) for prefix, values in hsv.items()}
    return {prefix: _smallest_order(values, float(energy or 1.0)) for prefix, values in hsv.items()}


def _smallest_order(hsv: np.ndarray, energy: float) -> int:
    """The smallest order at which every system of the layer has this share of its sum."""
    sums = np.cumsum(hsv, axis=-1)
    short = np.sum(sums < energy * sums[..., -1:], axis=-1)
    return min(int(np.max(short, initial=0)) + 1, hsv.shape[-1])


def _check_replaceable(model: nn.Module, new: Mapping[str, np.ndarray]) -> None:
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


def _replace(
    model: nn.Module, optimizer: torch.optim.Optimizer | None, new: Mapping[str, np.ndarray]
) -> None:
    """Put tensors of new shapes into the model, and into the optimizer in place of the old."""
    old = dict(model.named_parameters(remove_duplicate=False))
    load_resized(model, {name: from_numpy(torch, x) for name, x in new.items()}, strict=False)
    if optimizer is None:
        return
    current = dict(model.named_parameters(remove_duplicate=False))
    successors: dict[Tensor, Tensor] = {old[name]: current[name] for name in new if name in old}
    for group in optimizer.param_groups:
        group["params"] = [successors.get(p, p) for p in group["params"]]
    for parameter in successors:
        optimizer.state.pop(parameter, None)
    for parameter in successors.values():
        parameter.grad = None
