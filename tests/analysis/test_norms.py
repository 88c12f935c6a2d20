"""Inner products, Hankel norms, and H2 errors that are tiny beside the norms."""

import mpmath
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from hypothesis import strategies as st

import mor
from mor.errors import DimensionError, NotFiniteError, TimeStepError, UnstableSystemError
from mor.testing import block_systems, lti_systems, modal_systems, system_with_hsv


def proper(sys):
    """The system without D, as an LTI."""
    dense = sys.to_lti()
    return mor.LTI(dense.A, dense.B, dense.C, dt=dense.dt)


@st.composite
def pairs(draw):
    """Two systems of any kinds, with the same signals and time."""
    discrete = draw(st.booleans())
    kinds = (
        modal_systems(discrete=discrete, max_modes=5, margin=1e-2),
        block_systems(discrete=discrete),
        lti_systems(discrete=discrete),
    )
    a, b = (draw(st.one_of(*kinds)) for _ in range(2))
    m, p = min(a.n_inputs, b.n_inputs), min(a.n_outputs, b.n_outputs)

    def cut(sys):
        D = sys.D[:p, :m] if discrete else None
        if isinstance(sys, mor.LTI):
            return mor.LTI(sys.A, sys.B[:, :m], sys.C[:p], D, dt=float(discrete))
        if isinstance(sys, mor.Modal):
            return mor.Modal(sys.poles, sys.B[:, :m], sys.C[:p], D, dt=float(discrete))
        return mor.BlockDiagonal(sys.blocks, sys.B[:, :m], sys.C[:p], D, dt=float(discrete))

    return cut(a), cut(b)


@pytest.mark.slow
@given(pairs(), st.sampled_from([None, 3]))
@settings(max_examples=100)
def test_inner_product_by_kronecker_products_and_sums(pair, horizon):
    a, b = pair
    la, lb = a.to_lti(), b.to_lti()
    n, m = la.order, lb.order
    if horizon is None:
        Q = (la.B @ lb.B.T).ravel()
        if a.dt:
            operator = np.eye(n * m) - np.kron(la.A, lb.A)
        else:
            operator = -(np.kron(la.A, np.eye(m)) + np.kron(np.eye(n), lb.A))
        X = np.linalg.solve(operator, Q).reshape(n, m)
    elif a.dt:
        X, left, right = np.zeros((n, m)), la.B, lb.B
        for _ in range(horizon):
            X, left, right = X + left @ right.T, la.A @ left, lb.A @ right
    else:
        nodes, weights = np.polynomial.legendre.leggauss(400)
        t = (nodes + 1) * horizon / 2
        flows = [scipy.linalg.expm(A * t[:, None, None]) for A in (la.A, lb.A)]
        X = np.einsum("t,tij,tkj->ik", weights * horizon / 2, flows[0] @ la.B, flows[1] @ lb.B)
    expected = np.sum((la.C @ X) * lb.C) + (np.sum(a.D * b.D) if a.dt else 0.0)
    scale = float(mor.h2_norm(a, horizon=horizon) * mor.h2_norm(b, horizon=horizon))
    got = float(mor.h2_inner(a, b, horizon=horizon))
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-8 * scale + 1e-14)
    assert abs(got) <= scale * (1 + 1e-9)


@given(pairs(), st.sampled_from([None, 5]))
def test_norm_error_and_inner_product_belong_together(pair, horizon):
    a, b = pair
    norms = [float(mor.h2_norm(x, horizon=horizon)) for x in pair]
    product = float(mor.h2_inner(a, b, horizon=horizon))
    scale = sum(norms) ** 2
    np.testing.assert_allclose(
        product, float(mor.h2_inner(b, a, horizon=horizon)), rtol=0, atol=1e-10 * scale
    )
    np.testing.assert_allclose(float(mor.h2_inner(a, a, horizon=horizon)), norms[0] ** 2, rtol=1e-9)
    error = float(mor.h2_error(a, b, horizon=horizon))
    expected = norms[0] ** 2 + norms[1] ** 2 - 2 * product
    np.testing.assert_allclose(error**2, expected, rtol=0, atol=1e-9 * scale)


def test_inner_products_of_a_batch():
    rng = np.random.default_rng(0)

    def draw(k):
        poles = 0.9 * np.exp(1j * rng.uniform(0, 3, (2, 3, k)))
        B, C = rng.standard_normal((2, 3, k, 2)) + 0j, rng.standard_normal((2, 3, 1, k)) + 0j
        return mor.Modal(poles, B, C, dt=1.0)

    a, b = draw(4), draw(2)
    products = mor.h2_inner(a, b)
    assert products.shape == (2, 3)
    for i in np.ndindex(2, 3):
        np.testing.assert_allclose(products[i], mor.h2_inner(a[i].to_lti(), b[i].to_lti()), rtol=1e-9)


def test_inner_products_on_torch():
    torch = pytest.importorskip("torch")
    poles, B, C = np.array([0.5 + 0.3j, 0.9j]), np.ones((2, 1)) + 0j, np.ones((1, 2)) + 0j
    sys = mor.Modal(*(torch.tensor(x) for x in (poles, B, C)), dt=1.0)
    product = mor.h2_inner(sys, sys)
    assert isinstance(product, torch.Tensor)
    np.testing.assert_allclose(float(product), float(mor.h2_norm(sys)) ** 2, rtol=1e-12)


def exact_norm(terms):
    """H2 norm of a discrete single-input single-output sum of modes, in 50 digits."""
    mpmath.mp.dps = 50
    modes = [tuple(mpmath.mpc(complex(x)) for x in term) for term in terms]
    total = mpmath.mpf(0)
    for pole, b, c in modes:
        for other, d, e in modes:
            total += (c * b * mpmath.conj(e * d) / (1 - pole * mpmath.conj(other))).real / 2
            total += (c * b * e * d / (1 - pole * other)).real / 2
    return float(mpmath.sqrt(total))


@pytest.mark.parametrize("what", [0, 1, 2])
@pytest.mark.parametrize("size", [1e-4, 1e-7, 1e-10])
def test_tiny_errors_are_right(size, what):
    """Down to 1e-10 of the norm, where a difference of squares holds nothing but round-off.

    A factor is right to round-off of the norm, so an error of a share e of it is right to 1e-15/e, and
    a change of B or C costs the square of a condition of about 10.
    """
    rng = np.random.default_rng(int(-np.log10(size)) + 100 * what)
    data = [0.95 * np.exp(1j * rng.uniform(0.1, 3, 6))]
    data += [rng.standard_normal(6) + 1j * rng.standard_normal(6) for _ in range(2)]
    changed = list(data)
    changed[what] = changed[what] * (1 + size * rng.standard_normal(6))
    exact = exact_norm([*zip(*data, strict=True), *((x, y, -z) for x, y, z in zip(*changed, strict=True))])
    a, b = (mor.Modal(x[0], x[1][:, None], x[2][None, :], dt=1.0) for x in (data, changed))
    np.testing.assert_allclose(float(mor.h2_error(a, b)), exact, rtol=1e-13 / size + 1e-12)
    np.testing.assert_allclose(float(mor.h2_error(a.to_lti(), b.to_lti())), exact, rtol=1e-13 / size + 1e-12)


def test_continuous_feedthrough():
    base = ([[-1.0]], [[1.0]], [[1.0]])
    with_D = (*base, [[2.0]])
    assert mor.h2_norm(with_D) == np.inf
    assert mor.h2_error(with_D, base) == np.inf
    np.testing.assert_allclose(mor.h2_error(with_D, ([[-1.0]], [[1.0]], [[0.5]], [[2.0]])), np.sqrt(0.125))
    with pytest.raises(NotFiniteError, match="D != 0"):
        mor.h2_inner(with_D, base)


@given(st.one_of(modal_systems(margin=1e-2), block_systems(), lti_systems()))
def test_hankel_norm_is_the_largest_value(sys):
    assert mor.hankel_norm(sys) == mor.hankel_singular_values(sys)[0]
    assert np.shape(mor.hankel_norm(sys)) == ()


def test_hankel_norms():
    # Rounding A to double precision alone moves the values by its condition, 1e4 or so.
    np.testing.assert_allclose(mor.hankel_norm(system_with_hsv([3, 2, 1e-3], [1, 1, 2])), 3, rtol=1e-10)
    empty = mor.LTI(np.zeros((0, 0)), np.zeros((0, 1)), np.zeros((1, 0)))
    assert float(mor.hankel_norm(empty)) == 0
    batch = mor.Modal(np.full((2, 3), 0.5), np.ones((2, 3, 1)), np.ones((2, 1, 3)), dt=1.0)
    assert mor.hankel_norm(batch).shape == (2,)


def test_bad_input():
    stable, unstable = ([[-1.0]], [[1.0]], [[1.0]]), ([[1.0]], [[1.0]], [[1.0]])
    for pair in ((stable, unstable), (unstable, stable)):
        with pytest.raises(UnstableSystemError):
            mor.h2_inner(*pair)
    assert np.isfinite(mor.h2_inner(unstable, stable, horizon=1.0))
    with pytest.raises(UnstableSystemError):
        mor.hankel_norm(unstable)
    with pytest.raises(DimensionError, match="must agree"):
        mor.h2_inner(stable, ([[-1.0]], [[1.0, 1.0]], [[1.0]]))
    with pytest.raises(TimeStepError, match="must agree"):
        mor.h2_inner(stable, mor.LTI([[0.5]], [[1.0]], [[1.0]], dt=1.0))
    with pytest.raises(NotFiniteError, match="overflows"):
        mor.h2_inner(([[800.0]], [[1.0]], [[1.0]]), stable, horizon=1.0)
