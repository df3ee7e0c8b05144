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
    mask_type : str
        What stands in for the pixels of neighbours: ``CORRECT`` their mirror images through the source, ``BLANK`` zero, ``NONE`` they stay.
    seeing_fwhm : float, optional
        FWHM of the stars in pixels, for CLASS_STAR; None: the frame's own stars tell.
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
    seeing_fwhm: float | None = None

    def __post_init__(self) -> None:
        for name in ("detect_thresh", "analysis_thresh", "clean_param"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value > 0):
                raise InputError(f"{name}: must be positive and finite, found {value}")
        for name in ("detect_minarea", "deblend_nthresh"):
            if getattr(self, name) < 1:
                raise InputError(f"{name}: must be at least 1, found {getattr(self, name)}")
        for name, top in (("deblend_mincont", 1.0), ("phot_fluxfrac", 1.0)):
            if not 0 <= getattr(self, name) <= top:
                raise InputError(f"{name}: must lie between 0 and {top:g}, found {getattr(self, name)}")
        if any(not (np.isfinite(diameter) and diameter > 0) for diameter in self.phot_apertures):
            raise InputError(f"phot_apertures: must be positive and finite (pixels), found {self.phot_apertures}")
        if len(self.phot_autoparams) != 2 or min(self.phot_autoparams) <= 0:
            raise InputError(f"phot_autoparams: must be two positive numbers, found {self.phot_autoparams}")
        if self.gain is not None and not self.gain >= 0:
            raise InputError(f"gain: must not be negative, found {self.gain}")

    @classmethod
    def from_sex_params(cls, parameters: Mapping[str, Any], base: SexOptions | None = None) -> SexOptions:
        """Make options of SExtractor keywords in any case, such as ``{"DETECT_THRESH": 3, "FILTER": "N"}``.

        Parameters
        ----------
        parameters : mapping
            Keywords; it is not changed. ``PHOT_APERTURES`` and ``PHOT_AUTOPARAMS`` may be comma lists.
        base : SexOptions, optional
            What holds where no keyword is given.

        Raises
        ------
        UnknownNameError
            If a keyword is not one of these options.
        InputError
            If a value is out of range.
        """
        base = cls() if base is None else base
        known = {item.name: item for item in fields(cls)}
        values = {name: getattr(base, name) for name in known}
        for keyword, value in parameters.items():
            name = keyword.lower()
            if name not in known:
                raise UnknownNameError("sex_params keyword", keyword, [item.upper() for item in known])
            values[name] = _from_keyword(keyword, value, str(known[name].type))
        return cls(**values)


def _from_keyword(keyword: str, value: Any, annotation: str) -> Any:
    try:
        if annotation.startswith("tuple"):
            parts = value.split(",") if isinstance(value, str) else np.atleast_1d(value)
            return tuple(float(part) for part in parts)
        if annotation == "bool":
            return value.strip().upper() in {"Y", "YES", "TRUE"} if isinstance(value, str) else bool(value)
        if annotation == "int":
            return int(value)
        return None if value is None else float(value)
    except (TypeError, ValueError) as err:
        raise InputError(f"sex_params {keyword}={value!r}: must be {annotation}") from err
