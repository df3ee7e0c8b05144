"""``ezarchive differential``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

import ezarchive
from ezarchive.cli.common import boundary, cli, home_argument, selection, settings_of


@cli.command()
@home_argument
@selection
@click.option("--position", help="Only stars around this place, as '21:45:00 -77:15:44' or '326.25 -77.26'.")
@click.option("--radius", help="How far around it, as '10 arcmin'.")
@click.option("--aperture", "apertures", multiple=True, type=float, metavar="ARCSEC", help="Diameter; may be repeated.  [default: 5]")
@click.option("--method", default="sex", show_default=True, help="Whose catalogs: sex or photutils.")
@click.option("--by", type=click.Choice(["filter", "telname"]), default="filter", show_default=True,
              help="Frames that are solved together: of a filter, or of a filter and a telescope.")  # fmt: skip
@click.option("--snr", type=float, default=20.0, show_default=True, help="Median S/N that a star needs.")
@click.option("--match", default="1 arcsec", show_default=True, help="Within what distance measurements without an object are of one star.")
@click.option("--set", "settings", multiple=True, metavar="OPTION=VALUE", help="How to solve, as min_stars=10, clip=5 or apart=false.")
@click.option("--stars", type=click.Path(path_type=Path, dir_okay=False), help="Also list the stars here: .ecsv, .csv, .fits or .vot.")
@click.option("--dry-run", is_flag=True, help="Only report.")
@boundary
def differential(
    home: Path, objname: Any, telname: Any, filter_: Any, apertures: tuple[float, ...], settings: tuple[str, ...], stars: Path | None,
    dry_run: bool, **options: Any,
) -> None:  # fmt: skip
    """Find the zero points of frames from the constant stars that they share; no reference catalog is needed."""
    taken = ("frames", "filter", "telname", "aperture", "save", *options)
    options |= settings_of(settings, taken)
    options |= {name: list(value) for name, value in (("filter", filter_), ("telname", telname), ("aperture", apertures)) if value}
    with ezarchive.Archive.open(home) as archive:
        chosen = ezarchive.DataBrowser(archive).where(kind="science", objname=list(objname)).frames() if objname else None
        report = archive.differential(chosen, save=not dry_run, **options)
    if stars is not None:
        report.write_stars(stars)
    click.echo(report)
    sys.exit(0 if report.ok else 1)
