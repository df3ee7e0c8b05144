"""`FluxCube`: the planes of a cube of spectra, read one at a time with variance and mask, and the limits of its channels."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import NDData, VarianceUncertainty
from astropy.wcs import WCS, WcsError

from ezarchive.errors import FrameError, InputError
from ezarchive.images.fitsfile import open_fits
from ezarchive.images.planes import DATA_NAMES, ERROR_NAMES, QUALITY_NAME, VARIANCE_NAMES, quality_mask, stem, unit_of

_WAVES = ("WAVE", "AWAV")
_PLAIN = ("", "LINEAR", "LAMBDA", "WAVELENGTH")
_TABLE = "TAB"


class Plane(NamedTuple):
    """One channel, each of shape (ny, nx): flux, its variance (or None), and the mask (True: not to be used, or not finite)."""

    data: np.ndarray
    variance: np.ndarray | None
    mask: np.ndarray


@dataclass(frozen=True)
class FluxCube:
    """A cube of which nothing but the headers has been read.

    Attributes
    ----------
    shape : (int, int, int)
        Channels, rows, columns.
    header, primary : Header
        Of the cube's HDU and of the first HDU of its file.
    wcs : WCS or None
        Celestial, of every plane.
    unit : Unit or None
    path : Path or None
        None: the pixels are in `arrays`.
    name : str
        The file name without suffix.
    hdus : dict
        Where in the file ``data``, ``variance``, ``error`` and ``quality`` are.
    arrays : dict
        ``data``, ``variance`` and ``mask`` in memory, in place of a file.
    """

    shape: tuple[int, int, int]
    header: fits.Header
    primary: fits.Header
    wcs: WCS | None = None
    unit: u.UnitBase | None = None
    path: Path | None = None
    name: str = "cube"
    hdus: dict[str, int] = field(default_factory=dict)
    arrays: dict[str, np.ndarray] = field(default_factory=dict, repr=False)

    def plane(self, channel: int) -> Plane:
        """Read one plane (0-based)."""
        return next(self.planes(channel, channel + 1))

    def planes(self, start: int = 0, stop: int | None = None) -> Iterator[Plane]:
        """Read the planes of channels one after the other; no more than one of a file is in memory.

        Parameters
        ----------
        start, stop : int
            0-based; all by default.

        Yields
        ------
        Plane
            float64.

        Raises
        ------
        FrameError
            If the file cannot be read.
        """
        channels = range(start, self.shape[0] if stop is None else stop)
        if self.path is None:
            for k in channels:
                mask = self.arrays.get("mask")
                yield _plane(*(None if part is None else part[k] for part in (self.arrays["data"], self.arrays.get("variance"), mask)))
            return
        with open_fits(self.path) as units:
            for k in channels:
                parts = {what: _section(units[hdu], k) for what, hdu in self.hdus.items()}
                variance = parts["error"] ** 2 if "error" in parts else parts.get("variance")
                yield _plane(parts["data"], variance, self._bad(parts.get("quality")))

    def _bad(self, quality: np.ndarray | None) -> np.ndarray | None:
        return None if quality is None else quality_mask(quality, self.primary)

    def edges(self, unit: u.UnitBase | None) -> np.ndarray:
        """Return the limits of the channels.

        Parameters
        ----------
        unit : Unit or None
            Of wavelength; None: channel numbers.

        Returns
        -------
        ndarray, shape (n_channels + 1,)
            The wavelengths half a channel before the first one, between any two, and after the last; those of a cube whose wavelengths
            fall, or that counts frequencies, may fall.

        Raises
        ------
        InputError
            If the cube has no spectral axis, one that is a table or no wavelength, or a unit that is none of wavelength.
        """
        numbers = np.arange(self.shape[0] + 1) - 0.5
        return numbers if unit is None else _wavelengths(self, numbers, unit)


def flux_cube(source: Any, name: str = "cube") -> FluxCube:
    """Return what was given as a `FluxCube`.

    Parameters
    ----------
    source : path, FluxCube, or NDData or array of shape (channels, ny, nx)
        Of a file the extension DATA or SCI is taken, or else the first cube; with STAT or VAR as variance or ERR as standard deviation,
        and DQ: a voxel is masked where it is not 0 (of JWST, where its first bit is set). Files that are compressed as a whole
        (``.gz``) are unpacked in memory.
    name : str
        The argument, for messages.

    Returns
    -------
    FluxCube
        `source` itself if it is one.

    Raises
    ------
    InputError
        If it is nothing of the kind.
    FrameError
        If the file cannot be read or holds no cube.
    """
    if isinstance(source, FluxCube):
        return source
    if isinstance(source, (str, os.PathLike)):
        return _from_file(Path(source))
    if isinstance(source, NDData):
        return _from_nddata(source, name)
    if isinstance(source, np.ndarray):
        return FluxCube(_shape(source, name), fits.Header(), fits.Header(), name=name, arrays={"data": source})
    raise InputError(f"{name}: must be a path, a FluxCube, an NDData or an array of three axes, found {type(source).__name__}")


def is_cube(path: str | os.PathLike[str]) -> bool:
    """Say whether what would be read of a FITS file is a cube of more than one plane."""
    with open_fits(Path(path)) as units:
        images = [unit for unit in units if unit.is_image and len(unit.shape) >= 2]
        named = [unit for unit in images if unit.name.upper() in DATA_NAMES]
        return bool(images) and _is_cube((named or images)[0])


def _from_file(path: Path) -> FluxCube:
    with open_fits(path) as units:
        cubes = [k for k, unit in enumerate(units) if _is_cube(unit)]
        named = [k for k in cubes if units[k].name.upper() in DATA_NAMES]
        if not cubes:
            raise FrameError("no_image", f"{path}: must hold a cube of three axes, found none in its {len(units)} HDUs")
        chosen = units[(named or cubes)[0]]
        places = {units[k].name.upper(): k for k in cubes if units[k].ver == chosen.ver and units[k] is not chosen}
        hdus = {"data": (named or cubes)[0]}
        for what, names in (("variance", VARIANCE_NAMES), ("error", ERROR_NAMES), ("quality", (QUALITY_NAME,))):
            found = next((places[name] for name in names if name in places), None)
            if found is not None and not (what == "error" and "variance" in hdus):
                hdus[what] = found
        shape = chosen.shape[-3:]
        for k in hdus.values():
            if units[k].shape[-3:] != shape:
                raise FrameError("bad_shape", f"{path}[{units[k].name}]: must have the shape of the data, {shape}, found {units[k].shape}")
        header, primary = chosen.header.copy(), units[0].header.copy()
    unit = unit_of(header) or unit_of(primary)
    return FluxCube(tuple(shape), header, primary, _celestial(header), unit, path, stem(path), hdus)


def _from_nddata(source: NDData, name: str) -> FluxCube:
    shape = _shape(source.data, name)
    meta = source.meta if isinstance(source.meta, fits.Header) else fits.Header(dict(source.meta or {}))
    header = meta.copy()
    if isinstance(source.wcs, WCS):
        header.update(source.wcs.to_header(relax=True))
    arrays = {"data": np.asarray(source.data)}
    if source.uncertainty is not None:
        arrays["variance"] = source.uncertainty.represent_as(VarianceUncertainty).array
    if source.mask is not None:
        arrays["mask"] = np.broadcast_to(np.asarray(source.mask, bool), shape)
    return FluxCube(shape, header, meta.copy(), _celestial(header), source.unit or unit_of(header), name=name, arrays=arrays)


def _shape(array: np.ndarray, name: str) -> tuple[int, int, int]:
    if array.ndim != 3 or not array.size:
        raise InputError(f"{name}: must have three axes (channels, rows, columns) and at least one voxel, found shape {array.shape}")
    return array.shape


def _celestial(header: fits.Header) -> WCS | None:
    """Return the celestial WCS of the planes, None where there is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            wcs = _wcs(header)
            return wcs.celestial if wcs.has_celestial else None
        except (ValueError, WcsError):
            return None


def _wcs(header: fits.Header) -> WCS:
    if str(header.get("CTYPE3", "")).strip().upper().endswith("-" + _TABLE):
        # The table lies in another HDU; without it wcslib gives up all axes.
        header = header.copy()
        header["CTYPE3"] = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return WCS(header)


def _wavelengths(cube: FluxCube, numbers: np.ndarray, unit: u.UnitBase) -> np.ndarray:
    """Return the wavelengths of channel numbers, through the WCS of the third axis (FITS Standard 4.0, section 8.4)."""
    ctype = str(cube.header.get("CTYPE3", "")).strip().upper()
    if ctype.endswith("-" + _TABLE):
        raise InputError(f"{cube.name}: CTYPE3 {ctype!r} is a table, which is not read; give channel numbers (unit_wave=None)")
    step = next((cube.header[card] for card in ("CD3_3", "CDELT3") if card in cube.header), None)
    if step == 0:  # wcslib would take it for 1
        raise InputError(f"{cube.name}: the channels of the third axis must have a width, found CD3_3 or CDELT3 of 0")
    found, given = _third_axis(cube, numbers)
    kind = ctype.split("-")[0]
    plain = kind in _PLAIN and given.is_equivalent(u.m)
    if not (plain or kind in _WAVES or (kind == "FREQ" and given.is_equivalent(u.Hz))):
        raise InputError(
            f"{cube.name}: must have a spectral axis of wavelengths (CTYPE3 WAVE or AWAV, or FREQ), found CTYPE3 {ctype!r} with unit "
            f"{given.to_string() or 'none'!r}; or give channel numbers (unit_wave=None)"
        )
    if "-" not in ctype and _counts_logarithms(cube):
        own = _own_unit(cube)
        found, given = 10.0 ** (found * given).to_value(own), own
    try:
        limits = (found * given).to_value(unit, u.spectral())
    except u.UnitConversionError as err:
        raise InputError(f"unit_wave: must be a unit of wavelength, found {unit}") from err
    step = np.diff(limits)
    if not (np.isfinite(limits).all() and (np.all(step > 0) or np.all(step < 0))):
        raise InputError(f"{cube.name}: the wavelengths of the channels must rise or fall, found CTYPE3 {ctype!r} where they do not")
    return limits


def _counts_logarithms(cube: FluxCube) -> bool:
    """Say whether the third axis counts decadic logarithms of wavelengths: DC-FLAG 1 of IRAF, which CTYPE3 says nothing of."""
    return 1 in (header.get("DC-FLAG") for header in (cube.header, cube.primary))


def _own_unit(cube: FluxCube) -> u.UnitBase:
    """Return the unit that the header names for the third axis, which a WCS may have turned to metres."""
    return u.Unit(str(cube.header["CUNIT3"]).strip())


def _third_axis(cube: FluxCube, numbers: np.ndarray) -> tuple[np.ndarray, u.UnitBase]:
    """Return what the WCS says of channel numbers, and its unit; without any, the numbers."""
    try:
        wcs = _wcs(cube.header)
        if wcs.naxis < 3:
            return numbers, u.dimensionless_unscaled
        axis = wcs.sub([3])
        return axis.wcs_pix2world(numbers[:, None], 0)[:, 0], axis.wcs.cunit[0]
    except (ValueError, WcsError) as err:
        raise InputError(f"{cube.name}: the WCS of the third axis cannot be used: {str(err).splitlines()[-1]}") from err


def _plane(data: np.ndarray, variance: np.ndarray | None, mask: np.ndarray | None) -> Plane:
    data = np.asarray(data, np.float64)
    bad = ~np.isfinite(data)
    if mask is not None:
        bad |= mask
    return Plane(data, None if variance is None else np.asarray(variance, np.float64), bad)


def _section(unit: Any, channel: int) -> np.ndarray:
    place = (0,) * (len(unit.shape) - 3) + (channel,)
    return np.asarray(unit.section[place])


def _is_cube(unit: Any) -> bool:
    shape = unit.shape if unit.is_image else ()
    return len(shape) >= 3 and all(n == 1 for n in shape[:-3]) and shape[-3] > 1
