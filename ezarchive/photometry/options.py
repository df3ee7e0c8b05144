"""The parameters of detection and measurement, with SExtractor's meaning."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ezarchive.errors import InputError, UnknownNameError


@dataclass(frozen=True, kw_only=True)
class SexOptions:
    """Parameters of `sex`: SExtractor's, in small letters.

    Attributes
    ----------
    detect_thresh : float
        Threshold of detection in units of the noise: of the global noise when a number is given, of the map at each pixel when a map
        is (SExtractor's THRESH_TYPE RELATIVE).
    analysis_thresh : float, optional
        Threshold of the isophotal area and of the FWHM; `detect_thresh` by default.
    detect_minarea : int
        Least number of pixels above the threshold.
    filter : bool
        Whether detection works on the image smoothed with the 3 x 3 pyramid.
    deblend_nthresh : int
        Number of thresholds of deblending.
    deblend_mincont : float
        Least share of the flux that makes a branch a source of its own; 1 switches deblending off.
    clean : bool
        Whether detections in the wings of brighter ones are dropped.
    clean_param : float
        Efficiency of that.
    phot_apertures : tuple of float
        Diameters of the circular apertures, pixels, in the order of their suffixes.
    phot_autoparams : tuple of two floats
        Factor and least value of the Kron radius.
    phot_fluxfrac : float
        Share of FLUX_AUTO that FLUX_RADIUS holds.
    satur_level : float, optional
        Level from which pixels are saturated, stored unit, background included; None: no pixel is.
    gain : float, optional
        Electrons per stored unit; None: unknown (flagged), 0: no photon noise.
    mask_type : {"CORRECT", "BLANK", "NONE"}
        What stands in for the pixels of neighbours, and for pixels without a value: their mirror images through the source, zero, or (for
        neighbours) nothing: they stay.
    thresh_type : {"RELATIVE", "ABSOLUTE"}
        Whether the two thresholds are in units of the noise, or in the unit of the pixels.
    seeing_fwhm : float, optional
        FWHM of the stars in pixels (SExtractor's is in arcsec), for CLASS_STAR; None: the frame's own stars tell.
    """

    detect_thresh: float = 1.5
    analysis_thresh: float | None = None
    detect_minarea: int = 5
    filter: bool = True
    deblend_nthresh: int = 32
    deblend_mincont: float = 0.005
    clean: bool = True
    clean_param: float = 1.0
    phot_apertures: tuple[float, ...] = (5.0,)
    phot_autoparams: tuple[float, float] = (2.5, 3.5)
    phot_fluxfrac: float = 0.5
    satur_level: float | None = None
    gain: float | None = None
    mask_type: str = "CORRECT"
    thresh_type: str = "RELATIVE"
    seeing_fwhm: float | None = None

    def __post_init__(self) -> None:
        for name in ("detect_thresh", "analysis_thresh", "clean_param", "seeing_fwhm"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise InputError(f"{name}: must be positive and finite, found {value}")
        for name in ("detect_minarea", "deblend_nthresh"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: must be at least 1, found {getattr(self, name)}")
        for name, top in (("deblend_mincont", 1.0), ("phot_fluxfrac", 1.0)):
            if not 0 <= getattr(self, name) <= top:
                raise InputError(f"{name}: must lie between 0 and {top:g}, found {getattr(self, name)}")
        _check_choices(self)
        if any(not (np.isfinite(diameter) and diameter > 0) for diameter in self.phot_apertures):
            raise InputError(f"phot_apertures: must be positive and finite (pixels), found {self.phot_apertures}")
        if len(self.phot_autoparams) != 2 or not all(np.isfinite(v) and v > 0 for v in self.phot_autoparams):
            raise InputError(f"phot_autoparams: must be two positive numbers, found {self.phot_autoparams}")
        if self.gain is not None and not self.gain >= 0:
            raise InputError(f"gain: must not be negative, found {self.gain}")
        if self.satur_level is not None and np.isnan(self.satur_level):
            raise InputError("satur_level: must be a number or None, found nan")

    @property
    def analysis(self) -> float:
        """Threshold of the isophotal area and of the FWHM: that of detection where none is given."""
        return self.detect_thresh if self.analysis_thresh is None else self.analysis_thresh

    @classmethod
    def from_sex_params(cls, parameters: Mapping[str, Any], base: SexOptions | None = None) -> SexOptions:
        """Make options of SExtractor keywords in any case, such as ``{"DETECT_THRESH": 3, "FILTER": "N"}``.

        Parameters
        ----------
        parameters : mapping
            Keywords; it is not changed. Lists may be strings with commas. ``SEEING_FWHM`` is in arcsec, as in SExtractor, and needs
            ``PIXEL_SCALE``. A keyword that sets what is done anyway (``WEIGHT_TYPE NONE``, ``MAG_ZEROPOINT 0``) may stand.
        base : SexOptions, optional
            What holds where no keyword is given.

        Raises
        ------
        UnknownNameError
            If a keyword is none of SExtractor's.
        InputError
            If a value is out of range, or a keyword asks for what is not supported here: the message says where it belongs.
        """
        base = cls() if base is None else base
        known = {item.name: str(item.type) for item in fields(cls) if item.name != "seeing_fwhm"}
        values = {item.name: getattr(base, item.name) for item in fields(cls)}
        given = {str(keyword).upper(): value for keyword, value in parameters.items()}
        for keyword, value in given.items():
            name = keyword.lower()
            if name in known:
                values[name] = _from_keyword(keyword, value, known[name])
            elif keyword not in ("SEEING_FWHM", "PIXEL_SCALE"):
                _check_other(keyword, value, known)
        if given.get("SEEING_FWHM") is not None:
            values["seeing_fwhm"] = _seeing_in_pixels(given)
        return cls(**values)


MASK_TYPES = ("CORRECT", "BLANK", "NONE")
THRESH_TYPES = ("RELATIVE", "ABSOLUTE")

_FIXED = {
    "DETECT_TYPE": ("CCD",),
    "DETECT_MAXAREA": (0, "0"),
    "FILTER_NAME": ("DEFAULT.CONV",),
    "FILTER_THRESH": ("",),
    "WEIGHT_TYPE": ("NONE",),
    "WEIGHT_GAIN": ("N",),
    "PHOT_AUTOAPERS": ("0.0,0.0", "0,0"),
    "BACK_TYPE": ("AUTO",),
    "BACKPHOTO_TYPE": ("GLOBAL",),
    "MAG_ZEROPOINT": (0, "0", "0.0"),
    "FLAG_TYPE": ("OR",),
    "CHECKIMAGE_TYPE": ("NONE",),
}
"""Keywords that may only say what is done anyway; text in capitals."""

_ELSEWHERE = {
    "BACK_SIZE": "an option of the background (box_size)",
    "BACK_FILTERSIZE": "an option of the background (filter_size)",
    "BACK_VALUE": "given as the argument `background`",
    "BACK_FILTTHRESH": "not supported",
    "BACKPHOTO_THICK": "not supported",
    "MAG_ZEROPOINT": "not supported: magnitudes are instrumental, zero points come from `calibrate`",
    "WEIGHT_TYPE": "given as the argument `noise` (`target_bkgrms`), a number or a map of the r.m.s.",
    "WEIGHT_IMAGE": "given as the argument `noise` (`target_bkgrms`)",
    "WEIGHT_THRESH": "given as NaN in the argument `noise` (`target_bkgrms`)",
    "FLAG_IMAGE": "given as the argument `mask`",
    "GAIN_KEY": "read from the header of the frame",
    "SATUR_KEY": "read from the header of the frame",
    "CATALOG_NAME": "an argument of what writes catalogs",
    "CATALOG_TYPE": "an argument of what writes catalogs",
    "PARAMETERS_NAME": "not needed: every column is made",
    "STARNNW_NAME": "not needed: CLASS_STAR has its own method",
    "VERBOSE_TYPE": "an argument of its own (verbose)",
    "NTHREADS": "an argument of its own (workers)",
}
_OTHERS = (
    "ASSOC_DATA", "ASSOC_NAME", "ASSOC_PARAMS", "ASSOC_RADIUS", "ASSOC_TYPE", "ASSOCCOORD_TYPE", "ASSOCSELEC_TYPE", "CHECKIMAGE_NAME",
    "FITS_UNSIGNED", "INTERP_MAXXLAG", "INTERP_MAXYLAG", "INTERP_TYPE", "MAG_GAMMA", "MEMORY_BUFSIZE", "MEMORY_OBJSTACK",
    "MEMORY_PIXSTACK", "PATTERN_TYPE", "PHOT_PETROPARAMS", "PSF_NAME", "PSF_NMAX", "PSFDISPLAY_TYPE", "SOM_NAME", "HEADER_SUFFIX",
    "WRITE_XML", "XML_NAME", "XSL_URL",
)  # fmt: skip


def _check_choices(options: SexOptions) -> None:
    for name, choices in (("mask_type", MASK_TYPES), ("thresh_type", THRESH_TYPES)):
        if getattr(options, name) not in choices:
            raise InputError(f"{name}: must be one of {', '.join(choices)}, found {getattr(options, name)!r}")


def _check_other(keyword: str, value: Any, known: Mapping[str, str]) -> None:
    """Refuse a keyword that is no option, unless it says what is done anyway."""
    text = value.strip().upper().rpartition("/")[2] if isinstance(value, str) else value
    allowed = _FIXED.get(keyword, ())
    if text in allowed:
        return
    if keyword in _ELSEWHERE:
        raise InputError(f"sex_params {keyword}={value!r}: is {_ELSEWHERE[keyword]}")
    if keyword in _FIXED or keyword in _OTHERS:
        wanted = f"; only {allowed[0]!r} is" if allowed else ""
        raise InputError(f"sex_params {keyword}={value!r}: is not supported{wanted}")
    raise UnknownNameError("sex_params keyword", keyword, [name.upper() for name in known] + ["SEEING_FWHM", "PIXEL_SCALE", *_ELSEWHERE])


def _seeing_in_pixels(given: Mapping[str, Any]) -> float:
    scale = _from_keyword("PIXEL_SCALE", given.get("PIXEL_SCALE"), "float")
    seeing = _from_keyword("SEEING_FWHM", given["SEEING_FWHM"], "float")
    if scale is None or not scale > 0:
        raise InputError(f"sex_params SEEING_FWHM={seeing:g} (arcsec): needs PIXEL_SCALE, arcsec per pixel, found {scale}")
    return seeing / scale


def _from_keyword(keyword: str, value: Any, annotation: str) -> Any:
    try:
        if annotation.startswith("tuple"):
            parts = value.split(",") if isinstance(value, str) else np.atleast_1d(value)
            return tuple(float(part) for part in parts)
        if annotation == "bool":
            return _truth(value)
        if annotation == "str":
            return str(value).strip().upper()
        if annotation == "int":
            if float(value) != int(float(value)):
                raise ValueError("a fraction")
            return int(float(value))
        return None if value is None else float(value)
    except (TypeError, ValueError) as err:
        raise InputError(f"sex_params {keyword}={value!r}: must be {annotation}") from err


def _truth(value: Any) -> bool:
    text = str(value).strip().upper()
    if text in ("Y", "YES", "TRUE", "T", "1"):
        return True
    if text in ("N", "NO", "FALSE", "F", "0"):
        return False
    raise ValueError("neither yes nor no")
