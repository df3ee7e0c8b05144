"""SExtractor's parameters under our names."""

from __future__ import annotations

import pytest

from ezarchive.errors import InputError, UnknownNameError
from ezarchive.photometry.options import SexOptions

pytestmark = pytest.mark.pure


def test_keywords_of_sextractor():
    given = {
        "DETECT_THRESH": "3", "detect_minarea": 7.0, "FILTER": "N", "PHOT_APERTURES": "5, 7,10", "PHOT_AUTOPARAMS": [2.0, 3.0],
        "CLEAN": True,
    }  # fmt: skip
    kept = dict(given)
    options = SexOptions.from_sex_params(given)
    assert options == SexOptions(
        detect_thresh=3.0, detect_minarea=7, filter=False, phot_apertures=(5.0, 7.0, 10.0), phot_autoparams=(2.0, 3.0), clean=True
    )
    assert given == kept


def test_keywords_over_a_base():
    base = SexOptions(gain=2.0, satur_level=1e4)
    options = SexOptions.from_sex_params({"GAIN": None, "ANALYSIS_THRESH": 1}, base)
    assert (options.gain, options.satur_level, options.analysis_thresh) == (None, 1e4, 1.0)


def test_misspelt_keyword_names_the_near_miss():
    with pytest.raises(UnknownNameError, match="did you mean 'DETECT_THRESH'"):
        SexOptions.from_sex_params({"DETECT_TRESH": 3})


def test_keyword_that_is_no_number():
    with pytest.raises(InputError, match="sex_params DETECT_THRESH='high': must be float"):
        SexOptions.from_sex_params({"DETECT_THRESH": "high"})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("detect_thresh", 0.0, "detect_thresh: must be positive"), ("analysis_thresh", float("nan"), "analysis_thresh: must be positive"),
     ("detect_minarea", 0, "detect_minarea: must be at least 1"), ("deblend_mincont", 1.5, "deblend_mincont: must lie between 0 and 1"),
     ("phot_fluxfrac", -0.1, "phot_fluxfrac: must lie between"), ("phot_apertures", (5.0, -1.0), "phot_apertures: must be positive"),
     ("phot_autoparams", (2.5,), "phot_autoparams: must be two positive"), ("gain", -1.0, "gain: must not be negative")],
)  # fmt: skip
def test_wrong_values(name, value, message):
    with pytest.raises(InputError, match=message):
        SexOptions(**{name: value})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [("mask_type", "MIRROR", "mask_type: must be one of CORRECT, BLANK, NONE, found 'MIRROR'"),
     ("thresh_type", "", "thresh_type: must be one of RELATIVE, ABSOLUTE"), ("seeing_fwhm", 0.0, "seeing_fwhm: must be positive"),
     ("phot_autoparams", (2.5, float("nan")), "phot_autoparams: must be two positive"),
     ("satur_level", float("nan"), "satur_level: must be a number or None")],
)  # fmt: skip
def test_more_wrong_values(name, value, message):
    with pytest.raises(InputError, match=message):
        SexOptions(**{name: value})


def test_seeing_in_arcsec_needs_the_scale():
    options = SexOptions.from_sex_params({"SEEING_FWHM": "3.2", "PIXEL_SCALE": 0.505})
    assert options.seeing_fwhm == pytest.approx(3.2 / 0.505)
    for scale in ({}, {"PIXEL_SCALE": "0"}):
        with pytest.raises(InputError, match="SEEING_FWHM=3.2 .* needs PIXEL_SCALE"):
            SexOptions.from_sex_params({"SEEING_FWHM": 3.2, **scale})


def test_analysis_threshold_is_that_of_detection_by_default():
    assert SexOptions(detect_thresh=2.0).analysis == 2.0
    assert SexOptions(detect_thresh=2.0, analysis_thresh=4.0).analysis == 4.0


def test_keywords_that_say_what_is_done_anyway_may_stand():
    given = {"WEIGHT_TYPE": "none", "MAG_ZEROPOINT": "0.0", "FILTER_NAME": "/usr/share/source-extractor/default.conv", "MASK_TYPE": "blank",
             "BACKPHOTO_TYPE": "GLOBAL", "thresh_type": "Absolute", "DETECT_TYPE": "CCD"}  # fmt: skip
    assert SexOptions.from_sex_params(given) == SexOptions(mask_type="BLANK", thresh_type="ABSOLUTE")


@pytest.mark.parametrize(
    ("keyword", "value", "message"),
    [("BACK_SIZE", 32, "sex_params BACK_SIZE=32: is an option of the background"),
     ("WEIGHT_TYPE", "MAP_RMS", "sex_params WEIGHT_TYPE='MAP_RMS': is given as the argument `noise` .`target_bkgrms`."),
     ("MAG_ZEROPOINT", 25.0, "zero points come from `calibrate`"), ("FLAG_IMAGE", "m.fits", "is given as the argument `mask`"),
     ("DETECT_TYPE", "PHOTO", "sex_params DETECT_TYPE='PHOTO': is not supported; only 'CCD' is"),
     ("PSF_NAME", "a.psf", "sex_params PSF_NAME='a.psf': is not supported$"), ("FILTER", "perhaps", "FILTER='perhaps': must be bool"),
     ("DETECT_MINAREA", 4.5, "DETECT_MINAREA=4.5: must be int"), ("FILTER_NAME", "gauss_3.0_7x7.conv", "is not supported; only")],
)  # fmt: skip
def test_unsupported_keywords_say_where_they_belong(keyword, value, message):
    with pytest.raises(InputError, match=message):
        SexOptions.from_sex_params({keyword: value})
