"""The rotation parametrisation: three ways to see one layer."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

import mor
from mor.analysis.nuclear_norm import nuclear_norm_gradient
from mor.deep.rotation import modal_from_rotation, rotation_from_modal


@st.composite
def parameters(draw, max_blocks=6, max_signals=3):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    q, m = draw(st.integers(1, max_blocks)), draw(st.integers(1, max_signals))
    return {
        "rotation.angles": rng.standard_normal(q),
        "rotation.retentions": 1 + 0.25 * rng.standard_normal(q),
        "sys_in": rng.standard_normal((q, 2, m)),
        "sys_out": rng.standard_normal((m, q, 2)),
        "sys_feed": rng.standard_normal(m),
    }


def as_blocks(p):
    """The layer as it is written down: scaled rotations, states two by two."""
    radius, angle = (
        (np.tanh(p["rotation.retentions"]) + 1) / 2,
        np.pi * (np.tanh(p["rotation.angles"]) + 1) / 2,
    )
    c, s = radius * np.cos(angle), radius * np.sin(angle)
    blocks = np.moveaxis(np.array([[c, s], [-s, c]]), -1, 0)
    m = len(p["sys_feed"])
    B, C = p["sys_in"].reshape(-1, m), p["sys_out"].reshape(m, -1)
    return mor.BlockDiagonal(blocks, B, C, np.diag(p["sys_feed"]), dt=1.0)


@given(parameters())
def test_the_modal_form_is_the_block_form(p):
    modal, blocks = modal_from_rotation(p), as_blocks(p)
    points = np.array([1.2, 0.4 + 1.3j, -2.0])
    np.testing.assert_allclose(modal.evaluate(points), blocks.evaluate(points), rtol=1e-10, atol=1e-10)
    P, Q = mor.gramians(modal)
    interleaved = np.argsort(np.concatenate([np.arange(0, len(P), 2), np.arange(1, len(P), 2)]))
    for mine, theirs in zip((P, Q), mor.gramians(blocks), strict=True):
        # [Re z; Im z] against pairs of states: the same numbers in another order.
        np.testing.assert_allclose(
            mine[np.ix_(interleaved, interleaved)], theirs, rtol=0, atol=1e-10 * np.max(theirs)
        )
    hsv = mor.hankel_singular_values(blocks)
    np.testing.assert_allclose(mor.hankel_singular_values(modal), hsv, rtol=0, atol=1e-10 * hsv[0])


@given(parameters(max_signals=2))
def test_both_forms_have_one_gradient(p):
    modal, blocks = modal_from_rotation(p), as_blocks(p)
    hsv = mor.hankel_singular_values(modal)
    assume(hsv[-1] >= 1e-4 * hsv[0])  # next to a kink the two decide differently what is round-off
    _, by_mode = nuclear_norm_gradient(modal)
    _, by_block = nuclear_norm_gradient(blocks)
    np.testing.assert_allclose(
        by_mode["B"].real, by_block["B"][0::2], rtol=0, atol=1e-7 * np.max(np.abs(by_mode["B"]))
    )
    np.testing.assert_allclose(
        by_mode["B"].imag, by_block["B"][1::2], rtol=0, atol=1e-7 * np.max(np.abs(by_mode["B"]))
    )
    slope = by_block["blocks"]
    # pole = c - i s: dS/dc = trace, dS/ds = upper right minus lower left.
    expected = slope[:, 0, 0] + slope[:, 1, 1] - 1j * (slope[:, 0, 1] - slope[:, 1, 0])
    np.testing.assert_allclose(by_mode["poles"], expected, rtol=0, atol=1e-7 * np.max(np.abs(expected)))


@given(parameters())
def test_parameters_come_back(p):
    back = rotation_from_modal(modal_from_rotation(p))
    for name, x in p.items():
        np.testing.assert_allclose(back[name], x, rtol=1e-9, atol=1e-9, err_msg=name)
