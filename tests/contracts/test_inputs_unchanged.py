"""No public function writes into what it is given, systems and arrays alike."""

import itertools

import numpy as np
import pytest

import mor
from mor.analysis.gramians import KINDS
from tests.oracles.dense import random_pencil, random_stable

TIMES = (0.0, 1.0)


def read_only(rng, dt, kind, n=6):
    """A system of read-only arrays, with two inputs and outputs, and copies of what it holds."""
    A = random_stable(rng, n, dt)
    B, C, D = rng.standard_normal((n, 2)), rng.standard_normal((2, n)), np.zeros((2, 2))
    if kind == "Modal":
        poles = np.linalg.eigvals(A)
        given = {"poles": poles, "B": B + 0j, "C": C + 0j, "D": D}
    elif kind == "BlockDiagonal":
        blocks = np.stack([random_stable(rng, 2, dt) for _ in range(n // 2)])
        given = {"blocks": blocks, "B": B, "C": C, "D": D}
    else:
        E = random_pencil(rng, n, "well" if kind == "LTI with E" else "none")
        given = {"A": A if E is None else E @ A, "B": B, "C": C, "D": D}
        given |= {} if E is None else {"E": E}
        given = {key: np.asfortranarray(x) for key, x in given.items()}
    for x in given.values():
        x.setflags(write=False)
    system = getattr(mor, kind.split()[0])(**given, dt=dt)
    for key in given:
        getattr(system, key).setflags(write=False)
    return system, given, {key: x.copy() for key, x in given.items()}


#: Names that take no system and no matrices, or only make systems of them.
NO_ARRAYS = {
    "Labels",
    "MorError",
    "Peak",
    "Reduction",
    "load",
    "read_checkpoint",
}
CONSTRUCTORS = {"LQO", "LTI", "Modal", "BlockDiagonal", "SparseLTI"} | {
    kind.__name__ for kind in KINDS.values()
}


def calls(s, tmp_path):
    """One call of each public function, by name."""
    u = np.ones((5, 2))
    u.setflags(write=False)
    t = np.arange(5) * 1.0
    t.setflags(write=False)
    dense = s.to_lti()
    A, B, C, E = dense.A, dense.B, dense.C, dense.E
    Q, dt = B @ B.T, s.dt
    for x in (A, B, C, Q, E):
        if x is not None:
            x.setflags(write=False)
    return {
        "append": lambda: mor.append(s, s),
        "as_system": lambda: mor.as_system(s),
        "balance": lambda: mor.balance(s).truncate(3),
        "balanced_truncation": lambda: mor.balanced_truncation(s, order=3),
        "dcgain": lambda: mor.dcgain(s),
        "feedback": lambda: mor.feedback(s, s),
        "freqresp": lambda: mor.freqresp(s, t),
        "gramians": lambda: (mor.gramians(s), mor.gramians(s, horizon=3), mor.gramians(s, band=(0.5, 1.0))),
        "h2_error": lambda: mor.h2_error(s, s),
        "h2_inner": lambda: mor.h2_inner(s, s),
        "h2_norm": lambda: mor.h2_norm(s),
        "h2_optimal": lambda: mor.h2_optimal(s, 2),
        "hankel_norm": lambda: mor.hankel_norm(s),
        "hankel_nuclear_norm": lambda: mor.hankel_nuclear_norm(s),
        "hankel_singular_values": lambda: mor.hankel_singular_values(s),
        "hinf_norm": lambda: mor.hinf_norm(s),
        "impulse": lambda: mor.impulse(s, 5 if dt else t),
        "impulse_kernels": lambda: mor.impulse_kernels(s, 5 if dt else t),
        "irka": lambda: mor.irka(s, 2),
        "lyapunov_factor": lambda: [
            mor.lyapunov_factor(A, x, E, dt=dt, trans=trans, horizon=horizon)
            for (x, trans), horizon in itertools.product(((B, False), (C, True)), (None, 3))
        ],
        "minimal_realization": lambda: mor.minimal_realization(s),
        "modal_truncation": lambda: mor.modal_truncation(s, order=3),
        "normal_rank": lambda: mor.normal_rank(s),
        "output_bound": lambda: mor.output_bound(s, u, t),
        "peak_gain": lambda: mor.peak_gain(s),
        "rank_modes": lambda: mor.rank_modes(s).truncate(3),
        "save": lambda: mor.save(tmp_path / "system.npz", s),
        "series": lambda: mor.series(s, s),
        "simulate": lambda: mor.simulate(s, u, t),
        "solve_lyapunov": lambda: mor.solve_lyapunov(A, Q, E, dt=dt),
        "solve_sylvester": lambda: mor.solve_sylvester(A, A, Q, dt=dt),
        "split_stable": lambda: mor.split_stable(s),
        "step": lambda: mor.step(s, 5 if dt else t),
        "to_control": lambda: pytest.importorskip("control") and mor.to_control(s),
        "to_scipy": lambda: mor.to_scipy(s),
        "transfer_kernels": lambda: mor.transfer_kernels(s, 1j * t),
        "tsia": lambda: mor.tsia(s, 2),
        "zeros": lambda: mor.zeros(s),
    }


@pytest.mark.slow
@pytest.mark.parametrize("dt", TIMES)
@pytest.mark.parametrize("kind", ["LTI", "LTI with E", "Modal", "BlockDiagonal"])
def test_inputs_are_never_changed(kind, dt, tmp_path):
    """Slycot 0.7.1 writes into the arrays it is given (its issue 199); here they may be read-only."""
    system, given, copies = read_only(np.random.default_rng(7), dt, kind)
    functions = calls(system, tmp_path)
    # A function that is new in the library has to appear here.
    assert set(functions) == set(mor.__all__) - NO_ARRAYS - CONSTRUCTORS
    for call in functions.values():
        call()
    for key, x in given.items():
        np.testing.assert_array_equal(x, copies[key])
        np.testing.assert_array_equal(getattr(system, key), copies[key])
