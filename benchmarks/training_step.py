"""What the regulariser adds to a training step, at the sizes of the paper.

    python benchmarks/training_step.py smnist|scifar

The same network takes the same step (batch of 50) with no regulariser, with ours, and with the
published algorithm in its place.
"""

import sys

import common
import torch
from published import published_sum
from torch.nn.functional import cross_entropy

from mor.adapters.torch import HankelRegularizer, StateSpaceNetwork

SIZES = {
    # layers, channels, states, inputs, steps, repeats, published overhead
    "smnist": (4, 128, 128, 1, 784, 7, "12 %"),
    "scifar": (6, 512, 384, 3, 1024, 3, "59 %"),
}
BATCH = 50

name = sys.argv[1]
layers, channels, states, inputs, length, repeats, paper = SIZES[name]
torch.set_num_threads(common.THREADS)
torch.manual_seed(0)
model = StateSpaceNetwork(inputs, 10, layers=layers, channels=channels, states=states, dropout=0.1)
regularizer = HankelRegularizer(model, weight=1e-5)
adam = torch.optim.AdamW(model.parameters(), lr=1e-4)
u, labels = torch.rand(BATCH, length, inputs), torch.randint(0, 10, (BATCH,))


def published() -> torch.Tensor:
    blocks = (dict(block.ssm.named_parameters()) for block in model.layers)
    return 1e-5 * torch.stack([published_sum(parameters) for parameters in blocks]).sum()


def step(term) -> None:
    loss = cross_entropy(model(u), labels)
    if term is not None:
        loss = loss + term()
    adam.zero_grad()
    loss.backward()
    adam.step()


def alone(term) -> None:
    adam.zero_grad()
    term().backward()


steps = common.race(
    {
        "plain step": lambda: step(None),
        "with HankelRegularizer": lambda: step(regularizer),
        "with the published algorithm": lambda: step(published),
    },
    repeats,
)
parts = common.race({"ours": lambda: alone(regularizer), "published": lambda: alone(published)}, repeats)
medians = {key: sorted(values)[len(values) // 2] for key, values in parts.items()}
common.report(
    f"Training step, {layers} layers of {states} states, {channels} channels; {BATCH} sequences of {length}",
    steps,
    {
        "regulariser alone, forward and backward, s": medians["ours"],
        "published algorithm alone, s": medians["published"],
    },
    {"with HankelRegularizer": f"at most 1.10 (published, on a GPU: {paper} more)"},
)
