"""The numbers of a shape as a person edits them: their names, and a shape with some of them changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ezarchive.errors import InputError
from ezarchive.quicklook.regions.shapebase import number
from ezarchive.quicklook.regions.shapes import Annulus, Circle, Combined, Ellipse, Inverted, Polygon, Raster, Rectangle, Shape


def values_of(shape: Shape) -> dict[str, Any]:
    """Return what can be edited of a simple shape.

    Circle: x, y, radius. Ellipse: x, y, a, b, theta. Rectangle: xmin, xmax, ymin, ymax (before it is turned), theta. Annulus: x, y, theta
    but for circles, and the lengths of both with ``inner_`` and ``outer_`` before them. Polygon: vertices. A mask: nothing.
    """
    if isinstance(shape, (Circle, Ellipse)):
        return {name: getattr(shape, name) for name in ("x", "y", *shape.lengths)} | _theta(shape)
    if isinstance(shape, Rectangle):
        half_x, half_y = shape.width / 2.0, shape.height / 2.0
        box = {"xmin": shape.x - half_x, "xmax": shape.x + half_x, "ymin": shape.y - half_y, "ymax": shape.y + half_y}
        return box | _theta(shape)
    if isinstance(shape, Annulus):
        parts = (("inner", shape.inner), ("outer", shape.outer))
        lengths = {f"{name}_{length}": getattr(part, length) for name, part in parts for length in part.lengths}
        return {"x": shape.center[0], "y": shape.center[1]} | lengths | _theta(shape.outer)
    if isinstance(shape, Polygon):
        return {"vertices": shape.vertices}
    return {}


def with_values(shape: Shape, values: Mapping[str, Any]) -> Shape:
    """Return a simple shape with some of the numbers of `values_of` changed.

    Raises
    ------
    InputError
        If a name is none of them, a number is none, a length is not above 0, a lower edge not below the upper, or an inner length not
        below the outer. 0 is a number like any other.
    """
    now = values_of(shape)
    for name in values:
        if name not in now:
            raise InputError(f"{name}: must be one of {', '.join(now) or 'nothing, as a mask cannot be edited'}")
    new = now | dict(values)
    if isinstance(shape, Polygon):
        return Polygon(new["vertices"])
    new = {name: number(value, name) for name, value in new.items()}
    if isinstance(shape, Rectangle):
        return _rectangle(new)
    if isinstance(shape, Annulus):
        return Annulus(_part(shape.inner, "inner", new), _part(shape.outer, "outer", new))
    return replace(shape, **new)  # type: ignore[type-var]


def leaves_of(shape: Shape) -> list[Shape]:
    """Return the simple shapes that one is made of, in order."""
    return list(_leaves(shape))


def logic_of(shape: Shape) -> str:
    """Return how the parts are combined, as a text: ``0 and not 1``."""
    return _logic(shape, iter(range(len(leaves_of(shape)))))


def with_leaf(shape: Shape, part: int, new: Shape) -> Shape:
    """Return a shape with one of its simple shapes exchanged."""
    return _exchanged(shape, iter(range(len(leaves_of(shape)))), part, new)


def _theta(shape: Shape) -> dict[str, float]:
    return {"theta": shape.theta} if hasattr(shape, "theta") else {}


def _rectangle(values: Mapping[str, float]) -> Rectangle:
    for low, high in (("xmin", "xmax"), ("ymin", "ymax")):
        if not values[low] < values[high]:
            raise InputError(f"{low}={values[low]:g}: must be below {high}={values[high]:g}")
    x, y = (values["xmin"] + values["xmax"]) / 2.0, (values["ymin"] + values["ymax"]) / 2.0
    return Rectangle(x, y, values["xmax"] - values["xmin"], values["ymax"] - values["ymin"], values["theta"])


def _part(shape: Circle | Ellipse | Rectangle, name: str, values: Mapping[str, float]) -> Any:
    new = {length: values[f"{name}_{length}"] for length in shape.lengths}
    return replace(shape, x=values["x"], y=values["y"], **new, **({"theta": values["theta"]} if "theta" in values else {}))


def _leaves(shape: Shape) -> Iterator[Shape]:
    if isinstance(shape, Combined):
        for part in shape.parts:
            yield from _leaves(part)
    elif isinstance(shape, Inverted):
        yield from _leaves(shape.part)
    else:
        yield shape


def _logic(shape: Shape, count: Iterator[int]) -> str:
    if isinstance(shape, Combined):
        texts = [_logic(part, count) for part in shape.parts]
        inside = [f"({text})" if isinstance(part, Combined) else text for part, text in zip(shape.parts, texts, strict=True)]
        return f" {shape.operator} ".join(inside)
    if isinstance(shape, Inverted):
        text = _logic(shape.part, count)
        return f"not ({text})" if isinstance(shape.part, Combined) else f"not {text}"
    return str(next(count))


def _exchanged(shape: Shape, count: Iterator[int], part: int, new: Shape) -> Shape:
    if isinstance(shape, Combined):
        return Combined(shape.operator, tuple(_exchanged(one, count, part, new) for one in shape.parts))
    if isinstance(shape, Inverted):
        return Inverted(_exchanged(shape.part, count, part, new))
    return new if next(count) == part else shape


def is_static(shape: Shape) -> bool:
    """Return whether a part of it has no numbers to edit on a screen: polygons and masks."""
    return any(isinstance(one, (Polygon, Raster)) for one in leaves_of(shape))
