"""`FluxImage`: pixels with variance, mask, WCS and unit, as the comparisons need them, and its files (DATA, STAT, DQ)."""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from astropy.nddata import NDData, VarianceUncertainty
from astropy.wcs import WCS

from ezarchive import sky
from ezarchive.errors import InputError
from ezarchive.files import atomic_write
from ezarchive.images.fitsfile import standard_cards
from ezarchive.images.image import Image
from ezarchive.images.planes import ERROR_NAMES, QUALITY_NAME, VARIANCE_NAMES, data_hdu, quality_mask, siblings_of, stem, unit_of


@dataclass(repr=False)
class FluxImage:
    """An image whose pixels are fluxes, with what is known of their noise.

    Attributes
    ----------
    data : ndarray of float64, shape (ny, nx)
        0-based pixels, ``[y, x]``; NaN or infinite where there is no value.
    variance : ndarray of float64, shape (ny, nx), or None
        Of `data`, in its unit squared; None: not known.
    mask : ndarray of bool, shape (ny, nx)
        True where a pixel must not be used; everywhere that `data` is not finite it is True.
    wcs : WCS or None
    unit : Unit or None
        None: not known.
    header : Header
        Of the image's HDU.
    primary : Header
        Of the first HDU of its file; that of the image where there is but one.
    path : Path or None
        The file it was read from.
    name : str
        Its file name without suffix; ``"image"`` for pixels that came from no file.

    Notes
    -----
    The arrays are never changed in place: a function that works ``inplace`` gives the object new ones, so whatever shares the old ones
    keeps them.
    """

    data: np.ndarray
    variance: np.ndarray | None = None
    mask: np.ndarray | None = None
    wcs: WCS | None = None
    unit: u.UnitBase | None = None
    header: fits.Header = field(default_factory=fits.Header)
    primary: fits.Header = field(default_factory=fits.Header)
    path: Path | None = None
    name: str = "image"

    def __post_init__(self) -> None:
        self.data = _plane("data", self.data, np.float64)
        bad = ~np.isfinite(self.data)
        if self.mask is not None:
            bad |= _plane("mask", self.mask, np.bool_, self.data.shape)
        self.mask = bad
        if self.unit is not None:
            self.unit = u.Unit(self.unit)
        if self.variance is not None:
            self.variance = _plane("variance", self.variance, np.float64, self.data.shape)
            if (self.variance[~bad] < 0).any():
                raise InputError(f"variance: must not be negative, found {self.variance[~bad].min():g}")

    def __repr__(self) -> str:
        unit = "unknown unit" if self.unit is None else self.unit.to_string()
        noise = "no variance" if self.variance is None else "variance"
        return f"FluxImage({self.name!r}, {self.shape[0]} x {self.shape[1]}, {unit}, {noise}, {int(self.mask.sum())} masked)"

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.data.shape

    @property
    def step(self) -> tuple[float, float]:
        """Arcsec per pixel along y and along x (always positive), at the centre of the image.

        Raises
        ------
        InputError
            If the image has no WCS.
        """
        if self.wcs is None:
            raise InputError(f"{self.name}: must have a celestial WCS")
        ny, nx = self.shape
        local = sky.jacobian(self.wcs, (nx - 1) / 2, (ny - 1) / 2)
        along_x, along_y = np.hypot(*local)
        return float(along_y), float(along_x)

    def copy(self, **changes: Any) -> FluxImage:
        """Return another one with arrays and headers of its own, some fields changed."""
        own = {
            "data": self.data.copy(),
            "variance": None if self.variance is None else self.variance.copy(),
            "mask": self.mask.copy(),
            "wcs": None if self.wcs is None else self.wcs.deepcopy(),
            "header": self.header.copy(),
            "primary": self.primary.copy(),
        }
        return replace(self, **(own | changes))

    def update(self, other: FluxImage) -> FluxImage:
        """Take every field of another one over, its file and name apart, and return itself."""
        for name in ("data", "variance", "mask", "wcs", "unit", "header", "primary"):
            setattr(self, name, getattr(other, name))
        return self

    def write(self, path: str | os.PathLike[str], *, dtype: Any = np.float32) -> Path:
        """Write it as a FITS file, whole or not at all.

        Parameters
        ----------
        path : path
            What is there already is replaced.
        dtype : dtype
            Of pixels and variances in the file.

        Returns
        -------
        Path
            A file of an empty primary HDU, DATA, STAT where the variance is known, and DQ (1: masked).
        """
        header = _described(self.header, self.wcs, self.unit)
        units = [fits.PrimaryHDU(header=_bare(self.primary)), fits.ImageHDU(self.data.astype(dtype), header, "DATA")]
        if self.variance is not None:
            variance = _described(self.header, self.wcs, None if self.unit is None else self.unit**2)
            units.append(fits.ImageHDU(self.variance.astype(dtype), variance, "STAT"))
        units.append(fits.ImageHDU(self.mask.astype(np.uint8), _described(fits.Header(), self.wcs, None), "DQ"))
        path = Path(path)
        whole = io.BytesIO()
        fits.HDUList(units).writeto(whole, output_verify="silentfix+ignore")
        with atomic_write(path) as stream:
            stream.write(whole.getbuffer())
        return path


def flux_image(source: Any, name: str = "image") -> FluxImage:
    """Return what was given as a `FluxImage`.

    Parameters
    ----------
    source : path, FluxImage, Image, NDData or array of shape (ny, nx)
        Of a file the extension DATA or SCI is read, or else the first image; with STAT or VAR as variance or ERR as standard deviation,
        and DQ: a pixel is masked where it is not 0 (of JWST, where its first bit is set).
    name : str
        The argument, for messages.

    Returns
    -------
    FluxImage
        `source` itself if it is one.

    Raises
    ------
    InputError
        If it is nothing of the kind, or variance or mask are of another shape.
    FrameError
        If the file cannot be read or holds no image.
    """
    if isinstance(source, FluxImage):
        return source
    if isinstance(source, (str, os.PathLike)):
        return read_flux_image(source)
    if isinstance(source, Image):
        if source.path is not None:
            return _read(source.path, source.hdu, source)
        return FluxImage(source.load(), wcs=source.wcs, unit=unit_of(source.header), header=source.header.copy(), name=name)
    if isinstance(source, NDData):
        return _from_nddata(source, name)
    if isinstance(source, np.ndarray):
        return FluxImage(_plane(name, source, np.float64), name=name)
    raise InputError(f"{name}: must be a path, an Image, a FluxImage, an NDData or a 2-D array, found {type(source).__name__}")


def read_flux_image(path: str | os.PathLike[str], hdu: int | None = None) -> FluxImage:
    """Read an image file (see `flux_image`); `hdu` says which of its images, by default DATA, SCI or the first."""
    path = Path(path)
    return _read(path, data_hdu(path) if hdu is None else hdu)


def _read(path: Path, hdu: int, image: Image | None = None) -> FluxImage:
    image = Image(path, hdu) if image is None else image
    siblings = siblings_of(path, hdu)
    variance = _sibling(path, siblings, VARIANCE_NAMES)
    if variance is None:
        error = _sibling(path, siblings, ERROR_NAMES)
        variance = None if error is None else error.astype(float) ** 2
    quality = _sibling(path, siblings, (QUALITY_NAME,))
    primary = Image(path, 0).header.copy()
    return FluxImage(
        image.load(),
        variance=variance,
        mask=None if quality is None else quality_mask(quality, primary),
        wcs=image.wcs,
        unit=unit_of(image.header) or unit_of(primary),
        header=image.header.copy(),
        primary=primary,
        path=path,
        name=stem(path),
    )


def _sibling(path: Path, siblings: dict[str, int], names: tuple[str, ...]) -> np.ndarray | None:
    found = next((siblings[name] for name in names if name in siblings), None)
    return None if found is None else Image(path, found).load()


def _from_nddata(source: NDData, name: str) -> FluxImage:
    uncertainty, header = source.uncertainty, fits.Header()
    if source.meta:
        header = source.meta.copy() if isinstance(source.meta, fits.Header) else fits.Header(dict(source.meta))
    variance = None
    if uncertainty is not None:
        variance = uncertainty.represent_as(VarianceUncertainty).array.astype(float)
    mask = None if source.mask is None else np.broadcast_to(np.asarray(source.mask, bool), np.shape(source.data))
    data = _plane(name, source.data, np.float64)
    return FluxImage(data, variance, mask, source.wcs, source.unit or unit_of(header), header, header.copy(), None, name)


def _plane(name: str, values: Any, dtype: Any, shape: tuple[int, int] | None = None) -> np.ndarray:
    try:
        array = np.ma.getdata(values) if name == "mask" else np.ma.filled(np.ma.asarray(values, dtype=float), np.nan)
    except (TypeError, ValueError) as err:
        raise InputError(f"{name}: must be numbers, found {getattr(values, 'dtype', type(values).__name__)}") from err
    if array.ndim != 2 or not array.size:
        raise InputError(f"{name}: must have two axes and at least one pixel, found shape {array.shape}")
    if shape is not None and array.shape != shape:
        raise InputError(f"{name}: must have the shape of the data, {shape}, found {array.shape}")
    return np.ascontiguousarray(array, dtype)


def _bare(header: fits.Header) -> fits.Header:
    """Return the cards of a primary header that describe no pixels."""
    made = fits.Header(standard_cards(header))
    for keyword in ("BUNIT", "WCSAXES"):
        made.remove(keyword, ignore_missing=True)
    return made


def _described(header: fits.Header, wcs: WCS | None, unit: u.UnitBase | None) -> fits.Header:
    """Return a header that says what the pixels are now: the WCS as CD cards, the unit."""
    made = fits.Header(standard_cards(header))
    for keyword in ("EXTNAME", "EXTVER", "INHERIT", "BUNIT"):
        made.remove(keyword, ignore_missing=True)
    if wcs is not None:
        for axis in (1, 2):
            for keyword in (f"CDELT{axis}", f"CROTA{axis}", *(f"{kind}{axis}_{other}" for kind in ("PC", "CD") for other in (1, 2))):
                made.remove(keyword, ignore_missing=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            made.update(wcs.to_header(relax=True))
        matrix = wcs.pixel_scale_matrix
        for axis in (1, 2):
            for other in (1, 2):
                made.remove(f"PC{axis}_{other}", ignore_missing=True)
                made[f"CD{axis}_{other}"] = matrix[axis - 1, other - 1]
            made.remove(f"CDELT{axis}", ignore_missing=True)
    if unit is not None:
        made["BUNIT"] = unit.to_string("fits") if _is_fits(unit) else unit.to_string()
    return made


def _is_fits(unit: u.UnitBase) -> bool:
    try:
        unit.to_string("fits")
    except ValueError:
        return False
    return True
