"""``ezarchive photometry``: what is in regions of images, with curves of growth, radial profiles and fits."""

from __future__ import annotations

import io
import json
import math
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ezarchive import plots, quicklook
from ezarchive.cli.common import boundary, cli
from ezarchive.cli.looktext import as_text, columns, files_of, number, planes_of, regions_of, rows_as_csv, with_error
from ezarchive.errors import EzarchiveError, InputError
from ezarchive.files import atomic_write, check_output
from ezarchive.flags import FLAGS_LOOK, decode, value

if TYPE_CHECKING:
    from ezarchive.quicklook import GrowthCurve, Picture, ProfileFit, RadialProfile

_PATH = click.Path(path_type=Path)
_METHODS = click.Choice(["median", "mean", "clipped_median", "clipped_mean"])
_LEVEL = ("background", "background_method", "background_mask", "error", "mask")
_GROWTH = (*_LEVEL, "pixel_area", "counts_factor")


@cli.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@click.option("--regions", type=_PATH, multiple=True, help="Region file (DS9, CRTF, FITS).")
@click.option("--region", "texts", multiple=True, metavar="TEXT", help="Region in DS9's language: 'icrs; circle(10.1, 20.2, 3\")'.")
@click.option("--background", default="0", show_default=True, metavar="LEVEL", help="N, annulus, annulus:INNER,WIDTH, or a region file.")
@click.option("--background-method", type=_METHODS, default="median", show_default=True)
@click.option("--background-mask", type=_PATH, help="Image that is not 0 where the background must not be measured.")
@click.option("--pixel-area", metavar="ARCSEC2", help="Of one pixel; found in the header or WCS by default; off.")
@click.option("--counts-factor", type=float, help="Units of the pixels per count.")
@click.option("--flux-scaling", metavar="FLUX", help="Of magnitude 0: a number, a quantity ('0.003631 MJy') or ab.")
@click.option("--error", metavar="ERROR", help="Errors of the pixels: file (its ERR or VAR), a number, or an image.")
@click.option("--mask", metavar="MASK", help="Bad pixels: file (its DQ), or an image that is not 0 there.")
@click.option("--recenter", is_flag=True, help="Move each region to the centre of its light first.")
@click.option("--growth", is_flag=True, help="Also curves of growth.")
@click.option("--radial", is_flag=True, help="Also radial profiles.")
@click.option("--raw", is_flag=True, help="Profiles and fits of single pixels, not of rings.")
@click.option("--fit", "model", type=click.Choice(["gaussian", "moffat"]), help="Also fit the profile.")
@click.option("--center", type=click.Choice(["aperture", "centroid"]), default="aperture", show_default=True, help="Of profiles.")
@click.option("--figures", type=_PATH, metavar="DIR", help="Draw the images and every curve here, and write the curves as .ecsv.")
@click.option("--legacy", is_flag=True, help="The 21 columns of the oldest manual.")
@click.option("--full", is_flag=True, help="Print every column.")
@click.option("--format", "form", type=click.Choice(["table", "json", "csv", "ecsv"]), default="table", show_default=True)
@click.option("-o", "--output", type=_PATH, help="Write all rows: .ecsv, .csv, .fits, .parquet, .json or .vot.")
@click.option("--overwrite", is_flag=True, help="Also where there is such a file.")
@boundary
def photometry(images: tuple[str, ...], output: Path | None, form: str, legacy: bool, full: bool, overwrite: bool, **options: Any) -> None:
    """Measure regions of images: sums, errors, magnitudes and statistics of each."""
    if not options["regions"] and not options["texts"]:
        raise InputError("No data for aperture photometry: --regions or --region must be given")
    if options["raw"] and not (options["radial"] or options["model"]):
        raise InputError("--raw: says how profiles and fits are made; --radial or --fit must be given")
    if legacy and form == "json":
        raise InputError("--legacy: must not be given with --format json, which holds every column")
    if output is not None:
        _check_output(output, images, options, overwrite=overwrite)
    if options["figures"] is not None:
        _check_names(images)
    settings = _settings(options)
    results, curves, failed = quicklook.PhotometryResults(), [], 0
    for name in images:
        try:
            for picture in planes_of(name):
                found, wrong = _one_image(picture, options, settings, results)
                curves, failed = curves + found, failed + wrong
        except EzarchiveError as err:
            if len(images) == 1:
                raise
            click.echo(f"ezarchive: {err}" if name in str(err) else f"ezarchive: {name}: {err}", err=True)
            failed += 1
    _tell(results, curves, form, "legacy" if legacy else "all", full=full)
    if output is not None:
        click.echo(f"{results.write(output, overwrite=overwrite)}: written", err=True)
    sys.exit(1 if failed else 0)


def _check_output(output: Path, images: Sequence[str], options: dict[str, Any], *, overwrite: bool) -> None:
    """Refuse a file that cannot be written, or that is read here, before anything is measured."""
    from ezarchive.quicklook.apertures.results import format_of  # noqa: PLC0415  the command line must start fast

    format_of(output)
    others = [options[name] for name in ("background", "background_mask", "error", "mask") if options[name] is not None]
    check_output(output, "--output", files_of([*images, *options["regions"], *others]))
    if output.exists() and not overwrite:
        raise InputError(f"--output {str(output)!r}: exists already; --overwrite replaces it")


def _check_names(images: Sequence[str]) -> None:
    """Refuse images of one name in two folders: the figures of one would replace those of the other."""
    folders: dict[str, set[Path]] = {}
    for path in filter(Path.exists, files_of(images)):
        folders.setdefault(path.name, set()).add(path.resolve().parent)
    for name, several in folders.items():
        if len(several) > 1:
            raise InputError(f"--figures: images must have names of their own, found {name!r} in {len(several)} folders")


def _settings(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options as `aperture_photometry` takes them."""
    return {
        "background": _background(options["background"]),
        "background_method": options["background_method"],
        "background_mask": options["background_mask"],
        "pixel_area": _number_or(options["pixel_area"], "--pixel-area", ("off",)),
        "counts_factor": options["counts_factor"],
        "flux_scaling": _scaling(options["flux_scaling"]),
        "error": options["error"] if options["error"] is None else _number_or(options["error"], "--error", None),
        "mask": options["mask"],
    }


def _background(text: str) -> Any:
    """Return a level, a ring, or the region of a file."""
    name, _, sizes = text.partition(":")
    if name == "annulus":
        given = [_size(part) for part in sizes.split(",")] if sizes else []
        if len(given) > 2:
            raise InputError(f"--background {text!r}: must be annulus:INNER,WIDTH")
        return quicklook.Annulus(*given)
    try:
        return float(text)
    except ValueError:
        pass
    if not Path(text).is_file():
        raise InputError(
            f"--background {text!r}: missing or invalid background value; must be a number, annulus:INNER,WIDTH or a region file"
        )
    found = quicklook.read_regions(Path(text))
    if len(found) != 1:
        raise InputError(f"--background {text!r}: must hold one region, found {len(found)}")
    return found[0]


def _size(text: str) -> Any:
    from astropy.units import Quantity  # noqa: PLC0415  the command line must start fast

    try:
        return float(text)
    except ValueError:
        pass
    try:
        return Quantity(text)
    except (TypeError, ValueError) as err:
        raise InputError(f"--background annulus: {text!r} must be a number of pixels, or an angle as 0.5arcsec") from err


def _number_or(text: str | None, option: str, words: Sequence[str] | None) -> Any:
    """Return a number, or the text itself where it is one of those words (None: any)."""
    try:
        return None if text is None else float(text)
    except ValueError as err:
        if words is None or text in words:
            return text
        raise InputError(f"{option} {text!r}: must be a number{''.join(f' or {word}' for word in words)}") from err


def _scaling(text: str | None) -> Any:
    from astropy.units import Quantity  # noqa: PLC0415  the command line must start fast

    found = _number_or(text, "--flux-scaling", None)
    if not isinstance(found, str) or found.lower() == "ab":
        return found
    try:
        return Quantity(found)
    except (TypeError, ValueError) as err:
        raise InputError(f"--flux-scaling {text!r}: must be a number, a quantity as '3631 Jy', or ab") from err


@dataclass(frozen=True)
class _Curves:
    """What else was measured in one region of one image."""

    image: str
    region: str
    place: int
    growth: GrowthCurve | None
    radial: RadialProfile | None
    fit: ProfileFit | None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values."""
        parts = {name: getattr(self, name) for name in ("growth", "radial", "fit")}
        return {"data_label": self.image, "subset_label": self.region} | {
            k: None if one is None else one.to_dict() for k, one in parts.items()
        }


def _one_image(
    picture: Picture, options: dict[str, Any], settings: dict[str, Any], results: quicklook.PhotometryResults
) -> tuple[list[_Curves], int]:
    """Measure one image; return its curves and how much failed."""
    regions, labels, failed = regions_of(options["regions"], options["texts"], picture)
    if not regions:
        raise InputError(f"No data for aperture photometry: {picture.label} must have a region that can be used, found none")
    if options["recenter"]:
        regions = [_recentered(picture, region, label, settings) for region, label in zip(regions, labels, strict=True)]
    table = quicklook.aperture_photometry(picture, regions, region_label=labels, **settings)
    results.append(table)
    bad = [row for row in table if row["flags"] & value(FLAGS_LOOK, "FAILED")]
    if len(bad) == len(table) and len({row["reason"] for row in bad}) == 1:
        raise InputError(f"{picture.label}: {bad[0]['reason']}")
    for row in bad:
        click.echo(f"ezarchive: {picture.label}: {row['subset_label']}: {row['reason']}", err=True)
    curves, wrong = [], 0
    for place, (region, label) in enumerate(zip(regions, labels, strict=True), 1):
        try:
            curves += list(_curves(picture, region, (label, place), options, settings))
        except EzarchiveError as err:
            click.echo(f"ezarchive: {picture.label}: {label}: {err}", err=True)
            wrong += 1
    if options["figures"] is not None:
        _draw(picture, regions, labels, curves, options["figures"])
    return curves, failed + max(len(bad), wrong)


def _recentered(picture: Picture, region: Any, label: str, settings: dict[str, Any]) -> Any:
    found = quicklook.recenter(picture, region, background=settings["background"])
    if not found.converged:
        click.echo(f"ezarchive: {picture.label}: {label}: not recentred, {found.reason}", err=True)
    return found.region if found.converged else region


def _curves(picture: Picture, region: Any, name: tuple[str, int], options: dict[str, Any], settings: dict[str, Any]) -> Iterator[_Curves]:
    if not (options["growth"] or options["radial"] or options["model"]):
        return
    growth = radial = fit = None
    if options["growth"]:
        growth = quicklook.curve_of_growth(picture, region, **{name: settings[name] for name in _GROWTH})
    if options["radial"] or options["model"]:
        kept = {name: settings[name] for name in _LEVEL}
        radial = quicklook.radial_profile(picture, region, raw=options["raw"], center=options["center"], **kept)
    if options["model"]:
        fit = quicklook.fit_profile(radial, options["model"])
    yield _Curves(picture.label, *name, growth, radial, fit)


def _tell(results: quicklook.PhotometryResults, curves: Sequence[_Curves], form: str, which: str, *, full: bool) -> None:
    if form == "json":
        found = results.to_dict() | ({"curves": [one.to_dict() for one in curves]} if curves else {})
        click.echo(json.dumps(found, allow_nan=False, indent=1))
    elif form == "csv" and which == "all":
        click.echo(rows_as_csv(list(results)), nl=False)
    elif form in ("csv", "ecsv"):
        click.echo(as_text(results.to_table(which), form), nl=False)
    elif which == "legacy" or full or len(results) == 1:
        click.echo("\n\n".join(_in_full(row) for row in results.to_table(which)))
    else:
        click.echo(_listed([_short(row) for row in results]))
    if form == "table" and curves:
        click.echo("\n" + _listed([_curve_row(one) for one in curves]))


def _listed(rows: list[dict[str, str]]) -> str:
    """Return rows as columns; an image that all of them are of stands above them."""
    images = {row["image"] for row in rows}
    if len(images) != 1:
        return columns(rows)
    return "\n".join([*images, columns({name: text for name, text in row.items() if name != "image"} for row in rows)])


def _short(row: dict[str, Any]) -> dict[str, str]:
    """Return what fits in a line; sums as the viewer writes them."""
    return {
        "id": str(row["id"]),
        "image": row["data_label"],
        "region": row["subset_label"],
        "x": number(row["xcenter"], ".1f"),
        "y": number(row["ycenter"], ".1f"),
        "ra": number(row["ra_center"], ".6f"),
        "dec": number(row["dec_center"], "+.6f"),
        "sum": number(row["sum"], ".4e"),
        "sum_err": number(row["sum_err"], ".1e"),
        "unit": row["sum_unit"] or "",
        "area": number(row["sum_aper_area"], ".1f"),
        "background": number(row["background"], ".4e"),
        "counts": with_error(row["aperture_sum_counts"], row["aperture_sum_counts_err"], ".4e"),
        "ab_mag": with_error(row["ab_mag"], row["ab_mag_err"], ".3f"),
        "sum_mag": with_error(row["sum_mag"], row["sum_mag_err"], ".3f"),
        "raw_mag": with_error(row["aperture_sum_mag"], row["aperture_sum_mag_err"], ".3f"),
        "fwhm": number(row["fwhm"], ".2f"),
        "flags": " ".join(decode(int(row["flags"]), FLAGS_LOOK)),
    }


def _in_full(row: Any) -> str:
    """Return every column of a row, a line each, with its unit."""
    width = max(len(name) for name in row.colnames)
    return "\n".join(f"{name:<{width}}  {_cell(name, row[name])}".rstrip() for name in row.colnames)


def _cell(name: str, cell: Any) -> str:
    if name == "flags":
        return f"{int(cell)} {' '.join(decode(int(cell), FLAGS_LOOK))}"
    if hasattr(cell, "ra"):
        if not math.isfinite(cell.ra.deg + cell.dec.deg):
            return ""
        return f"{cell.ra.deg:.6f} {cell.dec.deg:+.6f} deg"
    unit = getattr(cell, "unit", None)
    plain = cell.value if unit is not None else cell
    text = f"{plain:.7g}" if hasattr(plain, "dtype") and plain.dtype.kind == "f" else str(plain)
    # What is not known, or does not apply, is left blank.
    return "" if text == "nan" else text if unit is None else f"{text} {unit}"


def _curve_row(one: _Curves) -> dict[str, str]:
    growth, fit = one.growth, one.fit
    row = {"image": one.image, "region": one.region, "R50": "", "R80": "", "size": ""}
    if growth is not None:
        row |= {
            "R50": with_error(growth.r50, growth.r50_err),
            "R80": with_error(growth.r80, growth.r80_err),
            "size": f"{growth.axis} (pix)",
        }
    row |= {"profile": "" if one.radial is None else f"{len(one.radial)} {'pixels' if one.radial.raw else 'rings'}"}
    row |= dict.fromkeys(("fit", "fwhm", "amplitude", "offset", "beta", "chi2/dof"), "")
    if fit is not None:
        doubts = [*([] if fit.converged else ["no convergence"]), *(f"{name} at its limit" for name in fit.at_limit)]
        doubts += ["not determined"] if math.inf in fit.errors.values() else []
        row |= {"fit": f"{fit.model} ({', '.join(doubts)})" if doubts else fit.model, "chi2/dof": number(fit.reduced_chi2, ".3g")}
        row |= {
            name: with_error(fit.values[name], fit.errors[name]) for name in ("fwhm", "amplitude", "offset", "beta") if name in fit.values
        }
    return row


def _draw(picture: Picture, regions: Sequence[Any], labels: Sequence[str], curves: Sequence[_Curves], folder: Path) -> None:
    """Write the view of an image and the curves of its regions, each with its data."""
    folder.mkdir(parents=True, exist_ok=True)
    unit = "" if picture.unit is None else picture.unit.to_string()
    limits = quicklook.display_limits(picture)
    shapes = [quicklook.shape_of(region, picture) for region in regions]
    figure = plots.view(picture.data, wcs=picture.wcs, limits=limits, label=picture.label, unit=unit, regions=shapes, labels=labels)
    written = [plots.save(figure, folder / f"{_file_name(picture.label)}.png")]
    for one in curves:
        start = f"{_file_name(picture.label)}_{one.place}_{_file_name(one.region)}"
        title = f"{one.image}  {one.region}"
        if one.growth is not None:
            written.append(plots.save(_growth_figure(one.growth, title), folder / f"{start}_growth.png"))
            _write_curve(one.growth, folder / f"{start}_growth.ecsv")
        if one.radial is not None:
            written.append(plots.save(_radial_figure(one.radial, one.fit, title), folder / f"{start}_radial.png"))
            _write_curve(one.radial, folder / f"{start}_radial.ecsv")
    click.echo(f"{folder}: {len(written)} figures written", err=True)


def _write_curve(curve: GrowthCurve | RadialProfile, path: Path) -> None:
    """Write the numbers of a curve as ECSV, whole or not at all."""
    text = io.StringIO()
    curve.to_table().write(text, format="ascii.ecsv")
    with atomic_write(path) as stream:
        stream.write(text.getvalue().encode())


def _growth_figure(found: GrowthCurve, title: str) -> Any:
    unit = "" if found.unit is None else found.unit.to_string()
    marks = {"R50": found.r50, "R80": found.r80}
    return plots.growth_curve(found.radius, found.sum, found.err, unit=unit, axis=found.axis, marks=marks, title=title)


def _radial_figure(found: RadialProfile, fit: ProfileFit | None, title: str) -> Any:
    import numpy as np  # noqa: PLC0415  the command line must start fast

    unit = "" if found.unit is None else found.unit.to_string()
    if fit is None:
        return plots.radial_profile(found.radius, found.value, found.err, raw=found.raw, unit=unit, title=title)
    radius = np.linspace(0.0, float(found.radius[-1]), 400)
    curve, label = (radius, fit.at(radius)), f"{fit.model}, FWHM {fit.fwhm:.3f} +- {fit.fwhm_err:.2g} pixel"
    return plots.radial_profile(
        found.radius, found.value, found.err, raw=found.raw, unit=unit, curve=curve, curve_label=label, fwhm=fit.fwhm, title=title
    )


def _file_name(text: str) -> str:
    """Return a text as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.+-]+", "_", text).strip("_") or "image"
