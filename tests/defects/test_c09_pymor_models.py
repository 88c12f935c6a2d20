"""pyMOR's port-Hamiltonian models were not read, and others refused without the reason."""

from types import SimpleNamespace

import numpy as np
import pytest
import scipy.sparse

import mor
from mor.errors import NotASystemError

A, B, C, D = -np.eye(2), np.ones((2, 1)), np.ones((1, 2)), np.zeros((1, 1))


class Model(SimpleNamespace):
    """With the attributes that pyMOR's models have."""

    sampling_time = 0.0
    parameters: dict = {}  # noqa: RUF012


class Operator:
    """An operator is no array."""


OPERATORS = dict.fromkeys("ABCD", Operator())


def test_port_hamiltonian_models_by_their_state_space():
    J, R, G, Q = np.array([[0.0, 1.0], [-1.0, 0.0]]), np.eye(2), B, np.diag([1.0, 2.0])

    class PHLTIModel(Model):
        # to_matrices() gives those of its own equations: J, R, G, P, S, N, E, Q.
        def to_matrices(self):
            return J, R, G, None, None, None, None, Q

        def to_abcde_matrices(self):
            return (J - R) @ Q, G, G.T @ Q, None, None

    sys = mor.as_system(PHLTIModel(N=Operator(), **OPERATORS))
    expected = G.T @ Q @ np.linalg.solve(1j * np.eye(2) - (J - R) @ Q, G)
    np.testing.assert_allclose(sys.evaluate(1j), expected, rtol=1e-14)


def test_linear_and_second_order_models():
    class LTIModel(Model):
        def to_abcde_matrices(self):
            return scipy.sparse.csc_array(A), B, C, None, None

    class SecondOrderModel(Model):
        def to_matrices(self):
            return np.eye(1), np.eye(1), np.eye(1), None, None, None, None

        def to_lti(self):
            return LTIModel()

    for model in (LTIModel(sampling_time=0.5), SecondOrderModel()):
        assert mor.as_system(model).order == 2
    assert mor.as_system(LTIModel(sampling_time=0.5)).dt == 0.5


class LinearDelayModel(Model):
    pass


class BilinearModel(Model):
    pass


class LinearStochasticModel(Model):
    pass


class ParametricModel(Model):
    def to_abcde_matrices(self):
        raise AttributeError("'dict' object has no attribute 'time_dependent_values'")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (LinearDelayModel(Ad=(Operator(),), tau=(1.0,), **OPERATORS), "has delays"),
        (BilinearModel(N=(Operator(),), **OPERATORS), "is bilinear"),
        (LinearStochasticModel(As=(Operator(),), **OPERATORS), "is stochastic"),
        (ParametricModel(parameters={"mu": 1}, **OPERATORS), "depends on parameters"),
        (Model(), "has no matrices"),
    ],
)
def test_others_are_refused_with_the_reason(model, reason):
    with pytest.raises(NotASystemError, match=reason) as caught:
        mor.as_system(model)
    assert type(model).__name__ in str(caught.value)
