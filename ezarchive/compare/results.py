"""What the fits of one image against another give: values with errors, one line of a table, a `QTable`, JSON.

Conventions: `dx`, `dy` in arcsec, positive where things lie at larger x, y in the image than in the reference; `scale` is image divided by
reference; `bg` is image minus reference in the image's unit; `fwhm` in arcsec. `dra`, `ddec` in arcsec: the world coordinates of the
centre of the image moved by (dx, dy), minus those of the centre; `dra` is a difference of coordinates, not multiplied by cos(dec).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import astropy.units as u
import numpy as np
from astropy.table import QTable
from numpy.typing import NDArray

from ezarchive.compare.fluximage import FluxImage
from ezarchive.images.planes import stem

Floats = NDArray[np.float64]

HEADER = (
    "# Image                            Method   Scale    FWHM    Beta        Bg        dx        dy       dra      ddec     RMS\n"
    '#                                                     (")                        (")       (")       (")       (")\n'
    "#--------------------------------- ------ ------- ------- ------- --------- --------- --------- --------- --------- -------"
)
PARAMETERS = ("scale", "fwhm", "beta", "bg", "dx", "dy", "dra", "ddec")
"""Of every fit, in the order of the table."""
_ARCSEC = {"fwhm", "dx", "dy", "dra", "ddec"}


@dataclass(frozen=True, init=False)
class FittedValue:
    """A number that was fitted or held.

    Parameters
    ----------
    param : object, optional
        Something with ``value``, ``stderr`` and ``vary`` (as a parameter of lmfit) to take all three from.
    value : float, optional
    stdev : float, optional
        Its standard deviation; 0 where it was held, NaN where it is not known.
    fixed : bool, optional
        Whether it was held.
    """

    value: float
    stdev: float
    fixed: bool

    def __init__(self, param: Any = None, value: float | None = None, stdev: float | None = None, fixed: bool | None = None) -> None:
        if param is not None:
            value = param.value if value is None else value
            stdev = param.stderr if stdev is None else stdev
            fixed = not param.vary if fixed is None else fixed
        fixed = bool(fixed)
        object.__setattr__(self, "value", np.nan if value is None else float(value))
        object.__setattr__(self, "stdev", (0.0 if fixed else np.nan) if stdev is None else float(stdev))
        object.__setattr__(self, "fixed", fixed)

    def __str__(self) -> str:
        return f"{self.value:.6g} (fixed)" if self.fixed else f"{self.value:.6g} +- {self.stdev:.2g}"


@dataclass(frozen=True)
class FitOutcome:
    """What a fit found, before it is put beside an image.

    Attributes
    ----------
    values : mapping of str to FittedValue
        By parameter: scale, bg, dx, dy, fwhm, beta of an image fit; flux, bg, dx, dy, fwhm, beta of a star fit.
    covariance : ndarray, shape (2, 2)
        Of dx and dy, arcsec squared (0 where held).
    chi2 : float
        Sum of squared residuals over their expected variance, scaled to independent pixels.
    rchi : float
        Mean square of the residuals divided by what the noise explains; 1 for a good fit. NaN where no variance is known.
    n_pixels : int
        That were compared.
    report : str
        Several lines for a reader.
    """

    values: Mapping[str, FittedValue]
    covariance: Floats = field(default_factory=lambda: np.zeros((2, 2)))
    chi2: float = np.nan
    rchi: float = np.nan
    n_pixels: int = 0
    report: str = ""


class FittedPhotometry:
    """What every fit of an image against a reference gives.

    Parameters
    ----------
    method : str
        ``"image"`` or ``"stars"``.
    muse : FluxImage, path or None
        The image: its name, WCS and unit are taken.
    fit_report : str
        Several lines for a reader.
    scale, bg, dx, dy, fwhm, beta : FittedValue
        See the top of this module.
    rms_error : float
        Root of the mean squared difference between the pixels of the image and the model, in the image's unit.
    covariance : array_like, shape (2, 2), optional
        Of dx and dy, arcsec squared; by default they are taken as independent.

    Attributes
    ----------
    name : str
        The image's file name without suffix.
    dra, ddec : FittedValue
        Arcsec; their errors follow from the covariance of dx and dy (never negative). NaN for an image without WCS.
    unit : Unit or None
        Of `bg` and `rms_error`.

    Notes
    -----
    Attributes cannot be set.
    """

    def __init__(
        self,
        method: str,
        muse: Any,
        fit_report: str,
        scale: FittedValue,
        bg: FittedValue,
        dx: FittedValue,
        dy: FittedValue,
        fwhm: FittedValue,
        beta: FittedValue,
        rms_error: float,
        *,
        covariance: Any = None,
    ) -> None:
        found = np.diag([dx.stdev**2, dy.stdev**2]) if covariance is None else np.asarray(covariance, dtype=float)
        dra, ddec = _on_sky(muse, dx, dy, found)
        self._set(
            method=method,
            name=_name(muse),
            unit=getattr(muse, "unit", None),
            fit_report=fit_report,
            scale=scale,
            bg=bg,
            dx=dx,
            dy=dy,
            dra=dra,
            ddec=ddec,
            fwhm=fwhm,
            beta=beta,
            rms_error=float(rms_error),
        )

    def _set(self, **values: Any) -> None:
        self.__dict__.update(values)

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"{name}: results of a fit cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name}: results of a fit cannot be changed")

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)}" for name in PARAMETERS)
        return f"{type(self).__name__}({self.name!r}, {shown})"

    def summary(self, header: bool = True) -> str:
        """Return one line of values, below three lines that name them (`header`)."""
        form = ("7.4f", "7.4f", "7.4f", "9.5f", "9.5f", "9.5f", "9.5f", "9.5f")
        numbers = [format(getattr(self, name).value, how) for name, how in zip(PARAMETERS, form, strict=True)]
        line = " ".join([f"{self.name:<34}", f"{self.method:>6}", *numbers, f"{self.rms_error:7.4f}"])
        return f"{HEADER}\n{line}" if header else line

    def to_dict(self) -> dict[str, Any]:
        """Return everything but the report as numbers, strings and dicts that JSON can hold (None: not known or infinite)."""
        made: dict[str, Any] = {"name": self.name, "method": self.method}
        for name, value in self._values().items():
            made[name] = {"value": _json(value.value), "stdev": _json(value.stdev), "fixed": value.fixed}
        made |= {name: _json(value) for name, (value, _) in self._numbers().items()}
        made["unit"] = None if self.unit is None else self.unit.to_string()
        return made

    def to_table(self) -> QTable:
        """Return a table of one row: each value and its standard deviation (``<name>_err``) with units, and whether it was held."""
        columns: dict[str, Any] = {"name": [self.name], "method": [self.method]}
        for name, value in self._values().items():
            unit = self._unit(name)
            columns[name], columns[f"{name}_err"] = [value.value] * unit, [value.stdev] * unit
            columns[f"{name}_fixed"] = [value.fixed]
        for name, (value, unit) in self._numbers().items():
            columns[name] = [value] if unit is None else [value] * unit
        return QTable(columns)

    def _values(self) -> dict[str, FittedValue]:
        return {name: getattr(self, name) for name in PARAMETERS}

    def _numbers(self) -> dict[str, tuple[float, u.UnitBase | None]]:
        return {"rms_error": (self.rms_error, self._unit("bg"))}

    def _unit(self, name: str) -> u.UnitBase:
        last = name.rsplit("_", 1)[-1]
        if last in _ARCSEC:
            return u.arcsec
        return self.unit if last in {"bg", "flux"} and self.unit is not None else u.dimensionless_unscaled


class FittedImagePhotometry(FittedPhotometry):
    """What the fit of a whole image gives.

    Parameters
    ----------
    muse : FluxImage, path or None
    results : FitOutcome
        With values scale, bg, dx, dy, fwhm, beta.
    rms_error : float

    Attributes
    ----------
    rchi, chi2, n_pixels
        As in `FitOutcome`.
    """

    def __init__(self, muse: Any, results: FitOutcome, rms_error: float) -> None:
        v = results.values
        args = ("image", muse, results.report, v["scale"], v["bg"], v["dx"], v["dy"], v["fwhm"], v["beta"], rms_error)
        super().__init__(*args, covariance=results.covariance)
        self._set(rchi=results.rchi, chi2=results.chi2, n_pixels=results.n_pixels)

    def _numbers(self) -> dict[str, tuple[float, u.UnitBase | None]]:
        return super()._numbers() | {name: (getattr(self, name), None) for name in ("rchi", "chi2", "n_pixels")}


class FittedStarPhotometry(FittedPhotometry):
    """What the fit of one star in both images gives.

    Parameters
    ----------
    muse : FluxImage, path or None
    muse_results, hst_results : FitOutcome
        Of the image and of the reference: values flux, bg, dx, dy (arcsec from `ra`, `dec`), fwhm, beta.
    rms_error : float
        Of the image.
    ra, dec : float
        ICRS degrees of the place that was fitted.

    Attributes
    ----------
    ra, dec : float
    muse_fwhm, muse_beta, muse_dx, muse_dy, muse_bg, muse_flux, and the same with ``hst_`` : FittedValue
    muse_rchi, hst_rchi : float
    n_pixels : int
        Of the image.

    Notes
    -----
    The scale is the ratio of the fluxes; the other differences are image minus reference. Errors of the two images add in quadrature.
    `fwhm` and `beta` are those of the image.
    """

    def __init__(self, muse: Any, muse_results: FitOutcome, hst_results: FitOutcome, rms_error: float, ra: float, dec: float) -> None:
        ours, theirs = muse_results.values, hst_results.values
        report = f"{muse_results.report}\n{hst_results.report}"
        args = (_ratio(ours["flux"], theirs["flux"]), *(_difference(ours[name], theirs[name]) for name in ("bg", "dx", "dy")))
        covariance = muse_results.covariance + hst_results.covariance
        super().__init__("stars", muse, report, *args, ours["fwhm"], ours["beta"], rms_error, covariance=covariance)
        names = ("fwhm", "beta", "dx", "dy", "bg", "flux")
        self._set(**{f"muse_{name}": ours[name] for name in names}, **{f"hst_{name}": theirs[name] for name in names})
        self._set(ra=float(ra), dec=float(dec), muse_rchi=muse_results.rchi, hst_rchi=hst_results.rchi)
        self._set(n_pixels=muse_results.n_pixels)

    def _values(self) -> dict[str, FittedValue]:
        own = (f"{kind}_{name}" for kind in ("muse", "hst") for name in ("fwhm", "beta", "dx", "dy", "bg", "flux"))
        return super()._values() | {name: getattr(self, name) for name in own}

    def _numbers(self) -> dict[str, tuple[float, u.UnitBase | None]]:
        own = {name: (getattr(self, name), None) for name in ("muse_rchi", "hst_rchi", "n_pixels")}
        return super()._numbers() | {"ra": (self.ra, u.deg), "dec": (self.dec, u.deg)} | own


def _name(source: Any) -> str:
    if isinstance(source, FluxImage):
        return source.name
    path = getattr(source, "path", source)
    return stem(Path(path)) if path is not None and not isinstance(path, np.ndarray) else "image"


def _on_sky(image: Any, dx: FittedValue, dy: FittedValue, covariance: Floats) -> tuple[FittedValue, FittedValue]:
    """Return dra, ddec in arcsec of a shift in arcsec along x and y, at the centre (``shape / 2``) of the image."""
    fixed = dx.fixed and dy.fixed
    if getattr(image, "wcs", None) is None or not hasattr(image, "step"):
        return FittedValue(value=np.nan, stdev=np.nan, fixed=fixed), FittedValue(value=np.nan, stdev=np.nan, fixed=fixed)
    (ny, nx), (sy, sx) = image.shape, image.step
    x, y = nx / 2 + np.array([0, dx.value / sx, 0.5, -0.5, 0, 0]), ny / 2 + np.array([0, dy.value / sy, 0, 0, 0.5, -0.5])
    world = np.array(image.wcs.all_pix2world(x, y, 0)) * 3600
    world[0] = world[0, 0] + (world[0] - world[0, 0] + 180 * 3600) % (360 * 3600) - 180 * 3600
    shift = world[:, 1] - world[:, 0]
    per_arcsec = np.stack([(world[:, 2] - world[:, 3]) / sx, (world[:, 4] - world[:, 5]) / sy], axis=1)
    errors = np.sqrt(np.clip(np.diag(per_arcsec @ covariance @ per_arcsec.T), 0, None))
    return tuple(FittedValue(value=value, stdev=error, fixed=fixed) for value, error in zip(shift, errors, strict=True))


def _ratio(ours: FittedValue, theirs: FittedValue) -> FittedValue:
    scale = ours.value / theirs.value if theirs.value else np.nan
    return FittedValue(value=scale, stdev=np.hypot(ours.stdev, scale * theirs.stdev) / abs(theirs.value or np.nan), fixed=False)


def _difference(ours: FittedValue, theirs: FittedValue) -> FittedValue:
    return FittedValue(value=ours.value - theirs.value, stdev=np.hypot(ours.stdev, theirs.stdev), fixed=False)


def _json(value: float) -> float | int | None:
    if isinstance(value, (int, np.integer)):
        return int(value)
    return float(value) if np.isfinite(value) else None
