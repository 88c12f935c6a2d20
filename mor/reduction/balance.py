"""Balancing of any system, for all orders at once."""

from __future__ import annotations

from typing import Any, cast

from mor.analysis.gramians import INFINITE, Gramians, gramians_of
from mor.checks import check_choice, guarded
from mor.equations.band import Band
from mor.errors import ReductionError, keyword
from mor.reduction.balancing import MATCHES, Balancing, balance_one
from mor.reduction.batch import flatten_batch
from mor.reduction.batch_balancing import BatchBalancing, balance_batch
from mor.reduction.splitting import keeps_unstable, split_stable
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.threads import threads_by_order


@guarded
@threads_by_order
def balance(
    sys: Any,
    *,
    gramians: Gramians | None = None,
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
    gramians, horizon, band, match, unstable : the options of :func:`mor.balanced_truncation`, which is this
        and one truncation.

    Returns
    -------
    Balancing
        Or, for a batch, a BatchBalancing with the same members: ``hsv``, ``bounds``, ``full_order`` and
        ``truncate(order)``, ``truncate(tol=)``, ``truncate(rel_tol=)``, which give a :class:`~mor.Reduction`.

    Raises
    ------
    UnstableSystemError
        If the system is not strictly stable, the Gramians need that and `unstable` is "error".
    QuadraticOutputError
        If outputs are quadratic and the Gramians, or ``unstable="split"``, are not for such, or the system is
        complex.
    ReductionError
        If the options make no sense.
    TimeStepError
        If `horizon` or `band` make no sense, or more than one of the three is given.
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
    kind = gramians_of(gramians, horizon, band)
    check_choice("match", match, MATCHES, error=ReductionError)
    kind = kind.checked(system)
    constant = system.detached()
    if keeps_unstable(unstable, kind.end, "horizon" if gramians is None else "gramians"):
        return _balance_split(constant, kind, match)
    if kind.needs_stable:
        split = keyword("unstable", "'split'") + " reduces the stable part and keeps the rest"
        limit = f"{keyword('horizon')} gives the time-limited reduction, which any system has"
        ways = [split] if system.is_linear else []
        ways = [*ways, limit] if kind == INFINITE else ways
        system.require_stable(kind.of(MATCHES[match]), otherwise=f"{'; '.join(ways)}.")
    if not system.batch_shape:
        return balance_one(constant, kind, match)
    return balance_batch(flatten_batch(constant), system.batch_shape, kind, match)


def _balance_split(system: System, gramians: Gramians, match: str) -> Balancing | BatchBalancing:
    """Members of a batch one by one: they have unequal numbers of stable modes."""
    if system.batch_shape:
        flat = flatten_batch(system)
        parts = [_balance_split(flat[i], gramians, match) for i in range(len(flat.poles))]
        return BatchBalancing(tuple(cast(list[Balancing], parts)), system.batch_shape)
    stable, rest = split_stable(system)
    return balance_one(stable, gramians, match, rest if rest.order else None)
