"""Aperture photometry: what is in regions of images, over any number of images and regions at once."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import photutils.aperture as ap
from astropy.table import QTable
from regions import Regions

from ezarchive.errors import EzarchiveError, InputError
from ezarchive.quicklook.apertures.photometryrows import Options, fail, measured
from ezarchive.quicklook.apertures.resultcolumns import Flat, check_columns, empty, stacked, table_of
from ezarchive.quicklook.planes.inputs import picture
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.regions.regionkinds import outcomes
from ezarchive.quicklook.regions.shapebase import Shape

NO_DATA = "No data for aperture photometry"


class _Unusable(NamedTuple):
    """A region of a file that cannot be used: its text, and why."""

    text: str
    reason: str


def aperture_photometry(  # noqa: PLR0913  what a user says of images, regions and background
    image: Any,
    region: Any,
    *,
    background: Any = 0.0,
    background_method: str = "median",
    background_mask: Any = None,
    pixel_area: Any = None,
    counts_factor: Any = None,
    flux_scaling: Any = None,
    error: Any = None,
    mask: Any = None,
    label: Any = None,
    region_label: Any = None,
    columns: Any = "all",
    wcs: Any = None,
    unit: Any = None,
    header: Mapping[str, Any] | None = None,
) -> QTable:
    """Measure what is in regions of images.

    Parameters
    ----------
    image : path, Image, Picture, NDData, array of shape (ny, nx), list of n of them, or FrameSet
        A list and a FrameSet make a batch.
    region : region, or list of m of them, mapping of labels to them, `Regions`, region file
        Anything that `shape_of` takes; on the sky it is projected onto each image. More than one makes a batch, and so does a file, whose
        regions that cannot be used are rows with a reason. A photutils aperture with m positions counts as m regions.
    background : float, Quantity, array of shape (m,), Annulus, or region
        Taken from each pixel, in their unit; or where it is measured: a ring around each aperture's centre, or a region of the image.
    background_method : {'median', 'mean', 'clipped_median', 'clipped_mean'}
        Of the finite pixels with their centres there, without weights; clipped at 3 standard deviations.
    background_mask : as `mask`, optional
        Pixels of other sources, left out of the background only.
    pixel_area : float or Quantity, optional
        Solid angle of one pixel: square arcseconds, or with its unit. Used for pixels per solid angle alone; by default it is found
        (`ezarchive.quicklook.pixel_area`), and "off" leaves such a sum per solid angle.
    counts_factor : float or Quantity, optional
        Units of the pixels per count, above 0. Of pixels that are counts or have no unit it cannot be used (flag ``FACTOR_UNUSED``).
    flux_scaling : float, Quantity or "ab", optional
        Flux of magnitude 0: a number is in the unit of the pixels for ``aperture_sum_mag`` and in that of ``sum`` for ``sum_mag``; a
        quantity is converted; "ab" is 3631 Jy.
    error : "file", float, array, Quantity, path or Image, optional
        Standard deviations of the pixels; "file": ERR or VAR of the same file. By default those of an NDData.
    mask : "file", array of bool, path or Image, optional
        True where a pixel is bad; "file": DQ of the same file. The mask of an NDData or masked array counts in any case.
    label, region_label : str or list of str, optional
        Of the images, by default their own; of the regions, by default ``Subset 1`` ... or what they bring along.
    columns : {"all", "legacy"} or sequence of str
        All, the 21 of the oldest manual, or some.
    wcs, unit, header : optional
        In place of those of the image.

    Returns
    -------
    QTable
        One row for each image and region, regions running fastest: the columns of `ezarchive.columns.LOOK`, with units. Of images with
        units that convert into each other all rows are in those of the first; else numbers are plain, in the row's ``unit`` and
        ``sum_unit``. What does not apply is NaN. ``flags`` are bits of `ezarchive.flags.FLAGS_LOOK`: an aperture off the image is a row
        with NaN and a flag.

    Raises
    ------
    InputError
        If an argument is wrong: in a batch only where that does not depend on image or region. Else the row is flagged ``FAILED`` and
        has the ``reason``.
    FrameError
        If the only image cannot be read.

    Notes
    -----
    Of the pixels i that are finite and not masked, with the exact share w of their area in the aperture and background B:
    ``sum_raw`` = sum w (I - B), ``sum_aper_area`` = sum w, ``sum`` = sum_raw times the solid angle of one pixel, ``aperture_sum_counts`` =
    sum_raw / counts_factor, ``aperture_sum_mag`` = -2.5 log10(sum_raw / flux_scaling), ``sum_mag`` = -2.5 log10(sum / flux_scaling),
    ``ab_mag`` = -2.5 log10(sum / 3631 Jy). Statistics are of the pixels whose centres lie in the aperture, without weights. ``sum_err``
    squared is the sum of w error^2 where errors are given; else std^2 area for a measured background, and ``counts_factor`` times the sum;
    a measured background adds area^2 std^2 / n, pi / 2 times that where it is a median. ``err_source`` says what is in it.

    Examples
    --------
    >>> import numpy as np
    >>> from ezarchive.quicklook.regions.shapes import Circle
    >>> table = aperture_photometry(np.ones((9, 9)), Circle(4, 4, 2), background=0.5)
    >>> round(float(table["sum"][0]), 6)
    6.283185
    """
    check_columns(columns)
    options = Options(background, background_method, background_mask, pixel_area, counts_factor, flux_scaling, error, mask)
    images, several_images = _images(image)
    given = {"wcs": wcs, "unit": unit, "header": header}
    if isinstance(region, (str, os.PathLike)):
        regions, own_labels, several_regions = _of_file(Path(region), images, given)
    else:
        regions, own_labels, several_regions = _regions(region)
    images_labels = _given(label, len(images), "label")
    own_labels = [wanted or own for wanted, own in zip(_given(region_label, len(regions), "region_label"), own_labels, strict=True)]
    batch = several_images or several_regions
    blocks = []
    for one, name in zip(images, images_labels, strict=True):
        blocks.append(_one_image(one, given | {"label": name}, regions, own_labels, options, batch=batch))
    flat = stacked(blocks)
    _sign(flat)
    return table_of(flat, columns)


def software() -> str:
    """Return the versions of what calculates."""
    return ", ".join(f"{name} {version(name)}" for name in ("ezarchive", "astropy", "numpy", "regions"))


def _one_image(
    image: Any, settings: Mapping[str, Any], regions: Sequence[Any], labels: Sequence[str], options: Options, *, batch: bool
) -> Flat:
    try:
        source = picture(image, **settings)
        flat = _rows(source, regions, options, batch=batch)
        flat["data_label"][:] = source.label
        if source.path is not None:
            flat["file"][:], flat["hdu"][:] = os.fspath(source.path.absolute()), source.image.hdu
    except EzarchiveError as err:
        if not batch:
            raise
        flat = empty(len(regions))
        for k in range(len(regions)):
            fail(flat, k, str(err))
        _name(flat, image, settings["label"])
    flat["subset_label"][:] = labels
    return flat


def _name(flat: Flat, image: Any, label: str | None) -> None:
    """Name the image that could not be measured, as well as it is known."""
    path = image if isinstance(image, (str, os.PathLike)) else getattr(image, "path", None)
    text = "" if path is None else os.fspath(path)
    flat["data_label"][:] = label or text
    flat["file"][:], flat["hdu"][:] = text and os.fspath(Path(text).absolute()), getattr(image, "hdu", 0)


def _rows(source: Picture, regions: Sequence[Any], options: Options, *, batch: bool) -> Flat:
    """Return the rows of one image; a region that is none there is flagged in a batch, and an error without."""
    found = _shapes(source, regions)
    wrong = {k: one for k, one in enumerate(found) if isinstance(one, InputError)}
    if wrong and not batch:
        raise wrong[0]
    some = [k for k in range(len(regions)) if k not in wrong]
    flat = measured(source, [found[k] for k in some], _of(options, some, len(regions)))
    if not batch and flat["reason"][0]:
        raise InputError(flat["reason"][0])
    if not wrong:
        return flat
    whole = empty(len(regions))
    for name, values in flat.items():
        whole[name][some] = values
    for k, err in wrong.items():
        fail(whole, k, str(err))
    return whole


def _of(options: Options, some: Sequence[int], count: int) -> Options:
    """Return the options for some of the regions: backgrounds that are given one by one are those of the others too."""
    given = options.background
    if len(some) == count or np.ndim(given) != 1 or len(given) != count:
        return options
    some_of = given[list(some)] if isinstance(given, np.ndarray) else [given[k] for k in some]
    return Options(**(vars(options) | {"background": some_of}))


def _shapes(source: Picture, regions: Sequence[Any]) -> list[Shape | InputError]:
    found: list[Any] = [InputError(one.reason) if isinstance(one, _Unusable) else None for one in regions]
    some = [k for k, one in enumerate(found) if one is None]
    placed = [regions[k].on(source) if hasattr(regions[k], "on") and hasattr(regions[k], "label") else regions[k] for k in some]
    for k, one in zip(some, outcomes(placed, source), strict=True):
        found[k] = one
    return found


def _images(image: Any) -> tuple[list[Any], bool]:
    # A FrameSet of an archive is its images.
    image = getattr(image, "target_images", image)
    if not isinstance(image, (list, tuple)):
        return [image], False
    if not image:
        raise InputError(f"{NO_DATA}: image must hold one, found an empty list")
    return list(image), True


def _of_file(path: Path, images: Sequence[Any], given: Mapping[str, Any]) -> tuple[list[Any], list[str], bool]:
    """Return the regions of a file as `_regions`; those that cannot be used come last, to become rows that say why."""
    from ezarchive.quicklook.regions.regionfiles import read_regions  # noqa: PLC0415  needed by few

    source = None
    if len(images) == 1:
        # An image that cannot be read is told of when it is measured.
        with contextlib.suppress(EzarchiveError):
            source = picture(images[0], **given)
    found = read_regions(path, image=source)
    unusable = [_Unusable(str(one.region), one.reason) for one in found.failures]
    unusable += [_Unusable(str(one), "excluded in the file (a minus): nothing to measure in") for one in found.excluded]
    labels = [label or f"Subset {k}" for k, label in enumerate(found.labels, 1)]
    return _some([*found, *unusable]), [*labels, *(one.text for one in unusable)], True


def _regions(region: Any) -> tuple[list[Any], list[str], bool]:
    """Return regions, their labels, and whether they make a batch."""
    if region is None:
        raise InputError(f"{NO_DATA}: region must be given")
    if isinstance(region, Mapping) and "kind" not in region:
        return _some(list(region.values())), [str(name) for name in region], True
    if isinstance(region, ap.Aperture):
        several = not region.isscalar
        regions = list(region) if several else [region]
    else:
        # `Regions` can be run through, but has no __iter__.
        several = isinstance(region, Regions) or (isinstance(region, Iterable) and not isinstance(region, (np.ndarray, Mapping, Shape)))
        regions = [part for one in (region if several else [region]) for part in _parts(one)]
    own = list(getattr(region, "labels", [])) if several else []
    labels = own if len(own) == len(regions) else [_label(one) for one in regions]
    return _some(regions), [name or f"Subset {k}" for k, name in enumerate(labels, 1)], several


def _parts(region: Any) -> list[Any]:
    return list(region) if isinstance(region, ap.Aperture) and not region.isscalar else [region]


def _some(regions: list[Any]) -> list[Any]:
    if not regions:
        raise InputError(f"{NO_DATA}: region must hold one, found none")
    return regions


def _label(region: Any) -> str:
    if isinstance(own := getattr(region, "label", None), str) and own:
        return own
    meta = getattr(region, "meta", None)
    if not isinstance(meta, Mapping):
        return ""
    return str(meta.get("label") or meta.get("text") or "")


def _given(labels: Any, count: int, name: str) -> list[Any]:
    if labels is None or isinstance(labels, str):
        return [labels] * count
    if not isinstance(labels, (list, tuple)) or len(labels) != count or not all(isinstance(one, str) for one in labels):
        raise InputError(f"{name}: must be a text, or a list of {count} texts, found {labels!r}")
    return list(labels)


def _sign(flat: Flat) -> None:
    """Say when and by what the rows were calculated."""
    flat["timestamp"][:] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
    flat["calculation"][:], flat["row"] = str(uuid.uuid4()), flat["id"].copy()
    flat["software"][:] = software()
