"""The fits under their published names and arguments: images and files in, a result out, and the files and figures that were asked for.

In all of them ``hst`` is the reference image and ``muse`` the image, of whatever telescope. Both lie on one grid, in one unit; see
`regrid_hst_like_muse` and `rescale_hst_like_muse`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ezarchive.compare.corrections import apply_corrections
from ezarchive.compare.ds9regions import region_mask, star_region
from ezarchive.compare.fitfigures import check_screen, draw_image_fit, draw_star_fit, show
from ezarchive.compare.fitfiles import beside, check_outputs, output_prefix, save_products
from ezarchive.compare.fluximage import FluxImage, flux_image
from ezarchive.compare.grid import image_grids_aligned
from ezarchive.compare.imagefit import ImageFitOptions, fit_images
from ezarchive.compare.moffat import check_beta, check_fwhm
from ezarchive.compare.psf import MoffatPsf, as_psf
from ezarchive.compare.results import FittedImagePhotometry, FittedPhotometry, FittedStarPhotometry
from ezarchive.compare.starfit import StarFitOptions, check_star, fit_stars, star_pixel
from ezarchive.errors import CompareError, InputError
from ezarchive.plots.common import save as save_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 150
_UNITS_EQUAL = 1e-6


def fit_image_photometry(  # noqa: PLR0913  the published arguments
    hst: Any, muse: Any, regions: Any = None, fix_scale: float | None = None, fix_bg: float | None = None, fix_dx: float | None = None,
    fix_dy: float | None = None, fix_fwhm: float | None = None, fix_beta: float | None = None, min_scale: float = 0,
    hst_fwhm: float = 0.085, hst_beta: float = 1.6, margin: float = 2.0, segment: bool = False, display: bool = False,
    nowait: bool = False, hardcopy: str | None = None, title: str | None = None, star: Iterable[float] | None = None, save: bool = False,
    fig: Figure | None = None, taper: int = 9, apply: bool = False, resample: bool = False, extramask: Any = None,
    init_dx: float | None = None, init_dy: float | None = None, *, hst_psf: Any = None, muse_psf: Any = None, antialias: bool = True,
    outdir: str | os.PathLike[str] | None = None,
) -> FittedImagePhotometry:  # fmt: skip
    """Fit seeing, scale, offset and pointing of an image by all that it shares with a sharper reference image.

    Parameters
    ----------
    hst, muse : path, FluxImage, Image, NDData or array
        The reference image and the image, on one grid and in one unit.
    regions : path, iterable of str, "star", "notstar" or None
        DS9 regions to use and to leave out; or only, or all but, the circle `star` (all where there is no `star`).
    fix_scale, fix_bg, fix_dx, fix_dy, fix_fwhm, fix_beta : float, optional
        Values to hold: image / reference; image - reference in the unit of the pixels; arcsec by which things lie at larger x and y in the
        image than in the reference; width (arcsec) and exponent of the image's Moffat profile.
    min_scale : float
        Lowest scale.
    hst_fwhm, hst_beta : float
        Moffat profile of the reference before it was put on this grid.
    margin : float
        Arcsec of room around the images, at least.
    segment : bool
        Leave out the sky between the sources.
    display, nowait : bool
        Show the figure on the screen; do not wait until it is closed.
    hardcopy : str, optional
        ``png``, ``pdf`` or ``svg``: write the figure, ``<image>_image_fit.png``, beside the image.
    title : str, optional
        Of the figure.
    star : (float, float, float), optional
        ICRS degrees and radius in arcsec, for `regions`.
    save : bool
        Write what was compared and its spectra beside the image (`fitfiles`).
    fig : Figure, optional
        To draw into.
    taper : int
        Pixels of the smooth edge of what is compared.
    apply, resample : bool
        Write the corrected image, ``<image>_aligned.fits``; with its pixels moved (`apply_corrections`).
    extramask : path, FluxImage or array, optional
        Pixels that are not 0 are left out.
    init_dx, init_dy : float, optional
        Arcsec from which the search for dx and dy starts; 0 by default.
    hst_psf, muse_psf : Psf, (fwhm, beta), array or (array, arcsec per pixel), optional
        PSF of the reference in place of `hst_fwhm` and `hst_beta`, and of the image in place of a Moffat profile that is fitted.
    antialias : bool
        The reference has been low-passed at the Nyquist frequency of its pixels (where its header tells of a filter, that one counts).
    outdir : path, optional
        Folder of all files, in place of that of the image.

    Returns
    -------
    FittedImagePhotometry

    Raises
    ------
    InputError
        If an argument is wrong, the grids or units differ, or the files could not be written; nothing has been written then.
    CompareError
        If the images cannot be compared, as where all pixels are masked.
    FrameError
        If a file cannot be read.
    """
    reference, image = _comparable(hst, muse)
    files = _Files.planned(image, hardcopy, title, fig, outdir, display=display, nowait=nowait, save=save, apply=apply, resample=resample)
    if hst_psf is None:
        psf = MoffatPsf(check_fwhm(hst_fwhm, "hst_fwhm"), check_beta(hst_beta, "hst_beta"))
    else:
        psf = as_psf(hst_psf, reference.step, "hst_psf")
    options = ImageFitOptions(
        fix_scale=fix_scale, fix_bg=fix_bg, fix_dx=fix_dx, fix_dy=fix_dy, fix_fwhm=fix_fwhm, fix_beta=fix_beta, min_scale=min_scale,
        init_dx=init_dx, init_dy=init_dy, reference_psf=psf,
        image_psf=None if muse_psf is None else as_psf(muse_psf, image.step, "muse_psf"),
        antialias=antialias, margin=margin, taper=taper, segment=segment, region_mask=_region_mask(regions, star, image),
        extramask=_extra_mask(extramask, image),
    )  # fmt: skip
    result, products = fit_images(reference, image, options)
    files.leave(result, products, lambda figure, words: draw_image_fit(products, words, result, image, figure))
    return result


def fit_star_photometry(  # noqa: PLR0913  the published arguments
    hst: Any, muse: Any, star: Iterable[float], fix_fwhm: float | None = None, fix_beta: float | None = None, display: bool = False,
    nowait: bool = False, hardcopy: str | None = None, title: str | None = None, fig: Figure | None = None, apply: bool = False,
    resample: bool = False, *, hst_fwhm: float = 0.085, hst_beta: float = 1.6, hst_psf: Any = None, muse_psf: Any = None,
    free_reference: bool = False, antialias: bool = True, integrate: bool = False, outdir: str | os.PathLike[str] | None = None,
) -> FittedStarPhotometry:  # fmt: skip
    """Fit seeing, scale, offset and pointing of an image by one star that it shares with a sharper reference image.

    Parameters
    ----------
    star : (float, float, float)
        ICRS degrees, and the radius in arcsec within which pixels are used.
    free_reference, integrate : bool
        See `StarFitOptions`.
    hst, muse, fix_fwhm, fix_beta, display, nowait, hardcopy, title, fig, apply, resample, hst_fwhm, hst_beta, hst_psf, muse_psf, antialias, outdir
        As of `fit_image_photometry`; the figure is ``<image>_star_fit.png``.

    Returns
    -------
    FittedStarPhotometry

    Raises
    ------
    InputError
        If an argument is wrong, the star is not on the image, the grids or units differ, or the files could not be written.
    CompareError
        ``no_star``, ``too_few_pixels`` or ``degenerate``: there is no star that could be fitted.
    FrameError
        If a file cannot be read.
    """  # noqa: E501
    star = check_star(star)
    reference, image = _comparable(hst, muse)
    files = _Files.planned(image, hardcopy, title, fig, outdir, display=display, nowait=nowait, apply=apply, resample=resample)
    options = StarFitOptions(
        fix_fwhm=fix_fwhm, fix_beta=fix_beta, muse_psf=muse_psf, hst_fwhm=hst_fwhm, hst_beta=hst_beta, hst_psf=hst_psf,
        free_reference=free_reference, antialias=antialias, integrate=integrate,
    )  # fmt: skip
    fit = fit_stars(reference, image, star, options)
    files.leave(fit.result, None, lambda figure, words: draw_star_fit(fit, words, image, reference, figure))
    return fit.result


def fit_image_and_star_photometry(  # noqa: PLR0913  the published arguments
    hst: Any, muse: Any, star: Iterable[float], regions: Any = "star", fix_scale: float | None = None, fix_bg: float | None = None,
    fix_dx: float | None = None, fix_dy: float | None = None, fix_fwhm: float | None = None, fix_beta: float | None = None,
    hst_fwhm: float = 0.085, hst_beta: float = 1.6, margin: float = 2.0, segment: bool = False, display: bool = False,
    nowait: bool = False, hardcopy: str | None = None, title: str | None = None, save: bool = False, fig: Figure | None = None, *,
    min_scale: float = 0, taper: int = 9, apply: bool = False, resample: bool = False, extramask: Any = None,
    init_dx: float | None = None, init_dy: float | None = None, hst_psf: Any = None, muse_psf: Any = None, free_reference: bool = False,
    antialias: bool = True, integrate: bool = False, outdir: str | os.PathLike[str] | None = None,
) -> tuple[FittedImagePhotometry, FittedStarPhotometry]:  # fmt: skip
    """Fit an image by what it shares with the reference, and by one star: where the two differ, the star moves, varies or is saturated.

    Parameters
    ----------
    hst, muse, star, ...
        As of `fit_image_photometry` and `fit_star_photometry`. `regions` is by default the circle of the star, so that both fits use the
        same pixels. The correction that `apply` writes is that of the image fit. A `fig` holds the star's fit at the end.

    Returns
    -------
    image_fit : FittedImagePhotometry
    star_fit : FittedStarPhotometry

    Raises
    ------
    InputError, CompareError, FrameError
        As of the two; the star is looked at first.
    """
    star = check_star(star)
    reference, image = _comparable(hst, muse)
    star_pixel(image, star, "muse")
    shared = {
        "fix_fwhm": fix_fwhm, "fix_beta": fix_beta, "hst_fwhm": hst_fwhm, "hst_beta": hst_beta, "hst_psf": hst_psf, "muse_psf": muse_psf,
        "antialias": antialias, "display": display, "nowait": nowait, "hardcopy": hardcopy, "title": title, "fig": fig, "outdir": outdir,
    }  # fmt: skip
    of_image = fit_image_photometry(
        reference, image, regions, fix_scale, fix_bg, fix_dx, fix_dy, star=star, margin=margin, segment=segment, save=save,
        min_scale=min_scale, taper=taper, apply=apply, resample=resample, extramask=extramask, init_dx=init_dx, init_dy=init_dy, **shared,
    )  # fmt: skip
    return of_image, fit_star_photometry(reference, image, star, free_reference=free_reference, integrate=integrate, **shared)


@dataclass(frozen=True)
class _Files:
    """What is to be left behind."""

    image: FluxImage
    prefix: Path
    suffix: str | None
    title: str | None
    figure: Figure | None
    display: bool
    nowait: bool
    save: bool
    apply: bool
    resample: bool

    @classmethod
    def planned(
        cls, image: FluxImage, hardcopy: str | None, title: str | None, figure: Figure | None, outdir: Any, *, display: bool,
        nowait: bool, apply: bool, resample: bool, save: bool = False,
    ) -> _Files:  # fmt: skip
        """Check what can be checked before there is a fit."""
        prefix = output_prefix(image, outdir)
        suffix = check_outputs(prefix, hardcopy, writes=save or apply)
        if display:
            check_screen()
        return cls(image, prefix, suffix, title, figure, display, nowait, save, apply, resample)

    def leave(self, result: FittedPhotometry, products: Any, draw: Any) -> None:
        """Write files, draw figures; a correction that cannot be made is told before anything is written."""
        corrected = apply_corrections(self.image, result, resample=self.resample) if self.apply else None
        if self.save:
            save_products(self.prefix, self.image, products)
        if corrected is not None:
            corrected.write(beside(self.prefix, "_aligned.fits"))
        if self.suffix is not None or self.figure is not None:
            figure = draw(self.figure, self.title)
            if self.suffix is not None:
                kind = "image" if products is not None else "star"
                save_figure(figure, beside(self.prefix, f"_{kind}_fit.{self.suffix}"), dpi=_DPI)
        if self.display:
            show(lambda figure: draw(figure, self.title), wait=not self.nowait)


def _comparable(hst: Any, muse: Any) -> tuple[FluxImage, FluxImage]:
    """Return both as images of one grid and one unit."""
    reference, image = flux_image(hst, "hst"), flux_image(muse, "muse")
    for name, one in (("hst", reference), ("muse", image)):
        if one.wcs is None:
            raise InputError(f"{name}: {one.name} must have a celestial WCS")
    if not image_grids_aligned(reference, image):
        shapes = f"{reference.shape[0]} x {reference.shape[1]} and {image.shape[0]} x {image.shape[1]} pixels"
        raise InputError(f"hst {reference.name}: must lie on the grid of muse {image.name} ({shapes}); regrid_hst_like_muse puts it there")
    for name, one in (("hst", reference), ("muse", image)):
        if one.mask.all():
            raise CompareError("all_masked", f"{name} {one.name}: must have pixels that are not masked, found none")
    return _in_unit(reference, image), image


def _in_unit(reference: FluxImage, image: FluxImage) -> FluxImage:
    """Return the reference in the unit of the image."""
    if reference.unit is None or image.unit is None:
        return reference
    if not reference.unit.is_equivalent(image.unit):
        units = f"found {reference.unit.to_string()!r} and {image.unit.to_string()!r}"
        raise InputError(f"hst {reference.name}: must be in the unit of muse {image.name}, {units}; rescale_hst_like_muse converts it")
    factor = reference.unit.to(image.unit)
    if abs(factor - 1) < _UNITS_EQUAL:
        return reference
    variance = None if reference.variance is None else reference.variance * factor**2
    return reference.copy(data=reference.data * factor, variance=variance, unit=image.unit)


def _region_mask(regions: Any, star: Any, image: FluxImage) -> NDArray[np.bool_] | None:
    circle = None if star is None else check_star(star)
    if isinstance(regions, str) and regions in ("star", "notstar"):
        if circle is None:
            return None
        star_pixel(image, circle, "muse")
        regions = star_region(*circle, exclude=regions == "notstar")
    return None if regions is None else region_mask(regions, image)


def _extra_mask(extramask: Any, image: FluxImage) -> NDArray[np.bool_] | None:
    if extramask is None or (isinstance(extramask, str) and extramask.lower() in ("none", "")):
        return None
    plane = np.asarray(extramask, float) if isinstance(extramask, np.ndarray) else None
    if plane is None:
        given = flux_image(extramask, "extramask")
        if given.wcs is not None and not image_grids_aligned(given, image):
            raise InputError(f"extramask {given.name}: must lie on the grid of muse {image.name}")
        plane = given.data
    if plane.shape != image.shape:
        raise InputError(f"extramask: must have the shape of the image, {image.shape}, found {plane.shape}")
    return plane != 0
