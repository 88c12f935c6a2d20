"""The command ``mor``.

Exit codes: 0 done; 1 unexpected failure of the library; 2 wrong usage; 3 bad data or an
impossible request; 4 unstable layer or system; 5 unreadable, unknown or unwritable file; 6 not
linear time-invariant; 7 unsafe pickle; 8 missing package; 9 a bound does not hold, none was
there to be held, or the files do not belong together; 10 the measured error of a reduction
exceeds its bound; 130 interrupted.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperOption

from mor.errors import MorError, spelled
from mor.version import __version__

#: Exit code of `mor verify` when a measured error exceeds its bound, or there was nothing to verify.
NOT_VERIFIED = 9

#: Exit code of `mor reduce` when the measured error exceeds the bound by more than the numbers are uncertain.
BOUND_EXCEEDED = 10

#: Exit code after Ctrl-C, as shells have it.
INTERRUPTED = 130

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
Method = Annotated[str, typer.Option(help="{layer_methods}.")]
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


class _Listing(TyperCommand):
    """A command whose help lists what the library has, which is imported when the help is asked for."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from mor.analysis.gramians.text import usages
        from mor.reduction.methods import FAMILIES, METHODS, explained, knowing

        lists = {f"know_{option}": knowing(option) for option in ("tol", "gramians", "horizon")}
        lists |= {"methods": explained(METHODS), "layer_methods": explained(FAMILIES)}
        lists["gramians"] = usages()
        for parameter in self.params:
            if isinstance(parameter, TyperOption) and parameter.help:
                parameter.help = parameter.help.format(**lists)
        super().format_help(ctx, formatter)


def _print_version(asked: bool) -> None:
    if asked:
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
    from mor.report.inspection import inspection
    from mor.report.views import progress, show

    with progress() as watched:
        found = inspection(read_checkpoint(checkpoint, dialect, key=key), watched)
    show(found, as_json=as_json)


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
    from mor.report.compression import plan as planned
    from mor.report.views import progress, show

    reading = {"dialect": dialect, "key": key, "leave": leave or ()}
    options = {"keep": keep, "ranks": ranks, "method": method, "horizon": horizon, "unstable": unstable}
    with progress() as watched:
        found = planned(checkpoint, reading, options, watched)
    show(found, as_json=as_json)


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
    from mor.report.compression import write_compressed
    from mor.report.views import progress, show

    if pad and equal:
        raise typer.BadParameter("give --pad or --equal, not both: the old sizes, or the largest new one.")
    reading = {"dialect": dialect, "key": key, "leave": leave or ()}
    options = {"keep": keep, "ranks": ranks, "method": method, "horizon": horizon, "unstable": unstable}
    written = {"pad": pad, "equal": equal, "force": force}
    with progress() as watched:
        found = write_compressed(checkpoint, output, reading, options, **written, progress=watched)
    show(found, as_json=as_json)


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
    from mor.adapters.checkpoints.verification import verify_files
    from mor.report.verification import VerificationReport
    from mor.report.views import progress, show

    with progress() as watched:
        found = verify_files(original, compressed, dialect, key=key, progress=watched)
    show(VerificationReport(**vars(found)), as_json=as_json)
    if not found.ok:
        raise typer.Exit(NOT_VERIFIED)


@app.command(cls=_Listing)
def reduce(
    system: Annotated[
        Path, typer.Argument(help="System: .mat, .npz, or Matrix Market files by prefix or folder.")
    ],
    rom: Annotated[Path, typer.Argument(help="Where to write the reduced one: .mat, .npz or .mtx.")],
    order: Annotated[int | None, typer.Option(help="Number of states to keep.")] = None,
    tol: Annotated[
        float | None, typer.Option(help="Upper limit on the error bound instead ({know_tol}).")
    ] = None,
    rel_tol: Annotated[
        float | None, typer.Option(help="The same, relative to the largest Hankel singular value.")
    ] = None,
    method: Annotated[str, typer.Option(help="{methods}.")] = "bt",
    gramians: Annotated[
        str | None,
        typer.Option(help="What to balance by ({know_gramians}), {gramians}; infinite if left out."),
    ] = None,
    horizon: Annotated[
        float | None, typer.Option(help="End time or steps to optimise over ({know_horizon}).")
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
    if not (plot or no_plot or as_json) and find_spec("matplotlib"):
        plot = rom.with_suffix(".png")
    from mor.report.reduction import reduce_file
    from mor.report.views import show

    limits = {"tol": tol, "rel_tol": rel_tol, "gramians": gramians, "horizon": horizon, "band": band}
    options = {"method": method, "order": order, **limits, "match": match, "unstable": unstable}
    found, failure = reduce_file(system, rom, plot, options, dt=dt, force=force)
    show(found, as_json=as_json)
    _raise_without_plot(plot, failure)
    if found.holds is False:
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
    from mor.report.comparison import compare_files
    from mor.report.views import show

    found, failure = compare_files(full, roms, plot, dt=dt, force=force)
    show(found, as_json=as_json)
    _raise_without_plot(plot, failure)


def _raise_without_plot(plot: Path | None, failure: MorError | None) -> None:
    """What went wrong with a plot, when the numbers have been printed."""
    if failure is not None:
        failure.add_note(f"There is no plot {plot}; the numbers are not concerned.")
        raise failure


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
    from mor.report.views import progress, show

    with progress() as watched:
        found = run_demo(output, watched)
    show(found, as_json=as_json)


def _as_option(name: str, value: str) -> str:
    """An argument in a message, as it is typed here where a command has it: `value` is that of Python."""
    name = "force" if name == "overwrite" else name
    commands = (command.callback for command in app.registered_commands if command.callback)
    if not any(name in signature(command).parameters for command in commands):
        return f"{name}={value}"
    typed = "" if value == "True" or value.startswith("<") else value.strip("'")
    return f"--{name.replace('_', '-')} {typed}".rstrip()


def main() -> None:
    """Entry point: what goes wrong on purpose ends in one message and its exit code."""
    try:
        with spelled(_as_option):
            app()
    except MorError as error:
        from mor.report.views import print_error

        print_error(error)
        sys.exit(error.exit_code)
    except SystemExit as stop:
        if stop.code == INTERRUPTED:
            sys.stderr.write("Interrupted. An output file is written whole or not at all.\n")
        raise


if __name__ == "__main__":
    main()
