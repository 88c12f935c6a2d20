"""Poles of object type made B and C real, with a ComplexWarning at most."""

import numpy as np
import pytest

import mor
from mor.errors import NotNumbersError

POLES, B, C = np.array([-1.0], dtype=object), np.array([[1 + 1j]]), np.array([[1 + 0j]])


@pytest.mark.parametrize(
    "make",
    [
        lambda: mor.Modal(POLES, B, C),
        lambda: mor.Modal(np.array([-1.0]), B.astype(object), C),
        lambda: mor.LTI(POLES[:, None], B, C),
        lambda: mor.BlockDiagonal(POLES[:, None, None], np.ones((1, 1)), np.ones((1, 1))),
        lambda: mor.lyapunov_factor(POLES[:, None], B),
        lambda: mor.Modal(["a"], B, C),
        lambda: mor.Modal([[-1.0], [-1.0, -2.0]], B, C),
        lambda: mor.BlockDiagonal([[[-1.0], [1.0, 2.0]]], np.ones((1, 1)), np.ones((1, 1))),
    ],
)
def test_what_is_no_array_of_numbers_is_refused(make):
    with pytest.raises(NotNumbersError) as caught:
        make()
    assert isinstance(caught.value, TypeError)
    assert caught.value.argument in ("poles", "A", "B", "blocks")


def test_lists_beside_tensors_take_their_precision():
    torch = pytest.importorskip("torch")
    sys = mor.Modal(torch.tensor([-1.0]), [[1.0]], [[2.0]])
    assert sys.B.dtype == sys.C.dtype == torch.float32
    # A NumPy array has a precision of its own.
    assert mor.Modal(torch.tensor([-1.0]), np.ones((1, 1)), np.ones((1, 1))).B.dtype == torch.float64
