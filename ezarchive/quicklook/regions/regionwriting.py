"""Regions to files and to STC-S: nothing is left out, what has no form in a format is an error."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import regions as rg
from astropy import units as u
from astropy.coordinates import ICRS, SkyCoord
from astropy.io import fits
from astropy.utils.exceptions import AstropyWarning

from ezarchive.errors import InputError
from ezarchive.files import atomic_write
from ezarchive.quicklook.planes.inputs import picture as as_picture
from ezarchive.quicklook.planes.skywcs import checked_wcs
from ezarchive.quicklook.regions.regionfits import region_table
from ezarchive.quicklook.regions.regionkinds import listed, on_sky, shape_of, sky_region, to_region
from ezarchive.quicklook.regions.shapes import Shape
from ezarchive.quicklook.regions.skyback import to_sky_shape
from ezarchive.quicklook.regions.skyshapes import SkyCombined, SkyInverted, SkyOutline, SkyPolygon, SkyShape

_SUFFIXES = {".reg": "ds9", ".ds9": "ds9", ".crtf": "crtf", ".fits": "fits", ".fit": "fits", ".fts": "fits"}
_ERRORS = (ValueError, KeyError, IndexError, TypeError, AttributeError)
_DIGITS = 10
_JOINED = {"and": "Intersection", "or": "Union"}


def written(path: Path, regions: Sequence[Any], format: str | None, wcs: Any, overwrite: bool) -> Path:
    """See `ezarchive.quicklook.write_regions`."""
    form = _SUFFIXES.get(path.suffix.lower()) if format is None else format
    if form not in ("ds9", "crtf", "fits"):
        raise InputError(f"format={format!r}: must be ds9, crtf or fits, or said by the suffix of {path.name}")
    if path.exists() and not overwrite:
        raise InputError(f"path={path}: it exists; say overwrite=True to replace it")
    made = [_as_region(one, wcs, form) for one in regions]
    raw = _fits(made) if form == "fits" else _text(made, form).encode("utf-8")
    with atomic_write(path) as stream:
        stream.write(raw)
    return path


def stcs(regions: Any, image: Any = None) -> str:
    """Return regions as STC-S, ICRS, degrees, a line each.

    Parameters
    ----------
    regions : region or iterable of regions
        As `ezarchive.quicklook.shape_of`; those of pixels need `image`.
    image : path, Image, Picture, NDData or array, optional
        The image whose pixels they are on; it has a WCS.

    Returns
    -------
    str
        A rectangle is the polygon of its corners, an annulus the outer less the inner shape.

    Raises
    ------
    InputError
        If there is no WCS, or a region is a mask.
    """
    picture = None if image is None else as_picture(image)
    lines = []
    for region in listed(regions):
        found = on_sky(region)
        if found is None:
            if picture is None or picture.wcs is None:
                raise InputError("image: must have a WCS to bring regions of pixels to the sky")
            found = to_sky_shape(shape_of(region, picture), picture.wcs)
        lines.append(_stcs(found, "ICRS "))
    return "\n".join(lines)


def _as_region(region: Any, wcs: Any, form: str) -> Any:
    if isinstance(region, rg.Region):
        if form == "fits" and isinstance(region, rg.SkyRegion):
            if wcs is None:
                raise InputError("wcs: must be given for regions of the sky in a FITS table, which has pixels only")
            return region.to_pixel(checked_wcs(wcs))
        return region if isinstance(region, rg.PixelRegion) else _in_frame(region, form)
    shape = region if isinstance(region, Shape) else shape_of(region)
    return to_region(shape, None if form == "fits" else wcs)


def _in_frame(region: Any, form: str) -> Any:
    """Return a region of the sky in ICRS if its own frame has no name in a format: there positions or angles would be taken for others."""
    center = region.vertices if isinstance(region, rg.PolygonSkyRegion) else getattr(region, "center", None)
    if center is None:
        return region
    frame = center.frame.replicate_without_data()
    if isinstance(frame, ICRS) or (form == "ds9" and frame.is_equivalent_frame(type(frame)())):
        return region
    found = on_sky(region)
    return region if found is None else sky_region(found).copy(meta=region.meta.copy(), visual=region.visual.copy())


def _fits(regions: Sequence[Any]) -> bytes:
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), region_table(regions)]).writeto(stream)
    return stream.getvalue()


def _text(regions: Sequence[Any], form: str) -> str:
    if not regions:
        return "#CRTFv0\n" if form == "crtf" else "# Region file format: DS9 version 4.1\n"
    lines = [_ds9_line(k, one) if form == "ds9" else _crtf_line(k, one) for k, one in enumerate(regions)]
    return "\n".join(["# Region file format: DS9 version 4.1" if form == "ds9" else "#CRTFv0", *lines]) + "\n"


def _one_line(region: Any, form: str) -> Any:
    """Return a copy whose texts fit on a line: line ends become spaces and, in DS9, braces, which hold the text there, parentheses."""
    made = region.copy()
    for name in {"text", "label"} & set(made.meta):
        text = re.sub(r"\s*[\r\n]+\s*", " ", str(made.meta[name]))
        made.meta[name] = text.translate(str.maketrans("{}", "()")) if form == "ds9" else text
    return made


def _ds9_line(k: int, region: Any) -> str:
    region = _one_line(region, "ds9")
    excluded = region.meta.pop("include", True) in (False, 0, "-")
    lines = _serialized(k, region, "ds9", precision=_DIGITS + 3 * isinstance(region, rg.SkyRegion))
    return f"{lines[1]}; {'-' if excluded else ''}{lines[-1]}"


def _crtf_line(k: int, region: Any) -> str:
    region = _one_line(region, "crtf")
    if "label" not in region.meta and region.meta.get("text"):
        region.meta["label"] = region.meta["text"]
    if isinstance(region, rg.PixelRegion):
        line = _serialized(k, region, "crtf", coordsys="image", radunit="pix", fmt=f".{_DIGITS}f")[-1]
        return re.sub(r"\[(\S+?)deg, (\S+?)deg\]", r"[\1pix, \2pix]", line) + ", coord=IMAGE"
    return _serialized(k, region, "crtf", coordsys="icrs", radunit="deg", fmt=f".{_DIGITS + 2}f")[-1] + ", coord=ICRS"


def _serialized(k: int, region: Any, form: str, **options: Any) -> list[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("error", AstropyWarning)
        try:
            # Metadata that all regions share would become a line of their own, in no fixed order: the first has none.
            text = rg.Regions([region.copy(meta=rg.RegionMeta(), visual=rg.RegionVisual()), region.copy()]).serialize(
                format=form, **options
            )
        except (*_ERRORS, AstropyWarning) as err:
            raise InputError(f"regions: {k}, {type(region).__name__}, has no form in a {form.upper()} file ({err})") from err
    return [line for line in text.splitlines() if line]


def _stcs(shape: SkyShape, frame: str) -> str:
    if isinstance(shape, SkyPolygon):
        return f"Polygon {frame}" + " ".join(f"{ra:.10f} {dec:.10f}" for ra, dec in shape.vertices)
    if isinstance(shape, SkyCombined):
        parts = [_stcs(part, "") for part in shape.parts]
        if shape.operator == "xor":
            return f"Difference {frame}(Union ({' '.join(parts)}) Intersection ({' '.join(parts)}))" if len(parts) == 2 else _no_xor()
        return f"{_JOINED[shape.operator]} {frame}({' '.join(parts)})"
    if isinstance(shape, SkyInverted):
        return f"Not {frame}({_stcs(shape.part, '')})"
    if shape.inner is not None:
        inner = SkyOutline(shape.kind, shape.ra, shape.dec, shape.inner, shape.pa)
        outer = SkyOutline(shape.kind, shape.ra, shape.dec, shape.lengths, shape.pa)
        return f"Difference {frame}({_stcs(outer, '')} {_stcs(inner, '')})"
    return _outline(shape, frame)


def _no_xor() -> str:
    raise InputError("regions: an exclusive or of more than two has no form in STC-S")


def _outline(shape: SkyOutline, frame: str) -> str:
    place = f"{shape.ra:.10f} {shape.dec:.10f}"
    sizes = " ".join(f"{length / 3600.0:.12f}" for length in shape.lengths)
    if shape.kind == "circle":
        return f"Circle {frame}{place} {sizes}"
    if shape.kind == "ellipse":
        return f"Ellipse {frame}{place} {sizes} {shape.pa % 360.0:.8f}"
    return _stcs(_corners(shape), frame)


def _corners(shape: SkyOutline) -> SkyPolygon:
    width, height = (length / 2.0 for length in shape.lengths)
    center = SkyCoord(shape.ra, shape.dec, unit="deg")
    along = np.array([-width, width, width, -width])
    across = np.array([-height, -height, height, height])
    angle = shape.pa * u.deg + np.arctan2(across, along) * u.rad
    corners = center.directional_offset_by(angle, np.hypot(along, across) * u.arcsec)
    return SkyPolygon(tuple(zip(corners.ra.deg.tolist(), corners.dec.deg.tolist(), strict=True)))
