"""Summaries as tables for a terminal."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from mor.report.summary import ENERGY_LEVELS, Summary

#: Columns of a comparison: what is measured, and one a system.
_FIRST_COLUMN, _COLUMN = 20, 18

#: Columns of characters that no table needs.
_WIDEST = 10_000


def print_inspection(console: Console, summary: Summary) -> None:
    """`mor inspect`."""
    console.print(
        f"[bold]{escape(summary['file'])}[/]: dialect [bold]{summary['dialect']}[/], "
        f"{summary['parameters']:,} parameters, {size(summary['bytes'])} of tensors, "
        f"{size(summary['bytes_on_disk'])} on disk, {summary['states']:,} states"
        + (", compressed before" if summary["compressed_before"] else "")
    )
    _print_notes(console, summary)
    for name, tensors in summary["beside"].items():
        listed = ", ".join(f"{key} {tuple(shape)}" for key, shape in tensors.items())
        console.print(
            f"[yellow]{escape(name)}: {escape(listed)} may belong to its states; unless it is zero, compress "
            "asks for --leave[/]"
        )
    energies = [f"{100 * level:g} %" for level in ENERGY_LEVELS]
    table = _table("layer", "systems", "states", "in x out", "radius", "HSV", *energies)
    for layer in summary["layers"]:
        counts = layer["states_for_energy"]
        unstable = [f"{layer['unstable_modes']} unstable", "", ""]
        decay = [str(counts[f"{level:g}"]) for level in ENERGY_LEVELS] if counts else unstable
        table.add_row(
            escape(layer["name"]),
            str(layer["systems"]),
            str(layer["states"]),
            f"{layer['inputs']} x {layer['outputs']}",
            f"{layer['spectral_radius']:.4f}",
            number(layer["hsv_largest"]),
            *decay,
        )
    _print_table(console, table)
    console.print("HSV: the largest Hankel singular value; columns in %: states that hold this share of all.")


def print_compression(console: Console, summary: Summary) -> None:
    """`mor plan` and `mor compress`."""
    _print_notes(console, summary)
    table = _table("layer", "states", "kept", "energy", "bound", "relative")
    for layer in summary["layers"]:
        copies = f" x {layer['systems']}" if layer["systems"] > 1 else ""
        table.add_row(
            escape(layer["name"]),
            str(layer["states_before"]),
            f"{layer['states_after']}{copies}",
            f"{100 * layer['energy_kept']:.2f} %",
            number(layer["error_bound"]),
            number(layer["relative_bound"]),
        )
    _print_table(console, table)
    for layer in summary["layers"]:
        if layer["note"]:
            console.print(f"{escape(layer['name'])}: {escape(layer['note'])}")
    rows = (("states", "{:,}".format), ("parameters", "{:,}".format), ("bytes", size), ("disk", size))
    for what, show in rows:
        if what not in summary:
            continue
        before, after = summary[what]
        console.print(f"{what:>10}  {show(before)} -> {show(after)}  ({100 * after / max(before, 1):.1f} %)")
    _print_unequal(console, summary)
    if all(layer["error_bound"] is not None for layer in summary["layers"]):
        others = all(layer["same_unstable_modes"] for layer in summary["layers"])
        console.print(
            f"Guarantee: for any input, each {'' if others else 'other '}layer's output error in the l2 norm "
            "is at most its error bound times the input's. It counts truncation and rounding; `relative` is "
            "the bound over the largest Hankel singular value, below which the layer's own gain cannot lie."
        )
        if vacuous := [x["name"] for x in summary["layers"] if (x["relative_bound"] or 0) > 1]:
            console.print(
                f"A relative bound above 1 says nothing: so it is with {len(vacuous)} of "
                f"{len(summary['layers'])} layers, whose error may be as large as their output. Measure it "
                "with `mor verify`, and the network on your own data."
            )
    else:
        console.print("No guarantee: a time-limited reduction has no error bound.")


def print_verification(console: Console, summary: Summary) -> None:
    """`mor verify`."""
    table = _table("layer", "states", "now", "impulse error", "peak error", "bound", "holds")
    words = {True: "[green]yes[/]", False: "[red]NO[/]", None: "no bound"}
    for layer in summary["layers"]:
        table.add_row(
            escape(layer["name"]),
            str(layer["states_before"]),
            str(layer["states_after"]),
            f"{100 * layer['impulse_error']:.4g} %",
            number(layer["peak_error"]),
            number(layer["bound"]),
            words[layer["holds"]],
        )
    _print_table(console, table)
    console.print("Errors of the state-space part, without D: impulse response in l2, largest gain found.")
    _print_unequal(console, summary)
    if summary["altered"]:
        console.print(f"[red]Changed since it was written: {escape(', '.join(summary['altered']))}[/]")
    if summary["missing_layers"]:
        console.print(f"[red]Layers missing: {escape(', '.join(summary['missing_layers']))}[/]")
    if summary["made_from_another_file"]:
        console.print("[red]By its manifest the compressed file was made from another original.[/]")
    for layer in summary["layers"]:
        if layer["feedthrough_changed"]:
            console.print(f"[red]{escape(layer['name'])}: the feedthrough D has changed.[/]")
    for what in ("changed", "missing", "added"):
        if names := summary[f"{what}_tensors"]:
            console.print(f"[red]Tensors {what} outside the layers: {escape(', '.join(names))}[/]")
    if summary["stale_manifest"]:
        console.print(
            f"[red]The manifest {escape(summary['stale_manifest'])} belongs to another file: this one was "
            "saved again, or put in its place. Errors are measured, none is promised.[/]"
        )
    elif not summary["manifest"]:
        console.print("[yellow]The file has no manifest: errors are measured, none is promised.[/]")


def _print_unequal(console: Console, summary: Summary) -> None:
    """Layers whose bound limits gains, but no signals."""
    if names := [layer["name"] for layer in summary["layers"] if not layer["same_unstable_modes"]]:
        console.print(
            f"[yellow]{escape(', '.join(names))}: unstable modes differ from those of before, by rounding at "
            "least, so that the error of a signal grows without limit. Errors and bounds are the largest "
            "gain over frequency.[/]"
        )


def _print_notes(console: Console, summary: Summary) -> None:
    """What of the file is none of its layers, and what is several."""
    for note in summary["notes"]:
        console.print(f"[yellow]{escape(note)}[/]")
    for group in summary["tied"]:
        console.print(f"One layer: {escape(', '.join(group))}")


def print_demo(console: Console, summary: Summary) -> None:
    """`mor demo`."""
    for network in summary["networks"]:
        table = _table(
            "states removed",
            "states",
            "accuracy",
            "lost",
            "size",
            "largest bound",
            "time",
            title=network["title"],
        )
        full = network["accuracy"]
        table.add_row(
            "0 %", str(network["states"]), f"{100 * full:.1f} %", "", size(network["bytes"]), "", ""
        )
        for row in network["compressed"]:
            table.add_row(
                f"{100 * row['removed']:.0f} %",
                str(row["states"]),
                f"{100 * row['accuracy']:.1f} %",
                f"{100 * (full - row['accuracy']):.1f}",
                size(row["bytes"]),
                number(row["bound"]),
                f"{row['seconds']:.2f} s",
            )
        _print_table(console, table)


def print_reduction(console: Console, summary: Summary) -> None:
    """`mor reduce`."""
    full, order = summary["order"]
    hsv, stable = summary["hsv"], "yes" if summary["stable"] else "[red]NO[/]"
    table = _table("", summary["method"])
    rows = {
        "order": f"{full} -> {order}",
        "inputs x outputs": f"{summary['inputs']} x {summary['outputs']}",
        "time": f"discrete, dt={summary['dt']:g}" if summary["dt"] else "continuous",
        "largest Hankel singular value": number(next((value for value in hsv if value is not None), None)),
        "last one kept": number(hsv[order - 1] if 0 < order <= len(hsv) else None),
        "first one removed": number(hsv[order] if order < len(hsv) else None),
        "error bound, H-infinity": number(summary["error_bound"]),
        "error measured, H-infinity": _measured(summary),
        "error measured, H2": _with_share(summary["h2_error"], summary["h2_relative"]),
        "stable": stable,
    }
    if summary["aim_error"] not in (None, summary["h2_error"]):
        rows[summary["aim"]] = number(summary["aim_error"])
    for name, value in rows.items():
        table.add_row(name, value)
    if summary["stopped"]:
        table.add_row("iterations", f"{summary['iterations']}: {escape(summary['stopped'])}")
    _print_table(console, table)
    if summary["note"]:
        console.print(escape(summary["note"]))
    if summary["hinf_error"] is not None and summary["hinf_limit"] is None:
        console.print(
            "The H-infinity error is the largest gain that a search over frequency found; "
            "mor.peak_gain(full - reduced) in Python proves a limit."
        )
    if summary["holds"] is False:
        console.print("[red]The measured error exceeds the bound by more than round-off explains.[/]")
    if summary["about"]:
        console.print(summary["about"])


def print_comparison(console: Console, summary: Summary) -> None:
    """`mor compare`."""
    full, when = summary["full"], f"discrete, dt={summary['dt']:g}" if summary["dt"] else "continuous"
    console.print(
        f"{summary['inputs']} inputs, {summary['outputs']} outputs, {when}. H-infinity norm "
        f"{number(full['hinf_norm'])}, H2 norm {number(full['h2_norm'])}."
    )
    beside = max(1, (console.width - _FIRST_COLUMN) // _COLUMN - 1)
    for start in range(0, len(summary["roms"]), beside):
        console.print(_comparison(full, summary["roms"][start : start + beside]))
    if any(rom["hinf_error"] is not None and rom["hinf_limit"] is None for rom in summary["roms"]):
        console.print(
            "~ is the largest gain that a search over frequency found; "
            "mor.peak_gain(full - reduced) in Python proves a limit."
        )
    if not all(rom["stable"] for rom in (full, *summary["roms"])):
        console.print("An unstable system has no H-infinity and H2 errors.")


def _comparison(full: Summary, roms: list[Summary]) -> Table:
    """One column a system."""
    table = Table(title_justify="left", header_style="bold")
    table.add_column("")
    for system in (full, *roms):
        table.add_column(escape(system["name"]), justify="right", overflow="fold", max_width=_COLUMN - 3)
    table.add_row("order", *(str(system["order"]) for system in (full, *roms)))
    table.add_row("stable", *(_yes(system["stable"]) for system in (full, *roms)))
    rows = {"H-infinity error": "hinf_error", "H2 error": "h2_error", "error at rest": "dc_error"}
    for title, key in rows.items():
        values = [_measured(rom, short=True) if key == "hinf_error" else number(rom[key]) for rom in roms]
        table.add_row(title, "", *values)
        shares = (rom[key.replace("error", "relative")] for rom in roms)
        table.add_row(
            "  relative, %", "", *("-" if share is None else f"{100 * share:.3g}" for share in shares)
        )
    table.add_row("seconds", *(f"{system['seconds']:.1f}" for system in (full, *roms)))
    return table


def _yes(stable: bool) -> str:
    return "yes" if stable else "[red]NO[/]"


def _measured(summary: Summary, *, short: bool = False) -> str:
    error, limit = number(summary["hinf_error"]), summary["hinf_limit"]
    if summary["hinf_error"] is None:
        return error
    if limit is None:
        return f"~ {error}" if short else f"{error} (searched for)"
    if short and summary["proven"]:
        return error
    return f"{error} (proven)" if summary["proven"] else f"{error}, at most {number(limit)}"


def _with_share(value: float | None, share: float | None) -> str:
    return number(value) + (f" ({100 * share:.3g} %)" if share is not None else "")


def number(value: float | None) -> str:
    """Three digits, a dash for nothing."""
    return "-" if value is None else f"{value:.3g}"


def size(count: float) -> str:
    """Bytes in a unit that reads well."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""


def _print_table(console: Console, table: Table) -> None:
    """The table, as wide as it needs to be."""
    own = console.width
    console.width = max(own, console.measure(table, options=console.options.update(width=_WIDEST)).maximum)
    console.print(table)
    console.width = own


def _table(*columns: str, **options: Any) -> Table:
    table = Table(title_justify="left", header_style="bold", **options)
    for i, column in enumerate(columns):
        # Neither names nor numbers are broken: somebody looks for them in what is printed.
        table.add_column(column, justify="left" if i == 0 else "right", overflow="ignore", no_wrap=True)
    return table
