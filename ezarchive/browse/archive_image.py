"""`ArchiveImage`: an image that knows its frame and its archive.

Its ``calculate_*`` are those of every `Image`; here their results can be saved, the masters are found in the archive, and what was
stored comes back as ``bkgmap``, ``bkgrms``, ``errormap``, ``sourcemask`` and so on.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ezarchive.browse.catalog import Catalog
from ezarchive.browse.catalogset import newest_catalogs
from ezarchive.browse.handle import ArchiveHandle
from ezarchive.browse.pictures import outside_roots
from ezarchive.catalogs.paths import frame_stem
from ezarchive.database import queries
from ezarchive.errors import InputError, MeasurementError
from ezarchive.files import encode_part
from ezarchive.frames.record import Frame
from ezarchive.images.compact import Mask
from ezarchive.images.image import Image
from ezarchive.images.pixelmap import PixelMap
from ezarchive.maps import load_map, save_map
from ezarchive.screen import Info, help_text, say

_FRAME_KINDS = {"background": "background", "rms": "errormap", "mask": "mask"}


def _fact(name: str, doc: str) -> property:
    return property(lambda self: getattr(self.frame, name), doc=doc)


class ArchiveImage(Image):
    """One frame of an archive, as an image; making one opens no file.

    Parameters
    ----------
    frame : Frame
        Its record.
    archive : Archive, path or ArchiveHandle, optional
        The archive it belongs to.

    Raises
    ------
    InputError
        If no file of the frame can be read at present.
    """

    frame: Frame
    filter = _fact("filter", "Filter.")
    exptime = _fact("exptime", "Exposure time, s.")
    obsdate = _fact("date_obs", "Start of the exposure, ISO UTC.")
    objname = _fact("objname", "Target.")
    observatory = _fact("observatory", "Site.")
    telname = _fact("telname", "Telescope.")
    telkey = _fact("telkey", "Site, camera, readout mode and binning.")
    depth = _fact("depth", "5-sigma limit from the header, mag.")
    ra = _fact("ra", "Centre, ICRS degrees.")
    dec = _fact("dec", "Centre, ICRS degrees.")
    egain = _fact("gain", "Electrons per stored unit.")
    frame_id = _fact("frame_id", "Identity in the archive.")

    def __init__(self, frame: Frame, archive: Any = None) -> None:
        if frame.path is None:
            raise InputError(f"frame {frame.frame_id}: none of its files can be read at present; `ezarchive verify` lists what is missing")
        super().__init__(frame.path, frame.hdu, frame=frame)
        self._handle = None if archive is None else ArchiveHandle.of(archive)

    @property
    def fov_ra(self) -> float | None:
        """Extent along x, degrees."""
        return self.frame.fov[0]

    @property
    def fov_dec(self) -> float | None:
        """Extent along y, degrees."""
        return self.frame.fov[1]

    @property
    def info(self) -> Info:
        """Everything the archive knows of the frame, by attribute; it prints one fact a line."""
        facts = {"obsdate": self.obsdate, "egain": self.egain, "fov_ra": self.fov_ra, "fov_dec": self.fov_dec}
        return Info({**super().info, **facts})

    def help(self) -> None:
        """Print the public methods with their signatures."""
        say(help_text(type(self)))

    @property
    def catalog(self) -> Catalog | None:
        """The newest of its current catalogs (of detections where there is one), None where it was not measured."""
        return newest_catalogs(self._handle, [self.frame])[0]

    # ------------------------------------------------------------------ what `images.shown` and `images.skin` ask of an archive

    def _may_write(self, path: Path) -> Path:
        return outside_roots(path, self._handle)

    def _stored(self, kind: str) -> Any:
        """Return the newest stored map, else a frame of the archive that is one."""
        if not self._in_archive:
            return None
        stored = load_map(self._handle.home, self._handle.database, self.frame_id, kind)
        if stored is not None or kind not in _FRAME_KINDS:
            return stored
        with self._handle.database.connect() as conn:
            children = queries.children(conn, [self.frame_id], (_FRAME_KINDS[kind],))
        if not children:
            return None
        image = Image(children[-1].path, children[-1].hdu, frame=children[-1])
        if kind == "mask":
            return Mask.of(image.load() != 0, frame_id=self.frame_id)
        return PixelMap(image, kind, self.frame_id)

    def _store(self, kind: str, value: Any, parameters: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
        save_map(self._handle, self.frame, kind, value, parameters, inputs)

    def _check_switches(self, *, save: bool, save_fig: bool) -> None:
        if not self._in_archive:
            super()._check_switches(save=save, save_fig=save_fig)

    def _figure_path(self, what: str) -> Path:
        name = f"{encode_part(frame_stem(self.frame.relpath))}.{self.frame_id}.{what}.png"
        return self._handle.home / "figures" / name

    def _found_master(self, kind: str) -> Image:
        if self._handle is None:
            return super()._found_master(kind)
        with self._handle.database.connect() as conn:
            found = queries.masters(conn, self.frame, kind)
        if not found:
            of = {"bias": "", "dark": f" of {self.exptime} s", "flat": f" in {self.filter}"}[kind]
            where = f"observatory {self.observatory}, telkey {self.telkey}, telname {self.telname}"
            raise MeasurementError("no_masters", f"{self.path}: the archive holds no master {kind}{of} for {where}; m{kind}= must be given")
        if found[0].path is None:
            raise MeasurementError("no_masters", f"{self.path}: the file of the master {kind} (frame {found[0].frame_id}) is not there")
        return Image(found[0].path, found[0].hdu, frame=found[0])

    @property
    def _in_archive(self) -> bool:
        return self._handle is not None and self.frame_id is not None

    # ------------------------------------------------------------------ travelling

    def __getstate__(self) -> dict[str, Any]:
        # Header and WCS are read again from the file: an image that goes to a worker must be small.
        return {name: value for name, value in super().__getstate__().items() if name not in ("header", "wcs")}
