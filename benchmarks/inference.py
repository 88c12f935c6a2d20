"""Time of a compressed network's forward pass over that of the full one, at the sizes of the paper.

    python benchmarks/inference.py smnist|scifar

Time does not depend on training: the weights are random. PyTorch runs the modules, NumPy
:class:`mor.deep.Network`.
"""

import copy
import statistics
import sys

import common
import numpy as np
import torch

from mor.adapters.torch import StateSpaceNetwork, truncate

SIZES = {
    # layers, channels, states, inputs, steps, batch
    "smnist": (4, 128, 128, 1, 784, 50),
    "scifar": (6, 512, 384, 3, 1024, 10),
}
REMOVED = (0.5, 0.6, 0.7, 0.8, 0.9)

layers, channels, states, inputs, length, batch = SIZES[sys.argv[1]]
torch.set_num_threads(common.THREADS)
torch.manual_seed(0)
full = StateSpaceNetwork(inputs, 10, layers=layers, channels=channels, states=states).eval()
models = {"full": full}
for removed in REMOVED:
    models[f"{100 * removed:g} % of the states removed"] = smaller = copy.deepcopy(full)
    truncate(smaller, keep=1 - removed)
networks = {name: model.network() for name, model in models.items()}
u = torch.rand(batch, length, inputs)


def forward(model) -> None:
    with torch.inference_mode():
        model(u)


times = common.race({name: lambda m=model: forward(m) for name, model in models.items()}, 5)
on_numpy = common.race({name: lambda n=network: n(u.numpy()) for name, network in networks.items()}, 3)
medians = {name: statistics.median(values) for name, values in on_numpy.items()}
gap = np.abs(networks["full"](u.numpy()) - full(u).detach().numpy()).max()
common.report(
    f"Forward pass, {layers} layers of {states} states, {channels} channels; {batch} sequences of {length}",
    times,
    {f"NumPy, {name}, ratio": value / medians["full"] for name, value in medians.items()}
    | {"NumPy full over PyTorch full": medians["full"] / statistics.median(times["full"])}
    | {"largest difference between the two": float(gap)},
    {},
)
