"""DS9 region files: read line by line, nothing skipped in silence, and the masks that they make.

Grammar: lines of fields separated by ``;``, comments after ``#``. A field is a coordinate system, for what follows, or a shape, with ``-``
before it, or ``include=0`` after ``#``, if its pixels are excluded. The default system is ``physical``. Shapes: circle, ellipse, box,
polygon, annulus (ellipses and boxes with several sizes are rings), panda, epanda, bpanda. Longitudes and latitudes are degrees, or
sexagesimal with ``:``, spaces or ``h d m s`` (right ascensions then in hours); sizes are degrees or pixels, or end in ``"``, ``'``, ``d``,
``r``, ``i`` or ``p``.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from warnings import warn

import numpy as np
from numpy.typing import NDArray

from ezarchive.compare.ds9places import EQUATORIAL, PIXEL_SYSTEMS, SKY_SYSTEMS
from ezarchive.compare.ds9shapes import (
    Ds9Box,
    Ds9Circle,
    Ds9Ellipse,
    Ds9Polygon,
    Ds9Region,
    Ds9Ring,
)
from ezarchive.compare.fluximage import FluxImage, flux_image
from ezarchive.errors import FrameError, InputError

__all__ = [
    "Ds9Box", "Ds9Circle", "Ds9Ellipse", "Ds9Polygon", "Ds9Region", "Ds9Regions", "Ds9Ring", "region_mask", "star_region"
]  # fmt: skip

Bools = NDArray[np.bool_]

_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_PLAIN = re.compile(rf"([+-]?{_NUMBER})([dr]?)")
_SIZE = re.compile(rf"([+-]?{_NUMBER})(['\"dripDRIP]?)")
_SEXAGESIMAL = re.compile(
    r"([+-]?)(\d+)(?:\s*([hd:])\s*|\s+)(\d+)(?:(?:\s*[m':]\s*|\s+)(\d+\.?\d*|\.\d+)\s*[s\"]?|\s*m?)?", re.IGNORECASE
)  # fmt: skip
_FIELD = re.compile(r"([+-]?)\s*([A-Za-z_]\w*)\s*(.*)", re.DOTALL)
_QUOTED = re.compile(r"\{[^}]*\}|\"[^\"]*\"|'[^']*'")
_NO_AREA = ("point", "line", "vector", "text", "ruler", "compass", "projection", "segment")
_UNITS = {"": "", "'": "deg", '"': "deg", "d": "deg", "r": "deg", "i": "image", "p": "physical"}
_DEGREES = {"'": 1 / 60, '"': 1 / 3600, "r": math.degrees(1)}
_NOT_THERE = ("linear", "amplifier", "detector")


class Ds9Regions(Sequence[Ds9Region]):
    """The regions of a file.

    Parameters
    ----------
    regions : path, text, iterable of lines or of Ds9Region, or regions.Regions
        A str is a path, unless it holds a bracket or a line break. Regions of the package ``regions`` are written in DS9's form and read.

    Raises
    ------
    InputError
        If a line cannot be understood or used; the message names file, line and text.
    FrameError
        If the file cannot be read.

    Examples
    --------
    >>> regions = Ds9Regions(["fk5", '-circle(3:32:38.0, -27:46:48, 3")  # a star'])
    >>> regions[0].exclude, round(regions[0].x, 4), round(regions[0].radius * 3600, 6)
    (True, 53.1583, 3.0)
    """

    def __init__(self, regions: str | os.PathLike[str] | Iterable[str | Ds9Region]) -> None:
        self.name, items = _items(regions)
        self._regions = tuple(self._parsed(items))

    def __len__(self) -> int:
        return len(self._regions)

    def __getitem__(self, index: Any) -> Any:
        return self._regions[index]

    def __iter__(self) -> Iterator[Ds9Region]:
        return iter(self._regions)

    def __str__(self) -> str:
        return "\n".join(str(region) for region in self._regions)

    def __repr__(self) -> str:
        return f"<Ds9Regions of {self.name}: {len(self)}>"

    def _parsed(self, items: Iterable[Any]) -> Iterator[Ds9Region]:
        system, everywhere = "physical", True
        for number, item in enumerate(items, 1):
            if isinstance(item, Ds9Region):
                yield item
                continue
            if not isinstance(item, str):
                raise InputError(f"regions: must be lines of text, found {type(item).__name__}")
            words, _, properties = item.partition("#")
            included = _included(properties, default=everywhere)
            for text in filter(None, (part.strip() for part in words.split(";"))):
                if text.split()[0].lower() == "global":
                    everywhere = included = _included(text, default=everywhere)
                    continue
                try:
                    found = _field(text, system)
                except InputError as err:
                    raise InputError(f"{self.name}, line {number}: {text!r}: {err}") from err
                if isinstance(found, str):
                    system = found
                else:
                    yield found if included else replace(found, exclude=True)


def star_region(ra: float, dec: float, radius: float, *, exclude: bool = False) -> Ds9Circle:
    """Return the circle around a star.

    Parameters
    ----------
    ra, dec : float
        ICRS degrees, kept with every digit.
    radius : float
        Arcsec.
    exclude : bool
        Whether its pixels are left out.

    Raises
    ------
    InputError
        If a number is not finite or the radius is not positive.
    """
    for name, value in (("ra", ra), ("dec", dec), ("radius", radius)):
        if isinstance(value, bool) or not isinstance(value, (int, float, np.number)):
            raise InputError(f"star: its {name} must be a number, found {value!r}")
    if not radius > 0:
        raise InputError(f"star: its radius must be more than 0 arcsec, found {radius!r}")
    return Ds9Circle(exclude, "icrs", float(ra), float(dec), float(radius) / 3600)


def region_mask(regions: Any, image: Any) -> Bools:
    """Return which pixels of an image must not be used, for the sake of regions.

    Parameters
    ----------
    regions : Ds9Regions, or what it takes, or one Ds9Region
        None, ``"none"`` and ``""`` mask nothing.
    image : FluxImage, or what `flux_image` takes

    Returns
    -------
    ndarray of bool, shape (ny, nx)
        True: excluded, or outside all regions that include. A pixel is where its centre is; exclusion wins.

    Raises
    ------
    InputError
        As `Ds9Regions`, or if regions need a WCS that the image has not.

    Warns
    -----
    UserWarning
        Where no region that includes covers any pixel of the image; these are left out of account then.
    """
    image = flux_image(image, "image")
    mask = np.zeros(image.shape, bool)
    if regions is None or (isinstance(regions, str) and regions.strip().lower() in ("", "none")):
        return mask
    made = regions if isinstance(regions, Ds9Regions) else Ds9Regions([regions] if isinstance(regions, Ds9Region) else regions)
    included = _union((region for region in made if not region.exclude), image)
    if included is not None and not included.any():
        warn(f"{made.name}: no region that includes covers a pixel of {image.name}: all its pixels are taken", UserWarning, stacklevel=2)
        included = None
    if included is not None:
        mask = ~included
    excluded = _union((region for region in made if region.exclude), image)
    return mask if excluded is None else mask | excluded


def _union(regions: Iterable[Ds9Region], image: FluxImage) -> Bools | None:
    found = None
    for region in regions:
        covered = region.covers(image)
        found = covered if found is None else found | covered
    return found


def _items(regions: Any) -> tuple[str, Iterable[Any]]:
    if isinstance(regions, str) and re.search(r"[(\n]", regions) and "\0" not in regions and not _exists(regions):
        return "regions", regions.splitlines()
    if isinstance(regions, (str, os.PathLike)):
        path = Path(regions)
        try:
            return str(path), path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError as err:
            raise FrameError("vanished", f"regions: {path}: is not there") from err
        except OSError as err:
            raise FrameError("unreadable", f"regions: {path}: cannot be read: {err.strerror}") from err
    if callable(getattr(regions, "serialize", None)):
        return "regions", str(regions.serialize(format="ds9", precision=12)).splitlines()
    if isinstance(regions, Iterable):
        return str(getattr(regions, "name", "regions")), regions
    raise InputError(f"regions: must be a path, or lines of a region file, found {type(regions).__name__}")


def _included(properties: str, *, default: bool) -> bool:
    """Return what the property ``include=0`` or ``include=1`` says."""
    found = re.findall(r"\binclude\s*=\s*([01])\b", _QUOTED.sub("", properties))
    return default if not found else found[-1] == "1"


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except OSError:
        return False


def _field(text: str, system: str) -> str | Ds9Region:
    """Return the system, or the region, that a field is."""
    known = ", ".join((*PIXEL_SYSTEMS, *SKY_SYSTEMS))
    match = _FIELD.fullmatch(text)
    if match is None:
        raise InputError(f"must be a coordinate system ({known}) or a shape")
    sign, name, rest = match[1], match[2].lower(), match[3].strip().removesuffix("||").strip()
    if not rest and not sign:
        if name in PIXEL_SYSTEMS:
            return name
        if name in SKY_SYSTEMS:
            return SKY_SYSTEMS[name]
        if name in _NOT_THERE:
            raise InputError(f"the coordinate system {name} cannot be used; must be one of {known}")
        if name not in _SHAPES:
            raise InputError(f"must be a coordinate system ({known}) or a shape")
    if name in _NO_AREA:
        raise InputError(f"{name} has no area; must be one of {', '.join(_SHAPES)}")
    if name not in _SHAPES:
        raise InputError(f"no such shape; must be one of {', '.join(_SHAPES)}")
    return _SHAPES[name](name, sign == "-", system, _arguments(rest))


def _arguments(text: str) -> list[str]:
    if text.startswith("("):
        if not text.endswith(")") or text.count("(") != text.count(")"):
            raise InputError("a bracket is not closed" if ")" not in text else "must end with the bracket of the shape")
        text = text[1:-1]
    if "(" in text or ")" in text:
        raise InputError("must have one pair of brackets")
    parts = [part.strip() for part in (text.split(",") if "," in text else text.split())]
    if not all(parts):
        raise InputError("must have a number before and after every comma")
    return parts


def _place(system: str, x: str, y: str) -> tuple[float, float]:
    if system in PIXEL_SYSTEMS:
        return _number(x), _number(y)
    return _angle(x, hours=system in EQUATORIAL), _angle(y, hours=False)


def _number(text: str) -> float:
    if re.fullmatch(rf"[+-]?{_NUMBER}", text) is None:
        raise InputError(f"{text!r} must be a number")
    return float(text)


def _angle(text: str, *, hours: bool) -> float:
    """Return degrees; ``hours``: sexagesimal numbers are hours, unless they say ``d``."""
    plain = _PLAIN.fullmatch(text)
    if plain:
        return float(plain[1]) * _DEGREES.get(plain[2], 1.0)
    match = _SEXAGESIMAL.fullmatch(text)
    if match is None or int(match[4]) >= 60 or float(match[5] or 0) >= 60:
        raise InputError(f"{text!r} must be degrees, or sexagesimal as 3:32:38.0 or -27 46 48")
    value = int(match[2]) + int(match[4]) / 60 + float(match[5] or 0) / 3600
    mark = (match[3] or ":").lower()
    factor = 15.0 if mark == "h" or (hours and mark == ":") else 1.0
    return factor * (-value if match[1] == "-" else value)


def _sizes(texts: Sequence[str]) -> tuple[list[float], str]:
    """Return sizes and their unit; empty: that of the system."""
    values, units = [], set()
    for text in texts:
        match = _SIZE.fullmatch(text)
        if match is None:
            raise InputError(f"{text!r} must be a number, or one with \", ', d, r, i or p after it")
        mark = match[2].lower()
        values.append(float(match[1]) * _DEGREES.get(mark, 1.0))
        units.add(_UNITS[mark])
    if len(units) != 1:
        raise InputError("sizes must all have units, or none")
    return values, units.pop()


def _expect(texts: Sequence[str], *counts: int) -> None:
    if len(texts) not in counts:
        raise InputError(f"must have {' or '.join(map(str, counts))} numbers, found {len(texts)}")


def _circle(name: str, exclude: bool, system: str, texts: list[str]) -> Ds9Region:  # noqa: ARG001, FBT001  one signature for all shapes
    _expect(texts, 3)
    sizes, unit = _sizes(texts[2:])
    return Ds9Circle(exclude, system, *_place(system, *texts[:2]), *sizes, unit=unit)


def _axes(name: str, exclude: bool, system: str, texts: list[str]) -> Ds9Region:  # noqa: FBT001
    """Return an ellipse or a box; with several pairs of sizes the ring from the first to the last."""
    if len(texts) < 4:
        raise InputError(f"must have 5 numbers, found {len(texts)}")
    pairs = texts[2 : len(texts) - len(texts) % 2]
    pa = _angle(texts[-1], hours=False) if len(texts) % 2 else 0.0
    place, (sizes, unit) = _place(system, *texts[:2]), _sizes(pairs)
    if len(sizes) == 2:
        return (Ds9Box if name == "box" else Ds9Ellipse)(exclude, system, *place, *sizes, pa, unit=unit)
    inner, outer = (sizes[0], sizes[1]), (sizes[-2], sizes[-1])
    return Ds9Ring(name, exclude, system, *place, inner, outer, pa, box=name == "box", unit=unit)


def _annulus(name: str, exclude: bool, system: str, texts: list[str]) -> Ds9Region:  # noqa: FBT001
    if len(texts) < 4:
        raise InputError(f"must have 4 numbers or more, found {len(texts)}")
    sizes, unit = _sizes(texts[2:])
    return Ds9Ring(name, exclude, system, *_place(system, *texts[:2]), (sizes[0],) * 2, (sizes[-1],) * 2, unit=unit)


def _panda(name: str, exclude: bool, system: str, texts: list[str]) -> Ds9Region:  # noqa: FBT001
    """Return a sector of a ring: x, y, begin, end, number of sectors, sizes, number of rings, and for ellipses and boxes the angle."""
    _expect(texts, *((8,) if name == "panda" else (10, 11)))
    begin, end = (_angle(text, hours=False) for text in texts[2:4])
    sizes, unit = _sizes(texts[5:7] if name == "panda" else texts[5:9])
    inner, outer = ((sizes[0],) * 2, (sizes[1],) * 2) if name == "panda" else (tuple(sizes[:2]), tuple(sizes[2:]))
    pa = _angle(texts[10], hours=False) if len(texts) == 11 else 0.0
    sector = (begin, end if end > begin else end + 360)
    return Ds9Ring(name, exclude, system, *_place(system, *texts[:2]), inner, outer, pa, sector, name == "bpanda", unit=unit)


def _polygon(name: str, exclude: bool, system: str, texts: list[str]) -> Ds9Region:  # noqa: FBT001
    if len(texts) < 6 or len(texts) % 2:
        raise InputError(f"must have three pairs of numbers or more, found {len(texts)} numbers")
    corners = tuple(_place(system, *texts[place : place + 2]) for place in range(0, len(texts), 2))
    return Ds9Polygon(name, exclude, system, *corners[0], corners)


_SHAPES: dict[str, Callable[[str, bool, str, list[str]], Ds9Region]] = {
    "circle": _circle, "ellipse": _axes, "box": _axes, "polygon": _polygon, "annulus": _annulus, "panda": _panda, "epanda": _panda,
    "bpanda": _panda,
}  # fmt: skip
"""Shape -> how it is read from (name, exclude, system, arguments)."""
