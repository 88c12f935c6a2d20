r"""Layers to train: scaled rotations, stable whatever their parameters are."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from mor.adapters.torch.recurrence import linear_recurrence
from mor.arrays import widest
from mor.deep.network import VARIANCE_FLOOR, Network
from mor.deep.rotation import modal_from_rotation, rotation_poles
from mor.errors import DimensionError
from mor.systems.modal import Modal


class StateSpaceLayer(nn.Module):
    r"""A discrete linear system in rotation form that reads its updated state.

    .. math:: x_t = A x_{t-1} + B u_t, \qquad y_t = C x_t + D u_t, \qquad x_{-1} = 0,

    with A block diagonal of scaled rotations and D diagonal (:mod:`mor.deep.rotation`):
    stable by construction. Parameters and signals are real; the two states of a block are
    held as one complex number, whose product with the pole is the rotation. Parameters
    are those of the dialect ``rotation``, so `mor compress` reads a model that holds such
    layers.

    Parameters
    ----------
    channels : number of inputs and of outputs.
    states : number of real states, even.
    generator : source of the initial values; None is PyTorch's own.

    Raises
    ------
    DimensionError
        If there are no channels, or `states` is odd or below 2.

    Notes
    -----
    Initial values: retentions N(1, 1/16), angles N(0, 1), B and C LeCun normal; D N(0, 1) is a
    choice of this library.

    Source: [Schwerdtner25].

    Examples
    --------
    >>> import torch
    >>> from mor.adapters.torch import StateSpaceLayer
    >>> layer = StateSpaceLayer(channels=3, states=8)
    >>> layer(torch.zeros(2, 100, 3)).shape
    torch.Size([2, 100, 3])
    >>> layer.system()
    <Modal order 8 (4 modes), 3 inputs, 3 outputs, dt=1>
    """

    def __init__(self, channels: int, states: int, *, generator: torch.Generator | None = None) -> None:
        super().__init__()
        if channels < 1 or states < 2 or states % 2:
            raise DimensionError(
                f"channels={channels}, states={states}: a layer has at least 1 channel, and an even number "
                "of states, at least 2."
            )
        blocks = states // 2
        self.rotation = _Rotation(blocks, generator)
        self.sys_in = nn.Parameter(torch.randn(blocks, 2, channels, generator=generator) / channels**0.5)
        self.sys_out = nn.Parameter(torch.randn(channels, blocks, 2, generator=generator) / states**0.5)
        self.sys_feed = nn.Parameter(torch.randn(channels, generator=generator))

    def system(self) -> Modal:
        """The layer as a system of its parameters, in double precision and differentiable."""
        return modal_from_rotation({name: widest(x) for name, x in self.named_parameters()})

    def forward(self, u: Tensor) -> Tensor:
        """Outputs (batch, T, channels) for inputs u (batch, T, channels)."""
        return self.respond(u.transpose(0, 1)).transpose(0, 1)

    def respond(self, u: Tensor) -> Tensor:
        """The same with time first, (T, batch, channels), as the recurrence runs."""
        # Both parts of a state stand side by side in sys_in and sys_out, as in a complex number.
        B, C = self.sys_in.flatten(0, 1), self.sys_out.flatten(1)
        driven = functional.linear(u, B)
        # States are kept in single precision at least: there are no narrower complex numbers.
        wide = driven.to(torch.promote_types(driven.dtype, torch.float32))
        v = torch.view_as_complex(wide.unflatten(-1, (-1, 2)))
        x = torch.view_as_real(linear_recurrence(self.rotation.poles().to(v.dtype), v)).flatten(-2)
        return torch.addcmul(functional.linear(x.to(driven.dtype), C), self.sys_feed, u)


class _Rotation(nn.Module):
    """The blocks of A: their angles and how much of a state they retain, unconstrained."""

    def __init__(self, blocks: int, generator: torch.Generator | None) -> None:
        super().__init__()
        self.angles = nn.Parameter(torch.randn(blocks, generator=generator))
        self.retentions = nn.Parameter(1 + 0.25 * torch.randn(blocks, generator=generator))

    def poles(self) -> Tensor:
        """In double precision: close to the circle single has too few digits for tanh."""
        return rotation_poles(widest(self.angles), widest(self.retentions))


class StateSpaceBlock(nn.Module):
    r"""The paper's layer of a network: norm, system, gelu, gate, skip.

    .. math:: z \leftarrow z + \mathrm{drop}(v \odot \sigma(W v + b)), \qquad
        v = \mathrm{drop}(\mathrm{gelu}(\mathrm{ssm}(\mathrm{norm}(z))))

    Parameters
    ----------
    channels, states, generator : as for :class:`StateSpaceLayer`, here named ``ssm``.
    dropout : share of entries that are dropped in training.

    Raises
    ------
    DimensionError
        If there are no channels, or `states` is odd or below 2.

    Notes
    -----
    Source: [Schwerdtner25], whose batch normalisation over batch and time has a momentum of 0.9 (0.1 in
    PyTorch's count). The tanh form of gelu is a choice of this library.

    Examples
    --------
    >>> import torch
    >>> from mor.adapters.torch import StateSpaceBlock
    >>> StateSpaceBlock(channels=3, states=8)(torch.zeros(2, 100, 3)).shape
    torch.Size([2, 100, 3])
    """

    def __init__(
        self, channels: int, states: int, *, dropout: float = 0.0, generator: torch.Generator | None = None
    ) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels, eps=VARIANCE_FLOOR, momentum=0.1)
        self.ssm = StateSpaceLayer(channels, states, generator=generator)
        self.gate = _linear(channels, channels, generator)
        self.dropout = nn.Dropout(dropout)

    def forward(self, z: Tensor) -> Tensor:
        """Signals (batch, T, channels) from signals (batch, T, channels)."""
        return self.respond(z.transpose(0, 1)).transpose(0, 1)

    def respond(self, z: Tensor) -> Tensor:
        """The same with time first."""
        v = self.norm(z.flatten(0, 1)).view(z.shape)
        v = self.dropout(functional.gelu(self.ssm.respond(v), approximate="tanh"))
        return z + self.dropout(v * torch.sigmoid(self.gate(v)))


class StateSpaceNetwork(nn.Module):
    """The paper's classifier of sequences: encoder, blocks, decoder, mean over time.

    Parameters
    ----------
    inputs, classes : signals that come in, logits that go out.
    layers, channels, states, dropout, generator : of its :class:`StateSpaceBlock`.

    Raises
    ------
    DimensionError
        If there are no channels, or `states` is odd or below 2.

    Examples
    --------
    >>> import torch
    >>> from mor.adapters.torch import StateSpaceNetwork
    >>> model = StateSpaceNetwork(1, 10, layers=2, channels=16, states=32)
    >>> model(torch.zeros(5, 784, 1)).shape
    torch.Size([5, 10])
    >>> model.network()
    <Network of 2 layers with 16, 16 modes, 2954 parameters>
    """

    def __init__(
        self,
        inputs: int,
        classes: int,
        *,
        layers: int,
        channels: int,
        states: int,
        dropout: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.encoder = _linear(inputs, channels, generator)
        self.layers = nn.ModuleList(
            StateSpaceBlock(channels, states, dropout=dropout, generator=generator) for _ in range(layers)
        )
        self.decoder = _linear(channels, classes, generator)

    def forward(self, u: Tensor) -> Tensor:
        """Logits (batch, classes) of sequences u (batch, T, inputs)."""
        z = self.encoder(u.transpose(0, 1).contiguous())
        for block in self.layers:
            z = block.respond(z)  # pyright: ignore[reportCallIssue]
        return self.decoder(z.mean(0))

    def network(self) -> Network:
        """What it has learnt, as a :class:`mor.deep.Network` of NumPy arrays."""
        tensors = {name: x.detach().cpu().numpy().copy() for name, x in self.state_dict().items()}
        return Network({name: x for name, x in tensors.items() if not name.endswith("num_batches_tracked")})


def _linear(inputs: int, outputs: int, generator: torch.Generator | None) -> nn.Linear:
    """An affine map with LeCun normal weights and no bias yet."""
    linear = nn.Linear(inputs, outputs)
    with torch.no_grad():
        linear.weight.copy_(torch.randn(outputs, inputs, generator=generator) / math.sqrt(inputs))
        linear.bias.zero_()
    return linear
