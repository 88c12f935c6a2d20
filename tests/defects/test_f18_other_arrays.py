"""Batches of array-api-strict, and NumPy signals that PyTorch does not take as they are."""

import warnings

import numpy as np
import pytest

import mor


def batch(array, kind=mor.Modal):
    rng = np.random.default_rng(0)
    B, C = rng.standard_normal((3, 4, 2)), rng.standard_normal((3, 2, 4))
    if kind is mor.BlockDiagonal:
        A = 0.3 * rng.standard_normal((3, 2, 2, 2))
        return kind(array(A), array(B), array(C), dt=1.0)
    poles = 0.9 * np.exp(1j * rng.uniform(0, 3, (3, 4)))
    return kind(array(poles), array(B + 0j), array(C + 0j), dt=1.0)


@pytest.mark.parametrize("kind", [mor.Modal, mor.BlockDiagonal])
def test_batches_under_the_strict_standard(kind):
    strict = pytest.importorskip("array_api_strict")
    there, here = batch(strict.asarray, kind), batch(np.asarray, kind)
    for ask in (mor.hinf_norm, mor.hankel_nuclear_norm, mor.h2_norm):
        got = ask(there)
        assert type(got).__module__.startswith("array_api_strict")
        np.testing.assert_allclose(np.asarray(got), ask(here), rtol=1e-10)
    for index in (0, -1, slice(1, 3), (slice(None),), Ellipsis):
        np.testing.assert_array_equal(np.asarray(there[index].B), here[index].B)


def test_a_batch_that_is_looked_at_in_parts():
    """One member with a twin mode: no Gramian of the whole batch can be factored."""
    strict = pytest.importorskip("array_api_strict")
    rng = np.random.default_rng(1)
    poles = 0.9 * np.exp(1j * rng.uniform(0, 3, (16, 3)))
    B, C = rng.standard_normal((16, 3, 4)) + 0j, rng.standard_normal((16, 4, 3)) + 0j
    poles[5, 1], B[5, 1] = poles[5, 0], B[5, 0]
    systems = [mor.Modal(*map(array, (poles, B, C)), dt=1.0) for array in (strict.asarray, np.asarray)]
    norms = [mor.hankel_nuclear_norm(sys) for sys in systems]
    np.testing.assert_allclose(np.asarray(norms[0]), norms[1], rtol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "jax.numpy", "array_api_strict"])
def test_signals_of_any_layout(framework):
    xp = pytest.importorskip(framework)
    one = xp.asarray(np.ones((1, 1), np.float32))
    sys = mor.Modal(xp.asarray(np.array([0.5], np.float32)), one, one, dt=1.0)
    u = np.arange(6.0)
    frozen = u.copy()
    frozen.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for given in (u[::-1], frozen, u.astype(">f8"), np.broadcast_to(2.0, (6,)), u.tolist()):
            y = mor.simulate(sys, given)
            expected = mor.simulate(([[0.5]], [[1.0]], [[1.0]], None, None), given, step=1.0) * 0
            assert tuple(y.shape) == expected.shape
    np.testing.assert_allclose(np.asarray(mor.simulate(sys, u[::-1]))[:3, 0], [0.0, 5.0, 6.5])
