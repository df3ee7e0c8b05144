"""How good images are."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.table import QTable

from ezarchive import Archive
from ezarchive.browse.browser import DataBrowser
from ezarchive.browse.catalog import Catalog
from ezarchive.browse.frameset import FrameSet
from ezarchive.browse.quality import _stars_ellipticity, best_images, ellipticity_of, quality_table
from ezarchive.errors import InputError
from ezarchive.frames.record import Frame


def table(seeing, depth, ellipticity):
    return QTable({"seeing": np.array(seeing) * u.arcsec, "depth": np.array(depth) * u.mag, "ellipticity": np.array(ellipticity)})


LIMITS = {"seeing": 6.0, "depth": 18.0, "ellipticity": 0.3}


@pytest.mark.pure
def test_the_score_is_that_of_the_formula():
    found = table([2, 4, 3, 7, 3, 3], [19, 18.5, 20, 20, 17.9, 20], [0.1, 0.2, 0.3, 0.1, 0.1, 0.31])
    kept, score = best_images(found, LIMITS)
    assert kept.tolist() == [True, True, True, False, False, False]
    # Among those kept: ellipticity 0.1 to 0.3, seeing 2 to 4, depth 18.5 to 20.
    expected = [3 * 1 + 1 * 1 + 2 * (0.5 / 1.5), 3 * 0.5 + 0 + 0, 0 + 0.5 + 2 * 1]
    np.testing.assert_allclose(score[:3], expected)
    assert np.isnan(score[3:]).all()
    assert best_images(found, LIMITS, 1)[0].tolist() == [True, False, False, False, False, False]
    assert best_images(found, LIMITS, 2)[0].tolist() == [True, False, True, False, False, False]


@pytest.mark.pure
def test_unknown_values_fulfil_no_limit_and_score_as_the_worst():
    found = table([2, np.nan, 2], [19, 19, 19], [0.1, 0.1, np.nan])
    assert best_images(found, LIMITS)[0].tolist() == [True, False, False]
    kept, score = best_images(found, {"seeing": None, "depth": None, "ellipticity": None})
    assert kept.all()
    np.testing.assert_allclose(score, [6, 5, 3])


@pytest.mark.pure
def test_limits_that_are_none_or_cannot_be_tested():
    nothing = table([2.0, 3], [19, 19], [np.nan, np.nan])
    with pytest.raises(InputError, match="ellipticity=0.3: of none of these 2 images the ellipticity is known"):
        best_images(nothing, LIMITS)
    assert best_images(nothing, {**LIMITS, "ellipticity": None})[0].all()
    with pytest.raises(InputError, match="seeing='good': must be a number, or None"):
        best_images(nothing, {"seeing": "good"})
    with pytest.raises(InputError, match="max_images=0: must be a whole number from 1"):
        best_images(nothing, {}, 0)
    assert best_images(nothing, {"seeing": 0.05 * u.arcmin})[0].all()
    assert best_images(table([], [], []), LIMITS)[0].tolist() == []


@pytest.mark.pure
@pytest.mark.parametrize(
    ("card", "value"),
    [
        ("ELLIP   =               0.1234 / of the stars", 0.1234),
        ("ELONG   =                 1.25", 0.2),
        ("ELLIP   =               1D-1", 0.1),
        ("ELLIP   = 'round'", None),
        ("ELLIP   =                 -3.0", None),
        ("COMMENT   ELLIP = 0.2", None),
    ],
)
def test_the_ellipticity_of_a_header(card, value):
    cards = "".join(text.ljust(80) for text in ("SIMPLE  =                    T", card, "END")).encode()
    assert ellipticity_of(cards) == (None if value is None else pytest.approx(value))


@pytest.mark.pure
def test_the_ellipticity_of_the_stars_of_a_catalog():
    n = 20
    rows = QTable({
        "CLASS_STAR": np.where(np.arange(n) < 12, 0.95, 0.1).astype(np.float32), "SNR": np.full(n, 50.0),
        "FLAGS": np.zeros(n, np.int16), "ELLIPTICITY": np.where(np.arange(n) < 12, 0.07, 0.6).astype(np.float32),
    })  # fmt: skip
    assert _stars_ellipticity(Catalog(rows)) == pytest.approx(0.07)
    assert _stars_ellipticity(Catalog(rows[:3])) is None
    assert _stars_ellipticity(Catalog(rows["SNR",])) is None
    assert _stars_ellipticity(None) is None


@pytest.mark.pure
def test_frames_without_an_archive():
    found = quality_table([Frame(seeing=2.0, depth=19.0), Frame()], None)
    assert found["seeing_from"].tolist() == ["header", ""]
    assert found["seeing"][0] == 2 * u.arcsec
    assert np.isnan(found["ellipticity"]).all()
    assert len(FrameSet().quality_table()) == 0
    scored = FrameSet([Frame(seeing=2.0, depth=19.0), Frame(seeing=3.0, depth=20.0)]).quality_table()
    np.testing.assert_allclose(scored["score"], [1, 2])


@pytest.mark.truth
def test_headers_come_before_catalogs(small_archive, tmp_path):
    with Archive.open(small_archive(tmp_path / "home")) as archive:
        frames = DataBrowser(archive).where(kind="science").frames()
        found = frames.quality_table()
        for image, row in zip(frames, found, strict=True):
            assert row["ellipticity"] == image.header["ELLIP"]
            assert row["seeing"].value == image.header["SEEING"]
        assert set(found["ellipticity_from"]) == set(found["seeing_from"]) == {"header"}
        limit = float(np.mean(found["ellipticity"]))
        expected = [int(i) for i, e in zip(found["frame_id"], found["ellipticity"], strict=True) if e <= limit]
        path = tmp_path / "quality.png"
        chosen = frames.select_quality_images(seeing=None, depth=None, ellipticity=limit, save_path=path)
        assert chosen.frame_ids == frames.frame_ids == expected
        assert len(expected) == 1
        assert path.stat().st_size > 10_000
