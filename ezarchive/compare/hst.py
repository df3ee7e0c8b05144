"""What one count per second means in a filter of the Hubble Space Telescope: flux density, pivot wavelength and zero point."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any, NamedTuple

from astropy.io import fits

from ezarchive.compare.fluximage import flux_image
from ezarchive.errors import InputError

_AB_CONSTANT = 2.408
_FITS = (".fits", ".fit", ".fts", ".fz", ".gz")


class _Filter(NamedTuple):
    abmag_zero: float
    photplam: float
    photbw: float


FILTERS = {
    "F435W": _Filter(25.68, 4328.2, 298.2),
    "F475W": _Filter(26.06, 4746.9, 420.2),
    "F555W": _Filter(25.72, 5361.0, 360.1),
    "F606W": _Filter(26.51, 5921.1, 672.3),
    "F625W": _Filter(25.91, 6311.4, 415.4),
    "F775W": _Filter(25.69, 7692.4, 434.4),
    "F814W": _Filter(25.94, 8057.0, 652.0),
    "F850LP": _Filter(24.87, 9033.1, 525.7),
}
"""Wide filters of ACS/WFC: zero points of the Extreme Deep Field (Illingworth et al. 2013, ApJS 209, 6), and of the ACS zero point
calculator for 2012-01-01 (F475W, F555W, F625W)."""


class HstFilterInfo:
    """What is known of the filter of an image of the Hubble Space Telescope.

    Parameters
    ----------
    hst : str, path, Header, FluxImage, Image or NDData
        The name of a filter, or an image: then PHOTFLAM and PHOTPLAM of its headers come first, and what they do not tell is that of the
        filter which they name (FILTER; FILTER1, FILTER2 unless CLEAR...; FILTNAM1, FILTNAM2 of WFPC2).

    Attributes
    ----------
    filter_name : str or None
        In capitals; None where PHOTFLAM and PHOTPLAM are known and the filter is not.
    abmag_zero : float
        AB magnitude of one electron per second.
    photflam : float
        erg/s/cm2/Angstrom that give one electron per second.
    photplam : float
        Pivot wavelength, Angstrom.
    photbw : float
        Root mean square width of the band, Angstrom; NaN where it is not known.

    Raises
    ------
    InputError
        If neither the headers nor the table tell of the filter, or a header's number is not positive.

    Notes
    -----
    photflam = 10^(-abmag_zero / 2.5 - 2 log10(photplam) - 0.9632), calculated, and its inverse (ACS Data Handbook, section 5.1).

    Examples
    --------
    >>> info = HstFilterInfo("f606w")
    >>> print(info.filter_name, f"{info.photflam:.4g} {info.photplam:g}")
    F606W 7.727e-20 5921.1
    """

    def __init__(self, hst: Any) -> None:
        headers, label = _headers(hst)
        self.filter_name = str(hst).strip().upper() if headers is None else _filter_of(headers)
        known = FILTERS.get(self.filter_name)
        flam, plam, width = (_positive(headers or (), keyword, label) for keyword in ("PHOTFLAM", "PHOTPLAM", "PHOTBW"))
        if known is None and (flam is None or plam is None):
            raise InputError(f"{label}: {_missing(self.filter_name, headers is None)}; known are {', '.join(FILTERS)}")
        self.photplam = known.photplam if plam is None else plam
        self.photflam = _photflam(known.abmag_zero, known.photplam) if flam is None else flam
        self.abmag_zero = -2.5 * math.log10(self.photflam) - 5 * math.log10(self.photplam) - _AB_CONSTANT
        if width is None:
            width = math.nan if known is None else known.photbw
        self.photbw = width

    def __repr__(self) -> str:
        return (
            f"HstFilterInfo({self.filter_name}: abmag_zero={self.abmag_zero:.4f}, photflam={self.photflam:.5g}, "
            f"photplam={self.photplam:g}, photbw={self.photbw:g})"
        )


def filter_name(hst: Any) -> str | None:
    """Return the name of the filter that an image's headers tell of, in capitals and of any telescope; None where they tell of none."""
    headers, _ = _headers(hst)
    return str(hst).strip().upper() if headers is None else _filter_of(headers)


def _photflam(abmag_zero: float, photplam: float) -> float:
    return 10 ** (-(abmag_zero + _AB_CONSTANT) / 2.5) / photplam**2


def _headers(hst: Any) -> tuple[tuple[fits.Header, ...] | None, str]:
    """Return the headers of an image, its own first, and its name; None for the name of a filter."""
    if isinstance(hst, str) and not (os.sep in hst or hst.lower().endswith(_FITS)):
        return None, f"hst {hst!r}"
    if isinstance(hst, fits.Header):
        return (hst,), "hst"
    image = flux_image(Path(hst) if isinstance(hst, str) else hst, "hst")
    return (image.header, image.primary), f"hst {image.name}"


def _filter_of(headers: tuple[fits.Header, ...]) -> str | None:
    """Return the first filter that is named in words; wheels that were left clear, and numbers of WFPC2's filters, name none."""
    for keyword in ("FILTER", "FILTNAM1", "FILTNAM2", "FILTER1", "FILTER2"):
        for header in headers:
            value = header.get(keyword)
            if isinstance(value, str) and value.strip() and not value.strip().upper().startswith("CLEAR"):
                return value.strip().upper()
    return None


def _positive(headers: tuple[fits.Header, ...], keyword: str, label: str) -> float | None:
    """Return a positive number of the headers; None where they have none or 0, which stands for unknown."""
    value = next((header[keyword] for header in headers if keyword in header), None)
    if value is None or value == 0 or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise InputError(f"{label}: {keyword} must be a positive number, found {value!r}")
    return float(value)


def _missing(filter_name: str | None, by_name: bool) -> str:
    if by_name:
        return f"must be the name of a filter, found {filter_name}"
    if filter_name is None:
        return "must tell its filter (FILTER, FILTER1 or FILTER2) or PHOTFLAM and PHOTPLAM, found neither"
    return f"must have PHOTFLAM and PHOTPLAM, or a known filter, found {filter_name}"
