"""The regulariser as a function of a pytree: JAX agrees with PyTorch, and finds the same layers."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import mor
from mor.errors import (
    NotASystemError,
    NotFiniteError,
    NotLinearTimeInvariantError,
    ReductionError,
    UnstableSystemError,
)
from tests.oracles.checkpoint_layers import DIALECTS
from tests.oracles.modal import random_modal
from tests.oracles.torch_systems import torch_copy
from tests.torch.regularized import assert_gradient, exact_sum, gradient_of, layer_with_radius, module_of

pytest.importorskip("torch")
jax = pytest.importorskip("jax")
jnp = jax.numpy

from mor.adapters.jax import hankel_regularizer  # noqa: E402
from mor.adapters.torch import HankelRegularizer  # noqa: E402

pytestmark = pytest.mark.slow


def nested(tensors, array=jnp.asarray):
    """The tensors as nested dictionaries."""
    tree = {}
    for name, x in tensors.items():
        *path, last = name.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
        node[last] = array(x)
    return tree


def flat(tree):
    """Its leaves by name, on NumPy."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {".".join(str(entry.key) for entry in path): np.asarray(x) for path, x in leaves}


@pytest.fixture
def quick():
    """Compiling costs more than running here."""
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture
def x64(quick):
    with jax.enable_x64(True):
        yield


def assert_agrees(tensors, value, gradient, **options):
    """With torch, for a tree of one layer. JAX returns conjugates of torch's gradients."""
    model = module_of(tensors)
    expected = gradient_of(model, **options)
    # Both frameworks end in the precision of the parameters.
    assert float(value) == pytest.approx(HankelRegularizer(model, 1.0, **options).sum().item(), rel=1e-6)
    found = flat(gradient)
    for name, g in expected.items():
        assert found[name].dtype == tensors[name].dtype
        assert np.linalg.norm(np.conj(found[name]) - g) <= 1e-5 * np.linalg.norm(g), name


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("dialect", DIALECTS)
def test_jax_agrees_with_torch(dialect):
    tensors = layer_with_radius(dialect, 0.99, 3)
    run = jax.jit(jax.value_and_grad(lambda p: hankel_regularizer(p, order=1)))
    value, gradient = run({"blocks": [nested(tensors)]})
    assert_agrees(tensors, value, gradient["blocks"][0], order=1)


def rotation_tree(seed, n=4):
    return nested(layer_with_radius("rotation", 0.9, seed, n=n, dtype=np.float64))


@pytest.fixture
def cheap(monkeypatch):
    """Another number of every system in place of the sum, where it matters only which are found."""

    def size(system, beyond):
        return jnp.sum(abs(system.poles) ** 2, -1) + jnp.sum(abs(system.B) ** 2, (-2, -1))

    monkeypatch.setattr("mor.adapters.layers.live.hankel_nuclear_norm", size)


@pytest.mark.usefixtures("x64")
class TestJax:
    def test_equal_layers_are_one_batch(self, calls):
        trees = [rotation_tree(i, n) for i, n in enumerate([4, 3, 4, 4])]
        jax.make_jaxpr(hankel_regularizer)({"encoder": jnp.ones((2, 2)), "layers": trees})
        assert sorted(calls) == [(1,), (3,)]

    def test_vmap_over_sets_of_parameters(self):
        sets = [layer_with_radius("rotation", 0.9, seed) for seed in range(3)]
        stacked = {name: np.stack([x[name] for x in sets]) for name in sets[0]}
        run = jax.jit(jax.vmap(jax.value_and_grad(hankel_regularizer)))
        values, gradients = run({"layer": nested(stacked)})
        for i, tensors in enumerate(sets):
            assert_agrees(tensors, values[i], jax.tree.map(lambda x, i=i: x[i], gradients["layer"]))

    def test_any_pytree_of_layers(self, cheap):
        tree = rotation_tree(0)
        expected = float(hankel_regularizer(tree))
        assert expected > 0
        Holder = jax.tree_util.register_dataclass(dataclasses.make_dataclass("Holder", ["encoder", "layers"]))
        Ssm = jax.tree_util.register_dataclass(
            dataclasses.make_dataclass("Ssm", ["rotation", "sys_in", "sys_out", "sys_feed"])
        )
        for wrapped in (
            {"params": {"layers_0": tree}},
            [tree],
            (None, [tree]),
            {0: tree},
            Holder(jnp.ones(3), [tree]),
            Ssm(**tree),
        ):
            assert float(hankel_regularizer(wrapped)) == expected
        gradient = jax.eval_shape(jax.grad(hankel_regularizer), Holder(jnp.ones(3), [Ssm(**tree)]))
        assert type(gradient) is Holder
        assert gradient.layers[0].sys_in.shape == (4, 2, 3)

    def test_leaves_that_are_no_arrays_are_ignored(self, cheap):
        tree = rotation_tree(0)
        expected = float(hankel_regularizer(tree))
        beside = {"steps": 3, "rate": 1e-3, "name": "x", "flag": True, "function": len, "none": None}
        assert float(hankel_regularizer({"layer": tree, **beside})) == expected
        arrays = {"count": jnp.asarray(2), "mask": jnp.ones(3, bool), "scalar": np.float32(2.0)}
        assert float(hankel_regularizer({"layer": tree, **arrays})) == expected

    def test_typed_random_keys_are_ignored(self, cheap):
        tree = rotation_tree(0)
        assert hankel_regularizer({"layer": tree, "rng": jax.random.key(0)}) == hankel_regularizer(tree)

    def test_a_layer_may_hold_arrays_of_numpy(self, cheap):
        tree = rotation_tree(0)
        expected = float(hankel_regularizer(tree))
        tree["sys_in"] = np.asarray(tree["sys_in"])
        assert float(hankel_regularizer(tree)) == pytest.approx(expected, rel=1e-12)

    def test_arrays_of_numpy_alone(self):
        tensors = layer_with_radius("rotation", 0.9)
        found = hankel_regularizer(nested(tensors, np.asarray))
        assert float(found) == pytest.approx(exact_sum("rotation", tensors), rel=1e-12)

    def test_half_precision(self):
        low = nested(layer_with_radius("rotation", 0.9), lambda x: jnp.asarray(x, dtype="bfloat16"))
        value, gradient = jax.jit(jax.value_and_grad(hankel_regularizer))(low)
        exact = {name: x.astype(float) for name, x in flat(low).items()}
        assert float(value) == pytest.approx(exact_sum("rotation", exact), rel=1e-12)
        assert {x.dtype for x in jax.tree.leaves(gradient)} == {jnp.dtype("bfloat16")}
        wide = {name: x.astype(float) for name, x in flat(gradient).items()}
        # Every number of the gradient is rounded to 8 bits.
        assert_gradient("rotation", exact, wide, tolerance=2.0**-8)

    @pytest.mark.parametrize("tree", [{}, [], None, {"w": 1.0}, {"w": jnp.ones((2, 3))}])
    def test_no_layer(self, tree):
        with pytest.raises(NotASystemError, match="no state-space layer"):
            hankel_regularizer(tree)

    def test_selective_layers(self):
        tree = {"layers": [{"A_log": jnp.ones((8, 4)), "x_proj": {"weight": jnp.ones((6, 8))}}]}
        with pytest.raises(NotLinearTimeInvariantError, match=r"layers\.0"):
            hankel_regularizer(tree)

    def test_two_dialects_need_a_word(self):
        tree = {"a": rotation_tree(0), "b": nested(layer_with_radius("lru", 0.9))}
        with pytest.raises(NotASystemError, match="more than one dialect"):
            hankel_regularizer(tree)
        found = jax.make_jaxpr(lambda p: hankel_regularizer(p, dialect="lru"))(tree)
        assert found.out_avals[0].shape == ()

    def test_one_array_in_two_places_counts_twice(self, cheap):
        layer = rotation_tree(0)
        tree, once = {"layers": [layer, layer]}, hankel_regularizer(layer)
        values = (
            hankel_regularizer(tree),
            jax.jit(hankel_regularizer)(tree),
            jax.value_and_grad(hankel_regularizer)(tree)[0],
        )
        np.testing.assert_allclose(values, 2 * once, rtol=1e-12)

    def test_what_is_wrong_is_named(self):
        bad = rotation_tree(1)
        bad["sys_out"] = bad["sys_out"].at[0, 0, 0].set(jnp.nan)
        with pytest.raises(NotFiniteError, match=r"layers\.1\.sys_out has 1 of 24 entries"):
            hankel_regularizer({"layers": [rotation_tree(0), bad]})
        unstable = nested(layer_with_radius("lru", 0.9))
        # A modulus of exp(-exp(-60)) and an angle of exp(-200): 1 in double precision.
        for name, value in (("nu_log", -60.0), ("theta_log", -200.0)):
            unstable[name] = unstable[name].at[1].set(value)
        with pytest.raises(UnstableSystemError, match=r"layer ssm: pole 1 is .* modulus"):
            hankel_regularizer({"ssm": unstable})
        with pytest.raises(ReductionError, match="order=-1"):
            hankel_regularizer(rotation_tree(0), order=-1)


@pytest.mark.usefixtures("quick")
def test_jax_in_single_precision():
    """Without jax_enable_x64 some four digits are left; no warning says otherwise."""
    tensors = layer_with_radius("rotation", 0.9)
    value, gradient = jax.jit(jax.value_and_grad(hankel_regularizer))(nested(tensors))
    assert value.dtype == jnp.float32
    assert float(value) == pytest.approx(exact_sum("rotation", tensors), rel=1e-4)
    assert_gradient("rotation", tensors, flat(gradient), tolerance=1e-2)


@pytest.mark.filterwarnings("error")
def test_jax_names_what_is_not_finite_without_a_warning():
    tree = nested(layer_with_radius("rotation", 0.9))
    tree["sys_in"] = tree["sys_in"].at[0].set(jnp.nan)
    with pytest.raises(NotFiniteError, match="sys_in has 6 of 24"):
        hankel_regularizer(tree)


@pytest.mark.usefixtures("x64")
def test_jax_beyond_an_order():
    sys = random_modal(11, 5, 5, 5, radius=0.9)
    tensors = torch_copy(sys)
    expected = mor.hankel_nuclear_norm(tensors, beyond=3)
    expected.backward()
    run = jax.jit(jax.value_and_grad(lambda p: mor.hankel_nuclear_norm(mor.Modal(*p, dt=1.0), beyond=3)))
    value, gradient = run([jnp.asarray(x) for x in (sys.poles, sys.B, sys.C)])
    assert float(value) == pytest.approx(expected.item(), rel=1e-10)
    for g, field in zip(gradient, ("poles", "B", "C"), strict=True):
        wanted = getattr(tensors, field).grad.numpy()
        np.testing.assert_allclose(np.conj(g), wanted, rtol=0, atol=1e-7 * np.max(np.abs(wanted)))
