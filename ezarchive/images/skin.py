"""What the ``calculate_*`` of an image share: the checks of masks and maps given, what is kept, and what the switches do.

``save`` stores the result under ``HOME/maps`` with a row in the database, ``verbose`` writes a line on the screen, ``visualize`` draws a
figure where a notebook can show one, ``save_fig`` writes it under ``HOME/figures``. An image that belongs to no archive has nowhere to
store anything: there ``save=True`` and ``save_fig=True`` are errors. No argument is altered. What was calculated last is kept with the
image and goes before what is stored.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ezarchive import plots
from ezarchive.errors import InputError
from ezarchive.images.background import MeshBackground
from ezarchive.images.compact import Mask
from ezarchive.images.mapfile import digest, read_map
from ezarchive.images.noise import PropagatedNoise, SourceNoise
from ezarchive.images.pixelmap import PixelMap
from ezarchive.plots import Panel
from ezarchive.screen import display, in_notebook, say

if TYPE_CHECKING:
    from astropy.wcs import WCS

    from ezarchive.frames.record import Frame
    from ezarchive.images.image import Image

MAP_KINDS = ("background", "rms", "mask", "errormap", "invalidmask", "saturatedmask", "crmask")
"""Kinds of maps; ``mask`` is of circles and sources. A background that is a mesh holds the noise of the sky too (``.rms()``)."""

_LEVELS = (MeshBackground, PixelMap)
_NOISES = (MeshBackground, PixelMap, PropagatedNoise)


class Calculations:
    """The hooks of an `Image` for its ``calculate_*``; an `ArchiveImage` fills in those that need an archive."""

    if TYPE_CHECKING:
        path: Path | None
        hdu: int
        frame: Frame | None
        data: np.ndarray
        shape: tuple[int, int]
        wcs: WCS | None
        gain: float | None
        saturation: float | None

    # ------------------------------------------------------------------ what is kept

    @property
    def bkgmap(self) -> MeshBackground | PixelMap | None:
        """The background: calculated last, else stored last, else a background frame of this one; None without any."""
        return self._map("background")

    @bkgmap.setter
    def bkgmap(self, value: Any) -> None:
        self._kept["background"] = value

    @property
    def bkgrms(self) -> MeshBackground | PixelMap | PropagatedNoise | None:
        """The noise of the sky, ``.rms()`` gives the pixels; found as `bkgmap`."""
        return self._map("rms")

    @bkgrms.setter
    def bkgrms(self, value: Any) -> None:
        self._kept["rms"] = value

    @property
    def errormap(self) -> SourceNoise | MeshBackground | PixelMap | None:
        """The noise of sky and sources (`calculate_errormap`), found as `bkgmap`, but never among the frames."""
        return self._map("errormap")

    @property
    def sourcemask(self) -> Mask | None:
        """The mask of circles and sources, True is bad, found as `bkgmap`."""
        return self._map("mask")

    @sourcemask.setter
    def sourcemask(self, value: Any) -> None:
        self._kept["mask"] = value

    @property
    def invalidmask(self) -> Mask | None:
        """The mask of pixels without a value, calculated or stored last; None without any."""
        return self._map("invalidmask")

    @property
    def saturatedmask(self) -> Mask | None:
        """The mask of saturated pixels, calculated or stored last; None without any."""
        return self._map("saturatedmask")

    @property
    def crmask(self) -> Mask | None:
        """The mask of cosmic rays, calculated or stored last; None without any."""
        return self._map("crmask")

    def write_map(self, kind: str, save_path: str | os.PathLike[str]) -> Path:
        """Write a map of this image as a FITS file: all its pixels, and the cards (WCS, exposure) of the image.

        Parameters
        ----------
        kind : {"background", "rms", "errormap", "mask", "invalidmask", "saturatedmask", "crmask"}
            Of what was calculated or stored last; pixels of a mask are bytes, 1 is bad.
        save_path : path
            With the suffix ``.fits``, outside the data roots; what is there already is replaced when the new file is whole.

        Returns
        -------
        Path

        Raises
        ------
        InputError
            If there is no such map, or the path will not do.
        """
        if kind not in MAP_KINDS:
            raise InputError(f"kind={kind!r}: must be one of {', '.join(MAP_KINDS)}")
        found = self._map(kind)
        if found is None:
            raise InputError(f"kind={kind!r}: {self._title} has none; it must be calculated first")
        path = self._may_write(Path(save_path))
        if isinstance(found, MeshBackground):
            return found.to_fits(path, self.header, what="level" if kind == "background" else "rms")
        return found.to_fits(path, self.header)

    @property
    def _kept(self) -> dict[str, Any]:
        return self.__dict__.setdefault("_maps", {})

    def _map(self, kind: str) -> Any:
        return self._kept[kind] if kind in self._kept else self._stored(kind)

    # ------------------------------------------------------------------ hooks

    def _stored(self, kind: str) -> Any:
        """Return what an archive holds of a kind; this image belongs to none."""
        return None

    def _store(self, kind: str, value: Any, parameters: Mapping[str, Any], inputs: Mapping[str, Any]) -> None:
        raise InputError("save=True: must be False for an image that belongs to no archive")

    def _check_switches(self, *, save: bool, save_fig: bool) -> None:
        """Refuse, before any work, what has no place to be written to."""
        for name, value in (("save", save), ("save_fig", save_fig)):
            if value:
                raise InputError(f"{name}=True: must be False for an image that belongs to no archive")

    def _figure_path(self, what: str) -> Path:
        raise InputError("save_fig=True: must be False for an image that belongs to no archive")

    def _found_master(self, kind: str) -> Image:
        """Return a master frame from the archive."""
        raise InputError(f"m{kind}: must be given for an image that belongs to no archive")

    def _plain(self, source: Any) -> Image:
        """Return an image of a path or array, or of this image's own file, without what is kept."""
        raise NotImplementedError

    # ------------------------------------------------------------------ what may be given

    @property
    def _pixels(self) -> np.ndarray:
        """The pixels, to be read only. They are not kept: a hundred images, one after the other, must not fill the memory."""
        return self.data if "data" in self.__dict__ else self.load()

    @property
    def _title(self) -> str:
        return "image" if self.path is None else self.path.name

    @property
    def _own_id(self) -> int | None:
        return None if self.frame is None else self.frame.frame_id

    def _mask_of(self, name: str, given: Any) -> Mask | None:
        """Return a mask of this image's shape: of a mask, a bool or integer array, an image, or the path of one."""
        if given is None:
            return None
        if isinstance(given, (str, os.PathLike)):
            given = self._file(name, given)
        if hasattr(given, "cut") and not isinstance(given, Mask):
            self._own(name, _frame_of(given))
            given = given.data != 0
        made = Mask.of(given, self.shape, name=name)
        self._own(name, made.frame_id)
        return made

    def _level_of(self, name: str, given: Any) -> MeshBackground | PixelMap:
        """Return a background of this image: of a map, an array, an image, a number, or the path of a map or image."""
        return self._checked_map(name, given, "background", _LEVELS)

    def _noise_of(self, name: str, given: Any) -> Any:
        """Return a noise map of this image, of the same."""
        return self._checked_map(name, given, "rms", _NOISES)

    def _checked_map(self, name: str, given: Any, kind: str, classes: tuple[type, ...]) -> Any:
        if isinstance(given, (str, os.PathLike)):
            given = self._file(name, given)
        if isinstance(given, (int, float, np.number)) and not isinstance(given, bool):
            value = self._number(name, given, least=0.0 if kind == "rms" else -np.inf)
            return MeshBackground.constant(value, value, self.shape)
        if isinstance(given, np.ndarray) or (hasattr(given, "cut") and not isinstance(given, Mask)):
            given = PixelMap(given, kind, _frame_of(given))
        if not isinstance(given, classes):
            raise InputError(f"{name}: must be an image, an array or a number, found {type(given).__name__}")
        if isinstance(given, PixelMap) and given.kind != kind:
            raise InputError(f"{name}: must be a map of kind {kind!r}, found {given.kind!r}")
        if given.shape != self.shape:
            raise InputError(f"{name}: must have the shape of the image {self.shape}, found {given.shape}")
        self._own(name, given.frame_id)
        return given

    def _own(self, name: str, frame_id: int | None) -> None:
        """Refuse a map of another frame, as far as both are known."""
        if None not in (frame_id, self._own_id) and frame_id != self._own_id:
            raise InputError(f"{name}: must be of this frame ({self._own_id}), found a map of frame {frame_id}")

    def _file(self, name: str, path: str | os.PathLike[str]) -> Any:
        path = Path(path)
        if path.suffix.lower() != ".npz":
            return self._plain(path)
        return read_map(path)

    def _number(self, name: str, value: Any, *, least: float = 0.0, strict: bool = True) -> float:
        number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
        if not number or not np.isfinite(value) or value < least or (strict and value == least):
            bound = f" {'above' if strict else 'from'} {least:g}" if np.isfinite(least) else ""
            raise InputError(f"{name}={value!r}: must be a finite number{bound}")
        return float(value)

    def _area_scale(self, name: str) -> float:
        if self.pixel_scale is None:
            raise InputError(f"{name}: is in arcsec, but {self._title} has no WCS and so no scale")
        return self.pixel_scale

    # ------------------------------------------------------------------ what the switches do

    def _keep(self, kind: str, value: Any, parameters: Mapping[str, Any], inputs: Mapping[str, Any], save: bool) -> Any:
        """Store it if that is wanted; keep and return it, made known as of this frame."""
        value = value.of_frame(self._own_id)
        if save:
            self._store(kind, value, parameters, {name: _named(item) for name, item in inputs.items()})
        self._kept[kind] = value
        return value

    def _keep_mask(
        self, kind: str, pixels: Any, parameters: Mapping[str, Any], inputs: Mapping[str, Any], text: str, switches: Mapping[str, bool]
    ) -> Mask:
        made = self._keep(kind, Mask.of(pixels), parameters, inputs, switches["save"])
        say(f"{self._title}: {text}", switches["verbose"])
        what = "sourcemask" if kind == "mask" else kind
        self._draw(what, lambda: [Panel(self._averaged(), what, mask=_averaged(made))], switches)
        return made

    def _draw(self, what: str, panels: Any, switches: Mapping[str, bool]) -> None:
        if not switches["save_fig"] and not (switches["visualize"] and in_notebook()):
            return
        figure = plots.panels(panels(), title=f"{self._title}: {what}")
        if switches["save_fig"]:
            plots.save(figure, self._figure_path(what))
        if switches["visualize"]:
            display(figure)

    def _background_panels(self, made: Any) -> Sequence[Panel]:
        image = self._averaged()
        level = plots.averaged_from(lambda rows, cols: made.level((rows, cols)), made.shape, image.step)
        rest = image._replace(values=image.values - level.values)
        return [Panel(image, "image"), Panel(level, "background", limits="minmax"), Panel(rest, "image - background")]

    def _noise_panels(self, made: Any) -> Sequence[Panel]:
        image = self._averaged()
        noise = plots.averaged_from(lambda rows, cols: made.rms((rows, cols)), made.shape, image.step)
        return [Panel(image, "image"), Panel(noise, "noise per pixel")]

    def _averaged(self) -> plots.Averaged:
        return plots.averaged_from(self.cut, self.shape)


def _frame_of(given: Any) -> int | None:
    """Return the frame that an image is a map of, where it is known; a science frame is one of itself only."""
    frame = getattr(given, "frame", None)
    if frame is None:
        return None
    return frame.frame_id if frame.parent_id is None and frame.kind == "science" else frame.parent_id


def _averaged(mask: Mask) -> plots.Averaged:
    return plots.averaged_from(mask.cut, mask.shape)


def _named(item: Any) -> Any:
    """Return what tells an input apart in the provenance of a map: the id of a frame, a path, or a hash."""
    if item is None or isinstance(item, (str, int, float)):
        return item
    image = getattr(item, "source", item)
    frame, path = getattr(image, "frame", None), getattr(image, "path", None)
    if path is not None:
        return {"path": str(path), "frame_id": None if frame is None else frame.frame_id}
    if hasattr(item, "cut") and not isinstance(item, Mask):
        item = item.data
    return digest(item)
