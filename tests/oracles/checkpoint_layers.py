"""Layers as checkpoints hold them, and their forward passes written from their definitions.

Nothing here uses the library: these loops are what it is tested against.
"""

from __future__ import annotations

import numpy as np

DIALECTS = ["s4d", "s5-pytorch", "lru", "lru-complex", "rotation"]

#: Marker key of each dialect, whose first axis is not the number of modes in S4D only.
POLE_KEY = {
    "s4d": "kernel.A_imag",
    "s5-pytorch": "Lambda",
    "lru": "nu_log",
    "lru-complex": "nu_log",
    "rotation": "rotation.angles",
}


def random_layer(
    dialect: str, seed: int = 0, *, n: int = 6, h: int = 3, dtype: type = np.float32
) -> dict[str, np.ndarray]:
    """Tensors of a stable layer with n modes and h channels, in `dtype` or its complex partner."""
    rng = np.random.default_rng(seed)
    real = np.dtype(dtype)
    cplx = np.result_type(real, np.complex64)

    def normal(*shape: int) -> np.ndarray:
        return rng.standard_normal(shape)

    def cnormal(*shape: int) -> np.ndarray:
        return normal(*shape) + 1j * normal(*shape)

    modulus, angle = rng.uniform(0.3, 0.95, n), rng.uniform(0.1, 3.0, n)
    log_polar = {"nu_log": np.log(-np.log(modulus)), "theta_log": np.log(angle), "gamma_log": 0.3 * normal(n)}
    layers = {
        "s4d": lambda: {
            "kernel.C": normal(h, n, 2),
            "kernel.log_dt": rng.uniform(-3.0, -1.0, h),
            "kernel.log_A_real": rng.uniform(-1.0, 1.0, (h, n)),
            "kernel.A_imag": np.pi * np.arange(n) * np.ones((h, 1)),
            "D": normal(h),
        },
        "s5-pytorch": lambda: {
            "Lambda": -rng.uniform(0.5, 2.0, n) + 1j * rng.uniform(-9, 9, n),
            "B": normal(n, h, 2),
            "C": cnormal(h, n),
            "D": normal(h),
            "log_step": rng.uniform(-3.0, -1.0, n),
        },
        "lru": lambda: {
            **log_polar,
            "B_re": normal(n, h),
            "B_im": normal(n, h),
            "C_re": normal(h, n),
            "C_im": normal(h, n),
            "D": normal(h),
        },
        "lru-complex": lambda: {
            **log_polar,
            "B": cnormal(n, h),
            "C": cnormal(h + 1, n),
            "D": normal(h + 1, h),
        },
        "rotation": lambda: {
            "rotation.angles": normal(n),
            "rotation.retentions": rng.uniform(-0.5, 1.5, n),
            "sys_in": normal(n, 2, h),
            "sys_out": normal(h, n, 2),
            "sys_feed": normal(h),
        },
    }
    return {key: x.astype(cplx if np.iscomplexobj(x) else real) for key, x in layers[dialect]().items()}


def _updated_state(poles, B, C, D, u):
    """x_k = poles x_{k-1} + B u_k, y_k = Re(C x_k) + D u_k."""
    x, y = np.zeros(len(poles), complex), []
    for u_k in u:
        x = poles * x + B @ u_k
        y.append((C @ x).real + D @ u_k)
    return np.array(y)


def _s5(t, u):
    step = np.exp(t["log_step"])
    poles = np.exp(t["Lambda"] * step)
    B = ((poles - 1) / t["Lambda"])[:, None] * (t["B"][..., 0] + 1j * t["B"][..., 1])
    return _updated_state(poles, B, t["C"], np.diag(t["D"]), u)


def _exponential_poles(t):
    nu, theta = np.exp(t["nu_log"]), np.exp(t["theta_log"])
    modulus = np.exp(-nu)
    return modulus * np.cos(theta) + 1j * modulus * np.sin(theta), np.exp(t["gamma_log"])[:, None]


def _lru(t, u):
    poles, gamma = _exponential_poles(t)
    C = t["C_re"] + 1j * t["C_im"]
    return _updated_state(poles, gamma * (t["B_re"] + 1j * t["B_im"]), C, np.diag(t["D"]), u)


def _lru_complex(t, u):
    poles, gamma = _exponential_poles(t)
    return _updated_state(poles, gamma * t["B"], t["C"], t["D"], u)


def _s4d(t, u):
    """The convolution kernel of the minimal implementation, channel by channel."""
    y = np.zeros_like(u)
    for channel in range(u.shape[1]):
        A = -np.exp(t["kernel.log_A_real"][channel]) + 1j * t["kernel.A_imag"][channel]
        dtA = A * np.exp(t["kernel.log_dt"][channel])
        C = (t["kernel.C"][channel, :, 0] + 1j * t["kernel.C"][channel, :, 1]) * (np.exp(dtA) - 1) / A
        kernel = np.array([2 * np.sum(C * np.exp(dtA * step)).real for step in range(len(u))])
        for k in range(len(u)):
            y[k, channel] = kernel[: k + 1] @ u[k::-1, channel] + t["D"][channel] * u[k, channel]
    return y


def _rotation(t, u):
    radius = (np.tanh(t["rotation.retentions"]) + 1) / 2
    angle = np.pi * (np.tanh(t["rotation.angles"]) + 1) / 2
    c, s = radius * np.cos(angle), radius * np.sin(angle)
    x, y = np.zeros((len(angle), 2)), []
    for u_k in u:
        x = np.stack([c * x[:, 0] + s * x[:, 1], -s * x[:, 0] + c * x[:, 1]], axis=1) + t["sys_in"] @ u_k
        y.append(np.einsum("pqi,qi->p", t["sys_out"], x) + t["sys_feed"] * u_k)
    return np.array(y)


_FORWARD = {"s4d": _s4d, "s5-pytorch": _s5, "lru": _lru, "lru-complex": _lru_complex, "rotation": _rotation}


def forward(dialect: str, tensors: dict[str, np.ndarray], u: np.ndarray) -> np.ndarray:
    """Outputs (steps, p) of the layer for inputs (steps, m), in double precision."""
    wide = {key: x.astype(np.complex128 if np.iscomplexobj(x) else np.float64) for key, x in tensors.items()}
    return _FORWARD[dialect](wide, u)


def impulse_response(dialect: str, tensors: dict[str, np.ndarray], steps: int) -> np.ndarray:
    """(steps, p, m): the response to a unit impulse at each input in turn."""
    m = n_channels(dialect, tensors)
    columns = []
    for i in range(m):
        u = np.zeros((steps, m))
        u[0, i] = 1.0
        columns.append(forward(dialect, tensors, u))
    return np.stack(columns, axis=-1)


def n_channels(dialect: str, tensors: dict[str, np.ndarray]) -> int:
    """Number of inputs of the layer."""
    return {"rotation": lambda: tensors["sys_feed"].shape[0]}.get(dialect, lambda: tensors["D"].shape[-1])()


def modal_response(modal, steps: int) -> np.ndarray:
    """(steps, p, m): the same of a system that is read after its update, a batch as a diagonal."""
    k = np.arange(steps)
    if modal.poles.ndim == 2:
        powers = modal.poles[..., None] ** k
        h = np.einsum("hk,hkt->ht", modal.C[:, 0, :] * modal.B[:, :, 0], powers).real
        full = np.zeros((steps, len(h), len(h)))
        full[:, range(len(h)), range(len(h))] = h.T
        full[0] += np.diag(modal.D[:, 0, 0])
        return full
    powers = modal.poles[:, None] ** k
    h = np.einsum("pk,kt,km->tpm", modal.C, powers, modal.B).real
    h[0] += modal.D
    return h


def deviation(actual: np.ndarray, wanted: np.ndarray) -> float:
    """Largest difference, relative to the largest value."""
    return float(np.max(np.abs(actual - wanted)) / np.max(np.abs(wanted)))


def prefixed(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The tensors under a prefix."""
    return {prefix + key: x for key, x in tensors.items()}


def under(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The tensors that stand under a prefix, without it."""
    return {key.removeprefix(prefix): x for key, x in tensors.items() if key.startswith(prefix)}
