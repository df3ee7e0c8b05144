"""Figures of the fits: what was fitted, handed to `ezarchive.plots`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from ezarchive.compare.fluximage import FluxImage
from ezarchive.compare.results import FittedPhotometry
from ezarchive.compare.starfit import StarPairFit
from ezarchive.compare.starmodel import Pixels
from ezarchive.compare.starsolve import Profile, Stamp, StarSolution
from ezarchive.errors import InputError
from ezarchive.plots.imagefit import StarCurve, image_fit, star_fit

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CURVE = 200


def draw_image_fit(products: Any, title: str | None, result: FittedPhotometry, image: FluxImage, figure: Figure | None = None) -> Figure:
    """Draw an image fit (`plots.image_fit`), its values below the title."""
    return image_fit(products, title=title or result.name, note=_note(result), unit=_unit(image), figure=figure)


def draw_star_fit(fit: StarPairFit, title: str | None, image: FluxImage, reference: FluxImage, figure: Figure | None = None) -> Figure:
    """Draw a star fit (`plots.star_fit`), its values below the title."""
    ours = _curve(fit.stamp, fit.image, fit.profile, f"image: {image.name}")
    theirs = _curve(fit.reference_stamp, fit.reference, fit.reference_profile, f"reference: {reference.name}")
    return star_fit(ours, theirs, title=title or fit.result.name, note=_note(fit.result), unit=_unit(image), figure=figure)


def check_screen() -> None:
    """Raise `InputError` if there is no screen that figures could be shown on."""
    import matplotlib as mpl  # noqa: PLC0415  half a second, and only who looks at figures needs it
    from matplotlib.backends import BackendFilter, backend_registry  # noqa: PLC0415

    known = {name.lower() for name in backend_registry.list_builtin(BackendFilter.INTERACTIVE)}
    if mpl.get_backend().lower() not in known:
        raise InputError("display: there is no screen here; hardcopy writes the figure to a file")


def show(draw: Callable[[Any], Any], *, wait: bool) -> None:
    """Show a figure on the screen; `wait` until it is closed."""
    from matplotlib import pyplot  # noqa: PLC0415

    draw(pyplot.figure(figsize=(11.0, 7.6)))
    pyplot.show(block=wait)


def _curve(stamp: Stamp, found: StarSolution, profile: Profile, name: str) -> StarCurve:
    x, y = found["dx"], found["dy"]
    away = np.hypot(stamp.pixels.x - x, stamp.pixels.y - y)
    radius = np.linspace(0, float(away.max()), _CURVE)
    shape = {one: found[one] for one in ("fwhm", "beta") if one in found.names}
    model, _ = profile.evaluate(Pixels(radius + x, np.full(_CURVE, y), stamp.pixels.step), x, y, shape)
    return StarCurve(away, stamp.values, found.residual, radius, model * found["flux"] + found["bg"], found["bg"], name)


def _note(result: FittedPhotometry) -> str:
    values = f'scale {result.scale}   bg {result.bg}   dx {result.dx}"   dy {result.dy}"'
    return f'{values}\nFWHM {result.fwhm}"   beta {result.beta}   rms {result.rms_error:.4g}'


def _unit(image: FluxImage) -> str | None:
    return None if image.unit is None else image.unit.to_string()
