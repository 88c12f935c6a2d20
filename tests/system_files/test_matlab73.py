"""MATLAB's files of version 7.3, in the layout MATLAB gives them."""

import sys

import numpy as np
import pytest
import scipy.sparse

import mor
from mor.errors import MissingDependencyError, SystemFileError
from tests.fuzz.seeds import matlab73

h5py = pytest.importorskip("h5py")

A = np.array([[-1.0, 2.0, 0.0], [0.0, -3.0, 0.5], [0.0, 0.0, -4.0]])
B, C = np.arange(6.0).reshape(3, 2), np.arange(3.0)[None, :]


@pytest.mark.parametrize("compress", [False, True])
def test_arrays_are_transposed_back(tmp_path, compress):
    matlab73({"A": A, "B": B, "C": C, "Ts": 0.25, "text": "extra"}, tmp_path / "m.mat", compress=compress)
    sys = mor.load(tmp_path / "m.mat")
    for name, x in {"A": A, "B": B, "C": C, "D": np.zeros((1, 2))}.items():
        np.testing.assert_array_equal(getattr(sys, name), x)
    assert sys.dt == 0.25


def test_everything_else_that_matlab_writes(tmp_path):
    path = tmp_path / "m.mat"
    names = {"InputName": ["Kraft ü", "torque"], "OutputName": ["angle"], "Name": "arm"}
    matlab73(
        {
            "a": scipy.sparse.csc_array(A),
            "B": B.astype("f4"),
            "c": C + 1j,
            "D": np.zeros((0, 0)),
            "E": scipy.sparse.eye_array(3, format="csc") * 2,
            "notes": {"A": "no matrix of the system"},
            "flag": np.array([[True]]),
            **names,
        },
        path,
    )
    sys = mor.load(path)
    np.testing.assert_array_equal(sys.A, A)
    np.testing.assert_array_equal(sys.C, C + 1j)
    np.testing.assert_array_equal(sys.E, 2 * np.eye(3))
    assert sys.labels == mor.Labels(inputs=["Kraft ü", "torque"], outputs=["angle"], name="arm")
    # A sparse matrix of zeros has neither entries nor rows in the file.
    matlab73({"A": A, "B": B, "C": scipy.sparse.csc_array((1, 3)), "Ts": -1}, path)
    sys = mor.load(path)
    np.testing.assert_array_equal(sys.C, np.zeros((1, 3)))
    assert sys.dt == 1.0
    matlab73(
        {"A": np.zeros((0, 0)), "B": np.zeros((0, 2)), "C": np.zeros((1, 0)), "D": np.ones((1, 2))}, path
    )
    assert mor.load(path).order == 0


def test_the_one_struct_with_a_system(tmp_path):
    path, system = tmp_path / "m.mat", {"A": A, "B": B, "C": C, "InputName": ["a", "b"]}
    matlab73({"plant": system, "notes": {"text": "x"}}, path)
    sys = mor.load(path)
    np.testing.assert_array_equal(sys.A, A)
    assert sys.labels.inputs == ("a", "b")
    matlab73({"plant": system, "rom": system}, path)
    with pytest.raises(SystemFileError, match="2 structs hold a system: plant, rom"):
        mor.load(path)
    matlab73({"Ar": A, "text": "x"}, path)
    with pytest.raises(SystemFileError, match=r"there is Ar \(double\), text \(char\)"):
        mor.load(path)


def test_nothing_is_taken_from_elsewhere(tmp_path):
    """Links, data of other files, filters, and arrays that may be transposed: a wrong guess looks right."""
    path, other = tmp_path / "m.mat", tmp_path / "other.mat"
    matlab73({"A": A, "B": B, "C": C}, other)

    def spoilt(change):
        matlab73({"B": B, "C": C}, path)
        with h5py.File(path, "r+") as file:
            change(file)
            if "A" in file and file.get("A", getlink=True).__class__ is h5py.HardLink:
                file["A"].attrs["MATLAB_class"] = np.bytes_("double")

    def external(file):
        file.create_dataset("A", shape=(3, 3), dtype="f8", external=[(str(other), 0, 72)])

    def virtual(file):
        layout = h5py.VirtualLayout((3, 3), dtype="f8")
        layout[:] = h5py.VirtualSource(str(other), "A", (3, 3))
        file.create_virtual_dataset("A", layout)

    def linked(file):
        file["A"] = h5py.ExternalLink(str(other), "A")

    def filtered(file):
        file.create_dataset("A", data=A, chunks=(3, 3), compression="lzf")

    for change, message in (
        (external, "outside of the file"),
        (virtual, "outside of the file"),
        (linked, "a link to another place"),
        (filtered, "filters"),
    ):
        spoilt(change)
        with pytest.raises(SystemFileError, match=message):
            mor.load(path)
    with h5py.File(path, "w") as file:
        for name, x in {"A": A, "B": B, "C": C}.items():
            file[name] = x
    with pytest.raises(SystemFileError, match="no MATLAB_class"):
        mor.load(path)


def test_sizes_and_indices_are_checked_before_use(tmp_path):
    path = tmp_path / "m.mat"
    matlab73({"B": B, "C": C}, path)
    with h5py.File(path, "r+") as file:
        made = file.create_dataset("A", shape=(100_000, 100_000), chunks=(1000, 1000), dtype="f8")
        made.attrs["MATLAB_class"] = np.bytes_("double")
    with pytest.raises(SystemFileError, match="A would take 80,000,000,000 bytes"):
        mor.load(path)
    for index in (7, 2**40, 2**64 - 1):
        matlab73({"A": scipy.sparse.csc_array(A), "B": B, "C": C}, path)
        with h5py.File(path, "r+") as file:
            file["A/ir"][1] = np.uint64(index)
        with pytest.raises(mor.MorError, match="sparse matrix"):
            mor.load(path)


def test_damaged(tmp_path):
    path = tmp_path / "m.mat"
    matlab73({"A": A, "B": B, "C": C}, path)
    whole = path.read_bytes()
    for data in (whole[:600], whole[:2000], whole[:512] + bytes(len(whole) - 512)):
        path.write_bytes(data)
        with pytest.raises(SystemFileError, match=r"not a readable \.mat file"):
            mor.load(path)


def test_without_the_package(tmp_path, monkeypatch):
    path = tmp_path / "m.mat"
    matlab73({"A": A, "B": B, "C": C}, path)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingDependencyError, match=r"version 7\.3.*pip install h5py.*-v7"):
        mor.load(path)
