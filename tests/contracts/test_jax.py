"""JAX runs the same source: under jit, grad and vmap, in single and double precision."""

import numpy as np
import pytest

import mor
from mor.analysis.nuclear_norm import nuclear_norm_gradient
from tests.oracles.modal import random_modal

jax = pytest.importorskip("jax")
jnp = jax.numpy

pytestmark = pytest.mark.slow


def norm(poles, B, C):
    return mor.hankel_nuclear_norm(mor.Modal(poles, B, C, dt=1.0))


def jax_arrays(sys, dtype):
    return tuple(jnp.asarray(x, dtype=dtype) for x in (sys.poles, sys.B, sys.C))


@pytest.mark.parametrize("shape", [(6, 2, 3), (6, 1, 1), (4, 6, 6)])
def test_double_precision_under_jit_and_grad(shape):
    sys = random_modal(2, *shape)
    value, gradient = nuclear_norm_gradient(sys)
    with jax.enable_x64(True):
        arrays = jax_arrays(sys, jnp.complex128)
        total, grads = jax.jit(jax.value_and_grad(norm, argnums=(0, 1, 2)))(*arrays)
        eager = norm(*arrays)
    np.testing.assert_allclose(float(total), float(value), rtol=1e-12)
    np.testing.assert_allclose(float(eager), float(value), rtol=1e-12)
    for got, field in zip(grads, ("poles", "B", "C"), strict=True):
        # JAX returns the conjugate of the gradient dS/dRe + i dS/dIm, by convention.
        scale = np.max(np.abs(gradient[field]))
        np.testing.assert_allclose(np.conj(np.asarray(got)), gradient[field], atol=1e-8 * scale, rtol=0)


def test_single_precision_without_x64():
    sys = random_modal(4, 16, 16, 16, radius=0.9)
    arrays = jax_arrays(sys, jnp.complex64)
    rounded = mor.Modal(*(np.asarray(x).astype(complex) for x in arrays), dt=1.0)
    value, gradient = nuclear_norm_gradient(rounded)
    total, grads = jax.jit(jax.value_and_grad(norm, argnums=(0, 1, 2)))(*arrays)
    assert total.dtype == jnp.float32
    np.testing.assert_allclose(float(total), float(value), rtol=1e-5)
    for got, field in zip(grads, ("poles", "B", "C"), strict=True):
        error = np.linalg.norm(np.conj(np.asarray(got)) - gradient[field])
        # Single precision throughout: round-off times the spread of the values.
        assert error <= 1e-4 * np.linalg.norm(gradient[field])


def test_vmap_over_layers():
    systems = [random_modal(i, 5, 2, 2) for i in range(3)]
    with jax.enable_x64(True):
        stacked = [jnp.stack([jnp.asarray(getattr(s, f)) for s in systems]) for f in ("poles", "B", "C")]
        totals = jax.vmap(norm)(*stacked)
        batched = norm(*stacked)
    expected = [float(mor.hankel_nuclear_norm(s)) for s in systems]
    np.testing.assert_allclose(np.asarray(totals), expected, rtol=1e-12)
    np.testing.assert_allclose(np.asarray(batched), expected, rtol=1e-12)


def test_hankel_singular_values_and_gramians_on_jax():
    sys = random_modal(1, 6, 2, 2)
    with jax.enable_x64(True):
        there = mor.Modal(*jax_arrays(sys, jnp.complex128), dt=1.0)
        values, (P, Q) = mor.hankel_singular_values(there), mor.gramians(there, horizon=9)
    hsv = mor.hankel_singular_values(sys)
    np.testing.assert_allclose(np.asarray(values), hsv, atol=1e-13 * hsv[0], rtol=0)
    for got, expected in zip((P, Q), mor.gramians(sys, horizon=9), strict=True):
        np.testing.assert_allclose(np.asarray(got), expected, atol=1e-13, rtol=1e-12)


def test_blocks_on_jax():
    rng = np.random.default_rng(0)
    blocks, B, C = (
        0.4 * rng.standard_normal((3, 2, 2)),
        rng.standard_normal((6, 2)),
        rng.standard_normal((2, 6)),
    )
    sys = mor.BlockDiagonal(blocks, B, C, dt=1.0)
    value, gradient = nuclear_norm_gradient(sys)
    with jax.enable_x64(True):
        f = jax.jit(
            jax.value_and_grad(
                lambda a, b, c: mor.hankel_nuclear_norm(mor.BlockDiagonal(a, b, c, dt=1.0)), (0, 1, 2)
            )
        )
        total, grads = f(*(jnp.asarray(x) for x in (blocks, B, C)))
    np.testing.assert_allclose(float(total), float(value), rtol=1e-11)
    for got, field in zip(grads, ("blocks", "B", "C"), strict=True):
        np.testing.assert_allclose(
            np.asarray(got), gradient[field], atol=1e-8 * np.max(np.abs(gradient[field]))
        )


def test_constants_may_be_closed_over():
    sys = random_modal(3, 6, 2, 2)
    value, gradient = nuclear_norm_gradient(sys)
    with jax.enable_x64(True):
        poles, B, C = jax_arrays(sys, jnp.complex128)
        by_B = jax.jit(jax.value_and_grad(lambda b: norm(poles, b, C)))
        total, slope = by_B(B)
        by_poles = jax.vmap(lambda p: norm(p, B, C))(jnp.stack([poles, poles / 2]))
        hsv = jax.jit(lambda b: mor.hankel_singular_values(mor.Modal(poles, b, C, dt=1.0)))(B)
    np.testing.assert_allclose(float(total), float(value), rtol=1e-12)
    np.testing.assert_allclose(np.conj(np.asarray(slope)), gradient["B"], rtol=1e-8)
    np.testing.assert_allclose(float(by_poles[0]), float(value), rtol=1e-12)
    np.testing.assert_allclose(np.asarray(hsv), mor.hankel_singular_values(sys), rtol=0, atol=1e-12)


def test_many_inputs_under_vmap():
    sys = random_modal(3, 6, 20, 2)
    with jax.enable_x64(True):
        poles, B, C = jax_arrays(sys, jnp.complex128)
        totals = jax.vmap(lambda p: norm(p, B, C))(jnp.stack([poles, poles]))
    np.testing.assert_allclose(np.asarray(totals), float(mor.hankel_nuclear_norm(sys)), rtol=1e-12)


def test_what_cannot_be_traced_says_so():
    poles, B = jnp.asarray([-1.0 + 1j]), jnp.ones((1, 1), dtype=complex)
    with pytest.raises(mor.errors.TimeStepError, match="cannot be traced"):
        jax.jit(lambda p: mor.hankel_singular_values(mor.Modal(p, B, B), horizon=2.0))(poles)
