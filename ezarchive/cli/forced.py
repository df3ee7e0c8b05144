"""``ezarchive forced``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

import ezarchive
from ezarchive.cli.common import boundary, cli, home_argument, selection, settings_of, workers_options


@cli.command()
@home_argument
@click.option(
    "--targets", required=True, metavar="FILE|POSITION",
    help="A table with ra and dec (of ellipses sma, smi, theta too): .csv, .ecsv, .fits, .vot, .parquet; or a position.",
)  # fmt: skip
@selection
@click.option("--method", type=click.Choice(["circular", "elliptical"]), default="circular", show_default=True)
@click.option("--name", help="Of the list; of lists of one name the newest run counts, so that it may grow.")
@click.option("--sky", "sky_from", type=click.Choice(["mesh", "annulus"]), default="mesh", show_default=True, help="Where the sky is from.")
@workers_options
@click.option("--again", is_flag=True, help="Measure also frames that have this list measured already, in a new run.")
@click.option("--set", "settings", multiple=True, metavar="OPTION=VALUE", help="An option of forced, as aperture_diameter_arcsec=5,7.")
@boundary
def forced(home: Path, objname: Any, telname: Any, filter_: Any, settings: tuple[str, ...], targets: str, **options: Any) -> None:
    """Measure a list of targets on every frame that covers any of them."""
    names = {key: list(value) for key, value in (("objname", objname), ("telname", telname), ("filter", filter_)) if value}
    chosen_options = settings_of(settings, ("targets", "frames", *options))
    with ezarchive.Archive.open(home) as archive:
        chosen = ezarchive.DataBrowser(archive).where(kind="science", **names).frames() if names else None
        report = archive.forced(targets, chosen, **options, **chosen_options)
    click.echo(report)
    sys.exit(0 if report.ok else 1)
