"""Detection and measurement against source-extractor's catalogs, injected truth, and bad input."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from astropy.io import ascii as ascii_table
from astropy.io import fits
from astropy.wcs import WCS
from scipy.spatial import cKDTree

from ezarchive import columns
from ezarchive.errors import InputError, MeasurementError
from ezarchive.images.background import estimate
from ezarchive.photometry.detection import SexOptions, sex

NAMES = [*(f"DEC-OBS04{c}" for c in "abcde"), "nircam_f200w", "sep_image"]
WITH_WCS = NAMES[:-1]


def plain(column) -> np.ndarray:
    return np.asarray(getattr(column, "value", column), float)


@pytest.mark.oracle
@pytest.mark.parametrize("name", NAMES)
class TestSourceExtractor:
    """The same settings as source-extractor 2.25.0 in ``oracle/*.NONE.cat``."""

    def test_every_source_is_matched(self, compare, name):
        found = compare(name)
        assert found.n_ours == len(found.theirs)
        assert np.mean(found.distance < 0.5) >= 0.99
        assert np.mean(found.distance < 2e-4) >= 0.99

    @pytest.mark.parametrize("column", ["FLUX_AUTO", "FLUX_APER", "FLUX_APER_1", "FLUX_APER_2", "FLUX_ISO"])
    def test_fluxes(self, compare, name, column):
        assert np.median(compare(name).relative(column)) < 2e-6

    @pytest.mark.parametrize("column", ["FLUXERR_AUTO", "FLUXERR_APER", "FLUXERR_APER_1", "FLUXERR_APER_2", "FLUXERR_ISO"])
    def test_flux_errors(self, compare, name, column):
        assert np.median(compare(name).relative(column)) < 1e-6

    def test_worst_fluxes(self, compare, name):
        # A pixel whose centre lies on the edge of an ellipse may fall to either side in single precision.
        for column, limit in (("FLUX_AUTO", 1e-3), ("FLUX_APER", 4e-4), ("FLUX_APER_2", 1e-4)):
            assert compare(name).relative(column).max() < limit

    @pytest.mark.parametrize("column", ["X_IMAGE", "Y_IMAGE", "XWIN_IMAGE", "YWIN_IMAGE"])
    def test_positions_are_theirs_less_one(self, compare, name, column):
        ours, theirs = compare(name).pair(column)
        offset = np.abs(ours - (theirs - 1))
        assert np.median(offset) < 5e-5  # their last printed digit
        assert offset.max() < 3e-4

    @pytest.mark.parametrize("column", ["X2_IMAGE", "Y2_IMAGE", "XY_IMAGE", "FLUX_MAX", "THRESHOLD"])
    def test_moments_and_levels(self, compare, name, column):
        assert np.median(compare(name).relative(column)) < 5e-6

    def test_isophotal_area_is_exact(self, compare, name):
        ours, theirs = compare(name).pair("ISOAREA_IMAGE")
        np.testing.assert_array_equal(ours, theirs)

    @pytest.mark.parametrize(
        ("column", "digit"),
        [("A_IMAGE", 1e-3), ("B_IMAGE", 1e-3), ("ELONGATION", 1e-3), ("ELLIPTICITY", 1e-3), ("KRON_RADIUS", 1e-2), ("FWHM_IMAGE", 1e-2),
         ("FLUX_RADIUS", 1e-3), ("THETA_IMAGE", 1e-2), ("MAG_AUTO", 1e-4), ("MAG_APER", 1e-4)],
    )  # fmt: skip
    def test_shapes_to_the_last_printed_digit(self, compare, name, column, digit):
        ours, theirs = compare(name).pair(column)
        difference = np.abs(ours - theirs)
        if column == "THETA_IMAGE":
            difference = np.abs((ours - theirs + 90) % 180 - 90)
        assert np.median(difference) <= 0.6 * digit
        # One FLUX_AUTO of the DECam frames differs by a pixel on the edge of its ellipse.
        assert difference.max() < (10 if column == "MAG_AUTO" else 4) * digit

    @pytest.mark.parametrize("column", ["MAGERR_AUTO", "MAGERR_APER"])
    def test_magnitude_errors(self, compare, name, column):
        # SExtractor rounds 2.5 / ln 10 to 1.086.
        ours, theirs = compare(name).pair(column)
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=6e-5)

    def test_background_within_a_tenth_of_the_noise(self, compare, name):
        # Theirs is interpolated linearly between the nodes, ours is the level that was subtracted.
        found = compare(name)
        ours, theirs = found.pair("BACKGROUND")
        assert np.median(np.abs(ours - theirs)) < 0.02 * found.background.global_rms
        assert np.abs(ours - theirs).max() < 0.1 * found.background.global_rms

    def test_flags(self, compare, name):
        # Without neighbour masking SExtractor never sets CROWDED (1); and it hands TRUNCATED (8) on from a detection that is cleaned
        # away to the one that swallows it.
        found = compare(name)
        ours, theirs = np.asarray(found.ours["FLAGS"]) & ~1, np.asarray(found.theirs["FLAGS"])
        differ = ours != theirs
        assert differ.sum() <= 1
        assert all((a ^ b) == 8 for a, b in zip(ours[differ], theirs[differ], strict=True))

    def test_crowded_is_that_of_neighbour_masking(self, compare, name):
        found = compare(name)
        ours, theirs = np.asarray(found.ours["FLAGS"]) & 1, np.asarray(found.corrected["FLAGS"]) & 1
        assert np.mean(ours == theirs) > 0.98


@pytest.mark.oracle
@pytest.mark.parametrize("name", WITH_WCS)
class TestSkyColumns:
    @pytest.mark.parametrize(("column", "limit"), [("X_WORLD", 3e-5), ("Y_WORLD", 3e-6), ("ALPHA_J2000", 3e-4), ("DELTA_J2000", 3e-4)])
    def test_positions(self, compare, name, column, limit):
        ours, theirs = compare(name).pair(column)
        assert np.abs(ours - theirs).max() * 3600 < limit

    def test_width_is_that_in_pixels_times_the_local_scale(self, compare, name):
        # Theirs is times PIXEL_SCALE, a nominal number: 0.2626 and 0.0308 arcsec.
        ours, theirs = compare(name).pair("FWHM_WORLD")
        np.testing.assert_allclose(ours, theirs, rtol=3e-3)

    def test_angles_are_theirs_with_the_missing_factor(self, compare, name):
        # SExtractor 2.25 takes the mixed term of J C J^T once instead of twice: with that error put in, its angles come out.
        from ezarchive.sky import native_jacobian

        found = compare(name)
        table = found.ours[found.good]
        x2, y2, xy = (plain(table[column]) for column in ("X2_IMAGE", "Y2_IMAGE", "XY_IMAGE"))
        j = native_jacobian(found.wcs, plain(table["X_IMAGE"]), plain(table["Y_IMAGE"]))
        a, b, c, d = j[:, 0, 0], j[:, 0, 1], j[:, 1, 0], j[:, 1, 1]
        xx, yy = a * a * x2 + b * b * y2 + a * b * xy, c * c * x2 + d * d * y2 + c * d * xy
        mixed = a * c * x2 + b * d * y2 + (a * d + b * c) * xy
        wrong = np.degrees(0.5 * np.arctan2(2 * mixed, xx - yy))
        theirs = np.asarray(found.theirs["THETA_WORLD"])[found.good]
        assert np.abs((wrong - theirs + 90) % 180 - 90).max() < 0.0151

    def test_relations_between_the_angles(self, compare, name):
        table = compare(name).ours
        world, on_sky, j2000 = (plain(table[column]) for column in ("THETA_WORLD", "THETA_SKY", "THETA_J2000"))
        np.testing.assert_allclose((world + on_sky) % 180, 90, atol=1e-3)
        assert np.abs((on_sky - j2000 + 90) % 180 - 90).max() < 1e-3  # ICRS frames


@pytest.mark.oracle
@pytest.mark.skipif(shutil.which("source-extractor") is None, reason="source-extractor is not installed")
class TestSourceExtractorBeside:
    """source-extractor run on the spot, with settings that the stored catalogs lack."""

    def run(self, folder, oracle, data, *options: str, rms=None):
        fits.writeto(folder / "image.fits", data)
        if rms is not None:
            fits.writeto(folder / "rms.fits", rms)
        (folder / "out.param").write_text((oracle / "columns.param").read_text().replace("CLASS_STAR\n", ""))
        settings = "-c oracle.sex -PARAMETERS_NAME out.param -FILTER_NAME default.conv -GAIN_KEY NO -SATUR_KEY NO -MASK_TYPE NONE"
        for name in ("oracle.sex", "default.conv", "default.nnw"):
            (folder / name).write_bytes((oracle / name).read_bytes())
        command = ["source-extractor", "image.fits", *settings.split(), "-CATALOG_NAME", "out.cat", "-VERBOSE_TYPE", "QUIET", *options]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
        return ascii_table.read(folder / "out.cat", format="sextractor")

    def matched(self, table, theirs):
        xy = np.c_[plain(table["X_IMAGE"]), plain(table["Y_IMAGE"])]
        distance, nearest = cKDTree(xy).query(np.c_[theirs["X_IMAGE"] - 1, theirs["Y_IMAGE"] - 1])
        good = (distance < 0.5) & (np.asarray(theirs["FLAGS"]) == 0)
        return table[nearest[good]], theirs[good], np.mean(distance < 0.5)

    def test_noise_map(self, real_data, read_real, tmp_path):
        name = "nircam/jw01324001001-01324-o001_t001_nircam_clear-f200w_i2d_stamp"
        data, rms = (read_real(f"{name}{end}.fits") for end in ("", ".noise"))
        theirs = self.run(
            tmp_path, real_data / "oracle", data, "-GAIN", "50", "-SATUR_LEVEL", "1e9", "-PHOT_APERTURES", "10,15,25", "-DETECT_THRESH",
            "5", "-ANALYSIS_THRESH", "5", "-WEIGHT_TYPE", "MAP_RMS", "-WEIGHT_IMAGE", "rms.fits", "-WEIGHT_GAIN", "N", "-BACK_TYPE",
            "MANUAL", "-BACK_VALUE", "0.0", rms=rms,
        )  # fmt: skip
        options = SexOptions(detect_thresh=5.0, phot_apertures=(10.0, 15.0, 25.0), gain=50.0)
        ours, theirs, share = self.matched(sex(data, options, noise=rms, background=0.0), theirs)
        # Their threshold drops at the edges of the frame, where the smoothing of their variance loses pixels.
        assert share > 0.95
        for column in ("FLUX_AUTO", "FLUXERR_AUTO", "FLUX_APER_1", "FLUXERR_APER_2", "THRESHOLD", "X2_IMAGE"):
            assert np.median(np.abs(plain(ours[column]) / theirs[column] - 1)) < 1e-6, column
        np.testing.assert_array_equal(plain(ours["ISOAREA_IMAGE"]), theirs["ISOAREA_IMAGE"])

    def test_other_thresholds(self, real_data, read_real, tmp_path):
        data = read_real("sep/image.fits")
        theirs = self.run(
            tmp_path, real_data / "oracle", data, "-GAIN", "2", "-SATUR_LEVEL", "30000", "-PHOT_APERTURES", "8,12,16", "-DETECT_THRESH",
            "2", "-ANALYSIS_THRESH", "4", "-DETECT_MINAREA", "9", "-PHOT_FLUXFRAC", "0.8", "-PHOT_AUTOPARAMS", "3.0,4.0", "-CLEAN", "N",
            "-BACK_SIZE", "32", "-BACK_FILTERSIZE", "5", "-DEBLEND_MINCONT", "0.05", "-FILTER", "N",
        )  # fmt: skip
        background = estimate(data, box_size=32, filter_size=5)
        options = SexOptions(
            detect_thresh=2.0, analysis_thresh=4.0, detect_minarea=9, filter=False, deblend_mincont=0.05, clean=False, gain=2.0,
            phot_apertures=(8.0, 12.0, 16.0), phot_autoparams=(3.0, 4.0), phot_fluxfrac=0.8, satur_level=30000.0,
        )  # fmt: skip
        table = sex(background.subtract(data), options, noise=background.global_rms, background=background)
        ours, theirs, share = self.matched(table, theirs)
        assert share > 0.98
        for column in ("FLUX_AUTO", "FLUXERR_AUTO", "FLUX_APER", "FLUXERR_APER"):
            assert np.median(np.abs(plain(ours[column]) / theirs[column] - 1)) < 1e-5, column
        assert np.median(np.abs(plain(ours["FLUX_RADIUS"]) - theirs["FLUX_RADIUS"])) < 1e-3
        np.testing.assert_array_equal(plain(ours["ISOAREA_IMAGE"]), theirs["ISOAREA_IMAGE"])


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

    def test_data_that_are_no_image(self):
        with pytest.raises(InputError, match="data: must be a 2-D array"):
            sex(np.zeros(5), noise=1.0)
        with pytest.raises(InputError, match="data: must hold real numbers"):
            sex(np.zeros((5, 5), complex), noise=1.0)


def _astropy(unit: str | None) -> str | None:
    import astropy.units as u

    return None if unit is None else str(u.Unit(unit))
