"""Files that ``torch.save`` made, opened without running anything they contain."""

from __future__ import annotations

import copy
import hashlib
import io
import pickle
from collections import defaultdict
from collections.abc import Mapping, MutableMapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import numpy as np

from mor.adapters.checkpoints.formats.pickle_scan import DAMAGE, check_archive, refuse_foreign_code
from mor.adapters.checkpoints.formats.tensor_file import TensorFile
from mor.adapters.limits import Budget
from mor.errors import CheckpointError, MissingDependencyError, UnsafeCheckpointError, keyword

#: Older ones load foreign code in spite of ``weights_only=True``.
_SAFE_TORCH = (2, 10)
#: NumPy's arrays have no more.
_MOST_AXES = 64
#: Where a state dict stands in a training checkpoint, the likeliest first.
_STATE_DICTS = ("state_dict", "model_state_dict", "model", "state")


def import_torch() -> Any:
    """PyTorch, of a version whose restricted loader has no known bypass.

    Raises
    ------
    MissingDependencyError
    """
    try:
        import torch
    except ImportError as error:
        raise MissingDependencyError(
            "PyTorch is needed for .pt, .pth, .ckpt and .bin files: pip install torch. "
            "A .safetensors file needs nothing."
        ) from error
    version = tuple(int(part) for part in torch.__version__.split("+")[0].split(".")[:2])
    if version < _SAFE_TORCH:
        raise MissingDependencyError(
            f"PyTorch {torch.__version__} has known ways around weights_only=True (CVE-2025-32434, "
            "CVE-2026-24747), so that opening a file can run its code: install torch >= 2.10, or "
            "convert the file to .safetensors."
        )
    return torch


def read_torch(path: Path, budget: Budget, key: str | None = None) -> TensorFile:
    """Tensors of the state dict in a torch file, and the rest of the file to write it back.

    `key` says which, where it holds several.

    Raises
    ------
    UnsafeCheckpointError
        If the file names code other than PyTorch's own; before anything of it runs.
    CheckpointError
        If the file is damaged or holds no state dict.
    """
    import_torch()
    budget.spend(path.stat().st_size, str(path))
    data = path.read_bytes()
    check_archive(data, path, budget)
    refuse_foreign_code(data, path)
    wrapper = _load(data, path)
    place = find_state_dict(wrapper, path, key)
    held = tensors_in(reduce(getitem, place, wrapper))
    _spend(held, path, budget)
    tensors = arrays_of(held)
    return TensorFile(
        path=path,
        format="torch",
        tensors=tensors,
        metadata={},
        sha256=hashlib.sha256(data).hexdigest(),
        ties=_ties({key: held[key] for key in tensors}),
        wrapper=wrapper,
        state_dict_path=place,
        left_out=tuple(key for key in held if key not in tensors),
    )


def tensors_in(mapping: Mapping[Any, Any]) -> dict[str, Any]:
    """Those of its entries that are tensors with a name."""
    import torch

    return {key: x for key, x in mapping.items() if isinstance(key, str) and isinstance(x, torch.Tensor)}


def arrays_of(tensors: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Those of the tensors that NumPy has a form for, on the same memory, read-only."""
    arrays = {key: _as_numpy(x) for key, x in tensors.items()}
    return {key: x for key, x in arrays.items() if x is not None}


def _spend(held: Mapping[str, Any], path: Path, budget: Budget) -> None:
    """Take what the tensors are seen as: one stored number can be seen as a million. Tied ones count once."""
    seen = {
        (x.data_ptr(), x.shape, x.stride()): (key, x.numel() * x.element_size())
        for key, x in held.items()
        if _is_plain(x)
    }
    for key, size in seen.values():
        budget.spend(size, f"{path}: the tensor {key!r}")


def _load(data: bytes, path: Path) -> Any:
    import torch

    try:
        return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except DAMAGE as error:
        reason = _reason(error)
        if isinstance(error, pickle.UnpicklingError) and "GLOBAL" in str(error):
            raise UnsafeCheckpointError(f"{path} was refused by PyTorch's safe loader: {reason}") from error
        if "Unsupported operand" in str(error):
            reason = "its pickle is of a newer protocol than torch.save's default, or damaged; save it again"
        raise CheckpointError(f"{path} is damaged or was not made by torch.save: {reason}.") from error


def _reason(error: BaseException) -> str:
    """The part of PyTorch's message that says what was found."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "GLOBAL" in line or "nsupported" in line]
    return (told or lines or [type(error).__name__])[0][:300]


def find_state_dict(wrapper: Any, path: Path, key: str | None = None) -> tuple[str, ...]:
    """Keys that lead to the state dict of a training checkpoint; () if it is one itself."""
    if not isinstance(wrapper, Mapping):
        raise CheckpointError(f"{path} holds a {type(wrapper).__name__}, not a state dict.")
    dicts = [str(k) for k, x in wrapper.items() if isinstance(x, Mapping) and tensors_in(x)]
    if key is not None:
        if key not in dicts:
            raise CheckpointError(f"{path} has no state dict {key!r}; it has {', '.join(dicts) or 'none'}.")
        return (key,)
    if tensors_in(wrapper):
        return ()
    if usual := next((name for name in _STATE_DICTS if name in dicts), None):
        return (usual,)
    others = [name for name in dicts if name.endswith("state_dict") and not is_optimizer(name)]
    if len(others) == 1:
        return (others[0],)
    if dicts:
        raise CheckpointError(
            f"{path} holds {len(dicts)} dicts of tensors: say which one with {keyword('key')}, one of "
            f"{', '.join(dicts)}."
        )
    found = ", ".join(map(repr, list(wrapper)[:12])) or "nothing"
    raise CheckpointError(
        f"{path} holds no state dict. Its top level has {found}; save the model's state_dict() alone."
    )


def other_state_dicts(file: TensorFile) -> dict[str, dict[str, np.ndarray]]:
    """By name, the dicts of tensors beside the one that was read, but for an optimizer's."""
    return {str(key): arrays_of(tensors_in(x)) for key, x in _dicts_beside(file).items()}


def _dicts_beside(file: TensorFile) -> dict[Any, Mapping[Any, Any]]:
    return {k: x for k, x in file.beside.items() if isinstance(x, Mapping) and not is_optimizer(k)}


def is_optimizer(key: Any) -> bool:
    """Whether an entry of a training checkpoint is the optimizer's state."""
    return isinstance(key, str) and "optim" in key.lower()


def _is_plain(tensor: Any) -> bool:
    """Whether its numbers stand in the memory of this process, one by one."""
    import torch

    return tensor.layout == torch.strided and tensor.device.type == "cpu"


def _as_numpy(tensor: Any) -> np.ndarray | None:
    """A read-only array on the tensor's memory, or None if NumPy has no form for it."""
    import torch

    if not _is_plain(tensor) or tensor.is_quantized or tensor.ndim > _MOST_AXES:
        return None
    plain = tensor.detach().resolve_conj().resolve_neg()
    try:
        array = plain.numpy()
    except TypeError:
        if plain.element_size() > 2:
            return None
        name = str(plain.dtype).removeprefix("torch.")
        unsigned = torch.uint16 if plain.element_size() == 2 else torch.uint8
        bits = plain.contiguous().view(unsigned).numpy()
        array = bits.view(np.dtype([(name, bits.dtype.str)]))
    array = array.view()
    array.flags.writeable = False
    return array


def _ties(tensors: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Groups of keys that are the same memory seen the same way."""
    groups: dict[Any, list[str]] = defaultdict(list)
    for key, x in tensors.items():
        if x.numel():
            groups[x.data_ptr(), x.dtype, tuple(x.shape), x.stride()].append(key)
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def torch_bytes(file: TensorFile, tensors: Mapping[str, np.ndarray]) -> bytes:
    """What ``torch.save`` writes for the file with these tensors.

    Everything that `file` held beside the tensors stays, but not the state of an optimizer
    whose parameters have changed.
    """
    torch = import_torch()
    if file.wrapper is None:
        content = _make_tensors(file, tensors)
    else:
        changed = {key: x for key, x in tensors.items() if x is not file.tensors[key]}
        content = _rewrap(file, _make_tensors(file, changed))
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def _make_tensors(file: TensorFile, arrays: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Tensors of their own memory; tied keys with equal values share one."""
    made = {key: from_numpy(x) for key, x in arrays.items()}
    for first, *others in file.ties:
        for key in others:
            if first in made and key in made and same_bits(arrays[first], arrays[key]):
                made[key] = made[first]
    return made


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether two arrays are equal in type, shape and every bit."""
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def from_numpy(x: np.ndarray) -> Any:
    """A tensor of its own memory, bit for bit."""
    import torch

    own = np.array(x, order="C")
    if x.dtype.names is None:
        return torch.from_numpy(own)
    return torch.from_numpy(own.view(f"u{x.dtype.itemsize}")).view(getattr(torch, x.dtype.names[0]))


def in_place_of(old: Any, tensor: Any) -> Any:
    """A tensor as what takes the place of `old`: a parameter if that is one."""
    import torch

    is_parameter = isinstance(old, torch.nn.Parameter)
    return torch.nn.Parameter(tensor, requires_grad=old.requires_grad) if is_parameter else tensor


def _rewrap(file: TensorFile, made: Mapping[str, Any]) -> Any:
    """A copy of the containers down to the state dict; every other entry is the one read."""
    content = copy.copy(file.wrapper)
    state: MutableMapping[str, Any] = content
    for key in file.state_dict_path:
        state[key] = copy.copy(state[key])
        state = state[key]
    for key, tensor in made.items():
        state[key] = in_place_of(state[key], tensor)
    for key in dropped_entries(file) if made else ():
        del content[key]
    return content


def dropped_entries(file: TensorFile) -> list[str]:
    """Entries beside the state dict that a change of shapes makes invalid."""
    return [key for key in file.beside if is_optimizer(key)]


def stale_entries(file: TensorFile, changed: set[str]) -> list[str]:
    """Entries beside the state dict that hold a copy of changed tensors, an average say."""
    return [str(key) for key, x in _dicts_beside(file).items() if changed & set(x)]
