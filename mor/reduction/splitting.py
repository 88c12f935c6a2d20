"""A system as the sum of a strictly stable one and the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mor.arrays import adjoint
from mor.checks import check_choice, guarded
from mor.equations.boundary import margins
from mor.equations.separation import Part, separated
from mor.errors import QuadraticOutputError, ReductionError, keyword
from mor.reduction.batch import flatten_batch, stack
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.labels import Labels, without_states
from mor.systems.lti import LTI
from mor.systems.modal import Modal
from mor.threads import threads_by_order

#: What may become of poles that are not strictly stable.
UNSTABLE = ("error", "split")


def keeps_unstable(unstable: Any, horizon: float | None = None, given: str = "horizon") -> bool:
    """Whether the option `unstable` of a reduction asks for the stable part only to be reduced.

    Parameters
    ----------
    given : the option that `horizon` comes from.

    Raises
    ------
    ReductionError
        If there is no such option, or it does not go with a finite horizon.
    """
    check_choice("unstable", unstable, UNSTABLE, error=ReductionError)
    if unstable == "split" and horizon is not None:
        split, limit = keyword("unstable", "'split'"), keyword(given)
        raise ReductionError(f"{split} is not needed with {limit}, which takes unstable systems.")
    return unstable == "split"


def too_few_states(order: int, kept: int) -> ReductionError:
    """What is wrong with an order below the number of states that are always kept."""
    return ReductionError(
        f"{keyword('order', str(order))} is too small: {kept} states belong to poles that are not strictly "
        "stable, and all of them are kept."
    )


@guarded
@threads_by_order
def split_stable(sys: Any) -> tuple[System, System]:
    r"""``(stable, rest)`` with :math:`G = G_{stable} + G_{rest}`, D in the stable part.

    The rest has the unstable poles and those on the stability boundary (integrators). Poles of
    a dense system that round-off could have moved across the boundary count as on it
    (:mod:`mor.equations.boundary`): all functions that need stability refuse them.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes. A :class:`~mor.Modal`, or a batch of them, is
        split by a mask; other systems in explicit form as an :class:`~mor.LTI`.

    Returns
    -------
    stable, rest : Modal or LTI, either possibly of order 0.

    Raises
    ------
    QuadraticOutputError
        If outputs are quadratic: they have products of stable and unstable states.
    SingularEquationError
        If stable and other poles lie so close together that no change of coordinates separates them.
    DimensionError
        Of a batch of systems.
    ReductionError
        If E is singular.
    NotFiniteError
        If the data or the result leave the range of double precision.

    Notes
    -----
    One Schur form, reordered, and one Sylvester equation (:mod:`mor.equations.separation`): about
    ``30 n^3`` flops.
    Source: [Kagstrom92]. Equals MATLAB's ``stabsep``, SLICOT's ``TB01KD``.

    Examples
    --------
    >>> import mor
    >>> stable, rest = mor.split_stable(([[-2, 1], [0, 3]], [[1], [1]], [[1, 1]]))
    >>> stable.poles, rest.poles
    (array([-2.+0.j]), array([3.+0.j]))
    """
    system = as_system(sys).detached()
    if not system.is_linear:
        raise QuadraticOutputError(
            "a system with quadratic outputs is no sum of a stable one and the rest: its outputs have "
            f"products of the states of both. Reductions with {keyword('horizon')} take it whole; "
            ".linear can be split."
        )
    if not system.batch_shape:
        return _split_dense(system.to_lti()) if system.modal is None else _split_modes(system.modal)
    flat = flatten_batch(system)
    pairs = [_split_modes(flat[i]) for i in range(len(flat.poles))]
    stable, rest = zip(*pairs, strict=True)
    return stack(list(stable), system.batch_shape), stack(list(rest), system.batch_shape)


def _split_modes(system: Modal) -> tuple[Modal, Modal]:
    system = system.on_numpy()
    stable = margins(system.poles, system.dt) > 0
    return system.of_modes(stable), replace(system.of_modes(~stable), D=np.zeros_like(system.D))


def _split_dense(system: LTI) -> tuple[LTI, LTI]:
    full = system.explicit
    labels, nothing = without_states(system.labels), np.zeros_like(full.D)
    stable = full.schur.stable
    if np.all(stable):
        B, C = full.B[:0], full.C[:, :0]
        return full, LTI(full.A[:0, :0], B, C, nothing, dt=full.dt, labels=labels)
    first, second = separated(full.schur, stable)
    return _part_of(full, first, full.D, labels), _part_of(full, second, nothing, labels)


def _part_of(full: LTI, part: Part, D: np.ndarray, labels: Labels | None) -> LTI:
    return LTI(part.T, adjoint(part.L) @ full.B, full.C @ part.R, D, dt=full.dt, labels=labels)
