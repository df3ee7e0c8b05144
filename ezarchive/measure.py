"""Measure one frame: pixels -> background -> photometry -> a Parquet catalog that names its frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import QTable

from ezarchive import columns, maps
from ezarchive.catalogs import parquet
from ezarchive.catalogs.paths import map_path
from ezarchive.driver import check_versions
from ezarchive.errors import CatalogError, FrameError
from ezarchive.files import sha256_file
from ezarchive.frames.record import Frame
from ezarchive.images import background
from ezarchive.images.background import MeshBackground
from ezarchive.images.image import Image
from ezarchive.images.mapfile import read_map
from ezarchive.maps import StoredMap
from ezarchive.measureoptions import METHODS, MeasureOptions, diameters_in_pixels, with_numbers
from ezarchive.photometry import stars
from ezarchive.photometry.detection import sex

__all__ = ["METHODS", "Done", "Maps", "MeasureOptions", "Measured", "Task", "measure_frame", "measure_image"]

_STRIP = 256


@dataclass(frozen=True, kw_only=True)
class Maps:
    """What is known of the sky of an image before it is measured.

    Attributes
    ----------
    background : MeshBackground, map, array or number, optional
        Level of the sky; None: the mesh of the image.
    noise : MeshBackground, map, array or number, optional
        Noise of the sky per pixel; None: that of the mesh of the image, the same everywhere, as SExtractor takes it.
    mask : array of bool or integer bits, optional
        Sources on masked pixels are measured and flagged.
    """

    background: Any = None
    noise: Any = None
    mask: np.ndarray | None = None


@dataclass(frozen=True, kw_only=True)
class Task:
    """One frame to measure, with all that a worker process needs; ``relpath`` is that of its catalog in the home."""

    frame: Frame
    run_id: int
    method: str
    options: MeasureOptions
    home: Path
    relpath: str
    saturation_origin: str | None
    provenance: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Done:
    """A catalog that is written; ``apertures`` are the diameters in arcsec in the order of the suffixes, None without a scale.

    ``mesh`` is the background that is written beside it, if one is kept.
    """

    rows: int
    sha256: str
    seeing: float | None
    depth: float | None
    depth_aperture: float | None
    apertures: tuple[float | None, ...]
    mesh: StoredMap | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured on one image.

    Attributes
    ----------
    table : QTable
        ``columns.SOURCE`` and ``columns.aperture(i)`` for every aperture.
    seeing : float or None
        Median FWHM of the stars, arcsec.
    depth, depth_aperture : float or None
        5-sigma limit in magnitudes in the first arcsec aperture (None without a zero point of that aperture), and its diameter.
    apertures : tuple of float or None
        Diameters in arcsec.
    mesh : MeshBackground or None
        The background that was estimated; None where both level and noise were given.
    """

    table: QTable
    seeing: float | None
    depth: float | None
    depth_aperture: float | None
    apertures: tuple[float | None, ...]
    mesh: MeshBackground | None = None


def measure_image(
    image: Image,
    options: MeasureOptions,
    *,
    method: str = "sex",
    saturation_origin: str | None = None,
    given: Maps | None = None,
) -> Measured:
    """Measure the sources of one image.

    Parameters
    ----------
    image : Image
        It is not changed.
    options : MeasureOptions
    method : str
        One of `METHODS`.
    saturation_origin : str, optional
        Where the frame's saturation level comes from (``Frame.origin``): one from its header wins over the argument's, that over any
        other.
    given : Maps, optional
        Background, noise and mask in place of those of the image itself.

    Returns
    -------
    Measured

    Raises
    ------
    FrameError
        If the image cannot be read.
    MeasurementError
        If it cannot be measured.
    """
    given = Maps() if given is None else given
    pixels = image.load()
    mesh = None
    if given.background is None or given.noise is None:
        mesh = background.estimate(pixels, box_size=options.box_size, filter_size=options.filter_size)
    level = mesh if given.background is None else given.background
    _subtract(pixels, level)
    noise = mesh.global_rms if given.noise is None else _noise(given.noise)
    frame = image.frame or Frame()
    saturation = saturation_of(frame, options.saturation_level, saturation_origin)
    around: dict[str, Any] = {"noise": noise, "background": _as_level(level)}
    scale = image.pixel_scale or options.pixel_scale
    seeing = options.seeing or image.seeing
    if seeing is None and options.aperture_diameter_seeing and scale is not None:
        first = stars.estimate_seeing(pixels, saturation=saturation, **around)
        seeing = None if first is None else first.fwhm * scale
    diameters = diameters_in_pixels(options, scale, seeing)
    around |= {"mask": given.mask, "wcs": image.wcs}
    facts = {"saturation": saturation, "gain": image.gain if options.gain is None else options.gain}
    table = _detected(pixels, options, method, diameters, {**facts, "seeing": _ratio(seeing, scale)}, around)
    table = with_numbers(table, [index for index, diameter in enumerate(diameters) if diameter is not None])
    found = stars.seeing_of(table, saturation=saturation)
    arcsec = tuple(None if diameter is None or scale is None else diameter * scale for diameter in diameters)
    depth, aperture = _depth(table, frame, arcsec, len(options.aperture_diameter_arcsec))
    measured_seeing = None if found is None or scale is None else found.fwhm * scale
    return Measured(table=table, seeing=measured_seeing, depth=depth, depth_aperture=aperture, apertures=arcsec, mesh=mesh)


def _detected(
    pixels: np.ndarray,
    options: MeasureOptions,
    method: str,
    diameters: tuple[float | None, ...],
    facts: Mapping[str, float | None],
    around: Mapping[str, Any],
) -> QTable:
    there = tuple(diameter for diameter in diameters if diameter is not None)
    if method == "sex":
        return sex(pixels, options.sex_options(there, **facts), scratch=True, **around)
    from ezarchive.photometry import photutils_engine  # noqa: PLC0415  photutils takes a second to import

    chosen = photutils_engine.PhotutilsOptions(
        detection_sigma=options.detection_sigma, minarea_pixels=options.detect_minarea, kron_factor=options.kron_factor,
        calc_accurate_fwhm=options.calc_accurate_fwhm, nlevels=options.deblend_nthresh, contrast=options.deblend_mincont,
        phot_apertures=there, gain=facts["gain"], satur_level=facts["saturation"],
    )  # fmt: skip
    return photutils_engine.photutils_sources(pixels, options=chosen, **around)


def measure_frame(task: Task) -> Done:
    """Measure one frame and write its catalog and its mesh; whole ones that are there already are taken over.

    Parameters
    ----------
    task : Task

    Returns
    -------
    Done

    Raises
    ------
    FrameError, MeasurementError, OSError
        If the frame cannot be read or measured, or the catalog not be written; ``versions`` if this process has other libraries than the
        run was begun with.
    """
    check_versions(task.provenance["versions"])
    path = task.home / task.relpath
    identity = {"header_hash": task.frame.header_hash, "data_sample": task.frame.data_sample, **task.provenance}
    adopted = _adopted(task, path, identity)
    if adopted is not None:
        return adopted
    frame = task.frame
    image = Image(frame.path, frame.hdu, frame=frame)
    measured = measure_image(image, task.options, method=task.method, saturation_origin=task.saturation_origin)
    summary = {
        "seeing": measured.seeing, "depth": measured.depth, "depth_aperture": measured.depth_aperture, "apertures": list(measured.apertures)
    }  # fmt: skip
    mesh = None
    if task.options.maps and measured.mesh is not None:
        mesh = maps.write_map(task.home, task.run_id, frame, "background", measured.mesh, identity)
    link = {column.name: getattr(frame, column.name, None) for column in columns.CATALOG_LINK} | {"run_id": task.run_id}
    # The catalog comes last: where it is, the mesh is.
    written = parquet.write_catalog(path, measured.table, link=link, provenance={**identity, **summary})
    return Done(rows=written.rows, sha256=written.sha256, **{**summary, "apertures": measured.apertures}, mesh=mesh)


def _adopted(task: Task, path: Path, identity: Mapping[str, Any]) -> Done | None:
    """Return what a whole catalog of the same frame and recipe says, None if there is none."""
    if not path.exists():
        return None
    try:
        found = parquet.read_provenance(path)
        rows = len(parquet.read_catalog(path))
        mesh = _adopted_mesh(task)
    except (CatalogError, FrameError):
        return None
    if any(found.get(key) != value for key, value in identity.items()) or (task.options.maps and mesh is None):
        return None
    return Done(
        rows=rows, sha256=sha256_file(path), seeing=found["seeing"], depth=found["depth"], depth_aperture=found["depth_aperture"],
        apertures=tuple(found["apertures"]), mesh=mesh,
    )  # fmt: skip


def _adopted_mesh(task: Task) -> StoredMap | None:
    if not task.options.maps:
        return None
    frame = task.frame
    names = {column.name: getattr(frame, column.name) for column in columns.NAMES}
    relative = str(map_path(task.run_id, frame.frame_id, "background", names=names, relpath=frame.relpath))
    path = task.home / relative
    read_map(path)
    return StoredMap(frame.frame_id, "background", relative, task.run_id, path.stat().st_size, sha256_file(path))


def _subtract(pixels: np.ndarray, level: Any) -> None:
    """Subtract a background from pixels of our own, in place and a few rows at a time."""
    if isinstance(level, MeshBackground):
        level.subtract(pixels, out=pixels)
        return
    for first in range(0, pixels.shape[0], _STRIP):
        rows = slice(first, min(first + _STRIP, pixels.shape[0]))
        if hasattr(level, "level"):
            pixels[rows] -= level.level((rows, slice(0, pixels.shape[1])))
        else:
            pixels[rows] -= level[rows] if np.ndim(level) else level


def _as_level(level: Any) -> Any:
    """Return a level as the photometry takes it: a model with ``at`` and ``global_level``, pixels or a number."""
    return level.level() if hasattr(level, "level") and not hasattr(level, "global_level") else level


def _noise(noise: Any) -> Any:
    return noise.rms() if hasattr(noise, "rms") else noise


def _ratio(value: float | None, by: float | None) -> float | None:
    return None if value is None or by is None else value / by


def saturation_of(frame: Frame | None, asked: float | None, origin: str | None) -> float | None:
    """Return the level from which pixels are saturated: the header's, else the argument's, else the camera's.

    Parameters
    ----------
    frame : Frame or None
    asked : float or None
        The argument.
    origin : str or None
        Where the frame's level comes from (``Frame.origin``).
    """
    if frame is None:
        return asked
    from_header = frame.saturation is not None and (origin or "").startswith("header")
    return frame.saturation if from_header or asked is None else asked


def _depth(table: QTable, frame: Frame, arcsec: tuple[float | None, ...], n_arcsec: int) -> tuple[float | None, float | None]:
    """Return the 5-sigma limit in the first arcsec aperture, if a zero point of that aperture is known, and its diameter."""
    if not n_arcsec or arcsec[0] is None:
        return None, None
    matches = frame.zero_point is not None and frame.zero_point_aperture is not None
    if not matches or not math.isclose(frame.zero_point_aperture, arcsec[0], rel_tol=0.01):
        return None, arcsec[0]
    return stars.depth(table["SKYSIG_APER"].value, zero_point=frame.zero_point), arcsec[0]
