"""A sparse matrix was made dense without a look at its indices: SciPy then writes wherever they point.

A .mat file of 408 bytes killed the process, or corrupted its memory and was read as if nothing were.
"""

import subprocess
import sys
import textwrap

import numpy as np
import pytest
import scipy.io
import scipy.sparse

import mor
from mor.errors import DimensionError, SystemFileError

B, C = np.ones((3, 1)), np.ones((1, 3))


def sparse(form="csc"):
    return scipy.sparse.coo_array(([-1.0, -2.0, 0.5], ([0, 1, 2], [0, 1, 0])), shape=(3, 3)).asformat(form)


@pytest.mark.slow
@pytest.mark.parametrize("index", [-5, -1, 3, 5000, 100_000, 2**31 - 1])
def test_an_index_outside_of_the_shape(tmp_path, index):
    A = sparse()
    A.indices[1] = index
    scipy.io.savemat(tmp_path / "bad.mat", {"A": A, "B": B, "C": C})
    code = textwrap.dedent(
        """
        import sys, mor
        try:
            mor.load(sys.argv[1])
        except mor.MorError as error:
            print(type(error).__name__, error)
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "bad.mat"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("DimensionError")
    assert "damaged sparse matrix" in done.stdout


@pytest.mark.parametrize("pointers", [[0, 5, 2, 3], [0, 1, 2, 2**30], [1, 2, 3, 3], [0, -1, 2, 3]])
def test_pointers_that_cut_nothing(tmp_path, pointers):
    A = sparse()
    A.indptr[:] = pointers
    scipy.io.savemat(tmp_path / "bad.mat", {"A": A, "B": B, "C": C})
    with pytest.raises((DimensionError, SystemFileError), match="sparse matrix"):
        mor.load(tmp_path / "bad.mat")
    with pytest.raises(DimensionError, match="sparse matrix"):
        mor.LTI(A, B, C)


@pytest.mark.parametrize("form", ["csc", "csr", "bsr", "coo", "lil"])
def test_a_matrix_given_by_the_user(form):
    A = sparse(form)
    if form == "coo":
        A.coords[0][1] = 77
    elif form == "lil":
        A.rows[1][0] = 77
    else:
        A.indices[1] = 77
    for use in (lambda: mor.balanced_truncation((A, B, C)), lambda: mor.solve_lyapunov(A, np.eye(3))):
        with pytest.raises(DimensionError, match="A is a damaged sparse matrix"):
            use()


@pytest.mark.parametrize("form", ["csc", "csr", "bsr", "coo", "lil", "dok", "dia"])
def test_what_is_right_is_read_and_left_alone(form):
    A = sparse(form)
    before = A.copy()
    np.testing.assert_array_equal(mor.LTI(A, B, C).A, sparse().toarray())
    assert (before != A).nnz == 0
    doubled = scipy.sparse.coo_array(([1.0, 2.0], ([0, 0], [0, 0])), shape=(3, 3))
    assert mor.LTI(doubled, B, C).A[0, 0] == 3.0
    longer = sparse("csr")
    longer = scipy.sparse.csr_array((longer.data, longer.indices, longer.indptr), shape=(3, 3))
    longer.data, longer.indices = np.append(longer.data, 9.0), np.append(longer.indices, 2)
    np.testing.assert_array_equal(mor.LTI(longer, B, C).A, sparse().toarray())
