"""The sum of the Hankel singular values beyond an order: value and gradient."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import mor
from mor.testing import block_systems, lti_systems, modal_systems
from tests.oracles.modal import random_modal
from tests.oracles.torch_systems import torch_copy

torch = pytest.importorskip("torch")


@given(modal_systems(margin=1e-2), st.integers(0, 20))
def test_beyond_is_the_tail_of_the_values(sys, beyond):
    hsv = mor.hankel_singular_values(sys)
    found = mor.hankel_nuclear_norm(sys, beyond=beyond)
    # Values below round-off of the largest are noise, in number as many as states.
    np.testing.assert_allclose(found, np.sum(hsv[beyond:]), rtol=1e-9, atol=1e-12 * hsv[0])


@given(st.one_of(block_systems(), lti_systems()), st.integers(0, 9))
def test_beyond_of_real_systems(sys, beyond):
    hsv = mor.hankel_singular_values(sys)
    found = mor.hankel_nuclear_norm(sys, beyond=beyond)
    np.testing.assert_allclose(found, np.sum(hsv[beyond:]), rtol=1e-8, atol=1e-9 * hsv[0])


@pytest.mark.parametrize("dt", [0.0, 1.0])
@pytest.mark.parametrize("shape", [(5, 5, 5), (5, 2, 2), (5, 1, 1)])
@pytest.mark.parametrize("beyond", [1, 2, 5, 9])
def test_gradient_beyond_an_order_against_finite_differences(shape, beyond, dt):
    sys = random_modal(11, *shape, radius=0.9)
    if not dt:
        sys = mor.Modal(np.log(sys.poles), sys.B, sys.C, dt=0.0)
    hsv = mor.hankel_singular_values(sys)
    assert hsv[beyond - 1] > 1.01 * hsv[beyond]  # there the sum is smooth
    tensors = torch_copy(sys)
    mor.hankel_nuclear_norm(tensors, beyond=beyond).backward()
    rng = np.random.default_rng(0)
    for field in ("poles", "B", "C"):
        x, g = getattr(sys, field), getattr(tensors, field).grad.numpy()
        d = rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape)
        ends = [
            np.sum(mor.hankel_singular_values(dataclasses.replace(sys, **{field: x + s * 1e-6 * d}))[beyond:])
            for s in (1, -1)
        ]
        # Round-off of the values, 1e-15 of the largest, over the step; and the curvature at small ones.
        allowed = 1e-4 * np.linalg.norm(g) * np.linalg.norm(d) + 1e-8 * hsv[0]
        assert abs(np.sum(np.real(np.conj(g) * d)) - (ends[0] - ends[1]) / 2e-6) <= allowed


@pytest.mark.parametrize("beyond", [10, 11, 1000])
@pytest.mark.parametrize("shape", [(5, 5, 5), (5, 1, 1)])
def test_beyond_all_states_there_is_nothing(shape, beyond):
    tensors = torch_copy(random_modal(0, *shape))
    total = mor.hankel_nuclear_norm(tensors, beyond=beyond)
    assert float(total.detach()) == 0
    total.backward()
    assert not any(getattr(tensors, f).grad.any() for f in ("poles", "B", "C"))


@pytest.mark.parametrize("beyond", [0, 3, 8, 20])
def test_beyond_counts_in_each_system_of_a_batch(beyond):
    systems = [random_modal(i, 4, 2, 2) for i in range(6)]
    batch = mor.Modal(
        *(
            np.stack([getattr(s, f) for s in systems]).reshape(2, 3, *getattr(systems[0], f).shape)
            for f in ("poles", "B", "C")
        ),
        dt=1.0,
    )
    expected = np.reshape([mor.hankel_nuclear_norm(s, beyond=beyond) for s in systems], (2, 3))
    np.testing.assert_allclose(mor.hankel_nuclear_norm(batch, beyond=beyond), expected, rtol=1e-9, atol=1e-12)
    there = torch_copy(batch)
    totals = mor.hankel_nuclear_norm(there, beyond=beyond)
    np.testing.assert_allclose(totals.detach().numpy(), expected, rtol=1e-9, atol=1e-12)
    totals.sum().backward()
    for i, s in enumerate(systems):
        alone = torch_copy(s)
        mor.hankel_nuclear_norm(alone, beyond=beyond).backward()
        for field in ("poles", "B", "C"):
            mine, theirs = getattr(there, field).grad[divmod(i, 3)], getattr(alone, field).grad
            torch.testing.assert_close(mine, theirs, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("beyond", [-1, 1.5, "2", None, np.nan])
def test_numbers_of_values_that_make_no_sense(beyond):
    with pytest.raises(mor.MorError, match=r"beyond=.* is not a whole number"):
        mor.hankel_nuclear_norm(random_modal(0, 2, 1, 1), beyond=beyond)
