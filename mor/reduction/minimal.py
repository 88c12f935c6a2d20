"""Minimal realisations of any system, by rank decisions on the data alone."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import scipy.linalg
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from mor.arrays import adjoint, to_complex, to_numpy
from mor.checks import check_real, guarded
from mor.equations.reflectors import Reflectors
from mor.equations.scaling import balancing
from mor.errors import NotFiniteError, QuadraticOutputError, ReductionError
from mor.reduction.batch import flatten_batch, stack
from mor.reduction.result import Reduction
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.labels import without_states
from mor.systems.lti import LTI
from mor.systems.modal import Modal
from mor.systems.units import in_units, out_of_units
from mor.threads import threads_by_order

#: Relative change of the transfer function above which nothing is left out, where no `tol` is given.
_CHANGED = 1e-6

#: Where they are compared, times the norm of A: beside both axes, over many rates.
_PLACES = 10.0 ** np.array([-9, -6, -4, -2.5, -1, 0]) * np.exp([0.9j, 1.3j, 0.4j, 1.1j, 0.7j, 0.2j])


@guarded
@threads_by_order
def minimal_realization(sys: Any, *, tol: float | None = None) -> Reduction:
    r"""The same transfer function with the states left out that no input reaches or no output shows.

    Orthogonal transformations bring a dense system to staircase form,

    .. math:: Z^T A Z = \begin{bmatrix} A_{11} & A_{12} \\ 0 & A_{22} \end{bmatrix}, \quad
              Z^T B = \begin{bmatrix} B_1 \\ 0 \end{bmatrix}, \quad CZ = [C_1\; C_2],

    with :math:`(A_{11}, B_1)` reachable, block by block of rows :math:`B, AB, A^2B, \dots` of
    which none is formed; then the same with the dual of :math:`(A_{11}, B_1, C_1)`. No equation
    is solved, so the system may be unstable.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes. A :class:`~mor.Modal`, or each of a batch, is
        treated mode by mode; other systems in explicit form as an :class:`~mor.LTI`.
    tol : a column counts as dependent on others if what is left of it is below `tol`, for
        columns of B (rows of C) relative to their own norms, for blocks of A relative to the
        Frobenius norm of A; poles of a Modal closer than `tol` of their size are one. None is
        ``max(n, 10)^2 eps``: what round-off leaves where the data are exact.

    Returns
    -------
    Reduction
        Without an error bound and without ``hsv``. ``diagnostics``: how many states were
        ``unreachable``, how many of the others ``unobservable``, and the largest coupling
        ``neglected`` in the same relative terms. Where `tol` is None and what is left would be another
        transfer function, nothing is left out, and a ``note`` says so.

    Raises
    ------
    ReductionError
        If `tol` is not between 0 and 1, or E is singular.
    QuadraticOutputError
        If outputs are quadratic; :func:`mor.balanced_truncation` without `order` takes such systems.
    DimensionError
        Of a batch of systems.
    NotFiniteError
        If the data or the result leave the range of double precision.

    Notes
    -----
    A rank decision is on or off: it cannot tell how much a weakly coupled state matters. For
    stable systems :func:`mor.balanced_truncation` without `order` and `tol` does, with a bound
    on the error; take that where it applies, and this where poles are unstable or where only
    structure is to be removed.

    Decisions are taken in units of the states in which A, B and C together are balanced
    (:func:`mor.equations.scaling.balancing`), so those of the data do not matter. Cost about ``10 n^3``
    flops; for k modes ``k^2 (m + p)``.

    Source: [Rosenbrock70], [Varga81]. Equals MATLAB's ``minreal``, SLICOT's ``TB01PD``.

    Examples
    --------
    >>> import mor
    >>> rom = mor.minimal_realization(([[2, 1], [0, 3]], [[1], [0]], [[1, 1]]))
    >>> rom.order, rom.diagnostics["unreachable"], rom.system.poles
    (1, 1, array([2.+0.j]))
    """
    if tol is not None and check_real("tol", tol, above=0, error=ReductionError) >= 1:
        raise ReductionError(f"tol={tol} is not a number between 0 and 1.", argument="tol")
    system = as_system(sys).detached()
    if not system.is_linear:
        raise QuadraticOutputError(
            "minimal_realization decides on the matrices of linear outputs. With quadratic ones "
            "balanced_truncation(sys), without order, leaves out all states at the level of round-off; if "
            "the system is unstable, with horizon=."
        )
    if system.batch_shape:
        flat = flatten_batch(system)
        return _joined([minimal_realization(flat[i], tol=tol) for i in range(len(flat.poles))], system)
    system = system.modal or system.to_lti()
    share = float(tol) if tol is not None else max(system.order, 10) ** 2 * np.finfo(float).eps
    inner: Any
    inner, units = in_units(system)
    minimal: Any = _minimal_modes if inner.modal else _minimal_states
    small, unreachable, unobservable, neglected = minimal(inner, share)
    if tol is None and not inner.modal and _changed(inner, small):
        whole = _result(system, system, 0, 0, 0.0)
        note = "rank decisions would change the transfer function, so nothing is left out: rescale the states"
        return replace(whole, diagnostics=whole.diagnostics | {"note": note})
    small = system if small is inner else out_of_units(small, units, system.D)
    return _result(system, small, unreachable, unobservable, neglected)


def _changed(system: LTI, small: LTI) -> bool:
    """Whether an entry of the transfer functions without D differs by more than :data:`_CHANGED` of its size.

    Decisions that were right in the coordinates they were taken in may be wrong where these are bad. Entries
    are compared each with itself, and at rates far below the fastest, lest a loud or a fast one hides others.
    """
    if small.order == system.order or not system.D.size:
        return False
    full, rest = system.explicit, small.with_outputs(small.C, np.zeros_like(small.D))
    change, scale, noise = (np.zeros(system.D.shape) for _ in range(3))
    for s in (float(np.linalg.norm(system.graded.A)) or 1.0) * _PLACES:
        with np.errstate(all="ignore"), suppress(np.linalg.LinAlgError, NotFiniteError):
            states = np.linalg.solve(s * np.eye(full.order) - full.A, full.B + 0j)
            one, two = full.C @ states, rest.evaluate(s)
            # What round-off leaves of an entry that is zero.
            lost = np.finfo(float).eps * full.order * (np.abs(full.C) @ np.abs(states))
            if np.all(np.isfinite(one) & np.isfinite(two) & np.isfinite(lost)):
                change, scale = np.maximum(change, np.abs(one - two)), np.maximum(scale, np.abs(one))
                noise = np.maximum(noise, lost)
    return bool(np.any(change > _CHANGED * scale + noise / _CHANGED**0.5))


def _result(
    system: System, small: System, unreachable: int, unobservable: int, neglected: float
) -> Reduction:
    full = system.order
    return Reduction(
        system=small,
        order=full - unreachable - unobservable,
        full_order=full,
        hsv=np.zeros(0),
        error_bound=None,
        method="minimal realisation",
        diagnostics={"unreachable": unreachable, "unobservable": unobservable, "neglected": neglected},
    )


def _joined(parts: list[Reduction], batch: System) -> Reduction:
    """Of a batch, counts of the member that loses the fewest states."""
    last = max(parts, key=lambda part: part.order)
    counts = last.diagnostics | {"neglected": max(part.diagnostics["neglected"] for part in parts)}
    systems: Any = [part.system for part in parts]
    joined = stack(systems, batch.batch_shape)
    return replace(last, system=joined, full_order=batch.order, diagnostics=counts)


def _minimal_states(system: LTI, tol: float) -> tuple[LTI, int, int, float]:
    full = system.explicit
    t = balancing(full.A, full.B, full.C)
    full = LTI(
        full.A * t / t[:, None], full.B / t[:, None], full.C * t, full.D, dt=full.dt, labels=full.labels
    )
    # Norms of the data: what a first step leaves of C may be nothing but round-off.
    inputs, outputs = (_nonzero(np.linalg.norm(x, axis=i)) for i, x in enumerate((full.B, full.C)))
    size = float(_nonzero(np.linalg.norm(full.A)))
    A, B, C, first = _reachable(full.A, full.B / inputs, full.C / outputs[:, None], size, tol)
    unreachable = full.order - len(A)
    A, C, B, second = _reachable(adjoint(A), adjoint(C), adjoint(B), size, tol)
    unobservable = full.order - unreachable - len(A)
    if len(A) == full.order:
        return system, 0, 0, 0.0
    A, B, C = adjoint(A), adjoint(B) * inputs, adjoint(C) * outputs[:, None]
    small = LTI(A, B, C, full.D, dt=full.dt, labels=without_states(full.labels))
    return small, unreachable, unobservable, max(first, second)


def _nonzero(lengths: Any) -> np.ndarray:
    return np.where(lengths > 0, lengths, 1.0)


def _reachable(
    A: np.ndarray, B: np.ndarray, C: np.ndarray, size: float, tol: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """The reachable part of ``(A, B, C)`` and the largest coupling to the rest, relative.

    `size` is what blocks of A are relative to; columns of B are to 1. Each step compresses
    the rows of the block that couples the states last found to those not yet reached; what
    is left of it at the end is neglected.
    """
    n = len(A)
    A, B, C = A.copy(), B.copy(), C.copy()
    done, block, limit = 0, B, tol
    while done < n and block.shape[1]:
        Q, rank = _compression(block, limit)
        if not rank:
            break
        A[done:], B[done:] = Q.left(A[done:]), Q.left(B[done:])
        A[:, done:], C[:, done:] = Q.right(A[:, done:]), Q.right(C[:, done:])
        block, done = A[done + rank :, done : done + rank], done + rank
        limit = tol * size
    coupling = max(np.linalg.norm(A[done:, :done]) / size, np.linalg.norm(B[done:]))
    return A[:done, :done], B[:done], C[:, :done], float(coupling)


def _compression(block: np.ndarray, limit: float) -> tuple[Reflectors, int]:
    """Q with ``Q^H block`` zero below its first `rank` rows, up to `limit`."""
    qr: Any = scipy.linalg.qr
    reflectors, R, _ = qr(block, mode="raw", pivoting=True)
    return Reflectors.of(*reflectors), int(np.sum(np.abs(np.diag(R)) > limit))


def _minimal_modes(system: Modal, tol: float) -> tuple[Modal, int, int, float]:
    r"""Modes of one pole act as the product C B of their columns and rows: its rank is what is needed."""
    poles, B, C = (to_complex(to_numpy(x)) for x in (system.poles, system.B, system.C))
    real = np.abs(np.imag(poles)) <= tol * np.abs(poles)
    lower = np.imag(poles) < 0
    poles = np.where(real, np.real(poles), np.where(lower, poles.conj(), poles))
    B = np.where(lower[:, None], B.conj(), B)
    C = np.where(lower, C.conj(), C)
    kept, counts, neglected = [], np.zeros(2, dtype=int), 0.0
    for group in _clusters(poles, tol):
        mode, lost, left = _minimal_group(poles[group], B[group], C[:, group], bool(np.all(real[group])), tol)
        kept.append(mode)
        counts, neglected = counts + lost, max(neglected, left)
    if not np.any(counts):
        return system, 0, 0, 0.0
    empty = (poles[:0], B[:0], C[:, :0])
    parts = list(zip(*kept, strict=True)) if kept else [[x] for x in empty]
    poles, B, C = np.concatenate(parts[0]), np.vstack(parts[1]), np.hstack(parts[2])
    if not np.iscomplexobj(system.poles):
        poles, B, C = np.real(poles), np.real(B), np.real(C)
    small = Modal(poles, B, C, to_numpy(system.D), dt=system.dt, labels=system.labels)
    return small, int(counts[0]), int(counts[1]), neglected


def _clusters(poles: np.ndarray, tol: float) -> list[np.ndarray]:
    """Indices of poles that are equal, up to `tol` of their size, in a chain."""
    size = np.maximum(np.abs(poles)[:, None], np.abs(poles))
    count, label = connected_components(csr_array(np.abs(poles[:, None] - poles) <= tol * size))
    return [np.flatnonzero(label == i) for i in range(count)]


def _minimal_group(
    poles: np.ndarray, B: np.ndarray, C: np.ndarray, real: bool, tol: float
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray], np.ndarray, float]:
    """Modes of one pole: the fewest that do the same, ``[unreachable, unobservable]`` states, neglected."""
    original = (poles, B, C)
    if real:
        B, C = np.vstack([np.real(B), np.imag(B)]), np.hstack([np.real(C), -np.imag(C)])
        # A real mode has no second state.
        single = (np.all(B[len(poles) :] == 0, axis=1)) | (np.all(C[:, len(poles) :] == 0, axis=0))
        there = np.concatenate([np.ones(len(poles), dtype=bool), ~single])
        B, C = B[there], C[:, there]
    b, c = np.linalg.norm(B, axis=1), np.linalg.norm(C, axis=0)
    size, states = len(B), 1 if real else 2
    directions = B[b > 0] / b[b > 0, None]
    reachable = int(np.sum(np.linalg.svd(directions, compute_uv=False) > tol)) if len(directions) else 0
    U, values, Vt = np.linalg.svd(C @ B, full_matrices=False)
    scale = float(np.sum(b * c)) or 1.0
    rank = min(int(np.sum(values > tol * scale)), reachable)
    if rank == size:
        return original, np.zeros(2, dtype=int), 0.0
    root = np.sqrt(values[:rank])
    mode = np.full(rank, np.mean(poles)), root[:, None] * Vt[:rank], U[:, :rank] * root
    lost = states * np.array([size - reachable, reachable - rank])
    return mode, lost, float(np.max(values[rank:], initial=0.0)) / scale
