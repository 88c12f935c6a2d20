"""The command ``mor``.

Exit codes: 0 done; 1 unexpected failure of the library; 2 wrong usage; 3 bad data or an
impossible request; 4 unstable layer or system; 5 unreadable, unknown or unwritable file; 6 not
linear time-invariant; 7 unsafe pickle; 8 missing package; 9 a bound does not hold, none was
there to be held, or the files do not belong together; 10 the measured error of a reduction
exceeds its bound; 130 interrupted.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from typer.core import TyperCommand

from mor.errors import MorError

#: Exit code of `mor verify` when a measured error exceeds its bound, or there was nothing to verify.
NOT_VERIFIED = 9

#: Exit code of `mor reduce` when the measured error exceeds the bound by more than the numbers are uncertain.
BOUND_EXCEEDED = 10

#: Exit code after Ctrl-C, as shells have it.
INTERRUPTED = 130

#: Keywords of the library, and what they are set to where that is a word, that `reduce` has as options.
_KEYWORD = re.compile(r"\b(order|tol|rel_tol|gramians|horizon|band|match|unstable|dt)=(?:'(\w+)')?")

#: Options of `reduce` of which one chooses the Gramians.
_LIMITS = ("gramians", "horizon", "band")


class _Listing(TyperCommand):
    """A command whose help names what is in lists of the library, which are read when it is asked for."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from mor.analysis.gramians.text import usages
        from mor.reduction.methods import FAMILIES, METHODS, explained, knowing

        lists = {"METHODS": explained(METHODS), "FAMILIES": explained(FAMILIES), "GRAMIANS": usages()}
        lists |= {f"WITH_{option.upper()}": knowing(option) for option in ("tol", "horizon", "gramians")}
        options: Any = self.params
        for option in options:
            option.help = option.help.format_map(lists)
        super().format_help(ctx, formatter)


app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Input = Annotated[
    Path,
    typer.Argument(help="Checkpoint: .safetensors, .pt, .pth, .ckpt or a shard index.", readable=False),
]
Dialect = Annotated[str | None, typer.Option(help="How the layers are stored; found by itself if left out.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object for machines.")]
Keep = Annotated[float, typer.Option(help="Share of all states to keep, in (0, 1].")]
Ranks = Annotated[str, typer.Option(help="How layers share the budget: energy, uniform, adaptive or global.")]
Method = Annotated[str, typer.Option(help="{FAMILIES}.")]
Horizon = Annotated[
    int | None, typer.Option(help="Optimise over this many steps instead of all time (no error bound).")
]
Key = Annotated[
    str | None, typer.Option(help="Which dict of tensors, where a torch file has several (model, EMA).")
]
Leave = Annotated[
    list[str] | None,
    typer.Option(help="Tensor beside a layer that does not belong to its states; may be repeated."),
]
Unstable = Annotated[
    str,
    typer.Option(help="split keeps unstable modes as they are and reduces the rest; else an error."),
]


def _print_version(asked: bool) -> None:
    if asked:
        from mor import __version__

        sys.stdout.write(f"mor {__version__}\n")
        raise typer.Exit


@app.callback()
def common(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Reduce linear systems, and compress the state-space layers of trained networks, with guarantees."""


@app.command()
def inspect(checkpoint: Input, dialect: Dialect = None, key: Key = None, as_json: AsJson = False) -> None:
    """Show what a checkpoint holds: layers, orders, spectral radii, decay."""
    from mor.adapters.checkpoints import read_checkpoint
    from mor.report.summary import inspect_summary
    from mor.report.tables import print_inspection

    with _progress() as progress:
        summary = inspect_summary(read_checkpoint(checkpoint, dialect, key=key), progress)
    _show(summary, print_inspection, as_json)


@app.command(cls=_Listing)
def plan(
    checkpoint: Input,
    keep: Keep,
    ranks: Ranks = "energy",
    method: Method = "bt",
    horizon: Horizon = None,
    unstable: Unstable = "error",
    dialect: Dialect = None,
    key: Key = None,
    leave: Leave = None,
    as_json: AsJson = False,
) -> None:
    """Show what `compress` would do: ranks, bounds, bytes. Writes nothing."""
    from mor.report.tables import print_compression

    options = {"keep": keep, "ranks": ranks, "method": method, "horizon": horizon, "unstable": unstable}
    _, summary = _compress(checkpoint, {"dialect": dialect, "key": key, "leave": leave or ()}, options)
    _show(summary, print_compression, as_json)


@app.command(cls=_Listing)
def compress(
    checkpoint: Input,
    output: Annotated[Path, typer.Argument(help="Where to write: .safetensors, .pt or .pth.")],
    keep: Keep,
    ranks: Ranks = "energy",
    method: Method = "bt",
    horizon: Horizon = None,
    unstable: Unstable = "error",
    dialect: Dialect = None,
    key: Key = None,
    leave: Leave = None,
    pad: Annotated[bool, typer.Option(help="Keep the tensors' shapes, for code that cannot resize.")] = False,
    equal: Annotated[
        bool, typer.Option("--equal", help="Fill layers up to the largest new one: one size for all.")
    ] = False,
    force: Annotated[bool, typer.Option(help="Replace OUTPUT if it exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Reduce every layer and write a smaller checkpoint."""
    from mor.adapters.checkpoints import read_checkpoint
    from mor.adapters.checkpoints.formats.tensors import check_checkpoint_output
    from mor.report.summary import size_on_disk
    from mor.report.tables import print_compression

    if pad and equal:
        raise typer.BadParameter("give --pad or --equal, not both: the old sizes, or the largest new one.")
    check_checkpoint_output(output, checkpoint, force=force)
    options = {"keep": keep, "ranks": ranks, "method": method, "horizon": horizon, "unstable": unstable}
    result, summary = _compress(checkpoint, {"dialect": dialect, "key": key, "leave": leave or ()}, options)
    result.model.write(output, force=force, pad=pad, equal=equal)
    if pad or equal:
        written = read_checkpoint(output, result.model.dialect, key=_key_of(output, key))
        summary["bytes"][1], summary["parameters"][1] = written.nbytes, written.n_parameters
    summary |= {"output": str(output), "padded": pad, "equal": equal}
    summary |= {"bytes_on_disk": output.stat().st_size}
    summary["disk"] = [size_on_disk(result.model), output.stat().st_size]
    _show(summary, print_compression, as_json)
    if not as_json:
        _console().print(f"Wrote [bold]{escape(str(output))}[/] in {summary['seconds']:.1f} s.")


@app.command()
def verify(
    original: Input,
    compressed: Annotated[Path, typer.Argument(help="The compressed checkpoint.")],
    dialect: Dialect = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Measure the error of every layer and hold it against the bound in the manifest.

    Exits with 9 if a bound does not hold, if there is none (a file without a manifest), and if anything
    outside the layers is not as it was.
    """
    from mor.adapters.checkpoints import read_checkpoint
    from mor.adapters.checkpoints.manifest import original_key, recorded_key
    from mor.report.summary import verify_summary
    from mor.report.tables import print_verification

    after = read_checkpoint(compressed, dialect, key=_key_of(compressed, key or recorded_key(compressed)))
    recorded = _key_of(original, original_key(after.manifest))
    before = read_checkpoint(original, dialect, key=key or recorded)
    with _progress() as progress:
        summary = verify_summary(before, after, progress)
    reason = _nothing_verified(summary)
    summary |= {"ok": summary["ok"] and reason is None, "nothing_verified": reason}
    _show(summary, print_verification, as_json)
    if reason and not as_json:
        _console().print(f"[red]{escape(reason)}[/]")
    if not summary["ok"]:
        raise typer.Exit(NOT_VERIFIED)


@app.command(cls=_Listing)
def reduce(
    system: Annotated[
        Path, typer.Argument(help="System: .mat, .npz, or Matrix Market files by prefix or folder.")
    ],
    rom: Annotated[Path, typer.Argument(help="Where to write the reduced one: .mat, .npz or .mtx.")],
    order: Annotated[int | None, typer.Option(help="Number of states to keep.")] = None,
    tol: Annotated[
        float | None, typer.Option(help="Upper limit on the error bound instead ({WITH_TOL}).")
    ] = None,
    rel_tol: Annotated[
        float | None, typer.Option(help="The same, relative to the largest Hankel singular value.")
    ] = None,
    method: Annotated[str, typer.Option(help="{METHODS}.")] = "bt",
    gramians: Annotated[
        str | None,
        typer.Option(help="What to balance by ({WITH_GRAMIANS}): {GRAMIANS}; infinite if left out."),
    ] = None,
    horizon: Annotated[
        float | None, typer.Option(help="End time or steps to optimise over ({WITH_HORIZON}).")
    ] = None,
    band: Annotated[
        tuple[float, float] | None,
        typer.Option(help="Two frequencies, rad per unit of time, to optimise between (bt); no error bound."),
    ] = None,
    match: Annotated[
        str | None, typer.Option(help="Where the gain is kept: infinity or dc (bt); infinity if left out.")
    ] = None,
    unstable: Annotated[
        str | None,
        typer.Option(help="split keeps unstable poles as they are and reduces the rest; else an error."),
    ] = None,
    dt: Annotated[float | None, typer.Option(help="Time step, where SYSTEM says none.")] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Where to save the plot; ROM with the ending .png if left out, none with --json."),
    ] = None,
    no_plot: Annotated[bool, typer.Option("--no-plot", help="Draw no plot.")] = False,
    force: Annotated[bool, typer.Option(help="Replace ROM and the plot if they exist.")] = False,
    as_json: AsJson = False,
) -> None:
    """Reduce one system, measure the errors, write and plot the result.

    Exits with 10 if the measured error exceeds its bound by more than round-off explains.
    """
    if [order, tol, rel_tol].count(None) != 2:
        raise typer.BadParameter("give --order or --tol or --rel-tol, and one only.")
    if plot and no_plot:
        raise typer.BadParameter("give --plot or --no-plot, and not both.")
    if not (plot or no_plot or as_json):
        plot = rom.with_suffix(".png")
    limits = {"tol": tol, "rel_tol": rel_tol, "gramians": gramians, "horizon": horizon, "band": band}
    options = {**limits, "match": match, "unstable": unstable}
    with _named_as_options():
        summary = _reduce(system, rom, plot, dt, force, {"method": method, "order": order, **options})
    from mor.report.tables import print_reduction

    _show(summary, print_reduction, as_json)
    if not as_json:
        written = " and ".join(f"[bold]{escape(str(path))}[/]" for path in (rom, plot) if path)
        parts = ", ".join(f"{name} {seconds:.1f}" for name, seconds in summary["seconds_of"].items())
        _console().print(f"Wrote {written} in {summary['seconds']:.1f} s: {parts}.")
    if summary["holds"] is False:
        raise typer.Exit(BOUND_EXCEEDED)


@app.command()
def compare(
    full: Annotated[Path, typer.Argument(help="The full system, a file as for reduce.")],
    roms: Annotated[list[Path], typer.Argument(help="Reduced systems, one file or more.")],
    dt: Annotated[float | None, typer.Option(help="Time step, where a file says none.")] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Where to save a plot: responses, errors, step responses, poles.")
    ] = None,
    force: Annotated[bool, typer.Option(help="Replace the plot if it exists.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure how far reduced systems are from the full one, side by side."""
    from mor.adapters.system_files import load
    from mor.report.comparison import comparison_summary
    from mor.report.plots.figures import save_comparison_plot
    from mor.report.plots.style import check_plot
    from mor.report.tables import print_comparison

    if plot:
        check_plot(plot, overwrite=force)
    with _named_as_options():
        # Names of files tell them apart, or else their paths do.
        short = len({path.name for path in (full, *roms)}) == 1 + len(roms)
        first, *others = [(path.name if short else str(path), load(path, dt=dt)) for path in (full, *roms)]
        summary = comparison_summary(first, dict(others))
    failure = None
    if plot:
        try:
            save_comparison_plot(first, dict(others), plot)
        except MorError as error:
            error.add_note(f"There is no plot {plot}; the numbers are not concerned.")
            failure = error
    drawn = str(plot) if plot and failure is None else None
    _show(summary | {"plot": drawn}, print_comparison, as_json)
    if failure is not None:
        raise failure
    if drawn and not as_json:
        Console().print(f"Wrote [bold]{escape(drawn)}[/].")


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the plot and the compressed files.")] = Path(
        "demo"
    ),
    as_json: AsJson = False,
) -> None:
    """Compress two small trained networks and show what it costs.

    Files of an earlier run in the folder are replaced: demo.png, plain-*.safetensors,
    regularised-*.safetensors.
    """
    from mor.report.demo import run_demo
    from mor.report.tables import print_demo

    with _progress() as progress:
        summary = run_demo(output, progress)
    _show(summary, print_demo, as_json)
    if not as_json:
        _console().print(f"Plot: [bold]{escape(summary['plot'])}[/]")


def _reduce(
    system: Path, rom: Path, plot: Path | None, dt: float | None, force: bool, options: dict[str, Any]
) -> dict[str, Any]:
    """The report of `reduce`, ROM and plot being written, with the seconds that each part took."""
    clock = _Clock()
    from mor.adapters.system_files import load, save
    from mor.adapters.system_files.storage import check_system_output
    from mor.analysis.gramians import gramians_of
    from mor.analysis.gramians.text import read_gramians
    from mor.reduction.methods import reduce_by
    from mor.report.plots.figures import save_reduction_plot
    from mor.report.plots.style import check_plot
    from mor.report.reduction import of_the_kind, reduction_summary

    check_system_output(rom, overwrite=force)
    if plot:
        check_plot(plot, overwrite=force)
    full = load(system, dt=dt)
    if options["gramians"]:
        options["gramians"] = read_gramians(options["gramians"], partial(load, dt=dt))
    clock.lap("reading")
    reduction = of_the_kind(full, reduce_by(sys=full, **options))
    clock.lap("reduction")
    summary = reduction_summary(full, reduction, gramians_of(*(options[x] for x in _LIMITS)))
    clock.lap("errors")
    save(rom, reduction, overwrite=force)
    if plot:
        save_reduction_plot(full, reduction, plot)
    clock.lap("plot" if plot else "writing")
    return summary | {
        "input": str(system),
        "output": str(rom),
        "plot": None if plot is None else str(plot),
        "seconds": sum(clock.laps.values()),
        "seconds_of": clock.laps,
    }


class _Clock:
    """Seconds by what they went into."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        """Count the time since the last lap for `name`."""
        now = time.perf_counter()
        self.laps[name], self._last = now - self._last, now


@contextmanager
def _named_as_options() -> Iterator[None]:
    """Errors of the library name its keywords: add what they are called here."""
    try:
        yield
    except MorError as error:
        if found := dict.fromkeys(_KEYWORD.findall(str(error))):
            options = ", ".join(f"--{name.replace('_', '-')} {value}".rstrip() for name, value in found)
            error.add_note(f"On the command line: {options}.")
        raise


def _key_of(path: Path, key: str | None) -> str | None:
    """`key`, where the file can have several dicts of tensors."""
    return None if path.suffix.lower() == ".safetensors" else key


def _compress(
    checkpoint: Path, reading: dict[str, Any], options: dict[str, Any]
) -> tuple[Any, dict[str, Any]]:
    """The planner of `plan` is the run of `compress`."""
    from mor.adapters.checkpoints import read_checkpoint
    from mor.deep.compress import compress as compress_model
    from mor.deep.ranks import check_keep
    from mor.report.summary import compression_summary

    check_keep(options["keep"])
    start = time.perf_counter()
    before = read_checkpoint(checkpoint, **reading)
    before.check_beside()
    with _named_as_options(), _progress() as progress:
        result = compress_model(before, **options, progress=progress)
    return result, compression_summary(before, result, time.perf_counter() - start)


def _nothing_verified(summary: dict[str, Any]) -> str | None:
    """Why nothing of the compressed file could be held against a promise; None if something could."""
    if summary["manifest"]:
        return None
    reason = f"Nothing was verified: {summary['after']} has no manifest, so that no bound was promised."
    if summary["stale_manifest"]:
        return f"Nothing was verified: {summary['stale_manifest']} belongs to another file than this one."
    if any(layer["states_after"] > layer["states_before"] for layer in summary["layers"]):
        return f"{reason} It has more states than {summary['before']}: the original comes first."
    return reason


def _show(summary: dict[str, Any], table: Any, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(summary, indent=2, allow_nan=False) + "\n")
    else:
        table(_console(), summary)


def _console() -> Console:
    """Standard output: a pipe or a log is not broken into lines, so that names can be searched for."""
    console = Console()
    return console if console.is_terminal else Console(soft_wrap=True)


@contextmanager
def _progress() -> Iterator[Any]:
    """A bar on the standard error stream, where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        tasks: dict[str, Any] = {}

        def update(task: str, done: int, total: int) -> None:
            if task not in tasks:
                tasks[task] = bars.add_task(task, total=total)
            bars.update(tasks[task], completed=done, total=total)

        yield update


def main() -> None:
    """Entry point: what goes wrong on purpose ends in one message and its exit code."""
    try:
        app()
    except MorError as error:
        Console(stderr=True).print(f"[bold red]{type(error).__name__}[/]: ", end="")
        sys.stderr.write("\n".join([str(error), *getattr(error, "__notes__", ())]) + "\n")
        sys.exit(error.exit_code)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            sys.stderr.write("Interrupted. An output file is written whole or not at all.\n")
        raise


if __name__ == "__main__":
    main()
