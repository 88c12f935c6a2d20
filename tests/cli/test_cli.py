"""The command line, as a person and as a script use it."""

import json
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import mor
from mor.data import digits_path

PLAIN = digits_path("plain.safetensors")


@pytest.fixture
def small(mor_command, tmp_path):
    """The plain network with three tenths of its states, written by the command."""
    path = tmp_path / "small.safetensors"
    assert mor_command("compress", PLAIN, path, "--keep", "0.3")[0] == 0
    return path


def test_inspect(mor_command):
    code, out, _ = mor_command("inspect", PLAIN)
    assert code == 0
    assert "rotation" in out
    assert all(f"layers.{i}.ssm" in out for i in range(4))
    code, out, _ = mor_command("inspect", PLAIN, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["dialect"] == "rotation"
    assert found["states"] == sum(layer["states"] for layer in found["layers"]) == 256
    for layer, system in zip(found["layers"], mor.read_checkpoint(PLAIN).layers.values(), strict=True):
        hsv = mor.hankel_singular_values(system)
        np.testing.assert_allclose(layer["hsv_largest"], hsv[0], rtol=1e-12)
        kept = layer["states_for_energy"]["0.99"]
        assert np.sum(hsv[:kept]) >= 0.99 * np.sum(hsv) > np.sum(hsv[: kept - 1])


def test_plan_is_what_compress_does_and_writes_nothing(mor_command, tmp_path):
    before = sorted(tmp_path.iterdir())
    _, planned, _ = mor_command("plan", PLAIN, "--keep", "0.2", "--json")
    assert sorted(tmp_path.iterdir()) == before
    code, done, _ = mor_command("compress", PLAIN, tmp_path / "small.safetensors", "--keep", "0.2", "--json")
    assert code == 0
    planned, done = json.loads(planned), json.loads(done)
    for key in ("states", "bytes", "parameters", "layers"):
        assert planned[key] == done[key]
    assert done["states"][1] <= 0.2 * done["states"][0]
    stored = load_file(tmp_path / "small.safetensors")
    assert sum(x.nbytes for x in stored.values()) == done["bytes"][1] < done["bytes"][0]
    assert sum(x.size for x in stored.values()) == done["parameters"][1]


@pytest.mark.slow
def test_compress_then_verify(mor_command, tmp_path):
    out = tmp_path / "small.safetensors"
    code, text, _ = mor_command("compress", PLAIN, out, "--keep", "0.3")
    assert code == 0
    assert "error bound" in text
    code, text, _ = mor_command("verify", PLAIN, out, "--json")
    assert code == 0
    found = json.loads(text)
    assert found["ok"]
    assert found["manifest"]
    assert found["changed_tensors"] == []
    for layer in found["layers"]:
        assert layer["holds"] is True
        assert 0 < layer["peak_error"] <= layer["bound"]
        assert 0 < layer["impulse_error"] < 1


@pytest.mark.slow
def test_verify_finds_a_bound_that_does_not_hold(mor_command, small, tmp_path):
    tensors = load_file(small)
    tensors["layers.1.ssm.sys_out"] = 100 * tensors["layers.1.ssm.sys_out"]
    tensors["decoder.bias"] = tensors["decoder.bias"] + 1
    manifest = mor.read_checkpoint(small).metadata
    save_file(tensors, tmp_path / "tampered.safetensors", manifest)
    code, text, _ = mor_command("verify", PLAIN, tmp_path / "tampered.safetensors", "--json")
    assert code == 9
    found = json.loads(text)
    assert [layer["holds"] for layer in found["layers"]] == [True, False, True, True]
    assert found["changed_tensors"] == ["decoder.bias"]
    code, text, _ = mor_command("verify", PLAIN, tmp_path / "tampered.safetensors")
    assert code == 9
    assert "NO" in text


@pytest.mark.slow
def test_verify_without_a_manifest_measures_but_does_not_succeed(mor_command, small, tmp_path):
    save_file(load_file(small), tmp_path / "bare.safetensors")
    code, text, _ = mor_command("verify", PLAIN, tmp_path / "bare.safetensors")
    assert code == 9
    assert "no manifest" in text
    assert "Nothing was verified" in text
    assert "comes first" not in text
    code, text, _ = mor_command("verify", PLAIN, tmp_path / "bare.safetensors", "--json")
    found = json.loads(text)
    assert code == 9
    assert found["ok"] is False
    assert "Nothing was verified" in found["nothing_verified"]
    assert all(layer["peak_error"] > 0 for layer in found["layers"])


@pytest.mark.slow
def test_verify_knows_swapped_arguments(mor_command, small):
    code, text, _ = mor_command("verify", small, PLAIN)
    assert code == 9
    assert "the original comes first" in " ".join(text.split())


@pytest.mark.slow
def test_a_file_that_promises_nothing_is_still_checked_against_its_manifest(mor_command, tmp_path):
    out = tmp_path / "out.safetensors"
    mor_command("compress", PLAIN, out, "--keep", "0.5", "--horizon", "64")
    code, text, _ = mor_command("verify", PLAIN, out, "--json")
    assert code == 0
    assert json.loads(text)["nothing_verified"] is None


@pytest.mark.slow
def test_verify_knows_which_file_the_compressed_one_was_made_from(mor_command, small):
    code, text, _ = mor_command("verify", digits_path("regularised.safetensors"), small)
    assert code == 9
    assert "another original" in " ".join(text.split())


@pytest.mark.slow
def test_bounds_of_repeated_compression_add_up(mor_command, tmp_path):
    first, second = tmp_path / "first.safetensors", tmp_path / "second.safetensors"
    mor_command("compress", PLAIN, first, "--keep", "0.5")
    mor_command("compress", first, second, "--keep", "0.6")
    steps = [
        json.loads(mor_command("verify", a, b, "--json")[1])["layers"]
        for a, b in ((PLAIN, first), (first, second))
    ]
    code, text, _ = mor_command("verify", PLAIN, second, "--json")
    assert code == 0
    for one, two, both in zip(*steps, json.loads(text)["layers"], strict=True):
        np.testing.assert_allclose(both["bound"], one["bound"] + two["bound"], rtol=1e-12)
    assert "compressed before" in mor_command("inspect", first)[1]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".safetensors", ".pt"])
def test_verify_notices_a_layer_that_was_changed_after_writing(mor_command, tmp_path, suffix):
    out = tmp_path / f"small{suffix}"
    if suffix == ".pt":
        torch = pytest.importorskip("torch")
    mor_command("compress", PLAIN, out, "--keep", "0.3")
    tensors = dict(mor.read_checkpoint(out).tensors)
    tensors["layers.2.ssm.sys_feed"] = tensors["layers.2.ssm.sys_feed"] + np.float32(0.1)
    if suffix == ".pt":
        torch.save({k: torch.tensor(x) for k, x in tensors.items()}, out)
    else:
        save_file(tensors, out, mor.read_checkpoint(out).metadata)
    code, text, _ = mor_command("verify", PLAIN, out)
    assert code == 9
    assert "Changed since it was written" in text


def test_a_horizon_promises_nothing(mor_command):
    code, text, _ = mor_command("plan", PLAIN, "--keep", "0.5", "--horizon", "64")
    assert code == 0
    assert "No guarantee" in text
    assert "Guarantee:" not in text


@pytest.mark.slow
@pytest.mark.parametrize("closeness", [(-6, -3), (-9, -5), (-14, -9)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bounds_hold_next_to_the_stability_boundary(mor_command, tmp_path, closeness, dtype):
    """Round-off and rounding are part of the promise: nothing honest fails its own check."""
    rng = np.random.default_rng(1)
    path, out = tmp_path / "in.safetensors", tmp_path / "out.safetensors"
    write_lru(path, n=32, h=8, dtype=dtype, nu_log=rng.uniform(*closeness, 32))
    for keep in ("1", "0.5"):
        code, _, err = mor_command("compress", path, out, "--keep", keep, "--force")
        if code == 5:  # float32 cannot hold poles this close, and says so
            assert dtype == np.float32
            assert "too coarse" in err or "modulus 1" in err
            continue
        assert code == 0
        assert mor_command("verify", path, out)[0] == 0


def test_names_that_look_like_markup(mor_command, tmp_path):
    path = write_lru(tmp_path / "in.safetensors", prefix="blocks[/].[red]lru.")
    for command in (("inspect", path), ("plan", path, "--keep", "0.5")):
        code, text, _ = mor_command(*command)
        assert code == 0
        assert "[/].[red]" in text


@pytest.mark.parametrize(
    "manifest",
    [
        {"schema": 1, "layers": []},
        {"schema": 1, "layers": {"a": 3}, "source": {}},
        {"schema": 1, "layers": {"a": {"error_bound": "x"}}, "source": {}},
        {"schema": 1, "layers": {"a": {"error_bound": float("nan")}}, "source": {}},
        3,
    ],
)
def test_manifests_that_are_not(mor_command, tmp_path, manifest):
    out = tmp_path / "out.safetensors"
    save_file(load_file(PLAIN), out, {"mor": json.dumps(manifest)})
    code, text, _ = mor_command("verify", PLAIN, out, "--json")
    assert code == 9
    assert json.loads(text)["manifest"] is False


def test_a_layer_that_does_nothing_keeps_one_mode(mor_command, tmp_path):
    path = write_lru(tmp_path / "in.safetensors", B_re=np.zeros((6, 3)), B_im=np.zeros((6, 3)))
    out = tmp_path / "out.safetensors"
    assert mor_command("compress", path, out, "--keep", "0.5")[0] == 0
    assert load_file(out)["blocks.0.lru.nu_log"].shape == (1,)


def test_the_demo_cannot_write(mor_command, tmp_path):
    (tmp_path / "file").write_bytes(b"")
    code, _, err = mor_command("demo", "--output", tmp_path / "file")
    assert code == 5
    assert "cannot make the folder" in err


def test_version(mor_command):
    code, text, _ = mor_command("--version")
    assert code == 0
    assert text.strip() == f"mor {mor.__version__}"


@pytest.mark.slow
def test_padding_keeps_shapes(mor_command, tmp_path):
    out = tmp_path / "padded.safetensors"
    code, _, _ = mor_command("compress", PLAIN, out, "--keep", "0.2", "--pad")
    assert code == 0
    _, text, _ = mor_command("compress", PLAIN, out, "--keep", "0.2", "--pad", "--force", "--json")
    assert json.loads(text)["parameters"][0] == json.loads(text)["parameters"][1]
    before, after = load_file(PLAIN), load_file(out)
    assert {k: x.shape for k, x in before.items()} == {k: x.shape for k, x in after.items()}
    code, text, _ = mor_command("verify", PLAIN, out, "--json")
    assert code == 0
    assert json.loads(text)["ok"]


def write_lru(path, *, n=6, h=3, dtype=np.float32, prefix="blocks.0.lru.", **changes):
    rng = np.random.default_rng(0)
    layer = {
        "nu_log": rng.uniform(-3, -1, n),
        "theta_log": rng.uniform(-2, 1, n),
        "gamma_log": rng.uniform(-1, 0, n),
        "B_re": rng.standard_normal((n, h)),
        "B_im": rng.standard_normal((n, h)),
        "C_re": rng.standard_normal((h, n)),
        "C_im": rng.standard_normal((h, n)),
        "D": rng.standard_normal(h),
    } | changes
    save_file({f"{prefix}{k}": np.asarray(x, dtype=dtype) for k, x in layer.items()}, path)
    return path


def nan_at(shape, index):
    x = np.ones(shape)
    x[index] = np.nan
    return x


@pytest.mark.slow
def test_everything_that_can_be_wrong_has_its_exit_code_and_no_traceback(mor_command, tmp_path):
    good = write_lru(tmp_path / "good.safetensors")
    existing = tmp_path / "existing.safetensors"
    existing.write_bytes(b"precious")
    mamba = tmp_path / "mamba.safetensors"
    save_file(
        {
            f"layers.0.mixer.{k}": np.zeros((2, 2), np.float32)
            for k in ("A_log", "x_proj.weight", "dt_proj.weight")
        },
        mamba,
    )
    unknown = tmp_path / "unknown.safetensors"
    save_file({"block.nu_log": np.zeros(3, np.float32), "block.other": np.zeros(3, np.float32)}, unknown)
    damaged = tmp_path / "damaged.safetensors"
    damaged.write_bytes(good.read_bytes()[:-9])
    unstable = write_lru(tmp_path / "unstable.safetensors", nu_log=np.full(6, -200.0))
    not_finite = write_lru(tmp_path / "nan.safetensors", B_re=nan_at((6, 3), (2, 1)))
    out = tmp_path / "out.safetensors"
    cases = [
        (("compress", good, out, "--keep", "0"), 3, "keep"),
        (("compress", good, out, "--keep", "1.5"), 3, "keep"),
        (("compress", good, out, "--keep", "nan"), 3, "keep"),
        (("compress", good, out, "--keep", "0.01"), 3, "least is --keep "),
        (("compress", good, out, "--keep", "x"), 2, "--keep"),
        (("compress", good, out), 2, "--keep"),
        (("compress", good, out, "--keep", "0.5", "--ranks", "magic"), 3, "energy, uniform"),
        (("compress", good, existing, "--keep", "0.5"), 5, "exists"),
        (("compress", good, tmp_path / "no" / "out.safetensors", "--keep", "0.5"), 5, "no folder"),
        (("compress", good, tmp_path / "out.txt", "--keep", "0.5"), 5, "safetensors"),
        (("compress", tmp_path / "none.safetensors", out, "--keep", "0.5"), 5, "No such file"),
        (("compress", unstable, out, "--keep", "0.5"), 4, "cannot hold an unstable pole"),
        (("inspect", not_finite), 3, "B_re"),
        (("inspect", mamba), 6, "not linear time-invariant"),
        (("inspect", unknown), 5, "nu_log"),
        (("inspect", damaged), 5, "truncated"),
        (("inspect", good, "--dialect", "s5"), 5, "s5-pytorch"),
        (("nonsense",), 2, "nonsense"),
    ]
    for arguments, expected, message in cases:
        code, printed, err = mor_command(*arguments)
        assert code == expected, (arguments, code, printed, err)
        assert message in err.replace("\n", " "), (arguments, err)
        assert "Traceback" not in err
        assert not out.exists()
    assert existing.read_bytes() == b"precious"
    code, _, _ = mor_command("inspect", unstable)
    assert code == 0


def test_a_file_is_replaced_only_by_force(mor_command, tmp_path):
    good = write_lru(tmp_path / "good.safetensors")
    out = tmp_path / "out.safetensors"
    assert mor_command("compress", good, out, "--keep", "0.5")[0] == 0
    assert mor_command("compress", good, out, "--keep", "0.25")[0] == 5
    assert mor_command("compress", good, out, "--keep", "0.25", "--force")[0] == 0
    assert mor.read_checkpoint(out).layers["blocks.0.lru"].order == 3


def test_a_pickle_with_foreign_code_is_refused_before_anything_runs(mor_command, tmp_path):
    torch = pytest.importorskip("torch")
    trap = tmp_path / "trap"

    class Payload:
        def __reduce__(self):
            import os

            return os.system, (f"touch {trap}",)

    torch.save({"state_dict": {}, "x": Payload()}, tmp_path / "bad.pt")
    code, _, err = mor_command("inspect", tmp_path / "bad.pt")
    assert code == 7
    assert "system" in err
    assert not trap.exists()


@pytest.mark.slow
def test_the_demo(mor_command, tmp_path):
    code, out, _ = mor_command("demo", "--output", tmp_path / "demo", "--json")
    assert code == 0
    found = json.loads(out)
    networks = {network["name"]: network for network in found["networks"]}
    lost = {
        name: network["accuracy"] - next(r["accuracy"] for r in network["compressed"] if r["removed"] == 0.8)
        for name, network in networks.items()
    }
    assert lost["regularised"] <= 0.01
    assert lost["plain"] >= 0.05
    for network in networks.values():
        for row in network["compressed"]:
            assert row["states"] <= (1 - row["removed"]) * network["states"] + 1e-9
    assert (tmp_path / "demo" / "demo.png").read_bytes().startswith(b"\x89PNG")


def test_the_demo_says_what_it_replaces(mor_command):
    code, out, _ = mor_command("demo", "--help")
    assert code == 0
    assert "earlier run" in " ".join(out.split())


@pytest.mark.slow
def test_the_installed_command_and_its_help():
    done = subprocess.run(
        [sys.executable, "-m", "mor.cli", "--help"], capture_output=True, text=True, check=True
    )
    for command in ("inspect", "plan", "compress", "verify", "demo"):
        assert command in done.stdout
