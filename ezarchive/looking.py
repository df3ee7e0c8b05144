"""Figures of the quick look: an image, a session or a result drawn, and written to a file.

The functions of `ezarchive.quicklook` never draw, and those of `ezarchive.plots` take plain numbers; here they meet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ezarchive import plots, quicklook
from ezarchive.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from ezarchive.quicklook import Cut, GrowthCurve, LineProfiles, Picture, PlotOptions, ProfileFit, QuickLook, RadialProfile

_CURVE_POINTS = 200


def draw(what: Any, *, fit: ProfileFit | None = None, **options: Any) -> Figure:
    """Draw an image, or a result of the quick look.

    Parameters
    ----------
    what : image, GrowthCurve, RadialProfile, LineProfiles, Cut or QuickLook
        An image is anything that `quicklook.picture` takes; of a session see `draw_session`.
    fit : ProfileFit, optional
        The model to draw over a `RadialProfile`.
    **options
        Of an image: ``limits`` (as of `quicklook.display_limits`), ``over`` (further images on it, each alone or in a pair with a dict
        of what `plots.Layer` takes), ``settings`` (`quicklook.PlotOptions`), ``wcs``, ``unit``, ``header``, and all that `plots.view`
        takes; label and unit are those of the image unless given. Of a result: ``title``, ``size`` and what else the function of
        `plots` takes.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If an argument is wrong; it names it.
    FrameError
        If a file cannot be read.
    """
    if isinstance(what, quicklook.QuickLook):
        return draw_session(what, **options)
    if isinstance(what, quicklook.RadialProfile):
        return _radial(what, fit, options)
    if fit is not None:
        raise InputError(f"fit: goes with a RadialProfile, found {type(what).__name__}")
    for kind, drawing in ((quicklook.GrowthCurve, _growth), (quicklook.LineProfiles, _lines), (quicklook.Cut, _cut)):
        if isinstance(what, kind):
            return drawing(what, options)
    return _image(what, options)


def draw_session(session: QuickLook, label: str | None = None, *, over: Iterable[Any] = (), subsets: bool = True, **options: Any) -> Figure:
    """Draw an image of a session with others of it on top, as they are linked, with the session's plot options, and its subsets.

    Parameters
    ----------
    session : QuickLook
    label : str, optional
        Of the image; by default the first.
    over : iterable of str, or of (str, dict)
        Labels of further images, each alone or with a dict of what `plots.Layer` takes.
    subsets : bool
        Whether to draw the subsets with their labels.
    **options
        As of `draw`; they go before the session's plot options.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    InputError
        If there is no image, or none of a label.
    """
    if not session.data_labels:
        raise InputError("session: holds no image; load one first")
    label = session.data_labels[0] if label is None else label
    shown, way = session.picture(label), session.link(label)
    layers = []
    for name, look in _pairs(over):
        to = session.link(name)
        mapping = None if to is way else _through(way, to)
        settings = session.plot_options(name)
        if settings.visible:
            layers.append(_layer(session.picture(name), {**_set(session.picture(name), settings), "mapping": mapping, **look}))
    if subsets and session.subsets.labels:
        names = list(session.subsets.labels)
        options = {"regions": [session.shape(name, label) for name in names], "labels": names, **options}
    options = {**_set(shown, session.plot_options(label)), **options}
    return _image(shown, {**options, "layers": [*layers, *options.get("layers", ())]})


def export(
    what: Any,
    path: str | Path,
    *,
    dpi: float = 150,
    size: tuple[float, float] | None = None,
    metadata: Mapping[str, Any] | None = None,
    **options: Any,
) -> Path:
    """Draw an image, a session or a result, and write it to a file: the same bytes each time.

    Parameters
    ----------
    what, **options
        As of `draw`.
    path : path
        Its suffix, ``.png``, ``.svg`` or ``.pdf``, chooses the format.
    dpi : float
        Of a PNG, and of the images inside the others.
    size : (float, float), optional
        Width and height in inches; a PNG has ``size * dpi`` pixels.
    metadata : mapping, optional
        Written into the file, beside label, limits, stretch and so on.

    Returns
    -------
    Path
        ``path``.

    Raises
    ------
    InputError, FrameError
        As `draw` and `plots.save`.
    """
    sized = {} if size is None else {"size": size}
    results = (quicklook.RadialProfile, quicklook.GrowthCurve, quicklook.LineProfiles, quicklook.Cut)
    resolved = {} if isinstance(what, results) else {"dpi": dpi}
    return plots.save(draw(what, **sized, **resolved, **options), path, dpi=dpi, metadata=metadata)


def _image(image: Any, options: dict[str, Any]) -> Figure:
    given = {name: options.pop(name) for name in ("wcs", "unit", "header") if name in options}
    shown = quicklook.picture(image, **given)
    if (settings := options.pop("settings", None)) is not None:
        options = {**_set(shown, settings), **options}
    own = _look(shown, options.pop("limits", 95))
    layers = [_layer(quicklook.picture(one), look) for one, look in _pairs(options.pop("over", ()))]
    return plots.view(shown.data, **{**own, **options, "layers": [*layers, *options.get("layers", ())]})


def _look(shown: Picture, limits: Any) -> dict[str, Any]:
    """Return what a view needs to know of an image."""
    found = quicklook.display_limits(shown.data, limits)
    return {"wcs": shown.wcs, "limits": found, "label": shown.label, "unit": shown.unit_text or _text(shown.unit)}


def _set(shown: Picture, settings: PlotOptions) -> dict[str, Any]:
    """Return plot options as a view takes them."""
    levels = settings.levels_of(shown.data).tolist()
    return {
        "limits": settings.percentile, "stretch": settings.stretch, "contrast": settings.contrast, "bias": settings.bias,
        "cmap": settings.cmap, "colour": settings.colour, "opacity": settings.opacity if settings.bitmap_visible else 0.0,
        "contours": levels or None,
    }  # fmt: skip


def _layer(shown: Picture, look: Mapping[str, Any]) -> plots.Layer:
    rest = dict(look)
    return plots.Layer(shown.data, **{**_look(shown, rest.pop("limits", 95)), "opacity": 0.5, **rest})


def _pairs(over: Iterable[Any]) -> list[tuple[Any, Mapping[str, Any]]]:
    if isinstance(over, (str, Path)):
        raise InputError(f"over={str(over)!r}: must be a list of images")
    return [one if isinstance(one, tuple) and len(one) == 2 and isinstance(one[1], Mapping) else (one, {}) for one in over]


def _through(way: Any, to: Any) -> Any:
    """Return the map from the pixels of one image of a session to those of another, by way of the first."""
    return lambda x, y: to.forward(*way.inverse(x, y))


def _text(unit: Any) -> str:
    return "" if unit is None else unit.to_string().replace(" / ", "/")


def _growth(curve: GrowthCurve, options: dict[str, Any]) -> Figure:
    marks = {"R50": curve.r50, "R80": curve.r80}
    own = {"unit": _text(curve.unit), "axis": curve.axis, "marks": marks, "title": curve.label}
    return plots.growth_curve(curve.radius, curve.sum, _known(curve.err), **{**own, **options})


def _radial(profile: RadialProfile, fit: ProfileFit | None, options: dict[str, Any]) -> Figure:
    own: dict[str, Any] = {"raw": profile.raw, "unit": _text(profile.unit), "title": profile.label}
    if fit is not None:
        radius = np.linspace(0.0, float(np.nanmax(profile.radius)), _CURVE_POINTS)
        own |= {"curve": (radius, fit.at(radius)), "curve_label": fit.model.capitalize(), "fwhm": fit.fwhm}
    return plots.radial_profile(profile.radius, profile.value, _known(profile.err), **{**own, **options})


def _lines(found: LineProfiles, options: dict[str, Any]) -> Figure:
    if found.row is None or found.column is None:
        raise InputError(f"line profiles of {found.label}: there are none ({found.reason})")
    row, column = found.row, found.column
    own = {"x": found.x, "y": found.y, "unit": _text(row.unit), "title": found.label, "zoom": _seen(row) + _seen(column)}
    return plots.line_profiles(row.value, column.value, **{**own, **options})


def _seen(profile: Any) -> tuple[float, float]:
    """Return the edges of what a view shows of a profile; of all, where it shows no pixel of it."""
    first, last = (0, len(profile.pixel) - 1) if profile.first is None else (profile.first, profile.last)
    return first - 0.5, last + 0.5


def _cut(found: Cut, options: dict[str, Any]) -> Figure:
    values = np.stack([line.value for line in found.lines])
    err = _known(np.stack([line.err for line in found.lines]))
    sky = found.separation is not None
    own = {"unit": _text(found.unit), "labels": [line.label for line in found.lines]}
    own["axis"] = "Distance (arcsec)" if sky else "Distance (pixel)"
    return plots.cut(found.separation if sky else found.distance, values, err, **{**own, **options})


def _known(err: Any) -> Any:
    """Return errors, None where none of them is finite."""
    return None if err is None or not np.isfinite(err).any() else err
