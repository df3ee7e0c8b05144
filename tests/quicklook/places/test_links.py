"""Links between images: the pairs of the reference page, fallbacks, and what lies beyond the WCS."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from astropy.wcs.utils import pixel_to_pixel

from ezarchive.errors import InputError
from ezarchive.quicklook import link, picture
from ezarchive.quicklook.places.links import checked_box, view_box

pytestmark = pytest.mark.pure


def tan(ra=10.0, dec=0.0, n=1000, scale=0.3, rotation=0.0, mirrored=False):
    """A tangent-plane WCS with its centre in that of the image; scale in arcsec."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [ra, dec], [(n + 1) / 2] * 2
    c, s = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    flip = 1 if mirrored else -1
    wcs.wcs.cd = scale / 3600 * np.array([[flip * c, s], [-flip * s, c]])
    wcs.wcs.set()
    return wcs


def image(wcs, n=1000, label="image"):
    return picture(np.zeros((n, n), np.float32), wcs=wcs, label=label)


class Generalised:
    """As a GWCS: the common interface alone, and NaN outside its bounding box, on both ways."""

    pixel_n_dim = 2

    def __init__(self, wcs, box):
        self.wcs, self.box = wcs, box

    def _held(self, x, y):
        x0, x1, y0, y1 = self.box
        x, y = np.asarray(x, float), np.asarray(y, float)
        kept = (x >= x0) & (x <= x1) & (y >= y0) & (y <= y1)
        return np.where(kept, x, np.nan), np.where(kept, y, np.nan)

    def pixel_to_world(self, x, y):
        x, y = self._held(x, y)
        ra, dec = self.wcs.all_pix2world(np.stack([x.ravel(), y.ravel()], 1), 0).T
        return SkyCoord(ra.reshape(x.shape), dec.reshape(x.shape), unit="deg")

    def world_to_pixel(self, place):
        shape = place.ra.deg.shape
        x, y = self.wcs.all_world2pix(np.stack([place.ra.deg.ravel(), place.dec.deg.ravel()], 1), 0).T
        return self._held(x.reshape(shape), y.reshape(shape))


class TestPairsOfTheReference:
    def test_a_dither_of_one_pixel_is_an_offset(self):
        shifted = tan()
        shifted.wcs.crpix += [1.0, 0.0]
        found = link(image(tan()), image(shifted))
        assert (found.kind, found.model) == ("affine", "offset")
        assert found.offset_max_error < 1e-9
        assert found.affine_max_error < 1e-9
        np.testing.assert_array_equal(found.matrix, np.eye(2))
        np.testing.assert_allclose(found.offset, [1, 0], atol=1e-9)

    def test_a_small_rotation_is_affine_and_no_offset(self):
        found = link(image(tan()), image(tan(rotation=0.05)))
        assert round(found.offset_max_error, 3) == 0.617
        assert (found.kind, found.model) == ("affine", "affine")
        assert found.max_error < 1e-9
        assert found.inverse_max_error < 1e-9

    def test_rotated_and_twice_as_coarse(self):
        found = link(image(tan(dec=30, scale=0.2)), image(tan(dec=30, n=500, scale=0.4, rotation=25), 500))
        assert found.model == "affine"
        assert found.max_error < 1e-9
        assert found.offset_max_error > 150
        assert np.linalg.det(found.matrix) == pytest.approx(0.25, abs=1e-9)

    def test_two_pointings_of_a_camera(self):
        found = link(image(tan(10, 5, 2048), 2048), image(tan(10.11, 5.15, 2048, 0.25, 33), 2048))
        assert (found.kind, found.model) == ("affine", "affine")
        assert round(found.max_error, 4) == 0.0097
        assert round(found.rms_error, 4) == 0.0028
        assert round(found.offset_max_error) == 946
        assert found.inverse_max_error < 0.01
        assert (found.n_points, found.n_valid) == (1089, 1089)
        assert 0 < found.overlap < 0.05

    def test_wide_fields_are_refused(self):
        reference, other = image(tan(scale=60)), image(tan(15, 3, scale=60))
        found = link(reference, other)
        assert (found.kind, found.model, found.link_type) == ("wcs", "full", "wcs")
        assert round(found.affine_max_error, 1) == 12.2
        assert round(found.offset_max_error) == 20
        assert found.max_error == 0
        assert found.matrix is None
        assert "off by up to 12.2 pixels" in found.reason
        x, y = np.random.default_rng(1).uniform(0, 999, (2, 100))
        np.testing.assert_allclose(found.forward(x, y), pixel_to_pixel(reference.wcs, other.wcs, x, y), atol=1e-9)

    def test_a_polynomial_before_giving_up(self):
        reference, other = image(tan(scale=60)), image(tan(15, 3, scale=60))
        assert link(reference, other, degree=2).kind == "wcs"
        found = link(reference, other, degree=5)
        assert found.kind == "polynomial"
        assert found.max_error < 0.05
        assert found.matrix is None
        x, y = np.random.default_rng(1).uniform(-0.5, 999.5, (2, 2000))
        u, v = pixel_to_pixel(reference.wcs, other.wcs, x, y)
        np.testing.assert_allclose(found.forward(x, y), [u, v], atol=0.05)
        np.testing.assert_allclose(found.inverse(u, v), [x, y], atol=0.05)
        # Far off the reference, where a polynomial is wild, the way back is that of the WCS.
        far = np.array([-4000.0, 5000.0]), np.array([-4000.0, 200.0])
        np.testing.assert_allclose(found.inverse(*far), pixel_to_pixel(other.wcs, reference.wcs, *far), atol=1e-6)


class TestMaps:
    def test_within_the_tolerance_everywhere_and_back(self):
        reference, other = image(tan(10, 5, 2048), 2048), image(tan(10.11, 5.15, 2048, 0.25, 33), 2048)
        found = link(reference, other)
        x, y = np.random.default_rng(2).uniform(-0.5, 2047.5, (2, 5000))
        exact = pixel_to_pixel(reference.wcs, other.wcs, x, y)
        off = np.hypot(*np.subtract(found.forward(x, y), exact))
        assert off.max() <= found.max_error
        back = np.hypot(*np.subtract(found.inverse(*exact), [x, y]))
        assert back.max() <= found.inverse_max_error

    def test_beyond_the_reference_the_wcs_itself_is_used(self):
        reference, other = image(tan(10, 5, 2048), 2048), image(tan(10.11, 5.15, 2048, 0.25, 33), 2048)
        found = link(reference, other)
        x, y = np.array([-30000.0, 100.0, 5000.0]), np.array([40000.0, 100.0, -2.0])
        exact = np.array(pixel_to_pixel(reference.wcs, other.wcs, x, y))
        got = np.array(found.forward(x, y))
        np.testing.assert_allclose(got[:, [0, 2]], exact[:, [0, 2]], atol=1e-6)
        assert 0 < abs(got[0, 1] - exact[0, 1]) < 0.01
        affine_alone = found.matrix @ [x[0], y[0]] + found.offset
        assert np.abs(affine_alone - exact[:, 0]).max() > 10

    def test_shapes_and_scalars(self):
        found = link(image(tan()), image(tan(rotation=20)))
        x, y = found.forward(3, np.zeros((2, 4)))
        assert x.shape == y.shape == (2, 4)
        assert found.forward(3.0, 4.0)[0].shape == ()
        np.testing.assert_allclose(found.inverse(*found.forward(3.0, 4.0)), [3, 4], atol=1e-9)
        np.testing.assert_allclose(found.inverse(*found.forward(-3e4, 4.0)), [-3e4, 4], atol=1e-6)
        assert np.isnan(found.forward([1.0, np.nan], [1.0, 1.0])[0]).tolist() == [False, True]

    def test_the_zoom_box(self):
        reference, other = image(tan()), image(tan(scale=0.6, rotation=90))
        found = link(reference, other)
        corners = [[100.0, 100.0], [100.0, 300.0], [400.0, 300.0], [400.0, 100.0]]
        expected = np.stack(pixel_to_pixel(reference.wcs, other.wcs, *np.transpose(corners)), axis=1)
        np.testing.assert_allclose(found.polygon((100, 400, 100, 300)), expected, atol=1e-6)
        whole = found.polygon()
        np.testing.assert_allclose(whole[0], np.stack(pixel_to_pixel(reference.wcs, other.wcs, -0.5, -0.5)), atol=1e-6)
        for bad in ((1, 2, 3), (2, 1, 0, 1), (0, 1, 0, np.nan)):
            with pytest.raises(InputError, match=r"box: must be \(x0, x1, y0, y1\)"):
                found.polygon(bad)

    def test_by_pixel(self):
        found = link(np.zeros((4, 5)), np.zeros((9, 9)), "pixels")
        assert (found.kind, found.model, found.link_type, found.reason) == ("pixels", "identity", "pixels", "")
        given = np.array([1.0, 2.0])
        x, _ = found.forward(given, given)
        assert x is not given
        np.testing.assert_array_equal(x, given)
        np.testing.assert_array_equal(found.polygon(), [[-0.5, -0.5], [-0.5, 3.5], [4.5, 3.5], [4.5, -0.5]])

    def test_with_itself(self, tmp_path):
        one = image(tan())
        assert link(one, one).kind == "self"
        array = np.zeros((3, 3))
        assert link(array, array, "pixels").link_type == "self"
        fits.PrimaryHDU(np.zeros((3, 3)), tan(n=3).to_header()).writeto(tmp_path / "a.fits")
        assert link(tmp_path / "a.fits", str(tmp_path / "a.fits")).kind == "self"
        twice = picture(tmp_path / "a.fits"), picture(tmp_path / "a.fits", label="again")
        assert link(*twice).model == "offset"
        assert link(*twice, "pixels").link_type == "pixels"
        assert link(tmp_path / "a.fits", picture(tmp_path / "a.fits", wcs=tan(n=3, rotation=9))).model == "affine"

    def test_the_same_twice(self):
        pair = image(tan()), image(tan(10.01, 0.02, rotation=12))
        assert link(*pair).to_dict() == link(*pair).to_dict()

    def test_another_system_goes_over_icrs(self):
        galactic = WCS(naxis=2)
        galactic.wcs.ctype = ["GLON-CAR", "GLAT-CAR"]
        place = SkyCoord(10, 0, unit="deg").galactic
        galactic.wcs.crval, galactic.wcs.crpix, galactic.wcs.cdelt = (
            [place.l.deg, 0],
            [300, 300 - place.b.deg * 12000],
            [-1 / 12000, 1 / 12000],
        )
        reference, other = image(tan()), image(galactic, 600)
        found = link(reference, other, tolerance=1.0, degree=3)
        assert found.link_type == "wcs"
        x, y = np.random.default_rng(3).uniform(0, 999, (2, 50))
        np.testing.assert_allclose(found.forward(x, y), pixel_to_pixel(reference.wcs, other.wcs, x, y), atol=1.0)

    def test_it_travels_between_processes(self):
        found = link(image(tan()), image(tan(rotation=3)))
        again = pickle.loads(pickle.dumps(found))
        np.testing.assert_allclose(again.forward([3.0, -50.0], [4.0, 9.0]), found.forward([3.0, -50.0], [4.0, 9.0]), atol=1e-9)

    def test_json(self):
        for other in (tan(rotation=3), tan(15, 3, scale=60)):
            made = json.loads(json.dumps(link(image(tan()), image(other)).to_dict(), allow_nan=False))
            assert made["link_type"] == "wcs"
        made = json.loads(json.dumps(link(np.zeros((2, 2)), np.zeros((2, 2))).to_dict(), allow_nan=False))
        assert made["kind"] == "pixels"
        assert made["overlap"] is None
        assert made["matrix"] == [[1, 0], [0, 1]]


class TestSwitches:
    def test_images_of_one_outline_overlap_as_a_whole(self):
        found = link(image(tan()), image(tan()))
        assert (found.overlap, found.image_overlap, found.model) == (1, 1, "offset")

    def test_a_coarse_image_may_fail_on_the_way_back(self):
        """0.01 pixels of the image are 0.2 of the reference, forty times finer."""
        found = link(image(tan(10, 5, 2048, 0.03), 2048), image(tan(60, 5.3, 1000, 1.2, 20)))
        assert found.affine_max_error < 0.05
        assert found.kind == "wcs"
        assert "0.224 of the reference on the way back; the tolerance is 0.05" in found.reason

    def test_the_tolerance_decides(self):
        pair = image(tan(10, 5, 2048), 2048), image(tan(10.11, 5.15, 2048, 0.25, 33), 2048)
        assert link(*pair, tolerance=0.01).model == "affine"
        assert link(*pair, tolerance=0.009).model == "full"
        assert link(*pair, tolerance=0).model == "full"
        assert link(*pair, use_affine=False).model == "full"
        assert link(*pair, use_affine=False).reason == ""

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"link_type": "sky"}, "link_type: must be 'pixels' or 'wcs', found 'sky'"),
            ({"wcs_fallback": "affine"}, "wcs_fallback: must be 'pixels' or None, found 'affine'"),
            ({"tolerance": -1}, "tolerance: must be a number of pixels, 0 or more, found -1"),
            ({"tolerance": np.nan}, "tolerance: must be"),
            ({"tolerance": "small"}, "tolerance: must be"),
            ({"degree": 0}, "degree: must be 1 to 5, found 0"),
            ({"use_affine": "no"}, "use_affine: must be True or False, found 'no'"),
        ],
    )
    def test_wrong_arguments(self, given, said):
        with pytest.raises(InputError, match=said):
            link(np.zeros((2, 2)), np.zeros((2, 2)), **given)


@pytest.mark.parametrize("box", [(1, 2, 3), (5, 1, 1, 5), ("a", "b", "c", "d"), "abcd", 7, [[1, 2], [3, 4, 5]]])
def test_a_view_is_four_numbers_in_order(box):
    for check in (checked_box, view_box):
        with pytest.raises(InputError, match=r"view: must be \(x0, x1, y0, y1\) with x0 < x1 and y0 < y1, found"):
            check(box, "view")


class TestNoWay:
    def test_without_a_wcs(self):
        with_wcs = image(tan())
        found = link(with_wcs, np.zeros((5, 5)))
        assert found.kind == "pixels"
        assert "image 'image': has no celestial WCS" in found.reason
        assert "reference 'reference': has no celestial WCS" in link(np.zeros((5, 5)), with_wcs).reason
        with pytest.warns(UserWarning, match="no link by WCS: image 'image': has no celestial WCS"):
            assert link(with_wcs, np.zeros((5, 5)), wcs_fallback=None) is None
        with pytest.raises(InputError, match="no link by WCS: image 'image': has no celestial WCS"):
            link(with_wcs, np.zeros((5, 5)), wcs_fallback=None, error_on_fail=True)

    def test_nothing_in_common(self):
        found = link(image(tan()), image(tan(13.0)))
        assert found.link_type == "wcs"
        assert (found.overlap, found.image_overlap) == (0, 0)
        assert "no sky in common" in found.reason
        assert found.forward(0.0, 0.0)[0] > 30_000

    def test_the_other_side_of_the_sky(self):
        found = link(image(tan()), image(tan(190.0)))
        assert found.kind == "pixels"
        assert "no pixel of the reference has a place in the image" in found.reason
        with pytest.raises(InputError, match="no pixel of the reference has a place in the image"):
            link(image(tan()), image(tan(190.0)), wcs_fallback=None, error_on_fail=True)

    def test_a_wcs_without_a_way_back(self):
        class OneWay(Generalised):
            def world_to_pixel(self, place):
                raise NotImplementedError("no inverse is known")

        found = link(image(tan()), image(OneWay(tan(rotation=4), (-0.5, 999.5, -0.5, 999.5))))
        assert found.kind == "pixels"
        assert "cannot be walked both ways: no inverse is known" in found.reason


class TestBoundingBoxes:
    def test_a_model_where_there_is_a_sky_and_nan_elsewhere(self):
        reference, plain = image(tan()), tan(10.05, 0.02, rotation=10)
        found = link(reference, image(Generalised(plain, (-0.5, 999.5, -0.5, 999.5))))
        assert found.model == "affine"
        assert 0 < found.n_valid < found.n_points
        x, y = np.random.default_rng(4).uniform(-0.5, 999.5, (2, 4000))
        u, v = pixel_to_pixel(reference.wcs, plain, x, y)
        there = (u >= -0.5) & (u <= 999.5) & (v >= -0.5) & (v <= 999.5)
        got_u, got_v = found.forward(x, y)
        np.testing.assert_array_equal(np.isfinite(got_u), there)
        np.testing.assert_allclose(got_u[there], u[there], atol=0.05)
        np.testing.assert_allclose(got_v[there], v[there], atol=0.05)
        back_x, _ = found.inverse(u, v)
        np.testing.assert_array_equal(np.isfinite(back_x), there)
        np.testing.assert_allclose(back_x[there], x[there], atol=0.05)

    def test_a_stamp_between_the_nodes(self):
        stamp = tan(10.003, 0.004, 12)
        found = link(image(tan()), image(Generalised(stamp, (-0.5, 11.5, -0.5, 11.5)), 12))
        assert found.link_type == "wcs"
        assert found.image_overlap == 1
        np.testing.assert_allclose(found.inverse(5.5, 5.5), pixel_to_pixel(stamp, tan(), 5.5, 5.5), atol=1e-6)

    def test_distorted_out_of_range(self):
        """A SIP polynomial that folds over far from the centre: nodes that do not come back do not count."""
        wild = tan(rotation=5)
        wild.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
        header = wild.to_header()
        header.update({"A_ORDER": 3, "B_ORDER": 3, "A_3_0": -1.5e-6, "B_0_3": -1.5e-6})
        folded = WCS(header)
        reference = image(tan())
        found = link(reference, picture(np.zeros((1000, 1000)), wcs=folded))
        assert found.link_type == "wcs"
        x, y = 520.0, 480.0
        u, v = found.forward(x, y)
        again = folded.all_pix2world(u, v, 0)
        np.testing.assert_allclose(again, tan().all_pix2world(x, y, 0), atol=0.06 * 0.3 / 3600)
        assert found.n_valid < found.n_points


def test_an_image_of_one_pixel():
    found = link(image(tan(n=1), 1), image(tan(n=1, rotation=30), 1))
    assert found.model == "affine"
    assert found.n_points == 4
    np.testing.assert_allclose(found.forward(0.0, 0.0), [0, 0], atol=1e-9)


def test_a_million_points_are_where_the_full_wcs_puts_them():
    reference, other = image(tan(10, 5, 2048), 2048), image(tan(10.11, 5.15, 2048, 0.25, 33), 2048)
    fast = link(reference, other)
    x, y = np.random.default_rng(5).uniform(0, 2047, (2, 1_000_000))
    u, v = fast.forward(x, y)
    full = pixel_to_pixel(reference.wcs, other.wcs, x, y)
    assert np.hypot(u - full[0], v - full[1]).max() <= fast.max_error * 1.01 < fast.tolerance


@pytest.mark.oracle
def test_real_frames(real_data):
    """Two DECam cutouts of one sky with TPV distortions: the model is verified, astropy agrees."""
    first, second = real_data / "decam" / "DEC-OBS04a.mini.fits", real_data / "decam" / "DEC-OBS04b.mini.fits"
    found = link(first, second)
    assert found.kind == "affine"
    assert found.max_error <= 0.05
    assert (found.reference, found.image) != ("reference", "image")
    x, y = np.random.default_rng(6).uniform(0, 255, (2, 300))
    exact = pixel_to_pixel(picture(first).wcs, picture(second).wcs, x, y)
    np.testing.assert_allclose(found.forward(x, y), exact, atol=0.05)
    np.testing.assert_allclose(found.inverse(*exact), [x, y], atol=0.05)


@pytest.mark.oracle
def test_real_frames_of_different_skies(real_data):
    """TPV, TAN and a galactic mosaic, far apart: an answer or a reason, no warning, NaN where there is no sky."""
    irac, decam = real_data / "irac" / "spitzer_example_image.fits", real_data / "decam" / "DEC-OBS04a.mini.fits"
    nircam = next((real_data / "nircam").glob("*stamp.fits"))
    for reference, other in ((irac, nircam), (nircam, irac), (decam, irac), (irac, decam), (decam, nircam)):
        found = link(reference, other)
        assert found.reason
        assert found.kind == "pixels" or (found.overlap, found.image_overlap) == (0, 0)
        far = found.forward([0, 1e5, -1e6, 1e9], [0, 1e5, 1e6, -1e9])
        assert np.shape(far) == (2, 4)
        json.dumps(found.to_dict(), allow_nan=False)
