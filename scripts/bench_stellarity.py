"""Stellarity beside source-extractor's CLASS_STAR on simulated fields: area under the ROC curve in bins of signal to noise.

    python scripts/bench_stellarity.py [--fields N] [--scene NAME ...]

Stars and galaxies (exponential discs and de Vaucouleurs profiles of half-light radii from 0.2 to 1.2 FWHM, axis ratios from 0.3 to 1) lie
anywhere on fields of 1000 x 1000 pixels; source-extractor is told the right seeing, ours is told it too, and then nothing. Both are judged
on the same sources: detected by both, and known to be one star or one galaxy.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from astropy.io import ascii as ascii_table
from astropy.io import fits
from scipy.spatial import cKDTree
from scipy.stats import rankdata

from ezarchive.images.background import estimate
from ezarchive.photometry.detection import SexOptions, sex

BINS = ((10.0, 20.0), (20.0, 40.0), (40.0, 100.0))
_SHARE = Path("/usr/share/source-extractor")
_SKY = 1000.0
_OVERSAMPLED = 4
# De Vaucouleurs' profile as Gaussians: Hogg & Lang 2013, PASP 125, 719, table 1.
_DEV_WEIGHT = np.array([4.26347652e-2, 2.40127183e-1, 6.85907632e-1, 1.51937350, 2.83627243, 4.46467501, 5.72440830, 5.60989349])
_DEV_VARIANCE = np.array([2.23759216e-4, 1.00220099e-3, 4.18731126e-3, 1.69432589e-2, 6.84850479e-2, 2.87207080e-1, 1.33320254, 8.40215071])


@dataclass(frozen=True)
class Scene:
    """What a field is like; lengths in pixels, galaxy sizes in FWHM.

    ``beta`` is the exponent of the Moffat profile (None: a Gaussian), ``drift`` the change of the width and of the ellipticity from corner
    to corner, ``steep`` the slope of the counts in S/N (0: as many in each decade), ``bulges`` the share of de Vaucouleurs galaxies.
    """

    name: str
    fwhm: float = 5.0
    beta: float | None = 3.5
    ellipticity: float = 0.0
    drift: float = 0.0
    n: int = 400
    size: int = 1000
    galaxies: float = 0.5
    radii: tuple[float, float] = (0.2, 1.2)
    snr: tuple[float, float] = (7.0, 250.0)
    steep: float = 0.0
    scale: float = 1.0
    gain: float = 1.0
    sigma: float = 10.0
    threshold: float = 1.5
    bulges: float = 0.3


SCENES = (
    Scene("fwhm 5"), Scene("fwhm 3.5", fwhm=3.5), Scene("fwhm 2.5", fwhm=2.5), Scene("gaussian", beta=None),
    Scene("moffat 2.5", beta=2.5, fwhm=4.5),
    Scene("7DT 3.2 arcsec", fwhm=3.2 / 0.506, scale=0.506, gain=0.2561, sigma=39.0, radii=(0.25, 0.95)),
    Scene("7DT 2.2 arcsec", fwhm=2.2 / 0.506, scale=0.506, gain=0.2561, sigma=39.0, radii=(0.25, 0.95)),
    Scene("elongated", ellipticity=0.15), Scene("drift 20 %", drift=0.2), Scene("drift 30 %", fwhm=4.0, drift=0.3),
    Scene("dense", n=800), Scene("crowded", n=3500, steep=1.0), Scene("crowded, fwhm 4", n=4500, fwhm=4.0, steep=0.7),
    Scene("few stars", n=60, galaxies=0.85), Scene("5 stars", n=25, galaxies=0.8), Scene("many stars", galaxies=0.12, steep=0.5),
    Scene("many galaxies", galaxies=0.9), Scene("small galaxies", radii=(0.15, 0.5)), Scene("3 sigma", threshold=3.0),
)  # fmt: skip


@dataclass(frozen=True)
class Field:
    """An image on a sky of 1000, and its truth."""

    image: np.ndarray
    x: np.ndarray
    y: np.ndarray
    is_star: np.ndarray
    flux: np.ndarray


def make_field(scene: Scene, seed: int) -> Field:
    """Simulate a field."""
    rng = np.random.default_rng([seed, *scene.name.encode()])
    n, size = scene.n, scene.size
    x, y = rng.uniform(5, size - 6, (2, n))
    is_star = rng.random(n) >= scene.galaxies
    radius = np.where(is_star, 0.0, scene.fwhm * np.exp(rng.uniform(*np.log(scene.radii), n)))
    ratio, angle, bulge = rng.uniform(0.3, 1, n), rng.uniform(0, np.pi, n), rng.random(n) < scene.bulges
    snr = np.exp(rng.uniform(*np.log(scene.snr), n))
    if scene.steep:
        snr = rng.uniform(scene.snr[1] ** -scene.steep, scene.snr[0] ** -scene.steep, n) ** (-1 / scene.steep)
    sky = scene.sigma**2 * 4 * np.pi * ((scene.fwhm / 2.2) ** 2 + (0.8 * radius) ** 2)
    photons = snr**2 / scene.gain / 2
    flux = photons + np.sqrt(photons**2 + snr**2 * sky)
    clean = np.zeros((size, size))
    for i in range(n):
        half = int(np.ceil(6 * (scene.fwhm + radius[i]) / 16) * 16)
        spectrum = _psf(scene, round((x[i] + y[i]) / size * 12) / 24 if scene.drift else 0.5, 2 * half)
        if not is_star[i]:
            spectrum = spectrum * _galaxy(radius[i], ratio[i], angle[i], bool(bulge[i]), 2 * half)
        _add(clean, flux[i] * spectrum, x[i], y[i], half)
    image = clean + _SKY + rng.normal(size=clean.shape) * np.sqrt(scene.sigma**2 + np.maximum(clean, 0) / scene.gain)
    return Field(image.astype(np.float32), x, y, is_star, flux)


@lru_cache(maxsize=512)
def _psf(scene: Scene, place: float, n: int) -> np.ndarray:
    """Fourier transform of the star at a place (0 to 1) of the field, integrated over pixels."""
    fine = n * _OVERSAMPLED
    v, u = (np.mgrid[:fine, :fine] - fine // 2) / _OVERSAMPLED
    fwhm = scene.fwhm * (1 + scene.drift * (place - 0.5))
    squeeze, turn = np.sqrt(1 - scene.ellipticity - 0.5 * scene.drift * place), 0.4 + 1.5 * place * bool(scene.drift)
    a, b = (u * np.cos(turn) + v * np.sin(turn)) * squeeze, (v * np.cos(turn) - u * np.sin(turn)) / squeeze
    if scene.beta is None:
        image = np.exp(-0.5 * (a**2 + b**2) * (2.3548 / fwhm) ** 2)
    else:
        image = (1 + (a**2 + b**2) * 4 * (2 ** (1 / scene.beta) - 1) / fwhm**2) ** -scene.beta
    spectrum = np.fft.rfft2(np.fft.ifftshift(image / image.sum()))
    spectrum *= np.sinc(np.fft.fftfreq(fine)[:, None] * _OVERSAMPLED) * np.sinc(np.fft.rfftfreq(fine) * _OVERSAMPLED)
    return spectrum[np.r_[: n // 2, fine - n // 2 : fine], : n // 2 + 1]


def _galaxy(radius: float, ratio: float, angle: float, bulge: bool, n: int) -> np.ndarray:  # noqa: FBT001
    ky, kx = 2 * np.pi * np.fft.fftfreq(n)[:, None], 2 * np.pi * np.fft.rfftfreq(n)
    a, b = kx * np.cos(angle) + ky * np.sin(angle), (ky * np.cos(angle) - kx * np.sin(angle)) * ratio
    k2 = radius**2 * (a**2 + b**2)
    if bulge:
        return sum(w * np.exp(-0.5 * k2 * v) for w, v in zip(_DEV_WEIGHT / _DEV_WEIGHT.sum(), _DEV_VARIANCE, strict=True))
    return (1 + k2 / 1.67835**2) ** -1.5


def _add(image: np.ndarray, spectrum: np.ndarray, x: float, y: float, half: int) -> None:
    n = 2 * half
    x0, y0 = round(x) - half, round(y) - half
    shift = np.exp(-2j * np.pi * (np.fft.rfftfreq(n) * (x - x0) + np.fft.fftfreq(n)[:, None] * (y - y0)))
    stamp = np.fft.irfft2(spectrum * shift, s=(n, n))
    rows, cols = (slice(max(first, 0), min(first + n, size)) for first, size in zip((y0, x0), image.shape, strict=True))
    image[rows, cols] += stamp[rows.start - y0 : rows.stop - y0, cols.start - x0 : cols.stop - x0]


def source_extractor(image: np.ndarray, scene: Scene) -> dict[str, np.ndarray]:
    """Run source-extractor with the right seeing; positions come back 0-based."""
    with tempfile.TemporaryDirectory() as folder:
        fits.writeto(Path(folder, "image.fits"), image)
        Path(folder, "columns.param").write_text("X_IMAGE\nY_IMAGE\nFLUX_AUTO\nFLUXERR_AUTO\nCLASS_STAR\n")
        settings = {
            "PARAMETERS_NAME": "columns.param", "CATALOG_NAME": "out.cat", "VERBOSE_TYPE": "QUIET", "DETECT_MINAREA": 5,
            "FILTER_NAME": _SHARE / "default.conv", "STARNNW_NAME": _SHARE / "default.nnw", "DETECT_THRESH": scene.threshold,
            "ANALYSIS_THRESH": scene.threshold, "GAIN": scene.gain, "SATUR_LEVEL": 1e9, "PIXEL_SCALE": scene.scale,
            "SEEING_FWHM": scene.fwhm * scene.scale,
        }  # fmt: skip
        words = [str(word) for name, value in settings.items() for word in (f"-{name}", value)]
        subprocess.run(["source-extractor", "image.fits", "-c", str(_SHARE / "default.sex"), *words], cwd=folder, check=True)
        table = ascii_table.read(Path(folder, "out.cat"), format="sextractor")
    found = {name: np.asarray(table[name], float) for name in table.colnames}
    return found | {"X_IMAGE": found["X_IMAGE"] - 1, "Y_IMAGE": found["Y_IMAGE"] - 1}


def ours(image: np.ndarray, scene: Scene, *, seeing: bool) -> dict[str, np.ndarray]:
    """Measure the field with the same settings."""
    background = estimate(image)
    options = SexOptions(detect_thresh=scene.threshold, gain=scene.gain, seeing_fwhm=scene.fwhm if seeing else None)
    table = sex(background.subtract(image), options, noise=background.global_rms, background=background)
    return {name: np.asarray(getattr(table[name], "value", table[name]), float) for name in ("X_IMAGE", "Y_IMAGE", "CLASS_STAR")}


@dataclass(frozen=True)
class Judged:
    """Sources with known kind: whether they are stars, source-extractor's signal to noise, its and our stellarities."""

    is_star: np.ndarray
    snr: np.ndarray
    theirs: np.ndarray
    ours: tuple[np.ndarray, ...]


def judge(scene: Scene, seed: int, *, seeing: tuple[bool, ...] = (True, False)) -> Judged:
    """Measure one field with both programs."""
    field = make_field(scene, seed)
    theirs = source_extractor(field.image, scene)
    mine = [ours(field.image, scene, seeing=told) for told in seeing]
    kind = _kinds(field, scene, theirs["X_IMAGE"], theirs["Y_IMAGE"])
    good = kind >= 0
    values = []
    for one in mine:
        distance, nearest = cKDTree(np.c_[one["X_IMAGE"], one["Y_IMAGE"]]).query(np.c_[theirs["X_IMAGE"], theirs["Y_IMAGE"]])
        good &= distance < 0.5
        values.append(one["CLASS_STAR"][nearest])
    snr = theirs["FLUX_AUTO"] / theirs["FLUXERR_AUTO"]
    return Judged(kind[good] == 1, snr[good], theirs["CLASS_STAR"][good], tuple(value[good] for value in values))


def _kinds(field: Field, scene: Scene, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return 1 for stars, 0 for galaxies, -1 where it cannot be said: nothing near, or a blend of similar ones."""
    kind = np.full(len(x), -1)
    near = cKDTree(np.c_[field.x, field.y]).query_ball_point(np.c_[x, y], 0.8 * scene.fwhm)
    for i, members in enumerate(near):
        flux = field.flux[members]
        if not members or (flux > 0.2 * flux.max()).sum() > 1:
            continue
        brightest = members[int(np.argmax(flux))]
        if np.hypot(field.x[brightest] - x[i], field.y[brightest] - y[i]) < 0.6 * scene.fwhm:
            kind[i] = field.is_star[brightest]
    return kind


def together(parts: list[Judged]) -> Judged:
    """Put several fields into one."""
    stellarities = tuple(np.concatenate(part) for part in zip(*(one.ours for one in parts), strict=True))
    return Judged(*(np.concatenate([getattr(one, name) for one in parts]) for name in ("is_star", "snr", "theirs")), stellarities)


def roc_area(stellarity: np.ndarray, is_star: np.ndarray) -> float:
    """Return the chance that a star has a larger stellarity than a galaxy; NaN where one kind is missing."""
    n_stars, n_others = int(is_star.sum()), int((~is_star).sum())
    if not n_stars or not n_others:
        return float("nan")
    return float((rankdata(stellarity)[is_star].sum() - n_stars * (n_stars + 1) / 2) / (n_stars * n_others))


def row(name: str, judged: Judged) -> str:
    """Return a line of the table."""
    cells = []
    for low, high in BINS:
        inside = (judged.snr >= low) & (judged.snr < high)
        areas = [roc_area(value[inside], judged.is_star[inside]) for value in (*judged.ours, judged.theirs)]
        cells.append(f"{int(inside.sum()):6d} " + " ".join(f"{area:.3f}" for area in areas))
    return f"{name:16s} " + " |".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fields", type=int, default=4, help="fields of each scene; of those with under 100 sources ten times as many")
    parser.add_argument("--scene", action="append", help="only this scene (may be repeated)")
    options = parser.parse_args()
    bins = " |".join(f"{f'S/N {low:.0f}-{high:.0f}: n, ours, no seeing, theirs':>42s}" for low, high in BINS)
    print(f"area under ROC   {bins}")
    everything, began = [], time.perf_counter()
    for scene in SCENES:
        if options.scene and scene.name not in options.scene:
            continue
        parts = [judge(scene, seed) for seed in range(options.fields * (10 if scene.n < 100 else 1))]
        everything += parts
        print(row(scene.name, together(parts)), flush=True)
    print(row("all", together(everything)))
    print(f"{len(everything)} fields in {time.perf_counter() - began:.0f} s", file=sys.stderr)


if __name__ == "__main__":
    main()
