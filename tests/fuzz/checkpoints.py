"""Random checkpoints, compressed and verified: ``mor verify`` must accept all that the library writes.

    python tests/fuzz/checkpoints.py --count 500 --seed 0

Layers of every dialect in single and double precision, of one to twelve modes, with --keep near 1, where
little or nothing is removed and round-off is all there is; by every method, padded, equal or plain.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from mor import read_checkpoint
from mor.adapters.checkpoints.formats.safetensors_file import safetensors_chunks
from mor.adapters.checkpoints.verification import verify
from mor.deep import compress
from mor.errors import MorError, ReductionError
from tests.oracles.checkpoint_layers import DIALECTS, prefixed, random_layer

#: Dialects whose tensors the safetensors format can hold in double precision.
REAL = ("s4d", "lru", "rotation")


@dataclass
class Case:
    """One checkpoint and what is done to it."""

    dialect: str
    dtype: str
    modes: int
    channels: int
    layers: int
    seed: int
    options: dict[str, Any]
    writing: dict[str, bool]


def draw(rng: np.random.Generator) -> Case:
    """A case from the generator."""
    dialect = str(rng.choice(DIALECTS))
    keep = float(rng.choice([1.0, rng.uniform(0.85, 1.0), rng.uniform(0.5, 1.0)]))
    return Case(
        dialect=dialect,
        dtype=str(rng.choice(["float32", "float64"])) if dialect in REAL else "float32",
        modes=int(rng.integers(1, 13)),
        channels=int(rng.integers(1, 5)),
        layers=int(rng.integers(1, 4)),
        seed=int(rng.integers(1 << 30)),
        options={
            "keep": keep,
            "method": str(rng.choice(["bt", "bt", "modal", "modal-h2"])),
            "ranks": str(rng.choice(["energy", "uniform", "adaptive", "global"])),
        },
        writing={"pad": True} if rng.random() < 0.2 else {"equal": True} if rng.random() < 0.2 else {},
    )


def run(case: Case, folder: Path) -> str:
    """``"verified"``, or what went wrong: ``"refused: ..."`` in a typed error, else the failed layers."""
    tensors = {}
    for i in range(case.layers):
        layer = random_layer(
            case.dialect, case.seed + i, n=case.modes, h=case.channels, dtype=np.dtype(case.dtype).type
        )
        tensors |= prefixed(layer, f"layers.{i}.")
    source, out = folder / "model.safetensors", folder / "small.safetensors"
    source.write_bytes(b"".join(safetensors_chunks(tensors, {})))
    before = read_checkpoint(source, case.dialect)
    try:
        result = compress(before, **case.options)
        result.model.write(out, force=True, **case.writing)
    except ReductionError as error:
        return f"refused: {str(error).partition('(')[0][:60]}"
    except MorError as error:
        return f"refused: {type(error).__name__}: {str(error)[:60]}"
    states = [sum(int(np.sum(x.working_states)) for x in c.layers.values()) for c in (before, result.model)]
    if tuple(states) != result.states or states[1] > case.options["keep"] * states[0] + 1e-6:
        return f"FAILED: states {result.states}, true {states}"
    found = verify(before, read_checkpoint(out, case.dialect))
    if found.ok:
        return "verified"
    bad = [layer for layer in found.layers if layer.holds is False]
    told = [(layer.name, layer.peak_error, layer.peak_noise, layer.bound) for layer in bad]
    other = {key: getattr(found, key) for key in ("altered", "missing_layers", "changed_tensors")}
    return f"FAILED: {told or other}"


def main(count: int, seed: int) -> list[tuple[Case, str]]:
    """Run `count` cases, print what became of them, and return those that failed."""
    rng, outcomes, failures = np.random.default_rng(seed), Counter(), []
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(count):
            case = draw(rng)
            outcome = run(case, Path(folder))
            outcomes[outcome if outcome.startswith("refused") else outcome.partition(":")[0]] += 1
            if outcome.startswith("FAILED"):
                failures.append((case, outcome))
    for outcome, times in outcomes.most_common():
        print(f"{times:6d}  {outcome}")
    for case, outcome in failures:
        print(f"{case}\n    {outcome}")
    return failures


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sys.exit(1 if main(given.count, given.seed) else 0)
