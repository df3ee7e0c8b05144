"""Detection and measurement: injected truth, tables, masks, flags, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.wcs import WCS
from scipy.spatial import cKDTree

from ezarchive import columns
from ezarchive.errors import InputError, MeasurementError
from ezarchive.images.background import MeshBackground
from ezarchive.photometry.detection import SexOptions, sex


def plain(column) -> np.ndarray:
    return np.asarray(getattr(column, "value", column), float)


@pytest.mark.truth
class TestTruth:
    def test_injected_stars_are_found_where_they_are(self, sky):
        table = sex(sky.data, SexOptions(detect_thresh=3.0, gain=sky.gain), noise=sky.noise)
        distance, nearest = cKDTree(np.c_[plain(table["X_IMAGE"]), plain(table["Y_IMAGE"])]).query(np.c_[sky.x, sky.y])
        assert (distance < 0.5).all()
        assert np.median(np.abs(plain(table["XWIN_IMAGE"])[nearest] - sky.x)) < 0.05
        np.testing.assert_allclose(np.median(plain(table["FWHM_IMAGE"])[nearest]), 2.3548 * sky.sigma, rtol=0.05)

    def test_pulls_of_aperture_fluxes(self, rng, make_sky):
        pulls = []
        for _ in range(6):
            sky = make_sky(rng)
            table = sex(sky.data, SexOptions(detect_thresh=3.0, gain=sky.gain, phot_apertures=(12.0,)), noise=sky.noise)
            _, nearest = cKDTree(np.c_[plain(table["X_IMAGE"]), plain(table["Y_IMAGE"])]).query(np.c_[sky.x, sky.y])
            inside = 1 - np.exp(-(6.0**2) / (2 * sky.sigma**2))
            pulls.append((plain(table["FLUX_APER"])[nearest] - sky.flux * inside) / plain(table["FLUXERR_APER"])[nearest])
        pulls = np.concatenate(pulls)
        assert abs(pulls.mean()) < 0.25
        assert 0.85 < pulls.std() < 1.2

    def test_sky_angles_of_an_inclined_galaxy_in_a_mirrored_frame(self):
        yy, xx = np.mgrid[:121, :121] - 60.0
        turn = np.radians(30.0)
        along, across = xx * np.cos(turn) + yy * np.sin(turn), -xx * np.sin(turn) + yy * np.cos(turn)
        galaxy = (1e4 * np.exp(-(along**2 / 72 + across**2 / 18))).astype(np.float32)
        for parity in (-1, 1):
            wcs = WCS(naxis=2)
            wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [40.0, 60.0], [61.0, 61.0]
            wcs.wcs.cdelt = [parity * 2 / 3600, 2 / 3600]
            table = sex(galaxy, SexOptions(detect_thresh=5.0), noise=1.0, wcs=wcs)
            assert plain(table["THETA_IMAGE"])[0] == pytest.approx(30.0, abs=0.05)
            # East is left: counter-clockwise from +x by 30 deg is north through east by -60; mirrored, +60.
            assert plain(table["THETA_J2000"])[0] == pytest.approx(60.0 * parity, abs=0.05)
            assert plain(table["FWHM_WORLD"])[0] * 1800 == pytest.approx(plain(table["FWHM_IMAGE"])[0], rel=1e-3)


@pytest.mark.pure
class TestTable:
    def test_columns_are_those_of_the_house(self, sky):
        table = sex(sky.data, SexOptions(phot_apertures=(5.0, 8.0)), noise=sky.noise)
        wanted = [*columns.SOURCE, *columns.aperture(0), *columns.aperture(1)]
        assert table.colnames == [column.name for column in wanted]
        for column in wanted:
            assert table[column.name].dtype == np.dtype(column.dtype), column.name
            assert (str(table[column.name].unit) if table[column.name].unit else None) == _astropy(column.unit), column.name
            assert table[column.name].info.description == column.description
        np.testing.assert_array_equal(table["NUMBER"], np.arange(1, len(table) + 1))

    def test_without_wcs_and_mask_their_columns_are_missing(self, sky):
        table = sex(sky.data, noise=sky.noise)
        assert np.isnan(plain(table["ALPHA_J2000"])).all()
        assert table["_healpix_29"].mask.all()
        assert table["IMAFLAGS_ISO"].mask.all()
        assert table["NIMAFLAGS_ISO"].mask.all()

    def test_relations(self, sky):
        table = sex(sky.data, SexOptions(gain=sky.gain, phot_apertures=(9.0,)), noise=sky.noise, background=100.0)
        value = {name: plain(table[name]) for name in table.colnames if name not in {"_healpix_29", "IMAFLAGS_ISO", "NIMAFLAGS_ISO"}}
        np.testing.assert_allclose(value["FLUXERR_APER"] ** 2, value["SKYSIG_APER"] ** 2 + value["FLUX_APER"] / sky.gain)
        np.testing.assert_allclose(value["SKYSIG_APER"], sky.noise * np.sqrt(value["NPIX_APER"]))
        np.testing.assert_allclose(value["NPIX_APER"], np.pi * 4.5**2, rtol=0.02)
        np.testing.assert_allclose(value["NPIX_AUTO"], np.pi * value["KRON_RADIUS"] ** 2 * value["A_IMAGE"] * value["B_IMAGE"], rtol=1e-5)
        np.testing.assert_allclose(value["SNR"], value["FLUX_AUTO"] / value["FLUXERR_AUTO"])
        np.testing.assert_allclose(value["MAG_APER"], -2.5 * np.log10(value["FLUX_APER"]))
        np.testing.assert_allclose(value["MAGERR_APER"], 2.5 / np.log(10) * value["FLUXERR_APER"] / value["FLUX_APER"])
        assert (value["THRESHOLD"] == np.float32(1.5 * sky.noise)).all()
        assert (value["SKYSIG"] == sky.noise).all()
        assert (value["SKYVAL"] == 100).all()
        assert (value["BACKGROUND"] == 100).all()

    def test_constant_noise_map_gives_what_the_number_gives(self, sky):
        number = sex(sky.data, SexOptions(gain=2.0), noise=sky.noise)
        mapped = sex(sky.data, SexOptions(gain=2.0), noise=np.full(sky.data.shape, sky.noise))
        assert len(number) == len(mapped)
        for name in ("FLUX_AUTO", "FLUXERR_AUTO", "FLUX_APER", "FLUXERR_APER", "FLUXERR_ISO", "NPIX_APER", "SKYSIG_APER", "THRESHOLD"):
            np.testing.assert_allclose(plain(mapped[name]), plain(number[name]), rtol=1e-6)

    def test_threshold_follows_a_noise_map(self, sky):
        noise = np.full(sky.data.shape, sky.noise)
        noise[:, 120:] = 1e4
        table = sex(sky.data, noise=noise)
        assert len(table) > 0
        assert (plain(table["X_IMAGE"]) < 121).all()


@pytest.mark.pure
class TestMasksAndFlags:
    def test_masked_sources_are_measured_the_same_and_flagged(self, sky):
        mask = np.zeros(sky.data.shape, np.int16)
        mask[:, :120] = 4
        mask[:100, :120] |= 1
        plainly, masked = (sex(sky.data, SexOptions(detect_thresh=5.0), noise=sky.noise, mask=m) for m in (None, mask))
        np.testing.assert_array_equal(plain(plainly["FLUX_APER"]), plain(masked["FLUX_APER"]))
        x, y = plain(masked["X_IMAGE"]), plain(masked["Y_IMAGE"])
        np.testing.assert_array_equal(np.asarray(masked["IMAFLAGS_ISO"])[(x < 110) & (y < 90)], 5)
        np.testing.assert_array_equal(np.asarray(masked["IMAFLAGS_ISO"])[(x < 110) & (y > 110)], 4)
        np.testing.assert_array_equal(np.asarray(masked["NIMAFLAGS_ISO"])[x > 130], 0)
        np.testing.assert_array_equal((np.asarray(masked["FLAGS_APER"]) & 4 != 0)[x < 115], True)
        np.testing.assert_array_equal((np.asarray(masked["FLAGS_APER"]) & 4 != 0)[x > 125], False)

    def test_nan_is_left_out_and_flagged(self, sky):
        data = sky.data.copy()
        star = int(np.argmax(sky.flux))
        data[int(sky.y[star]) + 2, int(sky.x[star])] = np.nan
        before = data.copy()
        table = sex(data, SexOptions(phot_apertures=(9.0,)), noise=sky.noise)
        whole = sex(sky.data, SexOptions(phot_apertures=(9.0,)), noise=sky.noise)
        np.testing.assert_array_equal(data, before)
        near = np.hypot(plain(table["X_IMAGE"]) - sky.x[star], plain(table["Y_IMAGE"]) - sky.y[star]) < 2
        assert near.sum() == 1
        assert table["FLAGS_APER"][near][0] & 8
        assert table["FLAGS"][near][0] & 16
        assert table["FLAGS"][near][0] & 32
        assert plain(table["NPIX_APER"])[near][0] == pytest.approx(np.pi * 4.5**2 - 1, abs=1.5)
        assert np.isfinite(plain(table["FLUX_APER"])).all()
        assert not (np.asarray(table["FLAGS_APER"])[~near] & 8).any()
        assert len(whole) == len(table)

    def test_saturation_counts_the_background(self, sky):
        peak = sky.data.max()
        table = sex(sky.data, SexOptions(satur_level=1000.0 + 0.5 * float(peak)), noise=sky.noise, background=1000.0)
        saturated = (np.asarray(table["FLAGS"]) & 4) != 0
        np.testing.assert_array_equal(saturated, plain(table["FLUX_MAX"]) >= 0.5 * peak)
        assert 0 < saturated.sum() < len(table)
        np.testing.assert_array_equal((np.asarray(table["FLAGS_APER"]) & 16) != 0, saturated)

    def test_unknown_gain_is_flagged_and_zero_is_not(self, sky):
        unknown, none, some = (sex(sky.data, SexOptions(gain=gain), noise=sky.noise) for gain in (None, 0.0, 2.0))
        assert (np.asarray(unknown["FLAGS_APER"]) & 128).all()
        assert not (np.asarray(none["FLAGS_APER"]) & 128).any()
        np.testing.assert_array_equal(plain(unknown["FLUXERR_APER"]), plain(none["FLUXERR_APER"]))
        assert (plain(some["FLUXERR_APER"]) > plain(none["FLUXERR_APER"])).all()


@pytest.mark.pure
class TestInput:
    @pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<i2", ">i2", "<i4", ">i8", "<u2"])
    def test_dtypes_and_byte_orders(self, sky, dtype):
        reference = sex(np.rint(sky.data).clip(0).astype(np.float32), noise=sky.noise)
        table = sex(np.rint(sky.data).clip(0).astype(dtype), noise=sky.noise)
        assert len(table) == len(reference) > 20
        np.testing.assert_allclose(plain(table["FLUX_AUTO"]), plain(reference["FLUX_AUTO"]), rtol=1e-6)

    def test_nothing_passed_in_is_altered(self, sky):
        noise = np.full(sky.data.shape, sky.noise)
        noise[3, 3] = np.nan
        data, mask = sky.data.copy(), np.zeros(sky.data.shape, bool)
        data[5, 5] = np.inf
        mask[10:20] = True
        kept = [part.copy() for part in (data, noise, mask)]
        sex(data, SexOptions(satur_level=500.0), noise=noise, background=np.zeros(data.shape), mask=mask)
        for part, copy in zip((data, noise, mask), kept, strict=True):
            np.testing.assert_array_equal(part, copy)

    def test_read_only_and_strided_arrays(self, sky):
        frozen = sky.data.copy()
        frozen.flags.writeable = False
        wide = np.zeros((sky.data.shape[0], 2 * sky.data.shape[1]), np.float32)
        wide[:, ::2] = sky.data
        expected = plain(sex(sky.data, noise=sky.noise)["FLUX_AUTO"])
        for array in (frozen, wide[:, ::2], np.asfortranarray(sky.data)):
            np.testing.assert_array_equal(plain(sex(array, noise=sky.noise)["FLUX_AUTO"]), expected)

    @pytest.mark.parametrize("shape", [(10, 10), (1, 1), (1, 40), (40, 1), (3, 5)])
    def test_small_frames(self, rng, shape):
        table = sex(rng.normal(size=shape), SexOptions(detect_thresh=50.0), noise=1.0)
        assert len(table) == 0
        assert table["FLUX_APER"].unit is not None

    def test_source_that_fills_a_ten_pixel_frame(self):
        yy, xx = np.mgrid[:10, :10] - 4.5
        table = sex(1e3 * np.exp(-(xx**2 + yy**2) / 8), SexOptions(phot_apertures=(5.0, 40.0), gain=1.0), noise=1.0)
        assert len(table) == 1
        assert table["FLAGS"][0] & 16
        assert table["FLAGS_APER"][0] == 0
        assert table["FLAGS_APER_1"][0] == 1
        assert plain(table["NPIX_APER_1"])[0] == pytest.approx(100.0)

    def test_nothing_above_the_threshold_is_an_empty_table(self):
        table = sex(np.zeros((50, 60), np.float32), noise=1.0)
        assert len(table) == 0
        assert table.colnames[:3] == ["_healpix_29", "NUMBER", "X_IMAGE"]

    def test_all_nan(self):
        with pytest.raises(MeasurementError, match="no finite pixel") as caught:
            sex(np.full((20, 20), np.nan), noise=1.0)
        assert caught.value.code == "no_valid_pixels"

    @pytest.mark.parametrize("noise", [0.0, -1.0, np.nan, np.inf])
    def test_no_noise(self, sky, noise):
        with pytest.raises(MeasurementError, match="noise: must be positive and finite") as caught:
            sex(sky.data, noise=noise)
        assert caught.value.code == "no_noise"

    def test_sky_not_subtracted(self, rng):
        with pytest.raises(MeasurementError, match="is the background subtracted") as caught:
            sex(rng.normal(1000.0, 1.0, (1200, 1200)).astype(np.float32), noise=1.0)
        assert caught.value.code == "too_many_pixels"

    def test_more_bright_pixels_than_seps_buffer_holds(self, rng):
        yy, xx = np.mgrid[:1300, :1300] - 650.0
        data = (rng.normal(size=xx.shape) + 100 * (xx**2 + yy**2 < 340**2)).astype(np.float32)
        table = sex(data, SexOptions(detect_thresh=10.0, deblend_mincont=1.0, clean=False), noise=1.0)
        assert plain(table["ISOAREA_IMAGE"]).max() == pytest.approx(np.pi * 340**2, rel=0.01)

    def test_masks_of_wrong_shape_and_type(self, sky):
        with pytest.raises(InputError, match=r"mask: must have the shape of the image \(200, 240\), found \(3, 3\)"):
            sex(sky.data, noise=sky.noise, mask=np.zeros((3, 3), bool))
        with pytest.raises(InputError, match="mask: must be bool"):
            sex(sky.data, noise=sky.noise, mask=np.zeros(sky.data.shape))
        with pytest.raises(InputError, match="noise: must be a number or have the shape"):
            sex(sky.data, noise=np.ones((3, 3)))

    def test_backgrounds_of_wrong_shape_and_type(self, sky):
        for background in (np.zeros((200, 241)), np.zeros(200), MeshBackground.constant(1.0, 1.0, (100, 240))):
            with pytest.raises(InputError, match=r"background: must be a number or have the shape of the image \(200, 240\), found \("):
                sex(sky.data, noise=sky.noise, background=background)
        with pytest.raises(InputError, match="background: must be a model of the level, a number or a map, found str"):
            sex(sky.data, noise=sky.noise, background="sky")
        mesh = MeshBackground.constant(7.0, 5.0, sky.data.shape)
        assert (plain(sex(sky.data, noise=sky.noise, background=mesh)["SKYVAL"]) == 7.0).all()

    def test_empty_image(self):
        with pytest.raises(InputError, match=r"data: must be a 2-D array that is not empty, found shape \(0, 5\)"):
            sex(np.zeros((0, 5)), noise=1.0)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_regions_without_values(self, sky, bad):
        data = sky.data.copy()
        data[:60, :90] = bad
        data[150:, 100:140] = bad
        table = sex(data, SexOptions(phot_apertures=(9.0, 25.0)), noise=sky.noise)
        assert len(table) > 10
        for name in ("FLUX_AUTO", "FLUXERR_AUTO", "FLUX_APER_1", "FLUX_RADIUS", "XWIN_IMAGE", "KRON_RADIUS"):
            assert np.isfinite(plain(table[name])).all(), name
        touched = (np.asarray(table["FLAGS_APER_1"]) & 8) != 0
        assert 0 < touched.sum() < len(table)
        x, y = plain(table["X_IMAGE"]), plain(table["Y_IMAGE"])
        assert not ((x < 89) & (y < 59)).any()
        far = (x > 160) & (y < 130)
        whole = sex(sky.data, SexOptions(phot_apertures=(9.0, 25.0)), noise=sky.noise)
        same = (plain(whole["X_IMAGE"]) > 160) & (plain(whole["Y_IMAGE"]) < 130)
        np.testing.assert_array_equal(plain(table["FLUX_AUTO"])[far], plain(whole["FLUX_AUTO"])[same])

    def test_noise_without_values_is_a_bad_pixel(self, sky):
        noise = np.full(sky.data.shape, sky.noise)
        noise[:, :80] = [[np.nan, 0.0, -1.0, np.inf] * 20]
        table = sex(sky.data, noise=noise)
        assert len(table) > 5
        assert (plain(table["X_IMAGE"]) > 79).all()
        assert np.isfinite(plain(table["FLUX_AUTO"])).all()

    def test_all_masked(self, sky):
        table, whole = (sex(sky.data, noise=sky.noise, mask=m) for m in (np.ones(sky.data.shape, bool), None))
        np.testing.assert_array_equal(plain(table["FLUX_AUTO"]), plain(whole["FLUX_AUTO"]))
        assert (np.asarray(table["IMAFLAGS_ISO"]) == 1).all()
        assert (np.asarray(table["FLAGS_APER"]) & 4 != 0).all()

    @pytest.mark.parametrize("level", [0.0, 1000.0])
    def test_constant_images(self, level):
        data = np.full((60, 70), level, np.float32)
        table = sex(data, SexOptions(phot_apertures=(5.0,)), noise=1.0)
        # One source that fills the frame, at most: nothing tells it from a sky that was not subtracted.
        assert len(table) == (level > 0)
        with pytest.raises(MeasurementError, match="a constant image has none"):
            sex(data, noise=0.0)

    def test_saturation_below_the_sky(self, sky):
        table = sex(sky.data, SexOptions(satur_level=50.0), noise=sky.noise, background=100.0)
        assert (np.asarray(table["FLAGS"]) & 4 != 0).all()
        assert (np.asarray(table["FLAGS_APER"]) & 16 != 0).all()
        assert np.isfinite(plain(table["FLUX_AUTO"])).all()
        assert np.isnan(plain(table["FWHM_IMAGE"])).all()

    def test_pixels_near_the_largest_number(self, sky):
        data = sky.data.astype(float) * 1e30
        table = sex(data, SexOptions(phot_apertures=(9.0,)), noise=sky.noise * 1e30)
        reference = sex(sky.data.astype(float), SexOptions(phot_apertures=(9.0,)), noise=sky.noise)
        np.testing.assert_allclose(plain(table["FLUX_AUTO"]), plain(reference["FLUX_AUTO"]) * 1e30, rtol=1e-5)

    def test_data_that_are_no_image(self):
        with pytest.raises(InputError, match="data: must be a 2-D array"):
            sex(np.zeros(5), noise=1.0)
        with pytest.raises(InputError, match="data: must hold real numbers"):
            sex(np.zeros((5, 5), complex), noise=1.0)


def _astropy(unit: str | None) -> str | None:
    import astropy.units as u

    return None if unit is None else str(u.Unit(unit))
