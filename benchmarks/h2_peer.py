"""TSIA and IRKA beside pyMOR's, on the building model: errors and time, each from its own start.

``MOR_DATA=... python benchmarks/h2_peer.py``; without pyMOR it says so and ends.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import scipy.io

import mor

try:
    from pymor.core.logger import set_log_levels
    from pymor.models.iosys import LTIModel
    from pymor.reductors.h2 import IRKAReductor, TSIAReductor
except ImportError:
    sys.exit("pyMOR is not installed: nothing to compare with.")

set_log_levels({"pymor": "ERROR"})
data = scipy.io.loadmat(Path(os.environ["MOR_DATA"]) / "mor" / "building.mat")
system = mor.as_system((data["A"], data["B"], data["C"]))
model = LTIModel.from_matrices(system.A, system.B, system.C)
norm = float(mor.h2_norm(system))


def timed(run: Callable[[], Any]) -> tuple[float, float]:
    """Relative error, and the median of three times."""
    times = []
    for _ in range(3):
        start = time.perf_counter()
        rom = run()
        times.append(time.perf_counter() - start)
    return float(mor.h2_error(system, rom)) / norm, statistics.median(times)


print("| r | method | mor | pyMOR | pyMOR's time over ours |")
print("|---|---|---|---|---|")
for order in (6, 10):
    for name, ours, theirs in (("TSIA", mor.tsia, TSIAReductor), ("IRKA", mor.irka, IRKAReductor)):
        error, seconds = timed(lambda f=ours, r=order: f(system, r))
        peer, peer_seconds = timed(lambda f=theirs, r=order: f(model).reduce(r, maxit=100, tol=1e-8))
        print(f"| {order} | {name} | {error:.4f} | {peer:.4f} | {peer_seconds / seconds:.0f} |")
