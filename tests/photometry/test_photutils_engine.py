"""The engine of photutils beside that of sep, its flags, and bad input."""

from __future__ import annotations

import numpy as np
import pytest
import sep
from astropy.wcs import WCS

from ezarchive import columns, flags
from ezarchive.errors import InputError, MeasurementError, UnknownNameError
from ezarchive.photometry import aperture
from ezarchive.photometry.detection import SexOptions, sex
from ezarchive.photometry.photutils_engine import PhotutilsOptions, photutils_sources
from ezarchive.photometry.pixels import prepare

DIAMETERS = (8.0, 13.0)
BIT = {flag.name: flag.bit for flag in flags.FLAGS}
BIT_APER = {flag.name: flag.bit for flag in flags.FLAGS_APER}


def plain(column) -> np.ndarray:
    return np.asarray(getattr(column, "value", column), float)


def options(**changed) -> PhotutilsOptions:
    return PhotutilsOptions(**{"detection_sigma": 3.0, "phot_apertures": DIAMETERS, "gain": 2.0} | changed)


@pytest.fixture
def found(sky):
    return photutils_sources(sky.data, noise=sky.noise, options=options())


def at(table, x, y) -> int:
    """The row nearest to a position."""
    return int(np.argmin(np.hypot(plain(table["X_IMAGE"]) - x, plain(table["Y_IMAGE"]) - y)))


def blob(data, x, y, peak, sigma=2.0) -> None:
    yy, xx = np.mgrid[: data.shape[0], : data.shape[1]]
    data += (peak * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / (2 * sigma**2))).astype(np.float32)


@pytest.mark.oracle
class TestAgreesWithSep:
    """The definitions that both engines share: no smoothing, no cleaning, apertures with exact overlap."""

    @pytest.fixture
    def pair(self, sky, found):
        same = SexOptions(detect_thresh=3.0, filter=False, clean=False, gain=2.0, phot_apertures=DIAMETERS)
        ours = sex(sky.data, same, noise=sky.noise)
        nearest = [at(ours, x, y) for x, y in zip(plain(found["X_IMAGE"]), plain(found["Y_IMAGE"]), strict=True)]
        assert len(ours) == len(found) == 40
        assert sorted(nearest) == list(range(40))
        return found, ours[nearest]

    @pytest.mark.parametrize(
        "name",
        ["X_IMAGE", "Y_IMAGE", "A_IMAGE", "B_IMAGE", "X2_IMAGE", "Y2_IMAGE", "FLUX_ISO", "FLUXERR_ISO", "FLUX_MAX", "ELONGATION",
         "THRESHOLD", "SKYSIG"],
    )  # fmt: skip
    def test_same_column(self, pair, name):
        np.testing.assert_allclose(plain(pair[0][name]), plain(pair[1][name]), rtol=1e-5)

    @pytest.mark.parametrize("name", ["ISOAREA_IMAGE", "XMIN_IMAGE", "XMAX_IMAGE", "YMIN_IMAGE", "YMAX_IMAGE", "FLAGS", "FLAGS_APER"])
    def test_same_integers(self, pair, name):
        np.testing.assert_array_equal(plain(pair[0][name]), plain(pair[1][name]))

    @pytest.mark.parametrize("name", ["XWIN_IMAGE", "YWIN_IMAGE"])
    def test_windowed_positions(self, pair, name):
        # Windows of half-light radii that differ a little (below).
        assert np.abs(plain(pair[0][name]) - plain(pair[1][name])).max() < 2e-3

    def test_angles(self, pair):
        theta, other = (plain(table["THETA_IMAGE"]) for table in pair)
        assert ((theta > -90) & (theta <= 90)).all()
        assert np.abs((theta - other + 90) % 180 - 90).max() < 0.01

    def test_apertures(self, sky, found):
        pixels = prepare(sky.data, sky.noise)
        exact = aperture.circular(pixels, plain(found["X_IMAGE"]), plain(found["Y_IMAGE"]), DIAMETERS, gain=2.0, subpix=0)
        for suffix, sums in zip(("", "_1"), exact, strict=True):
            np.testing.assert_allclose(plain(found["FLUX_APER" + suffix]), sums.flux, rtol=1e-5)
            np.testing.assert_allclose(plain(found["FLUXERR_APER" + suffix]), sums.flux_err, rtol=1e-5)
            np.testing.assert_allclose(plain(found["SKYSIG_APER" + suffix]), sums.sky_sigma, rtol=1e-5)
            np.testing.assert_allclose(plain(found["NPIX_APER" + suffix]), sums.area, rtol=1e-5)

    def test_kron_ellipses(self, sky, found):
        where = [plain(found[name]) for name in ("X_IMAGE", "Y_IMAGE", "A_IMAGE", "B_IMAGE")]
        shape = np.radians(plain(found["THETA_IMAGE"])), plain(found["KRON_RADIUS"])
        flux, area, _ = sep.sum_ellipse(sky.data, *where, *shape, err=1.0, subpix=0)
        np.testing.assert_allclose(plain(found["FLUX_AUTO"]), flux, rtol=1e-5)
        np.testing.assert_allclose(plain(found["NPIX_AUTO"]), area**2, rtol=1e-5)
        np.testing.assert_allclose(plain(found["FLUXERR_AUTO"]) ** 2, area**2 * sky.noise**2 + flux / 2.0, rtol=1e-5)

    def test_half_light_and_magnitudes(self, pair):
        # Photutils' share is of its own Kron flux, which here reaches less far out: the least radius of the other is 3.5.
        np.testing.assert_allclose(plain(pair[0]["FLUX_RADIUS"]), plain(pair[1]["FLUX_RADIUS"]), rtol=0.03)
        np.testing.assert_allclose(plain(pair[0]["MAG_AUTO"]), -2.5 * np.log10(plain(pair[0]["FLUX_AUTO"])), rtol=1e-12)
        np.testing.assert_allclose(plain(pair[0]["UL5_APER"]), -2.5 * np.log10(5 * plain(pair[0]["SKYSIG_APER"])), rtol=1e-12)

    def test_noise_map_is_the_number(self, sky, found):
        mapped = photutils_sources(sky.data, noise=np.full(sky.data.shape, sky.noise), options=options())
        for name in ("FLUXERR_AUTO", "FLUXERR_APER_1", "FLUXERR_ISO", "SKYSIG", "THRESHOLD"):
            np.testing.assert_allclose(plain(mapped[name]), plain(found[name]), rtol=1e-5)


@pytest.mark.truth
class TestTruth:
    def test_width_of_a_fitted_gaussian(self, sky, found):
        assert np.median(plain(found["FWHM_IMAGE"])) == pytest.approx(2.3548 * sky.sigma, rel=0.02)

    def test_width_of_the_half_light_radius(self, sky):
        table = photutils_sources(sky.data, noise=sky.noise, options=options(calc_accurate_fwhm=False))
        np.testing.assert_array_equal(plain(table["FWHM_IMAGE"]), 2 * plain(table["FLUX_RADIUS"]))

    def test_fluxes(self, sky, found):
        rows = [at(found, x, y) for x, y in zip(sky.x, sky.y, strict=True)]
        share = 1 - np.exp(-((DIAMETERS[1] / 2) ** 2) / (2 * sky.sigma**2))
        pull = (plain(found["FLUX_APER_1"])[rows] - sky.flux * share) / plain(found["FLUXERR_APER_1"])[rows]
        assert abs(pull.mean()) < 0.5
        assert 0.7 < pull.std() < 1.3

    def test_stars_are_stars(self, found):
        bright = plain(found["CLASS_STAR"])[plain(found["SNR"]) > 30]
        assert bright.min() > 0.5
        assert np.median(bright) > 0.9

    def test_sky(self, sky):
        wcs = WCS(naxis=2)
        wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [30.0, -20.0], [120.0, 100.0]
        wcs.wcs.cd = [[-0.5 / 3600, 0], [0, 0.5 / 3600]]
        table = photutils_sources(sky.data, noise=sky.noise, wcs=wcs, options=options())
        ra, dec = wcs.all_pix2world(plain(table["X_IMAGE"]), plain(table["Y_IMAGE"]), 0)
        np.testing.assert_allclose(plain(table["ALPHA_J2000"]), ra, atol=1e-9)
        np.testing.assert_allclose(plain(table["DELTA_J2000"]), dec, atol=1e-9)
        np.testing.assert_allclose(plain(table["FWHM_WORLD"]) * 3600, 0.5 * plain(table["FWHM_IMAGE"]), rtol=1e-3)


@pytest.mark.pure
class TestTable:
    def names(self):
        return [column.name for column in (*columns.SOURCE, *columns.aperture(0), *columns.aperture(1), *columns.PHOTUTILS)]

    def test_columns(self, found):
        assert found.colnames == self.names()
        for column in (*columns.SOURCE, *columns.PHOTUTILS):
            assert found[column.name].dtype == column.dtype
            assert str(getattr(found[column.name], "unit", None) or "") == str(columns_unit(column))
            assert found[column.name].info.description == column.description

    @pytest.mark.parametrize("data", [np.zeros((30, 30)), np.full((30, 30), -5.0)])
    def test_nothing_found(self, data):
        table = photutils_sources(data, noise=1.0, options=options())
        assert len(table) == 0
        assert table.colnames == self.names()
        assert all(table[column.name].dtype == column.dtype for column in columns.SOURCE)

    def test_level(self, sky):
        table = photutils_sources(sky.data, noise=sky.noise, background=np.full(sky.data.shape, 300.0), options=options())
        assert (plain(table["BACKGROUND"]) == 300).all()
        assert (plain(table["SKYVAL"]) == 300).all()
        np.testing.assert_allclose(plain(table["THRESHOLD"]), 3 * sky.noise)

    def test_eccentricity_and_least_value(self, found):
        ratio = plain(found["B_IMAGE"]) / plain(found["A_IMAGE"])
        np.testing.assert_allclose(plain(found["ECCENTRICITY"]), np.sqrt(1 - ratio**2), rtol=1e-4, atol=1e-4)
        assert (plain(found["FLUX_MIN"]) > 3 * 5.0).all()

    def test_arguments_do_not_change(self, sky):
        data, noise, mask = sky.data.copy(), np.full(sky.data.shape, 5.0), np.zeros(sky.data.shape, bool)
        data[50, 60], noise[3, 4], mask[:20] = np.nan, np.nan, True
        before = data.copy(), noise.copy(), mask.copy()
        photutils_sources(data, noise=noise, mask=mask, background=10.0, options=options(satur_level=1e4))
        for one, other in zip((data, noise, mask), before, strict=True):
            np.testing.assert_array_equal(one, other)

    @pytest.mark.parametrize("kind", [">f4", ">f8", ">i2", "u2"])
    def test_any_pixels(self, sky, kind):
        data = np.clip(np.rint(sky.data), 0 if kind == "u2" else None, None)
        expected = photutils_sources(data.astype(np.float32), noise=sky.noise, options=options())
        table = photutils_sources(data.astype(kind), noise=sky.noise, options=options())
        np.testing.assert_allclose(plain(table["FLUX_AUTO"]), plain(expected["FLUX_AUTO"]), rtol=1e-6)


def columns_unit(column):
    import astropy.units as u

    return "" if column.unit is None else u.Unit(column.unit)


@pytest.mark.pure
class TestFlags:
    @pytest.fixture
    def scene(self, rng) -> np.ndarray:
        data = rng.normal(0, 1, (120, 140)).astype(np.float32)
        for x, y, peak in ((30, 30, 400), (80, 30, 100), (86, 30, 90), (100, 90, 50), (30, 90, 60), (1, 60, 80)):
            blob(data, x, y, peak)
        return data

    def measure(self, data, **changed):
        changed = {"phot_apertures": (8.0,)} | changed
        return photutils_sources(data, noise=1.0, background=10.0, options=options(**changed))

    def test_separated_and_crowded(self, scene):
        table = self.measure(scene)
        bits = np.asarray(table["FLAGS"])
        for x in (80, 86):
            assert bits[at(table, x, 30)] & BIT["MERGED"]
            assert bits[at(table, x, 30)] & BIT["CROWDED"]
            assert np.asarray(table["FLAGS_APER"])[at(table, x, 30)] & BIT_APER["NEIGHBOUR"]
        assert bits[at(table, 30, 30)] == 0
        assert not (np.asarray(self.measure(scene, contrast=1.0)["FLAGS"]) & BIT["MERGED"]).any()

    def test_too_many_peaks_in_one_blend(self, rng):
        data = (rng.normal(30, 3, (90, 90)) + 100 * (rng.random((90, 90)) < 0.1)).astype(np.float32)
        data[:3], data[-3:], data[:, :3], data[:, -3:] = 0, 0, 0, 0
        table = self.measure(data, minarea_pixels=1, contrast=0.0, nlevels=8, calc_accurate_fwhm=False)
        assert (np.asarray(table["FLAGS"]) & BIT["DEBLEND_OVERFLOW"]).all()

    def test_saturated(self, scene):
        table = self.measure(scene, satur_level=300.0)
        full = (np.asarray(table["FLAGS"]) & BIT["SATURATED"]) != 0
        assert np.flatnonzero(full).tolist() == [at(table, 30, 30)]
        assert ((np.asarray(table["FLAGS_APER"]) & BIT_APER["SATURATED"]) != 0).tolist() == full.tolist()

    def test_saturated_on_a_slope(self, scene):
        slope = np.broadcast_to(np.linspace(0, 300, 140), scene.shape).astype(np.float32)
        table = photutils_sources(scene, noise=1.0, background=slope, options=options(satur_level=420.0, phot_apertures=(8.0,)))
        full = (np.asarray(table["FLAGS"]) & BIT["SATURATED"]) != 0
        assert full.tolist() == ((np.asarray(table["FLAGS_APER"]) & BIT_APER["SATURATED"]) != 0).tolist()
        assert np.flatnonzero(full).tolist() == [at(table, 30, 30)]

    def test_everything_is_saturated_below_the_sky(self, scene):
        table = self.measure(scene, satur_level=5.0)
        assert (np.asarray(table["FLAGS"]) & BIT["SATURATED"]).all()

    def test_edge(self, scene):
        table = self.measure(scene)
        bits = np.asarray(table["FLAGS"])[at(table, 1, 60)]
        assert bits & BIT["TRUNCATED"]
        assert bits & BIT["APER_INCOMPLETE"]
        i = at(table, 1, 60)
        assert np.asarray(table["FLAGS_APER"])[i] & BIT_APER["OFF_IMAGE_PARTLY"]
        assert plain(table["NPIX_APER"])[i] < 0.9 * plain(table["NPIX_NOM_APER"])[i]

    def test_bad_pixels(self, scene):
        scene[88:92, 98:100] = np.nan
        table = self.measure(scene)
        bits = np.asarray(table["FLAGS"])[at(table, 101, 90)]
        assert bits & BIT["ISO_INCOMPLETE"]
        assert bits & BIT["APER_INCOMPLETE"]
        assert np.asarray(table["FLAGS_APER"])[at(table, 101, 90)] & BIT_APER["NOT_FINITE"]
        assert plain(table["NPIX_APER"])[at(table, 101, 90)] == pytest.approx(np.pi * 16 - 8, abs=0.1)
        assert np.asarray(table["FLAGS"])[at(table, 30, 30)] == 0

    def test_no_gain(self, scene):
        table = self.measure(scene, gain=None)
        assert (np.asarray(table["FLAGS_APER"]) & BIT_APER["NO_GAIN"]).all()
        np.testing.assert_allclose(plain(table["FLUXERR_APER"]), plain(table["SKYSIG_APER"]))

    def test_mask_only_flags(self, scene):
        mask = np.zeros(scene.shape, np.int16)
        mask[80:100, 90:110] = 4
        table = photutils_sources(scene, noise=1.0, mask=mask, options=options(phot_apertures=(8.0,)))
        plain_table = photutils_sources(scene, noise=1.0, options=options(phot_apertures=(8.0,)))
        i = at(table, 100, 90)
        assert table["IMAFLAGS_ISO"][i] == 4
        assert table["NIMAFLAGS_ISO"][i] == table["ISOAREA_IMAGE"][i].value
        assert table["IMAFLAGS_ISO"][at(table, 30, 30)] == 0
        assert np.asarray(table["FLAGS_APER"])[i] & BIT_APER["MASKED"]
        np.testing.assert_array_equal(plain(table["FLUX_APER"]), plain(plain_table["FLUX_APER"]))
        assert plain_table["IMAFLAGS_ISO"].mask.all()

    def test_what_stands_for_neighbours(self, scene):
        fluxes = {}
        for kind in ("CORRECT", "BLANK", "NONE"):
            table = self.measure(scene, mask_type=kind, phot_apertures=(12.0,))
            fluxes[kind] = plain(table["FLUX_APER"])[at(table, 80, 30)]
        assert fluxes["BLANK"] < fluxes["CORRECT"] < fluxes["NONE"]


@pytest.mark.pure
class TestBadInput:
    @pytest.mark.parametrize(
        ("changed", "match"),
        [({"detection_sigma": 0.0}, "detection_sigma: must be positive and finite, found 0.0"),
         ({"kron_factor": np.nan}, "kron_factor: must be positive"), ({"seeing_fwhm": -1.0}, "seeing_fwhm: must be positive"),
         ({"minarea_pixels": 0}, "minarea_pixels: must be at least 1, found 0"), ({"nlevels": 0}, "nlevels: must be at least 1"),
         ({"contrast": 1.5}, "contrast: must lie between 0 and 1, found 1.5"), ({"gain": -1.0}, "gain: must not be negative"),
         ({"phot_apertures": (5.0, 0.0)}, "phot_apertures: must be positive and finite")],
    )  # fmt: skip
    def test_options(self, changed, match):
        with pytest.raises(InputError, match=match):
            PhotutilsOptions(**changed)

    def test_mask_type(self):
        with pytest.raises(UnknownNameError, match="mask_type.*'blank'"):
            PhotutilsOptions(mask_type="blank")

    def test_images(self):
        with pytest.raises(InputError, match="data: must be a 2-D array"):
            photutils_sources(np.zeros(5), noise=1.0)
        with pytest.raises(InputError, match="mask: must have the shape of the image"):
            photutils_sources(np.zeros((5, 5)), noise=1.0, mask=np.zeros((4, 5), bool))
        with pytest.raises(InputError, match="background: must be a number or have the shape of the image"):
            photutils_sources(np.zeros((5, 5)), noise=1.0, background=np.zeros((5, 4)))
        with pytest.raises(InputError, match="noise: must be a number or have the shape of the image"):
            photutils_sources(np.zeros((5, 5)), noise=np.ones((5, 4)))
        with pytest.raises(MeasurementError, match="noise: must be positive"):
            photutils_sources(np.zeros((5, 5)), noise=0.0)
        with pytest.raises(MeasurementError, match="holds no finite pixel"):
            photutils_sources(np.full((5, 5), np.nan), noise=1.0)
