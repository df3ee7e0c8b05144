"""Part A of `bench_compare.py`: image and star fits, regridding, resampling."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import astropy.units as u
import numpy as np
from astropy.io import fits
from bench_compare import Effort, Row, at_most, clocks, peak, within

from ezarchive import compare, simulate
from ezarchive.compare.fluximage import FluxImage
from ezarchive.simulate import ImagePair, image_pair

UNIT = u.Unit("1e-20 erg / (s cm2 Angstrom)")
CLEAN = {"noise": 0.0, "reference_noise": 0.0}
NAMES = ("scale", "bg", "dx", "dy", "fwhm")
LIMITS = {"scale": 5e-4, "bg": 2e-3, "dx": 4e-4, "dy": 4e-4, "fwhm": 4e-4}
VARIED = (
    {"rotation": 0.0, "shape": (240, 310)},
    {"rotation": 215.0, "shape": (311, 233), "dx": -0.7, "dy": 1.1},
    {"dx": 3.0, "dy": -2.4},
    {"beta": 1.6, "fwhm": 0.6},
    {"beta": 5.0, "fwhm": 1.1},
    {"scale": 1.8, "bg": -40.0, "pixel": 0.25, "fwhm": 0.9},
    {"reference_fwhm": 0.12, "reference_beta": 3.0, "fwhm": 0.5},
    {"n_stars": 25, "n_discs": 10, "rotation": 90.0},
)


def images(pair: ImagePair, *, variance: bool = True) -> tuple[FluxImage, FluxImage]:
    """Return reference and image with what is known of their noise."""
    made = []
    for data, sigma in ((pair.reference, pair.plan.reference_noise), (pair.image, pair.plan.noise)):
        known = np.full(data.shape, sigma**2) if variance and sigma else None
        made.append(FluxImage(data, known, None, pair.wcs, UNIT, fits.Header()))
    return made[0], made[1]


def worst(found: list[Any], truths: list[Any]) -> dict[str, float]:
    """Return the largest error of each parameter over several fits."""
    return {
        name: max(abs(getattr(fit, name).value - getattr(truth, name)) for fit, truth in zip(found, truths, strict=True)) for name in NAMES
    }


def skies(effort: Effort, **options: Any) -> list[ImagePair]:
    """Return noise-free pairs, one a seed."""
    return [image_pair(seed=seed, **(CLEAN | options)) for seed in range(effort.seeds)]


def clean(effort: Effort) -> list[Row]:
    """Fit noise-free images, beta held at its truth."""
    pairs = skies(effort)
    errors = worst([compare.fit_image_photometry(*images(pair), fix_beta=2.5) for pair in pairs], [pair.plan for pair in pairs])
    return [at_most(f"clean, {len(pairs)} skies: largest error of {name}", errors[name], LIMITS[name]) for name in NAMES]


def excluded(effort: Effort) -> list[Row]:
    """Fit noise-free images without the star, and around it."""
    pairs = skies(effort)
    rows = []
    for regions, radius in (("notstar", 3.0), ("star", 3.0)):
        found = [compare.fit_image_photometry(*images(p), fix_beta=2.5, star=(*p.star, radius), regions=regions) for p in pairs]
        errors = worst(found, [pair.plan for pair in pairs])
        where = "star excluded" if regions == "notstar" else "star alone"
        for name in NAMES:
            row = at_most(f"clean, {where}, r = 3 arcsec: largest error of {name}", errors[name], {"dx": 1e-3}.get(name, LIMITS[name]))
            asked = regions == "notstar" and name == "dx"
            rows.append(row if asked else row._replace(asked="", met=None))
    return rows


def varied(effort: Effort) -> list[Row]:
    """Fit noise-free images of other shapes, rotations, offsets, profiles; and with half of the pixels masked."""
    rows = []
    for options in VARIED:
        pair = image_pair(seed=100, **(CLEAN | options))
        known = {"hst_fwhm": pair.plan.reference_fwhm, "hst_beta": pair.plan.reference_beta}
        found = compare.fit_image_photometry(*images(pair), fix_beta=pair.plan.beta, **known)
        wings = (
            pair.plan.beta < 2
        )  # beyond 10 arcsec lie 2 per cent of the light: that of sources outside of the field is part of the level
        rows.append(_ratio(", ".join(f"{name} {value}" for name, value in options.items()), found, pair, but="bg" if wings else ""))
    pair = image_pair(seed=101, **CLEAN)
    row, column = np.indices(pair.image.shape)
    found = compare.fit_image_photometry(*images(pair), fix_beta=2.5, extramask=((row // 30 + column // 30) % 2).astype(bool))
    return [*rows, _ratio("every second 6 arcsec square masked", found, pair)]


def _ratio(what: str, found: Any, pair: ImagePair, but: str = "") -> Row:
    """Return a row of the largest error of a fit in units of what is asked of a clean one, one parameter left out."""
    errors = worst([found], [pair.plan])
    name = max((name for name in NAMES if name != but), key=lambda one: errors[one] / LIMITS[one])
    largest, rest = errors[name] / LIMITS[name], f"; {but} {errors[but]:.3f}" if but else ""
    return Row(f"clean, {what}", "<= the limits of clean", f"{largest:.2f} of the limit ({name}){rest}", bool(largest <= 1))


def star(effort: Effort) -> list[Row]:
    """Fit the star of noise-free images, everything free."""
    pairs = skies(effort)
    found = [compare.fit_star_photometry(*images(pair), (*pair.star, 3.0)) for pair in pairs]
    errors = worst(found, [pair.plan for pair in pairs])
    return [
        at_most(f"clean, star fit, {len(pairs)} skies: largest error of scale / 0.95", errors["scale"] / 0.95, 5e-3),
        at_most("clean, star fit: largest error of bg", errors["bg"], 0.1),
        *(Row(f"clean, star fit: largest error of {name}", "", f"{errors[name]:.5f}", None) for name in ("dx", "dy", "fwhm")),
    ]


def noisy(effort: Effort) -> list[Row]:
    """Fit many noise draws of one sky."""
    base = image_pair(**CLEAN)
    fits_of = {
        "image, beta held": lambda a, b: compare.fit_image_photometry(a, b, fix_beta=2.5),
        "image, beta free": lambda a, b: compare.fit_image_photometry(a, b),
        "star": lambda a, b: compare.fit_star_photometry(a, b, (*base.star, 3.0)),
    }
    found: dict[str, list[Any]] = {what: [] for what in fits_of}
    for seed in range(effort.draws):
        both = images(drawn(base, seed))
        for what, fit in fits_of.items():
            found[what].append(fit(*both))
    rows = []
    for what, fitted in found.items():
        rows += pulls(what, NAMES if what == "image, beta held" else (*NAMES, "beta"), base, fitted)
    return rows


def unknown(effort: Effort) -> list[Row]:
    """Fit noise draws of images whose variance is not given."""
    base = image_pair(**CLEAN)
    draws = [images(drawn(base, seed), variance=False) for seed in range(effort.draws)]
    return pulls("image, variance not given", NAMES, base, [compare.fit_image_photometry(*both, fix_beta=2.5) for both in draws])


def drawn(base: ImagePair, seed: int) -> ImagePair:
    """Return a pair with the noise of a seed."""
    dark = base.sources._replace(**{name: values[:1] for name, values in base.sources._asdict().items()})
    noise = image_pair(sources=dark._replace(flux=np.zeros(1)), bg=0.0, seed=1000 + seed)
    return ImagePair(
        base.reference + noise.reference, base.image + noise.image, base.wcs, base.sources, base.star, base.star_xy, noise.plan
    )


def pulls(what: str, names: tuple[str, ...], base: ImagePair, found: list[Any]) -> list[Row]:
    """Return the rows of bias and pulls of many fits of one sky; fewer than 100 tell too little to judge by."""
    rows = []
    for name in names:
        truth = getattr(base.plan, name)
        values, errors = (np.array([getattr(getattr(fit, name), kind) for fit in found]) for kind in ("value", "stdev"))
        bias = abs(values.mean() - truth) / values.std(ddof=1)
        rows.append(at_most(f"{what}, {len(found)} draws: {name}, bias / scatter", bias, 0.3, ".2f"))
        width = ((values - values.mean()) / errors).std(ddof=1)
        rows.append(within(f"{what}, {len(found)} draws: {name}, width of the pulls", width, 0.8, 1.2))
    return rows if len(found) >= 100 else [row._replace(met=None) for row in rows]


def regridded(effort: Effort) -> list[Row]:
    """Fit against a 30 mas image in electrons per second, through our own rescaling and regridding."""
    found, plans = [], []
    for seed in range(min(effort.seeds, 3)):
        pair = image_pair(seed=seed, **CLEAN)
        data, wcs = simulate.fine_reference(pair, noise=0.0)
        _, image = images(pair)
        fine = FluxImage(
            data, None, None, wcs, u.electron / u.s, fits.Header({"FILTER": "F606W", "PHOTFLAM": 7.73e-20, "PHOTPLAM": 5921.1})
        )
        coarse = compare.regrid_hst_like_muse(compare.rescale_hst_like_muse(fine, image, inplace=False), image, inplace=False)
        found.append(compare.fit_image_photometry(coarse, image, fix_beta=2.5))
        plans.append(pair.plan)
    errors = worst(found, plans)
    return [
        at_most(f"30 mas reference, our regrid, {len(found)} skies: error of fwhm", errors["fwhm"], 1e-3),
        *(Row(f"30 mas reference, our regrid: error of {name}", "", f"{errors[name]:.5f}", None) for name in NAMES if name != "fwhm"),
    ]


def resampled(effort: Effort) -> list[Row]:
    """Shift images by resampling and see how much wider they are, and what offset is left."""
    wider, left = [], []
    for pair in skies(effort):
        reference, image = images(pair)
        before = compare.fit_image_photometry(reference, image, fix_beta=2.5)
        moved = compare.apply_corrections(image, before, resample=True)
        after = compare.fit_image_photometry(reference, moved, fix_beta=2.5)
        wider.append(abs(after.fwhm.value / before.fwhm.value - 1))
        left.append(max(abs(after.dx.value), abs(after.dy.value)))
    return [
        at_most(f"resample=True, {len(wider)} skies: largest change of fwhm", 100 * max(wider), 0.5, ".3f", " %"),
        Row("resample=True: largest offset that is left, arcsec", "", f"{max(left):.5f}", None),
    ]


def speed(effort: Effort) -> list[Row]:
    """Fit one noisy 300 x 300 pair, once."""
    reference, image = images(image_pair())
    before, fit = peak(), compare.fit_image_photometry  # the name is imported when it is asked for
    cpu, wall = clocks()
    fit(reference, image, fix_beta=2.5)
    once = clocks()
    fit(reference, image)
    free = clocks()
    return [
        at_most("300 x 300, beta held, first call: CPU seconds", once[0] - cpu, 1.4, ".2f"),
        Row("300 x 300, beta held, first call: wall seconds", "", f"{once[1] - wall:.2f}", None),
        Row("300 x 300, beta free: CPU seconds", "", f"{free[0] - once[0]:.2f}", None),
        at_most("300 x 300: peak of the whole process, MB", peak(), 400, ".0f"),
        Row("peak before the fit (imports, simulation), MB", "", f"{before:.0f}", None),
    ]


def other_pair(effort: Effort) -> list[Row]:
    """Fit the pairs of `image_pair.py`."""
    if effort.tools is None:
        return [Row("pairs of image_pair.py (--tools)", "", "not asked for", None)]
    spec = importlib.util.spec_from_file_location("other_pairs", effort.tools / "image_pair.py")
    other = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(other)
    rows, truth = [], other.TRUTH
    for seed in [20250721, *range(1, effort.seeds)]:
        made = other.build(seed, 0)
        both = [FluxImage(made[name], None, None, made["wcs"], UNIT, fits.Header()) for name in ("hst", "muse")]
        whole = compare.fit_image_photometry(*both, fix_beta=2.5)
        without = compare.fit_image_photometry(*both, fix_beta=2.5, star=(*made["star"], 3.0), regions="notstar")
        lone = compare.fit_star_photometry(*both, (*made["star"], 3.0))
        rows += [at_most(f"image_pair.py {seed}: error of {n}", abs(getattr(whole, n).value - truth[n]), LIMITS[n]) for n in NAMES]
        rows.append(at_most(f"image_pair.py {seed}, star excluded: error of dx", abs(without.dx.value - truth["dx"]), 1e-3))
        rows.append(at_most(f"image_pair.py {seed}, star fit: error of scale / 0.95", abs(lone.scale.value / 0.95 - 1), 5e-3))
        rows.append(at_most(f"image_pair.py {seed}, star fit: error of bg", abs(lone.bg.value - truth["bg"]), 0.1))
    return rows


warnings.simplefilter("ignore", category=fits.verify.VerifyWarning)
CASES: dict[str, Callable[[Effort], list[Row]]] = {
    made.__name__: made for made in (clean, excluded, varied, star, noisy, unknown, regridded, resampled, speed, other_pair)
}
