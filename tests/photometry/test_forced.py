"""Forced photometry: the tutorial's numbers, the columns, each flag, both engines; `test_forced_input` has what is bad."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from ezarchive import columns, flags
from ezarchive.images.background import MeshBackground
from ezarchive.images.compact import Mask
from ezarchive.images.cutouts import MappedPixels
from ezarchive.images.image import Image
from ezarchive.photometry import forced, forcedsums, forcedtable, stamps
from ezarchive.photometry.annulus import measure_rings
from ezarchive.photometry.forced import ForcedOptions
from ezarchive.photometry.forcedsums import Measured
from ezarchive.simulate.exposure import Exposure

SHAPE = (80, 100)
QUIET = ForcedOptions(gain=1.0)

# The table of the tutorial (5, 7, 10, 2.5 x and 3.5 x 3.19399596 arcsec at 0.5064013569 arcsec per pixel), all digits.
TUTORIAL = np.array([
    # NPIX, FLUX, MAG, FLUXERR, MAGERR, SKYSIG, UL5, UL3
    (76.5667421487148, 33697.23024050704, -11.318985513254107, 500.00203797547437, 0.016110235506247742, 344.1948525899388,
     -8.089435938830947, -7.534814064790057),
    (150.07081461148098, 40841.10508069295, -11.527743711839946, 625.9960187727874, 0.016641727501574572, 482.03070711241617,
     -8.455111773992641, -7.900489899951752),
    (306.2669685948592, 45481.4100576182, -11.644584801580022, 809.4495460038898, 0.01932325046448831, 688.4402515661817,
     -8.842090647409243, -8.287468773368353),
    (195.27601427764165, 43102.890300995976, -11.586265982808268, 686.3492119667781, 0.017288728977006056, 549.8290357775883,
     -8.597994187481612, -8.043372313440722),
    (382.7409879841777, 45900.01122239523, -11.65453197930196, 882.3990329085555, 0.020872600061695234, 769.5325207682262,
     -8.962992455897353, -8.408370581856461),
])  # fmt: skip


def names(bits) -> tuple[str, ...]:
    return flags.decode(int(bits), flags.FLAGS_APER)


def measure(data, x, y, diameters=(10.0,), options=QUIET, **known):
    return forced.circular(data, x, y, diameters, options, **({"noise": 1.0} | known))


@pytest.fixture
def scene(rng):
    """Pixels with a slope, its mesh, a noise map and positions inside and about the edges."""
    ny, nx = 300, 260
    mesh = MeshBackground((ny, nx), (64, 64), 3, rng.normal(300, 10, (5, 5)), rng.uniform(4, 5, (5, 5)), 300.0, 4.5)
    data = (mesh.level() + rng.normal(0, 4.5, (ny, nx))).astype(np.float32)
    return data, mesh, rng.uniform(-8, 268, 150), rng.uniform(-8, 308, 150)


@pytest.mark.pure
class TestFormulas:
    def test_the_five_apertures_of_the_tutorial(self):
        """NPIX, MAG, MAGERR, UL5 and UL3 follow from FLUX, FLUXERR and SKYSIG."""
        scale, seeing = 0.5064013569, 3.19399596
        diameters = np.array([5, 7, 10, 2.5 * seeing, 3.5 * seeing]) / scale
        for diameter, (npix, flux, mag, flux_err, mag_err, sigma, ul5, ul3) in zip(diameters, TUTORIAL, strict=True):
            one = (np.array([value]) for value in (flux, flux_err, sigma, npix, npix))
            measured = forcedtable.measured_columns(Measured(*one, np.zeros(1, np.int16), *np.full((3, 1), np.nan), np.zeros(1, np.int32)))
            table = measure(np.zeros(SHAPE), 50, 40, (diameter,))
            assert table["NPIX_NOM_APER"].value[0] == pytest.approx(npix, rel=1e-9)
            found = [measured[name][0] for name in ("MAG", "MAGERR", "UL5", "UL3")]
            np.testing.assert_allclose(found, [mag, mag_err, ul5, ul3], rtol=1e-9)

    def test_the_error_is_the_sky_and_the_photons_of_the_net_flux(self, rng):
        data = rng.normal(20, 3, SHAPE)
        x, y = rng.uniform(10, 90, 40), rng.uniform(10, 70, 40)
        for gain, photons in ((0.25, 4.0), (0.0, 0.0), (None, 0.0)):
            table = measure(data, x, y, options=ForcedOptions(gain=gain), noise=3.0)
            expected = table["SKYSIG_APER"].value ** 2 + np.maximum(table["FLUX_APER"].value, 0) * photons
            np.testing.assert_allclose(table["FLUXERR_APER"].value ** 2, expected, rtol=1e-12)
            np.testing.assert_allclose(table["SKYSIG_APER"].value ** 2, 9 * table["NPIX_APER"].value, rtol=1e-12)
        negative = measure(-data, x, y, noise=3.0)
        np.testing.assert_array_equal(negative["FLUXERR_APER"], negative["SKYSIG_APER"])

    def test_the_error_of_a_ring(self, rng):
        data = rng.normal(50, 3, SHAPE)
        table = measure(data, 50, 40, (8.0,), ForcedOptions(gain=2.0, annulus_width=4.0), noise=2.5)
        area, n = table["NPIX_APER"].value, table["NPIX_ANNULUS_APER"].value
        sigma = table["BACKGROUNDERR_APER"].value / np.sqrt(np.pi / 2 / n)
        expected = 6.25 * area + np.maximum(table["FLUX_APER"].value, 0) / 2 + area**2 / n * np.pi / 2 * sigma**2
        np.testing.assert_allclose(table["FLUXERR_APER"].value ** 2, expected, rtol=1e-9)
        without = measure(data, 50, 40, (8.0,), ForcedOptions(gain=2.0), noise=2.5)
        net = without["FLUX_APER"].value - area * table["BACKGROUND_APER"].value
        np.testing.assert_allclose(table["FLUX_APER"].value, net, rtol=1e-6)

    def test_magnitudes_of_what_is_not_positive_are_missing(self):
        table = measure(-np.ones(SHAPE), 50, 40)
        assert np.isnan([table["MAG_APER"].value[0], table["MAGERR_APER"].value[0]]).all()
        assert names(table["FLAGS_APER"][0]) == ("NON_POSITIVE",)
        assert np.isfinite(table["UL5_APER"].value[0])


@pytest.mark.pure
class TestTables:
    def test_columns_of_circles(self, scene):
        data, mesh, x, y = scene
        table = measure(data, x, y, (5.0, 9.0), ForcedOptions(annulus_width=5.0), noise=mesh, ids=[f"t{i}" for i in range(150)])
        expected = (*columns.FORCED, *columns.aperture(0), *columns.annulus(0), *columns.aperture(1), *columns.annulus(1))
        assert table.colnames == [column.name for column in expected]
        for column in expected:
            found = table[column.name]
            assert found.info.description == column.description
            assert (found.unit or None) == (None if column.unit is None else table[column.name].info.unit)
            assert column.dtype == "str" or found.dtype == column.dtype, column.name
        assert table["target_id"].tolist()[:2] == ["t0", "t1"]
        assert table["NUMBER"].tolist() == list(range(1, 151))
        assert set(table["sky_source"]) == {"annulus"}

    def test_columns_of_ellipses(self, scene):
        data, mesh, x, y = scene
        table = forced.elliptical(data, x, y, 8.0, 3.0, 20.0, ForcedOptions(annulus_ratio=2), noise=mesh, background=mesh)
        assert table.colnames == [column.name for column in (*columns.FORCED, *columns.ELLIPSE, *columns.ELLIPSE_ANNULUS)]
        assert np.isnan(table["SMA_WORLD"].value).all()
        assert len(forced.elliptical(data, x, y, 8.0, 3.0, 20.0).colnames) == len(columns.FORCED) + len(columns.ELLIPSE)

    def test_sky_positions(self):
        exposure = Exposure(nx=100, ny=80)
        x, y = np.array([10.0, 50.0, np.nan]), np.array([20.0, 40.0, 3.0])
        table = measure(np.ones(SHAPE), x, y, wcs=WCS(exposure.wcs_cards))
        ra, dec = exposure.wcs.all_pix2world(x[:2], y[:2], 0)
        np.testing.assert_allclose(table["X_WORLD"].value[:2], ra, rtol=1e-12)
        np.testing.assert_allclose(table["DELTA_J2000"].value[:2], dec, rtol=1e-12)
        assert np.isnan(table["ALPHA_J2000"].value[2])
        assert table["_healpix_29"].mask.tolist() == [False, False, True]
        given = measure(np.ones(SHAPE), x, y, wcs=WCS(exposure.wcs_cards), world=([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]))
        assert given["X_WORLD"].value.tolist() == [1.0, 2.0, 3.0]

    def test_where_the_sky_comes_from(self, scene):
        data, mesh, x, y = scene
        ring = ForcedOptions(annulus_width=4.0)
        for known, options, expected in (
            ({"background": mesh, "noise": mesh}, QUIET, "mesh"), ({"background": mesh.level(), "noise": 4.0}, QUIET, "map"),
            ({"background": 300.0, "noise": None}, QUIET, "map"), ({"background": None, "noise": mesh}, QUIET, "mesh"),
            ({"background": None, "noise": None}, QUIET, "none"), ({"background": mesh, "noise": mesh}, ring, "annulus"),
            ({"background": 1.0, "noise": 1.0, "sky_source": "mesh"}, QUIET, "mesh"),
        ):  # fmt: skip
            assert set(measure(data, x, y, options=options, **known)["sky_source"]) == {expected}

    def test_level_and_noise_at_the_positions(self, scene):
        data, mesh, x, y = scene
        table = measure(data, x, y, background=mesh, noise=mesh)
        on = (np.rint(x) >= 0) & (np.rint(x) < 260) & (np.rint(y) >= 0) & (np.rint(y) < 300)
        np.testing.assert_allclose(table["BACKGROUND"].value[on], mesh.at(np.rint(x[on]), np.rint(y[on])), rtol=1e-6)
        np.testing.assert_allclose(table["SKYSIG"].value[on], mesh.rms_at(np.rint(x[on]), np.rint(y[on])), rtol=1e-6)
        assert np.isnan(table["BACKGROUND"].value[~on]).all()
        ring = measure(data, 130, 150, (6.0,), ForcedOptions(annulus_width=6.0), background=mesh, noise=None)
        expected = mesh.at(130, 150) + ring["BACKGROUND_APER"].value[0]
        assert ring["BACKGROUND"].value[0] == pytest.approx(expected, rel=1e-6)
        assert ring["SKYSIG"].value[0] == pytest.approx(4.5, rel=0.2)

    def test_no_positions_and_no_apertures(self):
        assert len(measure(np.ones(SHAPE), [], [])) == 0
        assert measure(np.ones(SHAPE), [], []).colnames == measure(np.ones(SHAPE), 5, 5).colnames
        assert measure(np.ones(SHAPE), 5, 5, ()).colnames == [column.name for column in columns.FORCED]
        assert len(forced.elliptical(np.ones(SHAPE), [], [], [], [], [])) == 0


@pytest.mark.pure
class TestFlags:
    @pytest.mark.parametrize(
        ("x", "y", "expected"),
        [(50, 40, ()), (4.4, 40, ("OFF_IMAGE_PARTLY",)), (4.6, 40, ()), (99, 79, ("OFF_IMAGE_PARTLY",)), (94.4, 40, ()),
         (94.6, 40, ("OFF_IMAGE_PARTLY",)), (-5.49, 40, ("OFF_IMAGE_PARTLY",)), (-5.6, 40, ("OFF_IMAGE",)), (-4.2, -4.2, ("OFF_IMAGE",)),
         (50, 500, ("OFF_IMAGE",)), (1e300, 40, ("OFF_IMAGE",)), (np.nan, 40, ("OFF_IMAGE",)), (50, -np.inf, ("OFF_IMAGE",))],
    )  # fmt: skip
    @pytest.mark.parametrize("size", [SHAPE, (300, 300)])
    def test_edges(self, x, y, expected, size):
        x, y = (value + (size[k] - SHAPE[k] if value > 60 and np.isfinite(value) else 0) for value, k in ((x, 1), (y, 0)))
        for table, suffix in (
            (measure(np.ones(size), x, y), "APER"),
            (forced.elliptical(np.ones(size), x, y, 5.0, 5.0, 0.0, QUIET, noise=1.0), "ELIP"),
        ):
            assert names(table[f"FLAGS_{suffix}"][0]) == expected
            assert np.isnan(table[f"FLUX_{suffix}"].value[0]) == (expected == ("OFF_IMAGE",))
            assert (table[f"NPIX_{suffix}"].value[0] == 0) == (expected == ("OFF_IMAGE",))

    def test_the_area_on_the_image_is_what_is_summed(self):
        table = measure(np.full(SHAPE, 3.0), -0.5, 40.0)
        assert table["NPIX_APER"].value[0] == pytest.approx(np.pi * 25 / 2, rel=1e-6)
        assert table["FLUX_APER"].value[0] == pytest.approx(3 * np.pi * 25 / 2, rel=1e-6)
        assert table["SKYSIG_APER"].value[0] == pytest.approx(np.sqrt(np.pi * 25 / 2), rel=1e-6)
        assert table["NPIX_NOM_APER"].value[0] == pytest.approx(np.pi * 25)

    @pytest.mark.parametrize("kind", ["MASKED", "NOT_FINITE", "SATURATED", "NEIGHBOUR"])
    def test_one_pixel(self, kind):
        data, mask, segmap = np.ones(SHAPE), np.zeros(SHAPE, bool), np.zeros(SHAPE, np.int32)
        segmap[37:44, 38:53] = 1
        if kind == "NOT_FINITE":
            data[40, 53] = np.inf
        elif kind == "SATURATED":
            data[40, 53] = 100.0
        elif kind == "MASKED":
            mask[40, 53] = True
        else:
            segmap[40, 53] = 2
        table = measure(data, [50, 41], [40, 40], options=ForcedOptions(gain=1.0, satur_level=100.0), mask=mask, segmap=segmap)
        assert [names(bits) for bits in table["FLAGS_APER"]] == [(kind,), ()]
        lost = 1.0 if kind in ("MASKED", "NOT_FINITE") else 0.0
        np.testing.assert_allclose(table["NPIX_NOM_APER"].value - table["NPIX_APER"].value, [lost, 0], atol=1e-9)
        assert table["FLUX_APER"].value[0] == pytest.approx(np.pi * 25 - lost + (99.0 if kind == "SATURATED" else 0.0), rel=1e-6)

    def test_saturation_counts_the_background(self):
        data = np.full(SHAPE, 400.0)
        data[40, 50] = 1000.0
        table = measure(data, 50, 40, options=ForcedOptions(gain=1.0, satur_level=900.0), background=400.0)
        assert names(table["FLAGS_APER"][0]) == ("SATURATED",)

    def test_everything_masked(self):
        table = measure(np.ones(SHAPE), 50, 40, mask=np.ones(SHAPE, np.uint8))
        assert names(table["FLAGS_APER"][0]) == ("MASKED",)
        assert np.isnan(table["FLUX_APER"].value[0])
        assert table["NPIX_APER"].value[0] == 0

    def test_noise_that_is_none(self, rng):
        noise = rng.uniform(1, 2, SHAPE)
        noise[40, 50], noise[41, 50], noise[42, 50] = np.nan, 0.0, -1.0
        table = measure(np.ones(SHAPE), [50, 30], [40, 40], noise=noise)
        assert [names(bits) for bits in table["FLAGS_APER"]] == [("NOT_FINITE",), ()]
        assert table["NPIX_APER"].value[0] == pytest.approx(np.pi * 25 - 3, rel=1e-6)

    def test_no_gain_and_no_noise(self):
        table = measure(np.ones(SHAPE), 50, 40, options=ForcedOptions(), noise=None)
        assert names(table["FLAGS_APER"][0]) == ("NO_GAIN", "NO_SKY")
        assert np.isfinite(table["FLUX_APER"].value[0])
        assert np.isnan([table[name].value[0] for name in ("FLUXERR_APER", "SKYSIG_APER", "UL5_APER", "MAGERR_APER")]).all()

    def test_a_ring_with_too_few_pixels(self, rng):
        data, mask = rng.normal(10, 1, SHAPE), np.ones(SHAPE, bool)
        mask[31:50, 41:60] = False
        options = ForcedOptions(gain=1.0, annulus_width=3.0, annulus_inner=12.5)
        table = measure(data, 50, 40, (18.0,), options, mask=mask)
        assert table["NPIX_ANNULUS_APER"].value[0] < 10
        assert names(table["FLAGS_APER"][0]) == ("NO_SKY",)
        assert np.isnan([table["FLUX_APER"].value[0], table["FLUXERR_APER"].value[0]]).all()
        assert np.isfinite(table["SKYSIG_APER"].value[0]), "the noise was given"

    def test_a_ring_without_noise(self):
        """Pixels that are all the same have a level, but no noise."""
        table = measure(np.full(SHAPE, 7.0), 50, 40, (8.0,), ForcedOptions(gain=1.0, annulus_width=3.0), noise=None)
        assert table["BACKGROUND_APER"].value[0] == 7.0
        assert table["FLUX_APER"].value[0] == pytest.approx(0, abs=1e-9)
        assert "NO_SKY" in names(table["FLAGS_APER"][0])
        known = measure(np.full(SHAPE, 7.0), 50, 40, (8.0,), ForcedOptions(gain=1.0, annulus_width=3.0), noise=2.0)
        assert known["FLUXERR_APER"].value[0] == pytest.approx(2 * np.sqrt(np.pi * 16))
        assert "NO_SKY" not in names(known["FLAGS_APER"][0])

    def test_neighbours_from_a_list(self):
        x, y = np.array([50.0, 80.0, np.nan]), np.array([40.0, 40.0, 3.0])
        near = measure(np.ones(SHAPE), [50, 80, 44.9, 20], [40, 40.4, 40, 20], neighbours=(x, y))
        assert [names(bits) for bits in near["FLAGS_APER"]] == [(), (), (), ()]
        near = measure(np.ones(SHAPE), [47, 80], [40, 44.0], neighbours=(x, y))
        assert [names(bits) for bits in near["FLAGS_APER"]] == [("NEIGHBOUR",), ("NEIGHBOUR",)]
        thin = forced.elliptical(np.ones(SHAPE), [47, 80], [40, 44.0], 5.0, 1.0, 0.0, QUIET, noise=1.0, neighbours=(x, y))
        assert [names(bits) for bits in thin["FLAGS_ELIP"]] == [("NEIGHBOUR",), ()]

    def test_sources_are_kept_out_of_rings(self):
        data, segmap = np.ones(SHAPE), np.zeros(SHAPE, np.int32)
        data[:, 57:], segmap[:, 57:] = 50.0, 3
        options = ForcedOptions(gain=1.0, annulus_width=6.0)
        with_map = measure(data, 50, 40, (10.0,), options, segmap=segmap, noise=1.0)
        assert np.isnan(with_map["BACKGROUND_APER"].value[0]) or with_map["BACKGROUND_APER"].value[0] == 1.0
        assert with_map["NPIX_ANNULUS_APER"].value[0] < measure(data, 50, 40, (10.0,), options)["NPIX_ANNULUS_APER"].value[0]


@pytest.mark.oracle
class TestEngines:
    def test_they_agree(self, scene, rng):
        data, mesh, x, y = scene
        mask = rng.random(data.shape) < 0.05
        known = {"noise": mesh, "background": mesh, "mask": mask}
        for options in ({}, {"annulus_width": 7.0}):
            ours, theirs = (measure(data, x, y, (6.0, 13.3), ForcedOptions(gain=0.3, satur_level=320.0, engine=engine, **options), **known)
                            for engine in ("sep", "photutils"))  # fmt: skip
            scale = ours["SKYSIG_APER_1"].value
            for name in ("FLUX_APER", "FLUX_APER_1", "FLUXERR_APER_1", "SKYSIG_APER", "NPIX_APER_1"):
                np.testing.assert_allclose(ours[name].value, theirs[name].value, rtol=1e-5, atol=1e-5 * np.nanmax(scale))
            np.testing.assert_array_equal(ours["FLAGS_APER_1"], theirs["FLAGS_APER_1"])
        a, b, theta = rng.uniform(4, 12, 150), rng.uniform(1, 4, 150), rng.uniform(-400, 400, 150)
        ours, theirs = (forced.elliptical(data, x, y, a, b, theta, ForcedOptions(gain=0.3, engine=engine), **known)
                        for engine in ("sep", "photutils"))  # fmt: skip
        for name in ("FLUX_ELIP", "FLUXERR_ELIP", "NPIX_ELIP"):
            np.testing.assert_allclose(ours[name].value, theirs[name].value, rtol=1e-5, atol=1e-4)

    def test_a_round_ellipse_is_a_circle(self, scene):
        data, mesh, x, y = scene
        circle = measure(data, x, y, (12.0,), noise=mesh, background=mesh)
        ellipse = forced.elliptical(data, x, y, 6.0, 6.0, 33.0, QUIET, noise=mesh, background=mesh)
        for stem in ("FLUX", "FLUXERR", "NPIX", "UL5", "FLAGS"):
            np.testing.assert_array_equal(np.asarray(circle[f"{stem}_APER"]), np.asarray(ellipse[f"{stem}_ELIP"]))


@pytest.mark.pure
class TestPixels:
    """What the pixels come from makes no difference."""

    def test_maps_numbers_and_meshes(self, scene):
        data, mesh, x, y = scene
        flat = MeshBackground.constant(300.0, 4.0, data.shape)
        ways = ({"background": flat, "noise": flat}, {"background": 300.0, "noise": 4.0},
                {"background": np.full(data.shape, 300, np.int16), "noise": np.full(data.shape, 4, ">f4")},
                {"background": Image(np.full(data.shape, 300.0)), "noise": _Slow(flat)})  # fmt: skip
        tables = [measure(data, x, y, (7.0, 12.0), **way) for way in ways]
        for name in ("FLUX_APER", "FLUXERR_APER_1", "NPIX_APER", "FLAGS_APER_1", "BACKGROUND"):
            for other in tables[1:]:
                np.testing.assert_allclose(np.asarray(other[name]), np.asarray(tables[0][name]), rtol=1e-6)

    @pytest.mark.parametrize("dtype", [">f4", "f8", ">i2", "u2", "i4", "f2"])
    def test_dtypes(self, scene, dtype):
        data, _, x, y = scene
        whole = np.rint(data).astype(dtype)
        table, expected = (measure(pixels, x, y, background=300.0, noise=4.0) for pixels in (whole, whole.astype(float)))
        np.testing.assert_allclose(table["FLUX_APER"].value, expected["FLUX_APER"].value, rtol=1e-6, atol=1e-3)

    def test_files_and_arrays(self, scene, tmp_path):
        data, mesh, x, y = scene
        fits.writeto(tmp_path / "a.fits", data)
        known = {"background": mesh, "noise": mesh}
        expected = measure(data, x, y, (6.0,), **known)
        for pixels in (MappedPixels(tmp_path / "a.fits"), Image(tmp_path / "a.fits")):
            found = measure(pixels, x[:40], y[:40], (6.0,), **known)
            np.testing.assert_array_equal(found["FLUX_APER"].value, expected["FLUX_APER"].value[:40])

    def test_scaled_unsigned_and_blank_files(self, scene, tmp_path):
        data, _, x, y = scene
        stored = np.clip(np.rint((data - 200) * 100), 1, 65000).astype(np.uint16)
        stored[150, 130], y[0], x[0] = 7, 151.0, 129.0
        unit = fits.PrimaryHDU(stored)
        unit.header["BLANK"] = 7 - 32768
        unit.writeto(tmp_path / "unsigned.fits")
        unit = fits.PrimaryHDU((stored.astype(np.int32) - 32768).astype(np.int16))
        unit.header["BLANK"], unit.header["BSCALE"], unit.header["BZERO"] = 7 - 32768, 0.01, 327.68 + 200
        unit.writeto(tmp_path / "scaled.fits")
        net = stored / 100.0
        net[150, 130] = np.nan
        expected = measure(net, x, y, background=100.0, noise=4.0)
        assert "NOT_FINITE" in names(expected["FLAGS_APER"][0])
        for name, factor, level in (("unsigned", 100.0, 10_000.0), ("scaled", 1.0, 300.0)):
            found = measure(Image(tmp_path / f"{name}.fits"), x, y, background=level, noise=4.0 * factor)
            np.testing.assert_allclose(found["FLUX_APER"].value / factor, expected["FLUX_APER"].value, atol=0.01)
            np.testing.assert_array_equal(found["FLAGS_APER"] & 15, expected["FLAGS_APER"] & 15)

    def test_masks_of_all_kinds(self, scene, rng):
        data, _, x, y = scene
        bits = rng.random(data.shape) < 0.1
        tables = [measure(data, x, y, mask=mask) for mask in (bits, bits.astype(np.uint8) * 4, Mask.of(bits))]
        for other in tables[1:]:
            np.testing.assert_array_equal(other["FLUX_APER"].value, tables[0]["FLUX_APER"].value)

    def test_portions_do_not_show(self, scene, monkeypatch):
        data, mesh, x, y = scene
        options = ForcedOptions(gain=1.0, annulus_width=3.0)
        whole = measure(data, x, y, (5.0, 9.0), options, noise=mesh)
        monkeypatch.setattr(stamps, "STACK_PIXELS", 3000)
        parts = measure(data, x, y, (5.0, 9.0), options, noise=mesh)
        for name in whole.colnames:
            np.testing.assert_array_equal(np.asarray(whole[name]), np.asarray(parts[name]), err_msg=name)

    def test_apertures_larger_than_the_image(self, rng):
        data = rng.normal(5, 1, (30, 40))
        x, y = np.array([20.0, -100.0, 300.0]), np.array([15.0, 200.0, 10.0])
        table = measure(data, x, y, (1000.0, 3.0, 2000.0))
        np.testing.assert_allclose(table["FLUX_APER"].value, data.sum(), rtol=1e-6)
        assert table["NPIX_APER_2"].value.tolist() == [1200.0] * 3
        assert [names(bits) for bits in table["FLAGS_APER_1"]] == [(), ("OFF_IMAGE",), ("OFF_IMAGE",)]

    def test_one_ring_for_all_apertures_is_measured_once(self, scene, monkeypatch):
        data, _, x, y = scene
        options = ForcedOptions(gain=1.0, annulus_width=6.0, annulus_inner=8.0)
        alone = [measure(data, x, y, (d,), options, noise=None) for d in (6.0, 9.0, 12.0)]
        calls = []
        monkeypatch.setattr(forcedsums, "measure_rings", lambda *given: calls.append(1) or measure_rings(*given))
        together = measure(data, x, y, (6.0, 9.0, 12.0), options, noise=None)
        assert len(calls) == 1
        for index, one in enumerate(alone):
            for plain, column in zip(columns.aperture(0), columns.aperture(index), strict=True):
                np.testing.assert_allclose(np.asarray(one[plain.name]), np.asarray(together[column.name]), rtol=1e-12)

    def test_a_high_level_in_double_precision(self, rng):
        """Float32 sums of what was not subtracted would be off by sigma."""
        net = rng.normal(0, 1, (200, 200))
        options = ForcedOptions(gain=1.0, annulus_width=6.0)
        high, low = (measure(net + level, 100.3, 99.6, (12.0, 15.0), options, noise=None) for level in (1e7, 0.0))
        for name in ("FLUX_APER", "FLUX_APER_1"):
            assert high[name].value[0] == pytest.approx(low[name].value[0], abs=0.02)

    def test_nothing_is_altered(self, scene, rng):
        data, mesh, x, y = scene
        data[100, 100] = np.nan
        noise, mask, segmap = mesh.rms(), rng.random(data.shape) < 0.1, rng.integers(0, 3, data.shape).astype(np.int32)
        given = (data, noise, mask, segmap, x, y)
        kept = [part.copy() for part in given]
        options = ForcedOptions(gain=1.0, annulus_width=4.0, satur_level=310.0)
        measure(data, x, y, (5.0,), options, noise=noise, background=mesh, mask=mask, segmap=segmap)
        for part, copy in zip(given, kept, strict=True):
            np.testing.assert_array_equal(part, copy)


class _Slow:
    """A model that knows slices only."""

    def __init__(self, mesh):
        self.mesh, self.shape = mesh, mesh.shape

    def rms(self, slices):
        return self.mesh.rms(slices)
