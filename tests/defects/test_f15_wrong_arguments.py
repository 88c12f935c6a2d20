"""Wrong and degenerate arguments gave errors that are none of the library's, and name no argument."""

import numpy as np
import pytest

import mor
from mor.deep import allocate_ranks
from mor.errors import ArgumentError, MorError

SYS = mor.LTI([[-1.0, 1.0], [0.0, -2.0]], [[1.0], [1.0]], [[1.0, 0.0]])
DISCRETE = mor.LTI([[0.5]], [[1.0]], [[1.0]], dt=1.0)
BATCH = mor.Modal(-np.ones((2, 1)), np.ones((2, 1, 1)), np.ones((2, 1, 1)))
MANY = np.ones(2)
CALLS = {
    "a number for a signal": (lambda: mor.simulate(SYS, 1.0, [0.0]), "u"),
    "an order that is NaN": (lambda: mor.balanced_truncation(SYS, float("nan")), "order"),
    "an order that is infinite": (lambda: mor.balanced_truncation(SYS, float("inf")), "order"),
    "no matrices": (lambda: mor.h2_norm((None, None, None)), "A"),
    "labels that are a word": (lambda: mor.LTI([[-1.0]], [[1.0]], [[1.0]], labels="x"), "labels"),
    "no values": (lambda: allocate_ranks(None, 0.5), "hsv"),
    "values that are a word": (lambda: allocate_ranks({"a": "text"}, 0.5), None),
    "ragged poles": (lambda: mor.Modal([[1.0], [1.0, 2.0]], [[1.0]], [[1.0]]), "poles"),
    "blocks that are a word": (lambda: mor.BlockDiagonal("a", [[1.0]], [[1.0]]), "blocks"),
    "frequencies that are a word": (lambda: mor.freqresp(SYS, "text"), "omega"),
    "times that are a word": (lambda: mor.impulse(SYS, "text"), "t"),
    "times of a step that are a word": (lambda: mor.step(DISCRETE, "text"), "t"),
    "a signal that is a word": (lambda: mor.simulate(SYS, "text", [0.0]), "u"),
    "a step that is a word": (lambda: mor.simulate(SYS, [1.0], step="x"), "step"),
    "a step that is an array": (lambda: SYS.discretize(np.ones(2)), "step"),
    "a hold that is an array": (lambda: mor.simulate(SYS, [1.0], step=1.0, hold=np.ones(2)), None),
    "a tolerance that is an array": (lambda: mor.peak_gain(SYS, tol=np.ones(2)), "tol"),
    "a tolerance that is a word": (lambda: mor.h2_optimal(SYS, 1, tol="x"), "tol"),
    "iterations that are an array": (
        lambda: mor.h2_optimal(SYS, 1, max_iterations=MANY),
        "max_iterations",
    ),
    "shifts that are bytes": (lambda: mor.irka(SYS, 1, shifts=b"x"), "shifts"),
    "a path that is none": (lambda: mor.save(True, SYS), None),
    "a path to read that is none": (lambda: mor.read_checkpoint(3), "path"),
    "a band that is a word": (lambda: mor.h2_norm(SYS, band="text"), "band"),
    "a band of one frequency": (lambda: mor.h2_norm(SYS, band=(1.0,)), "band"),
    "a horizon that is a word": (lambda: mor.h2_norm(SYS, horizon="1"), "horizon"),
    "more samples than memory holds": (lambda: mor.impulse(DISCRETE, 10**15), "t"),
    "a variant that is an array": (lambda: mor.balanced_truncation(SYS, match=np.ones(2)), "match"),
    "a score that is a list": (lambda: mor.modal_truncation(SYS, score=["h2"]), "score"),
    "a type that is none": (lambda: mor.to_scipy(SYS, dtype="text"), "dtype"),
    "an index that is a word": (
        lambda: mor.Modal(-np.ones((2, 1)), np.ones((2, 1, 1)), np.ones((2, 1, 1)))["a"],
        "index",
    ),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("what", CALLS)
def test_a_typed_error_that_names_the_argument(what):
    call, argument = CALLS[what]
    with pytest.raises(MorError) as caught:
        call()
    if argument is not None:
        assert caught.value.argument == argument
        assert argument in str(caught.value)


def test_modal_from_anything_that_is_a_system():
    sys = mor.Modal.from_lti(([[-1.0]], [[1.0]], [[2.0]]))
    assert (sys.order, sys.evaluate(0)[0, 0]) == (1, 2.0)


def test_batches_end_where_they_end():
    assert len(list(BATCH)) == 2
    with pytest.raises(IndexError):
        BATCH[2]
    assert BATCH[..., 1].batch_shape == BATCH[np.array(1)].batch_shape == ()
    assert BATCH[None].batch_shape == (1, 2)


def test_errors_survive_a_process_boundary():
    import pickle

    error = pickle.loads(pickle.dumps(ArgumentError("n=0 is too small.", argument="n")))
    assert (str(error), error.argument, error.exit_code) == ("n=0 is too small.", "n", 3)
