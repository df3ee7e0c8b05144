"""Regions as text and as objects; `test_catalog` tests where they lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import regions

from ezarchive.browse.ds9 import aperture_regions
from ezarchive.errors import InputError


@pytest.mark.oracle
@pytest.mark.parametrize("system", ["pixel", "sky"])
@pytest.mark.parametrize("measure", ["AUTO", "APER_1"])
def test_the_text_reads_back_as_the_regions(measured, made, system, measure):
    found = aperture_regions(measured, measure, system, made.truth.exposure.wcs)
    objects, read = found.to_regions(), regions.Regions.parse(found.to_text(), format="ds9")
    assert len(objects) == len(read) == len(measured)
    for mine, theirs in zip(objects, read, strict=True):
        assert type(mine) is type(theirs)
        assert str(theirs.meta["text"]) == mine.meta["text"]
        if system == "pixel":
            assert (theirs.center.x, theirs.center.y) == pytest.approx((mine.center.x, mine.center.y), abs=1e-6)
        else:
            assert mine.center.separation(theirs.center).arcsec < 1e-5
        names = ("radius",) if hasattr(mine, "radius") else ("width", "height")
        for name in names:
            sizes = (getattr(item, name) for item in (mine, theirs))
            a, b = (size if system == "pixel" else size.to_value("arcsec") for size in sizes)
            assert a == pytest.approx(b, abs=3e-6)
        if hasattr(mine, "angle"):
            assert mine.angle.to_value("deg") == pytest.approx(theirs.angle.to_value("deg"), abs=1e-5)


@pytest.mark.pure
def test_names_cannot_end_a_text_and_circles_are_told_apart(measured):
    found = replace(aperture_regions(measured[:1], "APER", "pixel", None), names=["a}b"])
    assert found.round.tolist() == [True]
    assert found.to_text().splitlines()[-1].endswith("# text={a)b}")
    assert found.to_text().splitlines()[-1].startswith("circle(")
    assert aperture_regions(measured, "AUTO", "pixel", None).round.sum() < len(measured)


@pytest.mark.pure
def test_the_sky_needs_a_wcs(measured):
    with pytest.raises(InputError, match="system='sky': the image has no WCS that works"):
        aperture_regions(measured, "AUTO", "sky", None)
    empty = aperture_regions(measured[:0], "AUTO", "pixel", None)
    assert len(empty.to_regions()) == 0
    assert empty.to_text().splitlines()[1:] == ["image"]
    assert np.shape(empty.x) == (0,)
