r"""Train the two networks that come with the package, with and without Hankel singular values in the loss.

The data are scikit-learn's 1797 digits, read row by row: sequences of 64 steps of one
channel. A fixed stratified split keeps 500 of them for the test; nothing here looks at those
before ``table``. The two networks differ in one number, the weight of

.. math:: R = \sum_{layers} \sum_i \sigma_i

in the loss. ``grid`` chooses it on a quarter of the training data held out, and writes what
it saw to ``grid.json``; ``README.md`` beside this file says what came of it.

Examples
--------
The packaged files, two to three minutes on one core each::

    python benchmarks/digits/train.py grid
    python benchmarks/digits/train.py train --weight 0    --out mor/data/digits/plain.safetensors
    python benchmarks/digits/train.py train --weight 3e-3 --out mor/data/digits/regularised.safetensors
    python benchmarks/digits/train.py data --out mor/data/digits/test.npz
    python benchmarks/digits/train.py table

The same seed gives the same file on the same machine with the same versions of the
libraries; other processors round differently.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import mor
from mor.deep import Network, compress
from mor.deep.network import Training, forward
from mor.deep.ranks import rank_methods
from mor.deep.rotation import PARAMETERS, modal_from_rotation

HERE = Path(__file__).parent
PACKAGED = HERE.parent.parent / "mor" / "data" / "digits"
WEIGHTS = (0.0, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)
REMOVED = (0.0, 0.5, 0.6, 0.7, 0.8, 0.9)
N_TEST, N_VALIDATION = 500, 324
N_CLASSES = 10

Tensors = dict[str, torch.Tensor]
Data = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Config:
    """All that a network depends on, beside the versions of the libraries."""

    weight: float = 0.0  # of the sum of all Hankel singular values in the loss
    seed: int = 0
    layers: int = 4
    blocks: int = 32  # of each layer; two states each
    hidden: int = 48
    epochs: int = 100
    batch: int = 50
    rate: float = 3e-3
    last_rate: float = 3e-5
    warm_up: int = 100  # steps
    decay: float = 0.1  # of all but the systems
    dropout: float = 0.1
    momentum: float = 0.9  # of the running statistics
    shift: int = 1  # pixels that images are moved by, at most, in both directions


def training_and_test() -> tuple[Data, Data]:
    """The fixed split of the digits into images (n, 8, 8) of 0..16 and labels."""
    images, labels = load_digits(return_X_y=True)
    images = images.reshape(-1, 8, 8).astype(np.uint8)
    return split(images, labels, N_TEST)


def split(images: np.ndarray, labels: np.ndarray, held_out: int) -> tuple[Data, Data]:
    a, b, c, d = train_test_split(images, labels, test_size=held_out, stratify=labels, random_state=0)
    return (a, c), (b, d)


def sequences(images: np.ndarray) -> np.ndarray:
    """Images (n, 8, 8) row by row as (n, 64, 1), in 0..1."""
    return (images.reshape(len(images), 64, 1) / 16).astype(np.float32)


def initial(config: Config, generator: torch.Generator) -> Tensors:
    """The published initial values: LeCun normal, retentions N(1, 1/16), angles N(0, 1)."""

    def normal(*shape: int, fan_in: int = 1) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) / math.sqrt(fan_in)

    h, q = config.hidden, config.blocks
    tensors = {"encoder.weight": normal(h, 1), "encoder.bias": torch.zeros(h)}
    for i in range(config.layers):
        layer = {
            "norm.weight": torch.ones(h),
            "norm.bias": torch.zeros(h),
            "norm.running_mean": torch.zeros(h),
            "norm.running_var": torch.ones(h),
            "ssm.rotation.angles": normal(q),
            "ssm.rotation.retentions": 1 + 0.25 * normal(q),
            "ssm.sys_in": normal(q, 2, h, fan_in=h),
            "ssm.sys_out": normal(h, q, 2, fan_in=2 * q),
            "ssm.sys_feed": normal(h),
            "gate.weight": normal(h, h, fan_in=h),
            "gate.bias": torch.zeros(h),
        }
        tensors |= {f"layers.{i}.{name}": x for name, x in layer.items()}
    decoder = {"decoder.weight": normal(N_CLASSES, h, fan_in=h), "decoder.bias": torch.zeros(N_CLASSES)}
    return tensors | decoder


def all_systems(tensors: Tensors, layers: int) -> mor.Modal:
    """The systems of all layers as one batch."""
    return modal_from_rotation(
        {name: torch.stack([tensors[f"layers.{i}.ssm.{name}"] for i in range(layers)]) for name in PARAMETERS}
    )


def optimiser(
    tensors: Tensors, config: Config, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW that decays no system, with its schedule: linear warm-up, then a cosine."""
    trained = {name: x.requires_grad_() for name, x in tensors.items() if ".running_" not in name}
    groups = [
        {"params": [x for name, x in trained.items() if ".ssm." in name], "weight_decay": 0.0},
        {"params": [x for name, x in trained.items() if ".ssm." not in name], "weight_decay": config.decay},
    ]
    adam = torch.optim.AdamW(groups, lr=config.rate)
    warm = torch.optim.lr_scheduler.LinearLR(adam, 1 / config.warm_up, total_iters=config.warm_up)
    rest = steps - config.warm_up
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, rest, eta_min=config.last_rate)
    return adam, torch.optim.lr_scheduler.SequentialLR(adam, [warm, cosine], [config.warm_up])


def shifted(images: torch.Tensor, limit: int, generator: torch.Generator) -> torch.Tensor:
    """Each image (n, 8, 8) moved by up to `limit` pixels either way, zeros coming in."""
    n, size, _ = images.shape
    padded = torch.nn.functional.pad(images, (limit,) * 4)
    offsets = torch.randint(0, 2 * limit + 1, (2, n, 1), generator=generator)
    rows, columns = offsets + torch.arange(size)
    return padded[torch.arange(n)[:, None, None], rows[:, :, None], columns[:, None, :]]


def batches(data: Data, config: Config, generator: torch.Generator) -> Iterator[tuple[torch.Tensor, ...]]:
    """One epoch of shuffled, shifted sequences and their labels."""
    images, labels = torch.from_numpy(data[0] / 16).float(), torch.from_numpy(data[1])
    for chosen in torch.randperm(len(images), generator=generator).split(config.batch):
        moved = shifted(images[chosen], config.shift, generator)
        yield moved.reshape(len(chosen), 64, 1), labels[chosen]


def fit(data: Data, config: Config) -> tuple[dict[str, np.ndarray], float]:
    """The trained tensors, and the seconds that it took."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    generator = torch.Generator().manual_seed(config.seed)
    tensors = initial(config, generator)
    adam, schedule = optimiser(tensors, config, config.epochs * math.ceil(len(data[0]) / config.batch))

    def dropout(x: torch.Tensor) -> torch.Tensor:
        kept = torch.rand(x.shape, generator=generator) >= config.dropout
        return x * kept / (1 - config.dropout)

    start = time.perf_counter()
    for _ in range(config.epochs):
        for u, labels in batches(data, config, generator):
            training = Training(dropout)
            loss = torch.nn.functional.cross_entropy(forward(tensors, u, training=training), labels)
            if config.weight:
                systems = all_systems(tensors, config.layers)
                loss = loss + config.weight * mor.hankel_nuclear_norm(systems).sum()
            adam.zero_grad()
            loss.backward()
            adam.step()
            schedule.step()
            for name, x in training.statistics.items():
                tensors[name] = config.momentum * tensors[name] + (1 - config.momentum) * x.detach()
    seconds = time.perf_counter() - start
    return {name: x.detach().numpy() for name, x in tensors.items()}, seconds


def accuracy(network: Network, data: Data) -> float:
    """Share of the images that are classified right, in percent."""
    right = np.argmax(network(sequences(data[0])), axis=-1) == data[1]
    return round(100 * float(np.mean(right)), 2)


def after_truncation(network: Network, data: Data) -> dict[str, dict[str, float]]:
    """Accuracy in percent by allocation of ranks and share of states removed, from none."""

    def without(removed: float, ranks: str) -> Network:
        return compress(network, keep=1 - removed, ranks=ranks).model if removed else network

    return {
        ranks: {f"{removed:g}": accuracy(without(removed, ranks), data) for removed in REMOVED}
        for ranks in rank_methods()
    }


def try_weight(config: Config) -> dict[str, object]:
    """What a weight gives on the validation part of the training data."""
    training, _ = training_and_test()
    fitted, validation = split(*training, N_VALIDATION)
    tensors, seconds = fit(fitted, config)
    return {
        "weight": config.weight,
        "seed": config.seed,
        "seconds": round(seconds, 1),
        "accuracy": after_truncation(Network(tensors), validation),
    }


def grid(config: Config, weights: tuple[float, ...], processes: int) -> None:
    with ProcessPoolExecutor(processes) as executor:
        rows = list(executor.map(try_weight, [replace(config, weight=w) for w in weights]))
    (HERE / "grid.json").write_text(json.dumps({"config": asdict(config), "tried": rows}, indent=1) + "\n")
    for row in rows:
        print(row)


def train(config: Config, out: Path) -> None:
    training, _ = training_and_test()
    tensors, seconds = fit(training, config)
    # One entry only: safetensors writes several in any order, and the file would differ each time.
    made = {"network": "mor.deep.Network", "data": "digits", "config": asdict(config)}
    save_file(tensors, out, {"made": json.dumps(made)})
    print(f"{out.name}: {seconds:.0f} s, {accuracy(Network(tensors), training):.2f} % of the training data")


def data(out: Path) -> None:
    _, (images, labels) = training_and_test()
    np.savez_compressed(out, images=images, labels=labels.astype(np.uint8))


def table(folder: Path) -> None:
    """Accuracy on the test images, in percent, by states removed."""
    _, test = training_and_test()
    print("| network | ranks |" + "".join(f" {100 * removed:g} % |" for removed in REMOVED))
    print("|---|---|" + "---|" * len(REMOVED))
    for name in ("regularised", "plain"):
        for kind, row in after_truncation(Network(load_file(folder / f"{name}.safetensors")), test).items():
            print(f"| {name} | {kind} |" + "".join(f" {x:.1f} |" for x in row.values()))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("command", choices=("grid", "train", "data", "table"))
    parser.add_argument("--out", type=Path, default=PACKAGED, help="file to write; for table, folder to read")
    parser.add_argument("--processes", type=int, default=2, help="of the grid")
    parser.add_argument("--weights", type=float, nargs="+", default=WEIGHTS, help="of the grid")
    for name, value in asdict(Config()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    options = vars(parser.parse_args())
    config = Config(**{name: options[name] for name in asdict(Config())})
    if options["command"] == "grid":
        grid(config, tuple(options["weights"]), options["processes"])
    elif options["command"] == "train":
        train(config, options["out"])
    elif options["command"] == "data":
        data(options["out"])
    else:
        table(options["out"])


if __name__ == "__main__":
    main()
