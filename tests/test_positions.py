"""Forced photometry of one image: rings, numbers of circles, axes, and what is told of it."""

from __future__ import annotations

import numpy as np
import pytest

from ezarchive import Image
from ezarchive.errors import InputError
from ezarchive.frames.record import Frame
from ezarchive.positions import Axes, PositionOptions, Surroundings, list_digest, measure_positions
from ezarchive.targets import read_targets


@pytest.fixture(scope="module")
def image() -> Image:
    """A flat sky of 50 +- 1 with a scale of half an arcsec, and no WCS."""
    data = np.random.default_rng(8).normal(50.0, 1.0, (120, 140)).astype("f4")
    return Image(data, frame=Frame(naxis1=140, naxis2=120, pixel_scale=0.5, seeing=2.0, gain=4.0))


HERE = read_targets((60.0, 50.0), unit="pixel")


def measured(image, around=None, *, axes=None, **options):
    return measure_positions(image, HERE, PositionOptions.from_arguments(options), around, axes=axes)


def test_circles_are_numbered_arcsec_seeing_pixels(image):
    found = measured(image, aperture_diameter_arcsec=[4], aperture_diameter_seeing=[2, 3], aperture_diameter_pixel=9)
    assert [found.table[f"PIXSIZE_APER{suffix}"][0].value for suffix in ("", "_1", "_2", "_3")] == [8, 8, 12, 9]
    assert found.apertures == (4, 4, 6, 4.5)


def test_what_cannot_be_had_leaves_its_number_free(image):
    bare = Image(image.data)
    found = measured(bare, aperture_diameter_arcsec=[4], aperture_diameter_seeing=[2], aperture_diameter_pixel=[9, 12])
    assert [name for name in found.table.colnames if name.startswith("PIXSIZE")] == ["PIXSIZE_APER_2", "PIXSIZE_APER_3"]
    assert found.apertures == (None, None, None, None)
    assert measured(bare, aperture_diameter_arcsec=[4], aperture_diameter_seeing=None).table.colnames[-1] == "sky_source"


def test_the_ring_of_an_image_of_which_nothing_is_known_is_as_wide_as_the_largest_radius(image):
    found = measured(image, aperture_diameter_arcsec=[4, 20], aperture_diameter_seeing=None).table
    for suffix in ("", "_1"):
        assert found[f"NPIX_ANNULUS_APER{suffix}"][0].value == pytest.approx(np.pi * (40**2 - 20**2), rel=0.03)
    small = measured(image, aperture_diameter_pixel=2, aperture_diameter_arcsec=None, aperture_diameter_seeing=None).table
    assert small["NPIX_ANNULUS_APER"][0].value == pytest.approx(np.pi * (6**2 - 1), abs=12)  # at least five pixels wide
    assert found["BACKGROUND_APER"][0].value == pytest.approx(50, abs=0.2)


def test_gain_seeing_and_saturation_are_the_frames_unless_told_otherwise(image):
    sky = Surroundings(background=40.0, noise=1.0)
    flux, error = (measured(image, sky, aperture_diameter_seeing=4).table[f"{name}_APER_3"][0].value for name in ("FLUX", "FLUXERR"))
    assert error**2 == pytest.approx(np.pi * 64 + flux / 4, rel=1e-6)
    none = measured(image, sky, aperture_diameter_seeing=4, gain=0).table
    assert none["FLUXERR_APER_3"][0].value ** 2 == pytest.approx(np.pi * 64, rel=1e-6)
    assert measured(image, sky, aperture_diameter_seeing=4, seeing=1).table["PIXSIZE_APER_3"][0].value == 8
    assert measured(image, Surroundings(noise=1.0, saturation=10.0)).table["FLAGS_APER"][0] & 16


def test_semi_axes_in_arcsec_need_a_scale_only(image):
    axes = Axes(np.array([4.0]), np.array([2.0]), np.array([0.0]))
    found = measured(image, Surroundings(noise=1.0), axes=axes).table
    assert (found["SMA_IMAGE"][0].value, found["SMI_IMAGE"][0].value) == (8, 4)
    assert measured(image, axes=axes).table["NPIX_ANNULUS_ELIP"][0].value == pytest.approx(3 * np.pi * 32, rel=0.1)
    with pytest.raises(InputError, match="has no scale, so the semi-axes must be given in pixels"):
        measured(Image(image.data), axes=axes)
    with pytest.raises(InputError, match="an angle on the sky"):
        measured(image, axes=axes, theta_frame="sky")


def test_positions_on_the_sky_need_a_wcs(image):
    with pytest.raises(InputError, match=r"has no WCS that works, so positions must be given in pixels \(unit='pixel'\)"):
        measure_positions(image, read_targets((326.0, -77.0)), PositionOptions())


def test_lists_are_told_apart_by_all_that_is_measured():
    axes = Axes(*(np.array([value]) for value in (4.0, 2.0, 0.0)))
    turned = Axes(*(np.array([value]) for value in (4.0, 2.0, 10.0)))
    digests = {list_digest(HERE), list_digest(HERE, axes), list_digest(HERE, turned), list_digest(read_targets((60.0, 50.1), unit="pixel"))}
    assert len(digests) == 4
    assert list_digest(read_targets((60.0, 50.0), unit="pixel")) == list_digest(HERE)
