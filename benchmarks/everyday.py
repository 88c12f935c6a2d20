"""Systems of everyday sizes, 6 to 500 states, against Slycot and python-control: one thread.

Two kinds of order n with 2 inputs and outputs: a well damped one without structure, and a flexible one of n/2
modes of 1 % damping in general coordinates. The peers run in this process; none is called that is known to
corrupt memory (``ab09bd``).
"""

import json
import os
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

os.environ["MOR_BENCHMARK_THREADS"] = "1"
import common  # noqa: F401
import numpy as np
import slycot

import mor

System = tuple[np.ndarray, np.ndarray, np.ndarray]

ORDERS = (6, 20, 48, 120, 270, 500)

#: Least ratios asked for, by order; the H-infinity norm has a lower one at 20.
AIMS = {20: 0.15, 48: 0.5, 120: 1.0, 270: 1.0, 500: 1.0}

#: Seconds for a row, and fewest runs of each contestant.
_SECONDS, _RUNS = 1.5, 5


def damped(n: int, m: int = 2) -> System:
    rng = np.random.default_rng(0)
    A = rng.standard_normal((n, n)) / n**0.5 - 1.1 * np.eye(n)
    return A, rng.standard_normal((n, m)), rng.standard_normal((m, n))


def flexible(n: int, m: int = 2) -> System:
    rng = np.random.default_rng(0)
    k, w = n // 2, np.geomspace(1, 100, n // 2)
    Q = np.linalg.qr(rng.standard_normal((k, k)))[0]
    A, B, C = np.zeros((n, n)), np.zeros((n, m)), np.zeros((m, n))
    A[:k, k:], A[k:, :k], A[k:, k:] = np.eye(k), -(Q * w**2) @ Q.T, -(Q * (0.02 * w)) @ Q.T
    B[k:], C[:, :k] = rng.standard_normal((k, m)), rng.standard_normal((m, k))
    return A, B, C


def ab09ad(A: np.ndarray, B: np.ndarray, C: np.ndarray) -> Any:
    n, m, p = len(A), B.shape[1], len(C)
    return slycot.ab09ad("C", "B", "N", n, m, p, A.copy(), B.copy(), C.copy(), nr=max(1, n // 4))


def ab13dd(A: np.ndarray, B: np.ndarray, C: np.ndarray) -> Any:
    n, m, p = len(A), B.shape[1], len(C)
    D = np.zeros((p, m))
    return slycot.ab13dd("C", "I", "N", "D", n, m, p, A.copy(), np.eye(n), B.copy(), C.copy(), D, 1e-8)


def ab13bd(A: np.ndarray, B: np.ndarray, C: np.ndarray) -> Any:
    n, m, p = len(A), B.shape[1], len(C)
    return slycot.ab13bd("C", "H", n, m, p, A.copy(), B.copy(), C.copy(), np.zeros((p, m)))


def truncation(*system: np.ndarray) -> Any:
    return mor.balanced_truncation(system, max(1, len(system[0]) // 4))


PAIRS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "balanced truncation": (truncation, ab09ad),
    "Hankel singular values": (lambda *s: mor.hankel_singular_values(s), ab09ad),
    "H-infinity norm": (lambda *s: mor.hinf_norm(s), ab13dd),
    "H2 norm": (lambda *s: mor.h2_norm(s), ab13bd),
}


def responses(n: int, points: int) -> tuple[Callable[[], Any], Callable[[], Any]]:
    """Frequency responses of one system; python-control takes Slycot's ``tb05ad``."""
    import control

    A, B, C = flexible(n, 1)
    omega = np.geomspace(0.1, 1e3, points)
    peer = control.ss(A, B, C, np.zeros((1, 1)))
    return lambda: mor.freqresp((A, B, C), omega), lambda: peer.frequency_response(omega)


def interleaved(ours: Callable[[], Any], peer: Callable[[], Any]) -> tuple[list[float], list[float]]:
    """Seconds of this process, which other ones on the machine do not add to."""
    mine: list[float] = []
    theirs: list[float] = []
    ours(), peer()
    begin = time.perf_counter()
    while len(mine) < _RUNS or (time.perf_counter() - begin < _SECONDS and len(mine) < 200):
        for run, times in ((ours, mine), (peer, theirs)):
            start = time.process_time()
            run()
            times.append(time.process_time() - start)
    return mine, theirs


def rows() -> list[tuple[str, Any, Callable[[], Any], Callable[[], Any]]]:
    found = []
    for what, (ours, peer) in PAIRS.items():
        for n in ORDERS:
            aim = 0.1 if (what, n) == ("H-infinity norm", 20) else AIMS.get(n)
            for kind in (damped, flexible):
                data = kind(n)
                name = f"{what}, order {n}, {kind.__name__}"
                found.append((name, aim, lambda f=ours, x=data: f(*x), lambda f=peer, x=data: f(*x)))
    for n, points in ((48, 500), (348, 500)):
        found.append((f"{points} frequencies, order {n}", 1.0 if n > 100 else None, *responses(n, points)))
    return found


def table() -> dict[str, Any]:
    """The rows that ``run.py`` prints: our times, and the peer's over ours."""
    found = []
    with warnings.catch_warnings():
        # Slycot takes fewer states than asked for, and says so.
        warnings.simplefilter("ignore")
        for name, aim, ours, peer in rows():
            mine, theirs = interleaved(ours, peer)
            middle = statistics.median(mine)
            found.append(
                {
                    "name": name,
                    "median": middle,
                    "low": min(mine),
                    "high": max(mine),
                    "ratio": statistics.median(theirs) / middle,
                    "goal": "" if aim is None else f"at least {aim:g}",
                }
            )
            sys.stderr.write(f"{name}: {1e3 * middle:.2f} ms, {found[-1]['ratio']:.2f}\n")
    title = "Everyday sizes, one thread; the ratio is the peer's time over ours"
    return {"title": title, "unit": "s", "rows": found, "facts": {}}


if __name__ == "__main__":
    json.dump(table(), sys.stdout)
    sys.stdout.write("\n")
