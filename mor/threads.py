"""Threads: how many there are, and only one where the work is small.

The threads of a BLAS wait for each other by spinning. On matrices of a few hundred rows they gain next
to nothing, and where another process takes a core each wait may last as long as the other's time
slice: 15 ms of work have become 1.3 s. So small work is done by one, whatever the environment grants.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import copy_context
from functools import cached_property, partial, wraps
from itertools import compress
from operator import not_
from threading import Lock
from typing import Any, ParamSpec, TypeVar

import numpy as np
from threadpoolctl import ThreadpoolController

#: Orders up to which one thread does the work: a Schur form of that size gains little from a second.
SMALL_ORDER = 512

P = ParamSpec("P")
R = TypeVar("R")


def threads() -> int:
    """Threads to use: what OMP_NUM_THREADS grants, else the cores of this process."""
    granted = os.environ.get("OMP_NUM_THREADS", "")
    if granted.isdigit() and int(granted) > 0:
        return int(granted)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def side_by_side(*tasks: Callable[[], Any]) -> list[Any]:
    """Results of independent NumPy tasks, in threads: its loops release the interpreter."""
    if threads() < 2:
        return [task() for task in tasks]
    # Each in a copy of this thread's context, which says how floating-point errors are treated.
    runs = [partial(copy_context().run, task) for task in tasks]
    with ThreadPoolExecutor(min(threads(), len(tasks))) as pool:
        return list(pool.map(lambda run: run(), runs))


class _Blas:
    """The thread counts of the BLAS libraries of this process: one while any thread of it asks for that.

    With OpenMP a count belongs to each thread of Python. Otherwise it belongs to the process: there the
    first to ask notes it, and the last to leave restores it, in whatever order they come and go.
    """

    def __init__(self) -> None:
        self._lock, self._users, self._shared = Lock(), 0, []

    @cached_property
    def _libraries(self) -> tuple[list[Any], list[Any]]:
        """Those loaded by now, NumPy's and SciPy's, by whom counts belong to: looking takes milliseconds."""
        found = ThreadpoolController().select(user_api="blas").lib_controllers
        per_thread = [getattr(library, "threading_layer", "") == "openmp" for library in found]
        return list(compress(found, per_thread)), list(compress(found, map(not_, per_thread)))

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        with self._lock:
            of_threads, of_process = self._libraries
            if not self._users:
                self._shared = _limit_to_one(of_process)
            self._users += 1
        own = _limit_to_one(of_threads)
        try:
            yield
        finally:
            _restore(own)
            with self._lock:
                self._users -= 1
                if not self._users:
                    _restore(self._shared)


def _limit_to_one(libraries: list[Any]) -> list[tuple[Any, int]]:
    """Set to one thread: those that had more, and how many."""
    counts = [(library, library.num_threads) for library in libraries]
    changed = [(library, count) for library, count in counts if count != 1]
    _restore([(library, 1) for library, _ in changed])
    return changed


def _restore(counts: list[tuple[Any, int]]) -> None:
    for library, count in counts:
        library.set_num_threads(count)
        # Some versions let only the thread that was first to set a count set it again.
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread()


_BLAS = _Blas()


def threads_for(order: float) -> AbstractContextManager[None]:
    """A context in which NumPy's and SciPy's BLAS have one thread, if matrices of this order are small.

    Work of other threads of the process has one too, for that while.

    Examples
    --------
    >>> import numpy as np
    >>> with threads_for(3):
    ...     x = np.linalg.solve(2 * np.eye(3), np.ones(3))
    >>> x
    array([0.5, 0.5, 0.5])
    """
    return _BLAS.one_thread() if order <= SMALL_ORDER else nullcontext()


def threads_by_order(function: Callable[P, R]) -> Callable[P, R]:
    """A function of a system, or of whatever describes one, that runs in :func:`threads_for` its order."""

    @wraps(function)
    def limited(*args: P.args, **options: P.kwargs) -> R:
        described = args[0] if args else next(iter(options.values()), None)
        with threads_for(_order(described)):
            return function(*args, **options)

    return limited


def _order(sys: Any) -> float:
    """The order of what describes a system, as far as it is seen at a glance; infinite if it is not."""
    order = getattr(getattr(sys, "system", sys), "order", None)
    if isinstance(order, int):
        return order
    A = sys[0] if isinstance(sys, tuple) and sys else getattr(sys, "A", None)
    shape = np.shape(A) if isinstance(A, list) else getattr(A, "shape", ())
    return shape[0] if shape else np.inf
