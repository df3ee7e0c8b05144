"""Photometry of one image as `AperturePhotometry` asks for it: arguments become maps and positions, results a `Catalog`."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.coordinates import SkyCoord

from ezarchive.browse.catalog import Catalog
from ezarchive.columns import suffix
from ezarchive.errors import InputError
from ezarchive.images.background import MeshBackground
from ezarchive.images.compact import Mask
from ezarchive.images.image import Image
from ezarchive.measure import Maps, Measured, measure_image, saturation_of
from ezarchive.measureoptions import MeasureOptions
from ezarchive.positions import Axes, PositionOptions, Surroundings, measure_positions
from ezarchive.saving import origin_of, save_catalog
from ezarchive.screen import in_notebook, say
from ezarchive.targets import Targets, read_targets


def as_image(target: Any) -> Image:
    """Return an image of an image, the path of one or an array.

    Raises
    ------
    InputError
        If it is none of these, or there is no such file.
    """
    if isinstance(target, Image):
        return target
    if isinstance(target, (str, os.PathLike)):
        path = Path(target)
        if not path.is_file():
            raise InputError(f"target_img={str(target)!r}: there is no such file")
        return Image(path)
    if isinstance(target, np.ndarray):
        return Image(target)
    raise InputError(f"target_img: must be an image, the path of one or an array, found {type(target).__name__}")


def listed_positions(x: Any, y: Any, unit: str, ids: Sequence[Any] | None) -> Targets:
    """Return the positions that ``x_arr`` and ``y_arr``, or ``x_arr`` alone, stand for.

    Raises
    ------
    InputError
        If they are none.
    """
    if unit not in ("pixel", "coord"):
        raise InputError(f"unit={unit!r}: must be 'pixel' or 'coord'")
    if y is not None and isinstance(x, SkyCoord):
        raise InputError("y_arr: must be left out where x_arr is a SkyCoord")
    if y is not None:
        return read_targets((x, y), unit=unit, ids=ids)
    if isinstance(x, (int, float)):
        raise InputError("y_arr: must be given")
    # A SkyCoord or a table says itself what it holds.
    return read_targets(x, ids=ids)


def detection(method: str, target: Any, options: MeasureOptions, maps: Mapping[str, Any], switches: Mapping[str, bool]) -> Catalog:
    """Detect and measure the sources of an image.

    Parameters
    ----------
    method : {"sex", "photutils"}
    target : image, path or array
    options : MeasureOptions
    maps : mapping
        ``target_bkg``, ``target_bkgrms`` and ``target_mask``, None where there is none.
    switches : mapping
        ``save``, ``verbose``, ``visualize`` and ``save_fig``.
    """
    image = as_image(target)
    image._check_switches(save=switches["save"], save_fig=switches["save_fig"])
    noise = _noise(image, maps)
    if maps["target_bkgrms"] is None and noise is not None:
        noise = noise.global_rms or None  # as SExtractor, which has one noise for the whole image
    given = Maps(
        background=None if maps["target_bkg"] is None else image._level_of("target_bkg", maps["target_bkg"]),
        noise=noise,
        mask=_flag_mask(image, maps["target_mask"]),
    )
    found = measure_image(image, options, method=method, saturation_origin=origin_of(image, "saturation"), given=given)
    return _finished(method, image, found, options, maps, switches)


def at_positions(
    method: str,
    target: Any,
    listed: Targets,
    axes: Axes | None,
    options: PositionOptions,
    maps: Mapping[str, Any],
    switches: Mapping[str, bool],
) -> Catalog:
    """Measure circles or, with ``axes``, ellipses at positions of an image; the other arguments are those of `detection`."""
    image = as_image(target)
    image._check_switches(save=switches["save"], save_fig=switches["save_fig"])
    around = Surroundings(
        background=None if maps["target_bkg"] is None else image._level_of("target_bkg", maps["target_bkg"]),
        noise=_noise(image, maps),
        mask=image._mask_of("target_mask", maps["target_mask"]),
        saturation=saturation_of(image.frame, options.saturation_level, origin_of(image, "saturation")),
    )
    measured = measure_positions(image, listed, options, around, axes=axes)
    table = measured.table
    if axes is None and not any(name.startswith("FLUX_APER") for name in table.colnames):
        lack = f"; {reason}" if (reason := _left_out(options, table.colnames)) else ""
        raise InputError(f"aperture_diameter_arcsec, _seeing, _pixel: at least one aperture must be left to measure{lack}")
    found = Measured(table=table, seeing=None, depth=None, depth_aperture=None, apertures=measured.apertures)
    asked = {"targets": listed, "axes": axes}
    return _finished(method, image, found, options, maps, switches, **asked)


def _noise(image: Image, maps: Mapping[str, Any]) -> Any:
    """Return the noise that was given: as itself, or by a background that is a mesh."""
    if maps["target_bkgrms"] is not None:
        return image._noise_of("target_bkgrms", maps["target_bkgrms"])
    background = maps["target_bkg"]
    return background if isinstance(background, MeshBackground) else None


def _flag_mask(image: Image, given: Any) -> np.ndarray | None:
    """Return a mask as pixels; integers keep their bits."""
    made = image._mask_of("target_mask", given)
    if made is None or (isinstance(given, np.ndarray) and given.dtype.kind in "iu"):
        return None if made is None else given
    return made.to_array() if isinstance(made, Mask) else np.asarray(made)


def _finished(
    method: str, image: Image, found: Measured, options: Any, maps: Mapping[str, Any], switches: Mapping[str, bool], **asked: Any
) -> Catalog:
    """Do what the switches say, and return the catalog."""
    known: dict[str, Any] = {
        "frame": image.frame, "method": method, "apertures": found.apertures, "seeing": found.seeing, "depth": found.depth,
        "depth_aperture": found.depth_aperture, "catalog_type": "forced" if asked else "all", "image": image,
        "handle": getattr(image, "_handle", None),
    }  # fmt: skip
    where = ""
    if switches["save"]:
        row = save_catalog(image, method, found, options, maps, **asked)
        known |= {"row": row, "run_id": row.run_id, "path": image._handle.home / row.path}
        where = f", saved as run {row.run_id}"
    catalog = Catalog(found.table, **known)
    unit = "positions" if asked else "sources"
    left_out = "" if "axes" in asked and asked["axes"] is not None else _left_out(options, found.table.colnames)
    say(f"{image._title}: {len(found.table)} {unit} measured ({method}){where}{left_out and '; ' + left_out}", switches["verbose"])
    if switches["save_fig"] or (switches["visualize"] and in_notebook()):
        catalog.show(save_path=image._figure_path(method) if switches["save_fig"] else None, close_fig=not switches["visualize"])
    return catalog


def _left_out(options: Any, names: Collection[str]) -> str:
    """Return which of the circles that were asked for a table lacks, and why; nothing where it lacks none."""
    lost = [item for item in options.apertures() if f"FLUX_APER{suffix(item['index'])}" not in names]
    if not lost:
        return ""
    sizes = ", ".join(f"{item['diameter']:g} {item['unit']}" for item in lost)
    return f"apertures left out: {sizes}: scale (pixel_scale=) or seeing (seeing=) of the image is unknown"
