"""Region files: DS9, CRTF and FITS, read and written through the package ``regions``, and STC-S as text."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, overload

import regions as rg

from ezarchive.errors import FrameError, InputError
from ezarchive.quicklook.planes.inputs import picture as as_picture
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.regions.regionfits import fits_statements
from ezarchive.quicklook.regions.regionkinds import listed, on_sky, outcomes, shape_of, to_region
from ezarchive.quicklook.regions.regiontexts import Statement, crtf_statements, ds9_statements
from ezarchive.quicklook.regions.regionwriting import stcs, written
from ezarchive.quicklook.regions.shapebase import number

__all__ = ["Failure", "RegionList", "parse_regions", "read_regions", "stcs", "write_regions"]

FORMATS = ("ds9", "crtf", "fits")
_TEXTS = {"ds9": ds9_statements, "crtf": crtf_statements}
_PHYSICAL = "physical coordinates: give `image`, whose LTV and LTM keywords say where they are"


class Failure(NamedTuple):
    """A region that cannot be used: itself, or its text, and why."""

    region: Any
    reason: str


@dataclass(frozen=True)
class RegionList(Sequence[Any]):
    """The regions of a file, in its order.

    Attributes
    ----------
    regions : tuple of regions.Region
        Those that can be used.
    labels : tuple of str
        Their texts in the file, empty where there is none.
    excluded : tuple of regions.Region
        Those with a minus: apart, as they are nothing to measure in.
    failures : tuple of (region or text, reason)
        All the others; nothing is left out in silence.
    """

    regions: tuple[Any, ...]
    labels: tuple[str, ...]
    excluded: tuple[Any, ...] = ()
    failures: tuple[Failure, ...] = ()

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self.regions[index]

    def __len__(self) -> int:
        return len(self.regions)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.regions)

    @property
    def total(self) -> int:
        """How many the file holds."""
        return len(self.regions) + len(self.excluded) + len(self.failures)

    @property
    def message(self) -> str:
        """A line that says how many could be used."""
        text = f"Loaded {len(self.regions)} of {self.total} regions"
        if self.excluded:
            text += f", {len(self.excluded)} excluded"
        return text + (f"; {self.failures[0].region}: {self.failures[0].reason}" if self.failures else "")

    def to_dict(self) -> dict[str, Any]:
        """Return words only: what there is and what failed."""
        return {
            "regions": [_text(one) for one in self.regions],
            "labels": list(self.labels),
            "excluded": [_text(one) for one in self.excluded],
            "failures": [{"region": _text(one.region), "reason": one.reason} for one in self.failures],
        }


def read_regions(path: str | os.PathLike[str], *, format: str | None = None, image: Any = None) -> RegionList:
    """Read a region file.

    Parameters
    ----------
    path : path
        Also compressed with gzip.
    format : {'ds9', 'crtf', 'fits'}, optional
        By default what the first bytes of the file say.
    image : path, Image, Picture, NDData or array, optional
        If given, regions that it cannot have are failures: on the sky where it has no WCS, or does not reach. Physical coordinates of a
        DS9 file need it; without LTV and LTM in its header they are those of the image.

    Returns
    -------
    RegionList
        Points, lines and texts have no area and are failures, as is every line that cannot be understood.

    Raises
    ------
    FrameError
        If the file cannot be read or, a FITS file, holds no table of regions.
    InputError
        If the format is another.

    Notes
    -----
    Pixels are counted from 1 in DS9 and FITS files and from 0 in CRTF files; what comes back is 0-based.
    """
    path = Path(path)
    raw = _bytes(path)
    form = _format(raw) if format is None else _known(format)
    if form == "fits":
        return _sorted(fits_statements(raw, str(path)), image)
    return parse_regions(raw.decode("utf-8", errors="replace"), format=form, image=image)


def parse_regions(text: str, *, format: str = "ds9", image: Any = None) -> RegionList:
    """Return the regions of a text in the form of DS9 or CRTF; as `read_regions`.

    Examples
    --------
    >>> found = parse_regions("image; circle(11, 21, 3) # text={a star}; point(5, 5)")
    >>> found[0].center.x, found.labels, found.failures[0].reason
    (10.0, ('a star',), 'not implemented: PointPixelRegion has no area')
    """
    form = _known(format)
    if form == "fits":
        raise InputError("format='fits': must be ds9 or crtf for a text")
    return _sorted(_TEXTS[form](text), image)


def write_regions(
    path: str | os.PathLike[str], regions: Any, *, format: str | None = None, wcs: Any = None, overwrite: bool = False
) -> Path:
    """Write regions to a file.

    Parameters
    ----------
    path : path
    regions : regions.Region, Shape or what `ezarchive.quicklook.shape_of` takes, or an iterable of them
        Regions of the package keep their metadata (colour, text).
    format : {'ds9', 'crtf', 'fits'}, optional
        By default that of the suffix: ``.reg``, ``.ds9``; ``.crtf``; ``.fits``, ``.fit``, ``.fts``.
    wcs : WCS, optional
        Turns shapes on pixels into regions of the sky, and, for FITS, which has pixels only, regions of the sky into those of pixels.
    overwrite : bool
        Whether a file that is there is replaced.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the file is there, the format unknown, or a region has no form in it; then nothing is written.
    """
    return written(Path(path), listed(regions), format, wcs, overwrite)


def _sorted(statements: Iterable[Statement], image: Any) -> RegionList:
    picture = None if image is None else as_picture(image)
    regions: list[Any] = []
    labels: list[str] = []
    excluded: list[Any] = []
    failures: list[Failure] = []
    for statement in statements:
        if statement.reason:
            failures.append(Failure(statement.text, statement.reason))
        for region in statement.regions:
            usable, reason = _usable(region, statement.frame, picture)
            if reason:
                failures.append(Failure(region, reason))
            elif _is_excluded(region):
                excluded.append(usable)
            else:
                regions.append(usable)
                labels.append(str(region.meta.get("text", region.meta.get("label", "")) or ""))
    return RegionList(tuple(regions), tuple(labels), tuple(excluded), tuple(failures))


def _usable(region: Any, frame: str, picture: Picture | None) -> tuple[Any, str]:
    """Return a region in the pixels of the image, or why it cannot be used."""
    if frame == "physical":
        if picture is None:
            return region, _PHYSICAL
        try:
            region = _from_physical(region, picture)
        except InputError as err:
            return region, str(err)
    if picture is None and isinstance(region, rg.SkyRegion):
        return region, _no_shape(region)
    (found,) = outcomes([region], picture)
    return region, str(found) if isinstance(found, InputError) else ""


def _no_shape(region: Any) -> str:
    """Return why a region of the sky can be on no image."""
    try:
        on_sky(region)
    except InputError as err:
        return str(err)
    return ""


def _from_physical(region: Any, picture: Picture) -> Any:
    """Return a region of DS9's physical pixels on the image's own: image = LTM physical + LTV, both counted from 1."""
    header = picture.meta
    scale_x, scale_y = (number(header.get(name, 1.0), name) for name in ("LTM1_1", "LTM2_2"))
    shift_x, shift_y = (number(header.get(name, 0.0), name) for name in ("LTV1", "LTV2"))
    if (scale_x, scale_y, shift_x, shift_y) == (1.0, 1.0, 0.0, 0.0) or not hasattr(region, "to_mask"):
        return region
    if not (scale_x == scale_y and scale_x > 0):
        raise InputError(f"physical coordinates: LTM1_1 and LTM2_2 must be equal and above 0, found {scale_x:g} and {scale_y:g}")
    shape = shape_of(region)
    moved = shape.scaled(scale_x, about=(-1.0, -1.0)).moved(shift_x, shift_y)
    made = to_region(moved)
    made.meta, made.visual = region.meta, region.visual
    return made


def _is_excluded(region: Any) -> bool:
    return region.meta.get("include", True) in (False, 0, "-")


def _text(region: Any) -> str:
    return region if isinstance(region, str) else repr(region)


def _bytes(path: Path) -> bytes:
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
    except (OSError, EOFError, zlib.error) as err:
        raise FrameError("unreadable", f"{path}: the region file cannot be read: {err}") from err


def _format(raw: bytes) -> str:
    if raw.startswith(b"SIMPLE  ="):
        return "fits"
    return "crtf" if raw.startswith(b"#CRTF") else "ds9"


def _known(format: str) -> str:
    if format not in FORMATS:
        raise InputError(f"format={format!r}: must be one of {', '.join(FORMATS)}")
    return format
