"""The structured rooms use nothing beyond the array API standard."""

import numpy as np
import pytest
from hypothesis import given, settings

import mor
from mor.arrays import to_numpy
from mor.testing import block_systems, modal_systems

strict = pytest.importorskip("array_api_strict")


def as_strict(sys, *fields):
    return type(sys)(*(strict.asarray(getattr(sys, f)) for f in (*fields, "D")), dt=sys.dt)


@pytest.mark.slow
@settings(max_examples=15)
@given(modal_systems(max_modes=4))
def test_modal(sys):
    there = as_strict(sys, "poles", "B", "C")
    hsv = mor.hankel_singular_values(sys)
    got = mor.hankel_singular_values(there)
    assert type(got).__module__.startswith("array_api_strict")
    np.testing.assert_allclose(np.asarray(got), hsv, rtol=0, atol=1e-13 * hsv[0])
    np.testing.assert_allclose(float(mor.hankel_nuclear_norm(there)), float(np.sum(hsv)), rtol=1e-10)
    for horizon in (None, 5):
        for a, b in zip(
            mor.gramians(there, horizon=horizon), mor.gramians(sys, horizon=horizon), strict=True
        ):
            np.testing.assert_allclose(np.asarray(a), b, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(float(mor.h2_norm(there)), float(mor.h2_norm(sys)), rtol=1e-9)
    points = [0.3 + 2j, 1.7]
    np.testing.assert_allclose(
        np.asarray(there.evaluate(strict.asarray(points))), sys.evaluate(points), rtol=1e-12
    )


@settings(max_examples=15)
@given(block_systems(max_blocks=3))
def test_blocks(sys):
    there = as_strict(sys, "blocks", "B", "C")
    hsv = mor.hankel_singular_values(sys)
    np.testing.assert_allclose(
        np.asarray(mor.hankel_singular_values(there)), hsv, rtol=0, atol=1e-12 * hsv[0]
    )
    np.testing.assert_allclose(float(mor.hankel_nuclear_norm(there)), float(np.sum(hsv)), rtol=1e-9)


def test_torch_keeps_its_framework_precision_and_device():
    torch = pytest.importorskip("torch")
    sys = mor.Modal(torch.tensor([0.5 + 0.1j]), torch.ones((1, 2)), torch.ones((2, 1)), dt=1.0)
    for result in (mor.hankel_singular_values(sys), mor.h2_norm(sys), mor.hankel_nuclear_norm(sys)):
        assert isinstance(result, torch.Tensor)
        assert result.dtype == torch.float32
    assert to_numpy(mor.gramians(sys)[0]).dtype == np.float32


@pytest.mark.slow
@settings(max_examples=10)
@given(modal_systems(max_modes=4, margin=1e-2))
def test_norms_and_responses(sys):
    here = mor.Modal(sys.poles, sys.B, sys.C, dt=sys.dt)
    there = as_strict(here, "poles", "B", "C")
    t, u = np.arange(6) * (sys.dt or 0.2), np.ones((6, sys.n_inputs))
    sampled = None if sys.dt else mor.Modal.discretize
    questions = [
        mor.hankel_norm,
        mor.hinf_norm,
        lambda s: mor.h2_inner(s, s),
        lambda s: mor.h2_norm(s, band=(0.1, 1.0)),
        lambda s: mor.gramians(s, band=(0.1, 1.0))[1],
        lambda s: mor.hankel_singular_values(s, band=(0.1, 1.0))[..., :1],
        lambda s: mor.impulse(s, t),
        lambda s: mor.step(s, t),
        lambda s: mor.simulate(s, u, t, hold="first"),
    ]
    if sampled:
        questions += [lambda s, h=h: sampled(s, 0.1, hold=h).poles for h in ("zero", "first")]
    for ask in questions:
        got, expected = ask(there), ask(here)
        assert type(got).__module__.startswith("array_api_strict")
        scale = float(np.max(np.abs(expected), initial=0.0))
        np.testing.assert_allclose(np.asarray(got), expected, rtol=0, atol=1e-9 * scale + 1e-14)
