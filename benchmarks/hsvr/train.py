r"""Train a network with or without Hankel singular values in its loss.

    python benchmarks/hsvr/train.py smnist-small                      # regularised, seed 0
    python benchmarks/hsvr/train.py smnist-small --plain --seed 1

A configuration is a file in ``configs/``. Two runs that differ in ``--plain`` differ in one
number, the weight of the sum of all Hankel singular values. A run leaves, in ``--out``,

- ``<config>-regularised.safetensors`` (or ``-plain``; ``-seed1`` and so on behind it for
  other seeds): a checkpoint that `mor compress` reads;
- ``<the same>.json``: the configuration, the loss and the accuracy by epoch, time, versions.

It saves its state after every epoch and goes on from there when it is started again. The
same seed gives the same file on the same kind of machine with the same versions of the
libraries, interrupted or not; other processors round differently.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import pickle
import platform
import sys
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import Images, load
from evaluate import accuracy, without
from safetensors.numpy import save_file
from torch.nn.functional import cross_entropy, pad

import mor
from mor.adapters.torch import HankelRegularizer, StateSpaceNetwork
from mor.deep import Network
from mor.errors import MorError, NotFiniteError

HERE = Path(__file__).parent
CLASSES = 10

#: Steps between two looks at the loss and the parameters.
WATCH = 50


@dataclass(frozen=True)
class Config:
    """All that a network depends on, beside the seed and the versions of the libraries."""

    data: str
    layers: int
    channels: int
    states: int
    dropout: float
    weight: float  # of the sum of all Hankel singular values in the loss
    warm_up: int  # steps until that weight is reached
    epochs: int
    batch: int
    rate: float
    last_rate: float
    ramp: int  # steps until the learning rate is reached
    decay: float  # of all but the systems
    shift: int  # pixels that images are moved by, at most, in both directions
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "ramp"):
            if getattr(self, name) < 1:
                raise MorError(f"{name}={getattr(self, name)!r} must be at least 1.")


@dataclass(frozen=True)
class Files:
    """Where a run leaves what."""

    tensors: Path
    history: Path
    state: Path

    @classmethod
    def of(cls, out: Path, name: str, config: Config) -> Files:
        kind = "regularised" if config.weight else "plain"
        stem = f"{name}-{kind}" + (f"-seed{config.seed}" if config.seed else "")
        return cls(out / f"{stem}.safetensors", out / f"{stem}.json", out / f"{stem}.state.pt")


@dataclass
class Run:
    """A network, what trains it, and what was seen so far."""

    config: Config
    model: StateSpaceNetwork
    adam: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    regularizer: HankelRegularizer | None
    digest: str
    device: torch.device
    history: list[dict[str, float]]

    @classmethod
    def start(cls, config: Config, images: Images, device: torch.device) -> Run:
        generator = torch.Generator().manual_seed(config.seed)
        model = StateSpaceNetwork(
            1,
            CLASSES,
            layers=config.layers,
            channels=config.channels,
            states=config.states,
            dropout=config.dropout,
            generator=generator,
        ).to(device)
        adam, schedule = optimizer(model, config, config.epochs * math.ceil(len(images) / config.batch))
        regularizer = None
        if config.weight:
            regularizer = HankelRegularizer(model, config.weight, warm_up=config.warm_up)
        return cls(config, model, adam, schedule, regularizer, images.digest, device, [])

    @property
    def _made_of(self) -> dict[str, Any]:
        threads = torch.get_num_threads()
        made = {
            "images": self.digest,
            "device": self.device.type,
            "threads": threads,
            "torch": str(torch.__version__),
        }
        return asdict(self.config) | made

    def _parts(self) -> dict[str, Any]:
        parts = {"model": self.model, "adam": self.adam, "schedule": self.schedule}
        return parts | ({"regularizer": self.regularizer} if self.regularizer else {})

    def save(self, path: Path) -> None:
        """Everything that the next epoch depends on; the old file stays until the new is whole."""
        states = {name: part.state_dict() for name, part in self._parts().items()}
        torch.save({"made_of": self._made_of, "history": self.history, **states}, path.with_suffix(".new"))
        os.replace(path.with_suffix(".new"), path)

    def resume(self, path: Path) -> None:
        """Go on from what `save` wrote.

        Raises
        ------
        MorError
            If that was a run with another configuration; its file stays.
        """
        try:
            saved = torch.load(path, weights_only=True, map_location="cpu")
        except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
            raise MorError(f"{path} cannot be read ({error}); delete it to start anew.") from error
        then = saved["made_of"]
        other = [f"{k}={then.get(k)!r}, now {x!r}" for k, x in self._made_of.items() if then.get(k) != x]
        if other:
            raise MorError(
                f"{path.name} is the state of a run with another configuration ({'; '.join(other)}). "
                "Give another --out, or delete it to start anew."
            )
        for name, part in self._parts().items():
            part.load_state_dict(saved[name])
        self.history = saved["history"]

    def epoch(self, images: Images, device: torch.device) -> dict[str, float]:
        """One pass over the data: mean loss and share of right answers, as they came."""
        # A fresh start of all random numbers makes an epoch the same whether resumed or not.
        torch.manual_seed(1_000_003 * self.config.seed + len(self.history))
        self.model.train()
        loss_sum, right, total = torch.zeros((), device=device), torch.zeros((), device=device), 0.0
        start = time.perf_counter()
        steps = math.ceil(len(images) / self.config.batch)
        for step, (u, labels) in enumerate(batches(images, self.config, device)):
            logits = self.model(u)
            loss = cross_entropy(logits, labels)
            if self.regularizer:
                term = self.regularizer()
                loss, total = loss + term, term.detach()
            # Each look waits for an accelerator.
            if step % WATCH == 0:
                self.check_finite(len(self.history) * steps + step, float(loss.detach()))
            self.adam.zero_grad()
            loss.backward()
            self.adam.step()
            self.schedule.step()
            loss_sum += loss.detach() * len(labels)
            right += (logits.argmax(-1) == labels).sum()
        self.check_finite((len(self.history) + 1) * steps, float(loss_sum))
        return {
            "loss": float(loss_sum) / len(images),
            "training_accuracy": float(right) / len(images),
            "regulariser": float(total),
            "seconds": round(time.perf_counter() - start, 1),
        }

    def check_finite(self, step: int, loss: float) -> None:
        """Raise if training has run into NaN, naming the parameters and running means."""
        bad = [name for name, x in self.model.state_dict().items() if not bool(torch.isfinite(x).all())]
        if math.isfinite(loss) and not bad:
            return
        raise NotFiniteError(
            f"step {step}: the loss is {loss}; not finite: {', '.join(bad) or 'no parameter yet'} (looked at "
            f"every {WATCH} steps). The state of the last whole epoch is kept."
        )


def optimizer(
    model: torch.nn.Module, config: Config, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW that decays no system, with its schedule: linear ramp, then a cosine."""
    named = dict(model.named_parameters())
    groups = [
        {"params": [x for name, x in named.items() if ".ssm." in name], "weight_decay": 0.0},
        {"params": [x for name, x in named.items() if ".ssm." not in name], "weight_decay": config.decay},
    ]
    adam = torch.optim.AdamW(groups, lr=config.rate)
    ramp = torch.optim.lr_scheduler.LinearLR(adam, 1 / config.ramp, total_iters=config.ramp)
    rest = max(1, steps - config.ramp)
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(adam, rest, eta_min=config.last_rate)
    return adam, torch.optim.lr_scheduler.SequentialLR(adam, [ramp, cosine], [config.ramp])


def batches(
    images: Images, config: Config, device: torch.device
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """One epoch of shuffled, shifted sequences and their labels."""
    pictures = torch.from_numpy(images.images).to(device)
    labels = torch.from_numpy(images.labels.astype(np.int64)).to(device)
    for chosen in torch.randperm(len(images)).to(device).split(config.batch):
        moved = shifted(pictures[chosen], config.shift) if config.shift else pictures[chosen]
        yield moved.flatten(1)[..., None], labels[chosen]


def shifted(images: torch.Tensor, limit: int) -> torch.Tensor:
    """Each image (n, size, size) moved by up to `limit` pixels either way, zeros coming in."""
    n, size, _ = images.shape
    offsets = torch.randint(0, 2 * limit + 1, (2, n, 1)).to(images.device)
    rows, columns = offsets + torch.arange(size, device=images.device)
    each = torch.arange(n, device=images.device)[:, None, None]
    return pad(images, (limit,) * 4)[each, rows[:, :, None], columns[:, None, :]]


def fit(
    name: str,
    config: Config,
    images: Images,
    out: Path,
    device: torch.device,
    held_out: Images | None = None,
) -> Files:
    """Train, or go on training, and write the network and its history."""
    out.mkdir(parents=True, exist_ok=True)
    files = Files.of(out, name, config)
    run = Run.start(config, images, device)
    if files.state.exists():
        run.resume(files.state)
    while len(run.history) < config.epochs:
        run.history.append(run.epoch(images, device))
        run.save(files.state)
        print(f"{files.tensors.stem} epoch {len(run.history)}: {run.history[-1]}", flush=True)
    # One entry only: safetensors writes several in any order, and the file would differ each time.
    made = {"network": "mor.deep.Network", "config": asdict(config)}
    network = run.model.network()
    told: dict[str, Any] = {"config": asdict(config), "epochs": run.history, "machine": machine(device)}
    if held_out is not None:
        told["held_out"] = {"images": len(held_out), "accuracy": after_truncation(network, held_out)}
    with replaced(files.tensors) as path:
        save_file(dict(network.tensors), path, {"made": json.dumps(made)})
    with replaced(files.history) as path:
        path.write_text(json.dumps(told, indent=1) + "\n")
    return files


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of `path` when all is written."""
    new = path.with_suffix(".new")
    yield new
    os.replace(new, path)


def after_truncation(network: Network, images: Images) -> dict[str, float]:
    """Accuracy in full and with a fifth of the states."""
    return {f"{ratio:g}": accuracy(without(network, ratio), images) for ratio in (0.0, 0.8)}


def machine(device: torch.device) -> dict[str, Any]:
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.machine(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "mor": mor.__version__,
    }


def read_config(name: str) -> dict[str, Any]:
    path = HERE / "configs" / f"{name}.toml"
    if not path.exists():
        known = ", ".join(sorted(p.stem for p in path.parent.glob("*.toml")))
        raise MorError(f"there is no configuration {name!r}; there are {known}.")
    return tomllib.loads(path.read_text())


def read_values(given: list[str]) -> dict[str, Any]:
    """Values of a trial, as a configuration file would have them."""
    try:
        values = tomllib.loads("\n".join(given))
    except tomllib.TOMLDecodeError as error:
        raise MorError(f"--set takes NAME=VALUE: {error}") from error
    kinds = {field.name: field.type for field in fields(Config)}
    for name, value in values.items():
        wanted = {"int": int, "float": (int, float), "str": str}.get(str(kinds.get(name)))
        if wanted is None or not isinstance(value, wanted):
            raise MorError(f"--set {name}={value!r}: there is no such value; there are {', '.join(kinds)}.")
    return values


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("config", help="name of a file in configs/")
    parser.add_argument("--plain", action="store_true", help="no Hankel singular values in the loss")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=HERE / "runs", help="folder for what the run leaves")
    parser.add_argument(
        "--hold-out", type=int, default=0, help="last images of the training set to choose values by"
    )
    parser.add_argument("--data", type=Path, help="mnist.npz; by default looked for in MOR_DATA")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1, help="of the CPU")
    parser.add_argument(
        "--set", nargs="*", default=[], metavar="NAME=VALUE", help="other values, for a trial"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.use_deterministic_algorithms(True)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    try:
        values = read_config(options.config) | {"seed": options.seed} | read_values(options.set)
        config = Config(**values | ({"weight": 0.0} if options.plain else {}))
        images, _ = load(config.data, options.data)
        held_out = None
        if options.hold_out:
            images, held_out = images[: -options.hold_out], images[-options.hold_out :]
        files = fit(options.config, config, images, options.out, torch.device(options.device), held_out)
    except (MorError, OSError) as error:
        sys.exit(f"error: {error}")
    print(files.tensors)


if __name__ == "__main__":
    main()
