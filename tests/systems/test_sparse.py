"""Sparse systems do what one sparse factorisation at a time can do, and say clearly what they cannot."""

import copy
import pickle

import numpy as np
import pytest
import scipy.sparse

import mor
from mor.equations.schur import SchurForm
from mor.errors import DimensionError, NotFiniteError, SparseSystemError
from tests.oracles.dense import random_matrix, random_stable

POINTS = np.array([0.3 + 0.2j, 1.5, -2.0j, 1.1 + 1j])


def pair(seed, *, n=9, dt=0.0, is_complex=False, pencil=True):
    """The same system, sparse and dense."""
    rng = np.random.default_rng(seed)
    A = random_stable(rng, n, dt, is_complex) * (rng.uniform(size=(n, n)) < 0.5)
    E = np.eye(n) + 0.2 * random_matrix(rng, is_complex, n, n) if pencil else None
    B, C, D = (random_matrix(rng, is_complex, *shape) for shape in ((n, 2), (3, n), (3, 2)))
    coo, csr, csc = scipy.sparse.coo_array, scipy.sparse.csr_array, scipy.sparse.csc_matrix
    sparse = mor.SparseLTI(coo(A), B, csr(C), D, None if E is None else csc(E), dt=dt)
    return sparse, mor.LTI(A, B, C, D, E, dt=dt)


KINDS = [
    {"dt": dt, "is_complex": is_complex, "pencil": pencil}
    for dt in (0.0, 0.5)
    for is_complex in (False, True)
    for pencil in (False, True)
]


@pytest.mark.parametrize("kind", KINDS)
def test_the_transfer_function_is_that_of_the_dense_system(kind):
    sparse, dense = pair(1, **kind)
    assert sparse.is_real == (not kind["is_complex"])
    for points in (POINTS, POINTS[0], np.tile(POINTS, 5)):
        np.testing.assert_allclose(sparse.evaluate(points), dense.evaluate(points), rtol=1e-11)
    omega = np.array([0.0, 0.7, 3.0])
    np.testing.assert_allclose(mor.freqresp(sparse, omega), mor.freqresp(dense, omega), rtol=1e-11)
    np.testing.assert_allclose(sparse.to_lti().evaluate(POINTS), dense.evaluate(POINTS), rtol=1e-11)
    both, twice = sparse - dense, sparse + sparse
    assert isinstance(twice, mor.SparseLTI)
    np.testing.assert_allclose(both.evaluate(POINTS), 0, atol=1e-11 * np.abs(dense.evaluate(POINTS)).max())
    np.testing.assert_allclose(twice.evaluate(POINTS), 2 * dense.evaluate(POINTS), rtol=1e-11)


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_operator_can_do_agrees_with_the_dense_one(kind):
    sparse, dense = (system.operator for system in pair(2, **kind))
    rng = np.random.default_rng(3)
    Z, W = (random_matrix(rng, kind["is_complex"], 9, 3) for _ in range(2))
    np.testing.assert_allclose(sparse.apply(Z), dense.apply(Z), rtol=1e-10)
    for adjoint in (False, True):
        for a, c in ((-1.0, 0.3), (2.0, 1.0 - 1j), (0.0, 1.0)):
            expected = dense.solve(a, c, Z, adjoint=adjoint)
            np.testing.assert_allclose(sparse.solve(a, c, Z, adjoint=adjoint), expected, rtol=1e-9)
    for x, y in zip(sparse.project(W, Z, Z), dense.project(W, Z, Z), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-9)
    form = SchurForm.of(random_stable(rng, 3, kind["dt"], kind["is_complex"]), None, kind["dt"])
    np.testing.assert_allclose(sparse.cross_solution(form, Z), dense.cross_solution(form, Z), rtol=1e-8)
    if not kind["pencil"]:
        np.testing.assert_allclose(sparse.adjoint().apply(Z), dense.adjoint().apply(Z), rtol=1e-10)
        np.testing.assert_allclose(sparse.apply_absolute(Z), dense.apply_absolute(Z), rtol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_moments_are_taylor_coefficients(kind):
    sparse, dense = pair(4, **kind)
    s, h = 2.0 + 1j, 1e-2
    found = sparse.moments(s, 8)
    assert found.shape == (8, 3, 2)
    np.testing.assert_allclose(found[0], dense.evaluate(s), rtol=1e-11)
    series = sum(m * h**j for j, m in enumerate(found))
    np.testing.assert_allclose(series, dense.evaluate(s + h), rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_projection_interpolates(kind):
    sparse, dense = pair(5, **kind)
    s = 0.9
    V = np.linalg.qr(sparse.operator.solve(-1, s, sparse.B))[0]
    W = np.linalg.qr(sparse.operator.solve(-1, s, sparse.C.conj().T, adjoint=True))[0][:, :2]
    small = sparse.projected(W, V)
    assert small.order == 2
    np.testing.assert_allclose(small.evaluate(s), dense.evaluate(s), rtol=1e-9)
    np.testing.assert_allclose(sparse.projected(V).evaluate(s), dense.evaluate(s), rtol=1e-9)


def test_e_may_be_singular():
    """x' = -x + u, 0 = x - z + u."""
    sys = mor.SparseLTI([[-1.0, 0.0], [1.0, -1.0]], [[1.0], [1.0]], [[0.0, 1.0]], E=np.diag([1.0, 0.0]))
    np.testing.assert_allclose(sys.evaluate(POINTS)[:, 0, 0], 1 + 1 / (POINTS + 1), rtol=1e-14)
    np.testing.assert_allclose(sys.moments(1.0, 3).ravel(), [1.5, -0.25, 0.125], rtol=1e-14)
    np.testing.assert_allclose(sys.projected(np.eye(2)).E, np.diag([1.0, 0.0]))
    with pytest.raises(SparseSystemError, match="E is singular"):
        _ = sys.input_factor_matrix


@pytest.mark.parametrize("pencil", [False, True])
def test_discrete_systems_are_simulated(pencil):
    sparse, dense = pair(6, dt=1.0, pencil=pencil)
    u = np.random.default_rng(0).standard_normal((20, 2))
    np.testing.assert_allclose(mor.simulate(sparse, u), mor.simulate(dense, u), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(sparse.impulse_response(9), dense.impulse_response(9), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(mor.step(sparse, 9), mor.step(dense, 9), rtol=1e-9)


def test_quadratic_outputs_of_a_sparse_system_have_transfer_kernels():
    sparse, dense = pair(7)
    Y, rng = sparse.C[:2], np.random.default_rng(1)
    M = rng.standard_normal((3, 2, 2))
    found, known = (mor.LQO(system, M, (Y, np.zeros((2, 2)))) for system in (sparse, dense))
    for x, y in zip(mor.transfer_kernels(found, POINTS), mor.transfer_kernels(known, POINTS), strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9)


CANNOT = {
    "poles": lambda s: s.poles,
    "is_stable": lambda s: s.is_stable,
    "gramians": mor.gramians,
    "factors": lambda s: s.factors(),
    "norm": mor.h2_norm,
    "norm up to a time": lambda s: mor.h2_norm(s, horizon=1.0),
    "hinf_norm": mor.hinf_norm,
    "hankel_singular_values": mor.hankel_singular_values,
    "balanced_truncation": lambda s: mor.balanced_truncation(s, order=2),
    "tsia": lambda s: mor.tsia(s, 2),
    "step": lambda s: mor.step(s, [0.0, 1.0]),
    "reciprocal": lambda s: s.reciprocal(),
}


@pytest.mark.parametrize("name", CANNOT)
def test_what_needs_dense_matrices_says_so(name):
    sparse, _ = pair(8)
    with pytest.raises(SparseSystemError, match=r"low-rank solvers are not there yet.*sys\.to_lti\(\)"):
        CANNOT[name](sparse)


def test_above_the_dense_limit_nothing_is_made_dense():
    n = 5001
    A = scipy.sparse.diags_array([-2.0, 1.0], offsets=[0, 1], shape=(n, n))
    sys = mor.SparseLTI(A, np.ones((n, 1)), np.ones((1, n)))
    assert repr(sys) == "<SparseLTI order 5001, 10001 entries, 1 inputs, 1 outputs, dt=0>"
    with pytest.raises(SparseSystemError, match=r"sys\.projected"):
        sys.to_lti()
    with pytest.raises(DimensionError, match=r"mor\.SparseLTI"):
        mor.as_system((A, np.ones((n, 1)), np.ones((1, n))))
    assert sys.evaluate(1.0).shape == (1, 1)


def test_bad_data_are_named():
    good = np.diag([-1.0, -2.0])
    with pytest.raises(NotFiniteError, match="A"):
        mor.SparseLTI(np.diag([np.nan, 1.0]), [[1.0], [1.0]], [[1.0, 1.0]])
    with pytest.raises(DimensionError, match="E"):
        mor.SparseLTI(good, [[1.0], [1.0]], [[1.0, 1.0]], E=np.eye(3))
    with pytest.raises(DimensionError, match="B"):
        mor.SparseLTI(good, [1.0, 1.0], [[1.0, 1.0]])
    damaged = scipy.sparse.csc_array(good)
    damaged.indices[1] = 7
    with pytest.raises(DimensionError, match="damaged"):
        mor.SparseLTI(damaged, [[1.0], [1.0]], [[1.0, 1.0]])
    sys = mor.SparseLTI(good, [[1.0], [1.0]], [[1.0, 1.0]])
    for call in (sys.evaluate, lambda s: sys.moments(s, 2)):
        with pytest.raises(NotFiniteError, match="a point is a pole"):
            call(-1.0)
    with pytest.raises(DimensionError, match="V"):
        sys.projected(np.eye(3))


def test_given_matrices_are_not_changed():
    A, E = scipy.sparse.csc_array(np.diag([-1.0, -2.0])), scipy.sparse.csr_array(np.eye(2))
    copies = A.copy(), E.copy()
    sys = mor.SparseLTI(A, [[1.0], [1.0]], [[1.0, 1.0]], E=E)
    sys.evaluate([1.0, 2.0])
    sys.moments(1.0, 2)
    for x, y in zip((A, E), copies, strict=True):
        np.testing.assert_array_equal(x.toarray(), y.toarray())


def test_a_system_that_has_solved_with_E_is_pickled_and_copied():
    sparse, _ = pair(6, dt=1.0)
    expected = sparse.impulse_response(4)
    for again in (pickle.loads(pickle.dumps(sparse)), copy.deepcopy(sparse), copy.copy(sparse)):
        np.testing.assert_array_equal(again.impulse_response(4), expected)


@pytest.mark.parametrize("shapes", [((5, 2), (5, 2)), ((9, 2), (9, 3)), ((9,), (9,))])
def test_projections_by_bases_that_do_not_fit_are_refused(shapes):
    for system in pair(6):
        with pytest.raises(DimensionError, match=r"left|right"):
            system.project(*map(np.ones, shapes))


def test_the_gain_at_dc_of_a_large_system_is_one_factorisation():
    n = 100_000
    A = scipy.sparse.diags_array([-2.0, 1.0], offsets=[0, 1], shape=(n, n))
    B, C = np.eye(n, 2), np.eye(1, n)
    gain = mor.dcgain(mor.SparseLTI(A, B, C))
    np.testing.assert_allclose(gain, [[0.5, 0.25]], rtol=1e-14)
    assert gain.dtype == float
    integrator = mor.SparseLTI(A - scipy.sparse.diags_array(A.diagonal()), B, C)
    with pytest.raises(NotFiniteError, match="a point is a pole"):
        mor.dcgain(integrator)
