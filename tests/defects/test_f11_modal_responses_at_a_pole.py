"""The response of a Modal at one of its poles was NaN with warnings; an LTI raises."""

import warnings

import numpy as np
import pytest

import mor
from mor.errors import NotFiniteError

ONE = np.ones((1, 1)) + 0j


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_on_the_imaginary_axis():
    dense = mor.LTI([[0.0, 1.0], [-1.0, 0.0]], [[0.0], [1.0]], [[1.0, 0.0]])
    for sys in (mor.Modal(np.array([1j]), ONE, ONE), dense):
        for omega in (1.0, -1.0, [0.5, 1.0]):
            with pytest.raises(NotFiniteError, match="a point is a pole"):
                mor.freqresp(sys, omega)


def test_at_a_point_of_the_plane_and_on_the_circle():
    sys = mor.Modal(np.array([0.5 + 0.25j]), ONE, ONE, dt=1.0)
    for s in (0.5 + 0.25j, 0.5 - 0.25j, [0.0, 0.5 + 0.25j]):
        with pytest.raises(NotFiniteError, match="a point is a pole"):
            sys.evaluate(s)
    with pytest.raises(NotFiniteError, match="a point is a pole"):
        mor.freqresp(mor.Modal(np.array([1.0]), np.ones((1, 1)), np.ones((1, 1)), dt=1.0), 0.0)


@pytest.mark.parametrize("framework", ["numpy", "torch", "array_api_strict"])
def test_a_batch_of_which_one_member_has_the_pole(framework):
    xp = pytest.importorskip(framework)
    arrays = (np.array([[-1.0 + 1j], [1j]]), np.stack([ONE, ONE]), np.stack([ONE, ONE]))
    batch = mor.Modal(*(xp.asarray(x) for x in arrays))
    with pytest.raises(NotFiniteError, match="a point is a pole"):
        mor.freqresp(batch, [0.0, 1.0])
    assert mor.freqresp(batch, [0.0, 0.5]).shape == (2, 2, 1, 1)


def test_a_response_that_overflows():
    sys = mor.Modal(np.array([-1e-300 + 1j]), 1e100 * ONE, ONE)
    with pytest.raises(NotFiniteError):
        mor.freqresp(sys, 1.0)
