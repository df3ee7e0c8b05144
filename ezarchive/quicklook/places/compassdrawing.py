"""The text of an SVG figure of a compass; no figure is drawn."""

from __future__ import annotations

import math
from html import escape
from typing import Protocol

import numpy as np

from ezarchive.errors import InputError

Point = tuple[float, float]


class Arms(Protocol):
    """What of a compass is drawn; see `ezarchive.quicklook.places.orientation.Compass`."""

    label: str
    shape: tuple[int, int]
    x: float
    y: float
    xn: float
    yn: float
    xe: float
    ye: float
    x_arm: Point
    y_arm: Point
    zoom: tuple[Point, ...] | None


def svg_of(compass: Arms, size: int = 240, href: str | None = None) -> str:
    """Return an SVG figure as text: the image's outline, its arms with their letters, the start as a dot, the view as a polygon.

    Parameters
    ----------
    compass : Compass
    size : int
        Pixels of the longer side, at least 16.
    href : str, optional
        A picture to lie below.

    Raises
    ------
    InputError
        If `size` is smaller.
    """
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 16:
        raise InputError(f"size: must be a whole number of pixels, 16 or more, found {size!r}")
    ny, nx = compass.shape
    factor = size / max(nx, ny)
    width, height = nx * factor, ny * factor

    def place(point: Point) -> Point:
        return (point[0] + 0.5) * factor, (ny - 0.5 - point[1]) * factor

    start = place((compass.x, compass.y))
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.2f}" height="{height:.2f}" viewBox="0 0 {width:.2f} {height:.2f}" '
        f'font-family="sans-serif" font-size="{size / 16:.2f}">',
        f"<title>{escape(compass.label)}</title>",
    ]
    if href is not None:
        lines.append(f'<image href="{escape(href)}" width="{width:.2f}" height="{height:.2f}" preserveAspectRatio="none"/>')
    lines.append(f'<rect width="{width:.2f}" height="{height:.2f}" fill="none" stroke="gray"/>')
    arms = (("X", compass.x_arm, "deepskyblue"), ("Y", compass.y_arm, "deepskyblue"))
    arms += (("E", (compass.xe, compass.ye), "gold"), ("N", (compass.xn, compass.yn), "gold"))
    for letter, end, colour in arms:
        if math.isfinite(end[0]) and math.isfinite(end[1]):
            lines.extend(_arm(letter, start, place(end), colour, size))
    lines.append(f'<circle cx="{start[0]:.2f}" cy="{start[1]:.2f}" r="{size / 80:.2f}" fill="yellow"/>')
    if compass.zoom is not None and all(math.isfinite(value) for corner in compass.zoom for value in corner):
        points = " ".join(f"{px:.2f},{py:.2f}" for px, py in map(place, compass.zoom))
        lines.append(f'<polygon class="zoom" points="{points}" fill="none" stroke="red"/>')
    return "\n".join([*lines, "</svg>\n"])


def _arm(letter: str, start: Point, end: Point, colour: str, size: int) -> list[str]:
    dx, dy = end[0] - start[0], end[1] - start[1]
    length = math.hypot(dx, dy)
    if not length > 0:
        return []
    ux, uy = dx / length, dy / length
    head, gap = min(size / 30, length / 2), size / 24
    corners = [end, *((end[0] - head * (ux + side * uy / 2), end[1] - head * (uy - side * ux / 2)) for side in (1, -1))]
    points = " ".join(f"{px:.2f},{py:.2f}" for px, py in corners)
    line = f'<line class="arm {letter}" x1="{start[0]:.2f}" y1="{start[1]:.2f}" x2="{end[0]:.2f}" y2="{end[1]:.2f}" stroke="{colour}"/>'
    where = f'x="{end[0] + gap * ux:.2f}" y="{end[1] + gap * uy:.2f}"'
    text = f'<text {where} fill="{colour}" text-anchor="middle" dominant-baseline="central">{letter}</text>'
    return [line, f'<polygon points="{points}" fill="{colour}"/>', text]
