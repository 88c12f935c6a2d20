"""How many states each layer keeps under one budget."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from numbers import Real
from typing import Any

import numpy as np

from mor.checks import check_choice, guarded, numbers, shown
from mor.errors import ArgumentTypeError, DimensionError, NotFiniteError, ReductionError, keyword

#: Ways to allocate ranks. Of a layer's values, largest first, and the states that each stands for,
#: entry i says how well the layer is served up to there; the one served worst grows next.
RANKS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "energy": lambda values, steps: np.cumsum(values) / max(float(np.sum(values)), np.finfo(float).tiny),
    "uniform": lambda values, steps: np.cumsum(steps) / np.sum(steps),
    "adaptive": lambda values, steps: -_next(_adapted(values)),
    "global": lambda values, steps: -_next(values),
}


def _next(values: np.ndarray) -> np.ndarray:
    """What each state would be followed by."""
    return np.append(values[1:], 0.0)


def _adapted(values: np.ndarray) -> np.ndarray:
    """Each square over the sum of it and of those before it, in this layer."""
    return values**2 / np.maximum(np.cumsum(values**2), np.finfo(float).tiny)


@guarded
def allocate_ranks(
    hsv: Mapping[str, np.ndarray],
    keep: float,
    *,
    method: str = "energy",
    steps: Mapping[str, np.ndarray] | None = None,
    states: Mapping[str, np.ndarray] | None = None,
) -> dict[str, int]:
    r"""Orders :math:`r_l` of all layers under the budget :math:`\sum_l r_l \le keep \sum_l n_l`.

    ``"energy"``: one level g for all layers, :math:`r_l` the smallest r with
    :math:`\sum_{i \le r} \sigma_i \ge g \sum_i \sigma_i`, and g as high as the budget
    allows. ``"uniform"``: the same share of every layer's states. ``"global"``: the largest
    values of all layers together. ``"adaptive"``: those with the largest
    :math:`\sigma_i^2 / \sum_{j \le i} \sigma_j^2` within their layers. In every case each layer
    keeps at least one state, the budget is never exceeded, and no state is left unused that
    would fit. A layer gets no more states than it has values above round-off, and a system of a
    batch costs no more than it has itself.

    Parameters
    ----------
    hsv : Hankel singular values, or scores of modes, by layer, largest first: (n,), or
        (..., n) for a layer that is a batch of systems, all of which get the same order. Infinite
        ones belong to states that are kept in any case, such as unstable ones.
    keep : share of the states to keep, in (0, 1].
    method : ``"energy"``, ``"uniform"``, ``"adaptive"`` or ``"global"``.
    steps : states that each value stands for, by layer (n,): 2 for the score of a conjugate
        pair. One each if left out.
    states : real states by layer, (...) of a batch: the :math:`n_l` of which `keep` is a share.
        The number of values if left out; fewer where some stand for modes of no effect.

    Returns
    -------
    dict : order by layer (of each system of a batch).

    Raises
    ------
    ReductionError
        If `keep` is not in (0, 1], too small for one state a layer and for those kept in any case, or the
        method unknown.
    DimensionError
        If `steps` or `states` of a layer do not fit its values.
    NotFiniteError
        If a value is NaN.

    Notes
    -----
    Raising g adds states one by one, always to the layer that has the smallest share so
    far; that order is followed with a heap until the budget is spent.

    Source: [Schwerdtner25] for the energy rule, whose budget is met on average only; [Gwak24] for the
    adaptive one, for scores of modes.

    Examples
    --------
    >>> allocate_ranks({"a": [8.0, 1.0, 1.0], "b": [2.0, 2.0, 2.0]}, keep=0.5)
    {'a': 1, 'b': 2}
    """
    check_choice("ranks", method, RANKS, error=ReductionError)
    check_keep(keep)
    if not isinstance(hsv, Mapping):
        raise ArgumentTypeError(f"hsv={shown(hsv)} is no mapping from layers to values.", argument="hsv")
    values = {name: _values(name, x) for name, x in hsv.items()}
    for name, x in values.items():
        if np.any(np.isnan(x)):
            raise NotFiniteError(f"layer {name}: what its states are worth is not finite.")
    layers = [
        _Layer(
            name,
            x,
            None if steps is None else _counts("steps", name, steps, x.shape[1], 1),
            None if states is None else _counts("states", name, states, len(x), 0),
            method,
        )
        for name, x in values.items()
        if x.size
    ]
    total = sum(layer.states for layer in layers)
    left = int(np.floor(keep * total + 1e-9 * total))
    taken = {layer.name: layer.required for layer in layers}
    least = sum(int(layer.spent[layer.required]) for layer in layers)
    if left < least:
        always = any(layer.required > 1 for layer in layers)
        raise ReductionError(
            f"{keyword('keep', f'{keep:g}')} of {total} states is {left}, less than the {least} that every "
            f"layer needs for something of its own{' and for its unstable states' if always else ''}; "
            f"the least is {keyword('keep', str(_round_up(least / total)))}."
        )
    left -= least
    queue = [(float(layer.served[layer.required - 1]), i) for i, layer in enumerate(layers)]
    heapq.heapify(queue)
    while queue:
        _, i = heapq.heappop(queue)
        layer, count = layers[i], taken[layers[i].name]
        if count < layer.useful and layer.cost(count) <= left:
            taken[layer.name] += 1
            left -= layer.cost(count)
            heapq.heappush(queue, (float(layer.served[count]), i))
    return dict.fromkeys(values, 0) | {x.name: int(np.sum(x.steps[: taken[x.name]])) for x in layers}


def _values(name: str, given: Any) -> np.ndarray:
    """Of one layer (copies, n)."""
    x = np.atleast_2d(numbers(f"layer {name}", given, kinds="biuf").astype(float))
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _counts(what: str, layer: str, given: Any, size: int, least: int) -> np.ndarray:
    """The whole numbers (size,) that `given`, the argument `what`, has for a layer."""
    if not isinstance(given, Mapping) or layer not in given:
        raise ArgumentTypeError(f"{what} are no mapping that has layer {layer}.", argument=what)
    counts = np.ravel(numbers(f"{what} of layer {layer}", given[layer], kinds="biuf"))
    if counts.size != size or np.any(counts < least) or np.any(counts != np.floor(counts)):
        limit = f" of at least {least}" if least else ""
        raise DimensionError(f"{what} of layer {layer} are not {size} whole numbers{limit}.")
    return counts.astype(int)


class _Layer:
    """What the states of a layer are worth and cost: values (copies, n), largest first.

    `spent` are the states of all copies by the number of values taken, `required` the least number.
    """

    def __init__(
        self, name: str, values: np.ndarray, steps: np.ndarray | None, states: np.ndarray | None, method: str
    ) -> None:
        self.name = name
        self.steps = np.ones(values.shape[1], dtype=int) if steps is None else steps
        finite = np.where(np.isinf(values), 0.0, values)
        self.required = max(1, int(np.max(np.sum(np.isinf(values), axis=1))))
        self.served = RANKS[method](np.sum(finite, axis=0), self.steps)
        self.useful = max(1, int(np.max(_useful(values))))
        orders = np.append(0, np.cumsum(self.steps))
        most = np.full(len(values), orders[-1]) if states is None else states
        self.states = int(np.sum(most))
        if steps is None:
            # A system that has no more values above round-off keeps, and costs, nothing more.
            # Half of the limit, so that what is told from round-off on truncation is counted here.
            most = np.minimum(most, np.maximum(_useful(values, 0.5), 1))
        self.spent = np.sum(np.minimum(orders, most[:, None]), axis=0)

    def cost(self, i: int) -> int:
        """States that value i adds, over all copies."""
        return int(self.spent[i + 1] - self.spent[i])


def _round_up(share: float) -> float:
    """`share` in six decimals, never below it."""
    return float(np.ceil(share * 1e6) / 1e6)


def _useful(hsv: np.ndarray, share: float = 1.0) -> np.ndarray:
    """By system of a layer (copies, n), the number of values above a share of round-off."""
    endless = np.isinf(hsv)
    finite = np.where(endless, 0.0, hsv)
    largest = np.max(finite, axis=1, keepdims=True, initial=0.0)
    return np.sum(endless | (finite > share * hsv.shape[1] * np.finfo(float).eps * largest), axis=1)


def check_keep(keep: float) -> None:
    """Raise unless `keep` is a share in (0, 1]."""
    if not (isinstance(keep, Real) and 0 < keep <= 1):
        raise ReductionError(
            f"{keyword('keep', shown(keep))} must be a share in (0, 1]: 0.2 keeps a fifth of all states."
        )
