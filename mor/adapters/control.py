"""Systems for python-control."""

from __future__ import annotations

from typing import Any

from mor.checks import guarded
from mor.errors import DimensionError, MissingDependencyError
from mor.systems.convert import as_system


@guarded
def to_control(sys: Any) -> Any:
    """`sys` as a ``control.StateSpace``.

    E is divided out: python-control has none, and keeps doubles whatever it is given. Names of
    inputs, outputs, states and system come back where the system has them; what has none gets
    those that python-control makes up. ``dt=0`` is continuous in both libraries.

    Parameters
    ----------
    sys : anything :func:`mor.as_system` takes, a :class:`~mor.Reduction` too; not a batch.

    Returns
    -------
    control.StateSpace

    Raises
    ------
    MissingDependencyError
        Without python-control.
    ReductionError
        If E is singular.
    QuadraticOutputError
        If outputs are quadratic: give ``.linear``.
    DimensionError
        If it is a batch: take one system of it at a time; or complex, or without inputs or outputs, which
        python-control's state spaces are not.
    NotFiniteError
        If E is divided out and the result leaves the range of double precision.

    Notes
    -----
    The other way, :func:`mor.as_system` reads ``dt=None`` (unspecified) as continuous and
    ``dt=True`` (discrete of unspecified step) as a step of 1, so these come back as 0 and 1.

    Examples
    --------
    >>> import mor
    >>> named = mor.Labels(inputs=["force"], outputs=["angle"], name="arm")
    >>> arm = mor.to_control(mor.LTI([[-1.0]], [[1.0]], [[2.0]], labels=named))  # doctest: +SKIP
    >>> arm.name, arm.input_labels  # doctest: +SKIP
    ('arm', ['force'])
    """
    try:
        import control
    except ImportError as error:
        raise MissingDependencyError("to_control needs python-control: pip install control.") from error
    dense = as_system(sys).to_lti().explicit
    if not dense.is_real:
        raise DimensionError(
            "the system is complex, and a control.StateSpace is real: python-control would drop the "
            "imaginary parts. Give it real and imaginary parts of the signals as signals of their own."
        )
    if not (dense.n_inputs and dense.n_outputs):
        raise DimensionError(f"{dense!r}: python-control has no systems without inputs or outputs.")
    names: dict[str, Any] = {}
    if dense.labels is not None:
        for field in ("inputs", "outputs", "states"):
            if (given := getattr(dense.labels, field)) is not None:
                names[field] = list(given)
        if dense.labels.name is not None:
            names["name"] = dense.labels.name
    # Else python-control may drop states that nothing reaches.
    names["remove_useless_states"] = False
    return control.StateSpace(dense.A, dense.B, dense.C, dense.D, dense.dt, **names)
