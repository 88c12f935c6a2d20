"""``mor compress`` of a 24-layer S4D checkpoint to half, from start to exit.

Each layer has 512 channels of 32 modes, each channel a system of its own: 12,288 systems of order
64. Weights are drawn as minimal S4D is initialised.
"""

import os
import tempfile
from pathlib import Path

import common  # sets the number of threads for the child as well
import numpy as np
from safetensors.numpy import save_file

LAYERS, CHANNELS, MODES, REPEATS = 24, 512, 32, 3


def weights(rng: np.random.Generator) -> dict[str, np.ndarray]:
    tensors = {}
    for i in range(LAYERS):
        layer = {
            "kernel.C": rng.standard_normal((CHANNELS, MODES, 2)) / 2**0.5,
            "kernel.log_dt": rng.uniform(np.log(1e-3), np.log(1e-1), CHANNELS),
            "kernel.log_A_real": np.full((CHANNELS, MODES), np.log(0.5)),
            "kernel.A_imag": np.pi * np.arange(MODES) * np.ones((CHANNELS, 1)),
            "D": rng.standard_normal(CHANNELS),
        }
        tensors |= {f"layers.{i}.{key}": x.astype(np.float32) for key, x in layer.items()}
    return tensors


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        source, out = Path(name) / "model.safetensors", Path(name) / "small.safetensors"
        save_file(weights(np.random.default_rng(0)), source)
        times, facts = {}, {}
        for threads in (2, 1):
            os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = str(threads)
            runs = [common.compress_command(source, out, keep=0.5) for _ in range(REPEATS)]
            label = f"{threads} thread{'s' * (threads > 1)}"
            times[f"mor compress, {label}"] = [seconds for seconds, _ in runs]
            facts[f"peak memory in MB, {label}"] = max(peak for _, peak in runs)
    common.report(
        f"Command line: {LAYERS} layers of {CHANNELS} S4D channels with {MODES} modes, keep 0.5",
        times,
        facts,
        dict.fromkeys(times, "under 15 s and 600 MB"),
    )


if __name__ == "__main__":
    main()
