"""Systems of PyTorch tensors."""

from __future__ import annotations

import pytest

import mor

torch = pytest.importorskip("torch")


def torch_copy(sys):
    fields = (torch.tensor(getattr(sys, f), requires_grad=True) for f in ("poles", "B", "C"))
    return mor.Modal(*fields, dt=sys.dt)
