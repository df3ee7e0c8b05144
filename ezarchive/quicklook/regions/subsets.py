"""Subsets: regions with labels, drawn or loaded, combined, edited, recentred, and brought to other images."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ezarchive.errors import InputError
from ezarchive.quicklook.planes.inputs import picture as as_picture
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.regions.centroids import Recentered, recenter
from ezarchive.quicklook.regions.regionfiles import Failure, read_regions, write_regions
from ezarchive.quicklook.regions.regionkinds import listed, outcomes
from ezarchive.quicklook.regions.shapes import Shape, shape_from_dict
from ezarchive.quicklook.regions.skyback import on_other, to_sky_shape
from ezarchive.quicklook.regions.subsetitems import MODES, LoadReport, Subset, joined, reason_against, sky_again, sky_joined, subset_of
from ezarchive.quicklook.regions.subsetvalues import is_static, leaves_of, with_leaf, with_values

__all__ = ["LoadReport", "Subset", "Subsets"]

NO_DATA = "Cannot load regions without data"


class Subsets(Mapping[str, Subset]):
    """The subsets of a session, by label, in the order in which they were made.

    Labels are ``Subset N`` and, for polygons and masks, ``MaskedSubset N``, unless others are given; no number is used twice.

    Examples
    --------
    >>> from ezarchive.quicklook.regions.shapes import Circle
    >>> subsets = Subsets()
    >>> subsets.add(Circle(10, 10, 5)).label
    'Subset 1'
    >>> subsets.combine("Subset 1", Circle(10, 10, 2), "andnot").logic
    '0 and not 1'
    >>> subsets.edit("Subset 1", part=1, radius=3).parameters()[1]
    {'part': 1, 'kind': 'circle', 'x': 10.0, 'y': 10.0, 'radius': 3.0}
    """

    def __init__(self) -> None:
        self._items: dict[str, Subset] = {}
        self._numbers = {"Subset": itertools.count(1), "MaskedSubset": itertools.count(1)}

    def __getitem__(self, label: str) -> Subset:
        if label not in self._items:
            raise InputError(f"subset {label!r}: must be one of {', '.join(self._items) or 'none, as there is none'}")
        return self._items[label]

    def get(self, label: Any, default: Any = None) -> Any:
        """Return a subset, or something else where there is none of this label."""
        return self._items.get(label, default)

    def __contains__(self, label: object) -> bool:
        return label in self._items

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    @property
    def labels(self) -> list[str]:
        """The labels."""
        return list(self._items)

    def add(self, region: Any, picture: Any = None, *, label: str | None = None) -> Subset:
        """Make a new subset.

        Parameters
        ----------
        region : what `ezarchive.quicklook.shape_of` takes
        picture : Picture, or what `ezarchive.quicklook.picture` takes, optional
            The image whose pixels it is on; needed for regions of the sky.
        label : str, optional

        Raises
        ------
        InputError
            If the region is none, or the label taken.
        """
        picture = None if picture is None else as_picture(picture)
        return self._kept(subset_of("", region, picture), label)

    def load(self, regions: Any, picture: Any, *, limit: int | None = None) -> LoadReport:
        """Make a subset of each region of a file or a list; those that cannot be are reported.

        Parameters
        ----------
        regions : path, region or iterable of regions
            Of a file, excluded ones are not loaded.
        picture : Picture, or what `ezarchive.quicklook.picture` takes
        limit : int, optional
            More than so many are left, and reported; by default all are loaded.

        Raises
        ------
        InputError
            If there is no image.
        FrameError
            If a file cannot be read.
        """
        if picture is None:
            raise InputError(NO_DATA)
        picture = as_picture(picture)
        failures: list[Failure] = []
        if isinstance(regions, (str, os.PathLike)):
            found = read_regions(regions, image=picture)
            failures += [*found.failures, *(Failure(one, "it is excluded in the file") for one in found.excluded)]
            given, names = list(found), list(found.labels)
        else:
            given = listed(regions)
            names = [""] * len(given)
        loaded = []
        for name, region in zip(names, given, strict=True):
            shapes = outcomes([region], picture)
            reason = reason_against(shapes, picture) if limit is None or len(loaded) < limit else f"more than limit={limit} regions"
            if reason:
                failures.append(Failure(region, reason))
                continue
            loaded.append(self._kept(subset_of("", region, picture), name if name and name not in self._items else None).label)
        return LoadReport(tuple(loaded), tuple(failures))

    def combine(self, label: str, region: Any, mode: str, picture: Any = None) -> Subset:
        """Change a subset by another region.

        Parameters
        ----------
        label : str
        region : what `ezarchive.quicklook.shape_of` takes, or the label of another subset
        mode : {'replace', 'or', 'and', 'xor', 'andnot'}
            Also 'add' for 'or', 'remove' for 'andnot': in the subset and not in the region.
        picture : optional
            The image whose pixels the region is on, by default that of the subset.

        Raises
        ------
        InputError
            If the label or mode is unknown, or the region none.
        """
        now = self[label]
        if mode not in MODES:
            raise InputError(f"mode={mode!r}: must be one of {', '.join(MODES)}")
        home = now.picture
        if isinstance(region, str):
            other = self[region]
            other = replace(other, shape=other.shape if home is None or other.picture is None else other.on(home))
        else:
            other = subset_of("", region, home if picture is None else as_picture(picture))
            if home is not None and other.picture is not None and other.picture is not home:
                other = replace(other, shape=other.on(home))
        self._items[label] = replace(now, shape=joined(now.shape, other.shape, MODES[mode]), sky=sky_joined(now, other, MODES[mode]))
        return self._items[label]

    def edit(self, label: str, *, part: int | None = None, **values: Any) -> Subset:
        """Change numbers of a subset.

        Parameters
        ----------
        label : str
        part : int, optional
            Of several parts, the one to change, from 0.
        **values
            Names and numbers as `Subset.parameters` has them; without any, nothing is changed.

        Returns
        -------
        Subset
            As it is now.

        Raises
        ------
        InputError
            If the label, the part or a name is unknown, or a number is not as it must be; then nothing is changed.
        """
        now = self[label]
        if not values:
            return now
        parts = leaves_of(now.shape)
        if part is None and len(parts) > 1:
            raise InputError(f"part: must be given for {label!r}, which has {len(parts)} parts")
        index = 0 if part is None else part
        if isinstance(index, bool) or not isinstance(index, (int, np.integer)) or not 0 <= index < len(parts):
            raise InputError(f"part={part!r}: must be a whole number from 0 to {len(parts) - 1}")
        shape = with_leaf(now.shape, index, with_values(parts[index], values))
        self._items[label] = replace(now, shape=shape, sky=sky_again(now, shape))
        return self._items[label]

    def recenter(self, label: str, image: Any = None, **options: Any) -> Recentered:
        """Move a subset to the centre of mass; see `ezarchive.quicklook.recenter`, which takes the options.

        `image` is by default that of the subset; on another one, the shape there is recentred and brought back.

        Raises
        ------
        InputError
            If the label is unknown, or there is no image.
        """
        now = self[label]
        picture = now.picture if image is None else as_picture(image)
        if picture is None:
            raise InputError(f"image: must be given for {label!r}, which was made without one")
        home = None if picture is now.picture or now.picture is None or now.picture.wcs is None or picture.wcs is None else now.picture
        start = now.shape if home is None else now.on(picture)
        found = recenter(picture, start, **options)
        if found.shape != start:
            shape = found.shape if home is None else on_other(found.shape, picture, home)
            self._items[label] = replace(now, shape=shape, sky=sky_again(now, shape))
        return found

    def rename(self, label: str, new: str) -> Subset:
        """Give a subset another label, at its place."""
        now = replace(self[label], label=self._free(new))
        self._items = {now.label if key == label else key: now if key == label else value for key, value in self._items.items()}
        return now

    def remove(self, label: str) -> Subset:
        """Take a subset away, and return it."""
        found = self[label]
        del self._items[label]
        return found

    def write(self, path: str | os.PathLike[str], *, format: str | None = None, sky: bool = False, overwrite: bool = False) -> Path:
        """Write all subsets to a region file, with their labels as texts; see `ezarchive.quicklook.write_regions`."""
        made = []
        for one in self.values():
            region = one.region(sky=sky)
            region.meta = type(region.meta)(text=one.label)
            made.append(region)
        return write_regions(path, made, format=format, overwrite=overwrite)

    def to_dict(self) -> dict[str, Any]:
        """Return numbers and words only; `from_dict` is the way back."""
        return {"subsets": [one.to_dict() for one in self.values()]}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], pictures: Mapping[str, Picture] | None = None) -> Subsets:
        """Return the subsets that `to_dict` wrote; their images by label, where there are any.

        Raises
        ------
        InputError
            If `values` is nothing of the kind.
        """
        made = cls()
        try:
            given = [(one["label"], one["shape"], one["image"], one.get("on_sky", False)) for one in values["subsets"]]
        except (AttributeError, KeyError, TypeError) as err:
            raise InputError(f"values: must be what `Subsets.to_dict` returns, found {type(values).__name__} ({err!r})") from err
        for label, shape, image, on_sky in given:
            picture = (pictures or {}).get(image)
            found = Subset("", shape_from_dict(shape), None, image, picture)
            if on_sky and picture is not None and picture.wcs is not None:
                found = replace(found, sky=to_sky_shape(found.shape, picture.wcs))
            made._kept(found, label)
        return made

    def _kept(self, subset: Subset, label: str | None) -> Subset:
        name = self._next(subset.shape) if label is None else self._free(label)
        self._items[name] = replace(subset, label=name)
        return self._items[name]

    def _next(self, shape: Shape) -> str:
        kind = "MaskedSubset" if is_static(shape) else "Subset"
        return next(name for name in (f"{kind} {n}" for n in self._numbers[kind]) if name not in self._items)

    def _free(self, label: str) -> str:
        if not isinstance(label, str) or not label.strip():
            raise InputError(f"label={label!r}: must be a text")
        if label in self._items:
            raise InputError(f"label={label!r}: must be new, found a subset that has it")
        return label
