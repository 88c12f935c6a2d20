"""Modal truncation: keep whole modes, by what each contributes on its own."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, overload

import numpy as np

from mor.analysis.hankel import hankel_singular_values
from mor.analysis.roundoff import critical_points, data_roundoff
from mor.checks import check_choice, check_order, guarded
from mor.equations.boundary import boundary_distance, margins
from mor.errors import ReductionError, keyword
from mor.reduction.balancing import check_request
from mor.reduction.batch import check_not_empty, flatten_batch, stack
from mor.reduction.modes import on_modes, stable_on_modes
from mor.reduction.result import Reduction, is_several
from mor.reduction.splitting import keeps_unstable, split_stable, too_few_states
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.lti import LTI
from mor.systems.modal import Modal
from mor.systems.units import from_units, in_units
from mor.threads import threads_by_order

#: What a mode is worth with the gain ``g = |b| |c|`` and the margin d of its pole to the stability
#: boundary, ``1 - |pole|`` or ``-Re pole``; e is ``1 - |pole|^2`` or ``-2 Re pole``.
_SCORES: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]] = {
    "hinf": lambda g, d, e: g / d,
    "h2": lambda g, d, e: g / np.sqrt(e),
}


@overload
def modal_truncation(
    sys: Any,
    order: int | None = None,
    *,
    tol: float | None = None,
    rel_tol: float | None = None,
    score: str = "hinf",
    unstable: str = "error",
) -> Reduction: ...


@overload
def modal_truncation(
    sys: Any, order: Sequence[int] | np.ndarray, *, score: str = "hinf", unstable: str = "error"
) -> list[Reduction]: ...


@guarded
@threads_by_order
def modal_truncation(
    sys: Any,
    order: Any = None,
    *,
    tol: float | None = None,
    rel_tol: float | None = None,
    score: str = "hinf",
    unstable: str = "error",
) -> Reduction | list[Reduction]:
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
        that the result may have one less. None keeps all modes with a score above zero. A list, tuple,
        range or array of orders gives a list of reductions.
    tol : upper limit on the error bound; the smallest order that meets it is taken.
    rel_tol : the same, relative to the Hankel norm of the system, as for :func:`mor.balanced_truncation`.
    score : ``"hinf"`` or ``"h2"``.
    unstable : ``"error"``, or ``"split"`` to keep all modes that are not strictly stable, as
        :func:`mor.balanced_truncation` does; those of a dense system (as :func:`mor.split_stable` finds
        them) need no eigenvectors, so that it may be a double integrator.

    Returns
    -------
    Reduction, or a list of them
        Its system is a Modal, or an LQO of one; an LTI with a diagonal A if the full one is
        complex, where each mode is one (complex) state. The error bound is the sum of the "hinf" scores
        dropped, a limit on the H-infinity norm of the error whatever the score; None with quadratic
        outputs. ``hsv`` are those of the full system, which this method does not use. A dense system
        with an unstable part that has no eigenvectors comes back dense.

    Raises
    ------
    UnstableSystemError
        If the system is not strictly stable and `unstable` is "error".
    QuadraticOutputError
        If outputs are quadratic and `unstable` is "split", or the system is complex.
    ReductionError
        If `order`, `tol`, `rel_tol` or an option make no sense, or the (stable part of the) system cannot be
        diagonalised.
    DimensionError
        Of a batch without systems, or one that is not of Modals.
    NotFiniteError
        If the data or the result leave the range of double precision.
    SingularEquationError
        As :func:`mor.split_stable` and :func:`mor.hankel_singular_values`.

    Notes
    -----
    Choosing costs nothing for a Modal and one eigenvalue decomposition for others; most of the
    time goes into the Hankel singular values of the result. Balanced truncation is better at
    the same order unless the modes are nearly independent.

    Source: [Davison66]; as pruning of network layers [Gwak24] ("hinf") and [Padhy26] ("h2").

    Examples
    --------
    >>> import mor
    >>> rom = mor.modal_truncation(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]), order=1)
    >>> rom.system.poles, round(rom.error_bound, 4)
    (array([-1.+0.j]), 0.02)
    """
    ranking = rank_modes(sys, score=score, unstable=unstable)
    if is_several(order):
        return [ranking.truncate(r, tol=tol, rel_tol=rel_tol) for r in order]
    return ranking.truncate(order, tol=tol, rel_tol=rel_tol)


@dataclass(frozen=True, eq=False)
class ModeRanking:
    """A system and the scores of its modes: each order is one choice among them.

    Made by :func:`mor.rank_modes`.

    Attributes
    ----------
    system : the full system on modes, a Modal or an LQO of one, on NumPy; of a complex one an LTI with
        a diagonal A.
    scores : array (..., k), what the modes are chosen by; infinite for those that are always kept.
    gains : array (..., k), the "hinf" scores.
    score : the name of the score.
    source : the system as it was given.
    condition : of the eigenvectors, 1 where modes were given.
    rest : what is kept as it is beside these modes; None if nothing is.
    """

    system: System
    scores: np.ndarray
    gains: np.ndarray
    score: str
    source: System
    condition: float
    rest: System | None = None

    @property
    def full_order(self) -> int:
        """Number of real states before any truncation."""
        return self.system.order + self._beside

    @property
    def _beside(self) -> int:
        return self.rest.order if self.rest else 0

    @property
    def kept(self) -> int:
        """Number of states that are kept whatever the order; of a batch the most."""
        return int(np.max(self._kept_of_each, initial=0))

    @property
    def _kept_of_each(self) -> np.ndarray:
        return self._beside + np.sum(
            np.where(np.isinf(self._rows(self.scores)), self._rows(self._sizes), 0), 1
        )

    @cached_property
    def hsv(self) -> np.ndarray:
        """Hankel singular values (..., order), largest first; infinite where a state is always kept."""
        n = self.full_order
        if not self.kept:
            return hankel_singular_values(self.system)[..., :n]
        values = hankel_singular_values(split_stable(self.system)[0])
        kept, nothing = self._kept_of_each, np.zeros(n)
        rows = [
            np.concatenate([np.full(k, np.inf), row, nothing])[:n]
            for k, row in zip(kept, self._rows(values), strict=True)
        ]
        return np.reshape(rows, (*self.system.batch_shape, n))

    @cached_property
    def bounds(self) -> np.ndarray | None:
        """The error bound of every order (full_order + 1,), of a batch the largest; None with quadratic
        outputs."""
        return np.max(self._bounds_of_each, axis=0) if self.system.is_linear else None

    @cached_property
    def _bounds_of_each(self) -> np.ndarray:
        orders, rows = np.arange(self.system.order + 1), []
        for scores, sizes, gains in self._modes_of_each:
            ranking = _ranked(scores)
            tails = np.append(np.cumsum(gains[ranking][::-1])[::-1], 0.0)
            rows.append(tails[np.searchsorted(np.cumsum(sizes[ranking]), orders, side="right")])
        return np.pad(rows, ((0, 0), (self._beside, 0)), constant_values=np.inf)

    @property
    def merits(self) -> np.ndarray:
        """Scores (..., k), largest first."""
        return -np.sort(-self.scores, axis=-1)

    @property
    def steps(self) -> np.ndarray:
        """States (k,) that each mode adds, the best one first; of a batch the most."""
        sizes = np.take_along_axis(self._sizes, _ranked(self.scores), -1)
        return np.max(self._rows(sizes), axis=0, initial=0)

    @property
    def _sizes(self) -> np.ndarray:
        """Real states by mode (..., k)."""
        modal = self.system.carrier.modal
        return np.ones(self.scores.shape, dtype=int) if modal is None else modal.mode_sizes

    @property
    def _modes_of_each(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Scores, sizes and gains of each system of the batch."""
        rows = (self._rows(x) for x in (self.scores, self._sizes, self.gains))
        return list(zip(*rows, strict=True))

    def roundoff(self) -> float:
        r"""What double precision adds: :math:`\epsilon\kappa\sum_i |b_i||c_i|/d_i` for B and C in coordinates
        of eigenvectors of condition :math:`\kappa`, and where these were computed what A is known with."""
        gains = np.where(np.isfinite(self.gains), self.gains, 0.0)
        sums = np.finfo(float).eps * self.condition * float(np.max(np.sum(gains, axis=-1), initial=0.0))
        source = self.source.carrier
        return sums if source.modal else sums + _of_eigenvectors(source)

    @guarded
    def truncate(
        self, order: int | None = None, *, tol: float | None = None, rel_tol: float | None = None
    ) -> Reduction:
        """The reduction to at most `order` states in whole modes, or to the fewest whose bound is small
        enough.

        Parameters
        ----------
        order : number of real states, those that are always kept among them.
        tol : upper limit on the error bound.
        rel_tol : the same, relative to the Hankel norm (of each system of a batch).

        Raises
        ------
        ReductionError
            As :func:`mor.modal_truncation`.
        """
        full = self.full_order
        order = order if order is None else check_order(order, 0, full)
        check_request(full, order, tol, rel_tol)
        asked = order
        if order is not None and order < self.kept:
            raise too_few_states(order, self.kept)
        if tol is not None or rel_tol is not None:
            order = self._order_within(tol, rel_tol)
        room = None if order is None else order - self._beside
        chosen = [_best(scores, sizes, room) for scores, sizes, _ in self._modes_of_each]
        counts, dropped = [], []
        for (_, sizes, gains), c in zip(self._modes_of_each, chosen, strict=True):
            counts.append(int(np.sum(sizes[c])))
            dropped.append(float(np.sum(np.delete(gains, c))))
        reduced, reached = self.system.with_carrier(self._keep(chosen)), max(counts) + self._beside
        diagnostics: dict[str, Any] = {"unstable_states_kept": self.kept} if self.kept else {}
        if asked is not None and reached < asked:
            diagnostics["note"] = f"order {reached} in place of {asked}: a pair of complex modes is not split"
        return Reduction(
            system=reduced + self.rest if self.rest else reduced,
            order=reached,
            full_order=full,
            hsv=self.hsv,
            error_bound=max(dropped) if self.system.is_linear else None,
            method=f"modal truncation ({self.score})" + (" of the stable part" if self.kept else ""),
            diagnostics=diagnostics,
            stable_parts=self._stable_parts(reduced),
            bounds=self.bounds,
            estimate=cache(self.roundoff),
        )

    def _order_within(self, tol: float | None, rel_tol: float | None) -> int:
        """The smallest order at which no bound exceeds `tol`, or `rel_tol` times the Hankel norm."""
        if not self.system.is_linear:
            raise ReductionError(
                f"{keyword('tol')} and {keyword('rel_tol')} limit the error bound, and modal truncation of "
                f"quadratic outputs has none; give {keyword('order')}."
            )
        hsv = self._rows(self.hsv)
        norms = np.max(np.where(np.isfinite(hsv), hsv, 0.0), axis=1, initial=0.0)
        limits = np.full(len(norms), tol) if rel_tol is None else rel_tol * norms
        return int(np.max(np.argmax(self._bounds_of_each <= limits[:, None], axis=1)))

    def _stable_parts(self, reduced: System) -> tuple[System, System] | None:
        if not self.kept or self.system.batch_shape:
            return None
        return split_stable(self.system)[0], split_stable(reduced)[0]

    def _rows(self, x: np.ndarray) -> np.ndarray:
        """One row a system of the batch."""
        return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])

    def _keep(self, chosen: list[np.ndarray]) -> Modal | LTI:
        """The modes chosen of each carrier; fewer than in others are filled up with nothing."""
        full: Any = self.system.carrier
        if full.batch_shape:
            flat = flatten_batch(full)
            return stack([flat[i].of_modes(c) for i, c in enumerate(chosen)], full.batch_shape)
        i = chosen[0]
        if full.modal:
            return full.of_modes(i)
        return replace(full, A=full.A[np.ix_(i, i)], B=full.B[i], C=full.C[:, i])


@guarded
@threads_by_order
def rank_modes(sys: Any, *, score: str = "hinf", unstable: str = "error") -> ModeRanking:
    r"""The modes of a system and their scores, of which every order is a choice.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes that can be diagonalised.
    score, unstable : the options of :func:`mor.modal_truncation`, which is this and one choice.

    Returns
    -------
    ModeRanking
        ``scores``, ``hsv``, ``bounds``, ``full_order`` and ``truncate(order)``, ``truncate(tol=)``,
        ``truncate(rel_tol=)``, which give a :class:`~mor.Reduction`.

    Raises
    ------
    UnstableSystemError, QuadraticOutputError, ReductionError, DimensionError
        As :func:`mor.modal_truncation`.
    NotFiniteError, SingularEquationError
        As :func:`mor.modal_truncation`, too.

    Examples
    --------
    >>> import mor
    >>> ranking = mor.rank_modes(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]))
    >>> ranking.bounds.round(2), ranking.truncate(rel_tol=0.1).order
    (array([1.02, 0.02, 0.  ]), 1)
    """
    check_choice("score", score, _SCORES, error=ReductionError)
    system = as_system(sys)
    check_not_empty(system)
    if keeps_unstable(unstable):
        stable, (full, condition), rest = stable_on_modes(system)
    else:
        parts = keyword("unstable", "'split'") + " keeps such modes and truncates the others."
        parts = parts if system.is_linear else ""
        system.require_stable("modal truncation", otherwise=parts)
        stable, (full, condition), rest = system, on_modes(system), None
        full.require_stable("modal truncation", otherwise=parts)
    inner, units = in_units(full)
    modal: Any = inner.equivalent()
    poles = modal.poles if modal.modal else np.diag(modal.A)
    gain = np.linalg.norm(modal.B, axis=-1) * np.linalg.norm(modal.C, axis=-2)
    margin, energy = np.asarray(margins(poles, modal.dt)), np.asarray(boundary_distance(poles, modal.dt))
    inside = margin > 0
    margin, energy = np.where(inside, margin, 1.0), np.where(inside, energy, 1.0)
    found = (_SCORES[name](gain, margin, energy) for name in (score, "hinf"))
    found = (from_units(x, units.gain, 1, "the score of a mode") for x in found)
    scores, gains = (np.where(inside, x, np.inf) for x in found)
    return ModeRanking(full, scores, gains, score, stable, condition, rest)


def _of_eigenvectors(system: System) -> float:
    """Round-off of the eigenvectors' A, and that of the system's Schur form."""
    points = critical_points(system.poles, system.margins, system.dt)
    return 2 * float(data_roundoff(system, points))


def _ranked(scores: np.ndarray) -> np.ndarray:
    """Indices (..., k), the highest score first."""
    return np.argsort(-scores, axis=-1, kind="stable")


def _best(scores: np.ndarray, sizes: np.ndarray, order: int | None) -> np.ndarray:
    """Modes to keep, in their old order: the best, until the next does not fit."""
    ranking = _ranked(scores)
    if order is None:
        return np.sort(ranking[scores[ranking] > 0])
    fitting = np.cumsum(sizes[ranking]) <= order
    return np.sort(ranking[: int(np.argmin(np.append(fitting, False)))])
