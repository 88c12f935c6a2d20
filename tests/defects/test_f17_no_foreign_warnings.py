"""NumPy's and SciPy's warnings came before the typed error, or beside a right result."""

import warnings

import numpy as np
import pytest

import mor
from mor.deep import allocate_ranks
from mor.errors import MorError, NotFiniteError

ONE = np.ones((1, 1))
STIFF = mor.LTI([[-1e200, 0.0], [0.0, -1.0]], [[1e200], [1.0]], [[1.0, 1.0]])
HUGE = mor.LTI(1e300 * np.array([[-1.0, 1.0], [1.0, -2.0]]), 1e300 * np.ones((2, 1)), 1e300 * np.ones((1, 2)))
CALLS = {
    "a dense system grows within its horizon": lambda: mor.h2_norm(mor.LTI([[1.0]], ONE, ONE), horizon=1e4),
    "a modal system grows": lambda: mor.h2_norm(mor.Modal(np.array([1.0 + 1j]), ONE, ONE), horizon=1e4),
    "a discrete one grows": lambda: mor.gramians(mor.Modal(np.array([9.0]), ONE, ONE, dt=1.0), horizon=10**6),
    "a step of a stiff system": lambda: mor.step(STIFF, [0.0, 1.0]),
    "sampling a stiff system": lambda: STIFF.discretize(1e200),
    "a step that grows": lambda: mor.step(mor.LTI([[1e3]], ONE, ONE), np.arange(9.0)),
    "modes on the boundary": lambda: mor.modal_truncation(mor.Modal(np.array([1j]), ONE, ONE)),
    "large shares": lambda: allocate_ranks({"a": [1e200, 1e-200], "b": [1.0]}, 0.9, method="adaptive"),
    "values of a huge system": lambda: mor.hankel_singular_values(HUGE),
    "its gain": lambda: mor.hinf_norm(HUGE),
    "its balanced truncation": lambda: mor.balanced_truncation(HUGE, 1),
    "its minimal realisation": lambda: mor.minimal_realization(HUGE),
    "its H2 reduction": lambda: mor.tsia(HUGE, 1),
    "its band": lambda: mor.hankel_singular_values(HUGE, band=(0.0, 1.0)),
    "its modes": lambda: mor.modal_truncation(HUGE, 1),
    "a tiny modal system with many inputs": lambda: mor.balanced_truncation(
        mor.Modal(np.array([-1e-300, -1e300]), 1e-200 * np.ones((2, 20)), np.ones((20, 2)))
    ),
    "a huge equation": lambda: mor.solve_sylvester(1e300 * ONE, 1e300 * ONE, 1e300 * ONE),
}


@pytest.mark.parametrize("what", CALLS)
def test_an_answer_or_a_typed_error_and_no_warning(what):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            CALLS[what]()
        except MorError as error:
            assert str(error)  # noqa: PT017


def test_what_cannot_be_done_is_said():
    with pytest.raises(NotFiniteError, match="within horizon"):
        CALLS["a dense system grows within its horizon"]()
    with pytest.raises(NotFiniteError, match="overflow"):
        CALLS["a step that grows"]()
