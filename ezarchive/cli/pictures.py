"""``ezarchive period`` and ``ezarchive epochs``: what a light curve repeats with, and what its frames look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import ezarchive
from ezarchive import plots
from ezarchive.cli.common import PositionCommand, boundary, cli, format_option, home_argument, show


def _position(ra: str, dec: str | None) -> Any:
    """Return what was given: a place, or an object by its number."""
    if dec is not None:
        return f"{ra} {dec}"
    return int(ra) if ra.isdigit() else ra


def _names(filters: tuple[str, ...], telescopes: tuple[str, ...]) -> dict[str, list[str]]:
    return {name: list(value) for name, value in (("filter", filters), ("telname", telescopes)) if value}


@cli.command(cls=PositionCommand)
@home_argument
@click.argument("ra", metavar="RA|OBJECT")
@click.argument("dec", required=False)
@click.option("--radius", default="2 arcsec", show_default=True)
@click.option("--filter", "filter_", multiple=True)
@click.option("--telname", multiple=True)
@click.option("--min", "min_period", type=float, default=0.1, show_default=True, help="Shortest period, days.")
@click.option("--max", "max_period", type=float, help="Longest period, days; the time covered by default.")
@click.option("--terms", "n_terms", type=int, default=1, show_default=True, help="Harmonics: 2 for eclipsing stars.")
@click.option("--each", is_flag=True, help="Every filter has a curve of its own, not one for all.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Draw periodogram and folded curve: .png, .pdf or .svg.")
@boundary
def period(home: Path, ra: str, dec: str | None, output: Path | None, each: bool, **options: Any) -> None:
    """Find the period of an object, by its number, or of the source at RA DEC."""
    names = _names(options.pop("filter_"), options.pop("telname"))
    with ezarchive.Archive.open(home, write=False) as archive:
        found = archive.period(_position(ra, dec), amplitudes="each" if each else "shared", **names, **options)
    click.echo(found)
    if output is not None:
        plots.save(found.figure(), output)
        click.echo(f"{output}: written", err=True)


@cli.command(cls=PositionCommand)
@home_argument
@click.argument("ra", metavar="RA|OBJECT")
@click.argument("dec", required=False)
@click.option("--size", default="30 arcsec", show_default=True, help="Side of the stamps.")
@click.option("--radius", default="2 arcsec", show_default=True)
@click.option("--filter", "filter_", multiple=True)
@click.option("--telname", multiple=True)
@click.option("--most", type=int, default=80, show_default=True, help="Stamps in the figure.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Draw the stamps: .png, .pdf or .svg.")
@format_option
@boundary
def epochs(home: Path, ra: str, dec: str | None, output: Path | None, form: str, most: int, **options: Any) -> None:
    """Show on which frames an object, or the place RA DEC, was detected, not detected, or outside."""
    from ezarchive.ask import as_result  # noqa: PLC0415  the command line must start fast

    names = _names(options.pop("filter_"), options.pop("telname"))
    with ezarchive.Archive.open(home, write=False) as archive:
        found = archive.epochs(_position(ra, dec), **names, **options)
    show(as_result(found.table()), form)
    if output is not None:
        plots.save(found.figure(most=most), output)
        click.echo(f"{output}: written", err=True)
