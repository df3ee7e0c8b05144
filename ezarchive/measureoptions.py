"""What to measure on a frame and how: the options of `Archive.measure`, and what they mean to the engines."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

import numpy as np
from astropy.table import QTable

from ezarchive.columns import annulus, aperture
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.photometry.options import SexOptions

METHODS = ("sex", "photutils")
"""Methods that detect sources."""

MASK_TYPES = ("CORRECT", "BLANK", "NONE")

_KEYWORDS = {
    "DETECT_THRESH": "detection_sigma",
    "ANALYSIS_THRESH": "analysis_sigma",
    "DETECT_MINAREA": "detect_minarea",
    "FILTER": "convolve",
    "DEBLEND_NTHRESH": "deblend_nthresh",
    "DEBLEND_MINCONT": "deblend_mincont",
    "CLEAN": "clean",
    "CLEAN_PARAM": "clean_param",
    "SATUR_LEVEL": "saturation_level",
    "GAIN": "gain",
    "SEEING_FWHM": "seeing",
    "PIXEL_SCALE": "pixel_scale",
    "BACK_SIZE": "box_size",
    "BACK_FILTERSIZE": "filter_size",
    "MASK_TYPE": "mask_type",
}
_DEFAULTS = {"photutils": {"detection_sigma": 1.5}}


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
    mask_type : {"CORRECT", "BLANK", "NONE"}
        What stands in for the pixels of neighbours [MASK_TYPE].
    calc_accurate_fwhm : bool
        For the method ``photutils``: the FWHM of the profile, not of the Gaussian of equal moments.
    pixel_scale : float, optional
        Arcsec per pixel of a frame without WCS [PIXEL_SCALE].
    sex_params : mapping
        SExtractor's own keywords, in any case; they win over the options above (PHOT_APERTURES adds to the apertures in pixels). An
        unknown or unsupported one is an error.
    maps : bool
        Whether to keep the mesh of the background and its noise (a few kB), as forced photometry uses them. No part of a recipe.
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
    mask_type: str = "CORRECT"
    calc_accurate_fwhm: bool = True
    pixel_scale: float | None = None
    sex_params: Mapping[str, Any] = field(default_factory=dict)
    maps: bool = True

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any], method: str = "sex") -> MeasureOptions:
        """Make options of loose arguments: scalars for lists, None for an empty list.

        Parameters
        ----------
        arguments : mapping
            By name; what is not given has its default.
        method : str
            Which of `METHODS`: ``photutils`` detects from 1.5 sigma unless told otherwise.

        Raises
        ------
        UnknownNameError
            If there is no option of a name; the near misses are named.
        InputError
            If a value is of the wrong type or out of range.
        """
        known = {item.name: item for item in fields(cls)}
        values: dict[str, Any] = dict(_DEFAULTS.get(method, {}))
        for name, value in arguments.items():
            if name not in known:
                raise UnknownNameError("option", name, known)
            values[name] = value if name == "sex_params" else as_option(name, value, str(known[name].type))
        _take_keywords(values)
        made = cls(**values)
        made.sex_options(())  # a wrong value is told before any work
        return made

    def sex_options(
        self,
        diameters: Sequence[float],
        *,
        saturation: float | None = None,
        gain: float | None = None,
        seeing: float | None = None,
    ) -> SexOptions:
        """Return what the detection of SExtractor's kind is told.

        Parameters
        ----------
        diameters : sequence of float
            Of the apertures, pixels.
        saturation : float, optional
            Level in the stored unit.
        gain : float, optional
            Electrons per stored unit.
        seeing : float, optional
            FWHM of the stars, pixels.
        """
        made = SexOptions(
            detect_thresh=self.detection_sigma,
            analysis_thresh=self.analysis_sigma,
            detect_minarea=self.detect_minarea,
            filter=self.convolve,
            deblend_nthresh=self.deblend_nthresh,
            deblend_mincont=self.deblend_mincont,
            clean=self.clean,
            clean_param=self.clean_param,
            phot_apertures=tuple(diameters),
            phot_autoparams=(self.kron_factor, self.kron_minimum_radius),
            satur_level=saturation,
            gain=gain,
            mask_type=self.mask_type,
            seeing_fwhm=seeing,
        )
        return SexOptions.from_sex_params(self.sex_params, made)

    def parameters(self) -> dict[str, Any]:
        """Every parameter as plain values: what a recipe records."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items() if name != "maps"}

    def apertures(self) -> list[dict[str, Any]]:
        """Return the apertures in the order of their suffixes: diameter and unit (``arcsec``, ``seeing`` or ``pixel``)."""
        return aperture_list(self)


class Apertures(Protocol):
    """Options that name circles."""

    aperture_diameter_arcsec: tuple[float, ...]
    aperture_diameter_seeing: tuple[float, ...]
    aperture_diameter_pixel: tuple[float, ...]


def aperture_list(options: Apertures) -> list[dict[str, Any]]:
    """Return the circles in the order of their suffixes: index, diameter and unit (``arcsec``, ``seeing`` or ``pixel``)."""
    families = (
        ("arcsec", options.aperture_diameter_arcsec),
        ("seeing", options.aperture_diameter_seeing),
        ("pixel", options.aperture_diameter_pixel),
    )
    listed = [(unit, diameter) for unit, family in families for diameter in family]
    return [{"index": index, "diameter": diameter, "unit": unit} for index, (unit, diameter) in enumerate(listed)]


def diameters_in_pixels(options: Apertures, scale: float | None, seeing: float | None) -> tuple[float | None, ...]:
    """Return the diameters in pixels in the order of their numbers; None for those that cannot be had.

    Parameters
    ----------
    options : Apertures
    scale : float or None
        Arcsec per pixel.
    seeing : float or None
        FWHM of the stars, arcsec.
    """
    arcsec = [None if scale is None else diameter / scale for diameter in options.aperture_diameter_arcsec]
    by_seeing = [None if scale is None or seeing is None else d * seeing / scale for d in options.aperture_diameter_seeing]
    return (*arcsec, *by_seeing, *options.aperture_diameter_pixel)


def with_numbers(table: QTable, numbers: Sequence[int]) -> QTable:
    """Give every circle of a table the suffix of its number among all that were asked for (in place).

    Parameters
    ----------
    table : QTable
        With circles 0, 1, 2 ...
    numbers : sequence of int
        Their numbers, rising.
    """
    # From the last on: a suffix only grows, so none is overwritten.
    for place, number in reversed(list(enumerate(numbers))):
        if place == number:
            continue
        for family in (aperture, annulus):
            for old, new in zip(family(place), family(number), strict=True):
                if old.name in table.colnames:
                    table.rename_column(old.name, new.name)
    return table


def _take_keywords(values: dict[str, Any]) -> None:
    """Turn SExtractor's keywords that are options of ours into these (in place); the others stay for the detection."""
    given = values.get("sex_params")
    if given is None:
        given = {}
    if not isinstance(given, Mapping) or any(not isinstance(keyword, str) for keyword in given):
        raise InputError(f"sex_params={given!r}: must be a mapping of SExtractor's keywords to values")
    rest: dict[str, Any] = {}
    kinds = {item.name: str(item.type) for item in fields(MeasureOptions)}
    for keyword, value in sorted((keyword.upper(), value) for keyword, value in given.items()):
        if keyword in _KEYWORDS:
            name = _KEYWORDS[keyword]
            values[name] = as_option(name, _from_text(value, kinds[name]), kinds[name], f"sex_params {keyword}")
        elif keyword == "PHOT_AUTOPARAMS":
            pair = as_option("", _from_text(value, "tuple"), "tuple", "sex_params PHOT_AUTOPARAMS")
            if len(pair) != 2:
                raise InputError(f"sex_params PHOT_AUTOPARAMS={value!r}: must be two numbers: factor and least radius")
            values["kron_factor"], values["kron_minimum_radius"] = pair
        elif keyword == "PHOT_APERTURES":
            added = as_option("", _from_text(value, "tuple"), "tuple", "sex_params PHOT_APERTURES")
            values["aperture_diameter_pixel"] = (*values.get("aperture_diameter_pixel", ()), *added)
        else:
            rest[keyword] = list(value) if isinstance(value, (tuple, np.ndarray)) else value
    values["sex_params"] = rest


def _from_text(value: Any, kind: str) -> Any:
    """Return the value that a text of SExtractor's configuration stands for."""
    if not isinstance(value, str):
        return value
    text = value.strip()
    if kind == "bool":
        return {"Y": True, "YES": True, "N": False, "NO": False}.get(text.upper(), value)
    if kind.startswith("str"):
        return text
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        return value
    return numbers if kind.startswith("tuple") or len(numbers) > 1 else numbers[0]


def as_option(name: str, value: Any, annotation: str, shown: str | None = None) -> Any:
    """Return a value as the field of an option wants it; ``shown`` is the name in messages.

    Raises
    ------
    InputError
        If it is of the wrong type or out of range.
    """
    shown = shown or name
    if annotation.startswith("tuple"):
        if isinstance(value, str):
            raise InputError(f"{shown}={value!r}: must be a number or a list of numbers")
        items = () if value is None else (value,) if np.ndim(value) == 0 else tuple(value)
        return tuple(_positive(shown, item) for item in items)
    if annotation == "str":
        if not isinstance(value, str) or value.upper() not in MASK_TYPES:
            raise InputError(f"{shown}={value!r}: must be one of {', '.join(MASK_TYPES)}")
        return value.upper()
    if value is None and "None" in annotation:
        return None
    if annotation == "bool":
        if not isinstance(value, (bool, np.bool_)):
            raise InputError(f"{shown}={value!r}: must be True or False")
        return bool(value)
    if annotation == "int":
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)) or value % 1 or value < 1:
            raise InputError(f"{shown}={value!r}: must be a whole number of at least 1")
        return int(value)
    return _positive(shown, value, zero=name in {"gain", "deblend_mincont"})


def _positive(name: str, value: Any, *, zero: bool = False) -> float:
    try:
        number = math.nan if isinstance(value, (bool, np.bool_)) else float(value)
    except (TypeError, ValueError) as err:
        raise InputError(f"{name}={value!r}: must be a number") from err
    if not math.isfinite(number) or number < 0 or (number == 0 and not zero):
        raise InputError(f"{name}={value!r}: must be finite and {'not negative' if zero else 'positive'}")
    return number
