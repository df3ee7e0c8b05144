"""`Exposure`: every number that one simulated frame is made from, and its header."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.simulate.optics import CAMERA, ELEVATION, LATITUDE, LONGITUDE, OBSERVATORY, PIXEL_SCALE, Telescope, wcs_header
from ezarchive.simulate.profiles import Shape, Window, aperture_fraction, moffat

ZP_APERTURE = 5.0
"""Diameter in arcsec of the aperture that ``ZP`` and ``DEPTH`` are for."""
DROPPABLE = ("SEEING", "DEPTH", "ZP", "SATURATE", "AIRMASS", "EGAIN", "FILTER", "OBJECT")
"""Cards that some frames lack."""
_WITH = {"DEPTH": ("DEPTHAP",), "ZP": ("ZPERR", "ZPAPER", "MAGSYS")}
_UNITS = {
    "exptime": u.s, "mjd_start": u.day, "mjd_mid": u.day, "ra": u.deg, "dec": u.deg, "rotation": u.deg, "theta": u.deg,
    "pixel_scale": u.arcsec / u.pix, "seeing": u.arcsec,
    "sky": u.ct, "sky_sigma": u.ct, "dark": u.ct, "saturation": u.ct, "hot_value": u.ct,
    "total_zero_point": u.mag, "zero_point": u.mag, "depth": u.mag, "gain": u.electron / u.ct, "read_noise": u.electron,
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Exposure:
    """One simulated frame, without its sources.

    Positions are ICRS degrees, sizes arcsec unless named pixels, fluxes and levels ADU of the stored image, times MJD UTC.
    """

    relpath: str = "frame.fits"
    root: str = "scidata"
    objname: str = "T00528"
    telname: str = "7DT01"
    filter: str = "m600"
    mjd_start: float = 60919.15
    exptime: float = 100.0
    ncombine: int = 1
    nx: int = 512
    ny: int = 512
    ra: float = 326.25
    dec: float = -77.26222222222222
    rotation: float = 0.0
    mirrored: bool = False
    distortion: float = 0.0
    pixel_scale: float = PIXEL_SCALE
    seeing: float = 3.0
    """FWHM of the Moffat profile, before pixels: the geometric mean of both axes."""
    ellipticity: float = 0.0
    theta: float = 0.0
    """Direction of the stars' major axis, degrees counter-clockwise from +x."""
    sky: float = 400.0
    """Level of the sky in the middle of the frame."""
    slope_x: float = 0.0
    """Relative rise of the sky from the middle to the right edge; ``slope_y``: to the upper edge."""
    slope_y: float = 0.0
    bowl: float = 0.0
    """Relative rise of the sky from the middle to the middle of an edge, along the square of the distance."""
    total_zero_point: float = 26.3
    """AB magnitude whose total flux is 1 ADU."""
    airmass: float = 1.5
    altitude: float = 41.8
    azimuth: float = 180.0
    gain: float = 0.2561
    read_noise: float = 6.0
    dark: float = 0.0
    """Dark signal in the exposure, ADU; it is subtracted, its noise stays."""
    saturation: float = 60000.0
    hot_x: int = -1
    """Column of the hot pixel; -1: there is none."""
    hot_y: int = -1
    hot_value: float = 0.0
    lacks: str = ""
    """Cards that the header lacks, separated by commas."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.ny, self.nx

    @property
    def window(self) -> Window:
        """The frame as a window."""
        return Window(0, 0, self.nx, self.ny)

    @property
    def mjd_mid(self) -> float:
        """Middle of the exposure, MJD UTC."""
        return self.mjd_start + self.exptime / 2 / 86400

    @cached_property
    def psf(self) -> Shape:
        """Shape of the stars, pixels."""
        return moffat(self.seeing / self.pixel_scale, self.ellipticity, self.theta)

    @cached_property
    def wcs_cards(self) -> fits.Header:
        """The cards of the WCS."""
        camera = Telescope(self.telname, rotation=self.rotation, mirrored=self.mirrored, distortion=self.distortion)
        return wcs_header(self.shape, (self.ra, self.dec), camera, self.pixel_scale)

    @cached_property
    def wcs(self) -> WCS:
        """The WCS that places the sources."""
        return WCS(self.wcs_cards)

    @cached_property
    def zero_point(self) -> float:
        """AB magnitude of a star whose flux in the 5 arcsec aperture is 1 ADU."""
        return self.total_zero_point + 2.5 * float(np.log10(aperture_fraction(self.psf, self.radius(ZP_APERTURE))))

    @property
    def sky_sigma(self) -> float:
        """Noise of the sky per pixel in the middle of the frame, without that of the masters."""
        return float(np.sqrt((self.sky + self.dark) / self.gain + self.ncombine * (self.read_noise / self.gain) ** 2))

    @property
    def depth(self) -> float:
        """Magnitude of a star whose flux in the 5 arcsec aperture is 5 times the noise of the sky there."""
        noise = self.sky_sigma * np.sqrt(np.pi) * self.radius(ZP_APERTURE)
        return self.zero_point - 2.5 * float(np.log10(5 * noise))

    def radius(self, diameter: float) -> float:
        """Return the radius in pixels of an aperture whose diameter is given in arcsec."""
        if not diameter > 0:
            raise InputError(f"diameter {diameter!r}: must be a positive number of arcsec")
        return diameter / 2 / self.pixel_scale

    def background(self, rows: slice = slice(None)) -> NDArray[np.float64]:
        """Return the noise-free sky of some rows, ADU; shape (rows, nx)."""
        x = (np.arange(self.nx) - (self.nx - 1) / 2) / (self.nx / 2)
        y = ((np.arange(self.ny) - (self.ny - 1) / 2) / (self.ny / 2))[rows, None]
        return self.sky * (1 + self.slope_x * x + self.slope_y * y + self.bowl * (x * x + y * y))

    def header(self) -> fits.Header:
        """Return the header of the frame, without the cards that it lacks."""
        header = fits.Header()
        for keyword, value, comment in self._cards():
            header[keyword] = (value, comment)
        header.update(self.wcs_cards)
        for keyword in filter(None, self.lacks.split(",")):
            for name in (keyword, *_WITH.get(keyword, ())):
                header.remove(name, ignore_missing=True)
        return header

    def _cards(self) -> tuple[tuple[str, Any, str], ...]:
        start = iso(self.mjd_start)
        return (
            ("OBSERVAT", OBSERVATORY, "observatory"),
            ("TELESCOP", self.telname, "telescope"),
            ("INSTRUME", CAMERA, "camera"),
            ("OBJECT", self.objname, "target"),
            ("FILTER", self.filter, "filter"),
            ("IMAGETYP", "LIGHT", "kind of exposure"),
            ("DATE-OBS", start, "start of the exposure"),
            ("MJD-OBS", round(self.mjd_start, 8), "[d] start of the exposure, MJD"),
            ("TIMESYS", "UTC", "time system"),
            ("EXPTIME", self.exptime, "[s] exposure time"),
            ("XBINNING", 1, "binning along x"),
            ("YBINNING", 1, "binning along y"),
            ("GAIN", 2750, "camera setting"),
            ("EGAIN", self.gain, "[e-/ADU] gain"),
            ("RDNOISE", round(self.read_noise * self.ncombine**0.5, 3), "[e-] read noise"),
            ("SATURATE", self.saturation, "[ADU] level of saturation"),
            ("CCD-TEMP", -10.0, "[deg C] temperature of the detector"),
            ("BUNIT", "adu", "unit of the pixels"),
            ("NCOMBINE", self.ncombine, "number of frames combined"),
            ("SITELONG", LONGITUDE, "[deg] longitude of the site, east"),
            ("SITELAT", LATITUDE, "[deg] latitude of the site"),
            ("SITEELEV", ELEVATION, "[m] elevation of the site"),
            ("ALTITUDE", round(self.altitude, 4), "[deg] altitude"),
            ("AZIMUTH", round(self.azimuth, 4), "[deg] azimuth"),
            ("AIRMASS", round(self.airmass, 4), "airmass"),
            ("SKYVAL", round(self.sky, 3), "[ADU] level of the sky"),
            ("SKYSIG", round(self.sky_sigma, 3), "[ADU] noise of the sky per pixel"),
            ("SEEING", round(self.seeing, 4), "[arcsec] FWHM of the stars"),
            ("ELLIP", round(self.ellipticity, 4), "ellipticity of the stars"),
            ("DEPTH", round(self.depth, 4), "[mag] 5-sigma limit"),
            ("DEPTHAP", ZP_APERTURE, "[arcsec] diameter of the aperture of DEPTH"),
            ("ZP", round(self.zero_point, 6), "[mag] zero point"),
            ("ZPERR", 0.005, "[mag] error of ZP"),
            ("ZPAPER", ZP_APERTURE, "[arcsec] diameter of the aperture of ZP"),
            ("MAGSYS", "AB", "magnitude system of ZP and DEPTH"),
        )


_FIELDS = tuple(field.name for field in dataclasses.fields(Exposure))
_DERIVED = ("mjd_mid", "zero_point", "sky_sigma", "depth")


def iso(mjd: float) -> str:
    """Return a time as FITS writes it, to the millisecond.

    Examples
    --------
    >>> iso(60919.15)
    '2025-09-01T03:36:00.000'
    """
    return str(np.datetime64("1858-11-17T00:00:00.000") + np.timedelta64(round(mjd * 86_400_000), "ms"))


def to_table(exposures: list[Exposure]) -> QTable:
    """Return exposures as a table with units: the fields of `Exposure`, then what follows from them."""
    table = QTable()
    for name in (*_FIELDS, *_DERIVED):
        values = np.array([getattr(exposure, name) for exposure in exposures])
        table[name] = values * _UNITS[name] if name in _UNITS else values
    return table


def from_row(row: Any) -> Exposure:
    """Return the exposure of one row of `to_table`."""
    values = {}
    for name in _FIELDS:
        value = row[name]
        value = getattr(value, "value", value)
        values[name] = value.item() if hasattr(value, "item") else value
    return Exposure(**{name: str(value) if isinstance(value, str) else value for name, value in values.items()})
