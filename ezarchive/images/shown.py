"""Images on the screen: the whole frame, or the surroundings of a position with the aperture that is measured there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ezarchive import plots
from ezarchive.errors import InputError
from ezarchive.plots import Averaged
from ezarchive.screen import display
from ezarchive.sky.ellipses import jacobian_at, on_pixels

if TYPE_CHECKING:
    from astropy.wcs import WCS
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from ezarchive.images.image import Image

_PACKED = (".gz", ".bz2", ".xz", ".z")


class Shown:
    """The pictures of an `Image`."""

    if TYPE_CHECKING:
        path: Path | None
        wcs: WCS | None
        pixel_scale: float | None

    def show(
        self,
        coord_type: str = "pixel",
        cmap: str = "gray",
        scale: str | tuple[float, float] = "zscale",
        downsample: int | None = 4,
        figsize: tuple[float, float] = (8, 6),
        title: str | None = None,
        save_path: str | os.PathLike[str] | None = None,
        close_fig: bool = False,
    ) -> tuple[Figure, Axes]:
        """Draw the image.

        Parameters
        ----------
        coord_type : {"pixel", "coord"}
            Axes in 0-based pixels, or in RA and Dec.
        cmap : str
            Colour map of matplotlib.
        scale : str or (float, float)
            ``"zscale"``, ``"minmax"``, or the values of black and white.
        downsample : int or None
            Pixels to average along each axis; None: as many as it takes. The file is read a strip at a time.
        figsize : tuple of float
            Inches.
        title : str, optional
            The file's name by default.
        save_path : path, optional
            Also write it: ``.png``, ``.pdf`` or ``.svg``.
        close_fig : bool
            Do not show it in the notebook.

        Returns
        -------
        figure, axes
            Data coordinates are pixels of the image.
        """
        pixels = averaged_pixels(self, downsample)
        figure = plots.image(pixels, wcs=wcs_for(self, coord_type), limits=scale, cmap=cmap, title=title or self._title)
        return self._finished(figure, figsize, save_path, close_fig)

    def show_position(  # noqa: PLR0913  the tutorial's arguments
        self,
        x: Any,
        y: Any,
        radius_arcsec: float | None = None,
        a_arcsec: float | None = None,
        b_arcsec: float | None = None,
        theta_deg: float = 0.0,
        theta_frame: str = "pixel",
        coord_type: str = "pixel",
        downsample: int | None = 1,
        zoom_radius_pixel: int = 100,
        cmap: str = "gray",
        scale: str | tuple[float, float] = "zscale",
        figsize: tuple[float, float] = (6, 6),
        save_path: str | os.PathLike[str] | None = None,
        title: str | None = None,
        close_fig: bool = False,
    ) -> tuple[Figure, Axes]:
        """Draw the surroundings of a position, with the aperture that a measurement with the same numbers uses.

        Parameters
        ----------
        x, y : float
            ICRS degrees for ``coord_type="coord"`` (`x` with `y` None may be a SkyCoord or a sexagesimal text), 0-based pixels for
            ``"pixel"``; the axes are of the same kind.
        radius_arcsec : float, optional
            Radius of a circle.
        a_arcsec, b_arcsec : float, optional
            Semi-axes of an ellipse, in place of a circle.
        theta_deg : float
            Of its major axis.
        theta_frame : {"pixel", "sky"}
            Whether it is counted counter-clockwise from +x, or from north through east; as of ``elliptical_photometry``.
        zoom_radius_pixel : int
            Pixels shown on each side of the position.
        downsample, cmap, scale, figsize, save_path, title, close_fig
            As of `show`.

        Returns
        -------
        figure, axes
            Data coordinates are pixels of the whole image.
        """
        wcs = wcs_for(self, coord_type)
        column, row = self._pixel(x, y, coord_type)
        aperture = self._aperture(column, row, radius_arcsec, (a_arcsec, b_arcsec), theta_deg, theta_frame)
        if isinstance(zoom_radius_pixel, bool) or int(zoom_radius_pixel) != zoom_radius_pixel or zoom_radius_pixel < 1:
            raise InputError(f"zoom_radius_pixel={zoom_radius_pixel!r}: must be a whole number from 1")
        piece = self.cutout(column, row, 2 * int(zoom_radius_pixel) + 1)
        figure = plots.image(
            piece.data, wcs=wcs, limits=scale, downsample=downsample, apertures=aperture, corner=piece.corner, cmap=cmap,
            title=title or f"{self._title}: x={column:.2f}, y={row:.2f}",
        )  # fmt: skip
        return self._finished(figure, figsize, save_path, close_fig)

    def _aperture(
        self, x: float, y: float, radius: float | None, axes: tuple[float | None, float | None], theta: float, frame: str
    ) -> list[tuple[float, ...]]:
        """Return the aperture in pixels, as `plots.image` takes it; none where none is asked for."""
        a, b = axes
        for name, value in {"radius_arcsec": radius, "a_arcsec": a, "b_arcsec": b}.items():
            if value is not None:
                self._number(name, value)
        if (a is None) != (b is None) or (radius is not None and a is not None):
            raise InputError("radius_arcsec, a_arcsec, b_arcsec: must be a radius, or both semi-axes, or none of them")
        if radius is None and a is None:
            return []
        if self.pixel_scale is None:
            name = "a_arcsec" if radius is None else "radius_arcsec"
            raise InputError(f"{name}: is in arcsec, but {self._title} has no WCS and so no scale")
        if radius is not None:
            return [(x, y, radius / self.pixel_scale)]
        # The very function that a measurement takes its ellipse from.
        given = (np.array([float(value)]) for value in (a, b, theta or 0.0))
        made = on_pixels(*given, theta_frame=frame, unit="arcsec", jacobian=jacobian_at(self.wcs, np.array([x]), np.array([y])))
        return [(x, y, float(made.a[0]), float(made.b[0]), float(made.theta[0]))]

    def _finished(self, figure: Figure, figsize: tuple[float, float], save_path: Any, close_fig: bool) -> tuple[Figure, Axes]:
        figure.set_size_inches(*figsize)
        if save_path is not None:
            plots.save(figure, self._may_write(Path(save_path)))
        if not close_fig:
            display(figure)
        return figure, figure.axes[0]

    def _may_write(self, path: Path) -> Path:
        """Return a path that a figure may go to; an archive keeps its data roots free of any."""
        return path


def averaged_pixels(image: Image, downsample: int | None = None) -> Averaged:
    """Return an image with blocks of pixels averaged, without the whole of it in memory.

    Parameters
    ----------
    image : Image
        Its pixels are read a strip at a time, unless they are there already; a file that can only be unpacked as a whole is read at once.
    downsample : int, optional
        Pixels along a side of a block; by default as many as a figure needs.
    """
    if "data" in vars(image):
        return plots.averaged(image.data, downsample)
    if image.path is not None and image.path.suffix.lower() in _PACKED:
        return plots.averaged(image.load(), downsample)
    return plots.averaged_from(image.cut, image.shape, downsample)


def wcs_for(image: Image, coord_type: str) -> WCS | None:
    """Return the WCS for axes of a kind: None for ``"pixel"``.

    Raises
    ------
    InputError
        If the kind is neither ``"pixel"`` nor ``"coord"``, or the image has no WCS that works.
    """
    if coord_type not in ("pixel", "coord"):
        raise InputError(f"coord_type={coord_type!r}: must be 'pixel' or 'coord'")
    if coord_type == "coord" and image.wcs is None:
        raise InputError(f"coord_type='coord': {image.path or 'the image'} has no WCS that works; must be 'pixel'")
    return image.wcs if coord_type == "coord" else None
