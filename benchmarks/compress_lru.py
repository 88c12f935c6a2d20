"""``mor compress`` of a 6-layer, 512-state, 256-channel LRU checkpoint, from start to exit.

Weights are drawn as an LRU is initialised (radii in [0.9, 0.999], B and C of Glorot's scale).
A second file is as hard as a checkpoint can be: B and C have rank 8, and rows decay by 1e-6, so
that no Gramian is definite to working precision and none may be formed.
"""

import tempfile
from pathlib import Path

import common  # sets the number of threads for the child as well
import numpy as np
from safetensors.numpy import save_file

LAYERS, STATES, CHANNELS, REPEATS = 6, 512, 256, 3


def weights(rng: np.random.Generator, rank: int, decay: float) -> dict[str, np.ndarray]:
    tensors = {}
    for i in range(LAYERS):
        radius2 = rng.uniform(0.9**2, 0.999**2, STATES)
        fade = np.geomspace(1, decay, STATES)[:, None]
        layer = {
            "nu_log": np.log(-0.5 * np.log(radius2)),
            "theta_log": np.log(rng.uniform(0.01, np.pi, STATES)),
            "gamma_log": 0.5 * np.log(1 - radius2),
            "B_re": fade * product(rng, rank) / CHANNELS**0.5,
            "B_im": fade * product(rng, rank) / CHANNELS**0.5,
            "C_re": product(rng, rank).T / STATES**0.5,
            "C_im": product(rng, rank).T / STATES**0.5,
            "D": rng.standard_normal(CHANNELS),
        }
        tensors |= {f"layers.{i}.seq.{key}": x.astype(np.float32) for key, x in layer.items()}
    return tensors


def product(rng: np.random.Generator, rank: int) -> np.ndarray:
    """A random (states, channels) matrix of this rank."""
    if rank >= CHANNELS:
        return rng.standard_normal((STATES, CHANNELS))
    return rng.standard_normal((STATES, rank)) @ rng.standard_normal((rank, CHANNELS)) / rank**0.5


with tempfile.TemporaryDirectory() as name:
    folder, times, facts = Path(name), {}, {}
    for label, rank, decay in (("as initialised", CHANNELS, 1.0), ("of rank 8, decaying", 8, 1e-6)):
        source, out = folder / "model.safetensors", folder / "small.safetensors"
        save_file(weights(np.random.default_rng(0), rank, decay), source)
        runs = [common.compress_command(source, out, keep=0.2) for _ in range(REPEATS)]
        times[f"mor compress, {label}"] = [seconds for seconds, _ in runs]
        facts[f"peak memory in MB, {label}"] = max(peak for _, peak in runs)

common.report(
    "Command line: 6 layers, 512 modes, 256 channels, keep 0.2",
    times,
    facts,
    dict.fromkeys(times, "under 20 s and 1000 MB"),
)
