"""Relative H2 errors by order on a model of the SLICOT collection: a table for the docs.

``MOR_DATA=... python benchmarks/h2.py building`` prints a Markdown table.
"""

import os
import sys
import time
from pathlib import Path

import scipy.io

import mor

METHODS = (mor.balanced_truncation, mor.tsia, mor.irka, mor.h2_optimal)

name = sys.argv[1] if len(sys.argv) > 1 else "building"
data = scipy.io.loadmat(Path(os.environ["MOR_DATA"]) / "mor" / f"{name}.mat")
system = mor.as_system((data["A"], data["B"], data["C"]))
norm = float(mor.h2_norm(system))

print(f"{name}, order {system.order}; * has not converged\n")
print("| r | " + " | ".join(method.__name__ for method in METHODS) + " |")
print("|---" * (len(METHODS) + 1) + "|")
seconds = dict.fromkeys(METHODS, 0.0)
for order in range(2, 21, 2):
    cells = []
    for method in METHODS:
        start = time.perf_counter()
        rom = method(system, order)
        seconds[method] += time.perf_counter() - start
        error = float(mor.h2_error(system, rom.system)) / norm
        failed = "iterations" in rom.diagnostics.get("stopped", "")
        cells.append(f"{error:.3e}{'*' if failed else ''}")
    print(f"| {order} | " + " | ".join(cells) + " |", flush=True)
print("| seconds, all ten | " + " | ".join(f"{s:.1f}" for s in seconds.values()) + " |")
