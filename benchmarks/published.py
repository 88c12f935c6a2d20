"""The published algorithm for the sum of Hankel singular values, written in torch.

A 4 x 4 Kronecker system for each pair of 2 x 2 blocks, ``sqrt(max(1e-10, Re eigvals(P Q)))``,
and backpropagation through all of it (Schwerdtner et al., arXiv 2510.22951).
"""

import torch


def published_sum(parameters: dict[str, torch.Tensor]) -> torch.Tensor:
    """The sum for one layer with these rotation parameters."""
    radius = (torch.tanh(parameters["rotation.retentions"]) + 1) / 2
    angle = torch.pi * (torch.tanh(parameters["rotation.angles"]) + 1) / 2
    c, s = radius * torch.cos(angle), radius * torch.sin(angle)
    A = (1 - 1e-7) * torch.stack([torch.stack([c, s], -1), torch.stack([-s, c], -1)], -2)
    B, C = parameters["sys_in"], parameters["sys_out"].permute(1, 2, 0)
    P, Q = _gramian(A, B), _gramian(A.mT, C)
    return torch.sqrt(torch.clamp(torch.linalg.eigvals(P @ Q).real, min=1e-10)).sum()


def _gramian(A: torch.Tensor, B: torch.Tensor) -> torch.Tensor:
    q = A.shape[0]
    kron = torch.einsum("iab,jcd->ijacbd", A, A).reshape(q, q, 4, 4)
    rhs = torch.einsum("iam,jcm->ijac", B, B).reshape(q, q, 4)
    X = torch.linalg.solve(torch.eye(4) - kron, rhs).reshape(q, q, 2, 2)
    return X.permute(0, 2, 1, 3).reshape(2 * q, 2 * q)
