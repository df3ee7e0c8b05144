"""``Image.calculate_bkg`` and the noise maps: the tutorial's backgrounds, as methods of an image."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ezarchive.errors import InputError, MeasurementError
from ezarchive.images import noise
from ezarchive.images.background import MeshBackground
from ezarchive.images.engines import BackgroundOptions, estimate_background, mean_level
from ezarchive.images.noise import PropagatedNoise, SourceNoise
from ezarchive.images.pixelmap import PixelMap
from ezarchive.images.skin import Calculations
from ezarchive.screen import say

_COUNTS = ("NCOMBINE", "NCOMB", "NFRAMES")


class MapCalculations(Calculations):
    """Backgrounds and noise of an image; each method is a thin skin over `images.engines` and `images.noise`."""

    def calculate_bkg(  # noqa: PLR0913  the tutorial's arguments
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
        *,
        engine: str = "sep",
        estimator: str | None = None,
        recentre: bool = False,
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
            See `images.skin`.
        engine : {"sep", "photutils", "constant"}
            Who estimates it (`images.engines`).
        estimator : str, optional
            Of the level in a box, for the other engines than ``sep``: one of `images.engines.ESTIMATORS`, ``sextractor`` by default.
        recentre : bool
            Add the clipped mean of image less map over the pixels that are not masked (`images.engines.BackgroundOptions`).

        Returns
        -------
        MeshBackground
            ``.level()`` gives the pixels, ``.rms()`` the noise of the sky.
        """
        self._check_switches(save=save, save_fig=save_fig)
        options = replace(_options(engine, estimator, box_size, filter_size), recentre=bool(recentre))
        made, inputs = self._estimated(target_srcmask, target_ivpmask, options)
        if not is_2D_bkg:
            made = MeshBackground.constant(mean_level(made), made.global_rms, made.shape)
        parameters = {"method": "mesh", "is_2D_bkg": bool(is_2D_bkg), **_recipe(options)}
        made = self._keep("background", made, parameters, inputs, save)
        say(f"{self._title}: background {made.global_level:.6g}, noise {made.global_rms:.6g} per pixel", verbose)
        self._draw("bkgmap", lambda: self._background_panels(made), {"visualize": visualize, "save_fig": save_fig})
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
        *,
        engine: str = "sep",
        estimator: str | None = None,
    ) -> MeshBackground:
        """Estimate the noise of the sky per pixel from the image itself.

        Parameters
        ----------
        target_srcmask, target_ivpmask, box_size, filter_size, engine, estimator
            As of `calculate_bkg`.
        save, verbose, visualize, save_fig : bool
            See `images.skin`.

        Returns
        -------
        MeshBackground
            ``.rms()`` gives the pixels.
        """
        self._check_switches(save=save, save_fig=save_fig)
        options = _options(engine, estimator, box_size, filter_size)
        made, inputs = self._estimated(target_srcmask, target_ivpmask, options)
        made = self._keep("rms", made, {"method": "mesh", **_recipe(options)}, inputs, save)
        say(f"{self._title}: noise {made.global_rms:.6g} per pixel", verbose)
        self._draw("bkgrms", lambda: self._noise_panels(made), {"visualize": visualize, "save_fig": save_fig})
        return made

    def calculate_bkgrms_from_propagation(  # noqa: PLR0913  the tutorial's arguments
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
        *,
        gain: float | None = None,
    ) -> PropagatedNoise:
        """Propagate the noise of sky, dark current, read-out and calibration (derived in `ezarchive.images.noise`).

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
            See `images.skin`. What is stored are background and numbers, and the ids of the master frames.
        gain : float, optional
            Electrons per stored unit; by default the frame's own.

        Returns
        -------
        PropagatedNoise
            ``.rms()`` gives the pixels, stored unit.

        Raises
        ------
        MeasurementError
            ``no_masters`` or ``no_gain``.
        """
        self._check_switches(save=save, save_fig=save_fig)
        made, parameters, inputs = self._propagated(target_bkg, (mbias, mdark, mflat, mflaterr), readout_noise, gain, verbose)
        made = self._keep("rms", made, parameters, inputs, save)
        say(f"{self._title}: noise {made.global_rms:.6g} per pixel (median), from propagation", verbose)
        self._draw("bkgrms", lambda: self._noise_panels(made), {"visualize": visualize, "save_fig": save_fig})
        return made

    def calculate_errormap(  # noqa: PLR0913  the tutorial's switches
        self,
        target_bkg: Any = None,
        target_bkgrms: Any = None,
        errormap_type: str = "sourcerms",
        box_size: int = 64,
        filter_size: int = 3,
        save: bool = False,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
        *,
        gain: float | None = None,
    ) -> SourceNoise | MeshBackground:
        """Give the noise per pixel of the image itself: of the sky alone, or of sky and sources.

        Parameters
        ----------
        target_bkg, target_bkgrms : map, array, image or number, optional
            Background and noise of the sky of this frame; by default a mesh of the image.
        errormap_type : {"sourcerms", "bkgrms"}
            ``sourcerms``: with the photons of the sources, ``sqrt(rms^2 + max(image - background, 0) / gain)``. ``bkgrms``: as
            `calculate_bkgrms`, of the image alone: target_bkg, target_bkgrms and gain must be left out.
        box_size, filter_size : int
            Of the mesh.
        save, verbose, visualize, save_fig : bool
            See `images.skin`. What is stored are the maps that it is made of, and the id of the frame.
        gain : float, optional
            Electrons per stored unit; by default the frame's own.

        Returns
        -------
        SourceNoise or MeshBackground
            ``.rms()`` gives the pixels. It is no noise of the sky, so that it is kept as ``errormap``, not as ``bkgrms``.

        Raises
        ------
        MeasurementError
            ``no_gain``.
        """
        if errormap_type not in ("sourcerms", "bkgrms"):
            raise InputError(f"errormap_type={errormap_type!r}: must be 'sourcerms' or 'bkgrms'")
        if errormap_type == "bkgrms":
            for name, value in (("target_bkg", target_bkg), ("target_bkgrms", target_bkgrms), ("gain", gain)):
                if value is not None:
                    raise InputError(f"{name}: must be left out for errormap_type='bkgrms', which has no use for it")
            return self.calculate_bkgrms(
                box_size=box_size, filter_size=filter_size, save=save, verbose=verbose, visualize=visualize, save_fig=save_fig
            )
        self._check_switches(save=save, save_fig=save_fig)
        gain = self._known_gain(gain)
        mesh = None if target_bkg is not None and target_bkgrms is not None else self._estimated(
            None, None, _options("sep", None, box_size, filter_size))[0]  # fmt: skip
        level = mesh if target_bkg is None else self._level_of("target_bkg", target_bkg)
        sky = mesh if target_bkgrms is None else self._noise_of("target_bkgrms", target_bkgrms)
        inputs = {"target_bkg": target_bkg, "target_bkgrms": target_bkgrms}
        parameters = {"method": "sourcerms", "box_size": box_size, "filter_size": filter_size, "gain": gain}
        return self._kept_errormap(level, sky, gain, parameters, inputs, (save, verbose, visualize, save_fig))

    def calculate_errormap_from_propagation(  # noqa: PLR0913  the tutorial's arguments
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
        *,
        gain: float | None = None,
    ) -> SourceNoise:
        """Propagate the noise of sky and sources: `calculate_bkgrms_from_propagation` at the brighter of sky and image in each pixel.

        Parameters
        ----------
        target_bkg, mbias, mdark, mflat, mflaterr, readout_noise, save, verbose, visualize, save_fig, gain
            As there.

        Returns
        -------
        SourceNoise
            ``.rms()`` gives the pixels; kept as ``errormap``.
        """
        self._check_switches(save=save, save_fig=save_fig)
        sky, parameters, inputs = self._propagated(target_bkg, (mbias, mdark, mflat, mflaterr), readout_noise, gain, verbose)
        parameters = {**parameters, "method": "source propagation"}
        return self._kept_errormap(sky.background, sky, sky.gain, parameters, inputs, (save, verbose, visualize, save_fig))

    # ------------------------------------------------------------------ steps

    def _estimated(self, sources: Any, invalid: Any, options: BackgroundOptions) -> tuple[MeshBackground, dict[str, Any]]:
        inputs = {"target_srcmask": self._mask_of("target_srcmask", sources), "target_ivpmask": self._mask_of("target_ivpmask", invalid)}
        masks = [item for item in inputs.values() if item is not None]
        joined = masks[0] | masks[1] if len(masks) == 2 else masks[0] if masks else None
        return estimate_background(self._pixels, joined, options), inputs

    def _propagated(
        self, target_bkg: Any, given: tuple[Any, Any, Any, Any], readout_noise: float | None, gain: float | None, verbose: bool
    ) -> tuple[PropagatedNoise, dict[str, Any], dict[str, Any]]:
        """Return the map, its parameters, and what it was made of."""
        gain = self._known_gain(gain)
        level = self._level_of("target_bkg", target_bkg)
        images = {kind: self._master(kind, item) for kind, item in zip(("bias", "dark", "flat"), given[:3], strict=True)}
        combined = {kind: _frames_combined(images[kind]) for kind in ("bias", "dark")}
        for kind, number in combined.items():
            guess = f"taken to be {noise.ASSUMED_BIAS_FRAMES}" if kind == "bias" else "taken to be as many as of the bias"
            name = images[kind].path or f"master {kind}"
            say(f"{name}: its header lacks the number of frames combined (NCOMBINE); {guess}", verbose and number is None)
        number = isinstance(given[3], (int, float, np.number)) and not isinstance(given[3], bool)
        flat_err = self._master("flaterr", given[3]) if given[3] is not None and not number else None
        if flat_err is None:
            flat_err = self._number("mflaterr", 0.0 if given[3] is None else given[3], strict=False)
        masters = noise.Masters(**images, flat_err=flat_err, bias_frames=combined["bias"], dark_frames=combined["dark"])
        read_noise = self._fact("read_noise")
        if readout_noise is not None:
            read_noise = self._number("readout_noise", readout_noise, strict=False)
        made = noise.propagated_noise(level, masters, gain=gain, read_noise=read_noise)
        inputs = {**images, "target_bkg": target_bkg, **{f"{kind}_frames": number for kind, number in combined.items()}}
        return made, {"method": "propagation", "read_noise": read_noise, "gain": gain}, inputs

    def _kept_errormap(
        self, level: Any, sky: Any, gain: float, parameters: dict[str, Any], inputs: dict[str, Any], switches: tuple[bool, ...]
    ) -> SourceNoise:
        save, verbose, visualize, save_fig = switches
        # Of a file, the map reads but the pixels that it is asked for.
        pixels = PixelMap(self._plain(self.path) if self.path is not None else self._plain(self._pixels), "background")
        made = self._keep("errormap", SourceNoise(pixels, level, sky, gain), parameters, inputs, save)
        say(f"{self._title}: noise {made.global_rms:.6g} per pixel (median), with that of the sources", verbose)
        self._draw("errormap", lambda: self._noise_panels(made), {"visualize": visualize, "save_fig": save_fig})
        return made

    def _master(self, kind: str, given: Any) -> Any:
        if given is None:
            return self._found_master(kind)
        return given if hasattr(given, "cut") else self._plain(given)

    def _known_gain(self, given: float | None) -> float:
        gain = self.gain if given is None else self._number("gain", given)
        if gain is None:
            message = f"{self._title}: its gain is unknown; the header (EGAIN), an instrument rule or gain= must tell it"
            raise MeasurementError("no_gain", message)
        return gain


def _options(engine: str, estimator: str | None, box_size: int, filter_size: int) -> BackgroundOptions:
    return BackgroundOptions(engine=engine, estimator=estimator or "sextractor", box_size=box_size, filter_size=filter_size)


def _recipe(options: BackgroundOptions) -> dict[str, Any]:
    """Return what makes a recipe: the engine only where it is not the usual one, so that older recipes stay the same."""
    plain = {"box_size": options.box_size, "filter_size": options.filter_size}
    plain |= {"recentre": True} if options.recentre else {}
    return plain if options.engine == "sep" else {**plain, "engine": options.engine, "estimator": options.estimator}


def _frames_combined(image: Any) -> int | None:
    if image.frame is not None:
        return image.frame.ncombine
    found = (image.header.get(keyword) for keyword in _COUNTS)
    return next((int(value) for value in found if isinstance(value, (int, float, np.number)) and value >= 1), None)
