"""Systems in files: everything comes back to the last bit, and bad files are named."""

import gzip
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import scipy.io
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

import mor
from mor.errors import DimensionError, NotFiniteError, SystemFileError, TimeStepError
from mor.testing import block_systems, lti_systems, modal_systems

ENDINGS = (".mat", ".npz", ".mtx")
A, B, C = -np.diag([1.0, 2.0]), np.ones((2, 1)), np.ones((1, 2))


def assert_same(a, b):
    assert type(a) is type(b)
    for name in ("A", "poles", "blocks", "B", "C", "D", "E"):
        if name in type(a).__dataclass_fields__ and getattr(a, name) is not None:
            x, y = getattr(a, name), getattr(b, name)
            assert (x.shape, x.dtype) == (y.shape, y.dtype)
            np.testing.assert_array_equal(x, y)
    assert getattr(a, "E", None) is not None or getattr(b, "E", None) is None
    assert (a.dt, a.labels) == (b.dt, b.labels)


@settings(max_examples=25)
@given(st.one_of(lti_systems(), modal_systems(), block_systems()), st.sampled_from(ENDINGS))
def test_round_trip_is_exact(sys, ending):
    if sys.batch_shape and ending == ".mtx":
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"model{ending}"
        mor.save(path, sys)
        assert_same(sys, mor.load(path))


@pytest.mark.parametrize("ending", ENDINGS)
def test_round_trip_of_corners(tmp_path, ending):
    rng = np.random.default_rng(0)
    names = mor.Labels(inputs=["Kraft ü"], outputs=["angle"], name="arm", states=["", "x2"])
    single = [x.astype(np.float32) for x in (rng.standard_normal((2, 2)), B, C)]
    one = np.ones((1, 1), np.complex64)
    systems = [
        mor.LTI(A / 3, B, C, E=rng.standard_normal((2, 2)), dt=0.1, labels=names),
        mor.LTI(*single, labels=mor.Labels(name="single")),
        mor.LTI(np.zeros((0, 0)), np.zeros((0, 2)), np.zeros((1, 0)), np.ones((1, 2))),
        mor.LTI(A, np.zeros((2, 0)), C),
        mor.LTI(5e-324 * A, 1e308 * B, C),
        mor.Modal(np.array([0.5 + 0.1j], np.complex64), one, one, dt=1.0),
        mor.BlockDiagonal(np.ones((3, 1, 1)), np.ones((3, 2)), np.ones((1, 3))),
    ]
    for i, sys in enumerate(systems):
        mor.save(tmp_path / f"s{i}{ending}", sys)
        assert_same(sys, mor.load(tmp_path / f"s{i}{ending}"))


def test_batches(tmp_path):
    batch = mor.Modal(-np.ones((2, 3)), np.ones((2, 3, 1)), np.ones((2, 1, 3)))
    for ending in (".mat", ".npz"):
        mor.save(tmp_path / f"b{ending}", batch)
        assert_same(batch, mor.load(tmp_path / f"b{ending}"))
    with pytest.raises(SystemFileError, match="batch"):
        mor.save(tmp_path / "b.mtx", batch)


def test_mat_in_every_dress(tmp_path):
    path = tmp_path / "m.mat"
    plain = mor.LTI(A, B, C)
    for stored in (
        {"A": scipy.sparse.csc_array(A), "B": scipy.sparse.csc_array(B), "C": C, "hsv": B, "text": "extra"},
        {"a": A, "b": B, "c": C.astype(np.uint8), "d": np.zeros((0, 0)), "e": np.zeros((0, 0))},
        {"A": A + 0j, "B": B, "C": C, "D": 0.0, "a": 3.0},
        {"sys": {"A": A, "B": B, "C": C}, "other": {"x": 1.0}},
    ):
        scipy.io.savemat(path, stored)
        assert_same(plain, mor.load(path))
    scipy.io.savemat(path, {"A": A, "B": B, "C": C, "Ts": 0.25, "E": 2 * np.eye(2), "D": [[7.0]]})
    found = mor.load(path)
    assert (found.dt, found.D[0, 0], found.E[0, 0]) == (0.25, 7.0, 2.0)
    assert mor.load(path, dt=0.25).dt == 0.25
    scipy.io.savemat(path, {"A": A, "B": B, "C": C, "Ts": -1})
    assert mor.load(path).dt == 1.0


def test_two_structs_with_a_system_are_not_chosen_between(tmp_path):
    path = tmp_path / "m.mat"
    one = {"A": A, "B": B, "C": C}
    scipy.io.savemat(path, {"plant": one, "rom": one, "notes": {"text": "x"}})
    with pytest.raises(SystemFileError, match=r"2 structs hold a system: plant, rom\.") as caught:
        mor.load(path)
    # The way out that the message names.
    way = 's = scipy.io.loadmat(path)["plant"][0, 0], then mor.LTI(s["A"], s["B"], s["C"])'
    assert way in str(caught.value)
    s = scipy.io.loadmat(path)["plant"][0, 0]
    assert_same(mor.LTI(s["A"], s["B"], s["C"]), mor.LTI(A, B, C))
    scipy.io.savemat(path, {"Ar": A, "Br": B, "Cr": C})
    with pytest.raises(SystemFileError, match=r"there is Ar \(double\).*scipy\.io\.loadmat.*mor\.LTI"):
        mor.load(path)


def test_matrix_market_sets(tmp_path):
    full = mor.LTI(A, B, C, E=2 * np.eye(2))
    for matrix, x in {"A": A, "B": B, "C": C, "E": 2 * np.eye(2)}.items():
        with (tmp_path / f"rail.{matrix}").open("wb") as file:
            scipy.io.mmwrite(file, scipy.sparse.coo_array(x))
    for path in (tmp_path, tmp_path / "rail", tmp_path / "rail.A", str(tmp_path / "rail.mtx")):
        assert_same(full, mor.load(path))
    with pytest.raises(SystemFileError, match="same set"):
        mor.save(tmp_path / "rail.mtx", full, overwrite=True)
    other = tmp_path / "other"
    other.mkdir()
    for matrix, x in {"A": A, "B": B, "C": C}.items():
        with gzip.open(other / f"{matrix}.mtx.gz", "wb") as file:
            scipy.io.mmwrite(file, x)
    assert_same(mor.LTI(A, B, C), mor.load(other))
    mor.save(tmp_path / "rom.mtx", full)
    with pytest.raises(SystemFileError, match="more than one"):
        mor.load(tmp_path)


def test_overwriting_leaves_nothing_of_the_old_set(tmp_path):
    path = tmp_path / "rom.mtx"
    mor.save(path, mor.LTI(A, B, C, E=2 * np.eye(2)))
    mor.save(path, mor.LTI(A, B, C), overwrite=True)
    assert mor.load(path).E is None
    mor.save(path, mor.Modal(np.array([-1.0]), np.ones((1, 1)), np.ones((1, 1))), overwrite=True)
    assert isinstance(mor.load(path), mor.Modal)


@pytest.mark.parametrize("ending", ENDINGS)
def test_files_are_replaced_only_on_request(tmp_path, ending):
    path = tmp_path / f"m{ending}"
    mor.save(path, (A, B, C))
    with pytest.raises(SystemFileError, match="exists"):
        mor.save(path, (2 * A, B, C))
    assert_same(mor.load(path), mor.LTI(A, B, C))
    mor.save(path, (2 * A, B, C), overwrite=True)
    assert_same(mor.load(path), mor.LTI(2 * A, B, C))


def test_single_precision_is_written_where_nothing_is_lost(tmp_path):
    single = [x.astype(np.float32) for x in (A, B, C)]
    mor.save(tmp_path / "s.npz", single and tuple(single))
    with np.load(tmp_path / "s.npz") as stored:
        assert stored["A"].dtype == np.float32
    rom = mor.balanced_truncation(tuple(single), order=1)
    mor.save(tmp_path / "r.npz", rom)
    np.testing.assert_array_equal(mor.load(tmp_path / "r.npz").A, rom.system.A)


@pytest.mark.parametrize(
    ("stored", "error", "message"),
    [
        ({"B": B, "C": C}, SystemFileError, "no matrix A"),
        ({"A": A, "C": C}, SystemFileError, "no B"),
        ({"A": A, "B": B}, SystemFileError, "no C"),
        ({"A": A, "B": B.T, "C": C}, DimensionError, "B has shape"),
        ({"A": A[:1], "B": B, "C": C}, DimensionError, "A has shape"),
        ({"A": np.nan * A, "B": B, "C": C}, NotFiniteError, "A has"),
        ({"A": "text", "B": B, "C": C}, SystemFileError, "not a matrix of numbers"),
        ({"A": A, "B": B, "C": C, "Ts": [1.0, 2.0]}, TimeStepError, "Ts"),
        ({"A": A, "B": B, "C": C, "dt": -0.5}, TimeStepError, "dt"),
        ({"A": A, "B": B, "C": C, "InputName": np.array(["a", "b"])}, DimensionError, "inputs"),
        ({"poles": np.ones(2), "B": B, "C": C, "E": A}, SystemFileError, "E beside"),
    ],
)
@pytest.mark.parametrize("ending", [".mat", ".npz"])
def test_bad_contents(tmp_path, ending, stored, error, message):
    path = tmp_path / f"bad{ending}"
    scipy.io.savemat(path, stored) if ending == ".mat" else np.savez(path, **stored)
    with pytest.raises(error, match=message) as caught:
        mor.load(path)
    assert str(path) in str(caught.value)


def test_large_sparse_matrices_are_refused_before_they_are_dense(tmp_path):
    large = scipy.sparse.eye_array(6000, format="csc")
    scipy.io.savemat(tmp_path / "m.mat", {"A": -large, "B": np.ones((6000, 1)), "C": np.ones((1, 6000))})
    scipy.io.mmwrite(tmp_path / "m.A.mtx", -large)
    for name in ("m.mat", "m.mtx"):
        with pytest.raises(DimensionError, match="5000"):
            mor.load(tmp_path / name)


def test_files_that_are_none(tmp_path):
    scipy.io.savemat(tmp_path / "good.mat", {"A": A, "B": B, "C": C})
    whole = (tmp_path / "good.mat").read_bytes()
    contents = {
        "empty.mat": b"",
        "text.mat": b"hello",
        "cut.mat": whole[:200],
        "empty.npz": b"",
        "text.npz": b"hello",
        "x.A.mtx": b"hello",
        "y.A.mtx": b"%%MatrixMarket matrix array real general\n2 2\n1\n2\n",
        "system.txt": b"1 2",
    }
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(SystemFileError, match=name.split(".")[0]):
            mor.load(tmp_path / name)
    (tmp_path / "nothing").mkdir()
    np.savez(tmp_path / "pickle.npz", A=np.array([object()]), B=B, C=C)
    for name in ("none.mat", "none", "nothing", "no/where.mat", "pickle.npz", "nul\0"):
        with pytest.raises(SystemFileError):
            mor.load(tmp_path / name)
    for name in ("rom.txt", "rom", "no/where.mat", "nothing", ""):
        with pytest.raises(SystemFileError):
            mor.save(tmp_path / name, (A, B, C))


@pytest.mark.parametrize(
    ("name", "shape"), [("CDplayer", (120, 2, 2)), ("iss", (270, 3, 3)), ("building", (48, 1, 1))]
)
def test_benchmark_files(data_dir, tmp_path, name, shape):
    sys = mor.load(data_dir / "mor" / f"{name}.mat")
    assert (sys.order, sys.n_inputs, sys.n_outputs) == shape
    data = scipy.io.loadmat(data_dir / "mor" / f"{name}.mat")
    sample = slice(0, None, 40)
    gains = np.abs(mor.freqresp(sys, np.ravel(data["w"])[sample])).reshape(-1, shape[1] * shape[2])
    stored = data["mag"][sample]
    # Columns of `mag` go through the entries of G in one order or the other.
    both = gains, gains.reshape(-1, shape[2], shape[1]).mT.reshape(gains.shape)
    error = min(np.max(np.abs(x - stored)) for x in both)
    assert error < 1e-8 * np.max(stored)
    for ending in ENDINGS:
        mor.save(tmp_path / f"m{ending}", sys)
        assert_same(sys, mor.load(tmp_path / f"m{ending}"))


def test_benchmark_with_sparse_E(data_dir):
    sys = mor.load(data_dir / "mor" / "rail_1357.mat")
    assert (sys.order, sys.n_inputs, sys.n_outputs) == (1357, 7, 6)
    np.testing.assert_array_equal(sys.E, sys.E.T)
    with pytest.raises(SystemFileError, match="no matrix A"):
        mor.load(data_dir / "mor" / "mmess_rail_371.mat")


@pytest.mark.parametrize("name", ["plant_c", "E", "x.A", "A"])
def test_a_prefix_may_end_like_a_file_of_a_set(name, tmp_path):
    sys = mor.as_system(([[-1.0]], [[2.0]], [[3.0]]))
    mor.save(tmp_path / f"{name}.mtx", sys)
    for path in (f"{name}.mtx", f"{name}.A.mtx", name):
        assert mor.load(tmp_path / path).to_lti().B == 2.0
