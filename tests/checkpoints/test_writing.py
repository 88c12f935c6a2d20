"""Writing is all or nothing, and never over something that was not offered."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time

import pytest

import mor
from mor.adapters import atomic
from mor.adapters.checkpoints import read_checkpoint
from mor.adapters.checkpoints.formats.safetensors_file import safetensors_chunks
from mor.errors import CheckpointError
from tests.oracles.checkpoint_layers import random_layer


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "in.safetensors"
    path.write_bytes(b"".join(safetensors_chunks(random_layer("lru"), {})))
    checkpoint = read_checkpoint(path)
    return checkpoint.replace({"root": mor.balanced_truncation(checkpoint.layers["root"], 4)})


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_what_exists_is_overwritten_only_by_force(tmp_path, checkpoint, suffix):
    if suffix == ".pt":
        pytest.importorskip("torch")
    out = tmp_path / f"out{suffix}"
    out.write_bytes(b"precious")
    with pytest.raises(CheckpointError, match=r"exists; force=True"):
        checkpoint.write(out)
    assert out.read_bytes() == b"precious"
    checkpoint.write(out, force=True)
    assert read_checkpoint(out).layers["root"].n_modes < 6


def test_the_input_is_overwritten_only_by_force(tmp_path, checkpoint):
    before = checkpoint.path.read_bytes()
    link = tmp_path / "link.safetensors"
    link.symlink_to(checkpoint.path)
    for out in (checkpoint.path, link):
        with pytest.raises(CheckpointError, match="is the checkpoint that was read"):
            checkpoint.write(out)
    assert checkpoint.path.read_bytes() == before
    checkpoint.write(checkpoint.path, force=True)
    manifest = read_checkpoint(checkpoint.path).manifest
    assert manifest is not None
    assert manifest["source"]["file"] == "in.safetensors"


def test_a_stale_manifest_beside_the_output_counts_as_existing(tmp_path, checkpoint):
    pytest.importorskip("torch")
    (tmp_path / "out.pt.mor.json").write_text("{}")
    with pytest.raises(CheckpointError, match="exists"):
        checkpoint.write(tmp_path / "out.pt")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none/out.safetensors", "there is no folder"),
        ("out.txt", "write to a"),
        ("d.safetensors", "is a folder"),
    ],
)
def test_places_that_cannot_be_written_to(tmp_path, checkpoint, name, message):
    (tmp_path / "d.safetensors").mkdir()
    with pytest.raises(CheckpointError, match=message):
        checkpoint.write(tmp_path / name, force=True)


def full_disk(monkeypatch, after):
    """Make the n-th write to a file fail for lack of space, with half of it written."""
    real, count = os.fdopen, [0]

    class Full:
        def __init__(self, inner):
            self.inner = inner

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.inner.close()

        def __getattr__(self, name):
            return getattr(self.inner, name)

        def write(self, data):
            count[0] += 1
            if count[0] > after:
                self.inner.write(bytes(data)[: len(data) // 2])
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.inner.write(data)

    monkeypatch.setattr(atomic.os, "fdopen", lambda *a, **k: Full(real(*a, **k)))


@pytest.mark.parametrize("after", [0, 1])
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_a_full_disk_loses_nothing(tmp_path, checkpoint, monkeypatch, suffix, after):
    if suffix == ".pt":
        pytest.importorskip("torch")
    out = tmp_path / f"out{suffix}"
    out.write_bytes(b"precious")
    before = names(tmp_path)
    full_disk(monkeypatch, after)
    with pytest.raises(CheckpointError, match=r"could not write .*No space left on device.*unchanged"):
        checkpoint.write(out, force=True)
    assert out.read_bytes() == b"precious"
    assert names(tmp_path) == before


def test_the_same_work_gives_the_same_bytes(tmp_path, checkpoint):
    for name in ("a", "b"):
        checkpoint.write(tmp_path / f"{name}.safetensors")
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_failures_after_the_last_byte_lose_nothing_either(tmp_path, checkpoint, monkeypatch, step):
    out = tmp_path / "out.safetensors"
    out.write_bytes(b"precious")

    def fail(*_):
        raise OSError(errno.EIO, "broken disk")

    monkeypatch.setattr(atomic.os, step, fail)
    with pytest.raises(CheckpointError, match="broken disk"):
        checkpoint.write(out, force=True)
    assert out.read_bytes() == b"precious"
    assert names(tmp_path) == ["in.safetensors", "out.safetensors"]


def test_an_interrupt_leaves_no_temporary_file(tmp_path, checkpoint, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(atomic.os, "fsync", interrupted)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.write(tmp_path / "out.safetensors")
    assert names(tmp_path) == ["in.safetensors"]


def test_bytes_are_on_the_disk_before_the_move_and_the_move_before_the_end(tmp_path, checkpoint, monkeypatch):
    calls = []
    for name in ("fsync", "replace"):
        real = getattr(os, name)
        monkeypatch.setattr(
            atomic.os, name, lambda *a, _real=real, _name=name: (calls.append(_name), _real(*a))[1]
        )
    checkpoint.write(tmp_path / "out.safetensors")
    assert calls == ["fsync", "replace", "fsync"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")
def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path, checkpoint):
    out = tmp_path / "out.safetensors"
    checkpoint.write(out)
    before = out.read_bytes()
    code = textwrap.dedent(
        f"""
        import time
        from mor.adapters.checkpoints import read_checkpoint
        from mor.adapters import atomic
        real = atomic._write_synced

        def slow(handle, chunks, **options):
            data = b"".join(chunks)

            def trickle():
                yield data[: len(data) // 2]
                print("half way", flush=True)
                time.sleep(60)
                yield data[len(data) // 2 :]

            real(handle, trickle(), **options)

        atomic._write_synced = slow
        read_checkpoint({str(checkpoint.path)!r}).write({str(out)!r}, force=True)
        """
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"half way\n"
    process.kill()
    process.wait()
    assert out.read_bytes() == before
    assert read_checkpoint(out).layers["root"].n_modes == checkpoint.layers["root"].n_modes


@pytest.mark.slow
def test_a_reader_sees_whole_files_only(tmp_path, checkpoint):
    out = tmp_path / "out.safetensors"
    code = f"""
from mor.adapters.checkpoints import read_checkpoint
c = read_checkpoint({str(checkpoint.path)!r})
for _ in range(40):
    c.write({str(out)!r}, force=True)
"""
    checkpoint.write(out)
    process = subprocess.Popen([sys.executable, "-c", code])
    reads = 0
    while process.poll() is None:
        assert "root" in read_checkpoint(out).layers
        reads += 1
        time.sleep(0.002)
    assert process.returncode == 0
    assert reads > 10


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_permissions_follow_the_umask(tmp_path, checkpoint):
    old = os.umask(0o027)
    try:
        checkpoint.write(tmp_path / "out.safetensors")
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "out.safetensors").stat().st_mode) == 0o640


# ---------------------------------------------------------------- the manifest


def test_the_manifest_says_what_was_done(tmp_path, checkpoint):
    import hashlib

    manifest = checkpoint.write(tmp_path / "out.safetensors")
    assert read_checkpoint(tmp_path / "out.safetensors").manifest == manifest
    assert manifest["schema"] == 1
    assert manifest["mor"] == mor.__version__
    assert manifest["dialect"] == "lru"
    assert manifest["readout"] == "updated"
    assert manifest["source"]["file"] == "in.safetensors"
    assert manifest["source"]["sha256"] == hashlib.sha256(checkpoint.path.read_bytes()).hexdigest()
    layer = manifest["layers"]["root"]
    full = mor.balanced_truncation(read_checkpoint(checkpoint.path).layers["root"], 4)
    assert (layer["states_before"], layer["states_after"]) == (12, 4)
    assert layer["modes_before"] == 6
    assert layer["modes_after"] == full.system.poles.shape[-1]
    assert layer["method"] == "balanced truncation"
    assert layer["hsv"]["kept"] == pytest.approx(list(full.kept), rel=1e-9)
    assert layer["hsv"]["truncated_sum"] == pytest.approx(full.truncated.sum(), rel=1e-9)
    assert layer["error_bound"] == pytest.approx(full.error_bound, rel=1e-9)
    assert (layer["bound_kind"], layer["padded"], layer["dtype"]) == ("hinf", False, ["float32"])
    assert layer["export_error"] <= layer["export_tolerance"]
    assert layer["tensors"]["B_re"] == [full.system.poles.shape[-1], 3]


def test_the_manifest_of_a_batch_holds_sums_and_not_every_value(tmp_path):
    path = tmp_path / "in.safetensors"
    path.write_bytes(b"".join(safetensors_chunks(random_layer("s4d", h=50), {})))
    checkpoint = read_checkpoint(path)
    rom = mor.balanced_truncation(checkpoint.layers["root"], 3)
    layer = checkpoint.replace({"root": rom}).write(tmp_path / "out.safetensors")["layers"]["root"]
    assert layer["batch"] == [50]
    assert "kept" not in layer["hsv"]
    assert layer["error_bound"] == pytest.approx(2 * layer["hsv"]["truncated_sum_max"])


def test_compressing_twice_keeps_the_history(tmp_path, checkpoint):
    first = checkpoint.write(tmp_path / "a.safetensors")
    again = read_checkpoint(tmp_path / "a.safetensors")
    small = again.replace({"root": mor.balanced_truncation(again.layers["root"], 2)})
    second = small.write(tmp_path / "b.safetensors")
    assert second["previous"] == first
    assert second["layers"]["root"]["states_before"] == 4


def test_a_system_of_your_own_is_recorded_as_given(tmp_path, checkpoint):
    source = read_checkpoint(checkpoint.path)
    manifest = source.replace({"root": checkpoint.layers["root"]}).write(tmp_path / "out.safetensors")
    assert manifest["layers"]["root"]["method"] == "given"
    assert manifest["layers"]["root"]["error_bound"] is None


def test_replace_changes_neither_the_checkpoint_nor_the_system(checkpoint):
    source = read_checkpoint(checkpoint.path)
    n_parameters, layers = source.n_parameters, dict(source.layers)
    rom = mor.balanced_truncation(source.layers["root"], 4)
    small = source.replace({"root": rom})
    assert source.n_parameters == n_parameters
    assert source.layers == layers
    assert small.n_parameters < n_parameters
    assert small.nbytes < source.nbytes
    assert small.layers["root"].n_modes == rom.system.poles.shape[-1]
    with pytest.raises(AttributeError):
        small.dialect = "other"  # type: ignore[misc]


def test_damaged_manifests_are_no_manifest(tmp_path):
    for text in ["{", "[]", "{}", "3"]:
        path = tmp_path / "a.safetensors"
        path.write_bytes(b"".join(safetensors_chunks(random_layer("lru"), {"mor": text})))
        assert read_checkpoint(path).manifest is None
