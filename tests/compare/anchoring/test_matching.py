"""A galaxy whose bands have wrong zero levels, in memory: every band must be brought right, and the errors be true."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from ezarchive.compare.anchoring.convolution import convolve_to
from ezarchive.compare.anchoring.matching import Level, anchor_fit, match_levels
from ezarchive.compare.anchoring.offsets import chain_offset, classic_range
from ezarchive.compare.anchoring.psfkernels import gaussian_to_gaussian, read_kernel
from ezarchive.compare.anchoring.work import COLOUR, LEAST_COVERAGE
from ezarchive.errors import CompareError, InputError
from ezarchive.simulate.nebulae import BANDS, COMMON_BAND, SURVEYS, NebulaPlan, band_image, survey_image

ASKS = {"F770W": 0.012, "F1000W": 0.008, "F1130W": 0.015, "F2100W": 0.012, "F300M": 0.003, "F335M": 0.003, "F360M": 0.003, "F200W": 0.003}
PARENT, SURVEY = {"miri": "F770W", "nircam": "F300M"}, {"miri": "irac4_atgauss4", "nircam": "irac1_atgauss4"}
BEAM = BANDS[COMMON_BAND].fwhm


def seen(plan, name):
    plane = band_image(plan, name)
    return np.float32(plane.data), plane.wcs


def level(image, name, fwhm):
    (data, wcs), band = image, BANDS[name]
    if band.fwhm == fwhm:
        return Level(data, wcs)
    made = convolve_to(data, gaussian_to_gaussian(band.fwhm, fwhm, band.pixel), edges=True)
    return Level(made.data, wcs, made.coverage)


def against(plan, name, survey, image=None, **changes):
    there, fwhm = survey_image(plan, survey), plan.surveys[survey].fwhm
    image = seen(plan, name) if image is None else image
    options = {"fwhm": fwhm, "least_coverage": LEAST_COVERAGE, "colour": COLOUR} | changes
    return anchor_fit(level(image, name, fwhm), Level(np.float32(there.data), there.wcs), **options)[0]


def anchored(plan, instrument, bands=None):
    """Return what is wrong with the offset of every band of an instrument, and what its error says."""
    parent = PARENT[instrument]
    image = seen(plan, parent)
    first = against(plan, parent, SURVEY[instrument], image)
    common, made = level(image, parent, BEAM), {parent: (first.offset + BANDS[parent].offset, first.offset_err)}
    for name, band in BANDS.items():
        if band.instrument == instrument and name != parent and (bands is None or name in bands):
            fit, _ = anchor_fit(level(seen(plan, name), name, BEAM), common, fwhm=BEAM, kind="internal")
            offset, error = chain_offset(fit, first.offset, first.offset_err)
            made[name] = (offset + band.offset, error)
    return made


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("instrument", PARENT)
@pytest.mark.parametrize("seed", [1, 2])
def test_without_noise(instrument, seed):
    for name, (error, _) in anchored(NebulaPlan(seed=seed, noise=0), instrument).items():
        assert abs(error) < 2e-3, name


MISSES = {(13, 201.0, "F200W")}
"""Seed, angle and band: off by 0.0031 of 0.003."""


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("instrument", PARENT)
@pytest.mark.parametrize("seed", [11, 12, 13])
@pytest.mark.parametrize("angle", [23.0, 201.0])
def test_with_noise(instrument, seed, angle):
    """One sky in ten may miss; those that do are named, and must."""
    for name, (error, _) in anchored(NebulaPlan(seed=seed, position_angle=angle), instrument).items():
        assert (abs(error) < ASKS[name]) == ((seed, angle, name) not in MISSES), (name, error)


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", [21, 22, 23])
def test_colours(seed):
    plan = NebulaPlan(seed=seed, scenario="colour")
    made = anchored(plan, "nircam", ["F200W"]) | anchored(plan, "miri", [])
    for name, ask in (("F770W", 0.015), ("F300M", 0.006), ("F200W", 0.025)):
        assert abs(made[name][0]) < ask, name


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("scenario", ["linear", "zerofill"])
def test_a_survey_of_low_resolution(scenario):
    """One in twenty may lie outside."""
    off = [abs(against(NebulaPlan(seed=seed, scenario=scenario), "F770W", "w3_atgauss15").intercept - 0.3) for seed in range(31, 41)]
    assert np.count_nonzero(np.array(off) > 0.04) <= 1
    fit = against(NebulaPlan(seed=31, scenario=scenario), "F770W", "w3_atgauss15", least_coverage=(0.98, 0.9))
    assert fit.status == "flagged" and "few_beams" in fit.flags


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_a_small_field(small_field):
    """Noise of a survey's 20 beams alone is 0.007 to 0.01 in the zero level: the errors must say so."""
    off, error = small_field
    assert 0.7 < np.sqrt(np.mean((off / error) ** 2)) < 1.4
    with pytest.raises(CompareError, match="must have 100 pixels and 8 beams in common") as err:
        against(NebulaPlan(seed=41, width=45, height=40), "F770W", "w3_atgauss15")
    assert err.value.code == "too_few_pixels"


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.xfail(strict=True, raises=AssertionError, reason="17 of 20: r.m.s. 0.0105, of which the survey's noise alone leaves 0.0071")
def test_nine_of_ten_small_fields(small_field):
    off, _ = small_field
    assert np.count_nonzero(np.abs(off) <= 0.015) >= 0.9 * off.size


@pytest.fixture(scope="module")
def small_field():
    """What is wrong with the zero level of 20 small fields, and its error."""
    fits = [against(NebulaPlan(seed=seed, width=45, height=40), "F770W", "irac4_atgauss4") for seed in range(41, 61)]
    return np.array([[fit.intercept - 0.3, fit.intercept_err] for fit in fits]).T


COLOURED = pytest.mark.xfail(
    strict=True, raises=AssertionError, reason="1.5 to 2.4: colours that change with brightness move the level unseen under the noise"
)


WIDE = pytest.mark.xfail(strict=True, raises=AssertionError, reason="F335M 0.63: its quoted errors are too large in this smaller field")


def rms_pulls(instrument, others, **plan):
    made = [anchored(NebulaPlan(seed=seed, **plan), instrument, others) for seed in range(61, 81)]
    return {name: float(np.sqrt(np.mean([(one[name][0] / one[name][1]) ** 2 for one in made]))) for name in made[0]}


@pytest.mark.truth
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("scenario", "instrument", "others"),
    [
        ("linear", "miri", ["F1000W", "F1130W", "F2100W"]),
        ("linear", "nircam", []),
        pytest.param("linear", "nircam", ["F335M"], marks=WIDE),
        pytest.param("colour", "miri", ["F1000W", "F1130W", "F2100W"], marks=COLOURED),
    ],
)
def test_pulls(instrument, others, scenario):
    found = rms_pulls(instrument, others, width=66, height=60, scenario=scenario)
    assert not {name: pull for name, pull in found.items() if not 0.7 < pull < 1.4}


CLASSIC = {
    ("F770W", "irac4_atgauss4"): (0.94512, 0.30625),
    ("F770W", "w3_atgauss15"): (1.56466, 0.39038),
    ("F300M", "irac1_atgauss4"): (0.90429, 0.14530),
    ("F300M", "w1_atgauss7p5"): (1.01201, 0.15711),
    ("F1000W", "F770W"): (0.36724, -0.22825),
    ("F1130W", "F770W"): (1.35344, -0.18978),
    ("F2100W", "F770W"): (0.56458, -0.61821),
    ("F200W", "F300M"): (1.82037, 0.11646),
    ("F335M", "F300M"): (0.95984, -0.20955),
    ("F360M", "F300M"): (0.87242, -0.08577),
}


@pytest.mark.oracle
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_classic_gives_the_published_numbers(real_data, tmp_path):
    tool = real_data.parent / "tools" / "anchor_scene.py"
    if not tool.exists():
        pytest.skip("the generator of the scene is not there")
    subprocess.run([sys.executable, tool, tmp_path], check=True, capture_output=True)

    def classic(name, goal):
        path = next((tmp_path / "data" / "ngc9999" / name / "lv3").glob("*.fits"))
        data, wcs = fits.getdata(path, "SCI"), WCS(fits.getheader(path, "SCI"))
        if goal == name.lower():
            return Level(data, wcs)
        kernel = read_kernel(tmp_path / "kernels" / f"{name.lower()}_to_{goal}.fits")
        return Level(convolve_to(data, kernel, step=BANDS[name].pixel).data, wcs)

    for (name, reference), (slope, intercept) in CLASSIC.items():
        external = reference in SURVEYS
        if external:
            path = tmp_path / "refs" / f"ngc9999_{reference}.fits"
            there, goal = Level(fits.getdata(path), WCS(fits.getheader(path))), reference.split("_at")[1]
        else:
            there, goal = classic(reference, "f2100w"), "f2100w"
        fit, _ = anchor_fit(
            classic(name, goal),
            there,
            fwhm=SURVEYS[reference].fwhm if external else BEAM,
            kind="external" if external else "internal",
            method="classic",
            value_range=classic_range(reference),
            blank_zeros=False,
        )
        assert fit.slope == pytest.approx(slope, abs=5e-4), name
        assert fit.intercept == pytest.approx(intercept, abs=5e-4), name


def small(value, shape=(60, 50), dec=12.5, pixel=1.0):
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval, wcs.wcs.crpix = ["RA---TAN", "DEC--TAN"], [150.0, dec], [25.5, 30.5]
    wcs.wcs.cdelt = [-pixel / 3600, pixel / 3600]
    return Level(np.full(shape, value), wcs)


@pytest.mark.pure
def test_coverage_of_both():
    one, other = small(1.0), small(2.0, (50, 70))
    weight = np.full((60, 50), 0.5)
    assert match_levels(one, other).coverage is None
    made = match_levels(Level(one.data, one.wcs, weight), other)
    assert made.image.shape == made.reference.shape == (50, 70)
    assert set(np.unique(made.coverage)) == {0.0, 0.5}
    made = match_levels(one, Level(other.data, other.wcs, np.full((50, 70), 0.7)))
    assert set(np.unique(made.coverage)) == {0.0, 0.7}
    made = match_levels(Level(one.data, one.wcs, weight), Level(other.data, other.wcs, np.full((50, 70), 0.3)))
    assert set(np.unique(made.coverage)) == {0.0, 0.3}


@pytest.mark.pure
def test_what_cannot_be_matched():
    with pytest.raises(CompareError, match="do not overlap"):
        anchor_fit(small(1.0), small(1.0, dec=40.0), fwhm=4.0)
    with pytest.raises(CompareError, match="no pixel has a value"):
        anchor_fit(small(np.nan), small(1.0), fwhm=4.0)
    with pytest.raises(InputError, match="fwhm 0: must be positive"):
        anchor_fit(small(1.0), small(1.0), fwhm=0)
    with pytest.raises(InputError, match="reference: must have two axes"):
        anchor_fit(small(1.0), Level(np.ones(5), small(1.0).wcs), fwhm=1)
