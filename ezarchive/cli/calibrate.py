"""``ezarchive calibrate``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

import ezarchive
from ezarchive.cli.common import boundary, cli, home_argument, pair, selection, settings_of
from ezarchive.errors import InputError


@cli.command()
@home_argument
@click.option("--reference", required=True, type=click.Path(path_type=Path), help="Stars: .csv, .ecsv, .fits, .vot or .parquet.")
@click.option(
    "--column", "columns", multiple=True, metavar="MEANING=NAME",
    help="What a column of it means: ra, dec, mag, mag_err or colour, as mag={filter}_mag or colour='g_mag - r_mag'.",
)  # fmt: skip
@click.option("--method", default="sex", show_default=True, help="Whose catalogs: sex or photutils.")
@click.option("--radius", default="1 arcsec", show_default=True, help="Largest separation of a source and its star.")
@click.option("--system", default="AB", show_default=True, help="Of the magnitudes: AB or Vega.")
@click.option("--ab-offset", type=float, help="AB minus Vega magnitude, for flux densities.")
@selection
@click.option("--figures", is_flag=True, help="Draw every calibration below figures/calibrate/ of the home.")
@click.option("--again", is_flag=True, help="Also what was calibrated already with this reference and these settings.")
@click.option("--workers", type=int, help="Processes.")
@click.option("--set", "settings", multiple=True, metavar="OPTION=VALUE", help="Choice of stars and fit, as snr=50 or colour_term=fit.")
@boundary
def calibrate(
    home: Path, objname: Any, telname: Any, filter_: Any, columns: tuple[str, ...], settings: tuple[str, ...], **options: Any
) -> None:
    """Find the zero points of measured frames from stars of known magnitudes."""
    names = {key: list(value) for key, value in (("objname", objname), ("telname", telname), ("filter", filter_)) if value}
    meanings = _columns(columns)
    chosen_options = settings_of(settings, ("frames", "columns", "query", "selection", "fit", *options))
    with ezarchive.Archive.open(home) as archive:
        chosen = ezarchive.DataBrowser(archive).where(kind="science", **names).frames() if names else None
        report = archive.calibrate(chosen, columns=meanings, **options, **chosen_options)
    click.echo(report)
    sys.exit(0 if report.ok else 1)


def _columns(texts: tuple[str, ...]) -> dict[str, Any]:
    """Split every MEANING=NAME; a name that is a JSON object maps filters to columns."""
    found: dict[str, Any] = {}
    for text in texts:
        meaning, name = pair("--column", text)
        if meaning in found:
            raise InputError(f"--column {text!r}: {meaning} must be given once")
        try:
            found[meaning] = json.loads(name) if name.startswith('{"') else name
        except json.JSONDecodeError as err:
            raise InputError(f"--column {text!r}: must hold a name, or JSON as '{{\"r\": \"r_mag\"}}': {err}") from err
    return found
