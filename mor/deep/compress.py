"""Reduce every layer of a network or checkpoint under one budget of states."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np

from mor.checks import check_choice, guarded, shown
from mor.deep.ranks import allocate_ranks, check_keep
from mor.errors import ArgumentTypeError, MorError, NotASystemError, ReductionError
from mor.reduction.balancing import Balancing, BatchBalancing, balance
from mor.reduction.modal import ModeRanking, rank_modes
from mor.reduction.result import Reduction
from mor.systems.modal import Modal


class Layered(Protocol):
    """A network or a checkpoint: named layers that can be replaced."""

    @property
    def layers(self) -> Mapping[str, Modal]: ...

    def replace(self, changes: Mapping[str, Any], /) -> Self: ...


Model = TypeVar("Model", bound=Layered)


@dataclass(frozen=True)
class Compression(Generic[Model]):
    """A compressed model and how each layer came to be what it is.

    Attributes
    ----------
    model : the network or checkpoint with its layers replaced.
    reductions : the :class:`~mor.Reduction` of each layer.
    keep : the share of states asked for.
    ranks : the rule that shared them out.
    """

    model: Model
    reductions: dict[str, Reduction]
    keep: float
    ranks: str

    @property
    def states(self) -> tuple[int, int]:
        """Real states of all layers, before and after."""
        before = sum(r.full_order * _copies(r) for r in self.reductions.values())
        return before, sum(r.order * _copies(r) for r in self.reductions.values())


#: Called with what is being done, how many steps are done and how many there are.
Progress = Callable[[str, int, int], None]


@guarded
def compress(
    model: Model,
    *,
    keep: float,
    method: str = "bt",
    ranks: str = "energy",
    horizon: int | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Compression[Model]:
    """Reduce every layer of `model` so that at most a share `keep` of all states is left.

    Hankel singular values of all layers, or the scores of their modes, decide the orders
    (:func:`~mor.deep.allocate_ranks`).

    Parameters
    ----------
    model : a :class:`~mor.deep.Network`, a checkpoint from :func:`mor.read_checkpoint`, or
        anything with ``layers`` (name to system) and ``replace``.
    keep : share of the real states to keep, in (0, 1].
    method : ``"bt"``, balanced truncation; ``"modal"`` or ``"modal-h2"``, modal truncation by
        the largest gain or by the energy of a mode (:func:`mor.modal_truncation`).
    ranks : one of :func:`~mor.deep.ranks.rank_methods`. Modal truncation with
        ``"adaptive"`` is the pruning of LAST, with ``"uniform"`` and ``"global"`` its baselines.
    horizon : number of steps for time-limited balanced truncation; None is infinite.
    executor : any ``concurrent.futures.Executor`` to work on layers in parallel.
    progress : called as ``progress(task, done, total)``.

    Raises
    ------
    ReductionError, UnstableSystemError
        With the name of the layer in the message.
    NotASystemError
        For what is no network of systems: a path, a torch module.

    Notes
    -----
    The order of a layer is below its share of the budget where the layer has fewer states
    above round-off.
    """
    check_choice("method", method, _METHODS, error=ReductionError)
    if horizon is not None and method != "bt":
        raise ReductionError(f"horizon={horizon} belongs to balanced truncation, not to method={method!r}.")
    check_keep(keep)
    if not (progress is None or callable(progress)):
        raise ArgumentTypeError(f"progress={shown(progress)} cannot be called.", argument="progress")
    if not (executor is None or callable(getattr(executor, "map", None))):
        raise ArgumentTypeError(f"executor={shown(executor)} has no method map.", argument="executor")
    layers = _layers(model)
    if not layers:
        raise ReductionError("the model has no state-space layers to reduce.")
    run = _Runner(executor, progress)
    rank = partial(balance, horizon=horizon) if method == "bt" else _METHODS[method]
    rankings = run("Balancing" if method == "bt" else "Ranking", layers, rank, layers.values())
    merits = {name: ranking.merits for name, ranking in zip(layers, rankings, strict=True)}
    steps = {name: ranking.steps for name, ranking in zip(layers, rankings, strict=True)}
    orders = allocate_ranks(merits, keep, method=ranks, steps=steps)
    work = list(zip(rankings, orders.values(), strict=True))
    results = run("Truncating", layers, _truncate, work)
    reductions = dict(zip(layers, results, strict=True))
    return Compression(model.replace(reductions), reductions, keep, ranks)


def _layers(model: Layered) -> dict[str, Modal]:
    """The layers by name.

    Raises
    ------
    NotASystemError
        If `model` is no network of systems, with the way to one: a module has `layers` of its own kind.
    """
    layers = getattr(model, "layers", None)
    if isinstance(layers, Mapping) and callable(getattr(model, "replace", None)):
        return dict(layers)
    if isinstance(model, str | PathLike):
        way = f"read it: compress(mor.read_checkpoint({str(model)!r}), ...)"
    elif callable(getattr(model, "network", None)):
        way = "give compress(model.network(), ...)"
    else:
        way = (
            "give a mor.deep.Network, such as model.network() of mor.adapters.torch.StateSpaceNetwork, or a "
            "checkpoint: mor.read_checkpoint(path). A torch model of another kind goes through its saved "
            "state dict, or mor.adapters.torch.truncate"
        )
    raise NotASystemError(f"{type(model).__name__} has no named state-space layers to replace: {way}.")


#: What looks at a layer and knows what its states are worth.
_METHODS: dict[str, Callable[[Modal], Balancing | BatchBalancing | ModeRanking]] = {
    "bt": balance,
    "modal": partial(rank_modes, score="hinf"),
    "modal-h2": partial(rank_modes, score="h2"),
}


def compression_methods() -> tuple[str, ...]:
    """Names of the ways to reduce a layer."""
    return tuple(_METHODS)


def _truncate(work: tuple[Balancing | BatchBalancing | ModeRanking, int]) -> Reduction:
    ranking, order = work
    return ranking.truncate(order)


def _copies(reduction: Reduction) -> int:
    return int(np.prod(reduction.hsv.shape[:-1], dtype=int))


@dataclass(frozen=True)
class _Runner:
    """Map over layers, here or on an executor, naming the layer in what goes wrong."""

    executor: Executor | None
    progress: Progress | None

    def __call__(
        self, task: str, names: Iterable[str], function: Callable[[Any], Any], items: Iterable[Any]
    ) -> list[Any]:
        names, results = list(names), []
        outcomes: Iterator[Any]
        outcomes = iter(self.executor.map(function, items) if self.executor else map(function, items))
        for done, name in enumerate(names):
            if self.progress:
                self.progress(task, done, len(names))
            try:
                results.append(next(outcomes))
            except MorError as error:
                raise type(error)(f"layer {name}: {error}") from error
        if self.progress:
            self.progress(task, len(names), len(names))
        return results
