"""An image on the pixels of another: low-pass filter of known transfer, then its values at the new pixels through both WCS."""

from __future__ import annotations

import re
import warnings
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from numpy.typing import NDArray

from ezarchive import sky
from ezarchive.compare.fluximage import FluxImage, flux_image
from ezarchive.compare.grid import Grid, grid_of, image_grids_aligned
from ezarchive.compare.lowpass import LowPass, lowpass_of
from ezarchive.compare.resample import Sampling, sample
from ezarchive.compare.sections import sections, whole
from ezarchive.errors import CompareError, InputError

Floats = NDArray[np.float64]
_MISSING = 0.01
_WCS_CARDS = re.compile(
    r"(NAXIS|WCSAXES|WCSNAME|LONPOLE|LATPOLE|RADESYS|RADECSYS|EQUINOX|EPOCH|ORIENTAT|PIXAR_SR|PIXAR_A2|PA_APER|MJDREF|VELREF)[A-Z]?"
    r"|(NAXIS|CTYPE|CUNIT|CRVAL|CRPIX|CDELT|CROTA|CNAME|CRDER|CSYER|LTV)\d[A-Z]?|((CD|PC|LTM)\d_\d|P[VS]\d_\d+)[A-Z]?"
    r"|[AB]P?_(ORDER|DMAX|\d_\d)|(CPDIS|CPERR|CQDIS|D2IMDIS|D2IMERR|DP|DQ)\d.*|D2IM.*"
)


def regrid(
    image: Any,
    like: Any,
    *,
    surface_brightness: bool | None = None,
    zeros_are_blank: bool = False,
    max_missing: float = _MISSING,
    filter_aligned: bool = False,
) -> FluxImage:
    """Put an image on the pixels of another one.

    Parameters
    ----------
    image : path, FluxImage, Image or NDData
        What is to be regridded; it is not changed. Of a file (not compressed) only the pieces that are needed are read.
    like : path, FluxImage, Image or NDData; or a cube
        The image, or the planes, whose pixels are wanted.
    surface_brightness : bool, optional
        Whether values are per solid angle, so that they stay, rather than fluxes of pixels, which grow with the pixel. By default, as the
        unit of the image says; fluxes if it has none.
    zeros_are_blank : bool
        Whether pixels of exactly 0 (and as good as 0) have no value, as at the edges of drizzled mosaics.
    max_missing : float
        A new pixel is masked where more than this part of the filter's weight lies on pixels that are masked or beyond the image.
    filter_aligned : bool
        Whether to filter an image that is on these pixels already and says nothing of a filter. By default it stays as it is.

    Returns
    -------
    FluxImage
        On the grid of `like`, in the unit of `image`; NaN where masked. Its header tells of the filter: see `ezarchive.compare.lowpass`.

    Raises
    ------
    InputError
        If one has no celestial WCS, or an option is wrong.
    CompareError
        ``no_overlap``: the images do not overlap, or all of `image` is masked there.
    FrameError
        If a file cannot be read.

    Notes
    -----
    The filter is a radial Blackman window that ends at the Nyquist frequency of the new pixels (of the old ones where these are larger).
    Then the image is sampled at the centres of the new pixels, with no other smoothing, and times the ratio of the pixels' areas. Both
    follow from the WCS pixel by pixel, anywhere on the sky. The variance of a new pixel is that of the weighted sum; neighbours share
    noise. Memory is bounded: pieces are done one after the other.
    """
    if not 0 <= max_missing < 1:
        raise InputError(f"max_missing: must be from 0 to below 1, found {max_missing!r}")
    how = {"surface_brightness": surface_brightness, "zeros_are_blank": zeros_are_blank, "filter_aligned": filter_aligned}
    return _regridded(image, like, ("image", "like"), max_missing=max_missing, **how)


def _regridded(
    image: Any, like: Any, names: tuple[str, str], *, surface_brightness: bool | None = None, zeros_are_blank: bool = False,
    max_missing: float = _MISSING, filter_aligned: bool = False,
) -> FluxImage:  # fmt: skip
    """Do what `regrid` does, with the names that the arguments have for the user."""
    source, grid = sections(image, names[0]), grid_of(like, names[1])
    if source.wcs is None:
        raise InputError(f"{names[0]}: {source.name} must have a celestial WCS")
    own = Grid(source.wcs, source.shape, source.unit, source.header, source.name)
    if image_grids_aligned(own, grid) and not (filter_aligned and lowpass_of(source.header) is None):
        return flux_image(image, names[0]).copy()
    lowpass = _lowpass(own, grid)
    if surface_brightness is None:
        surface_brightness = is_brightness(source.unit)
    stretch = lowpass.step_y / grid.step[0], lowpass.step_x / grid.step[1]
    how = Sampling(_mapping(own, grid), stretch, not surface_brightness, max_missing)
    made = sample(source.source(zeros_are_blank=zeros_are_blank), grid.shape, how, variance=source.has_variance)
    if made.mask.all():
        what = f"{names[0]}: {source.name} must overlap {names[1]} {grid.name}"
        raise CompareError("no_overlap", f"{what} with pixels that are not masked, found none ({_apart(own, grid)})")
    header = _header(source.header, grid, lowpass)
    return whole(source, data=made.data, variance=made.variance, mask=made.mask, wcs=grid.wcs.deepcopy(), header=header)


def regrid_hst_like_muse(hst: Any, muse: Any, inplace: bool = True) -> FluxImage:
    """Put a reference image on the pixels of another image, zeros being pixels without value (see `regrid`).

    Parameters
    ----------
    hst : path, FluxImage, Image or NDData
        The reference image.
    muse : path, FluxImage, Image or NDData; or a cube
        The image.
    inplace : bool
        Whether a `FluxImage` given as `hst` itself gets the new arrays, WCS and header; whatever else is given stays as it is.

    Returns
    -------
    FluxImage
        What is on these pixels already stays as it is.

    Raises
    ------
    InputError, CompareError, FrameError
        As `regrid`.
    """
    made = _regridded(hst, muse, ("hst", "muse"), zeros_are_blank=True)
    return hst.update(made) if inplace and isinstance(hst, FluxImage) else made


def is_brightness(unit: u.UnitBase | None) -> bool:
    """Say whether a unit is per solid angle."""
    if unit is None:
        return False
    parts = unit.decompose()
    return any(base == u.rad and power < 0 for base, power in zip(parts.bases, parts.powers, strict=True))


def _lowpass(own: Grid, grid: Grid) -> LowPass:
    coarsest = max(own.step)
    # Steps a little larger than the new ones are these: images of one camera differ by so much.
    return LowPass(*(step if coarsest <= step * 1.001 else coarsest for step in grid.step))


def _mapping(own: Grid, grid: Grid) -> Any:
    """Return the function from new pixels to those of the source; NaN where they lie nowhere on it."""
    step = max(own.step)

    def to_source(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        ra, dec = sky.pixel_to_icrs(grid.wcs, x, y)
        found = sky.icrs_to_pixel(own.wcs, ra, dec)
        # A distortion may lead to anywhere outside of the field that it was made for.
        apart = sky.separation(ra, dec, *sky.pixel_to_icrs(own.wcs, *found)) * 3600
        with np.errstate(invalid="ignore"):
            lost = ~(apart < step)
        return tuple(np.where(lost, np.nan, part) for part in found)

    return to_source


def _header(header: fits.Header, grid: Grid, lowpass: LowPass) -> fits.Header:
    """Return a header with the WCS of a grid in place of its own, and what is known of the filter."""
    made = header.copy()
    for keyword in {keyword for keyword in made if _WCS_CARDS.fullmatch(keyword)}:
        made.remove(keyword, ignore_missing=True, remove_all=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made.update(grid.wcs.to_header(relax=True))
    made.update(lowpass.cards())
    return made


def _apart(own: Grid, grid: Grid) -> str:
    centres = [sky.pixel_to_icrs(one.wcs, (one.shape[1] - 1) / 2, (one.shape[0] - 1) / 2) for one in (own, grid)]
    return f"their centres are {float(sky.separation(*centres[0], *centres[1])) * 3600:.1f} arcsec apart"
