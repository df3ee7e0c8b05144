"""``Image.calculate_*mask``: the tutorial's masks, as methods of an image."""

from __future__ import annotations

from typing import Any

import numpy as np
from astropy import units as u

from ezarchive import sky
from ezarchive.errors import InputError, MeasurementError
from ezarchive.images import mask
from ezarchive.images.compact import Mask
from ezarchive.images.skin import Calculations
from ezarchive.sky import parse_position


class MaskCalculations(Calculations):
    """Masks of an image; each method is a thin skin over one function of `images.mask`."""

    def calculate_invalidmask(
        self,
        threshold_invalid_connection: int = 100_000,
        save: bool = False,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
    ) -> Mask:
        """Mask the pixels that hold no value: not finite, or in a large area of zeros.

        Parameters
        ----------
        threshold_invalid_connection : int
            Connected zeros of more than so many pixels are masked.
        save, verbose, visualize, save_fig : bool
            See `images.skin`.

        Returns
        -------
        Mask
            True is bad.
        """
        self._check_switches(save=save, save_fig=save_fig)
        found = mask.invalid_mask(self._pixels, threshold_invalid_connection)
        parameters = {"method": "invalid", "threshold_invalid_connection": threshold_invalid_connection}
        return self._keep_mask(
            "invalidmask", found, parameters, {}, f"{int(np.count_nonzero(found))} invalid pixels",
            {"save": save, "verbose": verbose, "visualize": visualize, "save_fig": save_fig},
        )  # fmt: skip

    def calculate_circularmask(
        self,
        target_srcmask: Any = None,
        x_position: Any = None,
        y_position: Any = None,
        radius_arcsec: Any = None,
        unit: str = "coord",
        save: bool = False,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
    ) -> Mask:
        """Mask the pixels whose centre lies in a circle on the sky.

        Parameters
        ----------
        target_srcmask : mask, optional
            A mask to add to (a `Mask`, a bool array, or a mask of the archive); it stays as it is.
        x_position, y_position : float
            Centre: ICRS degrees (or Quantities) for ``unit="coord"``, 0-based pixels for ``"pixel"``.
        radius_arcsec : float
            In arcsec (or a Quantity), whatever the unit.
        save, verbose, visualize, save_fig : bool
            See `images.skin`.

        Returns
        -------
        Mask
            True is bad; a new one.
        """
        self._check_switches(save=save, save_fig=save_fig)
        given = {"x_position": x_position, "y_position": y_position, "radius_arcsec": radius_arcsec}
        for name, value in given.items():
            if value is None:
                raise InputError(f"{name}: must be given")
        given = _circle(x_position, y_position, radius_arcsec, unit)
        radius = given["radius_arcsec"]
        x, y = self._pixel(given["x_position"], given["y_position"], unit)
        former = self._mask_of("target_srcmask", target_srcmask)
        if self.wcs is not None:
            found = mask.circular_mask(self.shape, x, y, radius, jacobian=sky.jacobian(self.wcs, x, y), mask=former)
        else:
            found = mask.circular_mask(self.shape, x, y, radius / self._area_scale("radius_arcsec"), mask=former)
        return self._keep_mask(
            "mask", found, {"method": "circular", **given, "unit": unit}, {"target_srcmask": former},
            f"{int(np.count_nonzero(found))} pixels masked, with a circle of {radius} arcsec",
            {"save": save, "verbose": verbose, "visualize": visualize, "save_fig": save_fig},
        )  # fmt: skip

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
    ) -> Mask:
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
            See `images.skin`.

        Returns
        -------
        Mask
            True is bad; a new one.
        """
        self._check_switches(save=save, save_fig=save_fig)
        former = self._mask_of("target_srcmask", target_srcmask)
        sigma, mask_radius_factor = self._number("sigma", sigma), self._number("mask_radius_factor", mask_radius_factor)
        level = self._level_given(saturation_level)
        made = mask.source_mask(self._pixels, former, sigma=sigma, radius_factor=mask_radius_factor, saturation=level)
        parameters = {"method": "source", "sigma": sigma, "mask_radius_factor": mask_radius_factor, "saturation_level": level}
        return self._keep_mask(
            "mask", made.mask, parameters, {"target_srcmask": former},
            f"{made.n_sources} sources masked, {made.n_saturated} of them saturated",
            {"save": save, "verbose": verbose, "visualize": visualize, "save_fig": save_fig},
        )  # fmt: skip

    def calculate_saturatedmask(
        self,
        saturation_level: float | None = None,
        grow_pixel: float = 0.0,
        save: bool = False,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
    ) -> Mask:
        """Mask saturated pixels.

        Parameters
        ----------
        saturation_level : float, optional
            In the stored unit; by default the frame's own.
        grow_pixel : float
            Pixels within this distance of a saturated one are masked too.
        save, verbose, visualize, save_fig : bool
            See `images.skin`.

        Returns
        -------
        Mask
            True is bad.

        Raises
        ------
        MeasurementError
            ``no_saturation`` if no level is given and the frame has none.
        """
        self._check_switches(save=save, save_fig=save_fig)
        level, grow_pixel = self._level_given(saturation_level), self._number("grow_pixel", grow_pixel, strict=False)
        if level is None:
            message = f"{self._title}: its saturation level is unknown; the header, an instrument rule or saturation_level= must tell it"
            raise MeasurementError("no_saturation", message)
        found = mask.saturated_mask(self._pixels, level, grow_pixel)
        return self._keep_mask(
            "saturatedmask", found, {"method": "saturated", "saturation_level": level, "grow_pixel": grow_pixel}, {},
            f"{int(np.count_nonzero(found))} saturated pixels (from {level:g})",
            {"save": save, "verbose": verbose, "visualize": visualize, "save_fig": save_fig},
        )  # fmt: skip

    def calculate_crmask(  # noqa: PLR0913  what the search needs to know
        self,
        target_ivpmask: Any = None,
        sigclip: float = 6.0,
        sigfrac: float = 0.5,
        objlim: float = 5.0,
        niter: int = 4,
        gain: float | None = None,
        readout_noise: float | None = None,
        saturation_level: float | None = None,
        save: bool = False,
        verbose: bool = True,
        visualize: bool = True,
        save_fig: bool = False,
        *,
        target_bkg: Any = None,
    ) -> Mask:
        """Mask the pixels hit by cosmic rays (`images.mask.cosmic_ray_mask`).

        Parameters
        ----------
        target_ivpmask : mask, optional
            Pixels to leave out.
        sigclip, sigfrac, objlim, niter
            Of the search (`images.mask.CosmicRayOptions`).
        gain, readout_noise, saturation_level : float, optional
            Electrons per stored unit, electrons, stored unit; by default the frame's own.
        save, verbose, visualize, save_fig : bool
            See `images.skin`.
        target_bkg : map, array, image or number, optional
            Of an image whose sky was subtracted: what was, so that its noise is known.

        Returns
        -------
        Mask
            True is bad.

        Raises
        ------
        MeasurementError
            ``no_gain`` or ``no_read_noise`` if it is neither given nor known; ``too_many_pixels`` if the noise is not what they tell.
        """
        self._check_switches(save=save, save_fig=save_fig)
        gain = self._number("gain", self._known("gain", "gain=", gain, self.gain, "no_gain"))
        noise = self._known("read noise", "readout_noise=", readout_noise, self._fact("read_noise"), "no_read_noise")
        noise = self._number("readout_noise", noise, strict=False)
        level = self._level_given(saturation_level)
        options = mask.CosmicRayOptions(sigclip=sigclip, sigfrac=sigfrac, objlim=objlim, niter=niter)
        left_out = self._mask_of("target_ivpmask", target_ivpmask)
        sky_taken = None if target_bkg is None else self._level_of("target_bkg", target_bkg)
        found = mask.cosmic_ray_mask(
            self._pixels, gain=gain, read_noise=noise, saturation=level, mask=left_out, background=sky_taken, options=options
        )
        parameters = {"method": "cosmic", "sigclip": sigclip, "sigfrac": sigfrac, "objlim": objlim, "niter": niter}
        parameters |= {"gain": gain, "read_noise": noise, "saturation_level": level}
        return self._keep_mask(
            "crmask", found, parameters, {"target_ivpmask": left_out, "target_bkg": target_bkg},
            f"{int(np.count_nonzero(found))} pixels hit by cosmic rays",
            {"save": save, "verbose": verbose, "visualize": visualize, "save_fig": save_fig},
        )  # fmt: skip

    def _level_given(self, level: float | None) -> float | None:
        """Return the level of saturation that was given, else the frame's."""
        return self.saturation if level is None else self._number("saturation_level", level, least=-np.inf)

    def _known(self, what: str, argument: str, given: float | None, own: float | None, code: str) -> float:
        value = own if given is None else given
        if value is None:
            raise MeasurementError(code, f"{self._title}: its {what} is unknown; the header, an instrument rule or {argument} must tell it")
        return value


def _circle(x: Any, y: Any, radius: Any, unit: str) -> dict[str, float]:
    """Return centre and radius (arcsec) as plain numbers, or say which argument is none."""
    if unit == "coord":
        x, y = parse_position((x, y), "x_position, y_position")
    values = {"x_position": x, "y_position": y, "radius_arcsec": _arcsec(radius)}
    for name, value in values.items():
        if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
            raise InputError(f"{name}={value!r}: must be a number")
    if not (np.isfinite(values["radius_arcsec"]) and values["radius_arcsec"] > 0):
        raise InputError(f"radius_arcsec={radius!r}: must be positive and finite")
    return {name: float(value) for name, value in values.items()}


def _arcsec(radius: Any) -> Any:
    """Return a Quantity in arcsec, anything else as it is."""
    if not isinstance(radius, u.Quantity) or not radius.isscalar:
        return radius
    try:
        return float(radius.to_value(u.arcsec))
    except u.UnitConversionError as err:
        raise InputError(f"radius_arcsec={radius!s}: must be in arcsec, found {radius.unit}") from err
