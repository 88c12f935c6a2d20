"""Which dialect a checkpoint speaks, from the names and shapes of its tensors."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection

from mor.adapters.layers.dialects.base import Dialect, Tensors
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
    asked = _DIALECTS.values() if name is None else [get_dialect(name)]
    found = {dialect.name: prefixes for dialect in asked if (prefixes := dialect.find(tensors))}
    if not found:
        raise _unrecognised(tensors, name)
    if len(found) > 1:
        where = "; ".join(
            f"{key} ({len(prefixes)} layers, at {prefixes[0]!r})" for key, prefixes in found.items()
        )
        raise CheckpointError(f"more than one dialect fits: {where}. Say which with {keyword('dialect')}.")
    ((key, prefixes),) = found.items()
    dialect = _DIALECTS[key]
    if spoilt := _spoilt(dialect, tensors):
        raise CheckpointError(f"a layer has the names of dialect {key}, but {spoilt}.")
    return dialect, sorted(prefixes, key=natural_order)


def _spoilt(dialect: Dialect, tensors: Tensors) -> str | None:
    """Why tensors with all the names of a dialect's layer are not one."""
    reasons = (dialect.mismatch(tensors, prefix) for prefix in dialect.locate(tensors))
    return next((reason for reason in reasons if reason is not None), None)


def _unrecognised(tensors: Tensors, name: str | None) -> CheckpointError:
    for kind, (key, neighbour) in _SELECTIVE.items():
        prefix = _selective_layer(tensors, key, neighbour)
        if prefix is not None:
            return NotLinearTimeInvariantError(
                f"{kind} layer at {prefix!r}: it is selective, not linear time-invariant (its dynamics "
                "depend on its input), so it has no Hankel singular values and cannot be reduced."
            )
    asked = list(_DIALECTS.values()) if name is None else [get_dialect(name)]
    for dialect in asked:
        if spoilt := _spoilt(dialect, tensors):
            return CheckpointError(f"a layer has the names of dialect {dialect.name}, but {spoilt}.")
    seen = [f"{key} {tuple(x.shape)}" for key, x in list(tensors.items())[:_SHOWN]]
    more = f" and {len(tensors) - _SHOWN} more" if len(tensors) > _SHOWN else ""
    what = "no layer of a known dialect" if name is None else f"no layer of dialect {name}"
    return CheckpointError(
        f"{what} among {len(tensors)} tensors.\n  seen: {', '.join(seen) or 'nothing'}{more}\n"
        + "\n".join("  " + line for line in _nearest(tensors, asked))
    )


def _selective_layer(tensors: Tensors, key: str, neighbour: str) -> str | None:
    for name in tensors:
        match = re.fullmatch(key, name)
        prefix = match[1] or "" if match else ""
        if match and any(k.startswith(prefix) and re.fullmatch(neighbour, k[len(prefix) :]) for k in tensors):
            return prefix
    return None


def _nearest(tensors: Tensors, dialects: list[Dialect]) -> list[str]:
    """For each dialect the place where most of its names are, and those that are not."""
    lines = []
    for dialect in dialects:
        places = _places(tensors, dialect)
        prefix, there = max(places.items(), key=lambda item: len(item[1]), default=("", []))
        missing = [str(field) for field in dialect.fields if field.name not in there]
        place = f"has {', '.join(there)} at {prefix!r}, " if there else ""
        lines.append(
            (len(missing) / len(dialect.fields), f"{dialect.name}: {place}lacks {', '.join(missing)}")
        )
    return [line for _, line in sorted(lines, key=lambda item: item[0])]


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
            if key == field.name or key.endswith("." + field.name):
                by_prefix[key.removesuffix(field.name)].append(field.name)
    return by_prefix


def _refuse_parametrized(tensors: Tensors) -> None:
    """A parametrized tensor of a layer is not the one that the layer computes with."""
    hidden = {folded: key for key in tensors if (folded := folded_key(key)) is not None}
    if not hidden:
        return
    folded = {**tensors, **{plain: tensors[key] for plain, key in hidden.items()}}
    for dialect in _DIALECTS.values():
        for prefix in dialect.locate(folded):
            for field in dialect.fields:
                if prefix + field.name in hidden:
                    raise CheckpointError(
                        f"{hidden[prefix + field.name]!r} is a parametrization of {prefix}{field.name}: "
                        "fold it into the tensor with torch.nn.utils.parametrize.remove_parametrizations "
                        "and save again."
                    )
