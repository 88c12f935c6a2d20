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

#: How a file is made that must not exist.
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)

#: Where Linux has the open files of this process.
_HANDLES = "/proc/self/fd"


def write_atomically(contents: Mapping[Path, Chunks], failure: type[MorError]) -> None:
    """Write every file under a temporary name beside its place, then move all into place.

    The bytes are on the disk before the first move. After a failure the temporary files are
    gone and what stood in each place still stands there. Where the system has files without a name
    (Linux), a process that is killed while it writes leaves nothing behind either.

    Raises
    ------
    MorError
        Of the kind `failure`, if a file cannot be written: no space, no permission, no such folder.
    """
    # Through a link, so that the link stays one.
    contents = {Path(os.path.realpath(path)): chunks for path, chunks in contents.items()}
    staged: dict[Path, Path] = {}
    nameless: dict[Path, int] = {}
    try:
        for path, chunks in contents.items():
            staged[path] = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
            handle = _open_nameless(path.parent)
            if handle is None:
                handle = os.open(staged[path], _NEW, 0o666)
            else:
                nameless[path] = handle
            _write_synced(handle, chunks, keep=path in nameless)
        for path, temporary in staged.items():
            if path in nameless:
                _name(nameless[path], temporary)
            os.replace(temporary, path)
        for folder in {path.parent for path in staged}:
            _sync_folder(folder)
    except OSError as error:
        names = " and ".join(str(path) for path in contents)
        reason = error.strerror or str(error)
        raise failure(f"could not write {names}: {reason}. What stood there is unchanged.") from error
    finally:
        for handle in nameless.values():
            with suppress(OSError):
                os.close(handle)
        for temporary in staged.values():
            with suppress(OSError):
                temporary.unlink()


def check_place(path: Path, failure: type[MorError]) -> None:
    """Raise, as an error of the kind `failure`, unless a file can stand at `path`."""
    if not path.parent.is_dir():
        raise failure(f"{path}: there is no folder {path.parent}.")
    if path.is_dir():
        raise failure(f"{path} is a folder.")


def _open_nameless(folder: Path) -> int | None:
    """A new file in `folder` that has no name yet; None where the system or the disk has none."""
    if not hasattr(os, "O_TMPFILE") or not os.path.isdir(_HANDLES):
        return None
    try:
        return os.open(folder, os.O_TMPFILE | os.O_WRONLY, 0o666)
    except OSError:
        return None


def _name(handle: int, path: Path) -> None:
    """Give an open file its name."""
    folder = os.open(_HANDLES, os.O_RDONLY)
    try:
        # With a folder Python follows the link that stands for the open file.
        os.link(str(handle), path, src_dir_fd=folder, follow_symlinks=True)
    finally:
        os.close(folder)


def _write_synced(handle: int, chunks: Chunks, *, keep: bool) -> None:
    """All chunks, on the disk; the handle is closed unless it is to be kept."""
    with os.fdopen(handle, "wb", closefd=not keep) as out:
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
