"""`ArchiveImage`: an image that knows its frame and its archive; the tutorial's ``calculate_*`` live here.

A thin skin: every ``calculate_*`` checks what it was given, calls one function of ``images``, and does what its switches say:
``save`` (under ``HOME/maps``, with a row in the database), ``verbose`` (a line on the screen), ``visualize`` (a figure, where a notebook
can show one), ``save_fig`` (under ``HOME/figures``). No argument is altered. What was calculated last is kept as ``bkgmap``,
``bkgrms``, ``sourcemask`` and ``invalidmask``, and goes before what is stored.
"""

from __future__ import annotations

import hashlib
import os
from typing import Any

import numpy as np

from ezarchive import plots, sky
from ezarchive.browse.catalogset import StoredCatalog, stored_catalogs
from ezarchive.browse.handle import ArchiveHandle
from ezarchive.browse.maps import load_map, pack_mask, save_map, unpack_mask
from ezarchive.browse.selection import plain_number
from ezarchive.browse.shown_image import ShownImage
from ezarchive.catalogs.paths import frame_stem
from ezarchive.database import queries
from ezarchive.errors import InputError, MeasurementError
from ezarchive.files import encode_part
from ezarchive.frames.record import Frame
from ezarchive.images import background, mask, noise
from ezarchive.images.background import MeshBackground
from ezarchive.images.image import Image
from ezarchive.screen import Info, display, help_text, in_notebook, say

_FRAME_KINDS = {"background": "background", "rms": "errormap", "mask": "mask"}


def _fact(name: str, doc: str) -> property:
    return property(lambda self: getattr(self.frame, name), doc=doc)


class ArchiveImage(ShownImage):
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
        self._maps: dict[str, Any] = {}

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

    # ------------------------------------------------------------------ what belongs to it

    @property
    def bkgmap(self) -> MeshBackground | np.ndarray | None:
        """The background: calculated last, else stored last, else a background frame of this one; None without any."""
        return self._map("background")

    @bkgmap.setter
    def bkgmap(self, value: Any) -> None:
        self._maps["background"] = value

    @property
    def bkgrms(self) -> MeshBackground | np.ndarray | None:
        """The noise per pixel (of a mesh, its ``rms()``), found as `bkgmap`."""
        return self._map("rms")

    @bkgrms.setter
    def bkgrms(self, value: Any) -> None:
        self._maps["rms"] = value

    @property
    def sourcemask(self) -> np.ndarray | None:
        """The source mask, True is bad, found as `bkgmap`."""
        return self._map("mask")

    @sourcemask.setter
    def sourcemask(self, value: Any) -> None:
        self._maps["mask"] = value

    @property
    def invalidmask(self) -> np.ndarray | None:
        """The mask of pixels without a value that was calculated last, None without any."""
        return self._maps.get("invalid")

    @property
    def catalog(self) -> StoredCatalog | None:
        """The newest of its current catalogs, None where it was not measured."""
        if self._handle is None or self.frame_id is None:
            return None
        found = stored_catalogs(self._handle, [self.frame])
        return found[-1] if found else None

    def _map(self, kind: str) -> Any:
        if kind in self._maps:
            return self._maps[kind]
        if self._handle is None or self.frame_id is None:
            return None
        stored = load_map(self._handle, self.frame_id, kind)
        if stored is not None:
            return stored
        with self._handle.database.connect() as conn:
            children = queries.children(conn, [self.frame_id], (_FRAME_KINDS[kind],))
        if not children:
            return None
        pixels = Image(children[-1].path, children[-1].hdu, frame=children[-1]).load()
        return pixels != 0 if kind == "mask" else pixels

    # ------------------------------------------------------------------ masks

    def calculate_invalidmask(
        self,
        threshold_invalid_connection: int = 100_000,
        save: bool = False,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
    ) -> np.ndarray:
        """Mask the pixels that hold no value: not finite, or in a large area of zeros.

        Parameters
        ----------
        threshold_invalid_connection : int
            Connected zeros of more than so many pixels are masked.
        save, verbose, visualize, save_fig : bool
            See the module; there is no place for this mask in the archive, so ``save=True`` is an error.

        Returns
        -------
        ndarray of bool, shape (ny, nx)
            True is bad.
        """
        if save:
            raise InputError("save=True: a mask of invalid pixels is not stored (it is quickly made again); must be False")
        self._check_switches(save=save, save_fig=save_fig)
        made = mask.invalid_mask(self.data, threshold_invalid_connection)
        self._maps["invalid"] = made
        say(f"{self.path.name}: {int(made.sum())} invalid pixels", verbose)
        self._draw("invalidmask", made, visualize, save_fig)
        return made

    def calculate_circularmask(
        self,
        target_srcmask: Any = None,
        x_position: float | None = None,
        y_position: float | None = None,
        radius_arcsec: float | None = None,
        unit: str = "coord",
        save: bool = False,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
    ) -> np.ndarray:
        """Mask the pixels whose centre lies in a circle on the sky.

        Parameters
        ----------
        target_srcmask : mask, optional
            A mask to add to (a bool array, or a mask of the archive); it stays as it is.
        x_position, y_position : float
            Centre: ICRS degrees (or Quantities) for ``unit="coord"``, 0-based pixels for ``"pixel"``.
        radius_arcsec : float
            In arcsec (or a Quantity), whatever the unit.
        save, verbose, visualize, save_fig : bool
            See the module.

        Returns
        -------
        ndarray of bool, shape (ny, nx)
            True is bad; a new array.
        """
        self._check_switches(save=save, save_fig=save_fig)
        given = {"x_position": x_position, "y_position": y_position, "radius_arcsec": radius_arcsec}
        for name, value in given.items():
            if value is None:
                raise InputError(f"{name}: must be given")
        x_position, y_position, radius_arcsec = _circle(x_position, y_position, radius_arcsec, unit)
        given = {"x_position": x_position, "y_position": y_position, "radius_arcsec": radius_arcsec}
        x, y = self._pixel(x_position, y_position, unit)
        former = self._mask("target_srcmask", target_srcmask)
        if self.wcs is not None:
            made = mask.circular_mask(self.shape, x, y, radius_arcsec, jacobian=sky.jacobian(self.wcs, x, y), mask=former)
        else:
            made = mask.circular_mask(self.shape, x, y, radius_arcsec / self._arcsec_per_pixel("radius_arcsec"), mask=former)
        self._keep("mask", made, {"method": "circular", **given, "unit": unit}, {"target_srcmask": _digest(former)}, save)
        say(f"{self.path.name}: {int(made.sum())} pixels masked, with a circle of {radius_arcsec} arcsec", verbose)
        self._draw("circularmask", made, visualize, save_fig)
        return made

    def calculate_sourcemask(
        self,
        target_srcmask: Any = None,
        sigma: float = 5,
        mask_radius_factor: float = 3,
        saturation_level: float | None = 50000,
        save: bool = False,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
    ) -> np.ndarray:
        """Mask every source with a disk.

        Parameters
        ----------
        target_srcmask : mask, optional
            Pixels to leave out and keep masked; it stays as it is.
        sigma : float
            Threshold of detection in units of the background's noise.
        mask_radius_factor : float
            Radius of a disk in units of that of a circle of the source's area; twice as much for a saturated source.
        saturation_level : float or None
            In the stored unit; None: the frame's own.
        save, verbose, visualize, save_fig : bool
            See the module.

        Returns
        -------
        ndarray of bool, shape (ny, nx)
            True is bad; a new array.
        """
        self._check_switches(save=save, save_fig=save_fig)
        former = self._mask("target_srcmask", target_srcmask)
        level = self.saturation if saturation_level is None else saturation_level
        made = mask.source_mask(self.data, former, sigma=sigma, radius_factor=mask_radius_factor, saturation=level)
        parameters = {"method": "source", "sigma": sigma, "mask_radius_factor": mask_radius_factor, "saturation_level": level}
        self._keep("mask", made.mask, parameters, {"target_srcmask": _digest(former)}, save)
        say(f"{self.path.name}: {made.n_sources} sources masked, {made.n_saturated} of them saturated", verbose)
        self._draw("sourcemask", made.mask, visualize, save_fig)
        return made.mask

    # ------------------------------------------------------------------ background and noise

    def calculate_bkg(
        self,
        target_srcmask: Any = None,
        target_ivpmask: Any = None,
        is_2D_bkg: bool = True,
        box_size: int = 64,
        filter_size: int = 3,
        save: bool = False,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
    ) -> MeshBackground:
        """Estimate the background.

        Parameters
        ----------
        target_srcmask, target_ivpmask : mask, optional
            Sources, and pixels without a value, to leave out.
        is_2D_bkg : bool
            False: the mean of the map everywhere.
        box_size : int
            Side of a box of the mesh, pixels.
        filter_size : int
            Boxes along a side of the median filter.
        save, verbose, visualize, save_fig : bool
            See the module.

        Returns
        -------
        MeshBackground
            ``.level()`` gives the pixels.
        """
        self._check_switches(save=save, save_fig=save_fig)
        made, inputs = self._mesh(target_srcmask, target_ivpmask, box_size, filter_size)
        if not is_2D_bkg:
            made = MeshBackground.constant(_mean_level(made), made.global_rms, made.shape)
        parameters = {"method": "mesh", "is_2D_bkg": bool(is_2D_bkg), "box_size": box_size, "filter_size": filter_size}
        self._keep("background", made, parameters, inputs, save)
        say(f"{self.path.name}: background {made.global_level:.6g}, noise {made.global_rms:.6g} per pixel", verbose)
        self._draw("bkgmap", made.level, visualize, save_fig)
        return made

    def calculate_bkgrms(
        self,
        target_srcmask: Any = None,
        target_ivpmask: Any = None,
        box_size: int = 64,
        filter_size: int = 3,
        save: bool = False,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
    ) -> MeshBackground:
        """Estimate the noise of the sky per pixel from the image itself.

        Parameters
        ----------
        target_srcmask, target_ivpmask, box_size, filter_size
            As of `calculate_bkg`.
        save, verbose, visualize, save_fig : bool
            See the module.

        Returns
        -------
        MeshBackground
            ``.rms()`` gives the pixels.
        """
        self._check_switches(save=save, save_fig=save_fig)
        made, inputs = self._mesh(target_srcmask, target_ivpmask, box_size, filter_size)
        self._keep("rms", made, {"method": "mesh", "box_size": box_size, "filter_size": filter_size}, inputs, save)
        say(f"{self.path.name}: noise {made.global_rms:.6g} per pixel", verbose)
        self._draw("bkgrms", made.rms, visualize, save_fig)
        return made

    def calculate_bkgrms_from_propagation(
        self,
        target_bkg: Any,
        mbias: Any = None,
        mdark: Any = None,
        mflat: Any = None,
        mflaterr: Any = None,
        readout_noise: float | None = None,
        save: bool = False,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
    ) -> np.ndarray:
        """Propagate the noise of sky, dark current, read-out and calibration (`ezarchive.images.noise.propagated_rms`).

        Parameters
        ----------
        target_bkg : MeshBackground, array, image or number
            The background of this frame.
        mbias, mdark, mflat : image, array or path, optional
            Master frames; by default those of the same observatory, telkey and telname in the archive (the dark of equal exposure time,
            the flat of the same filter), the nearest in time.
        mflaterr : image, array, path or number, optional
            Error of the flat; 0 by default.
        readout_noise : float, optional
            Electrons; by default the header's, else from the scatter of the master bias.
        save, verbose, visualize, save_fig : bool
            See the module.

        Returns
        -------
        ndarray of float32, shape (ny, nx)
            Noise per pixel, stored unit.

        Raises
        ------
        MeasurementError
            ``no_masters`` or ``no_gain``.
        """
        self._check_switches(save=save, save_fig=save_fig)
        if self.gain is None:
            raise MeasurementError("no_gain", f"{self.path}: its gain is unknown; the header (EGAIN) or an instrument rule must tell it")
        images = {kind: self._master(kind, given) for kind, given in (("bias", mbias), ("dark", mdark), ("flat", mflat))}
        combined = {kind: _frames_combined(images[kind]) for kind in ("bias", "dark")}
        for kind, number in combined.items():
            guess = f"taken to be {noise.ASSUMED_BIAS_FRAMES}" if kind == "bias" else "taken to be as many as of the bias"
            say(f"{images[kind].path}: its header lacks the number of frames combined (NCOMBINE); {guess}", verbose and number is None)
        masters = noise.Masters(
            bias=images["bias"].data, dark=images["dark"].data, flat=images["flat"].data,
            flat_err=_pixels_or_number("mflaterr", 0.0 if mflaterr is None else mflaterr),
            bias_frames=combined["bias"], dark_frames=combined["dark"],
        )  # fmt: skip
        read_noise = self.frame.read_noise if readout_noise is None else readout_noise
        made = noise.propagated_rms(self._level(target_bkg), masters, gain=self.gain, read_noise=read_noise)
        inputs = {kind: None if image.path is None else str(image.path) for kind, image in images.items()}
        self._keep("rms", made, {"method": "propagation", "read_noise": read_noise, "gain": self.gain}, inputs, save)
        say(f"{self.path.name}: noise {float(np.nanmedian(made)):.6g} per pixel (median), from propagation", verbose)
        self._draw("bkgrms", made, visualize, save_fig)
        return made

    def _mesh(self, sources: Any, invalid: Any, box_size: int, filter_size: int) -> tuple[MeshBackground, dict[str, str | None]]:
        given = {"target_srcmask": self._mask("target_srcmask", sources), "target_ivpmask": self._mask("target_ivpmask", invalid)}
        masks = [item for item in given.values() if item is not None]
        joined = np.logical_or(*masks) if len(masks) == 2 else masks[0] if masks else None
        return background.estimate(self.data, joined, box_size, filter_size), {name: _digest(item) for name, item in given.items()}

    def _master(self, kind: str, given: Any) -> Image:
        if given is not None:
            return given if isinstance(given, Image) else Image(given)
        if self._handle is None:
            raise InputError(f"m{kind}: must be given for an image that belongs to no archive")
        with self._handle.database.connect() as conn:
            found = queries.masters(conn, self.frame, kind)
        if not found:
            of = {"bias": "", "dark": f" of {self.exptime} s", "flat": f" in {self.filter}"}[kind]
            where = f"observatory {self.observatory}, telkey {self.telkey}, telname {self.telname}"
            raise MeasurementError("no_masters", f"{self.path}: the archive holds no master {kind}{of} for {where}; m{kind}= must be given")
        return ArchiveImage(found[0], self._handle)

    def _level(self, given: Any) -> np.ndarray:
        if isinstance(given, MeshBackground):
            return given.level()
        level = np.asarray(_pixels_or_number("target_bkg", given))
        return np.full(self.shape, float(level)) if level.ndim == 0 else level

    def _mask(self, name: str, given: Any) -> np.ndarray | None:
        """Return a mask as bool, of this image's shape; the argument itself is never altered."""
        if given is None:
            return None
        found = given.data != 0 if isinstance(given, Image) else np.asarray(given)
        if found.dtype.kind not in "biu" or found.shape != self.shape:
            raise InputError(f"{name}: must be a bool array of shape {self.shape} (True is bad), found {found.dtype} {found.shape}")
        return found if found.dtype == bool else found != 0

    # ------------------------------------------------------------------ what the switches do

    def _check_switches(self, *, save: bool, save_fig: bool) -> None:
        """Refuse, before any work, what has no place to be written to."""
        for name, value in (("save", save), ("save_fig", save_fig)):
            if value and (self._handle is None or self.frame_id is None):
                raise InputError(f"{name}=True: must be False for an image that belongs to no archive")

    def _keep(self, kind: str, value: Any, parameters: dict[str, Any], inputs: dict[str, Any], save: bool) -> None:
        if save:
            save_map(self._handle, self.frame, kind, value, parameters, inputs)
        self._maps[kind] = value

    def _draw(self, what: str, value: Any, visualize: bool, save_fig: bool) -> None:
        if not save_fig and not (visualize and in_notebook()):
            return
        pixels = value() if callable(value) else value
        limits = (0.0, 1.0) if pixels.dtype == bool else "zscale"
        figure = plots.image(pixels.astype(np.float32), limits=limits, title=f"{self.path.name}: {what}")
        if save_fig:
            name = f"{encode_part(frame_stem(self.frame.relpath))}.{self.frame_id}.{what}.png"
            plots.save(figure, self._handle.home / "figures" / name)
        if visualize:
            display(figure)

    # ------------------------------------------------------------------ travelling

    def __getstate__(self) -> dict[str, Any]:
        # Header and WCS are read again from the file, masks go as bits: an image that goes to a worker must be small.
        kept = {name: value for name, value in super().__getstate__().items() if name not in ("header", "wcs")}
        kept["_maps"] = {name: pack_mask(item) if _is_mask(item) else item for name, item in self._maps.items()}
        return kept

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._maps = {name: unpack_mask(item) if isinstance(item, dict) else item for name, item in state["_maps"].items()}


def _circle(x: Any, y: Any, radius: Any, unit: str) -> tuple[float, float, float]:
    """Return centre and radius (arcsec) as plain numbers, or say which argument is none."""
    if unit == "coord":
        x, y = sky.parse_position((x, y), "x_position, y_position")
    values = {"x_position": x, "y_position": y, "radius_arcsec": plain_number("radius_arcsec", radius, "arcsec")}
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise InputError(f"{name}={value!r}: must be a number")
    if not (np.isfinite(values["radius_arcsec"]) and values["radius_arcsec"] > 0):
        raise InputError(f"radius_arcsec={radius!r}: must be positive and finite")
    return float(x), float(y), float(values["radius_arcsec"])


def _is_mask(item: Any) -> bool:
    return isinstance(item, np.ndarray) and item.dtype == bool


def _digest(given: np.ndarray | None) -> str | None:
    return None if given is None else hashlib.blake2b(np.packbits(given).tobytes(), digest_size=16).hexdigest()


def _mean_level(mesh: MeshBackground) -> float:
    """Return the mean of a map, a strip at a time."""
    ny, nx = mesh.shape
    strips = (mesh.level((slice(start, min(start + 256, ny)), slice(0, nx))) for start in range(0, ny, 256))
    return sum(float(strip.sum(dtype=float)) for strip in strips) / (ny * nx)


def _frames_combined(image: Image) -> int | None:
    if image.frame is not None:
        return image.frame.ncombine
    found = (image.header.get(keyword) for keyword in ("NCOMBINE", "NCOMB", "NFRAMES"))
    return next((int(value) for value in found if isinstance(value, (int, float)) and value >= 1), None)


def _pixels_or_number(name: str, given: Any) -> Any:
    if isinstance(given, (str, os.PathLike)):
        return Image(given).data
    if isinstance(given, Image):
        return given.data
    if isinstance(given, (np.ndarray, int, float)) and not isinstance(given, bool):
        return given
    raise InputError(f"{name}: must be an image, an array or a number, found {type(given).__name__}")
