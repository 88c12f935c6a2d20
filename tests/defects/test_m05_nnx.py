"""The regulariser found no layer in a model of flax's nnx or its state: names there end in ``.value``."""

from dataclasses import dataclass

import numpy as np
import pytest

from tests.defects.layers import checkpoint

jax = pytest.importorskip("jax")

from mor.adapters.jax import hankel_regularizer  # noqa: E402


def variable(name):
    """What nnx makes of a parameter: a node of a pytree with its array in one attribute."""

    @jax.tree_util.register_dataclass
    @dataclass
    class Value:
        value: object

    @jax.tree_util.register_dataclass
    @dataclass
    class Raw:
        raw_value: object

    return {"value": Value, "raw_value": Raw}[name]


def model(wrap):
    tensors = checkpoint("lru", ("layers.0.", "layers.1."))
    layers = [
        {key[9:]: wrap(jax.numpy.asarray(x)) for key, x in tensors.items() if key.startswith(f"layers.{i}.")}
        for i in range(2)
    ]
    return {"layers": layers, "head": {"kernel": wrap(jax.numpy.ones((2, 2)))}}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["value", "raw_value"])
def test_variables_are_their_values(name):
    wrap = variable(name)
    plain, wrapped = model(lambda x: x), model(wrap)
    assert np.isclose(hankel_regularizer(wrapped), hankel_regularizer(plain), rtol=1e-6)
    gradient = jax.jit(jax.grad(hankel_regularizer))(wrapped)["layers"][1]["B_re"]
    expected = jax.grad(hankel_regularizer)(plain)["layers"][1]["B_re"]
    assert np.allclose(getattr(gradient, name), expected, rtol=1e-3, atol=1e-4)  # single precision


def test_nnx_itself():
    nnx = pytest.importorskip("flax.nnx")
    tensors = checkpoint("lru", ("",))

    class Layer(nnx.Module):
        def __init__(self):
            for key, x in tensors.items():
                setattr(self, key, nnx.Param(jax.numpy.asarray(x)))

    layer = Layer()
    state = nnx.state(layer)
    values = [hankel_regularizer(x) for x in (layer, state, nnx.to_pure_dict(state))]
    assert np.allclose(values, values[0], rtol=1e-6)
