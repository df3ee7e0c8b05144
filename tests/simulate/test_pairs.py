"""Pairs of images: against what is asked for, and against another generator."""

from __future__ import annotations

import importlib.util
import json

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS
from scipy.ndimage import map_coordinates

from ezarchive.errors import InputError
from ezarchive.simulate import PairPlan, fine_reference, image_pair
from ezarchive.simulate.elongated import second_moments
from ezarchive.simulate.pairs import make_sources
from ezarchive.simulate.transforms import Sources

QUIET = {"noise": 0.0, "reference_noise": 0.0}
ALONE = QUIET | {"n_stars": 0, "n_discs": 0, "bg": 0.0, "dx": 0.0, "dy": 0.0}


def lone(x, y, flux=1000.0):
    """One point at tangent-plane arcsec."""
    return Sources(*(np.array([v]) for v in (x, y, flux, 0.0, 1.0, 0.0)))


@pytest.fixture(scope="module")
def tool(real_data):
    path = real_data.parent / "tools" / "image_pair.py"
    if not path.is_file():
        pytest.skip("the other generator is not there")
    spec = importlib.util.spec_from_file_location("other_pairs", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def translated(sources):
    """The sources of the other generator as ours."""
    columns = (("e", None), ("n", None), ("flux", None), ("h", 0.0), ("q", 1.0), ("pa", 0.0))
    return Sources(*(np.array([one.get(name, default) for one in sources], float) for name, default in columns))


@pytest.mark.oracle
@pytest.mark.parametrize("seed", [20250721, 5])
def test_same_sources_give_the_other_generators_images(tool, seed):
    other = tool.build(seed, 0)
    pair = image_pair(sources=translated(other["sources"]), **QUIET)
    np.testing.assert_allclose(pair.reference, other["hst"], atol=1e-7)
    np.testing.assert_allclose(pair.image, other["muse"], atol=1e-7)
    assert pair.star == pytest.approx(other["star"], abs=1e-10)
    assert pair.star_xy == pytest.approx(other["star_pixel_xy"], abs=1e-9)


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_fine_reference_is_the_other_generators(tool):
    other, wcs = tool.build_hst30(noise=0)
    pair = image_pair(sources=translated(tool.make_sources(20250721)), **QUIET)
    made, ours = fine_reference(pair, noise=0)
    np.testing.assert_allclose(ours.wcs.cd, wcs.wcs.cd)
    inner = (slice(200, -200),) * 2  # it leaves 3 arcsec round the image where we leave 10: sources outside come in elsewhere
    np.testing.assert_allclose(made[inner], other[inner], atol=2e-3 * np.abs(other).max() ** 0.5)


@pytest.mark.truth
@pytest.mark.parametrize("shape", [(60, 80), (61, 81), (80, 45)])
@pytest.mark.parametrize("beta", [3.0, 5.0, np.inf])
def test_flux_is_conserved(shape, beta):
    pair = image_pair(shape=shape, sources=lone(0.3, -0.2), beta=beta, reference_beta=4.0, scale=0.8, **ALONE)
    assert pair.reference.shape == pair.image.shape == shape
    assert pair.reference.sum() == pytest.approx(1000, rel=2e-3)
    assert pair.image.sum() == pytest.approx(800, rel=2e-2 if beta == 3.0 else 2e-3)


@pytest.mark.truth
@pytest.mark.parametrize(("dx", "dy"), [(0.13, -0.21), (-3.0, 2.2), (0.0, 0.0)])
@pytest.mark.parametrize("rotation", [0.0, 20.0, 200.0])
def test_shift_is_along_the_pixels(dx, dy, rotation):
    pair = image_pair(shape=(120, 110), sources=lone(1.0, 2.0), beta=np.inf, rotation=rotation, **(ALONE | {"dx": dx, "dy": dy}))
    y, x = np.indices(pair.image.shape)
    for data, sign in ((pair.reference, 0), (pair.image, 1)):
        light = np.where(np.abs(data) > 1e-4 * data.max(), data, 0)
        near = np.hypot(x - pair.star_xy[0] - sign * dx / 0.2, y - pair.star_xy[1] - sign * dy / 0.2) < 12
        found = [(light * near * axis).sum() / (light * near).sum() for axis in (x, y)]
        assert found == pytest.approx([pair.star_xy[0] + sign * dx / 0.2, pair.star_xy[1] + sign * dy / 0.2], abs=0.01)


@pytest.mark.truth
def test_star_is_where_the_wcs_says_and_its_motion_is_its_own():
    still, moved = (image_pair(shape=(150, 140), star_motion=motion, seed=8, **QUIET) for motion in ((0.0, 0.0), (0.3, -0.1)))
    x, y = still.wcs.all_world2pix(*still.star, 0)
    assert still.star_xy == pytest.approx((float(x), float(y)), abs=1e-6)
    peak = np.unravel_index(still.reference.argmax(), still.reference.shape)
    assert peak == (round(still.star_xy[1]), round(still.star_xy[0]))
    np.testing.assert_array_equal(still.reference, moved.reference)
    row, column = np.indices(still.image.shape)
    away = np.hypot(column - still.star_xy[0], row - still.star_xy[1]) > 50
    difference = np.abs(moved.image - still.image)
    assert difference[~away].max() > 300
    assert difference[away].max() < 3


@pytest.mark.truth
def test_scale_and_level():
    base, made = (image_pair(shape=(64, 64), scale=scale, bg=bg, seed=3, **QUIET) for scale, bg in ((1.0, 0.0), (0.7, -12.0)))
    np.testing.assert_allclose(made.image, 0.7 * base.image - 12.0, atol=1e-9)
    np.testing.assert_array_equal(made.reference, base.reference)


@pytest.mark.truth
@pytest.mark.parametrize("shape", [(100, 120), (101, 99)])
def test_noise_is_what_was_asked(shape):
    clean = image_pair(shape=shape, seed=4, **QUIET)
    noisy = image_pair(shape=shape, seed=4, noise=2.5, reference_noise=0.4)
    image, reference = noisy.image - clean.image, noisy.reference - clean.reference
    assert image.std() == pytest.approx(2.5, rel=0.03)
    assert reference.std() == pytest.approx(0.4, rel=0.06)
    assert abs((image[:, 1:] * image[:, :-1]).mean()) < 0.04 * 2.5**2
    assert 0.5 < (reference[:, 1:] * reference[:, :-1]).mean() / 0.4**2 < 0.9
    spectrum = np.abs(np.fft.fft2(reference - reference.mean()))
    assert np.median(spectrum[45:55, 45:55]) < 0.05 * np.median(spectrum[:5, :5])


@pytest.mark.truth
@pytest.mark.parametrize(("ratio", "angle"), [(0.7, 0.0), (0.5, 35.0), (0.8, 120.0)])
def test_elliptical_profiles_lie_as_asked(ratio, angle):
    options = {"beta": np.inf, "ratio": ratio, "angle": angle, "fwhm": 1.2, "pixel": 0.1, "shape": (101, 101)}
    for rotation in (0.0, 50.0):
        pair = image_pair(sources=lone(0.0, 0.0), rotation=rotation, **options, **ALONE)
        major, minor, found = second_moments(pair.image)
        sigma = 1.2 / np.sqrt(8 * np.log(2)) / 0.1
        assert (major * minor) ** 0.25 == pytest.approx(sigma, rel=1e-4)
        assert np.sqrt(minor / major) == pytest.approx(ratio, rel=1e-4)
        assert (found - angle + 90) % 180 == pytest.approx(90, abs=1e-3)


@pytest.mark.truth
def test_fine_reference_turns_the_profile_with_the_sky():
    options = {"reference_beta": np.inf, "reference_ratio": 0.4, "reference_angle": 25.0, "reference_fwhm": 1.0}
    pair = image_pair(shape=(80, 80), pixel=0.1, rotation=20.0, sources=lone(0.0, 0.0), **options, **ALONE)
    data, wcs = fine_reference(pair, (160, 160), 0.05, -35.0, noise=0)
    angles = []
    for image, frame in ((pair.reference, pair.wcs), (data, wcs)):
        angle = np.radians(second_moments(image)[2])
        end = frame.wcs.cd @ [np.cos(angle), np.sin(angle)]
        angles.append(np.degrees(np.arctan2(end[0], end[1])) % 180)
    assert angles[0] == pytest.approx(angles[1], abs=0.2)


@pytest.mark.truth
def test_fine_reference_shows_the_same_sky():
    pair = image_pair(shape=(60, 60), seed=6, reference_fwhm=0.9, reference_beta=5.0, **QUIET)
    data, wcs = fine_reference(pair, (700, 720), 0.03, -35.0, noise=0, photflam=1e-20)
    y, x = np.indices((60, 60))[:, 5:-5, 5:-5]
    there = wcs.all_world2pix(np.stack(pair.wcs.all_pix2world(x.ravel(), y.ravel(), 0), axis=1), 0).T
    seen = map_coordinates(data, there[::-1], order=3) * (0.2 / 0.03) ** 2
    unfiltered = image_pair(
        PairPlan(shape=(60, 60), seed=6, fwhm=0.9, beta=5.0, scale=1.0, bg=0.0, dx=0.0, dy=0.0, **QUIET), sources=pair.sources
    )
    inside = np.isfinite(seen) & (np.abs(there - 350) < 300).all(axis=0)
    assert inside.mean() > 0.6
    np.testing.assert_allclose(seen[inside], unfiltered.image[5:-5, 5:-5].ravel()[inside], atol=1e-3 * unfiltered.image.max())


@pytest.mark.pure
def test_sources_leave_the_star_alone_and_some_lie_outside():
    for seed in range(8):
        plan = PairPlan(seed=seed)
        sources = make_sources(plan)
        assert len(sources.flux) == 61
        assert sources.flux[0] == 60000
        assert np.hypot(sources.east[1:] - sources.east[0], sources.north[1:] - sources.north[0]).min() > 6
        assert ((sources.length > 0).sum(), (sources.ratio == 1).sum()) == (55, 6)
        assert np.abs(sources.east).max() > 30


@pytest.mark.pure
def test_same_plan_same_pair_other_seed_other_sky():
    first, again, other = (image_pair(shape=(50, 50), seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.reference, again.reference)
    assert np.abs(first.image - other.image).max() > 10


@pytest.mark.truth
def test_written_files_hold_it_all(tmp_path):
    pair = image_pair(shape=(50, 64), seed=9)
    folder = pair.write(tmp_path)
    for name, data, sigma in (("reference", pair.reference, 0.3), ("image", pair.image, 2.0)):
        with fits.open(folder / f"{name}.fits") as units:
            np.testing.assert_allclose(units["DATA"].data, data, rtol=1e-6, atol=1e-4)
            np.testing.assert_allclose(units["STAT"].data, sigma**2, rtol=1e-6)
            where = WCS(units["DATA"].header).all_pix2world([[3.0, 5.0]], 0)
            np.testing.assert_allclose(where, pair.wcs.all_pix2world([[3.0, 5.0]], 0), atol=1e-10)
            assert units["DATA"].header["BUNIT"] == "10**(-20)*erg/s/cm**2/Angstrom"
    truth = json.loads((folder / "truth.json").read_text())
    assert (truth["fwhm"], truth["scale"], truth["star"]) == (0.7, 0.95, list(pair.star))
    quiet = image_pair(shape=(20, 20), **QUIET).write(tmp_path / "quiet")
    with fits.open(quiet / "image.fits") as units:
        assert "STAT" not in units


@pytest.mark.pure
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fwhm": 0.0}, r"fwhm 0\.0: must be positive"),
        ({"pixel": -0.2}, r"pixel -0\.2: must be positive"),
        ({"reference_fwhm": np.inf}, "reference_fwhm inf: must be positive"),
        ({"beta": 1.0}, r"beta 1\.0: must be larger than 1"),
        ({"beta": 300.0}, r"beta 300\.0: .* at most 100, or inf"),
        ({"reference_beta": np.nan}, "reference_beta nan: must be larger than 1"),
        ({"ratio": 0.0}, r"ratio 0\.0: must be larger than 0 and at most 1"),
        ({"reference_ratio": 1.2}, r"reference_ratio 1\.2: must be larger than 0 and at most 1"),
        ({"noise": -1.0}, r"noise -1\.0: must not be negative"),
        ({"n_discs": -1}, "n_discs -1: must not be negative"),
        ({"shape": (0, 5)}, r"shape \(0, 5\): must be rows and columns"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        image_pair(**options)
