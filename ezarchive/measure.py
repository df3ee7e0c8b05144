"""Measure one frame: pixels -> background -> photometry -> a Parquet catalog that names its frame."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import QTable

from ezarchive import columns
from ezarchive.catalogs import parquet
from ezarchive.errors import CatalogError, InputError, UnknownNameError
from ezarchive.files import sha256_file
from ezarchive.frames.record import Frame
from ezarchive.images import background
from ezarchive.images.image import Image
from ezarchive.photometry import stars
from ezarchive.photometry.detection import SexOptions, sex

METHODS = ("sex",)


@dataclass(frozen=True, kw_only=True)
class MeasureOptions:
    """What to measure and how; SExtractor's keyword of the same meaning stands in brackets.

    Attributes
    ----------
    detection_sigma : float
        Threshold of detection in units of the background's r.m.s. [DETECT_THRESH].
    analysis_sigma : float, optional
        Threshold of the isophote; `detection_sigma` by default [ANALYSIS_THRESH].
    aperture_diameter_arcsec, aperture_diameter_seeing, aperture_diameter_pixel : tuple of float
        Diameters [PHOT_APERTURES] in arcsec, in units of the seeing, in pixels; numbered in this order. A frame without scale has no
        columns for the first, one without seeing none for the second: their numbers stay, their values are NULL.
    kron_factor, kron_minimum_radius : float
        [PHOT_AUTOPARAMS].
    saturation_level : float, optional
        In the stored unit, for frames whose header has no SATURATE [SATUR_LEVEL].
    gain : float, optional
        Electrons per stored unit, in place of the frame's own; 0: no photon noise [GAIN].
    seeing : float, optional
        FWHM in arcsec, in place of the header's [SEEING_FWHM].
    detect_minarea : int
        [DETECT_MINAREA].
    convolve : bool
        Whether to smooth with the 3x3 pyramid before detection [FILTER].
    deblend_nthresh : int
        [DEBLEND_NTHRESH].
    deblend_mincont : float
        [DEBLEND_MINCONT].
    clean : bool
        [CLEAN].
    clean_param : float
        [CLEAN_PARAM].
    box_size, filter_size : int
        Mesh of the background in pixels, and its median filter in boxes [BACK_SIZE, BACK_FILTERSIZE].
    """

    detection_sigma: float = 5.0
    analysis_sigma: float | None = None
    aperture_diameter_arcsec: tuple[float, ...] = (5.0, 7.0, 10.0)
    aperture_diameter_seeing: tuple[float, ...] = (3.5, 4.5)
    aperture_diameter_pixel: tuple[float, ...] = ()
    kron_factor: float = 2.5
    kron_minimum_radius: float = 3.5
    saturation_level: float | None = None
    gain: float | None = None
    seeing: float | None = None
    detect_minarea: int = 5
    convolve: bool = True
    deblend_nthresh: int = 32
    deblend_mincont: float = 0.005
    clean: bool = True
    clean_param: float = 1.0
    box_size: int = 64
    filter_size: int = 3

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> MeasureOptions:
        """Make options of loose arguments: scalars for lists, None for an empty list.

        Raises
        ------
        UnknownNameError
            If there is no option of a name; the near misses are named.
        InputError
            If a value is of the wrong type or out of range.
        """
        known = {item.name: item for item in fields(cls)}
        values: dict[str, Any] = {}
        for name, value in arguments.items():
            if name not in known:
                raise UnknownNameError("option", name, known)
            values[name] = _converted(name, value, str(known[name].type))
        return cls(**values)

    def parameters(self) -> dict[str, Any]:
        """Every parameter as plain values: what a recipe records."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    def apertures(self) -> list[dict[str, Any]]:
        """Return the apertures in the order of their suffixes: diameter and unit (``arcsec``, ``seeing`` or ``pixel``)."""
        families = (
            ("arcsec", self.aperture_diameter_arcsec),
            ("seeing", self.aperture_diameter_seeing),
            ("pixel", self.aperture_diameter_pixel),
        )
        listed = [(unit, diameter) for unit, family in families for diameter in family]
        return [{"index": index, "diameter": diameter, "unit": unit} for index, (unit, diameter) in enumerate(listed)]


def _converted(name: str, value: Any, annotation: str) -> Any:
    if annotation.startswith("tuple"):
        if isinstance(value, str):
            raise InputError(f"{name}={value!r}: must be a number or a list of numbers")
        items = () if value is None else (value,) if np.ndim(value) == 0 else tuple(value)
        return tuple(_positive(name, item) for item in items)
    if value is None and "None" in annotation:
        return None
    if annotation == "bool":
        if not isinstance(value, (bool, np.bool_)):
            raise InputError(f"{name}={value!r}: must be True or False")
        return bool(value)
    if annotation == "int":
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or value % 1 or value < 1:
            raise InputError(f"{name}={value!r}: must be a whole number of at least 1")
        return int(value)
    return _positive(name, value, zero=name in {"gain", "deblend_mincont"})


def _positive(name: str, value: Any, *, zero: bool = False) -> float:
    try:
        number = math.nan if isinstance(value, (bool, np.bool_)) else float(value)
    except (TypeError, ValueError) as err:
        raise InputError(f"{name}={value!r}: must be a number") from err
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise InputError(f"{name}={value!r}: must be finite and {'not negative' if zero else 'positive'}")
    return number


@dataclass(frozen=True, kw_only=True)
class Task:
    """One frame to measure, with all that a worker process needs."""

    frame: Frame
    run_id: int
    options: MeasureOptions
    home: Path
    relpath: str
    saturation_origin: str | None
    provenance: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Done:
    """A catalog that is written; ``apertures`` are the diameters in arcsec in the order of the suffixes, None without a scale."""

    rows: int
    sha256: str
    seeing: float | None
    depth: float | None
    depth_aperture: float | None
    apertures: tuple[float | None, ...]


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
    """

    table: QTable
    seeing: float | None
    depth: float | None
    depth_aperture: float | None
    apertures: tuple[float | None, ...]


def measure_image(image: Image, options: MeasureOptions, *, saturation_origin: str | None = None) -> Measured:
    """Measure the sources of one image.

    Parameters
    ----------
    image : Image
        It is not changed.
    options : MeasureOptions
    saturation_origin : str, optional
        Where the frame's saturation level comes from (``Frame.origin``): one from its header wins over the argument's, that over any
        other.

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
    frame = image.frame
    pixels = image.load()
    mesh = background.estimate(pixels, box_size=options.box_size, filter_size=options.filter_size)
    mesh.subtract(pixels, out=pixels)
    saturation = _saturation(frame, options, saturation_origin)
    around = {"noise": mesh.global_rms, "background": mesh}
    scale = image.pixel_scale
    seeing = options.seeing or frame.seeing
    if seeing is None and options.aperture_diameter_seeing and scale is not None:
        first = stars.estimate_seeing(pixels, saturation=saturation, **around)
        seeing = None if first is None else first.fwhm * scale
    diameters = _diameters(options, scale, seeing)
    table = sex(pixels, _sex_options(options, frame, saturation, diameters), wcs=image.wcs, scratch=True, **around)
    table = _with_numbers(table, diameters)
    found = stars.seeing_of(table, saturation=saturation)
    arcsec = tuple(None if diameter is None or scale is None else diameter * scale for diameter in diameters)
    depth, aperture = _depth(table, frame, arcsec, len(options.aperture_diameter_arcsec))
    measured_seeing = None if found is None or scale is None else found.fwhm * scale
    return Measured(table=table, seeing=measured_seeing, depth=depth, depth_aperture=aperture, apertures=arcsec)


def measure_frame(task: Task) -> Done:
    """Measure one frame and write its catalog; a whole catalog that is there already is taken over.

    Parameters
    ----------
    task : Task

    Returns
    -------
    Done

    Raises
    ------
    FrameError, MeasurementError, OSError
        If the frame cannot be read or measured, or the catalog not be written.
    """
    path = task.home / task.relpath
    identity = {"header_hash": task.frame.header_hash, "data_sample": task.frame.data_sample, **task.provenance}
    adopted = _adopted(path, identity)
    if adopted is not None:
        return adopted
    frame = task.frame
    measured = measure_image(Image(frame.path, frame.hdu, frame=frame), task.options, saturation_origin=task.saturation_origin)
    summary = {
        "seeing": measured.seeing, "depth": measured.depth, "depth_aperture": measured.depth_aperture, "apertures": list(measured.apertures)
    }  # fmt: skip
    link = {column.name: getattr(frame, column.name, None) for column in columns.CATALOG_LINK} | {"run_id": task.run_id}
    written = parquet.write_catalog(path, measured.table, link=link, provenance={**identity, **summary})
    return Done(rows=written.rows, sha256=written.sha256, **{**summary, "apertures": measured.apertures})


def _adopted(path: Path, identity: Mapping[str, Any]) -> Done | None:
    """Return what a whole catalog of the same frame and recipe says, None if there is none."""
    if not path.exists():
        return None
    try:
        found = parquet.read_provenance(path)
        rows = len(parquet.read_catalog(path))
    except CatalogError:
        return None
    if any(found.get(key) != value for key, value in identity.items()):
        return None
    return Done(
        rows=rows, sha256=sha256_file(path), seeing=found["seeing"], depth=found["depth"], depth_aperture=found["depth_aperture"],
        apertures=tuple(found["apertures"]),
    )  # fmt: skip


def _saturation(frame: Frame, options: MeasureOptions, origin: str | None) -> float | None:
    """Return the level: the header's, else the argument's, else the camera's."""
    from_header = frame.saturation is not None and (origin or "").startswith("header")
    return frame.saturation if from_header or options.saturation_level is None else options.saturation_level


def _diameters(options: MeasureOptions, scale: float | None, seeing: float | None) -> tuple[float | None, ...]:
    """Return the diameters in pixels in the order of their numbers; None for those that cannot be had."""
    arcsec = [None if scale is None else diameter / scale for diameter in options.aperture_diameter_arcsec]
    by_seeing = [None if scale is None or seeing is None else d * seeing / scale for d in options.aperture_diameter_seeing]
    return (*arcsec, *by_seeing, *options.aperture_diameter_pixel)


def _sex_options(options: MeasureOptions, frame: Frame, saturation: float | None, diameters: tuple[float | None, ...]) -> SexOptions:
    return SexOptions(
        detect_thresh=options.detection_sigma,
        analysis_thresh=options.analysis_sigma,
        detect_minarea=options.detect_minarea,
        filter=options.convolve,
        deblend_nthresh=options.deblend_nthresh,
        deblend_mincont=options.deblend_mincont,
        clean=options.clean,
        clean_param=options.clean_param,
        phot_apertures=tuple(diameter for diameter in diameters if diameter is not None),
        phot_autoparams=(options.kron_factor, options.kron_minimum_radius),
        satur_level=saturation,
        gain=frame.gain if options.gain is None else options.gain,
    )


def _with_numbers(table: QTable, diameters: tuple[float | None, ...]) -> QTable:
    """Give every aperture the suffix of its number among all that were asked for."""
    there = [index for index, diameter in enumerate(diameters) if diameter is not None]
    # From the last on: a suffix only grows, so none is overwritten.
    for place, index in reversed(list(enumerate(there))):
        if place != index:
            for old, new in zip(columns.aperture(place), columns.aperture(index), strict=True):
                table.rename_column(old.name, new.name)
    return table


def _depth(table: QTable, frame: Frame, arcsec: tuple[float | None, ...], n_arcsec: int) -> tuple[float | None, float | None]:
    """Return the 5-sigma limit in the first arcsec aperture, if a zero point of that aperture is known, and its diameter."""
    if not n_arcsec or arcsec[0] is None:
        return None, None
    matches = frame.zero_point is not None and frame.zero_point_aperture is not None
    if not matches or not math.isclose(frame.zero_point_aperture, arcsec[0], rel_tol=0.01):
        return None, arcsec[0]
    return stars.depth(table["SKYSIG_APER"].value, zero_point=frame.zero_point), arcsec[0]
