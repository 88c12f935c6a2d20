"""Systems connected to one: in series, side by side, in a loop."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import numpy as np
from scipy.linalg import block_diag

from mor.checks import guarded, shown
from mor.errors import (
    ArgumentError,
    DimensionError,
    QuadraticOutputError,
    SingularEquationError,
    TimeStepError,
)
from mor.systems.base import System
from mor.systems.convert import as_system
from mor.systems.labels import Labels, signal_names
from mor.systems.lti import LTI

#: Factor by which relative errors of its data may grow in a loop before that counts as ill-posed.
_ILL_POSED = 1e12


@guarded
def series(*systems: Any) -> System:
    r"""Systems one after another, the first one first: the outputs of each drive the next.

    .. math:: G = G_k \cdots G_2 G_1

    so that ``series(G1, G2)`` is G2 G1, as in MATLAB and python-control.

    Parameters
    ----------
    *systems : one or more of what :func:`mor.as_system` takes, with equal time steps. The last may have
        quadratic outputs (:class:`~mor.LQO`), which the result then has too.

    Returns
    -------
    LTI or LQO
        Dense, whatever the systems are: poles of two modal systems may coincide, and the product then
        has no modes. Its states are those of the first, the second and so on, each as in its
        ``to_lti()``. It has the names of the inputs of the first and of the outputs of the last. One
        system alone is returned as it is.

    Raises
    ------
    DimensionError
        If a system has not as many inputs as the one before has outputs, or is a batch.
    TimeStepError
        If time steps differ.
    QuadraticOutputError
        If other outputs than those of the last system are quadratic.
    ArgumentError
        If there is no system.

    Notes
    -----
    With E where a system has one. MATLAB's ``series``, SLICOT's ``AB05MD``.

    Examples
    --------
    >>> import mor
    >>> lag, gain = ([[-1.0]], [[1.0]], [[1.0]]), ([[-2.0]], [[1.0]], [[6.0]])
    >>> float(mor.series(lag, gain).evaluate(0)[0, 0].real)
    3.0
    """
    *before, last = _checked(systems)
    if not before:
        return last
    if last.is_linear:
        return reduce(_after, (*before, last))
    return last.with_carrier(reduce(_after, (*before, last.carrier)))


@guarded
def append(*systems: Any) -> LTI:
    r"""Systems side by side, each with its own inputs and outputs.

    .. math:: G = \mathrm{diag}(G_1, \dots, G_k)

    Parameters
    ----------
    *systems : one or more of what :func:`mor.as_system` takes, with equal time steps and linear outputs.

    Returns
    -------
    LTI
        Dense, with the states, inputs and outputs of all in order, and the names of signals if all have some,
        numbered where they repeat.

    Raises
    ------
    DimensionError
        If a system is a batch.
    TimeStepError
        If time steps differ.
    QuadraticOutputError
        If outputs are quadratic.
    ArgumentError
        If there is no system.

    Notes
    -----
    MATLAB's ``append``, SLICOT's ``AB05QD``.

    Examples
    --------
    >>> import mor
    >>> lag = ([[-1.0]], [[1.0]], [[1.0]])
    >>> mor.append(lag, lag).evaluate(0).real
    array([[1., 0.],
           [0., 1.]])
    """
    dense = [_dense(system) for system in _checked(systems)]
    blocks: list[Any] = [block_diag(*(getattr(system, name) for system in dense)) for name in "ABCD"]
    names = zip(*(signal_names(system.labels) for system in dense), strict=True)
    inputs, outputs = (None if None in each else _distinct(sum(each, ())) for each in names)
    return LTI(*blocks, E=_joint_E(dense), dt=dense[0].dt, labels=_named(inputs, outputs))


@guarded
def feedback(G: Any, K: Any = None, sign: int = -1) -> LTI:
    r"""The closed loop of G with K on the way back.

    .. math:: y = G\,(u \pm K y), \qquad G_{cl} = (I \mp G K)^{-1} G

    Parameters
    ----------
    G : anything :func:`mor.as_system` takes, with linear outputs: the way from u to y.
    K : the same with as many inputs as G has outputs, and outputs as G has inputs; None is the identity.
    sign : -1, negative feedback, or 1.

    Returns
    -------
    LTI
        Dense, with the states of G and then those of K, and the signals of G.

    Raises
    ------
    SingularEquationError
        If the loop is not well-posed: :math:`L = I \mp D_G D_K` is singular and y no function of u, or
        nearly so: the spectral radius of :math:`|L^{-1}|\,(I + |D_G||D_K|)`, a condition number that units
        of the signals do not change, is above 1e12.
    DimensionError
        If signals do not fit, or a system is a batch.
    TimeStepError
        If time steps differ.
    QuadraticOutputError
        If outputs are quadratic.
    ArgumentError
        If `sign` is another number.

    Notes
    -----
    The loop may be unstable: nothing is asked of the poles. MATLAB's ``feedback``, SLICOT's ``AB05ND``.

    Examples
    --------
    >>> import mor
    >>> integrator = ([[0.0]], [[1.0]], [[4.0]])
    >>> mor.feedback(integrator).poles
    array([-4.+0.j])
    """
    if isinstance(sign, bool) or not isinstance(sign, int | float | np.number) or sign not in (-1, 1):
        raise ArgumentError(f"sign={shown(sign)} is neither -1 nor 1.", argument="sign")
    forward = as_system(G)
    one, two = (_dense(system) for system in _checked((forward, _identity(forward) if K is None else K)))
    _check_fit(one, two)
    if two.n_outputs != one.n_inputs:
        raise DimensionError(f"K has {two.n_outputs} outputs; G has {one.n_inputs} inputs.")
    loop = np.eye(one.n_outputs) - sign * one.D @ two.D
    if not _is_well_posed(loop, one.D, two.D):
        raise SingularEquationError(
            "the loop is not well-posed: I - sign D_G D_K is singular or nearly so, so that the outputs are "
            "no function of the inputs. A delay or a lag in the loop, D = 0, would make it so."
        )
    # Outputs y = C x + D u and inputs of G, e = u + sign (C_K x_K + D_K y).
    C = np.linalg.solve(loop, np.hstack([one.C, sign * one.D @ two.C]))
    D = np.linalg.solve(loop, one.D)
    back = np.hstack([np.zeros((one.n_inputs, one.order)), sign * two.C]) + sign * two.D @ C
    B = np.vstack([one.B @ (np.eye(one.n_inputs) + sign * two.D @ D), two.B @ D])
    A: Any = block_diag(one.A, two.A) + np.vstack([one.B @ back, two.B @ C])
    labels = _named(*signal_names(one.labels))
    return LTI(A, B, C, D, _joint_E([one, two]), dt=one.dt, labels=labels)


def _checked(systems: Sequence[Any]) -> list[System]:
    """Single systems with one time step."""
    if not systems:
        raise ArgumentError("give one system or more.")
    found = [as_system(system) for system in systems]
    for i, system in enumerate(found):
        if system.batch_shape:
            raise DimensionError(
                f"system {i} is a batch of shape {system.batch_shape}: connect its systems one at a time."
            )
        if system.dt != found[0].dt:
            raise TimeStepError(f"the systems have dt={found[0].dt:g} and dt={system.dt:g}; they must agree.")
    return found


def _dense(system: System) -> LTI:
    if not system.is_linear:
        raise QuadraticOutputError(
            "quadratic outputs cannot be the input of another system, nor be appended or fed back: only the "
            "last system of a series may have them. The linear part, .linear, can be connected."
        )
    return system.to_lti()


def _after(first: System, second: System) -> LTI:
    """The outputs of the first drive the second."""
    one, two = _dense(first), _dense(second)
    _check_fit(one, two)
    A: Any = block_diag(one.A, two.A)
    A[one.order :, : one.order] = two.B @ one.C
    B, C = np.vstack([one.B, two.B @ one.D]), np.hstack([two.D @ one.C, two.C])
    labels = _named(signal_names(one.labels)[0], signal_names(two.labels)[1])
    return LTI(A, B, C, two.D @ one.D, _joint_E([one, two]), dt=one.dt, labels=labels)


def _check_fit(one: LTI, two: LTI) -> None:
    if one.n_outputs != two.n_inputs:
        raise DimensionError(
            f"a system with {two.n_inputs} inputs cannot follow one with {one.n_outputs} outputs."
        )


def _is_well_posed(loop: np.ndarray, D_G: np.ndarray, D_K: np.ndarray) -> bool:
    """Whether relative errors of its data grow by a moderate factor only, whatever the units of the signals
    (Bauer's condition number)."""
    try:
        growth = np.abs(np.linalg.inv(loop)) @ (np.eye(len(loop)) + np.abs(D_G) @ np.abs(D_K))
        return bool(np.max(np.abs(np.linalg.eigvals(growth)), initial=0.0) <= _ILL_POSED)
    except np.linalg.LinAlgError:
        return False


def _identity(like: System) -> LTI:
    p = like.n_outputs
    return LTI(np.zeros((0, 0)), np.zeros((0, p)), np.zeros((p, 0)), np.eye(p), dt=like.dt)


def _joint_E(systems: Sequence[LTI]) -> Any:
    if all(system.E is None for system in systems):
        return None
    return block_diag(*(np.eye(system.order) if system.E is None else system.E for system in systems))


def _distinct(names: tuple[str, ...]) -> tuple[str, ...] | None:
    """Those that repeat with their numbers; None if that makes others repeat."""
    numbered = tuple(
        f"{name} {names[: i + 1].count(name)}" if names.count(name) > 1 else name
        for i, name in enumerate(names)
    )
    return numbered if len(set(numbered)) == len(names) else None


def _named(inputs: tuple[str, ...] | None, outputs: tuple[str, ...] | None) -> Labels | None:
    return Labels(inputs, outputs) if inputs or outputs else None
