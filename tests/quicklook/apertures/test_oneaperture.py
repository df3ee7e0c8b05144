"""An aperture with its image, background, errors and mask."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.nddata import NDData, StdDevUncertainty

from ezarchive.errors import InputError
from ezarchive.quicklook import Annulus
from ezarchive.quicklook.apertures.oneaperture import one_aperture
from ezarchive.quicklook.regions.shapes import Circle


def test_what_an_nddata_brings_is_used():
    mask = np.zeros((9, 9), bool)
    mask[0, 0] = True
    one = one_aperture(NDData(np.ones((9, 9)), uncertainty=StdDevUncertainty(np.full((9, 9), 2.0)), mask=mask), Circle(4, 4, 2))
    assert (one.variance == 4).all() and not one.good[0, 0] and one.good.sum() == 80
    assert one.level == 0 and np.isnan(one.level_err)


def test_plain():
    one = one_aperture(np.ones((9, 9)), Circle(4, 4, 2), background=Annulus(2, 2), label="flat")
    assert one.variance is None and one.good is None and one.level == 1 and one.level_err == 0 and one.picture.label == "flat"


def test_no_background():
    with pytest.raises(InputError, match="background: the annulus holds no finite pixel"):
        one_aperture(np.ones((9, 9)), Circle(4, 4, 2), background=Annulus(20, 2))


def test_other_sources_are_left_out_of_the_background():
    image, mask = np.ones((21, 21)), np.zeros((21, 21), bool)
    image[10, 15], mask[10, 15] = 500.0, True
    options = {"background": Annulus(4, 3), "background_method": "mean"}
    assert one_aperture(image, Circle(10, 10, 3), **options).level > 1
    assert one_aperture(image, Circle(10, 10, 3), background_mask=mask, **options).level == 1
