"""How deep catalogs are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from ezarchive.catalogs import depths
from ezarchive.catalogs.depths import search_factor
from ezarchive.errors import CatalogError
from ezarchive.photometry.detection import SexOptions, sex

from .conftest import DEC, RA


def test_factor_by_hand():
    # FWHM of 4.7096 pixels: sigma 2; with the pyramid a variance of 4.5. In a circle of diameter 8 lie 1 - exp(-2) of the light.
    total = 5 * 2 * np.pi * 4.5 * np.exp(5 / (2 * np.pi * 4.5))
    found = search_factor(5.0, 5, 2 * 2.3548200450309493, 8.0)
    assert float(found) == pytest.approx(total * (1 - np.exp(-2)) / (5 * np.sqrt(np.pi * 16)))
    assert float(search_factor(5.0, 5, 4.71, 8.0, smoothed=False)) < float(found)
    assert np.isnan(search_factor(np.nan, 5, 4.71, 8.0))
    assert search_factor([1.0, 5.0], 5, 4.71, 8.0)[0] < 1


@pytest.mark.parametrize("threshold", [3.0, 5.0, 8.0])
@pytest.mark.parametrize("fwhm", [3.0, 5.0])
def test_stars_are_found_from_the_factor_on(rng, threshold, fwhm):
    diameter, half, n = 2.5 * fwhm, 16, 21
    sigma = fwhm / 2.3548200450309493
    relative = np.linspace(0.6, 1.6, n)
    y, x = np.mgrid[:32, :32] - 16.0
    profile = np.exp(-(x**2 + y**2) / (2 * sigma**2)) / (2 * np.pi * sigma**2)
    inside = 1 - np.exp(-((diameter / 2) ** 2) / (2 * sigma**2))
    limit = float(search_factor(threshold, 5, fwhm, diameter)) * 5 * np.sqrt(np.pi) * diameter / 2 / inside
    found = np.zeros(n)
    for _ in range(6):
        image = rng.normal(0, 1, (32, 32 * n))
        for i, factor in enumerate(relative):
            image[:, 32 * i : 32 * i + 32] += factor * limit * profile
        table = sex(image, SexOptions(detect_thresh=threshold), noise=1.0)
        near = np.abs(table["X_IMAGE"].value % 32 - half) < 4
        found += np.bincount((table["X_IMAGE"].value[near] // 32).astype(int), minlength=n) > 0
    assert (found[relative < 0.72] <= 2).all()
    assert (found[relative > 1.3] == 6).all()


def frames_and_links(archive, aperture=5.0):
    with archive.engine() as engine:
        frames, catalogs, zero_points = (engine.query(f"SELECT * FROM {view}").to_arrow() for view in ("frames", "catalogs", "zero_points"))
        return depths.depths(frames, catalogs, zero_points, aperture)


def test_limits_of_header_and_of_sources(archive):
    here = {"exptime": 10.0, "mjd_mid": 60000.0}
    known = {"zero_point": 25.0, "zero_point_aperture": 5.0, "zero_point_system": "AB", "depth": 20.0, "depth_aperture": 5.0}
    archive.add({**here, **known}, {5.0: np.ones(3)}, sky_sigma=2.0)
    archive.add(here, {5.0: np.ones(3)}, sky_sigma=2.0)
    archive.add(here, {5.0: np.ones(3)})
    archive.add(here, {7.0: np.ones(3)}, sky_sigma=2.0)
    links = frames_and_links(archive)
    assert links["frame_id"].to_pylist() == [1, 2, 3]
    found = depths.with_limits(links, archive.home, RA, DEC, np.array([1.0, 0.3, np.nan]))
    assert found["mag_limit"].to_pylist() == [20.0, None, None]
    assert found["flux_limit"].to_pylist() == [pytest.approx(100 / 10), pytest.approx(5 * 2.0 / 10), None]
    brighter = depths.with_limits(links, archive.home, RA, DEC, np.array([10.0, 2.0, 2.0]))
    assert brighter["mag_limit"].to_pylist()[0] == pytest.approx(17.5)
    assert brighter["flux_limit"].to_pylist() == [pytest.approx(100.0), pytest.approx(2.0), None]


def test_the_noise_is_that_of_the_place(archive, rng):
    n = 400
    ra, dec = RA + rng.uniform(-2, 2, n), DEC + rng.uniform(-0.5, 0.5, n)
    row = archive.add({"exptime": 1.0}, {5.0: np.ones(n)}, ra=ra, dec=dec, sky_sigma=2.0)
    assert depths.noise_at(archive.home / row["path"], 0, RA, DEC) == 2.0
    assert np.isnan(depths.noise_at(archive.home / row["path"], 1, RA, DEC))
    with pytest.raises(CatalogError, match=r"none\.parquet"):
        depths.noise_at(archive.home / "none.parquet", 0, RA, DEC)


def test_no_catalogs(archive):
    links = frames_and_links(archive)
    assert isinstance(links, pa.Table)
    assert len(depths.with_limits(links, archive.home, RA, DEC, np.zeros(0))) == 0
