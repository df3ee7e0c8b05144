"""Scale bars of round angles."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy.wcs import WCS

from ezarchive.errors import InputError
from ezarchive.quicklook import compass
from ezarchive.quicklook.places.scalebars import scale_bar

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("scale", "across", "arcsec", "label"),
    [
        (1.0, 1000, 240 / 2, "2′"),
        (0.0308, 900, 5, "5″"),
        (0.001, 400, 0.1, "100 mas"),
        (1e-6, 400, 1e-4, "100 µas"),
        (60, 1000, 4 * 3600 / 2, "2°"),
        (0.1, 2000, 30, "30″"),
        (3600.0, 720, 90 * 3600, "90°"),
    ],
)
def test_round_angles(scale, across, arcsec, label):
    found = scale_bar(scale, across)
    assert found.arcsec == pytest.approx(arcsec)
    assert found.pixels == pytest.approx(arcsec / scale)
    assert found.label == label
    assert json.loads(json.dumps(found.to_dict()))["label"] == label


def test_never_longer_than_its_part():
    for across in np.geomspace(1e-4, 1e5, 200):
        found = scale_bar(0.7, across, 0.3)
        assert 0.4 * 0.3 * across < found.pixels <= 0.3 * across * (1 + 1e-9)


@pytest.mark.parametrize("name", ["pixel_scale", "across", "fraction"])
@pytest.mark.parametrize("value", [0, -1, np.nan, "wide", None, True])
def test_wrong_arguments(name, value):
    given = {"pixel_scale": 1.0, "across": 10.0, "fraction": 0.2, name: value}
    with pytest.raises(InputError, match=f"{name}: must be a number above 0"):
        scale_bar(**given)


def test_more_than_the_view():
    with pytest.raises(InputError, match="fraction: must be at most 1"):
        scale_bar(1, 10, 1.5)


def test_of_a_view():
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.cdelt, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [-1 / 3600, 1 / 3600], [50, 50]
    data = np.zeros((100, 100))
    assert compass(data, wcs=wcs).scale_bar().arcsec == 20
    assert compass(data, wcs=wcs, zoom=(0, 44, 0, 10)).scale_bar(0.5).arcsec == 20
