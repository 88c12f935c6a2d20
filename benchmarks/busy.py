"""Balanced truncation of order 120, two BLAS threads granted, alone and beside a process that is busy."""

import subprocess
import sys
import time

import common
import numpy as np

import mor

REPEATS, ORDER = 25, 120

rng = np.random.default_rng(0)
A = rng.standard_normal((ORDER, ORDER)) / ORDER**0.5 - 1.1 * np.eye(ORDER)
B, C = rng.standard_normal((ORDER, 2)), rng.standard_normal((2, ORDER))


def times() -> list[float]:
    found = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        mor.balanced_truncation((A, B, C), order=20)
        found.append(time.perf_counter() - start)
    return found[1:]


alone = times()
spinning = subprocess.Popen([sys.executable, "-c", "while True: pass"])
try:
    time.sleep(0.5)
    busy = times()
finally:
    spinning.kill()
    spinning.wait()
common.report(
    "Beside a busy process, balanced truncation of order 120, two threads",
    {"alone": alone, "one core busy": busy},
    {},
    {"one core busy": "at most 3"},
)
