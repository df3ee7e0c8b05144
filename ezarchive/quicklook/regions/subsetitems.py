"""A subset: a region with a label and its image; how two are joined; what became of regions that were loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from ezarchive.errors import InputError
from ezarchive.quicklook.apertures.overlaps import overlap
from ezarchive.quicklook.planes.inputs import picture as as_picture
from ezarchive.quicklook.planes.pictures import Picture
from ezarchive.quicklook.regions.regionfiles import Failure
from ezarchive.quicklook.regions.regionkinds import NO_MASK, on_sky, shape_of, sky_region, to_region
from ezarchive.quicklook.regions.shapes import Combined, Inverted, Shape
from ezarchive.quicklook.regions.skyback import on_other, to_sky_shape
from ezarchive.quicklook.regions.skyshapes import SkyCombined, SkyInverted, SkyShape, leaves, sky_values
from ezarchive.quicklook.regions.subsetvalues import leaves_of, logic_of, values_of

MODES: Mapping[str, str] = {
    "replace": "replace",
    "or": "or",
    "add": "or",
    "and": "and",
    "xor": "xor",
    "andnot": "andnot",
    "remove": "andnot",
}


@dataclass(frozen=True)
class Subset:
    """A region with a label.

    Attributes
    ----------
    label : str
    shape : Shape
        On the pixels of its image.
    sky : SkyShape or None
        The same on the sky, for a region that was given there.
    image : str
        The label of the image, empty without one.
    """

    label: str
    shape: Shape
    sky: SkyShape | None = None
    image: str = ""
    picture: Picture | None = field(default=None, repr=False, compare=False)

    def on(self, image: Any, link_type: Literal["wcs", "pixels"] = "wcs") -> Shape:
        """Return it on the pixels of an image.

        Parameters
        ----------
        image : Picture, or what `ezarchive.quicklook.picture` takes
        link_type : {'wcs', 'pixels'}
            How a region of pixels goes there: by the sky, its place, size and angle those of that image, or the same numbers of pixels.
            One that was given on the sky is where it is on the sky either way, if the image has a WCS.

        Raises
        ------
        InputError
            If by the sky, and one of the images has no WCS or does not reach so far.
        """
        if link_type not in ("wcs", "pixels"):
            raise InputError(f"link_type={link_type!r}: must be 'wcs' or 'pixels'")
        picture = as_picture(image)
        if picture is self.picture:
            return self.shape
        if self.sky is not None and (link_type == "wcs" or picture.wcs is not None):
            return shape_of(self.sky, picture)
        if link_type == "pixels":
            return self.shape
        if self.picture is None:
            raise InputError(
                f"{self.label}: was made without an image, so that its place on the sky is not known; link_type='pixels' takes it"
            )
        return on_other(self.shape, self.picture, picture)

    @property
    def logic(self) -> str:
        """How its parts are combined: ``0 and not 1``; ``0`` for a single one."""
        return logic_of(self.shape)

    def parameters(self, *, sky: bool = False) -> list[dict[str, Any]]:
        """Return, for each part, its kind and its numbers.

        Parameters
        ----------
        sky : bool
            False: those that `Subsets.edit` changes, in pixels and degrees. True: positions in ICRS degrees, lengths in arcsec, position
            angles in degrees.

        Raises
        ------
        InputError
            If on the sky, and it is not there and its image has no WCS.
        """
        if not sky:
            return [{"part": k, "kind": one.kind} | values_of(one) for k, one in enumerate(leaves_of(self.shape))]
        found = self.sky
        if found is None:
            if self.picture is None or self.picture.wcs is None:
                raise InputError(f"{self.label}: must have an image with a WCS to be on the sky")
            found = to_sky_shape(self.shape, self.picture.wcs)
        return [{"part": k} | sky_values(one) for k, one in enumerate(leaves(found))]

    def region(self, *, sky: bool = False) -> Any:
        """Return it as a region of the package ``regions``, on the sky if so wished.

        Raises
        ------
        InputError
            If there is none for it (a mask, the outside of a shape), or no WCS.
        """
        if sky and self.sky is not None:
            return sky_region(self.sky)
        wcs = self.picture.wcs if sky and self.picture is not None else None
        if sky and wcs is None:
            raise InputError(f"{self.label}: must have an image with a WCS to be a region of the sky")
        return to_region(self.shape, wcs)

    def to_dict(self) -> dict[str, Any]:
        """Return numbers and words only."""
        plain = {"label": self.label, "shape": self.shape.to_dict(), "image": self.image, "logic": self.logic}
        return plain | {"on_sky": self.sky is not None}


@dataclass(frozen=True)
class LoadReport:
    """What became of regions that were loaded: the labels of their subsets, and failures as (region, reason)."""

    loaded: tuple[str, ...]
    failures: tuple[Failure, ...]

    @property
    def total(self) -> int:
        """How many were given."""
        return len(self.loaded) + len(self.failures)

    @property
    def message(self) -> str:
        """A line that says how many were loaded."""
        return f"Loaded {len(self.loaded)} of {self.total} regions"

    def to_dict(self) -> dict[str, Any]:
        """Return numbers and words only."""
        failures = [
            {"region": one.region if isinstance(one.region, str) else repr(one.region), "reason": one.reason} for one in self.failures
        ]
        return {"loaded": list(self.loaded), "failures": failures, "message": self.message}


def subset_of(label: str, region: Any, picture: Picture | None) -> Subset:
    """Return a region as a subset of an image."""
    return Subset(label, shape_of(region, picture), on_sky(region), "" if picture is None else picture.label, picture)


def reason_against(shapes: list[Any], picture: Picture) -> str:
    """Return why a region cannot be a subset of an image, empty if it can."""
    if len(shapes) != 1:
        return f"{NO_MASK}: it has {len(shapes)} positions"
    if isinstance(shapes[0], InputError):
        return str(shapes[0])
    x0, x1, y0, y1 = shapes[0].bounds
    ny, nx = picture.shape
    if x0 >= -0.5 and y0 >= -0.5 and x1 <= nx - 0.5 and y1 <= ny - 0.5:
        return ""
    return "" if overlap(shapes[0], picture.shape).area > 0 else f"{NO_MASK}: it is fully outside the image"


def joined(now: Shape, new: Shape, mode: str) -> Shape:
    """Return two shapes as one."""
    if mode == "replace":
        return new
    if mode == "andnot":
        return Combined("and", (now, Inverted(new)))
    return Combined(mode, (now, new))  # type: ignore[arg-type]


def sky_joined(now: Subset, new: Subset, mode: str) -> SkyShape | None:
    """Return the two joined on the sky; None where one of them is not there."""
    if mode == "replace":
        return new.sky
    if now.sky is None or new.sky is None:
        return None
    return SkyCombined("and", (now.sky, SkyInverted(new.sky))) if mode == "andnot" else SkyCombined(mode, (now.sky, new.sky))  # type: ignore[arg-type]


def sky_again(now: Subset, shape: Shape) -> SkyShape | None:
    """Return the changed shape on the sky, if the subset was there."""
    if now.sky is None or now.picture is None:
        return None
    return to_sky_shape(shape, now.picture.wcs)
