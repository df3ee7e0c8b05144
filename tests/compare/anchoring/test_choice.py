"""From fits to levels."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ezarchive.compare.anchoring.choice import chained, direct, failed_bands, nearest
from ezarchive.compare.anchoring.files import AnchorPaths
from ezarchive.compare.anchoring.offsets import fit_offset
from ezarchive.compare.anchoring.table import FitRecord, ImageRecord, record_key
from ezarchive.compare.anchoring.work import BandImage

RED, BLUE = BandImage("F1W", Path("red.fits")), BandImage("F2W", Path("blue.fits"))


def fit(slope=0.5, intercept=0.2, **options):
    rng = np.random.default_rng(1)
    x = rng.gamma(2.0, 0.5, (80, 80))
    return fit_offset(x, intercept + slope * x + rng.normal(0, 0.01, x.shape), kind="internal", **options)


def record(image, reference, path, found=None, **changes):
    return FitRecord(image.band, "miri", image.image, reference, Path(path), "external", "gauss4", found, "MJy/sr", **changes)


@pytest.mark.pure
def test_the_first_survey_that_served_gives_the_level():
    lost, good, other = (record(BLUE, name, name, found) for name, found in (("a", None), ("b", fit()), ("c", fit(intercept=0.9))))
    (level,) = direct(BLUE, [lost, good, other])
    assert level.record is good
    assert level.offset == pytest.approx(-0.2, abs=0.01)
    assert set(level.offsets) == {record_key(good), record_key(other)}
    assert direct(BLUE, [lost]) == []


@pytest.mark.pure
@pytest.mark.parametrize("factor", [1.0, 10.0])
def test_levels_go_from_band_to_band(factor):
    (first,) = direct(BLUE, [record(BLUE, "survey", "s.fits", fit(intercept=0.3))])
    found = replace(record(RED, "F2W", "blue.fits", fit(0.5, 0.2)), kind="internal", factor=factor)
    (level,) = chained(RED, [record(RED, "F3W", "x.fits"), found], {BLUE: first})
    assert level.offset == pytest.approx(-0.2 - 0.5 * 0.3 * factor, abs=0.02 * factor)
    assert level.offset_err > 0.4 * factor * first.offset_err
    assert level.status == "ok"
    assert chained(RED, [record(RED, "F2W", "blue.fits")], {BLUE: first}) == []


@pytest.mark.pure
def test_a_flag_of_the_reference_band_goes_along_and_an_unknown_error_stays_unknown():
    (first,) = direct(BLUE, [record(BLUE, "survey", "s.fits", fit())])
    shaky = replace(first, offset_err=np.nan, record=record(BLUE, "survey", "s.fits", replace(fit(), flags=("few_beams",)), message="few"))
    (level,) = chained(RED, [record(RED, "F2W", "blue.fits", fit())], {BLUE: shaky})
    assert np.isfinite(level.offset)
    assert np.isnan(level.offset_err)
    assert level.status == "flagged"
    assert "reference band F2W is flagged: few" in level.message


@pytest.mark.pure
def test_one_reference_needs_no_search(tmp_path):
    assert nearest(RED, [BLUE]) == (BLUE,)
    assert nearest(RED, []) == ()
    others = [replace(BLUE, image=tmp_path / name) for name in ("b.fits", "a.fits")]  # files that are not there
    assert [one.image.name for one in nearest(RED, others)] == ["a.fits", "b.fits"]


@pytest.mark.pure
def test_what_becomes_of_a_band(tmp_path):
    paths = AnchorPaths(
        target="t", in_dir=tmp_path, ref_dir=tmp_path, kernel_dir=tmp_path, in_subdir="lv3", out_subdir="out", in_ext="a", out_ext="b"
    )
    (tmp_path / "F3W").mkdir()
    images = [
        ImageRecord("F1W", "miri", Path(f"{k}.fits"), Path("o"), status, message=status)
        for k, status in enumerate(("ok", "failed", "flagged"))
    ]
    found = failed_bands(["F1W", "F2W", "F3W", "F3W_bgr"], images, paths)
    assert [(band.band, band.status) for band in found] == [("F1W", "failed"), ("F2W", "absent"), ("F3W", "failed"), ("F3W_bgr", "absent")]
    assert len(found[0].images) == 3
    assert "no image *_a.fits" in found[2].message
