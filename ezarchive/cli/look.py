"""``ezarchive look``: what an image is, what it holds and how it lies on the sky, in words and as a picture."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from ezarchive import plots, quicklook
from ezarchive.cli.common import boundary, cli
from ezarchive.cli.looktext import as_text, files_of, planes_of, regions_of
from ezarchive.errors import EzarchiveError, InputError

if TYPE_CHECKING:
    from ezarchive.quicklook import Compass, Limits, Metadata, Picture
    from ezarchive.quicklook.display.imagestatistics import ImageStatistics

FORMS = click.Choice(["table", "json", "csv", "ecsv"])
_FACTS = (
    "OBJECT", "TARGNAME", "TELESCOP", "INSTRUME", "DETECTOR", "CHNLNUM", "FILTER", "FILTER1", "FILTER2", "PUPIL", "DATE-OBS", "TIME-OBS",
    "MJD-OBS", "EXPTIME", "EFFEXPTM", "XPOSURE", "AIRMASS", "GAIN", "PHOTMJSR", "PIXAR_A2",
)  # fmt: skip
"""What most people look for first in a header."""

_ONLY_DRAWN = ("regions", "stretch", "contrast", "bias", "cmap", "contours", "zoom", "grid", "coordinates", "size", "dpi")


def draw_options(function: Callable[..., None]) -> Callable[..., None]:
    """Take what says how an image is drawn."""
    for option in reversed(
        [
            click.option("--percentile", default="95", show_default=True, help="Limits: 99.5, 95 ..., minmax or zscale."),
            click.option("--limits", type=float, nargs=2, metavar="LOW HIGH", help="Limits in the unit of the image instead."),
            click.option("--stretch", type=click.Choice(["linear", "sqrt", "arcsinh", "log"]), default="linear", show_default=True),
            click.option("--contrast", type=float, default=1.0, show_default=True),
            click.option("--bias", type=float, default=0.5, show_default=True),
            click.option("--cmap", default="gray", show_default=True, help="Colours, as matplotlib names them."),
            click.option("--contours", metavar="N|LEVELS", help="So many between the limits, or levels with commas between."),
            click.option("--zoom", type=float, nargs=4, metavar="X0 X1 Y0 Y1", help="Only these pixels (edges, 0-based)."),
            click.option("--grid", is_flag=True, help="Lines of equal coordinates."),
            click.option(
                "--coordinates", type=click.Choice(["sexagesimal", "degrees", "pixels"]), default="sexagesimal", show_default=True
            ),
            click.option("--size", type=float, nargs=2, metavar="WIDTH HEIGHT", help="Of the figure, inches."),
            click.option("--dpi", type=float, default=150.0, show_default=True),
        ]
    ):
        function = option(function)
    return function


@cli.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--header", is_flag=True, help="Print the whole header.")
@click.option("--primary", is_flag=True, help="That of the primary HDU, where the image has another one.")
@click.option("--contains", metavar="TEXT", help="Only header lines that hold this text.")
@click.option("--order", type=click.Choice(["file", "sorted"]), default="file", show_default=True, help="Of header lines.")
@click.option("--regions", type=click.Path(path_type=Path), multiple=True, help="Region file (DS9, CRTF, FITS) to draw.")
@draw_options
@click.option("-o", "--output", type=click.Path(path_type=Path), help="Draw the image: .png, .pdf or .svg.")
@click.option("--format", "form", type=FORMS, default="table", show_default=True, help="How to print; csv and ecsv: the header.")
@boundary
def look(images: tuple[str, ...], regions: tuple[Path, ...], output: Path | None, form: str, **options: Any) -> None:
    """Say what an image is: header, statistics, place and orientation on the sky; with -o, draw it.

    IMAGE may name a plane: file.fits[SCI], file.fits[SCI,2], file.fits[1], file.fits[*].
    """
    _check_output(output, [*images, *regions])
    shown, failed = _loaded(images)
    if output is not None and len(shown) != 1:
        raise InputError(f"--output {str(output)!r}: needs one image, found {len(shown)}; name a plane, as file.fits[SCI]")
    found = [_Looked(picture, options) for picture in shown]
    if form == "json":
        click.echo(json.dumps([one.to_dict() for one in found], allow_nan=False, indent=1))
    for k, one in enumerate(found if form != "json" else []):
        click.echo(("\n" if k else "") + (one.text() if form == "table" else as_text(one.metadata.to_table(), form)), nl=form == "table")
    if output is not None:
        shapes, labels, wrong = regions_of(regions, (), shown[0])
        plots.save(draw(found[0], options, shapes, labels), output, dpi=options["dpi"])
        click.echo(f"{output}: written", err=True)
        failed += wrong
    sys.exit(1 if failed else 0)


def _check_output(output: Path | None, read: Sequence[str | Path]) -> None:
    """Refuse a picture that cannot be written or that is read here, and what is said of a picture when there is none."""
    if output is None:
        context = click.get_current_context()
        given = [name for name in _ONLY_DRAWN if context.get_parameter_source(name) is ParameterSource.COMMANDLINE]
        if given:
            raise InputError(f"--{given[0]}: says how the image is drawn; -o must be given")
        return
    if output.suffix.lower().removeprefix(".") not in plots.FORMATS:
        raise InputError(f"--output {str(output)!r}: the suffix must be one of {', '.join('.' + name for name in plots.FORMATS)}")
    if output.exists() and any(output.samefile(one) for one in files_of(read) if one.exists()):
        raise InputError(f"--output {str(output)!r}: would replace what it is made of")


def _loaded(images: Sequence[str]) -> tuple[list[Picture], int]:
    """Return the planes of all files; those that cannot be read are told and counted."""
    found, failed = [], []
    for one in images:
        try:
            found += planes_of(one)
        except EzarchiveError as err:
            failed.append(err)
    if not found and len(failed) == 1:
        raise failed[0]
    for err in failed:
        click.echo(f"ezarchive: {err}", err=True)
    return found, len(failed)


class _Looked:
    """What is known of one image, calculated when it is asked for."""

    def __init__(self, picture: Picture, options: dict[str, Any]) -> None:
        self.picture, self.options = picture, options
        self.metadata: Metadata = quicklook.metadata(picture, options["primary"], order=options["order"], contains=options["contains"])
        self.statistics: ImageStatistics = quicklook.statistics(picture)
        self.limits: Limits = quicklook.display_limits(picture, options["limits"] or options["percentile"])
        self.compass: Compass = quicklook.compass(picture, at="center")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        parts = {name: getattr(self, name).to_dict() for name in ("statistics", "limits", "compass", "metadata")}
        return {"label": self.picture.label, "path": None if self.picture.path is None else str(self.picture.path)} | parts

    def text(self) -> str:
        """Return some lines for a person, and the header if it is wanted."""
        lines = [self.picture.label, *(f"  {name:<11} {text}" for name, text in [*self._image(), *self._sky()])]
        contains = self.options["contains"]
        if contains is not None and not len(self.metadata):
            return "\n".join([*lines, "", f"no header line holds {contains!r}"])
        if self.options["header"] or contains is not None:
            return "\n".join([*lines, "", str(self.metadata)])
        return "\n".join([*lines, *(f"  {name:<11} {text}" for name, text in self._facts())])

    def _image(self) -> list[tuple[str, str]]:
        found, unit = self.statistics, self.statistics.unit
        ny, nx = found.shape
        bad = ", ".join(
            f"{n} {what}" for n, what in ((found.n_nan, "NaN"), (found.n_infinite, "infinite"), (found.n_masked, "masked")) if n
        )
        lines = [("size", f"{nx} x {ny} pixels{f', {bad}' if bad else ''}"), ("unit", unit or "none")]
        for names in (("min", "max"), ("mean", "median", "std", "mad_std")):
            lines.append(
                (names[0], "   ".join([f"{getattr(found, names[0]):.6g}", *(f"{one} {getattr(found, one):.6g}" for one in names[1:])]))
            )
        if found.max_place is not None:
            lines[-2] = ("min", f"{lines[-2][1]} at x={found.max_place[0]} y={found.max_place[1]}")
        return [*lines, ("limits", f"{self.limits.low:.6g} to {self.limits.high:.6g} ({self.limits.preset})")]

    def _sky(self) -> list[tuple[str, str]]:
        found = self.compass
        if not math.isfinite(found.ra):
            return [("sky", found.reason or "no celestial WCS")]
        ny, nx = found.shape
        field = " x ".join(_angle(n * scale) for n, scale in ((nx, found.scale_x), (ny, found.scale_y)))
        side = {-1: "east is left of north, as on the sky", 1: "mirrored: east is right of north"}.get(found.parity, "parity unknown")
        place = quicklook.cursor(self.picture, found.x, found.y).sky_text
        return [
            ("centre", f"{found.ra:.6f} {found.dec:+.6f} deg ICRS   {place}"),
            ("field", f"{field}, pixel {_angle(found.pixel_scale)}"),
            ("orientation", f"+y at position angle {round(found.position_angle, 2) % 360.0:.2f} deg (east of north); {side}"),
        ]

    def _facts(self) -> list[tuple[str, str]]:
        headers = [self.picture.meta, self.picture.primary or {}]
        found = []
        for name in _FACTS:
            value = next((header[name] for header in headers if name in header and str(header[name]).strip()), None)
            if value is not None:
                found.append((name, str(value)))
        return [*found, ("header", f"{len(self.metadata)} keywords; --header prints them, --contains TEXT some")]


def _angle(arcsec: float) -> str:
    for size, name in ((3600.0, "deg"), (60.0, "arcmin")):
        if arcsec >= size:
            return f"{arcsec / size:.4g} {name}"
    return f"{arcsec:.4g} arcsec"


def draw(looked: _Looked, options: dict[str, Any], shapes: Sequence[Any], labels: Sequence[str]) -> Any:
    """Return the figure of an image."""
    picture = looked.picture
    same = {name: options[name] for name in ("stretch", "contrast", "bias", "cmap", "zoom", "grid", "coordinates", "size", "dpi")}
    return plots.view(
        picture.data,
        wcs=picture.wcs,
        limits=looked.limits,
        contours=None if options["contours"] is None else _contours(options["contours"]),
        label=picture.label,
        unit=looked.statistics.unit,
        regions=shapes,
        labels=labels,
        **same,
    )


def _contours(text: str) -> int | list[float]:
    try:
        levels = [float(part) for part in text.split(",") if part.strip()]
    except ValueError as err:
        raise InputError(f"--contours {text!r}: must be a whole number, or levels with commas between") from err
    return int(text) if text.strip().isdigit() else levels
