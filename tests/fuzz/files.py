"""Hostile files: nothing that is read may kill the process, take much memory, warn, or raise what is no
error of the library.

    python tests/fuzz/files.py --files 2000 [--first 0]

Each number is a seed: a valid file of some format, changed at random (`mutations.py`), or a small file
that says it is large (`bombs.py`). It is opened in a process of its own pool, with a limit of memory and
time, as the library does it and as the command line. Offending seeds are listed, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import warnings
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

#: Seconds of computing a file may take, and bytes beyond those of the process that opens it.
SECONDS, ROOM = 20, 2 << 30
#: The limit that is set for files here, and the peak of memory that it allows: what is inflated, arrays on
#: it, a copy in the system, and one for what is computed of it.
LIMIT, PEAK = 1 << 26, 5 << 26
#: Exit codes of bad files: bad data, unstable, unreadable, not time-invariant, unsafe.
CODES = {0, 3, 4, 5, 6, 7}
_BOMBS = 0.06


def made(seed: int, seeds: dict[str, dict[str, bytes]]) -> tuple[str, str, dict[str, bytes]]:
    """Format, name to open and files of this seed."""
    from tests.fuzz import bombs, mutations

    rng = random.Random(seed)
    if rng.random() < _BOMBS:
        size, rows = rng.choice((10**7, 10**8, 3 * 10**8)), rng.choice((3000, 6000, 100_000, 10**6))
        kind, name, make = rng.choice(
            (
                ("mat bomb", "m.mat", lambda: bombs.mat(rng.choice((2000, 6000)))),
                ("npz bomb", "m.npz", lambda: bombs.npz(rng.choice((2000, 6000)))),
                ("npz promise", "m.npz", lambda: bombs.npz_promise(rows)),
                ("mtx comment", "m.A.mtx.gz", lambda: bombs.mtx_comment(size)),
                ("mtx line", "m.A.mtx.gz", lambda: bombs.mtx_line(size)),
                (
                    "mtx promise",
                    "m.A.mtx",
                    lambda: bombs.mtx_promise(rows, rng.choice(("array", "coordinate"))),
                ),
                ("mtx.gz promise", "m.A.mtx.gz", lambda: bombs.mtx_gz_promise(rows)),
                ("wide D", "m.npz", lambda: bombs.wide_feedthrough(rng.choice((3000, 50_000)))),
                ("pickle bomb", "m.pt", lambda: bombs.pickle_in_zip(size // 10)),
                ("expanded", "m.pt", lambda: bombs.expanded(rng.choice((3 * 10**6, 10**9)))),
                ("safetensors", "m.safetensors", lambda: bombs.safetensors_promise(rows)),
            )
        )
        try:
            return kind, name, {name: make()}
        except ImportError:
            pass
    kind = rng.choice(sorted(seeds))
    files = dict(seeds[kind])
    chosen = rng.choice(sorted(files))
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        # What is spoilt already may have no inside left to change.
        with contextlib.suppress(
            OSError,
            EOFError,
            ValueError,
            IndexError,
            RuntimeError,
            zlib.error,
            zipfile.BadZipFile,
            struct.error,
        ):
            files[chosen] = mutations.mutated(rng, kind, files[chosen])
    return kind, next(iter(files)), files


def opened(kind: str, path: Path) -> list[str]:
    """What is wrong with how the file is opened, by the library and by the command."""
    import mor
    from mor import cli

    is_system = path.suffix in (".mat", ".npz", ".mtx", ".gz")
    offences = []
    forget_peak()
    before = memory("VmRSS")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            mor.load(path) if is_system else mor.read_checkpoint(path)
            fine = True
        except mor.MorError as error:
            fine = False
            if "not enough memory" in str(error):
                offences.append("ran out of memory")
        except Exception as error:
            return [f"raised {type(error).__name__}: {error}"[:200]]
    offences += [f"warned: {x.category.__name__} {x.message}"[:200] for x in caught]
    if (peak := memory("VmHWM") - before) > PEAK:
        offences.append(f"took {peak >> 20} MiB")
    # What is well is computed with, which is not the files' business.
    if fine and is_system:
        return offences
    rom = path.parent / "out.npz"
    command = ["reduce", path, rom, "--order", "1", "--json"] if is_system else ["inspect", path, "--json"]
    sys.argv = ["mor", *map(str, command)]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            cli.main()
            code = 0
        except SystemExit as stop:
            code = stop.code
        except Exception as error:
            return [*offences, f"the command raised {type(error).__name__}: {error}"[:200]]
    return offences if code in CODES else [*offences, f"the command ended with {code}"]


def memory(what: str) -> int:
    """Bytes of this process, now (VmRSS) or at most (VmHWM); 0 where the system does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(what)), 0)


def forget_peak() -> None:
    """Let VmHWM start anew."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def work() -> None:
    """Answer every number on standard input with a line of JSON."""
    import mor
    from tests.fuzz.seeds import all_seeds

    with contextlib.suppress(ImportError):
        import torch  # noqa: F401
    seeds = all_seeds()
    room = memory("VmSize") + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    assert mor
    for line in sys.stdin:
        seed = int(line)
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        folder = Path(tempfile.mkdtemp())
        try:
            kind, name, files = made(seed, seeds)
            for file, data in files.items():
                (folder / file).write_bytes(data)
            answer = {"seed": seed, "kind": kind, "offences": opened(kind, folder / name)}
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        signal.setitimer(signal.ITIMER_PROF, 0)
        sys.__stdout__.write(json.dumps(answer) + "\n")
        sys.__stdout__.flush()


def run(numbers: range) -> Iterator[dict]:
    """The answer for every number; a process that dies has one, too, and is replaced."""
    process = None
    for seed in numbers:
        process = process or started()
        process.stdin.write(f"{seed}\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if line:
            yield json.loads(line)
            continue
        code = process.wait()
        reason = "took too long" if code == -signal.SIGPROF else f"died with {code}"
        yield {"seed": seed, "kind": "?", "offences": [reason]}
        process = None
    if process is not None:
        process.stdin.close()
        process.wait()


def started() -> subprocess.Popen:
    environment = os.environ | {
        "MOR_MAX_BYTES": str(LIMIT),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, __file__, "--serve"]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True, env=environment
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        work()
        return 0
    count: dict[str, int] = {}
    bad = []
    for answer in run(range(options.first, options.first + options.files)):
        count[answer["kind"]] = count.get(answer["kind"], 0) + 1
        if answer["offences"]:
            bad.append(answer)
            print(f"seed {answer['seed']} ({answer['kind']}): {'; '.join(answer['offences'])}", flush=True)
    print(
        f"{options.files} files, {len(bad)} offend;", ", ".join(f"{k} {n}" for k, n in sorted(count.items()))
    )
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
