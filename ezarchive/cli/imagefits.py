"""``ezarchive image-fits``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

import ezarchive
from ezarchive.cli.common import boundary, cli, home_argument, selection, settings_of
from ezarchive.errors import InputError


@cli.command("image-fits")
@home_argument
@click.option("--reference", required=True, help="The reference image: a path, or frame:ID of a frame of the archive.")
@selection
@click.option("--method", type=click.Choice(["image", "stars", "both"]), default="image", show_default=True, help="What is fitted.")
@click.option("--star", nargs=3, type=float, metavar="RA DEC RADIUS", help="Degrees and arcsec; the star of --method stars or both.")
@click.option("--regions", type=click.Path(path_type=Path), help="DS9 regions to use and to leave out, on the sky.")
@click.option("--reference-fwhm", type=float, metavar="ARCSEC", help="Of the reference; by default that of its stars.")
@click.option("--reference-beta", type=float, help="Moffat exponent of the reference.")
@click.option("--largest", type=int, default=1024, show_default=True, help="Rows and columns that are fitted at most.")
@click.option("--any-unit", is_flag=True, help="The reference may be in another unit.")
@click.option("--again", is_flag=True, help="Also what was fitted already with this reference and these settings.")
@click.option("--workers", type=int, help="Processes.")
@click.option("--set", "settings", multiple=True, metavar="OPTION=VALUE", help="How to fit, as fix_beta=2.5, init_dx=1 or segment=true.")
@boundary
def image_fits(
    home: Path, reference: str, objname: Any, telname: Any, filter_: Any, star: tuple[float, float, float] | None,
    settings: tuple[str, ...], **options: Any,
) -> None:  # fmt: skip
    """Fit seeing, scale, background and pointing of frames by a reference image, for the SQL table image_fits."""
    names = {key: list(value) for key, value in (("objname", objname), ("telname", telname), ("filter", filter_)) if value}
    chosen_options = settings_of(settings, ("frames", "reference", "star", "progress", *options))
    with ezarchive.Archive.open(home) as archive:
        chosen = ezarchive.DataBrowser(archive).where(kind="science", **names).frames() if names else None
        report = archive.fit_photometry(chosen, _reference(reference), star=star or None, **options, **chosen_options)
    click.echo(report)
    sys.exit(0 if report.ok else 1)


def _reference(text: str) -> str | int:
    """Return the path, or the frame id of ``frame:ID``."""
    if not text.startswith("frame:"):
        return text
    if not text[6:].isdigit():
        raise InputError(f"--reference {text!r}: must be a path, or frame: and the number of a frame")
    return int(text[6:])
