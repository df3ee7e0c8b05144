"""`AperturePhotometry`: the tutorial's five methods, on one image at a time.

A thin skin: every method checks what it was given, calls one function, and does what its switches say: ``save`` (a Parquet catalog under
``HOME/catalogs`` with a row in the database, in two short transactions, so that many processes may do so at once), ``verbose`` (a line on
the screen), ``visualize`` (a figure, where a notebook can show one), ``save_fig`` (under ``HOME/figures``). ``save=False`` touches nothing
on disk. No argument is altered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ezarchive.browse.catalog import Catalog
from ezarchive.errors import InputError
from ezarchive.measureoptions import MeasureOptions
from ezarchive.oneimage import as_image, at_positions, detection, listed_positions
from ezarchive.positions import Axes, PositionOptions
from ezarchive.screen import help_text, say

Numbers = float | Sequence[float] | np.ndarray

METHODS = ("sex", "photutils", "circular", "elliptical")


class AperturePhotometry:
    """Photometry of one image: detection (``sex``, ``photutils``) or given positions (``circular``, ``elliptical``).

    Every method takes an image of an archive (`ArchiveImage`), a plain `Image`, the path of a FITS file or an array, and returns a
    `Catalog`. Maps may be what ``calculate_bkg`` and its like return, arrays, images, paths or numbers; a map of another shape or of
    another frame is an error. Masked sources are measured and flagged by detection; masked pixels are left out at given positions.
    """

    def help(self) -> None:
        """Print the public methods with their signatures."""
        say(help_text(type(self)))

    def sex_photometry(  # noqa: PLR0913  the tutorial's arguments
        self,
        target_img: Any,
        target_bkg: Any = None,
        target_bkgrms: Any = None,
        target_mask: Any = None,
        sex_params: Mapping[str, Any] | None = None,
        detection_sigma: float = 5,
        aperture_diameter_arcsec: Numbers = [5, 7, 10],  # noqa: B006  the tutorial's signature; never changed
        aperture_diameter_seeing: Numbers = [3.5, 4.5],  # noqa: B006
        saturation_level: float | None = 60000,
        kron_factor: float = 2.5,
        save: bool = True,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
        **kwargs: Any,
    ) -> Catalog:
        """Detect and measure sources with SExtractor's meaning of its parameters.

        Parameters
        ----------
        target_img : ArchiveImage, Image, path or array
        target_bkg, target_bkgrms : map, array, image, path or number, optional
            Level of the sky and its noise per pixel; by default those of a mesh of the image itself.
        target_mask : mask, array, image or path, optional
            Sources on masked pixels are flagged (IMAFLAGS_ISO, NIMAFLAGS_ISO, bit MASKED of FLAGS_APER).
        sex_params : mapping, optional
            SExtractor's own keywords, which win over the arguments; an unknown or unsupported one is an error.
        detection_sigma : float
            Threshold in units of the noise.
        aperture_diameter_arcsec, aperture_diameter_seeing : float or list
            Diameters, numbered in this order: no suffix, ``_1``, ``_2`` ...
        saturation_level : float, optional
            In the stored unit, sky included, for images whose header has none.
        kron_factor : float
        save, verbose, visualize, save_fig : bool
            See the module.
        **kwargs
            Other fields of `MeasureOptions`, as ``aperture_diameter_pixel``, ``gain``, ``mask_type``.

        Returns
        -------
        Catalog
            ``columns.SOURCE`` and ``columns.aperture(i)`` for every aperture.
        """
        given = {
            "sex_params": sex_params, "detection_sigma": detection_sigma, "aperture_diameter_arcsec": aperture_diameter_arcsec,
            "aperture_diameter_seeing": aperture_diameter_seeing, "saturation_level": saturation_level, "kron_factor": kron_factor,
        }  # fmt: skip
        options = MeasureOptions.from_arguments({**given, **kwargs}, "sex")
        maps = {"target_bkg": target_bkg, "target_bkgrms": target_bkgrms, "target_mask": target_mask}
        switches = {"save": save, "verbose": verbose, "visualize": visualize, "save_fig": save_fig}
        return detection("sex", target_img, options, maps, switches)

    def photutils_photometry(  # noqa: PLR0913  the tutorial's arguments
        self,
        target_img: Any,
        target_bkg: Any = None,
        target_bkgrms: Any = None,
        target_mask: Any = None,
        detection_sigma: float = 1.5,
        aperture_diameter_arcsec: Numbers = [5, 7, 10],  # noqa: B006
        kron_factor: float = 2.5,
        minarea_pixels: int = 5,
        calc_accurate_fwhm: bool = True,
        save: bool = True,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
        **kwargs: Any,
    ) -> Catalog:
        """Detect and measure sources with photutils: the columns of `sex_photometry`, NULL where photutils has none.

        Parameters
        ----------
        target_img, target_bkg, target_bkgrms, target_mask
            As of `sex_photometry`.
        detection_sigma : float
            Threshold in units of the noise, on pixels that are not smoothed.
        aperture_diameter_arcsec : float or list
        kron_factor : float
        minarea_pixels : int
            Connected pixels that make a source.
        calc_accurate_fwhm : bool
            The FWHM of the profile, not of the Gaussian of equal moments.
        save, verbose, visualize, save_fig : bool
            See the module.
        **kwargs
            Other fields of `MeasureOptions`, as ``aperture_diameter_seeing``, ``saturation_level``, ``deblend_mincont``.

        Returns
        -------
        Catalog
        """
        given = {
            "detection_sigma": detection_sigma, "aperture_diameter_arcsec": aperture_diameter_arcsec, "aperture_diameter_seeing": None,
            "kron_factor": kron_factor, "detect_minarea": minarea_pixels, "calc_accurate_fwhm": calc_accurate_fwhm,
        }  # fmt: skip
        options = MeasureOptions.from_arguments({**given, **kwargs}, "photutils")
        maps = {"target_bkg": target_bkg, "target_bkgrms": target_bkgrms, "target_mask": target_mask}
        switches = {"save": save, "verbose": verbose, "visualize": visualize, "save_fig": save_fig}
        return detection("photutils", target_img, options, maps, switches)

    def circular_photometry(  # noqa: PLR0913  the tutorial's arguments
        self,
        target_img: Any,
        x_arr: Any,
        y_arr: Any = None,
        aperture_diameter_arcsec: Numbers = [5, 7, 10],  # noqa: B006
        aperture_diameter_seeing: Numbers = [3.5, 4.5],  # noqa: B006
        annulus_width_arcsec: Numbers | None = None,
        unit: str = "pixel",
        target_bkg: Any = None,
        target_mask: Any = None,
        target_bkgrms: Any = None,
        save: bool = True,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
        ids: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> Catalog:
        """Measure circles at given positions; only the pixels around them are read.

        Parameters
        ----------
        target_img : ArchiveImage, Image, path or array
        x_arr, y_arr : float or array
            Positions, of the kind of ``unit``. ``x_arr`` alone may be a ``SkyCoord``, a table or the path of one, whose identifiers come
            back as ``target_id``.
        aperture_diameter_arcsec, aperture_diameter_seeing : float or list
            Diameters, numbered in this order.
        annulus_width_arcsec : float or list, optional
            Width of the ring around each circle whose clipped median is subtracted; one for all, or one each.
        unit : {"pixel", "coord"}
            0-based pixels, or ICRS degrees.
        target_bkg, target_bkgrms : map, array, image, path or number, optional
            Level of the sky and its noise per pixel. A background that is a mesh tells the noise too. With the noise alone the image is
            taken as subtracted; with neither, and no ring asked for, a ring as wide as the largest radius is used.
        target_mask : mask, array, image or path, optional
            Pixels to leave out.
        save, verbose, visualize, save_fig : bool
            See the module.
        ids : sequence, optional
            Identifiers of the positions.
        **kwargs
            Other fields of `PositionOptions`, as ``aperture_diameter_pixel``, ``annulus_inner_arcsec``, ``gain``, ``saturation_level``.

        Returns
        -------
        Catalog
            ``columns.FORCED``, and ``columns.aperture(i)`` (and ``columns.annulus(i)``) for every circle; one row a position.
        """
        given = {
            "aperture_diameter_arcsec": aperture_diameter_arcsec, "aperture_diameter_seeing": aperture_diameter_seeing,
            "annulus_width_arcsec": annulus_width_arcsec,
        }  # fmt: skip
        options = PositionOptions.from_arguments({**given, **kwargs})
        maps = {"target_bkg": target_bkg, "target_bkgrms": target_bkgrms, "target_mask": target_mask}
        switches = {"save": save, "verbose": verbose, "visualize": visualize, "save_fig": save_fig}
        return at_positions("circular", target_img, listed_positions(x_arr, y_arr, unit, ids), None, options, maps, switches)

    def elliptical_photometry(  # noqa: PLR0913  the tutorial's arguments
        self,
        target_img: Any,
        x_arr: Any,
        y_arr: Any = None,
        sma_arr: Numbers | None = None,
        smi_arr: Numbers | None = None,
        theta_arr: Numbers = 0.0,
        unit: str = "pixel",
        annulus_ratio: float | None = None,
        target_bkg: Any = None,
        target_mask: Any = None,
        target_bkgrms: Any = None,
        save: bool = True,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
        ids: Sequence[Any] | None = None,
        **kwargs: Any,
    ) -> Catalog:
        """Measure ellipses at given positions; only the pixels around them are read.

        Parameters
        ----------
        target_img, x_arr, y_arr, unit, target_bkg, target_bkgrms, target_mask, ids
            As of `circular_photometry`.
        sma_arr, smi_arr : float or array
            Semi-axes in arcsec, or in pixels with ``axes_unit="pixel"``.
        theta_arr : float or array
            Angle of the major axis in degrees: counter-clockwise from +x, or with ``theta_frame="sky"`` from north through east.
        annulus_ratio : float, optional
            Outer axes of the elliptical ring whose clipped median is subtracted, in units of the ellipse's.
        save, verbose, visualize, save_fig : bool
            See the module.
        **kwargs
            Other fields of `PositionOptions`.

        Returns
        -------
        Catalog
            ``columns.FORCED`` and ``columns.ELLIPSE`` (and ``columns.ELLIPSE_ANNULUS``); one row a position.
        """
        options = PositionOptions.from_arguments({"annulus_ratio": annulus_ratio, **kwargs})
        listed = listed_positions(x_arr, y_arr, unit, ids)
        axes = []
        for name, value in (("sma_arr", sma_arr), ("smi_arr", smi_arr), ("theta_arr", theta_arr)):
            if value is None:
                raise InputError(f"{name}: must be given ({options.axes_unit})")
            array = np.atleast_1d(np.asarray(value, float))
            if array.shape not in ((1,), (len(listed),)):
                raise InputError(f"{name}: must be one number or one for each of the {len(listed)} positions, found shape {array.shape}")
            axes.append(np.broadcast_to(array, len(listed)))
        maps = {"target_bkg": target_bkg, "target_bkgrms": target_bkgrms, "target_mask": target_mask}
        switches = {"save": save, "verbose": verbose, "visualize": visualize, "save_fig": save_fig}
        return at_positions("elliptical", target_img, listed, Axes(*axes), options, maps, switches)

    def run_photometry(  # noqa: PLR0913  the tutorial's arguments
        self,
        target_img: Any,
        target_bkg: Any = None,
        target_bkgrms: Any = None,
        target_mask: Any = None,
        sex_params: Mapping[str, Any] | None = None,
        detection_sigma: float | None = None,
        aperture_diameter_arcsec: Numbers = [5, 7, 10],  # noqa: B006
        aperture_diameter_seeing: Numbers = [3.5, 4.5],  # noqa: B006
        saturation_level: float | None = 60000,
        kron_factor: float = 2.5,
        save: bool = True,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
        method: str | None = None,
        **kwargs: Any,
    ) -> Catalog:
        """Measure by the method that is named, else by the one in the archive's ``ezarchive.toml``, else by ``sex``.

        Parameters
        ----------
        method : {"sex", "photutils", "circular", "elliptical"}, optional
        detection_sigma : float, optional
            By default that of the method: 5 for ``sex``, 1.5 for ``photutils``.
        **kwargs
            What the method takes besides, as ``x_arr`` and ``y_arr``.
        target_img, target_bkg, target_bkgrms, target_mask, sex_params, aperture_diameter_arcsec, aperture_diameter_seeing,
        saturation_level, kron_factor, save, verbose, visualize, save_fig
            As of the method; what it has no use for must be left at its default.

        Returns
        -------
        Catalog

        Raises
        ------
        InputError
            If the method is unknown, or ``sex_params`` or ``detection_sigma`` are given to one that takes none.
        """
        image = as_image(target_img)
        handle = getattr(image, "_handle", None)
        method = method or ("sex" if handle is None else handle.settings.measure.method)
        if method not in METHODS:
            raise InputError(f"method={method!r}: must be one of {', '.join(METHODS)}")
        for name, value, takers in (("sex_params", sex_params, ("sex",)), ("detection_sigma", detection_sigma, ("sex", "photutils"))):
            if value is not None and method in takers:
                kwargs[name] = value
            elif value is not None:
                raise InputError(f"{name}={value!r}: must be left out, for {method} has no use for it")
        if method != "elliptical":
            kwargs |= {"aperture_diameter_arcsec": aperture_diameter_arcsec, "aperture_diameter_seeing": aperture_diameter_seeing}
        if method in ("sex", "photutils"):
            kwargs["kron_factor"] = kron_factor
        return getattr(self, f"{method}_photometry")(
            image, target_bkg=target_bkg, target_bkgrms=target_bkgrms, target_mask=target_mask, saturation_level=saturation_level,
            save=save, verbose=verbose, visualize=visualize, save_fig=save_fig, **kwargs,
        )  # fmt: skip
