"""Balancing a batch: one by one is the reference, and nothing of a batch is found anew for each member."""

import numpy as np
import pytest

import mor
from mor.equations.graded import batch_svd
from mor.reduction.balance import balance


def batch(rng, count=7, k=6, m=1, p=1, dt=1.0, real=False):
    def normal(*shape):
        x = rng.standard_normal((count, *shape))
        return x if real else x + 1j * rng.standard_normal((count, *shape))

    if real:
        poles = rng.uniform(-0.9, 0.9, (count, k)) if dt else -rng.uniform(0.1, 3, (count, k))
    else:
        modulus, angle = rng.uniform(0.2, 0.97, (count, k)), rng.uniform(0.05, 3, (count, k))
        poles = modulus * np.exp(1j * angle) if dt else -modulus + 1j * angle
    return mor.Modal(poles, normal(k, m), normal(p, k), dt=dt)


CASES = [(1, 1, 1.0, False), (1, 1, 0.0, False), (1, 1, 1.0, True), (2, 3, 1.0, False), (2, 1, 0.0, True)]


@pytest.mark.slow
@pytest.mark.parametrize(("m", "p", "dt", "real"), CASES)
@pytest.mark.parametrize("match", ["infinity", "dc"])
def test_a_batch_is_reduced_as_its_members_are(m, p, dt, real, match):
    systems = batch(np.random.default_rng(1), m=m, p=p, dt=dt, real=real)
    together = mor.balanced_truncation(systems, 3, match=match)
    points = np.exp(1j * np.linspace(0, 3, 5)) if dt else 1j * np.linspace(0, 3, 5)
    for i in range(len(systems.poles)):
        alone = mor.balanced_truncation(systems[i], 3, match=match)
        scale = np.max(alone.hsv)
        # Another order of the same operations: round-off of the largest value.
        assert np.allclose(together.hsv[i], alone.hsv, atol=1e-13 * scale)
        a, b = together.system[i].evaluate(points), alone.system.evaluate(points)
        assert np.max(np.abs(a - b)) < 1e-10 * scale


@pytest.mark.parametrize("horizon", [None, 7])
@pytest.mark.parametrize(("dt", "real"), [(1.0, False), (0.0, False), (1.0, True), (0.0, True)])
def test_factors_of_one_input_and_output_are_those_of_the_gramians(dt, real, horizon):
    rng = np.random.default_rng(2)
    sys = batch(rng, dt=dt, real=real)
    # Units of modes that lie twenty decades apart, in B and in C against it.
    units = 10.0 ** rng.uniform(-10, 10, sys.poles.shape)
    sys = mor.Modal(sys.poles, sys.B * units[..., None], sys.C / units[..., None, :], dt=dt)
    for Z, X in zip(sys.factors(horizon=horizon), sys.gramians(horizon=horizon), strict=True):
        size = np.sqrt(np.einsum("...ii->...i", X))
        error = np.abs(Z @ np.swapaxes(Z, -1, -2) - X) / (size[..., :, None] * size[..., None, :])
        assert np.max(error) < 1e-12  # of entries scaled to unit diagonal: the units cost nothing


@pytest.mark.parametrize("zero", ["B", "C"])
def test_a_mode_without_input_or_output_keeps_its_factor(zero):
    sys = batch(np.random.default_rng(4))
    arrays = {"B": sys.B.copy(), "C": sys.C.copy()}
    arrays[zero][0, ..., :1] = 0 if zero == "C" else arrays[zero][0, ..., :1]
    if zero == "B":
        arrays["B"][0, 0] = 0
    sys = mor.Modal(sys.poles, arrays["B"], arrays["C"], dt=1.0)
    for Z, X in zip(sys.factors(), sys.gramians(), strict=True):
        assert np.allclose(Z @ np.swapaxes(Z, -1, -2), X, rtol=1e-10, atol=1e-12 * np.max(X))


def test_symmetric_products_have_the_same_singular_values():
    rng = np.random.default_rng(5)
    X = rng.standard_normal((4, 6, 6))
    M = X + np.swapaxes(X, -1, -2)
    U, s, Vh = batch_svd(M)
    assert np.allclose(s, np.linalg.svd(M, compute_uv=False), rtol=1e-13)
    assert np.allclose(U * s[:, None, :] @ Vh, M, atol=1e-13 * np.max(s))


def test_what_a_batch_is_asked_for_is_found_once(monkeypatch):
    """The order of the largest member was sought among all members for each of them: n^2 of them."""
    calls = []
    order = mor.Modal.order.fget
    monkeypatch.setattr(mor.Modal, "order", property(lambda self: calls.append(1) or order(self)))
    systems = batch(np.random.default_rng(6), count=50)
    balancing = balance(systems)
    _ = balancing.hsv, balancing.full_order, balancing.truncate(4)
    assert len(calls) <= 6 * 50
