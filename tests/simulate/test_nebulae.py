"""A galaxy through bands of wrong zero levels: against what is asked for, and against another generator."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from scipy.integrate import dblquad

from ezarchive.errors import InputError
from ezarchive.simulate import NebulaPlan, nebula_scene, nebulae
from ezarchive.simulate.elongated import second_moments

SMALL = {"width": 40.0, "height": 30.0}
MIRI = {name: band for name, band in nebulae.BANDS.items() if band.instrument == "miri"}


@pytest.fixture(scope="module")
def tool(real_data):
    path = real_data.parent / "tools" / "anchor_scene.py"
    if not path.is_file():
        pytest.skip("the other generator is not there")
    spec = importlib.util.spec_from_file_location("other_nebulae", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def scene(tmp_path_factory):
    return nebula_scene(tmp_path_factory.mktemp("nebula"), seed=2, **SMALL)


@pytest.mark.oracle
def test_bands_surveys_and_colours_are_the_other_generators(tool):
    assert {name: tuple(band) for name, band in nebulae.BANDS.items()} == tool.BANDS
    assert {name: tuple(survey) for name, survey in nebulae.SURVEYS.items()} == tool.REFS
    assert {name: dict(zip(("disc", "arm", "star"), values, strict=True)) for name, values in nebulae.COLOURS.items()} == tool.COLOUR


@pytest.mark.oracle
@pytest.mark.parametrize("scenario", ["linear", "colour"])
@pytest.mark.parametrize("name", ["F1130W", "F200W"])
def test_same_components_give_the_other_generators_pixels(tool, monkeypatch, scenario, name):
    band = nebulae.BANDS[name]
    components = tool.scene(np.random.default_rng(11))[band.instrument]
    kinds = {"disc": 0, "arm": 1, "star": 2}
    monkeypatch.setattr(nebulae, "_components", lambda *_: np.array([(*row[:4], kinds[row[4]]) for row in components]))
    plane = nebulae.band_image(NebulaPlan(scenario=scenario, noise=0.0, **SMALL), name)
    wcs, shape = tool.make_wcs(band.pixel, 40.0, 30.0, tool.PA_FIELD)
    colour = tool.COLOUR.get(name) if scenario == "colour" else None
    other = band.slope * tool.render(components, wcs, shape, band.pixel, band.fwhm, colour) + band.offset
    seen = np.isfinite(plane.data) & (plane.data != 0)
    assert plane.data.shape == shape
    np.testing.assert_allclose(plane.data[seen], other[seen], rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(plane.wcs.all_pix2world(5.0, 9.0, 0), wcs.all_pix2world(5.0, 9.0, 0), rtol=1e-12)


@pytest.mark.oracle
def test_pixels_are_means_of_the_light(monkeypatch):
    one = (1.3, -0.8, 0.12, 5.0, 1)
    monkeypatch.setattr(nebulae, "_components", lambda *_: np.array([one]))
    plan = NebulaPlan(noise=0.0, **SMALL)
    plane = nebulae.band_image(plan, "F770W")
    band, sigma = nebulae.BANDS["F770W"], np.hypot(0.12, 0.269 / np.sqrt(8 * np.log(2)))
    x, y = nebulae._pixel(plane.wcs, band.pixel, *one[:2])
    row, column = round(y) + 1, round(x) - 2

    def light(v, u):
        return 5.0 * (0.12 / sigma) ** 2 * np.exp(-0.5 * ((u - x) ** 2 + (v - y) ** 2) * (band.pixel / sigma) ** 2)

    mean, _ = dblquad(light, column - 0.5, column + 0.5, row - 0.5, row + 0.5)
    assert plane.data[row, column] - band.offset == pytest.approx(mean, rel=1e-9)


@pytest.mark.truth
@pytest.mark.parametrize("name", ["F770W", "F300M"])
def test_a_wider_beam_keeps_the_light_of_what_lies_inside(monkeypatch, name):
    monkeypatch.setattr(nebulae, "_components", lambda *_: np.array([(2.0, 1.0, 0.4, 30.0, 2), (-1.0, -2.0, 0.7, 10.0, 1)]))
    monkeypatch.setattr(nebulae, "_HOLES", ())
    plan, band = NebulaPlan(noise=0.0, **SMALL), nebulae.BANDS[name]
    sharp, wide = (nebulae.band_image(plan, name, fwhm=fwhm) for fwhm in (None, 2.0))
    sums = [(plane.data - band.offset)[plane.data != 0].sum() * band.pixel**2 for plane in (sharp, wide)]
    assert sums[0] == pytest.approx(2 * np.pi * (0.4**2 * 30 + 0.7**2 * 10), rel=1e-4)
    assert sums[1] == pytest.approx(sums[0], rel=1e-3)
    assert wide.data.max() < sharp.data.max()


@pytest.mark.truth
def test_components_lie_where_the_wcs_says(monkeypatch):
    monkeypatch.setattr(nebulae, "_CORNER_ARCSEC", 0.0)
    for angle in (0.0, 23.0, 170.0):
        monkeypatch.setattr(nebulae, "_components", lambda *_: np.array([(6.0, -4.0, 0.2, 1e4, 2)]))
        plan = NebulaPlan(noise=0.0, position_angle=angle, **SMALL)
        plane = nebulae.band_image(plan, "F770W")
        row, column = np.unravel_index(np.nanargmax(plane.data), plane.data.shape)
        ra, dec = plane.wcs.all_pix2world(column, row, 0)
        assert (ra - 150.02) * np.cos(np.radians(12.5)) * 3600 == pytest.approx(6.0, abs=0.1)
        assert (dec - 12.5) * 3600 == pytest.approx(-4.0, abs=0.1)


@pytest.mark.truth
@pytest.mark.parametrize("name", ["F770W", "F2100W", "F335M"])
def test_blanks_holes_noise_and_level(name):
    noisy, clean = (nebulae.band_image(NebulaPlan(noise=noise, seed=4, **SMALL), name) for noise in (1.0, 0.0))
    band = nebulae.BANDS[name]
    blank, hole = noisy.data == 0, np.isnan(noisy.data)
    edge = int(3 / band.pixel)
    assert blank[:edge].all()
    assert blank[:, -edge:].all()
    assert 1 <= hole.sum() * band.pixel**2 / (np.pi * 0.8**2) < 3.2
    assert (noisy.error[blank] == 0).all()
    assert np.isnan(noisy.error[hole]).all()
    good = ~blank & ~hole
    pull = (noisy.data - clean.data)[good] / noisy.error[good]
    assert pull.std() == pytest.approx(1.0, rel=0.02)
    assert abs(pull.mean()) < 5 / np.sqrt(good.sum())
    assert noisy.error[good].min() >= band.noise
    raised = nebulae.band_image(
        NebulaPlan(noise=0.0, seed=4, bands=nebulae.BANDS | {name: band._replace(offset=band.offset + 1.0)}, **SMALL), name
    )
    np.testing.assert_allclose((raised.data - clean.data)[good], 1.0)


@pytest.mark.truth
def test_bands_are_proportional_unless_their_colours_differ():
    beam = 2.0
    for scenario, least, most in (("linear", 0.0, 1e-9), ("colour", 0.01, 1.0)):
        plan = NebulaPlan(noise=0.0, scenario=scenario, seed=1, **SMALL)
        base, band = (nebulae.band_image(plan, name, fwhm=beam) for name in ("F770W", "F1000W"))
        good = np.isfinite(base.data) & (base.data != 0)
        residual = (band.data + 0.120) / 0.370 / (base.data - 0.300) - 1
        assert least <= np.abs(residual[good]).max() <= most


@pytest.mark.truth
def test_survey_noise_has_the_size_of_its_beam():
    for name in ("irac4_atgauss4", "w1_atgauss7p5"):
        noisy, clean = (nebulae.survey_image(NebulaPlan(noise=noise, seed=4), name) for noise in (1.0, 0.0))
        survey = nebulae.SURVEYS[name]
        noise = (noisy.data - clean.data)[:, 3:]
        assert np.isnan(noisy.data[:, :3]).all()
        assert noise.std() == pytest.approx(survey.noise, rel=0.03)
        sigma = survey.fwhm / np.sqrt(8 * np.log(2)) / survey.pixel
        together = (noise[:, 1:] * noise[:, :-1]).mean() / noise.var()
        assert together == pytest.approx(np.exp(-1 / (4 * sigma**2)), abs=0.06)
        assert noisy.error is None
        assert noisy.data.shape == (round(2.2 * 90 / survey.pixel), round(2.2 * 100 / survey.pixel))


@pytest.mark.truth
def test_zerofill_blanks_the_lower_half_with_zeros():
    plane = nebulae.survey_image(NebulaPlan(scenario="zerofill"), "w3_atgauss15")
    blank = plane.data == 0
    assert blank[: blank.shape[0] // 2 - 3].all()
    assert not blank[blank.shape[0] // 2 :].any()
    assert np.isfinite(plane.data).all()


@pytest.mark.pure
@pytest.mark.parametrize(("start", "goal", "pixel"), [(0.269, 0.674, 0.0275), (0.1, 4.0, 0.063)])
def test_gaussian_kernel_takes_one_beam_to_the_other(start, goal, pixel):
    kernel = nebulae.gaussian_kernel(start, goal, pixel)
    assert kernel.shape[0] % 2 == kernel.shape[1] % 2 == 1
    assert kernel.max() == kernel[kernel.shape[0] // 2, kernel.shape[1] // 2] == 1
    major, minor, _ = second_moments(kernel)
    wanted = (goal**2 - start**2) / (8 * np.log(2)) / pixel**2
    assert (major, minor) == pytest.approx((wanted, wanted), rel=1e-4)


@pytest.mark.truth
def test_written_kernel_has_its_scale(tmp_path):
    path = nebulae.write_kernel(tmp_path / "k.fits", nebulae.gaussian_kernel(0.3, 0.7, 0.03), 0.03)
    header = fits.getheader(path)
    assert (header["CDELT1"], header["CDELT2"]) == pytest.approx((-0.03 / 3600, 0.03 / 3600))
    assert header["CRPIX1"] == (header["NAXIS1"] + 1) / 2
    assert fits.getdata(path).max() == 1


@pytest.mark.truth
def test_files_of_a_scene(scene):
    assert set(scene.files) == set(nebulae.BANDS)
    for name, path in scene.files.items():
        band = nebulae.BANDS[name]
        assert path == scene.data / name / "lv3" / f"ngc9999_{band.instrument}_lv3_{name.lower()}_i2d_align.fits"
        with fits.open(path) as units:
            assert [unit.name for unit in units] == ["PRIMARY", "SCI", "ERR", "WHT"]
            assert [units[0].header[k] for k in ("TELESCOP", "INSTRUME", "FILTER")] == ["JWST", band.instrument.upper(), name]
            assert units["SCI"].header["BUNIT"] == "MJy/sr"
            plane = nebulae.band_image(scene.plan, name)
            np.testing.assert_allclose(units["SCI"].data, plane.data, rtol=1e-6)
            assert ((units["WHT"].data == 1) == (plane.error > 0)).all()
            scale = np.abs(np.linalg.det(WCS(units["SCI"].header).pixel_scale_matrix)) ** 0.5 * 3600
            assert scale == pytest.approx(band.pixel)
    assert {path.name for path in scene.references.iterdir()} == {f"ngc9999_{name}.fits" for name in nebulae.SURVEYS}
    expected = {f"{name.lower()}_to_f2100w.fits" for name in nebulae.BANDS if name != "F2100W"}
    expected |= {"f770w_to_gauss4.fits", "f770w_to_gauss15.fits", "f300m_to_gauss4.fits", "f300m_to_gauss7p5.fits"}
    assert {path.name for path in scene.kernels.iterdir()} == expected


@pytest.mark.truth
def test_truth_of_a_scene(scene):
    assert scene.offsets == {name: -band.offset for name, band in nebulae.BANDS.items()}
    assert json.loads((scene.folder / "truth.json").read_text())["offsets"] == scene.offsets
    (row,) = Table.read(scene.galaxy_table, format="ascii.csv")
    assert (row["name"], row["ra"], row["dec"], row["posang"], row["size_reff"]) == ("ngc9999", 150.02, 12.5, 23.0, 20.0)


@pytest.mark.pure
def test_a_band_is_the_same_whatever_else_is_made_and_seeds_differ(tmp_path):
    whole, few = NebulaPlan(seed=3, **SMALL), NebulaPlan(seed=3, bands=MIRI, **SMALL)
    np.testing.assert_array_equal(nebulae.band_image(whole, "F770W").data, nebulae.band_image(few, "F770W").data)
    assert np.nanmax(np.abs(nebulae.band_image(whole, "F770W").data - nebulae.band_image(replace(whole, seed=4), "F770W").data)) > 1
    surveys = {"irac4_atgauss4": nebulae.SURVEYS["irac4_atgauss4"]}
    scene = nebula_scene(tmp_path, few, surveys=surveys, target="my_galaxy")
    assert set(scene.files) == set(MIRI)
    assert [path.name for path in scene.references.iterdir()] == ["my_galaxy_irac4_atgauss4.fits"]
    assert "f770w_to_gauss15.fits" not in {path.name for path in scene.kernels.iterdir()}


@pytest.mark.pure
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scenario": "odd"}, "scenario 'odd': must be one of linear, colour, zerofill"),
        ({"width": 6.0}, r"width 6\.0: must be larger than 6 arcsec"),
        ({"height": np.inf}, "height inf: must be larger than 6 arcsec"),
    ],
)
def test_wrong_options_are_named(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        nebula_scene(tmp_path / "scene", **options)
    assert not (tmp_path / "scene").exists()


@pytest.mark.pure
def test_a_kernel_cannot_sharpen():
    with pytest.raises(InputError, match=r"fwhm_to 0\.3: must be larger than fwhm_from, 0\.5"):
        nebulae.gaussian_kernel(0.5, 0.3, 0.1)
