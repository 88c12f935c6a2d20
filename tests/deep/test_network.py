"""The network: one source on every framework, the layer it says it is, and what it keeps."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import load_file

import mor
from mor.data import digits_path
from mor.deep import Network, compress
from mor.deep.network import forward, linear_recurrence, respond
from mor.deep.rotation import PARAMETERS, rotation_from_modal
from mor.errors import CheckpointError, DimensionError, NotASystemError, NotFiniteError, UnstableSystemError

CHANNELS, HIDDEN, CLASSES = 3, 6, 4


def random_tensors(blocks=(5, 3), dtype=np.float64, seed=0):
    """A network with unequal layers and norms that do something."""
    rng = np.random.default_rng(seed)
    h = HIDDEN
    tensors = {"encoder.weight": rng.normal(size=(h, CHANNELS)), "encoder.bias": rng.normal(size=h)}
    for i, q in enumerate(blocks):
        layer = {
            "norm.weight": 1 + 0.1 * rng.normal(size=h),
            "norm.bias": 0.1 * rng.normal(size=h),
            "norm.running_mean": rng.normal(size=h),
            "norm.running_var": rng.uniform(0.5, 2, size=h),
            "ssm.rotation.angles": rng.normal(size=q),
            "ssm.rotation.retentions": 1 + 0.25 * rng.normal(size=q),
            "ssm.sys_in": rng.normal(size=(q, 2, h)) / np.sqrt(h),
            "ssm.sys_out": rng.normal(size=(h, q, 2)) / np.sqrt(2 * q),
            "ssm.sys_feed": rng.normal(size=h),
            "gate.weight": rng.normal(size=(h, h)) / np.sqrt(h),
            "gate.bias": rng.normal(size=h),
        }
        tensors |= {f"layers.{i}.{name}": x for name, x in layer.items()}
    tensors |= {"decoder.weight": rng.normal(size=(CLASSES, h)), "decoder.bias": rng.normal(size=CLASSES)}
    return {name: x.astype(dtype) for name, x in tensors.items()}


def layer_parameters(tensors, i=0):
    return {name: tensors[f"layers.{i}.ssm.{name}"] for name in PARAMETERS}


@pytest.fixture
def tensors():
    return random_tensors()


@pytest.fixture
def u():
    return np.random.default_rng(1).normal(size=(7, 21, CHANNELS))


# One source, every framework.


def plain_logits(tensors, u):
    """The network as it is written in the paper, step by step and layer by layer."""
    z = u @ tensors["encoder.weight"].T + tensors["encoder.bias"]
    for i in range(Network(tensors).n_layers):
        get = {name.removeprefix(f"layers.{i}."): x for name, x in tensors.items()}.__getitem__
        v = (z - get("norm.running_mean")) / np.sqrt(get("norm.running_var") + 1e-5)
        v = v * get("norm.weight") + get("norm.bias")
        lti = Network(tensors).layers[f"layers.{i}.ssm"].to_lti()
        x, y = np.zeros((len(u), lti.A.shape[0])), np.empty_like(v)
        for t in range(u.shape[1]):
            x = x @ lti.A.T + v[:, t] @ lti.B.T
            y[:, t] = x @ lti.C.T + v[:, t] @ lti.D.T
        v = 0.5 * y * (1 + np.tanh(np.sqrt(2 / np.pi) * (y + 0.044715 * y**3)))
        z = z + v / (1 + np.exp(-(v @ get("gate.weight").T + get("gate.bias"))))
    return np.mean(z @ tensors["decoder.weight"].T + tensors["decoder.bias"], axis=1)


def test_forward_is_the_network_of_the_paper(tensors, u):
    np.testing.assert_allclose(Network(tensors)(u), plain_logits(tensors, u), rtol=0, atol=1e-12)


def test_torch_agrees(tensors, u):
    torch = pytest.importorskip("torch")
    there = {name: torch.from_numpy(x) for name, x in tensors.items()}
    logits = Network(there)(torch.from_numpy(u))
    assert isinstance(logits, torch.Tensor)
    np.testing.assert_allclose(logits.numpy(), Network(tensors)(u), rtol=0, atol=1e-12)


@pytest.mark.slow
def test_jax_compiles_it(tensors, u):
    jax = pytest.importorskip("jax")
    there = {name: jax.numpy.asarray(x, dtype="float32") for name, x in tensors.items()}
    logits = jax.jit(lambda tensors, u: Network(tensors)(u))(there, jax.numpy.asarray(u, dtype="float32"))
    # Single precision, whatever the mode of the other tests.
    np.testing.assert_allclose(np.asarray(logits), Network(tensors)(u), rtol=0, atol=1e-4)


def test_strict_array_api_runs_it(tensors, u):
    xp = pytest.importorskip("array_api_strict")
    there = {name: xp.asarray(x) for name, x in tensors.items()}
    logits = Network(there)(xp.asarray(u))
    np.testing.assert_allclose(np.asarray(logits), Network(tensors)(u), rtol=0, atol=1e-12)


def test_input_of_another_kind_is_converted(tensors, u):
    torch = pytest.importorskip("torch")
    network = Network({name: torch.from_numpy(x).float() for name, x in tensors.items()})
    assert network(u).dtype == torch.float32
    assert Network(random_tensors(dtype=np.float32))(u.tolist()).dtype == np.float32


def test_torch_gradients_are_those_of_finite_differences(tensors, u):
    torch = pytest.importorskip("torch")
    there = {name: torch.from_numpy(x) for name, x in tensors.items()}
    trained = {name: x.requires_grad_() for name, x in there.items() if ".running_" not in name}
    forward(there, torch.from_numpy(u)).square().sum().backward()
    rng = np.random.default_rng(2)
    for name, x in trained.items():
        assert x.grad is not None
        direction = rng.normal(size=tensors[name].shape)
        step = 1e-5
        ends = [
            np.sum(forward({**tensors, name: tensors[name] + sign * step * direction}, u) ** 2)
            for sign in (1, -1)
        ]
        slope = (ends[0] - ends[1]) / (2 * step)
        # Central differences: truncation step^2 and round-off 1e-16/step, relative to values near 1e3.
        assert np.sum(x.grad.numpy() * direction) == pytest.approx(slope, rel=1e-5, abs=1e-5), name


# The recurrence and the layer.


@pytest.mark.parametrize("length", [1, 2, 7, 8, 9, 63, 64, 65, 200])
def test_recurrence_is_the_loop(length):
    rng = np.random.default_rng(length)
    poles = rng.uniform(0, 1, 5) * np.exp(1j * rng.uniform(-3, 3, 5))
    v = rng.normal(size=(2, length, 5)) + 1j * rng.normal(size=(2, length, 5))
    x, wanted = np.zeros((2, 5), dtype=complex), np.empty_like(v)
    for t in range(length):
        x = poles * x + v[:, t]
        wanted[:, t] = x
    np.testing.assert_allclose(linear_recurrence(poles, v), wanted, rtol=0, atol=1e-13)


def test_recurrence_keeps_a_pole_of_modulus_one():
    v = np.ones((1, 1000, 1), dtype=complex)
    np.testing.assert_allclose(linear_recurrence(np.ones(1), v)[0, :, 0], np.arange(1, 1001))


def test_layer_is_the_convolution_with_its_impulse_response(tensors):
    steps = 20
    layer = Network(tensors).layers["layers.0.ssm"]
    u = np.random.default_rng(3).normal(size=(2, steps, HIDDEN))
    kernel = layer.impulse_response(steps)
    wanted = np.stack(
        [sum(u[:, t - s] @ kernel[s].T for s in range(t + 1)) + u[:, t] @ layer.D.T for t in range(steps)],
        axis=1,
    )
    np.testing.assert_allclose(respond(layer_parameters(tensors), u), wanted, rtol=0, atol=1e-12)


# Taking layers out and putting them back.


def test_minimal_realisations_change_nothing(tensors, u):
    network = Network(tensors)
    minimal = {name: mor.balanced_truncation(layer) for name, layer in network.layers.items()}
    np.testing.assert_allclose(network.replace(minimal)(u), network(u), rtol=0, atol=1e-10)


def test_replace_takes_systems_of_other_orders_in_the_dtype_of_the_network(u):
    network = Network(random_tensors(dtype=np.float32))
    rom = mor.balanced_truncation(network.layers["layers.0.ssm"], order=3)
    reduced = network.replace({"layers.0.ssm": rom.system})
    assert {x.dtype for x in reduced.tensors.values()} == {np.dtype("float32")}
    assert reduced.layers["layers.0.ssm"].n_modes < network.layers["layers.0.ssm"].n_modes
    assert reduced.n_parameters < network.n_parameters
    assert reduced(u).shape == (len(u), CLASSES)
    np.testing.assert_array_equal(reduced.layers["layers.1.ssm"].poles, network.layers["layers.1.ssm"].poles)


def test_error_of_a_reduced_layer_is_within_its_bound(tensors):
    """The H-infinity bound limits the l2 gain of the error, also over a finite time."""
    network = Network(tensors)
    rom = mor.balanced_truncation(network.layers["layers.0.ssm"], order=4)
    reduced = network.replace({"layers.0.ssm": rom})
    u = np.random.default_rng(4).normal(size=(20, 50, HIDDEN))
    error = respond(layer_parameters(tensors), u) - respond(layer_parameters(reduced.tensors), u)
    gain = np.linalg.norm(error, axis=(1, 2)) / np.linalg.norm(u, axis=(1, 2))
    assert 0 < np.max(gain) <= rom.error_bound


def test_torch_network_stays_in_torch(tensors, u):
    torch = pytest.importorskip("torch")
    network = Network({name: torch.from_numpy(x) for name, x in tensors.items()})
    reduced = network.replace({"layers.1.ssm": mor.balanced_truncation(network.layers["layers.1.ssm"])})
    np.testing.assert_allclose(reduced(u).numpy(), network(u).numpy(), rtol=0, atol=1e-10)


def test_pieces_of_a_batch_are_the_batch(tensors, u, monkeypatch):
    network = Network(tensors)
    whole = network(u)
    monkeypatch.setattr("mor.deep.network._CHUNK_ENTRIES", 1)
    np.testing.assert_allclose(network(u), whole, rtol=0, atol=1e-13)
    assert network(u[:0]).shape == (0, CLASSES)


# Bad input.


@pytest.mark.parametrize("shape", [(3, CHANNELS), (2, 5, CHANNELS + 1), (2, 0, CHANNELS)])
def test_sequences_of_a_wrong_shape(tensors, shape):
    with pytest.raises(DimensionError, match="batch"):
        Network(tensors)(np.zeros(shape))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("encoder.bias", (HIDDEN + 1,)),
        ("layers.0.gate.weight", (HIDDEN, HIDDEN + 1)),
        ("layers.1.ssm.sys_in", (4, 2, HIDDEN)),
        ("layers.1.ssm.sys_out", (HIDDEN, 3)),
        ("decoder.weight", (CLASSES, HIDDEN - 1)),
    ],
)
def test_tensors_of_a_wrong_shape(tensors, name, shape):
    with pytest.raises(DimensionError, match=name):
        Network(tensors | {name: np.zeros(shape)})


def test_names(tensors):
    with pytest.raises(CheckpointError, match=r"layers\.1\.gate\.bias"):
        Network({name: x for name, x in tensors.items() if name != "layers.1.gate.bias"})
    with pytest.raises(CheckpointError, match="attention"):
        Network(tensors | {"attention.weight": np.zeros(2)})


def test_not_finite(tensors):
    with pytest.raises(NotFiniteError, match=r"decoder\.bias"):
        Network(tensors | {"decoder.bias": np.full(CLASSES, np.nan)})


def test_systems_that_do_not_fit(tensors):
    network = Network(tensors)
    layer = network.layers["layers.0.ssm"]
    with pytest.raises(CheckpointError, match=r"layers\.7"):
        network.replace({"layers.7.ssm": layer})
    with pytest.raises(NotASystemError):
        network.replace({"layers.0.ssm": layer.to_lti()})
    with pytest.raises(NotASystemError, match="diagonal"):
        network.replace({"layers.0.ssm": mor.Modal(layer.poles, layer.B, layer.C, layer.D + 1, dt=1.0)})
    with pytest.raises(UnstableSystemError):
        network.replace({"layers.0.ssm": mor.Modal(2 * layer.poles, layer.B, layer.C, layer.D, dt=1.0)})
    with pytest.raises(DimensionError):
        network.replace({"layers.0.ssm": mor.Modal(layer.poles, layer.B[:, :2], layer.C[:2], dt=1.0)})


def test_rotation_of_a_layer_comes_back(tensors):
    parameters = layer_parameters(tensors)
    again = rotation_from_modal(Network(tensors).layers["layers.0.ssm"])
    for name, x in parameters.items():
        np.testing.assert_allclose(again[name], x, rtol=0, atol=1e-9)


# The packaged networks.


@pytest.fixture(scope="module")
def digits():
    data = np.load(digits_path("test.npz"))
    return data["images"].reshape(-1, 64, 1) / 16, data["labels"]


def packaged(name):
    return Network(load_file(digits_path(f"{name}.safetensors")))


def accuracy(network, digits):
    u, labels = digits
    return 100 * np.mean(np.argmax(network(u), axis=-1) == labels)


@pytest.mark.parametrize(("name", "stated"), [("regularised", 99.2), ("plain", 99.0)])
def test_packaged_networks_classify_as_stated(name, stated, digits):
    # One image of the 500 is 0.2 points: room for one that round-off decides.
    assert accuracy(packaged(name), digits) == pytest.approx(stated, abs=0.25)


@pytest.mark.slow
@pytest.mark.parametrize(("ranks", "plain_loses"), [("energy", 5), ("uniform", 10)])
def test_regularised_network_keeps_its_accuracy_with_a_fifth_of_its_states(ranks, plain_loses, digits):
    losses = {}
    for name in ("regularised", "plain"):
        network = packaged(name)
        compression = compress(network, keep=0.2, ranks=ranks)
        before, after = compression.states
        assert after <= 0.2 * before
        losses[name] = accuracy(network, digits) - accuracy(compression.model, digits)
    assert losses["regularised"] <= 1
    # Measured 8.8 (energy) and 15.8 (uniform) points.
    assert losses["plain"] >= plain_loses


def test_unknown_packaged_file():
    with pytest.raises(FileNotFoundError, match=r"test\.npz"):
        digits_path("letters.npz")
