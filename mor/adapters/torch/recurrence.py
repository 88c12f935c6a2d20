r"""The linear recurrence of a diagonal layer under PyTorch, with its own derivative.

.. math:: x_t = \lambda \odot x_{t-1} + v_t, \qquad x_{-1} = 0,

over sequences v (T, batch, k), complex, time first. Its adjoint is the same recurrence
backward in time with conjugate poles: for the gradient :math:`\bar x` of x,

.. math:: \bar v_t = \bar x_t + \bar\lambda \odot \bar v_{t+1}, \qquad
    \bar\lambda = \sum_t \overline{x_{t-1}} \odot \bar v_t,

so backward costs as much as forward and keeps nothing but x.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from mor.errors import DimensionError

#: Steps that one product with a Toeplitz matrix takes.
_CHUNK = 32

#: Complex numbers a step that keep a CPU core busy while the next step is called.
_WIDE = 256


def linear_recurrence(poles: torch.Tensor, v: torch.Tensor, *, method: str | None = None) -> torch.Tensor:
    """States x (T, batch, k) for the inputs v (T, batch, k); complex, poles (k,).

    Parameters
    ----------
    method : ``"steps"`` or ``"chunks"``; None takes what :func:`choose_method` says.

    Raises
    ------
    DimensionError
        For another method.

    Notes
    -----
    ``"steps"`` goes through time in place, with ``8 T batch k`` flops and T small
    operations. ``"chunks"`` takes 32 steps by one batched product with a lower triangular
    Toeplitz matrix, and what the chunks pass on by the same method: 30 times the
    arithmetic in a few large operations. (A convolution by FFT was slower than the better
    of the two at every length from 64 to 65536 on a CPU.)
    """
    method = method or choose_method(v.shape[0], v.shape[1] * v.shape[2], v.device)
    if method not in _METHODS:
        raise DimensionError(f"method={method!r} is not one of {', '.join(_METHODS)}.")
    return _Recurrence.apply(poles, v, _METHODS[method])  # pyright: ignore[reportReturnType]


def choose_method(length: int, width: int, device: torch.device) -> str:
    """What is fastest for `length` steps of `width` complex numbers.

    A CPU takes wide steps one by one at the speed of its memory. On an accelerator, or with
    narrow steps, launching each step would take most of the time.
    """
    return "steps" if device.type == "cpu" and (width >= _WIDE or length <= _CHUNK) else "chunks"


class _Recurrence(torch.autograd.Function):
    @staticmethod
    def forward(poles: torch.Tensor, v: torch.Tensor, run: Any) -> torch.Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        return run(poles, v)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        poles, _, ctx.run = inputs
        ctx.save_for_backward(poles, output)

    @staticmethod
    @once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride]
        ctx: Any, *gradients: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, None]:
        poles, x = ctx.saved_tensors
        to_v = ctx.run(poles.conj().resolve_conj(), gradients[0], backward=True)
        to_poles = torch.linalg.vecdot(x[:-1], to_v[1:], dim=0).sum(0)
        return to_poles, to_v, None


def _steps(poles: torch.Tensor, v: torch.Tensor, backward: bool = False) -> torch.Tensor:
    x = torch.empty_like(v, memory_format=torch.contiguous_format)
    # Operands of one shape spare broadcasting in every step.
    poles = poles.expand(v.shape[1:]).contiguous()
    inputs, states = v.unbind(0), x.unbind(0)
    if backward:
        inputs, states = inputs[::-1], states[::-1]
    before = None
    for step, state in zip(inputs, states, strict=True):
        if before is None:
            state.copy_(step)
        else:
            torch.addcmul(step, poles, before, out=state)
        before = state
    return x


def _chunks(poles: torch.Tensor, v: torch.Tensor, backward: bool = False) -> torch.Tensor:
    if backward:
        return _chunks(poles, v.flip(0)).flip(0)
    length, batch, k = v.shape
    if not v.numel():
        return torch.empty_like(v)
    steps = min(length, _CHUNK)
    chunks = -(-length // steps)
    filled = torch.nn.functional.pad(v, (0, 0, 0, 0, 0, chunks * steps - length))
    inputs = filled.view(chunks, steps, batch, k).permute(3, 0, 2, 1).reshape(k, chunks * batch, steps)
    powers = _powers(poles, steps)
    x = torch.bmm(inputs, _toeplitz(powers[:, :-1]))
    if chunks > 1:
        ends = x[..., -1].view(k, chunks, batch)[:, :-1].permute(1, 2, 0)
        passed = _chunks(powers[:, -1], ends).permute(2, 0, 1).reshape(k, -1, 1)
        x[:, batch:].baddbmm_(passed, powers[:, None, 1:])
    return x.view(k, chunks, batch, steps).permute(1, 3, 2, 0).reshape(-1, batch, k)[:length]


def _powers(poles: torch.Tensor, steps: int) -> torch.Tensor:
    """``poles^0 .. poles^steps`` (k, steps + 1)."""
    exponents = torch.arange(steps + 1, device=poles.device)
    return torch.polar(poles.abs()[:, None] ** exponents, poles.angle()[:, None] * exponents)


def _toeplitz(powers: torch.Tensor) -> torch.Tensor:
    """``K[:, j, i] = poles^(i - j)`` where step i comes at or after step j, else 0."""
    steps = torch.arange(powers.shape[1], device=powers.device)
    lag = steps[None, :] - steps[:, None]
    return powers[:, lag.clamp(min=0)] * (lag >= 0)


_METHODS = {"steps": _steps, "chunks": _chunks}
