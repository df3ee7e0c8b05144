"""Measure one frame: pixels -> background -> photometry -> a Parquet catalog that names its frame."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import QTable

from ezarchive import columns
from ezarchive.catalogs import parquet
from ezarchive.errors import CatalogError, InputError, MeasurementError, UnknownNameError
from ezarchive.frames.record import Frame
from ezarchive.images import background
from ezarchive.images.image import Image
from ezarchive.photometry import detection, stars

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
    minarea : int
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
    minarea: int = 5
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
        """The apertures in the order of their suffixes: diameter and unit (``arcsec``, ``seeing`` or ``pixel``)."""
        families = (
            ("arcsec", self.aperture_diameter_arcsec),
            ("seeing", self.aperture_diameter_seeing),
            ("pixel", self.aperture_diameter_pixel),
        )
        listed = [(unit, diameter) for unit, family in families for diameter in family]
        return [{"index": index, "diameter": diameter, "unit": unit} for index, (unit, diameter) in enumerate(listed)]


def _converted(name: str, value: Any, annotation: str) -> Any:
    if annotation.startswith("tuple"):
        items = () if value is None else (value,) if isinstance(value, (int, float)) else tuple(value)
        return tuple(_positive(name, item) for item in items)
    if value is None and "None" in annotation:
        return None
    if annotation == "bool":
        if not isinstance(value, (bool, np.bool_)):
            raise InputError(f"{name}={value!r}: must be True or False")
        return bool(value)
    if annotation == "int":
        if isinstance(value, bool) or int(value) != value or value < 1:
            raise InputError(f"{name}={value!r}: must be a whole number of at least 1")
        return int(value)
    return _positive(name, value, zero=name in {"gain", "deblend_mincont"})


def _positive(name: str, value: Any, *, zero: bool = False) -> float:
    try:
        number = float(value)
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
