"""The fluxes of a reference image in the unit of another image."""

from __future__ import annotations

import re
from typing import Any

import astropy.units as u

from ezarchive.compare.fluximage import FluxImage, flux_image
from ezarchive.compare.grid import grid_of
from ezarchive.compare.hst import HstFilterInfo
from ezarchive.errors import InputError

_CGS = u.erg / u.s / u.cm**2 / u.Angstrom
_COUNTS = re.compile(
    r"(electrons?|e-?|counts?|cts?|dn|adu)(?P<second>\s*/\s*s(ec|ecs|econds?)?|[\s.*]+s\s*(\*\*|\^)?\s*\(?-1\)?)?", re.IGNORECASE
)


def rescale_hst_like_muse(hst: Any, muse: Any, inplace: bool = True) -> FluxImage:
    """Bring a reference image to the flux unit of another image.

    Parameters
    ----------
    hst : path, FluxImage, Image, NDData or array
        The reference image. Its unit (BUNIT) is a flux density, or counts or electrons per second, which PHOTFLAM or the table of
        `HstFilterInfo` turn into one; without a unit, electrons per second are meant. Counts that are not per second are divided by
        EXPTIME.
    muse : path, FluxImage, Image or NDData; or a cube
        The image whose unit is wanted.
    inplace : bool
        Whether a `FluxImage` given as `hst` itself gets the new arrays, unit and header; whatever else is given stays as it is.

    Returns
    -------
    FluxImage
        Data times the factor, variance times its square, the unit of `muse`. What is in that unit already stays as it is.

    Raises
    ------
    InputError
        If one of the units cannot be turned into the other, or the filter is needed and not known.
    FrameError
        If a file cannot be read.

    Notes
    -----
    Flux densities by wavelength and by frequency are turned into each other at the pivot wavelength; brightness per solid angle into flux
    per pixel, and back, by the area of the reference's own pixels.
    """
    image = flux_image(hst, "hst")
    wanted = muse if isinstance(muse, FluxImage) else grid_of(muse, "muse")
    if wanted.unit is None:
        raise InputError(f"muse: {wanted.name} must have a unit of flux density (BUNIT), found {wanted.header.get('BUNIT')!r}")
    factor = flux_factor(image, wanted.unit)
    made = image.copy(data=image.data * factor, variance=None if image.variance is None else image.variance * factor**2, unit=wanted.unit)
    made.header["BUNIT"] = wanted.unit.to_string()
    if not (inplace and isinstance(hst, FluxImage)):
        return made
    return hst.update(made)


def flux_factor(image: FluxImage, unit: u.UnitBase) -> float:
    """Return what the pixels of an image must be multiplied by to be in a unit (see `rescale_hst_like_muse`)."""
    per_second = _per_second(image)
    own = image.unit
    if per_second is not None:
        info = HstFilterInfo(image)
        own, pivot = info.photflam * per_second * _CGS, info.photplam
    elif own is None:
        raise InputError(f"hst: {image.name} must have a unit that is known, found BUNIT {_bunit(image)!r}")
    else:
        pivot = None if _converted(image, own, unit, None) is not None else HstFilterInfo(image).photplam if _is_flux(own, unit) else None
    made = _converted(image, own, unit, pivot)
    if made is None:
        raise InputError(f"hst: the unit of {image.name}, {own}, must be one of flux that can be turned into that of muse, {unit}")
    return made


def _is_flux(own: u.UnitBase, unit: u.UnitBase) -> bool:
    """Say whether two units differ by wavelength against frequency only, so that a pivot wavelength would help."""
    return any(_ratio(own * area, unit, 5000.0) is not None for area in (1, u.sr, u.sr**-1))


def _converted(image: FluxImage, own: u.UnitBase | u.Quantity, unit: u.UnitBase, pivot: float | None) -> float | None:
    """Return one of `own` in `unit`, None where there is no way."""
    made = _ratio(own, unit, pivot)
    if made is None and image.wcs is not None:
        area = image.step[0] * image.step[1] * u.arcsec**2
        for pixel in (area, 1 / area):
            made = made if made is not None else _ratio(own * pixel, unit, pivot)
    return made


def _ratio(own: u.UnitBase | u.Quantity, unit: u.UnitBase, pivot: float | None) -> float | None:
    equal = [] if pivot is None else u.spectral_density(pivot * u.Angstrom)
    try:
        return float((1.0 * own).to_value(unit, equal))
    except u.UnitConversionError:
        return None


def _bunit(image: FluxImage) -> str:
    return str(image.header.get("BUNIT") or image.primary.get("BUNIT") or "").strip()


def _per_second(image: FluxImage) -> float | None:
    """Return the factor from an image's counts to counts per second; None where it holds no counts. Without a unit, 1."""
    text = _bunit(image) if image.unit is None else image.unit.to_string()
    if not text:
        return 1.0
    counted = _COUNTS.fullmatch(text)
    if counted is None:
        return None
    if counted["second"]:
        return 1.0
    exposure = next((header["EXPTIME"] for header in (image.header, image.primary) if "EXPTIME" in header), None)
    if not (isinstance(exposure, (int, float)) and exposure > 0):
        raise InputError(f"hst: {image.name} holds counts ({text}) and must tell its exposure time (EXPTIME), found {exposure!r}")
    return 1.0 / float(exposure)
