"""Real frames measured by us and by source-extractor, and small skies with known truth."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import pytest
from astropy.io import ascii as ascii_table
from astropy.io import fits
from astropy.table import QTable, Table
from astropy.wcs import WCS
from scipy.spatial import cKDTree

from ezarchive.images.background import MeshBackground, estimate
from ezarchive.photometry.detection import SexOptions, sex

# File, gain, saturation, name and apertures in pixels, as in oracle/make_oracle.sh.
_DECAM = [
    (f"decam/DEC-OBS04{c}.mini.fits", 3.984046692260535, 46536.1041736873, f"DEC-OBS04{c}", (19.04, 26.66, 38.08)) for c in "abcde"
]
RUNS = {
    run[3]: run
    for run in (
        *_DECAM,
        ("nircam/jw01324001001-01324-o001_t001_nircam_clear-f200w_i2d_stamp.fits", 0.0, 1e9, "nircam_f200w", (10.0, 15.0, 25.0)),
        ("sep/image.fits", 0.0, 60000.0, "sep_image", (10.0, 15.0, 20.0)),
    )
}


@dataclass(frozen=True)
class Comparison:
    """Our sources beside source-extractor's: row i of `ours` is the one nearest to row i of `theirs`, `distance` pixels away."""

    ours: QTable
    theirs: Table
    distance: np.ndarray
    good: np.ndarray
    background: MeshBackground
    wcs: WCS | None
    n_ours: int

    def pair(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """A column of both for the sources with FLAGS 0."""
        return plain(self.ours[name])[self.good], np.asarray(self.theirs[name], float)[self.good]

    def relative(self, name: str) -> np.ndarray:
        ours, theirs = self.pair(name)
        return np.abs(ours / theirs - 1)


def plain(column) -> np.ndarray:
    return np.asarray(getattr(column, "value", column), float)


def read_frame(path) -> tuple[np.ndarray, WCS | None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with fits.open(path) as units:
            data, header = units[0].data.astype(np.float32), units[0].header
            return data, WCS(header) if str(header.get("CTYPE1", "")).startswith("RA") else None


@pytest.fixture(scope="session")
def read_real(real_data):
    """Read the pixels of a real frame."""
    return lambda path: read_frame(real_data / path)[0]


@pytest.fixture(scope="session")
def compare(real_data):
    """Measure a real frame as source-extractor did, once a session."""
    done: dict[str, Comparison] = {}

    def run(name: str, mask_type: str = "CORRECT") -> Comparison:
        if (name, mask_type) not in done:
            done[name, mask_type] = _compared(real_data, mask_type, *RUNS[name])
        return done[name, mask_type]

    return run


def _compared(folder, mask_type, path, gain, saturation, name, apertures) -> Comparison:
    data, wcs = read_frame(folder / path)
    background = estimate(data)
    options = SexOptions(detect_thresh=3.0, phot_apertures=apertures, gain=gain, satur_level=saturation, mask_type=mask_type)
    table = sex(background.subtract(data), options, noise=background.global_rms, background=background, wcs=wcs)
    theirs = ascii_table.read(folder / "oracle" / f"{name}.{mask_type}.cat", format="sextractor")
    positions = np.c_[plain(table["X_IMAGE"]), plain(table["Y_IMAGE"])]
    distance, nearest = cKDTree(positions).query(np.c_[theirs["X_IMAGE"] - 1, theirs["Y_IMAGE"] - 1])
    good = (np.asarray(theirs["FLAGS"]) == 0) & (distance < 0.5)
    return Comparison(table[nearest], theirs, distance, good, background, wcs, len(table))


@dataclass(frozen=True)
class Sky:
    """Gaussian stars on a flat sky, background already subtracted."""

    data: np.ndarray
    x: np.ndarray
    y: np.ndarray
    flux: np.ndarray
    sigma: float
    noise: float
    gain: float


def gaussian_sky(rng, shape=(200, 240), n=40, *, sigma=2.0, noise=5.0, gain=2.0, flux=(2e3, 2e4), margin=15, separation=16.0) -> Sky:
    """Stars that lie apart from each other, with photon noise."""
    x, y = [], []
    while len(x) < n:
        tx, ty = rng.uniform(margin, shape[1] - margin), rng.uniform(margin, shape[0] - margin)
        if all(np.hypot(tx - a, ty - b) > separation for a, b in zip(x, y, strict=True)):
            x.append(tx)
            y.append(ty)
    fluxes = np.exp(rng.uniform(np.log(flux[0]), np.log(flux[1]), n))
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    clean = np.zeros(shape)
    for tx, ty, f in zip(x, y, fluxes, strict=True):
        clean += f / (2 * np.pi * sigma**2) * np.exp(-((xx - tx) ** 2 + (yy - ty) ** 2) / (2 * sigma**2))
    data = clean + rng.normal(size=shape) * np.sqrt(noise**2 + clean / gain)
    return Sky(data.astype(np.float32), np.array(x), np.array(y), fluxes, sigma, noise, gain)


@pytest.fixture
def make_sky():
    return gaussian_sky


@pytest.fixture
def sky(rng) -> Sky:
    return gaussian_sky(rng)
