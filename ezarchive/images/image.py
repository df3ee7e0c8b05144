"""`Image`: the pixels, header and WCS of one frame, read when they are asked for and never written."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.units import Quantity
from astropy.wcs import WCS

from ezarchive import sky
from ezarchive.errors import FrameError, InputError
from ezarchive.frames.header import build_frame, read_cards, read_header
from ezarchive.frames.record import Frame
from ezarchive.frames.wcs import wcs_from_header
from ezarchive.images.background import float_type
from ezarchive.images.calculated_maps import MapCalculations
from ezarchive.images.calculated_masks import MaskCalculations
from ezarchive.images.cutouts import MappedPixels
from ezarchive.images.fitsfile import open_fits
from ezarchive.images.pixelmap import checked_array
from ezarchive.images.shown import Shown

_UNITS = ("pixel", "coord")
_BLOCK_BYTES = 16_000_000


class Image(Shown, MaskCalculations, MapCalculations):
    """A 2-D image that is read lazily.

    Making one reads nothing. Pixels are 0-based, ``[y, x]``; they come as native float32, or float64 where the file holds doubles or
    32-bit integers, scaled by BSCALE and BZERO, and BLANK becomes NaN.

    Parameters
    ----------
    source : path or array, shape (ny, nx)
        A FITS file (``.fits``, ``.fz``, ``.gz``), or the pixels themselves, which are never changed.
    hdu : int
        Which HDU of the file.
    frame : Frame, optional
        What the archive knows of the image.
    header : Header, optional
        In place of the file's.
    wcs : WCS, optional
        In place of the header's.
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | np.ndarray,
        hdu: int = 0,
        *,
        frame: Frame | None = None,
        header: fits.Header | None = None,
        wcs: WCS | None = None,
    ) -> None:
        self.path: Path | None = None
        self.hdu, self.frame = int(hdu), frame
        if isinstance(source, (str, os.PathLike)):
            self.path = Path(source)
        else:
            self.__dict__["data"] = checked_array(source, "source", "a path or a 2-D array")
        if header is not None:
            self.__dict__["header"] = header.copy()
        if wcs is not None:
            self.__dict__["wcs"] = wcs

    @cached_property
    def data(self) -> np.ndarray:
        """The pixels, kept once read; treat them as read-only (`load` gives a copy of your own)."""
        return self.load()

    @cached_property
    def header(self) -> fits.Header:
        """The header; empty for an array without one."""
        return fits.Header() if self.path is None else read_header(self.path, self.hdu)

    @cached_property
    def wcs(self) -> WCS | None:
        """The celestial WCS, None where there is none that works over the whole image."""
        if self.frame is not None and not self.frame.wcs_ok:
            return None
        # Most often the cards alone will do: to make a header of them takes longer than the WCS itself.
        known = self.path is None or "header" in self.__dict__
        found = wcs_from_header(self.header if known else read_cards(self.path, self.hdu))
        if found is None or self.frame is not None:
            return found
        ny, nx = self.shape
        try:
            sky.field_of_view(found, nx, ny)
        except InputError:
            return None
        return found

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        if "data" in self.__dict__:
            return self.data.shape
        if self.frame is not None and self.frame.naxis1 and self.frame.naxis2:
            return self.frame.naxis2, self.frame.naxis1
        with self._opened() as unit:
            return _plane(unit, self._name)[-2:]

    @cached_property
    def pixel_scale(self) -> float | None:
        """Arcsec per pixel (square root of the area of the central one), None without a WCS."""
        if self.frame is not None and self.frame.pixel_scale is not None:
            return self.frame.pixel_scale
        if self.wcs is None:
            return None
        ny, nx = self.shape
        return float(sky.pixel_scale(self.wcs, (nx - 1) / 2, (ny - 1) / 2))

    @property
    def gain(self) -> float | None:
        """Electrons per stored unit, if known."""
        return self._fact("gain")

    @property
    def saturation(self) -> float | None:
        """Level from which pixels are saturated, if known."""
        return self._fact("saturation")

    @property
    def seeing(self) -> float | None:
        """FWHM of the stars in arcsec, if known."""
        return self._fact("seeing")

    def _fact(self, name: str) -> Any:
        """Return a field of the frame; of an image that no archive knows, what its header and the camera's rules tell."""
        known = self._described if self.frame is None else self.frame
        return None if known is None else getattr(known, name)

    @cached_property
    def _described(self) -> Frame | None:
        try:
            return build_frame(self.header) if self.header else None
        except (FrameError, InputError):
            return None

    @property
    def info(self) -> dict[str, Any]:
        """What is known of the image, by name: the fields of its frame, or path, HDU and size."""
        if self.frame is not None:
            return {item.name: getattr(self.frame, item.name) for item in fields(self.frame) if item.name != "origin"}
        ny, nx = self.shape
        return {"path": None if self.path is None else str(self.path), "hdu": self.hdu, "naxis1": nx, "naxis2": ny}

    def load(self) -> np.ndarray:
        """Read the pixels into an array of the caller's own.

        Returns
        -------
        ndarray, shape (ny, nx)

        Raises
        ------
        FrameError
            If the file cannot be read; ``code`` says why.
        """
        if "data" in self.__dict__:
            return self.data.copy()
        with self._opened() as unit:
            shape = _plane(unit, self._name)
            if isinstance(unit, fits.CompImageHDU):
                # Tiles would be unpacked more than once.
                return _native_copy(unit.data)
            # A few rows at a time: scaled and unsigned pixels cannot be mapped whole, and mapped ones would count as memory.
            block = max(_BLOCK_BYTES // (8 * shape[-1]), 1)
            parts = (slice(first, min(first + block, shape[-2])) for first in range(0, shape[-2], block))
            return _filled(shape[-2:], ((rows, _section(unit, rows, slice(0, shape[-1]))) for rows in parts))

    def cutout(
        self,
        x: Any,
        y: Any,
        size: int | tuple[int, int] | str | Quantity,
        unit: str = "pixel",
    ) -> Image:
        """Read a piece of the image.

        Parameters
        ----------
        x, y : float
            Centre: 0-based pixels, or for ``unit="coord"`` ICRS degrees (`x` alone may be a SkyCoord or a sexagesimal text).
        size : int, tuple of two ints, str or Quantity
            Rows and columns in pixels; an angle (``"30 arcsec"``) means as many pixels as it needs.
        unit : {"pixel", "coord"}
            What `x` and `y` are.

        Returns
        -------
        Image
            What of the piece lies on the image, with its own WCS; ``.corner`` tells the (x, y) of its first pixel in this image. Of an
            uncompressed file only those rows are read.

        Raises
        ------
        InputError
            If the piece lies off the image, or a position on the sky is asked of an image without WCS.
        FrameError
            If the file cannot be read.
        """
        x, y = self._pixel(x, y, unit)
        rows, cols = (_span(c, n, total) for c, n, total in zip((y, x), self._size(size), self.shape, strict=True))
        if rows.start >= rows.stop or cols.start >= cols.stop:
            raise InputError(f"x, y: the cutout around ({x:.1f}, {y:.1f}) must overlap the image, whose shape is {self.shape}")
        return Cutout(np.array(self.cut(rows, cols)), (cols.start, rows.start), self)

    def cut(self, rows: slice, cols: slice) -> np.ndarray:
        """Read a rectangle of pixels.

        Parameters
        ----------
        rows, cols : slice
            With step 1.

        Returns
        -------
        ndarray
            Native floats; a view of `data` where that has been read already.
        """
        if "data" in self.__dict__:
            return self.data[rows, cols]
        return self._mapped.cut(rows, cols)

    @cached_property
    def _mapped(self) -> MappedPixels:
        """The pixels as they lie in the file; one that is compressed is read whole, once."""
        return MappedPixels(self.path, self.hdu, self.load)

    def to_pixel(self, ra: float, dec: float) -> tuple[float, float]:
        """Return the 0-based pixel of an ICRS position.

        Raises
        ------
        InputError
            If the image has no WCS.
        """
        if self.wcs is None:
            raise InputError(f"{self._name}: has no WCS that works, so positions must be given in pixels (unit='pixel')")
        x, y = sky.icrs_to_pixel(self.wcs, ra, dec)
        return float(x), float(y)

    def _pixel(self, x: Any, y: Any, unit: str) -> tuple[float, float]:
        if unit not in _UNITS:
            raise InputError(f"unit: must be 'pixel' or 'coord', found {unit!r}")
        x, y = (value.item() if type(value) is np.ndarray and value.ndim == 0 else value for value in (x, y))
        if unit == "coord":
            x, y = self.to_pixel(*sky.parse_position(x if y is None else (x, y), "x, y"))
        for name, value in (("x", x), ("y", y)):
            if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
                raise InputError(f"{name}={value!r}: must be a number of pixels (unit='pixel')")
        if not (np.isfinite(x) and np.isfinite(y)):
            raise InputError(f"x, y: must be finite, found ({x}, {y})")
        return float(x), float(y)

    def _size(self, size: int | tuple[int, int] | str | Quantity) -> tuple[int, int]:
        if isinstance(size, (str, Quantity)):
            if self.pixel_scale is None:
                raise InputError(f"size: must be in pixels, for {self._name} has no WCS, found {size}")
            size = int(np.ceil(sky.parse_angle(size) * 3600.0 / self.pixel_scale))
        sizes = (size, size) if np.ndim(size) == 0 else tuple(size)
        if len(sizes) != 2 or any(not isinstance(n, (int, float, np.number)) or int(n) != n or n < 1 for n in sizes):
            raise InputError(f"size: must be a number of pixels (or two, rows and columns) of at least 1, found {size}")
        return int(sizes[0]), int(sizes[1])

    def _plain(self, source: Any) -> Image:
        own = isinstance(source, Path) and source == self.path
        return Image(source, self.hdu, frame=self.frame) if own else Image(source)

    @property
    def _name(self) -> str:
        return "image" if self.path is None else str(self.path)

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """Open the HDU for reading, with the reasons of failure as codes."""
        with warnings.catch_warnings():
            # Cards that the standard does not allow are recorded when a file is indexed; here they are in the way.
            warnings.simplefilter("ignore", category=fits.verify.VerifyWarning)
            warnings.simplefilter("ignore", category=UserWarning)
            with open_fits(self.path, failed="pixels cannot be read") as units:
                if not -len(units) <= self.hdu < len(units):
                    raise FrameError("no_image", f"{self.path}: has {len(units)} HDUs, found a request for number {self.hdu}")
                yield units[self.hdu]

    def __getstate__(self) -> dict[str, Any]:
        kept = dict(self.__dict__)
        kept.pop("_mapped", None)
        if self.path is not None:
            kept.pop("data", None)
        return kept

    def __repr__(self) -> str:
        size = ""
        if "shape" in self.__dict__ or "data" in self.__dict__ or self.frame is not None:
            size = f", {self.shape[0]} x {self.shape[1]}"
        return f"{type(self).__name__}({self._name!r}, hdu={self.hdu}{size})"


class Cutout(Image):
    """A piece of an `Image`.

    Attributes
    ----------
    corner : tuple of two ints
        The (x, y) of its first pixel in the image it was cut from.
    """

    def __init__(self, data: np.ndarray, corner: tuple[int, int], parent: Image) -> None:
        x, y = corner
        wcs = None if parent.wcs is None else parent.wcs[y:, x:]
        super().__init__(data, parent.hdu, frame=parent.frame)
        self.__dict__ |= {"header": _shifted(parent.header, x, y, data.shape), "wcs": wcs}
        self.corner = (int(x), int(y))


def _shifted(header: fits.Header, x: int, y: int, shape: tuple[int, ...]) -> fits.Header:
    """Return the header of a piece: its size, and the reference pixel of every WCS moved."""
    made = header.copy()
    for axis, first, size in ((1, x, shape[1]), (2, y, shape[0])):
        if f"NAXIS{axis}" in made:
            made[f"NAXIS{axis}"] = size
        for kind in {name[6:] for name in made if re.fullmatch(rf"(CRPIX|CTYPE){axis}[A-Z]?", name)}:
            made[f"CRPIX{axis}{kind}"] = made.get(f"CRPIX{axis}{kind}", 0.0) - first
    return made


def _native_copy(stored: np.ndarray) -> np.ndarray:
    stored = np.asarray(stored)
    plane = stored.reshape(stored.shape[-2:])
    return _filled(plane.shape, [(slice(0, plane.shape[0]), plane)])


def _filled(shape: tuple[int, int], parts: Iterable[tuple[slice, np.ndarray]]) -> np.ndarray:
    """Put blocks of rows together as native floats."""
    out: np.ndarray | None = None
    for rows, part in parts:
        if out is None:
            out = np.empty(shape, float_type(part.dtype))
        out[rows] = part
    return out


def _section(unit: Any, rows: slice, cols: slice) -> np.ndarray:
    part, blank = unit.section[(*(0,) * (len(unit.shape) - 2), rows, cols)], unit.header.get("BLANK")
    if part.dtype.kind != "u" or part.dtype.itemsize == 1 or not isinstance(blank, int):
        return part
    # Of unsigned integers astropy forgets BLANK, which is written as the stored, signed number.
    missing = part == blank + (1 << (8 * part.dtype.itemsize - 1))
    values = part.astype(float_type(part.dtype))
    values[missing] = np.nan
    return values


def _plane(unit: Any, name: str) -> tuple[int, ...]:
    """Return the axes of an HDU, rows and columns last, if it holds one 2-D image."""
    shape = tuple(unit.shape) if unit.is_image else ()
    if len(shape) < 2 or any(n != 1 for n in shape[:-2]) or not all(shape):
        raise FrameError("no_image", f"{name}: holds no 2-D image in this HDU, found axes {shape}")
    return shape


def _span(centre: float, size: int, total: int) -> slice:
    first = int(np.ceil(centre - size / 2))
    return slice(min(max(first, 0), total), min(max(first + size, 0), total))
