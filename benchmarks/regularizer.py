"""What the regulariser costs in the course of training: on fresh, trained and truncated layers.

    python benchmarks/regularizer.py

Trained layers have Hankel singular values over many decades, for which a pair of Gramians needs
more care. Those of the reported sequential MNIST runs are taken.
"""

from pathlib import Path

import common
import torch
from published import published_sum
from safetensors.torch import load_file

from mor.adapters.torch import HankelRegularizer, StateSpaceNetwork, truncate

MODELS = Path(__file__).parent / "hsvr" / "models"
KINDS = ("regularised", "plain")
torch.set_num_threads(common.THREADS)


def model(kind: str | None = None, keep: float | None = None) -> StateSpaceNetwork:
    torch.manual_seed(0)
    made = StateSpaceNetwork(1, 10, layers=4, channels=32, states=64)
    if kind:
        made.load_state_dict(load_file(MODELS / f"smnist-small-{kind}.safetensors"))
    if keep:
        truncate(made, keep=keep)
    return made


def term(of: StateSpaceNetwork):
    regularizer = HankelRegularizer(of, weight=1e-3)

    def alone() -> None:
        of.zero_grad()
        regularizer().backward()

    return alone


def published(of: StateSpaceNetwork):
    def alone() -> None:
        of.zero_grad()
        torch.stack(
            [published_sum(dict(block.ssm.named_parameters())) for block in of.layers]
        ).sum().backward()

    return alone


common.report(
    "Regulariser alone, 4 layers of 64 states, 32 channels, forward and backward",
    common.race(
        {"fresh layers": term(model())}
        | {f"trained, {kind}": term(model(kind)) for kind in KINDS}
        | {f"trained, {kind}, a fifth of the states left": term(model(kind, keep=0.2)) for kind in KINDS}
        | {"published algorithm, fresh layers": published(model())},
        repeats=15,
    ),
    {},
    {},
)
