"""What is true of simulated frames: positions, magnitudes, and the noise-free flux of every source in any aperture."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.table import QTable, Row
from numpy.typing import ArrayLike, NDArray

from ezarchive.errors import InputError, UnknownNameError
from ezarchive.simulate.exposure import Exposure, from_row
from ezarchive.simulate.field import magnitudes
from ezarchive.simulate.frames import Light

FILES = ("stars.ecsv", "frames.ecsv", "sources.parquet")
"""Files of a saved truth."""


@dataclass(frozen=True)
class FrameTruth:
    """The truth of one frame.

    Attributes
    ----------
    exposure : Exposure
        The numbers that the frame is made from.
    sources : QTable
        One row a source that sheds light on the frame: ``star_id``, ``kind``, ``ra``, ``dec`` (ICRS deg), ``x``, ``y`` (0-based
        pixels), ``mag`` (AB, at mid-exposure), ``flux`` (total, ADU), ``cxx``, ``cxy``, ``cyy`` (galaxies: square of the scale
        length), ``flux_5`` (ADU in the 5 arcsec aperture), ``snr`` (of that), ``on_frame``, ``saturated``, ``isolated`` (meanings in
        `frames.judge`).
    """

    exposure: Exposure
    sources: QTable

    @cached_property
    def _light(self) -> Light:
        return Light(self.sources, self.exposure)

    def flux(self, aperture_arcsec: float) -> NDArray[np.float64]:
        """Return the noise-free flux of each source alone in a circle at its true position.

        The sum over the pixels of the frame of the light in a pixel times its area in the circle: pixels as the image's are
        made, areas exact.

        Parameters
        ----------
        aperture_arcsec : float
            Diameter.

        Returns
        -------
        ndarray (n,)
            ADU, in the order of ``sources``; only what lies on the frame.

        Raises
        ------
        InputError
            If the diameter is not positive.
        """
        return self._light.in_aperture(aperture_arcsec)

    def scene(self) -> NDArray[np.float64]:
        """Return the noise-free light of all sources, ADU per pixel, without sky and hot pixel; shape (ny, nx)."""
        return self._light.render()

    def background(self) -> NDArray[np.float64]:
        """Return the noise-free sky, ADU per pixel; shape (ny, nx)."""
        return self.exposure.background()


@dataclass(frozen=True)
class ToyTruth:
    """The truth of a toy archive.

    Attributes
    ----------
    stars : QTable
        One row a source: ``star_id``, ``target`` and the columns of `field.stars_table`.
    frames : QTable
        One row a science or reference frame: the fields of `Exposure`, ``mjd_mid``, ``zero_point`` (of the 5 arcsec aperture),
        ``sky_sigma``, ``depth``.
    sources : QTable
        One row a source and frame: ``frame`` (row of ``frames``) and the columns of `FrameTruth.sources` but ``kind``, ``ra`` and ``dec``.
    """

    stars: QTable
    frames: QTable
    sources: QTable

    @cached_property
    def _row_of(self) -> dict[str, int]:
        return {str(relpath): row for row, relpath in enumerate(self.frames["relpath"])}

    @cached_property
    def _star_row(self) -> dict[int, int]:
        return {int(star): row for row, star in enumerate(self.stars["star_id"])}

    @cached_property
    def _bounds(self) -> NDArray[np.int64]:
        return np.searchsorted(self.sources["frame"], np.arange(len(self.frames) + 1))

    @property
    def variables(self) -> QTable:
        """The stars that vary."""
        return self.stars[self.stars["variability"] != "constant"]

    def frame(self, relpath: str | os.PathLike[str]) -> FrameTruth:
        """Return the truth of one frame.

        Parameters
        ----------
        relpath : str or path
            Path relative to its root, with ``/``.

        Raises
        ------
        UnknownNameError
            If there is no such frame.
        """
        key = Path(relpath).as_posix()
        if key not in self._row_of:
            raise UnknownNameError("relpath", key, self._row_of)
        row = self._row_of[key]
        part = self.sources[self._bounds[row] : self._bounds[row + 1]]
        stars = self.stars[[self._star_row[int(star)] for star in part["star_id"]]]
        table = QTable({"star_id": part["star_id"], **{name: stars[name] for name in ("kind", "ra", "dec")}})
        for name in part.colnames[2:]:
            table[name] = part[name]
        return FrameTruth(from_row(self.frames[row]), table)

    def flux(self, relpath: str | os.PathLike[str], aperture_arcsec: float) -> NDArray[np.float64]:
        """Return the noise-free flux of each source of a frame in a circle; see `FrameTruth.flux`."""
        return self.frame(relpath).flux(aperture_arcsec)

    def light_curve(self, star_id: int, filter: str | None = None) -> QTable:  # noqa: A002 - the archive's word
        """Return the true light curve of a star at the science frames that it lies on.

        Parameters
        ----------
        star_id : int
            Of ``stars``.
        filter : str, optional
            One filter only.

        Returns
        -------
        QTable
            ``relpath``, ``telname``, ``filter``, ``mjd_mid``, ``mag`` (AB), ``flux`` (ADU per second in the 5 arcsec aperture),
            ``isolated``, ``saturated``; by time.
        """
        self._star(star_id)
        rows = self.sources[(self.sources["star_id"] == star_id) & self.sources["on_frame"]]
        frames = self.frames[rows["frame"]]
        table = QTable({name: frames[name] for name in ("relpath", "telname", "filter", "mjd_mid")})
        table["mag"], table["flux"] = rows["mag"], rows["flux_5"] / frames["exptime"]
        table["isolated"], table["saturated"] = rows["isolated"], rows["saturated"]
        keep = frames["root"] == "scidata"
        if filter is not None:
            keep &= frames["filter"] == filter
        table = table[keep]
        return table[np.argsort(table["mjd_mid"].value, kind="stable")]

    def magnitudes(self, star_id: int, mjd: ArrayLike, filters: str | Sequence[str]) -> u.Quantity:
        """Return the true AB magnitudes of a star.

        Parameters
        ----------
        star_id : int
            Of ``stars``.
        mjd : array_like or Quantity (n,)
            Times, MJD UTC.
        filters : str or sequence of str (n,)
            The filter of each time, or of all.

        Returns
        -------
        Quantity (n,)
            Magnitudes; infinite where a transient has not begun.

        Raises
        ------
        InputError
            If the star or a filter is not known.
        """
        row = self._star(star_id)
        times = np.atleast_1d(np.ma.getdata(mjd.to_value(u.day) if hasattr(mjd, "to_value") else mjd)).astype(float)
        names = np.broadcast_to(np.asarray(filters, dtype=str), times.shape)
        star = self.stars[row : row + 1]
        return np.array([magnitudes(star, str(name), time)[0] for name, time in zip(names, times, strict=True)]) * u.mag

    def showcase(self, target: str | None = None) -> Row:
        """Return the star whose light curve shows best: the slowest periodic one of the first target, or of a named one.

        Raises
        ------
        InputError
            If no star of the target varies with a period.
        """
        target = str(self.stars["target"][0]) if target is None else target
        found = self.variables[(self.variables["target"] == target) & np.isfinite(self.variables["period"].value)]
        if len(found) == 0:
            raise InputError(f"target {target!r}: has no periodic star in this simulation")
        return found[int(np.argmax(found["period"].value))]

    def _star(self, star_id: int) -> int:
        if int(star_id) not in self._star_row:
            raise InputError(f"star_id {star_id!r}: must be one of the {len(self.stars)} in `stars`")
        return self._star_row[int(star_id)]

    def save(self, folder: str | os.PathLike[str]) -> None:
        """Write ``stars.ecsv``, ``frames.ecsv`` and ``sources.parquet`` into a folder."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for name, table in zip(FILES, (self.stars, self.frames, self.sources), strict=True):
            table.write(folder / f".{name}", format="ascii.ecsv" if name.endswith(".ecsv") else "parquet", overwrite=True)
            (folder / f".{name}").replace(folder / name)

    @classmethod
    def load(cls, folder: str | os.PathLike[str]) -> ToyTruth:
        """Read what `save` wrote.

        Raises
        ------
        InputError
            If a file of it is not there.
        """
        folder = Path(folder)
        for name in FILES:
            if not (folder / name).is_file():
                raise InputError(f"folder {str(folder)!r}: holds no {name}, so it is not the truth of a toy archive")
        return cls(*(_read(folder / name) for name in FILES))


def _read(path: Path) -> QTable:
    """Read a table; ECSV has no empty text but a missing one."""
    table = QTable.read(path)
    for name in table.colnames:
        if table[name].dtype.kind == "U" and hasattr(table[name], "filled"):
            table[name] = table[name].filled("")
    return table
