"""Poles on the stability boundary, in coordinates that hide them, were taken for stable by most functions in
half of the cases: with a finite bound, or a norm that was noise."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg

import mor
from mor.equations.boundary import ROUNDOFF
from mor.errors import UnstableSystemError
from tests.fuzz.marginal import (
    FUNCTIONS,
    MARGINAL,
    MOTOR,
    hidden,
    marginal,
    moved,
    rotation,
    split_right,
    stable,
)

#: Draws of each kind; ``python tests/fuzz/marginal.py`` takes hundreds.
DRAWS = 3


def draws(kinds: Any, seed: int = 0) -> list[tuple]:
    rng = np.random.default_rng(seed)
    return [case for _ in range(DRAWS) for case in kinds(rng)]


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_refuses_all_of_them(name: str) -> None:
    for kind, system, _ in draws(marginal):
        with pytest.raises(UnstableSystemError, match=r"pole"):
            pytest.fail(f"{kind}: {FUNCTIONS[name](system)}")


@pytest.mark.slow
def test_split_stable_finds_all_of_them() -> None:
    wrong = [kind for kind, system, count in draws(marginal) if not split_right(system, count)]
    assert not wrong


def test_general_coordinates() -> None:
    """There forming A costs up to its condition more than round-off, and the pole's error grows as much."""
    for kind, system, count in draws(hidden):
        assert not system.is_stable, kind
        assert split_right(system, count), kind


def test_what_is_stable_by_a_little_is_accepted() -> None:
    for name, system in draws(stable):
        assert system.is_stable, name
        assert np.all(np.isfinite(mor.hankel_singular_values(system))), name


def test_the_message_says_how_far_and_what_to_do() -> None:
    system = moved(MOTOR, rotation(np.random.default_rng(0), 3), 0.0, np.random.default_rng(1))
    shifted = mor.LTI(system.A - 1e-15 * np.eye(3), system.B, system.C)
    with pytest.raises(UnstableSystemError) as refused:
        mor.balanced_truncation(shifted, 2)
    for words in ("from the imaginary axis", "known with an error of up to", "unstable='split'", "horizon="):
        assert words in str(refused.value)
    for function in (mor.h2_norm, mor.gramians, mor.hankel_singular_values):
        with pytest.raises(UnstableSystemError, match=r"split_stable.*horizon="):
            function(shifted)


def test_reduction_keeps_the_integrator() -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        system = moved(MOTOR, rotation(rng, 3), 0.0, rng)
        rom = mor.balanced_truncation(system, order=2, unstable="split")
        assert rom.diagnostics["unstable_states_kept"] == 1
        error = system.evaluate(1.0) - rom.system.evaluate(1.0)
        # Off the boundary by 1, where the error of the stable part is no larger than on it; 1e-9 is what
        # separating the pole costs.
        assert np.abs(error) <= rom.error_bound * (1 + 1e-9) + rom.roundoff + 1e-9


def test_a_difference_is_stable_where_both_systems_are() -> None:
    """|A| of the sum is that of the fast one, beside which the slow one's pole would be in doubt."""
    rng = np.random.default_rng(4)
    slow = moved(-np.diag([1e-11, 2e-11]), rotation(rng, 2), 0.0, rng)
    fast = moved(-np.diag([1e6, 2e6]), rotation(rng, 2), 0.0, rng)
    assert slow.is_stable
    assert fast.is_stable
    assert (fast - slow).is_stable
    assert np.isfinite(mor.h2_error(fast, slow))


def test_with_E_by_qz() -> None:
    """An E that is not divided out, since that would cost digits."""
    rng = np.random.default_rng(5)
    left, right = rotation(rng, 3), rotation(rng, 3)
    A = np.array([[0.0, 0, 0], [0.2, -1, 0], [0.1, 0.3, -4]])
    E = np.diag([1e4, 1, 1])
    system = mor.LTI(left @ A @ right, np.ones((3, 1)), np.ones((1, 3)), E=left @ E @ right)
    assert system.schur.pencil.S is not None
    assert not system.is_stable
    assert mor.split_stable(system)[1].order == 1
    with pytest.raises(UnstableSystemError):
        mor.lyapunov_factor(system.A, system.B, system.E)


def test_all_members_of_a_cluster_are_found() -> None:
    """Round-off moves a triple integrator's poles by 1e-5, in three directions."""
    A, count = MARGINAL["triple integrator"]
    rng = np.random.default_rng(6)
    for _ in range(10):
        system = moved(A, rotation(rng, 5), 0.0, rng)
        assert np.sum(np.abs(system.poles) < 1e-4) == count
        assert np.sum(system.schur.stable) == 2


def test_poles_that_are_data_are_known_exactly() -> None:
    one = np.ones((1, 1))
    assert mor.Modal(np.array([-1e-300 + 1j]), one + 0j, one + 0j).is_stable
    assert mor.LTI(-np.diag([1e-17, 1.0]), np.ones((2, 1)), np.ones((1, 2))).is_stable
    assert not mor.Modal(np.array([1j]), one + 0j, one + 0j).is_stable


@pytest.mark.parametrize("angle", np.linspace(0.05, 3.1, 40))
def test_a_rotation_next_to_the_circle(angle: float) -> None:
    """``1 - |z|^2`` is known to the last digit from the determinant, and not from computed eigenvalues."""
    c, s = np.cos(angle), np.sin(angle)
    block = np.array([[[c, -s], [s, c]]])
    system = mor.BlockDiagonal(block, np.ones((2, 1)), np.ones((1, 2)), dt=1.0)
    exact = 1 - (int(c * 2**80) ** 2 + int(s * 2**80) ** 2) / 2**160
    as_modal = mor.Modal(np.array([c + 1j * s]), np.ones((1, 1)) + 0j, np.ones((1, 1)) + 0j, dt=1.0)
    assert system.is_stable == as_modal.is_stable
    np.testing.assert_allclose(system.margins, as_modal.margins[0], rtol=1e-12, atol=1e-25)
    assert np.sign(system.margins[0]) == np.sign(exact) or exact == 0
    dense = system.to_lti()
    assert not dense.is_stable
    with pytest.raises(UnstableSystemError):
        mor.gramians(dense)


def test_a_real_pair_in_a_block_is_judged_like_a_dense_matrix() -> None:
    rng = np.random.default_rng(7)
    for _ in range(30):
        T = rotation(rng, 2)
        block = T @ np.array([[0.0, 1], [0, -1]]) @ T.T
        system = mor.BlockDiagonal(block[None], np.ones((2, 1)), np.ones((1, 2)))
        assert not system.is_stable
        with pytest.raises(UnstableSystemError):
            mor.hankel_singular_values(system)


def test_light_damping_is_told_from_none() -> None:
    """All poles lie next to the axis, and none is in doubt."""
    n = 60
    K = 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)
    A = np.block([[np.zeros((n, n)), np.eye(n)], [-K, -1e-9 * np.eye(n)]])
    system = mor.LTI(A, np.ones((2 * n, 1)), np.ones((1, 2 * n)))
    assert np.all(system.margins < 1e-9)
    assert system.is_stable


def test_errors_are_those_of_first_order() -> None:
    """For simple eigenvalues round-off over the cosine between left and right eigenvector (Wilkinson)."""
    rng = np.random.default_rng(8)
    A = np.array([[-1e-13, 2, 0, 0], [-2, -1e-13, 0, 0], [0, 0, -1, 3], [0, 0, 0, -2]])
    A[:2, 2:] = 5 * rng.standard_normal((2, 2))
    T = rotation(rng, 4)
    form = mor.LTI(T @ A @ T.T, np.ones((4, 1)), np.ones((1, 4))).schur
    near = np.abs(form.margins) < 1e-6
    eig: Any = scipy.linalg.eig
    values, left, right = eig(form.pencil.T, left=True)
    cosines = np.abs(np.sum(left.conj() * right, axis=0))
    nearest = np.argmin(np.abs(form.poles[:, None] - values), axis=1)
    expected = ROUNDOFF * np.linalg.norm(form.pencil.T) / cosines[nearest]
    assert np.sum(near) == 2
    # The next pole is 1e13 times as far from the axis as these; inverse iteration stops at 1e-3.
    np.testing.assert_allclose(form.pole_errors[near], expected[near], rtol=1e-2)
    assert not np.any(form.pole_errors[~near])
