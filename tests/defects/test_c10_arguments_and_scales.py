"""Small things: D = 0 as a number, static systems, E far from 1, and limits that held for files only."""

import warnings

import numpy as np
import pytest
import scipy.sparse

import mor
from mor.equations import sparse as sparse_matrices
from mor.errors import ArgumentError, ArgumentTypeError, DimensionError, NotFiniteError, ReductionError

A, B, C = np.array([[-1.0, 1.0], [0.0, -2.0]]), np.ones((2, 1)), np.array([[1.0, 0.0]])


@pytest.mark.parametrize("zero", [0, 0.0, np.float32(0), np.array(0), False])
def test_d_equal_to_zero_as_a_number(zero):
    poles, ones = np.array([-1.0]), np.ones((1, 1))
    systems = [
        mor.LTI(A, B, C, zero),
        mor.as_system((A, B, C, zero)),
        mor.Modal(poles, ones, ones, zero),
        mor.BlockDiagonal(poles[:, None, None], ones, ones, zero),
    ]
    for sys in systems:
        np.testing.assert_array_equal(sys.D, [[0.0]])


def test_other_numbers_are_no_d():
    for D in (1.0, np.nan, "0"):
        with pytest.raises(DimensionError, match="D"):
            mor.LTI(A, B, C, D)


def test_static_systems_have_nothing_to_reduce():
    static = mor.LTI(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)), [[2.0]])
    for reduce in (mor.tsia, mor.irka, mor.h2_optimal):
        with pytest.raises(ReductionError, match="no states: there is nothing to reduce"):
            reduce(static, 1)
    assert mor.balanced_truncation(static, 0).order == 0


@pytest.mark.parametrize("dt", ["0.1", [0.1], np.array([0.1]), None, 1j])
def test_time_steps_that_are_no_numbers(dt):
    with pytest.raises(ArgumentTypeError, match="dt must be a number"):
        mor.LTI(A, B, C, dt=dt)


def test_frequencies_that_are_not_finite():
    for sys in (mor.LTI(A, B, C), mor.Modal(np.array([-1.0]), np.ones((1, 1)), np.ones((1, 1)))):
        for omega in ([np.nan], np.inf, [1.0, np.nan]):
            with pytest.raises(NotFiniteError, match="omega"):
                mor.freqresp(sys, omega)
        with pytest.raises(NotFiniteError, match="s has"):
            sys.evaluate([np.nan])


def test_masked_arrays_keep_their_meaning():
    masked, whole = np.ma.array(B, mask=[[False], [True]]), np.ma.array(B)
    for make in (
        lambda x: mor.LTI(A, x, C),
        lambda x: mor.Modal(np.array([-1.0, -2.0]), x, C),
        lambda x: mor.BlockDiagonal(A[None], x, C),
        lambda x: mor.lyapunov_factor(A, x),
        lambda x: mor.solve_sylvester(A, -np.eye(1), x),
        lambda x: mor.simulate(mor.LTI(A, B, C), x, [0.0, 1.0]),
    ):
        make(whole)
        with pytest.raises(ArgumentError, match="masked"):
            make(masked)
    assert type(mor.LTI(A, whole, C).B) is np.ndarray


def test_sparse_data_have_one_limit_however_they_come(monkeypatch):
    monkeypatch.setattr(sparse_matrices, "MAX_DENSE_ORDER", 10)
    sparse = scipy.sparse.csc_array(-np.eye(20))
    B, C = np.ones((20, 1)), np.ones((1, 20))
    for make in (lambda: mor.as_system((sparse, B, C)), lambda: mor.LTI(sparse, B, C)):
        with pytest.raises(DimensionError, match="A is sparse and of size 20"):
            make()
    with pytest.raises(DimensionError, match="A is sparse"):
        mor.solve_lyapunov(sparse, np.eye(20))
    assert mor.LTI(sparse.toarray(), B, C).order == 20


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e200, 1e300])
def test_e_far_from_one(size):
    expected = mor.LTI(A, B, C)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sys = mor.LTI(size * A, size * B, C, E=size * np.eye(2))
        np.testing.assert_allclose(sys.poles, expected.poles, rtol=1e-12)
        np.testing.assert_allclose(sys.evaluate(1j), expected.evaluate(1j), rtol=1e-12)
        np.testing.assert_allclose(
            mor.hankel_singular_values(sys), mor.hankel_singular_values(expected), rtol=1e-10
        )
        rom = mor.balanced_truncation(sys, 1, match="dc")
    np.testing.assert_allclose(rom.system.evaluate(0), expected.evaluate(0), rtol=1e-10)


def test_the_first_example_for_users_of_scipy_prints_no_warning():
    import scipy.signal

    sys = scipy.signal.TransferFunction([1.0], [1.0, 0.2, 1.0])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rom = mor.balanced_truncation(sys, order=1)
        np.testing.assert_allclose(np.linalg.eigvals(mor.to_scipy(rom).A), rom.system.poles)
