"""Run every benchmark, each in a process of its own, and write ``docs/benchmarks.md``.

Run on an otherwise idle machine: ``make bench``.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "benchmarks.md"
SCRIPTS = (
    "everyday",
    "busy",
    "hsv_modal",
    "balanced_dense",
    "accuracy",
    "lyapunov",
    "nuclear_norm",
    "regularizer",
    "hsv_batch",
    "hinf",
    "lqo",
    "compress_lru",
    "compress_s4d",
    "training_step smnist",
    "training_step scifar",
    "inference smnist",
    "inference scifar",
)
LIMIT_SECONDS = 600

HEAD = """# Benchmarks

Ratios against real peers, both in one process on the same data, runs interleaved, medians; every process has
{threads} threads. A ratio is the peer's time over ours. `make bench` runs them again and writes this page.

Machine: {machine}. {versions}.
"""

TAIL = """
## What is compared

- **Everyday sizes.** One thread, both kinds of systems with 2 inputs and outputs, data as a tuple each
  time, so that nothing is kept from the call before. A damped system is a random matrix, a flexible one
  has n/2 modes of 1 % damping. Against `slycot.ab09ad` (order n/4), `ab13dd` (to 1e-8) and `ab13bd`;
  frequency responses against python-control's, which are Slycot's `tb05ad`. Times are those of the
  processor. What is left below order 100 is the time of Python's calls, some microseconds a state, beside
  25 to 900 microseconds of Fortran in all.
- **Beside a busy process.** The same call while another process spins on one of two cores.
- **Order 1024.** `slycot.ab09ad` gets the dense real form, and computes a model of order 1 on the way.
  The second row is the floor of any method with one full set of singular values: `svdvals` of that size.
- **Dense systems.** `slycot.ab09ad` with order 20; a new system each time, so that ours starts from
  nothing too.
- **Worst relative error.** Fifty systems each of order 12, 20 and 30, with random signs and coordinates, the
  same rounded matrices for all; in the table B grows as the root of the values. Where B grows otherwise,
  A holds the values to 1e-6 only, and what is left to a method hardly shows. SVD factors of formed Gramians
  are what pyMOR takes. Equations: CTLEX and DTLEX 4.1 and 4.3, against `sb03md` and `sg03ad`; errors below
  1e-15 count as that.
- **Lyapunov equation.** Both from A; the Schur form alone is what any method of this kind pays.
- **Nuclear norm.** The published algorithm (4 x 4 Kronecker systems for all pairs of blocks,
  `eigvals(P Q)` in float32, backpropagation through all of it), written in torch with the same threads.
  This ratio moves with the machine's mood: it was between 2.8 and 3.4 over a dozen runs.
- **Regulariser alone.** The sum over all layers and its gradient, by the state of the training: layers of
  unequal sizes, as truncation leaves them, go one after another. With anything else at work on the same cores
  two pools of threads wait for each other, and everything here takes many times as long, the published
  algorithm too.
- **Training step.** The same network and batch with no regulariser, with ours, and with the published
  algorithm in its place. Ratios are to the plain step.
- **Inference.** A network truncated by the share given, over the full one. Ratios are to the full one.
- **H-infinity norm.** `slycot.ab13dd` on the dense real form, both to 1e-8.
- **Quadratic outputs.** Against the same formulas without the structure: the real form of order 512, every
  M_i a matrix, two Stein equations.
- **512 systems.** One batched call, against loops over systems.
- **Command line.** Whole processes from start to exit, with their peak memory. No peer does this job.

The accuracy of the demonstration's networks, and how they were trained, stands in [Networks](networks.md).
"""


def main() -> None:
    sections = [_section(_run(script)) for script in SCRIPTS]
    packages = ("numpy", "scipy", "torch", "slycot")
    head = HEAD.format(
        threads=2,
        machine=f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        versions=", ".join(f"{name} {version(name)}" for name in packages),
    )
    PAGE.write_text("\n".join([head, *sections, TAIL.lstrip("\n")]))
    print(PAGE.read_text())


def _run(script: str) -> dict[str, Any]:
    name, *arguments = script.split()
    command = [sys.executable, str(HERE / f"{name}.py"), *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=LIMIT_SECONDS)
    return json.loads(done.stdout.splitlines()[-1])


def _section(result: dict[str, Any]) -> str:
    heading = "| | median | range | ratio | aim |"
    lines = [f"## {result['title']}", "", heading, "|---|---|---|---|---|"]
    show, precision = (_time, ".2f") if result["unit"] == "s" else ("{:.1e}".format, ".3g")
    for row in result["rows"]:
        spread = f"{show(row['low'])} to {show(row['high'])}"
        ratio = format(row["ratio"], precision)
        lines.append(f"| {row['name']} | {show(row['median'])} | {spread} | {ratio} | {row['goal']} |")
    lines.append("")
    lines += [f"- {name}: {value:.3g}" for name, value in result["facts"].items()]
    return "\n".join(lines) + "\n"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1e3 * seconds:.1f} ms"


if __name__ == "__main__":
    main()
