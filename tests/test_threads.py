"""Small work has one BLAS thread, whoever asks for it and in whatever order; all are given back."""

import threading

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import mor
from mor.threads import _BLAS, SMALL_ORDER, threads_by_order, threads_for
from tests.oracles.dense import random_stable


def counts():
    """Of the libraries that NumPy and SciPy came with: a peer's may have been loaded later."""
    return [library.num_threads for kind in _BLAS._libraries for library in kind]


@pytest.fixture
def three():
    """Three threads for every BLAS: the number that a test must find again."""
    with threadpool_limits(3, user_api="blas"):
        if set(counts()) != {3}:
            pytest.skip("this BLAS does not take a number of threads")
        yield


def test_small_work_has_one_and_large_work_all(three):
    with threads_for(SMALL_ORDER):
        assert set(counts()) == {1}
    assert set(counts()) == {3}
    with threads_for(SMALL_ORDER + 1):
        assert set(counts()) == {3}


def test_they_are_given_back_after_an_error(three):
    with pytest.raises(ZeroDivisionError), threads_for(2), threads_for(3):
        raise ZeroDivisionError
    assert set(counts()) == {3}


def test_threads_that_overlap_give_back_what_was_there_before_the_first(three):
    inside, leave = threading.Event(), threading.Event()

    def work():
        with threads_for(5):
            inside.set()
            leave.wait(10)

    other = threading.Thread(target=work)
    with threads_for(5):
        other.start()
        assert inside.wait(10)
    assert set(counts()) == {1}
    leave.set()
    other.join()
    assert set(counts()) == {3}


@pytest.mark.parametrize(
    "describe",
    [
        lambda A, B, C: (A, B, C),
        lambda A, B, C: (A.tolist(), B.tolist(), C.tolist()),
        lambda A, B, C: mor.LTI(A, B, C),
        lambda A, B, C: mor.balanced_truncation((A, B, C), order=2),
    ],
)
def test_the_order_is_seen_in_what_describes_a_system(three, describe):
    rng = np.random.default_rng(0)
    sys = describe(random_stable(rng, 4, 0.0), rng.standard_normal((4, 1)), rng.standard_normal((1, 4)))
    seen = threads_by_order(lambda sys: counts())
    assert set(seen(sys)) == {1}
    assert set(seen(sys=sys)) == {1}
    assert set(seen(object())) == {3}


def test_public_functions_use_it_and_keep_their_signatures(three, monkeypatch):
    seen = []
    monkeypatch.setattr("mor.equations.schur.grading", _watched(seen))
    sys = (-np.eye(3), np.ones((3, 1)), np.ones((1, 3)))
    for function in (mor.balanced_truncation, mor.hankel_singular_values, mor.h2_norm, mor.hinf_norm):
        function(sys=sys)
    assert len(seen) >= 4
    assert all(set(found) == {1} for found in seen)


def _watched(seen):
    from mor.equations.scaling import grading

    def watched(A):
        seen.append(counts())
        return grading(A)

    return watched
