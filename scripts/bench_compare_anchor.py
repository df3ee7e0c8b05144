"""Part B of `bench_compare.py`: the anchoring of bands."""

from __future__ import annotations

import importlib.util
import io
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
from astropy.io import fits
from astropy.table import Table
from bench_compare import Effort, Row, at_most, clocks, most_seeds, peak, within
from scipy.spatial.distance import cdist

from ezarchive import compare, simulate
from ezarchive.simulate import nebulae

LIMITS = {
    "linear": {
        "F770W": 0.012,
        "F1000W": 0.008,
        "F1130W": 0.015,
        "F2100W": 0.012,
        "F300M": 0.003,
        "F335M": 0.003,
        "F360M": 0.003,
        "F200W": 0.003,
    },
    "colour": {"F770W": 0.015, "F300M": 0.006, "F200W": 0.025},
}
REFERENCE_BANDS = {"miri": "F770W", "nircam": "F300M"}
SURVEYS = {"miri": ["irac4_atgauss4", "w3_atgauss15"], "nircam": ["irac1_atgauss4", "w1_atgauss7p5"]}
WIDE = {"miri": ["w3_atgauss15"], "nircam": ["w1_atgauss7p5"]}
SMALL = "irac4_atgauss4"
MIRI = {name: band for name, band in simulate.nebulae.BANDS.items() if band.instrument == "miri"}
PUBLISHED = {
    ("F770W", "irac4_atgauss4"): (0.94512, 0.30625),
    ("F770W", "w3_atgauss15"): (1.56466, 0.39038),
    ("F300M", "irac1_atgauss4"): (0.90429, 0.14530),
    ("F300M", "w1_atgauss7p5"): (1.01201, 0.15711),
    ("F1000W", None): (0.36724, -0.22825),
    ("F1130W", None): (1.35344, -0.18978),
    ("F2100W", None): (0.56458, -0.61821),
    ("F200W", None): (1.82037, 0.11646),
    ("F335M", None): (0.95984, -0.20955),
    ("F360M", None): (0.87242, -0.08577),
}


def step(folder: Path, bands: list[str], target: str = "ngc9999", surveys: Mapping[str, list[str]] = SURVEYS, **options: Any) -> bool:
    """Anchor a scene that lies in a folder; return what the step returns."""
    instruments = {nebulae.BANDS[band].instrument for band in bands}
    made = compare.AnchoringStep(
        target=target,
        bands=bands,
        in_dir=folder / "data" / target,
        ref_dir=folder / "refs",
        procs=options.pop("procs", 2),
        in_step_ext="i2d_align",
        in_subdir="lv3",
        out_subdir="anchoring",
        kernel_dir=folder / "kernels",
        ref_band={name: band for name, band in REFERENCE_BANDS.items() if name in instruments},
        external_bands={name: list(names) for name, names in surveys.items() if name in instruments},
        internal_conv_band="F2100W",
        **({"plots": False} | options),
    )
    return made.do_step()


def results(files: Mapping[str, Path], offsets: Mapping[str, float]) -> dict[str, tuple[float, float]]:
    """Return the error of what was added to each band's pixels, and its quoted error; NaN where there is no file."""
    found = {}
    for band, before in files.items():
        after = before.with_name(before.name.replace("_i2d_align.fits", "_i2d_anchor.fits"))
        found[band] = (np.nan, np.nan)
        if after.is_file():
            with fits.open(before) as old, fits.open(after) as new:
                data, made = old["SCI"].data.astype(float), new["SCI"].data.astype(float)
                good = np.isfinite(data) & (data != 0)
                header = new["SCI"].header if "ANCHERR" in new["SCI"].header else new[0].header
                found[band] = (float(np.median((made - data)[good])) - offsets[band], float(header.get("ANCHERR", np.nan)))
    return found


def anchored(effort: Effort, seeds: range, surveys: Mapping[str, list[str]] = SURVEYS, **plan: Any) -> list[dict[str, tuple[float, float]]]:
    """Make and anchor a scene for each seed; return errors by band."""
    made = []
    for seed in seeds:
        folder = effort.folder / f"scene{seed}"
        scene = simulate.nebula_scene(folder, seed=seed, **plan)
        step(folder, list(scene.files), surveys=surveys)
        made.append(results(scene.files, scene.offsets))
        shutil.rmtree(folder)
    return made


def noiseless(effort: Effort) -> list[Row]:
    """Anchor galaxies without noise."""
    found = anchored(effort, range(min(effort.seeds, 3)), noise=0.0)
    return [most_seeds(f"noise-free {band}: error of the offset, MJy/sr", [one[band][0] for one in found], 0.002) for band in nebulae.BANDS]


def linear(effort: Effort) -> list[Row]:
    """Anchor noisy galaxies whose bands are proportional to each other."""
    found = anchored(effort, range(2 * effort.seeds))
    rows = [
        most_seeds(f"linear {band}: error of the offset", [one[band][0] for one in found], limit)
        for band, limit in LIMITS["linear"].items()
    ]
    for band in nebulae.BANDS:
        pulls = np.array([error / quoted if quoted else np.nan for error, quoted in (one[band] for one in found)])
        width = float(np.sqrt(np.mean(pulls**2)))
        row = within(f"linear {band}: rms of error / quoted error, {len(found)} seeds", width, 0.7, 1.4)
        rows.append(row if len(found) >= 20 else row._replace(met=None))
    return rows


def colour(effort: Effort) -> list[Row]:
    """Anchor galaxies whose disc, arms and stars have other colours."""
    found = anchored(effort, range(effort.seeds), scenario="colour")
    return [
        most_seeds(f"colour {band}: error of the offset", [one[band][0] for one in found], limit)
        for band, limit in LIMITS["colour"].items()
    ]


def wide(effort: Effort) -> list[Row]:
    """Anchor to the survey of 15 arcsec alone; and to one whose blanks are zeros."""
    rows = []
    for scenario in ("linear", "zerofill"):
        found = anchored(effort, range(effort.seeds), WIDE, scenario=scenario, bands=MIRI)
        rows.append(most_seeds(f"{scenario} F770W, only w3_atgauss15: error of the offset", [one["F770W"][0] for one in found], 0.04))
    return rows


def small(effort: Effort) -> list[Row]:
    """Anchor a field of 45 by 40 arcsec, for which the beam of 15 arcsec is too wide."""
    found, refused = [], []
    for seed in range(effort.seeds):
        folder = effort.folder / f"small{seed}"
        scene = simulate.nebula_scene(folder, seed=seed, width=45.0, height=40.0, bands=MIRI)
        step(folder, list(scene.files))
        found.append(results(scene.files, scene.offsets))
        table = Table.read(next((folder / "data").rglob("*_anchor_tab.fits")))
        rows = [row for row in table if "w3" in str(row["ref_filter"])]
        refused.append(all(str(row["status"]).strip() == "failed" and not row["used"] for row in rows))
        shutil.rmtree(folder)
    errors = [most_seeds(f"45 x 40 arcsec {band}: error of the offset", [one[band][0] for one in found], 0.015) for band in MIRI]
    least = _rms([least_error(seed) for seed in range(effort.seeds)])
    for band in ("F770W", "F1130W"):
        reached, possible = _rms([one[band][0] for one in found]), MIRI[band].slope * least
        what = f"45 x 40 arcsec {band}: r.m.s. error, and what the survey's noise alone leaves of it"
        errors.append(Row(what, "", f"{reached:.4f}, at least {possible:.4f}", None))
    return [*errors, Row("45 x 40 arcsec: w3_atgauss15 refused", "every seed", f"{sum(refused)}/{len(refused)}", all(refused))]


def least_error(seed: int) -> float:
    """Return the Cramer-Rao bound of the offset of F770W by the survey of 4 arcsec in the small field, all else being known.

    The survey is ``b + m J + n``; of n the covariance is known, exp(-d^2 / 4 s^2) with s the sigma of the beam; the zero of J is at -b/m.
    """
    survey, plan = SMALL, simulate.NebulaPlan(seed=seed, width=45.0, height=40.0, bands=MIRI, noise=0.0)
    light, band = nebulae.survey_image(plan, survey), nebulae.band_image(plan, "F770W")
    y, x = np.indices(light.data.shape)
    column, row = np.rint(band.wcs.all_world2pix(*light.wcs.all_pix2world(x.ravel(), y.ravel(), 0), 0)).astype(int)
    inside = (column >= 0) & (row >= 0) & (column < band.data.shape[1]) & (row < band.data.shape[0]) & np.isfinite(light.data.ravel())
    inside[inside] = band.data[row[inside], column[inside]] != 0
    facts, offset = nebulae.SURVEYS[survey], MIRI["F770W"].offset
    places = np.stack([x.ravel(), y.ravel()], axis=1)[inside] * facts.pixel
    sigma = facts.fwhm / np.sqrt(8 * np.log(2))
    noise = facts.noise**2 * (np.exp(-cdist(places, places, "sqeuclidean") / (4 * sigma**2)) + 1e-6 * np.eye(len(places)))
    design = np.stack([np.ones(len(places)), light.data.ravel()[inside] / facts.slope + offset], axis=1)
    covariance = np.linalg.inv(design.T @ np.linalg.solve(noise, design))
    gradient = np.array([1.0, offset]) / facts.slope
    return float(np.sqrt(gradient @ covariance @ gradient))


def _rms(errors: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def kernels(effort: Effort) -> list[Row]:
    """Convolve with an elongated kernel, and a galaxy with round ones, against what is known analytically."""
    scene = simulate.elongated_scene()
    kernel = compare.read_kernel(nebulae.write_kernel(effort.folder / "long.fits", scene.kernel, scene.kernel_pixel))
    made = compare.convolve_to(scene.image, kernel, step=scene.pixel).data
    major, minor, angle = simulate.elongated.second_moments(np.nan_to_num(made - np.nanmin(made)))
    rows = [
        within("elongated kernel of 30 deg: angle", angle, 29.5, 30.5),
        Row("elongated kernel: variances along the axes, pixels^2", "", f"{major:.2f}, {minor:.2f} (truth 68, 13)", None),
    ]
    bands = {"F770W": nebulae.BANDS["F770W"]._replace(offset=0.0)}
    plan = simulate.NebulaPlan(noise=0.0, bands=bands)
    data, pixel = nebulae.band_image(plan, "F770W").data, 0.110
    for fwhm, own in ((4.0, pixel), (0.674, pixel / 4)):
        path = nebulae.write_kernel(effort.folder / "round.fits", nebulae.gaussian_kernel(0.269, fwhm, own), own)
        found = compare.convolve_to(data, compare.read_kernel(path), step=pixel)
        truth = nebulae.band_image(plan, "F770W", fwhm=fwhm).data
        for limit, least in ((1e-4, 0.99999), (2e-3, 0.999), (2e-2, 0.98)):
            good = (found.coverage > least) & np.isfinite(found.data) & (truth != 0)
            error = float(np.nanmax(np.abs(found.data[good] / truth[good] - 1)))
            rows.append(at_most(f"F770W at {fwhm:g} arcsec, coverage > {least:g}: relative error", error, limit, ".1e"))
    return rows


def big(effort: Effort) -> list[Row]:
    """Convolve an image of 4000 x 4000 pixels with a kernel of 4 arcsec."""
    rng, kernel = np.random.default_rng(1), nebulae.gaussian_kernel(0.269, 4.0, 0.110)
    data = rng.normal(1.0, 0.1, (4000, 4000)).astype(np.float32)
    data[:100], data[1500:1530, 2000:2030] = 0, np.nan
    cpu, wall = clocks()
    compare.convolve_to(data, kernel)
    cpu, wall = clocks()[0] - cpu, clocks()[1] - wall
    return [
        at_most("4000 x 4000, 4 arcsec kernel: CPU seconds", cpu, 2.0, ".2f"),
        at_most("4000 x 4000: peak of the whole process, MB", peak(), 800, ".0f"),
        Row("4000 x 4000: wall seconds", "", f"{wall:.2f}", None),
    ]


def whole(effort: Effort) -> list[Row]:
    """Anchor the whole scene of eight bands: without plots in one process (others take longer to start), with plots in two."""
    rows = []
    for plots, limit in ((False, 4.0), (True, 10.0)):
        folder = effort.folder / f"whole{plots}"
        scene = simulate.nebula_scene(folder)
        cpu, wall = clocks()
        step(folder, list(scene.files), plots=plots, procs=2 if plots else 1)
        used, now = clocks()
        what = f"eight bands, {'with' if plots else 'without'} plots"
        rows += [
            at_most(f"{what}: wall seconds", now - wall, limit, ".2f"),
            Row(f"{what}: CPU seconds", "", f"{used - cpu:.2f}", None),
            at_most(f"{what}: peak of any process, MB", peak(), 700, ".0f"),
        ]
        shutil.rmtree(folder)
    return rows


def other_scene(effort: Effort) -> list[Row]:
    """Anchor the scene of `anchor_scene.py`, by both methods."""
    if effort.tools is None:
        return [Row("scenes of anchor_scene.py (--tools)", "", "not asked for", None)]
    spec = importlib.util.spec_from_file_location("other_scenes", effort.tools / "anchor_scene.py")
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    rows = []
    for method in ("robust", "classic"):
        folder = effort.folder / method
        with redirect_stdout(io.StringIO()):
            other.main([str(folder)])
        files = {path.parents[1].name: path for path in (folder / "data").rglob("*_i2d_align.fits")}
        offsets = {band: -values[-1] for band, values in other.BANDS.items()}
        step(folder, list(other.BANDS), method=method)
        if method == "robust":
            found = results(files, offsets)
            rows += [
                at_most(f"anchor_scene.py {band}: error", abs(found[band][0]), limit, ".4f") for band, limit in LIMITS["linear"].items()
            ]
        else:
            rows += _published(Table.read(next((folder / "data").rglob("*_anchor_tab.fits"))))
        shutil.rmtree(folder)
    return rows


def _published(table: Table) -> list[Row]:
    """Return the rows of the classic method beside the published algorithm's intercepts."""
    rows = []
    for (band, survey), (slope, intercept) in PUBLISHED.items():
        chosen = [
            row
            for row in table
            if row["compar_filter"].strip().upper() == band and (survey is None) == ("atgauss" not in row["ref_filter"])
            if survey is None or row["ref_filter"].strip().endswith(survey)
        ]
        name = f"classic {band} on {survey or 'its reference band'}: intercept"
        if len(chosen) != 1:
            rows.append(Row(name, f"{intercept:.5f} +- 0.002", f"{len(chosen)} rows", False))
            continue
        found = float(chosen[0]["intercept"])
        shown = f"{found:.5f} (slope {chosen[0]['slope']:.5f}, {slope:.5f})"
        rows.append(Row(name, f"{intercept:.5f} +- 0.002", shown, abs(found - intercept) <= 0.002))
    return rows


CASES: dict[str, Callable[[Effort], list[Row]]] = {
    made.__name__: made for made in (noiseless, linear, colour, wide, small, kernels, big, whole, other_scene)
}
