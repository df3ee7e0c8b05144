"""Images on the screen."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from ezarchive import config, simulate, sky
from ezarchive.browse.archive_image import ArchiveImage
from ezarchive.errors import InputError
from ezarchive.frames.record import Frame

SHAPE = (200, 240)


@pytest.fixture
def image(tmp_path):
    made = simulate.frame(SHAPE, n_stars=40, seed=4)
    path = tmp_path / "calib_7DT01_T00528_20250901_020000_m600_100.fits"
    fits.PrimaryHDU(made.data, made.header).writeto(path)
    alone = ArchiveImage(Frame(frame_id=1, path=str(path), naxis1=SHAPE[1], naxis2=SHAPE[0], wcs_ok=True))
    return ArchiveImage(Frame(**{**vars(alone.frame), "pixel_scale": float(sky.pixel_scale(alone.wcs, 119.5, 99.5))}))


def test_show(image, tmp_path):
    figure, axes = image.show("coord", save_path=tmp_path / "a.png")
    assert axes is figure.axes[0]
    assert axes.get_title() == image.path.name
    assert type(axes).__name__ == "WCSAxes"
    assert (tmp_path / "a.png").stat().st_size > 5000
    figure, axes = image.show(figsize=(5, 4), downsample=1, title="mine", scale=(0, 100))
    assert axes.get_title() == "mine"
    assert figure.get_size_inches().tolist() == [5, 4]
    assert axes.get_xlim() == (-0.5, SHAPE[1] - 0.5)
    with pytest.raises(InputError, match="coord_type='sky': must be 'pixel' or 'coord'"):
        image.show("sky")


def drawn_ellipse(axes):
    (found,) = axes.collections
    (x, y), *_ = found.get_offsets()
    return x, y, found.get_widths()[0] / 2, found.get_heights()[0] / 2, found.get_angles()[0]


@pytest.mark.truth
def test_show_position_draws_the_aperture_that_is_measured(image):
    x, y = 120.3, 90.7
    where = image.wcs.pixel_to_world(x, y).icrs
    place = {"x": where.ra.deg, "y": where.dec.deg, "coord_type": "coord", "zoom_radius_pixel": 40, "scale": "zscale"}
    figure, axes = image.show_position(**place, radius_arcsec=5)
    assert drawn_ellipse(axes) == pytest.approx((x, y, 5 / image.pixel_scale, 5 / image.pixel_scale, 0), abs=1e-6)
    assert axes.get_xlim() == (79.5, 160.5)
    assert axes.get_ylim() == (50.5, 131.5)
    assert axes.images[0].get_extent() == [79.5, 160.5, 50.5, 131.5]
    assert (axes.images[0].get_array().filled() == image.data[51:132, 80:161]).all()
    _, axes = image.show_position(**place, a_arcsec=5.85, b_arcsec=2.909, theta_deg=56.6, downsample=1)
    expected = (x, y, 5.85 / image.pixel_scale, 2.909 / image.pixel_scale, 56.6)
    assert drawn_ellipse(axes) == pytest.approx(expected, abs=1e-6)
    _, axes = image.show_position(x, y, radius_arcsec=3)
    assert drawn_ellipse(axes)[:3] == pytest.approx((x, y, 3 / image.pixel_scale))
    _, axes = image.show_position(2, 3, zoom_radius_pixel=20)
    assert not axes.collections
    assert axes.get_xlim() == (-0.5, 22.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius_arcsec": 5, "a_arcsec": 1, "b_arcsec": 1}, "must be a radius, or both semi-axes"),
        ({"a_arcsec": 1}, "must be a radius, or both semi-axes"),
        ({"radius_arcsec": -1}, "radius_arcsec=-1: must be positive"),
        ({"zoom_radius_pixel": 0}, "zoom_radius_pixel=0: must be a whole number"),
        ({"x": 5000}, "must overlap the image"),
        ({"x": float("nan")}, "must be finite"),
    ],
)
def test_show_position_checks_its_arguments(image, arguments, message):
    with pytest.raises(InputError, match=message):
        image.show_position(**{"x": 100, "y": 100, **arguments})


def test_figures_never_go_into_a_data_root(image, tmp_path):
    image._handle = SimpleNamespace(settings=config.Settings(roots={"scidata": {"path": tmp_path}}))
    with pytest.raises(InputError, match="save_path=.*must not lie in data root 'scidata'"):
        image.show(save_path=tmp_path / "night" / "x.png")
    assert list(tmp_path.iterdir()) == [image.path]


def test_without_a_wcs_there_are_pixels_only(tmp_path):
    path = tmp_path / "plain.fits"
    fits.PrimaryHDU(np.arange(1200, dtype=np.float32).reshape(30, 40)).writeto(path)
    plain = ArchiveImage(Frame(frame_id=1, path=str(path), naxis1=40, naxis2=30))
    _, axes = plain.show_position(20, 15, zoom_radius_pixel=5)
    assert axes.get_xlim() == (14.5, 25.5)
    with pytest.raises(InputError, match="coord_type='coord': .*plain.fits has no WCS that works"):
        plain.show("coord")
    with pytest.raises(InputError, match="radius_arcsec: is in arcsec, but .*plain.fits has no WCS and so no scale"):
        plain.show_position(20, 15, radius_arcsec=3)

