"""Telescopes, filters and the WCS of simulated frames."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from numpy.typing import NDArray

from ezarchive.errors import InputError

OBSERVATORY, TELKEY, CAMERA = "7DT", "7DT_C361K_HIGH_1x1", "C361K"
LONGITUDE, LATITUDE, ELEVATION = -70.763, -30.4725, 1550.0
"""Where the simulated observatory stands: degrees east and north, metres."""
PIXEL_SCALE = 0.505
"""Arcsec per pixel."""
_BROAD = {"u": 355.0, "g": 475.0, "r": 625.0, "i": 770.0, "z": 890.0}


@dataclass(frozen=True)
class Telescope:
    """One telescope and its camera.

    ``rotation`` in degrees, counter-clockwise on the frame from the y axis to north; ``mirrored``: east to the right when north is up;
    ``distortion``: shift at the corners of the frame, pixels, written as SIP; ``gain`` in electrons per ADU; ``read_noise`` in
    electrons; ``dark`` in electrons per second; ``saturation`` in ADU.
    """

    name: str
    rotation: float = 0.0
    mirrored: bool = False
    distortion: float = 0.0
    gain: float = 0.2561
    read_noise: float = 6.0
    dark: float = 0.01
    saturation: float = 60000.0

    def exposure_fields(self, exptime: float, n: int = 1) -> dict[str, Any]:
        """Return what an `Exposure` takes from its camera; of a sum of ``n`` frames, ``exptime`` is the whole."""
        names = ("rotation", "mirrored", "distortion", "gain", "read_noise")
        fields = {name: getattr(self, name) for name in names}
        return {"telname": self.name, **fields, "saturation": self.saturation * n, "dark": self.dark * exptime / self.gain}


TELESCOPES = (
    Telescope("7DT01"),
    Telescope("7DT02", rotation=33.7, distortion=2.0, gain=0.2581),
    Telescope("7DT14", mirrored=True, distortion=1.5, gain=0.2549),
)
"""A plain one, a rotated one with SIP, and a mirrored one with SIP."""


@dataclass(frozen=True)
class Band:
    """A filter: wavelength in nm, zero point for the total flux of an exposure of 100 s (AB), sky in ADU per pixel in 100 s."""

    wavelength: float
    zero_point: float
    sky: float


def telescope(value: str | Telescope) -> Telescope:
    """Return a telescope by its name; a name that is not in `TELESCOPES` gives a plain one."""
    if isinstance(value, Telescope):
        return value
    return next((known for known in TELESCOPES if known.name == value), Telescope(value))


def band(name: str) -> Band:
    """Return a filter: u, g, r, i, z or a medium band by its wavelength, as ``m600``.

    Raises
    ------
    InputError
        If the name is none of these.
    """
    if name in _BROAD:
        return Band(_BROAD[name], 27.4 - 0.0016 * abs(_BROAD[name] - 560), 1100.0)
    if re.fullmatch(r"m\d{3}", name):
        wavelength = float(name[1:])
        return Band(wavelength, 26.35 - 0.0016 * abs(wavelength - 560), 400.0)
    raise InputError(f"filter {name!r}: must be one of {', '.join(_BROAD)} or a medium band by its wavelength in nm, as m600")


def wcs_header(shape: tuple[int, int], centre: tuple[float, float], camera: Telescope, pixel_scale: float) -> fits.Header:
    """Return the WCS cards of a frame: TAN, with SIP where the camera distorts.

    Parameters
    ----------
    shape : (int, int)
        Rows and columns.
    centre : (float, float)
        ICRS degrees of the centre of the frame.
    camera : Telescope
        Its rotation, parity and distortion.
    pixel_scale : float
        Arcsec per pixel.
    """
    ny, nx = shape
    scale, cos, sin = pixel_scale / 3600, np.cos(np.radians(camera.rotation)), np.sin(np.radians(camera.rotation))
    parity = 1 if camera.mirrored else -1
    suffix = "-SIP" if camera.distortion else ""
    header = fits.Header()
    header["WCSAXES"] = 2
    header["RADESYS"] = "ICRS"
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN" + suffix, "DEC--TAN" + suffix
    header["CUNIT1"], header["CUNIT2"] = "deg", "deg"
    header["CRPIX1"], header["CRPIX2"] = (nx + 1) / 2, (ny + 1) / 2
    header["CRVAL1"], header["CRVAL2"] = float(centre[0]) % 360, float(centre[1])
    header["CD1_1"], header["CD1_2"] = float(parity * scale * cos), float(-scale * sin)
    header["CD2_1"], header["CD2_2"] = float(parity * scale * sin), float(scale * cos)
    if camera.distortion:
        header.update(_sip(camera.distortion, np.hypot(nx, ny) / 2))
    return header


def _sip(shift: float, corner: float) -> dict[str, float]:
    """SIP cards whose second-order terms shift a corner by about ``shift`` pixels, the third-order ones by a third of it."""
    second, third = shift / corner**2, shift / 3 / corner**3
    return {
        "A_ORDER": 3, "A_2_0": 0.8 * second, "A_0_2": 0.3 * second, "A_1_1": -0.5 * second, "A_3_0": third, "A_1_2": third,
        "B_ORDER": 3, "B_2_0": -0.4 * second, "B_0_2": 0.7 * second, "B_1_1": 0.4 * second, "B_0_3": third, "B_2_1": third,
    }  # fmt: skip


def to_pixels(wcs: WCS, ra: NDArray, dec: NDArray) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return 0-based pixel positions, distortion included, to 1e-6 pixel."""
    x, y = wcs.all_world2pix(ra, dec, 0, tolerance=1e-7)
    return x, y


def sky_to_pixel_matrix(wcs: WCS, ra: NDArray, dec: NDArray) -> NDArray[np.float64]:
    """Return d(x, y) / d(east, north), pixels per arcsec, at positions; shape (n, 2, 2)."""
    step = 0.5 / 3600
    east = to_pixels(wcs, ra + step / np.cos(np.radians(dec)), dec), to_pixels(wcs, ra - step / np.cos(np.radians(dec)), dec)
    north = to_pixels(wcs, ra, dec + step), to_pixels(wcs, ra, dec - step)
    columns = [np.stack([plus[0] - minus[0], plus[1] - minus[1]], axis=-1) for plus, minus in (east, north)]
    return np.stack(columns, axis=-1)


def altitude_azimuth(mjd: float, ra: float, dec: float) -> tuple[float, float]:
    """Return altitude and azimuth (north through east), degrees, to about 0.1 degree: mean sidereal time, no refraction."""
    sidereal = 280.46061837 + 360.98564736629 * (mjd - 51544.5) + LONGITUDE
    hour, dec, lat = np.radians(sidereal - ra), np.radians(dec), np.radians(LATITUDE)
    altitude = np.arcsin(np.sin(lat) * np.sin(dec) + np.cos(lat) * np.cos(dec) * np.cos(hour))
    azimuth = np.arctan2(-np.cos(dec) * np.sin(hour), np.sin(dec) * np.cos(lat) - np.cos(dec) * np.cos(hour) * np.sin(lat))
    return float(np.degrees(altitude)), float(np.degrees(azimuth)) % 360
