"""Options of detection: what a user may give, and what the engines are told."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import QTable

from ezarchive.columns import annulus, aperture
from ezarchive.errors import InputError, UnknownNameError
from ezarchive.measureoptions import MeasureOptions, diameters_in_pixels, with_numbers


def options(method="sex", **arguments) -> MeasureOptions:
    return MeasureOptions.from_arguments(arguments, method)


def test_defaults_are_those_of_the_method():
    assert options().detection_sigma == 5
    assert options("photutils").detection_sigma == 1.5
    assert options("photutils", detection_sigma=3).detection_sigma == 3


def test_keywords_become_options_and_the_rest_stays():
    params = {
        "detect_thresh": "3", "ANALYSIS_THRESH": 2, "FILTER": "N", "CLEAN": False, "DEBLEND_NTHRESH": 16, "DEBLEND_MINCONT": "0.01",
        "PHOT_AUTOPARAMS": "2.0, 3.0", "SATUR_LEVEL": 5e4, "GAIN": 0, "SEEING_FWHM": 2.1, "PIXEL_SCALE": 0.5, "BACK_SIZE": 128,
        "BACK_FILTERSIZE": 5, "MASK_TYPE": "blank", "PHOT_FLUXFRAC": 0.5,
    }  # fmt: skip
    given = dict(params)
    made = options(sex_params=params, detection_sigma=7, saturation_level=1)
    assert params == given
    assert (made.detection_sigma, made.analysis_sigma, made.convolve, made.clean, made.deblend_nthresh) == (3, 2, False, False, 16)
    assert (made.kron_factor, made.deblend_mincont) == (2, 0.01)
    assert (made.kron_minimum_radius, made.saturation_level, made.gain, made.seeing, made.pixel_scale) == (3, 5e4, 0, 2.1, 0.5)
    assert (made.box_size, made.filter_size, made.mask_type, made.sex_params) == (128, 5, "BLANK", {"PHOT_FLUXFRAC": 0.5})
    told = made.sex_options((8.0,), saturation=9.0, gain=2.0, seeing=4.0)
    assert (told.detect_thresh, told.filter, told.mask_type, told.phot_apertures, told.satur_level) == (3, False, "BLANK", (8.0,), 9.0)


def test_apertures_of_keywords_are_added_and_numbered_last():
    own = {"aperture_diameter_arcsec": 5, "aperture_diameter_seeing": None, "aperture_diameter_pixel": 6}
    made = options(**own, sex_params={"PHOT_APERTURES": [7, 8]})
    assert [(item["index"], item["diameter"], item["unit"]) for item in made.apertures()] == [
        (0, 5, "arcsec"), (1, 6, "pixel"), (2, 7, "pixel"), (3, 8, "pixel")
    ]  # fmt: skip
    assert diameters_in_pixels(made, None, None) == (None, 6, 7, 8)
    assert diameters_in_pixels(made, 0.5, None) == (10, 6, 7, 8)


def test_what_is_kept_is_no_part_of_a_recipe():
    assert options(maps=False).parameters() == options().parameters()
    assert options(mask_type="NONE").parameters() != options().parameters()
    assert all(not isinstance(value, (tuple, np.generic)) for value in options(gain=np.float32(2)).parameters().values())


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"sex_params": {"DETECT_TRESH": 3}}, UnknownNameError, "'DETECT_TRESH': did you mean 'DETECT_THRESH'"),
        ({"sex_params": {"BACK_SIZE": "x"}}, InputError, "sex_params BACK_SIZE='x': must be a whole number of at least 1"),
        ({"sex_params": {"DETECT_THRESH": -1}}, InputError, "sex_params DETECT_THRESH=-1: must be finite and positive"),
        ({"sex_params": {"FILTER": "perhaps"}}, InputError, "sex_params FILTER='perhaps': must be True or False"),
        ({"sex_params": {"PHOT_AUTOPARAMS": "2.5"}}, InputError, "sex_params PHOT_AUTOPARAMS='2.5': must be two numbers"),
        ({"sex_params": {"MASK_TYPE": "ALL"}}, InputError, "sex_params MASK_TYPE='ALL': must be one of CORRECT, BLANK, NONE"),
        ({"sex_params": [("GAIN", 1)]}, InputError, "sex_params=.*: must be a mapping"),
        ({"mask_type": 3}, InputError, "mask_type=3: must be one of CORRECT, BLANK, NONE"),
        ({"maps": "yes"}, InputError, "maps='yes': must be True or False"),
    ],
)
def test_what_is_wrong_is_named(given, error, message):
    with pytest.raises(error, match=message):
        options(**given)


def test_circles_keep_their_numbers_though_some_cannot_be_had():
    names = [column.name for place in range(2) for column in (*aperture(place), *annulus(place))]
    table = with_numbers(QTable({name: [float(place)] for place, name in enumerate(names)}), [2, 3])
    expected = [column.name for number in (2, 3) for column in (*aperture(number), *annulus(number))]
    assert table.colnames == expected
    assert [table[name][0] for name in expected] == list(range(len(names)))
