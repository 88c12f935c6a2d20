"""Truncation while training, against truncation after it and a small network from the start.

    python benchmarks/hsvr/in_training.py digits --energy 0.999 --every 10

trains the configuration three times from the same seed with Hankel singular values in the loss:
in full, and reduced at the end; truncated every so many epochs to a share of the sum of each
layer's values; with layers that have from the start as many states as truncation left them on
average. Prints a table, and writes ``results/<config>-in-training.json``.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from data import Images, load
from evaluate import accuracy, without
from train import Config, Run, read_config

from mor.adapters.torch import truncate
from mor.deep import Network

HERE = Path(__file__).parent
CPU = torch.device("cpu")


def trained(config: Config, images: Images, every: int = 0, energy: float = 1.0) -> tuple[Network, float]:
    """A network after all epochs, and the CPU seconds that took."""
    run = Run.start(config, images, CPU)
    start = time.process_time()
    for epoch in range(1, config.epochs + 1):
        run.history.append(run.epoch(images, CPU))
        if every and epoch % every == 0 and epoch < config.epochs:
            truncate(run.model, run.adam, energy=energy)
            print(f"epoch {epoch}: states {sizes(run.model.network())}", flush=True)
    return run.model.network(), time.process_time() - start


def sizes(network: Network) -> list[int]:
    return [layer.order for layer in network.layers.values()]


def run(config: Config, every: int, energy: float) -> dict[str, Any]:
    images, test = load(config.data)
    rows: dict[str, Any] = {}

    def note(label: str, network: Network, seconds: float) -> None:
        share = round(100 * accuracy(network, test), 2)
        rows[label] = {"states": sizes(network), "accuracy": share, "seconds": round(seconds, 1)}
        print(label, rows[label], flush=True)

    small, seconds = trained(config, images, every, energy)
    note("truncated while training", small, seconds)
    full, seconds = trained(config, images)
    note("in full", full, seconds)
    kept = sum(sizes(small)) / sum(sizes(full))
    note("in full, then truncated", without(full, 1 - kept), seconds)
    # Modes have two states each.
    states = 2 * max(1, round(sum(sizes(small)) / len(sizes(small)) / 2))
    note("small from the start", *trained(replace(config, states=states), images))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("config", help="name of a file in configs/")
    parser.add_argument("--energy", type=float, default=0.999, help="share of the sum a layer keeps")
    parser.add_argument("--every", type=int, default=10, help="epochs between truncations")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    torch.set_num_threads(1)
    values = read_config(options.config)
    told = {
        f"seed {seed}": run(Config(**values | {"seed": seed}), options.every, options.energy)
        for seed in options.seeds
    }
    told |= {"energy": options.energy, "every": options.every}
    path = HERE / "results" / f"{options.config}-in-training.json"
    path.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    main()
