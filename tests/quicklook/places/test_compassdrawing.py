"""The SVG figure of a compass."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.quicklook import compass, picture

pytestmark = pytest.mark.pure


def image(shape):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crpix, wcs.wcs.cdelt = ["RA---TAN", "DEC--TAN"], [50, 25], [-1 / 3600, 1 / 3600]
    return picture(np.zeros(shape), wcs=wcs)


def test_the_figure():
    found = compass(image((50, 100)), zoom=(10, 20, 10, 20))
    text = found.svg(200)
    assert text == compass(image((50, 100)), zoom=(10, 20, 10, 20)).svg(200)
    root = ElementTree.fromstring(text)
    assert (root.get("width"), root.get("height")) == ("200.00", "100.00")
    letters = {node.text: (float(node.get("x")), float(node.get("y"))) for node in root.iter("{http://www.w3.org/2000/svg}text")}
    assert set(letters) == {"N", "E", "X", "Y"}
    dot = root.find("{http://www.w3.org/2000/svg}circle")
    x, y = float(dot.get("cx")), float(dot.get("cy"))
    assert letters["N"][1] < y
    assert letters["E"][0] < x < letters["X"][0]
    box = root.find("{http://www.w3.org/2000/svg}polygon[@class='zoom']").get("points").split()
    assert box[0] == "21.00,79.00"


def test_text_is_escaped():
    text = compass(picture(np.zeros((4, 4)), label='<a & "b">')).svg(64, href="data:image/png;base64,AA==")
    assert "&lt;a &amp;" in text
    assert "<image href=" in text
    ElementTree.fromstring(text)


@pytest.mark.parametrize("size", [4, 20.5, True])
def test_sizes(size):
    with pytest.raises(InputError, match="size: must be a whole number of pixels, 16 or more"):
        compass(np.zeros((4, 4))).svg(size)
