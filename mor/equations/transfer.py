r"""Transfer functions ``C (s E - A)^{-1} B`` of dense coefficients at many points.

A few points take an LU factorisation each. For many the Schur form turns all of them into one
Sylvester equation (:mod:`mor.equations.resolvent`). What that costs in accuracy, the round-off of a Schur
form where A is not normal, one step of iterative refinement with A itself gives back, so that both ways
have the errors of the first.

Source: [Skeel80] for refinement in fixed precision; [Higham02], chapter 12.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mor.arrays import EPS, adjoint
from mor.equations.resolvent import in_parts, of_columns, product, resolvent
from mor.equations.schur import SchurForm
from mor.equations.triangular import Pencil

#: Points up to which each has a factorisation of its own.
FEW_POINTS = 8

#: Columns of states, points times inputs, in memory at once: enough for products of matrices to run at
#: full speed, 16 MB at order 1000.
_COLUMNS = 1024

#: Order up to which a triangular form is one tile, and complex.
_SMALL = 128

#: Entries of the matrices that are factorised at once.
_ENTRIES = 2**20


@dataclass(frozen=True, eq=False)
class Transfer:
    """``C (s S - T)^{-1} B`` in the coordinates of a Schur form, as accurate as that."""

    pencil: Pencil
    B: np.ndarray
    C: np.ndarray

    @classmethod
    def of(cls, form: SchurForm, B: np.ndarray, C: np.ndarray) -> Transfer:
        """That of the system ``(A, B, C, E)`` whose form it is."""
        inside, outside = form.enter(B), C @ form.right
        if len(inside) > _SMALL:
            return cls(form.pencil, inside, outside)
        # Complex arithmetic is no loss at small sizes, and without 2 x 2 blocks there are fewer calls.
        T, S, G, H = form.pencil.whole.triangular
        inside = inside if G is None else adjoint(G) @ inside
        return cls(Pencil.of(T, S, _SMALL), inside, outside if H is None else outside @ H)

    def states(self, points: np.ndarray) -> np.ndarray:
        """``(s S - T)^{-1} B`` (n, N, m) at few points."""
        return resolvent(self.pencil, points, self.B)

    def costates(self, points: np.ndarray) -> np.ndarray:
        """``(s S - T)^{-H} C^H`` (n, N, p) at few points."""
        C = adjoint(self.C)[::-1]
        return resolvent(self.pencil.reversed(), points.conj(), C)[::-1]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """The values (N, p, m); not finite where a point is a pole."""
        return _outputs(self.states, self.C, points, self.B.shape[1])


def evaluate_by_form(
    A: np.ndarray, E: np.ndarray | None, B: np.ndarray, C: np.ndarray, form: SchurForm, points: np.ndarray
) -> np.ndarray:
    """``C (s E - A)^{-1} B`` (N, p, m), by the Schur form of (A, E) and a refinement.

    Parameters
    ----------
    A, E, B, C : arrays (n, n), (n, n) or None, (n, m), (p, n)
    form : of A and E, in any coordinates.
    points : array (N,)

    Returns
    -------
    array (N, p, m), complex; not finite where a point is a pole.

    Notes
    -----
    Cost about ``14 n^2 N m`` flops for real data; memory for some 1024 columns of states.
    """

    def states(points: np.ndarray) -> np.ndarray:
        X = states_by_form(form, points, B)
        EX = X if E is None else product(E, X)
        rest = B[:, None] - (points[:, None] * EX - product(A, X))
        return X + states_by_form(form, points, rest)

    found = _outputs(states, C, points, B.shape[1])
    near = _next_to(form, points)
    found[near] = evaluate_by_lu(A, E, B, C, points[near])
    return found


def _next_to(form: SchurForm, points: np.ndarray) -> np.ndarray:
    """Which points are poles as far as the Schur form can tell."""
    poles = form.poles
    limit = len(poles) * EPS * form.pencil.norms[0]
    near = [np.any(np.abs(part[:, None] - poles) <= limit, axis=1) for part in in_parts(points, 64)]
    return np.concatenate(near)


def evaluate_by_lu(
    A: np.ndarray, E: np.ndarray | None, B: np.ndarray, C: np.ndarray, points: np.ndarray
) -> np.ndarray:
    """The same for a few points, by a factorisation each: ``8/3 n^3`` flops.

    Raises
    ------
    numpy.linalg.LinAlgError
        Where a point is a pole.
    """
    E = np.eye(len(A)) if E is None else E
    parts = in_parts(points, max(1, _ENTRIES // max(A.size, 1)))
    return np.concatenate([C @ np.linalg.solve(part[:, None, None] * E - A, B + 0j) for part in parts])


def _outputs(
    states: Callable[[np.ndarray], np.ndarray], C: np.ndarray, points: np.ndarray, m: int
) -> np.ndarray:
    """``C X`` for the states at all points, a part of them at a time."""
    found = np.zeros((len(points), len(C), m), dtype=complex)
    if not (found.size and C.size):
        return found
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        for part in in_parts(np.arange(len(points)), max(16, _COLUMNS // max(m, 1))):
            found[part] = np.moveaxis(product(C, states(points[part])), 0, 1)
    return found


def states_by_form(form: SchurForm, points: np.ndarray, B: np.ndarray) -> np.ndarray:
    """``(s E - A)^{-1} B`` (n, N, m) by the form; B (n, m), or (n, N, m) with one for each point."""
    inside = form.enter(B) if B.ndim == 2 else of_columns(form.enter, B, form.left)
    return product(form.right, resolvent(form.pencil, points, inside))
