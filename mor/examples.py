"""Systems with quadratic outputs to try things on, any size."""

from __future__ import annotations

from typing import Any

import numpy as np

from mor.checks import check_real, check_whole, guarded
from mor.errors import DimensionError
from mor.systems.convert import as_system
from mor.systems.lqo import LQO
from mor.systems.lti import LTI
from mor.systems.modal import Modal


@guarded
def advection_diffusion(n: int = 300, *, diffusion: float = 0.01, speed: float = 1.0) -> LQO:
    r"""Advection and diffusion along a rod, with a quadratic cost as its output.

    .. math:: v_t = \alpha v_{xx} - \beta v_x, \quad v(0, t) = u_1, \quad \alpha v_x(1, t) = u_2, \qquad
              y = \tfrac12 \int_0^1 |v - 1|^2 dx - \tfrac12

    in n upwind differences of width h = 1/n: :math:`y = -h \mathbf 1^T x + \tfrac h2 x^T x`. Continuous,
    two inputs, one output.

    Parameters
    ----------
    n : number of cells, at least 2.
    diffusion, speed : alpha > 0 and beta >= 0.

    Returns
    -------
    LQO of order n

    Raises
    ------
    DimensionError
        If an argument is out of these limits.

    Notes
    -----
    The constant one half of the cost is left out: a system has none. Dense, memory ``16 n^2`` bytes.

    Source: [Diaz23].

    Examples
    --------
    >>> from mor.examples import advection_diffusion
    >>> advection_diffusion(30)
    <LQO of <LTI order 30, 2 inputs, 1 outputs, dt=0>, quadratic forms of 30>
    """
    n = check_whole("n", n, 2, error=DimensionError)
    diffusion = check_real("diffusion", diffusion, above=0, error=DimensionError)
    speed = check_real("speed", speed, least=0, error=DimensionError)
    h = 1 / n
    spread, drift = diffusion / h**2, speed / h
    A = np.diag(np.full(n, -(2 * spread + drift)))
    A += np.diag(np.full(n - 1, spread + drift), -1) + np.diag(np.full(n - 1, spread), 1)
    A[-1, -1] = -(spread + drift)
    B = np.zeros((n, 2))
    B[0, 0], B[-1, 1] = spread + drift, 1 / h
    return LQO(LTI(A, B, np.full((1, n), -h)), h / 2 * np.eye(n))


@guarded
def squared_outputs(sys: Any) -> LQO:
    """The squares of a system's outputs: their power, or their variance under noise.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes.

    Returns
    -------
    LQO with as many outputs

    Raises
    ------
    DimensionError
        Of a batch of systems.
    QuadraticOutputError
        If outputs are quadratic already.

    Examples
    --------
    >>> import mor
    >>> from mor.examples import squared_outputs
    >>> power = squared_outputs(([[-1.0]], [[1.0]], [[2.0]]))
    >>> float(mor.h2_norm(power).round(10))
    2.0
    """
    eye = np.eye(as_system(sys).n_outputs)
    return LQO.from_gate(sys, eye, eye)


@guarded
def gated_layer(modes: int, channels: int, *, gates: int | None = None, seed: int = 0) -> LQO:
    """A state-space layer and its bilinear gate, as a network starts out with; discrete.

    Poles of radius 0.9 to 0.999 at random angles, random gates ``(W1 z) * (W2 z)``, no feedthrough.

    Parameters
    ----------
    modes : number of conjugate pairs.
    channels : number of inputs, and of the signals z.
    gates : number of outputs; None is that of the channels.
    seed : of the random numbers.

    Returns
    -------
    LQO over a Modal with ``dt = 1``

    Raises
    ------
    DimensionError
        Unless all numbers are whole and at least 1.

    Examples
    --------
    >>> from mor.examples import gated_layer
    >>> gated_layer(8, 4)
    <LQO of <Modal order 16 (8 modes), 4 inputs, 4 outputs, dt=1>, quadratic products of 4>
    """
    gates = channels if gates is None else gates
    modes, channels, gates = (
        check_whole(name, size, 1, 2**20, error=DimensionError)
        for name, size in (("modes", modes), ("channels", channels), ("gates", gates))
    )
    seed = check_whole("seed", seed, 0, error=DimensionError)
    rng = np.random.default_rng(seed)
    radius = np.sqrt(rng.uniform(0.9**2, 0.999**2, modes))
    poles = radius * np.exp(1j * rng.uniform(0, np.pi, modes))
    B, C = (
        (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)) / np.sqrt(2 * shape[1])
        for shape in ((modes, channels), (channels, modes))
    )
    W1, W2 = rng.standard_normal((2, gates, channels)) / np.sqrt(channels)
    return LQO.from_gate(Modal(poles, np.sqrt(1 - radius**2)[:, None] * B, C, dt=1.0), W1, W2)
