"""Aperture photometry: the numbers of the reference viewer, its traps with the right answers, batches, and what is refused."""

from __future__ import annotations

import json

import gauss4
import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import NDData, StdDevUncertainty
from astropy.stats import biweight_location, biweight_midvariance, mad_std
from astropy.time import Time
from astropy.wcs import WCS
from photutils.aperture import ApertureStats, CircularAperture
from photutils.datasets import make_100gaussians_image
from regions import CirclePixelRegion, PixCoord, Regions

from ezarchive.errors import FrameError, InputError
from ezarchive.flags import FLAGS_LOOK, decode
from ezarchive.quicklook import Annulus, PhotometryResults, aperture_photometry
from ezarchive.quicklook.regions.regionkinds import to_region
from ezarchive.quicklook.regions.shapes import Circle, Ellipse, Polygon, Rectangle

REFERENCE = (
    "id xcentroid ycentroid sky_centroid background sum sum_aper_area pixarea_tot aperture_sum_counts aperture_sum_counts_err counts_fac "
    "aperture_sum_mag flux_scaling min max mean median mode std mad_std var biweight_midvariance biweight_location fwhm semimajor_sigma "
    "semiminor_sigma orientation eccentricity data_label subset_label timestamp"
).split()
LEGACY = (
    "id xcenter ycenter sky_center background npix aperture_sum pixarea_tot aperture_sum_counts aperture_sum_counts_err counts_fac "
    "aperture_sum_mag flux_scaling mean stddev median min max data_label subset_label timestamp"
).split()
ARCSEC2 = 2.350443053909789e-11
ONES = np.ones((30, 40))
CIRCLE = Circle(20, 15, 5)


def tan(scale=0.5, crpix=(20.0, 15.0), angle=0.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [10.0, -20.0], crpix
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    wcs.wcs.cd = scale / 3600 * np.array([[-c, s], [s, c]])
    return wcs


def flags(table):
    return [decode(one, FLAGS_LOOK) for one in table["flags"]]


def one(image, region, **options):
    return aperture_photometry(image, region, **options)[0]


@pytest.fixture(scope="module")
def case():
    """Pixels, region, their exact weights, and the row."""
    data = gauss4.new()
    data[27, 152] = np.nan
    shape = Circle(150.3, 25.2, 6.4)
    table = aperture_photometry(
        data, shape, background=5.5, unit="MJy/sr", pixel_area=0.01, counts_factor=0.25, flux_scaling=0.003631, wcs=tan()
    )
    return data, shape, CircularAperture((150.3, 25.2), 6.4), table


@pytest.fixture(scope="module")
def hundred():
    """The hundred Gaussians as the reference keeps them: single precision, noise of the legacy generator."""
    clean = make_100gaussians_image(noise=False)
    return (clean + np.random.RandomState(12345).normal(0, 2, clean.shape)).astype(np.float32)  # noqa: NPY002


class TestDefinitions:
    """Each column from its formula, on an image of noise about a star."""

    def test_sums(self, case):
        data, _, aperture, table = case
        row = table[0]
        weights = aperture.to_mask(method="exact").to_image(data.shape)
        finite = np.isfinite(data)
        raw = np.sum((weights * (np.nan_to_num(data) - 5.5))[finite])
        area = weights[finite].sum()
        assert row["sum_aper_area"].to_value("pix2") == pytest.approx(area, rel=1e-12)
        assert row["sum_raw"].to_value("MJy/sr") == pytest.approx(raw, rel=1e-12)
        assert row["pixarea_tot"].to_value("sr") == pytest.approx(0.01 * ARCSEC2, rel=1e-15)
        assert row["sum"].to_value("MJy") == pytest.approx(raw * 0.01 * ARCSEC2, rel=1e-12)
        assert row["aperture_sum_counts"].to_value("ct") == pytest.approx(raw / 0.25, rel=1e-12)
        assert row["aperture_sum_counts_err"].to_value("ct") == pytest.approx(np.sqrt(raw / 0.25), rel=1e-12)
        assert row["counts_fac"] == 0.25 * u.MJy / u.sr / u.ct
        assert row["aperture_sum_mag"].to_value("mag") == pytest.approx(-2.5 * np.log10(raw / 0.003631), rel=1e-12)
        assert row["sum_mag"].to_value("mag") == pytest.approx(-2.5 * np.log10(row["sum"].value / 0.003631), rel=1e-12)
        assert row["sum_mag"].value == pytest.approx(-2.5 * np.log10(row["sum"].to_value("MJy")) - 6.0999, abs=1e-4)
        assert row["ab_mag"].value == pytest.approx(row["sum"].to(u.ABmag).value, abs=3e-4)
        assert (row["n_bad"], row["pixarea_rule"], row["unit"], row["sum_unit"]) == (1, "user", "MJy / sr", "MJy")
        assert flags(table) == [("NOT_FINITE",)]

    def test_statistics(self, case):
        data, shape, aperture, table = case
        row = table[0]
        y, x = np.nonzero(shape.contains(*np.meshgrid(np.arange(200), np.arange(100))) & np.isfinite(data))
        values = data[y, x] - 5.5
        wanted = {
            "min": values.min(), "max": values.max(), "mean": values.mean(), "median": np.median(values), "std": values.std(),
            "mode": 3 * np.median(values) - 2 * values.mean(), "var": values.var(), "mad_std": mad_std(values),
            "biweight_location": biweight_location(values), "biweight_midvariance": biweight_midvariance(values),
            "xcentroid": np.sum(values * x) / values.sum(), "ycentroid": np.sum(values * y) / values.sum(),
        }  # fmt: skip
        for name, value in wanted.items():
            assert row[name].value == pytest.approx(value, rel=1e-10), name
        stats = ApertureStats(data, aperture, local_bkg=5.5)
        for name, theirs in (("fwhm", "fwhm"), ("semimajor_sigma", "semimajor_axis"), ("eccentricity", "eccentricity")):
            theirs = getattr(stats, theirs, None) if hasattr(stats, theirs) else getattr(stats, name)
            assert u.Quantity(row[name]).value == pytest.approx(u.Quantity(theirs).value, rel=1e-9), name
        assert row["orientation"].to_value("deg") == pytest.approx(stats.orientation.to_value("deg"), abs=1e-7)
        assert row["n_pixels"] == len(values)

    def test_units_and_places(self, case):
        table = case[3]
        units = {"background": "MJy/sr", "var": "MJy2/sr2", "biweight_midvariance": "MJy2/sr2", "fwhm": "pix", "orientation": "deg"}
        for name, unit in (units | {"flux_scaling": "MJy", "flux_scaling_raw": "MJy/sr", "sum_err": "MJy", "xcenter": "pix"}).items():
            assert table[name].unit == u.Unit(unit), name
        assert (table["xcenter"].value[0], table["ycenter"].value[0]) == (150.3, 25.2)
        for which in ("center", "centroid"):
            place = tan().pixel_to_world(table[f"x{which}"].value, table[f"y{which}"].value)
            assert table[f"sky_{which}"].separation(place).max() < 1e-9 * u.deg
        assert isinstance(table["timestamp"], Time)
        assert abs(table["timestamp"] - Time.now()).max() < 1 * u.hour


@pytest.mark.truth
def test_an_aperture_that_cuts_the_wings_makes_the_moments_small():
    y, x = np.mgrid[:101, :101]
    star = np.exp(-((x - 50) ** 2 + (y - 50) ** 2) / 18)
    table = aperture_photometry(star, [Circle(50, 50, radius) for radius in (7, 10, 14)])
    np.testing.assert_allclose(table["fwhm"].value, [6.265, 6.977, 7.064], atol=5e-4)


def test_columns_of_the_reference_come_first():
    table = aperture_photometry(ONES, CIRCLE)
    assert table.colnames[: len(REFERENCE)] == REFERENCE
    assert isinstance(table["sky_center"], SkyCoord)
    assert np.isnan(table["sky_center"].ra.deg).all()
    assert np.isnan(table["aperture_sum_counts"].value).all()


def test_the_columns_of_the_oldest_manual():
    table = aperture_photometry(ONES, Ellipse(20, 15, 3, 3), columns="legacy", background=0.25, unit="MJy/sr", pixel_area=0.01, wcs=tan())
    assert table.colnames == LEGACY
    row = table[0]
    # With right numbers: one pixel's area, whole radii.
    assert row["npix"].to_value("pix2") == pytest.approx(28.274333882308138, rel=1e-12)
    assert row["aperture_sum"].to_value("MJy") == pytest.approx(0.75 * 28.274333882308138 * 0.01 * ARCSEC2, rel=1e-12)
    assert table["stddev"].unit == u.MJy / u.sr
    assert aperture_photometry(ONES, CIRCLE, columns=["sum", "fwhm"]).colnames == ["sum", "fwhm"]
    with pytest.raises(InputError, match="columns: 5 is none; must be 'all', 'legacy' or some of id, xcentroid"):
        aperture_photometry(ONES, CIRCLE, columns=5)
    with pytest.raises(InputError, match="columns: 'flux' is none; must be 'all', 'legacy' or some of id, xcentroid"):
        aperture_photometry(ONES, CIRCLE, columns=["flux"])


class TestStatementsOfTheManuals:
    """Three that must not be taken literally."""

    def test_one_pixel_area_not_the_apertures(self):
        row = one(ONES, CIRCLE, unit="MJy/sr", pixel_area=1.0)
        assert row["sum"].to_value("MJy") == pytest.approx(25 * np.pi * ARCSEC2, rel=1e-12)

    def test_a_pixel_that_is_not_finite_adds_neither_flux_nor_area(self):
        data = ONES.copy()
        data[15, 20], data[15, 21] = np.nan, np.inf
        row = one(data, CIRCLE, background=-1.0)
        assert row["sum_aper_area"].value == pytest.approx(25 * np.pi - 2, rel=1e-12)
        assert row["sum"] == pytest.approx(2 * (25 * np.pi - 2), rel=1e-12)
        assert (row["n_bad"], row["area_bad"].value, row["mean"]) == (2, 2.0, 2.0)

    def test_both_magnitudes_have_names_of_their_own(self):
        row = one(ONES, CIRCLE, unit="MJy/sr", pixel_area=0.01, flux_scaling=0.003631)
        raw = 25 * np.pi
        assert row["aperture_sum_mag"].value == pytest.approx(-2.5 * np.log10(raw / 0.003631), abs=1e-12)
        assert row["sum_mag"].value == pytest.approx(-2.5 * np.log10(raw * 0.01 * ARCSEC2 / 0.003631), abs=1e-12)


class TestTraps:
    @pytest.mark.parametrize("scale", [1.0, 1e-300, 1e200, 1e300])
    @pytest.mark.parametrize("factor", [1e-320, 1e-20, 1e300])
    def test_numbers_near_the_ends_of_the_range(self, scale, factor):
        image = scale * np.random.default_rng(0).normal(1, 0.1, (30, 30))
        for error in (None, 1e200, 1e-200):
            options = {"background": Annulus(5, 4), "counts_factor": factor, "flux_scaling": factor, "error": error}
            table = aperture_photometry(image, Circle(10, 10, 4), unit="Jy", **options)
            plain = aperture_photometry(image / scale, Circle(10, 10, 4), unit="Jy", background=Annulus(5, 4))
            assert table["sum"][0].value == pytest.approx(scale * plain["sum"][0].value, rel=1e-9)
            json.dumps(PhotometryResults(table).to_dict(), allow_nan=False)

    @pytest.mark.parametrize("factor", [7.9e-20, 3.631e-23, 1e-20])
    def test_tiny_factors_count_as_set(self, factor):
        row = one(ONES, CIRCLE, unit="erg/(s cm2 Angstrom)", counts_factor=factor, flux_scaling=factor)
        assert row["aperture_sum_counts"].value == pytest.approx(25 * np.pi / factor, rel=1e-12)
        assert row["counts_fac"].value == factor
        assert row["flux_scaling"].value == factor
        for name in ("aperture_sum_mag", "sum_mag"):
            assert row[name].value == pytest.approx(-2.5 * np.log10(25 * np.pi / factor), rel=1e-12)

    def test_a_quantity_of_another_unit_is_the_same_zero_point(self):
        jansky = one(ONES, CIRCLE, unit="Jy", flux_scaling=3631)
        watt = one(ONES, CIRCLE, unit="Jy", flux_scaling=3.631e-23 * u.W / u.m**2 / u.Hz)
        named = one(ONES, CIRCLE, unit="Jy", flux_scaling="ab")
        assert jansky["sum_mag"].value == pytest.approx(watt["sum_mag"].value, abs=1e-12)
        assert named["sum_mag"] == jansky["sum_mag"] == jansky["ab_mag"]
        assert np.isnan(one(ONES, CIRCLE, unit="electron/s")["ab_mag"].value)

    def test_an_aperture_without_a_pixel_centre(self):
        table = aperture_photometry(2 * ONES, Circle(20.5, 15.5, 0.4))
        row = table[0]
        assert row["sum"] == pytest.approx(2 * np.pi * 0.16, rel=1e-12)
        assert row["sum_aper_area"].value == pytest.approx(np.pi * 0.16, rel=1e-12)
        assert np.isnan([row["mean"], row["xcentroid"].value]).all()
        assert (row["n_pixels"], flags(table)) == (0, [("NO_CENTRE",)])

    def test_the_centroid_over_the_left_and_lower_edges(self):
        data = gauss4.new()
        table = aperture_photometry(data, [Circle(2.3, 97.6, 6), Circle(3, -2, 5)])
        y, x = np.mgrid[:100, :200]
        for row, shape in zip(table, (Circle(2.3, 97.6, 6), Circle(3, -2, 5)), strict=True):
            inside = shape.contains(x, y)
            assert row["xcentroid"].value == pytest.approx(np.sum((data * x)[inside]) / data[inside].sum(), rel=1e-11)
            assert row["ycentroid"].value == pytest.approx(np.sum((data * y)[inside]) / data[inside].sum(), rel=1e-11)
        assert table["xcentroid"].value[0] == pytest.approx(3.609, abs=5e-4)
        assert flags(table) == [("OFF_IMAGE_PARTLY",)] * 2
        assert 0 < table["on_image"][0] < 1

    def test_an_aperture_off_the_image_is_a_row_with_a_flag(self):
        table = aperture_photometry(ONES, Circle(-50, 15, 5), background=1)
        assert flags(table) == [("OFF_IMAGE", "NO_CENTRE")]
        assert np.isnan(table["sum"][0])
        assert (table["sum_aper_area"].value[0], table["on_image"][0], table["n_pixels"][0]) == (0, 0, 0)

    def test_a_negative_sum_has_no_magnitude_but_a_flag(self):
        table = aperture_photometry(-ONES, CIRCLE, unit="Jy", flux_scaling=3631, counts_factor=2.0)
        assert flags(table) == [("NON_POSITIVE",)]
        row = table[0]
        assert row["aperture_sum_counts"].value == pytest.approx(-12.5 * np.pi)
        assert np.isnan([row[name].value for name in ("aperture_sum_mag", "sum_mag", "ab_mag", "aperture_sum_counts_err")]).all()

    def test_a_negative_zero_point_counts_as_set(self):
        table = aperture_photometry(ONES, CIRCLE, unit="Jy", flux_scaling=-1.0)
        assert table["flux_scaling"].value[0] == -1
        assert flags(table) == [("NON_POSITIVE",)]

    @pytest.mark.parametrize("unit", [None, "", "ct"])
    def test_a_factor_that_cannot_be_used_is_flagged(self, unit):
        table = aperture_photometry(ONES, CIRCLE, unit=unit, counts_factor=2.0)
        assert flags(table) == [("FACTOR_UNUSED",)]
        assert np.isnan(table["aperture_sum_counts"].value[0])

    def test_data_without_unit_are_not_converted(self):
        table = aperture_photometry(ONES, CIRCLE, flux_scaling=5.0, pixel_area=0.1)
        assert flags(table) == [("FACTOR_UNUSED",)]
        assert table["sum"][0] == pytest.approx(25 * np.pi)
        assert np.isnan([table["sum_mag"].value[0], table["flux_scaling"][0], table["pixarea_tot"].value[0]]).all()

    def test_the_pixel_area_of_the_header(self):
        header = {"TELESCOP": "JWST", "PIXAR_A2": 0.00395, "PIXAR_SR": 9.3e-14, "BUNIT": "MJy/sr"}
        row = one(ONES, CIRCLE, header=header)
        assert (row["pixarea_rule"], row["pixarea_tot"].value) == ("PIXAR_SR", pytest.approx(9.3e-14, rel=1e-14))
        flux = 25 * np.pi * 9.3e-14
        assert row["sum"].to_value("MJy") == pytest.approx(flux, rel=1e-12)
        assert row["ab_mag"].value == pytest.approx(-2.5 * np.log10(flux) - 6.0999, abs=1e-4)
        assert one(ONES, CIRCLE, header=header, pixel_area=0.5)["pixarea_rule"] == "user"
        off = aperture_photometry(ONES, CIRCLE, header=header, pixel_area="off")
        assert off["sum"].unit == u.MJy / u.sr
        assert flags(off) == [("NO_PIXEL_AREA",)]

    def test_per_square_arcsec_is_per_solid_angle_too(self):
        row = one(ONES, CIRCLE, unit="mJy/arcsec2", pixel_area=0.01)
        assert row["sum"].to_value("mJy") == pytest.approx(0.25 * np.pi, rel=1e-12)
        assert row["pixarea_tot"].to_value("sr") == pytest.approx(0.01 * ARCSEC2, rel=1e-12)

    def test_without_an_area_the_sum_stays_per_angle(self):
        table = aperture_photometry(ONES, CIRCLE, unit="MJy/sr")
        assert flags(table) == [("NO_PIXEL_AREA",)]
        assert (table["sum_unit"][0], table["pixarea_rule"][0]) == ("MJy / sr", "")
        assert np.isnan(table["ab_mag"].value[0])

    def test_the_wcs_gives_the_area_where_the_source_is(self):
        row = one(ONES, CIRCLE, unit="MJy/sr", wcs=tan(0.5))
        assert row["pixarea_rule"] == "WCS"
        assert row["pixarea_tot"].value == pytest.approx(0.25 * ARCSEC2, rel=1e-6)


class TestBad:
    def test_nothing_finite(self):
        for shape in (ONES.shape, (1, 1)):
            table = aperture_photometry(np.full(shape, np.nan), Circle(0, 0, 2), background=1)
            assert np.isnan([table["sum"][0], table["mean"][0], table["fwhm"].value[0]]).all()
            assert flags(table) == [("OFF_IMAGE_PARTLY", "NOT_FINITE", "NO_CENTRE")]

    def test_one_pixel(self):
        row = one(np.full((1, 1), 3.0), Circle(0, 0, 4), background=1)
        assert (row["sum"], row["sum_aper_area"].value, row["mean"], row["xcentroid"].value) == (2, 1, 2, 0)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"background": "x"}, "background: missing or invalid value 'x'"),
            ({"background": None}, "background: missing or invalid value None"),
            ({"counts_factor": -1}, "counts_factor: cannot be negative but got -1"),
            ({"counts_factor": 0}, "counts_factor=0: is a number, and not 'off'"),
            ({"counts_factor": "x"}, "counts_factor: missing or invalid value 'x'"),
            ({"flux_scaling": 0}, "flux_scaling=0: is a number, and not 'off'"),
            ({"flux_scaling": 1 * u.m}, "flux_scaling=1.0 m: its unit conflicts"),
            ({"pixel_area": 0, "unit": "MJy/sr"}, "pixel_area=0.0: must be above 0"),
            ({"pixel_area": "x"}, "pixel_area: missing or invalid value 'x'"),
            ({"unit": "floops"}, "unit='floops': must be a unit"),
            ({"background": 1 * u.Jy, "unit": "MJy/sr"}, "background: its unit 'Jy' conflicts"),
            ({"background": Circle(-50, 0, 2)}, "background: the region holds no finite pixel"),
            ({"background": Annulus(500, 2)}, "background: the annulus holds no finite pixel"),
            ({"region_label": ["a", "b"]}, "region_label: must be a text, or a list of 1 texts"),
            ({"error": np.ones(3)}, "error: must have the shape of the image"),
        ],
    )
    def test_arguments(self, options, message):
        with pytest.raises(InputError, match=message):
            aperture_photometry(ONES, CIRCLE, **options)

    def test_nothing_to_measure(self, tmp_path):
        with pytest.raises(InputError, match="No data for aperture photometry: region must hold one"):
            aperture_photometry(ONES, [])
        with pytest.raises(InputError, match="No data for aperture photometry: image must hold one"):
            aperture_photometry([], CIRCLE)
        with pytest.raises(InputError, match="No data for aperture photometry: region must be given"):
            aperture_photometry(ONES, None)
        with pytest.raises(FrameError, match=r"gone.fits"):
            aperture_photometry(tmp_path / "gone.fits", CIRCLE)
        with pytest.raises(InputError, match="WCS"):
            aperture_photometry(ONES, to_region(CIRCLE, tan()))

    def test_arguments_are_wrong_in_a_batch_too(self):
        with pytest.raises(InputError, match="counts_factor: cannot be negative"):
            aperture_photometry([ONES], [CIRCLE], counts_factor=-1)

    def test_nothing_is_changed(self):
        data, mask = ONES.copy(), np.zeros(ONES.shape, bool)
        data[15, 20], mask[3, 3] = np.nan, True
        data.flags.writeable = mask.flags.writeable = False
        aperture_photometry(data, CIRCLE, mask=mask, background=Annulus(6, 3), error=mask + 1.0)


class TestErrors:
    def test_an_error_map(self):
        error = np.full(ONES.shape, 0.5)
        row = one(ONES, CIRCLE, error=error)
        assert row["sum_err"] == pytest.approx(np.sqrt(0.25 * 25 * np.pi), rel=1e-12)
        assert row["err_source"] == "map"
        own = one(NDData(ONES, uncertainty=StdDevUncertainty(error)), CIRCLE)
        assert own["sum_err"] == row["sum_err"]

    def test_a_measured_background(self):
        data = gauss4.new()
        for method, wider in (("mean", 1.0), ("median", np.pi / 2)):
            row = one(data, Circle(150, 25, 7), background=Annulus(12, 8), background_method=method)
            area, n, std = row["sum_aper_area"].value, row["n_background"], row["background_std"]
            assert row["sum_err"] == pytest.approx(np.sqrt(std**2 * area * (1 + wider * area / n)), rel=1e-12)
            assert row["background_err"] == pytest.approx(np.sqrt(wider) * std / np.sqrt(n), rel=1e-14)
        assert row["err_source"] == "background"
        both = one(data, Circle(150, 25, 7), background=Annulus(12, 8), error=2.0)
        assert both["sum_err"] == pytest.approx(np.sqrt(4 * area + wider * (area * std) ** 2 / n), rel=1e-12)
        assert both["err_source"] == "map+background"

    def test_counts(self):
        row = one(ONES, CIRCLE, unit="MJy/sr", pixel_area=0.01, counts_factor=0.1)
        assert row["err_source"] == "poisson"
        assert row["sum_err"].value / row["sum"].value == pytest.approx(1 / np.sqrt(250 * np.pi), rel=1e-12)
        assert np.isnan(one(ONES, CIRCLE)["sum_err"])
        assert one(ONES, CIRCLE)["err_source"] == "none"

    def test_magnitudes(self):
        row = one(ONES, CIRCLE, unit="MJy/sr", pixel_area=0.01, flux_scaling=1.0, error=0.5)
        wanted = 2.5 / np.log(10) * row["sum_err"].value / row["sum"].value
        for name in ("aperture_sum_mag_err", "sum_mag_err", "ab_mag_err"):
            assert row[name].value == pytest.approx(wanted, rel=1e-12)

    @pytest.mark.truth
    def test_errors_are_true(self):
        """Stars of known flux in Poisson noise over a sky: pulls of 1, no bias."""
        rng = np.random.default_rng(5)
        y, x = np.mgrid[:800, :800]
        centres = [(cx + 0.3, cy - 0.2) for cx in range(40, 800, 40) for cy in range(40, 800, 40)]
        truth = np.full(x.shape, 100.0)
        for cx, cy in centres:
            part = (slice(int(cy) - 18, int(cy) + 19), slice(int(cx) - 18, int(cx) + 19))
            truth[part] += 5000 / (2 * np.pi * 4) * np.exp(-((x[part] - cx) ** 2 + (y[part] - cy) ** 2) / 8)
        counts = rng.poisson(truth)
        shapes = [Circle(cx, cy, 8) for cx, cy in centres]
        table = aperture_photometry(
            counts * 0.5, shapes, unit="electron/s", counts_factor=0.5, background=Annulus(10, 8), background_method="mean"
        )
        inside = 1 - np.exp(-64 / 8)
        pull = (table["sum"].value - 2500 * inside) / table["sum_err"].value
        assert abs(pull.mean()) < 3 / np.sqrt(len(pull))
        assert pull.std() == pytest.approx(1, abs=3 / np.sqrt(2 * len(pull)))

    @pytest.mark.truth
    @pytest.mark.parametrize("method", ["median", "mean"])
    def test_errors_with_either_background_are_true(self, method):
        """Empty sky with normal noise (the median of whole counts is not their mean) and a ring smaller than the aperture."""
        data = np.random.default_rng(6).normal(100.0, 3.0, (1000, 1000))
        shapes = [Circle(x + 0.3, y - 0.2, 8) for x in range(20, 990, 25) for y in range(20, 990, 25)]
        table = aperture_photometry(data, shapes, background=Annulus(8.5, 2.5), background_method=method)
        pull = np.asarray(table["sum"] / table["sum_err"])
        assert abs(pull.mean()) < 3 / np.sqrt(len(pull))
        assert pull.std() == pytest.approx(1, abs=3 / np.sqrt(2 * len(pull)))


class TestMasks:
    def test_masked_pixels_are_left_out_and_flagged(self):
        mask = np.zeros(ONES.shape, bool)
        mask[15, 18:21] = True
        data = ONES + 1e6 * mask
        for image, given in ((data, mask), (NDData(data, mask=mask), None), (np.ma.array(data, mask=mask), None)):
            table = aperture_photometry(image, CIRCLE, mask=given)
            assert table["sum"][0] == pytest.approx(25 * np.pi - 3, rel=1e-12)
            assert (table["n_bad"][0], table["area_bad"].value[0], table["max"][0]) == (3, 3, 1)
            assert flags(table) == [("MASKED",)]
        data[15, 19], data[16, 20] = np.nan, np.nan
        assert flags(aperture_photometry(data, CIRCLE, mask=mask)) == [("MASKED", "NOT_FINITE")]

    def test_other_sources_are_left_out_of_the_background_only(self):
        data = ONES.copy()
        data[10:20, 27:34] = 50
        row = one(data, CIRCLE, background=Annulus(6, 8), background_method="mean", background_mask=data > 10)
        assert (row["background"], row["sum"]) == (1, pytest.approx(0, abs=1e-12))

    def test_planes_of_the_file(self, tmp_path):
        quality = np.zeros(ONES.shape, np.int16)
        quality[15, 20] = 1
        units = [fits.PrimaryHDU(), fits.ImageHDU(ONES, fits.Header({"BUNIT": "ELECTRONS/S"}), name="SCI")]
        units += [fits.ImageHDU(np.full(ONES.shape, 0.3), name="ERR"), fits.ImageHDU(quality, name="DQ")]
        path = tmp_path / "frame.fits"
        fits.HDUList(units).writeto(path)
        row = one(path, CIRCLE, error="file", mask="file")
        assert row["sum"].to_value("electron/s") == pytest.approx(25 * np.pi - 1, rel=1e-12)
        assert row["sum_err"].value == pytest.approx(np.sqrt(np.float32(0.3) ** 2 * (25 * np.pi - 1)), rel=1e-6)
        assert (row["data_label"], row["file"], row["hdu"]) == ("frame[SCI,1]", str(path), 1)


@pytest.mark.oracle
class TestSeveralImages:
    """Regions on the sky, on images of other scales and orientations."""

    SHAPES = (
        Circle(145.1, 168.3, 5),
        Circle(48.3, 200.3, 5),
        Ellipse(84.7, 224.1, 11.5, 4.5, np.degrees(2.356)),
        Rectangle(229, 152, 17, 7),
    )
    WANTED = (738.8803424408962, 857.5194857987592, 472.17364321556005, 837.0023608207703)

    def test_in_pixels(self, hundred):
        table = aperture_photometry(hundred, list(self.SHAPES), background=5)
        np.testing.assert_allclose(table["sum"], self.WANTED, rtol=0, atol=4e-12)

    def test_on_the_sky(self, hundred):
        wcs = tan(0.1, (250.0, 150.0), 30.0)
        regions = [to_region(shape, wcs) for shape in self.SHAPES]
        table = aperture_photometry(hundred, regions, background=5, wcs=wcs)
        np.testing.assert_allclose(table["sum"], self.WANTED, rtol=2e-7)

    def test_of_other_scale_and_orientation(self, hundred):
        wcs, half = tan(0.1, (250.0, 150.0)), tan(0.2, (125.25, 75.25))
        turned = WCS(naxis=2)
        turned.wcs.ctype, turned.wcs.crval = ["RA---TAN", "DEC--TAN"], [10.0, -20.0]
        turned.wcs.crpix, turned.wcs.cd = [250.5 - 125.25 + 0.5, 75.25], half.wcs.cd * [-1, 1]
        binned = hundred.astype(float).reshape(150, 2, 250, 2).sum(axis=(1, 3))
        images = [NDData(hundred, wcs=wcs), NDData(binned, wcs=half), NDData(binned[:, ::-1], wcs=turned)]
        regions = [to_region(shape, wcs) for shape in self.SHAPES]
        sums = [
            np.array(aperture_photometry(one, regions, background=level)["sum"]) for one, level in zip(images, (5, 20, 20), strict=True)
        ]
        np.testing.assert_allclose(sums[0], self.WANTED, rtol=2e-7)
        # Binning smears the edges of an aperture; mirroring the pixels then changes nothing.
        np.testing.assert_allclose(sums[1], self.WANTED, rtol=0.1)
        np.testing.assert_allclose(sums[2], sums[1], rtol=1e-6)


class TestBatches:
    def test_many_are_each_as_one_alone(self):
        rng = np.random.default_rng(3)
        images = [rng.normal(5, 1, (60, 80)), rng.normal(5, 1, (50, 90)) + 3]
        shapes = [Circle(30, 20, 4.5), Ellipse(12, 40, 7, 3, 30), Rectangle(78, 45, 8, 5, 20), Polygon([(1, 1), (9, 2), (4, 8)])]
        options = {"background": Annulus(8, 5), "unit": "MJy/sr", "pixel_area": 0.02, "flux_scaling": 1.0, "error": 0.7}
        table = aperture_photometry(images, shapes, **options)
        assert table["id"].tolist() == list(range(1, 9))
        assert table["subset_label"].tolist() == ["Subset 1", "Subset 2", "Subset 3", "Subset 4"] * 2
        alone = [aperture_photometry(image, shape, **options) for image in images for shape in shapes]
        for name in table.colnames:
            if not isinstance(table[name], (SkyCoord, Time)) and table[name].dtype.kind in "fi" and name not in ("id", "row"):
                wanted = np.array([u.Quantity(other[name]).value[0] for other in alone])
                np.testing.assert_allclose(u.Quantity(table[name]).value, wanted, rtol=1e-10, err_msg=name)

    def test_failures_are_rows(self, tmp_path):
        sky, pixel = to_region(CIRCLE, tan()), CirclePixelRegion(PixCoord(20, 15), 5)
        table = aperture_photometry([NDData(ONES, wcs=tan()), ONES, tmp_path / "gone.fits"], [sky, pixel])
        failed = [("FAILED" in one) for one in flags(table)]
        assert failed == [False, False, True, False, True, True]
        assert "no valid WCS" in table["reason"][2]
        assert "gone.fits" in table["reason"][4]
        assert "gone.fits" in table["data_label"][5]
        np.testing.assert_allclose(np.array(table["sum"])[[0, 1, 3]], 25 * np.pi, rtol=1e-9)
        assert np.isnan(np.array(table["sum"])[[2, 4, 5]]).all()

    def test_a_background_that_cannot_be_measured_is_a_row(self):
        data = ONES.copy()
        data[:, :12] = np.nan
        table = aperture_photometry(data, [Circle(4, 15, 2), Circle(30, 15, 2)], background=Annulus(3, 2))
        assert table["reason"].tolist() == ["background: the annulus holds no finite pixel", ""]
        table = aperture_photometry([data, ONES], CIRCLE, background=Circle(5, 15, 2))
        assert table["reason"].tolist() == ["background: the region holds no finite pixel; must hold one", ""]
        assert np.isnan(table["sum"][0])
        assert table["sum"][1] == pytest.approx(0, abs=1e-12)

    def test_backgrounds_one_by_one_where_a_region_fails(self):
        table = aperture_photometry(ONES, [CIRCLE, to_region(CIRCLE, tan()), CIRCLE], background=[0.5, 7, 2])
        np.testing.assert_allclose(np.array(table["background"]), [0.5, np.nan, 2])
        table = aperture_photometry(ONES, [CIRCLE, to_region(CIRCLE, tan()), CIRCLE], background=[500, 7, 2] * u.mJy, unit="Jy")
        np.testing.assert_allclose(table["background"].to_value("Jy"), [0.5, np.nan, 0.002])

    def test_units_that_convert_become_one(self):
        images = [NDData(ONES, unit="mJy"), NDData(ONES, unit="Jy")]
        table = aperture_photometry(images, CIRCLE)
        np.testing.assert_allclose(table["sum"].to_value("mJy"), 25 * np.pi * np.array([1, 1000]))
        assert table["unit"].tolist() == ["mJy", "mJy"]
        assert table["var"].unit == u.mJy**2
        np.testing.assert_allclose(table["mean"].to_value("Jy"), [0.001, 1])

    def test_units_that_do_not_stay_with_the_row(self):
        table = aperture_photometry([NDData(ONES, unit="ct"), ONES, NDData(ONES, unit="Jy")], CIRCLE)
        assert table["sum_unit"].tolist() == ["ct", "", "Jy"]
        assert not isinstance(table["sum"], u.Quantity)
        np.testing.assert_allclose(table["sum"], 25 * np.pi)

    def test_labels(self, tmp_path):
        named = CirclePixelRegion(PixCoord(20, 15), 5, meta={"text": "core"})
        table = aperture_photometry(ONES, Regions([named, CirclePixelRegion(PixCoord(9, 9), 2)]), label="frame")
        assert table["subset_label"].tolist() == ["core", "Subset 2"]
        assert table["data_label"].tolist() == ["frame"] * 2
        table = aperture_photometry([ONES, ONES], {"a": CIRCLE, "b": Circle(5, 5, 2)}, label=["one", "two"])
        assert list(zip(table["data_label"], table["subset_label"], strict=True)) == [
            ("one", "a"),
            ("one", "b"),
            ("two", "a"),
            ("two", "b"),
        ]
        table = aperture_photometry(ONES, CircularAperture([(20, 15), (9, 9)], 3), region_label=["p", "q"])
        assert table["subset_label"].tolist() == ["p", "q"]
        Regions([named]).write(tmp_path / "one.reg", format="ds9")
        assert aperture_photometry(ONES, tmp_path / "one.reg")["subset_label"].tolist() == ["core"]

    def test_regions_of_a_file_that_cannot_be_used_are_rows(self, tmp_path):
        lines = [
            "image",
            "circle(21, 16, 5) # text={core}",
            "point(5, 5)",
            "-circle(3, 3, 1)",
            "circle(4, 4, 2)",
            'fk5; circle(10, -20, 1")',
        ]
        (tmp_path / "some.reg").write_text("\n".join(lines))
        table = aperture_photometry(ONES, tmp_path / "some.reg")
        assert table["subset_label"].tolist()[:2] == ["core", "Subset 2"]
        assert table["sum"][0] == pytest.approx(25 * np.pi)
        assert [bool(reason) for reason in table["reason"]] == [False, False, True, True, True]
        reasons = " ".join(table["reason"])
        assert all(word in reasons for word in ("has no area", "excluded in the file", "no valid WCS"))
        assert len(aperture_photometry([NDData(ONES, wcs=tan()), ONES], tmp_path / "some.reg")) == 10
        placed = aperture_photometry(ONES, tmp_path / "some.reg", wcs=tan())
        assert [bool(reason) for reason in placed["reason"]] == [False, False, False, True, True]
        gone = aperture_photometry(tmp_path / "gone.fits", tmp_path / "some.reg")
        assert all("gone.fits" in reason for reason in gone["reason"])

    def test_a_calculation_is_signed(self):
        table = aperture_photometry([ONES, ONES], CIRCLE)
        assert len(set(table["calculation"])) == 1
        assert table["row"].tolist() == [1, 2]
        assert "astropy" in table["software"][0]
        assert json.loads(table["region"][0]) == CIRCLE.to_dict()
        assert aperture_photometry(ONES, CIRCLE)["calculation"][0] != table["calculation"][0]

    def test_a_mask_and_a_whole_image(self):
        table = aperture_photometry(ONES, np.ones(ONES.shape, bool))
        assert table["sum"][0] == ONES.size


@pytest.mark.slow
def test_ten_thousand_apertures():
    import time

    data = np.random.default_rng(1).normal(size=(4096, 4096)).astype(np.float32)
    shapes = [Circle(x, y, 5) for x, y in np.random.default_rng(2).uniform(0, 4096, (10_000, 2))]
    aperture_photometry(data[:100, :100], shapes[:10])
    started = time.perf_counter()
    table = aperture_photometry(data, shapes)
    assert time.perf_counter() - started < 20
    assert len(table) == 10_000
