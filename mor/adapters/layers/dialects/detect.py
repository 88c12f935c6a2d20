"""Which dialect a checkpoint speaks, from the names and shapes of its tensors."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection
from operator import itemgetter

from mor.adapters.layers.dialects.base import Dialect, Tensors, ends_with_part
from mor.adapters.layers.dialects.lru import LRU, LRUComplex
from mor.adapters.layers.dialects.rotation import Rotation
from mor.adapters.layers.dialects.s4d import S4D
from mor.adapters.layers.dialects.s5_pytorch import S5PyTorch
from mor.adapters.layers.keys import folded_key, natural_order
from mor.checks import shown
from mor.errors import CheckpointError, NotLinearTimeInvariantError, keyword

_DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (S4D(), S5PyTorch(), LRU(), LRUComplex(), Rotation())
}

#: Layers whose dynamics depend on their input: a key of each, and one that must stand beside it.
_SELECTIVE = {
    "Mamba": (r"(.*\.)?A_log", r"(x_proj|dt_proj|dt_bias)(\..*)?"),
    "RG-LRU (Griffin)": (r"(.*\.)?a_param", r"(a_gate|input_gate)(\..*)?"),
}
_SHOWN = 12

#: Names that stand in many modules, and prove nothing alone.
_COMMON = {"B", "C", "D"}


def dialect_names() -> list[str]:
    """Names of the dialects that can be read and written."""
    return list(_DIALECTS)


def get_dialect(name: str) -> Dialect:
    """The dialect of that name."""
    if not (isinstance(name, str) and name in _DIALECTS):
        raise CheckpointError(
            f"there is no dialect {shown(name)}; there are {', '.join(_DIALECTS)}.", argument="dialect"
        )
    return _DIALECTS[name]


def is_any_layer(names: Collection[str]) -> bool:
    """Whether any dialect finds all names of a layer, right or spoilt."""
    return any(dialect.locate(names) for dialect in _DIALECTS.values())


def detect(tensors: Tensors, name: str | None) -> tuple[Dialect, list[str]]:
    """The dialect (the one named, if one is) and the prefixes of its layers, in natural order.

    Raises
    ------
    NotLinearTimeInvariantError
        If what is there is selective.
    CheckpointError
        If nothing is recognised, or more than one dialect is, or a layer is spoilt.
    """
    _refuse_parametrized(tensors)
    asked = list(_DIALECTS.values()) if name is None else [get_dialect(name)]
    found = {dialect: prefixes for dialect in asked if (prefixes := dialect.find(tensors))}
    if not found:
        _refuse_selective(tensors)
    if len(found) > 1:
        where = "; ".join(
            f"{dialect.name} ({len(prefixes)} layers, at {prefixes[0]!r})"
            for dialect, prefixes in found.items()
        )
        raise CheckpointError(f"more than one dialect fits: {where}. Say which with {keyword('dialect')}.")
    for dialect in found or asked:
        for prefix in dialect.locate(tensors):
            if spoilt := dialect.mismatch(dialect.stored(tensors, prefix)):
                raise CheckpointError(f"a layer has the names of dialect {dialect.name}, but {spoilt}.")
    if found:
        ((dialect, prefixes),) = found.items()
        return dialect, sorted(prefixes, key=natural_order)
    seen = [f"{key} {tuple(x.shape)}" for key, x in list(tensors.items())[:_SHOWN]]
    more = f" and {len(tensors) - _SHOWN} more" if len(tensors) > _SHOWN else ""
    what = "no layer of a known dialect" if name is None else f"no layer of dialect {name}"
    nearest = sorted((_nearest(tensors, dialect) for dialect in asked), key=itemgetter(0))
    raise CheckpointError(
        f"{what} among {len(tensors)} tensors.\n  seen: {', '.join(seen) or 'nothing'}{more}\n"
        + "\n".join(f"  {line}" for _, line in nearest)
    )


def _refuse_selective(tensors: Tensors) -> None:
    for kind, (key, neighbour) in _SELECTIVE.items():
        for prefix in (match[1] or "" for name in tensors if (match := re.fullmatch(key, name))):
            if any(k.startswith(prefix) and re.fullmatch(neighbour, k[len(prefix) :]) for k in tensors):
                raise NotLinearTimeInvariantError(
                    f"{kind} layer at {prefix!r}: it is selective, not linear time-invariant (its dynamics "
                    "depend on its input), so it has no Hankel singular values and cannot be reduced."
                )


def _nearest(tensors: Tensors, dialect: Dialect) -> tuple[float, str]:
    """The share of a dialect's names that is missing where most of them are, and which these are."""
    places = _places(tensors, dialect)
    prefix, there = max(places.items(), key=lambda item: len(item[1]), default=("", []))
    missing = [str(field) for field in dialect.fields if field.name not in there]
    place = f"has {', '.join(there)} at {prefix!r}, " if there else ""
    return len(missing) / len(dialect.fields), f"{dialect.name}: {place}lacks {', '.join(missing)}"


def not_recognised(tensors: Tensors, dialect: Dialect, prefixes: list[str]) -> list[str]:
    """What looks like a layer, or like a part of one, and is not among those of `dialect` at `prefixes`."""
    lines, complete = [], set(prefixes)
    for other in _DIALECTS.values():
        if more := [prefix for prefix in other.find(tensors) if prefix not in prefixes]:
            complete |= set(more)
            where = ", ".join(repr(prefix) for prefix in more[:_SHOWN])
            lines.append(
                f"left alone: layers of another dialect, {other.name}, at {where}; "
                f"{keyword('dialect', repr(other.name))} takes those"
            )
    for prefix, there in _places(tensors, dialect).items():
        if prefix not in complete and len(there) > 1 and set(there) - _COMMON:
            missing = [field.name for field in dialect.fields if field.name not in there]
            lines.append(
                f"left alone: {prefix!r} has {', '.join(there)} of a layer of dialect {dialect.name}, and "
                f"lacks {', '.join(missing)}"
            )
    return lines


def _places(tensors: Tensors, dialect: Dialect) -> dict[str, list[str]]:
    """By prefix, the names of a layer's tensors that are there."""
    by_prefix: dict[str, list[str]] = defaultdict(list)
    for field in dialect.fields:
        for key in tensors:
            if ends_with_part(key, field.name):
                by_prefix[key.removesuffix(field.name)].append(field.name)
    return by_prefix


def _refuse_parametrized(tensors: Tensors) -> None:
    """A parametrized tensor of a layer is not the one that the layer computes with."""
    hidden = {folded: key for key in tensors if (folded := folded_key(key)) is not None}
    if not hidden:
        return
    names = tensors.keys() | hidden.keys()
    for dialect in _DIALECTS.values():
        keys = (prefix + field.name for prefix in dialect.locate(names) for field in dialect.fields)
        if spoilt := next((key for key in keys if key in hidden), None):
            raise CheckpointError(
                f"{hidden[spoilt]!r} is a parametrization of {spoilt}: fold it into the tensor with "
                "torch.nn.utils.parametrize.remove_parametrizations and save again."
            )
