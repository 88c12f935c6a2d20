"""Side-by-side timing: both contestants in one process, runs interleaved, medians."""

import os

#: Set before NumPy loads, so that every library gets the same threads.
THREADS = int(os.environ.get("MOR_BENCHMARK_THREADS", "2"))
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(THREADS)

import json  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402


def race(contestants: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """Seconds of `repeats` runs of each, interleaved, after one run of each to warm up."""
    for run in contestants.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(repeats):
        for name, run in contestants.items():
            start = time.perf_counter()
            run()
            times[name].append(time.perf_counter() - start)
    return times


def compress_command(source: Path, out: Path, keep: float) -> tuple[float, float]:
    """Seconds and peak memory in MB of one ``mor compress``, a process from start to exit."""
    code = (
        "import resource, subprocess, sys, time, json\n"
        "start = time.perf_counter()\n"
        "subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)\n"
        "peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024\n"
        "print(json.dumps([time.perf_counter() - start, peak]))\n"
    )
    paths, options = [str(source), str(out)], ["--keep", str(keep), "--force"]
    command = [sys.executable, "-m", "mor.cli", "compress", *paths, *options]
    done = subprocess.run(
        [sys.executable, "-c", code, *command], check=True, capture_output=True, text=True, env=os.environ
    )
    seconds, peak = json.loads(done.stdout)
    return seconds, peak


def report(
    title: str,
    results: dict[str, list[float]],
    facts: dict[str, Any],
    goals: dict[str, str],
    unit: str = "s",
) -> None:
    """Print one JSON object: medians, ranges, ratios to the first contestant, facts.

    `results` are seconds, or with ``unit=""`` plain numbers such as errors.
    """
    first = next(iter(results))
    ours = statistics.median(results[first])
    rows = [
        {
            "name": name,
            "median": statistics.median(values),
            "low": min(values),
            "high": max(values),
            "ratio": statistics.median(values) / ours,
            "goal": goals.get(name, ""),
        }
        for name, values in results.items()
    ]
    json.dump({"title": title, "unit": unit, "rows": rows, "facts": facts}, sys.stdout)
    sys.stdout.write("\n")


def random_modal(rng: Any, k: int, m: int, p: int, batch: tuple[int, ...] = ()) -> Any:
    """A random discrete modal system: radii in [0.5, 0.99], all phases."""
    import numpy as np

    import mor

    def normal(*shape: int) -> Any:
        return rng.standard_normal((*batch, *shape)) + 1j * rng.standard_normal((*batch, *shape))

    radius = np.sqrt(rng.uniform(0.5**2, 0.99**2, (*batch, k)))
    poles = radius * np.exp(1j * rng.uniform(0, np.pi, (*batch, k)))
    return mor.Modal(poles, normal(k, m), normal(p, k), dt=1.0)
