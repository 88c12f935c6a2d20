"""Writing files so that a reader sees the old one or the new one, and never half of one."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from mor.errors import MorError

#: Bytes of a file, in pieces.
Chunks = Iterable[bytes | memoryview]


def write_atomically(contents: Mapping[Path, Chunks], failure: type[MorError]) -> None:
    """Write every file under a temporary name beside its place, then move all into place.

    The bytes are on the disk before the first move. After a failure the temporary files are
    gone and what stood in each place still stands there.

    Raises
    ------
    MorError
        Of the kind `failure`, if a file cannot be written: no space, no permission, no such folder.
    """
    # Through a link, so that the link stays one.
    contents = {Path(os.path.realpath(path)): chunks for path, chunks in contents.items()}
    staged: dict[Path, Path] = {}
    try:
        for path, chunks in contents.items():
            staged[path] = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
            _write_synced(staged[path], chunks)
        for path, temporary in staged.items():
            os.replace(temporary, path)
        for folder in {path.parent for path in staged}:
            _sync_folder(folder)
    except OSError as error:
        names = " and ".join(str(path) for path in contents)
        reason = error.strerror or str(error)
        raise failure(f"could not write {names}: {reason}. What stood there is unchanged.") from error
    finally:
        for temporary in staged.values():
            with suppress(OSError):
                temporary.unlink()


def _write_synced(path: Path, chunks: Chunks) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    with os.fdopen(handle, "wb") as out:
        for chunk in chunks:
            out.write(chunk)
        out.flush()
        os.fsync(out.fileno())


def _sync_folder(folder: Path) -> None:
    """Make the moves themselves durable, where the system can do that to a folder."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
