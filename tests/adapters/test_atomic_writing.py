"""Writing is all or nothing, and what is killed leaves nothing."""

import os
import signal
import subprocess
import sys

import pytest

from mor.adapters import atomic
from mor.errors import CheckpointError

KILLED = """
import os, signal, sys
from pathlib import Path
from mor.adapters.atomic import write_atomically
from mor.errors import CheckpointError

def chunks():
    yield b"x" * 100_000
    os.kill(os.getpid(), signal.SIGKILL)
    yield b"y"

folder = Path(sys.argv[1])
write_atomically({folder / "small": [b"z"], folder / "model": chunks()}, CheckpointError)
"""


@pytest.mark.skipif(not hasattr(os, "O_TMPFILE"), reason="needs files without a name")
def test_a_killed_write_leaves_no_file_behind(tmp_path):
    """A `.NAME.hex.tmp` as large as the file stayed, and nobody ever cleaned it."""
    (tmp_path / "model").write_bytes(b"old")
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False, env=os.environ)
    assert done.returncode == -signal.SIGKILL
    assert sorted(x.name for x in tmp_path.iterdir()) == ["model"]
    assert (tmp_path / "model").read_bytes() == b"old"


@pytest.mark.parametrize("nameless", [True, False])
def test_all_or_nothing_with_and_without_names(tmp_path, monkeypatch, nameless):
    if not nameless:
        monkeypatch.setattr(atomic, "_open_nameless", lambda folder: None)
    one, two = tmp_path / "one", tmp_path / "two"
    atomic.write_atomically({one: [b"a", memoryview(b"b")], two: [b"c"]}, CheckpointError)
    assert (one.read_bytes(), two.read_bytes()) == (b"ab", b"c")
    assert one.stat().st_mode & 0o777 == 0o666 & ~_umask()

    def failing():
        yield b"d"
        raise OSError(28, "No space left on device")

    with pytest.raises(CheckpointError, match="No space left"):
        atomic.write_atomically({one: [b"d"], two: failing()}, CheckpointError)
    assert (one.read_bytes(), two.read_bytes()) == (b"ab", b"c")
    assert sorted(x.name for x in tmp_path.iterdir()) == ["one", "two"]


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
