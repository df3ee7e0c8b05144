"""``ezarchive lightcurve``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

import ezarchive
from ezarchive.cli.common import PositionCommand, boundary, cli, format_option, home_argument, show
from ezarchive.columns import DEFAULT_APERTURE
from ezarchive.errors import InputError

CURVE_COLUMNS = (
    "phase", "mjd_mid", "bjd_tdb", "hjd_utc", "filter", "telname", "flux", "flux_err", "mag_inst", "mag", "mag_err", "mag_limit", "snr",
    "flags", "kind", "n", "n_limits", "frame_id", "separation", "n_within",
)  # fmt: skip
"""What is shown on the screen, as far as it is there; the other formats hold every column."""

_PICTURES = (".png", ".pdf", ".svg")


@cli.command(cls=PositionCommand)
@home_argument
@click.argument("ra", metavar="RA|OBJECT")
@click.argument("dec", required=False)
@click.option("--radius", default="2 arcsec", show_default=True)
@click.option("--aperture", type=float, default=DEFAULT_APERTURE, show_default=True, help="Diameter, arcsec.")
@click.option("--filter", "filter_", multiple=True)
@click.option("--telname", multiple=True)
@click.option("--kind", type=click.Choice(["detection", "forced", "limit"]), help="Only these rows.")
@click.option("--method", help="Only catalogs of this method; those of elliptical are seen in light curves with it alone.")
@click.option("--run", type=int, help="The catalogs of this run instead of each frame's current one.")
@click.option("--limits", is_flag=True, help="Also the frames that cover the place and show nothing there, with their limits.")
@click.option("--quality", metavar="good|BITS", help="good, or bits of flags whose rows are left out.")
@click.option("--bjd", is_flag=True, help="Also BJD_TDB.")
@click.option("--heliocentric", is_flag=True, help="Also HJD (UTC).")
@click.option("--bin", "bin_", metavar="night|DAYS", help="Means over nights, or over bins of so many days.")
@click.option("--period", type=float, metavar="DAYS", help="Sorted by the phase of this period, and drawn folded.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Also draw it (.png, .pdf, .svg) or write it (.csv, .ecsv, .vot, .parquet, .fits, .aavso).",
)  # noqa: E501
@click.option("--name", help="Of the star, for .aavso.")
@click.option("--observer", help="The AAVSO's code of the observer, for .aavso.")
@format_option
@boundary
def lightcurve(home: Path, ra: str, dec: str | None, output: Path | None, form: str, quality: str | None, **options: Any) -> None:
    """Print the light curve of an object, by its number, or at RA DEC (degrees, or 21:45:00 -77:15:44)."""
    from ezarchive.ask import as_result  # noqa: PLC0415  the command line must start fast

    position = f"{ra} {dec}" if dec is not None else _object(ra)
    bits = int(quality) if quality is not None and quality.isdigit() else quality
    width, period, star = options.pop("bin_"), options.pop("period"), {key: options.pop(key) for key in ("name", "observer")}
    names = {"filter": list(options.pop("filter_")) or None, "telname": list(options.pop("telname")) or None}
    with ezarchive.Archive.open(home, write=False) as archive:
        table = archive.light_curve(position, quality=bits, **names, **options)
    if width is not None:
        table = table.binned(_width(width))
    folded = table if period is None else table.fold(period)
    show(as_result(folded[[column for column in CURVE_COLUMNS if column in folded.colnames]] if form == "table" else folded), form)
    if output is not None:
        _write(table, output, str(position), period, **star)
        click.echo(f"{output}: written", err=True)


def _object(text: str) -> int:
    if not re.fullmatch(r"\d+", text):
        raise InputError(f"RA {text!r}: DEC must follow, or this be the number of an object")
    return int(text)


def _width(text: str) -> str | float:
    if text == "night":
        return text
    try:
        return float(text)
    except ValueError as err:
        raise InputError(f"--bin {text!r}: must be night or a number of days") from err


def _write(table: Any, path: Path, title: str, period: float | None, *, name: str | None, observer: str | None) -> None:
    from ezarchive import plots  # noqa: PLC0415  the command line must start fast

    if path.suffix.lower() not in _PICTURES:
        table.write(path, name=name, observer=observer)
    elif period is None:
        plots.save(table.plot(title=name or title), path)
    else:
        time = "bjd_tdb" if "bjd_tdb" in table.colnames else "mjd_mid"
        plots.save(plots.folded(table, period, title=name or title, time=time), path)
