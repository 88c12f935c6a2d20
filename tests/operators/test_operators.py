"""What state matrices can do is the same in every structure, and not much."""

import numpy as np
import pytest

import mor
from mor.equations.schur import SchurForm
from mor.operators.base import Operator
from mor.operators.dense import DenseOperator
from tests.oracles.dense import random_stable


def operators(dt):
    """Operators of all structured kinds, and of real modes."""
    rng = np.random.default_rng(5)
    values = np.linalg.eigvals(random_stable(rng, 6, dt))
    modes = rng.standard_normal((6, 2)) + 1j * rng.standard_normal((6, 2))
    blocks = np.stack([random_stable(rng, 2, dt) for _ in range(3)])
    B = rng.standard_normal((6, 2))
    return {
        "complex modes": mor.Modal(values, modes, modes.T, dt=dt).operator,
        "real modes": mor.Modal(rng.uniform(-0.9, -0.1, 6), B, B.T, dt=dt).operator,
        "blocks": mor.BlockDiagonal(blocks, B, B.T, dt=dt).operator,
    }


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("kind", ["complex modes", "real modes", "blocks"])
def test_every_structure_agrees_with_the_dense_matrix(kind, dt):
    rng, operator = np.random.default_rng(6), operators(dt)[kind]
    n = 12 if kind == "complex modes" else 6
    dense = DenseOperator(np.asarray(operator.apply(np.eye(n))), None, dt)
    B, C, W = rng.standard_normal((n, 2)), rng.standard_normal((3, n)), rng.standard_normal((n, 4))
    same = [(operator.apply(B), dense.apply(B)), (operator.apply_absolute(B), dense.apply_absolute(B))]
    same += [(operator.adjoint().apply(B), dense.adjoint().apply(B))]
    for adjoint in (False, True):
        for a, c in ((-1.0, 2.0 + 1j), (0.5, 1.5), (0.0, 2.0j)):
            same += [(operator.solve(a, c, B, adjoint=adjoint), dense.solve(a, c, B, adjoint=adjoint))]
    points = np.array([0.3 + 2j, 2.5, -1.7j])
    same += [(operator.transfer(points, B, C), dense.transfer(points, B, C))]
    same += list(zip(operator.project(W, W, B), dense.project(W, W, B), strict=True))
    same += list(zip(operator.inverted(B, C)[1:], dense.inverted(B, C)[1:], strict=True))
    for limits in ({}, {"horizon": 4}, {"band": (0.2, 1.5)}):
        P, Q, _ = operator.gramians(B, C, **limits)
        same += list(zip((P, Q), dense.gramians(B, C, **limits)[:2], strict=True))
        same += [(Z @ Z.T, X) for Z, X in zip(operator.factors(B, C, **limits), (P, Q), strict=True)]
    if not dt:
        for hold in ("zero", "first"):
            mine, theirs = operator.sampled(0.3, B, hold), dense.sampled(0.3, B, hold)
            same += [(mine[0].apply(B), theirs[0].apply(B)), *zip(mine[1:], theirs[1:], strict=True)]
    form = SchurForm.of(random_stable(rng, 3, dt), None, dt)
    Q = rng.standard_normal((n, 3))
    same += [(operator.cross_solution(form, Q), dense.cross_solution(form, Q))]
    for found, expected in same:
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9 * np.max(np.abs(expected)))


@pytest.mark.parametrize("dt", [0.0, 1.0])
def test_only_alike_structures_are_joined(dt):
    kinds = operators(dt)
    for name, operator in kinds.items():
        for other, partner in kinds.items():
            unlike = ("modes" in name) != ("modes" in other)
            assert (operator.joined(partner) is None) == unlike


def test_the_protocol_is_narrow():
    members = {name for name in (*vars(Operator), *Operator.__annotations__) if name[0] != "_"}
    assert len(members) <= 14
