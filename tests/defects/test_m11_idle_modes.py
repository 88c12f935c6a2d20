"""A padded file was said to have the states that it had before, and the next --keep was a share of those."""

import pytest

import mor
from tests.defects.layers import checkpoint, write


@pytest.mark.slow
@pytest.mark.parametrize("dialect", ["lru", "s5-pytorch", "s4d", "rotation", "lru-complex"])
def test_idle_modes_are_no_states(tmp_path, mor_command, mor_json, dialect):
    file = write(tmp_path / "m.safetensors", checkpoint(dialect, ("a.", "b."), n=12))
    padded, plain = tmp_path / "padded.safetensors", tmp_path / "plain.safetensors"
    for out, options in ((padded, ("--pad",)), (plain, ())):
        assert mor_command("compress", file, out, "--keep", "0.5", *options)[0] == 0
    one, other = (mor_json("inspect", x) for x in (plain, padded))
    assert other["states"] == one["states"]
    assert [x["states"] for x in other["layers"]] == [x["states"] for x in one["layers"]]
    assert sum(x["idle_modes"] for x in other["layers"]) > 0

    again = [tmp_path / "again1.safetensors", tmp_path / "again2.safetensors"]
    plans = [
        mor_json("compress", x, out, "--keep", "0.5") for x, out in zip((plain, padded), again, strict=True)
    ]
    assert plans[0]["states"] == plans[1]["states"]
    sizes = [{n: x.working_states.max() for n, x in mor.read_checkpoint(y).layers.items()} for y in again]
    assert sizes[0] == sizes[1]
    assert mor_command("verify", file, again[1])[0] == 0
