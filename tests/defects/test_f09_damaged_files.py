"""Damaged files ended in exceptions of all kinds, exit code 1, and once in nothing but "Aborted."."""

import gzip
import io
import json

import numpy as np
import pytest
import scipy.io
import scipy.sparse

import mor

MATRIX = "%%MatrixMarket matrix array real general\n"


def market(comment="", sizes="1 1", numbers="-1"):
    return f"{MATRIX}{comment}{sizes}\n{numbers}\n".encode()


def npz(head):
    out = io.BytesIO()
    with np.errstate(all="ignore"):
        np.savez(out, A=-np.eye(2), B=np.ones((2, 1)), C=np.ones((1, 2)))
    data = out.getvalue()
    old = b"'shape': (2, 2), }"
    assert old in data
    return data.replace(old, head.ljust(len(old)))


def damaged():
    packed = gzip.compress(market(), mtime=0)
    flipped = bytearray(packed)
    flipped[12] ^= 0x55
    nested = "[" * 5000
    return {
        "cut.A.mtx.gz": packed[:14],
        "flipped.A.mtx.gz": bytes(flipped),
        "nested.A.mtx": market(f"%mor {nested}\n"),
        "deep.A.mtx": market('%mor {"dt": ' + "[" * 80 + "]" * 80 + "}\n"),
        "matrix.A.mtx": market('%mor {"B": [[1]], "C": [[1]]}\n'),
        "large.A.mtx": market(sizes="100000 100000"),
        "negative.A.mtx": market(sizes="-1 -1"),
        "word.A.mtx": market(numbers="one"),
        "underscore.A.mtx": market(numbers="1_0"),
        "more.A.mtx": market(numbers="1 2"),
        "fewer.A.mtx": market(sizes="2 2"),
        "shape.npz": npz(b"'shape':(10**6,9)}"),
        "long.npz": npz(b"'shape':(99999,9)}"),
        "text.npz": npz(b"'shape': (2, 2"),
        "cut.mat": b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"\x0e\0\0\0\xff\0\0\0",
        "none.mat": b"\0" * 300,
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", damaged())
def test_a_damaged_system(mor_command, tmp_path, name):
    stem = name.split(".")[0]
    for matrix in "BC" if "mtx" in name else "":
        (tmp_path / f"{stem}.{matrix}.mtx").write_bytes(market())
    (tmp_path / name).write_bytes(damaged()[name])
    code, out, err = mor_command("reduce", tmp_path / name, tmp_path / "rom.npz", "--order", "1")
    if name == "matrix.A.mtx":  # Matrices are not taken from comments; the rest is a system.
        assert mor.load(tmp_path / name).B == -1.0
        return
    assert code in (3, 5), err
    assert out == ""
    assert "Aborted" not in err
    assert str(tmp_path / name) in err


def test_names_that_are_none_are_no_names(tmp_path):
    for matrix in "BC":
        (tmp_path / f"m.{matrix}.mtx").write_bytes(market())
    (tmp_path / "m.A.mtx").write_bytes(market('%mor {"Name": 5, "InputName": [1, 2], "dt": 0.5}\n'))
    sys = mor.load(tmp_path / "m.mtx")
    assert (sys.dt, sys.labels) == (0.5, None)


def index(places):
    return json.dumps({"weight_map": places}).encode()


def test_a_damaged_checkpoint(mor_command, tmp_path):
    files = {
        "null.safetensors.index.json": index({"a": "a\0.safetensors"}),
        "half.safetensors.index.json": index({"a": "\ud800.safetensors"}),
        "long.safetensors.index.json": index({"a": "a" * 5000 + ".safetensors"}),
        "nested.safetensors": len(b"[" * 5000).to_bytes(8, "little") + b"[" * 5000,
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        code, _, err = mor_command("inspect", tmp_path / name)
        assert code == 5, (name, err)


def test_a_tensor_of_more_axes_than_numpy_has(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "axes.pt"
    shapes = {"nu_log": (2,), "theta_log": (2,), "gamma_log": (2,), "B_re": (2, 1), "B_im": (2, 1)}
    shapes |= {"C_re": (1, 2), "C_im": (1, 2), "D": (1,)}
    layer = {f"l.{name}": -torch.ones(shape) for name, shape in shapes.items()}
    torch.save(layer | {"mask": torch.ones((1,) * 70)}, path)
    found = mor.read_checkpoint(path)
    assert list(found.layers) == ["l"]
    assert found.source.left_out == ("mask",)


def test_a_layer_without_channels(mor_command, tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "empty.pt"
    kernel = {"C": (0, 4, 2), "log_dt": (0,), "log_A_real": (0, 4), "A_imag": (0, 4)}
    layer = {f"l.kernel.{name}": torch.zeros(shape) for name, shape in kernel.items()}
    torch.save(layer | {"l.D": torch.zeros(0)}, path)
    code, _, err = mor_command("compress", path, tmp_path / "small.pt", "--keep", "0.5")
    assert code == 5
    assert "no channels" in err


def test_the_readers_agree_with_scipy(tmp_path):
    """What is not damaged reads as SciPy reads it, in either version."""
    rng = np.random.default_rng(0)
    A = np.where(rng.random((5, 5)) < 0.5, rng.standard_normal((5, 5)), 0.0)
    contents = {
        "A": scipy.sparse.csc_array(A),
        "B": rng.standard_normal((5, 2)),
        "C": np.arange(10.0).reshape(2, 5),
    }
    for version in "45":
        scipy.io.savemat(tmp_path / "m.mat", contents, format=version)
        sys = mor.load(tmp_path / "m.mat")
        np.testing.assert_array_equal(sys.A, A)
        for name in "BC":
            np.testing.assert_array_equal(getattr(sys, name), contents[name])
    for symmetry in ("general", "symmetric", "skew-symmetric", "hermitian"):
        z = A + 1j * A[::-1]
        z = {"symmetric": z + z.T, "skew-symmetric": z - z.T, "hermitian": z + z.conj().T}.get(symmetry, z)
        for stored in (z, scipy.sparse.coo_array(z)):
            scipy.io.mmwrite(tmp_path / "s.A.mtx", stored, symmetry=symmetry)
            scipy.io.mmwrite(tmp_path / "s.B.mtx", contents["B"])
            scipy.io.mmwrite(tmp_path / "s.C.mtx", contents["C"])
            np.testing.assert_array_equal(mor.load(tmp_path / "s.mtx").A, z)


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["mat", "npz", "mtx.gz"])
def test_no_flipped_bit_becomes_another_number(tmp_path, ending):
    """Compressed files have checksums: what is read is what was written, or an error."""
    rng = np.random.default_rng(0)
    full = mor.LTI(rng.standard_normal((3, 3)), rng.standard_normal((3, 1)), rng.standard_normal((1, 3)))
    path, whole = tmp_path / f"m.{ending}", tmp_path / "m.mtx"
    if ending == "mtx.gz":
        mor.save(whole, full)
        path = tmp_path / "m.A.mtx"
        packed = tmp_path / "m.A.mtx.gz"
        packed.write_bytes(gzip.compress(path.read_bytes(), mtime=0))
        path.unlink()
        path = packed
    else:
        mor.save(path, full)
    data = path.read_bytes()
    for place in range(12, len(data), 7):
        changed = bytearray(data)
        changed[place] ^= 1 << place % 8
        path.write_bytes(changed)
        try:
            found = mor.load(path)
        except mor.MorError:
            continue
        assert found.A.tobytes() == full.A.tobytes(), place
