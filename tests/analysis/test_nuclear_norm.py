"""The sum of Hankel singular values: value and gradient, in every framework and precision."""

import dataclasses

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import mor
from mor.analysis.nuclear_norm import nuclear_norm_gradient
from mor.testing import block_systems, lti_systems, modal_systems
from tests.oracles.modal import random_modal


def directional(sys, field, direction, step):
    """Central difference of the sum along a direction of one field, in double precision."""
    x = getattr(sys, field)
    ahead, behind = (
        float(mor.hankel_nuclear_norm(dataclasses.replace(sys, **{field: x + s * step * direction})))
        for s in (1, -1)
    )
    return (ahead - behind) / (2 * step)


def pairing(gradient, direction):
    return float(np.sum(np.real(np.conj(gradient) * direction)))


@given(modal_systems())
def test_value_is_the_sum_of_hankel_singular_values(sys):
    hsv = mor.hankel_singular_values(sys)
    np.testing.assert_allclose(mor.hankel_nuclear_norm(sys), np.sum(hsv), rtol=1e-10)


@given(modal_systems(margin=3e-2, max_signals=4, degenerate=False, real_modes=False), st.integers(0, 99))
def test_modal_gradient_against_finite_differences(sys, seed):
    _, gradient = nuclear_norm_gradient(sys)
    rng = np.random.default_rng(seed)
    for field in ("poles", "B", "C"):
        x = getattr(sys, field)
        direction = rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape)
        expected = directional(sys, field, direction, 1e-6)
        # Central differences: curvature at small sigmas, and round-off / step.
        scale = np.linalg.norm(gradient[field]) * np.linalg.norm(direction)
        assert abs(pairing(gradient[field], direction) - expected) <= 1e-4 * scale


def check_real_gradient(sys, fields):
    """Every field of a real system against a central difference along a random direction."""
    _, gradient = nuclear_norm_gradient(sys)
    hsv = mor.hankel_singular_values(sys)
    assume(hsv[-1] >= 1e-3 * hsv[0])  # next to a kink a finite difference is no oracle
    rng = np.random.default_rng(0)
    for field in fields:
        direction = rng.standard_normal(getattr(sys, field).shape)
        expected = directional(sys, field, direction, 1e-6)
        scale = np.linalg.norm(gradient[field]) * np.linalg.norm(direction)
        assert abs(pairing(gradient[field], direction) - expected) <= 1e-5 * scale


@given(block_systems())
def test_block_gradient_against_finite_differences(sys):
    check_real_gradient(sys, ("blocks", "B", "C"))


@given(lti_systems(max_order=4))
def test_dense_gradient_against_finite_differences(sys):
    check_real_gradient(sys, ("A", "B", "C"))


NON_MINIMAL = ["none", "zero row of B", "zero column of C", "twin poles"]


def degenerate(sys, kind):
    poles, B, C = (x.copy() for x in (sys.poles, sys.B, sys.C))
    if kind == "zero row of B":
        B[1] = 0
    if kind == "zero column of C":
        C[:, 2] = 0
    if kind == "twin poles":
        poles[1], B[1] = poles[0], B[0]
    return mor.Modal(poles, B, C, dt=sys.dt)


@pytest.mark.parametrize("kind", NON_MINIMAL)
def test_gradient_is_finite_and_right_along_the_manifold_of_non_minimal_systems(kind):
    """Directions that keep the system as degenerate as it is: there the sum is smooth."""
    sys = degenerate(random_modal(0, 6, 3, 3, 0.9), kind)
    _, gradient = nuclear_norm_gradient(sys)
    rng = np.random.default_rng(1)
    for field in ("poles", "B", "C"):
        assert np.all(np.isfinite(gradient[field]))
        x = getattr(sys, field)
        direction = rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape)
        if field == "B" and kind == "zero row of B":
            direction[1] = 0
        if field == "C" and kind == "zero column of C":
            direction[:, 2] = 0
        if kind == "twin poles" and field in ("poles", "B"):
            direction[1] = direction[0]
        expected = directional(sys, field, direction, 1e-5)
        scale = np.linalg.norm(gradient[field]) * np.linalg.norm(direction)
        assert abs(pairing(gradient[field], direction) - expected) <= 1e-6 * scale


def test_a_batch_where_one_system_is_degenerate_is_the_systems_one_by_one():
    systems = [random_modal(i, 20, 20, 20) for i in range(5)]
    systems[3] = degenerate(systems[3], "twin poles")
    fields = {name: np.stack([getattr(sys, name) for sys in systems]) for name in ("poles", "B", "C")}
    value, gradient = nuclear_norm_gradient(mor.Modal(**fields, dt=1.0))
    for i, sys in enumerate(systems):
        alone, slope = nuclear_norm_gradient(sys)
        np.testing.assert_allclose(value[i], alone, rtol=1e-10)
        for name in fields:
            scale = np.abs(slope[name]).max()
            np.testing.assert_allclose(gradient[name][i], slope[name], rtol=0, atol=1e-6 * scale)


torch = pytest.importorskip("torch")


def torch_modal(sys, dtype=None, requires_grad=True):
    kind = dtype or torch.complex128
    poles, B, C = (
        torch.tensor(x, dtype=kind).requires_grad_(requires_grad) for x in (sys.poles, sys.B, sys.C)
    )
    return mor.Modal(poles, B, C, dt=sys.dt)


@pytest.mark.parametrize("radius", [0.9, 0.9999])
@pytest.mark.parametrize("shape", [(64, 64, 64), (40, 1, 1), (40, 3, 3)])
def test_torch_float32_gradient_matches_float64_finite_differences(shape, radius):
    sys = random_modal(3, *shape, radius=radius)
    single = torch_modal(sys, torch.complex64)
    total = mor.hankel_nuclear_norm(single)
    assert total.dtype == torch.float32
    total.backward()
    rounded = mor.Modal(
        *(x.detach().numpy().astype(complex) for x in (single.poles, single.B, single.C)), dt=1.0
    )
    np.testing.assert_allclose(float(total), float(np.sum(mor.hankel_singular_values(rounded))), rtol=1e-6)
    rng = np.random.default_rng(0)
    for field, step in (("poles", 1e-8), ("B", 1e-6), ("C", 1e-6)):
        x = getattr(rounded, field)
        direction = rng.standard_normal(x.shape) + 1j * rng.standard_normal(x.shape)
        gradient = getattr(single, field).grad.numpy()
        expected = directional(rounded, field, direction, step)
        scale = np.linalg.norm(gradient) * np.linalg.norm(direction)
        assert abs(pairing(gradient, direction) - expected) <= 1e-4 * scale


@pytest.mark.slow
@given(modal_systems(margin=1e-2))
def test_torch_agrees_with_numpy(sys):
    value, gradient = nuclear_norm_gradient(sys)
    tensors = torch_modal(sys)
    total = mor.hankel_nuclear_norm(tensors)
    total.backward()
    np.testing.assert_allclose(total.item(), float(value), rtol=1e-12)
    for field in ("poles", "B", "C"):
        got = getattr(tensors, field).grad.numpy()
        scale = np.max(np.abs(gradient[field]), initial=0.0)
        # At a kink the two may mask directions at round-off differently.
        np.testing.assert_allclose(got, gradient[field], rtol=0, atol=1e-6 * scale + 1e-300)


@pytest.mark.slow
def test_real_parameters_of_a_layer_get_gradients():
    rng = np.random.default_rng(0)
    blocks = torch.tensor(0.3 * rng.standard_normal((4, 2, 2)), requires_grad=True)
    B = torch.tensor(rng.standard_normal((8, 3)), requires_grad=True)
    C = torch.tensor(rng.standard_normal((3, 8)), requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda b, x, y: mor.hankel_nuclear_norm(mor.BlockDiagonal(b, x, y, dt=1.0)), (blocks, B, C)
    )


def test_a_batch_of_layers_in_one_call():
    systems = [random_modal(i, 5, 2, 2) for i in range(3)]
    batch = mor.Modal(
        *(torch.tensor(np.stack([getattr(s, f) for s in systems])) for f in ("poles", "B", "C")), dt=1.0
    )
    totals = mor.hankel_nuclear_norm(batch)
    expected = [float(mor.hankel_nuclear_norm(s)) for s in systems]
    np.testing.assert_allclose(totals.numpy(), expected, rtol=1e-12)


@pytest.mark.slow
def test_torch_func_transforms():
    sys = random_modal(1, 6, 2, 2)
    poles, B, C = (torch.tensor(x) for x in (sys.poles, sys.B, sys.C))
    gradient = torch.func.grad(lambda b: mor.hankel_nuclear_norm(mor.Modal(poles, b, C, dt=1.0)))(B)
    np.testing.assert_allclose(gradient.numpy(), nuclear_norm_gradient(sys)[1]["B"], rtol=1e-8)
    many = torch.func.vmap(lambda b: mor.hankel_nuclear_norm(mor.Modal(poles, b, C, dt=1.0)))(
        torch.stack([B, 2 * B])
    )
    np.testing.assert_allclose(
        many.numpy(), float(mor.hankel_nuclear_norm(sys)) * np.array([1, 2]), rtol=1e-12
    )


def test_unstable_layers_are_refused_in_training_too():
    sys = random_modal(0, 3, 1, 1)
    with pytest.raises(mor.errors.UnstableSystemError, match="horizon"):
        mor.hankel_nuclear_norm(torch_modal(dataclasses.replace(sys, poles=sys.poles * 2.5)))


@pytest.mark.parametrize("kind", NON_MINIMAL)
def test_torch_float32_on_systems_that_are_not_minimal(kind):
    """Inside, double precision decides what is round-off, so float32 parameters lose nothing."""
    single = torch_modal(degenerate(random_modal(7, 12, 3, 3, 0.99), kind), torch.complex64)
    mor.hankel_nuclear_norm(single).backward()
    fields = (single.poles, single.B, single.C)
    exact = mor.Modal(*(x.detach().numpy().astype(complex) for x in fields), dt=1.0)
    _, gradient = nuclear_norm_gradient(exact)
    for field in ("poles", "B", "C"):
        got = getattr(single, field).grad.numpy()
        assert np.linalg.norm(got - gradient[field]) <= 1e-6 * np.linalg.norm(gradient[field])
