"""Frequency responses that are right where differences of them are taken."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np

from mor.arrays import adjoint
from mor.equations.boundary import ROUNDOFF
from mor.equations.extended import (
    WIDE,
    WIDE_COMPLEX,
    WIDE_EPS,
    refined_resolvent,
    wide_operator,
    widened,
)
from mor.equations.resolvent import in_parts, product, resolvent
from mor.systems.lti import LTI

#: Columns of states, frequencies times inputs, that are in memory at once.
_COLUMNS = 256

#: Multiple of the last correction, and of the wide type's round-off, that a response may be wrong by.
_DOUBT = 8.0


class ExtendedResponses:
    r"""Responses :math:`G(i\omega)` or :math:`G(e^{i\omega\,dt})` of a dense system in extended precision.

    The matrices are taken as they are, E not divided out: what is left is the round-off of the wide type
    (:mod:`mor.equations.extended`), of which estimates are returned with them: that of the residuals, as the
    resolvent amplifies it, and what the last correction was.
    """

    def __init__(self, system: LTI) -> None:
        self.system = system

    @cached_property
    def _matrices(self) -> tuple[Any, Any | None, Any]:
        A, E, C = self.system.A, self.system.E, self.system.C
        return wide_operator(A), None if E is None else wide_operator(E), widened(C)

    @property
    def work(self) -> float:
        """Products of real numbers in extended precision that a frequency takes, about."""
        A, E, _ = self._matrices
        entries = sum(X.nnz if hasattr(X, "nnz") else X.size for X in (A, E) if X is not None)
        return 6.0 * entries * self.system.n_inputs

    def points(self, omega: np.ndarray) -> np.ndarray:
        """Where on the axis or the circle, rounded in the wide type."""
        omega = np.asarray(omega, dtype=WIDE)
        return np.exp(1j * omega * WIDE(self.system.dt)) if self.system.dt else 1j * omega

    def __call__(self, omega: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """``(responses, noise, size)`` at these frequencies.

        responses : wide complex array (N, p, m).
        noise : array (N,), by how much an entry may be wrong by the arithmetic.
        size : array (N,), the sum of the absolute terms of an entry, the largest: what rounding of C and D
            in double precision changes is round-off times that.
        """
        D = self.system.D
        responses = np.repeat(D[None].astype(WIDE_COMPLEX), len(omega), axis=0)
        noise, size = np.zeros(len(omega)), np.full(len(omega), np.max(np.abs(D), initial=0.0))
        finite = np.flatnonzero(np.isfinite(omega))
        if self.system.order and len(finite) and D.size:
            for part in in_parts(finite, max(1, _COLUMNS // self.system.n_inputs)):
                values, doubt, terms = self._finite(np.asarray(omega)[part])
                responses[part] += values
                noise[part], size[part] = doubt, size[part] + terms
        return responses, noise + WIDE_EPS * size, size

    def _finite(self, omega: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        A, E, C = self._matrices
        states, correction = refined_resolvent(self.system.schur, A, E, self.points(omega), self.system.B)
        n, values = len(states), product(C, states)
        # Absolute values in double precision: these are estimates.
        weights = np.abs(self.system.C)
        last, terms = (
            np.max(np.tensordot(weights, np.abs(X).astype(float), axes=1), axis=(0, 2))
            for X in (correction, states)
        )
        noise = last + WIDE_EPS * (n**0.5 * self._of_residuals(omega, states) + terms)
        return np.moveaxis(values, 0, 1), _DOUBT * noise, terms

    def _of_residuals(self, omega: np.ndarray, states: np.ndarray) -> np.ndarray:
        r"""What rounding of residuals counts for in an entry, the largest (N,), in units of round-off:
        :math:`|C(sE-A)^{-1}|\,(|A||X| + |s||E||X| + |B|)`."""
        n, count, _ = states.shape
        back, s = self.system.schur.adjoint, self.points(omega).astype(complex)
        outputs = back.enter(adjoint(self.system.C))
        seen = back.leave(resolvent(back.pencil, s.conj(), outputs).reshape(n, -1)).reshape(n, count, -1)
        size = np.abs(states).astype(float)
        flat = size.reshape(n, -1)
        shifted = flat if self.system.E is None else np.abs(self.system.E) @ flat
        residual = (np.abs(self.system.A) @ flat).reshape(size.shape) + np.abs(self.system.B)[:, None]
        residual += np.abs(s)[:, None] * shifted.reshape(size.shape)
        return np.max(np.einsum("lki,lkj->kij", np.abs(seen), residual), axis=(1, 2))


def refined_response(system: LTI, omega: float) -> tuple[np.ndarray, float]:
    r"""``(response, noise)`` at one frequency: what the Schur form gives, corrected once, and round-off.

    With a residual r of the states in extended precision and :math:`y = (s-A)^{-H}C^H` what is left is of the
    second order, :math:`\epsilon(\|A\| + |s|)\,\|y\|\,\|(s-A)^{-1}r\|`.

    Parameters
    ----------
    system : without E, of one state or more.
    omega : a finite frequency.
    """
    form, point = system.schur, ExtendedResponses(system).points(np.array([omega]))
    s = point.astype(complex)
    A, B = wide_operator(system.A), widened(system.B)

    def solved(R: np.ndarray) -> np.ndarray:
        return resolvent(form.pencil, s, R)[:, 0]

    entered = form.enter(system.B)
    inner = solved(entered)
    states = widened(form.leave(inner))
    residual = form.enter((B + product(A, states) - point * states).astype(complex))
    correction = solved(residual)
    C = widened(system.C)
    response = system.D + product(C, states) + product(C, widened(form.leave(correction)))
    # The adjoint states, by which whatever a residual lacks counts.
    outside = adjoint(system.C @ form.right)
    back = resolvent(form.adjoint.pencil, s.conj(), outside[::-1])[:, 0]
    seen, step = float(np.linalg.norm(back)), float(np.linalg.norm(correction))
    unit = float(form.noise(s)[0]) + ROUNDOFF * abs(s[0])
    narrow = unit * seen * step + ROUNDOFF * (
        np.linalg.norm(outside) * step + seen * np.linalg.norm(residual)
    )
    size = np.abs(states).astype(float)
    terms = np.abs(system.A) @ size + abs(s[0]) * size + np.abs(system.B)
    wide = np.abs(adjoint(form.adjoint.leave(back))) @ terms + np.abs(system.C) @ size
    return response, float(narrow + _DOUBT * WIDE_EPS * np.linalg.norm(wide))
