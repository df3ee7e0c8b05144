"""The stars that calibrate a frame."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ezarchive import sky
from ezarchive.errors import InputError, MeasurementError
from ezarchive.photometry.calibration import FitOptions
from ezarchive.photometry.calibrators import STEPS, ReferenceStars, StarSelection, calibrate_sources, isolated, match, select

SHAPE, SCALE = (1000, 1200), 0.5
ARCSEC = 1 / 3600
ZERO_POINTS = {"AUTO": 25.3, "APER": 25.0, "APER_1": 25.2}


def scene(rng: np.random.Generator, n: int = 300) -> tuple[dict[str, np.ndarray], ReferenceStars]:
    """A frame at the pole of RA 0 with sources and the reference that they are in, in another order."""
    x, y = rng.uniform(0, 1199, n), rng.uniform(0, 999, n)
    ra, dec = ((x - 600) * SCALE * ARCSEC / np.cos(np.radians(60))) % 360, 60 + (y - 500) * SCALE * ARCSEC
    mag = rng.uniform(12, 16, n)
    sources = {"X_IMAGE": x, "Y_IMAGE": y, "ALPHA_J2000": ra, "DELTA_J2000": dec, "FLAGS": np.zeros(n)}
    sources |= {"FWHM_IMAGE": rng.normal(5, 0.1, n), "ELONGATION": rng.normal(1.05, 0.01, n), "CLASS_STAR": np.full(n, 0.97)}
    for measure, zero_point in ZERO_POINTS.items():
        flux = 10 ** ((zero_point - mag) / 2.5)
        error = np.sqrt(flux / 0.25 + 300.0**2)
        sources |= {f"FLUX_{measure}": flux + rng.normal(0, error), f"FLUXERR_{measure}": error}
        sources[f"SKYSIG_{measure}"] = np.full(n, 300.0)
    order = rng.permutation(n)
    return sources, ReferenceStars(ra, dec, mag, np.full(n, 0.005), rng.normal(0.8, 0.3, n)).take(order)


def run(sources: dict[str, np.ndarray], reference: ReferenceStars, apertures: tuple = (5.0, 7.0), **options):
    given = {"shape": SHAPE, "pixel_scale": SCALE, "radius_deg": ARCSEC, "selection": StarSelection(isolation_arcsec=None)}
    return calibrate_sources(sources, reference, apertures, **{**given, **options})


def test_every_measurement_has_its_own_zero_point(rng: np.random.Generator) -> None:
    found = run(*scene(rng))
    assert list(found.fits) == ["AUTO", "APER", "APER_1"]
    assert found.apertures == {"AUTO": None, "APER": 5.0, "APER_1": 7.0}
    for measure, fit in found.fits.items():
        assert abs(fit.value - ZERO_POINTS[measure]) < 4 * fit.error
        assert fit.error < 0.003
    assert found.depths["APER"] == pytest.approx(found.fits["APER"].value - 2.5 * np.log10(1500))
    assert found.failed == {}
    assert found.steps["sources"] == found.steps["matched"] == 300
    assert list(found.steps) == ["sources", "matched", *STEPS]
    assert found.steps["fwhm"] == (found.stars["cut"] < 0).sum()


def test_a_size_that_comes_twice_counts_once_and_one_without_scale_not_at_all(rng: np.random.Generator) -> None:
    sources, reference = scene(rng)
    assert list(run(sources, reference, (5.0, 5.0)).fits) == ["AUTO", "APER"]
    assert list(run(sources, reference, (None, 7.0)).fits) == ["AUTO", "APER_1"]
    assert list(run(sources, reference, ()).fits) == ["AUTO"]


def test_a_measurement_without_stars_is_named(rng: np.random.Generator) -> None:
    sources, reference = scene(rng)
    sources["FLUX_APER"][:] = -1.0
    found = run(sources, reference)
    assert list(found.fits) == ["AUTO", "APER_1"]
    assert found.failed == {"APER": "0 of 0 calibrating stars are left; must be at least 5"}


def test_nothing_matches(rng: np.random.Generator) -> None:
    sources, reference = scene(rng)
    moved = reference._replace(dec=reference.dec + 1)
    with pytest.raises(MeasurementError, match="none of 300 sources lies within 1 arcsec of one of its 300 stars") as caught:
        run(sources, moved)
    assert caught.value.code == "no_reference_star"
    with pytest.raises(MeasurementError, match="no.* of one of its 300 stars"):
        run(sources, reference._replace(mag=np.full(300, np.nan)))
    with pytest.raises(MeasurementError, match="of one of its 0 stars"):
        run(sources, reference.take(np.array([], int)))


def test_all_stars_are_cut(rng: np.random.Generator) -> None:
    sources, reference = scene(rng)
    sources["FLAGS"][:] = 2
    with pytest.raises(MeasurementError, match=r"0 of 0 calibrating stars are left.*matched 300.*flags 0") as caught:
        run(sources, reference)
    assert caught.value.code == "too_few_stars"
    assert run(sources, reference, selection=StarSelection(flags=3, isolation_arcsec=None)).fits["AUTO"].n > 120


def test_matches_are_one_to_one_and_the_nearest(rng: np.random.Generator) -> None:
    ra, dec = np.array([0.0, 0.0, 10.0, np.nan]), np.array([0.0, 0.4 * ARCSEC, 0.0, 0.0])
    reference = np.array([[359.99999, 0.0], [10.0, 2 * ARCSEC], [np.nan, 0.0], [0.0, 0.5 * ARCSEC]])
    ours, theirs = match(ra, dec, *reference.T, ARCSEC)
    assert list(zip(ours.tolist(), theirs.tolist(), strict=True)) == [(0, 0), (1, 3)]
    ours, theirs = match(ra[:2], dec[:2], np.array([0.0]), np.array([0.1 * ARCSEC]), ARCSEC)
    assert (ours.tolist(), theirs.tolist()) == ([0], [0])
    a, d = rng.uniform(0, 360, 500), rng.uniform(89, 90, 500)
    ours, theirs = match(a, d, a[::-1], d[::-1], ARCSEC)
    assert (ours + theirs == 499).all()
    assert (sky.separation(a[ours], d[ours], a[::-1][theirs], d[::-1][theirs]) == 0).all()


def test_isolation_minds_brightness_and_distance() -> None:
    points, mag = np.array([[0.0, 0], [3.0, 0], [100.0, 0], [104.0, 0], [300.0, 0], [np.nan, 0]]), np.array([10.0, 15, 12, 12.5, 14, 9])
    assert isolated(points, mag, 5, 4).tolist() == [True, False, False, False, True, True]
    assert isolated(points, mag, 5, 6).tolist() == [False, False, False, False, True, True]
    assert isolated(points, mag, 3.5, 4).tolist() == [True, False, True, True, True, True]


def test_each_cut(rng: np.random.Generator) -> None:
    n = 40
    sources = {"X_IMAGE": np.full(n, 600.0), "Y_IMAGE": np.full(n, 500.0), "FLUX_AUTO": np.full(n, 1e4), "FLUXERR_AUTO": np.full(n, 10.0)}
    sources |= {"FLAGS": np.zeros(n), "IMAFLAGS_ISO": np.zeros(n), "CLASS_STAR": np.full(n, 0.9)}
    sources |= {"ELONGATION": rng.normal(1.1, 0.02, n), "FWHM_IMAGE": rng.normal(5, 0.1, n)}
    mag, alone = np.full(n, 14.0), np.ones(n, bool)
    mag[0], mag[1] = 11.0, 18.0
    sources["X_IMAGE"][2], sources["Y_IMAGE"][3] = 20.0, 985.0
    sources["FLAGS"][4], sources["IMAFLAGS_ISO"][5] = 4, 1
    sources["FLUX_AUTO"][6:8] = 100.0, np.nan
    alone[8] = False
    sources["CLASS_STAR"][9], sources["ELONGATION"][10:12], sources["FWHM_IMAGE"][12:14] = 0.1, (1.9, 1.45), (0.5, 8.0)
    sources["CLASS_STAR"][14] = sources["ELONGATION"][15] = sources["FWHM_IMAGE"][16] = np.nan
    cut = select(sources, mag, alone, StarSelection(magnitude=(12, 17)), SHAPE)
    expected = ["magnitude"] * 2 + ["inner"] * 2 + ["flags", "masked"] + ["snr"] * 2 + ["isolated", "class_star"] + ["elongation"] * 2
    assert [STEPS[place] for place in cut[:14]] == [*expected, "fwhm", "fwhm"]
    assert (cut[14:] == -1).all()
    everything = StarSelection(
        inner_fraction=1, flags=255, masked=True, snr=None, class_star=None, elongation=None, elongation_clip=None, fwhm_clip=None,
        fwhm_lower=None,
    )  # fmt: skip
    assert np.flatnonzero(select(sources, mag, np.ones(n, bool), everything, SHAPE) >= 0).tolist() == [7]
    assert (select({name: sources[name] for name in ("X_IMAGE", "Y_IMAGE", "FLUX_AUTO", "FLUXERR_AUTO")}, mag, alone, everything, SHAPE)[9:]
            == -1).all()  # fmt: skip


def test_neighbours_in_the_reference_count_too(rng: np.random.Generator) -> None:
    sources, reference = scene(rng)
    fields = (np.append(values, values[0]) for values in reference)
    double = ReferenceStars(*fields)._replace(dec=np.append(reference.dec, reference.dec[0] + 3 * ARCSEC))
    star = int(np.flatnonzero(sources["ALPHA_J2000"] == reference.ra[0])[0])
    selection = StarSelection(isolation_arcsec=4.0, inner_fraction=1)
    cut = run(sources, reference, selection=selection).stars["cut"]
    also = run(sources, double, selection=selection).stars["cut"]
    assert also[star] == STEPS.index("isolated")
    assert (np.delete(also, star) == np.delete(cut, star)).all()


def test_arguments_do_not_change(rng: np.random.Generator) -> None:
    sources, reference = scene(rng)
    before = {name: values.copy() for name, values in sources.items()}
    run(sources, reference, options=FitOptions(colour_term="fit"))
    for name, values in sources.items():
        np.testing.assert_array_equal(values, before[name])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"inner_fraction": 0}, "inner_fraction=0: must be above 0, and 1 at the most"),
        ({"flags": 256}, "flags=256: must be a sum of bits of FLAGS"),
        ({"magnitude": (15, 12)}, r"magnitude=\(15, 12\): must be a bright and a fainter limit"),
        ({"snr": -1}, "snr=-1: must be a positive number or None"),
        ({"fwhm_clip": np.nan}, "fwhm_clip=nan: must be a positive number or None"),
        ({"snr": "20"}, "snr='20': must be a positive number or None"),
        ({"inner_fraction": "all"}, "inner_fraction='all': must be above 0"),
        ({"magnitude": 15}, "magnitude=15: must be a bright and a fainter limit"),
        ({"magnitude": ("12", "15")}, r"magnitude=\('12', '15'\): must be a bright and a fainter limit"),
        ({"magnitude": (12, np.nan)}, r"magnitude=\(12, nan\): must be a bright and a fainter limit"),
        ({"class_star": np.nan}, "class_star=nan: must be a number or None"),
        ({"isolation_contrast": None}, "isolation_contrast=None: must be a number of magnitudes"),
    ],
)
def test_wrong_selections(option: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        StarSelection(**option)


def test_a_wrong_radius() -> None:
    with pytest.raises(InputError, match="radius 0 deg: must be above 0"):
        match(np.zeros(1), np.zeros(1), np.zeros(1), np.zeros(1), 0)


@pytest.mark.pure
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 40), st.floats(0.5, 30), st.floats(-1, 6))
def test_isolation_is_that_of_every_pair(seed: int, n: int, radius: float, contrast: float) -> None:
    rng = np.random.default_rng(seed)
    points, mag = rng.uniform(0, 60, (n, 2)), np.where(rng.random(n) < 0.1, np.nan, rng.uniform(10, 16, n))
    distance = np.hypot(*(points[:, None] - points[None]).T)
    with np.errstate(invalid="ignore"):
        near = (distance <= radius) & (mag[None] < mag[:, None] + contrast) & ~np.eye(n, dtype=bool)
    assert isolated(points, mag, radius, contrast).tolist() == (~near.any(axis=1)).tolist()


@pytest.mark.pure
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.integers(0, 30), st.floats(0.1, 60))
def test_matches_are_those_of_every_pair(seed: int, n: int, m: int, radius: float) -> None:
    rng = np.random.default_rng(seed)
    ra, dec = rng.uniform(-0.01, 0.01, n) % 360, rng.uniform(-0.01, 0.01, n)
    other = rng.uniform(-0.01, 0.01, m) % 360, rng.uniform(-0.01, 0.01, m)
    apart = sky.separation(ra[:, None], dec[:, None], other[0][None], other[1][None])
    wanted = [
        (i, j) for i in range(n) for j in range(m)
        if apart[i, j] <= radius * ARCSEC and apart[i, j] == apart[i].min() == apart[:, j].min()
    ]  # fmt: skip
    assert list(zip(*(found.tolist() for found in match(ra, dec, *other, radius * ARCSEC)), strict=True)) == wanted
