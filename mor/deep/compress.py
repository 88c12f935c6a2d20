"""Reduce every layer of a network or checkpoint under one budget of states."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np

from mor.analysis.hankel import hankel_singular_values
from mor.arrays import to_numpy
from mor.checks import check_choice, guarded, shown
from mor.deep.progress import Progress, counted
from mor.deep.ranks import allocate_ranks, check_keep
from mor.errors import ArgumentTypeError, NotASystemError, ReductionError, UnstableSystemError, at, keyword
from mor.reduction.balance import balance
from mor.reduction.balancing import Balancing
from mor.reduction.batch_balancing import BatchBalancing
from mor.reduction.methods import FAMILIES
from mor.reduction.modal import ModeRanking
from mor.reduction.result import Reduction
from mor.reduction.splitting import keeps_unstable
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
    reductions : the :class:`~mor.Reduction` of each layer; of layers that share their tensors one.
    keep : the share of states asked for.
    ranks : the rule that shared them out.
    states : real states of all layers, before and after. Systems of a batch count by what each has,
        layers that share their tensors once, modes of no effect not at all.
    """

    model: Model
    reductions: dict[str, Reduction]
    keep: float
    ranks: str
    states: tuple[int, int]


@guarded
def compress(
    model: Model,
    *,
    keep: float,
    method: str = "bt",
    ranks: str = "energy",
    horizon: int | None = None,
    unstable: str = "error",
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
    ranks : one of ``"energy"``, ``"uniform"``, ``"adaptive"`` and ``"global"``. Modal truncation with
        ``"adaptive"`` is the pruning of LAST, with ``"uniform"`` and ``"global"`` its baselines.
    horizon : number of steps for time-limited balanced truncation; None is infinite.
    unstable : ``"error"``, or ``"split"`` to keep the unstable modes of a layer as they are and to reduce
        the rest; for a model that can hold unstable layers.
    executor : any ``concurrent.futures.Executor`` to work on layers in parallel.
    progress : called as ``progress(task, done, total)``.

    Returns
    -------
    Compression

    Raises
    ------
    ReductionError, UnstableSystemError, TimeStepError, NotFiniteError, SingularEquationError
        As :func:`mor.balanced_truncation` and :func:`mor.modal_truncation`, with the name of the layer in the
        message.
    NotASystemError
        For what is no network of systems: a path, a torch module.

    Notes
    -----
    The order of a layer is below its share of the budget where the layer has fewer states
    above round-off. Layers that share all their tensors are one layer: they are reduced once and
    stay one. Where the balancings of all layers would take more than 256 MB, those beyond are made
    a second time when the orders are known.

    Examples
    --------
    >>> import mor
    >>> from mor.deep import compress
    >>> class Stack:  # anything with layers and replace
    ...     def __init__(self, layers):
    ...         self.layers = layers
    ...     def replace(self, systems):
    ...         return Stack(systems)
    >>> layer = mor.LTI([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]])
    >>> small = compress(Stack({"a": layer, "b": layer}), keep=0.5)
    >>> small.states, small.model.layers["a"].order
    ((4, 2), 1)
    """
    check_choice("method", method, FAMILIES, error=ReductionError)
    if horizon is not None and method != "bt":
        limit, other = keyword("horizon", str(horizon)), keyword("method", repr(method))
        raise ReductionError(f"{limit} belongs to balanced truncation, not to {other}.")
    if unstable == "split" and horizon is not None:
        split = keyword("unstable", "'split'")
        raise ReductionError(
            f"{split} and a horizon do not go together: {split} without horizon keeps the "
            "unstable modes of layers as they are; horizon without it is for stable layers, and for models "
            "that take what a time-limited reduction makes of unstable ones (a checkpoint does not)."
        )
    keeps_unstable(unstable, horizon)
    check_keep(keep)
    if not (progress is None or callable(progress)):
        raise ArgumentTypeError(f"progress={shown(progress)} cannot be called.", argument="progress")
    if not (executor is None or callable(getattr(executor, "map", None))):
        raise ArgumentTypeError(f"executor={shown(executor)} has no method map.", argument="executor")
    layers = _layers(model)
    if not layers:
        raise ReductionError("the model has no state-space layers to reduce.")
    groups = _tied_groups(model, layers)
    systems = {group[0]: layers[group[0]] for group in groups}
    run = _Runner(executor, progress, getattr(model, "holds_unstable", False))
    if method == "bt":
        rank: Callable[[Any], _Ranked] = partial(_rank_by_balancing, horizon=horizon, unstable=unstable)
        ranked = run("Balancing", systems, rank, zip(systems.values(), _held(systems), strict=True))
    else:
        rank = partial(_rank_by_modes, method=method, unstable=unstable)
        ranked = run("Ranking", systems, rank, systems.values())
    before = {name: system.working_states for name, system in systems.items()}
    orders = allocate_ranks(
        {name: found.merits for name, found in zip(systems, ranked, strict=True)},
        keep,
        method=ranks,
        steps=None if method == "bt" else {n: x.steps for n, x in zip(systems, ranked, strict=True)},
        states=before,
    )
    work = zip(_handed_over(ranked), orders.values(), strict=True)
    results = dict(zip(systems, run("Truncating", systems, _truncate, work), strict=True))
    reductions = {name: results[group[0]] for group in groups for name in group}
    reductions = {name: reductions[name] for name in layers}
    states = (
        sum(int(np.sum(count)) for count in before.values()),
        sum(int(np.sum(reduction.system.working_states)) for reduction in results.values()),
    )
    return Compression(model.replace(reductions), reductions, keep, ranks, states)


def _tied_groups(model: Layered, layers: Mapping[str, Modal]) -> list[list[str]]:
    """Names of layers in groups that are one and the same, as the model says."""
    tied: Iterable[Iterable[str]] = getattr(model, "tied", ())
    groups = [list(group) for group in tied]
    grouped = {name for group in groups for name in group}
    return groups + [[name] for name in layers if name not in grouped]


@dataclass(frozen=True)
class _Ranked:
    """What the states of a layer are worth, and the way to any order of it."""

    merits: np.ndarray
    steps: np.ndarray | None
    ranking: Callable[[], Balancing | BatchBalancing | ModeRanking]


def _rank_by_balancing(work: tuple[Modal, bool], *, horizon: int | None, unstable: str) -> _Ranked:
    """The balancing of a layer, or, if it is not to be held, its values alone."""
    system, held = work
    make = partial(balance, system, horizon=horizon, unstable=unstable)
    if held or keeps_unstable(unstable, horizon):
        balancing = make()
        return _Ranked(balancing.hsv, None, partial(_itself, balancing) if held else make)
    hsv = hankel_singular_values(system, horizon=horizon)
    return _Ranked(to_numpy(hsv)[..., : system.order], None, make)


def _rank_by_modes(system: Modal, *, method: str, unstable: str) -> _Ranked:
    family: Any = FAMILIES[method].family
    ranking = family(system, unstable=unstable)
    return _Ranked(ranking.merits, ranking.steps, partial(_itself, ranking))


def _itself(ranking: Any) -> Any:
    return ranking


def _held(systems: Mapping[str, Any]) -> list[bool]:
    """Which layers' balancings are kept until the orders are known."""
    sizes = [16 * np.prod(x.batch_shape, dtype=float) * float(x.order) ** 2 for x in systems.values()]
    return [bool(total <= _HELD) for total in np.cumsum(sizes)]


def _handed_over(ranked: list[_Ranked]) -> Iterator[_Ranked]:
    """One after another, each let go of."""
    ranked.reverse()
    while ranked:
        yield ranked.pop()


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


#: Memory of balancings, in bytes, that is held from one pass over all layers to the next.
_HELD = 256e6


def _truncate(work: tuple[_Ranked, int]) -> Reduction:
    ranked, order = work
    ranking = ranked.ranking()
    # Modes of unequal sizes in a batch may add up to more than any of its systems has.
    return ranking.truncate(min(order, ranking.hsv.shape[-1])).settled()


def _unstable(error: UnstableSystemError, holds_unstable: bool) -> UnstableSystemError:
    """`error` with the ways that a layer of a model has."""
    pole = str(error).partition(": ")[0]
    if holds_unstable:
        way = keyword("unstable", "'split'") + " keeps its unstable modes as they are and reduces the rest"
    else:
        way = (
            "layers of this kind cannot hold an unstable pole, and this one is at the limit of their "
            "precision: bring it inside the unit circle and save the model again"
        )
    return UnstableSystemError(f"{pole}: {way}.")


@dataclass(frozen=True)
class _Runner:
    """Map over layers, here or on an executor, naming the layer in what goes wrong."""

    executor: Executor | None
    progress: Progress | None
    holds_unstable: bool

    def __call__(
        self, task: str, names: Collection[str], function: Callable[[Any], Any], items: Iterable[Any]
    ) -> list[Any]:
        results = []
        outcomes: Iterator[Any]
        outcomes = iter(self.executor.map(function, items) if self.executor else map(function, items))
        for name in counted(task, names, self.progress):
            with at(f"layer {name}"):
                try:
                    results.append(next(outcomes))
                except UnstableSystemError as error:
                    raise _unstable(error, self.holds_unstable) from error
        return results
