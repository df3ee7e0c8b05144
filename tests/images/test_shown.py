"""Images on the screen."""

from __future__ import annotations

import gzip
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pytest
from astropy.io import fits

from ezarchive import config, simulate, sky
from ezarchive.browse.archive_image import ArchiveImage
from ezarchive.errors import InputError
from ezarchive.frames.record import Frame
from ezarchive.images.image import Image
from ezarchive.images.shown import averaged_pixels, wcs_for
from ezarchive.sky.ellipses import jacobian_at, on_pixels

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


@pytest.mark.truth
def test_an_ellipse_at_a_sky_angle_is_drawn_as_it_is_measured(image):
    x, y = 120.3, 90.7
    _, axes = image.show_position(x, y, a_arcsec=5.85, b_arcsec=2.909, theta_deg=56.6, theta_frame="sky")
    axis = [np.array([value]) for value in (5.85, 2.909, 56.6)]
    made = on_pixels(*axis, theta_frame="sky", unit="arcsec", jacobian=jacobian_at(image.wcs, np.array([x]), np.array([y])))
    assert drawn_ellipse(axes) == pytest.approx((x, y, made.a[0], made.b[0], made.theta[0]))
    # A point on the major axis lies at that position angle on the sky.
    _, _, a, _, theta = drawn_ellipse(axes)
    end = image.wcs.pixel_to_world(x + a * np.cos(np.radians(theta)), y + a * np.sin(np.radians(theta)))
    centre = image.wcs.pixel_to_world(x, y)
    assert centre.separation(end).arcsec == pytest.approx(5.85, rel=1e-4)
    assert centre.position_angle(end).deg % 180 == pytest.approx(56.6, abs=0.01)


def test_an_array_shows_itself_too(tmp_path):
    alone = Image(np.random.default_rng(5).normal(size=(30, 40)).astype(np.float32))
    _, axes = alone.show(save_path=tmp_path / "a.pdf", downsample=None)
    assert axes.get_title() == "image"
    _, axes = alone.show_position(20, 15, zoom_radius_pixel=4)
    assert axes.images[0].get_array().shape == (9, 9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"radius_arcsec": 5, "a_arcsec": 1, "b_arcsec": 1}, "must be a radius, or both semi-axes"),
        ({"a_arcsec": 1}, "must be a radius, or both semi-axes"),
        ({"radius_arcsec": -1}, "radius_arcsec=-1: must be a finite number above 0"),
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


@pytest.mark.pure
@pytest.mark.parametrize("form", ["array", "plain", "scaled", "gz", "fz"])
def test_every_kind_of_file_is_averaged_as_its_pixels_are(tmp_path, form):
    data = np.random.default_rng(1).integers(0, 60000, (301, 403)).astype(np.uint16)
    path = tmp_path / "a.fits"
    if form == "fz":
        fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(data)]).writeto(path)
    else:
        fits.PrimaryHDU(data if form == "scaled" else data.astype(np.float32)).writeto(path)
    if form == "gz":
        packed = tmp_path / "a.fits.gz"
        packed.write_bytes(gzip.compress(path.read_bytes()))
        path = packed
    image = Image(data.astype(np.float32)) if form == "array" else Image(path, 1 if form == "fz" else 0)
    found = averaged_pixels(image, 4)
    expected = [[data[j : j + 4, i : i + 4].mean() for i in range(0, 403, 4)] for j in range(0, 301, 4)]
    np.testing.assert_allclose(found.values, expected, rtol=1e-6)
    assert "data" in vars(image) or form != "array"
    assert "data" not in vars(image) or form == "array"


@pytest.mark.pure
def test_a_large_file_is_never_whole_in_memory(tmp_path):
    path = tmp_path / "big.fits"
    header = fits.PrimaryHDU(np.zeros((1, 1), np.float32)).header
    header["NAXIS1"], header["NAXIS2"] = 8000, 4000
    with path.open("wb") as stream:  # a sparse file: zeros that take no room
        stream.write(header.tostring().encode())
        stream.truncate(-(-(len(header.tostring()) + 8000 * 4000 * 4) // 2880) * 2880)
    averaged_pixels(Image(path), 4000)
    tracemalloc.start()
    found = averaged_pixels(Image(path), 8)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.values.shape == (500, 1000)
    assert peak < 0.45 * 8000 * 4000 * 4


@pytest.mark.pure
def test_axes_on_the_sky_need_a_wcs():
    image = Image(np.zeros((5, 5), np.float32))
    assert wcs_for(image, "pixel") is None
    with pytest.raises(InputError, match="coord_type='coord': the image has no WCS that works"):
        wcs_for(image, "coord")
    with pytest.raises(InputError, match="coord_type='sky': must be 'pixel' or 'coord'"):
        wcs_for(image, "sky")
