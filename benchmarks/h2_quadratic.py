"""Relative H2 errors by order of the advection-diffusion model with quadratic cost: table and figure.

    python benchmarks/h2_quadratic.py [n]

prints a Markdown table and writes ``docs/figures/advection-diffusion.svg``.
"""

import sys
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

import mor
from mor.examples import advection_diffusion

METHODS = (mor.balanced_truncation, mor.irka, mor.tsia, mor.h2_optimal)
FIGURE = Path(__file__).parent.parent / "docs" / "figures" / "advection-diffusion.svg"

system = advection_diffusion(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
norm = float(mor.h2_norm(system))
orders = range(2, 21, 2)
errors: dict[str, list[float]] = {method.__name__: [] for method in METHODS}
seconds = dict.fromkeys(errors, 0.0)

print(f"{system}; * has not converged\n")
print("| r | " + " | ".join(errors) + " |")
print("|---" * (len(METHODS) + 1) + "|")
for order in orders:
    cells = []
    for method in METHODS:
        name, start = method.__name__, time.perf_counter()
        rom = method(system, order)
        seconds[name] += time.perf_counter() - start
        errors[name].append(float(mor.h2_error(system, rom)) / norm)
        star = "*" if "iterations" in str(rom.diagnostics.get("stopped")) else ""
        cells.append(f"{errors[name][-1]:.3e}{star}")
    print(f"| {order} | " + " | ".join(cells) + " |", flush=True)
print("| s | " + " | ".join(f"{s:.1f}" for s in seconds.values()) + " |")

matplotlib.rcParams["svg.hashsalt"] = "mor"
figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
for name, row in errors.items():
    axes.semilogy(orders, row, marker="o", label=name)
axes.set(xlabel="order", ylabel="relative H2 error", xticks=list(orders))
axes.grid(alpha=0.3)
axes.legend()
figure.savefig(FIGURE, metadata={"Date": None})
