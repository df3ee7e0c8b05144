"""Pixels of anchored and of convolved images in their files: every byte that is not changed on purpose stays as it was.

An anchored image is its input with a constant added to the pixels that hold data, and cards and a HISTORY line in the first header; all
other HDUs (ERR, WHT, ASDF, tables) are copied as they stand. Files appear whole or not at all.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, BinaryIO, ParamSpec, TypeVar

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.utils.exceptions import AstropyUserWarning
from astropy.wcs import WCS

from ezarchive import sky
from ezarchive.compare.anchoring.threads import ALONE
from ezarchive.errors import FrameError
from ezarchive.files import atomic_write
from ezarchive.images.fitsfile import read_errors
from ezarchive.images.image import Image
from ezarchive.images.planes import DATA_NAMES, ERROR_NAMES, QUALITY_NAME, VARIANCE_NAMES, unit_of

Given = ParamSpec("Given")
Result = TypeVar("Result")

BLOCK = 2880
KEY_CARD = "ANCHKEY"
_CHECKSUMS = ("CHECKSUM", "DATASUM")
_SCALING = ("BSCALE", "BZERO", "BLANK")


@dataclass(frozen=True)
class Pixels:
    """An image as the anchoring needs it.

    Attributes
    ----------
    data : ndarray of float32, shape (ny, nx)
        NaN where there is no value, it is masked (DQ), or it is exactly 0.
    wcs : WCS
    unit : Unit or None
    step : (float, float)
        Arcsec per pixel along y and x.
    """

    data: np.ndarray
    wcs: WCS
    unit: u.UnitBase | None
    step: tuple[float, float]


@dataclass(frozen=True)
class Smoothed:
    """An image at another resolution: data and errors, NaN where there is none, and how much of the beam (0-1) fell on pixels with data."""

    data: np.ndarray
    coverage: np.ndarray
    error: np.ndarray | None = None


def _alone(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """Let one thread at a time into a function that is at headers."""

    @wraps(function)
    def held(*args: Given.args, **options: Given.kwargs) -> Result:
        with ALONE:
            return function(*args, **options)

    return held


@_alone
def read_pixels(path: Path, mask: np.ndarray | None = None) -> Pixels:
    """Read an image; exact zeros count as no data.

    Parameters
    ----------
    path : Path
    mask : ndarray of bool, shape (ny, nx), optional
        True where a pixel must not be used.

    Returns
    -------
    Pixels

    Raises
    ------
    FrameError
        If the file cannot be read, or the image has no celestial WCS or no pixel with data.
    """
    with _opened(path) as units:
        k = _data_index(units, path)
        quality = _sibling(units, k, (QUALITY_NAME,))
        jwst = str(units[0].header.get("TELESCOP")).strip() == "JWST"
        unit = unit_of(units[k].header) or unit_of(units[0].header)
    image = Image(path, k)
    if image.wcs is None:
        raise FrameError("no_wcs", f"{path}: must have a celestial WCS")
    data = image.load().astype(np.float32)
    blank = ~np.isfinite(data) | (data == 0)
    if quality is not None:
        bits = np.nan_to_num(Image(path, quality).load(), nan=1.0).astype(np.int64)
        blank |= (bits & 1 if jwst else bits) != 0
    if mask is not None:
        blank |= mask
    if blank.all():
        raise FrameError("no_data", f"{path}: must hold a pixel that is finite, not 0 and not masked, found none")
    data[blank] = np.nan
    return Pixels(data, image.wcs, unit, _step(image))


@_alone
def read_error(path: Path) -> np.ndarray | None:
    """Return the standard deviations of an image as float32, from its extension ERR, STAT or VAR; None if it has none."""
    with _opened(path) as units:
        k = _data_index(units, path)
        error, variance = _sibling(units, k, ERROR_NAMES), _sibling(units, k, VARIANCE_NAMES)
    if variance is not None:
        return np.sqrt(np.maximum(Image(path, variance).load(), 0)).astype(np.float32)
    return None if error is None else Image(path, error).load().astype(np.float32)


@_alone
def image_shape(path: Path) -> tuple[int, int]:
    """Return rows and columns of an image."""
    with _opened(path) as units:
        return units[_data_index(units, path)].shape[-2:]


@_alone
def sky_centre(path: Path) -> np.ndarray:
    """Return the unit vector of the middle of an image; zeros if it has no WCS or cannot be read."""
    try:
        with _opened(path) as units:
            k = _data_index(units, path)
    except FrameError:
        return np.zeros(3)
    image = Image(path, k)
    if image.wcs is None:
        return np.zeros(3)
    ny, nx = image.shape
    ra, dec = np.radians(sky.pixel_to_icrs(image.wcs, (nx - 1) / 2, (ny - 1) / 2))
    return np.array([np.cos(dec) * np.cos(ra), np.cos(dec) * np.sin(ra), np.sin(dec)])


def write_anchored(source: Path, target: Path, offset: float, cards: Mapping[str, tuple[Any, str]], history: Sequence[str]) -> Path:
    """Write an image with a constant added.

    Parameters
    ----------
    source : Path
        A FITS file; it is only read. The extension DATA or SCI is changed, or the first image.
    target : Path
        What is there already is replaced.
    offset : float
        Added to every pixel that is finite and not exactly 0, in double precision; the type of the pixels stays (integers become float32).
    cards : mapping of str to (value, comment)
        Put into the first header.
    history : sequence of str
        HISTORY lines, put after those that are there.

    Returns
    -------
    Path

    Raises
    ------
    FrameError
        If the file cannot be read, or its image is tile-compressed.
    OSError
        If it cannot be written; nothing is left then.

    Notes
    -----
    A pixel that would become exactly 0, the mark of no data, gets the smallest value that its rounding allows.
    """
    with _opened(source) as units:
        with ALONE:
            k = _data_index(units, source)
            header = units[0].header.copy()
            _annotate(header, cards, history, target.name)
            sci = header if k == 0 else units[k].header.copy()
            stored = _stored(units[k])
        pixels = _with_offset(stored, offset)
        with ALONE:
            _set_type(sci, pixels.dtype)
            parts = [None] * len(units)
            if k == 0:
                parts[0] = _hdu_parts(header, pixels)
            else:
                parts[0] = _hdu_parts(header, None, _raw(source, units, 0)[1])
                parts[k] = _hdu_parts(sci, pixels)
            places = [unit.fileinfo() for unit in units]
        with atomic_write(target, durable=False) as stream:
            _splice(stream, source, places, parts)
    return target


def cache_key(*parts: object) -> str:
    """Return 40 hex digits that stand for what an array follows from: hashes, names, numbers, versions."""
    return hashlib.blake2b("\n".join(map(str, parts)).encode(), digest_size=20).hexdigest()


@_alone
def read_smoothed(path: Path, key: str) -> Smoothed | None:
    """Return what `write_smoothed` wrote under the same key; None if the file is not there, damaged, or of another key."""
    try:
        with warnings.catch_warnings(), fits.open(path, memmap=False) as units:
            warnings.simplefilter("error", AstropyUserWarning)  # a file that was cut
            if units[0].header.get(KEY_CARD) != key:
                return None
            planes = {unit.name: np.asarray(unit.data, np.float32) for unit in units[1:]}
    except (OSError, ValueError, TypeError, IndexError, AstropyUserWarning):
        return None
    if "SCI" not in planes or "COVERAGE" not in planes:
        return None
    return Smoothed(planes["SCI"], planes["COVERAGE"], planes.get("ERR"))


def write_smoothed(path: Path, smoothed: Smoothed, source: Path, key: str, cards: Mapping[str, tuple[Any, str]]) -> Path:
    """Write an image at another resolution: the first header of its source, SCI, ERR where known, and COVERAGE."""
    with ALONE:
        units = _smoothed_units(smoothed, source, {**cards, KEY_CARD: (key, "of input and kernel")})
        parts = [_hdu_parts(unit.header, unit.data) for unit in units]
    with atomic_write(path, durable=False) as stream:
        for part in parts:
            _write(stream, part)
    return path


def _smoothed_units(smoothed: Smoothed, source: Path, cards: Mapping[str, tuple[Any, str]]) -> fits.HDUList:
    with _opened(source) as units:
        k = _data_index(units, source)
        header, primary = units[k].header.copy(), units[0].header.copy()
    for name in (*_SCALING, *_CHECKSUMS):
        header.remove(name, ignore_missing=True)
        primary.remove(name, ignore_missing=True)
    plain = fits.PrimaryHDU() if k == 0 else fits.PrimaryHDU(header=primary)
    plain.header.update(cards)
    made = [plain, fits.ImageHDU(smoothed.data, header, "SCI")]
    if smoothed.error is not None:
        made.append(fits.ImageHDU(smoothed.error, name="ERR"))
    made.append(fits.ImageHDU(smoothed.coverage, name="COVERAGE"))
    whole = fits.HDUList(made)
    whole.verify("silentfix+ignore")
    whole.update_extend()
    return whole


def _opened(path: Path) -> fits.HDUList:
    with ALONE, read_errors(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        units = fits.open(path, memmap=True, lazy_load_hdus=False, do_not_scale_image_data=True, disable_image_compression=True)
        last, size = units[len(units) - 1].fileinfo(), path.stat().st_size
    if last["datLoc"] + last["datSpan"] > size:
        units.close()
        raise FrameError("truncated", f"{path}: ends before the end of its last HDU")
    return units


def _data_index(units: fits.HDUList, path: Path) -> int:
    """Return the HDU that `read_flux_image` takes."""
    planes = [k for k, unit in enumerate(units) if unit.is_image and len(unit.shape) >= 2 and all(n == 1 for n in unit.shape[:-2])]
    named = [k for k in planes if units[k].name.upper() in DATA_NAMES]
    if not planes:
        raise FrameError("no_image", f"{path}: must hold an image that is not tile-compressed, found none in its {len(units)} HDUs")
    return (named or planes)[0]


def _sibling(units: fits.HDUList, k: int, names: Sequence[str]) -> int | None:
    """Return the image HDU of the same version as another with one of some names."""
    found = {unit.name.upper(): n for n, unit in enumerate(units) if n != k and unit.is_image and unit.shape and unit.ver == units[k].ver}
    return next((found[name] for name in names if name in found), None)


def _step(image: Image) -> tuple[float, float]:
    ny, nx = image.shape
    along_x, along_y = np.hypot(*sky.jacobian(image.wcs, (nx - 1) / 2, (ny - 1) / 2))
    return float(along_y), float(along_x)


def _stored(unit: Any) -> np.ndarray:
    """Return a copy of the pixels, scaled; floats stay of their type, all else becomes float32 with NaN for BLANK."""
    stored, header = unit.data, unit.header
    scale, zero, blank = (header.get(name) for name in _SCALING)
    if stored.dtype.kind == "f" and scale in (None, 1) and zero in (None, 0):
        return np.array(stored, dtype=stored.dtype)
    made = stored.astype(float) * (1 if scale is None else scale) + (zero or 0)
    if blank is not None and stored.dtype.kind != "f":
        made[stored == blank] = np.nan
    return made.astype(">f8" if stored.dtype.itemsize == 8 else ">f4")


def _with_offset(pixels: np.ndarray, offset: float) -> np.ndarray:
    good = np.isfinite(pixels) & (pixels != 0)
    np.add(pixels, offset, out=pixels, where=good, dtype=float, casting="same_kind")
    pixels[good & (pixels == 0)] = np.spacing(pixels.dtype.type(abs(offset) or 1.0))
    return pixels


def _set_type(header: fits.Header, dtype: np.dtype) -> None:
    bitpix = -8 * dtype.itemsize
    if header["BITPIX"] != bitpix:
        header["BITPIX"] = bitpix
    for name in _SCALING:
        header.remove(name, ignore_missing=True)


def _annotate(header: fits.Header, cards: Mapping[str, tuple[Any, str]], history: Sequence[str], name: str) -> None:
    for keyword, value in cards.items():
        header[keyword] = value
    if "FILENAME" in header:
        header["FILENAME"] = name
    for line in history:
        header.add_history(line)


def _hdu_parts(header: fits.Header, pixels: np.ndarray | None, raw: np.ndarray | None = None) -> tuple[Any, ...]:
    """Return header and data of an HDU as they go into a file, its checksums renewed where it has any."""
    data = (b"" if raw is None else raw,)
    if pixels is not None:
        data = pixels.astype(pixels.dtype.newbyteorder(">"), copy=False).reshape(-1).view(np.uint8), bytes(-pixels.nbytes % BLOCK)
    text = header.tostring().encode("ascii")
    if any(name in header for name in _CHECKSUMS):
        kind = fits.PrimaryHDU if "SIMPLE" in header else fits.ImageHDU
        unit = kind.fromstring(text + b"".join(map(bytes, data)))
        unit.add_checksum()
        text = unit.header.tostring().encode("ascii")
    return text, *data


def _raw(path: Path, units: fits.HDUList, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the bytes of header and data of an HDU, mapped from the file."""
    whole = np.memmap(path, np.uint8, "r")
    where = units[k].fileinfo()
    return whole[where["hdrLoc"] : where["datLoc"]], whole[where["datLoc"] : where["datLoc"] + where["datSpan"]]


def _splice(stream: BinaryIO, source: Path, places: Sequence[Mapping[str, int]], parts: Sequence[tuple[Any, ...] | None]) -> None:
    """Write the file again, some HDUs replaced; what follows the last one stays too."""
    whole, end = np.memmap(source, np.uint8, "r"), 0
    for where, part in zip(places, parts, strict=True):
        end = where["datLoc"] + where["datSpan"]
        _write(stream, part or (whole[where["hdrLoc"] : end],))
    _write(stream, (whole[end:],))


def _write(stream: BinaryIO, pieces: Sequence[Any]) -> None:
    for piece in pieces:
        stream.write(memoryview(piece))
