"""A session: labels, links, and that each method is the function of its name on the image of that label."""

from __future__ import annotations

import inspect
import json

import gauss4
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS
from regions import CirclePixelRegion, CircleSkyRegion, PixCoord

from ezarchive import quicklook as look
from ezarchive.errors import FrameError, InputError
from ezarchive.images.image import Image
from ezarchive.quicklook import Annulus, QuickLook
from ezarchive.quicklook.shapes import Circle

SHAPE = (60, 80)


def tan(dx=0.0, scale=1e-4, angle=0.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval, wcs.wcs.crpix = [150.0, 2.0], [40.5 + dx, 30.5]
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    wcs.wcs.cd = scale * np.array([[-c, s], [s, c]])
    return wcs


def write(path, pixels, wcs=None, **cards):
    header = fits.Header() if wcs is None else wcs.to_header()
    header.update(cards)
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(np.asarray(pixels, float), header, name="SCI")]).writeto(path)
    return path


def star(x, y, flux=1000.0):
    yy, xx = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return flux / (2 * np.pi * 4) * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 8)


@pytest.fixture
def session(tmp_path):
    """The same star on two images that are 3 pixels apart and in other units, and an image without a WCS."""
    made = QuickLook()
    made.load(write(tmp_path / "a.fits", star(40, 30), tan(), BUNIT="Jy"))
    made.load(write(tmp_path / "b.fits", 2 * star(43, 30), tan(3.0), BUNIT="electron/s"))
    made.load(write(tmp_path / "c.fits", star(40, 30) + 1))
    return made


A, B, C = "a[SCI,1]", "b[SCI,1]", "c[SCI,1]"


@pytest.mark.pure
class TestImages:
    def test_labels(self, session, tmp_path):
        assert session.data_labels == [A, B, C]
        assert session.load(tmp_path / "a.fits") == ["a[SCI,1] (2)"]
        assert session.load([tmp_path / "a.fits", np.ones((2, 2))]) == ["a[SCI,1] (3)", "image"]
        assert session.load(np.ones((2, 2)), label="mine") == ["mine"]
        assert session.load(Image(tmp_path / "b.fits", 1), label=A) == ["a[SCI,1] (4)"]
        assert session.picture("a[SCI,1] (2)").label == "a[SCI,1] (2)"

    def test_nothing_is_loaded_if_one_fails(self, session, tmp_path):
        with pytest.raises(FrameError, match="none.fits: is not there"):
            session.load([tmp_path / "a.fits", tmp_path / "none.fits"])
        assert session.data_labels == [A, B, C]

    def test_an_unknown_label(self, session):
        with pytest.raises(InputError, match=r"data label 'a\[SCI,2\]': did you mean 'a\[SCI,1\]'"):
            session.metadata("a[SCI,2]")
        with pytest.raises(InputError, match="data label 3: must be one of"):
            session.link_type(3)
        with pytest.raises(InputError, match="data label 'x': there is none here"):
            QuickLook().picture("x")
        for name in ("metadata", "statistics", "display_limits", "preview", "pixel_area", "compass", "contours"):
            with pytest.raises(InputError, match="data label 'nowhere'"):
                getattr(session, name)("nowhere")

    def test_an_image_is_taken_out(self, session):
        session.link_data("wcs")
        session.remove(A)
        assert session.data_labels == [B, C]
        assert session.link_type(B) == "self"

    def test_what_it_prints(self, session):
        assert repr(session) == "QuickLook(3 images, 0 subsets, 0 rows of photometry)"


@pytest.mark.pure
class TestLinks:
    def test_by_default_pixels(self, session):
        assert [session.link_type(label) for label in session.data_labels] == ["self", "pixels", "pixels"]

    def test_by_wcs_with_the_fallback(self, session):
        made = session.link_data("wcs")
        assert list(made) == [A, B, C]
        assert [session.link_type(label) for label in session.data_labels] == ["self", "wcs", "pixels"]
        np.testing.assert_allclose(session.link(B).forward(40.0, 30.0), (43.0, 30.0), atol=1e-6)
        assert made[B].max_error < 0.05

    def test_images_that_come_later_are_linked_in_the_same_way(self, session, tmp_path):
        session.link_data("wcs", tolerance=0.01)
        session.load(write(tmp_path / "d.fits", star(40, 30), tan(-2.0)))
        assert session.link_type("d[SCI,1]") == "wcs"
        assert session.link("d[SCI,1]").tolerance == 0.01

    def test_the_links_stay_where_there_is_no_other_way(self, session):
        before = session.link_data("pixels")
        with pytest.warns(UserWarning, match="no link by WCS"):
            assert session.link_data("wcs", wcs_fallback_scheme=None) == before
        with pytest.raises(InputError, match="no link by WCS"):
            session.link_data("wcs", wcs_fallback_scheme=None, error_on_fail=True)
        assert session.link_type(B) == "pixels"

    def test_subsets_survive(self, session):
        session.add_subset(Circle(40, 30, 5))
        session.link_data("wcs")
        assert session.subsets.labels == ["Subset 1"]

    def test_one_image_or_none(self, tmp_path):
        alone = QuickLook()
        assert alone.link_data("wcs") == {}
        alone.load(np.ones((3, 3)))
        assert [way.link_type for way in alone.link_data("wcs").values()] == ["self"]

    def test_bad_input(self, session):
        with pytest.raises(InputError, match="link_type='sky': must be 'pixels' or 'wcs'"):
            session.link_data("sky")
        with pytest.raises(InputError, match="wcs_fallback_scheme='no': must be 'pixels' or None"):
            session.link_data("wcs", wcs_fallback_scheme="no")
        assert session.link_data("pixels", wcs_fallback_scheme="no")
        with pytest.raises(InputError, match="data label 'nowhere'"):
            session.link_type("nowhere")


@pytest.mark.pure
class TestAnalyses:
    def test_each_is_the_function_of_its_name(self, session):
        one = session.picture(A)
        region = Circle(40.2, 30.1, 6)
        assert session.metadata(A, True, order="file") == look.metadata(one, True, order="file")
        assert tuple(session.display_limits(A, 99)) == tuple(look.display_limits(one.data, 99))
        assert session.compass(A, 0.25).to_dict() == look.compass(one, 0.25).to_dict()
        assert session.line_profiles(A, 0, 0).to_dict() == look.line_profiles(one, 0, 0).to_dict()
        assert session.cut(A, (0, 0), (20, 20), 3).to_dict() == look.cut(one, (0, 0), (20, 20), 3).to_dict()
        assert session.recenter(A, region) == look.recenter(one, region)
        assert session.curve_of_growth(A, region, n=4).to_dict() == look.curve_of_growth(one, region, n=4).to_dict()
        assert session.radial_profile(A, region, raw=True).to_dict() == look.radial_profile(one, region, raw=True).to_dict()
        fit = look.fit_profile(look.radial_profile(one, region, raw=True, center=(40, 30)))
        assert session.fit_profile(A, region, center=(40, 30)).to_dict() == fit.to_dict()
        assert session.pixel_area(A).to_dict() == look.pixel_area(one).to_dict()
        assert json.dumps(session.preview(A, 20).to_dict(), allow_nan=False)
        assert list(session.metadata_differences(contains="bunit")[B]) == ["electron/s"]

    def test_every_analysis_of_the_room_has_a_method(self):
        of_an_image = {
            name
            for name in look.__all__
            if inspect.isfunction(getattr(look, name)) and next(iter(inspect.signature(getattr(look, name)).parameters), "") in ("image",)
        }
        assert of_an_image - {"picture", "overlap", "aperture_sums", "aperture_statistics"} <= set(dir(QuickLook))

    def test_several_images_at_once(self, session):
        session.link_data("wcs")
        profiles = session.line_profiles([A, B], 40, 30)
        assert [(one.x, one.y) for one in profiles] == [(40, 30), (43, 30)]
        session.link_data("pixels")
        assert [one.x for one in session.line_profiles([A, B], 40, 30)] == [40, 40]
        assert session.line_profiles(B, 40, 30, linked=True).x == 40
        session.link_data("wcs")
        assert session.line_profiles(B, 40, 30, linked=True).x == 43
        with pytest.raises(InputError, match="linked=True: must be given with one label"):
            session.cut([A, B], (0, 0), (5, 5), linked=True)
        with pytest.raises(InputError, match="labels='a': must be a list of data labels"):
            session.metadata_differences("a")

    def test_the_compass_knows_the_view_of_the_reference(self, session):
        session.link_data("wcs")
        zoom = (10, 30, 10, 20)
        linked, own = session.compass(B, zoom=zoom, linked=True), session.compass(B, zoom=zoom)
        assert linked.to_dict() != own.to_dict()


@pytest.mark.truth
class TestSubsets:
    def test_on_the_pixels_of_every_image_or_on_the_sky(self, session):
        session.add_subset(Circle(40, 30, 12))
        by_pixels = session.aperture_photometry([A, B], "Subset 1")
        session.link_data("wcs")
        by_sky = session.aperture_photometry([A, B, C], "Subset 1")
        np.testing.assert_allclose(by_pixels["xcenter"].value, [40, 40])
        np.testing.assert_allclose(by_sky["xcenter"].value, [40, 43, 40], atol=1e-6)
        np.testing.assert_allclose(by_sky["sum_raw"][:2], [1000, 2000], rtol=1e-4)

    def test_those_of_the_sky_are_always_there(self, session):
        session.add_subset(CircleSkyRegion(SkyCoord(150, 2, unit="deg"), 12 * 1e-4 * u.deg), B)
        found = session.aperture_photometry([A, B], "Subset 1")
        np.testing.assert_allclose(found["xcenter"].value, [39.5, 42.5], atol=1e-3)

    def test_of_another_image(self, session):
        session.link_data("wcs")
        session.add_subset(Circle(43, 30, 12), B)
        assert session.recenter(A, "Subset 1").x == pytest.approx(40, abs=1e-3)
        assert session.curve_of_growth(A, "Subset 1").sum[-1] == pytest.approx(1000, rel=1e-4)

    def test_made_without_an_image_they_lie_on_the_reference(self, session):
        session.link_data("wcs")
        subset = session.subsets.add(Circle(40, 30, 12))
        assert session.aperture_photometry(B, subset)["xcenter"][0].value == pytest.approx(43, abs=1e-6)

    def test_files(self, session, tmp_path):
        (tmp_path / "r.reg").write_text("image\ncircle(41,31,5)\npoint(3,3)\n")
        report = session.load_regions(tmp_path / "r.reg")
        assert report.loaded == ("Subset 1",)
        assert len(report.failures) == 1
        with pytest.raises(InputError, match="Cannot load regions without data"):
            QuickLook().load_regions(tmp_path / "r.reg")

    def test_a_subset_as_background(self, session):
        session.add_subset(Circle(40, 30, 5))
        session.add_subset(Circle(10, 10, 5))
        table = session.aperture_photometry(C, "Subset 1", background="Subset 2")
        assert table["background"][0] == pytest.approx(1, abs=1e-6)
        grown = session.curve_of_growth(C, "Subset 1", background=session.subsets["Subset 2"])
        assert grown.sum[-1] == pytest.approx(table["sum"][0], rel=1e-12)

    def test_an_unknown_subset(self, session):
        session.add_subset(Circle(40, 30, 5))
        for measure in (session.recenter, session.aperture_photometry, session.radial_profile):
            with pytest.raises(InputError, match="subset 'Subset 2': did you mean 'Subset 1'"):
                measure(A, "Subset 2")


@pytest.mark.truth
class TestPhotometry:
    def test_rows_are_never_lost(self, session):
        session.add_subset(Circle(40, 30, 8))
        ids = [session.aperture_photometry(label, "Subset 1", background=Annulus(10, 5))["id"][0] for label in (A, C, B, A)]
        assert ids == [1, 2, 3, 4]
        table = session.get_aperture_photometry_results()
        assert list(table["id"]) == [1, 2, 3, 4]
        assert list(table["data_label"]) == [A, C, B, A]
        assert list(table["unit"]) == ["Jy", "", "electron / s", "Jy"]
        assert np.isfinite(table["sky_center"].ra.deg).tolist() == [True, False, True, True]
        assert table["sum"][3] == table["sum"][0]
        assert list(session.get_aperture_photometry_results("legacy")["id"]) == [1, 2, 3, 4]

    def test_a_failure_costs_nothing(self, session):
        session.aperture_photometry(A, Circle(40, 30, 8))
        for bad in ({"background": Circle(-50, -50, 3)}, {"pixel_area": "much"}, {"background": "Subset 9"}):
            with pytest.raises(InputError):
                session.aperture_photometry(A, Circle(40, 30, 8), **bad)
        with pytest.raises(InputError, match="No data for aperture photometry"):
            session.aperture_photometry(A, None)
        with pytest.raises(InputError, match="No data for aperture photometry"):
            session.aperture_photometry([], Circle(40, 30, 8))
        with pytest.raises(InputError):
            session.aperture_photometry(A, CirclePixelRegion(PixCoord(1, 1), 2).to_mask())
        assert len(session.get_aperture_photometry_results()) == 1

    def test_many_images_and_regions(self, session):
        session.aperture_photometry(A, Circle(1, 1, 1))
        found = session.aperture_photometry([A, B], [Circle(40, 30, 8), Circle(20, 20, 3)], columns=["id", "sum", "data_label"])
        assert found.colnames == ["id", "sum", "data_label"]
        assert list(found["id"]) == [2, 3, 4, 5]
        assert list(found["data_label"]) == [A, A, B, B]

    def test_settings_one_by_one(self, session):
        session.add_subset(Circle(40, 30, 8))
        found = session.batch_aperture_photometry([
            {"label": A, "subset": "Subset 1"},
            {"label": [A, C], "subset": Circle(40, 30, 8), "background": 1.0},
        ])  # fmt: skip
        assert list(found["id"]) == [1, 2, 3]
        assert [float(value) for value in found["background"]] == [0, 1, 1]

    def test_what_fails_of_a_batch_is_told_and_the_rest_kept(self, session):
        jobs = [
            {"label": A, "subset": Circle(40, 30, 8)},
            {"label": "x", "subset": Circle(1, 1, 1)},
            {"label": C, "subset": Circle(9, 9, 2)},
        ]
        with pytest.raises(InputError, match=r"inputs \[1\] failed and were skipped: 1: data label 'x'"):
            session.batch_aperture_photometry(jobs)
        assert list(session.get_aperture_photometry_results()["data_label"]) == [A, C]

    @pytest.mark.parametrize(
        ("jobs", "match"),
        [
            ({"label": A}, "jobs: must be a list of dicts"),
            ([3], "jobs: must be a list of dicts"),
            ([{"label": A, "subset": 1, "backgruond": 3}], r"jobs\[0\]: 'backgruond': did you mean 'background'"),
            ([{"label": A}], r"jobs\[0\]: must have 'subset'"),
        ],
    )
    def test_wrong_jobs(self, session, jobs, match):
        with pytest.raises(InputError, match=match):
            session.batch_aperture_photometry(jobs)
        assert len(session.results) == 0

    def test_numbers_of_the_reference(self):
        session = QuickLook()
        session.load(gauss4.old(), label="old")
        session.load(gauss4.new(), label="new")
        for label, level in (("old", 5.745596129482831), ("new", 5.802286789188564)):
            table = session.aperture_photometry(label, CirclePixelRegion(PixCoord(150, 25), 7), background=Annulus(7, 10))
            assert float(table["background"][0]) == pytest.approx(level, rel=1e-12)
