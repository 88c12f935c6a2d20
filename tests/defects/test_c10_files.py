"""Small things of files: a time step that was silently overridden, a limit that held in one place only,
a type that was lost, an order that was missed without a word."""

import numpy as np
import pytest
import scipy.io
import scipy.sparse

import mor
from mor.errors import DimensionError, TimeStepError

A, B, C = -np.diag([1.0, 2.0]), np.ones((2, 1)), np.ones((1, 2))


def test_a_time_step_beside_the_file_s_own(mor_command, tmp_path):
    path = tmp_path / "m.mat"
    scipy.io.savemat(path, {"A": A / 4, "B": B, "C": C, "Ts": 0.1})
    arguments = ("reduce", path, tmp_path / "rom.mat", "--order", "1", "--no-plot")
    code, _, err = mor_command(*arguments, "--dt", "0.5")
    assert code == 3
    assert "the file says Ts = 0.1" in err
    assert mor_command(*arguments, "--dt", "0.1")[0] == 0
    assert mor.load(path, dt=0.1).dt == 0.1
    with pytest.raises(TimeStepError, match=r"dt=0\.0 is for files that say none"):
        mor.load(path, dt=0.0)
    for unknown in ({}, {"Ts": -1}, {"Ts": [1.0, 2.0]}):
        scipy.io.savemat(path, {"A": A / 4, "B": B, "C": C, **unknown})
        assert mor.load(path, dt=0.5).dt == 0.5


def test_sparse_systems_have_one_limit(tmp_path):
    large = -scipy.sparse.eye_array(5001, format="csc")
    B, C = np.ones((5001, 1)), np.ones((1, 5001))
    scipy.io.savemat(tmp_path / "m.mat", {"A": large, "B": B, "C": C})
    for use in (
        lambda: mor.load(tmp_path / "m.mat"),
        lambda: mor.LTI(large, B, C),
        lambda: mor.as_system((large, B, C)),
        lambda: mor.solve_lyapunov(large, large),
    ):
        with pytest.raises(DimensionError, match=r"sparse and of size 5001.*up to an order of 5000"):
            use()


@pytest.mark.parametrize("ending", [".mat", ".npz", ".mtx"])
def test_nothing_keeps_its_type(tmp_path, ending):
    sys = mor.Modal(np.zeros(0, complex), np.zeros((0, 2), complex), np.zeros((1, 0), complex), dt=1.0)
    mor.save(tmp_path / f"m{ending}", sys)
    assert mor.load(tmp_path / f"m{ending}").poles.dtype == complex


@pytest.mark.parametrize("D", [0, 0.0, [[0]], np.zeros((0, 0))])
def test_a_scalar_zero_is_no_feedthrough(tmp_path, D):
    two = np.ones((2, 2))
    scipy.io.savemat(tmp_path / "m.mat", {"A": A, "B": two, "C": two, "D": D})
    np.savez(tmp_path / "m.npz", A=A, B=two, C=two, D=D)
    for ending in ("mat", "npz"):
        np.testing.assert_array_equal(mor.load(tmp_path / f"m.{ending}").D, np.zeros((2, 2)))


def test_fewer_states_than_were_asked_for_are_explained(mor_command, tmp_path):
    poles = -np.ones(4) + 1j * np.arange(1, 5)
    sys = mor.Modal(poles, np.arange(1.0, 5)[:, None] + 0j, np.ones((1, 4)) + 0j)
    mor.save(tmp_path / "m.npz", sys)
    arguments = (
        "reduce",
        tmp_path / "m.npz",
        tmp_path / "rom.npz",
        "--method",
        "modal",
        "--no-plot",
        "--force",
    )
    code, out, _ = mor_command(*arguments, "--order", "7")
    assert code == 0
    text = " ".join(out.split())
    assert "8 -> 6" in text
    assert "order 6 in place of 7: a pair of complex modes is not split" in text
    _, out, _ = mor_command(*arguments, "--order", "6")
    assert "in place of" not in out
    assert "in place of 3" in str(mor.modal_truncation(sys, order=3))
