"""Balancing of any system, for all orders at once."""

from __future__ import annotations

from typing import Any, cast

from mor.checks import guarded
from mor.equations.band import Band
from mor.errors import DimensionError
from mor.reduction.balancing import Balancing, balance_one
from mor.reduction.batch import flatten_batch
from mor.reduction.batch_balancing import BatchBalancing, balance_batch
from mor.reduction.splitting import keeps_unstable, split_stable
from mor.reduction.variant import Variant
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.modal import Modal
from mor.threads import threads_by_order


@guarded
@threads_by_order
def balance(
    sys: Any,
    *,
    horizon: float | None = None,
    band: Band | None = None,
    match: str = "infinity",
    unstable: str = "error",
) -> Balancing | BatchBalancing:
    r"""Gramian factors and their one SVD, of which every order is a truncation.

    .. math:: P = Z_c Z_c^T, \quad Q = Z_o Z_o^T, \quad Z_o^T Z_c = U \Sigma V^T.

    Look at ``hsv`` and ``bounds``, then take as many orders as you like: each costs a projection.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes.
    horizon, band, match, unstable : the options of :func:`mor.balanced_truncation`, which is this and one
        truncation.

    Returns
    -------
    Balancing
        Or, for a batch, a BatchBalancing with the same members: ``hsv``, ``bounds``, ``full_order`` and
        ``truncate(order)``, ``truncate(tol=)``, ``truncate(rel_tol=)``, which give a :class:`~mor.Reduction`.

    Raises
    ------
    UnstableSystemError
        If the system is not strictly stable, `horizon` is None and `unstable` is "error".
    QuadraticOutputError
        If outputs are quadratic and `band` or ``unstable="split"`` is given, or the system is complex.
    ReductionError
        If the options make no sense.
    TimeStepError
        If `horizon` or `band` make no sense, or both are given.
    DimensionError
        Of a batch without systems, or one that is not of Modals.
    NotFiniteError, SingularEquationError
        As :func:`mor.hankel_singular_values`.

    Notes
    -----
    Memory ``2 n^2`` numbers a system beside its own; a truncation of a dense system costs ``4 n^2 r``
    flops. Source: see :func:`mor.balanced_truncation`. MATLAB's ``reducespec(sys, "balanced")`` with
    ``process`` and ``getrom``.

    Examples
    --------
    >>> import mor
    >>> balancing = mor.balance(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]))
    >>> balancing.bounds.round(4)
    array([1.02  , 0.0184, 0.    ])
    >>> [balancing.truncate(r).order for r in (1, 2)], balancing.truncate(rel_tol=0.1).order
    ([1, 2], 1)
    """
    system = as_system(sys)
    variant = Variant.of(horizon, band, match, system.dt)
    constant = system.detached()
    if keeps_unstable(unstable, horizon):
        return _balance_split(constant, variant)
    if horizon is None:
        split = "unstable='split' reduces the stable part and keeps the rest; " if system.is_linear else ""
        system.require_stable(
            "balanced truncation",
            otherwise=f"{split}horizon= gives the time-limited reduction, which any system has.",
        )
    if not system.batch_shape:
        return balance_one(constant, variant)
    return balance_batch(_as_modals(constant), system.batch_shape, variant)


def _as_modals(batch: System) -> Modal:
    if not isinstance(batch, Modal):
        raise DimensionError("a batch can be reduced for Modal systems only; take one at a time.")
    return flatten_batch(batch)


def _balance_split(system: System, variant: Variant) -> Balancing | BatchBalancing:
    """Members of a batch one by one: they have unequal numbers of stable modes."""
    if system.batch_shape:
        flat = _as_modals(system)
        parts = [_balance_split(flat[i], variant) for i in range(len(flat.poles))]
        return BatchBalancing(tuple(cast(list[Balancing], parts)), system.batch_shape)
    stable, rest = split_stable(system)
    return balance_one(stable, variant, rest if rest.order else None)
