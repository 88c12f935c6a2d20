"""What the reduction of one system has made of it."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mor.adapters.system_files import load, save
from mor.adapters.system_files.storage import check_system_output
from mor.analysis.gramians import INFINITE, Gramians, gramians_of
from mor.analysis.gramians.text import read_gramians
from mor.errors import DimensionError, MorError
from mor.reduction.measured import measure_reduction
from mor.reduction.methods import reduce_by
from mor.reduction.result import Reduction
from mor.report.document import Cell, Document, Table, Text, moment, note, notes, number, percent, yes
from mor.report.gains import gain_fields, measured, searched_for
from mor.report.plots.figures import save_reduction_plot
from mor.report.plots.style import check_plot, saved
from mor.systems.base import System
from mor.systems.lti import LTI


@dataclass(frozen=True)
class ReductionReport:
    """Orders, Hankel singular values, the bound and the errors that it was to bound.

    Numbers are infinite or nan where there is none.

    Attributes
    ----------
    order : before and after.
    horizon, band : what the Gramians are limited to, and the H2 errors with them.
    about : what is to be said of numbers that belong to the Gramians.
    hsv : Hankel singular values, infinite for unstable states that are kept.
    error_bound, roundoff : of the H-infinity error; what double precision may add to it.
    hinf_error, peak_frequency : the largest gain of the error over frequency and where; nan if a system is
        unstable, unless its unstable part was kept: then those of the stable parts.
    hinf_limit : what the norm does not exceed, proven; infinite where the gain was only searched for.
    hinf_noise : by how much `hinf_error` may be wrong.
    proven : whether the two are one number to 1 %.
    aim, aim_error : name and size of the error that the Gramians are to make small.
    aim_plain : the same error of plain balanced truncation to as many states; `h2_unlimited` where that is an
        H2 error.
    """

    order: tuple[int, int]
    inputs: int
    outputs: int
    dt: float
    method: str
    horizon: float | None
    band: tuple[float, float] | None
    about: str | None
    aim: str
    stable: bool
    hsv: list[float]
    error_bound: float | None
    roundoff: float
    hinf_error: float
    hinf_limit: float
    hinf_noise: float
    proven: bool
    peak_frequency: float
    h2_error: float
    h2_relative: float
    h2_unlimited: float
    aim_error: float
    aim_plain: float
    holds: bool | None
    iterations: int | None
    stopped: str | None
    note: str | None

    def document(self) -> Document:
        """One row a number, and what is to be said of them."""
        exceeded = "The measured error exceeds the bound by more than round-off explains."
        return [
            Table(("", self.method), tuple(self._rows().items())),
            *notes(self.note),
            *searched_for("The H-infinity error", self),
            *notes(exceeded if self.holds is False else None, tone="bad"),
            *notes(self.about),
        ]

    def _rows(self) -> dict[str, Cell]:
        before, after = self.order
        hsv = self.hsv
        finite = (value for value in hsv if math.isfinite(value))
        share = f" ({percent(self.h2_relative)} %)" if math.isfinite(self.h2_relative) else ""
        rows: dict[str, Cell] = {
            "order": f"{before} -> {after}",
            "inputs x outputs": f"{self.inputs} x {self.outputs}",
            "time": moment(self.dt),
            "largest Hankel singular value": number(next(finite, None)),
            "last one kept": number(hsv[after - 1] if 0 < after <= len(hsv) else None),
            "first one removed": number(hsv[after] if after < len(hsv) else None),
            "error bound, H-infinity": number(self.error_bound),
            "error measured, H-infinity": measured(self.hinf_error, self.hinf_limit, self.proven),
            "error measured, H2": number(self.h2_error) + share,
            "stable": yes(self.stable),
        }
        if math.isfinite(self.aim_error) and self.aim_error != self.h2_error:
            rows[f"{self.aim}, measured"] = number(self.aim_error)
        if self.stopped:
            rows["iterations"] = f"{self.iterations}: {self.stopped}"
        return rows


@dataclass(frozen=True)
class WrittenReduction(ReductionReport):
    """`mor reduce`.

    Attributes
    ----------
    plot : None where none was wanted, or it could not be drawn.
    seconds, seconds_of : of all and of its parts.
    """

    input: str
    output: str
    plot: str | None
    seconds: float
    seconds_of: dict[str, float]

    def document(self) -> Document:
        """The report, and what was written."""
        files = [Text(self.output, "strong"), *([" and ", Text(self.plot, "strong")] if self.plot else [])]
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in self.seconds_of.items())
        return [*super().document(), note("Wrote ", *files, f" in {self.seconds:.1f} s: {parts}.")]


def reduction_report(system: System, reduction: Reduction, gramians: Gramians = INFINITE) -> ReductionReport:
    """What `reduction` has made of `system`, every error measured."""
    found, kind = measure_reduction(system, reduction, gramians), gramians.checked(system)
    error, limits = found.error, kind.limits
    return ReductionReport(
        order=(system.order, reduction.order),
        inputs=system.n_inputs,
        outputs=system.n_outputs,
        dt=system.dt,
        method=reduction.method,
        horizon=limits.get("horizon"),
        band=limits.get("band"),
        about=kind.about,
        aim=kind.aim,
        stable=reduction.system.is_stable,
        hsv=np.asarray(reduction.hsv, dtype=float).tolist(),
        error_bound=reduction.error_bound,
        roundoff=reduction.roundoff,
        hinf_error=error.peak,
        **gain_fields(error),
        h2_error=error.h2,
        h2_relative=error.h2_relative,
        h2_unlimited=found.plain if limits else np.nan,
        aim_error=found.aim,
        aim_plain=found.plain,
        holds=found.holds,
        iterations=reduction.diagnostics.get("iterations"),
        stopped=reduction.diagnostics.get("stopped"),
        note=found.note,
    )


def reduce_file(
    path: Path,
    output: Path,
    plot: Path | None,
    options: Mapping[str, Any],
    *,
    dt: float | None = None,
    force: bool = False,
) -> tuple[WrittenReduction, MorError | None]:
    """Reduce the system in a file, measure the errors, write and plot the result.

    Parameters
    ----------
    options : keywords of :func:`mor.reduction.methods.reduce_by`; `gramians` as
        :func:`mor.analysis.gramians.text.read_gramians` has them.
    dt : time step, where the file says none.

    Returns
    -------
    report : of what was written.
    failure : why there is no plot, which does not concern the rest; None if nothing failed.
    """
    clock = _Clock()
    check_system_output(output, overwrite=force)
    if plot:
        check_plot(plot, overwrite=force)
    full = load(path, dt=dt)
    if full.batch_shape:
        raise DimensionError(f"the file holds a batch of {full.batch_shape} systems; give one at a time.")
    text = options.get("gramians")
    given = {**options, "gramians": read_gramians(text, partial(load, dt=dt)) if text else None}
    clock.lap("reading")
    reduction = reduce_by(sys=full, **given)
    if isinstance(full, LTI):
        # What reads the file of the full system reads that of the reduced one, whatever the method.
        reduction = replace(reduction, system=reduction.system.to_lti())
    clock.lap("reduction")
    kind = gramians_of(*(given[name] for name in ("gramians", "horizon", "band")))
    report = reduction_report(full, reduction, kind)
    clock.lap("errors")
    save(output, reduction, overwrite=force)
    drawn, failure = saved(partial(save_reduction_plot, full, reduction), plot)
    clock.lap("plot" if plot else "writing")
    written = WrittenReduction(
        **vars(report),
        input=str(path),
        output=str(output),
        plot=drawn,
        seconds=sum(clock.laps.values()),
        seconds_of=clock.laps,
    )
    return written, failure


class _Clock:
    """Seconds by what they went into."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Count the time since the last lap for `name`."""
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now
