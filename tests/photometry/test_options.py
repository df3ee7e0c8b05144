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
