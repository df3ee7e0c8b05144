"""`Catalog`: the rows measured on one frame, with the pictures, regions, stamps and files that they can become."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from astropy import units as u
from astropy.io import fits

from ezarchive.browse.catalogrows import CATALOG_TYPES, CatalogRows
from ezarchive.browse.ds9 import aperture_regions
from ezarchive.browse.overlay import catalog_figure, drawn_by_default, matched_overlay, radius_in_pixels
from ezarchive.browse.pictures import finish, outside_roots
from ezarchive.browse.places import coordinates, positions, row_names
from ezarchive.catalogs.export import write_table
from ezarchive.columns import suffix
from ezarchive.errors import InputError
from ezarchive.files import atomic_write, encode_part
from ezarchive.images.fitsfile import write_fits
from ezarchive.images.image import Image

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["CATALOG_TYPES", "Catalog"]


class Catalog(CatalogRows):
    """The sources of one frame and run, or the forced measurements of one frame.

    `data` is all rows, `target_data` those that were selected last (all, until `select_sources` or `apply_mask` is called).

    Parameters
    ----------
    data : Table or path, optional
        The rows, which are never changed; or the file that holds them, as `path`.
    frame : Frame, optional
        The frame that was measured.
    path : path, optional
        A catalog's Parquet file; it is read when the rows are asked for.
    row : CatalogRow, optional
        Its row in the database; tells path, run, method, apertures and seeing unless they are given.
    home : path, optional
        The archive's folder, for the path in `row`.
    handle : ArchiveHandle, optional
        The archive; for its images and zero points.
    method : str, optional
        ``sex``, ``photutils``, ``circular`` or ``elliptical``.
    run_id : int, optional
        The run that measured it.
    apertures : sequence of float or None
        Diameters in arcsec in the order of the suffixes, None for one without a scale.
    seeing : float, optional
        Arcsec, as measured.
    depth, depth_aperture : float, optional
        5-sigma limit, mag, and the aperture it holds in, arcsec.
    catalog_type : str
        One of `CATALOG_TYPES`.
    image : Image, optional
        The image that was measured, where it is no frame of an archive.

    Raises
    ------
    InputError
        If there is neither a table nor a file, or the type is unknown.
    """

    # ------------------------------------------------------------------ its image

    @property
    def image(self) -> Image:
        """The image that was measured; its pixels are read when they are asked for.

        Raises
        ------
        InputError
            If none is known, or the frame's file cannot be read at present.
        """
        if self._image is None:
            if self.frame is None or self.frame.path is None:
                raise InputError(f"{self!r}: its image is not known, so nothing can be drawn or cut; image= must be given")
            self._image = Image(self.frame.path, self.frame.hdu, frame=self.frame)
        return self._image

    def show(  # noqa: PLR0913  the tutorial's arguments
        self,
        measure: str | Sequence[str] | None = None,
        x: float | None = None,
        y: float | None = None,
        coord_type: str = "pixel",
        zoom_radius_pixel: int | None = None,
        downsample: int | None = None,
        scale: str | tuple[float, float] = "zscale",
        cmap: str = "gray",
        figsize: tuple[float, float] = (12.5, 6),
        title: str | None = None,
        save_path: str | os.PathLike[str] | None = None,
        close_fig: bool = False,
    ) -> tuple[Figure, tuple[Axes, Axes]]:
        """Draw the image with the selected rows, and beside it a box with the apertures in which they were measured.

        Parameters
        ----------
        measure : str or list of str, optional
            ``AUTO`` (Kron ellipses), ``APER``, ``APER_1`` ..., ``ELIP``; by default the Kron ellipses of detections, or all apertures
            that were forced.
        x, y : float, optional
            Centre of the box, of the kind of `coord_type`; by default the source nearest to the mean position.
        coord_type : {"pixel", "coord"}
            Axes in 0-based pixels, or in RA and Dec.
        zoom_radius_pixel : int, optional
            Pixels of the box on each side of its centre; by default 250 for detections, else 100.
        downsample : int, optional
            Pixels of the whole image to average along each axis; by default as many as it takes.
        scale, cmap, figsize, title, save_path, close_fig
            As of ``ArchiveImage.show``.

        Returns
        -------
        figure, (left, right)
            Data coordinates of both axes are pixels of the image.
        """
        image = self.image
        if (x is None) != (y is None):
            raise InputError(f"x={x!r}, y={y!r}: must both be given, or neither")
        centre = None if x is None else image._pixel(x, y, coord_type)
        figure = catalog_figure(
            image, self.target_data, measures=[measure] if isinstance(measure, str) else measure, centre=centre,
            zoom_radius_pixel=zoom_radius_pixel, coord_type=coord_type, downsample=downsample, scale=scale, cmap=cmap,
            title=title or f"{image._title}: {self.nselected} {self._rows}{f' ({self.method})' if self.method else ''}",
            labels=self._labels(),
        )  # fmt: skip
        finish(figure, self._handle, figsize=figsize, save_path=save_path, close_fig=close_fig)
        return figure, tuple(figure.axes[:2])

    def show_source(  # noqa: PLR0913  the tutorial's arguments
        self,
        ra: Any,
        dec: Any = None,
        unit: str = "coord",
        matching_radius: Any = 5,
        nearest: bool = False,
        zoom_radius_pixel: int = 100,
        downsample: int | None = None,
        scale: str | tuple[float, float] = "zscale",
        cmap: str = "gray",
        figsize: tuple[float, float] = (12.5, 6),
        title: str | None = None,
        save_path: str | os.PathLike[str] | None = None,
        close_fig: bool = False,
    ) -> tuple[Figure, tuple[Axes, Axes]]:
        """Draw the whole image and the surroundings of a position: in red what is asked for, in blue the rows that lie there.

        Parameters
        ----------
        ra, dec : float
            ICRS degrees (`ra` alone may be a SkyCoord or a sexagesimal text), or 0-based pixels for ``unit="pixel"``; the axes are of the
            same kind.
        unit, matching_radius, nearest
            As of `select_sources`; the red circle has this radius. What is selected stays selected.
        zoom_radius_pixel : int
            Pixels shown on each side of the position.
        downsample, scale, cmap, figsize, title, save_path, close_fig
            As of `show`.

        Returns
        -------
        figure, (left, right)
            Data coordinates of both axes are pixels of the image.
        """
        image = self.image
        found = self._near(ra, dec, unit, matching_radius, nearest=nearest)
        centre = image._pixel(ra, dec, unit)
        radius = radius_in_pixels(image, matching_radius, unit)
        figure = catalog_figure(
            image, found, measures=(), overlays=matched_overlay(found, radius, *centre), centre=centre, coord_type=unit,
            zoom_radius_pixel=zoom_radius_pixel, downsample=downsample, scale=scale, cmap=cmap,
            title=title or f"{image._title}: {len(found)} found at {_place(ra, dec, unit)}",
        )  # fmt: skip
        finish(figure, self._handle, figsize=figsize, save_path=save_path, close_fig=close_fig)
        return figure, tuple(figure.axes[:2])

    def _labels(self) -> dict[str, str]:
        """Return the names of the apertures by their sizes."""
        sizes = {f"APER{suffix(i)}": f'{d:.4g}"' for i, d in enumerate(self.apertures) if d is not None}
        return {"AUTO": "Kron ellipse", "ELIP": "ellipse", **sizes}

    # ------------------------------------------------------------------ what it can become

    def to_region(self, path: str | os.PathLike[str] | None = None, measure: str | None = None, system: str = "pixel") -> Any:
        """Return the apertures of the selected rows as regions, or write them for DS9.

        Parameters
        ----------
        path : path, optional
            A ``.reg`` file to write, whole or not at all; 25,000 rows take a fifth of a second.
        measure : str, optional
            ``AUTO`` (Kron ellipses), ``APER``, ``APER_1`` ..., ``ELIP``; by default the first of these that the table holds.
        system : {"pixel", "sky"}
            Pixels of this very image (in the file 1-based, as DS9 counts them), or ICRS: through the local Jacobian, so that a region
            lies right on any other image too.

        Returns
        -------
        regions.Regions or Path
            The regions, one a row, named after its NUMBER or target_id; or the file that was written. Rows without position or size have
            none.

        Raises
        ------
        InputError
            If the table holds no such measure, or the image has no WCS.
        """
        table = self.target_data
        if measure is None:
            known = drawn_by_default(table)
            measure = known[0] if known else "AUTO"
        made = aperture_regions(table, measure, system, self.image.wcs if system == "sky" else None)
        if path is None:
            return made.to_regions()
        path = outside_roots(path, self._handle, "path")
        with atomic_write(path) as stream:
            stream.write(made.to_text().encode())
        return path

    def to_stamp(self, size: int | str | u.Quantity = 51, folder: str | os.PathLike[str] | None = None) -> list[Image | None]:
        """Cut the surroundings of every selected row out of the image.

        Parameters
        ----------
        size : int, str or Quantity
            Side in pixels, or an angle as ``"30 arcsec"``.
        folder : path, optional
            Also write every stamp there, as ``<catalog>.<NUMBER or target_id>.fits`` with its WCS; of rows that have one name the second
            is ``<name>.2`` and so on.

        Returns
        -------
        list of Image or None
            One a row, with ``corner`` and ``wcs``; smaller at the edges, None for a row without a position on the image.
        """
        table, (ny, nx) = self.target_data, self.image.shape
        stamps: list[Image | None] = []
        xs, ys, _ = coordinates(table, "pixel")
        names: Counter[str] = Counter()
        for x, y, label in zip(xs, ys, row_names(table), strict=True):
            names[label] += 1
            on_image = -0.5 <= x <= nx - 0.5 and -0.5 <= y <= ny - 0.5
            stamps.append(self.image.cutout(x, y, size) if on_image else None)
            if folder is not None and stamps[-1] is not None:
                stem = Path(self._name().removeprefix("of ")).stem
                label += f".{names[label]}" if names[label] > 1 else ""
                self._write_stamp(stamps[-1], Path(folder) / f"{stem}.{encode_part(label)}.fits")
        return stamps

    def _write_stamp(self, stamp: Image, path: Path) -> None:
        header = fits.Header() if stamp.wcs is None else stamp.wcs.to_header(relax=True)
        header["FRAME_ID"] = (self.frame_id, "frame of the archive that it was cut from")
        header["CORNER_X"] = (stamp.corner[0], "column of its first pixel there, 0-based")
        header["CORNER_Y"] = (stamp.corner[1], "row of its first pixel there, 0-based")
        pixels = stamp.data
        write_fits(outside_roots(path, self._handle, "folder"), stamp.shape, lambda rows: pixels[rows], pixels.dtype.type, header)

    def write(self, path: str | os.PathLike[str], format: str | None = None) -> Path:
        """Write the selected rows for other programs.

        Parameters
        ----------
        path : path
            ``.ecsv``, ``.csv``, ``.fits``, ``.vot`` (or ``.xml``) or ``.parquet``; the file appears whole or not at all.
        format : str, optional
            ``ecsv``, ``csv``, ``fits``, ``votable`` or ``parquet``, where the suffix does not tell. All but CSV hold units and meanings.

        Returns
        -------
        Path
            The file. It is a copy: `savepath` stays the archive's own.

        Raises
        ------
        InputError
            If the format is none of these, or the path is the archive's own file or lies in a data root.
        """
        path = outside_roots(path, self._handle, "path")
        if self.path is not None and path.resolve() == self.path.resolve():
            raise InputError(f"path={str(path)!r}: must not be the archive's own file of this catalog, which is never changed")
        facts = {name: value for name, value in self.info.items() if name not in ("path", "catalog_type")}
        return write_table(self.target_data, path, format, facts=facts)


def _place(x: Any, y: Any, unit: str) -> str:
    """Return one position as text."""
    return ", ".join(f"{value[0]:.6f}" for value in positions(x, y, unit))
