"""Cases that other libraries get wrong or refuse, as of the versions named; each has a right answer.

The peers are not run, except where a comparison says more than the answer: a later version of theirs
must not fail a test of ours. That inputs are never changed (Slycot does) stands in test_inputs_unchanged.
"""

import itertools
import os
import subprocess
import sys
import tracemalloc
import warnings

import mpmath
import numpy as np
import pytest

import mor
from mor.errors import MorError, SingularEquationError, UnstableSystemError
from mor.testing import system_with_hsv
from tests.oracles.dense import dense_gramian, lyapunov_residual, random_matrix, random_pencil, random_stable

# Backward stable: Schur forms and products leave a few eps times a slow function of n.
RESIDUAL = 2e-14
TIMES = (0.0, 1.0)


WITHOUT_SLYCOT = """
import sys

sys.modules["slycot"] = sys.modules["control"] = None
import numpy as np, mor

for dt in (0.0, 1.0):
    A = np.diag([0.1, 0.5, 0.9]) - (0 if dt else 1) * np.eye(3) + np.diag([0.2, 0.3], 1)
    s = mor.LTI(A, np.ones((3, 1)), np.ones((1, 3)), dt=dt)
    P, Q = mor.gramians(s)
    numbers = [P.sum(), Q.sum(), *mor.hankel_singular_values(s), mor.h2_norm(s), mor.hinf_norm(s)]
    numbers += [mor.hankel_norm(s), mor.hankel_nuclear_norm(s)]
    numbers += [mor.h2_error(s, mor.balanced_truncation(s))]
    for reduce in (mor.balanced_truncation, mor.modal_truncation, mor.tsia, mor.irka, mor.h2_optimal):
        numbers.append(mor.hinf_norm(s - reduce(s, 2).system))
    assert np.all(np.isfinite(numbers)), numbers
print("done")
"""

#: Prints each call that does not raise a typed error with a message.
BAD_INPUT = """
import numpy as np, mor

assert False, "shows that assertions are off"
eye, one, nan = np.eye(2), np.ones((2, 1)), np.array([[np.nan, 0], [0, 1]])
stable, discrete = mor.LTI(-eye, one, one.T), mor.LTI(eye / 2, one, one.T, dt=1.0)
unstable = mor.LTI(eye, one, one.T)
bad = [
    lambda: mor.LTI(np.ones((2, 3)), one, one.T),
    lambda: mor.LTI(-eye, one.T, one.T),
    lambda: mor.LTI(-eye, one, one),
    lambda: mor.LTI(-eye, one, one.T, eye),
    lambda: mor.LTI(-eye, one, one.T, E=np.ones((3, 3))),
    lambda: mor.LTI(-eye, one, one.T, dt=-1),
    lambda: mor.LTI(-eye, one, one.T, dt=np.inf),
    lambda: mor.LTI(nan, one, one.T),
    lambda: mor.Modal(np.ones(2), np.ones((3, 1)), np.ones((1, 2))),
    lambda: mor.BlockDiagonal(np.ones((2, 2, 3)), np.ones((4, 1)), np.ones((1, 4))),
    lambda: mor.as_system("a system"),
    lambda: mor.as_system((eye, one)),
    lambda: stable - discrete,
    lambda: mor.solve_lyapunov(eye, np.ones((3, 3))),
    lambda: mor.solve_lyapunov(nan, eye),
    lambda: mor.solve_lyapunov(np.diag([1.0, -1.0]), eye),
    lambda: mor.solve_sylvester(eye, -eye, eye),
    lambda: mor.solve_sylvester(eye, eye, np.ones((2, 3))),
    lambda: mor.lyapunov_factor(eye, one),
    lambda: mor.lyapunov_factor(-eye, np.ones((3, 1))),
    lambda: mor.h2_norm(unstable),
    lambda: mor.hankel_singular_values(unstable),
    lambda: mor.hinf_norm(unstable),
    lambda: mor.h2_inner(stable, discrete),
    lambda: mor.gramians(stable, horizon=-1.0),
    lambda: mor.gramians(discrete, horizon=2.5),
    lambda: mor.balanced_truncation(stable, order=3),
    lambda: mor.balanced_truncation(stable, order=-1),
    lambda: mor.balanced_truncation(stable, order=1, tol=1.0),
    lambda: mor.balanced_truncation(stable, tol=-1.0),
    lambda: mor.modal_truncation(stable, order=3),
    lambda: mor.tsia(stable, 5),
    lambda: mor.irka(stable, 5),
    lambda: mor.h2_optimal(stable, 5),
    lambda: mor.simulate(discrete, np.ones((3, 2))),
    lambda: mor.simulate(stable, np.ones(3)),
    lambda: mor.impulse(discrete, 0),
    lambda: mor.step(stable, 5),
    lambda: mor.load("no such file.mat"),
]
for i, call in enumerate(bad):
    try:
        call()
        print(i, "accepted")
    except mor.MorError as error:
        if not str(error):
            print(i, "no message")
    except Exception as error:
        print(i, type(error).__name__, error)
"""


def run_python(code, *flags):
    """What a fresh interpreter prints."""
    command = [sys.executable, *flags, "-c", code]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("n", [3, 12, 40])
def test_real_coefficients_with_a_complex_right_hand_side(dt, n):
    """SciPy 1.17: solve_{continuous,discrete}_lyapunov leave residuals of 12.3 and 9.8e3."""
    rng = np.random.default_rng(n)
    A, Q = random_stable(rng, n, dt), random_matrix(rng, True, n, n)
    X = mor.solve_lyapunov(A, Q, dt=dt)
    assert lyapunov_residual(A, X, Q, None, dt) < RESIDUAL
    operator = np.kron(A, A) - np.eye(n * n) if dt else np.kron(A, np.eye(n)) + np.kron(np.eye(n), A)
    expected = np.linalg.solve(operator, -Q.ravel()).reshape(n, n)
    np.testing.assert_allclose(X, expected, rtol=0, atol=1e-9 * np.max(np.abs(expected)))


@pytest.mark.slow
@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("n", [64, 200])
def test_memory_grows_as_the_square_of_the_order(dt, n):
    """SciPy 1.17: solve_discrete_lyapunov(method="direct") takes n^4 numbers, 134 MB at n = 64."""
    rng = np.random.default_rng(n)
    A, B = random_stable(rng, n, dt), rng.standard_normal((n, 2))
    for solve in (
        lambda: mor.solve_lyapunov(A, B @ B.T, dt=dt),
        lambda: mor.solve_sylvester(A, A.T, B @ B.T, dt=dt),
        lambda: mor.lyapunov_factor(A, B, dt=dt),
    ):
        tracemalloc.start()
        solve()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        # A dozen matrices of doubles live at once, some of them complex.
        assert peak < 40 * 8 * n * n


@pytest.mark.parametrize("dt", TIMES)
def test_a_nearly_singular_sylvester_equation(dt):
    """SciPy 1.17: solve_sylvester returns numbers beyond 1e13, without a word."""
    n = 6
    rng = np.random.default_rng(1)
    K = np.linalg.qr(rng.standard_normal((n, n)))[0]
    poles = np.array([-4.0, -3.0, -2.0, -1.5, -1.25, -0.75])
    A = K @ np.diag(poles) @ K.T
    # One eigenvalue belongs to the third of A.
    B = K @ np.diag([-0.5, 0.1, 0.2, 0.3, 0.4, 0.5] if dt else [2.0, 5.0, 6.0, 7.0, 8.0, 9.0]) @ K.T
    with pytest.raises(SingularEquationError) as caught:
        mor.solve_sylvester(A, B, np.ones((n, n)), dt=dt)
    message = str(caught.value)
    assert "no unique solution" in message
    assert ", -2+0j, and" in message
    assert "off by" in message


def discrete_system(n=8):
    rng = np.random.default_rng(5)
    return random_stable(rng, n, 1.0), rng.standard_normal((n, 2)), rng.standard_normal((3, n))


def test_discrete_systems_stay_discrete():
    """python-control 0.10.2: balred reads a discrete system as continuous, with dt = 0 in its result."""
    A, B, C = discrete_system()
    sys_ = mor.LTI(A, B, C, dt=0.1)
    for rom in (
        mor.balanced_truncation(sys_, order=3),
        mor.modal_truncation(sys_, order=3),
        mor.tsia(sys_, 3),
        mor.h2_optimal(sys_, 3),
    ):
        assert rom.system.dt == 0.1
        assert rom.order <= 3
        assert np.all(np.abs(rom.system.poles) < 1)
    control = pytest.importorskip("control")
    assert mor.balanced_truncation(control.ss(A, B, C, 0, 0.1), order=3).system.dt == 0.1


def test_discrete_hankel_singular_values():
    """python-control 0.10.2: hsvd is "not implemented in discrete time"."""
    A, B, C = discrete_system()
    P, Q = dense_gramian(A, B, 1.0), dense_gramian(A.T, C.T, 1.0)
    expected = np.sqrt(np.sort(np.real(np.linalg.eigvals(P @ Q)))[::-1])
    hsv = mor.hankel_singular_values(mor.LTI(A, B, C, dt=1.0))
    np.testing.assert_allclose(hsv, expected, rtol=0, atol=1e-7 * expected[0])


def relaxation(rates):
    return mor.LTI(-np.diag(rates), np.ones((len(rates), 1)), np.ones((1, len(rates))))


@pytest.mark.parametrize("rates", [np.arange(1.0, 31), np.geomspace(1, 100, 30)], ids=["even", "geometric"])
def test_a_relaxation_system_of_thirty_states(rates):
    """python-control 0.10.2: ten of the thirty values are NaN, from eigenvalues of P Q."""
    with mpmath.workdps(80):
        gramian = mpmath.matrix([[1 / mpmath.mpf(float(x + y)) for y in rates] for x in rates])
        exact = sorted((float(x) for x in mpmath.eigsy(gramian, eigvals_only=True)), reverse=True)
    for sys_ in (relaxation(rates), mor.Modal(-rates, np.ones((30, 1)), np.ones((1, 30)))):
        hsv = mor.hankel_singular_values(sys_)
        assert np.all(np.isfinite(hsv))
        np.testing.assert_allclose(hsv, exact, rtol=0, atol=1e-14 * exact[0])
        # Poles stand apart, so values far below the square root of round-off have digits too.
        reliable = np.array(exact) > 1e-9 * exact[0]
        np.testing.assert_allclose(hsv[reliable], np.array(exact)[reliable], rtol=1e-5)


@pytest.mark.parametrize("spread", [6, 9])
def test_an_h2_norm_where_round_off_makes_the_gramian_indefinite(spread):
    """python-control 0.10.2: norm(sys, 2) is inf where Cholesky or the smallest eigenvalue fails."""
    hsv = np.geomspace(1, 10.0**-spread, 30) * 10 ** (spread / 2)
    sys_ = system_with_hsv(hsv, np.ones(30))
    # Both Gramians are diag(hsv) and B is all ones.
    np.testing.assert_allclose(mor.h2_norm(sys_), np.sum(hsv) ** 0.5, rtol=1e-7)
    # Exactly semidefinite, behind a rotation: the formed Gramian has negative eigenvalues.
    rng = np.random.default_rng(0)
    K = np.linalg.qr(rng.standard_normal((40, 40)))[0]
    A = np.diag(-np.arange(1.0, 41))
    B = (np.arange(40) < 3).astype(float)[:, None]
    exact = np.sum(1 / (np.arange(1.0, 4)[:, None] + np.arange(1.0, 4))) ** 0.5
    np.testing.assert_allclose(mor.h2_norm((K @ A @ K.T, K @ B, B.T @ K.T)), exact, rtol=1e-12)


def test_names_of_signals_are_kept():
    """python-control 0.10.2: balred returns u[0], y[0] whatever the names were."""
    A, B, C = discrete_system()
    labels = mor.Labels(inputs=["force", "torque"], outputs=["x", "y", "z"], name="arm")
    rom = mor.balanced_truncation(mor.LTI(A, B, C, dt=1.0, labels=labels), order=3)
    assert rom.system.labels == labels


@pytest.mark.slow
def test_everything_works_without_slycot():
    """python-control 0.10.2: without Slycot gram, hsvd, balred and minreal raise ControlSlycot."""
    out = run_python(WITHOUT_SLYCOT)
    assert out.strip() == "done"


def test_a_tolerance_below_every_bound():
    """pyMOR 2026.1.1: BTReductor.reduce(tol=1e-30) returns order 1, the coarsest model."""
    full = mor.LTI(np.diag([-1.0, -2.0, -5.0]), np.ones((3, 1)), np.ones((1, 3)))
    for tol in (0.0, 1e-300, 1e-30):
        rom = mor.balanced_truncation(full, tol=tol)
        assert rom.order == 3
        assert rom.error_bound == 0
    # What cannot be reached, or seen, still goes.
    padded = mor.LTI(np.diag([-1.0, -2.0, -5.0, -7.0]), [[1.0], [1], [1], [0]], np.ones((1, 4)))
    assert mor.balanced_truncation(padded, tol=1e-30).order == 3


@pytest.mark.parametrize(("dt", "poles"), [(0.0, (-1, 2)), (0.0, (-1, 0)), (1.0, (-3, -2)), (1.0, (0.5, 1))])
def test_unstable_systems_have_no_infinite_gramians(dt, poles):
    """pyMOR 2026.1.1: hsv() and h2_norm() of an unstable system are finite and mean nothing."""
    unstable = mor.LTI(np.diag(poles), np.ones((2, 1)), np.ones((1, 2)), dt=dt)
    stable = mor.LTI([[0.5 if dt else -0.5]], [[1.0]], [[1.0]], dt=dt)
    for call in (
        mor.hankel_singular_values,
        mor.hankel_norm,
        mor.hankel_nuclear_norm,
        mor.h2_norm,
        mor.hinf_norm,
        mor.gramians,
        mor.balanced_truncation,
        lambda s: mor.h2_error(s, stable),
        lambda s: mor.h2_inner(stable, s),
        lambda s: mor.lyapunov_factor(s.A, s.B, dt=s.dt),
    ):
        with pytest.raises(UnstableSystemError, match="pole"):
            call(unstable)


COMPLEX = (
    np.array([[-1 + 2j, 1.0, 0.5j], [0.3, -2 - 3j, 1j], [0.1j, -0.4, -1.5 + 0.5j]]) / 5,
    np.array([[1.0, 0.5j], [1j, -1.0], [0.2, 1 + 1j]]),
    np.array([[1.0, 1 - 1j, 0.5], [0.3j, -1.0, 2.0]]),
)


def refused(call):
    """What the call returns, or None if it raises a typed error; a warning is no answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return call()
        except MorError as error:
            assert "complex" in str(error)  # noqa: PT017
            return None


@pytest.mark.parametrize("dt", TIMES)
def test_complex_matrices_are_never_made_real(dt):
    """pyMOR 2026.1.1: h2_norm() and hsv() drop imaginary parts of A, with a warning.

    A library may refuse complex systems; what it may not do is answer for another one.
    """
    A, B, C = COMPLEX
    A = A if dt else A - 0.1 * np.eye(3)
    n = len(A)
    P = mor.solve_lyapunov(A, B @ B.conj().T, dt=dt)
    assert lyapunov_residual(A, P, B @ B.conj().T, None, dt) < RESIDUAL
    Z = mor.lyapunov_factor(A, B, dt=dt)
    np.testing.assert_allclose(Z @ Z.conj().T, P, atol=1e-12 * np.max(np.abs(P)))
    eye = np.eye(n)
    operator = np.eye(n * n) - np.kron(A, A.conj()) if dt else -(np.kron(A, eye) + np.kron(eye, A.conj()))
    np.testing.assert_allclose(P, np.linalg.solve(operator, (B @ B.conj().T).ravel()).reshape(n, n))
    Q = mor.lyapunov_factor(A, C, dt=dt, trans=True)
    Q = Q @ Q.conj().T

    def system():
        return mor.LTI(A, B, C, dt=dt)

    omega = np.array([-2.0, 0.0, 1.0])
    s = np.exp(1j * omega) if dt else 1j * omega
    response = np.array([C @ np.linalg.solve(point * eye - A, B) for point in s])
    answers = (
        (lambda: mor.freqresp(system(), omega), response),
        (lambda: mor.h2_norm(system()) ** 2, np.real(np.trace(C @ P @ C.conj().T))),
        (
            lambda: mor.hankel_singular_values(system()),
            np.sqrt(np.sort(np.real(np.linalg.eigvals(P @ Q)))[::-1]),
        ),
        (lambda: mor.freqresp(mor.balanced_truncation(system(), order=3), omega), response),
    )
    for call, expected in answers:
        value = refused(call)
        if value is not None:
            np.testing.assert_allclose(value, expected, rtol=1e-9)
    for name in "ABC":
        matrices = {key: np.real(x) for key, x in zip("ABC", COMPLEX, strict=True)}
        matrices[name] = dict(zip("ABC", COMPLEX, strict=True))[name]
        given = refused(lambda matrices=matrices: mor.LTI(**matrices, dt=1.0))
        if given is not None:
            np.testing.assert_array_equal(getattr(given, name), matrices[name])


@pytest.mark.parametrize("size", [1e-12, 1.0])
def test_feedthrough_makes_a_continuous_h2_norm_infinite(size):
    """pyMOR 2026.1.1: h2_norm() drops D in continuous time."""
    for D in ([[size, 0.0]], [[0.0, -size]]):
        sys_ = mor.LTI([[-1.0]], [[1.0, 2.0]], [[1.0]], D)
        assert mor.h2_norm(sys_) == np.inf
        assert mor.h2_error(sys_, mor.LTI([[-1.0]], [[1.0, 2.0]], [[1.0]])) == np.inf
    discrete = mor.LTI([[0.5]], [[1.0]], [[1.0]], [[3.0]], dt=1.0)
    np.testing.assert_allclose(mor.h2_norm(discrete) ** 2, 9 + 4 / 3)


@pytest.mark.slow
def test_bad_input_is_a_typed_error_without_asserts_too():
    """pyMOR 2026.1.1: validation is by assert, which ``python -O`` removes."""
    out = run_python(BAD_INPUT, "-O")
    assert out == ""


@pytest.mark.parametrize(("dt", "trans"), list(itertools.product(TIMES, [False, True])))
@pytest.mark.parametrize("kind", ["well", "ill"])
def test_factors_with_a_descriptor_matrix(dt, trans, kind):
    """Slycot 0.7.1: sg03bd raises with its default workspace, on every call."""
    rng = np.random.default_rng(2)
    n, m = 12, 3
    E, F = random_pencil(rng, n, kind), random_stable(rng, n, dt)
    A, B = E @ F, rng.standard_normal((m, n) if trans else (n, m))
    Z = mor.lyapunov_factor(A, B, E, dt=dt, trans=trans)
    if trans:
        A, B, E = A.T, B.T, E.T
    assert lyapunov_residual(A, Z @ Z.T, B @ B.T, E, dt) < RESIDUAL
