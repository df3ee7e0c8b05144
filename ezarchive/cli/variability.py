"""``ezarchive variability``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

import ezarchive
from ezarchive import plots
from ezarchive.cli.common import boundary, cli, format_option, home_argument, show


@cli.command()
@home_argument
@click.option("--filter", "filter_", multiple=True, help="Only this filter; globs and repeats allowed.")
@click.option("-n", "n", type=int, default=10, show_default=True, help="How many objects.")
@click.option("--least", type=int, default=10, show_default=True, help="Good measurements that a light curve must have.")
@click.option("--ambiguous", is_flag=True, help="Also objects that share their surroundings with another.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Draw the variability plane: .png, .pdf or .svg.")
@format_option
@boundary
def variability(home: Path, filter_: tuple[str, ...], output: Path | None, form: str, **options: Any) -> None:
    """List the most variable objects, and draw the plane that they stand out in."""
    with ezarchive.Archive.open(home, write=False) as archive:
        found = archive.variability(filter=list(filter_) or None, **options)
    show(found.most, form)
    if output is not None:
        plots.save(found.figure(title=home.resolve().name), output)
    click.echo(str(found) + (f"; {output}" if output is not None else ""), err=True)
