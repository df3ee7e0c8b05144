"""Cuts along any line: truths, errors, several images, the sky, and edges."""

from __future__ import annotations

import json

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import QTable
from astropy.wcs import WCS
from skimage.measure import profile_line

from ezarchive.errors import InputError
from ezarchive.images.image import Image
from ezarchive.quicklook import cut, link, picture

pytestmark = pytest.mark.pure

Y, X = np.mgrid[:50, :60]
PLANE = 2.0 * X + 3.0 * Y


def tan(crpix=(30.0, 25.0), scale=1.0, rotation=0.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [10.0, -20.0], crpix
    c, s = np.cos(np.radians(rotation)), np.sin(np.radians(rotation))
    wcs.wcs.cd = scale / 3600 * np.array([[-c, s], [s, c]])
    return wcs


class TestTruth:
    @pytest.mark.parametrize("order", [1, 3])
    @pytest.mark.parametrize("combine", ["mean", "median"])
    @pytest.mark.parametrize("width", [0.3, 1, 2, 2.5, 7])
    def test_a_plane(self, order, combine, width):
        found = cut(PLANE, (10, 9), (48.5, 37.25), width, combine=combine, order=order, step=0.7)
        np.testing.assert_allclose(found.value, 2 * found.x + 3 * found.y, atol=1e-10)
        assert found.distance[1] == 0.7
        length = np.hypot(38.5, 28.25)
        assert length - 0.7 < found.distance[-1] <= length
        np.testing.assert_allclose(np.hypot(found.x - 10, found.y - 9), found.distance)
        assert (found.n == max(np.ceil(width), 1)).all()

    @pytest.mark.parametrize("order", [0, 1, 3])
    def test_rows_columns_and_back(self, order):
        noise = np.random.default_rng(1).normal(size=PLANE.shape)
        np.testing.assert_allclose(cut(noise, (0, 7), (59, 7), order=order).value, noise[7], atol=1e-12)
        np.testing.assert_allclose(cut(noise, (0, 0), (0, 49), order=order).value, noise[:, 0], atol=1e-12)
        np.testing.assert_allclose(cut(noise, (59, 49), (0, 49), order=order).value, noise[49, ::-1], atol=1e-12)
        np.testing.assert_allclose(cut(noise, (5, 20), (50, 20), 3, order=order).value, noise[19:22, 5:51].mean(0), atol=1e-12)
        np.testing.assert_allclose(
            cut(noise, (5, 20), (50, 20), 3, combine="median", order=order).value, np.median(noise[19:22, 5:51], 0), atol=1e-12
        )

    def test_a_quadratic_surface_through_bicubic_pixels(self):
        surface = 0.3 * X**2 - 0.2 * X * Y + 0.1 * Y**2 - X
        found = cut(surface, (4.3, 6.1), (50.2, 40.7), order=3)
        np.testing.assert_allclose(found.value, 0.3 * found.x**2 - 0.2 * found.x * found.y + 0.1 * found.y**2 - found.x, atol=1e-9)

    @pytest.mark.oracle
    @pytest.mark.parametrize("width", [1, 3])
    def test_as_skimage(self, width):
        """Between integer ends whose distance is whole, so that both programs have the same points."""
        noise = np.random.default_rng(2).normal(size=PLANE.shape)
        found = cut(noise, (10, 8), (40, 48), width)
        theirs = profile_line(noise, (8, 10), (48, 40), linewidth=width, order=1, reduce_func=np.mean, mode="constant")
        np.testing.assert_allclose(found.value, theirs, atol=1e-10)

    def test_the_first_is_at_the_start_and_arguments_stay(self):
        given = PLANE.copy()
        start = np.array([3.25, 4.5])
        found = cut(given, start, [9, 4.5])
        assert (found.x[0], found.y[0], found.distance[0]) == (3.25, 4.5, 0)
        assert len(found.distance) == 6
        np.testing.assert_array_equal(given, PLANE)
        np.testing.assert_array_equal(start, [3.25, 4.5])


class TestErrors:
    def test_independent_pixels(self):
        found = cut(PLANE, (5, 20), (50, 20), 4.0, error=np.full(PLANE.shape, 2.0), order=0)
        np.testing.assert_allclose(found.err, 2 / np.sqrt(4))
        assert found.lines[0].err_from == "map"

    @pytest.mark.truth
    @pytest.mark.parametrize(("order", "combine"), [(0, "mean"), (1, "mean"), (3, "mean"), (0, "median"), (1, "median"), (3, "median")])
    def test_pulls(self, order, combine):
        """Of many noise images: the scatter of each point of the cut is its error."""
        rng, sigma = np.random.default_rng(3), 1.0 + 0.02 * X
        draws = [cut(rng.normal(0, sigma), (3.3, 4.1), (52.2, 41.7), 5, order=order, combine=combine, error=sigma) for _ in range(300)]
        pulls = np.array([one.value / one.err for one in draws])
        allowed = 0.02 if combine == "mean" else 0.08  # that of a median holds for many points
        assert pulls.std() == pytest.approx(1, abs=allowed)
        assert abs(pulls.mean()) < 0.02

    def test_scatter_without_a_map(self):
        noise = np.random.default_rng(4).normal(0, 3, PLANE.shape)
        found = cut(noise, (5, 20), (50, 20), 9)
        part = noise[16:25, 5:51]
        np.testing.assert_allclose(found.std, part.std(0, ddof=1))
        np.testing.assert_allclose(found.err, part.std(0, ddof=1) / 3)
        assert found.lines[0].err_from == "scatter"
        thin = cut(noise, (5, 20), (50, 20))
        assert thin.lines[0].err_from == ""
        assert np.isnan(thin.err).all()

    def test_an_unknown_error_is_unknown(self):
        error = np.ones(PLANE.shape)
        error[20, 10] = np.nan
        found = cut(PLANE, (5, 20), (50, 20), error=error)
        assert np.isnan(found.err).nonzero()[0].tolist() == [5]
        assert np.isfinite(found.value).all()

    def test_a_file_with_errors(self, tmp_path):
        units = [fits.PrimaryHDU(), fits.ImageHDU(PLANE, name="SCI"), fits.ImageHDU(np.full(PLANE.shape, 2.0), name="ERR")]
        fits.HDUList(units).writeto(tmp_path / "a.fits")
        found = cut(tmp_path / "a.fits", (5, 20), (50, 20), 4, error="file", order=0)
        np.testing.assert_allclose(found.err, 1)


class TestGaps:
    def test_nan_touches_only_what_it_is_part_of(self):
        data = PLANE.copy()
        data[20, 30] = np.nan
        for order, lost in ((0, [30]), (1, [30]), (3, [30])):
            found = cut(data, (0, 20), (59, 20), order=order)
            assert np.isnan(found.value).nonzero()[0].tolist() == lost
        found = cut(data, (0.5, 20), (58.5, 20))
        assert np.isnan(found.value).nonzero()[0].tolist() == [29, 30]
        wide = cut(data, (0, 20), (59, 20), 3)
        assert (wide.n[30], wide.n[29]) == (2, 3)
        assert np.isfinite(wide.value).all()

    def test_masked_and_infinite(self):
        data = PLANE.copy()
        data[20, 3] = np.inf
        found = cut(data, (0, 20), (59, 20), mask=PLANE == PLANE[20, 8])
        assert np.isnan(found.value).nonzero()[0].tolist() == [3, 8]

    def test_off_the_image(self):
        found = cut(PLANE, (-3, 10), (63, 10))
        inside = (found.x >= -0.5) & (found.x <= 59.5)
        np.testing.assert_array_equal(np.isfinite(found.value), inside)
        assert (found.n[~inside] == 0).all()
        # In the outer half pixel the last pixel is continued.
        assert cut(PLANE, (-0.5, 10), (5, 10)).value[0] == PLANE[10, 0]

    @pytest.mark.parametrize("combine", ["mean", "median"])
    def test_nothing_but_nan(self, combine):
        found = cut(np.full((5, 5), np.nan), (0, 0), (4, 4), 3, combine=combine)
        assert np.isnan(found.value).all()
        assert not found.n.any()
        assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["lines"][0]["value"] == [None] * 6

    def test_one_pixel(self):
        found = cut(np.array([[7.0]]), (-0.5, 0), (0.5, 0), step=0.25)
        assert found.value.tolist() == [7.0] * 5
        assert cut(np.array([[7.0]]), (-0.5, 0), (0.5, 0), step=0.25, order=3).value.tolist() == [7.0] * 5


class TestSky:
    def test_along_the_cut(self):
        wcs = tan(rotation=30)
        found = cut(PLANE, (10, 9), (48, 37), 3, wcs=wcs, unit="MJy/sr")
        expected = wcs.pixel_to_world(found.x, found.y)
        np.testing.assert_allclose(found.ra, expected.ra.deg, atol=1e-10)
        np.testing.assert_allclose(found.dec, expected.dec.deg, atol=1e-10)
        np.testing.assert_allclose(found.separation, expected[0].separation(expected).arcsec, atol=1e-7)
        np.testing.assert_allclose(found.separation, found.distance, rtol=1e-6, atol=1e-9)
        assert found.unit == u.MJy / u.sr
        assert cut(PLANE, (10, 9), (48, 37)).ra is None

    def test_from_one_place_to_another(self):
        wcs = tan(rotation=30)
        start, end = wcs.pixel_to_world(10, 9), wcs.pixel_to_world(48, 37)
        found = cut(PLANE, start, end, wcs=wcs)
        assert found.start == pytest.approx((10, 9), abs=1e-6)
        assert found.end == pytest.approx((48, 37), abs=1e-6)
        mixed = cut(PLANE, start.to_string("hmsdms", precision=6), (48, 37), wcs=wcs)
        assert mixed.start == pytest.approx((10, 9), abs=1e-4)
        galactic = cut(PLANE, start.galactic, end.galactic, wcs=wcs)
        assert galactic.start == pytest.approx((10, 9), abs=1e-6)

    def test_without_a_wcs(self):
        with pytest.raises(InputError, match="start: must be pixels for 'image', which has no WCS"):
            cut(PLANE, SkyCoord(10, -20, unit="deg"), (3, 4))
        with pytest.raises(InputError, match="end: must be a place that the WCS of 'image' reaches"):
            cut(PLANE, (3, 4), SkyCoord(190, 20, unit="deg"), wcs=tan())


class TestSeveralImages:
    def test_the_same_places(self):
        """Two images of one plane on the sky, one of them rotated and twice as coarse."""
        fine, coarse = tan(), tan((20.0, 20.0), 2.0, 40.0)
        y, x = np.mgrid[:40, :40]
        on_fine = fine.world_to_pixel(coarse.pixel_to_world(x, y))
        second = 2.0 * on_fine[0] + 3.0 * on_fine[1]
        pictures = [picture(PLANE, wcs=fine, label="fine", unit="Jy"), picture(second, wcs=coarse, label="coarse")]
        found = cut(pictures, (20, 20), (45, 30), 3)
        assert [line.link for line in found.lines] == ["self", "affine"]
        np.testing.assert_allclose(found.lines[1].value, found.value, atol=1e-5)
        table = found.to_table()
        assert table.meta["labels"] == ["fine", "coarse"]
        assert {"value", "value_2", "x_2", "err_2", "n_2"} <= set(table.colnames)
        assert (table["value"].unit, table["value_2"].unit) == (u.Jy, None)
        again = cut(pictures, (20, 20), (45, 30), 3, links=[link(*pictures)])
        np.testing.assert_array_equal(again.lines[1].value, found.lines[1].value)
        by_sky = cut(pictures, fine.pixel_to_world(20, 20), fine.pixel_to_world(45, 30), 3)
        np.testing.assert_allclose(by_sky.lines[1].value, found.lines[1].value, atol=1e-5)

    def test_by_pixels_where_there_is_no_wcs(self):
        found = cut([PLANE, PLANE + 1], (0, 3), (20, 3))
        assert [line.link for line in found.lines] == ["self", "pixels"]
        np.testing.assert_array_equal(found.lines[1].value, found.value + 1)
        with pytest.raises(InputError, match=r"no link by WCS: image 'image\[1\]': has no celestial WCS"):
            cut([picture(PLANE, wcs=tan()), PLANE], tan().pixel_to_world(3, 3), (20, 3))

    def test_an_image_that_is_elsewhere_is_a_gap(self):
        far = picture(PLANE, wcs=tan((-500.0, 25.0)), label="far")
        found = cut([picture(PLANE, wcs=tan()), far], (0, 3), (20, 3))
        assert np.isfinite(found.value).all()
        assert np.isnan(found.lines[1].value).all()

    def test_errors_of_each(self):
        ones = np.ones(PLANE.shape)
        found = cut([PLANE, PLANE], (0, 3), (20, 3), error=[ones, 3 * ones], mask=[None, PLANE == PLANE[3, 5]])
        assert (found.err[0], found.lines[1].err[0]) == (1, 3)
        assert np.isnan(found.lines[1].value[5])
        with pytest.raises(InputError, match="error: must be one for each image, 2, found 1"):
            cut([PLANE, PLANE], (0, 3), (20, 3), error=[ones])

    def test_of_a_reference_through_a_link(self):
        reference, other = picture(np.zeros((9, 9)), wcs=tan()), picture(PLANE, wcs=tan((33.0, 27.0)))
        found = cut(other, (1, 1), (9, 1), links=link(reference, other))
        np.testing.assert_allclose(found.value, PLANE[3, 4:13], atol=1e-6)
        np.testing.assert_allclose(found.ra, tan().pixel_to_world(np.arange(1, 10), 1).ra.deg, atol=1e-9)
        with pytest.raises(InputError, match="start: must be pixels for an image behind a link"):
            cut(other, SkyCoord(10, -20, unit="deg"), (9, 1), links=link(reference, other))


class TestTables:
    def test_columns_and_files(self, tmp_path):
        found = cut(PLANE, (10, 9), (48, 37), 3, wcs=tan(), unit="ct", error=1.0)
        table = found.to_table()
        assert table.colnames == ["distance", "x", "y", "separation", "ra", "dec", "value", "err", "std", "n"]
        assert (table["distance"].unit, table["ra"].unit, table["err"].unit) == (u.pix, u.deg, u.ct)
        table.write(tmp_path / "cut.ecsv")
        back = QTable.read(tmp_path / "cut.ecsv")
        np.testing.assert_allclose(back["value"].value, found.value)
        assert back.meta["combine"] == "mean"
        table.write(tmp_path / "cut.csv")

    def test_json(self):
        made = json.loads(json.dumps(cut(PLANE, (-3, 9), (48, 37), wcs=tan()).to_dict(), allow_nan=False))
        assert made["lines"][0]["value"][0] is None
        assert made["start"] == [-3, 9]
        assert len(made["ra"]) == len(made["distance"])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"end": (3, 4)}, r"start, end: must be two different places, found \(3.0, 4.0\) twice"),
        ({"width": 0}, "width: must be a number of pixels above 0, found 0"),
        ({"width": -1}, "width: must be a number of pixels above 0"),
        ({"width": np.nan}, "width: must be a number of pixels above 0"),
        ({"step": 0}, "step: must be a number of pixels above 0, found 0"),
        ({"step": 1e-9}, "step: must be larger, for the cut would have more than 20000000 points"),
        ({"combine": "sum"}, "combine: must be 'mean' or 'median', found 'sum'"),
        ({"order": 2}, "order: must be 0"),
        ({"start": (3, np.nan)}, "start: must be two finite numbers"),
        ({"end": (3, 4, 5)}, "end: must be two finite numbers"),
        ({"end": 3}, "end: must be two finite numbers"),
        ({"end": "here", "wcs": tan()}, "end 'here': must be two words"),
        ({"start": (100, 4), "end": (200, 4)}, "start, end: the cut from .* must meet the image, whose shape is"),
        ({"error": -1.0}, "error: must not be negative"),
        ({"mask": np.zeros((2, 2), bool)}, "mask: must have the shape of the image"),
    ],
)
def test_wrong_arguments(given, said):
    with pytest.raises(InputError, match=said):
        cut(**{"image": PLANE, "start": (3, 4), "end": (20, 30), **given})


def test_of_a_file_only_the_pieces_are_read(tmp_path):
    fits.PrimaryHDU(PLANE.astype(np.float32)).writeto(tmp_path / "a.fits")
    given = picture(tmp_path / "a.fits")
    found = cut(given, (10, 9), (48, 37))
    np.testing.assert_allclose(found.value, 2 * found.x + 3 * found.y, rtol=1e-6)
    assert "data" not in given.image.__dict__


def test_wide_steps_do_not_read_the_whole_image():
    class Counted(Image):
        most = 0

        def cut(self, rows, cols):
            self.most = max(self.most, (rows.stop - rows.start) * (cols.stop - cols.start))
            return super().cut(rows, cols)

    data = np.add.outer(np.arange(3000.0), 2 * np.arange(2000.0))
    given = Counted(data)
    found = cut(given, (0, 0), (1999, 2999), 3, step=40.0)
    np.testing.assert_allclose(found.value[1:], (found.y + 2 * found.x)[1:], atol=1e-7)
    assert given.most < 100_000


def test_long_cuts_go_in_pieces():
    data = np.add.outer(np.arange(3000.0), 2 * np.arange(2000.0))
    found = cut(data, (0, 0), (1999, 2999), 11, error=1.0, order=3)
    middle = slice(40, -40)
    np.testing.assert_allclose(found.value[middle], (found.y + 2 * found.x)[middle], atol=1e-7)
    assert (found.n[middle] == 11).all()
    assert np.isfinite(found.err).all()
