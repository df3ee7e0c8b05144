"""The same settings as source-extractor: its stored catalogs of real frames, and it itself beside us on simulated ones."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from scipy.spatial import cKDTree

from ezarchive import simulate
from ezarchive.images.background import estimate
from ezarchive.photometry.detection import SexOptions, sex
from ezarchive.sky import native_jacobian

pytestmark = pytest.mark.oracle

NAMES = [*(f"DEC-OBS04{c}" for c in "abcde"), "nircam_f200w", "sep_image"]
WITH_WCS = NAMES[:-1]
APERTURES = ("FLUX_APER", "FLUX_APER_1", "FLUX_APER_2")
ERRORS = ("FLUXERR_AUTO", "FLUXERR_APER", "FLUXERR_APER_1", "FLUXERR_APER_2", "FLUXERR_ISO")


def plain(column) -> np.ndarray:
    return np.asarray(getattr(column, "value", column), float)


@pytest.mark.parametrize("mask_type", ["NONE", "CORRECT"])
@pytest.mark.parametrize("name", NAMES)
class TestStoredCatalogs:
    """``oracle/*.NONE.cat`` and ``*.CORRECT.cat`` of source-extractor 2.25.0; limits are mostly the last printed digit."""

    def test_every_source_is_matched_and_has_the_same_flags(self, compare, name, mask_type):
        found = compare(name, mask_type)
        assert found.n_ours == len(found.theirs)
        assert (found.distance < 2e-4).all()
        np.testing.assert_array_equal(np.asarray(found.ours["FLAGS"]), found.theirs["FLAGS"])

    def test_fluxes(self, compare, name, mask_type):
        for column in ("FLUX_AUTO", *APERTURES, "FLUX_ISO", *ERRORS):
            relative = compare(name, mask_type).relative(column)
            assert np.median(relative) < 4e-7, column  # seven printed digits
            # Theirs of an isophote holds what it swallowed in cleaning, too.
            if not column.endswith("ISO"):
                # A pixel whose centre lies on the edge of an ellipse may fall to either side in single precision.
                assert np.percentile(relative, 90) < 5e-4, column
                assert relative.max() < 1e-2, column

    def test_positions_are_theirs_less_one(self, compare, name, mask_type):
        for column in ("X_IMAGE", "Y_IMAGE", "XWIN_IMAGE", "YWIN_IMAGE"):
            ours, theirs = compare(name, mask_type).pair(column)
            offset = np.abs(ours - (theirs - 1))
            assert np.median(offset) < 6e-5, column
            assert np.percentile(offset, 90) < 1e-4, column
            assert offset.max() < 2e-3, column

    def test_moments_and_levels(self, compare, name, mask_type):
        for column in ("X2_IMAGE", "Y2_IMAGE", "XY_IMAGE", "FLUX_MAX", "THRESHOLD"):
            assert np.median(compare(name, mask_type).relative(column)) < 5e-6, column
        ours, theirs = compare(name, mask_type).pair("ISOAREA_IMAGE")
        np.testing.assert_array_equal(ours, theirs)

    @pytest.mark.parametrize(
        ("column", "digit"),
        [("A_IMAGE", 1e-3), ("B_IMAGE", 1e-3), ("ELONGATION", 1e-3), ("ELLIPTICITY", 1e-3), ("KRON_RADIUS", 1e-2), ("FWHM_IMAGE", 1e-2),
         ("FLUX_RADIUS", 1e-3), ("THETA_IMAGE", 1e-2), ("MAG_AUTO", 1e-4), ("MAG_APER", 1e-4)],
    )  # fmt: skip
    def test_shapes_to_the_last_printed_digit(self, compare, name, mask_type, column, digit):
        ours, theirs = compare(name, mask_type).pair(column)
        difference = np.abs(ours - theirs)
        if column == "THETA_IMAGE":
            difference = np.abs((ours - theirs + 90) % 180 - 90)
        assert np.percentile(difference, 80) <= 0.6 * digit
        # One FLUX_AUTO of the DECam frames differs by a pixel on the edge of its ellipse.
        assert difference.max() < (30 if column == "MAG_AUTO" else 4) * digit

    def test_magnitude_errors(self, compare, name, mask_type):
        # SExtractor rounds 2.5 / ln 10 to 1.086.
        for column in ("MAGERR_AUTO", "MAGERR_APER"):
            ours, theirs = compare(name, mask_type).pair(column)
            np.testing.assert_allclose(ours, theirs, rtol=1e-2, atol=6e-5)

    def test_background_within_a_tenth_of_the_noise(self, compare, name, mask_type):
        # Theirs is interpolated linearly between the nodes, ours is the level that was subtracted.
        found = compare(name, mask_type)
        ours, theirs = found.pair("BACKGROUND")
        assert np.median(np.abs(ours - theirs)) < 0.02 * found.background.global_rms
        assert np.abs(ours - theirs).max() < 0.1 * found.background.global_rms


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


COLUMNS = """NUMBER FLUX_AUTO FLUXERR_AUTO FLUX_APER(3) FLUXERR_APER(3) FWHM_IMAGE X_IMAGE Y_IMAGE XWIN_IMAGE YWIN_IMAGE FLAGS A_IMAGE
KRON_RADIUS FLUX_RADIUS ISOAREA_IMAGE X2_IMAGE THRESHOLD""".split()
SETTINGS = "-c oracle.sex -PARAMETERS_NAME out.param -FILTER_NAME default.conv -GAIN_KEY NO -SATUR_KEY NO -CATALOG_TYPE FITS_1.0"


@pytest.fixture
def extract(real_data, tmp_path):
    """Run source-extractor with the settings of the stored catalogs and some more."""

    def run(data, *options: str, rms=None) -> Table:
        fits.writeto(tmp_path / "image.fits", data, overwrite=True)
        if rms is not None:
            fits.writeto(tmp_path / "rms.fits", rms, overwrite=True)
        (tmp_path / "out.param").write_text("\n".join(COLUMNS))
        for name in ("oracle.sex", "default.conv", "default.nnw"):
            (tmp_path / name).write_bytes((real_data / "oracle" / name).read_bytes())
        command = ["source-extractor", "image.fits", *SETTINGS.split(), "-CATALOG_NAME", "out.cat", "-VERBOSE_TYPE", "QUIET", *options]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
        return Table.read(tmp_path / "out.cat", hdu=1)

    return run


def matched(table, theirs):
    """Return ours, theirs (where FLAGS is 0), the share that is matched, and that with equal FLAGS."""
    xy = np.c_[plain(table["X_IMAGE"]), plain(table["Y_IMAGE"])]
    distance, nearest = cKDTree(xy).query(np.c_[theirs["X_IMAGE"] - 1, theirs["Y_IMAGE"] - 1])
    same = np.asarray(table["FLAGS"])[nearest] == theirs["FLAGS"]
    good = (distance < 0.5) & (np.asarray(theirs["FLAGS"]) == 0)
    return table[nearest[good]], theirs[good], np.mean(distance < 0.5), np.mean(same)


def relative(ours, theirs, column) -> np.ndarray:
    if "_APER" in column:
        return np.concatenate([np.abs(plain(ours[f"{column}{s}"]) / theirs[column][:, i] - 1) for i, s in enumerate(("", "_1", "_2"))])
    return np.abs(plain(ours[column]) / theirs[column] - 1)


@pytest.mark.skipif(shutil.which("source-extractor") is None, reason="source-extractor is not installed")
class TestBeside:
    """source-extractor run on the spot."""

    @pytest.mark.parametrize("mask_type", ["NONE", "CORRECT", "BLANK"])
    @pytest.mark.parametrize(("shape", "n_stars", "threshold"), [((300, 5000), 150, 3.0), ((500, 600), 1000, 1.5), ((500, 600), 1000, 3.0)])
    def test_simulated_frames_sparse_and_crowded(self, extract, shape, n_stars, threshold, mask_type):
        data = simulate.frame(shape, n_stars=n_stars, seed=11).data
        theirs = extract(
            data, "-GAIN", "0.256", "-SATUR_LEVEL", "59000", "-PHOT_APERTURES", "9.9,13.86,19.8", "-MASK_TYPE", mask_type,
            "-DETECT_THRESH", str(threshold), "-ANALYSIS_THRESH", str(threshold),
        )  # fmt: skip
        mesh = estimate(data)
        options = SexOptions(
            detect_thresh=threshold, phot_apertures=(9.9, 13.86, 19.8), gain=0.256, satur_level=59000.0, mask_type=mask_type
        )
        ours, theirs, share, same = matched(sex(mesh.subtract(data), options, noise=mesh.global_rms, background=mesh), theirs)
        assert share >= 0.995
        assert same >= 0.99
        for column in ("FLUX_APER", "FLUXERR_APER", "FLUX_AUTO", "FLUXERR_AUTO"):
            assert np.median(relative(ours, theirs, column)) < 1e-7, column
            assert np.percentile(relative(ours, theirs, column), 90) < 1e-4, column
        for column in ("KRON_RADIUS", "FLUX_RADIUS", "FWHM_IMAGE", "A_IMAGE"):
            assert np.median(relative(ours, theirs, column)) < 1e-6, column
            assert np.percentile(relative(ours, theirs, column), 90) < 2e-5, column
        offset = np.hypot(*(plain(ours[f"{axis}WIN_IMAGE"]) - (theirs[f"{axis}WIN_IMAGE"] - 1) for axis in "XY"))
        assert np.median(offset) < 3e-5
        assert np.percentile(offset, 90) < 2e-4

    def test_absolute_threshold(self, extract):
        data = simulate.frame((300, 400), n_stars=300, seed=2).data
        theirs = extract(data, "-THRESH_TYPE", "ABSOLUTE", "-DETECT_THRESH", "120", "-ANALYSIS_THRESH", "150", "-PHOT_APERTURES", "8,10,12")
        mesh = estimate(data)
        options = SexOptions(thresh_type="ABSOLUTE", detect_thresh=120.0, analysis_thresh=150.0, phot_apertures=(8.0, 10.0, 12.0))
        table = sex(mesh.subtract(data), options, noise=mesh.global_rms, background=mesh)
        ours, theirs, share, _ = matched(table, theirs)
        assert share == 1
        np.testing.assert_array_equal(plain(ours["ISOAREA_IMAGE"]), theirs["ISOAREA_IMAGE"])
        np.testing.assert_allclose(plain(table["DETECT_THRESH"]), 120.0 / mesh.global_rms, rtol=1e-6)

    @pytest.mark.parametrize("mask_type", ["NONE", "CORRECT", "BLANK"])
    def test_noise_map(self, extract, read_real, mask_type):
        name = "nircam/jw01324001001-01324-o001_t001_nircam_clear-f200w_i2d_stamp"
        data, rms = (read_real(f"{name}{end}.fits") for end in ("", ".noise"))
        theirs = extract(
            data, "-GAIN", "50", "-SATUR_LEVEL", "1e9", "-PHOT_APERTURES", "10,15,25", "-DETECT_THRESH", "5", "-ANALYSIS_THRESH", "5",
            "-WEIGHT_TYPE", "MAP_RMS", "-WEIGHT_IMAGE", "rms.fits", "-WEIGHT_GAIN", "N", "-BACK_TYPE", "MANUAL", "-BACK_VALUE", "0.0",
            "-MASK_TYPE", mask_type, rms=rms,
        )  # fmt: skip
        options = SexOptions(detect_thresh=5.0, phot_apertures=(10.0, 15.0, 25.0), gain=50.0, mask_type=mask_type)
        ours, theirs, share, _ = matched(sex(data, options, noise=rms, background=0.0), theirs)
        # Their threshold drops at the edges of the frame, where the smoothing of their variance loses pixels.
        assert share > 0.95
        for column in ("FLUX_AUTO", "FLUXERR_AUTO", "FLUX_APER", "FLUXERR_APER", "THRESHOLD", "X2_IMAGE", "FLUX_RADIUS", "KRON_RADIUS"):
            assert np.median(relative(ours, theirs, column)) < 1e-6, column
        np.testing.assert_array_equal(plain(ours["ISOAREA_IMAGE"]), theirs["ISOAREA_IMAGE"])

    def test_other_settings(self, extract, read_real):
        data = read_real("sep/image.fits")
        theirs = extract(
            data, "-GAIN", "2", "-SATUR_LEVEL", "30000", "-PHOT_APERTURES", "8,12,16", "-DETECT_THRESH", "2", "-ANALYSIS_THRESH", "4",
            "-DETECT_MINAREA", "9", "-PHOT_FLUXFRAC", "0.8", "-PHOT_AUTOPARAMS", "3.0,4.0", "-CLEAN", "N", "-BACK_SIZE", "32",
            "-BACK_FILTERSIZE", "5", "-DEBLEND_MINCONT", "0.05", "-FILTER", "N",
        )  # fmt: skip
        mesh = estimate(data, box_size=32, filter_size=5)
        options = SexOptions.from_sex_params(
            {"GAIN": 2, "SATUR_LEVEL": 30000, "PHOT_APERTURES": "8,12,16", "DETECT_THRESH": 2, "ANALYSIS_THRESH": "4",
             "DETECT_MINAREA": "9", "PHOT_FLUXFRAC": 0.8, "PHOT_AUTOPARAMS": (3.0, 4.0), "CLEAN": "N", "DEBLEND_MINCONT": 0.05,
             "FILTER": False, "MASK_TYPE": "correct", "WEIGHT_TYPE": "NONE"}
        )  # fmt: skip
        table = sex(mesh.subtract(data), options, noise=mesh.global_rms, background=mesh)
        ours, theirs, share, same = matched(table, theirs)
        assert share > 0.98
        assert same > 0.98
        for column in ("FLUX_AUTO", "FLUXERR_AUTO", "FLUX_APER", "FLUXERR_APER", "FLUX_RADIUS", "KRON_RADIUS"):
            assert np.median(relative(ours, theirs, column)) < 5e-6, column
        np.testing.assert_array_equal(plain(ours["ISOAREA_IMAGE"]), theirs["ISOAREA_IMAGE"])
