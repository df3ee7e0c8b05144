"""A session: labels, links, and that each method is the function of its name on the image of that label."""

from __future__ import annotations

import inspect
import json

import gauss4
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from lookscenes import A, B, C, session_of, star, tan, write
from regions import CirclePixelRegion, CircleSkyRegion, PixCoord

from ezarchive import Archive, DataBrowser
from ezarchive import quicklook as look
from ezarchive.errors import InputError
from ezarchive.quicklook import Annulus, QuickLook
from ezarchive.quicklook.regions.shapes import Circle


@pytest.fixture
def session(tmp_path):
    """See `lookscenes`."""
    return session_of(tmp_path)


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
        assert session.statistics(A).to_dict() == look.statistics(one).to_dict()
        assert session.statistics(A, region).to_dict() == look.statistics(one, region).to_dict()
        assert session.cursor(A, 3, 4).to_dict() == look.cursor(one, 3, 4).to_dict()
        assert session.contours(A, n=3).to_dict() == look.contours(one, n=3).to_dict()
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

    def test_shapes(self, session):
        session.add_subset(Circle(40, 30, 5))
        assert session.shape("Subset 1", B) == Circle(40, 30, 5)
        session.link_data("wcs")
        assert session.shape("Subset 1", B).center == pytest.approx((43, 30), abs=1e-6)
        assert session.shape(CirclePixelRegion(PixCoord(1, 2), 3), A) == Circle(1, 2, 3)

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


@pytest.mark.pure
class TestPlotOptions:
    def test_of_one_and_of_several(self, session):
        assert session.plot_options(A) == look.PlotOptions()
        session.set_plot_options(A, stretch="log", v_max=5.0)
        low, high = session.plot_options(A).percentile
        assert (low, high) == (session.display_limits(A).low, 5.0)
        assert session.mixed_plot_options([A, B]) == ("stretch", "percentile")
        session.set_plot_options([A, B], stretch="sqrt", percentile=99)
        assert session.mixed_plot_options([A, B]) == ()
        assert session.plot_options(C).stretch == "linear"

    def test_nothing_changes_if_one_is_wrong(self, session):
        with pytest.raises(InputError, match="Invalid stretch"):
            session.set_plot_options([A, B], stretch="cubic")
        with pytest.raises(InputError, match="data label 'x'"):
            session.set_plot_options([A, "x"], contrast=2)
        assert session.mixed_plot_options(session.data_labels) == ()
        assert session.plot_options(A) == look.PlotOptions()


ODD = {
    "one pixel": np.ones((1, 1)),
    "one NaN": np.full((1, 1), np.nan),
    "nothing but NaN": np.full((7, 9), np.nan),
    "infinite": np.full((7, 9), np.inf),
    "one row": np.arange(9.0).reshape(1, 9),
    "integers": np.arange(63).reshape(7, 9).astype(np.uint16),
    "truth values": np.eye(9, dtype=bool),
    "huge": 1e30 * np.arange(63.0).reshape(7, 9),
}


@pytest.mark.pure
@pytest.mark.parametrize("name", ODD)
def test_odd_images_give_results_for_json_or_say_what_is_wrong(name):
    session = QuickLook()
    pixels = ODD[name].copy()
    session.load(pixels, label="odd")
    session.add_subset(Circle(0, 0, 2.5))
    session.link_data("wcs")
    questions = {
        "metadata": (), "statistics": ("Subset 1",), "display_limits": (), "preview": (), "contours": (), "compass": (), "cursor": (0, 0),
        "line_profiles": (0, 0), "cut": ((0, 0), (3, 0)), "recenter": ("Subset 1",), "curve_of_growth": ("Subset 1",),
        "radial_profile": ("Subset 1",), "fit_profile": ("Subset 1",), "pixel_area": (),
    }  # fmt: skip
    answered = set()
    for method, arguments in questions.items():
        try:
            found = getattr(session, method)("odd", *arguments)
        except InputError as err:
            assert str(err)
            continue
        assert json.dumps(found.to_dict(), allow_nan=False), method
        answered.add(method)
    assert {"metadata", "statistics", "compass", "cursor", "line_profiles"} <= answered
    session.aperture_photometry("odd", "Subset 1")
    assert json.dumps(session.to_dict(), allow_nan=False)
    np.testing.assert_array_equal(pixels, ODD[name])


@pytest.mark.pure
def test_a_session_as_plain_values(session):
    session.link_data("wcs")
    session.add_subset(Circle(40, 30, 5))
    session.aperture_photometry([A, C], "Subset 1")
    told = json.loads(json.dumps(session.to_dict(), allow_nan=False))
    assert [(one["label"], one["unit"], one["has_wcs"], one["link_type"]) for one in told["images"]] == [
        (A, "Jy", True, "self"), (B, "electron / s", True, "wcs"), (C, "", False, "pixels"),
    ]  # fmt: skip
    assert len(told["photometry"]["rows"]) == 2


def test_frames_of_an_archive(tmp_path):
    (tmp_path / "data").mkdir()
    for k in range(3):
        write(tmp_path / "data" / f"f{k}.fits", star(40 + k, 30), tan(k), **{"DATE-OBS": f"2025-01-0{k + 1}T00:00:00", "EXPTIME": 10.0})
    with Archive.create(tmp_path / "home", roots={"scidata": tmp_path / "data"}) as archive:
        archive.index(progress=False)
        frames = DataBrowser(archive).frames()
        session = QuickLook()
        assert session.load(frames) == ["f0[SCI,1]", "f1[SCI,1]", "f2[SCI,1]"]
        assert session.load(frames[1]) == ["f1[SCI,1] (2)"]
        assert session.load(frames[2], label="last") == ["last"]
        with pytest.raises(InputError, match="label='x': must not be given with several images, found 3"):
            session.load(frames, label="x")
        assert session.metadata("last")["EXPTIME"] == 10
        session.link_data("wcs")
        found = session.aperture_photometry(session.data_labels, session.add_subset(Circle(40, 30, 12)).label)
        np.testing.assert_allclose(found["sum"], 1000, rtol=1e-4)
        np.testing.assert_allclose(found["xcenter"].value, [40, 41, 42, 41, 42], atol=1e-6)


def test_real_images(real_data):
    session = QuickLook()
    nircam = real_data / "nircam" / "jw01324001001-01324-o001_t001_nircam_clear-f200w_i2d_stamp.fits"
    (jwst,), (spitzer,) = session.load(f"{nircam}[SCI,1]"), session.load(real_data / "irac" / "spitzer_example_image.fits")
    assert jwst == f"{nircam.stem}[SCI,1]"
    assert spitzer == "spitzer_example_image[PRIMARY,1]"
    assert session.picture(jwst).unit == session.picture(spitzer).unit == u.MJy / u.sr
    assert session.metadata(jwst)["CRVAL1"] == session.picture(jwst).meta["CRVAL1"]
    assert any("WCS" in line for line in session.metadata(jwst).comments)
    found = session.aperture_photometry([jwst, spitzer], Circle(100, 100, 10), background=Annulus(12, 5))
    assert found["sum"].unit == u.MJy
    assert list(found["id"]) == [1, 2]
