"""Data far from 1 came to silent zeros and NaN: Gramians hold squares of B and C, gradients their cubes."""

import warnings

import numpy as np
import pytest

import mor
from mor.analysis.nuclear_norm import nuclear_norm_gradient
from mor.errors import NotFiniteError

#: Powers of two: what is scaled by them has the same digits.
SIZES = pytest.mark.parametrize(
    ("b", "c"), [(500, 0), (-560, 0), (0, -560), (-300, -300), (520, -900), (-400, 1000)]
)


@pytest.fixture(autouse=True)
def _no_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def modal(b, c):
    rng = np.random.default_rng(1)
    poles = np.array([-0.1 + 1j, -0.5 + 2j, -3 + 0j])
    B, C = rng.standard_normal((3, 2)) + 0j, rng.standard_normal((2, 3)) + 0j
    return mor.Modal(poles, B * 2.0**b, C * 2.0**c)


def blocks(b, c):
    rng = np.random.default_rng(2)
    A = np.array([[[-0.1, 1.0], [-1.0, -0.1]], [[-2.0, 1.0], [0.0, -1.0]]])
    return mor.BlockDiagonal(A, rng.standard_normal((4, 1)) * 2.0**b, rng.standard_normal((1, 4)) * 2.0**c)


def dense(b, c):
    rng = np.random.default_rng(3)
    A = rng.standard_normal((6, 6)) - 5 * np.eye(6)
    return mor.LTI(A, rng.standard_normal((6, 2)) * 2.0**b, rng.standard_normal((1, 6)) * 2.0**c)


def quadratic(b, c):
    """With the outputs 2^(b + c) times those of ``quadratic(0, 0)``."""
    rng = np.random.default_rng(4)
    A = rng.standard_normal((4, 4)) - 4 * np.eye(4)
    linear = mor.LTI(A, rng.standard_normal((4, 1)) * 2.0**b, rng.standard_normal((1, 4)) * 2.0**c)
    return mor.LQO(linear, rng.standard_normal((1, 4, 4)) * 2.0 ** (c - b))


KINDS = pytest.mark.parametrize("make", [modal, blocks, dense, quadratic])


@pytest.mark.slow
@KINDS
@SIZES
def test_values_and_norms(make, b, c):
    if make is quadratic and abs(c - b) > 1000:
        pytest.skip("the forms themselves cannot be represented")
    one, sys = make(0, 0), make(b, c)
    np.testing.assert_array_equal(
        mor.hankel_singular_values(sys), mor.hankel_singular_values(one) * 2.0 ** (b + c)
    )
    # Powers of two change no digit, but a factor may be had another way.
    np.testing.assert_allclose(mor.h2_norm(sys), mor.h2_norm(one) * 2.0 ** (b + c), rtol=1e-13)
    np.testing.assert_allclose(
        mor.h2_norm(sys, horizon=2.0), mor.h2_norm(one, horizon=2.0) * 2.0 ** (b + c), rtol=1e-13
    )


@pytest.mark.slow
@KINDS
@SIZES
def test_balanced_truncation(make, b, c):
    if make is quadratic and abs(c - b) > 1000:
        pytest.skip("the forms themselves cannot be represented")
    one, rom = (mor.balanced_truncation(sys, order=2) for sys in (make(0, 0), make(b, c)))
    assert rom.order == one.order == 2
    if one.error_bound is not None:
        np.testing.assert_allclose(rom.error_bound, one.error_bound * 2.0 ** (b + c), rtol=1e-13)
        s = np.array([0.0, 1j, 3j])
        got, expected = rom.system.evaluate(s), one.system.evaluate(s)
        np.testing.assert_allclose(got * 2.0 ** -(b + c), expected, rtol=1e-10, atol=1e-12)
    # Its Gramians are those of a balanced system, whatever the units.
    if make is dense and abs(b + c) < 500:
        P, Q = mor.gramians(rom)
        scale = rom.hsv[0]
        np.testing.assert_allclose(P / scale, np.diag(rom.hsv[:2] / scale), atol=1e-12)
        np.testing.assert_allclose(Q / scale, np.diag(rom.hsv[:2] / scale), atol=1e-12)


@pytest.mark.slow
@pytest.mark.parametrize("make", [modal, dense])
@SIZES
def test_modal_truncation_and_minimal_realisation(make, b, c):
    one, rom = (mor.modal_truncation(make(*size), order=2) for size in ((0, 0), (b, c)))
    np.testing.assert_allclose(rom.error_bound, one.error_bound * 2.0 ** (b + c), rtol=1e-12)
    assert mor.minimal_realization(make(b, c)).order == make(0, 0).order


@SIZES
def test_the_gradient_of_the_nuclear_norm(b, c):
    value, slopes = nuclear_norm_gradient(modal(0, 0))
    got, scaled = nuclear_norm_gradient(modal(b, c))
    np.testing.assert_array_equal(got, value * 2.0 ** (b + c))
    np.testing.assert_array_equal(scaled["poles"], slopes["poles"] * 2.0 ** (b + c))
    np.testing.assert_array_equal(scaled["B"], slopes["B"] * 2.0**c)
    np.testing.assert_array_equal(scaled["C"], slopes["C"] * 2.0**b)


def test_members_of_a_batch_of_any_size():
    sizes = [(0, 0), (500, 0), (-560, 0), (-300, -300)]
    members = [modal(*size) for size in sizes]
    batch = mor.Modal(*(np.stack([getattr(x, name) for x in members]) for name in ("poles", "B", "C", "D")))
    np.testing.assert_allclose(
        mor.hankel_singular_values(batch), [mor.hankel_singular_values(x) for x in members], rtol=1e-12
    )
    np.testing.assert_allclose(mor.h2_norm(batch), [mor.h2_norm(x) for x in members], rtol=1e-12)
    rom = mor.balanced_truncation(batch, order=2)
    np.testing.assert_allclose(
        rom.hsv, [mor.balanced_truncation(x, order=2).hsv for x in members], rtol=1e-12
    )


def test_results_that_cannot_be_represented_are_refused():
    for sys, way in ((dense(-600, -600), "underflows"), (dense(900, 900), "overflows")):
        for ask in (
            mor.hankel_singular_values,
            mor.h2_norm,
            mor.balanced_truncation,
            mor.hankel_nuclear_norm,
        ):
            with pytest.raises(NotFiniteError, match=way):
                ask(sys)
    with pytest.raises(NotFiniteError, match="underflows"):
        mor.gramians(dense(-600, 0))


def test_a_tiny_system_with_feedthrough():
    sys = mor.LTI([[0.5]], [[1e-170]], [[1e-170]], [[3.0]], dt=1.0)
    with pytest.raises(NotFiniteError, match="underflows"):
        mor.hankel_singular_values(sys)
    larger = mor.LTI([[0.5]], [[1e-100]], [[1e-100]], [[3.0]], dt=1.0)
    assert mor.h2_norm(larger) == 3.0
    assert mor.balanced_truncation(larger, order=0).system.D == 3.0


def test_the_found_cases():
    s = mor.Modal(np.array([-1e-10 + 1j]), np.array([[1e150 + 0j]]), np.ones((1, 1)) + 0j)
    rom = mor.balanced_truncation(s, order=2)
    assert rom.order == 2
    np.testing.assert_allclose(rom.hsv, 1e150 / 4e-10, rtol=1e-6)
    tiny = mor.Modal(np.array([-1.0 + 1j]), np.array([[1e-170 + 0j]]), np.ones((1, 1)) + 0j)
    assert mor.hankel_norm(tiny) > 1e-171
    assert mor.h2_norm(tiny) > 1e-171
    assert 0 < mor.balanced_truncation(tiny, order=1).error_bound < 1e-170


def test_a_horizon_that_never_ends():
    sys = mor.LTI([[-1.0, 1.0], [0.0, -2.0]], [[1.0], [1.0]], [[1.0, 0.0]])
    for system in (sys, mor.Modal.from_lti(sys)):
        rom = mor.balanced_truncation(system, 1, horizon=1e300)
        np.testing.assert_allclose(rom.hsv, mor.hankel_singular_values(sys), rtol=1e-8)


@pytest.mark.parametrize("norm", [1e-81, 1e-170])
def test_h2_norm_where_squares_underflow(norm):
    sys = mor.LTI([[-1.0]], [[norm]], [[norm if norm == 1e-81 else 1.0]])
    expected = norm * (norm if norm == 1e-81 else 1.0) / 2**0.5
    np.testing.assert_allclose(mor.h2_norm(sys), expected, rtol=1e-12)
    assert mor.h2_error(sys, mor.balanced_truncation(sys, 0)) == mor.h2_norm(sys)


@SIZES
def test_zeros_and_ranks_in_any_units(b, c):
    sys = mor.LTI([[-1, 0], [0, -3]], np.array([[1.0], [1]]) * 2.0**b, np.array([[1.0, -2]]) * 2.0**c)
    np.testing.assert_allclose(mor.zeros(sys), [1.0], rtol=1e-12)
    assert mor.normal_rank(sys) == 1


@pytest.mark.slow
@pytest.mark.parametrize("reduce", [mor.tsia, mor.irka, mor.h2_optimal])
@pytest.mark.parametrize("make", [modal, dense])
@SIZES
def test_h2_reduction(make, reduce, b, c):
    sys = make(b, c)
    one, rom = reduce(make(0, 0), 2), reduce(sys, 2)
    assert rom.order == one.order == 2
    np.testing.assert_allclose(
        rom.diagnostics["h2_error"], one.diagnostics["h2_error"] * 2.0 ** (b + c), rtol=1e-6
    )
    np.testing.assert_allclose(mor.h2_error(sys, rom), rom.diagnostics["h2_error"], rtol=1e-10)


@pytest.mark.slow
@pytest.mark.parametrize("make", [modal, dense, blocks])
@SIZES
def test_norms_in_a_band(make, b, c):
    norm = mor.h2_norm(make(0, 0), band=(0.1, 2.0))
    np.testing.assert_allclose(mor.h2_norm(make(b, c), band=(0.1, 2.0)), norm * 2.0 ** (b + c), rtol=1e-9)
    assert mor.h2_error(make(b, c), make(b, c), band=(0.1, 2.0)) <= 1e-12 * norm * 2.0 ** (b + c)
