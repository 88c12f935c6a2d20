"""Every dialect against its layer's own forward pass, there and back."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mor
from mor.adapters.checkpoints import read_checkpoint
from mor.adapters.checkpoints.formats.safetensors_file import safetensors_chunks
from mor.adapters.layers.dialects.detect import get_dialect
from mor.errors import CheckpointError, UnstableSystemError
from tests.oracles.checkpoint_layers import (
    DIALECTS,
    POLE_KEY,
    deviation,
    forward,
    impulse_response,
    modal_response,
    prefixed,
    random_layer,
    under,
)

STEPS = 40
PREFIX = "blocks.0.mixer."
#: Deviations of the response: a few dozen roundings of poles of modulus at most 0.95, which are
#: seen for some 20 steps.
TOLERANCE = {np.float32: 1e-6, np.float64: 1e-12}
PRECISIONS = [np.float32, np.float64]
BATCHED = {"s4d"}


def save_layer(folder, dialect, dtype, seed=0, **sizes):
    """A file with one layer: safetensors where its types allow it."""
    tensors = prefixed(random_layer(dialect, seed, dtype=dtype, **sizes), PREFIX)
    return save(folder, tensors)


def save(folder, tensors, name="layer"):
    if any(x.dtype == np.complex128 for x in tensors.values()):
        torch = pytest.importorskip("torch")
        path = folder / f"{name}.pt"
        torch.save({key: torch.from_numpy(x) for key, x in tensors.items()}, path)
        return path
    path = folder / f"{name}.safetensors"
    path.write_bytes(b"".join(safetensors_chunks(tensors, {})))
    return path


@pytest.mark.slow
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_system_read_is_the_layer(tmp_path, dialect, dtype):
    path = save_layer(tmp_path, dialect, dtype)
    checkpoint = read_checkpoint(path)
    assert checkpoint.dialect == dialect
    assert checkpoint.readout == "updated"
    (modal,) = checkpoint.layers.values()
    wanted = impulse_response(dialect, under(checkpoint.tensors, PREFIX), STEPS)
    # Both sides compute in double precision from the same stored numbers.
    assert deviation(modal_response(modal, STEPS), wanted) < 1e-13


@pytest.mark.slow
@pytest.mark.parametrize("order", [None, 4, 1, 0])
@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_a_reduced_layer_survives_the_file(tmp_path, dialect, dtype, order):
    path = save_layer(tmp_path, dialect, dtype)
    checkpoint = read_checkpoint(path)
    ((name, modal),) = checkpoint.layers.items()
    reduction = mor.balanced_truncation(modal, order)
    out = tmp_path / f"out{path.suffix}"
    manifest = checkpoint.replace({name: reduction}).write(out)
    again = read_checkpoint(out)
    wanted = modal_response(reduction.system, STEPS)
    tensors = under(again.tensors, PREFIX)
    assert deviation(impulse_response(dialect, tensors, STEPS), wanted) < TOLERANCE[dtype]
    assert deviation(modal_response(again.layers[name], STEPS), wanted) < TOLERANCE[dtype]
    # A layer without states keeps one idle mode.
    assert tensors[POLE_KEY[dialect]].shape[-1] == max(1, reduction.system.poles.shape[-1])
    # An idle mode is no state.
    assert np.max(again.layers[name].working_states) == manifest["layers"][name]["states_after"]
    assert {key: x.dtype for key, x in again.tensors.items()} == {
        key: x.dtype for key, x in checkpoint.tensors.items()
    }


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_error_of_the_outputs_stays_below_the_bound(tmp_path, dialect):
    checkpoint = read_checkpoint(save_layer(tmp_path, dialect, np.float64, seed=3))
    ((name, modal),) = checkpoint.layers.items()
    reduction = mor.balanced_truncation(modal, 5)
    reduced = checkpoint.replace({name: reduction})
    rng = np.random.default_rng(1)
    channels = modal.batch_shape[0] if dialect in BATCHED else modal.n_inputs
    u = rng.standard_normal((200, channels))
    y, z = (forward(dialect, under(c.tensors, PREFIX), u) for c in (checkpoint, reduced))
    error = np.linalg.norm(y - z)
    assert reduction.error_bound is not None
    assert 0 < error <= reduction.error_bound * np.linalg.norm(u)


def given_modal(dialect, poles, seed, channels=3):
    """A system with these poles that fits the dialect's random layer; real where its poles are."""
    rng = np.random.default_rng(seed)
    poles = np.array(poles, complex)
    real = np.imag(poles) == 0
    if dialect in BATCHED:
        k = len(poles)
        C = rng.standard_normal((channels, 1, k)) + 1j * rng.standard_normal((channels, 1, k)) * ~real
        return np.tile(poles, (channels, 1)), np.ones((channels, k, 1)), C
    outputs = channels + 1 if dialect == "lru-complex" else channels
    B = rng.standard_normal((len(poles), channels)) + 0j
    C = rng.standard_normal((outputs, len(poles))) + 0j
    B.imag = rng.standard_normal(B.shape) * ~real[:, None]
    C.imag = rng.standard_normal(C.shape) * ~real
    return poles, B, C


def replaced(path, dialect, poles, seed=0):
    checkpoint = read_checkpoint(path)
    ((name, old),) = checkpoint.layers.items()
    p, B, C = given_modal(dialect, poles, seed)
    return checkpoint, name, mor.Modal(p, B, C, old.D, dt=1.0)


REAL_AND_COMPLEX = [0.9, -0.7, 0.05, -1e-3, 0.5 * np.exp(2j), 0.8 * np.exp(-1j), 0.3j]


@pytest.mark.parametrize("dtype", PRECISIONS)
@pytest.mark.parametrize("dialect", DIALECTS)
def test_real_poles_of_both_signs_and_both_half_planes(tmp_path, dialect, dtype):
    path = save_layer(tmp_path, dialect, dtype)
    checkpoint, name, modal = replaced(path, dialect, REAL_AND_COMPLEX)
    out = tmp_path / f"out{path.suffix}"
    checkpoint.replace({name: modal}).write(out)
    again = read_checkpoint(out)
    wanted = modal_response(modal, STEPS)
    tensors = under(again.tensors, PREFIX)
    assert all(np.all(np.isfinite(x)) for x in tensors.values())
    assert deviation(impulse_response(dialect, tensors, STEPS), wanted) < TOLERANCE[dtype]
    # Four real modes and three pairs, also after the rounding of the file.
    assert again.layers[name].order == modal.order == 10


@pytest.mark.parametrize("dialect", ["lru", "lru-complex", "rotation"])
def test_a_pole_at_zero_is_exact_where_the_layer_has_one(tmp_path, dialect):
    path = save_layer(tmp_path, dialect, np.float32)
    checkpoint, name, modal = replaced(path, dialect, [0.0, 0.5])
    tensors = under(checkpoint.replace({name: modal}).tensors, PREFIX)
    wanted = modal_response(modal, STEPS)
    assert deviation(impulse_response(dialect, tensors, STEPS), wanted) < 1e-6


@pytest.mark.parametrize("dialect", ["s4d", "s5-pytorch"])
def test_a_pole_at_zero_is_refused_where_no_sampled_system_has_it(tmp_path, dialect):
    path = save_layer(tmp_path, dialect, np.float32)
    checkpoint, name, modal = replaced(path, dialect, [0.5, 0.0])
    with pytest.raises(CheckpointError, match=r"blocks\.0\.mixer.*mode \[.*1\] has its pole at 0"):
        checkpoint.replace({name: modal})


@settings(max_examples=25, deadline=None)
@given(
    dialect=st.sampled_from(DIALECTS),
    moduli=st.lists(st.floats(1e-6, 0.97), min_size=1, max_size=5),
    data=st.data(),
)
def test_any_stable_system_survives_export(tmp_path_factory, dialect, moduli, data):
    angles = [data.draw(st.sampled_from([0.0, np.pi, 1.0, -2.5, 3.1, 1e-3])) for _ in moduli]
    poles = [
        complex(r * np.cos(a), 0.0 if a in (0.0, np.pi) else r * np.sin(a))
        for r, a in zip(moduli, angles, strict=True)
    ]
    path = save_layer(tmp_path_factory.mktemp("any"), dialect, np.float64)
    checkpoint, name, modal = replaced(path, dialect, poles, seed=len(moduli))
    tensors = under(checkpoint.replace({name: modal}).tensors, PREFIX)
    wanted = modal_response(modal, STEPS)
    # Poles of modulus 0.97 are seen for about 30 steps: 1e-12 leaves 100 roundings a step.
    assert deviation(impulse_response(dialect, tensors, STEPS), wanted) < 1e-12


@pytest.mark.parametrize("dialect", DIALECTS)
def test_padding_keeps_the_shapes_and_the_map(tmp_path, dialect):
    path = save_layer(tmp_path, dialect, np.float32)
    checkpoint = read_checkpoint(path)
    ((name, modal),) = checkpoint.layers.items()
    reduction = mor.balanced_truncation(modal, 4)
    out = tmp_path / "padded.safetensors"
    manifest = checkpoint.replace({name: reduction}).write(out, pad=True)
    assert manifest["layers"][name]["padded"] is True
    again = read_checkpoint(out)
    old, new = ({key: x.shape for key, x in c.tensors.items()} for c in (checkpoint, again))
    assert new == old
    wanted = modal_response(reduction.system, STEPS)
    assert deviation(impulse_response(dialect, under(again.tensors, PREFIX), STEPS), wanted) < 1e-6


def test_more_real_poles_than_modes_cannot_be_padded_but_written(tmp_path):
    path = save_layer(tmp_path, "lru", np.float32, n=2)
    checkpoint, name, modal = replaced(path, "lru", [0.1, 0.4, -0.6])
    grown = checkpoint.replace({name: modal})
    with pytest.raises(CheckpointError, match="cannot be padded: it had 2 modes and now has 3"):
        grown.write(tmp_path / "no.safetensors", pad=True)
    assert not (tmp_path / "no.safetensors").exists()
    grown.write(tmp_path / "yes.safetensors")
    assert read_checkpoint(tmp_path / "yes.safetensors").layers[name].n_modes == 3


@pytest.mark.parametrize("dialect", ["lru", "s5-pytorch"])
def test_an_unstable_layer_is_read_but_neither_reduced_nor_written(tmp_path, dialect):
    tensors = random_layer(dialect, dtype=np.float32)
    if dialect == "lru":
        tensors["nu_log"][1] = -40  # exp(-exp(-40)) is 1
    else:
        tensors["Lambda"][1] = 0.1 + 2j
    checkpoint = read_checkpoint(save(tmp_path, prefixed(tensors, PREFIX)))
    ((name, modal),) = checkpoint.layers.items()
    assert not modal.is_stable
    with pytest.raises(UnstableSystemError):
        mor.balanced_truncation(modal, 2)
    # A pole that the layer had not; an LRU can have none at all.
    wild = modal if dialect == "lru" else mor.Modal(1.01 * modal.poles, modal.B, modal.C, modal.D, dt=1.0)
    with pytest.raises(UnstableSystemError, match=r"blocks\.0\.mixer.*modulus"):
        checkpoint.replace({name: wild})


def test_types_too_coarse_for_the_poles_are_refused(tmp_path):
    path = save_layer(tmp_path, "lru", np.float16)
    checkpoint, name, modal = replaced(path, "lru", [0.99999 * np.exp(3j)])
    with pytest.raises(CheckpointError, match=r"too coarse|rounds to modulus 1"):
        checkpoint.replace({name: modal})


def test_a_half_precision_layer_is_written_in_half_precision(tmp_path):
    path = save_layer(tmp_path, "lru", np.float16)
    checkpoint, name, modal = replaced(path, "lru", [0.5, 0.6 * np.exp(1j)])
    tensors = under(checkpoint.replace({name: modal}).tensors, PREFIX)
    assert {x.dtype for x in tensors.values()} == {np.dtype(np.float16)}
    # Half precision has a spacing of 1e-3; poles of modulus 0.6 add little to it.
    assert deviation(impulse_response("lru", tensors, STEPS), modal_response(modal, STEPS)) < 4e-3


def test_a_changed_feedthrough_is_refused(tmp_path):
    path = save_layer(tmp_path, "lru", np.float32)
    checkpoint, name, modal = replaced(path, "lru", [0.5])
    other = mor.Modal(modal.poles, modal.B, modal.C, modal.D + 0.1, dt=1.0)
    with pytest.raises(CheckpointError, match="feedthrough D has changed"):
        checkpoint.replace({name: other})


def test_systems_that_do_not_fit_are_refused(tmp_path):
    path = save_layer(tmp_path, "lru", np.float32)
    checkpoint, name, modal = replaced(path, "lru", [0.5])
    with pytest.raises(CheckpointError, match="no layer 'other'"):
        checkpoint.replace({"other": modal})
    with pytest.raises(CheckpointError, match="dt=0"):
        checkpoint.replace({name: mor.Modal(modal.poles - 1, modal.B, modal.C, modal.D)})
    with pytest.raises(CheckpointError, match="3 inputs and 3 outputs"):
        checkpoint.replace({name: mor.Modal(modal.poles, modal.B[:, :2], modal.C, modal.D[:, :2], dt=1.0)})
    with pytest.raises(CheckpointError, match="Reduction or a Modal"):
        checkpoint.replace({name: "a string"})


def test_caveats_of_real_poles_are_recorded(tmp_path):
    path = save_layer(tmp_path, "lru", np.float32)
    checkpoint, name, modal = replaced(path, "lru", [0.5, -0.5])
    manifest = checkpoint.replace({name: modal}).write(tmp_path / "a.safetensors")
    assert "1 mode with a real positive pole" in manifest["layers"][name]["notes"][0]
    path = save_layer(tmp_path, "s5-pytorch", np.float32)
    checkpoint, name, modal = replaced(path, "s5-pytorch", [0.5, -0.5])
    manifest = checkpoint.replace({name: modal}).write(tmp_path / "b.safetensors")
    assert "1 mode with a real negative pole" in manifest["layers"][name]["notes"][0]


def test_the_dialect_writes_nothing_that_does_not_change():
    dialect = get_dialect("lru")
    stored = dialect.stored(prefixed(random_layer("lru"), PREFIX), PREFIX)
    assert "D" not in dialect.write(stored, dialect.read(stored), {})


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_rounding_bound_holds_and_is_not_absurd(tmp_path, dialect, dtype):
    checkpoint = read_checkpoint(save_layer(tmp_path, dialect, dtype))
    ((name, modal),) = checkpoint.layers.items()
    reduction = mor.balanced_truncation(modal, min(6, modal.order))
    out = tmp_path / "out.safetensors" if dtype == np.float32 else tmp_path / "out.pt"
    if dtype == np.float64:
        pytest.importorskip("torch")
    entry = checkpoint.replace({name: reduction}).write(out)["layers"][name]
    stored = read_checkpoint(out).layers[name]
    actual = np.max(mor.peak_gain(reduction.system - stored).gain)
    scale = float(np.max(reduction.hsv))
    assert actual <= entry["rounding_bound"] + 1e-13 * scale
    # The bound adds the moduli of all modes, and near the boundary amplifies each.
    assert entry["rounding_bound"] <= 1e3 * actual + 1e4 * np.finfo(dtype).eps * scale
