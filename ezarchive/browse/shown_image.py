"""Images on the screen: the whole frame, or the surroundings of a position with the aperture that is measured there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ezarchive import plots
from ezarchive.browse.handle import ArchiveHandle
from ezarchive.browse.pictures import averaged_pixels, finish, wcs_for
from ezarchive.errors import InputError
from ezarchive.images.image import Image
from ezarchive.photometry.ellipses import jacobian_at, on_pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

class ShownImage(Image):
    """An image of a file that can draw itself; ``_handle`` is its archive's, if it has one."""

    path: Path
    _handle: ArchiveHandle | None = None

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
        figure = plots.image(pixels, wcs=wcs_for(self, coord_type), limits=scale, cmap=cmap, title=title or self.path.name)
        return self._shown(figure, figsize, save_path, close_fig)

    def show_position(  # noqa: PLR0913  the tutorial's arguments
        self,
        x: float,
        y: float,
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
            ICRS degrees for ``coord_type="coord"``, 0-based pixels for ``"pixel"``; the axes are of the same kind.
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
        aperture = self._aperture(column, row, radius_arcsec, a_arcsec, b_arcsec, theta_deg, theta_frame)
        if isinstance(zoom_radius_pixel, bool) or int(zoom_radius_pixel) != zoom_radius_pixel or zoom_radius_pixel < 1:
            raise InputError(f"zoom_radius_pixel={zoom_radius_pixel!r}: must be a whole number from 1")
        piece = self.cutout(column, row, 2 * int(zoom_radius_pixel) + 1)
        figure = plots.image(
            piece.data, wcs=wcs, limits=scale, downsample=downsample, apertures=aperture, corner=piece.corner, cmap=cmap,
            title=title or f"{self.path.name}: x={column:.2f}, y={row:.2f}",
        )  # fmt: skip
        return self._shown(figure, figsize, save_path, close_fig)

    def _aperture(  # noqa: PLR0913  the tutorial's arguments
        self, x: float, y: float, radius: float | None, a: float | None, b: float | None, theta: float, frame: str
    ) -> list[tuple[float, ...]]:
        """Return the aperture in pixels, as `plots.image` takes it; none where none is asked for."""
        sizes = {"radius_arcsec": radius, "a_arcsec": a, "b_arcsec": b}
        for name, value in sizes.items():
            if value is not None and not (np.isfinite(value) and value > 0):
                raise InputError(f"{name}={value!r}: must be positive and finite")
        if (a is None) != (b is None) or (radius is not None and a is not None):
            raise InputError("radius_arcsec, a_arcsec, b_arcsec: must be a radius, or both semi-axes, or none of them")
        if radius is not None:
            return [(x, y, radius / self._arcsec_per_pixel("radius_arcsec"))]
        if a is None or b is None:
            return []
        self._arcsec_per_pixel("a_arcsec")
        local = jacobian_at(self.wcs, np.array([x]), np.array([y]))
        # The very function that a measurement takes its ellipse from.
        made = on_pixels(
            np.array([float(a)]), np.array([float(b)]), np.array([float(theta or 0.0)]), theta_frame=frame, unit="arcsec", jacobian=local
        )
        return [(x, y, float(made.a[0]), float(made.b[0]), float(made.theta[0]))]

    def _shown(self, figure: Figure, figsize: tuple[float, float], save_path: Any, close_fig: bool) -> tuple[Figure, Axes]:
        finish(figure, self._handle, figsize=figsize, save_path=save_path, close_fig=close_fig)
        return figure, figure.axes[0]

    def _arcsec_per_pixel(self, name: str) -> float:
        if self.pixel_scale is None:
            raise InputError(f"{name}: is in arcsec, but {self.path} has no WCS and so no scale")
        return self.pixel_scale
