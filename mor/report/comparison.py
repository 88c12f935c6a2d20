"""Several reduced systems beside the full one."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mor.adapters.system_files import load
from mor.analysis.error import ErrorMeasure, dc_error, measure, norms
from mor.errors import DimensionError, MorError, at
from mor.report.document import Cell, Document, Table, Text, moment, note, notes, number, percent, yes
from mor.report.gains import gain_fields, measured, searched_for
from mor.report.plots.figures import save_comparison_plot
from mor.report.plots.style import check_plot, saved
from mor.systems.base import System


@dataclass(frozen=True)
class FullSystem:
    """What the others are compared with; `seconds` is what measuring took."""

    name: str
    order: int
    stable: bool
    h2_norm: float
    hinf_norm: float
    hinf_limit: float
    hinf_noise: float
    proven: bool
    peak_frequency: float
    seconds: float


@dataclass(frozen=True)
class ReducedSystem:
    """One system and how far it is from the full one.

    Attributes
    ----------
    hinf_error, hinf_limit, hinf_noise, proven, peak_frequency : as in
        :class:`~mor.report.reduction.ReductionReport`.
    hinf_relative, h2_relative, dc_relative : shares of the norms of the full system, of the H2 norm of
        it without D.
    h2_error : infinite where D has changed in continuous time.
    dc_error : largest singular value of the difference of the gains at frequency zero.
    """

    name: str
    order: int
    stable: bool
    hinf_error: float
    hinf_limit: float
    hinf_noise: float
    proven: bool
    peak_frequency: float
    hinf_relative: float
    h2_error: float
    h2_relative: float
    dc_error: float
    dc_relative: float
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """`mor compare`: numbers are infinite or nan where there is none."""

    full: FullSystem
    inputs: int
    outputs: int
    dt: float
    roms: list[ReducedSystem]
    plot: str | None = None

    def document(self) -> Document:
        """One column a system."""
        roms, all_systems, share = self.roms, (self.full, *self.roms), "  relative, %"
        peaks = [(rom.hinf_error, rom.hinf_limit, rom.proven) for rom in roms]
        rows: list[tuple[Cell, ...]] = [
            ("order", *(system.order for system in all_systems)),
            ("stable", *(yes(system.stable) for system in all_systems)),
            ("H-infinity error", "", *(measured(*peak, short=True) for peak in peaks)),
            (share, "", *(percent(rom.hinf_relative) for rom in roms)),
            ("H2 error", "", *(number(rom.h2_error) for rom in roms)),
            (share, "", *(percent(rom.h2_relative) for rom in roms)),
            ("error at rest", "", *(number(rom.dc_error) for rom in roms)),
            (share, "", *(percent(rom.dc_relative) for rom in roms)),
            ("seconds", *(f"{system.seconds:.1f}" for system in all_systems)),
        ]
        stable = all(system.stable for system in all_systems)
        return [
            note(
                f"{self.inputs} inputs, {self.outputs} outputs, {moment(self.dt)}. H-infinity norm "
                f"{number(self.full.hinf_norm)}, H2 norm {number(self.full.h2_norm)}."
            ),
            Table(("", *(system.name for system in all_systems)), tuple(rows), repeated=2),
            *searched_for("~", *roms),
            *notes(None if stable else "An unstable system has no H-infinity and H2 errors."),
            *([note("Wrote ", Text(self.plot, "strong"), ".")] if self.plot else []),
        ]


def compare_systems(full: tuple[str, System], roms: Mapping[str, System]) -> Comparison:
    """What `full`, by its name, and each of `roms` are, and how far each is from it.

    Raises
    ------
    DimensionError, TimeStepError
        Naming the reduced system whose signals or time step are others than those of the full one,
        or the one that is a batch.
    """
    name, system = full
    for each, sys in {name: system, **roms}.items():
        if sys.batch_shape:
            raise DimensionError(f"{each} holds a batch of {sys.batch_shape} systems; give one at a time.")
    start = time.perf_counter()
    size = norms(system)
    return Comparison(
        full=FullSystem(
            **_facts(name, system),
            **gain_fields(size),
            hinf_norm=size.peak,
            h2_norm=size.h2,
            seconds=time.perf_counter() - start,
        ),
        inputs=system.n_inputs,
        outputs=system.n_outputs,
        dt=system.dt,
        roms=[_compared(system, size, each, sys) for each, sys in roms.items()],
    )


def _compared(full: System, size: ErrorMeasure, name: str, rom: System) -> ReducedSystem:
    start = time.perf_counter()
    with at(name):
        found = measure(full, rom)
        dc, dc_relative = dc_error(full, rom)
    return ReducedSystem(
        **_facts(name, rom),
        **gain_fields(found),
        hinf_error=found.peak,
        hinf_relative=found.peak / size.peak if size.peak > 0 else np.nan,
        h2_error=found.h2,
        h2_relative=found.h2_relative,
        dc_error=dc,
        dc_relative=dc_relative,
        seconds=time.perf_counter() - start,
    )


def _facts(name: str, system: System) -> dict[str, Any]:
    return {"name": name, "order": system.order, "stable": bool(system.is_stable)}


def compare_files(
    full: Path,
    roms: Sequence[Path],
    plot: Path | None = None,
    *,
    dt: float | None = None,
    force: bool = False,
) -> tuple[Comparison, MorError | None]:
    """:func:`compare_systems` of files, and a plot of all.

    Returns
    -------
    comparison : what was found.
    failure : why there is no plot, which does not concern the numbers; None if nothing failed.
    """
    if plot:
        check_plot(plot, overwrite=force)
    # Names of files tell them apart, or else their paths do.
    short = len({path.name for path in (full, *roms)}) == 1 + len(roms)
    first, *others = [(path.name if short else str(path), load(path, dt=dt)) for path in (full, *roms)]
    found = compare_systems(first, dict(others))
    drawn, failure = saved(partial(save_comparison_plot, first, dict(others)), plot)
    return replace(found, plot=drawn), failure
