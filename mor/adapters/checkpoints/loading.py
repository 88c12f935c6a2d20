"""Loading a compressed state dict into a PyTorch module that was built for the old sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mor.adapters.checkpoints.formats.tensors import read_tensors
from mor.adapters.checkpoints.formats.torch_file import from_numpy, import_torch, in_place_of, tensors_in
from mor.adapters.checkpoints.manifest import read_manifest, recorded_key, resized_tensors
from mor.adapters.layers.keys import plain_keys
from mor.checks import check_path
from mor.errors import CheckpointError

#: Plain attributes in which modules keep the size of their state.
_SIZE_NAMES = ("state_features", "state_size", "d_state")

#: A buffer that PyTorch's own strict loading leaves as it is where a file without versions lacks it.
_BATCH_COUNT = "num_batches_tracked"


@dataclass(frozen=True)
class Loaded:
    """What :func:`load_resized` did.

    Attributes
    ----------
    loaded : keys of the module that were given values.
    resized : those among them that changed shape, with the old and the new one.
    adjusted : plain attributes that were brought to the new size.
    missing : keys of the module that the checkpoint lacks, counts of batches aside.
    unexpected : keys of the checkpoint that the module lacks.
    """

    loaded: list[str]
    resized: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]
    adjusted: list[str]
    missing: list[str]
    unexpected: list[str]


def load_resized(module: Any, source: str | Path | Mapping[str, Any], *, strict: bool = True) -> Loaded:
    """Load a compressed checkpoint, giving parameters and buffers the shapes it has.

    For modules whose forward pass takes its sizes from its tensors (s5-pytorch, lru-pytorch,
    minimal S4D). Make the optimizer afterwards: parameters that change shape are new objects, with the
    attributes of the old ones (such as ``_optim``, by which S4's code groups them) but not their hooks.

    Parameters
    ----------
    module : ``torch.nn.Module`` of the uncompressed sizes, changed in place.
    source : path of a checkpoint, or a state dict. Where a path has a manifest, only tensors that
        it names may change shape, or an earlier one, of a file that it was made from.
    strict : raise if a key of either side finds no partner. The count of batches of a batch
        normalisation may be missing, as in PyTorch, and stays as it was.

    Returns
    -------
    Loaded

    Raises
    ------
    CheckpointError
        Naming what cannot be placed; the module is then as it was.
    MissingDependencyError
        Without PyTorch.

    Examples
    --------
    >>> import torch
    >>> from mor.adapters.checkpoints import load_resized
    >>> layer = torch.nn.Linear(8, 8)
    >>> load_resized(layer, {"weight": torch.zeros(4, 8), "bias": torch.zeros(4)}).resized["bias"]
    ((8,), (4,))
    """
    import_torch()
    values, resizable = _values(source)
    own = plain_keys(tensors_in(module.state_dict(keep_vars=True)))
    theirs = plain_keys(values)
    pairs = {own[plain]: theirs[plain] for plain in own if plain in theirs}
    missing = [own[x] for x in own if x not in theirs and x.rpartition(".")[2] != _BATCH_COUNT]
    unexpected = [theirs[plain] for plain in theirs if plain not in own]
    lacking = {"checkpoint": missing, "module": unexpected}
    problems = [f"the {what} lacks {', '.join(keys)}" for what, keys in lacking.items() if strict and keys]
    for key, stored in pairs.items():
        may_change = resizable is None or stored in resizable
        problems += _misfits(key, getattr(*_owner(module, key)), values[stored], may_change)
    if problems:
        raise CheckpointError("cannot load: " + "; ".join(problems) + ".")
    report = Loaded([], {}, [], missing, unexpected)
    replaced: dict[int, Any] = {}
    for key, stored in pairs.items():
        _place(module, key, values[stored], replaced, report)
    return report


def _values(source: str | Path | Mapping[str, Any]) -> tuple[dict[str, Any], set[str] | None]:
    """Tensors by key, and the keys whose shape may change (None: any)."""
    if isinstance(source, Mapping):
        return tensors_in(source), None
    path = check_path("source", source, CheckpointError)
    file = read_tensors(path, key=recorded_key(path))
    manifest = read_manifest(file)
    resizable = None if manifest is None else resized_tensors(manifest)
    return {key: from_numpy(x) for key, x in file.tensors.items()}, resizable


def _misfits(key: str, old: Any, value: Any, may_change: bool) -> Iterator[str]:
    """What keeps a tensor of the file from the place of the module's, whose shape it `may_change`."""
    if old.is_complex() != value.is_complex():
        yield f"{key} is {old.dtype} in the module and {value.dtype} in the file"
    if old.shape != value.shape and not (may_change and old.ndim == value.ndim):
        yield f"{key} has shape {tuple(old.shape)} in the module and {tuple(value.shape)} in the file"


def _owner(module: Any, key: str) -> tuple[Any, str]:
    path, _, name = key.rpartition(".")
    return module.get_submodule(path), name


def _place(module: Any, key: str, value: Any, replaced: dict[int, Any], report: Loaded) -> None:
    owner, name = _owner(module, key)
    old = getattr(owner, name)
    report.loaded.append(key)
    if old.shape == value.shape:
        old.detach().copy_(value)
        return
    report.resized[key] = (tuple(old.shape), tuple(value.shape))
    if id(old) not in replaced:
        made = in_place_of(old, value.detach().clone().to(device=old.device, dtype=old.dtype))
        # What people set on parameters: a learning rate or a weight decay of their own, say.
        vars(made).update(vars(old))
        replaced[id(old)] = made
    setattr(owner, name, replaced[id(old)])
    if old.ndim == 1:
        changed = _adjusted(owner, old.shape[0], value.shape[0])
        report.adjusted.extend(key.removesuffix(name) + attribute for attribute in changed)


def _adjusted(owner: Any, old: int, new: int) -> Iterator[str]:
    """Bring an initial state of zeros, and the number of states, to the size of the poles."""
    import torch

    for name, value in list(vars(owner).items()):
        if isinstance(value, torch.Tensor) and tuple(value.shape) == (old,) and not value.any():
            setattr(owner, name, value.new_zeros(new))
            yield name
        elif name in _SIZE_NAMES and value == old:
            setattr(owner, name, new)
            yield name
