"""What code a pickle names, found without running it."""

from __future__ import annotations

import io
import pickle
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mor.adapters.limits import Budget
from mor.errors import CheckpointError, UnsafeCheckpointError

#: A file of the format before 2020 is a chain of this many pickles, then raw numbers.
_LEGACY_PICKLES = 5
#: Opcodes that push a piece of text, the operands of STACK_GLOBAL.
_TEXT = {"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"}
_RECALL = {"BINGET", "LONG_BINGET", "GET"}
_REMEMBER = {"MEMOIZE", "BINPUT", "LONG_BINPUT", "PUT"}
#: What tensors and plain containers are made of. PyTorch's loader has the last word on them.
_NUMBERS = re.compile(
    r"torch\.\w+|torch\.(_utils|_tensor|storage|serialization|nn\.parameter)\.\w+"
    r"|collections\.(OrderedDict|Counter|defaultdict)|(__builtin__|builtins)\.(set|bytearray)|_codecs\.encode"
)
#: What a damaged file makes PyTorch's loader, or a scan of it, raise.
DAMAGE = (
    RuntimeError, ValueError, EOFError, KeyError, IndexError, TypeError, AttributeError,
    OverflowError, MemoryError, AssertionError, struct.error, zlib.error, pickle.UnpicklingError,
)  # fmt: skip

#: Beginning of an archive, which torch.save makes, and makes without compression.
_ZIP = b"PK\x03\x04"
#: Bytes that an opcode of one byte may make: an empty list.
_OBJECT = 64


def check_archive(data: bytes, path: Path, budget: Budget) -> None:
    """Take what the parts of the archive say they are when unpacked, if `data` is one.

    Raises
    ------
    CheckpointError
        If that is more than the budget, or there is no table of the parts.
    """
    if data[:4] != _ZIP:
        return
    with _archive(data, path) as archive:
        members = archive.infolist()
    for member in members:
        if member.file_size != member.compress_size:
            times = _OBJECT if member.filename.endswith(".pkl") else 1
            budget.spend(member.file_size * times, f"{path}: {member.filename}, unpacked,")


@contextmanager
def _archive(data: bytes, path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            yield archive
    except (*DAMAGE, OSError, zipfile.BadZipFile) as error:
        raise CheckpointError(f"{path} is truncated, damaged or was not made by torch.save.") from error


def refuse_foreign_code(data: bytes, path: Path) -> None:
    """Raise unless all that the file's pickles name is what PyTorch's safe loader allows.

    Raises
    ------
    UnsafeCheckpointError
        Naming the offending functions and classes.
    CheckpointError
        If there is no pickle in the file, or it is damaged.
    """
    if data[:4] == _ZIP:
        foreign = _foreign_in_zip(data, path)
    else:
        foreign = _foreign_in_pickles(data, _LEGACY_PICKLES, path)
    if foreign:
        raise UnsafeCheckpointError(
            f"{path} names code that a file of numbers does not need: {', '.join(sorted(foreign))}. "
            "Opening it would run that code, so it was not opened. If you made the file yourself, save "
            "only model.state_dict(), or write .safetensors."
        )


def _foreign_in_zip(data: bytes, path: Path) -> set[str]:
    from torch.serialization import get_unsafe_globals_in_checkpoint

    try:
        return set(get_unsafe_globals_in_checkpoint(io.BytesIO(data)))
    except DAMAGE as error:
        if "torchscript" in str(error).lower():
            raise CheckpointError(f"{path} is a TorchScript program; save its state_dict().") from error
    with _archive(data, path) as archive:
        names = [name for name in archive.namelist() if name.split("/")[1:] == ["data.pkl"]]
        pickled = archive.read(names[0])
    return _foreign_in_pickles(pickled, 1, path)


def _foreign_in_pickles(data: bytes, count: int, path: Path) -> set[str]:
    """What the first `count` pickles name; a damaged one need not be read to its end to be refused."""
    stream = io.BytesIO(data)
    names: set[str] = set()
    try:
        for _ in range(count):
            names.update(named_code(stream))
    except DAMAGE as error:
        if foreign := _not_of_torch(names):
            return foreign
        reason = f"truncated, damaged or was not made by torch.save: {error}"
        raise CheckpointError(f"{path} is {reason}.") from error
    return _not_of_torch(names)


def _not_of_torch(names: set[str]) -> set[str]:
    """Those that no file of numbers needs; the others are left to PyTorch's loader to judge."""
    return {name for name in names if not _NUMBERS.fullmatch(name)}


def named_code(stream: io.BytesIO) -> Iterator[str]:
    """Every ``module.name`` in the next pickle of the stream; ``?`` for one that is computed."""
    memo: dict[int, str] = {}
    recent: list[str] = []
    for opcode, argument, _ in pickletools.genops(stream):
        if opcode.name in ("GLOBAL", "INST"):
            yield str(argument).replace(" ", ".")
        elif opcode.name == "STACK_GLOBAL":
            yield ".".join(recent[-2:]) if len(recent) >= 2 else "?"
        elif opcode.name in ("EXT1", "EXT2", "EXT4"):
            yield "?"
        elif opcode.name in _TEXT:
            recent.append(str(argument))
        elif opcode.name in _RECALL:
            recent.append(memo.get(int(argument or 0), "?"))
        elif opcode.name in _REMEMBER and recent:
            memo[len(memo) if opcode.name == "MEMOIZE" else int(argument or 0)] = recent[-1]
