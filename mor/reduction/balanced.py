"""Balanced truncation: choose a pair of Gramian factors, take one SVD, project."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, overload

import numpy as np

from mor.analysis.gramians import Gramians
from mor.checks import guarded
from mor.equations.band import Band
from mor.reduction.balance import balance
from mor.reduction.balancing import check_request
from mor.reduction.result import Reduction, is_several
from mor.systems.convert import as_system
from mor.threads import threads_by_order


@overload
def balanced_truncation(
    sys: Any,
    order: int | None = None,
    *,
    tol: float | None = None,
    rel_tol: float | None = None,
    gramians: Gramians | None = None,
    horizon: float | None = None,
    band: Band | None = None,
    match: str = "infinity",
    unstable: str = "error",
) -> Reduction: ...


@overload
def balanced_truncation(
    sys: Any,
    order: Sequence[int] | np.ndarray,
    *,
    gramians: Gramians | None = None,
    horizon: float | None = None,
    band: Band | None = None,
    match: str = "infinity",
    unstable: str = "error",
) -> list[Reduction]: ...


@guarded
@threads_by_order
def balanced_truncation(
    sys: Any,
    order: Any = None,
    *,
    tol: float | None = None,
    rel_tol: float | None = None,
    gramians: Gramians | None = None,
    horizon: float | None = None,
    band: Band | None = None,
    match: str = "infinity",
    unstable: str = "error",
) -> Reduction | list[Reduction]:
    r"""Balanced truncation by the square-root method.

    With Gramian factors ``P = Zc Zc^T``, ``Q = Zo Zo^T`` and the SVD
    :math:`Z_o^T Z_c = U \Sigma V^T`, the r largest singular values give

    .. math:: W = Z_o U_r \Sigma_r^{-1/2}, \qquad V = Z_c V_r \Sigma_r^{-1/2}, \qquad
              W^T V = I, \qquad (W^T A V, W^T B, C V, D).

    On an infinite horizon the result is stable and
    :math:`\|G - G_r\|_\infty \le 2 \sum_{i>r} \sigma_i`. With quadratic outputs it is stable and has
    no bound.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes. A :class:`~mor.Modal` or
        :class:`~mor.BlockDiagonal` is reduced in its real map and comes back as a Modal,
        with each conjugate pair one mode and each real pole one mode of its own. Each
        system of a batch of Modals is reduced to the same order. An :class:`~mor.LQO` keeps its
        forms; `band`, `tol`, `rel_tol` and ``unstable="split"`` are not for it.
    order : number of real states to keep, or None to have it chosen. A list, tuple, range or array of
        orders gives a list of reductions, all from one balancing.
    tol : upper limit on the error bound; the smallest order that meets it is taken. With
        neither `order` nor `tol` nor `rel_tol`, nothing but round-off is removed (a minimal realisation).
    rel_tol : the same, relative to the Hankel norm :math:`\sigma_1` of the system (of its stable part,
        of each of a batch). As :math:`\sigma_1 \le \|G - D\|_\infty`, the largest gain of the error is
        then at most `rel_tol` times that of the system without D; that is not a limit on the ratio
        of the two frequency by frequency.
    gramians : which Gramians to balance by: an object such as :class:`~mor.TimeLimited`, which says what it
        needs and promises; None is :class:`~mor.Infinite`. At most one of `gramians`, `horizon` and `band`.
    horizon : end time or number of steps: time-limited balanced truncation, by
        :class:`~mor.TimeLimited`. It has no error bound and may lose stability; ``diagnostics`` then
        says so.
    band : ``(omega_1, omega_2)`` in radians per unit of time: frequency-limited balanced
        truncation, by :class:`~mor.FrequencyLimited`. No bound and no promise of stability either.
    match : ``"infinity"`` keeps D, the gain at infinite frequency; ``"dc"`` keeps the gain at
        zero frequency, :math:`G_r(0) = G(0)` (:math:`G_r(1) = G(1)` in discrete time), by
        singular perturbation (below). Of an LQO the output at rest is kept, for all constant inputs.
    unstable : ``"error"``, or ``"split"`` to reduce the stable part of :func:`mor.split_stable`
        and to keep the rest as it is. Then `order` counts all states, ``hsv`` are infinite for
        those that are always kept, and the bound limits the gain of the error over all
        frequencies. A BlockDiagonal is split as an :class:`~mor.LTI` and comes back as one.

    Returns
    -------
    Reduction, or a list of them
        ``order`` is smaller than asked for if the system has fewer states above round-off;
        ``diagnostics`` then says so. ``bounds`` has the error bound of every order, ``left`` and
        ``right`` the projection matrices W and V.

    Raises
    ------
    UnstableSystemError
        If the system is not strictly stable, the Gramians need that and `unstable` is "error".
    QuadraticOutputError
        If outputs are quadratic and the Gramians, or ``unstable="split"``, are not for such, or the system is
        complex.
    ReductionError
        If `order`, `tol`, `rel_tol` or an option make no sense, the result cannot be diagonalised, `order`
        splits equal Hankel singular values so that stability is lost, is below the number of states that are
        always kept, or dc is a pole.
    TimeStepError
        If `horizon` or `band` make no sense, or more than one of the three is given.
    DimensionError
        Of a batch without systems, or one that is not of Modals.
    NotFiniteError, SingularEquationError
        As :func:`mor.hankel_singular_values`.

    Notes
    -----
    Everything is computed, and returned, as NumPy arrays in double precision. The bound is
    the mathematical one; ``roundoff`` of the result estimates what double precision adds,
    which grows as poles come close to the stability boundary.

    With ``match="dc"`` the same projection is applied to the reciprocal system
    (:math:`S = A - cI`, c = 0, or 1 in discrete time),

    .. math:: (S^{-1}, S^{-1}B, -CS^{-1}, D - CS^{-1}B), \qquad S_r = (W^T S^{-1} V)^{-1},

    and the way taken back: the inverse of a block of :math:`S^{-1}` is a Schur complement of S,
    so in balanced coordinates this is the residualisation
    :math:`S_r = S_{11} - S_{12}S_{22}^{-1}S_{21}`. P and Q solve
    :math:`(S^{-1} + \tfrac c2)P + P(S^{-1} + \tfrac c2)^T + S^{-1}B(S^{-1}B)^T = 0`, and the dual:
    shifted, the reciprocal is a balanced continuous system in both times. So stability and the
    bound are those of truncation. D changes, so a continuous H2 error is infinite. The forms of an
    LQO are those of z, of which :math:`D_y` changes too.

    Limits in time or frequency make the error there smaller as a rule, not always: no theorem says so.
    ``mor reduce`` measures it with and without.

    Cost for a dense system: a Schur form, ``25 n^3`` flops, two factors and one SVD; ``3 n^3`` more
    for ``match="dc"``; for a band some hundred to thousand frequency responses of all states
    (:mod:`mor.equations.panels`).

    Source: [Tombs87]; the bound [Enns84], [Glover84]; singular perturbation [Liu89]; time and frequency
    limits [Gawronski90].
    Equals MATLAB's ``reducespec(sys, "balanced")``, SLICOT's ``AB09AD``, ``AB09BD`` (dc, continuous
    time), ``AB09MD`` (split) and pyMOR's ``BTReductor`` up to a change of state coordinates. `rel_tol`
    relates to the norm that SLICOT's TOL is recommended in, the Hankel norm.

    Examples
    --------
    >>> import mor
    >>> sys = mor.as_system(([[-1, 0], [0, -50]], [[1], [1]], [[1, 1]]))
    >>> rom = mor.balanced_truncation(sys, order=1)
    >>> rom.order, round(rom.error_bound, 4)
    (1, 0.0184)
    >>> rom = mor.balanced_truncation(sys, order=1, match="dc")
    >>> float(sys.evaluate(0)[0, 0].real), float(rom.system.evaluate(0)[0, 0].real.round(12))
    (1.02, 1.02)
    >>> [rom.order for rom in mor.balanced_truncation(sys, order=[0, 1, 2])]
    [0, 1, 2]
    """
    system = as_system(sys)
    orders = order if is_several(order) else [order]
    for r in orders:
        check_request(system.order, r, tol, rel_tol)
    balancing = balance(system, gramians=gramians, horizon=horizon, band=band, match=match, unstable=unstable)
    roms = [balancing.truncate(r, tol=tol, rel_tol=rel_tol) for r in orders]
    return roms if is_several(order) else roms[0]
