"""`freqresp` and `evaluate` of a dense system held a complex n x n matrix for each point."""

import tracemalloc

import numpy as np
import pytest

import mor
from mor.equations.schur import SchurForm
from mor.errors import NotFiniteError


def chain(n, seed=0):
    """A strongly non-normal system whose states are in units over six decades."""
    rng = np.random.default_rng(seed)
    A = -np.diag(np.geomspace(0.1, 10, n)) + np.triu(rng.standard_normal((n, n)), 1) / n**0.5
    t = 10.0 ** rng.uniform(-3, 3, n)
    return mor.LTI(
        A * t / t[:, None], rng.standard_normal((n, 2)) / t[:, None], rng.standard_normal((3, n)) * t
    )


def by_lu(sys, omega):
    E = np.eye(sys.order) if sys.E is None else sys.E
    return np.array([sys.C @ np.linalg.solve(1j * w * E - sys.A, sys.B + 0j) + sys.D for w in omega])


def test_many_points_need_no_matrix_each():
    sys, omega = chain(200), np.geomspace(1e-2, 1e2, 300)
    tracemalloc.start()
    mor.freqresp(sys, omega)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    # 192 MB of matrices before; now a few arrays of 200 x 600 numbers.
    assert peak < 40e6


@pytest.mark.parametrize("kind", ["plain", "E", "complex", "sum"])
def test_many_points_are_as_accurate_as_one(kind):
    sys, omega = chain(60), np.geomspace(1e-2, 1e2, 200)
    if kind == "E":
        E = np.diag(np.random.default_rng(1).uniform(1, 3, 60))
        sys = mor.LTI(E @ sys.A, E @ sys.B, sys.C, sys.D, E)
    elif kind == "complex":
        sys = mor.LTI(sys.A - 0.5j * np.eye(60), sys.B, sys.C)
    elif kind == "sum":
        sys = sys - chain(8, 1)
    expected = by_lu(sys, omega)
    # Round-off times the condition of a resolvent, about 1e3; a bare Schur form loses two digits more.
    scale = np.max(np.abs(expected), axis=(1, 2), keepdims=True)
    assert np.max(np.abs(mor.freqresp(sys, omega) - expected) / scale) < 1e-12
    np.testing.assert_array_equal(mor.freqresp(sys, omega)[[3]], sys.frequency_response(omega)[[3]])
    np.testing.assert_allclose(mor.freqresp(sys, omega[3]), expected[3], rtol=0, atol=1e-12 * scale[3, 0, 0])


def test_a_pole_among_many_points_is_said():
    sys = mor.LTI([[0.0, 1.0], [-1.0, 0.0]], [[0.0], [1.0]], [[1.0, 0.0]])
    with pytest.raises(NotFiniteError, match="a point is a pole"):
        mor.freqresp(sys, np.linspace(0, 2, 21))


def test_a_singular_E_keeps_its_way():
    sys = mor.LTI(-np.eye(2), [[1.0], [1.0]], [[1.0, 1.0]], E=np.diag([1.0, 0.0]))
    omega = np.linspace(0.1, 3, 30)
    np.testing.assert_allclose(mor.freqresp(sys, omega)[:, 0, 0], 1 / (1j * omega + 1) + 1, rtol=1e-14)


@pytest.mark.parametrize("shape", [(0, 2, 3), (4, 0, 3), (4, 2, 0)])
def test_empty_systems_at_many_points(shape):
    n, m, p = shape
    sys = mor.LTI(-np.eye(n), np.ones((n, m)), np.ones((p, n)), np.ones((p, m)))
    assert mor.freqresp(sys, np.linspace(0, 1, 20)).shape == (20, p, m)


def test_the_schur_form_is_that_of_the_poles(monkeypatch):
    sys, made = chain(30), []
    form_of = SchurForm.of
    monkeypatch.setattr(SchurForm, "of", lambda *args, **options: made.append(0) or form_of(*args, **options))
    sys.poles  # noqa: B018
    mor.freqresp(sys, np.linspace(0, 1, 20))
    assert len(made) == 1
