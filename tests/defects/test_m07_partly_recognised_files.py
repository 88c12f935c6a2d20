"""A layer with a misspelt tensor, or cut in two by shards, was left out, and nothing said so."""

from tests.defects.layers import checkpoint, write


def test_a_misspelt_tensor_is_named(tmp_path, mor_command, mor_json):
    tensors = checkpoint("lru", ("a.lru.", "b.lru."))
    tensors["b.lru.gama_log"] = tensors.pop("b.lru.gamma_log")
    file = write(tmp_path / "m.safetensors", tensors)
    for command in (("inspect", file), ("compress", file, tmp_path / "o.safetensors", "--keep", "0.5")):
        _, out, _ = mor_command(*command)
        assert "b.lru." in out
        assert "lacks gamma_log" in out
    assert any("lacks gamma_log" in note for note in mor_json("inspect", file)["notes"])


def test_a_shard_with_half_a_layer(tmp_path, mor_command):
    tensors = checkpoint("lru", ("a.lru.", "b.lru."))
    rest = {key: tensors.pop(f"b.lru.{key}") for key in ("B_re", "B_im", "C_re", "C_im", "D")}
    assert rest
    file = write(tmp_path / "model-00001-of-00002.safetensors", tensors)
    _, out, _ = mor_command("inspect", file)
    assert "one of 2 shards" in out
    assert "lacks B_re, B_im, C_re, C_im, D" in out


def test_layers_of_another_dialect_are_named(tmp_path, mor_json):
    tensors = checkpoint("lru", ("a.",)) | checkpoint("s4d", ("b.",), n=4)
    file = write(tmp_path / "m.safetensors", tensors)
    notes = mor_json("inspect", file, "--dialect", "lru")["notes"]
    assert len(notes) == 1
    assert "s4d" in notes[0]
    assert "'b.'" in notes[0]


def test_nothing_is_said_of_a_file_that_is_whole(tmp_path, mor_json):
    for dialect in ("lru", "lru-complex", "s4d", "s5-pytorch", "rotation"):
        file = write(tmp_path / f"{dialect}.safetensors", checkpoint(dialect, ("a.", "b.c.")))
        assert mor_json("inspect", file)["notes"] == []
