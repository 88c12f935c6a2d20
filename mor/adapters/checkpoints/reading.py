"""From a file to a checkpoint: its layers found and read."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mor.adapters.checkpoints.checkpoint import Checkpoint
from mor.adapters.checkpoints.formats.tensor_file import TensorFile
from mor.adapters.checkpoints.formats.tensors import read_tensors
from mor.adapters.checkpoints.formats.torch_file import other_state_dicts
from mor.adapters.checkpoints.manifest import read_manifest
from mor.adapters.layers.dialects.base import Dialect
from mor.adapters.layers.keys import plain_key, plain_tensors
from mor.adapters.layers.layers import Layers
from mor.errors import CheckpointError, keyword

#: Name of a layer whose tensors stand at the top of the file.
_ROOT = "root"


def read_checkpoint(
    path: str | Path,
    dialect: str | None = None,
    *,
    key: str | None = None,
    leave: Iterable[str] = (),
    max_bytes: int | None = None,
) -> Checkpoint:
    """The state-space layers of a checkpoint as systems.

    Parameters
    ----------
    path : ``.safetensors`` (needs no PyTorch), ``.pt``, ``.pth``, ``.ckpt``, ``.bin`` (opened without
        running anything in them) or the ``*.index.json`` of a sharded one.
    dialect : what its layers are (see :func:`dialect_names`); recognised by names and shapes of the
        tensors where that is unambiguous. Equal names do not prove equal meaning.
    key : which state dict, in a torch file that holds several (of a model and of its average, say).
    leave : tensors beside layers that have nothing to do with their states, though they have an axis of
        that length (see :attr:`Checkpoint.beside`).
    max_bytes : memory that the file may take. None is the environment variable ``MOR_MAX_BYTES``, or
        else 32 MiB, or four times the size of the file where that is more: a small file can say that
        one number is a million of them.

    Returns
    -------
    Checkpoint
        Its ``layers`` are the systems by name.

    Raises
    ------
    CheckpointError
        If the file is damaged, takes more than `max_bytes`, or no layer in it is recognised.
    UnsafeCheckpointError
        If the file is a pickle that would run foreign code.
    NotLinearTimeInvariantError
        If its layers are selective (Mamba, RG-LRU).
    NotFiniteError
        If a layer has NaN or infinity in it.

    Notes
    -----
    An unstable layer is read as it is; reducing it is an error then.

    Examples
    --------
    A layer of the LRU kind with four modes and two channels, reduced to three states:

    >>> import pathlib, tempfile
    >>> import numpy as np, mor
    >>> from mor.adapters.checkpoints.formats.safetensors_file import safetensors_chunks
    >>> N, rng = 4, np.random.default_rng(0)
    >>> shapes = {"B_re": (N, 2), "B_im": (N, 2), "C_re": (2, N), "C_im": (2, N), "D": (2,)}
    >>> layer = {f"blocks.0.lru.{key}": rng.standard_normal(shape) for key, shape in shapes.items()}
    >>> for key, low, high in [("nu_log", -3, -1), ("theta_log", -2, 1), ("gamma_log", -1, 0)]:
    ...     layer[f"blocks.0.lru.{key}"] = rng.uniform(low, high, N)
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> _ = (folder / "model.safetensors").write_bytes(b"".join(safetensors_chunks(layer, {})))

    >>> checkpoint = read_checkpoint(folder / "model.safetensors")
    >>> checkpoint.layers
    {'blocks.0.lru': <Modal order 8 (4 modes), 2 inputs, 2 outputs, dt=1>}
    >>> reduced = {name: mor.balanced_truncation(system, 3) for name, system in checkpoint.layers.items()}
    >>> manifest = checkpoint.replace(reduced).write(folder / "small.safetensors")
    >>> manifest["layers"]["blocks.0.lru"]["states_after"]
    3
    """
    file = read_tensors(path, max_bytes, key)
    tensors = plain_tensors(file.tensors)
    tied = {plain_key(key): tie[0] for tie in file.ties for key in tie}
    found = Layers.find(tensors, dialect, root=_ROOT, identity=lambda key: tied.get(key, key), leave=leave)
    if unknown := found.distinct[0].leave - set(tensors):
        raise CheckpointError(f"{path} has no tensor {min(unknown)!r} to leave.")
    if key is None:
        _check_the_only_one(file, found.distinct[0].dialect)
    return Checkpoint(
        source=file,
        found=found,
        original=found.read(tensors),
        manifest=read_manifest(file),
    )


def _check_the_only_one(file: TensorFile, dialect: Dialect) -> None:
    """Raise if another state dict in the file has layers as well: nobody has said which is meant."""
    others = [name for name, x in other_state_dicts(file).items() if dialect.find(plain_tensors(x))]
    if others:
        raise CheckpointError(
            f"{file.path} holds layers in several state dicts: say which one with {keyword('key')}, one of "
            f"{', '.join([*file.state_dict_path, *others])}."
        )
