"""Modal truncation: keep whole modes, by what each contributes on its own."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np

from mor.analysis.hankel import hankel_singular_values
from mor.analysis.roundoff import critical_points, data_roundoff
from mor.equations.boundary import boundary_distance, margins
from mor.equations.diagonal import eigenmodes
from mor.errors import DimensionError, ReductionError
from mor.reduction.batch import flatten_batch, stack
from mor.reduction.result import Reduction
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.labels import without_states
from mor.systems.lti import LTI
from mor.systems.modal import Modal, in_modes

#: What a mode is worth with the gain ``g = |b| |c|`` and the margin d of its pole to the stability
#: boundary, ``1 - |pole|`` or ``-Re pole``; e is ``1 - |pole|^2`` or ``-2 Re pole``.
_SCORES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "hinf": lambda g, d, e: g / d,
    "h2": lambda g, d, e: g / np.sqrt(e),
}


def modal_truncation(sys: Any, order: int | None = None, *, score: str = "hinf") -> Reduction:
    r"""Keep the modes with the highest scores and drop the others.

    With rows :math:`b_i` of B and columns :math:`c_i` of C in modal coordinates, the score of
    mode i is

    .. math:: \frac{\|b_i\| \|c_i\|}{1 - |\lambda_i|} \text{ ("hinf")}, \qquad
              \frac{\|b_i\| \|c_i\|}{\sqrt{1 - |\lambda_i|^2}} \text{ ("h2")}

    and in continuous time the same over :math:`-\mathrm{Re}\,\lambda_i` and
    :math:`\sqrt{-2 \mathrm{Re}\,\lambda_i}`: bounds on its largest gain and on the norm of its
    impulse response, attained by real modes and, within a factor of 2, by pairs. Poles that
    are kept stay where they are.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes that can be diagonalised. Each system of a batch
        of Modals keeps the same number of modes. Modes of an :class:`~mor.LQO` are ranked by the
        linear system with the same H2 norm, :math:`C_e` in place of C.
    order : number of real states to keep; a conjugate pair counts 2 and is never split, so
        that the result may have one less. None keeps all modes with a score above zero.
    score : ``"hinf"`` or ``"h2"``.

    Returns
    -------
    Reduction
        Its system is a Modal, or an LQO of one; an LTI with a diagonal A if the full one is
        complex, where each mode is one (complex) state. The error bound is the sum of the "hinf" scores
        dropped, a limit on the H-infinity norm of the error whatever the score; None with quadratic
        outputs. ``hsv`` are those of the full system, which this method does not use.

    Raises
    ------
    UnstableSystemError, ReductionError

    Notes
    -----
    Choosing costs nothing for a Modal and one eigenvalue decomposition for others; most of the
    time goes into the Hankel singular values of the result. Balanced truncation is better at
    the same order unless the modes are nearly independent.

    Sources: Davison (1966); as pruning of network layers Gwak et al., LAST (NeurIPS 2024,
    "hinf") and AIRE-Prune (2026, "h2").

    Examples
    --------
    >>> import mor
    >>> rom = mor.modal_truncation(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]), order=1)
    >>> rom.system.poles, round(rom.error_bound, 4)
    (array([-1.+0.j]), 0.02)
    """
    return rank_modes(sys, score=score).truncate(order)


@dataclass(frozen=True, eq=False)
class ModeRanking:
    """A system and the scores of its modes: each order is one choice among them.

    Attributes
    ----------
    system : the full system on modes, a Modal or an LQO of one, on NumPy; of a complex one an LTI with
        a diagonal A.
    scores : array (..., k), what the modes are chosen by.
    gains : array (..., k), the "hinf" scores.
    score : the name of the score.
    source : the system as it was given.
    condition : of the eigenvectors, 1 where modes were given.
    """

    system: System
    scores: np.ndarray
    gains: np.ndarray
    score: str
    source: System
    condition: float

    @cached_property
    def hsv(self) -> np.ndarray:
        """Hankel singular values (..., order), largest first."""
        return hankel_singular_values(self.system)[..., : self.system.order]

    @property
    def merits(self) -> np.ndarray:
        """Scores (..., k), largest first."""
        return -np.sort(-self.scores, axis=-1)

    @property
    def steps(self) -> np.ndarray:
        """States (k,) that each mode adds, the best one first; of a batch the most."""
        sizes = np.take_along_axis(self._sizes, np.argsort(-self.scores, axis=-1, kind="stable"), -1)
        return np.max(self._rows(sizes), axis=0, initial=0)

    @property
    def _sizes(self) -> np.ndarray:
        """Real states by mode (..., k)."""
        modal = self.system.carrier
        if not isinstance(modal, Modal) or not np.iscomplexobj(modal.poles):
            return np.ones(self.scores.shape, dtype=int)
        return np.where(modal.real_modes, 1, 2)

    @cached_property
    def roundoff(self) -> float:
        r"""What double precision adds: :math:`\epsilon\kappa\sum_i |b_i||c_i|/d_i` for B and C in coordinates
        of eigenvectors of condition :math:`\kappa`, and where these were computed what A is known with."""
        sums = np.finfo(float).eps * self.condition * float(np.max(np.sum(self.gains, axis=-1), initial=0.0))
        if isinstance(self.source.carrier, Modal):
            return sums
        # The eigenvectors' A, and that of the system's Schur form.
        points = critical_points(self.source.poles, self.source.margins, self.source.dt)
        return 2 * float(data_roundoff(self.source.carrier, points)) + sums

    def truncate(self, order: int | None = None) -> Reduction:
        """The reduction to at most `order` states in whole modes."""
        full = self.system.order
        if order is not None and not (isinstance(order, Real) and order in range(full + 1)):
            raise ReductionError(f"order={order!r} is not a whole number between 0 and {full}.")
        scores, sizes, gains = (self._rows(x) for x in (self.scores, self._sizes, self.gains))
        chosen = [_best(*mode, order) for mode in zip(scores, sizes, strict=True)]
        dropped = [np.sum(np.delete(gain, c)) for gain, c in zip(gains, chosen, strict=True)]
        bounded = self.system.is_linear
        return Reduction(
            system=self.system.with_carrier(self._keep(chosen)),
            order=max(int(np.sum(size[c])) for size, c in zip(sizes, chosen, strict=True)),
            full_order=full,
            hsv=self.hsv,
            error_bound=float(np.max(dropped, initial=0.0)) if bounded else None,
            bound_kind="hinf" if bounded else "none",
            method=f"modal truncation ({self.score})",
            roundoff=self.roundoff,
        )

    def _rows(self, x: np.ndarray) -> np.ndarray:
        """One row a system of the batch."""
        return x.reshape(-1 if x.size else max(1, math.prod(x.shape[:-1])), x.shape[-1])

    def _keep(self, chosen: list[np.ndarray]) -> Modal | LTI:
        """The modes chosen of each carrier; fewer than in others are filled up with nothing."""
        full: Any = self.system.carrier
        if isinstance(full, LTI):
            i = chosen[0]
            return replace(full, A=full.A[np.ix_(i, i)], B=full.B[i], C=full.C[:, i])
        if not full.batch_shape:
            return _modes(full, chosen[0])
        flat = flatten_batch(full)
        return stack([_modes(flat[i], c) for i, c in enumerate(chosen)], full.batch_shape)


def rank_modes(sys: Any, *, score: str = "hinf") -> ModeRanking:
    """The modes of a system and their scores, for a whole family of orders."""
    if not (isinstance(score, str) and score in _SCORES):
        raise ReductionError(f"score={score!r} is not one of {', '.join(_SCORES)}.")
    system = as_system(sys)
    parts = "mor.split_stable(sys) gives the stable part, which can be truncated."
    system.require_stable("modal truncation", otherwise=parts if system.is_linear else "")
    full, condition = _on_modes(system)
    full.require_stable("modal truncation", otherwise=parts if system.is_linear else "")
    modal: Any = full.equivalent()
    poles = np.diag(modal.A) if isinstance(modal, LTI) else modal.poles
    gain = np.linalg.norm(modal.B, axis=-1) * np.linalg.norm(modal.C, axis=-2)
    margin, energy = margins(poles, modal.dt), boundary_distance(poles, modal.dt)
    scores = _SCORES[score](gain, margin, energy)
    return ModeRanking(full, scores, gain / margin, score, system, condition)


def _on_modes(system: System) -> tuple[System, float]:
    """The system on modes, and the condition of the eigenvectors."""
    if not system.is_linear:
        carrier, condition = _on_numpy(system.carrier)
        return system.with_carrier(carrier), condition
    return _on_numpy(system) if system.is_real else _diagonal(system.to_lti().explicit)


def _on_numpy(system: System) -> tuple[Modal, float]:
    if isinstance(system, Modal):
        return system.on_numpy(), 1.0
    if system.batch_shape:
        raise DimensionError("a batch can be reduced for Modal systems only; take one at a time.")
    return in_modes(system.to_lti())


def _diagonal(system: LTI) -> tuple[LTI, float]:
    """A complex system in the coordinates of its eigenvectors."""
    poles, B, C, condition = eigenmodes(system.A, system.B, system.C)
    labels = without_states(system.labels)
    return LTI(np.diag(poles), B, C, system.D, dt=system.dt, labels=labels), condition


def _modes(system: Modal, index: np.ndarray) -> Modal:
    return replace(system, poles=system.poles[index], B=system.B[index], C=system.C[:, index])


def _best(scores: np.ndarray, sizes: np.ndarray, order: int | None) -> np.ndarray:
    """Modes to keep, in their old order: the best, until the next does not fit."""
    ranking = np.argsort(-scores, kind="stable")
    if order is None:
        return np.sort(ranking[scores[ranking] > 0])
    fitting = np.cumsum(sizes[ranking]) <= order
    return np.sort(ranking[: int(np.argmin(np.append(fitting, False)))])
