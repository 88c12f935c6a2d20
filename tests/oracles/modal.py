"""Random modes, and poles found again among others."""

import numpy as np

import mor


def random_modal(seed, k, m, p, radius=0.99, dt=1.0):
    rng = np.random.default_rng(seed)
    poles = np.sqrt(rng.uniform(0.25, radius**2, k)) * np.exp(1j * rng.uniform(0, np.pi, k))
    B = (rng.standard_normal((k, m)) + 1j * rng.standard_normal((k, m))) / np.sqrt(m)
    C = (rng.standard_normal((p, k)) + 1j * rng.standard_normal((p, k))) / np.sqrt(k)
    return mor.Modal(poles, B, C, dt=dt)


def is_pole_of(poles, all_poles):
    return all(np.min(np.abs(all_poles - p)) <= 1e-9 * max(1, abs(p)) for p in poles)
