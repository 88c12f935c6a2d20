"""Files: every type bit for bit, damage of every kind, shards, and the package of the format."""

from __future__ import annotations

import json
import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import mor
from mor.adapters.checkpoints import read_checkpoint
from mor.adapters.checkpoints.formats.safetensors_file import safetensors_chunks
from mor.adapters.checkpoints.formats.tensors import read_tensors
from mor.adapters.layers.dtypes import BFLOAT16, as_double, as_type
from mor.errors import CheckpointError, MorError
from tests.oracles.checkpoint_layers import prefixed, random_layer

PLAIN = ["bool", "u1", "i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8", "<f2", "<f4", "<f8", "<c8"]

DAMAGED = "truncated, damaged or not a safetensors file"


def save(folder, tensors, metadata=None, name="model.safetensors"):
    path = folder / name
    path.write_bytes(b"".join(safetensors_chunks(tensors, metadata or {})))
    return path


def random_bits(dtype, shape, seed=0):
    """Any bits at all, NaN payloads among them."""
    rng = np.random.default_rng(seed)
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    n = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(rng.bytes(n), dtype).reshape(shape)


def every_type():
    tensors = {f"x.{dtype}": random_bits(dtype, (3, 5), i) for i, dtype in enumerate(PLAIN)}
    tensors["x.bf16"] = random_bits("<u2", (4,), 99).view(BFLOAT16)
    tensors["x.scalar"] = np.array(3.0, np.float32)
    tensors["x.empty"] = np.zeros((0, 4), np.float64)
    return tensors


def assert_same_bits(a, b):
    assert set(a) == set(b)
    for key in a:
        assert (a[key].dtype, a[key].shape) == (b[key].dtype, b[key].shape), key
        assert a[key].tobytes() == b[key].tobytes(), key


def test_every_type_comes_back_bit_for_bit(tmp_path):
    metadata = {"who": "me", "unicode": 'ä\n"λ"'}
    file = read_tensors(save(tmp_path, every_type(), metadata))
    assert_same_bits(file.tensors, every_type())
    assert file.metadata == metadata


def test_the_safetensors_package_reads_what_we_write(tmp_path):
    numpy_side = pytest.importorskip("safetensors.numpy")
    plain = {key: x for key, x in every_type().items() if x.dtype != BFLOAT16}
    assert_same_bits(numpy_side.load_file(save(tmp_path, plain)), plain)


def test_we_read_what_the_safetensors_package_writes(tmp_path):
    numpy_side = pytest.importorskip("safetensors.numpy")
    plain = {key: x for key, x in every_type().items() if x.dtype != BFLOAT16}
    numpy_side.save_file(plain, tmp_path / "theirs.safetensors", {"a": "b"})
    file = read_tensors(tmp_path / "theirs.safetensors")
    assert_same_bits(file.tensors, plain)
    assert file.metadata == {"a": "b"}


def test_untouched_tensors_and_metadata_survive_compression(tmp_path):
    tensors = prefixed(random_layer("lru"), "l.") | every_type()
    checkpoint = read_checkpoint(save(tmp_path, tensors, {"note": "kept"}))
    out = tmp_path / "out.safetensors"
    checkpoint.replace({"l": mor.balanced_truncation(checkpoint.layers["l"], 4)}).write(out)
    again = read_checkpoint(out)
    rest = set(every_type()) | {"l.D"}
    assert_same_bits({k: again.tensors[k] for k in rest}, {k: tensors[k] for k in rest})
    assert again.metadata["note"] == "kept"
    assert_same_bits(checkpoint.tensors, tensors)


def test_writing_without_a_replacement_copies(tmp_path):
    tensors = prefixed(random_layer("lru"), "l.") | every_type()
    checkpoint = read_checkpoint(save(tmp_path, tensors))
    manifest = checkpoint.write(tmp_path / "out.safetensors")
    assert manifest["layers"] == {}
    assert manifest["unchanged"] == ["l"]
    assert_same_bits(read_checkpoint(tmp_path / "out.safetensors").tensors, tensors)


@pytest.mark.slow
def test_every_cut_of_a_file_is_noticed(tmp_path):
    whole = save(tmp_path, random_layer("lru", n=2, h=2)).read_bytes()
    path = tmp_path / "cut.safetensors"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=DAMAGED):
            read_checkpoint(path)
    path.write_bytes(whole + b"x")
    with pytest.raises(CheckpointError, match=DAMAGED):
        read_checkpoint(path)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_a_damaged_header_gives_a_typed_error_or_the_same_bytes(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("damage")
    whole = bytearray(save(folder, random_layer("lru", n=2, h=2)).read_bytes())
    end = 8 + int.from_bytes(whole[:8], "little")
    for _ in range(data.draw(st.integers(1, 3))):
        whole[data.draw(st.integers(0, end - 1))] = data.draw(st.integers(0, 255))
    path = folder / "bad.safetensors"
    path.write_bytes(whole)
    with suppress(MorError):  # any other exception fails the test
        read_checkpoint(path)


def with_header(folder, header, body=b""):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path = folder / "made.safetensors"
    path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    return path


@pytest.mark.parametrize(
    ("header", "body"),
    [
        (b"[1]", b""),
        (b'{"a": ', b""),
        (b"\xff\xfe", b""),
        (b"[" * 100_000, b""),
        (b'{"a":1,"a":2}', b""),
        ({"a": {"dtype": "F32", "shape": [1]}}, b""),
        ({"a": 3}, b""),
        ({"a": {"dtype": "F4", "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        ({"a": {"dtype": ["F32"], "shape": [1], "data_offsets": [0, 4]}}, b"1234"),
        ({"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}}, b""),
        ({"a": {"dtype": "F32", "shape": 1, "data_offsets": [0, 4]}}, b"1234"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 4]}}, b"1234"),
        ({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}, b"1234"),
        ({"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}, b"12345678"),
        ({"__metadata__": {"a": 1}}, b""),
        ({"a": {"dtype": "F32", "shape": [0, 2**62, 2**62], "data_offsets": [0, 0]}}, b""),
        ({"a": {"dtype": "F32", "shape": [1] * 99, "data_offsets": [0, 4]}}, b"1234"),
    ],
)
def test_headers_that_lie(tmp_path, header, body):
    with pytest.raises(CheckpointError, match=DAMAGED):
        read_tensors(with_header(tmp_path, header, body))


def test_a_type_that_is_packed_is_not_supported(tmp_path):
    entry = {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}
    with pytest.raises(CheckpointError, match="unsupported dtype 'F4'"):
        read_tensors(with_header(tmp_path, {"a": entry}, b"1"))


def test_keys_that_are_not_text_in_any_encoding_are_refused():
    with pytest.raises(CheckpointError, match="cannot be written as safetensors"):
        safetensors_chunks({"\ud800": np.zeros(1, np.float32)}, {})


def test_overlapping_tensors_are_refused(tmp_path):
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    with pytest.raises(CheckpointError, match=DAMAGED):
        read_tensors(with_header(tmp_path, {"a": entry, "b": entry}, b"1234"))


def test_a_header_of_absurd_length(tmp_path):
    (tmp_path / "a.safetensors").write_bytes(b"\xff" * 64)
    with pytest.raises(CheckpointError, match="truncated, damaged or not a safetensors file"):
        read_tensors(tmp_path / "a.safetensors")


@pytest.mark.parametrize("name", ["none.safetensors", "none.pt", "none.index.json"])
def test_a_file_that_is_not_there(tmp_path, name):
    with pytest.raises(CheckpointError, match=r"cannot read .*none"):
        read_checkpoint(tmp_path / name)


def test_a_suffix_that_is_not_known(tmp_path):
    (tmp_path / "a.h5").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"\.safetensors.*\.pt"):
        read_checkpoint(tmp_path / "a.h5")


def test_bfloat16_rounds_to_nearest_even_as_torch_does():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    x = rng.standard_normal(1000) * 10.0 ** rng.integers(-30, 30, 1000)
    x = np.append(x, [0.0, -0.0, 1 + 2**-8, 1 + 3 * 2**-8])
    ours = as_type(x, BFLOAT16).view("<u2")
    theirs = torch.from_numpy(x.astype(np.float32)).to(torch.bfloat16).view(torch.uint16).numpy()
    assert np.array_equal(ours, theirs)
    assert np.isnan(as_double(as_type(np.array([np.nan]), BFLOAT16))).all()


@given(st.integers(0, 2**16 - 1))
def test_bfloat16_widens_and_narrows_back(bits):
    x = np.array([bits], "<u2").view(BFLOAT16)
    if np.isfinite(as_double(x)).all():
        assert as_type(as_double(x), BFLOAT16).tobytes() == x.tobytes()


def test_a_bfloat16_layer_is_reduced_in_bfloat16(tmp_path):
    tensors = {key: as_type(x.astype(float), BFLOAT16) for key, x in random_layer("lru").items()}
    checkpoint = read_checkpoint(save(tmp_path, tensors))
    out = tmp_path / "out.safetensors"
    checkpoint.replace({"root": mor.balanced_truncation(checkpoint.layers["root"], 4)}).write(out)
    again = read_checkpoint(out)
    assert {x.dtype for x in again.tensors.values()} == {BFLOAT16}
    assert again.tensors["D"].tobytes() == tensors["D"].tobytes()


# ---------------------------------------------------------------- shards


def save_shards(folder, tensors, weight_map=None):
    half = len(tensors) // 2
    parts = {"m-1-of-2.safetensors": dict(list(tensors.items())[:half])}
    parts["m-2-of-2.safetensors"] = dict(list(tensors.items())[half:])
    for name, part in parts.items():
        save(folder, part, name=name)
    places = weight_map or {key: name for name, part in parts.items() for key in part}
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))
    return index


def test_shards_are_one_checkpoint_and_written_as_one_file(tmp_path):
    tensors = prefixed(random_layer("lru"), "l.") | every_type()
    checkpoint = read_checkpoint(save_shards(tmp_path, tensors))
    assert_same_bits(checkpoint.tensors, tensors)
    out = tmp_path / "out.safetensors"
    manifest = checkpoint.replace({"l": mor.balanced_truncation(checkpoint.layers["l"], 2)}).write(out)
    assert "2 shards were written as one file" in manifest["notes"]
    assert set(read_checkpoint(out).tensors) == set(tensors)


@pytest.mark.parametrize(
    "place",
    [
        "../x.safetensors",
        "a/../../x.safetensors",
        "/etc/x.safetensors",
        "C:\\x.safetensors",
        "..\\x.safetensors",
    ],
)
def test_shards_outside_the_folder_are_not_opened(tmp_path, place):
    index = save_shards(tmp_path, random_layer("lru"), {"a": place})
    with pytest.raises(CheckpointError, match="outside its folder"):
        read_checkpoint(index)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"weight_map": {"a": "x.pkl"}}', "a shard must be one of"),
        ('{"weight_map": {"a": "x.safetensors"}}', "cannot read"),
        ('{"weight_map": {"a": 3}}', "no weight_map"),
        ('{"weight_map": {}}', "no weight_map"),
        ("[]", "no weight_map"),
        ("{", "not valid JSON"),
    ],
)
def test_an_index_that_is_not_one(tmp_path, content, message):
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(content)
    with pytest.raises(CheckpointError, match=message):
        read_checkpoint(index)


def test_an_index_that_disagrees_with_its_shards(tmp_path):
    tensors = random_layer("lru")
    places = dict.fromkeys(tensors, "m-1-of-2.safetensors")
    with pytest.raises(CheckpointError, match="disagree about which tensors"):
        read_checkpoint(save_shards(tmp_path, tensors, places))
