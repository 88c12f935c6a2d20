"""The recurrence of a layer: every method is the plain loop, with its gradients."""

from __future__ import annotations

import numpy as np
import pytest

from mor.errors import DimensionError
from tests.torch.live_layers import assert_close, seeded

torch = pytest.importorskip("torch")

from mor.adapters.torch.recurrence import choose_method, linear_recurrence  # noqa: E402

METHODS = ["steps", "chunks"]

#: One below, at and above a chunk of 32; two chunks and a rest; a chunk of chunks and a rest.
LENGTHS = [1, 2, 31, 32, 33, 65, 1000]

#: Zero, next to the circle, on the real axis on both sides, and one in between.
POLES = [0.0, 0.9999 * np.exp(0.7j), 0.9999, -0.95, 0.5 * np.exp(-2j)]


def poles_and_inputs(length, batch=3, poles=POLES, dtype=torch.complex128, seed=0):
    p = torch.tensor(poles, dtype=dtype)
    v = torch.randn(length, batch, len(poles), dtype=torch.complex128, generator=seeded(seed)).to(dtype)
    return p.requires_grad_(), v.requires_grad_()


def plain_loop(poles, v):
    x, states = torch.zeros_like(v[0]), []
    for step in v:
        x = poles * x + step
        states.append(x)
    return torch.stack(states)


def value_and_gradients(function, poles, v, seed=1):
    """States, and the gradients of a random linear form of them."""
    x = function(poles, v)
    weights = torch.randn(x.shape, dtype=torch.complex128, generator=seeded(seed)).to(x.dtype)
    return x.detach(), *torch.autograd.grad((weights.conj() * x).real.sum(), (poles, v))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", LENGTHS)
def test_recurrence_is_the_loop_with_its_gradients(length, method):
    poles, v = poles_and_inputs(length)
    wanted = value_and_gradients(plain_loop, poles, v)
    actual = value_and_gradients(lambda p, u: linear_recurrence(p, u, method=method), poles, v)
    for a, w in zip(actual, wanted, strict=True):
        # Sums of up to 1000 terms that a pole at 0.9999 hardly damps, in double precision.
        assert_close(a, w, 1e-12)


@pytest.mark.parametrize("length", LENGTHS)
def test_both_methods_agree_in_single_precision(length):
    poles, v = poles_and_inputs(length, dtype=torch.complex64)
    steps, chunks = (
        value_and_gradients(lambda p, u, m=m: linear_recurrence(p, u, method=m), poles, v) for m in METHODS
    )
    for a, w in zip(steps, chunks, strict=True):
        # Round-off of 6e-8 a step, over as many steps as a pole remembers.
        assert_close(a, w, 1e-4)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("length", "batch", "poles"),
    [(1, 1, [0.5j]), (2, 2, [0.0, 0.9]), (7, 2, [0.3 - 0.4j, 0.9]), (35, 1, [0.9j])],
)
def test_gradcheck(length, batch, poles, method):
    inputs = poles_and_inputs(length, batch, poles)
    assert torch.autograd.gradcheck(lambda p, v: linear_recurrence(p, v, method=method), inputs)


@pytest.mark.parametrize("method", [*METHODS, None])
@pytest.mark.parametrize("length", [1, 33, 65])
@pytest.mark.parametrize(("batch", "k"), [(1, 1), (1, 5), (4, 1)])
def test_single_sequences_and_single_poles(length, batch, k, method):
    poles, v = poles_and_inputs(length, batch, POLES[-k:])
    assert_close(linear_recurrence(poles, v, method=method), plain_loop(poles, v), 1e-12)


LAYOUTS = {
    "transposed and strided": lambda x: x.transpose(0, 1)[..., ::2],
    "lazily conjugated": lambda x: x[:, :, :5].conj().transpose(0, 1),
    "expanded": lambda x: x[0, 0, :5].expand(x.shape[1], 4, 5),
    "backward in time": lambda x: x.transpose(0, 1)[..., :5].flip(0),
}

#: Their gradients are an expanded number, a lazily conjugated and a strided tensor.
LOSSES = {
    "sum": lambda x: x.sum().real,
    "squares": lambda x: (x.conj() * x.detach()).sum().real,
    "every other step": lambda x: x[::2].abs().square().sum(),
}


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("length", [5, 40])
def test_inputs_and_gradients_of_any_layout(length, method, layout, loss):
    poles, _ = poles_and_inputs(1)
    base = torch.randn(4, length, 10, dtype=torch.complex128, generator=seeded(2)).requires_grad_()
    found = []
    for run in (plain_loop, lambda p, v: linear_recurrence(p, v, method=method)):
        x = run(poles, LAYOUTS[layout](base))
        found.append((x.detach(), *torch.autograd.grad(LOSSES[loss](x), (poles, base))))
    for wanted, actual in zip(*found, strict=True):
        assert_close(actual, wanted, 1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_zero_poles_pass_their_input(method):
    v = torch.randn(40, 2, 3, dtype=torch.complex128, generator=seeded())
    assert torch.equal(linear_recurrence(torch.zeros(3, dtype=torch.complex128), v, method=method), v)


def test_the_method_chosen_is_one_that_exists():
    for length in LENGTHS:
        for width in (1, 255, 256, 10_000):
            for device in ("cpu", "cuda"):
                assert choose_method(length, width, torch.device(device)) in METHODS


@pytest.mark.parametrize("length", [1, 32, 33])
def test_an_empty_batch_has_no_states(length):
    poles, v = poles_and_inputs(length, batch=0)
    assert linear_recurrence(poles, v).shape == v.shape


def test_an_unknown_method():
    with pytest.raises(DimensionError, match="'magic' is not one of steps, chunks"):
        linear_recurrence(*poles_and_inputs(3), method="magic")


def test_a_second_derivative_is_refused():
    poles, v = poles_and_inputs(3)
    x = linear_recurrence(poles, v)
    (gradient,) = torch.autograd.grad(x.abs().square().sum(), poles, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.abs().sum().backward()
