"""From a sky and an `Exposure` to pixels, and the truth of every source on them."""

from __future__ import annotations

from typing import NamedTuple

import astropy.units as u
import numpy as np
from astropy.table import QTable
from numpy.typing import NDArray

from ezarchive.errors import InputError
from ezarchive.magnitudes import mag_to_flux
from ezarchive.simulate.exposure import ZP_APERTURE, Exposure
from ezarchive.simulate.field import magnitudes
from ezarchive.simulate.optics import sky_to_pixel_matrix, to_pixels
from ezarchive.simulate.profiles import (
    BETA,
    Shape,
    Window,
    circle_overlap,
    galaxy_pixels,
    moffat_pixels,
    moffat_reach,
    scale_length,
    window_around,
)
from ezarchive.sky import separation

ISOLATION_APERTURE = 10.0
"""Diameter in arcsec of the aperture that must hold no other light for a source to be isolated."""
ISOLATION = 0.1
"""How much other light may lie there, in units of the noise of the aperture."""
MARGIN = 64
"""Sources whose centre lies this many pixels off the frame still shed light on it."""
_FAINTEST = 0.3
_LOST = 1e-3
_BLOCK = 256


class Masters(NamedTuple):
    """Calibration frames of one telescope and filter, ADU; ``flat`` and ``response`` are relative.

    ``bias``, ``dark`` and ``flat`` are the measured ones with their noise, ``bias_level``, ``dark_level`` and ``response`` the truth.
    """

    bias: NDArray
    dark: NDArray
    flat: NDArray
    bias_level: float
    dark_level: float
    response: NDArray


def place(stars: QTable, exposure: Exposure) -> QTable:
    """Return the sources that shed light on a frame, with their pixels and fluxes there.

    Parameters
    ----------
    stars : QTable
        Of `field.stars_table`.
    exposure : Exposure
        The frame.

    Returns
    -------
    QTable
        Columns ``star_id``, ``kind``, ``ra``, ``dec``, ``x``, ``y`` (0-based), ``mag`` (true AB in the filter at
        mid-exposure), ``flux`` (total, ADU), ``cxx``, ``cxy``, ``cyy`` (square of a galaxy's scale length, square pixels; 0 for
        stars).
    """
    ra, dec = stars["ra"].value, stars["dec"].value
    reach = np.hypot(exposure.nx, exposure.ny) / 2 + 2 * MARGIN
    near = np.flatnonzero(separation(ra, dec, exposure.ra, exposure.dec) * 3600 < reach * exposure.pixel_scale)
    x, y = to_pixels(exposure.wcs, ra[near], dec[near])
    touched = (x > -MARGIN) & (x < exposure.nx - 1 + MARGIN) & (y > -MARGIN) & (y < exposure.ny - 1 + MARGIN)
    chosen = stars[near[touched]]
    magnitude = magnitudes(chosen, exposure.filter, exposure.mjd_mid)
    table = QTable(
        {
            "star_id": chosen["star_id"],
            "kind": chosen["kind"],
            "ra": chosen["ra"],
            "dec": chosen["dec"],
            "x": x[touched] * u.pix,
            "y": y[touched] * u.pix,
            "mag": magnitude * u.mag,
            "flux": mag_to_flux(magnitude, exposure.total_zero_point) * u.ct,
        }
    )
    for name, values in zip(("cxx", "cxy", "cyy"), _galaxy_shapes(chosen, exposure), strict=True):
        table[name] = values * u.pix**2
    return table


def _galaxy_shapes(stars: QTable, exposure: Exposure) -> NDArray[np.float64]:
    """Carry the ellipses of galaxies from the sky to the pixels: C' = J C J'."""
    shapes = np.zeros((3, len(stars)))
    index = np.flatnonzero(stars["kind"] == "galaxy")
    if index.size == 0:
        return shapes
    galaxies = stars[index]
    major = scale_length(galaxies["radius"].value)
    minor = major * np.asarray(galaxies["axis_ratio"])
    angle = np.radians(galaxies["position_angle"].value)
    along = np.stack([np.sin(angle), np.cos(angle)], axis=-1)
    across = np.stack([np.cos(angle), -np.sin(angle)], axis=-1)
    jacobian = sky_to_pixel_matrix(exposure.wcs, galaxies["ra"].value, galaxies["dec"].value)
    axes = [np.einsum("nij,nj->ni", jacobian, vector * length[:, None]) for vector, length in ((along, major), (across, minor))]
    shapes[0, index] = sum(axis[:, 0] ** 2 for axis in axes)
    shapes[1, index] = sum(axis[:, 0] * axis[:, 1] for axis in axes)
    shapes[2, index] = sum(axis[:, 1] ** 2 for axis in axes)
    return shapes


class Light:
    """The light of the sources of one frame, pixel by pixel: what both the image and its truth are made from.

    A star's stamp is cut where its profile falls below 0.3 ADU in a pixel and at least 99.9 % of the light is inside.

    Parameters
    ----------
    sources : QTable
        Of `place`.
    exposure : Exposure
        The frame.
    """

    def __init__(self, sources: QTable, exposure: Exposure) -> None:
        self.exposure = exposure
        self.x, self.y, self.flux = (np.asarray(sources[name].value, float) for name in ("x", "y", "flux"))
        self.shapes = np.stack([sources[name].value for name in ("cxx", "cxy", "cyy")], axis=-1) if len(sources) else np.zeros((0, 3))

    def __len__(self) -> int:
        return len(self.x)

    def reach(self, i: int) -> float:
        """Return the radius of a star's stamp, pixels."""
        psf = self.exposure.psf
        peak = self.flux[i] * (BETA - 1) / np.pi / np.sqrt(psf.determinant)
        bright = psf.major * np.sqrt(max((peak / _FAINTEST) ** (1 / BETA) - 1, 0))
        return float(max(bright, moffat_reach(psf, _LOST)))

    def stamp(self, i: int, wanted: Window) -> tuple[NDArray[np.float64], Window]:
        """Return the light of one source, ADU per pixel, and the part of ``wanted`` that it fills."""
        x, y, psf = self.x[i], self.y[i], self.exposure.psf
        if self.shapes[i, 0] > 0:
            pixels, window = galaxy_pixels(x, y, Shape(*self.shapes[i]), psf)
            common = window.meet(wanted)
            return self.flux[i] * pixels[common.within(window)], common
        common = window_around(x, y, self.reach(i)).meet(wanted)
        return self.flux[i] * moffat_pixels(x, y, psf, common), common

    def render(self, dtype: type = np.float64) -> NDArray:
        """Return the noise-free image of all sources, ADU, without sky."""
        scene = np.zeros(self.exposure.shape, dtype)
        for i in np.flatnonzero(self.flux > 0):
            pixels, window = self.stamp(i, self.exposure.window)
            scene[window.slices] += pixels
        return scene

    def aperture(self, i: int, radius: float) -> tuple[Window, NDArray[np.float64]]:
        """Return the pixels of the frame near a source and the area of each that lies in a circle around it."""
        window = window_around(self.x[i], self.y[i], radius).meet(self.exposure.window)
        return window, circle_overlap(self.x[i], self.y[i], radius, window)

    def in_aperture(self, diameter: float) -> NDArray[np.float64]:
        """Return the flux of each source alone in a circle at its true position, ADU: the part that is on the frame.

        Parameters
        ----------
        diameter : float
            Arcsec.
        """
        radius = self.exposure.radius(diameter)
        result = np.zeros(len(self))
        for i in np.flatnonzero(self.flux > 0):
            window, area = self.aperture(i, radius)
            pixels, common = self.stamp(i, window)
            result[i] = np.sum(pixels * area[common.within(window)])
        return result


def judge(sources: QTable, light: Light, scene: NDArray) -> QTable:
    """Add what only the whole scene tells: is a source alone, saturated, on the frame.

    Parameters
    ----------
    sources : QTable
        Of `place`.
    light : Light
        The light of ``sources``.
    scene : ndarray (ny, nx)
        Noise-free light of all sources and of the hot pixel, ADU.

    Returns
    -------
    QTable
        A new table with ``flux_5`` (noise-free, in the 5 arcsec aperture, ADU), ``snr`` (of that aperture), ``on_frame`` (its
        centre lies on a pixel), ``saturated`` (a pixel in the 5 arcsec aperture comes within 5 sigma of saturation), ``isolated``
        (the 10 arcsec aperture lies on the frame, and other light in it is under 0.1 of its noise).
    """
    exposure, n = light.exposure, len(sources)
    on_frame = (light.x >= -0.5) & (light.x < exposure.nx - 0.5) & (light.y >= -0.5) & (light.y < exposure.ny - 0.5)
    flux, others, peak = np.zeros(n), np.full(n, np.inf), np.zeros(n)
    small, large = exposure.radius(ZP_APERTURE), exposure.radius(ISOLATION_APERTURE)
    sky_top = exposure.sky * (1 + abs(exposure.slope_x) + abs(exposure.slope_y) + 2 * max(exposure.bowl, 0))
    for i in np.flatnonzero(on_frame):
        window, area = light.aperture(i, large)
        pixels, own = light.stamp(i, window)
        inner = circle_overlap(light.x[i], light.y[i], small, window)
        flux[i] = np.sum(pixels * inner[own.within(window)])
        peak[i] = np.max(scene[window.slices], where=inner > 0, initial=0) + sky_top
        if np.sum(area) > np.pi * large**2 * (1 - 1e-6):
            others[i] = np.sum(scene[window.slices] * area) - np.sum(pixels * area[own.within(window)])
    noise = np.sqrt(np.maximum(flux, 0) / exposure.gain + np.pi * (small * exposure.sky_sigma) ** 2)
    wide = np.sqrt(np.maximum(light.flux, 0) / exposure.gain + np.pi * (large * exposure.sky_sigma) ** 2)
    result = sources.copy()
    result["flux_5"], result["snr"] = flux * u.ct, flux / noise
    result["on_frame"] = on_frame
    result["saturated"] = peak > exposure.saturation - 5 * np.sqrt(exposure.saturation / exposure.gain)
    result["isolated"] = np.abs(others) < ISOLATION * wide
    return result


def add_hot_pixel(scene: NDArray, exposure: Exposure) -> NDArray:
    """Add the hot pixel of an exposure, if it has one, in place, and return the scene."""
    if exposure.hot_x >= 0:
        scene[exposure.hot_y, exposure.hot_x] += exposure.hot_value
    return scene


def expose(scene: NDArray, exposure: Exposure, rng: np.random.Generator, masters: Masters | None = None) -> NDArray[np.float32]:
    """Turn noise-free light into a calibrated frame.

    Electrons are Poisson numbers of sky, sources and dark signal, dimmed by the response of the detector; the read noise is
    Gaussian; then bias, dark and flat are taken out with the noise of the masters, and the result is clipped at saturation.

    Parameters
    ----------
    scene : ndarray (ny, nx)
        Noise-free light without sky, ADU.
    exposure : Exposure
        Sky, gain, noise and saturation.
    rng : numpy.random.Generator
        Draws the noise.
    masters : Masters, optional
        The calibration frames; none: a perfect detector.

    Returns
    -------
    ndarray (ny, nx) of float32
    """
    if scene.shape != exposure.shape:
        raise InputError(f"scene: has shape {scene.shape}; the exposure is of shape {exposure.shape}")
    data = np.empty(exposure.shape, np.float32)
    noise = np.float32(exposure.read_noise * exposure.ncombine**0.5)
    for start in range(0, exposure.ny, _BLOCK):
        rows = slice(start, min(start + _BLOCK, exposure.ny))
        light = exposure.background(rows) + scene[rows]
        if masters is not None:
            light *= masters.response[rows]
        electrons = rng.poisson(np.maximum((light + exposure.dark) * exposure.gain, 0)).astype(np.float32)
        electrons += noise * rng.standard_normal(electrons.shape, dtype=np.float32)
        electrons /= np.float32(exposure.gain)
        data[rows] = electrons - np.float32(exposure.dark)
        if masters is not None:
            data[rows] -= (masters.bias[rows] - masters.bias_level) + (masters.dark[rows] - masters.dark_level)
            data[rows] /= masters.flat[rows]
    return np.minimum(data, np.float32(exposure.saturation), out=data)
