"""`AperturePhotometry` beyond the tutorial: what may be given, what is saved, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table

from ezarchive import AperturePhotometry, Archive, DataBrowser, Image, flags, read_catalog
from ezarchive.errors import FrameError, InputError, MeasurementError, UnknownNameError

PHOT = AperturePhotometry()
QUIET = {"save": False, "verbose": False}


@pytest.fixture
def archive(small_archive, tmp_path):
    with Archive.open(small_archive(tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def images(archive):
    return DataBrowser(archive).where(kind="science").frames().target_images


@pytest.fixture(scope="module")
def stars() -> np.ndarray:
    """Four round stars of flux 20 000 (sigma 2 px) on a sky of 100 +- 2."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:160, :180]
    data = rng.normal(100.0, 2.0, (160, 180))
    for x0, y0 in ((40, 40), (130, 50), (50, 120), (140, 110)):
        data += 20000 / (8 * np.pi) * np.exp(-((x - x0) ** 2 + (y - y0) ** 2) / 8)
    return data.astype("f4")


class TestDetection:
    def test_an_array_needs_neither_wcs_nor_scale(self, stars):
        before = stars.copy()
        found = PHOT.sex_photometry(stars, aperture_diameter_pixel=[10, 24], gain=1.0, **QUIET).data
        assert np.array_equal(stars, before)
        assert len(found) == 4
        assert "FLUX_APER" not in found.colnames  # arcsec and seeing cannot be had; their numbers stay
        assert np.allclose(found["FLUX_APER_6"].value, 20000, rtol=0.01)
        assert np.all(found["PIXSIZE_APER_5"].value == 10)

    def test_apertures_that_cannot_be_had_are_said(self, stars, capsys):
        PHOT.sex_photometry(stars, aperture_diameter_pixel=10, aperture_diameter_seeing=3.5, save=False)
        said = capsys.readouterr().out
        assert "4 sources measured (sex); apertures left out: 5 arcsec, 7 arcsec, 10 arcsec, 3.5 seeing: scale (pixel_scale=)" in said
        PHOT.circular_photometry(stars, 40, 40, aperture_diameter_seeing=None, pixel_scale=0.5, save=False)
        assert "left out" not in capsys.readouterr().out
        with pytest.raises(InputError, match="at least one aperture must be left to measure; apertures left out: 5 arcsec, 7 arcsec"):
            PHOT.circular_photometry(stars, 40, 40, **QUIET)
        with pytest.raises(InputError, match="at least one aperture must be left to measure$"):
            PHOT.circular_photometry(stars, 40, 40, aperture_diameter_arcsec=[], aperture_diameter_seeing=[], **QUIET)

    @pytest.mark.slow
    @pytest.mark.timeout(120)
    def test_photutils_gives_the_same_columns(self, stars):
        same = {"detection_sigma": 5, "aperture_diameter_seeing": [3.5, 4.5], "aperture_diameter_pixel": 12, "gain": 1.0, **QUIET}
        one, two = (found.data for found in (PHOT.sex_photometry(stars, **same), PHOT.photutils_photometry(stars, **same)))
        assert set(one.colnames) <= set(two.colnames)
        places = zip(one["X_IMAGE"], one["Y_IMAGE"], strict=True)
        order = [int(np.argmin(np.hypot(two["X_IMAGE"] - x, two["Y_IMAGE"] - y))) for x, y in places]
        assert np.allclose(one["FLUX_APER_5"].value, two["FLUX_APER_5"].value[order], rtol=0.005)

    def test_keywords_of_sextractor_win_and_wrong_ones_are_named(self, stars):
        params = {"DETECT_THRESH": 50, "phot_apertures": "8,9"}
        found = PHOT.sex_photometry(stars, sex_params=params, **QUIET)
        assert params == {"DETECT_THRESH": 50, "phot_apertures": "8,9"}
        assert np.all(found.data["DETECT_THRESH"] == 50)
        assert found.data["PIXSIZE_APER_6"][0].value == 9
        with pytest.raises(UnknownNameError, match="'DETECT_TRESH': did you mean 'DETECT_THRESH'"):
            PHOT.sex_photometry(stars, sex_params={"DETECT_TRESH": 3}, **QUIET)
        with pytest.raises(InputError, match=r"sex_params BACK_SIZE='wide': must be a whole number"):
            PHOT.sex_photometry(stars, sex_params={"BACK_SIZE": "wide"}, **QUIET)
        with pytest.raises(InputError, match="sex_params=3: must be a mapping"):
            PHOT.sex_photometry(stars, sex_params=3, **QUIET)

    def test_maps_of_every_kind_give_the_same(self, images):
        image = images[0]
        mesh = image.calculate_bkg(verbose=False)
        counts = []
        for background, noise in (
            (mesh, mesh), (mesh.level(), mesh.rms()), (Image(mesh.level().astype(">f4")), Image(mesh.rms())),
        ):  # fmt: skip
            table = PHOT.sex_photometry(image, background, noise, **QUIET).data
            counts.append((len(table), float(table["FLUX_AUTO"].value.sum())))
        assert counts[0][0] == counts[1][0] == counts[2][0] > 5
        assert np.allclose([flux for _, flux in counts], counts[0][1], rtol=1e-4)
        constant = PHOT.sex_photometry(image, float(np.median(mesh.level())), mesh.global_rms, **QUIET).data
        assert np.all(constant["BACKGROUND"] == constant["BACKGROUND"][0])

    def test_maps_of_another_shape_or_frame(self, images):
        one, two = images
        with pytest.raises(InputError, match=r"target_bkg: must have the shape of the image \(200, 220\), found \(3, 3\)"):
            PHOT.sex_photometry(one, np.zeros((3, 3)), **QUIET)
        with pytest.raises(InputError, match=r"target_bkgrms: must be of this frame \(1\), found a map of frame 2"):
            PHOT.circular_photometry(one, 10, 10, target_bkgrms=two.calculate_bkg(verbose=False), **QUIET)
        with pytest.raises(InputError, match=r"target_mask: must be a bool array of shape \(200, 220\)"):
            PHOT.sex_photometry(one, target_mask=np.zeros((200, 221), bool), **QUIET)

    def test_bits_of_a_mask_come_back(self, stars):
        mask = np.zeros(stars.shape, np.int16)
        mask[35:45, 35:45] = 6
        found = PHOT.sex_photometry(stars, target_mask=mask, **QUIET).data
        hit = np.hypot(found["X_IMAGE"].value - 40, found["Y_IMAGE"].value - 40) < 2
        assert found["IMAFLAGS_ISO"][hit].tolist() == [6]
        assert set(found["IMAFLAGS_ISO"][~hit].tolist()) == {0}

    def test_saturation_counts_the_sky(self, stars):
        peak = float(stars.max())
        for level, expected in ((peak - 5, True), (peak + 5, False)):
            found = PHOT.sex_photometry(stars, 100.0, 2.0, saturation_level=level, **QUIET).data
            assert bool(np.any(found["FLAGS"] & flags.value(flags.FLAGS, "SATURATED"))) is expected

    @pytest.mark.parametrize(
        ("pixels", "error"),
        [(np.full((64, 64), np.nan), MeasurementError), (np.full((64, 64), 7.0), MeasurementError), (np.zeros((0, 5)), InputError)],
    )
    def test_images_that_hold_nothing(self, pixels, error):
        with pytest.raises(error):
            PHOT.sex_photometry(pixels, **QUIET)

    @pytest.mark.parametrize("target", [None, 5, ["a.fits"]])
    def test_what_is_no_image(self, target):
        with pytest.raises(InputError, match="target_img: must be an image, the path of one or an array"):
            PHOT.sex_photometry(target, **QUIET)

    def test_a_file_that_is_not_there_or_is_none(self, tmp_path):
        with pytest.raises(InputError, match=r"target_img='.*a.fits': there is no such file"):
            PHOT.sex_photometry(tmp_path / "a.fits", **QUIET)
        (tmp_path / "a.fits").write_text("no image")
        with pytest.raises(FrameError):
            PHOT.sex_photometry(tmp_path / "a.fits", **QUIET)


class TestPositions:
    def test_positions_in_every_form_are_the_same_place(self, images):
        image = images[0]
        ra, dec = image.ra, image.dec
        x, y = image.to_pixel(ra, dec)
        table = Table({"name": ["sn"], "RAJ2000": [ra], "DEJ2000": [dec]})
        given = [(x, y, "pixel"), (ra, dec, "coord"), ([ra], [dec], "coord")]
        given += [(SkyCoord(ra, dec, unit="deg"), None, "pixel"), (table, None, "coord")]
        found = [PHOT.circular_photometry(image, a, b, unit=unit, **QUIET).data for a, b, unit in given]
        assert {round(row["FLUX_APER"][0].value, 6) for row in found} == {round(found[0]["FLUX_APER"][0].value, 6)}
        assert [row["target_id"][0] for row in found] == ["0", "0", "0", "0", "sn"]
        assert PHOT.circular_photometry(image, [x, x], [y, y], ids=[7, "b"], **QUIET).data["target_id"].tolist() == ["7", "b"]

    def test_without_any_sky_a_ring_serves(self, stars):
        found = PHOT.circular_photometry(stars, 40, 40, aperture_diameter_pixel=24, gain=1.0, **QUIET).data
        assert found["FLUX_APER_5"][0].value == pytest.approx(20000, rel=0.01)
        assert found["sky_source"][0] == "annulus"
        assert found["BACKGROUND"][0].value == pytest.approx(100, abs=0.5)
        subtracted = PHOT.circular_photometry(stars - 100, 40, 40, aperture_diameter_pixel=24, target_bkgrms=2.0, gain=1.0, **QUIET).data
        assert subtracted["FLUX_APER_5"][0].value == pytest.approx(20000, rel=0.01)
        flux, error = (subtracted[f"{name}_APER_5"][0].value for name in ("FLUX", "FLUXERR"))
        assert error == pytest.approx(np.sqrt(np.pi * 144 * 4 + flux), rel=1e-6)

    def test_a_mask_leaves_out_and_flags(self, stars):
        mask = np.zeros(stars.shape, bool)
        mask[:, 40:] = True
        options = {"aperture_diameter_pixel": 10, "target_bkg": 100.0, "target_bkgrms": 2.0, **QUIET}
        half = PHOT.circular_photometry(stars, 40, 40, target_mask=mask, **options).data
        whole = PHOT.circular_photometry(stars, 40, 40, **options).data
        assert 0.4 < half["NPIX_APER_5"][0] / whole["NPIX_APER_5"][0] < 0.5
        assert half["NPIX_NOM_APER_5"] == whole["NPIX_NOM_APER_5"]
        assert half["FLAGS_APER_5"][0] & flags.value(flags.FLAGS_APER, "MASKED")

    def test_ellipses(self, stars):
        kw = {"target_bkg": 100.0, "target_bkgrms": 2.0, "axes_unit": "pixel", **QUIET}
        circle = PHOT.elliptical_photometry(stars, [40, 130], [40, 50], 12, 12, 0, **kw).data
        assert np.allclose(circle["FLUX_ELIP"].value, 20000, rtol=0.01)
        with pytest.raises(InputError, match="sma_arr: must be given"):
            PHOT.elliptical_photometry(stars, 40, 40, smi_arr=3, **kw)
        with pytest.raises(InputError, match=r"smi_arr: must be one number or one for each of the 2 positions, found shape \(3,\)"):
            PHOT.elliptical_photometry(stars, [40, 130], [40, 50], 12, [1, 2, 3], 0, **kw)
        with pytest.raises(InputError, match="has no scale, so the semi-axes must be given in pixels"):
            PHOT.elliptical_photometry(stars, 40, 40, 3, 3, **QUIET)

    def test_an_angle_on_the_sky_is_another_than_on_the_pixels(self, images):
        image = images[0]
        kw = {"unit": "coord", "sma_arr": 6, "smi_arr": 2, **QUIET}
        pixel, on_sky = (
            PHOT.elliptical_photometry(image, image.ra, image.dec, theta_arr=30, theta_frame=frame, **kw).data for frame in ("pixel", "sky")
        )
        assert pixel["THETA_IMAGE"][0].value == pytest.approx(30)
        assert on_sky["THETA_SKY"][0].value == pytest.approx(30)
        assert pixel["THETA_SKY"][0].value % 180 == pytest.approx(120, abs=1)  # north up, east left

    @pytest.mark.parametrize(
        ("given", "error", "message"),
        [
            ({"aperture_diameter_pixel": 0}, InputError, "aperture_diameter_pixel=0: must be finite and positive"),
            ({"aperture_diameter_pixel": -3}, InputError, "aperture_diameter_pixel=-3: must be finite and positive"),
            ({"annulus_width_pixel": 3, "annulus_inner_pixel": 2}, InputError, "annulus_inner: the ring must not reach into its aperture"),
            ({"annulus_inner_pixel": 9}, InputError, "annulus_inner: needs an annulus_width"),
            ({"annulus_width_arcsec": 3}, InputError, "annulus_width_arcsec: the image has no scale, so it must be given in pixels"),
            ({"unit": "sky"}, InputError, "unit='sky': must be 'pixel' or 'coord'"),
            ({"unit": "coord"}, InputError, "has no WCS that works, so positions must be given in pixels"),
            ({"apertures": 3}, UnknownNameError, "option 'apertures'"),
            ({"y_arr": None}, InputError, "y_arr: must be given"),
            ({"y_arr": [1, 2]}, InputError, "must be 1-D and of equal length"),
            ({"ids": ["a", "b"]}, InputError, "ids: must be as many as targets"),
        ],
    )
    def test_wrong_arguments(self, stars, given, error, message):
        arguments = {"x_arr": 40, "y_arr": 40, "aperture_diameter_pixel": 10, **QUIET, **given}
        with pytest.raises(error, match=message):
            PHOT.circular_photometry(stars, **arguments)

    def test_positions_off_the_image_stay_in_the_table(self, stars):
        found = PHOT.circular_photometry(stars, [40, -900, np.nan, 179], [40, 3, 3, 159], aperture_diameter_pixel=10, **QUIET).data
        assert len(found) == 4
        assert np.isnan(found["FLUX_APER_5"][1].value)
        assert np.all(np.asarray(found["FLAGS_APER_5"][1:]) & flags.value(flags.FLAGS_APER, "OFF_IMAGE", "OFF_IMAGE_PARTLY"))


class TestSwitches:
    def test_saved_catalogs_are_rows_of_runs(self, archive, images):
        one, two = images
        first = PHOT.sex_photometry(one, verbose=False)
        second = PHOT.sex_photometry(two, verbose=False)
        again = PHOT.sex_photometry(one, verbose=False)
        assert first.run_id == second.run_id != again.run_id
        assert one.catalog.run_id == again.run_id
        assert first.is_saved
        assert read_catalog(first.path).meta["parameters"]["detection_sigma"] == 5
        forced = PHOT.circular_photometry(one, one.ra, one.dec, unit="coord", verbose=False)
        other = PHOT.circular_photometry(one, one.ra, one.dec + 0.001, unit="coord", verbose=False)
        assert len({forced.run_id, other.run_id}) == 2
        rows = archive.sql("SELECT method, count(*) AS n FROM catalogs GROUP BY method ORDER BY method").to_pandas()
        assert rows.to_numpy().tolist() == [["circular", 2], ["sex", 2]]
        assert archive.verify(progress=False).ok

    def test_the_mesh_of_a_saved_catalog_serves_forced_photometry(self, archive, images):
        PHOT.sex_photometry(images[0], verbose=False)
        archive.forced([(images[0].ra, images[0].dec)], [images[0]], workers=1, progress=False)
        found = archive.sql("SELECT path FROM catalogs WHERE method = 'circular'")
        assert read_catalog(archive.home / next(iter(found)).path)["sky_source"][0] == "mesh"

    def test_a_plain_image_has_nowhere_to_save(self, stars):
        for switch in ("save", "save_fig"):
            with pytest.raises(InputError, match=f"{switch}=True: must be False for an image that belongs to no archive"):
                PHOT.sex_photometry(stars, **{**QUIET, switch: True})

    def test_lines_and_figures(self, archive, images, capsys):
        PHOT.sex_photometry(images[0], save=False, save_fig=True)
        assert "sources measured (sex)" in capsys.readouterr().out
        PHOT.circular_photometry(images[0], 100, 90, save=False, save_fig=True, verbose=False)
        assert capsys.readouterr().out == ""
        assert sorted(path.name.split(".")[-2] for path in (archive.home / "figures").iterdir()) == ["circular", "sex"]

    def test_run_photometry_asks_the_settings(self, archive, images, stars, monkeypatch):
        assert PHOT.run_photometry(images[0], **QUIET).method == "sex"
        assert PHOT.run_photometry(stars, method="circular", x_arr=40, y_arr=40, aperture_diameter_pixel=10, **QUIET).method == "circular"
        found = PHOT.run_photometry(stars, method="elliptical", x_arr=40, y_arr=40, sma_arr=5, smi_arr=5, axes_unit="pixel", **QUIET)
        assert found.method == "elliptical"
        with pytest.raises(InputError, match="method='psf': must be one of sex, photutils, circular, elliptical"):
            PHOT.run_photometry(stars, method="psf", **QUIET)
        with pytest.raises(InputError, match="sex_params=.*: must be left out, for circular has no use for it"):
            PHOT.run_photometry(stars, method="circular", x_arr=40, y_arr=40, sex_params={"FILTER": "N"}, **QUIET)
        toml = archive.home / "ezarchive.toml"
        toml.write_text(toml.read_text() + '\n[measure]\nmethod = "photutils"\n')
        with Archive.open(archive.home) as reopened:
            image = DataBrowser(reopened).where(kind="science").frames().target_images[0]
            called = []
            monkeypatch.setattr(AperturePhotometry, "photutils_photometry", lambda self, *a, **k: called.append(k))
            PHOT.run_photometry(image, **QUIET)
        assert called


def test_a_big_endian_or_integer_file_is_read_as_numbers(tmp_path, stars):
    found = []
    for name, pixels in (("f", stars), ("d", stars.astype("f8")), ("u", stars.astype("u2"))):
        fits.writeto(tmp_path / f"{name}.fits", pixels)
        table = PHOT.sex_photometry(tmp_path / f"{name}.fits", aperture_diameter_pixel=12, **QUIET).data
        found.append(np.sort(table["FLUX_APER_5"].value))
    assert np.allclose(found[0], found[1], rtol=1e-6)
    assert np.allclose(found[0], found[2], rtol=0.01)


def test_a_plain_image_knows_what_its_header_tells(tmp_path, stars):
    header = fits.Header({"TELESCOP": "7DT01", "INSTRUME": "C361K", "EGAIN": 0.25, "SATURATE": 9000.0, "SEEING": 2.5})
    fits.writeto(tmp_path / "known.fits", stars, header)
    image = Image(tmp_path / "known.fits")
    assert (image.frame, image.gain, image.saturation, image.seeing) == (None, 0.25, 9000.0, 2.5)
    assert Image(stars).gain is None
    assert Image(stars, header=header).gain == 0.25
    for found in (
        PHOT.sex_photometry(image, aperture_diameter_pixel=20, **QUIET).data,
        PHOT.circular_photometry(image, 40, 40, aperture_diameter_pixel=20, **QUIET).data,
    ):
        number = "_5"  # after three in arcsec and two in seeings
        flux, error = (found[f"{name}{number}"].value for name in ("FLUX_APER", "FLUXERR_APER"))
        assert np.all(error**2 >= flux / 0.25)
        assert not np.any(found[f"FLAGS_APER{number}"] & 128)  # NO_GAIN
