"""Files of a few kilobytes took gigabytes: nothing limited what they say they hold.

All are opened in a process of their own, and the peak of each beyond what was there is measured.
"""

import json
import subprocess
import sys
import textwrap
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import mor
from mor.errors import CheckpointError, SystemFileError
from tests.fuzz import bombs

#: Bytes that refusing a file may take: what Python and the readers need for themselves.
ALLOWED = 100 << 20

SYSTEMS = {
    "zeros.mat": lambda: bombs.mat(9000),
    "zeros.npz": lambda: bombs.npz(9000),
    "promise.npz": lambda: bombs.npz_promise(1_000_000),
    "comment.A.mtx.gz": lambda: bombs.mtx_comment(700_000_000),
    "line.A.mtx.gz": lambda: bombs.mtx_line(700_000_000),
    "promise.A.mtx": lambda: bombs.mtx_promise(100_000),
    "entries.A.mtx": lambda: bombs.mtx_promise(100_000, "coordinate"),
    "promise.A.mtx.gz": lambda: bombs.mtx_gz_promise(100_000),
    "wide.npz": lambda: bombs.wide_feedthrough(50_000),
}
CHECKPOINTS = {
    "pickle.pt": lambda: bombs.pickle_in_zip(20_000_000),
    "expanded.pt": lambda: bombs.expanded(3_000_000),
    "more.pt": lambda: bombs.expanded(50_000_000),
    "promise.safetensors": lambda: bombs.safetensors_promise(10**12),
}

MEASURE = textwrap.dedent(
    """
    import json, sys
    from pathlib import Path
    import mor

    try:
        from mor.adapters.checkpoints.formats.torch_file import import_torch
        from torch.serialization import get_unsafe_globals_in_checkpoint
        import_torch()
    except ImportError:
        pass

    def memory(what):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith(what))

    for path in sys.argv[1:]:
        Path("/proc/self/clear_refs").write_text("5")
        before = memory("VmRSS")
        try:
            is_system = path.endswith((".mat", ".npz", "mtx", "gz"))
            found = mor.load(path) if is_system else mor.read_checkpoint(path)
            error = None
        except mor.MorError as raised:
            error = f"{type(raised).__name__}: {raised}"
        print(json.dumps({"path": path, "error": error, "bytes": memory("VmHWM") - before}))
    """
)


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak of memory from /proc")
def test_what_small_files_may_take(tmp_path):
    files = SYSTEMS | (CHECKPOINTS if find_spec("torch") else {})
    for name, make in files.items():
        (tmp_path / name).write_bytes(make())
        assert (tmp_path / name).stat().st_size < 8 << 20
    command = [sys.executable, "-c", MEASURE, *(tmp_path / name for name in files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [Path(answer["path"]).name for answer in found] == list(files), done.stderr
    for answer in found:
        assert answer["error"] is not None, answer
        assert answer["bytes"] < ALLOWED, answer


@pytest.mark.parametrize("ending", [".mat", ".npz", ".mtx"])
def test_the_limit_can_be_raised_and_lowered(tmp_path, monkeypatch, ending):
    path = tmp_path / f"m{ending}"
    mor.save(path, mor.LTI(-np.eye(100), np.zeros((100, 1)), np.zeros((1, 100))))
    assert mor.load(path).order == 100
    with pytest.raises(SystemFileError, match=r"limit of 1,000 bytes.*max_bytes=\d+, or MOR_MAX_BYTES"):
        mor.load(path, max_bytes=1000)
    monkeypatch.setenv("MOR_MAX_BYTES", "1000")
    with pytest.raises(SystemFileError, match="limit of 1,000 bytes"):
        mor.load(path)
    assert mor.load(path, max_bytes=10**6).order == 100
    monkeypatch.setenv("MOR_MAX_BYTES", "much")
    with pytest.raises(SystemFileError, match="MOR_MAX_BYTES='much' is no number of bytes"):
        mor.load(path)
    for wrong in (-1, "x", True, float("inf")):
        with pytest.raises(SystemFileError, match="no number of bytes"):
            mor.load(path, max_bytes=wrong)


def test_the_limit_of_a_checkpoint(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    path = tmp_path / "expanded.pt"
    path.write_bytes(bombs.expanded(1_000_000))
    with pytest.raises(CheckpointError, match=r"'l\.\w+'.*max_bytes=\d+, or MOR_MAX_BYTES"):
        mor.read_checkpoint(path)
    path.write_bytes(bombs.expanded(1000))
    assert next(iter(mor.read_checkpoint(path).layers.values())).order == 2000
    with pytest.raises(CheckpointError, match="limit of 10,000 bytes"):
        mor.read_checkpoint(path, max_bytes=10_000)
    monkeypatch.setenv("MOR_MAX_BYTES", "10000")
    with pytest.raises(CheckpointError, match="limit of 10,000 bytes"):
        mor.read_checkpoint(path)
