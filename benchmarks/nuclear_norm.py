"""Sum of Hankel singular values with its gradient, against the published algorithm.

The published way, written in torch: see ``published.py``.
"""

import common
import numpy as np
import torch
from published import published_sum

import mor
from mor.analysis.nuclear_norm import nuclear_norm_gradient
from mor.deep.rotation import modal_from_rotation

torch.set_num_threads(common.THREADS)
q, m = 128, 128
generator = torch.Generator().manual_seed(0)


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator)


parameters = {
    "rotation.angles": normal(q),
    "rotation.retentions": 1 + 0.25 * normal(q),
    "sys_in": normal(q, 2, m) / m**0.5,
    "sys_out": normal(m, q, 2) / (2 * q) ** 0.5,
    "sys_feed": normal(m),
}
for tensor in parameters.values():
    tensor.requires_grad_(True)


def published() -> torch.Tensor:
    return published_sum(parameters)


def ours() -> torch.Tensor:
    return mor.hankel_nuclear_norm(modal_from_rotation(parameters))


def gradients(function) -> list[np.ndarray]:
    for tensor in parameters.values():
        tensor.grad = None
    function().backward()
    return [t.grad.numpy().copy() for t in parameters.values() if t.grad is not None]


def against_finite_differences() -> float:
    """Largest relative error of the float32 gradient along random directions."""
    layer = modal_from_rotation({k: v.detach() for k, v in parameters.items()})
    fields = [x.clone().requires_grad_(True) for x in (layer.poles, layer.B, layer.C)]
    mor.hankel_nuclear_norm(mor.Modal(*fields, dt=1.0)).backward()
    exact = [x.detach().numpy().astype(complex) for x in fields]
    rng, worst = np.random.default_rng(0), 0.0
    for i, x in enumerate(exact):
        for _ in range(3):
            E = rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape)
            h = 1e-7 if i == 0 else 1e-6

            def value(step, i=i, x=x, E=E):
                return float(
                    mor.hankel_nuclear_norm(mor.Modal(*exact[:i], x + step * E, *exact[i + 1 :], dt=1.0))
                )

            slope = (value(h) - value(-h)) / (2 * h)
            got = float(np.sum(np.real(np.conj(fields[i].grad.numpy()) * E)))
            worst = max(
                worst, abs(got - slope) / (np.linalg.norm(fields[i].grad.numpy()) * np.linalg.norm(E))
            )
    return worst


times = common.race(
    {
        "mor.hankel_nuclear_norm": lambda: gradients(ours),
        "published algorithm in torch": lambda: gradients(published),
    },
    15,
)
double = modal_from_rotation({k: v.detach().double() for k, v in parameters.items()})
value = float(nuclear_norm_gradient(double)[0])
facts = {
    "gradient against float64 finite differences": against_finite_differences(),
    "value, relative error against float64": abs(float(ours().detach()) - value) / value,
    "published value, relative error against float64": abs(float(published().detach()) - value) / value,
}
common.report(
    "Nuclear norm forward and backward, float32, 128 modes, 128 x 128",
    times,
    facts,
    {"published algorithm in torch": "at least 3; gradient to 1e-4"},
)
