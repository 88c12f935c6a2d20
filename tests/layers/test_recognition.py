"""Which layers are found in a file, under which names, and what is said when none is."""

from __future__ import annotations

import numpy as np
import pytest

import mor
from mor.adapters.checkpoints import dialect_names, read_checkpoint
from mor.adapters.checkpoints.formats.safetensors_file import safetensors_chunks
from mor.adapters.layers.keys import natural_order, plain_key
from mor.errors import CheckpointError, NotFiniteError, NotLinearTimeInvariantError
from tests.oracles.checkpoint_layers import DIALECTS, prefixed, random_layer


def save(folder, tensors, name="model"):
    path = folder / f"{name}.safetensors"
    path.write_bytes(b"".join(safetensors_chunks(tensors, {})))
    return path


def zeros(**shapes):
    return {key.replace("__", "."): np.zeros(shape, np.float32) for key, shape in shapes.items()}


def test_dialect_names():
    assert sorted(dialect_names()) == sorted(DIALECTS)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_naming_the_right_dialect_changes_nothing_and_the_wrong_one_finds_nothing(tmp_path, dialect):
    path = save(tmp_path, prefixed(random_layer(dialect), "a."))
    assert list(read_checkpoint(path, dialect).layers) == ["a"]
    for other in set(DIALECTS) - {dialect}:
        with pytest.raises(CheckpointError, match=f"no layer of dialect {other}"):
            read_checkpoint(path, other)


def test_an_unknown_dialect_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match="no dialect 's6'; there are s4d"):
        read_checkpoint(save(tmp_path, random_layer("lru")), "s6")


def test_layers_come_in_the_order_of_their_numbers(tmp_path):
    tensors = {}
    for i in [10, 9, 1, 0, 100]:
        tensors |= prefixed(random_layer("lru", i), f"blocks.{i}.lru.")
    names = list(read_checkpoint(save(tmp_path, tensors)).layers)
    assert names == [f"blocks.{i}.lru" for i in [0, 1, 9, 10, 100]]


def test_natural_order_compares_text_and_numbers():
    assert sorted(["b", "a10", "10", "a9", "a", "2"], key=natural_order) == ["2", "10", "a", "a9", "a10", "b"]


@pytest.mark.parametrize(
    ("key", "plain"),
    [
        ("module.blocks.0.D", "blocks.0.D"),
        ("_orig_mod.module.blocks.0.D", "blocks.0.D"),
        ("blocks._orig_mod.0.module.D", "blocks.0.D"),
        ("submodule.D", "submodule.D"),
        ("module", "module"),
    ],
)
def test_plain_keys(key, plain):
    assert plain_key(key) == plain


@pytest.mark.parametrize("wrap", ["module.{}", "_orig_mod.{}", "module._orig_mod.{}", "net._orig_mod.{}"])
def test_training_wrappers_in_keys_are_ignored_and_kept(tmp_path, wrap):
    tensors = {wrap.format("lru." + key): x for key, x in random_layer("lru").items()}
    checkpoint = read_checkpoint(save(tmp_path, tensors))
    (name,) = checkpoint.layers
    assert name.endswith("lru")
    assert "module" not in name
    assert "_orig_mod" not in name
    out = tmp_path / "out.safetensors"
    checkpoint.replace({name: mor.balanced_truncation(checkpoint.layers[name], 4)}).write(out)
    assert set(read_checkpoint(out).tensors) == set(tensors)


def test_keys_that_differ_in_wrappers_only_are_refused(tmp_path):
    tensors = random_layer("lru")
    with pytest.raises(CheckpointError, match="without their wrappers"):
        read_checkpoint(save(tmp_path, {**tensors, **prefixed(tensors, "module.")}))


def test_a_layer_at_the_top_of_the_file_is_called_root(tmp_path):
    assert list(read_checkpoint(save(tmp_path, random_layer("lru"))).layers) == ["root"]


def test_two_dialects_in_one_file_need_a_word(tmp_path):
    tensors = prefixed(random_layer("lru"), "a.") | prefixed(random_layer("s5-pytorch"), "b.")
    path = save(tmp_path, tensors)
    with pytest.raises(CheckpointError, match=r"more than one dialect fits: s5-pytorch.*lru.*dialect="):
        read_checkpoint(path)
    assert list(read_checkpoint(path, "lru").layers) == ["a"]
    assert list(read_checkpoint(path, "s5-pytorch").layers) == ["b"]


@pytest.mark.parametrize(
    "tensors",
    [
        zeros(layers__0__A_log=(8, 4), layers__0__x_proj__weight=(6, 8), layers__0__D=(8,)),
        zeros(layers__0__mixer__A_log=(8,), layers__0__mixer__dt_bias=(8,)),
        zeros(A_log=(8, 4), dt_proj__weight=(6, 8)),
        zeros(blocks__1__rg_lru__a_param=(8,), blocks__1__rg_lru__a_gate__w=(8, 8)),
        zeros(blocks__1__rg_lru__a_param=(8,), blocks__1__rg_lru__input_gate__w=(8, 8)),
    ],
)
def test_selective_layers_are_named_as_such(tmp_path, tensors):
    with pytest.raises(NotLinearTimeInvariantError, match="selective, not linear time-invariant"):
        read_checkpoint(save(tmp_path, tensors))


def test_a_linear_layer_beside_a_selective_one_is_read(tmp_path):
    selective = zeros(m__A_log=(8, 4), m__x_proj__weight=(6, 8))
    path = save(tmp_path, selective | prefixed(random_layer("lru"), "l."))
    assert list(read_checkpoint(path).layers) == ["l"]


def test_an_unknown_model_lists_what_was_seen_and_the_nearest_dialect_first(tmp_path):
    tensors = prefixed(random_layer("lru"), "blocks.0.")
    del tensors["blocks.0.C_im"]
    with pytest.raises(CheckpointError) as info:
        read_checkpoint(save(tmp_path, tensors))
    lines = str(info.value).splitlines()
    assert "no layer of a known dialect among 7 tensors" in lines[0]
    assert "blocks.0.nu_log (6,)" in lines[1]
    assert lines[2].strip().startswith("lru: has nu_log")
    assert lines[2].endswith("lacks C_im (H, N)")


def test_a_file_without_tensors(tmp_path):
    with pytest.raises(CheckpointError, match="among 0 tensors"):
        read_checkpoint(save(tmp_path, {}))


@pytest.mark.parametrize(("key", "bad"), [("B_re", np.nan), ("nu_log", np.inf), ("D", -np.inf)])
def test_numbers_that_are_not_finite_are_counted_under_their_key(tmp_path, key, bad):
    tensors = prefixed(random_layer("lru"), "a.")
    tensors["a." + key].flat[:2] = bad
    with pytest.raises(NotFiniteError, match=rf"a\.{key} has 2 of {tensors['a.' + key].size} entries"):
        read_checkpoint(save(tmp_path, tensors))


def test_finite_tensors_of_an_infinite_system(tmp_path):
    tensors = random_layer("lru")
    tensors["gamma_log"][0] = 1e4
    with pytest.raises(NotFiniteError, match="are finite, their system is not"):
        read_checkpoint(save(tmp_path, tensors))


def test_bidirectional_s5_is_refused_by_name(tmp_path):
    tensors = random_layer("s5-pytorch")
    tensors["C"] = np.concatenate([tensors["C"], tensors["C"]], axis=1)
    with pytest.raises(CheckpointError, match="bidirectional"):
        read_checkpoint(save(tmp_path, tensors))


def test_one_spoilt_layer_among_good_ones_is_not_skipped(tmp_path):
    tensors = prefixed(random_layer("lru"), "a.") | prefixed(random_layer("lru"), "b.")
    tensors["b.D"] = np.zeros(7, np.float32)
    with pytest.raises(CheckpointError, match=r"b\.D has shape \(7,\); it must be \(3\)"):
        read_checkpoint(save(tmp_path, tensors))


def test_integers_where_numbers_should_be(tmp_path):
    tensors = random_layer("lru")
    tensors["B_re"] = tensors["B_re"].astype(np.int8)
    with pytest.raises(CheckpointError, match="B_re is int8"):
        read_checkpoint(save(tmp_path, tensors))


@pytest.mark.parametrize("name", ["original", "original0"])
def test_a_parametrized_layer_tensor_is_refused(tmp_path, name):
    tensors = prefixed(random_layer("lru"), "a.")
    tensors[f"a.parametrizations.nu_log.{name}"] = tensors.pop("a.nu_log")
    with pytest.raises(CheckpointError, match="remove_parametrizations"):
        read_checkpoint(save(tmp_path, tensors))


def test_a_parametrization_elsewhere_is_none_of_our_business(tmp_path):
    tensors = prefixed(random_layer("lru"), "a.")
    tensors |= zeros(head__parametrizations__weight__original=(2, 2))
    assert list(read_checkpoint(save(tmp_path, tensors)).layers) == ["a"]
