from __future__ import annotations

import astropy.units as u
import numpy as np
import pytest
import sep
from astropy.table import vstack
from photutils.aperture import CircularAperture, aperture_photometry

from ezarchive import simulate
from ezarchive.errors import InputError
from ezarchive.simulate import field, frames, optics
from ezarchive.simulate.exposure import Exposure

CAMERAS = {camera.name: camera for camera in optics.TELESCOPES}


def star_at(exposure, x, y, mag, galaxy=False, radius=2.0, ratio=0.5, angle=20.0):
    ra, dec = exposure.wcs.all_pix2world([x], [y], 0)
    table = field.stars_table(ra, dec, np.array([mag]), np.array([galaxy]), np.random.default_rng(0))
    table["colour"] = 0 * u.mag
    table["radius"], table["axis_ratio"], table["position_angle"] = radius * u.arcsec, ratio, angle * u.deg
    return table


def sky_of(*stars):
    table = vstack(list(stars))
    table["star_id"] = np.arange(1, len(table) + 1)
    return table


def judged(stars, exposure):
    sources = frames.place(stars, exposure)
    light = frames.Light(sources, exposure)
    return frames.judge(sources, light, frames.add_hot_pixel(light.render(), exposure)), light


@pytest.mark.truth
@pytest.mark.parametrize("galaxy", [False, True])
def test_a_source_gives_its_flux(galaxy):
    exposure = Exposure(nx=300, ny=300, total_zero_point=26.0)
    sources = frames.place(star_at(exposure, 150.3, 148.8, 15.0, galaxy), exposure)
    scene = frames.Light(sources, exposure).render()
    assert sources["flux"][0].value == pytest.approx(10 ** (0.4 * 11))
    assert scene.sum() == pytest.approx(10 ** (0.4 * 11), rel=1e-3)


@pytest.mark.truth
@pytest.mark.parametrize("name", CAMERAS)
@pytest.mark.parametrize("centre", [(326.25, -77.26), (0.0, -30.0)])
def test_sources_lie_where_the_wcs_says(name, centre):
    """Measured centroids against the positions from the header's WCS, for every parity, rotation and distortion."""
    exposure = Exposure(nx=400, ny=300, ra=centre[0], dec=centre[1], **CAMERAS[name].exposure_fields(100.0))
    wanted = [(40.2, 50.7), (350.9, 60.1), (200.5, 150.5), (60.3, 250.2), (370.0, 270.6)]
    stars = sky_of(*(star_at(exposure, x, y, 13.0) for x, y in wanted))
    sources, light = judged(stars, exposure)
    np.testing.assert_allclose(np.stack([sources["x"].value, sources["y"].value], axis=1), wanted, atol=1e-5)
    x, y, _ = sep.winpos(light.render(), sources["x"].value + 0.2, sources["y"].value - 0.1, 3.0)
    np.testing.assert_allclose(np.stack([x, y], axis=1), wanted, atol=0.01)


@pytest.mark.oracle
def test_flux_in_apertures_is_that_of_photutils_on_the_noise_free_image():
    exposure = Exposure(nx=200, ny=200, seeing=2.4, ellipticity=0.06, theta=40)
    stars = sky_of(star_at(exposure, 60.3, 70.8, 14.0), star_at(exposure, 140.1, 130.4, 15.0, galaxy=True))
    sources = frames.place(stars, exposure)
    for i in range(2):
        light = frames.Light(sources[i : i + 1], exposure)
        for diameter in (2.0, 5.0, 10.0, 30.0):
            aperture = CircularAperture((light.x[0], light.y[0]), exposure.radius(diameter))
            theirs = aperture_photometry(light.render(), aperture)["aperture_sum"][0]
            assert light.in_aperture(diameter)[0] == pytest.approx(theirs, rel=1e-9)


@pytest.mark.truth
def test_a_galaxy_keeps_its_position_angle_on_every_frame():
    for camera in CAMERAS.values():
        exposure = Exposure(nx=200, ny=200, **camera.exposure_fields(100.0))
        sources = frames.place(star_at(exposure, 99.5, 99.5, 14.0, True, radius=5.0, angle=20.0), exposure)
        xx, xy, yy = (sources[name][0].value for name in ("cxx", "cxy", "cyy"))
        theta = 0.5 * np.arctan2(2 * xy, xx - yy)
        # Walk along the major axis on the frame and ask the WCS for the direction on the sky.
        ra, dec = exposure.wcs.all_pix2world(99.5 + np.array([0, 5 * np.cos(theta)]), 99.5 + np.array([0, 5 * np.sin(theta)]), 0)
        east = (ra[1] - ra[0]) * np.cos(np.radians(dec[0]))
        assert np.degrees(np.arctan2(east, dec[1] - dec[0])) % 180 == pytest.approx(20.0, abs=0.1)
        assert np.sqrt((xx + yy + np.hypot(xx - yy, 2 * xy)) / 2) == pytest.approx(5 / 1.67835 / 0.505, rel=0.01)


@pytest.mark.truth
def test_judgement_of_a_lone_star_a_pair_an_edge_and_a_saturated_one():
    exposure = Exposure(nx=400, ny=300)
    places = [(60, 60, 14), (200, 60, 14), (206, 62, 15), (2.0, 200, 14), (300, 220, 8.5), (-20, 100, 14), (360, 60, 17.9)]
    sources, light = judged(sky_of(*(star_at(exposure, *place) for place in places)), exposure)
    assert sources["isolated"].tolist() == [True, False, False, False, True, False, True]
    assert sources["saturated"].tolist() == [False, False, False, False, True, False, False]
    assert sources["on_frame"].tolist() == [True, True, True, True, True, False, True]
    np.testing.assert_allclose(sources["flux_5"].value[sources["on_frame"]], light.in_aperture(5.0)[sources["on_frame"]])
    assert sources["snr"][0] > sources["snr"][6] > 0


@pytest.mark.truth
def test_a_hot_pixel_ends_isolation():
    exposure = Exposure(nx=100, ny=100, hot_x=55, hot_y=50, hot_value=3000.0)
    sources, _ = judged(star_at(exposure, 50, 50, 15.0), exposure)
    assert not sources["isolated"][0]
    assert simulate.frame((100, 100), 0, exposure=exposure).data[50, 55] > 3000


@pytest.mark.truth
def test_noise_is_that_of_poisson_and_read_noise():
    exposure = Exposure(nx=700, ny=700, sky=400.0, dark=4.0)
    data = frames.expose(np.zeros((700, 700)), exposure, np.random.default_rng(5))
    assert data.dtype == np.float32
    assert data.mean() == pytest.approx(400, abs=5 * exposure.sky_sigma / 700)
    assert data.std() == pytest.approx(np.sqrt(404 / 0.2561 + (6 / 0.2561) ** 2), rel=5 / 700)
    assert exposure.sky_sigma == pytest.approx(np.sqrt(404 / 0.2561 + (6 / 0.2561) ** 2))


@pytest.mark.truth
def test_noise_of_a_sum_of_frames():
    exposure = Exposure(nx=500, ny=500, sky=4000.0, ncombine=10)
    data = frames.expose(np.zeros((500, 500)), exposure, np.random.default_rng(5))
    assert data.std() == pytest.approx(np.sqrt(4000 / 0.2561 + 10 * (6 / 0.2561) ** 2), rel=5 / 500)


@pytest.mark.truth
def test_masters_add_their_noise_and_take_their_pattern_out():
    shape, rng = (600, 600), np.random.default_rng(8)
    response = 0.9 + 0.2 * rng.random(shape)
    bias, dark = 500 + 5 * rng.standard_normal(shape), 4 + 6 * rng.standard_normal(shape)
    masters = frames.Masters(bias, dark, response, 500.0, 4.0, response)
    exposure = Exposure(nx=600, ny=600, dark=4.0)
    data = frames.expose(np.zeros(shape), exposure, rng, masters)
    variance = (400 * response + 4) / 0.2561 / response**2 + ((6 / 0.2561) ** 2 + 25 + 36) / response**2
    pulls = (data - 400) / np.sqrt(variance)
    assert pulls.mean() == pytest.approx(0, abs=5 / 600)
    assert pulls.std() == pytest.approx(1, abs=5 / 600)
    assert np.corrcoef(data.ravel(), response.ravel())[0, 1] == pytest.approx(0, abs=0.01)


@pytest.mark.truth
def test_saturation_clips():
    exposure = Exposure(nx=100, ny=100, saturation=5000.0)
    scene = frames.Light(frames.place(star_at(exposure, 50, 50, 10.0), exposure), exposure).render()
    data = frames.expose(scene, exposure, np.random.default_rng(1))
    assert data.max() == 5000.0
    assert np.sum(data == 5000.0) > 20


@pytest.mark.pure
def test_a_scene_of_another_shape_is_refused():
    with pytest.raises(InputError, match=r"scene: has shape \(3, 3\)"):
        frames.expose(np.zeros((3, 3)), Exposure(), np.random.default_rng(1))


@pytest.mark.pure
def test_a_star_that_gives_no_light_is_placed_all_the_same():
    exposure = Exposure(nx=100, ny=100)
    star = star_at(exposure, 50, 50, 15.0)
    star["variability"][0] = "transient"
    star["epoch"], star["amplitude"] = 70000 * u.day, 0.1 * u.mag
    sources, light = judged(star, exposure)
    assert sources["flux"][0].value == sources["snr"][0] == 0
    assert np.isinf(sources["mag"][0].value)
    assert light.render().sum() == 0
