"""SExtractor's flag bits, one scene for each."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive import flags
from ezarchive.photometry.detection import SexOptions, sex

pytestmark = pytest.mark.pure


def star(x, y, sigma=2.0, peak=1000.0, shape=(100, 120)) -> np.ndarray:
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    return peak * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * sigma**2))


def flags_of(data, x, y, **options) -> tuple[str, ...]:
    table = sex(data, SexOptions(phot_apertures=(8.0,), **options), noise=1.0)
    here = np.argmin(np.hypot(np.asarray(table["X_IMAGE"].value) - x, np.asarray(table["Y_IMAGE"].value) - y))
    return flags.decode(int(table["FLAGS"][here]))


def test_a_lone_star_has_none():
    assert flags_of(star(60, 50), 60, 50) == ()


def test_blended_stars_are_merged_and_crowded():
    assert flags_of(star(55, 50) + star(64, 50), 55, 50) == ("CROWDED", "MERGED")


def test_a_faint_star_between_bright_ones_is_crowded():
    data = star(60, 50, peak=100) + star(80, 50, sigma=3, peak=3000) + star(40, 50, sigma=3, peak=3000)
    assert flags_of(data, 60, 50) == ("CROWDED",)
    assert flags_of(data, 80, 50) == ()


def test_a_faint_distant_neighbour_does_not_crowd():
    assert flags_of(star(50, 50) + star(85, 50, sigma=1, peak=30), 50, 50) == ()


def test_saturated():
    assert flags_of(star(60, 50), 60, 50, satur_level=900.0) == ("SATURATED",)


def test_cut_by_the_edge():
    assert set(flags_of(star(1, 50), 1, 50)) == {"TRUNCATED", "APER_INCOMPLETE"}


def test_aperture_off_the_image_but_not_the_isophote():
    assert flags_of(star(11, 50), 11, 50) == ("APER_INCOMPLETE",)


def test_large_aperture_off_the_image():
    table = sex(star(60, 50), SexOptions(phot_apertures=(8.0, 130.0)), noise=1.0)
    assert flags.decode(int(table["FLAGS"][0])) == ("APER_INCOMPLETE",)


def test_bad_pixel_in_the_isophote_and_bad_pixels_in_a_tenth_of_the_ellipse():
    data = star(60, 50)
    data[50, 62] = np.nan
    assert set(flags_of(data, 60, 50)) == {"APER_INCOMPLETE", "ISO_INCOMPLETE"}
    data[:, 66:] = np.nan
    assert "CROWDED" in flags_of(data, 60, 50)


def test_bad_pixel_far_away():
    data = star(60, 50)
    data[5, 5] = np.nan
    assert flags_of(data, 60, 50) == ()


def test_without_masking_nothing_is_crowded():
    assert flags_of(star(55, 50) + star(64, 50), 55, 50, mask_type="NONE") == ("MERGED",)


def test_flags_of_what_was_swallowed_in_cleaning_are_handed_on():
    data = star(21, 50, sigma=5, peak=3000)
    data[48:53, 0:2] += 35.0
    kept = sex(data, SexOptions(detect_thresh=20.0, clean=False), noise=1.0)
    cleaned = sex(data, SexOptions(detect_thresh=20.0), noise=1.0)
    assert (len(kept), len(cleaned)) == (2, 1)
    assert not kept["FLAGS"][np.argmax(kept["FLUX_AUTO"])] & 8
    assert cleaned["FLAGS"][0] & 8
